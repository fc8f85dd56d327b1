//! Runs that are killed, stopped, or side by side: nothing half under a case's name, and the next run completes.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Trial, ended};
use crate::support::{Random, kills};

const CASES: [(&str, usize); 4] = [("a", 3), ("b", 4), ("c", 3), ("d", 5)];
/// Moments of runs of about a second.
const KILLS: u64 = 20;
/// A run that is told to stop has so long.
const STOPPED_SECS: u64 = 10;

/// Every case that has its name is whole.
fn assert_whole(trial: &Trial) {
    for id in trial.listed().iter().filter(|name| !name.starts_with('.')) {
        for name in ["result.json", "case.json", "aligned.safetensors", "panes.png", "curve.csv"] {
            assert!(trial.case(id).join(name).is_file(), "{id} has no {name}");
        }
        super::json(&trial.case(id).join("result.json"));
    }
}

#[test]
fn a_run_that_is_killed_at_any_moment_leaves_nothing_half_and_the_next_completes_it() {
    let trial = Trial::new();
    let manifest = trial.manifest(&CASES);
    let began = Instant::now();
    ended(&trial.run(&manifest, &[]), 0);
    let whole = began.elapsed();
    let mut random = Random::new(13);
    for kill in 0..kills(KILLS) {
        let moment = whole.mul_f64(random.share());
        std::fs::remove_dir_all(trial.case(CASES[kill as usize % 4].0)).ok();
        std::fs::remove_dir_all(trial.case(CASES[(kill as usize + 1) % 4].0)).ok();
        let mut child = trial.command(&manifest).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        let began = Instant::now();
        while began.elapsed() < moment && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().ok(); // it may have ended
        child.wait().expect("it ends");
        assert_whole(&trial);
    }
    ended(&trial.run(&manifest, &[]), 0);
    assert_whole(&trial);
    assert_eq!(trial.listed(), ["a", "b", "c", "d"], "no temporary folder is left");
    assert_eq!(trial.status()["done"], 4);
}

#[test]
fn a_run_that_is_told_to_stop_drops_its_case_and_says_so_by_its_exit_code() {
    let trial = Trial::new();
    let manifest = trial.manifest(&[("a", 3), ("b", 40)]);
    for signal in ["-TERM", "-INT"] {
        let mut long = trial.bare(&manifest);
        // So many steps take minutes.
        long.args(["--steps", "1000"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = long.spawn().expect("it runs");
        let mut errors = child.stderr.take().expect("a pipe");
        let began = Instant::now();
        while !trial.out().join("cases/.parallax-case-a").exists() {
            assert!(began.elapsed() < Duration::from_mins(1) && child.try_wait().expect("a child").is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        let told = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        let began = Instant::now();
        let status = child.wait().expect("it ends");
        let took = began.elapsed();
        let mut said = String::new();
        errors.read_to_string(&mut said).expect("words");
        assert!(told.success() && took < Duration::from_secs(STOPPED_SECS), "{took:?}");
        assert_eq!(status.code(), Some(4), "{signal}: {said}");
        assert!(trial.listed().is_empty(), "{:?}", trial.listed());
        assert_eq!(trial.status()["shards"][0]["latest"]["state"], "stopped");
    }
}

#[test]
fn two_processes_on_one_cohort_do_not_harm_each_other() {
    let trial = Trial::new();
    let manifest = trial.manifest(&CASES);
    let start = || trial.command(&manifest).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let both = [start(), start()].map(|child| ended(&child.wait_with_output().expect("it ends"), 0));
    let made = |said: &String| said.lines().filter(|line| line.ends_with(": done")).count();
    assert_eq!(both.iter().map(made).sum::<usize>(), 4, "each case is made once: {both:?}");
    assert_whole(&trial);
    assert_eq!(trial.listed(), ["a", "b", "c", "d"]);
}
