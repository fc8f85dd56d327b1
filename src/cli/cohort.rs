//! `parallax cohort`: many scans explained alike, by one process or by the shards of a cluster's job; how far they are; what they tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::cohort_args::{CohortArgs, CohortCommand, MergeArgs, RunArgs, StatusArgs};
use super::compute::{self, ComputeArgs, Precision};
use super::explain::{self, Beside, Explained};
use super::outputs::OutputArgs;
use super::{Usage, progress, say, say_json};
use crate::cohort::{self, CohortFolder, Explains, Manifest, Part, Row, Shard};
use crate::export;
use crate::export::write::Set;
use crate::io::Choice;
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Counterfactual;
use crate::models::Segmenter;
use crate::pipeline::{self, BadInput, Input, Model, Request, Target};
use crate::session::unseen::{self, Unseen};

const BYTES_PER_MB: u64 = 1_000_000;

pub(super) fn run(args: &CohortArgs) -> Result<()> {
    match args {
        CohortArgs::Command(CohortCommand::Status(args)) => status(args),
        CohortArgs::Command(CohortCommand::Merge(args)) => merge(args),
        CohortArgs::Run(args) => compute(args),
    }
}

fn status(args: &StatusArgs) -> Result<()> {
    let status = cohort::status(&CohortFolder::at(&args.folder))?;
    if args.json {
        say_json(&serde_json::to_string_pretty(&status)?);
    } else {
        say(&status.words());
    }
    Ok(())
}

fn merge(args: &MergeArgs) -> Result<()> {
    let monitor = progress::monitor()?;
    let (folder, line) = cohort::merge(&CohortFolder::at(&args.folder), &args.by, &monitor)?;
    say(&line);
    say(&format!("{}", folder.join("report.html").display()));
    say("Research use only. Not for diagnosis.");
    Ok(())
}

fn compute(args: &RunArgs) -> Result<()> {
    refuse_what_is_of_one_scan(&args.outputs)?;
    args.outputs.refuse_at_once()?;
    if let Some(toward) = args.asked.toward.as_deref().and_then(Path::to_str) {
        cohort::refuse_network("scan of --toward", toward).map_err(|error| Usage(error.to_string()))?;
    }
    args.asked.options().check().map_err(|error| Usage(error.to_string()))?;
    let out = args.outputs.out.as_deref().context("--out is required")?;
    let read = |name: &str| std::env::var(name).ok();
    let of_slurm = args.shard.map_or_else(|| Shard::of_slurm(read), |shard| Ok(Some(shard))).map_err(Usage)?;
    let shard = of_slurm.unwrap_or(Shard::WHOLE);
    let manifest = Manifest::open(&args.manifest).map_err(BadInput)?;
    compute::start(&ComputeArgs { threads: threads(args.compute.threads, read)?, ..args.compute.clone() })?;
    let monitor = progress::monitor()?;
    let networks = Networks::load(args, &manifest, &monitor)?;
    // Only now: networks that cannot be loaded and targets that there are not leave no trace.
    let place = CohortFolder::make(out)?;
    let part =
        Part { place: &place, manifest: &manifest, shard, overwrite: args.outputs.overwrite, verify: args.verify };
    let cases = (0..manifest.rows.len()).filter(|at| shard.has(*at)).count();
    say(&format!("shard {shard}: {cases} of {} cases", manifest.rows.len()));
    let tally = cohort::run(&part, &networks, &|line| say(line), &monitor)?;
    say(&format!("shard {shard}: {}", tally.words()));
    if let without @ 1.. = networks.without_session.get() {
        let most = args.session_mb;
        say(&format!(
            "{without} of them without a session, which would take more than {most} MB; --session-mb allows more"
        ));
    }
    say("Research use only. Not for diagnosis.");
    match tally.failed + tally.differing {
        0 => Ok(()),
        wrong => bail!("{wrong} of {cases} cases are not done; `parallax cohort status {}` says why", out.display()),
    }
}

/// The threads that Slurm gives a task, where none are named.
fn threads(named: usize, read: impl Fn(&str) -> Option<String>) -> Result<usize> {
    match read("SLURM_CPUS_PER_TASK").filter(|_| named == 0) {
        None => Ok(named),
        Some(text) => match text.trim().parse() {
            Ok(threads) => Ok(threads),
            Err(_no_number) => {
                bail!(Usage(format!("SLURM_CPUS_PER_TASK={text} is no whole number; name the --threads")))
            }
        },
    }
}

fn refuse_what_is_of_one_scan(outputs: &OutputArgs) -> Result<()> {
    let wrong = [
        (outputs.dump.is_some(), "--dump is of one run; `parallax explain` has it"),
        (outputs.json, "--json is of one run; each case has its result.json"),
        (outputs.compare.mask.is_some(), "--mask is of one scan; name masks in the column mask of the manifest"),
    ];
    match wrong.into_iter().find(|(is_asked, _)| *is_asked) {
        Some((_, words)) => bail!(Usage(words.to_owned())),
        None => Ok(()),
    }
}

/// What explains every case.
struct Networks<'a> {
    args: &'a RunArgs,
    /// With the target and the slices that all cases have, where a row names no others.
    request: Request,
    lungs: Option<Arc<Model<Segmenter>>>,
    /// What else tells two runs apart.
    more: Value,
    /// The latest scan that was read to tell whether it is the same: it may be explained next.
    latest: std::cell::RefCell<Option<(PathBuf, Choice, Input)>>,
    /// Cases whose sessions would have been too large.
    without_session: std::cell::Cell<usize>,
}

impl<'a> Networks<'a> {
    /// Loads them, and refuses rows whose targets or slices there are not.
    fn load(args: &'a RunArgs, manifest: &Manifest, monitor: &Monitor) -> Result<Self> {
        let asked = &args.asked;
        let is_of_classes = asked.embedder.is_none() && asked.objective.is_none();
        let unnamed = manifest.rows.iter().find(|row| row.target.is_none());
        if let Some(row) = unnamed.filter(|_| is_of_classes && asked.target.is_empty()) {
            bail!(Usage(format!("name a --target, or one in every row of the manifest: line {} has none", row.line)));
        }
        let terms = |classifier: &_| explain::terms(&asked.target, classifier);
        let request = Request {
            autoencoder: pipeline::load_autoencoder(&asked.autoencoder, monitor)?,
            target: explain::target(asked, asked.offset, terms, monitor)?,
            slab: asked.slab.0.clone(),
            options: asked.options(),
        };
        request.recipe()?;
        let lungs = explain::segmenter_of_lungs(&request, &args.outputs, monitor)?;
        let more = more(args, lungs.as_deref());
        let networks = Self { args, request, lungs, more, latest: None.into(), without_session: 0.into() };
        let wrong: Vec<String> = manifest
            .rows
            .iter()
            .filter_map(|row| Some(format!("line {}: {}", row.line, pipeline::in_words(&networks.of(row).err()?))))
            .take(20)
            .collect();
        if !wrong.is_empty() {
            return Err(BadInput(anyhow::anyhow!("targets that there are not:\n  {}", wrong.join("\n  "))).into());
        }
        Ok(networks)
    }

    /// What is asked of one case.
    fn of(&self, row: &Row) -> Result<Request> {
        let mut request = self.request.clone();
        match (&row.target, &mut request.target) {
            (None, _) => {}
            (Some(named), Target::Classes { classifier, terms, .. }) => {
                *terms = explain::terms(std::slice::from_ref(named), classifier)?;
            }
            (Some(named), Target::LungSize { .. } | Target::Toward { .. }) => {
                bail!("the target {named:?} is a class, and no classifier gives the score");
            }
        }
        if let Some(slab) = &row.slab {
            request.slab.clone_from(slab);
        }
        Ok(request)
    }

    /// Writes what the window opens at a click, where it is small enough.
    fn keep_session(&self, row: &Row, request: &Request, explained: &Explained, folder: &Path) -> Result<()> {
        let asked = &self.args.asked;
        let cards = [&asked.classifier, &asked.segmenter, &asked.embedder];
        let scored_by = cards.into_iter().flatten().next().context("a network gives the score")?;
        let Explained { run, report, maps, mask, .. } = explained;
        let unseen = Unseen {
            scan: &row.scan,
            autoencoder: &asked.autoencoder,
            scored_by,
            toward: asked.toward.as_deref(),
            request,
            run,
            report,
            maps,
            mask: row.mask.as_deref().zip(mask.as_ref()),
        };
        let most_bytes = self.args.session_mb * BYTES_PER_MB;
        if most_bytes > 0 && !unseen::write(&folder.join(cohort::session_of(&row.id)), &unseen, most_bytes)? {
            self.without_session.update(|without| without + 1);
        }
        Ok(())
    }

    fn input(&self, row: &Row, monitor: &Monitor) -> Result<Input> {
        let choice = Choice { series: row.series.clone(), volume: None };
        let latest = self.latest.take().filter(|(scan, of, _)| (scan, of) == (&row.scan, &choice));
        match latest {
            Some((.., input)) => Ok(input),
            None => pipeline::open_chosen(&row.scan, &choice, self.request.recipe()?, monitor),
        }
    }
}

impl Explains for Networks<'_> {
    fn asked(&self, row: &Row) -> Result<Value> {
        cohort::asked(&self.of(row)?, row, &self.more)
    }

    fn scan_sha256(&self, row: &Row, monitor: &Monitor) -> Result<String> {
        let input = self.input(row, &monitor.quiet())?;
        let sha256 = input.sha256().to_owned();
        let choice = Choice { series: row.series.clone(), volume: None };
        self.latest.replace(Some((row.scan.clone(), choice, input)));
        Ok(sha256)
    }

    fn explain(&self, row: &Row, folder: &Path, monitor: &Monitor) -> Result<(String, Counterfactual)> {
        // Phases of its own, cancelled with the others.
        let monitor = &monitor.quiet();
        let (outputs, request) = (&self.args.outputs, self.of(row)?);
        let input = Arc::new(self.input(row, monitor)?);
        let beside = Beside { mask: row.mask.as_deref(), lungs: self.lungs.clone() };
        let explained = explain::explained(&input, &request, (outputs, beside), monitor)?;
        if !explained.is_whole() {
            return Err(Cancelled.into());
        }
        let set = Set::open(folder, export::names(&outputs.export), |_| false)?;
        explained.save(outputs, set)?;
        monitor.check()?;
        self.keep_session(row, &request, &explained, folder)?;
        monitor.check()?;
        Ok((input.sha256().to_owned(), explained.run.result))
    }
}

/// What tells two runs apart beside networks, target, slices and options: which files are wanted, and what is measured.
fn more(args: &RunArgs, lungs: Option<&Model<Segmenter>>) -> Value {
    let outputs = &args.outputs;
    let export: Vec<&str> =
        export::Kind::ALL.iter().filter(|kind| outputs.export.contains(kind)).map(|kind| kind.name()).collect();
    let methods: Vec<&str> = outputs.compare.methods.iter().map(|method| method.name()).collect();
    json!({
        "export": export,
        "style": format!("{:?}", outputs.style()),
        "keep_patient": outputs.keep_patient,
        "regions_above": outputs.regions_above,
        "lungs": lungs.map(|model| &model.sha256),
        "stability": outputs.stability,
        "methods": methods,
        "fast": args.compute.precision == Precision::Fast,
    })
}
