//! How far a piece of work is, in words.

use crate::job::{Progress, duration};

/// "12 of 40, 3 s left"; where the end is not known, how many.
pub(super) fn progress_text(progress: &Progress) -> String {
    let Progress { done, total, .. } = *progress;
    match (total, progress.left()) {
        (0, _) if done == 0 => String::new(),
        (0, _) => format!("{done} done"),
        (_, Some(left)) => format!("{done} of {total}, {} left", duration(left.as_secs_f64())),
        _ => format!("{done} of {total}"),
    }
}
