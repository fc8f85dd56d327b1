//! `parallax cohort`: many scans by the real program on tiny networks. What is done is not done again, what fails stops nothing, and what is
//! killed leaves nothing half.

mod broken;
mod damaged;
mod manifests;
mod merged;
pub(crate) mod screen;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use serde_json::Value;

use crate::support;
use crate::tiny_models::TinyModels;

/// Tiny networks, some stacks beside them, and a folder for the cohort.
pub(crate) struct Trial {
    models: TinyModels,
    folder: tempfile::TempDir,
}

impl Trial {
    pub(crate) fn new() -> Self {
        Self { models: TinyModels::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn case(&self, id: &str) -> PathBuf {
        self.out().join("cases").join(id)
    }

    /// A manifest of cases by ids and slices of their stacks.
    fn manifest(&self, cases: &[(&str, usize)]) -> PathBuf {
        let row = |(id, slices): &(&str, usize)| format!("{id},{}\n", self.models.stack(*slices).display());
        self.table(&format!("id,scan\n{}", cases.iter().map(row).collect::<String>()))
    }

    fn table(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("manifest.csv");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// `parallax cohort` of a manifest; a sweep along a given range takes a fraction of a second.
    fn command(&self, manifest: &Path) -> Command {
        let mut command = self.bare(manifest);
        command.args(["--steps", "2", "--threads", "1"]);
        command
    }

    /// The same, to be told how many steps and threads.
    fn bare(&self, manifest: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
        command.arg("cohort").arg(manifest).arg("--out").arg(self.out());
        command.arg("--autoencoder").arg(self.models.card("autoencoder"));
        command.arg("--classifier").arg(self.models.card("classifier"));
        command.args(["--target", "Fracture", "--range=-4:0"]);
        command.env_remove("SLURM_ARRAY_TASK_ID").env_remove("SLURM_CPUS_PER_TASK");
        command
    }

    fn run(&self, manifest: &Path, more: &[&str]) -> Output {
        self.command(manifest).args(more).output().expect("the binary runs")
    }

    fn status(&self) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_parallax"))
            .args(["cohort", "status", "--json"])
            .arg(self.out())
            .output()
            .expect("the binary runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
    }

    /// What lies in the folder of cases.
    fn listed(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.out().join("cases")).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// When the result of a case was written.
    fn written(&self, id: &str) -> SystemTime {
        let metadata = std::fs::metadata(self.case(id).join("result.json")).unwrap_or_else(|e| panic!("{id}: {e}"));
        metadata.modified().expect("a time")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The exit code, with what was said where it is another.
fn ended(output: &Output, code: i32) -> String {
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn what_is_done_is_not_done_again_and_what_failed_is_tried_again() {
    let trial = Trial::new();
    let late = trial.models.folder.path().join("late.safetensors");
    let rows = [3, 4].map(|slices| format!("s{slices},{},A\n", trial.models.stack(slices).display()));
    let manifest = trial.table(&format!("id,scan,site\n{}late,{},B\n", rows.concat(), late.display()));
    let said = ended(&trial.run(&manifest, &[]), 1);
    assert!(said.contains("late: failed") && said.contains("2 done, 0 done before, 1 failed"), "{said}");
    let failure = json(&trial.case("late").join("error.json"));
    assert!(failure["reason"].as_str().is_some_and(|why| why.contains("late.safetensors")), "{failure}");
    assert!(failure["chain"].as_array().is_some_and(|chain| chain.len() > 1) && failure["when"].is_string());
    let status = trial.status();
    assert_eq!((status["done"].as_u64(), status["failed"][0]["id"].as_str()), (Some(2), Some("late")));
    for name in ["result.json", "case.json", "panes.png", "curve.csv", "aligned.safetensors", "s3.parallax"] {
        assert!(trial.case("s3").join(name).is_file(), "{name}");
    }

    let before = ["s3", "s4"].map(|id| trial.written(id));
    std::fs::copy(trial.models.stack(5), &late).expect("copied");
    let said = ended(&trial.run(&manifest, &[]), 0);
    assert!(said.contains("1 done, 2 done before, 0 failed"), "{said}");
    assert!(!trial.case("late").join("error.json").exists() && trial.case("late").join("result.json").exists());
    let said = ended(&trial.run(&manifest, &["--verify"]), 0);
    assert!(said.contains("0 done, 3 done before"), "{said}");
    // A list may have blanks, and says the same. A session is no part of what a case was asked, and may go.
    std::fs::remove_file(trial.case("s3").join("s3.parallax")).expect("removed");
    let said = ended(&trial.run(&manifest, &["--session-mb", "0", "--export", "csv,  png"]), 0);
    assert!(said.contains("0 done, 3 done before"), "{said}");
    let said = ended(&trial.run(&manifest, &["--export", "csv, jpg"]), 2);
    assert!(said.contains("invalid value 'jpg'") && said.contains("dicom-ct"), "{said}");
    assert_eq!(["s3", "s4"].map(|id| trial.written(id)), before);
    assert_eq!(trial.listed(), ["late", "s3", "s4"]);
}

#[test]
fn a_case_that_was_asked_something_else_is_left_unless_told_otherwise() {
    let trial = Trial::new();
    let manifest = trial.manifest(&[("a", 3)]);
    ended(&trial.run(&manifest, &[]), 0);
    let before = trial.written("a");
    let said = ended(&trial.run(&manifest, &["--offset", "0.5"]), 1);
    assert!(said.contains("offset was 0.0, is 0.5") && said.contains("--overwrite"), "{said}");
    assert_eq!(trial.written("a"), before);
    // Another scan under the same name and of the same size: its voxels tell.
    let scan = trial.folder.path().join("scan.safetensors");
    std::fs::copy(trial.models.stack(3), &scan).expect("copied");
    let moved = trial.table(&format!("id,scan\na,{}\n", scan.display()));
    let said = ended(&trial.run(&moved, &[]), 0);
    assert!(said.contains("1 done before"), "the same voxels elsewhere: {said}");
    std::fs::copy(trial.models.stack(4), &scan).expect("copied");
    let said = ended(&trial.run(&moved, &[]), 1);
    assert!(said.contains("the scan's voxels are others"), "{said}");
    let said = ended(&trial.run(&moved, &["--overwrite"]), 0);
    assert!(said.contains("1 done, 0 done before"), "{said}");
    assert!(trial.written("a") > before);
    // What fails replaces nothing that is done.
    std::fs::write(&scan, "no stack").expect("written");
    ended(&trial.run(&moved, &["--overwrite"]), 1);
    assert!(trial.case("a").join("result.json").exists() && !trial.case("a").join("error.json").exists());
}

#[test]
fn shards_share_all_cases_and_no_case_is_in_two() {
    let trial = Trial::new();
    let manifest = trial.manifest(&[("e", 3), ("d", 3), ("c", 3), ("b", 3), ("a", 3)]);
    ended(&trial.run(&manifest, &["--shard", "2/3"]), 0);
    assert_eq!(trial.listed(), ["b", "e"], "by sorted ids");
    let status = trial.status();
    assert_eq!(status["missing"], serde_json::json!(["a", "c", "d"]));
    let latest: Vec<bool> = (0..3).map(|shard| status["shards"][shard]["latest"].is_object()).collect();
    assert_eq!(latest, [false, true, false]);
    // As a task of a Slurm array from 1 by 2, with one processor.
    let slurm = [("ID", "5"), ("COUNT", "3"), ("MIN", "1"), ("STEP", "2")];
    let mut task = trial.command(&manifest);
    task.envs(slurm.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value)));
    let said = ended(&task.output().expect("the binary runs"), 0);
    assert!(said.contains("shard 3/3: 1 of 5 cases"), "{said}");
    assert_eq!(trial.listed(), ["b", "c", "e"]);
    ended(&trial.run(&manifest, &["--shard", "1/3"]), 0);
    assert_eq!(trial.status()["done"], 5);
    let shards = std::fs::read_dir(trial.out().join("shards")).expect("a folder").count();
    assert_eq!(shards, 3, "a file of each shard alone");
    ended(&trial.run(&manifest, &["--shard", "4/3"]), 2);
    let mut odd = trial.bare(&manifest);
    odd.env("SLURM_CPUS_PER_TASK", "two");
    let said = ended(&odd.output().expect("the binary runs"), 2);
    assert!(said.contains("SLURM_CPUS_PER_TASK=two"), "{said}");
}

#[test]
fn a_row_may_have_its_own_target_and_slices_and_what_there_is_not_is_refused_at_once() {
    let trial = Trial::new();
    let scan = trial.models.stack(4);
    let scan = scan.display();
    let manifest = trial.table(&format!("id,scan,target,slab\nx,{scan},Emphysema,1:3\ny,{scan},,\nz,{scan},1,all\n"));
    ended(&trial.run(&manifest, &["--slab", "0:1"]), 0);
    let [x, y, z] = ["x", "y", "z"].map(|id| json(&trial.case(id).join("result.json")));
    assert_eq!((&x["target"], &x["slab"]), (&"Emphysema".into(), &serde_json::json!([1, 3])));
    assert_eq!((&y["target"], &y["slab"]), (&"Fracture".into(), &serde_json::json!([0, 1])));
    assert_eq!((&z["target"], &z["slab"]), (&"Pleurisy; pleural effusion".into(), &serde_json::json!([0, 4])));
    let wrong = trial.table(&format!("id,scan,target\nnew,{scan},Fracture\nodd,{scan},Gout\n"));
    let said = ended(&trial.run(&wrong, &[]), 3);
    assert!(said.contains("line 3") && said.contains("Gout"), "{said}");
    assert!(!trial.case("new").exists(), "nothing ran");
    for (more, words) in
        [(["--dump", "x.safetensors"], "--dump is of one run"), (["--mask", "x.nii.gz"], "the column mask")]
    {
        let said = ended(&trial.run(&manifest, &more), 2);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn no_command_on_a_cohort_opens_a_socket() {
    let Some(_) = support::strace() else { return };
    let trial = Trial::new();
    let manifest = trial.manifest(&[("a", 3)]);
    let traced = |inner: &Command| {
        let log = trial.folder.path().join("trace");
        let mut outer = Command::new("strace");
        outer.args(["-f", "-e", "trace=network", "-o"]).arg(&log).arg(inner.get_program()).args(inner.get_args());
        ended(&outer.output().expect("strace runs"), 0);
        let trace = std::fs::read_to_string(&log).expect("a trace");
        assert!(trace.contains("exited with 0"), "it was traced: {trace}");
        let calls: Vec<&str> = trace.lines().filter(|line| line.contains('(')).collect();
        assert!(calls.is_empty(), "{calls:?}");
    };
    traced(&trial.command(&manifest));
    for command in ["status", "merge"] {
        let mut cohort = Command::new(env!("CARGO_BIN_EXE_parallax"));
        cohort.args(["cohort", command]).arg(trial.out());
        traced(&cohort);
    }
}
