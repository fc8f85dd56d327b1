//! The operations of the graph that exported networks use: gradients by central differences, goldens of PyTorch, CPU as elsewhere.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use parallax::graph::ops::{
    Arithmetic, Axis, Between, Conv, ConvTranspose, Coordinates, Edge, Function, GroupedConv, Interpolate, LayerNorm,
    Linear, Pick, Reduction, Rounding,
};
use parallax::graph::{Graph, Plan, Value};
use parallax::nn::device::as_on_a_gpu;

use crate::networks::gradients::random;
use crate::support::{self, worst};

/// Central differences of step 1e-5 in f64 err by about 1e-10 from curvature and 1e-11 from rounding.
const DIFFERENCE: f64 = 1e-7;
const STEP: f64 = 1e-5;
/// f64 sums in another order, of the largest number.
const ORDER: f64 = 1e-11;
/// f32 sums in another order, of the largest number.
const F32: f64 = 1e-5;

fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1()).expect("numbers")
}

fn largest(t: &Tensor) -> f64 {
    numbers(t).iter().fold(1.0, |most, x| x.abs().max(most))
}

/// A graph of some inputs.
fn graph(inputs: usize, build: impl FnOnce(&mut Graph, &[Value]) -> Value) -> Graph {
    let mut g = Graph::new();
    let inputs: Vec<Value> = (0..inputs).map(|_| g.input()).collect();
    let y = build(&mut g, &inputs);
    g.finish(&[y])
}

/// The output, and the gradients of sum(output * g).
fn pulled(graph: &Graph, inputs: &[Tensor], g: Option<&Tensor>) -> (Tensor, Vec<Tensor>) {
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::dims).collect();
    let plan = Plan::new(graph, &shapes, inputs[0].dtype()).expect("a plan");
    let (y, tape) = plan.record(inputs, &|_, _| Ok(())).expect("a pass");
    assert_eq!(plan.outputs()[0], y[0].dims());
    let alone = plan.forward(inputs, &|_, _| Ok(())).expect("a pass forward");
    assert_eq!(numbers(&alone[0]), numbers(&y[0]), "a pass forward alone");
    let g = g.cloned().unwrap_or_else(|| random(y[0].dims(), 2).to_dtype(y[0].dtype()).expect("numbers"));
    let gradients = tape.vjp(&[g], &|_, _| Ok(())).expect("a gradient");
    (y.into_iter().next().expect("an output"), gradients)
}

/// Compares gradients with central differences, the CPU with what runs elsewhere, and f32 with f64.
fn check_at(name: &str, inputs: &[Tensor], build: impl Fn(&mut Graph, &[Value], DType) -> Value) {
    let of = graph(inputs.len(), |g, x| build(g, x, DType::F64));
    let (y, gradients) = pulled(&of, inputs, None);
    let weights = random(y.dims(), 2);
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::dims).collect();
    let plan = Plan::new(&of, &shapes, DType::F64).expect("a plan");
    let loss = |inputs: &[Tensor]| {
        let y = plan.forward(inputs, &|_, _| Ok(())).expect("a pass");
        (&y[0] * &weights).and_then(|p| p.sum_all()?.to_scalar::<f64>()).expect("a scalar")
    };
    for (which, exact) in gradients.iter().enumerate() {
        let (values, exact) = (numbers(&inputs[which]), numbers(exact));
        for i in (0..values.len()).step_by((values.len() / 17).max(1)) {
            let moved = |by: f64| {
                let mut v = values.clone();
                v[i] += by;
                let mut all = inputs.to_vec();
                all[which] = Tensor::from_vec(v, inputs[which].dims(), &Device::Cpu).expect("same shape");
                loss(&all)
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let gap = (slope - exact[i]).abs();
            assert!(
                gap <= DIFFERENCE * exact[i].abs().max(1.0),
                "{name}, input {which}[{i}]: {} by the vjp, {slope} by differences",
                exact[i]
            );
        }
    }
    let (there, theirs) = as_on_a_gpu(|| pulled(&of, inputs, None));
    assert!(worst(&there, &y) <= ORDER * largest(&y), "{name}: elsewhere off by {:e}", worst(&there, &y));
    let single: Vec<Tensor> = inputs.iter().map(|x| x.to_dtype(DType::F32).expect("f32")).collect();
    let (short, shorts) = pulled(&graph(inputs.len(), |g, x| build(g, x, DType::F32)), &single, None);
    assert!(worst(&short, &y) <= F32 * largest(&y), "{name}: f32 off by {:e}", worst(&short, &y));
    for ((theirs, short), ours) in theirs.iter().zip(&shorts).zip(&gradients) {
        assert!(
            worst(theirs, ours) <= ORDER * largest(ours),
            "{name}: gradient elsewhere off by {:e}",
            worst(theirs, ours)
        );
        assert!(worst(short, ours) <= F32 * largest(ours), "{name}: f32 gradient off by {:e}", worst(short, ours));
    }
}

fn check(name: &str, shapes: &[&[usize]], build: impl Fn(&mut Graph, &[Value], DType) -> Value) {
    let inputs: Vec<Tensor> = shapes.iter().enumerate().map(|(at, shape)| random(shape, 10 + at as u64)).collect();
    check_at(name, &inputs, build);
}

/// Frozen numbers of a type.
fn frozen(shape: &[usize], seed: u64, dtype: DType) -> Tensor {
    random(shape, seed).to_dtype(dtype).expect("f32 or f64")
}

#[test]
fn convolutions_in_groups_dilated_and_padded_unevenly_have_exact_gradients() {
    let uneven = [[0, 1], [2, 0], [1, 3]];
    check("uneven", &[&[2, 3, 4, 5, 6]], |g, x, t| {
        let conv = Conv::new(&frozen(&[4, 3, 2, 3, 3], 3, t), Some(&frozen(&[4], 4, t))).expect("a layer");
        g.conv(x[0], conv.strided([1, 2, 2]).padded_unevenly(uneven))
    });
    check("lines", &[&[2, 3, 11]], |g, x, t| {
        let conv = Conv::dilated(&frozen(&[4, 3, 3], 3, t), None, [1, 1, 2]).expect("a layer");
        g.conv(x[0], conv.padded([0, 0, 2]))
    });
    check("dilated", &[&[2, 3, 8, 9]], |g, x, t| {
        let conv = Conv::dilated(&frozen(&[4, 3, 3, 3], 3, t), None, [1, 2, 3]).expect("a layer");
        g.conv(x[0], conv.strided([1, 2, 1]).padded([0, 2, 1]))
    });
    for (channels, out, groups, stride) in
        [(4, 6, 2, [1; 3]), (4, 4, 4, [1; 3]), (3, 3, 3, [2, 1, 2]), (3, 6, 3, [1, 2, 1])]
    {
        check(&format!("{groups} groups"), &[&[2, channels, 4, 5, 6]], |g, x, t| {
            let (weight, bias) = (frozen(&[out, channels / groups, 3, 3, 3], 3, t), frozen(&[out], 4, t));
            let place = |w: &Tensor, b: Option<&Tensor>| {
                Ok(Conv::new(w, b)?.strided(stride).padded_unevenly([[1, 1], [0, 2], [1, 0]]))
            };
            g.grouped_conv(x[0], GroupedConv::new(&weight, Some(&bias), groups, place).expect("a layer"))
        });
    }
}

#[test]
fn transposed_convolutions_have_exact_gradients() {
    for (kernel, stride, dilation, cut, groups) in [
        ([2, 2, 2], [2; 3], [1; 3], [[0, 0]; 3], 1),
        ([3, 3, 3], [2; 3], [1; 3], [[1, 0]; 3], 1),
        ([3, 3, 3], [1; 3], [1; 3], [[1, 1]; 3], 2),
        ([1, 3, 2], [1, 3, 2], [1, 2, 1], [[0, 0], [2, 1], [0, -2]], 1),
        ([1, 1, 3], [3, 2, 1], [1; 3], [[-1, -2], [0, 0], [2, 0]], 4),
    ] {
        check(&format!("transposed {kernel:?} {stride:?} {cut:?}"), &[&[2, 4, 3, 4, 5]], |g, x, t| {
            let weight = frozen(&[4, 3, kernel[0], kernel[1], kernel[2]], 3, t);
            let bias = frozen(&[3 * groups], 4, t);
            g.conv_transpose(
                x[0],
                ConvTranspose::new(&weight, Some(&bias), groups, [stride, dilation], cut).expect("a layer"),
            )
        });
    }
}

#[test]
fn functions_have_exact_gradients() {
    let negative = [
        Function::Sigmoid,
        Function::Tanh,
        Function::Exp,
        Function::Reciprocal,
        Function::Erf,
        Function::Gelu,
        Function::GeluTanh,
        Function::Power(2.0),
        Function::Power(3.0),
        Function::Abs,
        Function::Elu(0.7),
        Function::HardSigmoid { slope: 0.8, offset: 0.5 },
        Function::Softplus,
        Function::Mish,
        Function::Sin,
        Function::Cos,
        Function::Atan,
        Function::Sinh,
        Function::Cosh,
        Function::Asinh,
        Function::Expm1,
    ];
    for function in negative {
        // Away from 0, where some have no slope.
        let x = random(&[2, 3, 5], 7).affine(2.0, 0.0).and_then(|x| &x + (x.sign()? * 0.2)?).expect("numbers");
        check_at(&format!("{function:?}"), &[x], |g, x, _| g.function(x[0], function));
    }
    for function in [Function::Sqrt, Function::Log, Function::Power(-1.5)] {
        let x = random(&[2, 3, 5], 7).affine(0.5, 1.0).expect("numbers");
        check_at(&format!("{function:?}"), &[x], |g, x, _| g.function(x[0], function));
    }
    // Within their domains: below 0.7, or above 1.2.
    for function in [Function::Tan, Function::Asin, Function::Acos, Function::Atanh, Function::Log1p] {
        let x = random(&[2, 3, 5], 7).affine(0.7, 0.0).expect("numbers");
        check_at(&format!("{function:?}"), &[x], |g, x, _| g.function(x[0], function));
    }
    let x = random(&[2, 3, 5], 7).affine(0.5, 1.7).expect("numbers");
    check_at("Acosh", &[x], |g, x, _| g.function(x[0], Function::Acosh));
    check("leaky", &[&[2, 3, 4, 5]], |g, x, _| g.leaky_relu(x[0], &[0.01]));
    check("prelu", &[&[2, 3, 4, 5]], |g, x, _| g.leaky_relu(x[0], &[0.25, -0.5, 2.0]));
    check("clip", &[&[2, 3, 4, 5]], |g, x, _| g.clip(x[0], -0.4, 0.3));
    check("softmax", &[&[2, 3, 4]], |g, x, _| g.softmax(x[0], 2));
    check("softmax over channels", &[&[2, 3, 4]], |g, x, _| g.softmax(x[0], 1));
}

#[test]
fn arithmetic_of_tensors_that_are_repeated_has_exact_gradients() {
    use Arithmetic::{Add, Divide, Larger, Multiply, Power, Smaller, Subtract};
    let away = |shape: &[usize], seed| random(shape, seed).affine(0.4, 1.0).expect("numbers");
    for arithmetic in [Add, Subtract, Multiply, Divide, Larger, Smaller, Power] {
        for [a, b] in [
            [&[2, 3, 4, 5][..], &[2, 3, 4, 5]],
            [&[2, 3, 4, 5], &[3, 1, 1]],
            [&[2, 1, 4, 1], &[1, 3, 1, 5]],
            [&[4], &[2, 3, 1]],
        ] {
            let inputs = [away(a, 5), away(b, 6)];
            check_at(&format!("{arithmetic:?} {a:?} {b:?}"), &inputs, |g, x, _| g.pairwise(arithmetic, x[0], x[1]));
            check_at(&format!("{arithmetic:?} by {b:?}"), &inputs[..1], |g, x, _| {
                g.pairwise_by(arithmetic, x[0], &inputs[1]).expect("numbers")
            });
            check_at(&format!("{arithmetic:?} of {a:?}"), &inputs[1..], |g, x, _| {
                g.pairwise_of(&inputs[0], arithmetic, x[0]).expect("numbers")
            });
        }
    }
    let mask = random(&[3, 1, 5], 9).gt(0.0).expect("a mask");
    check("choice", &[&[2, 3, 4, 5], &[4, 1]], |g, x, _| g.choose(&mask, [x[0], x[1]]).expect("a mask"));
    check("x twice", &[&[2, 3]], |g, x, _| g.pairwise(Multiply, x[0], x[0]));
}

#[test]
fn products_norms_and_attention_have_exact_gradients() {
    for [a, b] in [
        [&[5, 4][..], &[4, 3]],
        [&[2, 3, 5, 4], &[4, 3]],
        [&[2, 3, 5, 4], &[2, 3, 4, 6]],
        [&[2, 1, 5, 4], &[3, 4, 70]],
        [&[130, 4], &[2, 4, 3]],
    ] {
        check(&format!("product {a:?} {b:?}"), &[a, b], |g, x, _| g.matmul(x[0], x[1]));
    }
    check("linear", &[&[2, 3, 4]], |g, x, t| {
        g.linear_of(x[0], Linear::new(&frozen(&[5, 4], 3, t), Some(&frozen(&[5], 4, t))).expect("a layer"))
    });
    for sides in [&[5][..], &[4, 5]] {
        check("layer norm", &[&[2, 3, 4, 5]], |g, x, t| {
            g.layer_norm(
                x[0],
                LayerNorm::new(sides, Some(&frozen(sides, 3, t)), Some(&frozen(sides, 4, t)), 1e-5).expect("a layer"),
            )
        });
    }
    check("layer norm without weights", &[&[6, 5]], |g, x, _| {
        g.layer_norm(x[0], LayerNorm::new(&[5], None, None, 1e-5).expect("a layer"))
    });
    let shapes: [&[usize]; 3] = [&[4, 3, 7, 4], &[4, 3, 6, 4], &[4, 3, 6, 5]];
    check("attention", &shapes, |g, x, _| g.head_attention([x[0], x[1], x[2]], 0.5, None).expect("attention"));
    for bias in [&[7, 6][..], &[3, 7, 6], &[2, 1, 7, 6], &[4, 3, 7, 6]] {
        check(&format!("attention with a bias {bias:?}"), &shapes, |g, x, t| {
            g.head_attention([x[0], x[1], x[2]], 0.5, Some(&frozen(bias, 8, t))).expect("attention")
        });
    }
    check("attention by one head", &[&[1, 1, 33, 4][..]; 3], |g, x, _| {
        g.head_attention([x[0], x[1], x[2]], 0.5, None).expect("attention")
    });
}

#[test]
fn selections_reductions_and_resizing_have_exact_gradients() {
    let places = |indices: &[i64]| Pick::Indices(Arc::new(indices.to_vec()));
    for (name, picks) in [
        (
            "steps",
            vec![(0, Pick::Slice { start: 1, end: 100, step: 2 }), (2, Pick::Slice { start: -1, end: -100, step: -2 })],
        ),
        ("places", vec![(1, places(&[2, 0, -1, 2])), (2, places(&[1]))]),
        ("tiles", vec![(0, Pick::Tile(2)), (2, Pick::Tile(3))]),
        (
            "edge",
            vec![
                (1, Pick::Pad { before: 2, behind: 1, edge: Edge::Nearest }),
                (0, Pick::Pad { before: -1, behind: 4, edge: Edge::Nearest }),
            ],
        ),
        ("reflection", vec![(2, Pick::Pad { before: 4, behind: 3, edge: Edge::Reflect })]),
        ("other end", vec![(2, Pick::Pad { before: 4, behind: 7, edge: Edge::Wrap })]),
        (
            "zeros",
            vec![
                (2, Pick::Pad { before: -2, behind: 3, edge: Edge::Constant }),
                (0, Pick::Pad { before: 1, behind: 0, edge: Edge::Constant }),
            ],
        ),
    ] {
        check(name, &[&[3, 4, 5]], |g, x, _| g.select(x[0], picks.clone()));
    }
    for (to, coordinates, rounding) in [
        (Axis::Times(2.0), Coordinates::Asymmetric, Rounding::Down),
        (Axis::Size(7), Coordinates::HalfPixel, Rounding::HalfDown),
        (Axis::Times(0.6), Coordinates::AlignCorners, Rounding::HalfUp),
    ] {
        check("nearest", &[&[2, 3, 4, 5]], |g, x, _| {
            g.select(x[0], (2..4).map(|axis| (axis, Pick::Nearest { to, coordinates, rounding })).collect())
        });
    }
    for coordinates in [Coordinates::HalfPixel, Coordinates::AlignCorners, Coordinates::Asymmetric] {
        for (to, between, antialias) in [
            (Axis::Times(2.0), Between::Linear, false),
            (Axis::Size(3), Between::Linear, true),
            (Axis::Size(7), Between::Cubic(-0.75), false),
        ] {
            check("interpolation", &[&[1, 2, 4, 5, 6]], |g, x, _| {
                let axes = (2..5).map(|axis| (axis, to)).collect();
                g.interpolate(x[0], Interpolate { axes, between, coordinates, antialias, exclude_outside: false })
            });
        }
    }
    for reduction in [Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Min] {
        for axes in [&[3][..], &[1], &[0, 2], &[2, 1, 3], &[0, 1, 2, 3], &[]] {
            check(&format!("{reduction:?} {axes:?}"), &[&[2, 3, 4, 5]], |g, x, _| {
                g.reduce(reduction, x[0], axes, false)
            });
        }
    }
    check("pixel shuffle", &[&[2, 8, 3, 2, 2]], |g, x, _| g.pixel_shuffle(x[0], &[2, 8, 3, 2, 2], 2));
}

#[test]
fn steps_have_no_gradient() {
    let of = graph(1, |g, x| {
        let place = g.arg_max(x[0], 1, true);
        g.pairwise(Arithmetic::Multiply, x[0], place)
    });
    let x = random(&[2, 3, 4], 1);
    let (y, gradients) = pulled(&of, std::slice::from_ref(&x), Some(&x.ones_like().expect("ones")));
    // The gradient is the place itself, a number that does not vary.
    assert!(worst(&(&gradients[0] * &x).expect("numbers"), &y) == 0.0);
}

/// Adds an operation to a graph, by the golden's fields.
type Build<'a> = &'a dyn Fn(&mut Graph, Value, &dyn Fn(&str) -> Tensor) -> Result<Value>;

#[test]
fn the_operations_of_exported_networks_equal_pytorchs() -> Result<()> {
    let goldens: HashMap<String, Tensor> =
        candle_core::safetensors::load(support::data("ops.safetensors"), &Device::Cpu)?;
    let golden = |name: &str, build: Build<'_>| -> Result<()> {
        let get = |field: &str| goldens[&format!("{name}.{field}")].clone();
        let mut g = Graph::new();
        let x = g.input();
        let y = build(&mut g, x, &get)?;
        let (y, gradients) = pulled(&g.finish(&[y]), &[get("x")], Some(&get("g")));
        let [gap, of_gradient] = [worst(&y, &get("y")), worst(&gradients[0], &get("gx"))];
        assert!(
            gap <= F32 * largest(&get("y")) && of_gradient <= F32 * largest(&get("gx")),
            "{name}: {gap:e} {of_gradient:e}"
        );
        Ok(())
    };
    golden("conv_dil2", &|g, x, get| Ok(g.conv(x, Conv::dilated(&get("w"), None, [1, 2, 2])?.padded([0, 2, 2]))))?;
    golden("conv_s2asym", &|g, x, get| {
        let conv = Conv::new(&get("w"), None)?.strided([1, 2, 2]);
        Ok(g.conv(x, conv.padded_unevenly([[0, 0], [0, 1], [0, 1]])))
    })?;
    golden("conv1d", &|g, x, get| Ok(g.conv(x, Conv::new(&get("w"), None)?.padded([0, 0, 1]))))?;
    golden("conv_g2", &|g, x, get| {
        let conv = GroupedConv::new(&get("w"), None, 2, |w, b| Ok(Conv::new(w, b)?.padded([0, 1, 1])))?;
        Ok(g.grouped_conv(x, conv))
    })?;
    golden("convt2", &|g, x, get| {
        Ok(g.conv_transpose(x, ConvTranspose::new(&get("w"), None, 1, [[1, 2, 2], [1; 3]], [[0, 0]; 3])?))
    })?;
    golden("abs", &|g, x, _| Ok(g.function(x, Function::Abs)))?;
    golden("sigmoid", &|g, x, _| Ok(g.function(x, Function::Sigmoid)))?;
    golden("clamp", &|g, x, _| Ok(g.clip(x, -0.5, 0.5)))?;
    golden("softmax", &|g, x, _| Ok(g.softmax(x, 3)))?;
    golden("softmax1", &|g, x, _| Ok(g.softmax(x, 1)))?;
    golden("idxsel", &|g, x, get| Ok(g.gather(x, 1, &get("i").to_vec1::<i64>()?)))?;
    golden("max", &|g, x, _| Ok(g.reduce(Reduction::Max, x, &[1], false)))?;
    golden("mean", &|g, x, _| Ok(g.reduce(Reduction::Mean, x, &[2, 3], false)))?;
    golden("sum", &|g, x, _| Ok(g.reduce(Reduction::Sum, x, &[1], false)))?;
    golden("padrep", &|g, x, _| Ok(g.pad_with(x, &[[0, 0], [0, 0], [0, 0], [1, 1]], Edge::Nearest, 0.0)))?;
    for (name, function) in [("log", Function::Log), ("sqrt", Function::Sqrt)] {
        golden(name, &|g, x, _| {
            let squared = g.function(x, Function::Power(2.0));
            let more = g.affine(squared, 1.0, 1.0);
            Ok(g.function(more, function))
        })?;
    }
    golden("upbil", &|g, x, _| {
        let axes = vec![(2, Axis::Size(16)), (3, Axis::Size(16))];
        let (between, coordinates) = (Between::Linear, Coordinates::HalfPixel);
        Ok(g.interpolate(x, Interpolate { axes, between, coordinates, antialias: false, exclude_outside: false }))
    })?;
    golden("up3", &|g, x, _| {
        let (coordinates, rounding) = (Coordinates::Asymmetric, Rounding::Down);
        let pick = |axis| (axis, Pick::Nearest { to: Axis::Times(3.0), coordinates, rounding });
        Ok(g.select(x, vec![pick(2), pick(3)]))
    })
}

#[test]
fn what_does_not_fit_is_an_error_in_words() {
    let refused = |shapes: &[&[usize]], build: &dyn Fn(&mut Graph, &[Value]) -> Value, words: &str| {
        let of = graph(shapes.len(), |g, x| build(g, x));
        let Err(error) = Plan::new(&of, shapes, DType::F32) else { panic!("{words}: no error") };
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(&[&[2, 3], &[4, 5]], &|g, x| g.matmul(x[0], x[1]), "a product of matrices");
    refused(
        &[&[2, 3], &[2, 4]],
        &|g, x| g.pairwise(Arithmetic::Add, x[0], x[1]),
        "as long, or one of them has a length of 1",
    );
    refused(&[&[2, 3]], &|g, x| g.gather(x[0], 1, &[3]), "places are from -3 to 2");
    refused(&[&[2, 3]], &|g, x| g.slice(x[0], 1, [0, 3, 0]), "steps of 0");
    refused(&[&[2, 3]], &|g, x| g.slice(x[0], 2, [0, 3, 1]), "each axis must be one of its 2, once");
    refused(&[&[2, 3]], &|g, x| g.pad_with(x[0], &[[0, 0], [3, 0]], Edge::Reflect, 0.0), "reach 2 places further");
    refused(
        &[&[2, 3]],
        &|g, x| g.pad_with(x[0], &[[0, 0], [i64::MAX, 0]], Edge::Constant, 0.0),
        "more numbers than can be counted",
    );
    refused(&[&[2, 3]], &|g, x| g.pad_with(x[0], &[[0, 0], [-2, -2]], Edge::Constant, 0.0), "of an axis of 3");
    refused(&[&[2, 3]], &|g, x| g.tile(x[0], &[usize::MAX, 2]), "times an axis");
    refused(&[&[2, 3]], &|g, x| g.reduce(Reduction::Max, x[0], &[2], true), "each axis must be one of its 2, once");
    refused(&[&[2, 3]], &|g, x| g.softmax(x[0], 2), "softmax over axis 2");
    refused(&[&[2, 3]], &|g, x| g.leaky_relu(x[0], &[0.1, 0.2]), "one for all, or one for each channel");
    refused(
        &[&[2, 3, 4, 5][..]; 2],
        &|g, x| g.head_attention([x[0], x[1], x[1]], 1.0, Some(&random(&[4, 5], 1))).expect("a bias"),
        "has a bias",
    );
    refused(
        &[&[2, 3, 0, 5]],
        &|g, x| g.select(x[0], vec![(2, Pick::Pad { before: 1, behind: 0, edge: Edge::Nearest })]),
        "reach 0 places further",
    );
    let weight = random(&[4, 2, 3, 3], 1);
    assert!(Conv::dilated(&weight, None, [1, usize::MAX, 1]).is_err());
    assert!(Conv::dilated(&weight, None, [1, 0, 1]).is_err());
    assert!(GroupedConv::new(&weight, None, 3, Conv::new).is_err());
    assert!(GroupedConv::new(&weight, None, 0, Conv::new).is_err());
    let cut = [[0, 0], [0, 0], [i64::MAX, i64::MAX]];
    let transposed = ConvTranspose::new(&weight, None, 1, [[1; 3], [1; 3]], cut).expect("a layer");
    let of = graph(1, |g, x| g.conv_transpose(x[0], transposed));
    assert!(Plan::new(&of, &[&[1, 4, 5, 5]], DType::F64).is_err());
}
