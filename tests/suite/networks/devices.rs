//! Every operation as GPUs have it, made of candle's, beside the CPU's kernels: value and gradient in f64, on the CPU itself and on
//! the GPU of a build that has one.

use candle_core::{DType, Device, Tensor};
use parallax::graph::ops::{
    AtZero, Attention, AveragePool, CenterCrop, Conv, GroupNorm, LogSoftmax, MaxPool, Operation, Size, Unsqueeze,
    Windows,
};
use parallax::graph::{Graph, Plan, Value};
use parallax::nn::device;

use crate::networks::gradients::{batch_norm, conv, group_norm, random};
use crate::support::{graph_of, unchecked, worst};

/// f64 sums in another order, of the largest number.
const TOLERANCE: f64 = 1e-11;

/// The GPU of a build that has one.
fn gpu() -> Option<Device> {
    let gpu = if cfg!(feature = "cuda") { Device::new_cuda(0).ok() } else { None };
    if gpu.is_none() {
        eprintln!("no GPU: its operations run on the CPU");
    }
    gpu
}

/// Outputs, and gradients of the inputs.
fn both(plan: &Plan, inputs: &[Tensor]) -> Vec<Tensor> {
    let (mut outputs, tape) = plan.record(inputs, &unchecked).expect("a pass");
    let alone = plan.forward(inputs, &unchecked).expect("a pass");
    for (recorded, alone) in outputs.iter().zip(&alone) {
        assert_eq!(worst(recorded, alone), 0.0, "a tape changes the output");
    }
    let gradients: Vec<_> = outputs.iter().zip(90..).map(|(y, seed)| random(y.dims(), seed)).collect();
    outputs.extend(tape.vjp(&gradients, &unchecked).expect("gradients"));
    outputs
}

/// Holds a graph against itself elsewhere, its operations one by one and fused. It is built anew for each: a convolution's numbers
/// stay where they were seen first.
fn assert_alike(what: &str, inputs: &[Tensor], build: &dyn Fn(&mut Graph, &[Value]) -> Vec<Value>) {
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::dims).collect();
    for fused in [false, true] {
        let plan = || {
            let mut g = Graph::new();
            let ends: Vec<Value> = inputs.iter().map(|_| g.input()).collect();
            let outputs = build(&mut g, &ends);
            let graph = g.finish(&outputs);
            Plan::new(&if fused { graph.fused() } else { graph }, &shapes, DType::F64).expect(what)
        };
        let ours = both(&plan(), inputs);
        let mut elsewhere = vec![device::as_on_a_gpu(|| both(&plan(), inputs))];
        elsewhere.extend(gpu().map(|gpu| both(&plan().on(&gpu), inputs)));
        for theirs in elsewhere {
            assert_eq!(ours.len(), theirs.len());
            for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                let size = worst(ours, &ours.zeros_like().expect("zeros")).max(1.0);
                let gap = worst(theirs, ours);
                assert!(gap <= TOLERANCE * size, "{what}, fused {fused}, tensor {number}: off by {gap:e} of {size}");
            }
        }
    }
}

/// A graph of one input and one output.
fn assert_one(what: &str, shape: &[usize], build: &dyn Fn(&mut Graph, Value) -> Value) {
    assert_alike(what, &[random(shape, 1)], &|g, ends| vec![build(g, ends[0])]);
}

#[test]
fn convolutions_of_every_kind_are_those_of_the_cpu() {
    // kernel, stride, padding, input
    let kinds = [
        ([1, 3, 3], [1, 1, 1], [0, 1, 1], [2, 5, 1, 9, 7]),
        ([1, 3, 3], [1, 2, 2], [0, 0, 0], [2, 5, 1, 10, 8]),
        ([1, 1, 1], [1, 1, 1], [0, 0, 0], [2, 5, 3, 6, 7]),
        ([1, 1, 1], [2, 2, 2], [0, 0, 0], [1, 5, 5, 6, 7]),
        ([3, 3, 3], [1, 1, 1], [1, 1, 1], [2, 5, 4, 6, 7]),
        ([3, 3, 3], [2, 2, 2], [1, 1, 1], [1, 5, 6, 7, 8]),
        ([3, 7, 7], [1, 2, 2], [1, 3, 3], [1, 5, 4, 12, 13]),
        ([3, 5, 3], [2, 1, 1], [0, 2, 0], [1, 5, 6, 7, 8]),
    ];
    for (kernel, stride, padding, input) in kinds {
        let weight = random(&[4, 5, kernel[0], kernel[1], kernel[2]], 3);
        let make =
            || Conv::new(&weight, Some(&random(&[4], 4))).expect("a convolution").strided(stride).padded(padding);
        let shape = make().shape(&[&input]).expect("a shape");
        let inputs = [random(&input, 1), random(&shape, 2)];
        // With a norm or none, a skip or none, a ReLU or none.
        for kind in 0..8 {
            let [normed, skips, relu] = [1, 2, 4].map(|bit| kind & bit != 0);
            let what = format!("{kernel:?} / {stride:?} + {padding:?}, norm {normed}, skip {skips}, ReLU {relu}");
            assert_alike(&what, &inputs, &|g, ends| {
                let mut y = g.conv(ends[0], make());
                if normed {
                    y = g.batch_norm(y, batch_norm(4, 6));
                }
                if skips {
                    y = g.add(y, ends[1]);
                }
                if relu {
                    y = g.relu(y, AtZero::Nothing);
                }
                vec![y]
            });
        }
        assert_alike(&format!("{kernel:?} / {stride:?} + {padding:?}, norm last"), &inputs, &|g, ends| {
            let y = g.conv(ends[0], make());
            let y = g.relu(y, AtZero::All);
            vec![g.batch_norm(y, batch_norm(4, 6))]
        });
    }
}

#[test]
fn masks_and_sums_within_a_gradient_are_those_of_the_cpu() {
    for (flat, last) in [(false, false), (false, true), (true, false), (true, true)] {
        let side = |k: usize| if flat { vec![k, k] } else { vec![1, k, k] };
        let weight = |out: usize, c_in: usize, k: usize| [vec![out, c_in], side(k)].concat();
        let input = [vec![2, 5], if flat { vec![6, 7] } else { vec![1, 6, 7] }].concat();
        assert_alike(&format!("slices {flat}, norm last {last}"), &[random(&input, 1)], &|g, ends| {
            let before = g.conv(ends[0], conv(&weight(4, 5, 1), 3));
            let before = g.relu(before, AtZero::All);
            let mut y = g.conv(before, conv(&weight(4, 4, 3), 4).padded([0, 1, 1]));
            if last {
                y = g.relu(y, AtZero::All);
                y = g.batch_norm(y, batch_norm(4, 6));
            } else {
                y = g.batch_norm(y, batch_norm(4, 6));
                y = g.relu(y, AtZero::Nothing);
            }
            let sum = g.add(y, before);
            let joined = g.concat(&[sum, before], 1);
            let joined = g.batch_norm(joined, batch_norm(8, 9));
            vec![g.relu(joined, AtZero::Nothing), before]
        });
    }
}

#[test]
fn norms_are_those_of_the_cpu() {
    assert_one("batch norm", &[2, 6, 5, 7], &|g, x| g.batch_norm(x, batch_norm(6, 6)));
    let group = || GroupNorm::new(&random(&[6], 3), &random(&[6], 4), 3, 1e-6).expect("a norm");
    assert_one("group norm", &[2, 6, 5, 7], &|g, x| g.group_norm(x, group()));
    assert_one("group norm and swish", &[2, 6, 5, 7], &|g, x| {
        let x = g.group_norm(x, group());
        g.swish(x)
    });
    assert_one("a group norm beside a skip", &[2, 6, 5, 7], &|g, x| {
        let y = g.group_norm(x, group_norm(6, 2, 3));
        g.add(y, x)
    });
}

#[test]
fn pools_and_upsampling_are_those_of_the_cpu() {
    for (k, stride, padding, input) in
        [(3, 2, 1, [2, 3, 5, 8, 9]), (2, 2, 0, [1, 3, 5, 6, 7]), (3, 1, 1, [1, 2, 3, 4, 5])]
    {
        let windows = Windows::cubes(k, stride, padding);
        assert_one(&format!("a max pool {k} / {stride}"), &input, &|g, x| g.apply(MaxPool(windows), &[x]));
        for count_padding in [true, false] {
            assert_one(&format!("a mean pool {k} / {stride}, {count_padding}"), &input, &|g, x| {
                g.apply(AveragePool { windows, count_padding }, &[x])
            });
        }
    }
    assert_one("a max pool of slices", &[2, 3, 7, 8], &|g, x| g.max_pool(x, Windows::squares(3, 2, 1)));
    assert_one("a mean pool of slices", &[2, 3, 7, 8], &|g, x| g.average_pool(x, Windows::squares(2, 2, 0)));
    assert_one("a mean over everything", &[2, 3, 4, 5, 2], &Graph::global_mean);
    assert_one("upsampling", &[2, 3, 4, 5], &|g, x| g.nearest(x, 2));
    // Of equal numbers the first has the gradient, on every device.
    let equal = Tensor::zeros((1, 1, 4, 4, 4), DType::F64, &Device::Cpu).expect("zeros");
    assert_alike("a max pool of equals", &[equal], &|g, ends| vec![g.max_pool(ends[0], Windows::cubes(3, 2, 1))]);
}

#[test]
fn resizing_is_that_of_the_cpu() {
    for (input, size, antialias) in
        [([2, 3, 5, 7], [10, 14], false), ([1, 2, 9, 8], [4, 5], true), ([1, 1, 6, 6], [9, 4], true)]
    {
        let resize = |g: &mut Graph, x| g.resize(x, Size::Fixed(size), antialias);
        assert_one(&format!("{input:?} to {size:?}"), &input, &resize);
    }
}

#[test]
fn functions_of_numbers_views_and_attention_are_those_of_the_cpu() {
    let shape = [2, 3, 4, 5];
    assert_one("relu", &shape, &|g, x| g.relu(x, AtZero::Nothing));
    assert_one("relu of zeros", &shape, &|g, x| {
        let zeros = g.affine(x, 0.0, 0.0);
        let [nothing, all] = [AtZero::Nothing, AtZero::All].map(|at| g.relu(zeros, at));
        g.add(nothing, all)
    });
    assert_one("swish", &shape, &Graph::swish);
    assert_one("log-softmax", &shape, &|g, x| g.apply(LogSoftmax { axis: 1 }, &[x]));
    assert_one("attention", &shape, &|g, x| {
        let y = g.affine(x, -0.5, 0.1);
        g.apply(Attention, &[x, y, x])
    });
    assert_one("axes and flips", &shape, &|g, x| {
        let x = g.permute(x, &[0, 1, 3, 2]);
        g.flip(x, &[2, 3])
    });
    assert_one("shapes", &shape, &|g, x| {
        let x = g.pad(x, &[[0, 0], [0, 0], [1, 2], [0, 1]]);
        let x = g.narrow(x, 2, 1, 5);
        let x = g.apply(Unsqueeze { axis: 2 }, &[x]);
        g.reshape(x, &[Some(2), None])
    });
    assert_one("the centre", &shape, &|g, x| {
        let small = g.average_pool(x, Windows::squares(2, 2, 0));
        let centre = g.apply(CenterCrop, &[x, small]);
        g.concat(&[centre, small], 1)
    });
}

#[test]
fn what_is_no_number_stays_none_past_a_relu() {
    let x = Tensor::new(&[f64::NAN, -1.0], &Device::Cpu).and_then(|x| x.reshape((1, 1, 1, 1, 2))).expect("two numbers");
    for at_zero in [AtZero::Nothing, AtZero::All] {
        let plan = || {
            let one = Tensor::ones((1, 1, 1, 1, 1), DType::F64, &Device::Cpu).expect("a one");
            let conv = Conv::new(&one, None).expect("a convolution");
            let graph = graph_of(|g, x| {
                let y = g.conv(x, conv);
                g.relu(y, at_zero)
            });
            [graph.clone(), graph.fused()].map(|graph| Plan::new(&graph, &[x.dims()], DType::F64).expect("a plan"))
        };
        let passes = |plans: [Plan; 2]| {
            plans.map(|plan| {
                [
                    plan.forward(std::slice::from_ref(&x), &unchecked),
                    plan.record(std::slice::from_ref(&x), &unchecked).map(|(y, _)| y),
                ]
            })
        };
        let mut all = vec![passes(plan()), device::as_on_a_gpu(|| passes(plan()))];
        all.extend(gpu().map(|gpu| passes(plan().map(|plan| plan.on(&gpu)))));
        for y in all.into_iter().flatten().flatten() {
            let y = y.expect("a pass")[0].flatten_all().and_then(|y| y.to_vec1::<f64>()).expect("two numbers");
            assert!(y[0].is_nan() && y[1] == 0.0, "{y:?}");
        }
    }
}

#[test]
fn a_skip_of_another_shape_is_an_error() {
    let mut g = Graph::new();
    let [x, skip] = [g.input(), g.input()];
    let y = g.conv(x, conv(&[4, 5, 1, 1, 1], 3));
    let y = g.add(y, skip);
    let graph = g.finish(&[y]);
    let shapes: [&[usize]; 2] = [&[1, 5, 2, 3, 4], &[1, 3, 2, 3, 4]];
    for graph in [graph.clone(), graph.fused()] {
        let message = Plan::new(&graph, &shapes, DType::F64).map(drop).expect_err("other channels").to_string();
        assert!(message.contains("[1, 3, 2, 3, 4]"), "{message}");
    }
}
