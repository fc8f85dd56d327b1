//! The audit's measures against numbers made by hand, by numpy and by PyTorch: intervals, realism, Grad-CAM++, deletion and insertion.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use glam::DAffine3;
use parallax::audit::curves::{self, Along, SHARES};
use parallax::audit::metrics::{self, Localisation};
use parallax::audit::realism::{self, Realism, frechet};
use parallax::audit::summary::estimate::{self, interval, text};
use parallax::audit::{Case, Change, Features, Method, Scores};
use parallax::graph::Graph;
use parallax::graph::ops::{AtZero, Conv, Function, Linear, Unsqueeze};
use parallax::job::Monitor;
use parallax::latent_shift::{self, grad_cam};
use parallax::models::{Classifier, Probabilities};
use parallax::pipeline;
use parallax::preprocess::Recipe;
use parallax::volume::phantom::{Dials, Mask};
use parallax::volume::{Grid, Volume};

use super::audit::{near, toy};
use crate::support::{self, data};

#[test]
fn the_iou_is_of_the_two_sets_whose_dice_it_comes_from() {
    // Two voxels are marked, and one of the two largest is one of them: 1 of 3.
    let (map, mask) = ([5.0, 1.0, 4.0, 0.0, 0.0], [true, true, false, false, false]);
    let at = Localisation::of(&map, &mask, &mask);
    assert!(near(at.dice, 0.5) && near(at.iou, 1.0 / 3.0), "{at:?}");
    assert!(near(metrics::iou_of_dice(1.0), 1.0) && near(metrics::iou_of_dice(0.0), 0.0));
}

#[test]
fn an_interval_is_where_the_means_of_resampled_cases_lie() {
    let values: Vec<f64> = (0..200).map(|n| f64::from(n * 37 % 101)).collect();
    let mean = estimate::mean(&values);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 199.0;
    let half = 1.96 * (variance / 200.0).sqrt();
    let [low, high] = interval(&values).expect("200 cases have one");
    for (end, normal) in [(low, mean - half), (high, mean + half)] {
        assert!((end - normal).abs() < 0.15 * half, "{low} {high}, by the normal law {mean} +- {half}");
    }
    assert_eq!(interval(&values), Some([low, high]), "the same every time");
    assert_eq!(interval(&[0.25; 6]), Some([0.25; 2]), "cases that agree leave no doubt");
}

#[test]
fn few_cases_and_unknown_ones_have_no_interval() {
    assert_eq!(interval(&[0.1, 0.2, 0.3, 0.4]), None);
    assert_eq!(interval(&[0.1, 0.2, 0.3, 0.4, f64::NAN, 0.5]), None);
    assert_eq!(text(0.641, Some([0.6, 0.684]), 2), "0.64 [0.60, 0.68]");
    assert_eq!(text(0.641, None, 3), "0.641");
    assert_eq!(text(f64::NAN, None, 3), "unknown");
}

fn slices(rows: &[Vec<f64>]) -> Vec<&[f64]> {
    rows.iter().map(Vec::as_slice).collect()
}

/// Of numpy's eigenvalues of a matrix of a lower rank: their roots are 1e-8 where the eigenvalues are 1e-16.
const OF_NUMPY: f64 = 1e-5;

#[test]
fn the_frechet_distance_is_that_of_numpy() {
    let json = std::fs::read_to_string(data("audit/frechet.json")).expect("a file");
    let pairs: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    for pair in pairs.as_array().expect("a list") {
        let set = |name: &str| serde_json::from_value::<Vec<Vec<f64>>>(pair[name].clone()).expect("vectors");
        let (a, b, wanted) = (set("a"), set("b"), pair["distance"].as_f64().expect("a number"));
        for (a, b) in [(&a, &b), (&b, &a)] {
            let found = frechet(&slices(a), &slices(b));
            let case = format!("{} and {} of {}", a.len(), b.len(), a[0].len());
            assert!((found - wanted).abs() <= OF_NUMPY * wanted, "{found} is not {wanted}: {case}");
        }
    }
}

#[test]
fn the_frechet_distance_is_what_a_hand_counts() {
    // Of one number: (m1 - m2)^2 + (s1 - s2)^2, here of deviations 1 and 2 about 0 and 3.
    let (a, b) = ([vec![-1.0], vec![0.0], vec![1.0]], [vec![1.0], vec![3.0], vec![5.0]]);
    assert!((frechet(&slices(&a), &slices(&b)) - 10.0).abs() < 1e-12);
    // Moved as a whole: the length of the move, squared.
    let set = |by: f64| (0..5).map(|n| vec![f64::from(n * n), f64::from(n % 2), by]).collect::<Vec<_>>();
    assert!((frechet(&slices(&set(0.0)), &slices(&set(1.5))) - 2.25).abs() < 1e-9);
    assert!(frechet(&slices(&set(0.0)), &slices(&set(0.0))) < 1e-9);
    // Singular values 3 and 2, turned by an angle.
    let (c, s) = (0.6, 0.8);
    assert!((realism::nuclear_norm(vec![vec![3.0 * c, 3.0 * s], vec![-2.0 * s, 2.0 * c]]) - 5.0).abs() < 1e-12);
    assert_eq!(realism::nuclear_norm(vec![vec![0.0; 3]; 2]), 0.0);
}

/// A case whose images have these features and of which nothing else matters.
fn case(features: Option<Features>) -> Case {
    Case {
        name: "one".to_owned(),
        seed: None,
        finding: "effusion".to_owned(),
        dial: None,
        mask_voxels: 1,
        mask_share: 0.1,
        localisation: Vec::new(),
        curves: Vec::new(),
        scores: Scores { scan: 0.9, reconstruction: 0.8, counterfactual: 0.1, truth: f64::NAN },
        reached: true,
        drift: f64::NAN,
        monotonicity: 1.0,
        proximity_hu: 2.0,
        changed_body_share: 0.1,
        sparsity: 0.2,
        hu_error: Change::UNKNOWN,
        features,
        seconds: 1.0,
    }
}

#[test]
fn few_cases_have_no_frechet_distance_and_it_is_said_why() {
    let features = |n: usize, truth: bool| {
        let of = |shift: f64| vec![(n as f64).sin() + shift, (n as f64 * 1.7).cos()];
        let truth = truth.then(|| of(0.5));
        Some(Features { scan: of(2.0), reconstruction: of(0.0), counterfactual: of(1.0), truth })
    };
    let cases: Vec<Case> = (0..realism::LEAST_CASES).map(|n| case(features(n, true))).collect();
    let all: Vec<&Case> = cases.iter().collect();
    let known = Realism::of(&all, None);
    let is = |found: Option<f64>, wanted: f64| found.is_some_and(|found| (found - wanted).abs() < 1e-9);
    assert!(is(known.counterfactual_to_reconstruction, 1.0) && is(known.scan_to_reconstruction, 4.0), "{known:?}");
    assert!(is(known.counterfactual_to_truth, 0.25) && is(known.scan_to_truth, 2.25), "{known:?}");
    let few = Realism::of(&all[1..], None);
    assert!(few.counterfactual_to_reconstruction.is_none());
    assert!(few.why_not.is_some_and(|why| why.contains("10 cases at least, not 9")));
    let cases: Vec<Case> = (0..12).map(|n| case(features(n, false))).collect();
    let unknown = Realism::of(&cases.iter().collect::<Vec<_>>(), None);
    assert!(unknown.counterfactual_to_truth.is_none() && unknown.scan_to_reconstruction.is_some());
    let without = Realism::of(&all, Some("its output comes from nowhere"));
    assert!(without.scan_to_truth.is_none() && without.why_not.is_some_and(|why| why.contains("from nowhere")));
}

/// The golden's tensors.
fn golden() -> HashMap<String, Tensor> {
    support::tensors(&data("audit/grad_cam.safetensors"))
}

/// The golden's network of a stack `[slices, 1, h, w]`; where it is turned, it wants rows and columns exchanged and columns in reverse.
fn network(golden: &HashMap<String, Tensor>, turned: bool) -> Classifier {
    let conv = |weight: &str, bias: &str| Conv::new(&golden[weight], Some(&golden[bias])).expect("a convolution");
    let graph = support::graph_of(|g, x| {
        let x = if turned { g.permute(x, &[0, 1, 3, 2]) } else { x };
        let x = if turned { g.flip(x, &[3]) } else { x };
        let x = g.permute(x, &[1, 0, 2, 3]);
        let x = g.apply(Unsqueeze { axis: 0 }, &[x]);
        let x = g.conv(x, conv("w1", "b1").padded([1; 3]));
        let x = g.relu(x, AtZero::Nothing);
        let x = g.conv(x, conv("w2", "b2").strided([2; 3]).padded([1; 3]));
        let x = g.relu(x, AtZero::Nothing);
        let x = g.reshape(x, &[Some(1), None]);
        g.linear_of(x, Linear::new(&golden["head"], Some(&golden["bias"])).expect("a head"))
    });
    classifier(graph.fused())
}

fn classifier(graph: Graph) -> Classifier {
    let labels = ["a", "b"].map(str::to_owned).to_vec();
    Classifier::new(graph, &Recipe::default(), labels, Probabilities::Sigmoid, DType::F32, &Device::Cpu)
}

/// A tensor `[slices, rows, columns]` as a volume.
fn volume(tensor: &Tensor) -> Volume {
    let (k, j, i) = tensor.dims3().expect("a volume");
    let grid = Grid { shape: [i, j, k], world_from_voxel: DAffine3::IDENTITY };
    Volume::from_f32(grid, tensor.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers"))
}

/// Of f32 against PyTorch's f64, as a share of the largest size.
const OF_TORCH: f64 = 1e-5;

#[test]
fn grad_cam_is_that_of_pytorch_whose_derivatives_are_taken_by_autograd() {
    let golden = golden();
    let stack = golden["stack"].squeeze(0).and_then(|t| t.squeeze(0)).expect("a volume");
    // Columns in reverse become rows: [k, j, i] to [k, i reversed, j], which the turned network puts back.
    let turn = |t: &Tensor| t.flip(&[2]).and_then(|t| t.permute((0, 2, 1))?.contiguous()).expect("turned");
    for turned in [false, true] {
        let given = volume(&if turned { turn(&stack) } else { stack.clone() });
        let maps = grad_cam::maps(&network(&golden, turned), &given, &[0, 1], &Monitor::default()).expect("maps");
        for (label, map) in maps.iter().enumerate() {
            let wanted = &golden[&format!("map.{label}")];
            let wanted = volume(&if turned { turn(wanted) } else { wanted.clone() });
            let largest = wanted.voxels.iter().fold(0.0, f32::max);
            let worst = map.iter().zip(wanted.voxels.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(
                f64::from(worst) <= OF_TORCH * f64::from(largest),
                "label {label}, turned {turned}: off by {worst}"
            );
        }
    }
}

#[test]
fn a_channel_is_weighted_as_a_hand_counts() {
    // Sum of A is 4, so alpha g is 2 / (2 + 4 * 2) = 0.2 at the first place, and nothing where the gradient is 0.
    let (shape, sizes) = grad_cam::weighed(&[1, 1, 1, 1, 2], &[1.0, 3.0], &[2.0, 0.0]);
    assert_eq!(shape, [1, 1, 1, 2]);
    assert!((sizes[0] - 0.2).abs() < 1e-6 && (sizes[1] - 0.6).abs() < 1e-6, "{sizes:?}");
    // What only lowers the score has no weight.
    assert_eq!(grad_cam::weighed(&[1, 1, 1, 1, 2], &[1.0, 3.0], &[-2.0, -1.0]).1, [0.0, 0.0]);
}

#[test]
fn a_network_without_places_or_without_a_linear_layer_is_refused_in_words() {
    let golden = golden();
    let stack = volume(&golden["stack"].squeeze(0).and_then(|t| t.squeeze(0)).expect("a volume"));
    let [i, j, k] = stack.grid.shape;
    let flat =
        Linear::new(&Tensor::ones((2, i * j * k), DType::F32, &Device::Cpu).expect("ones"), None).expect("a head");
    let graph = support::graph_of(|g, x| {
        let x = g.reshape(x, &[Some(1), None]);
        g.linear_of(x, flat)
    });
    let found = grad_cam::maps(&classifier(graph.clone()), &stack, &[0], &Monitor::default());
    assert!(matches!(&found, Err(latent_shift::Error::NoMap(why)) if why.contains("no convolution")), "{found:?}");
    assert!(graph.features().is_ok());
    let behind = support::graph_of(|g, x| {
        let y = g.append(&graph, x);
        g.function(y, Function::Exp)
    });
    let why = behind.features().err().expect("no linear layer");
    assert!(why.contains("no linear layer"), "{why}");
    let network = network(&golden, false);
    let features = pipeline::features(&stack, &network, &Monitor::default()).expect("a pass").expect("features");
    let dot = |row: &[f32]| row.iter().zip(&features).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
    let head = golden["head"].to_vec2::<f32>().expect("a matrix");
    let (bias, logits) =
        (golden["bias"].to_vec1::<f32>().expect("a vector"), golden["logits"].to_vec2::<f32>().expect("rows"));
    for label in 0..2 {
        let (found, wanted) = (dot(&head[label]) + f64::from(bias[label]), f64::from(logits[0][label]));
        assert!((found - wanted).abs() < 1e-4, "{found} is not {wanted}: the features are what the head takes");
    }
}

#[test]
fn areas_are_by_trapezoids_and_ties_go_in_an_order_of_their_own() {
    assert!(near(curves::area(&[1.0; SHARES.len()]), 1.0));
    assert!(near(curves::area(&SHARES), 0.5), "of a straight line");
    let order = curves::order(&[0.5, 2.0, 0.0, 1.0]);
    assert_eq!(order, [1, 3, 0, 2]);
    let ties = curves::order(&[1.0; 50]);
    let mut all = ties.clone();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..50) && !ties.is_sorted());
    assert_eq!(ties, curves::order(&[1.0; 50]));
}

#[test]
fn a_map_of_the_finding_lets_the_score_fall_and_rise_sooner_than_one_of_all_else() {
    let recipe = Recipe { spacing_mm: [5.0, 5.0, 8.0], ..Recipe::of_side(64) };
    let dials = Dials { effusion: 0.9, ..Dials::default() };
    let (phantom, input) = pipeline::draw(5, dials, &recipe, &Monitor::default()).expect("a phantom");
    let grid = input.prepared.volume.grid;
    let inside: Vec<bool> = phantom.masks_on(&grid).iter().map(|masks| masks & Mask::Effusion as u8 != 0).collect();
    let [i, j, k] = grid.shape;
    let weight = 8.0 / inside.iter().filter(|is| **is).count() as f32;
    let weights: Vec<f32> = inside.iter().map(|is| if *is { weight } else { 0.0 }).collect();
    let toy = toy(&Tensor::from_vec(weights, (k, 1, j, i), &Device::Cpu).expect("weights"));
    let scan = pipeline::probabilities(&input.prepared.volume, &toy, &Monitor::default()).expect("scores")[0];
    let monitor = Monitor::default();
    let along = Along::new(&input, (&toy, 0), 0..grid.len(), scan, &monitor).expect("both ends");
    let map = |inside: f32, outside: f32, mask: &[bool]| -> Vec<f32> {
        mask.iter().map(|is| if *is { inside } else { outside }).collect()
    };
    let [true_to_it, false_to_it] =
        [map(1.0, 0.0, &inside), map(0.0, 1.0, &inside)].map(|map| along.curves(&map, &monitor).expect("curves"));
    assert!(true_to_it.deletion_area() + 0.1 < false_to_it.deletion_area(), "{true_to_it:?} {false_to_it:?}");
    assert!(true_to_it.insertion_area() > false_to_it.insertion_area(), "{true_to_it:?} {false_to_it:?}");
    let (first, last) = (true_to_it.deletion[0], true_to_it.insertion[SHARES.len() - 1]);
    assert!(near(first, scan) && near(last, scan), "the whole scan stands at both curves' ends");
    assert_eq!(true_to_it.deletion.last(), false_to_it.deletion.last(), "all voxels gone are all gone");
}

#[test]
fn every_method_has_a_name_of_its_own() {
    let mut names = Method::ALL.map(Method::name).to_vec();
    names.dedup();
    assert_eq!(names.len(), Method::ALL.len());
    assert!(Method::DEFAULT.iter().all(|method| Method::ALL.contains(method)));
}
