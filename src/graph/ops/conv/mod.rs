//! Convolutions with frozen weights, over slices and volumes by one kernel.
//!
//! candle computes the gradient of the weights as well, and that of the input by a naive loop; here it is that of the input
//! alone. At stride 1 it is a convolution too, of mirrored weights, and as fast.
//! f32 at stride 1 and 3 x 3 kernels goes through Winograd's transform; all else is im2col and a matrix product. A batch norm, a
//! skip and a ReLU that follow are done to the outputs while the caches hold them. On a GPU all is made of candle's operations.

mod depthwise;
mod device;
mod groups;
mod kernel;
mod transposed;

use std::sync::Arc;

use candle_core::{DType, Result, Tensor, bail};
use candle_nn::VarBuilder;

pub use self::groups::GroupedConv;
use self::kernel::{Kernel, Numbers};
pub use self::transposed::ConvTranspose;
use super::{AtZero, Operation, Pass, Planes, Saved, Saves, Step, Sum, numbers};
use crate::nn::geometry::Geometry;

/// Whether a convolution adds a number to each of its output channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    With,
    Without,
}

/// A convolution: `[n, in, d, h, w]` to `[n, out, d', h', w']`, or of slices, without the depth, or of lines, without the height
/// too.
#[derive(Clone)]
pub struct Conv {
    kernel: Arc<Kernel>,
    axes: Axes,
    /// Zeros before and behind along depth, height and width, besides the padding that the kernel sees to.
    around: [[usize; 2]; 3],
    adds: bool,
    relu: Option<AtZero>,
}

/// How many axes there are behind the channels: 3 of volumes, 2 of slices, 1 of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axes(usize);

impl Axes {
    /// Counts the axes of voxels of weights `[out, in, …]`.
    fn of(weight: &Tensor) -> Result<Self> {
        match weight.rank() {
            rank @ 3..=5 => Ok(Self(rank - 2)),
            _ => bail!(
                "a convolution's weights are [out, in, ...] with one to three axes of a kernel, found {:?}",
                weight.dims()
            ),
        }
    }

    /// Gives a tensor as volumes: slices become 1 deep, and lines 1 high too.
    fn volume(self, x: &Tensor) -> Result<Tensor> {
        (self.0..3).try_fold(x.contiguous()?, |x, _| x.unsqueeze(2))
    }

    fn without_depth(self, y: Tensor) -> Result<Tensor> {
        (self.0..3).try_fold(y, |y, _| y.squeeze(2))
    }

    /// Samples, channels, and depth, height, width.
    fn sizes(self, shape: &[usize]) -> Result<(usize, usize, [usize; 3])> {
        match (shape, self.0) {
            ([n, c, w], 1) => Ok((*n, *c, [1, 1, *w])),
            ([n, c, h, w], 2) => Ok((*n, *c, [1, *h, *w])),
            ([n, c, d, h, w], 3) => Ok((*n, *c, [*d, *h, *w])),
            (_, axes) => bail!("a convolution of tensors [n, c, ...] with {axes} axes of voxels, found {shape:?}"),
        }
    }

    /// The shape of so many samples and channels of a size.
    fn shape(self, n: usize, c: usize, size: [usize; 3]) -> Vec<usize> {
        [n, c].iter().chain(&size[3 - self.0..]).copied().collect()
    }
}

/// Weights `[out, in, kd, kh, kw]` as numbers.
fn numbers_of(weight: &Tensor) -> Result<Numbers> {
    if weight.elem_count() == 0 {
        bail!("a convolution whose weights are {:?} has no numbers", weight.dims());
    }
    let numbers = weight.flatten_all()?;
    match weight.dtype() {
        DType::F32 => Ok(Numbers::F32(Arc::new(numbers.to_vec1()?).into())),
        DType::F64 => Ok(Numbers::F64(Arc::new(numbers.to_vec1()?).into())),
        other => bail!("a convolution works in f32 or f64, not in {other:?}"),
    }
}

/// One for each output channel; none where there is no bias.
fn biases_of(bias: Option<&Tensor>, out: usize) -> Result<Vec<f64>> {
    let bias = bias.map_or(Ok(Vec::new()), |bias| bias.to_dtype(DType::F64)?.to_vec1())?;
    if !bias.is_empty() && bias.len() != out {
        bail!("a convolution of {out} output channels has {} biases", bias.len());
    }
    Ok(bias)
}

/// Weights `[out, in, …]` with zeros between the elements of a kernel, so that they stand `dilation` apart.
///
/// # Errors
/// The error says so where they would be more than 256 times as many numbers.
fn dilated(weight: &Tensor, dilation: [usize; 3]) -> Result<Tensor> {
    const MOST: usize = 256;
    let (mut weight, most) = (weight.contiguous()?, weight.elem_count().saturating_mul(MOST));
    let axes = weight.rank() - 2;
    for (axis, apart) in dilation[3 - axes..].iter().enumerate().filter(|(_, apart)| **apart != 1) {
        let (at, elements) = (axis + 2, weight.dim(axis + 2)?);
        let Some(length) = (elements.max(1) - 1).checked_mul(*apart).filter(|_| *apart > 0) else {
            bail!("a convolution of dilation {dilation:?}: each must be positive");
        };
        if (weight.elem_count() / elements.max(1)).saturating_mul(length.saturating_add(*apart)) > most {
            bail!(
                "a convolution of dilation {dilation:?} and weights {:?} has too many zeros between its elements",
                weight.dims()
            );
        }
        // Each element with the zeros that follow it; those behind the last fall off.
        weight = weight.unsqueeze(at + 1)?.pad_with_zeros(at + 1, 0, apart - 1)?.flatten(at, at + 1)?;
        weight = weight.narrow(at, 0, length + 1)?.contiguous()?;
    }
    Ok(weight)
}

impl Conv {
    /// `weight` is `[out, in, kd, kh, kw]`, or `[out, in, kh, kw]` for slices, or `[out, in, kw]` for lines; `bias` is `[out]`. Stride
    /// 1, no padding.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let axes = Axes::of(weight)?;
        let weight = axes.volume(weight)?;
        let (out, c_in, kd, kh, kw) = weight.dims5()?;
        let geometry = Geometry { kernel: [kd, kh, kw], stride: [1; 3], padding: [0; 3], dilation: [1; 3] };
        let kernel = Arc::new(Kernel::new(numbers_of(&weight)?, biases_of(bias, out)?, [c_in, out], geometry));
        Ok(Self { kernel, axes, around: [[0; 2]; 3], adds: false, relu: None })
    }

    /// Makes a convolution whose kernel elements stand `dilation` apart along depth, height and width.
    ///
    /// # Errors
    /// Where they stand no voxel apart, or more than 2^20.
    pub fn dilated(weight: &Tensor, bias: Option<&Tensor>, dilation: [usize; 3]) -> Result<Self> {
        const MOST: usize = 1 << 20;
        if dilation.iter().any(|apart| *apart == 0 || *apart > MOST) {
            bail!("a convolution of dilation {dilation:?}: each must be positive, and {MOST} at most");
        }
        let conv = Self::new(weight, bias)?;
        let geometry = conv.kernel.geometry();
        // One element alone stands apart from nothing.
        let apart = |axis: usize| if geometry.kernel[axis] == 1 { 1 } else { dilation[axis] };
        let geometry = Geometry { dilation: std::array::from_fn(apart), ..geometry };
        Ok(Self { kernel: Arc::new(conv.kernel.placed(geometry)), ..conv })
    }

    /// Whether each number of the output is made of one place alone: a matrix on the channels.
    pub(in crate::graph) fn is_pointwise(&self) -> bool {
        self.kernel.geometry().kernel == [1; 3]
    }

    /// Sets the strides along depth, height and width.
    #[must_use]
    pub fn strided(self, stride: [usize; 3]) -> Self {
        Self { kernel: Arc::new(self.kernel.placed(Geometry { stride, ..self.kernel.geometry() })), ..self }
    }

    /// Sets how many zeros stand before and behind along depth, height and width, alike.
    #[must_use]
    pub fn padded(self, padding: [usize; 3]) -> Self {
        Self { kernel: Arc::new(self.kernel.placed(Geometry { padding, ..self.kernel.geometry() })), ..self }
    }

    /// Sets how many zeros stand before and how many behind along depth, height and width.
    #[must_use]
    pub fn padded_unevenly(self, zeros: [[usize; 2]; 3]) -> Self {
        let even = zeros.map(|[before, behind]| before.min(behind));
        let around = std::array::from_fn(|axis| zeros[axis].map(|zeros| zeros - even[axis]));
        Self { around, ..self.padded(even) }
    }

    /// Gives the convolution with more zeros along some axes of its input, before and behind; none where they stand along samples or
    /// channels, and where what follows is part of it already.
    pub(in crate::graph) fn padded_more(&self, zeros: &[(usize, [usize; 2])]) -> Option<Self> {
        if self.adds || self.relu.is_some() || self.kernel.has_norm() {
            return None;
        }
        let padding = self.kernel.geometry().padding;
        let mut all: [[usize; 2]; 3] = std::array::from_fn(|axis| self.around[axis].map(|zeros| zeros + padding[axis]));
        for (axis, more) in zeros.iter().filter(|(_, more)| *more != [0; 2]) {
            let of_volume = axis.checked_sub(2)? + 3 - self.axes.0;
            for (all, more) in all.get_mut(of_volume)?.iter_mut().zip(more) {
                *all = all.checked_add(*more)?;
            }
        }
        Some(self.clone().padded_unevenly(all))
    }

    /// The size of an input with the zeros around.
    fn size_around(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        const MOST: usize = u32::MAX as usize;
        if self.kernel.geometry().padding.iter().any(|zeros| *zeros > MOST) {
            bail!("a convolution with more than {MOST} zeros around: {:?}", self.kernel.geometry().padding);
        }
        let mut size = input;
        for (side, zeros) in size.iter_mut().zip(self.around) {
            match side.checked_add(zeros[0]).and_then(|side| side.checked_add(zeros[1])) {
                Some(whole) => *side = whole,
                None => bail!("a convolution with {:?} zeros around {input:?}", self.around),
            }
        }
        Ok(size)
    }

    /// A volume with the zeros around.
    fn with_around(&self, mut x: Tensor) -> Result<Tensor> {
        for (axis, [before, behind]) in self.around.into_iter().enumerate().filter(|(_, zeros)| *zeros != [0; 2]) {
            x = x.pad_with_zeros(axis + 2, before, behind)?.contiguous()?;
        }
        Ok(x)
    }

    /// Gives the gradient of a volume, without the zeros around it, from that of the outputs.
    fn vjp_around(&self, gradient: &Tensor, input: [usize; 3]) -> Result<Tensor> {
        let mut pulled = self.kernel.vjp(gradient, self.size_around(input)?, None, None)?;
        for (axis, [before, _]) in self.around.into_iter().enumerate() {
            pulled = pulled.narrow(axis + 2, before, input[axis])?;
        }
        pulled.contiguous()
    }
}

impl Operation for Conv {
    fn name(&self) -> String {
        let [c_in, c_out] = self.kernel.channels();
        format!("convolution {c_in} to {c_out}, kernel {:?}", self.kernel.geometry().kernel)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let [c_in, c_out] = self.kernel.channels();
        let (n, c, input) = match inputs.first() {
            Some(input) => self.axes.sizes(input)?,
            None => bail!("a convolution of nothing"),
        };
        if c != c_in {
            bail!("this convolution takes {c_in} channels, found {c}");
        }
        let shape = self.axes.shape(n, c_out, self.kernel.geometry().output(self.size_around(input)?)?);
        if inputs.len() != 1 + usize::from(self.adds) || inputs[1..].iter().any(|skip| *skip != shape) {
            bail!("a skip of {:?} beside a convolution's {shape:?}", &inputs[1..]);
        }
        Ok(shape)
    }

    fn saves(&self) -> Saves {
        if self.relu.is_some() { Saves::Bits } else { Saves::Nothing }
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let skip = inputs.get(1).map(|skip| self.axes.volume(skip)).transpose()?;
        let x = self.with_around(self.axes.volume(inputs[0])?)?;
        let (y, mask) = self.kernel.forward(&x, skip.as_ref(), self.relu, save)?;
        Ok((self.axes.without_depth(y)?, mask.map_or(Saved::Nothing, Saved::Mask)))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let mut into = into.into_iter();
        let input = into.next().flatten().map(|sum| {
            let ((_, _, input), gradient) = (self.axes.sizes(pass.shapes[0])?, self.axes.volume(gradient)?);
            if self.around != [[0; 2]; 3] {
                return sum.with(self.axes.without_depth(self.vjp_around(&gradient, input)?)?);
            }
            let Sum { others, mask } = sum;
            let others = others.map(|others| self.axes.volume(&others)).transpose()?;
            let pulled = self.kernel.vjp(&gradient, input, others.as_ref(), mask.as_ref())?;
            self.axes.without_depth(pulled)
        });
        let skip = into.next().map(|skip| skip.map(|sum| sum.with(gradient.clone())).transpose());
        [Some(input.transpose()), skip].into_iter().flatten().collect()
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> f64 {
        let ([c_in, _], elements) = (self.kernel.channels(), self.kernel.geometry().elements());
        self.shape(inputs).map_or(0.0, |shape| numbers(&shape) * (c_in * elements) as f64)
    }

    fn scratch_bytes(&self, inputs: &[&[usize]]) -> usize {
        let Some((n, c, input)) = inputs.first().and_then(|input| self.axes.sizes(input).ok()) else { return 0 };
        let Some(whole) = self.size_around(input).ok() else { return 0 };
        let around = if self.around == [[0; 2]; 3] {
            0
        } else {
            whole.iter().fold(n.saturating_mul(c), |sum, side| sum.saturating_mul(*side))
        };
        around.saturating_mul(size_of::<f32>()).saturating_add(self.kernel.scratch_bytes(whole))
    }

    fn absorbing(&self, step: &Step) -> Option<Arc<dyn Operation>> {
        let kernel = &self.kernel;
        let fused = match step {
            Step::Norm(norm) if norm.channels() == kernel.channels()[1] && !self.adds && !kernel.has_norm() => {
                Self { kernel: Arc::new(kernel.normed(norm.clone(), self.relu.is_some())), ..self.clone() }
            }
            Step::Add if !self.adds && self.relu.is_none() => Self { adds: true, ..self.clone() },
            Step::Relu(at_zero) if self.relu.is_none() => Self { relu: Some(*at_zero), ..self.clone() },
            _ => return None,
        };
        Some(Arc::new(fused))
    }
    fn on_planes(&self, axis: usize, output: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        if axis == 0 {
            return Some((Arc::new(self.clone()), Planes::each(0)));
        }
        let Geometry { stride, padding, .. } = self.kernel.geometry();
        let planes = Planes {
            axis,
            kernel: self.kernel.geometry().span()[0],
            stride: stride[0],
            padding: padding[0],
            filling: 0.0,
        };
        let on_planes = || self.kernel.on_planes([output[2], output[3], output[4]]);
        let depth = axis == 2 && self.axes.0 == 3 && self.around == [[0; 2]; 3] && output.len() == 5;
        depth.then(|| (Arc::new(Self { kernel: Arc::new(on_planes()), ..self.clone() }) as Arc<dyn Operation>, planes))
    }
}

/// A convolution of slices, square: "weight" `[out, in, k, k]`, and "bias" `[out]` where there is one.
pub fn conv2d([c_in, c_out]: [usize; 2], k: usize, bias: Bias, vb: &VarBuilder) -> Result<Conv> {
    let weight = vb.get((c_out, c_in, k, k), "weight")?;
    Conv::new(&weight, biases(c_out, bias, vb)?.as_ref())
}

/// A convolution of volumes: "weight" `[out, in, kd, kh, kw]`, and "bias" `[out]` where there is one.
pub fn conv3d([c_in, c_out]: [usize; 2], [kd, kh, kw]: [usize; 3], bias: Bias, vb: &VarBuilder) -> Result<Conv> {
    let weight = vb.get((c_out, c_in, kd, kh, kw), "weight")?;
    Conv::new(&weight, biases(c_out, bias, vb)?.as_ref())
}

fn biases(channels: usize, bias: Bias, vb: &VarBuilder) -> Result<Option<Tensor>> {
    (bias == Bias::With).then(|| vb.get(channels, "bias")).transpose()
}
