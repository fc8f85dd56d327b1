//! The real binary: output, exit codes, and words for every kind of bad input.

use std::path::Path;
use std::process::{Command, Output};

use glam::DVec3;
use parallax::job::Monitor;
use parallax::{io, pipeline};

use crate::support;
use crate::tiny_models::TinyModels;

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
    assert_eq!(facts.get("plans"), None, "no network has these tensors");
}

#[test]
fn info_plans_a_networks_passes_for_as_many_slices_as_it_is_told() {
    let models = TinyModels::new();
    let plans = |name: &str, slices: &str| {
        let output = parallax(&["info", path(&models.card(name)), "--slices", slices, "--json"]);
        let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        facts["plans"].as_array().cloned().expect("plans")
    };
    let [few, many] = ["10", "40"].map(|slices| plans("classifier", slices).remove(0));
    assert_eq!(few["inputs"], serde_json::json!([[10, 1, 224, 224]]));
    assert_eq!(few["operations"], many["operations"]);
    for bytes in ["forward_bytes", "gradient_bytes"] {
        assert!(few[bytes].as_u64().expect("bytes") < many[bytes].as_u64().expect("bytes"), "{bytes}");
    }
    let passes = plans("autoencoder", "40");
    assert_eq!(passes.iter().map(|pass| &pass["pass"]).collect::<Vec<_>>(), ["encoder", "decoder"]);
    assert_eq!(plans("segmenter", "40")[0]["inputs"], serde_json::json!([[1, 1, 224, 224]]), "slice by slice");
    let output = parallax(&["info", path(&models.card("classifier")), "--slices", "10"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("planned for [10, 1, 224, 224]") && text.contains("with the gradient, in 1 segment"),
        "{text}"
    );
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
    assert_fails(&["demo", "--precision", "fast"], 2, "only NVIDIA GPUs");
    assert_fails(&["--device", "cuda"], 2, "CPU only"); // and no window
    let raise = ["--autoencoder", "a", "--segmenter", "b", "--objective", "lung-size", "--search", "reference"];
    let raise = [raise.as_slice(), &["--drop", "-0.1"]].concat();
    assert_fails(&[&["explain", path(&scan)], raise.as_slice()].concat(), 2, "only lowers a score");
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
        "--search",
        "reference",
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
    // A range has no goal.
    assert!(report["goal_reached"].is_null() && report["monotonicity"].is_f64(), "its quality: {report}");
    assert_eq!(report["lambdas"].as_array().map(Vec::len), Some(6));
    let tensors = support::tensors(&dump);
    assert_eq!(tensors["frames"].dims(), [6, 6, 1, 56, 56]);
    let scores = support::worst(&tensors["scores"], &golden["preds_f64"]);
    assert!(scores <= 1e-4, "scores off by {scores:e}");
    let mut names: Vec<_> =
        std::fs::read_dir(&out).expect("a folder").map(|e| e.expect("a file").file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "counterfactual.nii.gz",
            "counterfactual_detail_kept.nii.gz",
            "difference.nii.gz",
            "heatmap.nii.gz",
            "lambda.gif",
            "panes.png",
            "result.json"
        ]
    );
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

/// The main job on a real kind of file: what comes out lies on the scan's own grid, in HU, and changes the slab alone.
#[test]
fn volumes_come_out_on_the_scans_own_grid_and_differ_in_the_slab_alone() {
    let models = TinyModels::new();
    let out = models.folder.path().join("new/out");
    let (scan, dump) = (support::data("nifti/syn_lps.nii.gz"), out.join("dump.safetensors"));
    let (ae, unet) = (models.card("autoencoder"), models.card("segmenter"));
    let run = ["explain", path(&scan), "--autoencoder", path(&ae), "--segmenter", path(&unet)];
    let run =
        [run.as_slice(), &["--objective", "lung-size", "--slab", "9:14", "--range", "-50:0", "--steps", "3"]].concat();
    let run = [run.as_slice(), &["--heatmap", "max", "--out", path(&out), "--dump", path(&dump)]].concat();
    let output = parallax(&run);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Research use only"));

    let monitor = Monitor::default();
    let input = pipeline::open(&scan, &parallax::preprocess::Recipe::default(), &monitor).expect("a scan");
    let (grid, stack) = (input.display_volume().grid, input.prepared.volume.grid);
    let volume = |name: &str| {
        let volume = io::open(&out.join(name), &monitor).expect(name).volume;
        assert_eq!(volume.grid.shape, grid.shape, "{name}");
        let gap = volume.grid.world_from_voxel.to_cols_array().into_iter().zip(grid.world_from_voxel.to_cols_array());
        assert!(gap.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-4, "{name}: another place");
        volume
    };
    let [counterfactual, difference, heatmap] =
        ["counterfactual.nii.gz", "difference.nii.gz", "heatmap.nii.gz"].map(volume);
    let [ni, nj, _] = grid.shape;
    let (mut inside, mut outside) = (0.0_f32, 0.0_f32);
    for at in 0..grid.len() {
        let voxel = DVec3::new((at % ni) as f64, (at / ni % nj) as f64, (at / ni / nj) as f64);
        let slice = stack.voxel_from_world().transform_point3(grid.world_from_voxel.transform_point3(voxel)).z;
        // Sampling reaches one slice beyond the slab's own.
        let near = slice > 8.0 && slice < 14.0;
        let change = difference.voxels.at(at).abs();
        *(if near { &mut inside } else { &mut outside }) = change.max(if near { inside } else { outside });
        // The path is nearly straight here: its largest change is that of its end.
        assert!(
            heatmap.voxels.at(at) >= change - 1e-2,
            "voxel {at}: heatmap {}, change {change}",
            heatmap.voxels.at(at)
        );
    }
    assert!(inside > 0.0 && outside == 0.0, "{inside} HU within the slab, {outside} HU beyond");
    let (least, most) =
        counterfactual.voxels.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), x| (l.min(x), m.max(x)));
    assert!(least >= -4000.0 && most <= 4000.0 && most - least > 1.0, "{least} to {most} HU");

    // The same again is refused before anything is computed, and replaces nothing.
    let again = parallax(&run);
    assert_eq!(again.status.code(), Some(1));
    let said = text(&again.stderr);
    assert!(said.contains("the file exists") && !said.contains("encoding"), "{said}");
}

#[test]
fn predict_lists_the_highest_scores_and_what_to_know_of_the_scan() {
    let models = TinyModels::new();
    let (scan, clf) = (support::data("nifti/syn_float_qform.nii.gz"), models.card("classifier"));
    let output = parallax(&["predict", path(&scan), "--classifier", path(&clf), "--top", "3", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let scores: Vec<f64> =
        report["predictions"].as_array().expect("a list").iter().filter_map(|p| p["probability"].as_f64()).collect();
    assert!(scores.len() == 3 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(report["warnings"].is_array() && report["notice"].as_str().is_some_and(|n| n.contains("Research")));
}

/// Ticks of a processor that a process has taken, of which Linux counts a hundred in a second.
#[cfg(target_os = "linux")]
fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let behind_name = stat.rsplit(')').next().expect("its name stands in brackets");
    let mut fields = behind_name.split_whitespace().skip(11).map(|field| field.parse::<u64>().expect("a number"));
    fields.next().expect("of the program") + fields.next().expect("of the system for it")
}

/// A run that a signal ends writes what was found, and the exit code says so.
#[cfg(target_os = "linux")]
fn ended_by(signal: &str) {
    use std::io::{BufRead, BufReader};

    let models = TinyModels::new();
    let (scan, out) = (models.stack(24), models.folder.path().join("out"));
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
    // A few of its 1000 steps, however busy the machine is.
    let begun = ticks(child.id());
    while ticks(child.id()) < begun + 100 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let interrupted = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(4), "{signal}: {rest:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["complete"], false);
    let steps = report["lambdas"].as_array().map_or(0, Vec::len);
    assert!(steps > 0 && steps < 1000, "{steps} steps");
    assert!(out.join("counterfactual.nii.gz").exists() && out.join("result.json").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_run_writes_what_it_found_and_exits_with_4() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        ended_by(signal);
    }
}
