//! `parallax models`: which networks are published, and `parallax models get`, which fetches one.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Usage, progress, say, say_json};
use crate::catalogue::{self, Asked, Entry, Origin};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ModelsArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Fetches a published network and writes its model card; the only command but `pacs` that uses the network
    Get(GetArgs),
}

#[derive(Debug, Args)]
struct GetArgs {
    /// Name of the network, as `parallax models` lists it
    name: String,
    /// Folder that holds the files, or address of a mirror (of packages: of an index of packages), in place of the publishers
    #[arg(long, value_name = "DIR|URL")]
    from: Option<String>,
    /// Folder for the files and the card [default: this user's data folder]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// The limits that the licence sets suit you
    #[arg(long)]
    accept_licence: bool,
}

pub(super) fn run(args: &ModelsArgs) -> Result<()> {
    match &args.command {
        Some(Sub::Get(args)) => get(args),
        None if args.json => list_json(),
        None => {
            list();
            Ok(())
        }
    }
}

fn is_here(entry: &Entry) -> bool {
    catalogue::folder_of(entry).is_some_and(|folder| catalogue::here(entry, &folder, &catalogue::hub_caches()))
}

fn list() {
    let row = |name: &str, role: &str, size: &str, here: &str, licence: &str| {
        format!("{name:20} {role:12} {size:>8}  {here:5} {licence}")
    };
    say(&row("NAME", "ROLE", "SIZE", "HERE", "LICENCE"));
    for entry in catalogue::all() {
        let size = entry.size().unwrap_or_else(|| "?".to_owned());
        let limits = entry.licence.limits.as_ref().map_or_else(String::new, |limits| format!(" ({limits})"));
        let here = if is_here(entry) { "yes" } else { "no" };
        say(&row(&entry.name, &entry.role, &size, here, &format!("{}{limits}", entry.licence.name)));
        say(&format!("  {}", entry.what));
        say(&match &entry.not_yet {
            Some(why) => format!("  does not run yet: {why}"),
            None => "  runs".to_owned(),
        });
    }
    say("parallax models get NAME fetches one; sizes that no one publishes are a question mark.");
}

fn list_json() -> Result<()> {
    let object = |entry: &Entry| {
        let files: Vec<_> = entry.files.iter().map(|file| {
            let packages: Vec<_> = file.parts.iter().map(|part| &part.wheel).collect();
            json!({ "name": file.name, "url": file.url, "wheels": packages, "bytes": file.bytes, "sha256": file.sha256,
                    "sha256_begins": file.sha256_begins })
        }).collect();
        json!({
            "name": entry.name, "what": entry.what, "role": entry.role, "page": entry.page, "licence": entry.licence.name,
            "limits": entry.licence.limits, "fed": entry.fed, "runs": entry.card.is_some(), "not_yet": entry.not_yet,
            "bytes": entry.bytes(), "here": is_here(entry), "folder": catalogue::folder_of(entry), "files": files,
        })
    };
    let all: Vec<_> = catalogue::all().iter().map(object).collect();
    say_json(&serde_json::to_string_pretty(&all)?);
    Ok(())
}

fn get(args: &GetArgs) -> Result<()> {
    let entry = catalogue::named(&args.name)
        .ok_or_else(|| Usage(format!("no network is called {:?}; `parallax models` lists all", args.name)))?;
    let folder = match &args.into {
        Some(folder) => folder.clone(),
        None => catalogue::folder_of(entry)
            .ok_or_else(|| Usage("this system names no folder for data; choose one with --into".to_owned()))?,
    };
    let asked = Asked {
        from: args.from.as_deref().map(Origin::of),
        folder,
        caches: catalogue::hub_caches(),
        licence_accepted: args.accept_licence,
    };
    let got = catalogue::get(entry, &asked, &progress::monitor()?).map_err(told)?;
    for file in &got.files {
        let (here, checked) = (file.here.words(), file.checked.words());
        say(&format!("{}: {here}; {checked}: {}", file.path.display(), file.sha256));
    }
    say(&format!("licence: {}; {}", entry.licence.name, entry.page));
    match (&got.card, &entry.not_yet) {
        (Some((card, true)), _) => say(&format!("model card, which Parallax opens: {}", card.display())),
        (Some((card, false)), _) => say(&format!("the model card that is there is left as it is: {}", card.display())),
        (None, why) => say(&format!("it does not run yet: {}", why.as_deref().unwrap_or("it has no card"))),
    }
    Ok(())
}

/// Whose fault it is: that a licence was not accepted is one of the command line.
fn told(error: catalogue::Error) -> anyhow::Error {
    match error {
        catalogue::Error::Cancelled(cancelled) => cancelled.into(),
        error @ (catalogue::Error::Licence { .. } | catalogue::Error::NoFiles { .. }) => {
            Usage(error.to_string()).into()
        }
        error => anyhow!(error),
    }
}
