//! What this machine has to give: processors, memory for this process, and a desktop.

pub mod desktop;

use std::sync::OnceLock;

static ALLOWED: OnceLock<u64> = OnceLock::new();

/// Allows this process no more memory than so many bytes, once; later calls change nothing.
pub fn allow_memory(bytes: u64) {
    ALLOWED.get_or_init(|| bytes);
}

/// Processors that this process may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The most memory that this process can have, bytes: what is free on the machine and what the process holds already, within the
/// limits that it runs under and [`allow_memory`]. Work that needs more cannot succeed. `None` where neither the system nor the user says.
///
/// Source: Linux's proc(5), `/proc/meminfo`, `/proc/self/status` and `/proc/self/limits`; `memory.max` of its control groups, v2.
pub fn memory_bytes() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let [meminfo, status, limits] = ["/proc/meminfo", "/proc/self/status", "/proc/self/limits"].map(read);
    let most = memory_by(&meminfo, &status, &limits, &read("/sys/fs/cgroup/memory.max"));
    [most, ALLOWED.get().copied()].into_iter().flatten().min()
}

fn memory_by(meminfo: &str, status: &str, limits: &str, group: &str) -> Option<u64> {
    let free = kilobytes(meminfo, "MemAvailable:")?;
    let held = kilobytes(status, "VmRSS:").unwrap_or(0);
    // "Max address space   3000000000   unlimited   bytes"
    let address_space = limits.lines().find_map(|line| line.strip_prefix("Max address space"));
    let address_space = address_space.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let group = group.trim().parse::<u64>().ok();
    Some([address_space, group].into_iter().flatten().fold(free.saturating_add(held), u64::min))
}

/// "12.3 GB", or "40 MB" of what is far less: bytes for people.
pub fn gigabytes(bytes: u64) -> String {
    if bytes < 100_000_000 {
        return format!("{} MB", bytes.div_ceil(1_000_000));
    }
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// The memory that is left to this process for new work, bytes: [`memory_bytes`] less what it holds. `None` where that does not say.
pub fn left_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    Some(memory_bytes()?.saturating_sub(kilobytes(&status, "VmRSS:").unwrap_or(0)))
}

/// The most memory that this process has held at a time, bytes, since it began or since [`forget_peak`]. `None` where the system does not say.
pub fn peak_bytes() -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:")
}

/// Lets [`peak_bytes`] begin anew, where the system can: Linux's proc(5), `/proc/self/clear_refs`.
pub fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").ok(); // the peak is then that of the process
}

/// The bytes of a line such as "MemAvailable:   12345 kB".
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_limit_counts() {
        let meminfo = "MemTotal:       9000 kB\nMemAvailable:   5000 kB\n";
        let limits = "Max cpu time              unlimited            unlimited            seconds\nMax address space         3000000              unlimited            bytes\n";
        let status = "VmPeak:\t 3000 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(memory_by(meminfo, "", "", ""), Some(5_000 << 10));
        assert_eq!(memory_by(meminfo, status, "", "max\n"), Some(6_000 << 10));
        assert_eq!(memory_by(meminfo, status, limits, "max\n"), Some(3_000_000));
        assert_eq!(memory_by(meminfo, status, limits, "1000000\n"), Some(1_000_000));
        assert_eq!(memory_by(meminfo, status, &limits.replace("3000000  ", "unlimited"), ""), Some(6_000 << 10));
        assert_eq!(memory_by("", status, limits, ""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_what_it_has() {
        assert!(processors() >= 1);
        assert!(memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
