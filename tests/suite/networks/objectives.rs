//! What can be scored of networks in files, through the real binary; and what is refused before any score.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use glam::{DAffine3, DMat3, DVec3};
use parallax::export::nifti::nifti_bytes;
use parallax::volume::{Grid, Volume};
use serde_json::{Value, json};

use crate::networks::cards::{AUTOENCODER, CLASSIFIER, Files, SEGMENTER, SLICES, scan};
use crate::tiny_models::TinyModels;

/// f32 of the report's own numbers.
const ROUNDING: f64 = 1e-6;
const FINDINGS: &str = "role = \"classifier\"\nweights = \"findings.onnx\"\nlabels = [\"x\", \"y\"]\n[recipe]\naxes = \"RAS\"\n\
                        spacing_mm = [8, 7, 9]\nsize = [20, 24, 16]\nhu = [-1000, 400]\n";

fn text(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

fn parallax(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

fn fails(output: &Output, code: i32, words: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "no {words:?}: {said}");
    said
}

struct Networks {
    files: Files,
    autoencoder: PathBuf,
}

impl Networks {
    fn new() -> Self {
        let files = Files::new();
        let autoencoder = files.card("a.toml", AUTOENCODER);
        Self { files, autoencoder }
    }

    /// A short run along the gradient of what `more` names.
    fn explain(&self, more: &[&str]) -> Value {
        let scan = scan();
        let args = ["explain", text(&scan), "--autoencoder", text(&self.autoencoder), "--range=-20:20", "--steps=3"];
        report(&parallax(&[&args, more, &["--json"]].concat()))
    }

    /// The scores that `predict` gives, by label.
    fn predicted(card: &Path) -> Vec<(String, f64)> {
        let scan = scan();
        let told = report(&parallax(&["predict", text(&scan), "--classifier", text(card), "--json"]));
        let rows = told["predictions"].as_array().expect("rows").iter();
        let name = |row: &Value| row["label"].as_str().expect("a label").to_owned();
        rows.map(|row| (name(row), row["probability"].as_f64().expect("a score"))).collect()
    }
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} of {report:#}"))
}

fn rises(report: &Value) {
    let scores: Vec<f64> = (0..3).map(|step| number(report, &format!("/sweep_scores/{step}"))).collect();
    assert!(scores[0] < scores[2], "the score follows its gradient: {scores:?}");
}

fn of(predicted: &[(String, f64)], label: &str) -> f64 {
    predicted.iter().find(|(name, _)| name == label).unwrap_or_else(|| panic!("{label} of {predicted:?}")).1
}

#[test]
fn softmax_and_sigmoid_heads_are_taken_before_the_activation() {
    let networks = Networks::new();
    for (text_of_card, target, softmax) in [(CLASSIFIER, "b", true), (FINDINGS, "y", false)] {
        let card = networks.files.card("c.toml", text_of_card);
        let report = networks.explain(&["--classifier", text(&card), "--target", target]);
        rises(&report);
        assert_eq!(report["score_kind"], json!("probability"));
        // The scan's own score is that of predict, on the network's own grid.
        let predicted = Networks::predicted(&card);
        assert!((number(&report, "/scores/scan_as_predicted") - of(&predicted, target)).abs() < ROUNDING);
        // The other outputs are logits, and their scores are what the head makes of them.
        let drift = report["drift"].as_array().expect("other outputs");
        let mut all = number(&report, "/scores/reconstruction");
        for (at, _) in drift.iter().enumerate() {
            let [logit, score] = ["logits", "scores"].map(|key| number(&report, &format!("/drift/{at}/{key}/0")));
            all += score;
            assert!((logit - score).abs() > 0.1, "logits, not probabilities: {logit} and {score}");
            if !softmax {
                assert!((score - 1.0 / (1.0 + (-logit).exp())).abs() < ROUNDING, "{score} of {logit}");
            }
        }
        assert!(!softmax || (all - 1.0).abs() < ROUNDING, "the shares of a softmax are 1 together: {all}");
    }
}

#[test]
fn weighted_sums_and_one_class_against_another_are_scored() {
    let networks = Networks::new();
    let card = networks.files.card("c.toml", CLASSIFIER);
    let classifier = ["--classifier", text(&card)];
    let predicted = Networks::predicted(&card);
    let against = networks.explain(&[classifier.as_slice(), &["--target", "a=1", "--target", "c=-1"]].concat());
    rises(&against);
    let wanted = of(&predicted, "a") - of(&predicted, "c");
    assert!((number(&against, "/scores/scan_as_predicted") - wanted).abs() < ROUNDING);
    assert_eq!(against["target"], json!("a + -1 * c"));
    let sum = ["--target", "a=0.5", "--target", "b=2", "--offset", "0.25"];
    let sum = networks.explain(&[classifier.as_slice(), &sum].concat());
    rises(&sum);
    let wanted = 0.5 * of(&predicted, "a") + 2.0 * of(&predicted, "b") + 0.25;
    assert!((number(&sum, "/scores/scan_as_predicted") - wanted).abs() < ROUNDING);
}

#[test]
fn a_regression_is_scored_as_it_is_and_has_no_logits() {
    let networks = Networks::new();
    let wide = SLICES.replace("sigmoid", "none").replace("[-160, 240]", "[-1000, 900]");
    let card = networks.files.card("r.toml", &wide);
    let report = networks.explain(&["--classifier", text(&card), "--target", "1"]);
    rises(&report);
    assert_eq!((&report["score_kind"], &report["logit_change"]), (&json!("number"), &Value::Null));
    assert_eq!(report["drift"][0]["logits"], report["drift"][0]["scores"], "the numbers are the scores");
    let predicted = Networks::predicted(&card);
    assert!((number(&report, "/scores/scan_as_predicted") - of(&predicted, "class 1")).abs() < ROUNDING);
}

#[test]
fn the_volume_of_any_class_of_a_segmenter_is_scored() {
    let networks = Networks::new();
    let card = networks.files.card("g.toml", SEGMENTER);
    let by_segmenter = networks.explain(&["--segmenter", text(&card), "--target", "tissue"]);
    let by_classifier = networks.explain(&["--classifier", text(&card), "--target", "tissue"]);
    rises(&by_segmenter);
    assert_eq!(by_segmenter["sweep_scores"], by_classifier["sweep_scores"]);
    let scan = scan();
    let args = ["explain", text(&scan), "--autoencoder", text(&networks.autoencoder), "--segmenter", text(&card)];
    fails(&parallax(&[&args, ["--objective", "lung-size"].as_slice()].concat()), 3, "has no lung size");
    fails(&parallax(&args), 2, "name a class of the --segmenter by --target, or --objective lung-size");
}

#[test]
fn the_volume_of_a_class_of_the_lung_segmenter_is_the_mean_of_its_probability() {
    let models = TinyModels::new();
    let stack = models.stack(8);
    let args = ["explain", text(&stack), "--autoencoder", text(&models.card("autoencoder"))].map(str::to_owned);
    let segmenter = models.card("segmenter");
    let explain = |class: &str| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let told = ["--segmenter", text(&segmenter), "--target", class, "--range=-5:5", "--steps=2", "--json"];
        report(&parallax(&[args, told.to_vec()].concat()))
    };
    let all: f64 = ["0", "1", "2"].map(|class| number(&explain(class), "/scores/scan")).iter().sum();
    assert!((all - 1.0).abs() < 1e-5, "the shares of all classes are the whole: {all}");
    let scores = explain("1")["sweep_scores"].clone();
    assert!(scores[0].as_f64() < scores[1].as_f64(), "{scores}");
}

#[test]
fn both_scores_of_the_scan_are_told_apart_in_words() {
    let networks = Networks::new();
    let card = networks.files.card("c.toml", CLASSIFIER);
    let scan = scan();
    let args = ["explain", text(&scan), "--autoencoder", text(&networks.autoencoder), "--range=-20:20", "--steps=2"];
    let told = parallax(&[&args, ["--classifier", text(&card), "--target", "b"].as_slice()].concat());
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let predicted = of(&Networks::predicted(&card), "b");
    assert!(said.contains(&format!("as `predict` gives it, {predicted:.4})")), "{said}");
    // Of one recipe there is one score.
    let models = TinyModels::new();
    let one = models.explain(&models.stack(8)).args(["--target", "1", "--range=-5:5", "--steps=2", "--json"]).output();
    assert_eq!(report(&one.expect("the binary runs"))["scores"]["scan_as_predicted"], Value::Null);
}

/// A scan of 12 x 12 x 12 voxels with these numbers, as a file.
fn blank(folder: &Path, name: &str, number: impl Fn(usize) -> f32) -> PathBuf {
    let axes = DMat3::from_diagonal(DVec3::new(-8.0, -7.0, 9.0));
    let grid = Grid { shape: [12; 3], world_from_voxel: DAffine3::from_mat3(axes) };
    let numbers: Vec<f32> = (0..grid.len()).map(number).collect();
    let path = folder.join(name);
    std::fs::write(&path, nifti_bytes(&Volume::from_f32(grid, numbers), name).expect("a file")).expect("written");
    path
}

#[test]
fn a_scan_in_which_there_is_nothing_to_see_is_not_scored_unless_told_to() {
    let networks = Networks::new();
    let card = networks.files.card("c.toml", CLASSIFIER);
    let folder = tempfile::tempdir().expect("a folder");
    let nothing = "it shows nothing";
    for (scan, words) in [
        (blank(folder.path(), "nan.nii.gz", |_| f32::NAN), "every voxel of the scan is -1000 HU"),
        (blank(folder.path(), "grey.nii.gz", |_| 40.0), "every voxel of the scan is 40 HU"),
        (blank(folder.path(), "bright.nii.gz", |i| 2000.0 + i as f32), "all of the scan lies beyond"),
    ] {
        let predict = ["predict", text(&scan), "--classifier", text(&card)];
        assert!(fails(&parallax(&predict), 3, words).contains(nothing));
        let out = folder.path().join("out");
        let explain = ["explain", text(&scan), "--autoencoder", text(&networks.autoencoder), "--target", "b"];
        let explain = [explain.as_slice(), &["--classifier", text(&card), "--out", text(&out)]].concat();
        fails(&parallax(&explain), 3, nothing);
        assert!(!out.exists(), "a run that failed leaves no folder");
        assert!(parallax(&[predict.as_slice(), &["--despite-check"]].concat()).status.success());
        assert!(parallax(&["info", text(&scan)]).status.success(), "it can be looked at");
    }
}

#[test]
fn no_backtrace_stands_in_what_is_said() {
    let networks = Networks::new();
    let scan = scan();
    // A checkpoint without a tensor that its kind needs: candle's own error.
    let tensors = networks.files.path("w.safetensors");
    let some = candle_core::Tensor::zeros(3, candle_core::DType::F32, &candle_core::Device::Cpu).expect("zeros");
    candle_core::safetensors::save(&[("conv1.weight".to_owned(), some)].into(), &tensors).expect("written");
    let card = networks.files.card("w.toml", "kind = \"i3resnet\"\nweights = \"w.safetensors\"\n");
    let told = Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(["predict", text(&scan), "--classifier", text(&card)])
        .envs([("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "1")])
        .output()
        .expect("the binary runs");
    let said = fails(&told, 3, "conv1.weight");
    let last = said.trim_end().lines().last().expect("a line");
    assert!(last.starts_with("parallax: tensor") && !said.contains("::") && !said.contains("at /"), "{said}");
}
