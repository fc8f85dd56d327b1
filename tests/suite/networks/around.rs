//! Passes that differ in some slices alone, beside whole passes: the outputs are alike to the bit, the gradients to rounding.

use candle_core::{DType, Result, Tensor};
use parallax::graph::ops::{AtZero, BatchNorm, Conv, Unsqueeze, Windows};
use parallax::graph::{Graph, Plan, Value};

use crate::networks::gradients::random;
use crate::support::relative;

fn numbers(tensor: &Tensor) -> Vec<u64> {
    let numbers = tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1::<f64>()).expect("numbers");
    numbers.into_iter().map(f64::to_bits).collect()
}

/// A convolution of that kernel, stride and padding along each axis, and its norm.
fn conv(
    g: &mut Graph,
    x: Value,
    [c_in, c_out]: [usize; 2],
    [k, stride, padding]: [usize; 3],
    dtype: DType,
) -> Result<Value> {
    let weight = random(&[c_out, c_in, k, k, k], (c_in * c_out + k) as u64).to_dtype(dtype)?;
    let x = g.conv(x, Conv::new(&weight, None)?.strided([stride; 3]).padded([padding; 3]));
    let [scale, shift, mean] = [1, 2, 3].map(|seed| random(&[c_out], seed));
    Ok(g.batch_norm(x, BatchNorm::new(&scale, &shift, &mean, &(mean.abs()? + 0.5)?, 1e-5)?))
}

/// Of a gradient's largest number: sums of other lengths round otherwise. 6e-16 of f64 and 4e-7 of f32 are measured.
const ROUNDING: [(DType, f64); 2] = [(DType::F64, 1e-14), (DType::F32, 5e-6)];
const SLABS: [std::ops::Range<usize>; 6] = [0..1, 17..19, 3..9, 36..37, 0..37, 20..37];

/// Convolutions, pools, skips and parts side by side, as the classifiers have them; then a mean.
fn network(dtype: DType) -> Result<Graph> {
    let mut g = Graph::new();
    let x = g.input();
    let x = g.permute(x, &[1, 0, 2, 3]);
    let x = g.apply(Unsqueeze { axis: 0 }, &[x]);
    let x = conv(&mut g, x, [1, 6], [3, 1, 1], dtype)?;
    let x = g.relu(x, AtZero::Nothing);
    let x = g.max_pool(x, Windows::cubes(3, 2, 1));
    let y = conv(&mut g, x, [6, 6], [3, 1, 1], dtype)?;
    let y = g.add(y, x);
    let y = g.relu(y, AtZero::Nothing);
    let y = g.concat(&[x, y], 1);
    let y = conv(&mut g, y, [12, 8], [1, 1, 0], dtype)?;
    let y = g.average_pool(y, Windows::cubes(2, 2, 0));
    let skip = conv(&mut g, y, [8, 8], [1, 2, 0], dtype)?;
    let y = conv(&mut g, y, [8, 8], [3, 2, 1], dtype)?;
    let y = g.add(y, skip);
    let y = g.relu(y, AtZero::Nothing);
    let mean = g.global_mean(y);
    Ok(g.finish(&[mean, y]).fused())
}

#[test]
fn what_some_slices_reach_is_computed_anew_and_gives_what_a_whole_pass_gives_to_the_bit() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let graph = network(dtype)?;
        let stack = random(&[37, 1, 40, 44], 7).to_dtype(dtype)?;
        let plan = Plan::new(&graph, &[stack.dims()], dtype)?;
        for slab in SLABS {
            let around = plan.around(&stack, slab.clone())?;
            for seed in [50, 60, 70] {
                let slices = random(&[slab.len(), 1, 40, 44], seed).to_dtype(dtype)?;
                let whole = stack.slice_scatter0(&slices, slab.start)?;
                let whole = plan.forward(&[whole], &|_, _| Ok(())).expect("a pass");
                let part = around.forward(&slices, &|_, _| Ok(())).expect("a pass");
                for (whole, part) in whole.iter().zip(&part) {
                    assert_eq!(whole.dims(), part.dims());
                    assert!(numbers(whole) == numbers(part), "{dtype:?}, slices {slab:?}, seed {seed}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_gradient_in_some_slices_is_that_part_of_the_whole_gradient() -> Result<()> {
    for (dtype, tolerance) in ROUNDING {
        let graph = network(dtype)?;
        let stack = random(&[37, 1, 40, 44], 7).to_dtype(dtype)?;
        let plan = Plan::new(&graph, &[stack.dims()], dtype)?;
        for slab in SLABS {
            let around = plan.around(&stack, slab.clone())?;
            for seed in [50, 60] {
                let slices = random(&[slab.len(), 1, 40, 44], seed).to_dtype(dtype)?;
                let whole = stack.slice_scatter0(&slices, slab.start)?;
                let (outputs, tape) = plan.record(&[whole], &|_, _| Ok(())).expect("a pass");
                let cotangents = outputs.iter().map(|output| random(output.dims(), seed + 1).to_dtype(dtype));
                let cotangents = cotangents.collect::<Result<Vec<_>>>()?;
                let whole = tape.into_vjp(&cotangents, &|_, _| Ok(())).expect("a gradient").remove(0);
                let whole = whole.narrow(0, slab.start, slab.len())?;
                let (of_slab, tape) = around.record(&slices, &|_, _| Ok(())).expect("a pass");
                for (whole, part) in outputs.iter().zip(&of_slab) {
                    assert!(numbers(whole) == numbers(part), "{dtype:?}, slices {slab:?}, seed {seed}");
                }
                let part = tape.into_vjp(&cotangents, &|_, _| Ok(())).expect("a gradient");
                let off = relative(&part, &whole);
                assert!(off <= tolerance, "{dtype:?}, slices {slab:?}, seed {seed}: {off:e}");
            }
        }
    }
    Ok(())
}

/// A convolution whose windows leave slices out, before one that spreads what it takes.
#[test]
fn slices_that_no_window_takes_change_nothing_and_have_no_gradient() -> Result<()> {
    let mut g = Graph::new();
    let x = g.input();
    let x = g.permute(x, &[1, 0, 2, 3]);
    let x = g.apply(Unsqueeze { axis: 0 }, &[x]);
    let x = conv(&mut g, x, [1, 4], [1, 3, 0], DType::F64)?;
    let x = conv(&mut g, x, [4, 4], [3, 1, 1], DType::F64)?;
    let mean = g.global_mean(x);
    let graph = g.finish(&[mean]).fused();
    let stack = random(&[13, 1, 10, 12], 7);
    let plan = Plan::new(&graph, &[stack.dims()], DType::F64)?;
    for (slab, taken) in [(4..6, false), (5..6, false), (10..12, false), (3..4, true), (2..5, true)] {
        let around = plan.around(&stack, slab.clone())?;
        let slices = random(&[slab.len(), 1, 10, 12], 5);
        let before = around.forward(&stack.narrow(0, slab.start, slab.len())?, &|_, _| Ok(())).expect("a pass");
        let (behind, tape) = around.record(&slices, &|_, _| Ok(())).expect("a pass");
        assert_eq!(numbers(&before[0]) != numbers(&behind[0]), taken, "slices {slab:?}");
        let gradient = tape.into_vjp(&[behind[0].ones_like()?], &|_, _| Ok(())).expect("a gradient");
        assert_eq!(gradient.dims(), slices.dims());
        assert_eq!(numbers(&gradient).iter().any(|bits| f64::from_bits(*bits) != 0.0), taken, "slices {slab:?}");
    }
    Ok(())
}

#[test]
fn slices_beyond_the_input_and_slices_of_another_size_are_refused() -> Result<()> {
    let graph = network(DType::F64)?;
    let stack = random(&[37, 1, 40, 44], 7);
    let plan = Plan::new(&graph, &[stack.dims()], DType::F64)?;
    for slab in [37..38, 5..5, 30..40] {
        assert!(plan.around(&stack, slab).is_err());
    }
    let around = plan.around(&stack, 4..6)?;
    assert!(around.forward(&random(&[3, 1, 40, 44], 1), &|_, _| Ok(())).is_err());
    around.forward(&random(&[2, 1, 40, 44], 1), &|_, _| Ok(())).expect("a first pass");
    assert!(around.forward(&random(&[2, 1, 40, 40], 1), &|_, _| Ok(())).is_err());
    Ok(())
}
