//! `parallax explain`: the counterfactual of a scan, and the files that hold it.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::args::{ComputeArgs, Device, ExplainArgs, OutputArgs};
use super::{Usage, progress, say};
use crate::export::report::{Asked, Timing, report};
use crate::export::{gif, montage, nifti, png, tensors, write};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Counterfactual;
use crate::models::label_index;
use crate::nn::denormals;
use crate::pipeline::{self, BadInput, Input, Request, Target};
use crate::preprocess;
use crate::volume::Volume;

/// HU of what lies outside the model's field of view: the padding that the networks see.
const OUTSIDE_HU: f32 = -1000.0;

/// What `--out` holds.
const FILES: [&str; 6] =
    ["counterfactual.nii.gz", "difference.nii.gz", "heatmap.nii.gz", "montage.png", "lambda.gif", "result.json"];

pub(super) fn run(args: &ExplainArgs) -> Result<()> {
    args.options().check().map_err(|error| Usage(error.to_string()))?;
    let threads = start(&args.compute)?;
    args.outputs.check()?;
    let monitor = progress::monitor()?;
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&args.autoencoder, &monitor)?,
        target: target(args, &monitor)?,
        slab: args.slab.0.clone(),
        options: args.options(),
    };
    let input = pipeline::open(&args.scan, request.recipe()?, &monitor)?;
    explain(&input, &request, &args.outputs, threads, monitor)
}

/// The run, and what is left of it: words or the report on standard output, and files.
pub(super) fn explain(
    input: &Input,
    request: &Request,
    outputs: &OutputArgs,
    threads: usize,
    monitor: Monitor,
) -> Result<()> {
    let began = Instant::now();
    let result = pipeline::explain(input, request, &monitor)?;
    let report = report(input, &Asked::of(request), &result, &Timing::of(&monitor, threads));
    let json = serde_json::to_string_pretty(&report)?;
    if outputs.json {
        say(&json);
    } else {
        summarize(input, &result, began);
    }
    // What a cancelled run has found is written all the same.
    let saving = if result.complete { monitor } else { Monitor::default() };
    let folder = outputs.out.as_ref().map(|folder| -> Result<()> {
        let files = files(input, &result, request, json, &saving)?;
        FILES.iter().zip(files).try_for_each(|(name, bytes)| write::save(&folder.join(name), &bytes, outputs.overwrite))
    });
    // One that cannot be written takes no other with it.
    let dump = outputs.dump.as_ref().map(|path| write::save(path, &tensors::dump_bytes(&result)?, outputs.overwrite));
    [folder, dump].into_iter().flatten().collect::<Result<()>>()?;
    if result.complete { Ok(()) } else { Err(Cancelled.into()) }
}

impl OutputArgs {
    /// Refuses now what could not be written after hours of work.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(folder) = &self.out {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            FILES.iter().try_for_each(|name| write::check(&folder.join(name), self.overwrite))?;
        }
        self.dump.as_ref().map_or(Ok(()), |path| write::check(path, self.overwrite))
    }
}

/// Starts the computing threads; gives their number.
pub(super) fn start(compute: &ComputeArgs) -> Result<usize> {
    if matches!(compute.device, Device::Cuda | Device::Metal) {
        let name = format!("{:?}", compute.device).to_lowercase();
        bail!(Usage(format!("this build computes on the CPU only, not on {name}; use --device cpu")));
    }
    let threads = match compute.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    };
    denormals::start_threads(threads).context("the computing threads cannot be started")?;
    Ok(threads)
}

fn target(args: &ExplainArgs, monitor: &Monitor) -> Result<Target> {
    if let Some(card) = &args.segmenter {
        return Ok(Target::LungSize { segmenter: pipeline::load_segmenter(card, monitor)? });
    }
    let Some(card) = &args.classifier else {
        bail!(Usage("name a --classifier with its --target, or a --segmenter with its --objective".to_owned()));
    };
    let classifier = pipeline::load_classifier(card, monitor)?;
    let labels = classifier.network.labels();
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
    Ok(Target::Classes { classifier: Arc::clone(&classifier), terms, offset: args.offset })
}

/// The bytes of `FILES`: volumes on the scan's own grid, a montage, an animation, the report. All are made before any is written, so that a
/// folder never mixes two runs.
fn files(
    input: &Input,
    result: &Counterfactual,
    request: &Request,
    json: String,
    monitor: &Monitor,
) -> Result<[Vec<u8>; 6]> {
    let (scan, target) = (input.display_volume(), request.target.name());
    let on_scan = |volume: &Volume, outside: f32, name: &str| -> Result<Vec<u8>> {
        let volume = preprocess::restore(volume, &scan.grid, outside, monitor)?;
        nifti::nifti_bytes(&volume, &format!("SYNTHETIC {name}, HU. Research use only."))
    };
    Ok([
        on_scan(&result.step_hu(result.chosen), OUTSIDE_HU, "counterfactual")?,
        on_scan(&result.difference_hu(result.chosen), 0.0, "difference")?,
        on_scan(&result.heatmap_hu(), 0.0, "heatmap")?,
        png::png_bytes(&montage::montage(&scan, result, &target)?)?,
        gif::gif_bytes(&gif::bounce(&montage::along_lambda(&scan, result, &target)?))?,
        json.into_bytes(),
    ])
}

fn summarize(input: &Input, result: &Counterfactual, began: Instant) {
    let end = &result.steps[result.chosen];
    say(&format!("score of the scan            {:.4}", result.scores.scan));
    say(&format!("score of its reconstruction  {:.4}", result.scores.reconstruction));
    say(&format!("score of the counterfactual  {:.4}  at lambda {:.4}", end.score, end.lambda));
    say(&format!("stopped because {}", result.stop));
    say(&format!("{} trials, {} steps, {:.1} s", result.walk.len(), result.steps.len(), began.elapsed().as_secs_f64()));
    for note in input.warnings().into_iter().chain(result.notes()) {
        say(&format!("note: {note}"));
    }
    say("Research use only. Not for diagnosis.");
}
