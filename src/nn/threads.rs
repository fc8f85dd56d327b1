//! The computing threads: as many as asked for, and no others.
#![expect(
    unsafe_code,
    reason = "candle reads the size of its own pool from the environment, and the allocator's options are set through C"
)]

use super::{denormals, memory};

/// Has candle add large tensors on the thread that asks, unless `CANDLE_NUM_THREADS` says otherwise, has freed memory kept for
/// the next tensor, and keeps backtraces out of errors: candle writes them into its messages wherever `RUST_BACKTRACE` is set. Panics have
/// theirs as before.
///
/// Candle itself starts a thread for each further processor: they spin while our kernels compute, do not flush denormals, and
/// know nothing of the number asked for. Without them the demo's search takes 15 % less time.
///
/// # Safety
/// The process has no other thread yet: the environment and the allocator's options are read without a lock by whoever wants them.
/// The first line of `main` can promise it.
pub unsafe fn prepare_process() {
    const THREADS: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(THREADS).is_none() {
        // SAFETY: the caller's promise: no other thread reads the environment meanwhile.
        unsafe { std::env::set_var(THREADS, "1") };
    }
    // SAFETY: the caller's promise.
    unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    // SAFETY: the caller's promise.
    unsafe { memory::keep() };
}

/// Starts the computing threads, each flushing denormals; 0 of them means one per processor. Once per process, before anything
/// computes.
pub fn start(threads: usize) -> Result<(), rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("compute-{i}"))
        // The thread flushes until it ends: what it holds is let go of without being dropped.
        .start_handler(|_| std::mem::forget(denormals::flushed()))
        .build_global()
}

/// How many there are.
pub fn number() -> usize {
    rayon::current_num_threads()
}
