//! Keeps freed memory for the next tensor. Each operation allocates its output anew; where glibc hands large pieces back to the
//! system at once, as it does by itself, the page faults of the next were a quarter of a decoder's time.
#![expect(unsafe_code, reason = "the allocator's options are set through C")]

/// Pieces larger than this go back to the system: the first that the allocator agrees to, which before glibc 2.35 is no more than
/// half an arena (`HEAP_MAX_SIZE / 2` in its malloc.c).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: [i32; 2] = [1 << 30, 32 << 20];
/// Remainders larger than this go back to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_REST_BYTES: i32 = 1 << 30;

/// It holds for the whole process, and does nothing where the allocator is not glibc's.
///
/// # Safety
/// The process has no other thread yet: mallopt(3) is safe before threads alone ("MT-Unsafe init").
pub(super) unsafe fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two numbers; the caller's promise.
    unsafe {
        // Arenas other than the first are pieces of 64 MB, which are handed back as they become free.
        libc::mallopt(libc::M_ARENA_MAX, 1);
        // Where neither is taken the second would fix the first where it stands, far too low.
        if KEPT_BYTES.iter().any(|bytes| libc::mallopt(libc::M_MMAP_THRESHOLD, *bytes) == 1) {
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_REST_BYTES);
        }
    }
}
