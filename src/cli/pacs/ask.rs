//! `parallax pacs find`, `get` and `send`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::{fetched_json, named, password, progress, say, say_json, tables, told};
use crate::cli::values;
use crate::io::counted;
use crate::pacs::{self, Address, Days, Fetched, Query, Where};

#[derive(Debug, Args)]
pub(super) struct FindArgs {
    /// Name of the source
    source: String,
    #[arg(long, value_name = "ID")]
    patient_id: Option<String>,
    /// Name of the patient, or its beginning; * and ? stand for any letters and for one
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Accession number
    #[arg(long, value_name = "NUMBER")]
    accession: Option<String>,
    /// Day of the study, 20260131, or days, 20260101-20260131
    #[arg(long, value_name = "DAYS")]
    date: Option<String>,
    /// Such as CT
    #[arg(long, value_name = "MODALITY")]
    modality: Option<String>,
    /// UID of a study, whose series are listed
    #[arg(long, value_name = "UID")]
    study: Option<String>,
    /// UID of a series of --study
    #[arg(long, value_name = "UID", requires = "study")]
    series: Option<String>,
    /// How many answers are taken, 10000 at most
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = values::whole::<usize>)]
    limit: usize,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// Name of the source
    source: String,
    /// UID of a study, or STUDY/SERIES
    #[arg(value_name = "STUDY[/SERIES]")]
    place: String,
    /// Folder for the series, in folders by their UIDs [default: the cache]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// Name of the source
    source: String,
    /// DICOM files, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

pub(super) fn find(args: &FindArgs) -> Result<()> {
    let (_, source) = named(&args.source)?;
    let query = Query {
        patient_id: args.patient_id.clone(),
        patient_name: args.name.clone(),
        accession: args.accession.clone(),
        days: args.date.as_deref().map(Days::read).transpose().map_err(told)?,
        modality: args.modality.clone(),
        study_uid: args.study.clone(),
        series_uid: args.series.clone(),
        limit: args.limit,
    };
    let secret = password::of(&source)?;
    let monitor = progress::monitor()?;
    let (rows, all, more, unnamed) = if args.study.is_some() {
        let found = pacs::series(&source, secret.as_ref(), &query, &monitor).map_err(told)?;
        (tables::series(&found.all), json!({ "series": found.all }), found.more, found.unnamed)
    } else {
        let found = pacs::studies(&source, secret.as_ref(), &query, &monitor).map_err(told)?;
        (tables::studies(&found.all), json!({ "studies": found.all }), found.more, found.unnamed)
    };
    if args.json {
        let mut all = all;
        all["more"] = json!(more);
        all["unnamed"] = json!(unnamed);
        say_json(&serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    match rows.len() {
        0 | 1 => say("nothing was found"),
        _ => rows.iter().for_each(|row| say(row)),
    }
    if more {
        say("there are more; look for less, or raise --limit (10000 at most)");
    }
    if unnamed > 0 {
        say(&format!("{} without a UID that DICOM allows, and are left out", counted(unnamed, "answer")));
    }
    Ok(())
}

pub(super) fn get(args: &GetArgs) -> Result<()> {
    let (sources, source) = named(&args.source)?;
    let address = Address::of_place(&args.source, &args.place).map_err(told)?;
    let secret = password::of(&source)?;
    let monitor = progress::monitor()?;
    let to = match &args.out {
        Some(folder) => Where::Folder(folder.clone()),
        None => Where::Cache { most_bytes: sources.cache_bytes() },
    };
    let all = if let Some(uid) = address.series_uid {
        vec![uid]
    } else {
        let query = Query { study_uid: Some(address.study_uid.clone()), ..Query::default() };
        let found = pacs::series(&source, secret.as_ref(), &query, &monitor).map_err(told)?;
        found.all.into_iter().map(|series| series.series_uid).collect()
    };
    if all.is_empty() {
        bail!("the source has no such study, or no series of it: {source}");
    }
    let mut fetched: Vec<(String, Fetched)> = Vec::new();
    for uid in all {
        let one = pacs::fetch(&source, secret.as_ref(), (&address.study_uid, &uid), &to, &monitor).map_err(told)?;
        if !args.json {
            let here = if one.came == one.instances { String::new() } else { format!(", {} of them new", one.came) };
            say(&format!(
                "{}{here}, {:.1} MB: {}",
                counted(one.instances, "instance"),
                one.came_bytes as f64 / 1e6,
                one.folder.display()
            ));
            one.notes.iter().for_each(|note| say(&format!("note: {note}")));
        }
        fetched.push((uid, one));
    }
    if args.json {
        let all: Vec<_> = fetched.iter().map(|(uid, one)| fetched_json(uid, one)).collect();
        say_json(&serde_json::to_string_pretty(&all)?);
    }
    Ok(())
}

pub(super) fn send(args: &SendArgs) -> Result<()> {
    let (_, source) = named(&args.source)?;
    let secret = password::of(&source)?;
    let sent = pacs::send(&source, secret.as_ref(), &args.paths, &progress::monitor()?).map_err(told)?;
    let stored = sent.iter().filter(|one| one.answer.is_stored()).count();
    if args.json {
        let all: Vec<_> = sent
            .iter()
            .map(|one| json!({ "file": one.path, "sop_instance_uid": one.uid, "answer": one.answer.word(), "words": one.answer.words() }))
            .collect();
        say_json(&serde_json::to_string_pretty(&all)?);
    } else {
        for one in &sent {
            say(&format!("{}: {}", one.path.display(), one.answer.words()));
        }
        say(&format!("{stored} of {} stored", counted(sent.len(), "object")));
    }
    if stored < sent.len() {
        bail!("{} not stored: {}", counted(sent.len() - stored, "object"), source);
    }
    Ok(())
}
