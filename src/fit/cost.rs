//! What a run costs: the memory of its passes, known beforehand, and its time, from passes that are timed.

use anyhow::Result;
use serde::Serialize;

use super::Asked;
use crate::graph::Plan;
use crate::graph::ops::Tiled;
use crate::job::Monitor;
use crate::latent_shift::{Options, SearchWay};
use crate::machine;
use crate::nn::device;
use crate::pipeline::{self, Input, Pace};

/// Stacks of numbers that a run holds beside its passes: the scan's, the reconstruction's twice, and the score's gradient.
const STACKS: u64 = 4;

/// Repetitions take between these shares of a search with as many trials and gradients as is usual at most. Measured: the demo's take 0.3.
const REPEATS: [f64; 2] = [0.25, 0.75];

/// Memory and time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    pub passes: Vec<Pass>,
    /// Columns, rows and slices of the prepared scan.
    pub stack: [usize; 3],
    /// Why a pass cannot be, in words: the networks do not go together, or no memory holds it.
    pub refused: Option<String>,
    /// The most that a run holds at once beside the scan and the weights.
    pub peak_bytes: u64,
    /// The pass that holds the most.
    pub peak_of: Option<&'static str>,
    /// What is free for it: of the GPU's memory where the networks run on one; nothing where the system does not say.
    pub left_bytes: Option<u64>,
    pub run: Option<RunCost>,
}

/// One pass of a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pass {
    pub name: &'static str,
    /// Slices that it takes at once; 0 for all.
    pub at_once: usize,
    /// Of its inputs.
    pub shapes: Vec<Vec<usize>>,
    pub forward_bytes: u64,
    pub gradient_bytes: u64,
    /// How many segments its gradient is cut into to fit.
    pub segments: usize,
    /// How many tiles it is cut into, of which one is in memory at a time; nothing where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiles: Option<usize>,
    /// Nothing where there is no memory to try it.
    pub pace: Option<Pace>,
}

/// What the time of a run was reckoned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Whole passes that were timed on this machine.
    Timed,
    /// Parts of passes that were timed, and the work that is left.
    TimedInPart,
    /// For one network the pace of another.
    AnothersPace,
}

/// The time that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RunCost {
    pub secs: f64,
    /// What a repetition from a perturbed start takes, from and to: the search alone, whose trials are few where the first run found
    /// its way, and no image of the sweep.
    pub repeat_secs: [f64; 2],
    pub basis: Basis,
    /// The smallest share of a pass that was timed.
    pub timed: f64,
    /// Slices that may change.
    pub slices: usize,
    /// Lambdas that a search usually tries, gradients that it takes, and images of the sweep; all 0 where there is no search, since one
    /// of autoencoder and score is missing.
    pub trials: usize,
    pub gradients: usize,
    pub images: usize,
}

/// A pass that is planned for so many slices at once; 0 for all.
struct Planned {
    name: &'static str,
    plan: Plan,
    at_once: usize,
}

pub(super) fn cost(input: &Input, asked: &Asked, monitor: &Monitor) -> Result<Cost> {
    let [width, height, slices] = input.prepared.volume.grid.shape;
    let of_gpu = || device::free_bytes(device::chosen()).map(|bytes| bytes as u64);
    let left_bytes = if device::is_gpu() { of_gpu() } else { machine::left_bytes() };
    let (planned, refused) = match plans(input, asked, monitor) {
        Ok(planned) => (planned, None),
        Err(error) => {
            monitor.check()?;
            (Vec::new(), Some(pipeline::in_words(&error)))
        }
    };
    let mut passes: Vec<Pass> = Vec::with_capacity(planned.len());
    for (number, Planned { name, plan, at_once }) in planned.iter().enumerate() {
        monitor.step("timing the networks", number, planned.len())?;
        let others = passes.iter().rev().find_map(|pass| Some(pass.pace?.work_per_sec));
        let pace = pipeline::pace(plan, *name != "encoder", others, monitor)?;
        passes.push(Pass {
            name,
            at_once: *at_once,
            shapes: plan.inputs().into_iter().map(<[usize]>::to_vec).collect(),
            forward_bytes: plan.forward_bytes(),
            gradient_bytes: plan.gradient_bytes(),
            segments: plan.segments(),
            tiles: plan.tiled().map(Tiled::count),
            pace,
        });
    }
    let stack = [width, height, slices];
    let cost = Cost { passes, stack, refused, peak_bytes: 0, peak_of: None, left_bytes, run: None };
    Ok(cost.of_run(asked.slab.as_ref().map_or(slices, ExactSizeIterator::len), &asked.options))
}

impl Cost {
    /// What a run costs in which so many slices may change, by these options: by the passes that were planned and timed already.
    #[must_use]
    pub fn of_run(&self, slab: usize, options: &Options) -> Self {
        let [width, height, slices] = self.stack;
        let bytes = |slices: usize| (slices as u64).saturating_mul((width * height * size_of::<f32>()) as u64);
        let run = run(&self.passes, slices, slab, options);
        let images = bytes(slab).saturating_mul(run.map_or(0, |run| run.images as u64));
        let largest = self.passes.iter().max_by_key(|pass| pass.gradient_bytes);
        let held = bytes(slices).saturating_mul(STACKS).saturating_add(images);
        let peak_bytes = largest.map_or(0, |pass| pass.gradient_bytes.saturating_add(held));
        Self { peak_bytes, peak_of: largest.map(|pass| pass.name), run, ..self.clone() }
    }
}

/// Plans all passes of a run within the memory that this process can have.
fn plans(input: &Input, asked: &Asked, monitor: &Monitor) -> Result<Vec<Planned>> {
    let [width, height, slices] = input.prepared.volume.grid.shape;
    let mut planned = Vec::new();
    let mut add = |name, plan: Plan, at_once| -> Result<()> {
        planned.push(Planned { name, plan: plan.fitted()?, at_once });
        Ok(())
    };
    if let Some(model) = &asked.autoencoder {
        let mixes = model.network.mixes_slices();
        let at_once = if mixes { slices } else { asked.options.chunk.clamp(1, slices.max(1)) };
        for (name, plan) in model.network.plans(&[at_once, 1, height, width])? {
            add(name, plan, if mixes { 0 } else { at_once })?;
        }
    }
    if let Some(model) = &asked.classifier {
        let network = pipeline::classifier_for(model, input, monitor)?;
        add("classifier", network.plan(&[slices, 1, height, width])?, 0)?;
    }
    if let Some(model) = &asked.embedder {
        let network = pipeline::embedder_for(model, input, monitor)?;
        add("embedder", network.plan(&[slices, 1, height, width])?, 0)?;
    }
    if let Some(model) = &asked.segmenter {
        add("segmenter", model.network.plan(&[1, 1, height, width])?, 1)?;
    }
    Ok(planned)
}

/// Adds up what a run does; nothing where a pass has no pace.
fn run(passes: &[Pass], slices: usize, slab: usize, options: &Options) -> Option<RunCost> {
    let paces = passes.iter().map(|pass| pass.pace).collect::<Option<Vec<Pace>>>()?;
    let timed = paces.iter().map(|pace| pace.timed).fold(1.0, f64::min);
    let basis = match timed {
        whole if whole >= 1.0 => Basis::Timed,
        part if part > 0.0 => Basis::TimedInPart,
        _ => Basis::AnothersPace,
    };
    // Seconds of a pass over so many slices, forward and with the gradient.
    let over = |name: &str, slices: usize| -> Option<[f64; 2]> {
        let at = passes.iter().position(|pass| pass.name == name)?;
        let times = match passes[at].at_once {
            0 => 1.0,
            at_once => slices as f64 / at_once as f64,
        };
        Some([paces[at].forward_secs * times, paces[at].gradient_secs * times])
    };
    let score = over("classifier", slices).or_else(|| over("segmenter", slices)).or_else(|| over("embedder", slices));
    let autoencoder = over("encoder", slices).zip(over("decoder", slices)).zip(over("decoder", slab));
    let nothing =
        RunCost { secs: 0.0, repeat_secs: [0.0; 2], basis, timed, slices: slab, trials: 0, gradients: 0, images: 0 };
    Some(match (autoencoder, score) {
        (Some((([encode, _], [decode, _]), [decode_slab, gradient_of_slab])), Some([score, gradient_of_score])) => {
            let (trials, gradients) = tries(options);
            let images = options.images();
            let begin = encode + decode + score;
            let of_gradients = gradients as f64 * (gradient_of_score + gradient_of_slab);
            let of_trial = score + decode_slab;
            let of_trials = (trials + images) as f64 * of_trial;
            // One that is given its lambda decodes that alone.
            let searched = of_gradients + trials.max(1) as f64 * of_trial;
            let repeat_secs = REPEATS.map(|share| begin + share * searched);
            RunCost { secs: begin + of_gradients + of_trials, repeat_secs, trials, gradients, images, ..nothing }
        }
        (Some((([encode, _], [decode, _]), _)), None) => RunCost { secs: encode + decode, ..nothing },
        (None, Some([score, _])) => RunCost { secs: score, ..nothing },
        (None, None) => return None,
    })
}

/// How many lambdas a search usually tries, and how many gradients it takes: the upper ends of what is usual.
fn tries(options: &Options) -> (usize, usize) {
    match (options.range, options.search) {
        (Some(_), _) => (0, 1),
        (None, SearchWay::Aim) => (8, 1),
        (None, SearchWay::Path) => (10, 5),
        (None, SearchWay::Reference) => (60, 1),
    }
}
