//! The likeness of two scans as a score: its gradient, and runs towards another scan.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use egui::accesskit::Role;
use egui_kittest::kittest::Queryable;
use parallax::graph::Graph;
use parallax::graph::ops::{AtZero, Conv};
use parallax::job::Monitor;
use parallax::latent_shift::objective::Objective;
use parallax::latent_shift::toward::Toward;
use parallax::latent_shift::{Error, ScoreKind};
use parallax::models::Embedder;
use parallax::pipeline;
use parallax::preprocess::Recipe;
use parallax::ui::{Ask, Start};
use parallax::volume::Volume;
use serde_json::{Value, json};

use crate::networks::cards::{BLOCKS, Files, scan};
use crate::networks::gradients::random;
use crate::schema::breaches;
use crate::support;
use crate::window::driven::{click, open_with, says, type_path, until};

/// Central differences of step 1e-5 in f64 err by about 1e-10.
const DIFFERENCE: f64 = 1e-8;
const STEP: f64 = 1e-5;
const STACK: [usize; 4] = [4, 1, 6, 5];
const NUMBERS: usize = 12;

/// Of a stack, with a kink where nothing here stands: an embedding of twelve numbers.
fn embedder(scale: f64) -> Arc<Embedder> {
    let graph: Graph = support::graph_of(|g, x| {
        let volume = g.permute(x, &[1, 0, 2, 3]);
        let volume = g.reshape(volume, &[Some(1), Some(1), Some(4), Some(6), Some(5)]);
        let first = Conv::new(&(random(&[3, 1, 3, 3, 3], 5) * scale).expect("weights"), None).expect("a convolution");
        let y = g.conv(volume, first.padded([1; 3]));
        let y = g.relu(y, AtZero::Nothing);
        let last = Conv::new(&random(&[NUMBERS, 3, 4, 6, 5], 6), None).expect("a convolution");
        let y = g.conv(y, last);
        g.reshape(y, &[Some(1), None])
    });
    // Its window is 0 to 1, as the stack's: nothing stands between them.
    let recipe = Recipe { hu: [0.0, 1.0], ..Recipe::default() };
    Arc::new(Embedder::new(graph, &recipe, DType::F64, &Device::Cpu))
}

fn other() -> Vec<f64> {
    random(&[NUMBERS], 9).to_vec1().expect("numbers")
}

#[test]
fn the_gradient_of_the_cosine_agrees_with_central_differences() {
    let monitor = Monitor::default();
    for scale in [1.0, 1e-150] {
        // As small as that its squares are beyond f64.
        let objective = Toward::new(embedder(scale), &other()).expect("an embedding");
        assert_eq!(objective.kind(), ScoreKind::Cosine);
        let stack = random(&STACK, 7);
        let whole = objective.around(&stack, 0..4, &monitor).expect("a scorer");
        let (scored, gradient) = whole.gradient(&stack, &monitor).expect("a gradient");
        let score = |stack: &Tensor| objective.score(stack, &monitor).expect("a score").score;
        assert_eq!(scored.score.to_bits(), score(&stack).to_bits());
        assert!(scored.score.abs() < 0.99 && scored.logits.is_empty(), "{}", scored.score);
        let exact: Vec<f64> = gradient.flatten_all().and_then(|t| t.to_vec1()).expect("f64");
        let values: Vec<f64> = stack.flatten_all().and_then(|t| t.to_vec1()).expect("f64");
        for i in (0..values.len()).step_by(7) {
            let moved = |by: f64| {
                let mut values = values.clone();
                values[i] += by;
                score(&Tensor::from_vec(values, &STACK, &Device::Cpu).expect("a stack"))
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!((slope - exact[i]).abs() <= DIFFERENCE, "{i}: {} by the tape, {slope} by differences", exact[i]);
        }
        // A slab's score and gradient are those of the whole stack.
        let part = |all: &Tensor| all.narrow(0, 1, 2).and_then(|part| part.contiguous()).expect("a slab");
        let around = objective.around(&stack, 1..3, &monitor).expect("a scorer");
        assert_eq!(around.score(&part(&stack), &monitor).expect("a score").score.to_bits(), scored.score.to_bits());
        let (_, of_slab) = around.gradient(&part(&stack), &monitor).expect("a gradient");
        assert!(support::worst(&of_slab, &part(&gradient)) <= DIFFERENCE);
    }
}

#[test]
fn a_cosine_is_1_of_what_points_the_same_way_and_minus_1_of_its_opposite() {
    let monitor = Monitor::default();
    let stack = random(&STACK, 7);
    let own = embedder(1.0).plan(&STACK).map(|plan| support::output(&plan, &stack)).expect("an embedding");
    let own: Vec<f64> = own.flatten_all().and_then(|own| own.to_vec1()).expect("numbers");
    for (times, wanted) in [(3.0, 1.0), (-0.5, -1.0)] {
        let other: Vec<f64> = own.iter().map(|x| times * x).collect();
        let score = Toward::new(embedder(1.0), &other).and_then(|it| it.score(&stack, &monitor)).expect("a score");
        assert!((score.score - wanted).abs() < 1e-12, "{}", score.score);
    }
}

#[test]
fn what_has_no_direction_or_another_length_is_refused_in_words() {
    let monitor = Monitor::default();
    let refused = |other: &[f64]| Toward::new(embedder(1.0), other).err().expect("refused");
    assert!(matches!(refused(&[0.0; NUMBERS]), Error::NoDirection("the scan that it is compared with")));
    assert!(matches!(refused(&[f64::NAN; NUMBERS]), Error::NotFinite(_)));
    let objective = Toward::new(embedder(1.0), &other()[..5]).expect("five numbers");
    let error = objective.score(&random(&STACK, 7), &monitor).expect_err("twelve numbers");
    assert!(error.to_string().contains("has 12 numbers and the one that it is compared with 5 numbers"), "{error}");
    let nothing = random(&STACK, 7).zeros_like().expect("zeros");
    let objective = Toward::new(embedder(1.0), &other()).expect("an embedding");
    let error = objective.score(&nothing, &monitor).expect_err("no direction");
    assert!(error.to_string().contains("the embedding of this scan has no length"), "{error}");
}

/// The means of blocks are the embedding of a scan.
const MEANS: &str = "role = \"embedder\"\nweights = \"blocks_encoder.onnx\"\n[recipe]\naxes = \"RAS\"\n\
                     spacing_mm = [11, 13, 12]\nrange = [-1, 1]\n";

fn text(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

struct Runs {
    files: Files,
    autoencoder: PathBuf,
    embedder: PathBuf,
}

impl Runs {
    fn new() -> Self {
        let files = Files::new();
        let (autoencoder, embedder) = (files.card("b.toml", BLOCKS), files.card("e.toml", MEANS));
        Self { files, autoencoder, embedder }
    }

    fn explain(&self, toward: &Path, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_parallax"))
            .arg("explain")
            .arg(scan())
            .args(["--autoencoder", text(&self.autoencoder), "--embedder", text(&self.embedder)])
            .args(["--toward", text(toward)])
            .args(more)
            .output()
            .expect("the binary runs")
    }
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

fn another_scan() -> PathBuf {
    support::data("nifti/syn_float_qform.nii.gz")
}

/// The means of blocks of 2 x 2 x 2 of a prepared scan, in some order.
fn means(volume: &Volume) -> Vec<f64> {
    let [columns, rows, slices] = volume.grid.shape.map(|side| side / 2);
    let mean = |block: usize| {
        let [i, j, k] = [block % columns, block / columns % rows, block / (columns * rows)].map(|at| 2 * at);
        let corner = |c: usize| {
            let (i, j, k) = (i + (c & 1), j + (c >> 1 & 1), k + (c >> 2 & 1));
            f64::from(volume.voxels.at((k * 2 * rows + j) * 2 * columns + i)) * 2.0 - 1.0
        };
        (0..8).map(corner).sum::<f64>() / 8.0
    };
    (0..columns * rows * slices).map(mean).collect()
}

#[test]
fn a_run_goes_towards_another_scan_or_away_from_it_and_is_repeated_by_its_record() {
    let runs = Runs::new();
    let nearer = report(&runs.explain(&another_scan(), &["--steps", "3", "--json"]));
    let monitor = Monitor::default();
    let recipe = pipeline::recipe(&runs.embedder).expect("a recipe");
    let [this, that] = [scan(), another_scan()].map(|path| pipeline::open(&path, &recipe, &monitor).expect("a scan"));
    // The cosine, by hand: f32 sums of the network against f64.
    let [a, b] = [&this, &that].map(|input| means(&input.prepared.volume));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
    let score = |report: &Value, of: &str| report["scores"][of].as_f64().expect("a score");
    assert!((score(&nearer, "scan") - cosine).abs() < 1e-5, "{} and {cosine}", score(&nearer, "scan"));
    assert!(score(&nearer, "counterfactual") > score(&nearer, "reconstruction") + 1e-4, "{nearer:#}");
    assert_eq!(nearer["toward"], json!({"sha256": that.sha256(), "stored": false}));
    assert_eq!((&nearer["score_kind"], &nearer["terms"]), (&json!("cosine"), &json!([])));
    assert_eq!((&nearer["options"]["drop"], &nearer["options"]["floor"]), (&json!(-0.8), &json!(0.001)));
    assert!(!nearer.to_string().contains("syn_float_qform"), "no name of the other scan");
    let schema: Value = serde_json::from_str(include_str!("../../../assets/result.schema.json")).expect("JSON");
    assert_eq!(breaches(&schema, &nearer), Vec::<String>::new());
    let away = report(&runs.explain(&another_scan(), &["--drop", "0.01", "--steps", "3", "--json"]));
    assert!(score(&away, "counterfactual") < score(&away, "reconstruction") - 1e-4, "{away:#}");

    let record = runs.files.path("record.json");
    std::fs::write(&record, nearer.to_string()).expect("written");
    let again = runs.explain(&another_scan(), &["--replay", text(&record)]);
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && said.contains("cosine of the counterfactual"), "{said}");
    let other = runs.explain(&support::data("nifti/syn_lps.nii.gz"), &["--replay", text(&record)]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(other.status.code() == Some(3) && said.contains("what the scan is compared with: SHA-256 was"), "{said}");
}

/// A file of NumPy's format, version 1.0.
fn npy(numbers: &[f64]) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': (1, {}), }}\n", numbers.len());
    let length = (header.len() as u16).to_le_bytes();
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), &numbers].concat()
}

#[test]
fn a_stored_embedding_stands_for_the_scan_that_it_is_of() {
    let runs = Runs::new();
    let monitor = Monitor::default();
    let model = pipeline::load_embedder(&runs.embedder, &monitor).unwrap_or_else(|e| panic!("{e:#}"));
    let that = pipeline::open(&another_scan(), &model.recipe, &monitor).expect("a scan");
    let volume = &that.prepared.volume;
    let [width, height, slices] = volume.grid.shape;
    let stack = Tensor::from_iter(volume.voxels.iter(), &Device::Cpu);
    let stack = stack.and_then(|stack| stack.reshape((slices, 1, height, width))).expect("a stack");
    let embedding = model.network.plan(stack.dims()).map(|plan| support::output(&plan, &stack)).expect("a plan");
    let numbers: Vec<f32> = embedding.flatten_all().and_then(|t| t.to_vec1()).expect("numbers");
    let told = ["--range=-0.1:0.1", "--steps", "2", "--json"];
    let wanted = report(&runs.explain(&another_scan(), &told));
    let array = runs.files.path("e.npy");
    std::fs::write(&array, npy(&numbers.iter().map(|x| f64::from(*x)).collect::<Vec<_>>())).expect("written");
    let tensor = runs.files.path("e.safetensors");
    candle_core::safetensors::save(&[("any name".to_owned(), embedding)].into(), &tensor).expect("written");
    for path in [array, tensor] {
        let got = report(&runs.explain(&path, &told));
        assert_eq!(got["scores"], wanted["scores"], "{}", path.display());
        assert_eq!(got["toward"]["stored"], json!(true));
        assert_eq!(got["target"], json!("cosine similarity to a stored embedding"));
    }
    let short = runs.files.path("short.npy");
    std::fs::write(&short, npy(&[1.0, 2.0])).expect("written");
    let zero = runs.files.path("zero.npy");
    std::fs::write(&zero, npy(&vec![0.0; numbers.len()])).expect("written");
    for (path, words) in [(short, "compared with 2 numbers"), (zero, "has no length, so no angle")] {
        let refused = runs.explain(&path, &told);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(3) && said.contains(words), "{said}");
    }
}

#[test]
fn the_window_asks_for_the_other_scan_and_shows_the_cosine() {
    let runs = Runs::new();
    let start = Start { scan: Some(scan()), autoencoder: Some(runs.autoencoder.clone()), ..Start::default() };
    let mut window = open_with(start, vec![(Ask::Toward, another_scan())]);
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    until(&mut window, "the autoencoder", |w| says(w, "b.toml is loaded"));
    click(&mut window, "likeness");
    until(&mut window, "the embedder's field", |w| w.query_by_role_and_label(Role::TextInput, "Embedder").is_some());
    type_path(&mut window, "Embedder", &runs.embedder);
    until(&mut window, "the embedder", |w| says(w, "e.toml is loaded"));
    until(&mut window, "what is missing", |w| says(w, "Choose the scan to compare with first"));
    click(&mut window, "Browse for other scan");
    until(&mut window, "the other scan", |w| !says(w, "Choose the scan to compare with first"));
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the result", |w| says(w, "Counterfactual at λ"));
    assert!(says(&window, "cosine similarity to another scan") && says(&window, "Cosine similarity along lambda"));
    assert!(!says(&window, "Scores as"), "a cosine has no logit");
}
