//! The operations as methods of the graph that is being built.

use candle_core::Result;
use candle_nn::VarBuilder;

use super::ops::{
    Add, Affine, AtZero, Attention, AveragePool, BatchNorm, Concat, Conv, Flip, GlobalMean, GroupNorm, LogSoftmax,
    MaxPool, Narrow, Nearest, Pad, Permute, Relu, Reshape, Resize, Size, Swish, Windows,
};
use super::{Graph, Value};

impl Graph {
    pub fn conv(&mut self, x: Value, conv: Conv) -> Value {
        self.apply(conv, &[x])
    }

    pub fn batch_norm(&mut self, x: Value, norm: BatchNorm) -> Value {
        self.apply(norm, &[x])
    }

    pub fn group_norm(&mut self, x: Value, norm: GroupNorm) -> Value {
        self.apply(norm, &[x])
    }

    pub fn relu(&mut self, x: Value, at_zero: AtZero) -> Value {
        self.apply(Relu(at_zero), &[x])
    }

    pub fn swish(&mut self, x: Value) -> Value {
        self.apply(Swish, &[x])
    }

    pub fn log_softmax(&mut self, x: Value, axis: usize) -> Value {
        self.apply(LogSoftmax { axis }, &[x])
    }

    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.apply(Add, &[a, b])
    }

    /// slope x + offset
    pub fn affine(&mut self, x: Value, slope: f64, offset: f64) -> Value {
        self.apply(Affine { slope, offset }, &[x])
    }

    /// softmax(q k^T / sqrt(c)) v over the tokens of `[n, c, …]`.
    pub fn attention(&mut self, [q, k, v]: [Value; 3]) -> Value {
        self.apply(Attention, &[q, k, v])
    }

    pub fn max_pool(&mut self, x: Value, windows: Windows) -> Value {
        self.apply(MaxPool(windows), &[x])
    }

    /// Mean over windows; zeros of the padding count.
    pub fn average_pool(&mut self, x: Value, windows: Windows) -> Value {
        self.apply(AveragePool { windows, count_padding: true }, &[x])
    }

    /// Mean over everything after the channels.
    pub fn global_mean(&mut self, x: Value) -> Value {
        self.apply(GlobalMean, &[x])
    }

    pub fn concat(&mut self, parts: &[Value], axis: usize) -> Value {
        self.apply(Concat { axis }, parts)
    }

    /// Each pixel so many times along height and width.
    pub fn nearest(&mut self, x: Value, factor: usize) -> Value {
        self.apply(Nearest { factor }, &[x])
    }

    pub fn resize(&mut self, x: Value, size: Size, antialias: bool) -> Value {
        self.apply(Resize { size, antialias }, &[x])
    }

    pub fn permute(&mut self, x: Value, axes: &[usize]) -> Value {
        self.apply(Permute(axes.to_vec()), &[x])
    }

    pub fn flip(&mut self, x: Value, axes: &[usize]) -> Value {
        self.apply(Flip(axes.to_vec()), &[x])
    }

    /// One side may be `None`: what is left for it.
    pub fn reshape(&mut self, x: Value, shape: &[Option<usize>]) -> Value {
        self.apply(Reshape(shape.to_vec()), &[x])
    }

    pub fn narrow(&mut self, x: Value, axis: usize, start: usize, length: usize) -> Value {
        self.apply(Narrow { axis, start, length }, &[x])
    }

    /// Zeros before and behind, along each axis.
    pub fn pad(&mut self, x: Value, zeros: &[[usize; 2]]) -> Value {
        self.apply(Pad(zeros.to_vec()), &[x])
    }

    /// A matrix on the channels of `[n, c]`, and a bias: "weight" `[out, in]`, "bias" `[out]`.
    pub fn linear(&mut self, x: Value, [c_in, c_out]: [usize; 2], vb: &VarBuilder) -> Result<Value> {
        let (weight, bias) = (vb.get((c_out, c_in), "weight")?, vb.get(c_out, "bias")?);
        let weight = weight.reshape((c_out, c_in, 1, 1, 1))?;
        let x = self.reshape(x, &[None, Some(c_in), Some(1), Some(1), Some(1)]);
        let x = self.conv(x, Conv::new(&weight, Some(&bias))?);
        Ok(self.reshape(x, &[None, Some(c_out)]))
    }
}
