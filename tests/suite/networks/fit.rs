//! Whether networks suit a scan: phantoms whose truth is known, the real binary.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use glam::{DAffine3, DMat3, DVec3};
use parallax::fit::{self, Asked, Basis, Coverage, Fit, words};
use parallax::graph::ops::{Arithmetic, Reduction};
use parallax::graph::{Check, Error, Graph, Plan};
use parallax::io::{Among, Geometry, Note, Scan, Weight};
use parallax::job::Monitor;
use parallax::latent_shift::Options;
use parallax::models::{Autoencoder, Classifier, Probabilities, TrainedOn};
use parallax::pipeline::{self, Input, Model, SelfCheck};
use parallax::preprocess::Recipe;
use parallax::volume::{Grid, Volume};

use crate::support;
use crate::tiny_models::TinyModels;

const SHAPE: [usize; 3] = [60, 50, 80];
/// Between voxels of the block, of the scan and of its recipe.
const MM: f64 = 2.0;

/// A block of tissue in air: 5..50 of 60 towards the right, 5..45 of 50 towards the front, 10..80 of 80 towards the head. Of each of its
/// planes 15 of 45 columns are bone of 500 HU, and 300 of 1800 voxels within are lung of -900 HU; the rest is 40 HU.
fn block(spacing_mm: [f64; 3]) -> Volume {
    let [ni, nj, nk] = SHAPE;
    let hu = |at: usize| {
        let (i, j, k) = (at % ni, at / ni % nj, at / (ni * nj));
        match () {
            () if !(5..50).contains(&i) || !(5..45).contains(&j) || k < 10 => -1000.0,
            () if i >= 35 => 500.0,
            () if (15..25).contains(&i) && (10..40).contains(&j) => -900.0,
            () => 40.0,
        }
    };
    let matrix = DMat3::from_diagonal(DVec3::from_array(spacing_mm));
    let grid = Grid { shape: SHAPE, world_from_voxel: DAffine3::from_mat3(matrix) };
    Volume::from_f32(grid, (0..ni * nj * nk).map(hu).collect::<Vec<f32>>())
}

fn prepared(volume: Volume, recipe: &Recipe) -> Input {
    let scan = Scan {
        volume,
        source: "a block".into(),
        format: "a test".to_owned(),
        geometry: Geometry::Sform,
        notes: Vec::new(),
        window_hu: None,
        study: None,
        among: Among::default(),
    };
    pipeline::prepare(&Arc::new(scan), recipe, &Monitor::default()).expect("prepared")
}

/// An autoencoder that keeps every voxel and gives 0.9 of it and 0.1 more.
struct Pale {
    /// Whether it says that no memory holds it.
    refused: bool,
}

impl Autoencoder for Pale {
    fn encode(&self, stack: &Tensor, _: Check<'_>) -> Result<Tensor, Error> {
        Ok(stack.clone())
    }

    fn decoder(&self, latents: &[usize], _: [usize; 2]) -> candle_core::Result<Plan> {
        let mut g = Graph::new();
        let z = g.input();
        let y = g.affine(z, 0.9, 0.1);
        Plan::new(&g.finish(&[y]), &[latents], DType::F32)
    }

    fn plans(&self, slices: &[usize; 4]) -> candle_core::Result<Vec<(&'static str, Plan)>> {
        if self.refused {
            candle_core::bail!("it takes 9 TB; choose another");
        }
        let plan = self.decoder(slices, [slices[2], slices[3]])?;
        Ok(vec![("encoder", plan.clone()), ("decoder", plan)])
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        [1.0, 0.0]
    }
}

fn model<N: ?Sized>(network: Arc<N>, recipe: &Recipe, trained_on: Option<TrainedOn>) -> Arc<Model<N>> {
    let name = "card.toml".to_owned();
    let self_check = SelfCheck::NotNeeded;
    Arc::new(Model {
        network,
        name,
        sha256: String::new(),
        recipe: recipe.clone(),
        trained_on,
        self_check,
        head: None,
        left_open: None,
    })
}

/// Two scores: the mean of the stack, and that of its square.
fn classifier(recipe: &Recipe) -> Classifier {
    let mut g = Graph::new();
    let x = g.input();
    let square = g.pairwise(Arithmetic::Multiply, x, x);
    let means = [x, square].map(|x| g.reduce(Reduction::Mean, x, &[0, 2, 3], true));
    let both = g.concat(&means, 1);
    let logits = g.reshape(both, &[Some(1), Some(2)]);
    let labels = vec!["mean".to_owned(), "square".to_owned()];
    Classifier::new(g.finish(&[logits]), recipe, labels, Probabilities::None, DType::F32, &Device::Cpu)
}

fn asked(recipe: &Recipe, trained_on: Option<TrainedOn>) -> Asked {
    let autoencoder: Arc<dyn Autoencoder> = Arc::new(Pale { refused: false });
    Asked {
        autoencoder: Some(model(autoencoder, recipe, trained_on)),
        classifier: Some(model(Arc::new(classifier(recipe)), recipe, trained_on)),
        segmenter: None,
        embedder: None,
        slab: None,
        options: Options::default(),
    }
}

fn own(size: [usize; 3]) -> Recipe {
    Recipe { spacing_mm: [MM; 3], size, hu: [-800.0, 400.0], ..Recipe::default() }
}

fn fitted(volume: Volume, recipe: &Recipe, trained_on: Option<TrainedOn>) -> Fit {
    fit::fit(&prepared(volume, recipe), &asked(recipe, trained_on), &Monitor::default()).expect("a fit")
}

fn coverage(size: [usize; 3]) -> Coverage {
    let mut fit = fitted(block([MM; 3]), &own(size), None);
    assert_eq!(fit.networks.len(), 1, "two networks of one recipe are one");
    fit.networks.remove(0).coverage
}

fn find<'a>(notes: &'a [Note], words: &str) -> &'a Note {
    notes.iter().find(|note| note.text.contains(words)).unwrap_or_else(|| panic!("{words}: {notes:#?}"))
}

#[test]
fn a_body_cut_by_a_known_number_of_mm_is_said_to_be() {
    let whole = coverage([0; 3]);
    assert_eq!((whole.body_share, whole.cut.len(), whole.padding_share), (Some(1.0), 0, 0.0));
    // 30 of 60 columns from 15 on, 40 of 80 slices from 20 on: of the body 10 and 5 columns, and 10 and 20 slices, lie outside.
    let cut = coverage([30, 0, 40]);
    let ends: Vec<(&str, i64)> = cut.cut.iter().map(|end| (end.towards, end.mm.round() as i64)).collect();
    assert_eq!(ends, [("S", 40), ("L", 20), ("I", 20), ("R", 10)]);
    let share = 30.0 * 40.0 / (45.0 * 70.0);
    assert!((cut.body_share.expect("a body") - share).abs() < 1e-9, "{cut:?}");
    let fit = fitted(block([MM; 3]), &own([30, 0, 40]), None);
    let notes = words::notes(&fit);
    assert_eq!(
        (notes[0].weight, notes[0].text.as_str()),
        (
            Weight::Serious,
            "the recipe's crop leaves out 40 mm of the upper body (superior), 20 mm at the left, 20 mm of the lower body (inferior) \
             and 10 mm at the right: the network sees 38 % of the body"
        )
    );
    assert!(notes.is_sorted_by_key(|note| note.weight));
}

#[test]
fn padding_is_said_to_be() {
    let padded = coverage([240, 50, 80]);
    assert_eq!((padded.body_share, padded.padding_share), (Some(1.0), 0.75));
    let fit = fitted(block([MM; 3]), &own([240, 50, 80]), None);
    let notes = words::notes(&fit);
    let note = find(&notes, "sees 100 % of the body; 75 % of what the network is given is padding");
    assert_eq!(note.weight, Weight::Caution);
}

#[test]
fn a_window_that_clips_a_known_share_is_said_to() {
    let fit = fitted(block([MM; 3]), &own([0; 3]), None);
    let of = fit.networks[0].intensities.as_ref().expect("a body");
    let [below, above] = [300.0 / 1800.0, 15.0 / 45.0];
    assert!((of.windows[0].below - below).abs() < 1e-9 && (of.windows[0].above - above).abs() < 1e-9, "{of:?}");
    let mean = -900.0 * below + 500.0 * above + 40.0 * (1.0 - below - above);
    assert!((of.mean_hu - mean).abs() < 1e-3 && of.range_hu == [-900.0, 500.0], "{of:?}");
    let notes = words::notes(&fit);
    let note = find(
        &notes,
        "-800 to 400 HU clips 17 % of the body below and 33 % above; what HU the network was trained on is not stated",
    );
    assert_eq!(note.weight, Weight::Fact);
}

#[test]
fn intensities_unlike_those_of_the_training_are_said_to_be() {
    let stated =
        |mean: f64| TrainedOn { mean: Some(mean), deviation: Some(200.0), low: Some(-950.0), high: Some(300.0) };
    let mean = -900.0 / 6.0 + 500.0 / 3.0 + 40.0 / 2.0;
    let near = fitted(block([MM; 3]), &own([0; 3]), Some(stated(mean + 20.0)));
    let of = near.networks[0].intensities.as_ref().and_then(|of| of.training).expect("a training");
    assert!((of.mean_off.expect("a mean") + 0.1).abs() < 1e-5, "{of:?}");
    assert!((of.beyond.expect("a range") - 1.0 / 3.0).abs() < 1e-9, "bone lies beyond: {of:?}");
    let notes = words::notes(&near);
    assert_eq!(
        find(&notes, "33 % lie beyond its -950 to 300 HU, where about 1 % of the training's did").weight,
        Weight::Caution
    );
    let far = fitted(block([MM; 3]), &own([0; 3]), Some(stated(mean + 1000.0)));
    assert_eq!(find(&words::notes(&far), "the means differ by 5.0 deviations").weight, Weight::Serious);
}

#[test]
fn slices_made_up_between_others_are_said_to_be() {
    let recipe = Recipe { spacing_mm: [MM, MM, 1.0], size: [0, 0, 100], ..own([0; 3]) };
    let fit = fitted(block([MM, MM, 5.0]), &recipe, None);
    assert!((fit.networks[0].sampling.made_of_one(2) - 5.0).abs() < 1e-9, "{:?}", fit.networks[0].sampling);
    let notes = words::notes(&fit);
    let text =
        "a voxel every 5.0 mm from foot to head, the network is given one every 1.0 mm: 80 % of them are made up";
    assert_eq!(find(&notes, text).weight, Weight::Caution);
    let coarse = fitted(block([MM, MM, 5.0]), &Recipe { spacing_mm: [MM, MM, 4.0], ..own([0; 3]) }, None);
    assert!(!words::notes(&coarse).iter().any(|note| note.text.contains("made up")));
}

#[test]
fn an_autoencoder_of_known_slope_and_offset_is_said_to_be() {
    let recipe = own([0; 3]);
    let (input, asked) = (prepared(block([MM; 3]), &recipe), asked(&recipe, None));
    let kept = fit::kept(&input, &asked, None, &Monitor::default()).expect("a reconstruction");
    // 0.9 x + 0.1 of a window of -800 to 400 HU is 0.9 HU + 40.
    assert!((kept.slope - 0.9).abs() < 1e-5 && (kept.offset_hu - 40.0).abs() < 1e-2, "{kept:?}");
    let stack: Vec<f64> = input.prepared.volume.voxels.iter().map(f64::from).collect();
    let mean = |of: &dyn Fn(f64) -> f64| stack.iter().map(|x| of(*x)).sum::<f64>() / stack.len() as f64;
    let error = mean(&|x| (0.1 - 0.1 * x).powi(2));
    assert!((kept.psnr_db + 10.0 * error.log10()).abs() < 1e-3, "{kept:?}");
    let [score] = kept.scores.as_slice() else { panic!("the highest moves most: {kept:?}") };
    let before = mean(&|x| x);
    assert_eq!(score.label, "mean");
    assert!(
        (score.scan - before).abs() < 1e-5 && (score.reconstruction - (0.9 * before + 0.1)).abs() < 1e-5,
        "{score:?}"
    );
    let target = fit::kept(&input, &asked, Some(1), &Monitor::default()).expect("a reconstruction");
    let labels: Vec<&str> = target.scores.iter().map(|of| of.label.as_str()).collect();
    assert_eq!(labels, ["square", "mean"], "the class that is explained comes first, then what moved most");
    let notes = words::kept_notes(&kept);
    find(&notes, "reconstruction = 0.90 * scan +40 HU");
}

#[test]
fn a_cancelled_look_is_cancelled() {
    let recipe = own([0; 3]);
    let (input, asked) = (prepared(block([MM; 3]), &recipe), asked(&recipe, None));
    let monitor = Monitor::default();
    monitor.cancel();
    for error in [fit::fit(&input, &asked, &monitor).err(), fit::kept(&input, &asked, None, &monitor).err()] {
        assert!(error.expect("cancelled").is::<parallax::job::Cancelled>());
    }
}

#[test]
fn a_run_costs_what_its_passes_do() {
    let fit = fitted(block([MM; 3]), &own([0; 3]), None);
    let names: Vec<&str> = fit.cost.passes.iter().map(|pass| pass.name).collect();
    assert_eq!((names.as_slice(), fit.cost.refused.as_ref()), (["encoder", "decoder", "classifier"].as_slice(), None));
    let of_all = fit.cost.run.expect("a run");
    assert_eq!((of_all.basis, of_all.slices, of_all.gradients), (Basis::Timed, 80, 5));
    let few = fit.cost.of_run(4, &Options::default());
    let run = few.run.expect("a run");
    assert!(run.secs < of_all.secs && few.peak_bytes < fit.cost.peak_bytes, "{run:?}, {of_all:?}");
    let swept = fit.cost.of_run(4, &Options { range: Some([-1.0, 1.0]), ..Options::default() }).run.expect("a run");
    assert_eq!((swept.trials, swept.gradients), (0, 1));
    find(&words::notes(&fit), "a counterfactual of which 80 slices may change takes");
}

#[test]
fn work_is_counted_by_multiply_adds() {
    let weight = Tensor::ones((4, 2, 3, 3), DType::F32, &Device::Cpu).expect("weights");
    let mut g = Graph::new();
    let x = g.input();
    let conv = parallax::graph::ops::Conv::new(&weight, None).expect("a convolution").padded([0, 1, 1]);
    let y = g.conv(x, conv);
    let plan = Plan::new(&g.finish(&[y]), &[&[1, 2, 8, 8]], DType::F32).expect("a plan");
    let outputs = 4.0 * 64.0;
    assert_eq!(plan.work(), outputs * (2.0 * 9.0) + outputs * 16.0);
    assert_eq!(plan.work_before(1), 0.0);
}

fn parallax(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_command_says_what_fits_in_lines_and_in_json() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_lps.nii.gz");
    let (autoencoder, classifier) = (models.card("autoencoder"), models.card("classifier"));
    let base = ["fit", plain(&scan), plain(&classifier), plain(&autoencoder)];
    let lines = parallax(&base);
    assert!(lines.status.success(), "{}", said(&lines));
    let text = said(&lines);
    for part in
        ["of the body", "what HU the network was trained on is not stated in the card", "of memory", "may change takes"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("PSNR"), "only where it is asked for");
    let json =
        parallax(&[base.as_slice(), &["--reconstruct", "--target", "Fracture", "--slab", "2:4", "--json"]].concat());
    let facts: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap_or_else(|_| panic!("{}", said(&json)));
    assert_eq!(facts["kept"]["scores"][0]["label"], "Fracture");
    assert_eq!(facts["cost"]["run"]["slices"], 2);
    assert!(facts["networks"][0]["coverage"]["body_share"].as_f64().is_some_and(|share| share > 0.0), "{facts}");
    assert_eq!(facts["networks"][0]["names"], serde_json::json!(["autoencoder.toml", "classifier.toml"]));
    assert!(facts["notes"].as_array().is_some_and(|notes| notes.len() > 4));
    let usage = |args: &[&str]| {
        let output = parallax(&[&["fit", plain(&scan)], args].concat());
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    };
    usage(&[]);
    usage(&[plain(&classifier), "--reconstruct"]);
    usage(&[plain(&autoencoder), plain(&autoencoder)]);
    let beyond = parallax(&[base.as_slice(), &["--slab", "2:4000"]].concat());
    assert!(beyond.status.code() == Some(3) && said(&beyond).contains("slab 2:4000 does not fit"), "{}", said(&beyond));
}

#[test]
fn memory_bounds_preparation_too() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_permuted.nii.gz");
    let out = models.folder.path().join("stack.safetensors");
    // 30 slices of 224 x 224 numbers are 6 MB.
    let prepare = |most: &str| parallax(&["prepare", plain(&scan), "--out", plain(&out), "--memory", most]);
    let refused = prepare("5MB");
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    let text = said(&refused);
    assert!(text.contains("on 224 x 224 x 30 voxels of 1.50 x 1.50 x 3.00 mm it takes 7 MB of memory"), "{text}");
    assert!(text.contains("can have 5 MB; set a larger recipe.spacing_mm") && text.contains("--memory"), "{text}");
    assert!(!out.exists());
    let done = prepare("100MB");
    assert!(done.status.success() && out.exists(), "{}", said(&done));
    let predict =
        parallax(&["predict", plain(&scan), "--classifier", plain(&models.card("classifier")), "--memory", "5MB"]);
    assert!(
        predict.status.code() == Some(3) && said(&predict).contains("it takes 7 MB of memory"),
        "{}",
        said(&predict)
    );
}

#[test]
fn too_little_memory_is_said_before_anything_runs_with_what_to_do() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_permuted.nii.gz");
    // Preparation fits into so much, and the program itself leaves nothing of it to a run.
    let output = parallax(&["fit", plain(&scan), plain(&models.card("classifier")), "--memory", "12MB"]);
    let text = said(&output);
    assert!(output.status.success() && text.contains("caution: a run takes about "), "{text}");
    assert!(
        text.contains("0 MB are free; close what else uses memory, let fewer slices change, or set a smaller"),
        "{text}"
    );
}

#[test]
fn networks_that_cannot_run_are_said_to_be_before_anything_runs() {
    let recipe = own([0; 3]);
    let refused: Arc<dyn Autoencoder> = Arc::new(Pale { refused: true });
    let asked = Asked { autoencoder: Some(model(refused, &recipe, None)), ..asked(&recipe, None) };
    let fit = fit::fit(&prepared(block([MM; 3]), &recipe), &asked, &Monitor::default()).expect("a fit");
    let notes = words::notes(&fit);
    let text = "these networks cannot run on this scan: it takes 9 TB; choose another";
    assert!(notes[0].weight == Weight::Serious && notes[0].text.contains(text), "{notes:#?}");
    assert!(fit.cost.run.is_none() && fit.networks.len() == 1, "what is seen is said all the same");
}

#[test]
fn what_needs_attention_has_a_few_words_and_a_fact_has_none() {
    let few = |size: [usize; 3], trained_on: Option<TrainedOn>| {
        let told = words::told(&fitted(block([MM; 3]), &own(size), trained_on));
        assert!(told.iter().all(|told| told.short.is_empty() == (told.note.weight == Weight::Fact)), "{told:#?}");
        told[0].short.clone()
    };
    assert_eq!(few([0; 3], None), "");
    assert_eq!(few([30, 0, 40], None), "sees 38 % of the body");
    assert_eq!(few([240, 50, 80], None), "75 % is padding");
    let far = TrainedOn { mean: Some(5000.0), deviation: Some(200.0), low: None, high: None };
    assert_eq!(few([0; 3], Some(far)), "HU unlike its training's");
}
