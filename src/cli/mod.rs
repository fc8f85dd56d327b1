//! The command line: the same pipeline as the window, with a progress bar.

mod args;
mod asked;
mod audit;
mod audit_scans;
mod audit_scans_args;
mod check;
mod choice;
mod cohort;
mod cohort_args;
mod compute;
mod demo;
mod doctor;
mod explain;
mod fit;
mod info;
mod info_card;
mod insert;
mod methods;
mod models;
mod named;
mod outputs;
mod pacs;
mod phantom;
mod predict;
mod prepare;
mod progress;
mod reference;
mod replay;
mod values;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

pub use args::Arguments;
use args::Command;
pub use reference::reference;

use crate::files;
use crate::job::{Cancelled, Monitor};
use crate::pipeline::{self, BadInput};
use crate::ui;

/// Exit codes: 0 done, 2 usage (clap's own), and these.
const BAD_INPUT: u8 = 3;
const CANCELLED: u8 = 4;
const OTHERWISE: u8 = 1;
const USAGE: u8 = 2;

/// What was asked cannot be: a fault of the command line that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(String);

/// Runs what the arguments ask for.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed pipe (`parallax info … | head`) leaves no one to tell.
            writeln!(std::io::stderr(), "parallax: {}", harmless(&pipeline::in_words(&error))).ok();
            ExitCode::from(exit_code(&error))
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<()> {
    match arguments.command {
        None => {
            let mut window = arguments.window;
            if let Some(scan) = window.scan() {
                // Before there is a window: a monitor that catches Ctrl-C would keep it from the window later.
                let local = pacs::scan(scan, &Monitor::default())?.into_owned();
                *scan = local;
            }
            compute::start(&window.compute)?;
            ui::run(window.start())
        }
        Some(Command::Info(args)) => info::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Prepare(args)) => prepare::run(&args),
        Some(Command::Fit(args)) => fit::run(&args),
        Some(Command::Predict(args)) => predict::run(&args),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Phantom(args)) => phantom::run(&args),
        Some(Command::Insert(args)) => insert::run(&args),
        Some(Command::Explain(args)) => match &args.replay {
            Some(record) => replay::run(&args, record),
            None => explain::run(&args),
        },
        Some(Command::Cohort(args)) => cohort::run(&args),
        Some(Command::Audit(args)) => audit::run(&args),
        Some(Command::Models(args)) => models::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Reference) => {
            say(reference().trim_end());
            Ok(())
        }
        Some(Command::Pacs(args)) => pacs::run(&args),
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let has = |test: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(test);
    if has(<dyn std::error::Error + 'static>::is::<Cancelled>) {
        CANCELLED
    } else if has(<dyn std::error::Error + 'static>::is::<Usage>) {
        USAGE
    } else if has(<dyn std::error::Error + 'static>::is::<BadInput>) {
        BAD_INPUT
    } else {
        OTHERWISE
    }
}

/// Prints words to standard output; a closed pipe is not an error.
pub(super) fn say(text: &str) {
    writeln!(std::io::stdout(), "{}", harmless(text)).ok(); // a reader that left wants no more
}

/// Prints a JSON text to standard output, where what could steer a terminal is written by its number.
pub(super) fn say_json(json: &str) {
    let written = json.split('\n').map(files::printable).collect::<Vec<_>>().join("\n");
    writeln!(std::io::stdout(), "{written}").ok(); // a reader that left wants no more
}

/// Whether a letter would move the cursor, colour the terminal, or turn the direction of text: files must not do that by what they say.
fn steers(c: char) -> bool {
    !files::is_plain(c) && c != '\n' && c != '\t'
}

fn harmless(text: &str) -> String {
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_moves_no_cursor() {
        assert_eq!(harmless("a\tb\n\u{1b}[2Jc\u{9b}d\u{202e}e\r"), "a\tb\n\u{fffd}[2Jc\u{fffd}d\u{fffd}e\u{fffd}");
        assert_eq!(harmless("Größe 5 mm, 肺"), "Größe 5 mm, 肺");
    }

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        assert_eq!(exit_code(&Cancelled.into()), CANCELLED);
        assert_eq!(exit_code(&anyhow::Error::from(Cancelled).context("while opening")), CANCELLED);
        assert_eq!(exit_code(&Usage("no".to_owned()).into()), USAGE);
        assert_eq!(exit_code(&BadInput(anyhow::anyhow!("not a scan")).into()), BAD_INPUT);
        assert_eq!(exit_code(&anyhow::anyhow!("disk full")), OTHERWISE);
    }
}
