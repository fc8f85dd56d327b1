//! Networks in the files of other programs: their numbers are those of PyTorch, and what cannot be read is refused in words.

mod functions;
mod hostile_onnx;
mod node_tests;

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use parallax::exchange::{Activation, Model};
use parallax::graph::ops::{Arithmetic, Choose, Steps, StraightThrough};
use parallax::graph::{Graph, Plan};

use crate::networks::gradients::random;
use crate::support::{self, unchecked, worst};

/// Largest gap of f32 to what PyTorch computed in f64, of the golden's largest number.
const F32: f64 = 1e-5;
/// Largest gap of f64 to what PyTorch computed in f64: rounding, and constants that the files hold as f32.
const F64: f64 = 1e-6;

/// Networks in which a ReLU stands within the rounding of Winograd's transform of 0: its gradient in f32 is decided by that rounding. The
/// gradient in f64 is held all the same, and `parallax check` computes without the transform.
const TIED: [&str; 1] = ["monai_segresnet_3d"];

/// A gap of the golden's largest number.
fn gap(a: &Tensor, golden: &Tensor) -> f64 {
    let [a, golden] = [a, golden].map(|x| x.to_dtype(DType::F64).expect("numbers"));
    worst(&a, &golden) / worst(&golden, &golden.zeros_like().expect("zeros")).max(f64::MIN_POSITIVE)
}

/// The gaps of the output and of the gradient.
fn gaps(model: &Model, golden: &HashMap<String, Tensor>, dtype: DType) -> [f64; 2] {
    let [x, cotangent] = ["x", "cotangent"].map(|name| golden[name].to_dtype(dtype).expect("numbers"));
    let output = model.outputs()[0].name.clone();
    let graph = model.graph(&[x.dims()], &[&output], dtype, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    let plan = Plan::new(&graph, &[x.dims()], dtype).expect("a plan");
    let (y, tape) = plan.record(&[x], &unchecked).expect("a pass");
    let gradient = tape.into_vjp(&[cotangent], &unchecked).expect("a gradient");
    [gap(&y[0], &golden["y"]), gap(&gradient[0], &golden["gradient"])]
}

fn hold(path: &Path, golden: &Path) -> Option<String> {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let model = match Model::open(path) {
        Ok(model) => model,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    let golden = support::tensors(golden);
    let network = name.split('.').next().expect("a name");
    let tied = |dtype: &DType| *dtype == DType::F32 && TIED.contains(&network);
    let found = [(DType::F32, F32), (DType::F64, F64)].map(|(dtype, most)| (gaps(&model, &golden, dtype), dtype, most));
    let wrong = found.iter().filter(|([y, gradient], dtype, most)| !(y <= most && (gradient <= most || tied(dtype))));
    let wrong: Vec<_> =
        wrong.map(|([y, g], dtype, most)| format!("{name} in {dtype:?}: {y:e}, {g:e} of at most {most:e}")).collect();
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}

#[test]
fn every_exported_network_gives_the_numbers_of_pytorch() {
    let Some(folder) = support::shared("graphs") else { return };
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("readable").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    assert!(files.len() > 40, "{} networks", files.len());
    let golden = |path: &Path| {
        let stem = path.file_stem().expect("a name").to_string_lossy().replace(".opset17", "");
        folder.join(format!("{stem}.safetensors"))
    };
    let wrong: Vec<String> =
        files.iter().filter(|path| golden(path).exists()).filter_map(|path| hold(path, &golden(path))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn weights_beside_the_file_and_open_sizes_are_read() {
    let Some(folder) = support::shared("graphs") else { return };
    let [beside, open] =
        ["external/model.onnx", "dynamic_sizes.onnx"].map(|name| Model::open(&folder.join(name)).expect(name));
    assert!(beside.parameters() > 10_000 && beside.parameters() == open.parameters());
    let x = random(&[1, 1, 33, 33, 33], 7).to_dtype(DType::F32).expect("numbers");
    let of = |model: &Model, x: &Tensor| {
        let graph = model.graph(&[x.dims()], &[], DType::F32, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
        let plan = Plan::new(&graph, &[x.dims()], DType::F32).expect("a plan");
        plan.forward(std::slice::from_ref(x), &unchecked).expect("a pass").remove(0)
    };
    assert!(gap(&of(&beside, &x), &of(&open, &x)) < F32);
    let other = random(&[1, 1, 40, 24, 32], 8).to_dtype(DType::F32).expect("numbers");
    assert_eq!(of(&open, &other).dims(), [1, 3]);
}

#[test]
fn small_networks_of_both_exporters_give_the_numbers_of_pytorch() {
    let folder = support::data("exchange");
    let wrong: Vec<String> = ["classifier", "transformer"]
        .iter()
        .filter_map(|name| hold(&folder.join(format!("{name}.onnx")), &folder.join(format!("{name}.safetensors"))))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_score_can_be_taken_before_the_last_activation() {
    let model = Model::open(&support::data("exchange/classifier.onnx")).expect("a network");
    let ending = model.ending("y").expect("it ends in a sigmoid");
    assert_eq!(ending.activation, Activation::Sigmoid);
    let logits = ending.before;
    let x = support::tensors(&support::data("exchange/classifier.safetensors"))["x"].clone();
    let graph = model.graph(&[x.dims()], &[&logits, "y"], DType::F32, &Device::Cpu).expect("a graph");
    let y = Plan::new(&graph, &[x.dims()], DType::F32).expect("a plan").forward(&[x], &unchecked).expect("a pass");
    let sigmoid = candle_nn::ops::sigmoid(&y[0]).expect("numbers");
    assert!(gap(&sigmoid, &y[1]) < F32);
    assert!(model.ending(&logits).is_none());
}

#[test]
fn choices_and_quantisers_pass_the_gradient_that_they_must() {
    let mut g = Graph::new();
    let [x, other] = [g.input(), g.input()];
    let mask = g.pairwise(Arithmetic::Greater, x, other);
    let chosen = g.apply(Choose, &[mask, x, other]);
    let steps = g.apply(Steps::Round, &[chosen]);
    let quantised = g.apply(StraightThrough, &[chosen, steps]);
    let graph = g.finish(&[quantised, steps]);
    let [a, b] = [[0.6, -1.4, 2.5, 0.2], [0.1, 1.7, 3.5, 0.1]]
        .map(|x: [f64; 4]| Tensor::new(&x, &Device::Cpu).expect("numbers"));
    let plan = Plan::new(&graph, &[&[4], &[4]], DType::F64).expect("a plan");
    let (y, tape) = plan.record(&[a, b], &unchecked).expect("a pass");
    let ones = y[0].ones_like().expect("ones");
    let gradients = tape.into_vjp(&[ones.clone(), ones], &unchecked).expect("gradients");
    let numbers = |x: &Tensor| x.to_vec1::<f64>().expect("numbers");
    // The larger of each pair, rounded to the even one of two as near.
    assert_eq!(numbers(&y[0]), [1.0, 2.0, 4.0, 0.0]);
    // Past the quantiser goes the gradient of what was quantised, once: of the steps themselves there is none.
    assert_eq!(numbers(&gradients[0]), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(numbers(&gradients[1]), [0.0, 1.0, 1.0, 0.0]);
}
