//! What a user waits for in the end: whole runs of the published protocols, at full size, with drawn weights.
//!
//! `cargo bench --bench runs -- CASE... [--threads N] [--device cpu|cuda] [--search path|aim|reference] [--drop D] [--steps N]
//! [--step-size S] [--outside scan|reconstruction] [--fast]` prints one JSON line per case: seconds of wall and of CPU, peak memory, seconds by phase, trials and scores. Cases:
//! - `lung`: one slice of 224 x 224, VQGAN of factor 64, U-Net R231
//! - `effusion:SLAB:SLICES`: a stack of SLICES slices of 224 x 224, the middle SLAB of which may change, the same VQGAN,
//!   ResNet-152
//!
//! `lung` goes the published way first, and ours then to the same end score. Peak memory is the process's own: run one case at a
//! time.

#[path = "networks/compute.rs"]
mod compute;
#[path = "networks/process.rs"]
mod process;
#[path = "networks/random.rs"]
#[expect(dead_code, reason = "the other benchmark draws more networks")]
mod random;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use glam::{DAffine3, DVec3};
use parallax::job::Monitor;
use parallax::latent_shift::objective::{ClassScore, LungSize, Objective};
use parallax::latent_shift::{Counterfactual, Options, Outside, SearchWay, explain};
use parallax::models::{Card, Network};
use parallax::nn::device;
use parallax::volume::{Grid, Volume};
use serde_json::json;

use self::compute::Compute;
use self::random::Weights;

/// The published networks' pixels.
const SIDE: usize = 224;
/// Of 0..=1 and of the published window.
const HU_FROM_UNIT: [f32; 2] = [2000.0, -1000.0];
/// "Pleurisy; pleural effusion".
const EFFUSION: usize = 877;

struct Arguments {
    cases: Vec<String>,
    options: Options,
    compute: Compute,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut parsed = Self { cases: Vec::new(), options: Options::default(), compute: Compute::default() };
        while let Some(word) = words.next() {
            if parsed.compute.take(&word, &mut words)? {
                continue;
            }
            let mut next = || words.next().with_context(|| format!("{word} takes a value"));
            match word.as_str() {
                "--drop" => parsed.options.drop = next()?.parse()?,
                "--step-size" => parsed.options.step_size = next()?.parse()?,
                "--steps" => parsed.options.steps = next()?.parse()?,
                "--search" => {
                    let name = next()?;
                    let way = SearchWay::ALL.into_iter().find(|way| way.name() == name);
                    parsed.options.search = way.with_context(|| format!("no search {name}"))?;
                }
                "--outside" => {
                    let name = next()?;
                    let outside = Outside::ALL.into_iter().find(|outside| outside.name() == name);
                    parsed.options.outside = Some(outside.with_context(|| format!("no outside {name}"))?);
                }
                _ => parsed.cases.push(word),
            }
        }
        if parsed.cases.is_empty() {
            bail!("name a case, such as effusion:4:134");
        }
        Ok(parsed)
    }
}

/// A network of drawn weights.
fn drawn(kind: &str, side: Option<usize>, weights: Weights) -> anyhow::Result<Network> {
    let (_folder, card) = weights.card(kind, side)?;
    Ok(Network::load(&Card::open(&card)?, device::chosen())?.network)
}

/// Waves of every length: nothing flat, nothing sharp.
fn stack(slices: usize) -> Volume {
    let grid = Grid { shape: [SIDE, SIDE, slices], world_from_voxel: DAffine3::from_scale(DVec3::new(1.5, 1.5, 3.0)) };
    let wave = |at: usize, length: f32| (at as f32 / length).sin();
    let voxel = |i: usize| {
        let (x, y, z) = (i % SIDE, i / SIDE % SIDE, i / (SIDE * SIDE));
        0.5 + 0.2 * wave(x, 9.0) * wave(y, 7.0) + 0.2 * wave(x + 2 * z, 31.0) * wave(y + z, 23.0)
    };
    Volume::from_f32(grid, (0..grid.len()).map(voxel).collect::<Vec<f32>>())
}

struct Case {
    network: Network,
    objective: Box<dyn Objective>,
    stack: Volume,
    slab: std::ops::Range<usize>,
}

impl Case {
    fn named(name: &str) -> anyhow::Result<Self> {
        let autoencoder = || drawn("vqgan", Some(256), random::vqgan(&[1, 1, 2, 2, 4, 4, 4])?);
        let (kind, numbers) = name.split_once(':').unwrap_or((name, ""));
        match kind {
            "lung" => {
                let Network::Segmenter(segmenter) = drawn("lung-unet", None, random::unet()?)? else {
                    bail!("a U-Net is a segmenter")
                };
                let objective = Box::new(LungSize { segmenter });
                Ok(Self { network: autoencoder()?, objective, stack: stack(1), slab: 0..1 })
            }
            "effusion" => {
                let (slab, slices) = numbers.split_once(':').context("effusion:SLAB:SLICES")?;
                let (slab, slices): (usize, usize) = (slab.parse()?, slices.parse()?);
                let Network::Classifier(classifier) = drawn("i3resnet", Some(224), random::i3resnet()?)? else {
                    bail!("a ResNet is a classifier")
                };
                let objective = Box::new(ClassScore { classifier, terms: vec![(EFFUSION, 1.0)], offset: 0.0 });
                let first = slices.checked_sub(slab).context("a slab lies within its slices")? / 2;
                Ok(Self { network: autoencoder()?, objective, stack: stack(slices), slab: first..first + slab })
            }
            _ => bail!("unknown case {name}"),
        }
    }

    /// A run, and the line that says what it took.
    fn run(&self, name: &str, options: &Options) -> anyhow::Result<Counterfactual> {
        let Network::Autoencoder(autoencoder) = &self.network else { bail!("a VQGAN is an autoencoder") };
        let autoencoder = Arc::clone(autoencoder);
        let monitor = Monitor::default();
        let (began, cpu) = (Instant::now(), process::cpu_secs());
        let result = explain(
            &self.stack,
            HU_FROM_UNIT,
            &*autoencoder,
            &*self.objective,
            Some(self.slab.clone()),
            options,
            &monitor,
        )?;
        let rounded = |secs: f64| (secs * 1e3).round() / 1e3;
        let mut phases = std::collections::BTreeMap::<_, f64>::new();
        for (phase, secs) in monitor.phase_secs() {
            *phases.entry(phase).or_default() += secs;
        }
        let phases: std::collections::BTreeMap<_, _> = phases.iter().map(|(name, s)| (*name, rounded(*s))).collect();
        println!(
            "{}",
            json!({
                "case": name, "device": device::name(), "search": options.search.name(), "outside": options.outside().name(), "stop": result.stop,
                "wall_secs": rounded(began.elapsed().as_secs_f64()), "cpu_secs": rounded(process::cpu_secs() - cpu),
                "peak_rss_mb": process::peak_rss_mb(), "trials": result.walk.len(), "steps": result.steps.len(),
                "fast_error": result.fast_error, "scores": [result.scores.scan, result.scores.reconstruction, result.scores.counterfactual],
                "phase_secs": phases,
            })
        );
        Ok(result)
    }
}

#[expect(unsafe_code, reason = "only the first line of a program can promise that there is no other thread")]
fn main() -> anyhow::Result<()> {
    // SAFETY: nothing has run in this process yet.
    unsafe { parallax::nn::threads::prepare_process() };
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    arguments.compute.start()?;
    for name in &arguments.cases {
        let case = Case::named(name)?;
        let mut options = arguments.options.clone();
        if name == "lung" {
            let published = case.run(name, &Options { search: SearchWay::Reference, ..options.clone() })?;
            options.drop = published.scores.reconstruction - published.scores.counterfactual;
            options.floor = 0.0;
        }
        case.run(name, &options)?;
    }
    Ok(())
}
