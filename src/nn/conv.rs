//! Convolutions with frozen weights, 2-D and 3-D by one kernel.
//!
//! candle computes the gradient of the weights as well, and that of the input by a naive loop; here it is that of the input
//! alone. At stride 1 it is a convolution too, of mirrored weights, and as fast.
//! f32 at stride 1 and 3 x 3 taps goes through Winograd's transform; all else is im2col and a matrix product. A batch norm, a
//! skip and a ReLU that follow are done to the outputs while the caches hold them. On a GPU candle's own kernels compute, see
//! `composed`.

use std::sync::{Arc, OnceLock};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, DType, Device, Layout, Module, Result, Shape as TensorShape, Tensor, bail,
};
use candle_nn::VarBuilder;

use super::after::{After, AtZero, Bits, Mask, Passing};
use super::composed::{Convolution, Lines};
use super::gemm::{Columns, Real, contiguous};
use super::geometry::{Geometry, Images};
use super::im2col;
use super::norm::{BatchNorm, channelwise_on};
use super::simd::Instructions;
use super::winograd::Winograd;

/// Kernel, stride and padding of a square convolution.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    With,
    Without,
}

/// Weights `[out, in * taps]` as numbers of one kind.
enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

pub(super) struct Kernel {
    /// As they were loaded; of a gradient's kernel, those of the convolution it is the gradient of.
    weight: Arc<Numbers>,
    /// Of a gradient's kernel: what its original's norm multiplies each output channel with, 1 where it has none.
    mirror: Option<Vec<f64>>,
    /// One per output channel; none is nothing to add.
    bias: Vec<f64>,
    /// Of the outputs, before a skip and a ReLU; or after them.
    norm: Option<BatchNorm>,
    norm_last: Option<BatchNorm>,
    channels: [usize; 2], // in, out
    geometry: Geometry,
    /// Made by the first gradient. None where the gradient is no convolution.
    gradient: OnceLock<Option<Arc<Kernel>>>,
    /// The mirrored weights `[out, in * taps]`, and the transformed ones: made by the first pass that wants to keep them.
    matrix: OnceLock<Numbers>,
    winograd: OnceLock<Winograd>,
    /// Made by the first pass on a device that is no CPU.
    on_device: OnceLock<Arc<Convolution>>,
}

impl Kernel {
    fn new(weight: Arc<Numbers>, bias: Vec<f64>, channels: [usize; 2], geometry: Geometry) -> Self {
        Self {
            weight,
            mirror: None,
            bias,
            norm: None,
            norm_last: None,
            channels,
            geometry,
            gradient: OnceLock::new(),
            matrix: OnceLock::new(),
            winograd: OnceLock::new(),
            on_device: OnceLock::new(),
        }
    }

    pub(super) fn norms_last(&self) -> bool {
        self.norm_last.is_some()
    }

    /// What the norm, wherever it stands, multiplies each output channel with.
    fn scale(&self) -> Vec<f64> {
        let norm = self.norm.as_ref().or(self.norm_last.as_ref());
        norm.map_or_else(|| vec![1.0; self.channels[1]], |norm| norm.scale().to_vec())
    }

    /// The convolution from the output's gradient to the input's: taps in reverse, input and output channels exchanged, times
    /// the norm's scale.
    pub(super) fn gradient(&self) -> Option<&Arc<Self>> {
        let make = || {
            let geometry = self.geometry.mirrored()?;
            let [c_in, c_out] = self.channels;
            let kernel = Self::new(Arc::clone(&self.weight), Vec::new(), [c_out, c_in], geometry);
            Some(Arc::new(Self { mirror: Some(self.scale()), ..kernel }))
        };
        self.gradient.get_or_init(make).as_ref()
    }

    /// The weights `[out, in * taps]` of this kernel itself.
    fn matrix(&self) -> &Numbers {
        let Some(scale) = &self.mirror else { return &self.weight };
        let taps = self.geometry.taps();
        self.matrix.get_or_init(|| match &*self.weight {
            Numbers::F32(weight) => Numbers::F32(mirrored(weight, scale, self.channels, taps)),
            Numbers::F64(weight) => Numbers::F64(mirrored(weight, scale, self.channels, taps)),
        })
    }

    fn forward_f32(&self, x: &[f32], images: &Images, after: &After<'_, f32>) -> Vec<f32> {
        let Numbers::F32(weight) = &*self.weight else { unreachable!("weights of f32 are f32") };
        if !Winograd::fits(&self.geometry) || !Winograd::pays(images.output) {
            let Numbers::F32(matrix) = self.matrix() else { unreachable!("weights of f32 are f32") };
            return self.products(matrix).forward(x, images, after);
        }
        let kernels = weight.as_chunks().0;
        let [c_in, c_out] = self.channels;
        let depth = self.geometry.kernel[0];
        let kernel = |out: usize, input: usize, tap: usize| -> [f32; 9] {
            match &self.mirror {
                None => kernels[(out * c_in + input) * depth + tap],
                Some(scale) => {
                    let kernel: [f32; 9] = kernels[(input * c_out + out) * depth + depth - 1 - tap];
                    std::array::from_fn(|i| kernel[8 - i] * scale[input] as f32)
                }
            }
        };
        let make = || Winograd::new(kernel, &self.bias, self.channels, &self.geometry, Instructions::best());
        if Winograd::passes(images) {
            make().forward(x, images, after)
        } else {
            self.winograd.get_or_init(make).forward(x, images, after)
        }
    }

    /// From the output's gradient to that of the input, which was `[n, in, d, h, w]`, where the gradient is no convolution.
    pub(super) fn transposed(self: &Arc<Self>, input: [usize; 3], gradient: &Tensor) -> Result<Tensor> {
        let transposed = Transposed(Arc::clone(self), input);
        match self.norm.as_ref().or(self.norm_last.as_ref()) {
            Some(norm) => gradient.apply_op1_no_bwd(&norm.linear())?.apply_op1_no_bwd(&transposed),
            None => gradient.apply_op1_no_bwd(&transposed),
        }
    }

    fn pull_back(self: &Arc<Self>, input: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        if let Some(kernel) = self.gradient() {
            return gradient.apply_op1_no_bwd(&Forward::of(kernel, None));
        }
        let (_, _, d, h, w) = input.dims5()?;
        self.transposed([d, h, w], gradient)
    }

    /// These numbers where our kernels do not run.
    pub(super) fn on(&self, device: &Device) -> Result<&Arc<Convolution>> {
        if let Some(made) = self.on_device.get() {
            return Ok(made);
        }
        let [c_in, c_out] = self.channels;
        let [kd, kh, kw] = self.geometry.kernel;
        let shape = (c_out, c_in, kd, kh, kw);
        let (weight, dtype) = match &*self.weight {
            Numbers::F32(weight) => (Tensor::from_slice(weight, shape, device)?, DType::F32),
            Numbers::F64(weight) => (Tensor::from_slice(weight, shape, device)?, DType::F64),
        };
        // norm(conv + bias) = scale conv + (scale bias + shift)
        let (mut scale, mut shift) = (vec![1.0; c_out], self.bias.clone());
        shift.resize(c_out, 0.0);
        if let Some(norm) = &self.norm {
            scale = norm.scale().to_vec();
            shift.iter_mut().zip(norm.lines()).for_each(|(bias, [scale, shift])| *bias = scale * *bias + shift);
        }
        let [scale, shift] = [scale, shift].map(|numbers| channelwise_on(&numbers, dtype, device));
        let after = Lines { scale: scale?, shift: shift? };
        let last = self.norm_last.as_ref().map(|norm| norm.on(dtype, device)).transpose()?;
        let made = Arc::new(Convolution::new(weight, after, last, self.geometry));
        Ok(self.on_device.get_or_init(|| made))
    }

    fn products<'a, T>(&'a self, weight: &'a [T]) -> im2col::Kernel<'a, T> {
        im2col::Kernel { weight, bias: &self.bias, channels: self.channels, geometry: &self.geometry }
    }
}

/// `[in, out, taps]` to `[out, in, taps]`, the taps in reverse, each input's times its scale.
fn mirrored<T: Real>(weight: &[T], scale: &[f64], [c_in, c_out]: [usize; 2], taps: usize) -> Vec<T> {
    let kernels = (0..c_out * c_in).map(|at| (at / c_in, at % c_in));
    let mirrored = kernels.flat_map(|(out, input)| {
        let first = (input * c_out + out) * taps;
        let scale = T::from_f64(scale[input]);
        weight[first..first + taps].iter().rev().map(move |w| *w * scale)
    });
    mirrored.collect()
}

/// The forward product of an input, or of an input and a skip, and what follows it. Its backward is that of the mirrored kernel,
/// or [`Transposed`].
pub(super) struct Forward {
    kernel: Arc<Kernel>,
    relu: Option<AtZero>,
    /// Filled by a pass whose gradient will be wanted, with what the ReLU lets through.
    passing: Option<OnceLock<Mask>>,
    /// What of the outputs passes.
    mask: Option<Mask>,
}

impl Forward {
    pub(super) fn of(kernel: &Arc<Kernel>, relu: Option<AtZero>) -> Self {
        Self { kernel: Arc::clone(kernel), relu, passing: None, mask: None }
    }

    /// The same with a note of what the ReLU lets through.
    pub(super) fn noting(self) -> Self {
        Self { passing: self.relu.map(|_| OnceLock::new()), ..self }
    }

    /// The same with a mask on its outputs.
    pub(super) fn masked(self, mask: Option<&Mask>) -> Self {
        Self { mask: mask.cloned(), ..self }
    }

    /// What the ReLU let through, once the pass is made.
    pub(super) fn noted(&self) -> Option<&Mask> {
        self.passing.as_ref()?.get()
    }

    #[expect(unsafe_code, reason = "what passes is noted from several threads")]
    fn compute(
        &self,
        x: (&CpuStorage, &Layout),
        skip: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, TensorShape)> {
        let (samples, c, d, h, w) = x.1.shape().dims5()?;
        let (kernel, input) = (&*self.kernel, [d, h, w]);
        let [c_in, c_out] = kernel.channels;
        if c != c_in {
            bail!("this convolution takes {c_in} channels, found {c}");
        }
        let output = kernel.geometry.output(input)?;
        let images = Images { samples, input, output };
        let shape = TensorShape::from((samples, c_out, output[0], output[1], output[2]));
        if let Some((_, layout)) = skip
            && *layout.shape() != shape
        {
            bail!("a skip of {:?} beside a convolution's {shape:?}", layout.shape());
        }
        let mask = self.mask.as_ref().map(Mask::bytes).transpose()?;
        let mask = mask.as_deref();
        if let Some(mask) = mask
            && mask.len() != shape.elem_count()
        {
            bail!("a mask of {} numbers beside a convolution's {shape:?}", mask.len());
        }
        let mut passing = Vec::new();
        let columns = Columns::fresh(&mut passing, if self.passing.is_some() { shape.elem_count() } else { 0 });
        let (norm, norm_last, relu) = (kernel.norm.as_ref(), kernel.norm_last.as_ref(), self.relu);
        let noted = self.passing.as_ref().map(|_| &columns);
        let storage = match &*kernel.weight {
            Numbers::F32(_) => {
                let skip = skip.map(|(s, layout)| contiguous(s, layout)).transpose()?;
                let after = After { norm, skip, relu, passing: noted, norm_last, mask };
                f32::storage(kernel.forward_f32(contiguous(x.0, x.1)?, &images, &after))
            }
            Numbers::F64(_) => {
                let skip = skip.map(|(s, layout)| contiguous(s, layout)).transpose()?;
                let after = After { norm, skip, relu, passing: noted, norm_last, mask };
                let Numbers::F64(matrix) = kernel.matrix() else { unreachable!("weights of f64 are f64") };
                f64::storage(kernel.products(matrix).forward(contiguous(x.0, x.1)?, &images, &after))
            }
        };
        if let Some(slot) = &self.passing {
            // SAFETY: the pass has finished every output, and noted each.
            unsafe { passing.set_len(shape.elem_count()) };
            slot.get_or_init(|| Mask(Passing::Cpu(Arc::new(Bits::of(&passing)))));
        }
        Ok((storage, shape))
    }

    /// What of the outputs' gradient comes through the ReLU.
    fn passed(&self, gradient: &Tensor) -> Result<Tensor> {
        self.noted().map_or_else(|| gradient.contiguous(), |mask| mask.pass(gradient))
    }
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, TensorShape)> {
        self.compute((x, layout), None)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.kernel.pull_back(x, &self.passed(gradient)?).map(Some)
    }
}

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "convolution and skip"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        of_x: &Layout,
        s: &CpuStorage,
        of_s: &Layout,
    ) -> Result<(CpuStorage, TensorShape)> {
        self.compute((x, of_x), Some((s, of_s)))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let passed = self.passed(gradient)?;
        Ok((Some(self.kernel.pull_back(x, &passed)?), Some(passed)))
    }
}

/// From the output's gradient to the input's, whose size it must be told, where a stride leaves gaps.
struct Transposed(Arc<Kernel>, [usize; 3]);

impl CustomOp1 for Transposed {
    fn name(&self) -> &'static str {
        "transposed convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, TensorShape)> {
        let (samples, _, d, h, w) = layout.shape().dims5()?;
        let (kernel, input) = (&*self.0, self.1);
        let images = Images { samples, input, output: [d, h, w] };
        let storage = match &*kernel.weight {
            Numbers::F32(weight) => {
                f32::storage(kernel.products(weight).backward(contiguous(storage, layout)?, &images))
            }
            Numbers::F64(weight) => {
                f64::storage(kernel.products(weight).backward(contiguous(storage, layout)?, &images))
            }
        };
        Ok((storage, (samples, kernel.channels[0], input[0], input[1], input[2]).into()))
    }
}

/// A 3-D convolution: `[n, in, d, h, w]` to `[n, out, d', h', w']`.
pub struct Conv3d(pub(super) Arc<Kernel>);

impl Conv3d {
    /// `weight` is `[out, in, kd, kh, kw]`, `bias` `[out]`.
    pub fn from_tensors(
        weight: &Tensor,
        bias: Option<&Tensor>,
        stride: [usize; 3],
        padding: [usize; 3],
    ) -> Result<Self> {
        let (out, c_in, kd, kh, kw) = weight.dims5()?;
        let flat = weight.flatten_all()?;
        let weight = match weight.dtype() {
            DType::F32 => Numbers::F32(flat.to_vec1()?),
            DType::F64 => Numbers::F64(flat.to_vec1()?),
            other => bail!("a convolution works in f32 or f64, not in {other:?}"),
        };
        let geometry = Geometry { kernel: [kd, kh, kw], stride, padding };
        let bias = bias.map_or(Ok(Vec::new()), |bias| bias.to_dtype(DType::F64)?.to_vec1())?;
        if !bias.is_empty() && bias.len() != out {
            bail!("a convolution of {out} output channels has {} biases", bias.len());
        }
        Ok(Self(Arc::new(Kernel::new(Arc::new(weight), bias, [c_in, out], geometry))))
    }

    /// This convolution with the batch norm that follows it.
    pub fn normed(&self, norm: BatchNorm) -> Result<Self> {
        self.with(norm, false)
    }

    /// This convolution with the batch norm that follows its skip and ReLU.
    pub fn normed_last(&self, norm: BatchNorm) -> Result<Self> {
        self.with(norm, true)
    }

    fn with(&self, norm: BatchNorm, last: bool) -> Result<Self> {
        let Kernel { weight, bias, channels, geometry, .. } = &*self.0;
        if norm.scale().len() != channels[1] {
            bail!("batch norm over {} channels follows a convolution to {}", norm.scale().len(), channels[1]);
        }
        let kernel = Kernel::new(Arc::clone(weight), bias.clone(), *channels, *geometry);
        let (norm, norm_last) = if last { (None, Some(norm)) } else { (Some(norm), None) };
        Ok(Self(Arc::new(Kernel { norm, norm_last, ..kernel })))
    }

    fn apply(&self, x: &Tensor, skip: Option<&Tensor>, relu: Option<AtZero>) -> Result<Tensor> {
        let x = x.contiguous()?;
        if skip.is_some() && self.0.norms_last() {
            bail!("a skip before a norm has no gradient here");
        }
        if !x.device().is_cpu() {
            return self.0.on(x.device())?.forward(&x, skip, relu);
        }
        let tracked = x.track_op() || skip.is_some_and(Tensor::track_op);
        let op = Forward::of(&self.0, relu);
        let op = if tracked { op.noting() } else { op };
        match skip {
            Some(skip) => x.apply_op2(&skip.contiguous()?, op),
            None => x.apply_op1(op),
        }
    }

    /// relu(conv(x))
    pub fn relu(&self, x: &Tensor, at_zero: AtZero) -> Result<Tensor> {
        self.apply(x, None, Some(at_zero))
    }

    /// conv(x) + skip; `skip` is of the output's shape.
    pub fn add(&self, x: &Tensor, skip: &Tensor) -> Result<Tensor> {
        self.apply(x, Some(skip), None)
    }

    /// relu(conv(x) + skip)
    pub fn add_relu(&self, x: &Tensor, skip: &Tensor, at_zero: AtZero) -> Result<Tensor> {
        self.apply(x, Some(skip), Some(at_zero))
    }
}

impl Module for Conv3d {
    /// conv(x)
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.apply(x, None, None)
    }
}

/// A 2-D convolution: `[n, in, h, w]` to `[n, out, h', w']`. The 3-D one at depth 1.
pub struct Conv2d(pub(super) Conv3d);

impl Conv2d {
    /// `weight` is `[out, in, k, k]`, `bias` `[out]`.
    pub fn from_tensors(weight: &Tensor, bias: Option<&Tensor>, stride: usize, padding: usize) -> Result<Self> {
        Conv3d::from_tensors(&weight.unsqueeze(2)?, bias, [1, stride, stride], [0, padding, padding]).map(Self)
    }

    /// relu(conv(x))
    pub fn relu(&self, x: &Tensor, at_zero: AtZero) -> Result<Tensor> {
        self.0.relu(&x.unsqueeze(2)?, at_zero)?.squeeze(2)
    }

    /// conv(x) + skip; `skip` is of the output's shape.
    pub fn add(&self, x: &Tensor, skip: &Tensor) -> Result<Tensor> {
        self.0.add(&x.unsqueeze(2)?, &skip.unsqueeze(2)?)?.squeeze(2)
    }
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(&x.unsqueeze(2)?)?.squeeze(2)
    }
}

/// A square convolution with bias: "weight" `[out, in, k, k]`, "bias" `[out]`.
pub fn conv2d(c_in: usize, c_out: usize, shape: Shape, vb: &VarBuilder) -> Result<Conv2d> {
    let weight = vb.get((c_out, c_in, shape.kernel, shape.kernel), "weight")?;
    Conv2d::from_tensors(&weight, Some(&vb.get(c_out, "bias")?), shape.stride, shape.padding)
}

/// "weight" `[out, in, kd, kh, kw]`, and "bias" `[out]` where there is one.
pub fn conv3d(
    channels: [usize; 2],
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    bias: Bias,
    vb: &VarBuilder,
) -> Result<Conv3d> {
    let ([c_in, c_out], [kd, kh, kw]) = (channels, kernel);
    let weight = vb.get((c_out, c_in, kd, kh, kw), "weight")?;
    let bias = if bias == Bias::With { Some(vb.get(c_out, "bias")?) } else { None };
    Conv3d::from_tensors(&weight, bias.as_ref(), stride, padding)
}
