//! What exporters write as several operations is fused to one, which gives the numbers of those several.

use std::f64::consts::FRAC_1_SQRT_2;

use candle_core::{DType, Device, Result, Tensor};
use parallax::graph::ops::{Arithmetic, Conv, Edge, Function, GroupNorm, Pairwise, Softmax};
use parallax::graph::{Graph, Value};

use crate::networks::gradients::random;
use crate::support::{graph_of, plan_for, unchecked, worst};

/// f64 sums in another order, and erf in one pass, of the largest number.
const REORDERED: f64 = 1e-12;

/// Asserts that a graph has so many operations once it is fused, and that outputs and gradients stay.
fn assert_fuses(what: &str, graph: &Graph, input: &[usize], operations: usize) {
    let (x, fused) = ([random(input, 1)], graph.clone().fused());
    assert_eq!(fused.operations(), operations, "{what}: operations");
    let [whole, one] = [graph, &fused].map(|graph| {
        let (y, tape) = plan_for(graph, &x).expect(what).record(&x, &unchecked).expect(what);
        let of_output = random(y[0].dims(), 2);
        [y[0].clone(), tape.vjp(&[of_output], &unchecked).expect(what).remove(0)]
    });
    for (whole, one) in whole.iter().zip(&one) {
        let size = worst(whole, &whole.zeros_like().expect("zeros"));
        let gap = worst(whole, one);
        assert!(gap <= REORDERED * size, "{what}: {gap:e} of {size}");
    }
}

fn by(g: &mut Graph, x: Value, arithmetic: Arithmetic, numbers: &Tensor) -> Value {
    g.apply(Pairwise::by(arithmetic, numbers).expect("numbers"), &[x])
}

#[test]
fn a_gelu_is_known_wherever_its_half_stands() {
    let erf = |g: &mut Graph, x: Value, factor: f64| {
        let y = g.affine(x, factor, 0.0);
        let y = g.function(y, Function::Erf);
        g.affine(y, 1.0, 1.0)
    };
    let last = graph_of(|g, x| {
        let gate = erf(g, x, FRAC_1_SQRT_2);
        let y = g.pairwise(Arithmetic::Multiply, x, gate);
        g.affine(y, 0.5, 0.0)
    });
    let first = graph_of(|g, x| {
        let half = g.affine(x, 0.5, 0.0);
        let gate = erf(g, x, FRAC_1_SQRT_2);
        g.pairwise(Arithmetic::Multiply, gate, half)
    });
    assert_fuses("the half last", &last, &[3, 40], 1);
    assert_fuses("the half first", &first, &[3, 40], 1);
    let another = graph_of(|g, x| {
        let gate = erf(g, x, 0.7);
        let y = g.pairwise(Arithmetic::Multiply, x, gate);
        g.affine(y, 0.5, 0.0)
    });
    assert_fuses("another factor is no gelu", &another, &[3, 40], 5);
}

#[test]
fn a_norm_of_groups_between_two_reshapes_is_one_and_takes_the_swish_that_follows() {
    let norm = |channels: usize, between: &[usize], shift: Vec<usize>, gated: bool| {
        graph_of(|g, x| {
            let [ones, zeros] =
                [Tensor::ones, Tensor::zeros].map(|of| of(4, DType::F64, &Device::Cpu).expect("numbers"));
            let sides = |shape: &[usize]| shape.iter().copied().map(Some).collect::<Vec<_>>();
            let y = g.reshape(x, &[Some(2), Some(4), None]);
            let y = g.apply(GroupNorm::new(&ones, &zeros, 4, 1e-5).expect("a norm"), &[y]);
            let y = g.reshape(y, &sides(between));
            let y = by(g, y, Arithmetic::Multiply, &random(&[channels, 1, 1], 3));
            let y = by(g, y, Arithmetic::Add, &random(&shift, 4));
            if !gated {
                return y;
            }
            let gate = g.function(y, Function::Sigmoid);
            g.pairwise(Arithmetic::Multiply, y, gate)
        })
    };
    let shape = [2, 8, 6, 5];
    // The reshape that is left is of the input's own shape.
    assert_fuses("alone", &norm(8, &shape, vec![8, 1, 1], false), &shape, 2);
    assert_fuses("with a swish", &norm(8, &shape, vec![1, 8, 1, 1], true), &shape, 2);
    assert_fuses("another shape goes in", &norm(8, &shape, vec![8, 1, 1], false), &[2, 8, 30], 2);
    assert_fuses("a shift by row", &norm(8, &[2, 8, 6, 5], vec![6, 1], false), &shape, 5);
}

#[test]
fn two_products_and_a_softmax_are_attention_where_it_is_known_that_there_are_heads() {
    let attention = |transposed: &[usize], mask: Option<Vec<usize>>, swap: bool| {
        let (transposed, order) = (transposed.to_vec(), [0, 2, 1, 3]);
        graph_of(move |g, x| {
            // [samples, tokens, heads, width]
            let heads = g.permute(x, &order);
            let q = g.affine(heads, 0.6, 0.0);
            let k = if transposed == [0, 1, 3, 2] { g.permute(heads, &transposed) } else { g.permute(x, &transposed) };
            let k = g.affine(k, 0.5, 0.0);
            let scores = if swap { g.matmul(heads, k) } else { g.matmul(q, k) };
            let scores = match &mask {
                Some(mask) => by(g, scores, Arithmetic::Add, &random(mask, 7)),
                None => scores,
            };
            let weights = g.apply(Softmax { axis: 3 }, &[scores]);
            g.matmul(weights, heads)
        })
    };
    let shape = [2, 9, 3, 4];
    assert_fuses("of transposed heads", &attention(&[0, 1, 3, 2], None, false), &shape, 2);
    assert_fuses("of keys by one permutation", &attention(&[0, 2, 3, 1], None, true), &shape, 3);
    assert_fuses("with a mask", &attention(&[0, 1, 3, 2], Some(vec![3, 9, 9]), false), &shape, 2);
    assert_fuses("with a mask of windows", &attention(&[0, 1, 3, 2], Some(vec![2, 1, 9, 9]), false), &shape, 2);
    assert_fuses("a mask of keys alone stays", &attention(&[0, 1, 3, 2], Some(vec![9]), false), &shape, 8);
}

#[test]
fn zeros_around_the_input_of_a_convolution_are_its_own() -> Result<()> {
    let weight = random(&[3, 2, 3, 3], 5);
    for (what, more, filling, operations) in [
        ("even", [[0, 0], [0, 0], [1, 1], [2, 2]], 0.0, 1),
        ("uneven", [[0, 0], [0, 0], [0, 1], [2, 1]], 0.0, 1),
        ("ones", [[0, 0], [0, 0], [1, 1], [2, 2]], 1.0, 2),
        ("fewer", [[0, 0], [0, 0], [-1, 1], [2, 2]], 0.0, 2),
        ("samples", [[1, 0], [0, 0], [1, 1], [2, 2]], 0.0, 2),
    ] {
        let conv = Conv::new(&weight, None)?.padded([0, 1, 0]);
        let graph = graph_of(|g, x| {
            let y = g.pad_with(x, &more, Edge::Constant, filling);
            g.conv(y, conv)
        });
        assert_fuses(what, &graph, &[2, 2, 6, 7], operations);
    }
    Ok(())
}
