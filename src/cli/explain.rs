//! `parallax explain`: the counterfactual of a scan, and the files that hold it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::args::{ComputeArgs, Device, ExplainArgs};
use super::{Usage, progress, say};
use crate::export::report::{Timing, report};
use crate::export::{nifti, png, tensors, write};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Counterfactual;
use crate::models::label_index;
use crate::nn::denormals;
use crate::pipeline::{self, BadInput, Input, Request, Target};
use crate::preprocess;
use crate::volume::Volume;

/// HU of what lies outside the model's field of view: the padding that the networks see.
const OUTSIDE_HU: f32 = -1000.0;

pub(super) fn run(args: &ExplainArgs) -> Result<()> {
    let threads = start(&args.compute)?;
    if let Some(path) = &args.dump {
        write::check(path, args.overwrite)?;
    }
    let monitor = progress::monitor()?;
    let input = pipeline::open(&args.scan, &monitor)?;
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&args.autoencoder, &monitor)?,
        target: target(args, &monitor)?,
        slab: args.slab.0.clone(),
        options: args.options(),
    };
    let began = Instant::now();
    let result = pipeline::explain(&input, &request, &monitor)?;
    let timing = Timing { device: "cpu".to_owned(), threads, seconds_per_phase: monitor.phase_secs() };
    let report = report(&input, &request, &result, timing);
    let json = serde_json::to_string_pretty(&report)?;
    // What a cancelled run has found is written all the same.
    let saving = Monitor::default();
    if let Some(folder) = &args.out {
        save(folder, &input, &result, &request, &json, args.overwrite, &saving)?;
    }
    if let Some(path) = &args.dump {
        write::save(path, &tensors::dump_bytes(&result)?, args.overwrite)?;
    }
    if args.json {
        say(&json);
    } else {
        summarize(&result, began);
    }
    if result.complete { Ok(()) } else { Err(Cancelled.into()) }
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
        terms.push((label_index(labels, name).map_err(BadInput::new)?, weight));
    }
    Ok(Target::Classes { classifier: Arc::clone(&classifier), terms, offset: args.offset })
}

/// Volumes on the scan's own grid, a montage, the report.
fn save(
    folder: &Path,
    input: &Input,
    result: &Counterfactual,
    request: &Request,
    json: &str,
    overwrite: bool,
    monitor: &Monitor,
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let grid = input.display_volume().grid;
    let volumes: [(&str, Volume, f32, &str); 3] = [
        (
            "counterfactual",
            result.step_hu(result.chosen),
            OUTSIDE_HU,
            "SYNTHETIC counterfactual, HU. Research use only.",
        ),
        ("difference", result.difference_hu(result.chosen), 0.0, "SYNTHETIC difference, HU. Research use only."),
        ("heatmap", result.heatmap_hu(), 0.0, "SYNTHETIC heatmap, HU. Research use only."),
    ];
    for (name, volume, outside, description) in volumes {
        let on_scan = preprocess::restore(&volume, &grid, outside, monitor)?;
        write::save(&folder.join(format!("{name}.nii.gz")), &nifti::nifti_bytes(&on_scan, description)?, overwrite)?;
    }
    let montage = png::montage(&input.display_volume(), result, &request.target.name())?;
    write::save(&folder.join("montage.png"), &png::png_bytes(&montage)?, overwrite)?;
    write::save(&folder.join("result.json"), json.as_bytes(), overwrite)
}

fn summarize(result: &Counterfactual, began: Instant) {
    let end = &result.steps[result.chosen];
    say(&format!("score of the scan            {:.4}", result.scores.scan));
    say(&format!("score of its reconstruction  {:.4}", result.scores.reconstruction));
    say(&format!("score of the counterfactual  {:.4}  at lambda {:.4}", end.score, end.lambda));
    say(&format!("stopped because {}", result.stop));
    say(&format!("{} trials, {} steps, {:.1} s", result.walk.len(), result.steps.len(), began.elapsed().as_secs_f64()));
    for note in result.notes() {
        say(&format!("note: {note}"));
    }
    say("Research use only. Not for diagnosis.");
}
