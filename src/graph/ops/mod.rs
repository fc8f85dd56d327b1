//! The operations that graphs are made of, each with its shape, its forward pass, its vector-Jacobian product, and what it saves
//! for that.
//!
//! Tensors are `[n, c, …]`: samples, channels, then depth, height and width, of which slices have the last two. Numbers are f32 or
//! f64. Weights are frozen: no operation has a gradient of its weights.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the instruction set of its caller, see simd"
)]

mod activation;
mod along;
mod arithmetic;
mod attention;
mod broadcast;
mod channel_affine;
mod choose;
mod conv;
mod frozen;
mod function;
mod group_norm;
mod heads;
mod interpolate;
mod join;
mod layer_norm;
mod matmul;
mod norm;
mod pairwise;
mod pool;
mod reduce;
mod resize;
mod sample;
mod select;
mod softmax;
mod steps;
mod stop;
mod table;
mod threshold;
mod tiled;
mod unfold;
mod view;

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor};

use self::pool::Places;
pub use activation::{LogSoftmax, Relu, Swish};
pub use arithmetic::{Add, Affine};
pub use attention::Attention;
pub use choose::{Choose, Lookup};
pub use conv::{Bias, Conv, ConvTranspose, GroupedConv, conv2d, conv3d};
pub use frozen::Constant;
pub use function::Function;
pub use group_norm::{GroupNorm, group_norm};
pub use heads::HeadAttention;
pub use interpolate::{Axis, Between, Coordinates, Interpolate};
pub use join::Concat;
pub use layer_norm::LayerNorm;
pub use matmul::{Linear, MatMul};
pub use norm::{BatchNorm, batch_norm};
pub use pairwise::{Arithmetic, Pairwise, Where};
pub use pool::{AveragePool, GlobalMean, MaxPool, Windows};
pub use reduce::{ArgMax, Reduce, Reduction};
pub use resize::{Nearest, Resize, Size};
pub use sample::{Line, Sample};
pub use select::{Edge, Pick, Rounding, Select};
pub use softmax::Softmax;
pub use steps::{Steps, StraightThrough};
pub use stop::Stop;
pub use threshold::{Clip, LeakyRelu};
pub use tiled::{Blend, Tiled, TilesAlong};
pub use view::{CenterCrop, Flip, Narrow, Pad, Permute, Reshape, Unsqueeze};

pub use crate::nn::epilogue::AtZero;
use crate::nn::mask::Mask;

/// What an operation does with tensors.
pub trait Operation: Any + Send + Sync {
    /// The operation's name in messages: "convolution 64 to 128".
    fn name(&self) -> String;

    /// Gives the output's shape, from those of the inputs.
    ///
    /// # Errors
    /// The error says in words why inputs of such shapes have no output.
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>>;

    /// What [`Self::forward`] saves.
    fn saves(&self) -> Saves;

    /// The output, and what the vjp needs to know of this pass where it is to be `saved`.
    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)>;

    /// Gives the gradients of the inputs from that of the output; each goes `into` a sum. An operation that ends in a ReLU
    /// whose mask it saved is given the gradient past that mask. `None` is asked for and given where nothing wants a gradient.
    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>>;

    /// What this operation is to the one before it, if that may do it in passing.
    fn step(&self) -> Option<Step> {
        None
    }

    /// This operation and a step that follows it, in one pass. A step's further inputs follow this operation's.
    fn absorbing(&self, step: &Step) -> Option<Arc<dyn Operation>> {
        let _ = step;
        None
    }

    /// Whether the output is a step function of the inputs: no gradient passes.
    fn stops(&self) -> bool {
        false
    }

    /// The axis along which this operation does nothing but join its inputs.
    fn concatenates(&self) -> Option<usize> {
        None
    }

    /// This operation on some planes of its inputs along an axis, for an output of that shape, and which planes of the inputs it
    /// needs for each of the output; none where it needs them all.
    fn on_planes(&self, axis: usize, output: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        let _ = (axis, output);
        None
    }

    /// This operation where it runs a plan of its own, tile after tile: passes through it can be stopped between any two of its steps.
    fn tiled(&self) -> Option<&Tiled> {
        None
    }

    /// Multiply-adds of a forward pass, of operations whose time they are: convolutions, products of matrices, attention.
    fn multiply_adds(&self, inputs: &[&[usize]]) -> f64 {
        let _ = inputs;
        0.0
    }

    /// Bytes that a pass takes besides its inputs and its output, of f32.
    fn scratch_bytes(&self, inputs: &[&[usize]]) -> usize {
        let _ = inputs;
        0
    }
}

/// Which planes of the first input along an axis a plane of the output needs: `kernel` of them, from `stride` times its number less
/// `padding` on. Of further inputs it is the plane of that number.
#[derive(Debug, Clone, Copy)]
pub struct Planes {
    /// The axis of the output.
    pub axis: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    /// What stands for planes that lie outside.
    pub filling: f32,
}

impl Planes {
    /// Each plane by itself.
    pub fn each(axis: usize) -> Self {
        Self { axis, kernel: 1, stride: 1, padding: 0, filling: 0.0 }
    }

    /// Gives the planes that the input of that number has.
    pub(super) fn of(&self, input: usize) -> Self {
        if input == 0 { *self } else { Self::each(self.axis) }
    }

    /// The planes of an output of so many that some planes of the input reach.
    pub(super) fn reached(&self, inputs: &Range<usize>, outputs: usize) -> Range<usize> {
        let first = (inputs.start + self.padding + 1).saturating_sub(self.kernel).div_ceil(self.stride);
        let end = (inputs.end + self.padding).div_ceil(self.stride);
        first.min(outputs)..end.clamp(first.min(outputs), outputs)
    }

    /// The first plane of the input that some planes of the output need, which may lie outside, and how many.
    pub(super) fn needed(&self, outputs: &Range<usize>) -> (isize, usize) {
        let first = (outputs.start * self.stride) as isize - self.padding as isize;
        (first, (outputs.len().saturating_sub(1)) * self.stride + self.kernel)
    }

    /// Gives the planes that some planes of the output need and that an input of so many has.
    pub(super) fn within(&self, outputs: &Range<usize>, inputs: usize) -> Range<usize> {
        let (first, count) = self.needed(outputs);
        let end = usize::try_from(first + count as isize).unwrap_or(0).min(inputs);
        usize::try_from(first).unwrap_or(0).min(end)..end
    }
}

/// What may be done to an operation's outputs while the caches hold them.
pub enum Step {
    /// A scale and a shift by channel.
    Norm(BatchNorm),
    /// Another tensor of that shape is added.
    Add,
    Relu(AtZero),
    Swish,
}

/// What an operation saves of a forward pass, for a plan to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saves {
    Nothing,
    /// One bit for each number of the output.
    Bits,
    /// Two bytes for each number of the output.
    Places,
    /// Four bytes for each number of the output.
    Indices,
    /// All inputs.
    Inputs,
    Output,
}

/// What an operation saved of a forward pass.
#[derive(Clone, Default)]
pub enum Saved {
    #[default]
    Nothing,
    /// What its ReLU lets through.
    Mask(Mask),
    /// Which numbers lie above a threshold. Unlike a mask it lets a part of the others' gradient through, which the operation's own
    /// vjp sees to.
    Bits(Mask),
    /// Which place of each window holds its maximum.
    Places(Arc<Places>),
    /// Which place of each row holds its extreme.
    Indices(Arc<Vec<u32>>),
    /// Inputs, or the output.
    Tensors(Vec<Tensor>),
}

impl Saved {
    /// What the operation's ReLU lets through, where it has one.
    pub(super) fn mask(&self) -> Option<&Mask> {
        match self {
            Self::Mask(mask) => Some(mask),
            _ => None,
        }
    }

    /// The tensor at `which` of those that were saved.
    fn tensor(&self, which: usize) -> Result<&Tensor> {
        match self {
            Self::Tensors(tensors) if which < tensors.len() => Ok(&tensors[which]),
            _ => candle_core::bail!("a forward pass saved no tensor {which}"),
        }
    }
}

/// What a vjp knows of the forward pass.
pub struct Pass<'a> {
    pub saved: &'a Saved,
    /// The shapes of the inputs.
    pub shapes: &'a [&'a [usize]],
}

/// What a part of a gradient is added to, and what of the sum passes on.
#[derive(Clone, Default)]
pub struct Sum {
    /// The other parts so far.
    pub(super) others: Option<Tensor>,
    /// The mask of the ReLU that gave the value, where this part is the last.
    pub(super) mask: Option<Mask>,
}

impl Sum {
    /// The sum with `part`, past the mask.
    pub(super) fn with(self, part: Tensor) -> Result<Tensor> {
        let sum = match self.others {
            Some(others) => (part + others)?,
            None => part,
        };
        match self.mask {
            Some(mask) => mask.pass(&sum),
            None => Ok(sum),
        }
    }

    /// The sum without a part, for an input that the output does not depend on.
    pub(super) fn without(self) -> Result<Option<Tensor>> {
        let Self { others, mask } = self;
        others.map(|others| mask.map_or_else(|| Ok(others.clone()), |mask| mask.pass(&others))).transpose()
    }
}

/// The sums that are asked for, each with the part that `vjp` gives of the input of that number.
fn each(into: Vec<Option<Sum>>, vjp: impl Fn(usize) -> Result<Tensor>) -> Result<Vec<Option<Tensor>>> {
    into.into_iter().enumerate().map(|(which, sum)| sum.map(|sum| sum.with(vjp(which)?)).transpose()).collect()
}

/// How many numbers a tensor of a shape has, for estimates.
fn numbers(shape: &[usize]) -> f64 {
    shape.iter().map(|side| *side as f64).product()
}

/// No gradient, but what others say of the inputs: the output is a step function of them.
fn stopped(into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
    into.into_iter().map(|sum| sum.map_or(Ok(None), Sum::without)).collect()
}

/// The shape of the only input.
fn only<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize]> {
    match inputs {
        [only] => Ok(only),
        _ => candle_core::bail!("one tensor, found {}", inputs.len()),
    }
}
