//! Slices outside the slab, as scanned or reconstructed: what the classifier is fed, what it costs, and how the choice is kept.

use std::ops::Range;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Result, Tensor};
use egui::accesskit::Toggled;
use egui_kittest::kittest::{NodeT, Queryable};
use glam::DAffine3;
use parallax::graph::{self, Check, Plan};
use parallax::job::Monitor;
use parallax::latent_shift::chunks::Chunk;
use parallax::latent_shift::gradient::gradient;
use parallax::latent_shift::objective::{ClassScore, LungSize, Objective};
use parallax::latent_shift::{Counterfactual, Options, Outside, SearchWay, explain};
use parallax::models::{Autoencoder, Card, Decode, Network, Vqgan};
use parallax::ui::Start;
use parallax::volume::{Grid, Volume};
use parallax::weights::Checkpoint;
use serde_json::{Value, json};

use crate::support::{self, relative};
use crate::tiny_models::{SIDE, TinyModels};
use crate::window::driven::{Window, click, press, says, start, texts, type_path, unfold, until, window};

const SLICES: usize = 8;
const SLAB: Range<usize> = 3..6;
const HU_FROM_UNIT: [f32; 2] = [2000.0, -1000.0];
/// Of central differences along a unit vector in f64, and of the gradient's length: as in whole runs.
const STEP: f64 = 1e-5;
const DIFFERENCE: f64 = 1e-7;
/// A gradient in f32 against f64.
const F32_GRADIENT: f64 = 1e-3;

struct Networks {
    autoencoder: Vqgan,
    objectives: [Box<dyn Objective>; 2],
    /// `[slices, 1, h, w]`
    stack: Tensor,
}

fn networks(dtype: DType, decode: Decode) -> Networks {
    let models = TinyModels::new();
    let card = |name: &str| {
        let card = Card::open(&models.card(name)).expect("a card");
        let checkpoint = Checkpoint::open(&card.weights).expect("weights");
        (card, checkpoint)
    };
    let (ae, ae_weights) = card("autoencoder");
    let ((clf, clf_weights), (unet, unet_weights)) = (card("classifier"), card("segmenter"));
    let ae = Card { decode, ..ae };
    let classifier = Network::of(&clf, &clf_weights, dtype, &Device::Cpu).expect("a classifier");
    let segmenter = Network::of(&unet, &unet_weights, dtype, &Device::Cpu).expect("a segmenter");
    let (classifier, segmenter) = (support::classifier(classifier), support::segmenter(segmenter));
    Networks {
        autoencoder: Vqgan::load(&ae, &ae_weights, dtype, &Device::Cpu).expect("an autoencoder"),
        objectives: [
            Box::new(ClassScore { classifier, terms: vec![(1, 1.0), (2, -0.5)], offset: 0.25 }),
            Box::new(LungSize { segmenter }),
        ],
        stack: support::tensors(&models.stack(SLICES))["stack"].to_dtype(dtype).expect("a stack"),
    }
}

fn volume(stack: &Tensor) -> Volume {
    let voxels: Vec<f32> = stack.flatten_all().and_then(|stack| stack.to_vec1()).expect("f32");
    Volume::from_f32(Grid { shape: [SIDE, SIDE, SLICES], world_from_voxel: DAffine3::IDENTITY }, voxels)
}

fn tensor(volume: &Volume) -> Tensor {
    let [w, h, slices] = volume.grid.shape;
    Tensor::from_iter(volume.voxels.iter(), &Device::Cpu).and_then(|t| t.reshape((slices, 1, h, w))).expect("a stack")
}

fn options(outside: Outside) -> Options {
    let search = SearchWay::Path;
    Options { search, drop: 0.01, floor: 0.0, max_change: 10.0, steps: 4, outside: Some(outside), ..Options::default() }
}

fn run(autoencoder: &dyn Autoencoder, objective: &dyn Objective, stack: &Tensor, options: &Options) -> Counterfactual {
    let monitor = Monitor::default();
    explain(&volume(stack), HU_FROM_UNIT, autoencoder, objective, Some(SLAB), options, &monitor).expect("a run")
}

/// Whether a voxel lies in a slice outside the slab.
fn is_outside(voxel: usize) -> bool {
    !SLAB.contains(&(voxel / (SIDE * SIDE)))
}

fn outside_of(volume: &Volume) -> Vec<f32> {
    volume.voxels.iter().enumerate().filter(|(i, _)| is_outside(*i)).map(|(_, value)| value).collect()
}

#[test]
fn slices_outside_are_the_scans_own_to_the_bit_and_nothing_changes_there() {
    let Networks { autoencoder, objectives, stack } = networks(DType::F32, Decode::Inverse);
    let bits = |volume: &Volume| outside_of(volume).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    for objective in &objectives {
        let scan = run(&autoencoder, &**objective, &stack, &options(Outside::Scan));
        let end = scan.chosen;
        assert!(scan.steps[end].lambda < 0.0, "a search that moved; {}", scan.stop);
        for volume in [&scan.reconstruction, &scan.frame(end), &scan.frame(0)] {
            assert_eq!(bits(volume), bits(&scan.stack));
        }
        assert_eq!(bits(&scan.step_hu(end)), bits(&scan.original_hu()), "in HU too");
        assert!(outside_of(&scan.difference_hu(end)).iter().all(|change| *change == 0.0));
        // Within the slab it is the reconstruction that all slices have otherwise: slices never mix.
        let whole = run(&autoencoder, &**objective, &stack, &options(Outside::Reconstruction));
        let slab = scan.slab_voxels();
        let worst = slab.map(|i| (scan.reconstruction.voxels.at(i) - whole.reconstruction.voxels.at(i)).abs());
        assert!(worst.fold(0.0, f32::max) <= 1e-5, "the slab at lambda 0");
        assert_ne!(bits(&whole.reconstruction), bits(&whole.stack), "this autoencoder loses something");
        // Latents of what was encoded, and nothing else.
        assert_eq!((scan.latent_shape[0], whole.latent_shape[0]), (SLAB.len(), SLICES));
        let per_slice = whole.latents.len() / SLICES;
        let within = &whole.latents[SLAB.start * per_slice..SLAB.end * per_slice];
        assert!(scan.latents.iter().zip(within).all(|(a, b)| (a - b).abs() <= 1e-5), "latents of the slab");
    }
}

#[test]
fn the_score_at_lambda_0_is_that_of_the_scan_with_its_slab_reconstructed() {
    for decode in [Decode::Inverse, Decode::Reference] {
        let Networks { autoencoder, objectives, stack } = networks(DType::F32, decode);
        for objective in &objectives {
            let result = run(&autoencoder, &**objective, &stack, &options(Outside::Scan));
            let monitor = Monitor::default();
            let direct = objective.score(&tensor(&result.reconstruction), &monitor).expect("a score");
            assert!((direct.score - result.scores.reconstruction).abs() <= 1e-6, "{decode:?}: {}", direct.score);
            for (ours, direct) in result.reconstruction_logits.iter().zip(direct.logits.iter()) {
                assert!((ours - direct).abs() <= 1e-5, "{decode:?}: logit {ours}, {direct}");
            }
            // And so along lambda, where the work outside the slab is done once.
            let end = objective.score(&tensor(&result.frame(result.chosen)), &monitor).expect("a score").score;
            assert!((end - result.scores.counterfactual).abs() <= 1e-6, "{decode:?}: {end}");
            let whole = run(&autoencoder, &**objective, &stack, &options(Outside::Reconstruction));
            assert_ne!(whole.scores.reconstruction, result.scores.reconstruction, "another stack");
            assert_eq!(whole.scores.scan, result.scores.scan);
        }
    }
}

/// With the published decoding the classifier is fed half the contrast at every lambda: outside the slab too, or a slab would stand out
/// by its contrast alone.
#[test]
fn with_the_published_decoding_the_scan_outside_is_fed_in_decoded_units() {
    let Networks { autoencoder, objectives, stack } = networks(DType::F32, Decode::Reference);
    let result = run(&autoencoder, &*objectives[0], &stack, &options(Outside::Scan));
    for (decoded, unit) in outside_of(&result.reconstruction).iter().zip(outside_of(&result.stack)) {
        // Encoding's 2x - 1, and the published (y + 2) / 4.
        assert_eq!(*decoded, unit * 0.5 + 0.25);
    }
    let (ours, scan) = (outside_of(&result.reconstruction_hu()), outside_of(&result.original_hu()));
    let worst = ours.iter().zip(&scan).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= 1e-3, "off by {worst} HU: only rounding may differ");
}

#[test]
fn the_gradient_is_the_slope_of_the_score_with_the_scan_outside() {
    let exact = networks(DType::F64, Decode::Inverse);
    let single = networks(DType::F32, Decode::Inverse);
    let monitor = Monitor::default();
    let slab = exact.stack.narrow(0, SLAB.start, SLAB.len()).and_then(|slab| slab.contiguous()).expect("the slab");
    let latents = exact.autoencoder.encode(&slab, &support::unchecked).expect("latents");
    let around = |latents: &Tensor| {
        let plan = exact.autoencoder.decoder(latents.dims(), [SIDE, SIDE]).expect("a plan");
        let slab = support::output(&plan, latents);
        exact.stack.slice_scatter0(&slab, SLAB.start).expect("a stack")
    };
    for (objective, single_objective) in exact.objectives.iter().zip(&single.objectives) {
        let stack = around(&latents);
        let of_slab = objective.around(&stack, SLAB, &monitor).expect("a slab");
        let slices = stack.narrow(0, SLAB.start, SLAB.len()).expect("the slab");
        let (scored, gradient) =
            gradient(&exact.autoencoder, &*of_slab, &latents, &slices, &Chunk::of(2), &monitor).expect("a gradient");
        let norm = gradient.sqr().and_then(|g| g.sum_all()?.to_scalar::<f64>()).expect("a number").sqrt();
        let score = |step: f64| {
            let moved = (&gradient * (step / norm)).and_then(|way| &latents + way).expect("moved");
            objective.score(&around(&moved), &monitor).expect("a score").score
        };
        let slope = (score(STEP) - score(-STEP)) / (2.0 * STEP);
        assert!(norm > 0.0 && (slope - norm).abs() <= DIFFERENCE * norm, "{slope} is not {norm}");
        // The run has that gradient and that score, as f32 can.
        let result = run(&single.autoencoder, &**single_objective, &single.stack, &options(Outside::Scan));
        let ours = Tensor::from_slice(&result.gradient, &result.latent_shape, &Device::Cpu).expect("latents");
        let off = relative(&ours.to_dtype(DType::F64).expect("f64"), &gradient);
        assert!(off <= F32_GRADIENT, "off by {off:e}");
        assert!((result.scores.reconstruction - scored.score).abs() <= 1e-5);
    }
}

#[test]
fn calibration_is_of_the_slices_that_were_encoded() {
    let Networks { autoencoder, objectives, stack } = networks(DType::F32, Decode::Reference);
    let result = run(&autoencoder, &*objectives[1], &stack, &options(Outside::Scan));
    let [x, y] = [result.original_hu(), result.reconstruction_hu()]
        .map(|volume| result.slab_voxels().map(|i| f64::from(volume.voxels.at(i))).collect::<Vec<_>>());
    let n = x.len() as f64;
    let mean = |v: &[f64]| v.iter().sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let product =
        |a: &[f64], b: &[f64], ma: f64, mb: f64| a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>();
    let slope = product(&x, &y, mean_x, mean_y) / product(&x, &x, mean_x, mean_x);
    let [ours, offset] = result.calibration;
    assert!((ours - slope).abs() <= 1e-4 && (ours - 1.0).abs() > 0.01, "{ours}, {slope} in the slab");
    assert!((offset - (mean_y - slope * mean_x)).abs() <= 0.1, "{offset}");
}

/// Counts the slices that go through either half.
struct Counting {
    inner: Vqgan,
    encoded: AtomicUsize,
    decoded: AtomicUsize,
}

impl Autoencoder for Counting {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        self.encoded.fetch_add(stack.dim(0)?, Ordering::Relaxed);
        self.inner.encode(stack, check)
    }

    /// Each pass asks for its own.
    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        self.decoded.fetch_add(latents[0], Ordering::Relaxed);
        self.inner.decoder(latents, size)
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        self.inner.unit_from_decoded()
    }
}

#[test]
fn only_slices_of_the_slab_are_encoded_and_decoded() {
    for (outside, all) in [(Outside::Scan, SLAB.len()), (Outside::Reconstruction, SLICES)] {
        let Networks { autoencoder, objectives, stack } = networks(DType::F32, Decode::Inverse);
        let counting = Counting { inner: autoencoder, encoded: AtomicUsize::new(0), decoded: AtomicUsize::new(0) };
        let ranged = Options { range: Some([-2.0, 1.0]), ..options(outside) };
        let result = run(&counting, &*objectives[0], &stack, &ranged);
        assert_eq!(counting.encoded.into_inner(), all, "{outside:?}");
        // Once for lambda 0, then the slab for the gradient and for each other lambda.
        let lambdas = result.steps.iter().filter(|step| step.lambda != 0.0).count();
        assert_eq!(counting.decoded.into_inner(), all + SLAB.len() * (1 + lambdas), "{outside:?}");
    }
}

#[test]
fn where_every_slice_may_change_there_is_no_outside() {
    let Networks { autoencoder, objectives, stack } = networks(DType::F32, Decode::Reference);
    let [scan, whole] = Outside::ALL.map(|outside| {
        let monitor = Monitor::default();
        let (stack, options) = (volume(&stack), options(outside));
        explain(&stack, HU_FROM_UNIT, &autoencoder, &*objectives[0], None, &options, &monitor).expect("a run")
    });
    assert_eq!(format!("{scan:?}"), format!("{whole:?}"), "to the bit");
}

#[test]
fn a_search_reconstructs_outside_unless_it_is_told_not_to() {
    for search in SearchWay::ALL {
        assert_eq!(Options { search, ..Options::default() }.outside(), Outside::Reconstruction, "{search:?}");
    }
    for outside in Outside::ALL {
        let told = Options { search: SearchWay::Reference, outside: Some(outside), ..Options::default() };
        assert_eq!(told.outside(), outside);
    }
    // As sessions keep options: what there was before the choice is what it was.
    let mut saved = serde_json::to_value(Options::default()).expect("JSON");
    let read = |saved: &Value| serde_json::from_value::<Options>(saved.clone()).expect("options");
    assert_eq!(read(&saved), Options::default());
    saved["outside"] = json!("scan");
    assert_eq!(read(&saved).outside, Some(Outside::Scan));
    saved.as_object_mut().expect("an object").remove("outside");
    assert_eq!(read(&saved).outside, Some(Outside::Reconstruction));
}

/// `explain` of the slab with the tiny classifier.
fn explained(models: &TinyModels, more: &[&str]) -> Output {
    models.explain(&models.stack(SLICES)).args(more).output().expect("the binary runs")
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    (output.status.code(), text.concat())
}

const TOLD: [&str; 7] =
    ["--target=Fracture", "--slab=3:6", "--steps=3", "--drop=0.01", "--floor=0", "--max-change=1", "--json"];

#[test]
fn the_choice_is_recorded_and_a_result_of_either_is_repeated() {
    let models = TinyModels::new();
    let report = |more: &[&str]| -> Value {
        let output = explained(&models, &[TOLD.as_slice(), more].concat());
        assert!(output.status.success(), "{}", said(&output).1);
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let [scan, whole] = ["scan", "reconstruction"].map(|outside| report(&["--outside", outside]));
    assert_eq!((&scan["options"]["outside"], &whole["options"]["outside"]), (&json!("scan"), &json!("reconstruction")));
    assert_ne!(scan["scores"]["reconstruction"], whole["scores"]["reconstruction"]);
    assert_eq!(report(&[])["scores"], whole["scores"], "by default");
    assert_eq!(report(&["--search=reference"])["options"]["outside"], "reconstruction", "as published");

    let file = models.folder.path().join("record.json");
    let replay = |record: &Value| {
        std::fs::write(&file, record.to_string()).expect("written");
        said(&explained(&models, &["--replay", path(&file)]))
    };
    for record in [&scan, &whole] {
        let (code, said) = replay(record);
        assert!(code == Some(0) && said.contains("the same scores and lambdas"), "{said}");
    }
    // A result of before there was a choice.
    let older = |record: &Value| {
        let mut older = record.clone();
        older["version"] = json!(4);
        older["options"].as_object_mut().expect("an object").remove("outside");
        older
    };
    let (code, said) = replay(&older(&whole));
    assert!(code == Some(0), "{said}");
    let (code, said) = replay(&older(&scan));
    assert!(code == Some(1) && said.contains("score of the reconstruction: was"), "{said}");
    let mut odd = scan;
    odd["options"]["outside"] = json!("lungs");
    let (code, said) = replay(&odd);
    assert!(code == Some(3) && said.contains("slices outside the slab cannot be \"lungs\""), "{said}");
}

#[test]
fn the_words_of_a_run_say_what_the_slices_outside_are() {
    let models = TinyModels::new();
    for outside in Outside::ALL {
        let told = [&TOLD[..6], &["--outside", outside.name()]].concat();
        let (code, words) = said(&explained(&models, &told));
        assert!(code == Some(0) && words.contains(outside.describe()), "{words}");
    }
    let (_, words) = said(&explained(&models, &["--target=1", "--range=-1:0", "--steps=2"]));
    assert!(Outside::ALL.iter().all(|outside| !words.contains(outside.describe())), "all may change: {words}");
    let (code, words) = said(&explained(&models, &["--target=1", "--outside=air"]));
    assert!(code == Some(2) && words.contains("[possible values: scan, reconstruction]"), "{words}");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

fn is_chosen(window: &Window, label: &str) -> bool {
    window.get_by_label(label).accesskit_node().toggled() == Some(Toggled::True)
}

#[test]
fn the_window_has_the_choice_beside_the_slab_and_a_session_keeps_it() {
    let models = TinyModels::new();
    let mut before = window(start(&models, models.stack(SLICES)));
    until(&mut before, "the scan", |w| says(w, "the networks see") && says(w, "classifier.toml is loaded"));
    until(&mut before, "the autoencoder", |w| says(w, "autoencoder.toml is loaded"));
    assert!(before.query_by_label("as scanned").is_none(), "where all may change there is no outside");
    press(&mut before, "slab");
    assert!(is_chosen(&before, "reconstructed") && !is_chosen(&before, "as scanned"));
    press(&mut before, "as scanned");
    assert!(is_chosen(&before, "as scanned") && !is_chosen(&before, "reconstructed"));
    click(&mut before, "Compute counterfactual");
    until(&mut before, "the counterfactual", |w| says(w, "Stopped because"));
    let session = models.folder.path().join("kept.parallax");
    type_path(&mut before, "Save session as", &session);
    until(&mut before, "the session", |w| says(w, "Saved "));

    let mut after = window(Start { scan: Some(session), ..Start::default() });
    until(&mut after, "the result", |w| says(w, "Stopped because"));
    unfold(&mut after, "counterfactual");
    assert!(is_chosen(&after, "as scanned") && !is_chosen(&after, "reconstructed"));
    press(&mut after, "Provenance");
    until(&mut after, "the provenance", |w| says(w, "Outside the slab"));
    let shown = texts(&after);
    let name = shown.iter().position(|text| text == "Outside the slab").expect("it is shown");
    assert_eq!(shown[name + 1], "scan");
}
