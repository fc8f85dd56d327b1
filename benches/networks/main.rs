//! What a user waits for: forward, and forward plus gradient in the input, of the networks Parallax runs.
//!
//! `cargo bench --bench networks -- CASE... [--threads N] [--runs N] [--device cpu|cuda] [--fast]` prints one JSON line per case: median seconds of wall and
//! CPU, peak memory. Cases:
//! - `demo-decoder:N`: the demo's VQGAN decoder, N slices of 96 x 96 at once
//! - `demo-classifier`: the demo's inflated ResNet, 36 slices of 96 x 96
//! - `decoder-f16`, `decoder-f64`: the published VQGANs' decoders, one slice, 256 x 256
//! - `unet`: the lung segmenter R231, one slice, 224 x 224
//! - `i3resnet:D`: the inflated ResNet-152, D slices of 224 x 224
//! - `densenet121:D:H:W`: MONAI's DenseNet-121 in 3-D, D slices of H x W
//! - `file:PATH`: a network in an ONNX or `.pt2` file with one input of fixed size
//! - `conv3:C:S`, `conv1:C:S`: a convolution of 3 x 3 or 1 x 1, C to C channels, S x S pixels
//!
//! Times of one run on one machine mean nothing by themselves: run another program, or another version, beside it, in turn.

mod cases;
mod compute;
mod process;
mod random;

use std::time::Instant;

use anyhow::{Context, bail};
use candle_core::Result;
use parallax::nn::device;
use serde_json::{Value, json};

use self::cases::Case;
use self::compute::Compute;

struct Arguments {
    cases: Vec<String>,
    runs: usize,
    compute: Compute,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut parsed = Self { cases: Vec::new(), runs: 3, compute: Compute::default() };
        while let Some(word) = words.next() {
            if word == "--runs" {
                let next = words.next().context("--runs takes a number")?;
                parsed.runs = next.parse::<usize>().context("--runs takes a number")?.max(1);
            } else if !parsed.compute.take(&word, &mut words)? {
                parsed.cases.push(word);
            }
        }
        if parsed.cases.is_empty() {
            bail!("name a case, such as demo-decoder:8");
        }
        Ok(parsed)
    }
}

/// Median seconds of wall and CPU, after one run that warms caches and threads.
fn timed(runs: usize, work: impl Fn() -> Result<()>) -> Result<Value> {
    work()?;
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        let (wall, cpu) = (Instant::now(), process::cpu_secs());
        work()?;
        samples[0].push(wall.elapsed().as_secs_f64());
        samples[1].push(process::cpu_secs() - cpu);
    }
    let [wall, cpu] = samples.map(|mut times| {
        times.sort_by(f64::total_cmp);
        (times[times.len() / 2] * 1e4).round() / 1e4
    });
    Ok(json!({ "wall_secs": wall, "cpu_secs": cpu }))
}

fn measure(case: &Case, runs: usize) -> Result<[Value; 2]> {
    let forward = timed(runs, || (case.network)(&case.input).map(|_| ()))?;
    let gradient = timed(runs, || (case.gradient)(&case.input).map(|_| ()))?;
    Ok([forward, gradient])
}

#[expect(unsafe_code, reason = "only the first line of a program can promise that there is no other thread")]
fn main() -> anyhow::Result<()> {
    // SAFETY: nothing has run in this process yet.
    unsafe { parallax::nn::threads::prepare_process() };
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    arguments.compute.start()?;
    for name in &arguments.cases {
        let [forward, gradient] = measure(&Case::named(name)?, arguments.runs)?;
        let line = json!({
            "case": name, "device": device::name(), "threads": arguments.compute.threads, "bf16": false, "forward": forward, "gradient": gradient,
            "peak_rss_mb": process::peak_rss_mb(),
        });
        println!("{line}");
    }
    Ok(())
}
