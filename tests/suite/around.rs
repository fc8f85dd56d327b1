//! Passes that differ in some slices alone, beside whole passes: the same to the bit.

use candle_core::{DType, Result, Tensor};
use parallax::graph::ops::{AtZero, BatchNorm, Conv, Unsqueeze, Windows};
use parallax::graph::{Graph, Plan, Value};

use crate::gradients::random;

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
        for slab in [0..1, 17..19, 3..9, 36..37, 0..37, 20..37] {
            let around = plan.around(&stack, slab.clone())?;
            for seed in [50, 60, 70] {
                let slices = random(&[slab.len(), 1, 40, 44], seed).to_dtype(dtype)?;
                let parts =
                    [stack.narrow(0, 0, slab.start)?, slices.clone(), stack.narrow(0, slab.end, 37 - slab.end)?];
                let parts: Vec<_> = parts.into_iter().filter(|part| part.elem_count() > 0).collect();
                let whole = plan.forward(&[Tensor::cat(&parts, 0)?], &|_, _| Ok(())).expect("a pass");
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
