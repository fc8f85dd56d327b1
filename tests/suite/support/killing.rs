//! Programs that are killed at moments that are random, and the same in every run.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// At how many moments a test kills what it watches: as many as take seconds, or as `PARALLAX_TEST_KILLS` says.
pub(crate) fn kills(usual: u64) -> u64 {
    let said = std::env::var("PARALLAX_TEST_KILLS").ok();
    said.map_or(usual, |said| said.parse().unwrap_or_else(|e| panic!("PARALLAX_TEST_KILLS={said}: {e}")))
}

/// Runs a program until a moment, or to its end; whether it ended well.
#[cfg_attr(not(feature = "network"), expect(dead_code, reason = "what is killed is a download"))]
pub(crate) fn run_until(mut command: Command, moment: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let began = Instant::now();
    while began.elapsed() < moment {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().ok(); // it may have ended
    child.wait().expect("it ends").success()
}
