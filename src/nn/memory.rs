//! Keeps freed memory for the next tensor, and has it in huge pages. Each operation allocates its output anew; where glibc hands
//! large pieces back to the system at once, as it does by itself, the page faults of the next were a quarter of a decoder's time.
#![expect(unsafe_code, reason = "the allocator's options are set, and the system is advised, through C")]

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

/// Bytes of a huge page of the processors that Linux knows best.
#[cfg(target_os = "linux")]
const HUGE_BYTES: usize = 2 << 20;

/// Asks for huge pages where room for a large tensor is. A convolution reads a few hundred places at once, one in each channel: with
/// pages of 4 KB their addresses took the processor a third of its time to look up, in a virtual machine.
pub(super) fn in_huge_pages<T>(room: &Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        let bytes = room.capacity().saturating_mul(size_of::<T>());
        if bytes < HUGE_BYTES {
            return;
        }
        let first = room.as_ptr().addr() / HUGE_BYTES * HUGE_BYTES;
        let length = (room.as_ptr().addr() - first + bytes).next_multiple_of(HUGE_BYTES);
        // SAFETY: the advice changes no memory, of whomever; where it is not taken, all goes on as before.
        unsafe { libc::madvise(std::ptr::without_provenance_mut(first), length, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = room;
}
