//! ONNX's functions of one number: values and slopes are those of the standard library.

use candle_core::{DType, Device, Tensor};
use parallax::exchange::Model;
use parallax::graph::Plan;
use rten_onnx::onnx::{AttributeProto, NodeProto};

use super::hostile_onnx::{network, node, written};
use crate::support::unchecked;

/// What f64 rounds.
const ROUNDING: f64 = 1e-14;

/// The output of a network of one node, and the gradient of its sum.
fn pulled(node: NodeProto, x: [f64; 4]) -> [Vec<f64>; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Model::open(&written(&folder, &network(vec![node], Vec::new()))).unwrap_or_else(|e| panic!("{e}"));
    let graph = model.graph(&[&[1, 4]], &[], DType::F64, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    let plan = Plan::new(&graph, &[&[1, 4]], DType::F64).expect("a plan");
    let x = Tensor::from_slice(&x, (1, 4), &Device::Cpu).expect("an input");
    let (y, tape) = plan.record(&[x], &unchecked).expect("a pass");
    let gradient = tape.vjp(&[y[0].ones_like().expect("ones")], &unchecked).expect("a gradient");
    [&y[0], &gradient[0]].map(|t| t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers"))
}

fn assert_close(name: &str, found: &[f64], wanted: [f64; 4]) {
    let near = |(a, b): (&f64, f64)| (a - b).abs() <= ROUNDING * b.abs().max(1.0);
    assert!(found.iter().zip(wanted).all(near), "{name}: {found:?} instead of {wanted:?}");
}

#[test]
fn circular_and_hyperbolic_functions_have_their_values_and_slopes() {
    type Of = fn(f64) -> f64;
    let small = [-0.9, -0.25, 1e-9, 0.6];
    let large = [1.25, 2.0, 3.5, 1e3];
    let functions: [(&str, [f64; 4], Of, Of); 9] = [
        ("Tan", small, f64::tan, |x| 1.0 / x.cos().powi(2)),
        ("Asin", small, f64::asin, |x| 1.0 / (1.0 - x * x).sqrt()),
        ("Acos", small, f64::acos, |x| -1.0 / (1.0 - x * x).sqrt()),
        ("Atan", small, f64::atan, |x| 1.0 / (1.0 + x * x)),
        ("Sinh", small, f64::sinh, f64::cosh),
        ("Cosh", small, f64::cosh, f64::sinh),
        ("Asinh", small, f64::asinh, |x| 1.0 / (x * x + 1.0).sqrt()),
        ("Acosh", large, f64::acosh, |x| 1.0 / (x * x - 1.0).sqrt()),
        ("Atanh", small, f64::atanh, |x| 1.0 / (1.0 - x * x)),
    ];
    for (name, x, value, slope) in functions {
        let [y, gradient] = pulled(node(name, &["x"], "y"), x);
        assert_close(name, &y, x.map(value));
        assert_close(name, &gradient, x.map(slope));
    }
}

#[test]
fn numbers_that_are_none_or_infinite_are_told() {
    let x = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0];
    assert_eq!(pulled(node("IsNaN", &["x"], "y"), x), [vec![1.0, 0.0, 0.0, 0.0], vec![0.0; 4]]);
    assert_eq!(pulled(node("IsInf", &["x"], "y"), x)[0], [0.0, 1.0, 1.0, 0.0]);
    let flag = AttributeProto { name: Some("detect_negative".to_owned()), i: Some(0), ..Default::default() };
    let above = NodeProto { attribute: vec![flag], ..node("IsInf", &["x"], "y") };
    assert_eq!(pulled(above, x)[0], [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn shrinking_brings_what_lies_beyond_a_bound_nearer_to_0() {
    let float =
        |name: &str, number| AttributeProto { name: Some(name.to_owned()), f: Some(number), ..Default::default() };
    let shrink = NodeProto { attribute: vec![float("lambd", 1.5), float("bias", 0.25)], ..node("Shrink", &["x"], "y") };
    let [y, gradient] = pulled(shrink, [-2.0, -1.0, 1.0, 3.0]);
    assert_eq!((y, gradient), (vec![-1.75, 0.0, 0.0, 2.75], vec![1.0, 0.0, 0.0, 1.0]));
}
