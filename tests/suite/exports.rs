//! What `--export` chooses, through the real binary: the files, what they say, and that other programs could read them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use parallax::export::{Kind, names};

use crate::support;
use crate::tiny_models::TinyModels;

fn path(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

/// A run of tiny networks on a NIfTI scan, slices 9 to 13 free, in three steps.
fn explain(models: &TinyModels, scan: &Path, more: &[&str]) -> Output {
    let [autoencoder, classifier] = ["autoencoder", "classifier"].map(|name| models.card(name));
    Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(["explain", path(scan), "--autoencoder", path(&autoencoder), "--classifier", path(&classifier)])
        .args(["--target", "Fracture", "--slab", "9:14", "--range", "-50:0", "--steps", "3"])
        .args(more)
        .output()
        .expect("the binary runs")
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn fails(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

fn scan() -> PathBuf {
    support::data("nifti/syn_lps.nii.gz")
}

/// Every file below a folder, as paths within it, sorted.
fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).expect("inside").to_str().expect("plain names").to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_chosen_is_written_and_nothing_else() {
    let models = TinyModels::new();
    for kind in Kind::ALL {
        let out = models.folder.path().join(kind.name());
        // Twice is as good as once.
        succeeds(&explain(&models, &scan(), &["--export", kind.name(), "--export", kind.name(), "--out", path(&out)]));
        let mut promised: Vec<_> = names(&[kind]).collect();
        promised.sort_unstable();
        assert_eq!(files(&out), promised, "{}", kind.name());
    }
}

#[test]
fn a_choice_that_cannot_be_is_refused_before_anything_is_computed() {
    let models = TinyModels::new();
    let out = models.folder.path().join("out");
    fails(&explain(&models, &scan(), &["--export", "jpeg", "--out", path(&out)]), 2, "'jpeg'");
    fails(&explain(&models, &scan(), &["--export", "png"]), 2, "--out");
    assert!(!out.exists(), "nothing is made");
    std::fs::create_dir(&out).expect("a folder");
    std::fs::write(out.join("panes.png"), "mine").expect("written");
    let refused = explain(&models, &scan(), &["--export", "nifti,png", "--out", path(&out)]);
    fails(&refused, 1, "the file exists");
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("encoding"), "nothing is computed");
    assert_eq!(files(&out), ["panes.png"]);
    // What stands there under another kind's name is in no one's way.
    succeeds(&explain(&models, &scan(), &["--export", "nifti", "--out", path(&out)]));
    assert_eq!(std::fs::read(out.join("panes.png")).expect("kept"), b"mine");
}
