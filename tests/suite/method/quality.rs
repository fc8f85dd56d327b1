//! What a result is worth: the numbers of whole runs on tiny networks, against what defines them.

use std::sync::Arc;

use parallax::job::Monitor;
use parallax::latent_shift::{Counterfactual, Options, SearchWay};
use parallax::models::Classifier;
use parallax::pipeline::{self, Input, Model, Request, Target};
use parallax::preprocess::Recipe;
use parallax::quality::{self, Quality};

use crate::tiny_models::{LABELS, TinyModels};

const LABEL: usize = 1;
/// f32 of two networks and a sigmoid.
const ROUNDING: f64 = 1e-6;

struct Run {
    classifier: Arc<Model<Classifier>>,
    input: Input,
    request: Request,
    result: Counterfactual,
}

/// A slab of the tiny stack, searched along one gradient, or along a path.
fn run(search: SearchWay) -> Run {
    let (models, monitor) = (TinyModels::new(), Monitor::default());
    let classifier = pipeline::load_classifier(&models.card("classifier"), &monitor).expect("a classifier");
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&models.card("autoencoder"), &monitor).expect("an autoencoder"),
        target: Target::Classes { classifier: Arc::clone(&classifier), terms: vec![(LABEL, 1.0)], offset: 0.0 },
        slab: Some(2..6),
        options: Options { search, drop: 0.01, floor: 0.0, max_change: 1.0, steps: 4, ..Options::default() },
    };
    let input = pipeline::open(&models.stack(8), &Recipe::default(), &monitor).expect("a stack");
    let result = pipeline::explain(&input, &request, &monitor).expect("a result");
    Run { classifier, input, request, result }
}

#[test]
fn the_logits_of_a_run_are_what_the_classifier_says_of_its_pictures() {
    let Run { classifier, input, result, .. } = run(SearchWay::Path);
    let end = &result.steps[result.chosen];
    assert!(end.lambda < 0.0, "a search that moved");
    for (volume, logits) in [
        (&input.prepared.volume, &result.scan_logits),
        (&result.reconstruction, &result.reconstruction_logits),
        (&result.frame(result.chosen), &end.logits),
    ] {
        let probabilities = pipeline::probabilities(volume, &classifier.network, &Monitor::default()).expect("numbers");
        assert_eq!(logits.len(), LABELS.len());
        for (probability, logit) in probabilities.iter().zip(logits.iter()) {
            let ours = 1.0 / (1.0 + (-f64::from(*logit)).exp());
            assert!((probability - ours).abs() <= ROUNDING, "{probability} is not {ours}");
        }
    }
    let others = quality::drift(&result, classifier.network.labels(), &[LABEL], classifier.network.probabilities());
    assert!(others.iter().map(|output| output.name.as_str()).eq(LABELS.into_iter().filter(|l| *l != LABELS[LABEL])));
    for output in &others {
        let ours = output.logits.map(|logit| 1.0 / (1.0 + (-logit).exp()));
        assert_eq!(output.scores, ours, "a sigmoid each");
    }
    let [before, after] = others[1].logits;
    assert_eq!([before, after], [result.reconstruction_logits[2], end.logits[2]].map(f64::from), "the class behind it");
}

#[test]
fn latents_move_by_lambda_gradients_along_a_straight_line_and_by_lambda_along_a_path() {
    let length = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    for (search, gradients) in [(SearchWay::Aim, true), (SearchWay::Path, false)] {
        let Run { result, .. } = run(search);
        let [encoded, c, h, w] = result.latent_shape;
        let first = if encoded == result.slab.len() { 0 } else { result.slab.start };
        let slab = length(&result.latents[first * c * h * w..][..result.slab.len() * c * h * w]);
        let lambda = result.steps[result.chosen].lambda.abs();
        let way = if gradients { lambda * length(&result.gradient) } else { lambda };
        let (ours, longest) = (result.latents_moved, way / slab);
        assert!(ours > 0.0 && ours <= longest * (1.0 + 1e-5), "{search:?}: {ours}, at most {longest}");
        if gradients {
            assert!((ours - longest).abs() <= 1e-5 * longest, "{ours} is not {longest}");
        }
    }
}

#[test]
fn quality_is_told_of_the_chosen_step() {
    let Run { request, result, .. } = run(SearchWay::Aim);
    let quality = Quality::of(&result, &request.options);
    let scores = result.scores;
    let goal = quality.goal.expect("a search has one");
    assert!((goal - (scores.reconstruction - 0.01)).abs() < 1e-12);
    assert_eq!(quality.goal_reached, Some(result.stop.contains("reached its goal")), "{}", result.stop);
    assert_eq!(quality.score_change, scores.counterfactual - scores.reconstruction);
    assert!(quality.logit_change.expect("of a class") < 0.0);
    assert_eq!(quality.reconstruction_gap, (scores.scan - scores.reconstruction).abs());
    // The stack is -400 HU and more: body all over.
    let change = result.difference_hu(result.chosen);
    let sizes: Vec<f64> = change.voxels.iter().map(|hu| f64::from(hu.abs())).collect();
    let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
    assert!((quality.mean_change_hu - mean).abs() <= 1e-9 * mean, "{} is not {mean}", quality.mean_change_hu);
    let changed = sizes.iter().filter(|size| **size > f64::from(quality::CHANGED_HU)).count();
    assert_eq!(quality.changed_body_share, changed as f64 / sizes.len() as f64);
    assert!(sizes.iter().all(|size| *size <= f64::from(quality.largest_change_hu.abs())));
    assert!(quality.sparsity > 0.0 && quality.sparsity <= 0.5, "half of the slices never change: {}", quality.sparsity);

    let ranged = Options { range: Some([-1.0, 0.0]), ..request.options.clone() };
    assert_eq!(Quality::of(&result, &ranged).goal_reached, None, "a range has no goal");
}

#[test]
fn a_segmenters_score_has_neither_logits_nor_other_outputs() {
    let (models, monitor) = (TinyModels::new(), Monitor::default());
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&models.card("autoencoder"), &monitor).expect("an autoencoder"),
        target: Target::LungSize {
            segmenter: pipeline::load_segmenter(&models.card("segmenter"), &monitor).expect("a segmenter"),
        },
        slab: Some(3..5),
        options: Options { range: Some([-1.0, 0.0]), steps: 2, ..Options::default() },
    };
    let input = pipeline::open(&models.stack(8), &Recipe::default(), &monitor).expect("a stack");
    let result = pipeline::explain(&input, &request, &monitor).expect("a result");
    assert!(result.steps.iter().all(|step| step.logits.is_empty()) && result.scan_logits.is_empty());
    assert_eq!(Quality::of(&result, &request.options).logit_change, None);
}
