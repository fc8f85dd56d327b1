//! A network of one's own: one function builds its graph, and Parallax has its outputs and its exact gradient.
//!
//! Run it: `cargo run --example new_network`. An architecture that opens from a checkpoint lies in `src/models/densenet.rs`.

use candle_core::{DType, Device, Result, Tensor};
use parallax::graph::ops::{AtZero, Conv};
use parallax::graph::{Graph, Plan};

/// A convolution of `[n, 1, d, h, w]`, a ReLU, and the mean of each of four channels: `[n, 4]`.
fn network(weights: &Tensor) -> Result<Graph> {
    let mut graph = Graph::new();
    let x = graph.input();
    let conv = Conv::new(weights, None)?.padded([1; 3]);
    let y = graph.conv(x, conv);
    let y = graph.relu(y, AtZero::Nothing);
    let y = graph.global_mean(y);
    Ok(graph.finish(&[y]).fused())
}

fn main() -> anyhow::Result<()> {
    let random = |shape: &[usize]| Tensor::randn(0_f32, 0.1, shape, &Device::Cpu);
    let graph = network(&random(&[4, 1, 3, 3, 3])?)?;

    // A plan is for inputs of one size. A recorded pass leaves a tape, which takes the gradient of the outputs to that of the inputs.
    let plan = Plan::new(&graph, &[&[1, 1, 8, 16, 16]], DType::F32)?;
    let (y, tape) = plan.record(&[random(&[1, 1, 8, 16, 16])?], &|_, _| Ok(()))?;
    let gradient = tape.vjp(&[y[0].ones_like()?], &|_, _| Ok(()))?;

    assert_eq!(gradient[0].dims(), [1, 1, 8, 16, 16]);
    println!("outputs {:?}, gradient {:?}", y[0].dims(), gradient[0].dims());
    Ok(())
}
