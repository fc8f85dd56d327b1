//! The computing threads: as many as asked for, and no others.
#![expect(unsafe_code, reason = "candle reads the size of its own pool from the environment")]

use super::{denormals, memory};

/// Starts the computing threads, each flushing denormals, and has freed memory kept for the next tensor; 0 of them means one per
/// processor. Once per process, before anything computes.
pub fn start(threads: usize) -> Result<(), rayon::ThreadPoolBuildError> {
    memory::keep();
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("compute-{i}"))
        .start_handler(|_| denormals::flush())
        .build_global()
}

/// How many there are.
pub fn number() -> usize {
    rayon::current_num_threads()
}

/// Has candle add large tensors on the thread that asks, unless `CANDLE_NUM_THREADS` says otherwise. The first act of a process,
/// while it has no other thread.
///
/// By itself candle starts a thread for each further processor: they spin while our kernels compute, do not flush denormals, and
/// know nothing of the number asked for. Without them the demo's search takes 15 % less time.
pub fn keep_candle_to_its_caller() {
    const THREADS: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(THREADS).is_none() {
        // SAFETY: no other thread is there yet to read the environment meanwhile.
        unsafe { std::env::set_var(THREADS, "1") };
    }
}
