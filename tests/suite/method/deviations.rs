//! Lambda in standard deviations of a posterior, against its formula and central differences.

use std::process::Command;

use candle_core::{DType, Device, Result, Tensor};
use glam::DAffine3;
use parallax::exchange::Model;
use parallax::graph::{self, Check, Plan};
use parallax::job::Monitor;
use parallax::latent_shift::objective::{Objective, Scored, SlabScore};
use parallax::latent_shift::{Counterfactual, Error, Options, SearchWay, StepsIn, explain};
use parallax::models::Autoencoder;
use parallax::pipeline;
use parallax::volume::{Grid, Volume};
use serde_json::json;

use crate::method::search::Identity;
use crate::networks::cards::{AUTOENCODER, CLASSIFIER, Files, scan};
use crate::support;

/// Pixels are f32.
const PIXEL: f64 = 1e-6;
const PIXELS: [f32; 4] = [0.2, 0.4, 0.6, 0.8];
const DEVIATIONS: [f32; 4] = [0.1, 0.01, 0.3, 0.05];
const WEIGHTS: [f64; 4] = [1.0, -2.0, 0.5, 0.0];

fn row(numbers: &[f32; 4]) -> Tensor {
    Tensor::from_slice(numbers, (1, 1, 1, 4), &Device::Cpu).expect("a row")
}

/// Latents are the pixels themselves, each of another deviation.
struct Unsure([f32; 4]);

impl Autoencoder for Unsure {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        Identity.encode(stack, check)
    }
    fn has_deviations(&self) -> bool {
        true
    }
    fn deviations(&self, _: &Tensor, _: Check<'_>) -> std::result::Result<Option<Tensor>, graph::Error> {
        Ok(Some(row(&self.0)))
    }
    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        Identity.decoder(latents, size)
    }
    fn unit_from_decoded(&self) -> [f32; 2] {
        [1.0, 0.0]
    }
}

/// A weighted sum of pixels, squared where `curved`.
struct Sum {
    curved: bool,
}

impl Sum {
    fn numbers(stack: &Tensor) -> std::result::Result<Vec<f64>, Error> {
        Ok(stack.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    }

    fn of(stack: &Tensor) -> std::result::Result<f64, Error> {
        Ok(Self::numbers(stack)?.iter().zip(WEIGHTS).map(|(x, w)| x * w).sum())
    }
}

impl Objective for Sum {
    fn score(&self, stack: &Tensor, _: &Monitor) -> std::result::Result<Scored, Error> {
        let sum = Self::of(stack)?;
        Ok(Scored::from(if self.curved { sum * sum } else { sum }))
    }
    fn around<'a>(
        &'a self,
        _: &Tensor,
        _: std::ops::Range<usize>,
        _: &Monitor,
    ) -> std::result::Result<Box<dyn SlabScore + 'a>, Error> {
        Ok(Box::new(self))
    }
}

/// The slab is the whole stack.
impl SlabScore for &Sum {
    fn score(&self, slices: &Tensor, monitor: &Monitor) -> std::result::Result<Scored, Error> {
        Objective::score(*self, slices, monitor)
    }

    fn gradient(&self, slices: &Tensor, monitor: &Monitor) -> std::result::Result<(Scored, Tensor), Error> {
        let factor = if self.curved { 2.0 * Sum::of(slices)? } else { 1.0 };
        let gradient = WEIGHTS.map(|w| (factor * w) as f32);
        Ok((Objective::score(*self, slices, monitor)?, row(&gradient)))
    }
}

fn run(autoencoder: &dyn Autoencoder, curved: bool, options: &Options) -> std::result::Result<Counterfactual, Error> {
    let grid = Grid { shape: [4, 1, 1], world_from_voxel: DAffine3::IDENTITY };
    let stack = Volume::from_f32(grid, PIXELS.to_vec());
    let options = Options { steps_in: StepsIn::Deviations, ..options.clone() };
    explain(&stack, [1.0, 0.0], autoencoder, &Sum { curved }, None, &options, &Monitor::default())
}

/// s w, and its length.
fn stretched() -> ([f64; 4], f64) {
    let stretched = [0, 1, 2, 3].map(|i| f64::from(DEVIATIONS[i]) * WEIGHTS[i]);
    (stretched, stretched.iter().map(|x| x * x).sum::<f64>().sqrt())
}

/// The length of a step from the scan, in deviations: Mahalanobis's distance.
fn distance(slab: &[f32]) -> f64 {
    let square = |i: usize| (f64::from(slab[i] - PIXELS[i]) / f64::from(DEVIATIONS[i])).powi(2);
    (0..4).map(square).sum::<f64>().sqrt()
}

#[test]
fn lambda_counts_standard_deviations_along_the_stretched_gradient() {
    let options = Options { range: Some([-2.0, 2.0]), steps: 5, ..Options::default() };
    let result = run(&Unsure(DEVIATIONS), false, &options).expect("a run");
    let (stretched, length) = stretched();
    for step in &result.steps {
        for i in 0..4 {
            let wanted = f64::from(PIXELS[i]) + step.lambda * f64::from(DEVIATIONS[i]) * stretched[i] / length;
            let got = f64::from(step.slab[i]);
            assert!((got - wanted).abs() < PIXEL, "pixel {i} at lambda {}: {got}, not {wanted}", step.lambda);
        }
        assert!((distance(&step.slab) - step.lambda.abs()).abs() < 1e-4, "{}", step.lambda);
    }
    // Of a curved score the slope at lambda 0 is |s g|: by central differences.
    let near = Options { range: Some([-0.01, 0.01]), steps: 3, ..Options::default() };
    let result = run(&Unsure(DEVIATIONS), true, &near).expect("a run");
    let slope = (result.steps[2].score - result.steps[0].score) / 0.02;
    let gradient = 2.0 * (0.2 - 0.8 + 0.3); // 2 w x w, by which s w is multiplied
    let wanted = f64::abs(gradient) * length;
    assert!((slope / wanted - 1.0).abs() < 1e-3, "{slope}, not {wanted}");
}

#[test]
fn every_search_ends_as_many_deviations_away_as_its_lambda_says() {
    for search in [SearchWay::Aim, SearchWay::Path, SearchWay::Reference] {
        let options =
            Options { search, drop: 0.05, floor: -10.0, max_change: 10.0, step_size: 0.1, ..Options::default() };
        let result = run(&Unsure(DEVIATIONS), false, &options).expect("a run");
        let end = &result.steps[result.chosen];
        assert!(end.lambda < 0.0 && result.scores.counterfactual < result.scores.reconstruction - 0.04, "{search:?}");
        let away = distance(&end.slab);
        // A path of several pieces may bend.
        let bends = search == SearchWay::Path;
        let fits = (away - end.lambda.abs()).abs() < 1e-3 || (bends && away < end.lambda.abs());
        assert!(fits, "{search:?}: {away} deviations at lambda {}", end.lambda);
    }
}

#[test]
fn deviations_of_one_size_are_a_measure_and_change_no_direction() {
    let options =
        |steps_in| Options { steps_in, search: SearchWay::Path, drop: 0.05, floor: -10.0, ..Options::default() };
    let grid = Grid { shape: [4, 1, 1], world_from_voxel: DAffine3::IDENTITY };
    let stack = Volume::from_f32(grid, PIXELS.to_vec());
    let go = |steps_in| {
        let (unsure, options) = (Unsure([0.25; 4]), options(steps_in));
        explain(&stack, [1.0, 0.0], &unsure, &Sum { curved: false }, None, &options, &Monitor::default())
            .expect("a run")
    };
    let [latents, deviations] = [StepsIn::Latents, StepsIn::Deviations].map(go);
    let [a, b] = [&latents, &deviations].map(|result| &result.steps[result.chosen]);
    assert!((a.lambda - b.lambda * 0.25).abs() < 1e-4 * a.lambda.abs(), "{} and {}", a.lambda, b.lambda);
    let gap = a.slab.iter().zip(b.slab.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap < 1e-5, "{gap}");
}

#[test]
fn an_autoencoder_without_deviations_and_one_with_odd_ones_are_refused() {
    let error = run(&Identity, false, &Options::default()).expect_err("none");
    assert!(error.to_string().contains("says of no deviations"), "{error}");
    let error = run(&Unsure([0.1, 0.0, 0.1, 0.1]), false, &Options::default()).expect_err("a zero");
    assert!(error.to_string().contains("must be a number above 0"), "{error}");
}

#[test]
fn deviations_of_a_network_in_a_file_are_half_the_exponent_behind_the_means() {
    let files = Files::new();
    let card = files.card("a.toml", AUTOENCODER);
    let monitor = Monitor::default();
    let model = pipeline::load_autoencoder(&card, &monitor).unwrap_or_else(|e| panic!("{e:#}"));
    let input = pipeline::open(&scan(), &model.recipe, &monitor).expect("a scan");
    let volume = &input.prepared.volume;
    let [width, height, slices] = volume.grid.shape;
    let stack = Tensor::from_iter(volume.voxels.iter(), &Device::Cpu);
    let stack = stack.and_then(|stack| stack.reshape((slices, 1, height, width))).expect("a stack");
    let got = model.network.deviations(&stack, &support::unchecked).expect("a pass").expect("deviations");
    let means = model.network.encode(&stack, &support::unchecked).expect("a pass");
    assert_eq!(got.dims(), means.dims());
    // Rows run to the left and columns to the back in the file's tensor, and range is -1 to 1.
    let slice =
        stack.narrow(0, 3, 1).and_then(|s| s.permute((0, 1, 3, 2))?.contiguous()?.affine(2.0, -1.0)).expect("one");
    let graph = Model::open(&files.path("encoder.onnx"))
        .and_then(|model| model.graph(&[slice.dims()], &["answer"], DType::F32, &Device::Cpu))
        .expect("a graph");
    let plan = support::plan_for(&graph, std::slice::from_ref(&slice)).expect("a plan");
    let answer = support::output(&plan, &slice);
    let wanted = answer.narrow(1, 4, 4).and_then(|v| v.affine(0.5, 0.0)?.exp()).expect("deviations");
    assert!(support::worst(&got.narrow(0, 3, 1).expect("a slice"), &wanted) < 1e-5);

    let classifier = files.card("c.toml", CLASSIFIER);
    let explain = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_parallax"))
            .arg("explain")
            .arg(scan())
            .arg("--autoencoder")
            .arg(&card)
            .arg("--classifier")
            .arg(&classifier)
            .args(["--target", "b", "--steps", "2", "--json"])
            .args(more)
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let report = explain(&["--range=-3:3", "--steps-in", "deviations"]);
    assert_eq!(report["options"]["steps_in"], json!("deviations"));
    let scores = report["sweep_scores"].as_array().expect("scores");
    assert!(scores[0].as_f64() < scores[1].as_f64(), "{scores:?}");
}
