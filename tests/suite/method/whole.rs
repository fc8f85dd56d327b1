//! Whole runs on tiny networks, which need no file from elsewhere: exact gradients, nothing decoded twice, cancelling.

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Result, Tensor};
use parallax::graph::{self, Check, Plan};
use parallax::job::Monitor;
use parallax::latent_shift::chunks::Chunk;
use parallax::latent_shift::gradient::gradient;
use parallax::latent_shift::objective::{ClassScore, LungSize, Objective};
use parallax::latent_shift::{Counterfactual, Error, Options, Outside, SearchWay, explain};
use parallax::models::{Autoencoder, Card, Network, Vqgan};
use parallax::nn::device;
use parallax::volume::Volume;
use parallax::weights::Checkpoint;

use crate::networks::gradients::random;
use crate::support::{self, relative};
use crate::tiny_models::{SIDE, TinyModels};

/// Of central differences along a unit vector in f64. A step of 1e-4 crosses ReLUs of the segmenter: it errs by 7e-5.
const STEP: f64 = 1e-5;
/// Of the gradient's length: 2e-8 is measured.
const DIFFERENCE: f64 = 1e-7;
const SLICES: usize = 6;

struct Networks {
    autoencoder: Vqgan,
    objectives: [Box<dyn Objective>; 2],
    /// `[slices, 1, h, w]`
    stack: Tensor,
}

fn networks(dtype: DType, device: &Device) -> Networks {
    let models = TinyModels::new();
    let card = |name: &str| {
        let card = Card::open(&models.card(name)).expect("a card");
        let checkpoint = Checkpoint::open(&card.weights).expect("weights");
        (card, checkpoint)
    };
    let (ae, ae_weights) = card("autoencoder");
    let ((clf, clf_weights), (unet, unet_weights)) = (card("classifier"), card("segmenter"));
    let classifier = Network::of(&clf, &clf_weights, dtype, device).expect("a classifier");
    let segmenter = Network::of(&unet, &unet_weights, dtype, device).expect("a segmenter");
    let (classifier, segmenter) = (support::classifier(classifier), support::segmenter(segmenter));
    let stack = support::tensors(&models.stack(SLICES))["stack"].to_dtype(dtype).expect("a stack");
    Networks {
        autoencoder: Vqgan::load(&ae, &ae_weights, dtype, device).expect("an autoencoder"),
        objectives: [
            Box::new(ClassScore { classifier, terms: vec![(1, 1.0), (2, -0.5)], offset: 0.25 }),
            Box::new(LungSize { segmenter }),
        ],
        stack,
    }
}

#[test]
fn the_gradient_of_a_run_is_the_slope_of_its_score_in_f64() {
    assert_slope(&Device::Cpu);
}

/// Every network, whole: on the GPU of a build that has one, and as there on the CPU.
#[test]
fn with_a_gpus_layers_the_gradient_of_a_run_is_the_slope_of_its_score_too() {
    device::as_on_a_gpu(|| assert_slope(&Device::Cpu));
    let gpu = if cfg!(feature = "cuda") { Device::new_cuda(0).ok() } else { None };
    match gpu {
        Some(gpu) => assert_slope(&gpu),
        None => eprintln!("no GPU"),
    }
}

fn assert_slope(device: &Device) {
    let Networks { autoencoder, objectives, stack } = networks(DType::F64, device);
    let (monitor, slab) = (Monitor::default(), 1..5);
    let latents = autoencoder.encode(&stack, &support::unchecked).expect("latents");
    let decode = |latents: &Tensor| {
        support::output(&autoencoder.decoder(latents.dims(), [SIDE, SIDE]).expect("a plan"), latents)
    };
    for objective in &objectives {
        let at = |chunk| {
            let of_slab = latents.narrow(0, slab.start, slab.len()).expect("the slab");
            let stack = decode(&latents);
            let score = objective.around(&stack, slab.clone(), &monitor).expect("a slab");
            let slices = stack.narrow(0, slab.start, slab.len()).expect("the slab");
            gradient(&autoencoder, &*score, &of_slab, &slices, &Chunk::of(chunk), &monitor)
                .and_then(|(_, gradient)| Ok(gradient.pad_with_zeros(0, slab.start, SLICES - slab.end)?))
                .expect("a gradient")
        };
        let whole = at(4);
        for chunk in [1, 2, 3] {
            assert!(relative(&at(chunk), &whole) <= 1e-12, "chunk {chunk}");
        }
        let sum = |a: &Tensor, b: &Tensor| (a * b).and_then(|p| p.sum_all()?.to_scalar::<f64>()).expect("a number");
        let length = |t: &Tensor| sum(t, t).sqrt();
        let norm = length(&whole);
        assert!(norm > 0.0, "no gradient");
        let slope = |direction: &Tensor| -> f64 {
            let score = |step: f64| -> f64 {
                let moved = (&latents + (direction * step).expect("scaled")).expect("moved");
                objective.score(&decode(&moved), &monitor).expect("a score").score
            };
            (score(STEP) - score(-STEP)) / (2.0 * STEP)
        };
        // Along the gradient itself the slope is its length: the aimed search rests on this.
        let uphill = (&whole / norm).expect("scaled");
        assert!((slope(&uphill) - norm).abs() <= DIFFERENCE * norm, "{} is not {norm}", slope(&uphill));
        // Along any other it is its share of it; only slices of the slab move.
        for seed in [50, 60, 70] {
            let direction = random(latents.dims(), seed)
                .narrow(0, slab.start, slab.len())
                .and_then(|d| d.pad_with_zeros(0, slab.start, SLICES - slab.end));
            let direction = direction.and_then(|d| &d / length(&d)).expect("a direction");
            let (slope, share) = (slope(&direction), sum(&whole, &direction));
            assert!((slope - share).abs() <= DIFFERENCE * norm, "seed {seed}: {slope} is not {share}, of {norm}");
        }
    }
}

/// Counts the slices that are decoded, and lets a monitor be cancelled after so many.
struct Counting {
    inner: Vqgan,
    decoded: AtomicUsize,
    cancel: Option<(usize, Monitor)>,
    /// Whether the decoder's gradient computes parts of the forward pass again: no tape of it is kept.
    in_segments: bool,
}

impl Autoencoder for Counting {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        self.inner.encode(stack, check)
    }

    /// Each pass asks for its own.
    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        self.count(latents[0]);
        let plan = self.inner.decoder(latents, size)?;
        let less = plan.gradient_bytes() - 1;
        if self.in_segments { plan.within(less) } else { Ok(plan) }
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        self.inner.unit_from_decoded()
    }
}

impl Counting {
    fn count(&self, slices: usize) {
        let decoded = self.decoded.fetch_add(slices, Ordering::Relaxed) + slices;
        if let Some((after, monitor)) = &self.cancel
            && decoded >= *after
        {
            monitor.cancel();
        }
    }
}

/// A run over slices 2..4 with all others reconstructed, cancelled after so many decoded slices; with the number decoded.
fn run(options: &Options, cancel_after: Option<usize>) -> (std::result::Result<Counterfactual, Error>, usize) {
    run_with(options, cancel_after, false)
}

fn run_with(
    options: &Options,
    cancel_after: Option<usize>,
    in_segments: bool,
) -> (std::result::Result<Counterfactual, Error>, usize) {
    let Networks { autoencoder, objectives, stack } = networks(DType::F32, &Device::Cpu);
    let options = &Options { outside: Some(Outside::Reconstruction), ..options.clone() };
    let monitor = Monitor::default();
    let cancel = cancel_after.map(|after| (after, monitor.clone()));
    let counting = Counting { inner: autoencoder, decoded: AtomicUsize::new(0), cancel, in_segments };
    let voxels: Vec<f32> = stack.flatten_all().and_then(|s| s.to_vec1()).expect("numbers");
    let grid = parallax::volume::Grid { shape: [SIDE, SIDE, SLICES], world_from_voxel: glam::DAffine3::IDENTITY };
    let volume = Volume::from_f32(grid, voxels);
    let result = explain(&volume, [2000.0, -1000.0], &counting, &*objectives[0], Some(2..4), options, &monitor);
    (result, counting.decoded.load(Ordering::Relaxed))
}

#[test]
fn slices_outside_the_slab_are_decoded_once_and_no_lambda_twice() {
    for search in [SearchWay::Aim, SearchWay::Reference] {
        let options = Options { search, steps: 5, max_change: 10.0, ..Options::default() };
        let (result, decoded) = run(&options, None);
        let result = result.expect("a run");
        // The whole stack once, the slab once for the gradient, and once for each lambda but 0 that was tried or swept.
        let tried = result.walk.iter().filter(|trial| trial.lambda != 0.0).count();
        let swept = result.steps.iter().filter(|step| step.lambda != 0.0);
        let new = swept.filter(|step| result.walk.iter().all(|trial| trial.lambda != step.lambda)).count();
        assert_eq!(decoded, SLICES + 2 * (1 + tried + new), "{search:?}");
    }
}

/// What the last digits of f32 make of a path: lambda as a share of the end's, pixels in decoded units.
const SAME_PATH: f64 = 1e-5;

#[test]
fn a_path_is_the_same_for_any_chunk_and_decodes_no_slice_again_where_it_turns() {
    let options = Options { search: SearchWay::Path, drop: 0.002, floor: 0.0, max_change: 10.0, ..Options::default() };
    let runs = [1, 2].map(|chunk| {
        let (result, decoded) = run(&Options { chunk, steps: 5, ..options.clone() }, None);
        (result.expect("a run"), decoded)
    });
    let (first, all) = &runs[0];
    let swept = first.steps.iter().filter(|step| step.lambda != 0.0);
    let new = swept.filter(|step| first.walk.iter().all(|trial| trial.lambda != step.lambda)).count();
    // The whole stack once, the slab once for the gradient at lambda 0, and once for each other lambda.
    assert_eq!(*all, SLICES + 2 * first.walk.len() + 2 * new, "{} trials; {}", first.walk.len(), first.stop);
    let scale = first.steps[first.chosen].lambda.abs();
    assert!(scale > 0.0 && first.stop.contains("reached its goal"), "{}", first.stop);
    for (chunk, (result, decoded)) in (1..).zip(&runs) {
        assert_eq!((decoded, result.walk.len()), (all, first.walk.len()), "chunk {chunk}");
        for (a, b) in result.steps.iter().zip(&first.steps) {
            let off = (a.lambda - b.lambda).abs() / scale;
            assert!(off <= SAME_PATH, "chunk {chunk}: lambda {} for {}", a.lambda, b.lambda);
            let worst = a.slab.iter().zip(&*b.slab).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
            assert!(worst <= SAME_PATH, "chunk {chunk}: pixels off by {worst:e} at {}", a.lambda);
        }
    }
}

#[test]
fn a_path_is_the_same_to_the_bit_where_no_memory_is_for_tapes() {
    let options = Options { search: SearchWay::Path, drop: 0.002, floor: 0.0, max_change: 10.0, ..Options::default() };
    let [(kept, decoded), (again, decoded_again)] = [false, true].map(|cut| run_with(&options, None, cut));
    let [kept, again] = [kept, again].map(|result| result.expect("a run"));
    assert!(decoded_again >= decoded + 2 * 2, "{decoded_again} slices were decoded where {decoded} are enough");
    assert_eq!(format!("{kept:?}"), format!("{again:?}"));
}

#[test]
fn a_run_stops_within_one_chunk_and_keeps_what_it_found() {
    let options = Options { steps: 20, range: Some([-5.0, 5.0]), ..Options::default() };
    let (_, all) = run(&options, None);
    for after in [1, 3, SLICES + 1] {
        let (result, decoded) = run(&options, Some(after));
        assert!(matches!(result, Err(Error::Cancelled(_))), "nothing was found yet after {after}");
        assert!(decoded < after + Options::default().chunk, "{decoded} slices were decoded, {after} were allowed");
    }
    let after = SLICES + 2 * 8;
    let (result, decoded) = run(&options, Some(after));
    let result = result.expect("partial results");
    assert!(!result.complete && result.stop.contains("cancelled") && decoded < all, "{}", result.stop);
    assert!(result.steps.len() >= 5 && result.steps.is_sorted_by(|a, b| a.lambda < b.lambda));
    assert!(decoded < after + Options::default().chunk);
}

#[test]
fn a_score_is_raised_as_well_as_lowered() {
    for (drop, sign) in [(0.01, -1.0), (-0.01, 1.0)] {
        let options = Options { drop, floor: 0.0, max_change: 10.0, steps: 3, ..Options::default() };
        let result = run(&options, None).0.expect("a run");
        let moved = result.scores.counterfactual - result.scores.reconstruction;
        assert!(moved * sign > 0.0, "drop {drop} moved the score by {moved}; {}", result.stop);
        assert!(result.steps[result.chosen].lambda * sign > 0.0);
    }
}
