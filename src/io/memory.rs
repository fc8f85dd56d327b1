//! How much memory is there for voxels: a size that a header declares is held against it before it is asked for.

/// What is asked for without a look: most scans' slices, and far less than any machine has.
const SMALL_BYTES: u64 = 64 << 20;

/// An error in words where the system says that `bytes` more are not there. Where it says nothing, the allocator decides.
pub(super) fn room_for(bytes: usize) -> Result<(), String> {
    let bytes = bytes as u64;
    match available_bytes().filter(|_| bytes > SMALL_BYTES) {
        Some(there) if bytes > there => {
            let gigabytes = |bytes: u64| bytes as f64 / 1e9;
            Err(format!(
                "voxels that need {:.1} GB of memory, where {:.1} GB are free; crop the scan first, or close other programs",
                gigabytes(bytes),
                gigabytes(there)
            ))
        }
        _ => Ok(()),
    }
}

/// Memory that programs can still have, and the disk's share of it (`MemAvailable` and `SwapFree` of proc(5)).
#[cfg(target_os = "linux")]
fn available_bytes() -> Option<u64> {
    let said = std::fs::read_to_string("/proc/meminfo").ok()?; // not there: nothing is known
    let kilobytes = |field: &str| -> Option<u64> {
        said.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix("kB")?.trim().parse().ok())
    };
    Some((kilobytes("MemAvailable:")? + kilobytes("SwapFree:").unwrap_or(0)) << 10)
}

/// Other systems give memory that they do not have, or refuse it themselves.
#[cfg(not(target_os = "linux"))]
fn available_bytes() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_any_machine_has_is_refused_in_words() {
        assert!(room_for(1 << 20).is_ok());
        if cfg!(target_os = "linux") {
            let error = room_for(1 << 50).unwrap_err();
            assert!(error.contains("need 1125899.9 GB"), "{error}");
        }
    }
}
