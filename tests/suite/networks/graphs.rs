//! Whole graphs: what fusing and segments leave as it is, random networks, what a plan says beforehand, and how a pass is stopped.

use std::cell::Cell;
use std::process::Command;

use candle_core::{DType, Result, Tensor};
use parallax::graph::ops::{AtZero, BatchNorm, Conv, Size, Windows};
use parallax::graph::{self, Graph, Plan, Value};
use parallax::job::Cancelled;
use peak_alloc::PeakAlloc;

use crate::networks::gradients::{batch_norm, conv, dot, group_norm, random};
use crate::support::{graph_of, plan_for, unchecked, worst};

/// f32 sums in another order, of the largest number.
const REORDERED_F32: f64 = 1e-5;
/// f64 sums in another order, of the largest number.
const REORDERED_F64: f64 = 1e-12;

/// The outputs of a pass and the gradients of its inputs, from random gradients of the outputs.
fn both(plan: &Plan, inputs: &[Tensor]) -> Vec<Tensor> {
    let (mut outputs, tape) = plan.record(inputs, &unchecked).expect("a pass");
    let gradients: Result<Vec<_>> =
        outputs.iter().zip(90..).map(|(y, seed)| random(y.dims(), seed).to_dtype(y.dtype())).collect();
    outputs.extend(tape.vjp(&gradients.expect("numbers"), &unchecked).expect("gradients"));
    outputs
}

fn largest(x: &Tensor) -> f64 {
    worst(x, &x.zeros_like().expect("zeros"))
}

/// Holds all numbers of two graphs together.
fn assert_same(what: &str, [a, b]: [&Graph; 2], inputs: &[Tensor]) {
    let [a, b] = [a, b].map(|graph| both(&plan_for(graph, inputs).expect(what), inputs));
    let tolerance = if inputs[0].dtype() == DType::F64 { REORDERED_F64 } else { REORDERED_F32 };
    assert_eq!(a.len(), b.len());
    for (number, (a, b)) in a.iter().zip(&b).enumerate() {
        let (gap, size) = (worst(a, b), largest(b));
        assert!(gap <= tolerance * size, "{what}, tensor {number}: {gap:e} of {size}");
    }
}

/// What follows a convolution of x, beside a skip.
type Following = fn(&mut Graph, [Value; 2], Conv, BatchNorm) -> Value;

const FOLLOWING: [(&str, Following); 6] = [
    ("norm last", |g, [x, _], conv, norm| {
        let y = g.conv(x, conv);
        let y = g.relu(y, AtZero::All);
        g.batch_norm(y, norm)
    }),
    ("norm", |g, [x, _], conv, norm| {
        let y = g.conv(x, conv);
        g.batch_norm(y, norm)
    }),
    ("relu", |g, [x, _], conv, norm| {
        let y = g.conv(x, conv);
        let y = g.batch_norm(y, norm);
        g.relu(y, AtZero::Nothing)
    }),
    ("skip", |g, [x, skip], conv, norm| {
        let y = g.conv(x, conv);
        let y = g.batch_norm(y, norm);
        g.add(y, skip)
    }),
    ("both", |g, [x, skip], conv, norm| {
        let y = g.conv(x, conv);
        let y = g.batch_norm(y, norm);
        let y = g.add(skip, y);
        g.relu(y, AtZero::Nothing)
    }),
    ("skip without norm", |g, [x, skip], conv, _| {
        let y = g.conv(x, conv);
        let y = g.add(y, skip);
        g.relu(y, AtZero::All)
    }),
];

#[test]
fn what_follows_a_convolution_gives_the_same_within_it() -> Result<()> {
    for (kernel, stride, dtype) in [
        (3, 1, DType::F64),
        (3, 2, DType::F64),
        (1, 1, DType::F64),
        (1, 2, DType::F64),
        (3, 1, DType::F32),
        (3, 2, DType::F32),
        (1, 1, DType::F32),
        (1, 2, DType::F32),
    ] {
        let (weight, bias) = (random(&[5, 4, kernel, kernel, kernel], 5).to_dtype(dtype)?, random(&[5], 4));
        let conv = Conv::new(&weight, Some(&bias))?.strided([stride; 3]).padded([kernel / 2; 3]);
        let side = |voxels: usize| (voxels - 1) / stride + 1;
        let (x, skip) = (random(&[2, 4, 3, 10, 9], 1), random(&[2, 5, side(3), side(10), side(9)], 2));
        let inputs = [x.to_dtype(dtype)?, skip.to_dtype(dtype)?];
        for (name, following) in FOLLOWING {
            let mut g = Graph::new();
            let ends = [g.input(), g.input()];
            let y = following(&mut g, ends, conv.clone(), batch_norm(5, 6));
            let apart = g.finish(&[y]);
            let within = apart.clone().fused();
            assert_eq!(within.operations(), 1, "{name}");
            assert_same(&format!("{name}, {kernel} taps, stride {stride}, {dtype:?}"), [&within, &apart], &inputs);
        }
    }
    Ok(())
}

/// The gradient's last part is added within a convolution's own, past the mask of the ReLU that gave its input.
#[test]
fn a_value_that_a_relu_gave_and_two_operations_use_has_the_gradient_of_both() {
    for (kernel, stride, last) in [(3, 1, false), (3, 2, false), (1, 2, false), (3, 1, true), (1, 1, true)] {
        let graph = graph_of(|g, x| shared(g, x, kernel, stride, last));
        let two = |first: bool| {
            let mut g = Graph::new();
            let x = g.input();
            let before = g.conv(x, conv(&[4, 2, 1, 1, 1], 6));
            let before = g.relu(before, AtZero::All);
            let other = if first { g.swish(before) } else { before };
            let y = g.conv(before, conv(&[5, 4, kernel, kernel, kernel], 5).strided([stride; 3]));
            let y = normed(&mut g, y, last);
            g.finish(&[y, other, before])
        };
        let x = [random(&[2, 2, 3, 10, 9], 1)];
        for apart in [graph, two(true), two(false)] {
            let within = apart.clone().fused();
            assert!(within.operations() < apart.operations());
            assert_same(&format!("{kernel} taps, stride {stride}, norm last {last}"), [&within, &apart], &x);
        }
    }
}

/// A norm and a ReLU, or the norm `last`.
fn normed(g: &mut Graph, y: Value, last: bool) -> Value {
    if last {
        let y = g.relu(y, AtZero::Nothing);
        g.batch_norm(y, batch_norm(5, 7))
    } else {
        let y = g.batch_norm(y, batch_norm(5, 7));
        g.relu(y, AtZero::Nothing)
    }
}

/// A sum of two operations on what a ReLU gave.
fn shared(g: &mut Graph, x: Value, kernel: usize, stride: usize, last: bool) -> Value {
    let before = g.conv(x, conv(&[5, 2, 1, 1, 1], 6));
    let before = g.relu(before, AtZero::Nothing);
    let conv = conv(&[5, 5, kernel, kernel, kernel], 5).strided([stride; 3]).padded([kernel / 2; 3]);
    let y = g.conv(before, conv);
    let y = normed(g, y, last);
    let other = g.conv(before, self::conv(&[5, 5, 1, 1, 1], 8).strided([stride; 3]));
    g.add(y, other)
}

#[test]
fn a_norm_over_a_concatenation_reads_its_parts() {
    let graph = graph_of(|g, x| {
        let mut all = vec![x];
        for (layer, channels) in [3, 5, 7].into_iter().enumerate() {
            let joined = g.concat(&all, 1);
            let normed = g.batch_norm(joined, batch_norm(channels, 10 + layer as u64));
            let passed = g.relu(normed, AtZero::Nothing);
            all.push(g.conv(passed, conv(&[2, channels, 3, 3, 3], 20 + layer as u64).padded([1; 3])));
        }
        let joined = g.concat(&all, 1);
        g.concat(&[joined, x], 1)
    });
    let fused = graph.clone().fused();
    // Three norms that read the parts, three convolutions, and one concatenation at the end.
    assert_eq!(fused.operations(), 7);
    assert_same("dense layers", [&fused, &graph], &[random(&[2, 3, 3, 4, 5], 1)]);
}

/// Draws of a random network.
struct Draws(u64);

impl Draws {
    fn below(&mut self, count: usize) -> usize {
        self.0 += 1;
        let one = random(&[1], self.0 * 7919).to_vec1::<f64>().expect("a number")[0];
        ((f64::midpoint(one, 1.0) * count as f64) as usize).min(count - 1)
    }
}

/// A small network of slices or volumes: any of its operations on any of its values. A linear one has no nonlinear function.
fn network(seed: u64, linear: bool) -> (Graph, Vec<usize>) {
    let mut draws = Draws(seed * 1000);
    let flat = seed.is_multiple_of(2);
    let input = if flat { vec![2, 3, 9, 8] } else { vec![1, 3, 6, 8, 7] };
    let mut g = Graph::new();
    let mut values = vec![(g.input(), input.clone())];
    while g.operations() < 16 {
        let from = values.len() - 1 - draws.below(values.len().min(3));
        let (x, shape) = values[from].clone();
        let (channels, sides) = (shape[1], &shape[2..]);
        let (least, most) = (sides.iter().min().copied().unwrap_or(0), sides.iter().max().copied().unwrap_or(0));
        let beside = values.iter().position(|(value, other)| *value != x && *other == shape);
        let weights = |out: usize, k: usize| [&[out, channels][..], &[k, k, k][usize::from(flat)..]].concat();
        let pad = |by: usize| [if flat { 0 } else { by }, by, by];
        let seed = seed * 100 + values.len() as u64;
        let y = match (draws.below(if linear { 10 } else { 15 }), beside) {
            (0 | 1, _) => g.conv(x, conv(&weights(2 + draws.below(4), 3), seed).padded(pad(1))),
            (2, _) => g.conv(x, conv(&weights(channels, 1), seed)),
            (3, _) if least >= 4 => {
                let stride = [if flat { 1 } else { 2 }, 2, 2];
                g.conv(x, conv(&weights(4, 3), seed).strided(stride).padded(pad(1)))
            }
            (4, _) => g.batch_norm(x, batch_norm(channels, seed)),
            (5, Some(other)) => g.concat(&[x, values[other].0], 1),
            (6, Some(other)) => g.add(x, values[other].0),
            (7, _) if least >= 4 => {
                let windows = if flat { Windows::squares(2, 2, 0) } else { Windows::cubes(3, 2, 1) };
                g.average_pool(x, windows)
            }
            (8, _) if flat && most <= 9 => g.nearest(x, 2),
            (8, _) => g.affine(x, 1.5, -0.25),
            (9, _) if flat && least >= 3 => g.resize(x, Size::Fixed([7, 6]), true),
            (9, _) => g.flip(x, &[2]),
            (10 | 11, _) => g.relu(x, if draws.below(2) == 0 { AtZero::Nothing } else { AtZero::All }),
            (12, _) if least >= 4 => {
                g.max_pool(x, if flat { Windows::squares(3, 2, 1) } else { Windows::cubes(2, 2, 0) })
            }
            (13, _) => g.swish(x),
            (14, _) => g.group_norm(x, group_norm(channels, 1, seed)),
            _ => continue,
        };
        let planned = Plan::new(&g.clone().finish(&[y]), &[&input], DType::F64).expect("it fits");
        values.push((y, planned.outputs()[0].to_vec()));
    }
    let last = values.len() - 1;
    let (end, middle) = (values[last].0, values[last / 2].0);
    (g.finish(&[end, middle]), input)
}

const NETWORKS: std::ops::Range<u64> = 1..25;
/// Of a linear network any step is exact but for rounding; of the product of both sides' lengths.
const LINEAR: f64 = 1e-12;
/// A step of 1e-7 crosses next to no ReLU, and rounds by 1e-9.
const NONLINEAR: f64 = 1e-6;
const STEP: f64 = 1e-7;

#[test]
fn the_product_with_the_jacobian_from_either_side_is_the_same_on_random_networks() {
    for (seed, linear) in NETWORKS.flat_map(|seed| [(seed, true), (seed, false)]) {
        let (graph, input) = network(seed, linear);
        let (x, v) = (random(&input, 1), random(&input, 2));
        let plan = plan_for(&graph.fused(), std::slice::from_ref(&x)).expect("a plan");
        let (y, tape) = plan.record(std::slice::from_ref(&x), &unchecked).expect("a pass");
        for (planned, tensor) in plan.outputs().iter().zip(&y) {
            assert_eq!(*planned, tensor.dims(), "network {seed}");
        }
        let w: Vec<_> = y.iter().zip(3..).map(|(y, seed)| random(y.dims(), seed)).collect();
        let along = dot(&tape.vjp(&w, &unchecked).expect("a gradient")[0], &v);
        let step = if linear { 1.0 } else { STEP };
        let at =
            |by: f64| plan.forward(&[(&x + (&v * by).expect("scaled")).expect("moved")], &unchecked).expect("a pass");
        let (there, here) = (at(step), at(-step));
        let (mut slope, mut size) = (0.0, 0.0);
        for ((there, here), w) in there.iter().zip(&here).zip(&w) {
            let jv = ((there - here).expect("one shape") / (2.0 * step)).expect("a slope");
            slope += dot(&jv, w);
            size += (dot(&jv, &jv) * dot(w, w)).sqrt();
        }
        let tolerance = if linear { LINEAR } else { NONLINEAR };
        let gap = (slope - along).abs();
        assert!(
            gap <= tolerance * size,
            "network {seed}, linear {linear}: {along} by the tape, {slope}; {gap:e} of {size}"
        );
    }
}

#[test]
fn fusing_changes_no_random_network() {
    for seed in NETWORKS {
        let (graph, input) = network(seed, false);
        let fused = graph.clone().fused();
        assert_same(&format!("network {seed}"), [&fused, &graph], &[random(&input, 1)]);
    }
}

/// Of all outputs and gradients.
fn bits(plan: &Plan, inputs: &[Tensor]) -> Vec<u64> {
    let numbers = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f64>()).expect("f64");
    both(plan, inputs).iter().flat_map(numbers).map(f64::to_bits).collect()
}

#[test]
fn any_segmentation_gives_the_gradient_of_none_to_the_bit() {
    let mut most = 0;
    for seed in NETWORKS {
        let (graph, input) = network(seed, false);
        let x = [random(&input, 1)];
        let mut plan = plan_for(&graph.fused(), &x).expect("a plan");
        assert_eq!(plan.segments(), 1);
        let whole = bits(&plan, &x);
        // Ever less memory, until that is refused.
        while let Ok(less) = plan.clone().within(plan.gradient_bytes() - 1) {
            assert!(less.segments() > 1 && less.gradient_bytes() < plan.gradient_bytes(), "network {seed}");
            assert!(bits(&less, &x) == whole, "network {seed} in {} segments", less.segments());
            plan = less;
            most = most.max(plan.segments());
        }
    }
    assert!(most >= 4, "no network was cut into more than {most} segments: this proves little");
}

/// Layers that save what they take, of half a megabyte each.
fn long() -> (Graph, Tensor) {
    let graph = graph_of(|g, mut x| {
        for layer in 0..24 {
            x = g.group_norm(x, group_norm(4, 2, layer));
            x = g.swish(x);
            x = g.conv(x, conv(&[4, 4, 3, 3], layer).padded([0, 1, 1]));
        }
        x
    });
    (graph.fused(), random(&[1, 4, 128, 128], 1))
}

#[test]
fn a_budget_that_is_too_small_says_how_much_is_needed_and_that_much_suffices() {
    let (graph, x) = long();
    let plan = plan_for(&graph, std::slice::from_ref(&x)).expect("a plan");
    let refusal = plan.clone().within(1_000_000).map(drop).expect_err("less than two tensors").to_string();
    let needed =
        refusal.split("takes ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse::<u64>().ok());
    let needed = needed.unwrap_or_else(|| panic!("no number of bytes: {refusal}"));
    assert!(refusal.contains("may take 1 MB"), "{refusal}");
    let cut = plan.clone().within(needed * 1_000_000).expect("what it asked for");
    assert!(
        3 * cut.gradient_bytes() < 2 * plan.gradient_bytes(),
        "{} of {}",
        cut.gradient_bytes(),
        plan.gradient_bytes()
    );
    let x = [x];
    assert!(bits(&cut, &x) == bits(&plan, &x));
}

/// Stops at the call of that number.
fn stopping(at: usize, calls: &Cell<usize>) -> impl Fn(usize, usize) -> std::result::Result<(), Cancelled> {
    move |done, of| {
        assert!(done < of, "{done} of {of}");
        calls.set(calls.get() + 1);
        if calls.get() > at { Err(Cancelled) } else { Ok(()) }
    }
}

#[test]
fn a_check_that_says_so_stops_a_pass_between_operations() {
    let (graph, input) = network(2, false);
    let (operations, x) = (graph.operations(), [random(&input, 1)]);
    let plan = plan_for(&graph, &x).expect("a plan");
    let (y, tape) = plan.record(&x, &unchecked).expect("a pass");
    let stopped = |outcome: &std::result::Result<Vec<Tensor>, graph::Error>, calls: &Cell<usize>, at: usize| {
        assert!(matches!(outcome, Err(graph::Error::Cancelled(_))) && calls.get() == at + 1, "at {at}");
    };
    for at in 0..operations {
        let calls = Cell::new(0);
        stopped(&plan.forward(&x, &stopping(at, &calls)), &calls, at);
        calls.set(0);
        stopped(&plan.record(&x, &stopping(at, &calls)).map(|(y, _)| y), &calls, at);
        calls.set(0);
        stopped(&tape.vjp(&y, &stopping(at, &calls)), &calls, at);
    }
    let calls = Cell::new(0);
    plan.forward(&x, &stopping(usize::MAX, &calls)).expect("a pass");
    assert_eq!(calls.get(), operations, "a check before each operation");
}

#[test]
fn an_input_that_no_output_depends_on_has_a_gradient_of_zeros() {
    let mut g = Graph::new();
    let [x, idle, lent] = [g.input(), g.input(), g.input()];
    let y = g.swish(x);
    let unused = g.swish(idle);
    g.add(unused, lent);
    let inputs = [random(&[2, 3], 1), random(&[4], 2), random(&[4], 3)];
    for graph in [g.clone().finish(&[y]), g.finish(&[y]).fused()] {
        let all = both(&plan_for(&graph, &inputs).expect("a plan"), &inputs);
        assert!(largest(&all[1]) > 0.0);
        for (gradient, input) in all[2..].iter().zip(&inputs[1..]) {
            assert!(gradient.dims() == input.dims() && largest(gradient) == 0.0);
        }
    }
}

#[test]
fn inputs_and_gradients_of_other_shapes_or_numbers_are_errors() {
    let graph = graph_of(Graph::swish);
    let shape: &[usize] = &[2, 3];
    for inputs in [&[][..], &[shape, shape]] {
        let message = Plan::new(&graph, inputs, DType::F64).map(drop).expect_err("one input").to_string();
        assert!(message.contains("inputs than the"), "{message}");
    }
    let plan = Plan::new(&graph, &[shape], DType::F64).expect("a plan");
    let fails = |inputs: &[Tensor]| plan.forward(inputs, &unchecked).map(drop).expect_err("another input").to_string();
    assert!(fails(&[random(&[3, 2], 1)]).contains("an input [3, 2] of a plan for [2, 3]"));
    assert!(!fails(&[]).is_empty());
    let (_, tape) = plan.record(&[random(shape, 1)], &unchecked).expect("a pass");
    let message = tape.vjp(&[random(&[3, 2], 1)], &unchecked).map(drop).expect_err("another gradient").to_string();
    assert!(message.contains("a gradient [3, 2] of an output [2, 3]"), "{message}");
}

/// Of what kernels take for their own blocks, whatever the size of the tensors.
const KERNELS_BYTES: u64 = 8 << 20;

#[test]
fn a_plan_knows_beforehand_how_many_bytes_its_passes_take() {
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["networks::graphs::bytes_of_passes", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "memory is counted for the whole process: the test above runs this one alone"]
fn bytes_of_passes() {
    let dense = graph_of(|g, x| {
        let mut all = vec![x];
        for layer in 0..6 {
            let channels = 8 + 8 * layer;
            let joined = g.concat(&all, 1);
            let normed = g.batch_norm(joined, batch_norm(channels, 10 + layer as u64));
            let passed = g.relu(normed, AtZero::Nothing);
            all.push(g.conv(passed, conv(&[8, channels, 3, 3], 20 + layer as u64).padded([0, 1, 1])));
        }
        g.concat(&all, 1)
    });
    let (long, small) = long();
    for (name, graph, x) in [("long", long, small), ("dense", dense.fused(), random(&[1, 8, 256, 256], 1))] {
        let (bytes, x) = (x.elem_count() as u64 * 8, [x]);
        let plan = plan_for(&graph, &x).expect("a plan");
        let cut = plan.clone().within(plan.gradient_bytes() * 2 / 3).unwrap_or_else(|_| plan.clone());
        both(&plan, &x); // what is made once is there
        // The input is counted by the plan, and there already.
        let peak = |pass: &dyn Fn()| {
            PeakAlloc.reset_peak_usage();
            let before = PeakAlloc.current_usage();
            pass();
            (PeakAlloc.peak_usage() - before) as u64 + bytes
        };
        let forward = peak(&|| drop(plan.forward(&x, &unchecked).expect("a pass")));
        let gradient = |plan: &Plan| {
            peak(&|| {
                let (y, tape) = plan.record(&x, &unchecked).expect("a pass");
                tape.into_vjp(&y, &unchecked).expect("a gradient");
            })
        };
        for (pass, found, said) in [
            ("forward", forward, plan.forward_bytes()),
            ("gradient", gradient(&plan), plan.gradient_bytes()),
            ("gradient in segments", gradient(&cut), cut.gradient_bytes()),
        ] {
            println!("{name}, {pass}: {found} bytes, {said} by the plan");
            assert!(found <= said + KERNELS_BYTES, "{name}, {pass}: {found} bytes, {said} by the plan");
            assert!(said <= 2 * found, "{name}, {pass}: {found} bytes, {said} by the plan");
        }
    }
}
