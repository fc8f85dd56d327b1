//! Networks of a recipe of their own, the demo that comes with the program, and phantoms on the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use egui_kittest::kittest::{NodeT, Queryable};
use parallax::demo;
use parallax::job::Monitor;
use parallax::session::Session;
use parallax::session::explained::Explained;
use parallax::session::worker::Worker;
use parallax::settings::Settings;
use parallax::ui::Start;
use parallax::volume::phantom::{Mask, phantom};

use crate::support;
use crate::tiny_models::TinyModels;
use crate::window::driven::{click, says, start, texts, until, window};

fn parallax(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

fn assert_fails(args: &[&str], code: i32, words: &str) {
    let output = parallax(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
}

/// The same card with a recipe: slices of 32 x 32 pixels, each 10.5 mm wide and 12 mm thick.
fn coarse(models: &TinyModels, name: &str) -> PathBuf {
    let card = models.card(name);
    let text = std::fs::read_to_string(&card).expect("readable");
    let coarse = card.with_file_name(format!("coarse_{name}.toml"));
    let recipe = "[recipe]\nspacing_mm = [10.5, 10.5, 12.0]\nside = 32\n";
    std::fs::write(&coarse, format!("{text}\n{recipe}")).expect("written");
    coarse
}

#[test]
fn prepare_follows_the_recipe_of_a_card() {
    let models = TinyModels::new();
    let folder = tempfile::tempdir().expect("a folder");
    let scan = support::data("nifti/syn_permuted.nii.gz");
    let shape = |card: &[&str], name: &str| {
        let out = folder.path().join(name);
        let output = parallax(&[&["prepare", path(&scan), "--out", path(&out)], card].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        support::tensors(&out)["stack"].dims().to_vec()
    };
    let published = shape(&[], "published.safetensors");
    let coarse = coarse(&models, "autoencoder");
    let coarse = shape(&["--card", path(&coarse)], "coarse.safetensors");
    assert_eq!(&published[1..], [1, 224, 224]);
    assert_eq!(&coarse[1..], [1, 32, 32]);
    // Slices of 12 mm for those of 3 mm: a quarter as many, but for the ends.
    assert!(coarse[0].abs_diff(published[0].div_ceil(4)) <= 1, "{published:?} {coarse:?}");
}

#[test]
fn networks_that_were_trained_on_different_scans_run_together() {
    let models = TinyModels::new();
    let (scan, coarse) = (support::data("nifti/syn_permuted.nii.gz"), coarse(&models, "autoencoder"));
    let (classifier, folder) = (models.card("classifier"), tempfile::tempdir().expect("a folder"));
    let out = folder.path().join("out");
    let networks = ["explain", path(&scan), "--autoencoder", path(&coarse), "--classifier", path(&classifier)];
    let run = parallax(&[&networks[..], &["--target", "1", "--out", path(&out)]].concat());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("result.json")).expect("a report")).expect("json");
    assert!(report["scores"]["counterfactual"].as_f64().is_some_and(f64::is_finite), "{report}");
    // A segmenter's slices are scored one by one: there is no way to them from others.
    let segmenter = models.card("segmenter");
    let lungs = ["explain", path(&scan), "--autoencoder", path(&coarse), "--segmenter", path(&segmenter)];
    assert_fails(
        &[&lungs[..], &["--objective", "lung-size"]].concat(),
        3,
        "choose a segmenter of the autoencoder's recipe",
    );
}

#[test]
fn the_window_prepares_a_scan_again_for_networks_of_another_recipe() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_permuted.nii.gz");
    let mut window = window(start(&models, scan));
    until(&mut window, "the published slices", |w| says(w, "the networks see 30 slices"));
    let autoencoder = coarse(&models, "autoencoder");
    crate::window::driven::type_path(&mut window, "Autoencoder", &autoencoder);
    until(&mut window, "the coarse slices", |w| says(w, "the networks see 8 slices"));
    // The classifier is still one of the published recipe: it is given the coarse slices by an adapter.
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
}

#[test]
fn phantoms_are_written_as_scans_and_as_networks_see_them() {
    let models = TinyModels::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (scan, masks) = (folder.path().join("scan.nii.gz"), folder.path().join("masks.nii.gz"));
    let one = ["phantom", "--seed", "4", "--effusion", "0.6", "--out", path(&scan), "--masks", path(&masks)];
    assert!(parallax(&one).status.success());
    let monitor = Monitor::default();
    let (drawn, masks) = (parallax::io::open(&scan, &monitor), parallax::io::open(&masks, &monitor));
    let (drawn, masks) = (drawn.expect("a scan"), masks.expect("masks"));
    assert_eq!(drawn.volume.grid.shape, masks.volume.grid.shape);
    assert!(masks.volume.voxels.iter().any(|m| m as u32 & 1 == 1), "the effusion is masked");
    assert_fails(&one, 1, "the file exists");

    let (card, stacks) = (coarse(&models, "autoencoder"), folder.path().join("stacks"));
    let many = ["phantom", "--seeds", "4:6", "--random", "--card", path(&card), "--out", path(&stacks)];
    assert!(parallax(&many).status.success());
    for seed in [4, 5] {
        let tensors = support::tensors(&stacks.join(format!("{seed}.safetensors")));
        assert_eq!(tensors["stack"].dims()[1..], [1, 32, 32]);
        assert_eq!(tensors["stack"].dims(), tensors["masks"].dims());
        assert_eq!(tensors["dials"].dims(), [4]);
    }
}

#[test]
fn impossible_phantoms_are_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("scan.nii.gz");
    let out = path(&out);
    assert_fails(&["phantom", "--seed", "1", "--nodule", "1.5", "--out", out], 3, "the dial nodule is 1.5");
    assert_fails(&["phantom", "--seed", "1", "--effusion", "nan", "--out", out], 2, "want a finite number");
    assert_fails(&["phantom", "--out", out], 2, "--seed");
    assert_fails(&["phantom", "--seeds", "5:5", "--random", "--card", "c.toml", "--out", out], 2, "holds no seed");
    assert_fails(&["phantom", "--seeds", "5:6", "--out", out], 2, "--card");
    assert_fails(
        &["phantom", "--seed", "1", "--random", "--without", "cough", "--out", out],
        2,
        "no finding \"cough\"",
    );
    assert_fails(&["phantom", "--seed", "1", "--phantom-version", "3", "--out", out], 2, "there are 1 and 2");
    let grid = ["phantom", "--seed", "1", "--matrix", "8x8x4", "--spacing", "9x9x9", "--out", out];
    assert_fails(&grid, 2, "add --phantom-version 2");
    assert_fails(
        &["phantom", "--seed", "1", "--matrix", "8x8", "--spacing", "9x9x9", "--out", out],
        2,
        "not three numbers",
    );
    let card = folder.path().join("none.toml");
    let many = ["phantom", "--seeds", "5:6", "--random", "--card", path(&card), "--out", out];
    assert_fails(&many, 3, "cannot read the model card");
}

#[test]
fn a_demo_without_its_networks_says_where_they_belong() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(["demo", "--out", path(&folder.path().join("out"))])
        .env("PARALLAX_ASSETS", folder.path())
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("classifier.toml") && said.contains("PARALLAX_ASSETS"), "{said}");
    assert!(!folder.path().join("out").exists(), "nothing is left behind");
}

/// What the shipped result's scores may differ by from those of this machine: sums of f32 are rounded in ways of each processor, and the
/// search takes other trials where they are.
const SHIPPED_SCORE: f64 = 0.02;
/// Of lambda.
const SHIPPED_LAMBDA: f64 = 0.05;

/// The session that comes with the program, made by `parallax demo --session assets/demo.parallax`.
fn shipped_session() -> Option<PathBuf> {
    let path = demo::Cards::find().expect("networks").result;
    support::needed(Some(path).filter(|path| path.is_file()), "assets/demo.parallax")
}

/// The result in it.
fn shipped() -> Option<std::sync::Arc<Explained>> {
    shipped_session()?;
    let mut session = Session::new(Settings::default(), Vec::new(), Worker::new(|| {}));
    session.begin(Start { demo: true, ..Start::default() });
    while session.model.run.ready().is_none() {
        assert!(
            session.model.run.running().is_none() && session.model.restored.error().is_none(),
            "it is not computed"
        );
        session.tick(0.0);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    session.model.run.ready().cloned()
}

#[test]
fn the_shipped_result_is_of_the_networks_that_are_shipped_and_few_megabytes() {
    let Some(run) = shipped() else { return };
    let (cards, monitor) = (demo::Cards::find().expect("networks"), Monitor::default());
    let bytes = std::fs::metadata(&cards.result).expect("a session").len();
    assert!(bytes < MOST_SHIPPED_BYTES, "{bytes}");
    let request = demo::request(&cards, &monitor).expect("networks");
    assert_eq!(run.asked().autoencoder.sha256, request.autoencoder.sha256);
    assert_eq!(run.asked().scored_by.sha256, request.target.scored_by().1);
    assert_eq!((&run.asked().options, run.asked().target.as_str()), (&demo::options(), demo::TARGET));
    let text = String::from_utf8_lossy(&std::fs::read(&cards.result).expect("readable")).into_owned();
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "it names no folder of a machine");
}

/// What assets can bear.
const MOST_SHIPPED_BYTES: u64 = 4 << 20;

/// A report of the demo computed afresh tells what the shipped result does.
fn assert_alike(report: &serde_json::Value, shipped: &Explained) {
    let score = |name: &str| report["scores"][name].as_f64().expect("a score");
    let scores = shipped.result().scores;
    for (name, kept) in
        [("scan", scores.scan), ("reconstruction", scores.reconstruction), ("counterfactual", scores.counterfactual)]
    {
        assert!(
            (score(name) - kept).abs() <= SHIPPED_SCORE,
            "{name}: {} now, {kept} in assets/demo.parallax",
            score(name)
        );
    }
    let lambda = shipped.result().steps[shipped.result().chosen].lambda;
    let now = report["lambda"].as_f64().expect("a lambda");
    assert!((now - lambda).abs() <= SHIPPED_LAMBDA * lambda.abs(), "{now}, and {lambda} in assets/demo.parallax");
}

#[test]
fn the_demo_removes_most_of_the_fluid_it_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = parallax(&["demo", "--json", "--out", path(folder.path())]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let score = |name: &str| report["scores"][name].as_f64().expect("a score");
    assert!(score("reconstruction") > 0.5 && score("counterfactual") < 0.2, "{report}");
    if let Some(shipped) = shipped() {
        assert_alike(&report, &shipped);
    }

    let monitor = Monitor::default();
    let truth = phantom(demo::SEED, demo::DIALS, &monitor).expect("a phantom");
    let difference = parallax::io::open(&folder.path().join("difference.nii.gz"), &monitor).expect("a volume").volume;
    assert_eq!(difference.grid.shape, truth.volume.grid.shape);
    let mean = |of: &dyn Fn(usize) -> bool, size: fn(f32) -> f32| {
        let values: Vec<f64> =
            (0..truth.masks.len()).filter(|i| of(*i)).map(|i| f64::from(size(difference.voxels.at(i)))).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    // Fluid of about 10 HU becomes lung of about -850.
    let fluid = mean(&|i| truth.is(Mask::Effusion, i), |hu| hu);
    let elsewhere = mean(&|i| truth.is(Mask::Body, i) && !truth.is(Mask::Effusion, i), f32::abs);
    assert!(fluid < -300.0 && elsewhere < 0.25 * fluid.abs(), "{fluid} HU in the fluid, {elsewhere} elsewhere");
}

#[test]
fn the_demo_shows_the_result_that_comes_with_it_and_computes_it_again_when_asked() {
    if shipped_session().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path().join("results");
    let mut window = window(Start { demo: true, results: Some(results.clone()), ..Start::default() });
    until(&mut window, "the scan", |w| says(w, "The demo's phantom"));
    assert!(says(&window, "Stopped because"), "the result comes with the scan: {:?}", texts(&window));
    assert!(says(&window, "This result came with Parallax") && !says(&window, "Cancel"));
    assert!(window.query_by_label("Dismiss").is_none(), "nothing is amiss: {:?}", texts(&window));
    until(&mut window, "the networks", |w| {
        w.query_by_label("Compute it again").is_some_and(|b| !b.accesskit_node().is_disabled())
    });
    click(&mut window, "Compute it again");
    until(&mut window, "the run", |w| says(w, "Cancel"));
    until(&mut window, "the counterfactual", |w| w.query_by_label("Compute counterfactual").is_some());
    assert!(!says(&window, "This result came with Parallax") && says(&window, "The result before"));
    // What a person has computed is kept like any other result; what came with the program is not.
    let kept = || {
        let entries = std::fs::read_dir(&results).into_iter().flatten().map(|entry| entry.expect("readable").path());
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "parallax")).count()
    };
    until(&mut window, "the kept result", |_| kept() > 0);
    assert_eq!(kept(), 1);
}
