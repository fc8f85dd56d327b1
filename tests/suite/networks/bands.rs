//! Gradients of which parts are computed by bands of planes, beside whole ones: the outputs are alike to the bit, the gradients to
//! rounding.

use std::cell::Cell;

use candle_core::{DType, Result, Tensor};
use parallax::graph::ops::{AtZero, BatchNorm, Conv, Function, Windows};
use parallax::graph::{Graph, Plan, Value};
use parallax::job::Cancelled;

use crate::networks::gradients::random;
use crate::support::relative;

/// Of a gradient's length: planes that two bands need are summed in another order. 3e-16 of f64 and 2e-7 of f32 are measured.
const ROUNDING: [(DType, f64); 2] = [(DType::F64, 1e-14), (DType::F32, 2e-6)];

/// A convolution of that kernel and stride, padded to keep the size, and its norm.
fn conv(g: &mut Graph, x: Value, [c_in, c_out]: [usize; 2], [k, stride]: [usize; 2], dtype: DType) -> Result<Value> {
    let weight = random(&[c_out, c_in, k, k, k], (c_in * c_out + k) as u64).to_dtype(dtype)?;
    let x = g.conv(x, Conv::new(&weight, None)?.strided([stride; 3]).padded([k / 2; 3]));
    let [scale, shift, mean] = [1, 2, 3].map(|seed| random(&[c_out], seed));
    Ok(g.batch_norm(x, BatchNorm::new(&scale, &shift, &mean, &(mean.abs()? + 0.5)?, 1e-5)?))
}

/// A residual network of volumes `[1, 1, d, h, w]`, whose first layers keep or halve the size; the first pool sees numbers below 0 alone
/// at some places, where what lies outside must not win.
fn network(dtype: DType) -> Result<Graph> {
    let mut g = Graph::new();
    let x = g.input();
    let x = conv(&mut g, x, [1, 8], [5, 1], dtype)?;
    let x = g.max_pool(x, Windows::cubes(3, 2, 1));
    let y = conv(&mut g, x, [8, 24], [3, 1], dtype)?;
    let y = g.relu(y, AtZero::Nothing);
    let y = conv(&mut g, y, [24, 8], [1, 1], dtype)?;
    let y = g.function(y, Function::Gelu);
    let y = g.leaky_relu(y, &[0.1; 8]);
    let y = g.clip(y, -0.5, 0.9);
    let y = g.add(y, x);
    let x = g.relu(y, AtZero::Nothing);
    let skip = conv(&mut g, x, [8, 16], [1, 2], dtype)?;
    let y = conv(&mut g, x, [8, 16], [3, 2], dtype)?;
    let y = g.add(y, skip);
    let y = g.relu(y, AtZero::Nothing);
    let y = conv(&mut g, y, [16, 16], [3, 1], dtype)?;
    let y = g.relu(y, AtZero::Nothing);
    let y = g.global_mean(y);
    Ok(g.finish(&[y]).fused())
}

/// The outputs and the gradient.
fn both(plan: &Plan, x: &Tensor) -> [Tensor; 2] {
    let (mut y, tape) = plan.record(std::slice::from_ref(x), &|_, _| Ok(())).expect("a pass");
    let weights = random(y[0].dims(), 9).to_dtype(x.dtype()).expect("numbers");
    let mut gradients = tape.into_vjp(&[weights], &|_, _| Ok(())).expect("a gradient");
    [y.remove(0), gradients.remove(0)]
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    let numbers = tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1::<f64>()).expect("numbers");
    numbers.into_iter().map(f64::to_bits).collect()
}

#[test]
fn bands_give_the_outputs_of_a_whole_pass_to_the_bit_and_its_gradient_to_rounding() -> Result<()> {
    for (dtype, rounding) in ROUNDING {
        let graph = network(dtype)?;
        // Depths that no number of bands divides, and one that is odd.
        for depth in [22, 37, 48] {
            let x = random(&[1, 1, depth, 40, 36], depth as u64).to_dtype(dtype)?;
            let whole = Plan::new(&graph, &[x.dims()], dtype)?;
            assert_eq!(whole.banded(), 0, "small networks are computed whole");
            let [y, gradient] = both(&whole, &x);
            let (mut plan, mut kinds) = (whole.clone(), 0);
            while let Ok(less) = plan.clone().within(plan.gradient_bytes() - 1) {
                plan = less;
                kinds += usize::from(plan.banded() > 0);
                let [of_plan, gradient_of_plan] = both(&plan, &x);
                assert!(bits(&of_plan) == bits(&y), "{dtype:?}, {depth} planes, {} segments", plan.segments());
                let error = relative(&gradient_of_plan, &gradient);
                assert!(error <= rounding, "{dtype:?}, {depth} planes, {} by bands: {error:e}", plan.banded());
            }
            assert!(kinds >= 2, "{kinds} plans had bands");
            let [less, all] = [&plan, &whole].map(Plan::gradient_bytes);
            assert!(5 * less < 4 * all, "{less} bytes of {all}");
        }
    }
    Ok(())
}

#[test]
fn a_pass_by_bands_says_how_far_it_is_and_stops_when_it_is_told_to() -> Result<()> {
    let x = random(&[1, 1, 32, 40, 36], 1).to_dtype(DType::F32)?;
    let mut plan = Plan::new(&network(DType::F32)?, &[x.dims()], DType::F32)?;
    while plan.banded() == 0 {
        plan = plan.clone().within(plan.gradient_bytes() - 1)?;
    }
    let (last, calls) = (Cell::new(0), Cell::new(0));
    let goes_on = |done: usize, of: usize| {
        assert!(done < of && last.replace(done) <= done, "{done} of {of}");
        calls.set(calls.get() + 1);
        Ok(())
    };
    let (y, tape) = plan.record(std::slice::from_ref(&x), &goes_on).expect("a pass");
    let forward = calls.replace(0);
    last.set(0);
    tape.into_vjp(&y, &goes_on).expect("a gradient");
    for stop in [0, 1, forward / 2, forward - 1] {
        let left: Cell<usize> = Cell::new(stop);
        let check = |_, _| left.get().checked_sub(1).map(|less| left.set(less)).ok_or(Cancelled);
        assert!(plan.record(std::slice::from_ref(&x), &check).is_err(), "stopped at {stop} of {forward}");
    }
    Ok(())
}
