//! The same run from perturbed starts: what comes again on tiny networks, by the library and by the command line.

use std::cell::Cell;
use std::sync::Arc;

use parallax::job::Monitor;
use parallax::latent_shift::vary::Variation;
use parallax::latent_shift::{Counterfactual, Options};
use parallax::pipeline::{self, Input, Request, Target};
use parallax::preprocess::Recipe;
use parallax::quality::regions::{Change, Regions, regions};
use parallax::stability::{MOST_RUNS, stability};

use crate::tiny_models::TinyModels;

const LABEL: usize = 1;
const THRESHOLD_HU: f32 = 5.0;

struct Run {
    input: Input,
    request: Request,
    result: Counterfactual,
    regions: Regions,
}

/// A run along a range, which always finds its end: a slab of the tiny stack.
fn run(chunk: usize) -> Run {
    let (models, monitor) = (TinyModels::new(), Monitor::default());
    let classifier = pipeline::load_classifier(&models.card("classifier"), &monitor).expect("a classifier");
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&models.card("autoencoder"), &monitor).expect("an autoencoder"),
        target: Target::Classes { classifier: Arc::clone(&classifier), terms: vec![(LABEL, 1.0)], offset: 0.0 },
        slab: Some(2..6),
        options: Options { range: Some([-80.0, 0.0]), steps: 3, chunk, ..Options::default() },
    };
    let input = pipeline::open(&models.stack(8), &Recipe::default(), &monitor).expect("a stack");
    let result = pipeline::explain(&input, &request, &monitor).expect("a result");
    let change = Change::of(&result, &input.display_volume().grid);
    let regions = regions(&change, THRESHOLD_HU, None, &monitor).expect("not cancelled");
    assert!(!regions.list.is_empty(), "something changed: {}", result.largest_change_hu());
    Run { input, request, result, regions }
}

#[test]
fn a_repetition_is_its_seeds_alone_and_ends_where_the_run_does() {
    let Run { input, request, result, .. } = run(2);
    let monitor = Monitor::default();
    let repeat = |seed: u64, request: &Request| {
        let variation = Variation { seed, slab: result.slab.clone() };
        pipeline::repeat(&input, request, &result, &variation, &monitor).expect("no error").expect("a counterfactual")
    };
    let (first, other) = (repeat(1, &request), repeat(2, &request));
    assert_eq!(first.steps.len(), 1, "the counterfactual alone");
    assert_eq!(first.steps[0].lambda, result.steps[result.chosen].lambda);
    assert_ne!(first.latents, result.latents, "noise");
    assert_ne!(first.latents, other.latents, "of another seed");
    assert_eq!(first.latents, repeat(1, &request).latents);
    let whole = Request { options: Options { chunk: 5, ..request.options.clone() }, ..request.clone() };
    let (a, b) = (&first.latents, repeat(1, &whole).latents);
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // The encoder rounds in its own way for other chunks.
    assert!(worst < 1e-4, "chunks change no noise: {worst}");
}

#[test]
fn regions_say_in_how_many_runs_they_came_again() {
    let Run { input, request, result, regions } = run(2);
    let monitor = Monitor::default();
    let found = stability(&input, &request, &result, &regions, 4, &monitor).expect("no error");
    assert_eq!((found.asked, found.runs, found.failed), (4, 4, 0));
    assert_eq!(found.regions.len(), regions.list.len());
    for again in &found.regions {
        assert!(again.found_in <= again.of && again.of <= 4 && again.of > 0, "{again:?}");
        assert!(again.sign_share.is_some_and(|share| (0.0..=1.0).contains(&share)));
    }
    let change = Change::hu_of(&result, result.chosen);
    for (share, hu) in found.shares().iter().zip(&change) {
        assert_eq!(share.is_nan(), hu.abs() <= THRESHOLD_HU, "{share} of {hu} HU");
    }
    let peak = glam::DVec3::from_array(regions.list[0].peak_mm);
    assert!(found.share_at(peak).is_some_and(|share| share > 0.5), "the largest change has its sign again");
    assert!(
        found.line().contains("from perturbed starts (4 runs) the largest regions came again: in "),
        "{}",
        found.line()
    );
    assert_eq!(
        serde_json::to_value(&found).expect("JSON"),
        serde_json::to_value(stability(&input, &request, &result, &regions, 4, &monitor).expect("no error"))
            .expect("JSON"),
        "the same again"
    );
}

#[test]
fn stability_that_is_cancelled_keeps_the_runs_that_were_made() {
    let Run { input, request, result, regions } = run(2);
    let cancelled = Monitor::default();
    cancelled.cancel();
    let error = stability(&input, &request, &result, &regions, 3, &cancelled).expect_err("no run was made");
    assert!(error.downcast_ref::<parallax::job::Cancelled>().is_some(), "{error}");

    // The second run is not begun.
    let stop = Arc::new(std::sync::OnceLock::<Monitor>::new());
    let seen = Arc::clone(&stop);
    let monitor = Monitor::new(move |progress| {
        if progress.phase == "running from perturbed starts" && progress.done == 2 {
            seen.get().expect("set below").cancel();
        }
    });
    stop.set(monitor.clone()).ok();
    let found = stability(&input, &request, &result, &regions, MOST_RUNS + 7, &monitor).expect("two runs");
    assert_eq!((found.asked, found.runs), (MOST_RUNS, 2));
}

#[test]
fn progress_counts_the_runs() {
    let Run { input, request, result, regions } = run(2);
    let phases = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&phases);
    let monitor = Monitor::new(move |progress| {
        heard.lock().expect("no panic").push((progress.phase, progress.done, progress.total));
    });
    stability(&input, &request, &result, &regions, 3, &monitor).expect("no error");
    let phase = "running from perturbed starts";
    assert_eq!(*phases.lock().expect("no panic"), [(phase, 0, 3), (phase, 1, 3), (phase, 2, 3)]);
}

#[test]
fn the_command_line_says_the_cost_first_and_records_what_came_again() {
    let models = TinyModels::new();
    let stack = models.stack(8);
    let told = ["--target", "Fracture", "--slab", "2:6", "--range", "-80:0", "--steps", "3", "--regions-above", "5"];
    let run = |more: &[&str]| models.explain(&stack).args(told).args(more).output().expect("the binary runs");
    let output = run(&["--json", "--stability", "3"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (stability, listed) = (&report["stability"], report["regions"]["list"].as_array().expect("a list"));
    assert_eq!((stability["asked"].as_u64(), stability["runs"].as_u64()), (Some(3), Some(3)), "{stability}");
    assert_eq!(stability["regions"].as_array().map(Vec::len), Some(listed.len()));
    let schema = serde_json::from_str(include_str!("../../../assets/result.schema.json")).expect("JSON");
    let wrong = crate::schema::breaches(&schema, &report);
    assert!(wrong.is_empty(), "{wrong:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let before = Cell::new(0);
    for words in [
        "stability: 3 more runs will follow the run, about",
        "encoding",
        "stability: 3 more runs, about",
        "running from perturbed starts",
    ] {
        let at = said.find(words).unwrap_or_else(|| panic!("no {words}: {said}"));
        assert!(at >= before.replace(at), "{words} in its turn: {said}");
    }
    let output = run(&["--stability", "2"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("from perturbed starts (2 runs)"));
    let plain: serde_json::Value = serde_json::from_slice(&run(&["--json"]).stdout).expect("JSON");
    assert!(plain["stability"].is_null(), "off by default");
    for number in ["0", "101"] {
        assert_eq!(run(&["--stability", number]).status.code(), Some(2));
    }
}
