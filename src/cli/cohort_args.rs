//! What can be typed after `parallax cohort`.

use std::path::PathBuf;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};

use super::asked::AskedArgs;
use super::compute::ComputeArgs;
use super::outputs::OutputArgs;
use super::values::within;
use crate::cohort::Shard;

/// Either a command on a cohort that is there, or what one is computed by.
#[derive(Debug)]
pub enum CohortArgs {
    Command(CohortCommand),
    Run(Box<RunArgs>),
}

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The folder that --out named
    pub folder: PathBuf,
    /// A further column of the manifest, such as a site, whose values are held against each other; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub by: Vec<String>,
}

/// This is written by hand: the arguments of a run are required only where no command is named, which no derived structure says.
impl FromArgMatches for CohortArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_name() {
            Some(_) => Ok(Self::Command(CohortCommand::from_arg_matches(matches)?)),
            None => Ok(Self::Run(Box::new(RunArgs::from_arg_matches(matches)?))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for CohortArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = RunArgs::augment_args(CohortCommand::augment_subcommands(command));
        command.subcommand_negates_reqs(true).args_conflicts_with_subcommands(true)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

#[derive(Debug, Subcommand)]
pub enum CohortCommand {
    /// Says what is done, what has failed and why, and what is missing; of each shard too
    Status(StatusArgs),
    /// Makes one table, one atlas and one report of all cases that are done, in merged of the folder
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The folder that --out named
    pub folder: PathBuf,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    mut_arg("out", |out| out.required(true).help("Folder of the cohort: each case is a folder of its own in cases")),
    mut_arg("export", |export| export.default_values(["png", "csv"])),
    mut_arg("overwrite", |overwrite| overwrite.help("Compute cases again that are of other scans, or were asked something else")),
    mut_arg("json", |json| json.hide(true)),
    mut_arg("dump", |dump| dump.hide(true)),
    mut_arg("mask", |mask| mask.hide(true))
)]
pub struct RunArgs {
    /// A table (.csv) with the columns id and scan, and, where they are wanted, series, target, slab and mask; further columns are carried
    /// along. Or a folder of scans, or a pattern in quotes: 'scans/*.nii.gz'. Relative paths are of the table's folder
    pub manifest: PathBuf,
    /// The part to compute, counted from 1 [default: that of the task of a Slurm array, else all]
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Read every scan again to tell whether it is the same, whatever its files' sizes and times say
    #[arg(long)]
    pub verify: bool,
    /// Keep the whole result of each case as a session, which the window opens at a click, where it takes no more than so many MB; 0 keeps
    /// none
    #[arg(long, value_name = "MB", default_value_t = 32, value_parser = within(0..=100_000_u64))]
    pub session_mb: u64,
    #[command(flatten)]
    pub asked: AskedArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub outputs: OutputArgs,
}
