//! The guide to a model of one's own, and the page on model cards: each of their commands and programs is run, in its order, by a Python
//! that has PyTorch and MONAI.
//!
//! The Python is that of `PARALLAX_PYTHON`, else `python3`. Where it lacks a package nothing is tested, which is said on the error output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use parallax::models::Card;

use crate::support::pages::{self, Block};

/// The pages whose commands need that Python, in the order in which they run in one folder.
pub(crate) const PAGES: [&str; 2] = ["docs/your-own-model.md", "docs/cards.md"];
/// What the guide tells people to install.
const PACKAGES: &str = "import torch, onnx, onnxscript, monai, nibabel";

fn blocks() -> Vec<Block> {
    PAGES.into_iter().flat_map(pages::blocks).collect()
}

/// A Python that has all that the guide needs.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("PARALLAX_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let has_all = Command::new(&python).args(["-c", PACKAGES]).output().is_ok_and(|output| output.status.success());
    if !has_all {
        let name = python.display();
        // A closed pipe leaves no one to tell.
        writeln!(
            std::io::stderr(),
            "NOT TESTED: {}; {name} cannot `{PACKAGES}`, name another with PARALLAX_PYTHON",
            PAGES.join(", ")
        )
        .ok();
    }
    has_all.then_some(python)
}

#[cfg(unix)]
fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its owner's");
}

/// A folder as the guide has it: `python3` is on the path that is returned, too.
#[cfg(unix)]
fn place(folder: &Path, python: &Path) -> std::ffi::OsString {
    let programs = folder.join("programs");
    std::fs::create_dir(&programs).expect("a folder");
    // By its own name: a Python of a virtual environment knows it by where it lies.
    executable(&programs.join("python3"), &format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.display()));
    pages::place(folder, Some(&programs))
}

#[cfg(unix)]
#[test]
fn every_command_and_program_of_the_guide_does_what_it_says() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = place(folder.path(), &python);
    let mut ran = 0;
    for block in blocks() {
        match block.language.as_str() {
            "sh" => {
                pages::run(&block, folder.path(), &path);
                ran += 1;
            }
            "python" | "toml" => {
                let name = block.file().unwrap_or_else(|| panic!("its first line names its file: {block:?}"));
                std::fs::write(folder.path().join(name), &block.text).expect("written");
            }
            "" => {}
            other => panic!("no one runs {other}"),
        }
    }
    assert!(ran >= 6, "{ran} blocks of commands");
    let report = std::fs::read_to_string(folder.path().join("counterfactual/result.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let gap = report.pointer("/scored_by/self_check").and_then(serde_json::Value::as_f64);
    assert!(gap.is_some_and(|gap| gap < 1e-4), "the self-check of the network: {report:#}");
}

#[test]
fn the_cards_of_the_guide_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let cards: Vec<Block> = blocks().into_iter().filter(|block| block.language == "toml").collect();
    assert!(cards.len() >= 2, "{cards:?}");
    for card in cards {
        let path = folder.path().join(card.file().expect("a name"));
        std::fs::write(&path, &card.text).expect("written");
        Card::open(&path).unwrap_or_else(|error| panic!("{error}"));
    }
}
