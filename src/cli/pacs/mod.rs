//! `parallax pacs`: scans from a hospital's archive, and results back.

mod add;
mod ask;
mod password;
mod tables;

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};
use serde_json::json;

use self::add::AddArgs;
use self::ask::{FindArgs, GetArgs, SendArgs};
use super::{Usage, progress, say, say_json};
use crate::job::Monitor;
use crate::pacs::{self, Address, Error, Setting, Source, Sources, Where};

#[derive(Debug, Args)]
pub struct PacsArgs {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Lists the sources that were added
    List {
        /// Machine-readable output
        #[arg(long)]
        json: bool,
    },
    /// Adds a source, or changes the one of that name
    Add(Box<AddArgs>),
    /// Removes a source, and its password from the system's keyring
    Remove { source: String },
    /// Asks for a source's password or token and puts it into the system's keyring
    Password { source: String },
    /// Asks whether a source answers
    Test { source: String },
    /// Looks for studies, or with --study for the series of one; shows patients' names, as asked for
    Find(FindArgs),
    /// Fetches a study or a series
    Get(GetArgs),
    /// Sends DICOM files as they are, and says of each what the source answers
    Send(SendArgs),
    /// Deletes all series of the cache
    Clear,
}

pub(super) fn run(args: &PacsArgs) -> Result<()> {
    match &args.command {
        Sub::List { json } => list(*json),
        Sub::Add(args) => add::run(args),
        Sub::Remove { source } => remove(source),
        Sub::Password { source } => password::put(&named(source)?.1),
        Sub::Test { source } => test(source),
        Sub::Find(args) => ask::find(args),
        Sub::Get(args) => ask::get(args),
        Sub::Send(args) => ask::send(args),
        Sub::Clear => clear(),
    }
}

/// The path that a scan is opened from: a series of a source is fetched into the cache, and any other path is itself.
pub(super) fn scan<'p>(scan: &'p Path, monitor: &Monitor) -> Result<Cow<'p, Path>> {
    let Some(address) = Address::of_scan(scan) else { return Ok(Cow::Borrowed(scan)) };
    let address = address.map_err(told)?;
    let (sources, source) = named(&address.source)?;
    let series_uid = address.series_uid.unwrap_or_default();
    let secret = password::of(&source)?;
    let to = Where::Cache { most_bytes: sources.cache_bytes() };
    let fetched =
        pacs::fetch(&source, secret.as_ref(), (&address.study_uid, &series_uid), &to, monitor).map_err(told)?;
    for note in &fetched.notes {
        writeln!(std::io::stderr(), "parallax: {note}").ok(); // a closed pipe leaves no one to tell
    }
    Ok(Cow::Owned(fetched.folder))
}

fn file() -> Result<PathBuf> {
    pacs::sources_file()
        .ok_or_else(|| Usage("this system names no folder for data, where sources are kept".to_owned()).into())
}

/// All sources, and the one of a name.
fn named(name: &str) -> Result<(Sources, Source)> {
    let sources = pacs::load(&file()?)?;
    let source = sources.named(name).cloned();
    let source =
        source.ok_or_else(|| Usage(format!("no source is called {name:?}; `parallax pacs list` shows all")))?;
    Ok((sources, source))
}

fn list(as_json: bool) -> Result<()> {
    let sources = pacs::load(&file()?)?;
    if as_json {
        say_json(&serde_json::to_string_pretty(&sources.sources)?);
        return Ok(());
    }
    for source in &sources.sources {
        say(&format!("{:16} {}", source.name, source.how()));
    }
    if sources.sources.is_empty() {
        say("no source yet; `parallax pacs add NAME --url URL` or `--host HOST --port PORT --called AE` adds one");
    }
    Ok(())
}

fn remove(name: &str) -> Result<()> {
    let (mut sources, source) = named(name)?;
    if source.secret_kind().is_some()
        && let Err(why) = pacs::forget(&source)
    {
        say(&format!("note: {why}; a password that is kept there stays"));
    }
    sources.sources.retain(|other| other.name != name);
    pacs::save(&file()?, &sources)?;
    say(&format!("{name} is removed"));
    Ok(())
}

fn test(name: &str) -> Result<()> {
    let (_, source) = named(name)?;
    let secret = password::of(&source)?;
    let said = pacs::test(&source, secret.as_ref(), &progress::monitor()?).map_err(told)?;
    say(&format!("{source}: {said}"));
    Ok(())
}

fn clear() -> Result<()> {
    let cleared = pacs::clear().map_err(told)?;
    say(&format!("{} deleted, {:.1} MB", crate::io::counted(cleared.series, "series"), cleared.bytes as f64 / 1e6));
    if cleared.busy > 0 {
        say(&format!("{} being fetched by another Parallax, and stays", crate::io::counted(cleared.busy, "series")));
    }
    Ok(())
}

/// Says whose fault an error is: what was asked for wrongly is a fault of the command line.
fn told(error: Error) -> anyhow::Error {
    match error {
        Error::Cancelled(cancelled) => cancelled.into(),
        error @ Error::Asked { .. } => Usage(error.told(option)).into(),
        error @ Error::Refused { .. } => anyhow!(error.told(option)),
        error => anyhow!(error),
    }
}

/// The option that a setting is given by.
fn option(setting: Setting) -> &'static str {
    match setting {
        Setting::Address => "--url",
        Setting::User => "--user",
        Setting::Token => "--bearer",
        Setting::Unencrypted => "--unencrypted",
        Setting::Host => "--host",
        Setting::Port => "--port",
        Setting::Called => "--called",
        Setting::Calling => "--calling",
        Setting::Tls => "--tls",
        Setting::ReceivePort => "--receive-port",
        Setting::Authority => "--ca",
        Setting::Certificate => "--certificate",
        Setting::Key => "--key",
        Setting::Study => "--study",
        Setting::Folder => "--out",
    }
}

/// What was fetched, for programs.
fn fetched_json(series_uid: &str, fetched: &pacs::Fetched) -> serde_json::Value {
    json!({
        "series_uid": series_uid, "folder": fetched.folder, "instances": fetched.instances, "came": fetched.came,
        "came_bytes": fetched.came_bytes, "notes": fetched.notes,
    })
}

/// Writes the sources anew with one in the place of another of its name.
fn put(source: Source) -> Result<()> {
    source.check().map_err(told)?;
    let path = file()?;
    let mut sources = pacs::load(&path)?;
    match sources.sources.iter_mut().find(|other| other.name == source.name) {
        Some(other) => *other = source,
        None => sources.sources.push(source),
    }
    pacs::save(&path, &sources).context("the source is not added")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Arguments;

    #[test]
    fn what_helps_is_an_option_that_there_is() {
        fn options(command: &clap::Command) -> Vec<String> {
            let own = command.get_arguments().filter_map(|arg| arg.get_long().map(|name| format!("--{name}")));
            own.chain(command.get_subcommands().flat_map(options)).collect()
        }
        let arguments = Arguments::command();
        let options = options(arguments.find_subcommand("pacs").unwrap());
        for setting in Setting::ALL {
            assert!(options.iter().any(|name| name == option(setting)), "{setting:?} is {}", option(setting));
        }
    }
}
