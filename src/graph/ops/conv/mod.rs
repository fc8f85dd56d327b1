//! Convolutions with frozen weights, over slices and volumes by one kernel.
//!
//! candle computes the gradient of the weights as well, and that of the input by a naive loop; here it is that of the input
//! alone. At stride 1 it is a convolution too, of mirrored weights, and as fast.
//! f32 at stride 1 and 3 x 3 taps goes through Winograd's transform; all else is im2col and a matrix product. A batch norm, a
//! skip and a ReLU that follow are done to the outputs while the caches hold them. On a GPU all is made of candle's operations.

mod device;
mod kernel;

use std::sync::Arc;

use candle_core::{DType, Result, Tensor, bail};
use candle_nn::VarBuilder;

use self::kernel::{Kernel, Numbers};
use super::{AtZero, Operation, Pass, Planes, Saved, Saves, Step, Sum};
use crate::nn::geometry::Geometry;

/// Whether a convolution adds a number to each of its output channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    With,
    Without,
}

/// A convolution: `[n, in, d, h, w]` to `[n, out, d', h', w']`, or the same of slices, without the depth.
#[derive(Clone)]
pub struct Conv {
    kernel: Arc<Kernel>,
    /// Of slices: the volumes are 1 deep.
    flat: bool,
    adds: bool,
    relu: Option<AtZero>,
}

impl Conv {
    /// `weight` is `[out, in, kd, kh, kw]`, or `[out, in, kh, kw]` for slices; `bias` is `[out]`. Stride 1, no padding.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let flat = weight.rank() == 4;
        let weight = if flat { weight.unsqueeze(2)? } else { weight.clone() };
        let (out, c_in, kd, kh, kw) = weight.dims5()?;
        if weight.elem_count() == 0 {
            bail!("a convolution whose weights are {:?} has no numbers", weight.dims());
        }
        let numbers = weight.flatten_all()?;
        let numbers = match weight.dtype() {
            DType::F32 => Numbers::F32(Arc::new(numbers.to_vec1()?).into()),
            DType::F64 => Numbers::F64(Arc::new(numbers.to_vec1()?).into()),
            other => bail!("a convolution works in f32 or f64, not in {other:?}"),
        };
        let bias = bias.map_or(Ok(Vec::new()), |bias| bias.to_dtype(DType::F64)?.to_vec1())?;
        if !bias.is_empty() && bias.len() != out {
            bail!("a convolution of {out} output channels has {} biases", bias.len());
        }
        let geometry = Geometry { kernel: [kd, kh, kw], stride: [1; 3], padding: [0; 3] };
        let kernel = Arc::new(Kernel::new(numbers, bias, [c_in, out], geometry));
        Ok(Self { kernel, flat, adds: false, relu: None })
    }

    /// With strides along depth, height and width.
    #[must_use]
    pub fn strided(self, stride: [usize; 3]) -> Self {
        Self { kernel: Arc::new(self.kernel.placed(Geometry { stride, ..self.kernel.geometry() })), ..self }
    }

    /// With so many zeros before and behind along depth, height and width.
    #[must_use]
    pub fn padded(self, padding: [usize; 3]) -> Self {
        Self { kernel: Arc::new(self.kernel.placed(Geometry { padding, ..self.kernel.geometry() })), ..self }
    }

    /// As a volume, 1 deep where the tensor is of slices.
    fn volume(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?;
        if self.flat { x.unsqueeze(2) } else { Ok(x) }
    }

    fn without_depth(&self, y: Tensor) -> Result<Tensor> {
        if self.flat { y.squeeze(2) } else { Ok(y) }
    }

    /// Samples, channels, and depth, height, width.
    fn sizes(&self, shape: &[usize]) -> Result<(usize, usize, [usize; 3])> {
        match (shape, self.flat) {
            ([n, c, h, w], true) => Ok((*n, *c, [1, *h, *w])),
            ([n, c, d, h, w], false) => Ok((*n, *c, [*d, *h, *w])),
            (_, flat) => bail!("a convolution of {}, found {shape:?}", if flat { "slices" } else { "volumes" }),
        }
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
            Some(input) => self.sizes(input)?,
            None => bail!("a convolution of nothing"),
        };
        if c != c_in {
            bail!("this convolution takes {c_in} channels, found {c}");
        }
        let [d, h, w] = self.kernel.geometry().output(input)?;
        let shape = if self.flat { vec![n, c_out, h, w] } else { vec![n, c_out, d, h, w] };
        if inputs.len() != 1 + usize::from(self.adds) || inputs[1..].iter().any(|skip| *skip != shape) {
            bail!("a skip of {:?} beside a convolution's {shape:?}", &inputs[1..]);
        }
        Ok(shape)
    }

    fn saves(&self) -> Saves {
        if self.relu.is_some() { Saves::Bits } else { Saves::Nothing }
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let skip = inputs.get(1).map(|skip| self.volume(skip)).transpose()?;
        let (y, mask) = self.kernel.forward(&self.volume(inputs[0])?, skip.as_ref(), self.relu, save)?;
        Ok((self.without_depth(y)?, mask.map_or(Saved::Nothing, Saved::Mask)))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let mut into = into.into_iter();
        let input = into.next().flatten().map(|Sum { others, mask }| {
            let (_, _, input) = self.sizes(pass.shapes[0])?;
            let others = others.map(|others| self.volume(&others)).transpose()?;
            let pulled = self.kernel.vjp(&self.volume(gradient)?, input, others.as_ref(), mask.as_ref())?;
            self.without_depth(pulled)
        });
        let skip = into.next().map(|skip| skip.map(|sum| sum.with(gradient.clone())).transpose());
        [Some(input.transpose()), skip].into_iter().flatten().collect()
    }

    fn scratch_bytes(&self, inputs: &[&[usize]]) -> usize {
        let input = inputs.first().and_then(|input| self.sizes(input).ok());
        input.map_or(0, |(_, _, input)| self.kernel.scratch_bytes(input))
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
        let Geometry { kernel, stride, padding } = self.kernel.geometry();
        let planes = Planes { axis, kernel: kernel[0], stride: stride[0], padding: padding[0], filling: 0.0 };
        let on_planes = || self.kernel.on_planes([output[2], output[3], output[4]]);
        let depth = axis == 2 && !self.flat && output.len() == 5;
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
