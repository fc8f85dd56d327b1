//! Parallax shows what a CT classifier looks at. `parallax --help` says how.

use std::process::ExitCode;

fn main() -> ExitCode {
    parallax::cli::run()
}
