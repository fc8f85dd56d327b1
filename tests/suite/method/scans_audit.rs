//! The audit of real scans: findings drawn into them, masks of one's own, and all that is left out with its reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use parallax::audit::scans::{Detection, Score, auroc};
use parallax::export::nifti;
use parallax::job::Monitor;
use parallax::volume::phantom::{Dials, Mask, Phantom, phantom};
use parallax::volume::{Volume, Voxels};
use serde_json::Value;

use crate::tiny_models::{LABELS, TinyModels};

const NAMED: [&str; LABELS.len()] = ["emphysema", "Pleural fluid", "other", "nodule", "cardiomegaly"];

fn parallax(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(path: &Path, volume: &Volume) {
    std::fs::write(path, nifti::nifti_bytes(volume, "a test").expect("a volume")).expect("written");
}

fn chest(seed: u64, effusion: f32) -> Phantom {
    phantom(seed, Dials { effusion, ..Dials::default() }, &Monitor::default()).expect("a phantom")
}

/// A file of one of a phantom's masks, its voxels with this number.
fn write_mask(path: &Path, phantom: &Phantom, mask: Mask, number: i16) {
    let marks: Vec<i16> = (0..phantom.masks.len()).map(|at| if phantom.is(mask, at) { number } else { 0 }).collect();
    write(path, &Volume::new(phantom.volume.grid, Voxels::I16(marks.into())));
}

/// Two chests, a box without lungs, and a slice, in a table.
struct Scans {
    models: TinyModels,
    table: PathBuf,
}

impl Scans {
    fn new(masks: &str, cells: [&str; 4]) -> Self {
        let models = TinyModels::sure(NAMED, 1.0);
        let folder = models.folder.path();
        for (name, seed, effusion) in [("a", 7, 0.0), ("b", 8, 0.7)] {
            write(&folder.join(format!("{name}.nii.gz")), &chest(seed, effusion).volume);
        }
        let [ni, nj, nk] = [40, 40, 20];
        let mut grid = chest(7, 0.0).volume.grid;
        grid.shape = [ni, nj, nk];
        write(&folder.join("box.nii.gz"), &Volume::new(grid, Voxels::I16(vec![40; ni * nj * nk].into())));
        std::fs::write(folder.join("torn.nii.gz"), b"no scan").expect("written");
        let rows = ["a", "b", "box", "torn"].iter().zip(cells).map(|(id, cell)| format!("{id},{id}.nii.gz,{cell}\n"));
        let table = folder.join("cohort.csv");
        std::fs::write(&table, format!("id,scan,{masks}\n{}", rows.collect::<String>())).expect("written");
        Self { models, table }
    }

    fn audit(&self, more: &[&str]) -> Output {
        let (ae, clf) = (self.models.card("autoencoder"), self.models.card("classifier"));
        let known = ["audit", "--scans", text(&self.table), "--autoencoder", text(&ae), "--classifier", text(&clf)];
        parallax(&[known.as_slice(), more].concat())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.models.folder.path().join(name)
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn findings_are_drawn_into_each_scan_and_asked_for_at_each_dial() {
    let scans = Scans::new("site", ["x"; 4]);
    let (report, cases, scores) = (scans.file("audit.json"), scans.file("audit.csv"), scans.file("scores.csv"));
    let run =
        ["--insert", "nodule", "--insert", "effusion", "--label", "effusion=Pleural fluid", "--dials", "0,0.4,0.8"];
    let page = scans.file("audit.html");
    let files = ["--json", text(&report), "--csv", text(&cases), "--scores", text(&scores), "--report", text(&page)];
    let cheap = ["--slices", "2", "--methods", "latent-shift,gradient", "--seeds", "1:2"];
    let output = scans.audit(&[run.as_slice(), &files, &cheap].concat());
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", said(&output));
    for words in [
        "nodule, by the score of \"nodule\"",
        "effusion, by the score of \"Pleural fluid\"",
        "as scanned",
        "dial 0.8",
        "AUROC",
        "box: no lung in view",
        "Left out: 2",
        "torn: ",
        "SYNTHETIC findings",
        "Research use only",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }

    let page = std::fs::read_to_string(&page).expect("a file");
    for words in [
        "<h2>What the classifier sees: nodule</h2>",
        "<th scope=\"row\">dial 0.8</th>",
        "aria-label=\"Score of nodule against its dial\"",
        "aria-label=\"How well the score tells scans with effusion from scans as they are\"",
        "<h2>Left out: 2</h2>",
        "box: no lung in view",
        "SYNTHETIC findings",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("<script"), "{page}");
    let report = json(&report);
    assert!(report["notice"].as_str().is_some_and(|notice| notice.contains("SYNTHETIC findings")));
    assert_eq!(report["insertion_seeds"], serde_json::json!([1, 2]));
    assert_eq!(report["explained_dials"].as_array().map(Vec::len), Some(1), "the highest alone");
    for finding in ["nodule", "effusion"] {
        let dials = report["detection"][finding]["dials"].as_array().expect("a list");
        assert_eq!(dials.len(), 3, "{finding}");
        assert!(dials[0]["auroc"].is_null() && dials[0]["present"] == false && dials[0]["scans"] == 2, "{finding}");
        for at in &dials[1..] {
            assert!(at["auroc"].as_f64().is_some_and(|area| (0.0..=1.0).contains(&area)), "{finding}: {at}");
            assert!(at["mean_strength_hu"].as_f64().is_some_and(|hu| hu > 200.0), "{finding}: {at}");
            assert!(at["auroc_interval"].is_null(), "two scans have no interval");
        }
        let ml = |at: usize| dials[at]["mean_volume_ml"].as_f64().expect("a volume");
        assert!(ml(2) > ml(1), "{finding}: {} and {} ml", ml(1), ml(2));
        let of = &report["findings"][finding];
        assert_eq!(of["cases"].as_u64().zip(of["missed"].as_u64()).map(|(a, b)| a + b), Some(2), "{finding}");
    }
    // The scan as it was is the truth, which is known.
    let findings = ["nodule", "effusion"].map(|finding| &report["findings"][finding]);
    let explained =
        findings.into_iter().find(|of| of["cases"].as_u64() > Some(0)).expect("a finding that is explained");
    assert!(explained["scores"]["truth"].as_f64().is_some() && explained["methods"]["gradient"]["iou"].is_number());
    assert!(explained["hu_error"]["inside"]["no_change"].as_f64().is_some_and(|hu| hu > 50.0));
    let lines = std::fs::read_to_string(&scores).expect("a file");
    assert!(lines.lines().count() == 1 + 2 * (2 * 2 + 2) + 2, "{lines}");
    assert!(lines.starts_with("scan,finding,seed,dial,present,score,strength_hu,volume_ml,skipped"), "{lines}");
    assert!(std::fs::read_to_string(&cases).expect("a file").contains("latent_shift"));
}

#[test]
fn masks_of_ones_own_are_taken_resampled_or_refused() {
    let scans = Scans::new("mask_effusion", ["", "marked.nii.gz", "", ""]);
    let drawn = chest(8, 0.7);
    // Another grid: every other column and row; and more labels than one.
    let [ni, nj, nk] = drawn.volume.grid.shape;
    let mut grid = drawn.volume.grid;
    grid.shape = [ni / 2, nj / 2, nk];
    grid.world_from_voxel.matrix3.x_axis *= 2.0;
    grid.world_from_voxel.matrix3.y_axis *= 2.0;
    let mark = |at: usize| if drawn.is(Mask::Effusion, at) { 1 + i16::from(at.is_multiple_of(2)) } else { 0 };
    let marks: Vec<i16> = (0..grid.len())
        .map(|at| [at % grid.shape[0], at / grid.shape[0] % grid.shape[1], at / (grid.shape[0] * grid.shape[1])])
        .map(|[i, j, k]| mark(2 * i + ni * (2 * j + nj * k)))
        .collect();
    write(&scans.file("marked.nii.gz"), &Volume::new(grid, Voxels::I16(marks.into())));
    let report = scans.file("audit.json");
    let (page, kept) = (scans.file("audit.html"), scans.file("kept"));
    let run =
        ["--masks", "--label", "effusion=1", "--json", text(&report), "--slices", "2", "--methods", "latent-shift"];
    let output = scans.audit(&[run.as_slice(), &["--report", text(&page), "--keep", text(&kept)]].concat());
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", said(&output));
    assert!(table.contains("with a mask") && table.contains("without a mask") && !table.contains("SYNTHETIC findings"));
    assert!(table.contains("note: b: the mask is on another grid than the scan"), "{table}");
    let page = std::fs::read_to_string(&page).expect("a file");
    assert!(page.contains("aria-label=\"Score of effusion\"") && page.contains("without a mask"), "{page}");
    // What is not a number, as the truth of these patients, is kept as such.
    let again = scans.file("again.json");
    let run =
        ["--masks", "--label", "effusion=1", "--json", text(&again), "--slices", "2", "--methods", "latent-shift"];
    let output = scans.audit(&[run.as_slice(), &["--keep", text(&kept)]].concat());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("3 of 4 scans were asked before"), "{told} {}", said(&output));
    let report = json(&report);
    assert_eq!(json(&again), report, "the same to the last bit");
    let dials = report["detection"]["effusion"]["dials"].as_array().expect("a list");
    assert_eq!((dials[0]["scans"].as_u64(), dials[1]["scans"].as_u64()), (Some(2), Some(1)));
    assert!(dials[1]["dial"].is_null() && dials[1]["auroc"].is_number(), "{}", dials[1]);
    let of = &report["findings"]["effusion"];
    assert_eq!(of["cases"].as_u64().zip(of["missed"].as_u64()).map(|(a, b)| a + b), Some(1));
    assert!(of["scores"]["truth"].is_null(), "no one knows this patient without it");

    // Empty, beside the scan, or no file at all: left out, with the reason.
    write_mask(&scans.file("marked.nii.gz"), &drawn, Mask::Effusion, 0);
    let empty = scans.audit(&["--masks", "--label", "effusion=1", "--methods", "latent-shift"]);
    let table = String::from_utf8_lossy(&empty.stdout).into_owned();
    assert!(empty.status.success() && table.contains("no voxel is marked"), "{table} {}", said(&empty));
    std::fs::remove_file(scans.file("marked.nii.gz")).expect("a file");
    let gone = scans.audit(&["--masks", "--label", "effusion=1", "--methods", "latent-shift"]);
    let table = String::from_utf8_lossy(&gone.stdout).into_owned();
    assert!(gone.status.success() && table.contains("b, effusion: cannot read"), "{table}");
}

#[test]
fn an_audit_of_scans_that_was_stopped_goes_on_from_what_it_kept() {
    let scans = Scans::new("site", ["x"; 4]);
    let kept = scans.file("kept");
    let run = |more: &[&str], report: &Path| {
        let cheap = ["--insert", "nodule", "--dials", "0,0.8", "--slices", "2", "--methods", "latent-shift,gradient"];
        scans.audit(&[cheap.as_slice(), &["--keep", text(&kept), "--json", text(report)], more].concat())
    };
    let first = run(&[], &scans.file("first.json"));
    assert!(
        first.status.success() && !String::from_utf8_lossy(&first.stdout).contains("asked before"),
        "{}",
        said(&first)
    );
    let names = || {
        let mut names: Vec<String> = std::fs::read_dir(&kept)
            .expect("a folder")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["a.toml", "audit.json", "b.toml", "box.toml"], "what could not be opened is tried again");
    // One file is cut, one is lost, and one scan cannot be asked again: it must not be.
    std::fs::write(kept.join("box.toml"), b"[scan]\npath = \"").expect("written");
    std::fs::remove_file(kept.join("b.toml")).expect("it is there");
    let scan = scans.file("a.nii.gz");
    let (size, time) = {
        let metadata = scan.metadata().expect("a file");
        (metadata.len() as usize, metadata.modified().expect("a time"))
    };
    std::fs::write(&scan, vec![7; size]).expect("written");
    std::fs::File::options().write(true).open(&scan).and_then(|file| file.set_modified(time)).expect("a time");
    let second = run(&[], &scans.file("second.json"));
    let told = String::from_utf8_lossy(&second.stdout).into_owned();
    assert!(second.status.success() && told.contains("1 of 4 scans were asked before"), "{told} {}", said(&second));
    let [before, after] = ["first.json", "second.json"].map(|name| json(&scans.file(name)));
    for part in ["detection", "skipped"] {
        assert_eq!(before[part], after[part], "{part}");
    }
    assert_eq!(before["findings"]["nodule"]["methods"], after["findings"]["nodule"]["methods"]);
    assert_eq!(names(), ["a.toml", "audit.json", "b.toml", "box.toml"]);

    let refused = |output: &Output, words: &str| {
        assert!(output.status.code() == Some(3) && said(output).contains(words), "{words}: {}", said(output));
    };
    refused(&run(&["--seeds", "1:3"], &scans.file("third.json")), "asked something else: seeds was [1,2], is [1,3]");
    // A scan that has changed is asked again: this one cannot be opened.
    std::fs::write(&scan, b"no scan").expect("written");
    let other = run(&[], &scans.file("other.json"));
    let told = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(told.contains("2 of 4 scans were asked before") && told.contains("a: "), "{told} {}", said(&other));
    std::fs::write(kept.join("audit.json"), b"{}").expect("written");
    refused(&run(&[], &scans.file("fourth.json")), "its audit.json is damaged or of another program");
    let full = scans.models.folder.path();
    let output = scans.audit(&["--insert", "nodule", "--keep", text(full)]);
    refused(&output, "it holds other files, and no audit of scans");
}

#[test]
fn an_audit_of_scans_that_cannot_be_is_refused_in_words() {
    let scans = Scans::new("mask", ["", "marked.nii.gz", "", ""]);
    let fails = |args: &[&str], code: i32, words: &str| {
        let output = scans.audit(args);
        assert!(output.status.code() == Some(code) && said(&output).contains(words), "{args:?}: {}", said(&output));
    };
    fails(&[], 2, "--insert NAME draws it, --masks takes your own");
    fails(&["--insert", "fracture"], 2, "no finding \"fracture\"");
    fails(&["--insert", "nodule", "--masks"], 2, "cannot be used with");
    fails(&["--insert", "nodule", "--dials", "0,1.5"], 2, "the dial is 1.5");
    fails(&["--insert", "nodule", "--label", "nodule"], 2, "want NAME=CLASS");
    fails(&["--insert", "nodule", "--label", "mass=nodule"], 2, "--label names \"mass\"");
    fails(&["--insert", "effusion"], 3, "no class \"effusion\"");
    fails(&["--insert", "nodule", "--seeds", "0:99999"], 3, "choose fewer");
    fails(&["--masks"], 2, "name it mask_NAME");
    let kept = parallax(&["audit", "--keep", "kept"]);
    assert!(kept.status.code() == Some(2) && said(&kept).contains("--scans"), "{}", said(&kept));
    let alone = parallax(&["audit", "--insert", "nodule"]);
    assert!(alone.status.code() == Some(2) && said(&alone).contains("--scans"), "{}", said(&alone));
    // Nothing in which a finding has a place.
    std::fs::write(&scans.table, "id,scan\nbox,box.nii.gz\n").expect("written");
    fails(&["--insert", "nodule"], 3, "no lung in view");
    fails(&["--masks"], 3, "the table has no mask");
}

#[test]
fn the_area_under_the_curve_is_what_a_hand_counts() {
    assert_eq!(auroc(&[0.9, 0.8], &[0.1, 0.2, 0.3]), Some(1.0));
    assert_eq!(auroc(&[0.1], &[0.1]), Some(0.5));
    assert_eq!(auroc(&[0.2, 0.4], &[0.1, 0.3]), Some(0.75));
    assert_eq!(auroc(&[0.0], &[1.0]), Some(0.0));
    assert!(auroc(&[], &[0.1]).is_none() && auroc(&[0.1], &[]).is_none());
}

#[test]
fn scores_are_means_of_scans_and_areas_have_intervals_of_scans() {
    let score = |scan: usize, dial: f32, seed: u64, score: f64| Score {
        scan: format!("s{scan}"),
        finding: "nodule".to_owned(),
        seed: (dial > 0.0).then_some(seed),
        dial: Some(dial),
        present: dial > 0.0,
        score,
        strength_hu: None,
        volume_ml: None,
    };
    let mut scores = Vec::new();
    for scan in 0..6 {
        scores.push(score(scan, 0.0, 0, 0.1 + 0.01 * scan as f64));
        for seed in 1..3 {
            scores.push(score(scan, 1.0, seed, 0.5 + 0.2 * seed as f64 - 0.05 * scan as f64));
        }
    }
    let of = Detection::of("nodule", "Nodule".to_owned(), &scores);
    let [without, with] = &of.dials[..] else { panic!("two dials: {of:?}") };
    assert!(!without.present && without.auroc.is_none() && without.scans == 6 && without.raised.is_none());
    assert!((without.mean_score - 0.125).abs() < 1e-9 && (with.mean_score - 0.675).abs() < 1e-9);
    assert_eq!((with.scans, with.scores, with.auroc, with.raised), (6, 12, Some(1.0), Some(1.0)));
    let [low, high] = with.mean_score_interval.expect("six scans have one");
    assert!(low < with.mean_score && with.mean_score < high && with.auroc_interval == Some([1.0, 1.0]));
    assert_eq!(of, Detection::of("nodule", "Nodule".to_owned(), &scores), "the same intervals every time");
}
