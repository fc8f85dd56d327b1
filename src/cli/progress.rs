//! How work is shown and stopped: a bar on a terminal, plain lines elsewhere, Ctrl-C to cancel.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::export::write;
use crate::job::{Monitor, Progress};

/// A monitor that draws. Ctrl-C cancels it, and so do the signals TERM and HUP; a second one exits at once.
pub(super) fn monitor() -> Result<Monitor> {
    let monitor = if std::io::stderr().is_terminal() { bar() } else { lines() };
    let (asked, target) = (AtomicBool::new(false), monitor.clone());
    ctrlc::set_handler(move || {
        target.cancel();
        if asked.swap(true, Ordering::Relaxed) {
            write::abandon();
            std::process::exit(130); // 128 + SIGINT, the shell's convention
        }
        writeln!(std::io::stderr(), "\nstopping after this piece of work; press Ctrl-C again to leave at once").ok();
    })
    .context("Ctrl-C cannot be caught")?;
    Ok(monitor)
}

fn bar() -> Monitor {
    let bar = ProgressBar::new(0);
    let known = ProgressStyle::with_template("{msg:28} [{bar:30}] {pos}/{len}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let open = ProgressStyle::with_template("{msg:28} {spinner} {pos}  {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    Monitor::new(move |progress: &Progress| {
        if bar.message() != progress.phase {
            bar.reset();
            bar.set_message(progress.phase);
        }
        match progress.total {
            0 => bar.set_style(open.clone()),
            total => {
                bar.set_length(total as u64);
                bar.set_style(known.clone());
            }
        }
        bar.set_position(progress.done as u64);
    })
}

/// A line per phase: a log file wants no more.
fn lines() -> Monitor {
    let last = Mutex::new("");
    Monitor::new(move |progress: &Progress| {
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *last != progress.phase {
            *last = progress.phase;
            writeln!(std::io::stderr(), "{}", progress.phase).ok(); // no one reads: no one misses it
        }
    })
}
