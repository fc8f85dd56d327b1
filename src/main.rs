//! Parallax shows what a CT classifier looks at. `parallax --help` says how.
#![expect(unsafe_code, reason = "only the first line of a program can promise that there is no other thread")]

use std::process::ExitCode;

fn main() -> ExitCode {
    // SAFETY: nothing has run in this process yet.
    unsafe { parallax::nn::threads::prepare_process() };
    parallax::cli::run()
}
