//! `parallax explain`: the counterfactual of a scan, and the files that hold it.

use std::time::Instant;

use anyhow::{Result, bail};

use super::args::{ExplainArgs, Objective, OutputArgs};
use super::{Usage, compute, progress, say, say_json};
use crate::export::report::{Asked, Report, Timing, report};
use crate::export::{self, Run, tensors, write};
use crate::io::counted;
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::{Counterfactual, ScoreKind};
use crate::models::{Classifier, label_index};
use crate::nn::device;
use crate::pipeline::{self, BadInput, Input, Model, Request, Target};

pub(super) fn run(args: &ExplainArgs) -> Result<()> {
    if args.segmenter.is_some() && args.objective.is_none() && args.target.is_empty() {
        bail!(Usage("name a class of the --segmenter by --target, or --objective lung-size".to_owned()));
    }
    args.options().check().map_err(|error| Usage(error.to_string()))?;
    compute::start(&args.compute)?;
    let _made = args.outputs.check()?;
    let monitor = progress::monitor()?;
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&args.autoencoder, &monitor)?,
        target: target(args, args.offset, |classifier| terms(args, classifier.network.labels()), &monitor)?,
        slab: args.slab.0.clone(),
        options: args.options(),
    };
    let input = pipeline::open_chosen(&args.scan, &args.choice.choice(), request.recipe()?, &monitor)?;
    explain(&input, &request, &args.outputs, monitor)?;
    Ok(())
}

/// The run, and what is left of it: words or the report on standard output, and files.
pub(super) fn explain(input: &Input, request: &Request, outputs: &OutputArgs, monitor: Monitor) -> Result<Report> {
    export::check(input, &outputs.export, outputs.patient()).map_err(BadInput)?;
    let began = Instant::now();
    let result = pipeline::explain(input, request, &monitor)?;
    let report = report(input, &Asked::of(request), &result, &Timing::of(&monitor));
    if outputs.json {
        say_json(&report.json()?);
    } else {
        summarize(input, request, &result, outputs, began);
    }
    // What a cancelled run has found is written all the same.
    let saving = if result.complete { monitor } else { Monitor::default() };
    let folder = outputs.out.as_ref().map(|folder| -> Result<()> {
        let run = Run { patient: outputs.patient(), ..Run::new(input, &result, &report, outputs.style()) };
        let files = export::files(&run, &outputs.export, &saving)?;
        write::save_all(folder, &files, |_| outputs.overwrite)
    });
    // One that cannot be written takes no other with it.
    let dump = outputs.dump.as_ref().map(|path| write::save(path, &tensors::dump_bytes(&result)?, outputs.overwrite));
    [folder, dump].into_iter().flatten().collect::<Result<()>>()?;
    if result.complete { Ok(report) } else { Err(Cancelled.into()) }
}

impl OutputArgs {
    /// Refuses now what could not be written after hours of work. The folder of `--out` is there while what is given back is kept.
    pub(super) fn check(&self) -> Result<Option<write::Made>> {
        if self.keep_patient && !self.export.iter().any(|kind| kind.is_dicom()) {
            bail!(Usage("--keep-patient is for DICOM files: --export dicom or dicom-ct".to_owned()));
        }
        let into = self.out.as_ref();
        let made = into.map(|folder| write::check_all(folder, export::names(&self.export), |_| self.overwrite));
        let made = made.transpose()?;
        self.dump.as_ref().map_or(Ok(()), |path| write::check(path, self.overwrite))?;
        Ok(made)
    }
}

/// What gives the score, by the networks that the arguments name; `terms` chooses among a classifier's labels.
pub(super) fn target(
    args: &ExplainArgs,
    offset: f64,
    terms: impl FnOnce(&Model<Classifier>) -> Result<Vec<(usize, f64)>>,
    monitor: &Monitor,
) -> Result<Target> {
    if let Some((card, toward)) = args.embedder.as_ref().zip(args.toward.as_ref()) {
        let embedder = pipeline::load_embedder(card, monitor)?;
        let other = pipeline::other(toward, &embedder, monitor)?;
        return Ok(Target::Toward { embedder, other: other.into() });
    }
    if let (Some(card), Some(Objective::LungSize)) = (&args.segmenter, args.objective) {
        return Ok(Target::LungSize { segmenter: pipeline::load_segmenter(card, monitor)? });
    }
    let Some(card) = args.classifier.as_ref().or(args.segmenter.as_ref()) else {
        bail!(Usage("name a --classifier or --segmenter with its --target, or an --embedder with --toward".to_owned()));
    };
    let classifier = pipeline::load_classifier(card, monitor)?;
    let terms = terms(&classifier)?;
    Ok(Target::Classes { classifier, terms, offset })
}

/// `--target`, by label index.
fn terms(args: &ExplainArgs, labels: &[String]) -> Result<Vec<(usize, f64)>> {
    let mut terms = Vec::with_capacity(args.target.len());
    for target in &args.target {
        // A name may hold "=" itself: what follows the last one is a weight only if it is a number.
        let weighted = target.rsplit_once('=').and_then(|(name, weight)| Some((name, weight.parse::<f64>().ok()?)));
        let (name, weight) = weighted.unwrap_or((target, 1.0));
        if !weight.is_finite() {
            bail!(Usage(format!("the weight in --target {target} must be a finite number")));
        }
        terms.push((label_index(labels, name).map_err(BadInput::new)?, weight));
    }
    Ok(terms)
}

fn summarize(input: &Input, request: &Request, result: &Counterfactual, outputs: &OutputArgs, began: Instant) {
    let end = &result.steps[result.chosen];
    let what = if result.score_kind == ScoreKind::Cosine { "cosine of" } else { "score of" };
    say(&format!("{what} the scan            {:.4}", result.scores.scan));
    if let Some(which) = result.which_scan_score() {
        say(&format!("    ({which})"));
    }
    say(&format!("{what} its reconstruction  {:.4}", result.scores.reconstruction));
    say(&format!("{what} the counterfactual  {:.4}  at lambda {:.4}", end.score, end.lambda));
    say(&format!("stopped because {}", result.stop));
    if result.slab.len() < result.grid.shape[2] {
        say(request.options.outside().describe());
    }
    say(&format!(
        "{}, {}, {:.1} s on {}",
        counted(result.walk.len(), "trial"),
        counted(result.steps.len(), "step"),
        began.elapsed().as_secs_f64(),
        device::name()
    ));
    let of_files = outputs.out.as_ref().and_then(|_| export::note(input, &outputs.export)).map(str::to_owned);
    let of_input = input.notes().into_iter().map(|note| note.text);
    for note in request.notes().into_iter().chain(of_input).chain(result.notes()).chain(of_files) {
        say(&format!("note: {note}"));
    }
    say("Research use only. Not for diagnosis.");
}
