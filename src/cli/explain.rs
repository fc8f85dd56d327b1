//! `parallax explain`: the counterfactual of a scan, and the files that hold it.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};

use super::args::ExplainArgs;
use super::asked::{AskedArgs, Objective};
use super::outputs::OutputArgs;
use super::{Usage, compute, methods, pacs, progress, say, say_json};
use crate::export::compared::{MethodMap, MethodReport, method_file, method_name};
use crate::export::report::{Report, report};
use crate::export::write::Set;
use crate::export::{self, Subject, tensors, write};
use crate::fit;
use crate::io::{Mask, counted};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::saliency::Method;
use crate::latent_shift::{Counterfactual, ScoreKind};
use crate::models::{Classifier, Segmenter, label_index};
use crate::nn::device;
use crate::pipeline::{self, BadInput, Input, Model, Request, Run, Target};
use crate::quality::regions::{Change, Regions, regions};
use crate::stability::{self, Stability};

pub(super) fn run(args: &ExplainArgs) -> Result<()> {
    if args.asked.segmenter.is_some() && args.asked.objective.is_none() && args.asked.target.is_empty() {
        bail!(Usage("name a class of the --segmenter by --target, or --objective lung-size".to_owned()));
    }
    args.asked.options().check().map_err(|error| Usage(error.to_string()))?;
    compute::start(&args.compute)?;
    args.outputs.refuse_at_once()?;
    let monitor = progress::monitor()?;
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&args.asked.autoencoder, &monitor)?,
        target: target(&args.asked, args.asked.offset, |classifier| terms(&args.asked.target, classifier), &monitor)?,
        slab: args.asked.slab.0.clone(),
        options: args.asked.options(),
    };
    // Only now: networks that cannot be loaded and targets that there are not leave no trace.
    let set = args.outputs.check()?;
    let scan = pacs::scan(&args.scan, &monitor)?;
    let input = Arc::new(pipeline::open_chosen(&scan, &args.choice.choice(), request.recipe()?, &monitor)?);
    explain(&input, &request, (&args.outputs, set), &monitor)?;
    Ok(())
}

/// The run, and what is left of it: words or the report on standard output, and files.
pub(super) fn explain(
    input: &Arc<Input>,
    request: &Request,
    (outputs, set): (&OutputArgs, Option<Set>),
    monitor: &Monitor,
) -> Result<Report> {
    let began = Instant::now();
    let beside =
        Beside { mask: outputs.compare.mask.as_deref(), lungs: segmenter_of_lungs(request, outputs, monitor)? };
    let explained = explained(input, request, (outputs, beside), monitor)?;
    if outputs.json {
        say_json(&explained.report.json()?);
    } else {
        summarize(input, request, &explained.run.result, &explained.report, outputs, began);
    }
    let folder = set.map(|set| explained.save(outputs, set));
    // One that cannot be written takes no other with it.
    let dump = outputs.dump.as_ref();
    let dump =
        dump.map(|path| write::save_by(path, outputs.overwrite, |out| tensors::dump(&explained.run.result, out)));
    [folder, dump].into_iter().flatten().collect::<Result<()>>()?;
    if explained.is_whole() { Ok(explained.report) } else { Err(Cancelled.into()) }
}

/// A run that has ended, with all that is told of it.
pub(super) struct Explained {
    pub(super) run: Run,
    pub(super) report: Report,
    pub(super) maps: Vec<MethodMap>,
    pub(super) mask: Option<Mask>,
    /// What files are made under: they are made even of what a cancelled run has found.
    saving: Monitor,
    was_cancelled: bool,
}

/// What a run is held against.
pub(super) struct Beside<'a> {
    /// What should be found.
    pub(super) mask: Option<&'a Path>,
    /// What says where the lungs are.
    pub(super) lungs: Option<Arc<Model<Segmenter>>>,
}

/// Runs, and measures what came of it.
pub(super) fn explained(
    input: &Arc<Input>,
    request: &Request,
    (outputs, beside): (&OutputArgs, Beside),
    monitor: &Monitor,
) -> Result<Explained> {
    export::check(input, &outputs.export, outputs.patient()).map_err(BadInput)?;
    if !outputs.compare.methods.is_empty() {
        let (classifier, _) = request.target.one_class()?;
        for method in &outputs.compare.methods {
            pipeline::check_method(input, classifier, *method, monitor)?;
        }
    }
    let mask = methods::open_mask(beside.mask, input, monitor)?;
    if let Some(runs) = outputs.stability {
        let expected = fit::repeat_secs(input, &expected(request), &monitor.quiet())?;
        // A closed pipe leaves no one to tell.
        writeln!(std::io::stderr(), "{}", stability::expected_words(expected, runs)).ok();
    }
    let run = Run::of(input, request, monitor)?;
    let result = &run.result;
    // What a cancelled run has found is written all the same.
    let saving = if result.complete { monitor.clone() } else { Monitor::default() };
    let regions = changed(input, result, beside.lungs.as_deref(), outputs, &saving)?;
    let mut report = report(&run, regions);
    if let Some(runs) = outputs.stability.filter(|_| result.complete) {
        report.stability = repeated(input, request, result, &report.regions, runs, monitor)?;
    }
    let asked_for: &[Method] = if result.complete { &outputs.compare.methods } else { &[] };
    let maps = methods::computed(input, request, asked_for, monitor)?;
    report.methods = (!outputs.compare.methods.is_empty()).then(|| maps.iter().map(MethodReport::of).collect());
    let was_cancelled = monitor.check().is_err();
    let saving = if was_cancelled { Monitor::default() } else { saving };
    report.mask = methods::masked(mask.as_ref(), result, &maps, &saving)?;
    Ok(Explained { run, report, maps, mask, saving, was_cancelled })
}

impl Explained {
    /// Whether nothing was cut short.
    pub(super) fn is_whole(&self) -> bool {
        self.run.result.complete && !self.was_cancelled
    }

    /// Writes what was asked for into the folder of a set.
    pub(super) fn save(&self, outputs: &OutputArgs, mut set: Set) -> Result<()> {
        let subject = Subject { patient: outputs.patient(), ..Subject::new(&self.run, &self.report, outputs.style()) };
        export::files(&subject, &outputs.export, &self.saving, &mut |file| set.put(&file))?;
        let grid = &subject.layers.scan.grid;
        self.maps.iter().try_for_each(|map| set.put(&method_file(map, grid, &self.saving)?))?;
        set.finish()?;
        Ok(())
    }
}

/// What a run costs is reckoned from.
fn expected(request: &Request) -> fit::Asked {
    let Request { autoencoder, target, slab, options } = request.clone();
    let nothing =
        fit::Asked { autoencoder: Some(autoencoder), classifier: None, segmenter: None, embedder: None, slab, options };
    match target {
        Target::Classes { classifier, .. } => fit::Asked { classifier: Some(classifier), ..nothing },
        Target::LungSize { segmenter } => fit::Asked { segmenter: Some(segmenter), ..nothing },
        Target::Toward { embedder, .. } => fit::Asked { embedder: Some(embedder), ..nothing },
    }
}

/// What says where the lungs are, where anything does: the segmenter that gives the score, or the one that was named.
pub(super) fn segmenter_of_lungs(
    request: &Request,
    outputs: &OutputArgs,
    monitor: &Monitor,
) -> Result<Option<Arc<Model<Segmenter>>>> {
    match (&outputs.lungs, &request.target) {
        (Some(card), _) => Ok(Some(pipeline::load_segmenter(card, monitor)?)),
        (None, Target::LungSize { segmenter }) => Ok(Some(Arc::clone(segmenter))),
        (None, Target::Classes { .. } | Target::Toward { .. }) => Ok(None),
    }
}

/// The regions that changed.
fn changed(
    input: &Input,
    result: &Counterfactual,
    segmenter: Option<&Model<Segmenter>>,
    outputs: &OutputArgs,
    monitor: &Monitor,
) -> Result<Regions> {
    let lungs = segmenter.map(|segmenter| pipeline::lungs(input, segmenter, monitor)).transpose()?;
    let change = Change::of(result, &input.display_volume().grid);
    let threshold_hu = outputs.regions_above.map_or_else(|| change.usual_threshold_hu(), |hu| hu as f32);
    Ok(regions(&change, threshold_hu, lungs.as_deref(), monitor)?)
}

/// What comes again from perturbed starts; nothing where it was cancelled before any run was made. The cost is said first.
fn repeated(
    input: &Input,
    request: &Request,
    result: &Counterfactual,
    regions: &Regions,
    runs: usize,
    monitor: &Monitor,
) -> Result<Option<Stability>> {
    let cost = stability::cost_words(stability::cost_secs(monitor, runs), runs);
    // A closed pipe leaves no one to tell.
    writeln!(std::io::stderr(), "{cost}").ok();
    match stability::stability(input, request, result, regions, runs, monitor) {
        Ok(stability) => Ok(Some(stability)),
        Err(error) if error.downcast_ref::<Cancelled>().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

impl OutputArgs {
    /// Refuses what is wrong whatever is explained. Nothing is made.
    pub(super) fn refuse_at_once(&self) -> Result<()> {
        if self.keep_patient && !self.export.iter().any(|kind| kind.is_dicom()) {
            bail!(Usage("--keep-patient is for DICOM files: --export dicom or dicom-ct".to_owned()));
        }
        for (option, path) in [("--mask", &self.compare.mask), ("--lungs", &self.lungs)] {
            if let Some(path) = path.as_ref().filter(|path| !path.exists()) {
                bail!(BadInput(anyhow!("there is no such file for {option}: {}", path.display())));
            }
        }
        match self.out.as_ref().filter(|out| out.exists() && !out.is_dir()) {
            Some(out) => bail!("this is a file, and --out names a folder: {}", out.display()),
            None => Ok(()),
        }
    }

    /// Refuses now what could not be written after hours of work. The folder of `--out` is there while what is given back is kept: it
    /// takes the files.
    pub(super) fn check(&self) -> Result<Option<Set>> {
        self.refuse_at_once()?;
        let into = self.out.as_ref();
        let methods = self.compare.methods.iter().map(|method| method_name(*method));
        let names = export::names(&self.export).chain(methods);
        let set = into.map(|folder| Set::open(folder, names, |_| self.overwrite)).transpose()?;
        self.dump.as_ref().map_or(Ok(()), |path| write::check(path, self.overwrite))?;
        Ok(set)
    }
}

/// What gives the score, by the networks that the arguments name; `terms` chooses among a classifier's labels.
pub(super) fn target(
    args: &AskedArgs,
    offset: f64,
    terms: impl FnOnce(&Model<Classifier>) -> Result<Vec<(usize, f64)>>,
    monitor: &Monitor,
) -> Result<Target> {
    if let Some((card, toward)) = args.embedder.as_ref().zip(args.toward.as_ref()) {
        let embedder = pipeline::load_embedder(card, monitor)?;
        let other = pipeline::other(&pacs::scan(toward, monitor)?, &embedder, monitor)?;
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
pub(super) fn terms(targets: &[String], classifier: &Model<Classifier>) -> Result<Vec<(usize, f64)>> {
    let labels = classifier.network.labels();
    let mut terms = Vec::with_capacity(targets.len());
    for target in targets {
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

fn summarize(
    input: &Input,
    request: &Request,
    result: &Counterfactual,
    report: &Report,
    outputs: &OutputArgs,
    began: Instant,
) {
    let end = &result.steps[result.chosen];
    let what = if result.score_kind == ScoreKind::Cosine { "cosine of" } else { "score of" };
    say(&format!("{what} the scan            {:.4}", result.scores.scan));
    if let Some(which) = result.which_scan_score() {
        say(&format!("    ({which})"));
    }
    say(&format!("{what} its reconstruction  {:.4}", result.scores.reconstruction));
    say(&format!("{what} the counterfactual  {:.4}  at lambda {:.4}", end.score, end.lambda));
    say(&format!("stopped because {}", result.stop));
    for line in report.regions.lines().into_iter().chain(report.stability.as_ref().map(Stability::line)) {
        say(&line);
    }
    if let Some(mask) = &report.mask {
        say(&format!("mask: {}", mask.line()));
        mask.methods.iter().for_each(|method| say(&method.line()));
    }
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
