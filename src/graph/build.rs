//! The operations as methods of the graph that is being built.

use std::sync::Arc;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::ops::{
    Add, Affine, ArgMax, Arithmetic, AtZero, Attention, AveragePool, BatchNorm, Clip, Concat, Constant, Conv,
    ConvTranspose, Edge, Flip, Function, GlobalMean, GroupNorm, GroupedConv, HeadAttention, Interpolate, LayerNorm,
    LeakyRelu, Linear, LogSoftmax, MatMul, MaxPool, Narrow, Nearest, Pad, Pairwise, Permute, Pick, Reduce, Reduction,
    Relu, Reshape, Resize, Select, Size, Softmax, Swish, Where, Windows,
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

    /// Takes the mean over all axes behind the channels.
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

    /// Numbers of the network itself.
    pub fn constant(&mut self, numbers: Tensor) -> Value {
        self.apply(Constant(numbers), &[])
    }

    pub fn grouped_conv(&mut self, x: Value, conv: GroupedConv) -> Value {
        self.apply(conv, &[x])
    }

    pub fn conv_transpose(&mut self, x: Value, conv: ConvTranspose) -> Value {
        self.apply(conv, &[x])
    }

    pub fn layer_norm(&mut self, x: Value, norm: LayerNorm) -> Value {
        self.apply(norm, &[x])
    }

    /// A matrix on the last axis.
    pub fn linear_of(&mut self, x: Value, linear: Linear) -> Value {
        self.apply(linear, &[x])
    }

    /// a b, of `[…, m, k]` and `[…, k, n]`.
    pub fn matmul(&mut self, a: Value, b: Value) -> Value {
        self.apply(MatMul, &[a, b])
    }

    pub fn function(&mut self, x: Value, function: Function) -> Value {
        self.apply(function, &[x])
    }

    /// x where it is positive, else a slope times x: one for all, or one for each channel.
    pub fn leaky_relu(&mut self, x: Value, slopes: &[f64]) -> Value {
        self.apply(LeakyRelu { slopes: slopes.to_vec() }, &[x])
    }

    pub fn clip(&mut self, x: Value, low: f64, high: f64) -> Value {
        self.apply(Clip { low, high }, &[x])
    }

    pub fn softmax(&mut self, x: Value, axis: usize) -> Value {
        self.apply(Softmax { axis }, &[x])
    }

    /// Arithmetic of two tensors, each repeated along the axes where it has a length of 1.
    pub fn pairwise(&mut self, arithmetic: Arithmetic, a: Value, b: Value) -> Value {
        self.apply(Pairwise::new(arithmetic), &[a, b])
    }

    /// Applies an operation to a tensor and frozen numbers, number by number.
    pub fn pairwise_by(&mut self, arithmetic: Arithmetic, a: Value, numbers: &Tensor) -> Result<Value> {
        Ok(self.apply(Pairwise::by(arithmetic, numbers)?, &[a]))
    }

    /// Applies an operation to frozen numbers and a tensor, number by number.
    pub fn pairwise_of(&mut self, numbers: &Tensor, arithmetic: Arithmetic, b: Value) -> Result<Value> {
        Ok(self.apply(Pairwise::of(numbers, arithmetic)?, &[b]))
    }

    /// The first tensor where the frozen mask is not 0, else the second.
    pub fn choose(&mut self, mask: &Tensor, [yes, no]: [Value; 2]) -> Result<Value> {
        Ok(self.apply(Where::new(mask)?, &[yes, no]))
    }

    pub fn reduce(&mut self, reduction: Reduction, x: Value, axes: &[usize], keep: bool) -> Value {
        self.apply(Reduce { reduction, axes: axes.to_vec(), keep }, &[x])
    }

    /// Where along an axis the first of the largest numbers lies. It has no gradient.
    pub fn arg_max(&mut self, x: Value, axis: usize, keep: bool) -> Value {
        self.apply(ArgMax { axis, keep, last: false }, &[x])
    }

    /// softmax(scale q k^T + bias) v, of `[n, heads, tokens, width]`.
    pub fn head_attention(&mut self, [q, k, v]: [Value; 3], scale: f64, bias: Option<&Tensor>) -> Result<Value> {
        Ok(self.apply(HeadAttention::new(scale, bias)?, &[q, k, v]))
    }

    /// Resizes some axes, by linear or cubic interpolation between the numbers.
    pub fn interpolate(&mut self, x: Value, to: Interpolate) -> Value {
        self.apply(to, &[x])
    }

    /// Some places of some axes.
    pub fn select(&mut self, x: Value, picks: Vec<(usize, Pick)>) -> Value {
        self.apply(Select { picks, filling: 0.0 }, &[x])
    }

    /// Every `step`-th place of an axis from `start` on, before `end`; negative places count from the end.
    pub fn slice(&mut self, x: Value, axis: usize, [start, end, step]: [i64; 3]) -> Value {
        self.select(x, vec![(axis, Pick::Slice { start, end, step })])
    }

    /// These places of an axis, in order; negative ones count from its end.
    pub fn gather(&mut self, x: Value, axis: usize, indices: &[i64]) -> Value {
        self.select(x, vec![(axis, Pick::Indices(Arc::new(indices.to_vec())))])
    }

    /// An axis of length 1, or another, so many times.
    pub fn tile(&mut self, x: Value, times: &[usize]) -> Value {
        self.select(x, times.iter().map(|times| Pick::Tile(*times)).enumerate().collect())
    }

    /// More numbers before and behind along each axis, fewer where a number is negative; `filling` where `edge` is constant.
    pub fn pad_with(&mut self, x: Value, more: &[[i64; 2]], edge: Edge, filling: f64) -> Value {
        let pads = more.iter().map(|[before, behind]| Pick::Pad { before: *before, behind: *behind, edge });
        self.apply(Select { picks: pads.enumerate().collect(), filling }, &[x])
    }

    /// The channels of `[n, c factor^k, …]` as squares or cubes of voxels, k axes of them: pixel shuffle, `DepthToSpace` of mode
    /// CRD. The shape of the input is told.
    pub fn pixel_shuffle(&mut self, x: Value, shape: &[usize], factor: usize) -> Value {
        let spatial = shape.len().saturating_sub(2);
        let parts: Vec<usize> = vec![factor; spatial];
        let split: Vec<Option<usize>> = [shape.first().copied(), None]
            .into_iter()
            .chain(parts.iter().map(|part| Some(*part)))
            .chain(shape.iter().skip(2).map(|side| Some(*side)))
            .collect();
        let x = self.reshape(x, &split);
        let pairs = (0..spatial).flat_map(|axis| [2 + spatial + axis, 2 + axis]);
        let x = self.permute(x, &[0, 1].into_iter().chain(pairs).collect::<Vec<_>>());
        let sides = shape.iter().skip(2).map(|side| side.checked_mul(factor));
        let whole: Vec<Option<usize>> = [shape.first().copied(), None].into_iter().chain(sides).collect();
        self.reshape(x, &whole)
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
