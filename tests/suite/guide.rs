//! The guide to a model of one's own: each of its commands and programs is run, in its order, by a Python that has PyTorch and MONAI.
//!
//! The Python is that of `PARALLAX_PYTHON`, else `python3`. Where it lacks a package nothing is tested, which is said on the error output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use parallax::models::Card;

const GUIDE: &str = "docs/your-own-model.md";
/// What the guide tells people to install.
const PACKAGES: &str = "import torch, onnx, onnxscript, monai, nibabel";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A fenced block of the guide.
#[derive(Debug)]
struct Block {
    /// "sh", "python", "toml", or nothing.
    language: String,
    text: String,
}

impl Block {
    /// What its first line calls the file: `# train.py`.
    fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        Path::new(name).extension().is_some_and(|ext| ext == "py" || ext == "toml").then_some(name)
    }
}

fn blocks() -> Vec<Block> {
    let guide = std::fs::read_to_string(root().join(GUIDE)).expect("the guide");
    let fenced = guide.split("\n```").collect::<Vec<_>>();
    assert!(fenced.len() % 2 == 1, "each block of the guide ends");
    let block = |fenced: &&str| {
        let (language, text) = fenced.split_once('\n').expect("a block has lines");
        Block { language: language.to_owned(), text: format!("{text}\n") }
    };
    fenced.iter().skip(1).step_by(2).map(block).collect()
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
            "NOT TESTED: {GUIDE}; {name} cannot `{PACKAGES}`, name another with PARALLAX_PYTHON"
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

/// A folder as the guide has it: the assets lie there, `parallax` and `python3` are on the path that is returned.
#[cfg(unix)]
fn place(folder: &Path, python: &Path) -> std::ffi::OsString {
    std::os::unix::fs::symlink(root().join("assets"), folder.join("assets")).expect("a link");
    let programs = folder.join("programs");
    std::fs::create_dir(&programs).expect("a folder");
    // By its own name: a Python of a virtual environment knows it by where it lies.
    executable(&programs.join("python3"), &format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.display()));
    let binary = Path::new(env!("CARGO_BIN_EXE_parallax")).parent().expect("a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([programs, binary].into_iter().chain(std::env::split_paths(&path))).expect("plain names")
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
                let mut shell = Command::new("bash");
                shell.args(["-euo", "pipefail", "-c", &block.text]).current_dir(folder.path()).env("PATH", &path);
                let output = shell.output().expect("a shell");
                let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
                assert!(output.status.success(), "{}\n{}", block.text, said.join("\n"));
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
