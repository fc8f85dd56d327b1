//! Every operation of `graph` against central differences in f64, and against itself in other circumstances.

use candle_core::{DType, Device, Result, Tensor};
use parallax::graph::ops::{AtZero, AveragePool, BatchNorm, CenterCrop, Conv, GroupNorm, Size, Unsqueeze, Windows};
use parallax::graph::{Graph, Value};

use crate::support::{self, graph_of, output, plan_for, pulled, unchecked};

/// Central differences of step 1e-5 in f64 err by about 1e-10 from curvature and 1e-11 from rounding.
const DIFFERENCE: f64 = 1e-7;
const STEP: f64 = 1e-5;

/// Uniform in -1..1, f64.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut random = support::Random::new(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| random.share() * 2.0 - 1.0).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("shape and values agree")
}

/// The sum of a product.
pub(crate) fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).and_then(|p| p.sum_all()?.to_scalar::<f64>()).expect("a scalar")
}

/// A convolution without bias of random weights: `[out, in, …]`.
pub(crate) fn conv(weight: &[usize], seed: u64) -> Conv {
    Conv::new(&random(weight, seed), None).expect("a convolution")
}

/// Numbers about 1.
pub(crate) fn positive(count: usize, seed: u64) -> Tensor {
    random(&[count], seed).affine(0.4, 1.0).expect("numbers")
}

pub(crate) fn batch_norm(channels: usize, seed: u64) -> BatchNorm {
    let of = |seed| random(&[channels], seed);
    BatchNorm::new(&of(seed), &of(seed + 1), &of(seed + 2), &positive(channels, seed + 3), 1e-5).expect("a norm")
}

pub(crate) fn group_norm(channels: usize, groups: usize, seed: u64) -> GroupNorm {
    let bias = random(&[channels], seed + 1);
    GroupNorm::new(&positive(channels, seed), &bias, groups, 1e-6).expect("a norm")
}

/// Compares the gradient of sum(y * g) at random x with central differences at a few places.
fn check(name: &str, shape: &[usize], build: impl FnOnce(&mut Graph, Value) -> Value) {
    let x = random(shape, 1);
    let plan = plan_for(&graph_of(build).fused(), std::slice::from_ref(&x)).expect(name);
    let g = random(plan.outputs()[0], 2);
    let [y, exact] = pulled(&plan, &x, |_| Ok(g.clone()));
    assert_eq!(support::worst(&output(&plan, &x), &y), 0.0, "{name}: a tape changes the output");
    let exact: Vec<f64> = exact.flatten_all().and_then(|t| t.to_vec1()).expect("f64");
    let values: Vec<f64> = x.flatten_all().and_then(|t| t.to_vec1()).expect("f64");
    for i in (0..values.len()).step_by((values.len() / 23).max(1)) {
        let moved = |by: f64| {
            let mut v = values.clone();
            v[i] += by;
            dot(&output(&plan, &Tensor::from_vec(v, shape, &Device::Cpu).expect("same shape")), &g)
        };
        let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        assert!(
            (slope - exact[i]).abs() <= DIFFERENCE * exact[i].abs().max(1.0),
            "{name}[{i}]: {} by the tape, {slope} by differences",
            exact[i]
        );
    }
}

#[test]
fn convolutions_agree_with_central_differences() {
    for (c_in, c_out, k, stride, padding, h, w) in [
        (3, 5, 3, 1, 1, 9, 7),
        (2, 4, 3, 2, 1, 8, 11),
        (4, 3, 1, 1, 0, 5, 6),
        (3, 2, 1, 2, 0, 7, 7),
        (1, 4, 7, 2, 3, 13, 12),
        (2, 2, 3, 1, 0, 5, 5),
        (2, 3, 3, 3, 2, 10, 4),
        (3, 2, 2, 1, 0, 6, 5),
        (2, 3, 3, 1, 2, 6, 5),
        (2, 3, 1, 1, 1, 6, 5), // more padding than a tap sees: the gradient is no convolution
    ] {
        let conv = Conv::new(&random(&[c_out, c_in, k, k], 3), Some(&random(&[c_out], 4))).expect("a convolution");
        let conv = conv.strided([1, stride, stride]).padded([0, padding, padding]);
        check(&format!("conv2d k{k} s{stride} p{padding}"), &[2, c_in, h, w], |g, x| g.conv(x, conv));
    }
    for (kernel, stride, padding) in [
        ([3, 3, 3], [1; 3], [1; 3]),
        ([3, 3, 3], [2; 3], [1; 3]),
        ([1, 1, 1], [2; 3], [0; 3]),
        ([3, 7, 7], [1, 2, 2], [1, 3, 3]),
    ] {
        let conv = conv(&[4, 3, kernel[0], kernel[1], kernel[2]], 5).strided(stride).padded(padding);
        check(&format!("conv3d {kernel:?} s{stride:?}"), &[1, 3, 5, 9, 8], |g, x| g.conv(x, conv));
    }
    // One channel: threads share its slices.
    for (stride, padding) in [([1, 2, 2], [1, 3, 3]), ([2; 3], [1; 3]), ([3, 2, 1], [0, 1, 2]), ([2, 2, 2], [4, 3, 3])]
    {
        let conv = conv(&[4, 1, 3, 7, 7], 5).strided(stride).padded(padding);
        check(&format!("one channel, s{stride:?} p{padding:?}"), &[2, 1, 11, 9, 8], |g, x| g.conv(x, conv));
    }
}

#[test]
fn a_gradient_is_the_same_to_the_bit_whatever_the_number_of_threads() -> Result<()> {
    for (channels, kernel, stride, padding, input) in [
        ([32, 6], [3; 3], [2; 3], [1; 3], [8, 48, 44]),
        ([1, 4], [3, 7, 7], [1, 2, 2], [1, 3, 3], [12, 70, 64]),
        ([9, 5], [3; 3], [1; 3], [1; 3], [5, 40, 41]),
    ] {
        let [c_in, c_out] = channels;
        let weight = random(&[c_out, c_in, kernel[0], kernel[1], kernel[2]], 1).to_dtype(DType::F32)?;
        let conv = Conv::new(&weight, None)?.strided(stride).padded(padding);
        let x = random(&[1, c_in, input[0], input[1], input[2]], 2).to_dtype(DType::F32)?;
        let plain = plan_for(&graph_of(|g, x| g.conv(x, conv.clone())), std::slice::from_ref(&x))?;
        let normed = graph_of(|g, x| {
            let y = g.conv(x, conv);
            let y = g.batch_norm(y, batch_norm(c_out, 3));
            g.relu(y, AtZero::Nothing)
        });
        let normed = plan_for(&normed.fused(), std::slice::from_ref(&x))?;
        for (name, plan) in [("alone", plain), ("with a norm and a ReLU", normed)] {
            let by = |threads: usize| -> Vec<u32> {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                let all = pool.install(|| pulled(&plan, &x, |y| y * 2.0));
                let numbers = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("f32");
                all.iter().flat_map(numbers).map(f32::to_bits).collect()
            };
            let one = by(1);
            for threads in [2, 3, 16] {
                let differing = by(threads).iter().zip(&one).filter(|(a, b)| a != b).count();
                assert_eq!(differing, 0, "{channels:?}, {kernel:?} / {stride:?}, {name}: with {threads} threads");
            }
        }
    }
    Ok(())
}

#[test]
fn pools_norms_and_resizes_agree_with_central_differences() {
    check("batch norm", &[2, 4, 3, 5], |g, x| g.batch_norm(x, batch_norm(4, 6)));
    check("batch norm 3-D", &[1, 4, 2, 3, 3], |g, x| g.batch_norm(x, batch_norm(4, 6)));
    check("group norm", &[2, 4, 3, 5], |g, x| g.group_norm(x, group_norm(4, 2, 12)));
    check("group norm and swish", &[2, 4, 3, 5], |g, x| {
        let x = g.group_norm(x, group_norm(4, 2, 12));
        g.swish(x)
    });
    check("avg pool", &[2, 3, 9, 8], |g, x| g.average_pool(x, Windows::squares(2, 2, 0)));
    for count_padding in [true, false] {
        let windows = Windows { ceil: true, ..Windows::cubes(3, 2, 1) };
        check(&format!("avg pool 3-D, {count_padding}"), &[1, 2, 5, 6, 4], |g, x| {
            g.apply(AveragePool { windows, count_padding }, &[x])
        });
    }
    // Random values lie further apart than a step, so no maximum changes hands.
    check("max pool 2-D", &[2, 2, 9, 9], |g, x| g.max_pool(x, Windows::squares(3, 2, 1)));
    check("max pool 3-D", &[1, 2, 5, 7, 6], |g, x| g.max_pool(x, Windows::cubes(3, 2, 1)));
    check("max pool, the last in part", &[1, 2, 6, 7, 8], |g, x| {
        g.max_pool(x, Windows { ceil: true, ..Windows::cubes(3, 2, 0) })
    });
    check("global pool", &[2, 3, 4, 5, 2], Graph::global_mean);
    check("nearest", &[1, 2, 4, 3], |g, x| g.nearest(x, 2));
    check("nearest x3", &[2, 1, 3, 2], |g, x| g.nearest(x, 3));
    for (name, shape, size, antialias) in [
        ("bilinear up", [1, 2, 4, 5], Size::Fixed([9, 8]), false),
        ("bilinear down", [1, 2, 9, 8], Size::Fixed([4, 5]), false),
        ("antialias down", [1, 2, 11, 8], Size::Fixed([4, 5]), true),
        ("twice as large", [1, 2, 4, 3], Size::Times(2), false),
        ("the smaller edge", [1, 2, 4, 6], Size::Smaller(5), true),
        ("the size it has", [1, 2, 4, 6], Size::Smaller(4), true),
    ] {
        check(name, &shape, |g, x| g.resize(x, size, antialias));
    }
}

#[test]
fn functions_of_numbers_and_views_agree_with_central_differences() {
    check("relu", &[2, 3, 4], |g, x| g.relu(x, AtZero::Nothing));
    check("swish", &[2, 3, 4, 5], Graph::swish);
    check("log-softmax", &[2, 4, 3, 5], |g, x| g.log_softmax(x, 1));
    check("affine", &[2, 3, 4], |g, x| g.affine(x, -1.5, 0.25));
    check("sum", &[2, 3, 4], |g, x| {
        let y = g.swish(x);
        g.add(x, y)
    });
    check("concatenation", &[2, 3, 4], |g, x| {
        let y = g.affine(x, 2.0, 0.0);
        g.concat(&[x, y, x], 1)
    });
    check("axes", &[2, 3, 4, 5], |g, x| g.permute(x, &[2, 0, 3, 1]));
    check("flip", &[2, 3, 4, 5], |g, x| g.flip(x, &[1, 3]));
    check("reshape", &[2, 3, 4, 5], |g, x| g.reshape(x, &[Some(6), None]));
    check("another axis", &[2, 3, 4], |g, x| g.apply(Unsqueeze { axis: 1 }, &[x]));
    check("narrow", &[2, 6, 4], |g, x| g.narrow(x, 1, 2, 3));
    check("pad", &[2, 3, 4], |g, x| g.pad(x, &[[0, 0], [1, 2], [3, 0]]));
    check("the centre, which also lends its size", &[1, 2, 7, 6], |g, x| {
        let small = g.conv(x, conv(&[2, 2, 4, 3], 3));
        let centre = g.apply(CenterCrop, &[x, small]);
        g.add(centre, small)
    });
    check("attention", &[2, 3, 4, 5], |g, x| {
        let [q, k, v] = [4, 5, 6].map(|seed| g.conv(x, conv(&[3, 3, 1, 1], seed)));
        g.attention([q, k, v])
    });
    check("attention to itself", &[2, 3, 4], |g, x| g.attention([x; 3]));
}

#[test]
fn a_value_used_twice_adds_both_gradients() {
    let conv = conv(&[2, 2, 3, 3], 3).padded([0, 1, 1]);
    check("conv of conv plus conv", &[1, 2, 6, 6], |g, x| {
        let once = g.conv(x, conv.clone());
        let twice = g.conv(once, conv);
        g.add(twice, once)
    });
    check("nearest twice", &[1, 2, 3, 3], |g, x| {
        let (a, b) = (g.nearest(x, 2), g.nearest(x, 2));
        let b = g.affine(b, 2.0, 0.0);
        g.add(a, b)
    });
    check("twice in one sum", &[1, 2, 3, 3], |g, x| {
        let x = g.relu(x, AtZero::Nothing);
        g.add(x, x)
    });
}

#[test]
fn a_tensor_of_other_strides_gives_the_same() {
    let x = random(&[1, 6, 5, 4], 1);
    let turned = x.permute((0, 3, 1, 2)).expect("a view");
    let copied = turned.contiguous().expect("a copy");
    let conv = conv(&[3, 4, 3, 3], 3).padded([0, 1, 1]);
    let graphs = [
        graph_of(|g, x| g.conv(x, conv)),
        graph_of(|g, x| g.max_pool(x, Windows::squares(2, 2, 0))),
        graph_of(|g, x| g.average_pool(x, Windows::squares(2, 2, 0))),
        graph_of(|g, x| g.batch_norm(x, batch_norm(4, 6))),
        graph_of(|g, x| g.group_norm(x, group_norm(4, 2, 6))),
        graph_of(|g, x| g.resize(x, Size::Fixed([7, 4]), true)),
        graph_of(|g, x| g.nearest(x, 2)),
        graph_of(|g, x| g.relu(x, AtZero::Nothing)),
        graph_of(|g, x| g.flip(x, &[2])),
        graph_of(|g, x| g.attention([x; 3])),
    ];
    for (number, graph) in graphs.iter().enumerate() {
        let plan = plan_for(graph, std::slice::from_ref(&copied)).expect("a plan");
        // Gradients of other strides, as well as inputs.
        let cotangent = |y: &Tensor| random(y.dims(), 2).t()?.contiguous()?.t();
        let (of_view, of_copy) =
            (pulled(&plan, &turned, cotangent), pulled(&plan, &copied, |y| cotangent(y)?.contiguous()));
        for (a, b) in of_view.iter().zip(&of_copy) {
            assert_eq!(support::worst(a, b), 0.0, "graph {number}");
        }
    }
}

#[test]
fn large_images_in_many_blocks_equal_small_pieces() {
    // 70 x 90 positions of 16 * 9 rows make several blocks; a crop of the image makes one.
    let graph = graph_of(|g, x| g.conv(x, conv(&[4, 16, 3, 3], 3)));
    let forward = |x: &Tensor| output(&plan_for(&graph, std::slice::from_ref(x)).expect("a plan"), x);
    let x = random(&[1, 16, 170, 190], 1);
    let whole = forward(&x);
    let piece = forward(&x.narrow(2, 100, 12).and_then(|x| x.narrow(3, 80, 14)).expect("a crop"));
    let same = whole.narrow(2, 100, 10).and_then(|x| x.narrow(3, 80, 12)).expect("a crop");
    let gap = support::worst(&same, &piece);
    assert!(gap < 1e-12, "off by {gap:e}");
}

/// Elements of a block in `nn::gemm`: what a thread's columns are cut by.
const BLOCK: usize = 1 << 18;
/// Rounding of f64 sums over some hundred thousand products, of the product of both sides' lengths.
const LINEAR: f64 = 1e-14;

/// A convolution without bias is linear: along any direction its central difference is exact but for rounding, whatever
/// the step. Each direction reaches every element of every block, which a few places of `check` would not.
fn check_blocks(name: &str, taps: usize, shape: &[usize], conv: Conv) {
    let x = random(shape, 1);
    let plan = plan_for(&graph_of(|g, x| g.conv(x, conv)), std::slice::from_ref(&x)).expect(name);
    let (y, tape) = plan.record(std::slice::from_ref(&x), &unchecked).expect(name);
    let y = &y[0];
    // One channel has the fewest rows that a pass gives a thread: more of them make more blocks.
    let positions: usize = y.dims()[2..].iter().product();
    assert!(taps * positions > BLOCK, "{name}: {positions} positions of {taps} taps fit one block");
    for seed in [20, 30, 40] {
        let (g, v) = (random(y.dims(), seed), random(shape, seed + 1));
        let along = dot(&tape.vjp(std::slice::from_ref(&g), &unchecked).expect(name)[0], &v);
        let moved = |by: f64| output(&plan, &(&x + (&v * by).expect("scaled")).expect("same shape"));
        let slope = dot(&((moved(1.0) - moved(-1.0)).expect("same shape") / 2.0).expect("a half"), &g);
        let size = dot(y, y).sqrt() * dot(&g, &g).sqrt();
        assert!((slope - along).abs() <= LINEAR * size, "{name}: {along} by the tape, {slope} by differences, {size}");
    }
}

#[test]
fn gradients_in_many_blocks_agree_with_differences_along_random_directions() {
    for (c_in, k, stride, padding, h, w) in [(16, 5, 1, 2, 110, 113), (16, 5, 1, 5, 110, 113), (3, 7, 2, 3, 160, 171)] {
        let conv = conv(&[3, c_in, k, k], 3).strided([1, stride, stride]).padded([0, padding, padding]);
        check_blocks(&format!("conv2d k{k} s{stride}"), k * k, &[1, c_in, h, w], conv);
    }
    check_blocks("conv3d k3", 27, &[1, 8, 7, 41, 37], conv(&[2, 8, 3, 3, 3], 5).padded([1; 3]));
}

#[test]
fn a_forward_pass_in_many_blocks_is_the_sum_that_defines_it() {
    let (c_in, k, stride, padding, h, w) = (16, 5, 2, 2, 219, 230);
    let (x, weight) = (random(&[1, c_in, h, w], 1), random(&[3, c_in, k, k], 3));
    let conv = Conv::new(&weight, None).expect("a convolution").strided([1, stride, stride]);
    let graph = graph_of(|g, x| g.conv(x, conv.padded([0, padding, padding])));
    let y = output(&plan_for(&graph, std::slice::from_ref(&x)).expect("a plan"), &x);
    let f64s = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f64>()).expect("f64");
    let (_, c_out, oh, ow) = y.dims4().expect("4 axes");
    assert!(c_in * k * k * oh * ow > BLOCK, "one block holds it all");
    let (x, weight, y) = (f64s(&x), f64s(&weight), f64s(&y));
    // A step without a common divisor with the sizes visits every block, and rows and columns of all kinds.
    for at in (0..c_out * oh * ow).step_by(37) {
        let [o, row, column] = [at / (oh * ow), at / ow % oh, at % ow];
        let mut sum = 0.0;
        for tap in 0..c_in * k * k {
            let [c, i, j] = [tap / (k * k), row * stride + tap / k % k, column * stride + tap % k];
            if (padding..h + padding).contains(&i) && (padding..w + padding).contains(&j) {
                sum += weight[o * c_in * k * k + tap] * x[(c * h + i - padding) * w + j - padding];
            }
        }
        assert!((sum - y[at]).abs() <= 1e-12, "channel {o}, row {row}, column {column}: {} for {sum}", y[at]);
    }
}

#[test]
fn f32_follows_f64() -> Result<()> {
    let (weight, x) = (random(&[8, 8, 3, 3], 3), random(&[1, 8, 12, 12], 1));
    let run = |dtype| -> Result<[Tensor; 2]> {
        let conv = Conv::new(&weight.to_dtype(dtype)?, None)?.padded([0, 1, 1]);
        let x = x.to_dtype(dtype)?;
        let plan = plan_for(&graph_of(|g, x| g.conv(x, conv)), std::slice::from_ref(&x))?;
        Ok(pulled(&plan, &x, |y| random(y.dims(), 2).to_dtype(dtype)))
    };
    for (single, double) in run(DType::F32)?.iter().zip(run(DType::F64)?) {
        let gap = support::worst(single, &double);
        assert!(gap < 1e-5, "off by {gap:e}");
    }
    Ok(())
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let refused = |shape: &[usize], build: &dyn Fn(&mut Graph, Value) -> Value| {
        plan_for(&graph_of(build), &[random(shape, 1)]).map(drop).expect_err("it does not fit").to_string()
    };
    let large = conv(&[2, 3, 5, 5], 3);
    let of_large = |g: &mut Graph, x| g.conv(x, large.clone());
    for (shape, build, words) in [
        (&[1, 3, 4, 9][..], &of_large as &dyn Fn(&mut Graph, Value) -> Value, "does not fit an input of"),
        (&[1, 2, 9, 9], &of_large, "takes 3 channels, found 2"),
        (&[1, 3, 9, 9, 9], &of_large, "with 2 axes of voxels"),
        (&[1, 1, 2, 2], &|g, x| g.max_pool(x, Windows::squares(3, 2, 0)), "does not fit an input of"),
        (&[1, 5, 3, 3], &|g, x| g.batch_norm(x, batch_norm(4, 6)), "over 4 channels"),
        (&[1, 5, 3, 3], &|g, x| g.group_norm(x, group_norm(4, 2, 6)), "over 4 channels"),
        (&[1, 2, 3], &|g, x| g.log_softmax(x, 3), "log-softmax over axis 3"),
        (&[1, 2, 3], &|g, x| g.permute(x, &[0, 1, 1]), "axes [0, 1, 1]"),
        (&[1, 2, 3], &|g, x| g.reshape(x, &[Some(4), None]), "a tensor [1, 2, 3]"),
        (&[1, 2, 3], &|g, x| g.narrow(x, 1, 1, 2), "2 of axis 1 from 1"),
        (&[1, 2, 3], &|g, x| g.nearest(x, 2), "slices [n, c, h, w]"),
    ] {
        let message = refused(shape, build);
        assert!(message.contains(words), "{message}");
    }
}
