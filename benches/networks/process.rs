//! What the system says of this process. Linux only; elsewhere zeros.

use std::fs::read_to_string;

/// Clock ticks a second in /proc, on every Linux.
const TICKS: f64 = 100.0;

/// Seconds of all threads, in the program and in the kernel: fields 14 and 15 of proc(5)'s stat.
pub(crate) fn cpu_secs() -> f64 {
    let stat = read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

pub(crate) fn peak_rss_mb() -> usize {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<usize>().ok()).unwrap_or(0) / 1024
}
