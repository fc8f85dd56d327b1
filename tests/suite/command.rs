//! The real binary: output, exit codes, and words for every kind of bad input.

use std::path::Path;
use std::process::{Command, Output};

use crate::support;

fn parallax(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

fn assert_fails(args: &[&str], code: i32, words: &str) {
    let output = parallax(args);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
}

#[test]
fn prepare_writes_the_stack_that_the_networks_see() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("stack.safetensors");
    let output = parallax(&["prepare", path(&support::data("nifti/syn_permuted.nii.gz")), "--out", path(&out)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stack = &support::tensors(&out)["stack"];
    assert_eq!(stack.dims(), [30, 1, 224, 224]);
    // A stack is a scan too, and skips preparation: preparing it again changes nothing.
    let again = folder.path().join("again.safetensors");
    assert!(parallax(&["prepare", path(&out), "--out", path(&again)]).status.success());
    assert_eq!(support::worst(&support::tensors(&again)["stack"], stack), 0.0);
    assert_fails(&["prepare", path(&out), "--out", path(&again)], 1, "the file exists");
    assert!(parallax(&["prepare", path(&out), "--out", path(&again), "--overwrite"]).status.success());
}

#[test]
fn info_tells_what_a_scan_and_a_checkpoint_hold() {
    let output = parallax(&["info", "--json", path(&support::data("nifti/syn_lps.nii.gz"))]);
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((facts["kind"].as_str(), facts["axes"].as_str()), (Some("scan"), Some("LPS")));
    let output = parallax(&["info", "--json", path(&support::data("checkpoints/zip.ckpt"))]);
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(facts["tensors"]["w"], serde_json::json!([2, 3]));
}

#[test]
fn bad_input_is_told_from_bad_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let notes = folder.path().join("notes.nii.gz");
    std::fs::write(&notes, "these are notes").expect("written");
    assert_fails(&["info", path(&notes)], 3, "not a scan");
    assert_fails(&["info", "/no/such/file"], 3, "/no/such/file");
    let scan = support::data("nifti/syn_lps.nii.gz");
    let whole = std::fs::read(&scan).expect("a scan");
    let cut = folder.path().join("cut.nii.gz");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    assert_fails(&["info", path(&cut)], 3, "cut or damaged");
    let whole = std::fs::read(support::data("checkpoints/zip.ckpt")).expect("a checkpoint");
    let cut = folder.path().join("cut.ckpt");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    assert_fails(&["info", path(&cut)], 3, "the checkpoint is damaged");
    let checkpoint = support::data("checkpoints/zip.ckpt");
    assert_fails(&["predict", path(&scan), "--classifier", path(&checkpoint)], 3, "no network that Parallax knows");
    assert_fails(&["prepare", path(&scan), "--out", "stack.png"], 2, "must end in .safetensors or .nii.gz");
    assert_fails(&["explain", path(&scan)], 2, "--autoencoder");
    let odd = ["--autoencoder", "a", "--segmenter", "b", "--objective", "lung-size", "--slab", "5-9"];
    assert_fails(&[&["explain", path(&scan)], odd.as_slice()].concat(), 2, "want A:B or all");
    let cuda = ["--autoencoder", "a", "--segmenter", "b", "--objective", "lung-size", "--device", "cuda"];
    assert_fails(&[&["explain", path(&scan)], cuda.as_slice()].concat(), 2, "CPU only");
}

#[test]
fn explain_writes_what_it_promises_and_dumps_every_tensor() {
    let Some(models) = support::shared("goldens/models") else { return };
    let golden = support::tensors(&support::shared("goldens/ls_phe_fix_range.safetensors").expect("beside the models"));
    let folder = tempfile::tempdir().expect("a folder");
    // The golden's volume [1, 1, h, w, slices], as a stack file.
    let volume = golden["volume"]
        .reshape((56, 56, 6))
        .and_then(|t| t.permute((2, 0, 1))?.unsqueeze(1)?.contiguous())
        .expect("a stack");
    let scan = folder.path().join("scan.safetensors");
    candle_core::safetensors::save(&[("stack", volume)].into(), &scan).expect("written");
    let (dump, out) = (folder.path().join("dump.safetensors"), folder.path().join("out"));
    let (ae, clf) = (models.join("vqgan_small.toml"), models.join("phecode_small.toml"));
    let base = ["explain", path(&scan), "--autoencoder", path(&ae), "--classifier", path(&clf)];
    let rest = [
        "--target",
        "t3",
        "--slab",
        "2:4",
        "--range",
        "-500:200",
        "--steps",
        "6",
        "--dump",
        path(&dump),
        "--out",
        path(&out),
        "--json",
    ];
    let output = parallax(&[base.as_slice(), rest.as_slice()].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    assert_eq!(report["target"], "t3");
    assert_eq!(report["lambdas"].as_array().map(Vec::len), Some(6));
    let tensors = support::tensors(&dump);
    assert_eq!(tensors["frames"].dims(), [6, 6, 1, 56, 56]);
    let scores = support::worst(&tensors["scores"], &golden["preds_f64"]);
    assert!(scores <= 1e-4, "scores off by {scores:e}");
    let mut names: Vec<_> =
        std::fs::read_dir(&out).expect("a folder").map(|e| e.expect("a file").file_name()).collect();
    names.sort();
    assert_eq!(names, ["counterfactual.nii.gz", "difference.nii.gz", "heatmap.nii.gz", "montage.png", "result.json"]);
    // A second run keeps what is there.
    assert_fails(
        &[base.as_slice(), &["--target", "t3", "--range", "0:0", "--steps", "1", "--out", path(&out)]].concat(),
        1,
        "exists",
    );
    assert_fails(&[base.as_slice(), &["--target", "t33"]].concat(), 3, "no class \"t33\"");
    assert_fails(
        &[base.as_slice(), &["--target", "t3", "--slab", "4:9"]].concat(),
        3,
        "slab 4:9 does not fit 6 slices",
    );
    let swapped = ["explain", path(&scan), "--autoencoder", path(&clf), "--classifier", path(&clf), "--target", "t3"];
    assert_fails(&swapped, 3, "this is a classifier, and an autoencoder is wanted here");
}

/// Ctrl-C: the run stops, what was found is written, and the exit code says so.
#[cfg(unix)]
#[test]
fn an_interrupted_run_writes_what_it_found_and_exits_with_4() {
    use std::io::{BufRead, BufReader};

    let models = crate::tiny_models::TinyModels::new();
    let (scan, out) = (models.stack(8), models.folder.path().join("out"));
    let (ae, clf) = (models.card("autoencoder"), models.card("classifier"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(["explain", path(&scan), "--autoencoder", path(&ae), "--classifier", path(&clf), "--target", "1"])
        .args(["--range", "-5:5", "--steps", "1000", "--json", "--out", path(&out)])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text").contains("decoding the sweep")), "the sweep began");
    std::thread::sleep(std::time::Duration::from_secs(2)); // a few of its 1000 steps
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(4), "{rest:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["complete"], false);
    let steps = report["lambdas"].as_array().map_or(0, Vec::len);
    assert!(steps > 0 && steps < 1000, "{steps} steps");
    assert!(out.join("counterfactual.nii.gz").exists() && out.join("result.json").exists());
}
