//! What the system says of this process. Linux only; elsewhere zeros.

use std::fs::{read_dir, read_to_string};

/// Seconds that all threads have computed: the first number of each one's schedstat, in nanoseconds (kernel
/// documentation, scheduler/sched-stats).
pub(crate) fn cpu_secs() -> f64 {
    let threads = read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let stat = read_to_string(thread.path().join("schedstat")).ok()?; // none where a thread has just ended
        stat.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() * 1e-9
}

pub(crate) fn peak_rss_mb() -> usize {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<usize>().ok()).unwrap_or(0) / 1024
}
