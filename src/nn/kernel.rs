//! The numbers of a convolution, and its passes: forward, and from the output's gradient to the input's.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Device, Layout, Result, Shape, Tensor, bail};

use super::after::{After, AtZero, Bits, Mask, Passing};
use super::composed::{Convolution, Lines};
use super::device::has_kernels;
use super::gemm::{Columns, Real, contiguous};
use super::geometry::{Geometry, Images};
use super::im2col;
use super::norm::{BatchNorm, channelwise_on};
use super::simd::Instructions;
use super::winograd::{Kernels, Winograd};

/// Weights as numbers of one kind.
pub(super) enum Numbers {
    F32(Weights<f32>),
    F64(Weights<f64>),
}

pub(super) struct Weights<T> {
    /// `[out, in * taps]`, as they were loaded; of a gradient's kernel, those of the convolution it is the gradient of.
    loaded: Arc<Vec<T>>,
    /// The gradient's own `[out, in * taps]`: made by the first pass that wants them.
    mirrored: OnceLock<Vec<T>>,
}

impl<T> From<Arc<Vec<T>>> for Weights<T> {
    fn from(loaded: Arc<Vec<T>>) -> Self {
        Self { loaded, mirrored: OnceLock::new() }
    }
}

impl Numbers {
    /// The same loaded weights for another kernel.
    fn shared(&self) -> Self {
        match self {
            Self::F32(weights) => Self::F32(Arc::clone(&weights.loaded).into()),
            Self::F64(weights) => Self::F64(Arc::clone(&weights.loaded).into()),
        }
    }
}

pub(super) struct Kernel {
    weight: Numbers,
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
    /// Made by the first pass on a device that is no CPU.
    on_device: OnceLock<Arc<Convolution>>,
}

impl Kernel {
    pub(super) fn new(weight: Numbers, bias: Vec<f64>, channels: [usize; 2], geometry: Geometry) -> Self {
        Self {
            weight,
            mirror: None,
            bias,
            norm: None,
            norm_last: None,
            channels,
            geometry,
            gradient: OnceLock::new(),
            on_device: OnceLock::new(),
        }
    }

    /// The same convolution with a norm: before its skip and ReLU, or `last`.
    pub(super) fn normed(&self, norm: BatchNorm, last: bool) -> Self {
        let kernel = Self::new(self.weight.shared(), self.bias.clone(), self.channels, self.geometry);
        let (norm, norm_last) = if last { (None, Some(norm)) } else { (Some(norm), None) };
        Self { norm, norm_last, ..kernel }
    }

    /// In, out.
    pub(super) fn channels(&self) -> [usize; 2] {
        self.channels
    }

    /// Refuses a skip whose gradient would have to go through the norm after it, which no network here wants.
    pub(super) fn check(&self, skip: Option<&Tensor>) -> Result<()> {
        if skip.is_some() && self.norm_last.is_some() {
            bail!("a skip before a norm has no gradient here");
        }
        Ok(())
    }

    /// What the norm, wherever it stands, multiplies each output channel with.
    fn scale(&self) -> Vec<f64> {
        let norm = self.norm.as_ref().or(self.norm_last.as_ref());
        norm.map_or_else(|| vec![1.0; self.channels[1]], |norm| norm.scale().to_vec())
    }

    /// The convolution from the output's gradient to the input's: taps in reverse, input and output channels exchanged, times
    /// the norm's scale.
    fn gradient(&self) -> Option<&Arc<Self>> {
        let make = || {
            let geometry = self.geometry.mirrored()?;
            let [c_in, c_out] = self.channels;
            let kernel = Self::new(self.weight.shared(), Vec::new(), [c_out, c_in], geometry);
            Some(Arc::new(Self { mirror: Some(self.scale()), ..kernel }))
        };
        self.gradient.get_or_init(make).as_ref()
    }

    /// The weights `[out, in * taps]` of this kernel itself.
    fn matrix<'a, T: Real>(&self, weights: &'a Weights<T>) -> &'a [T] {
        let Some(scale) = &self.mirror else { return &weights.loaded };
        weights.mirrored.get_or_init(|| mirrored(&weights.loaded, scale, self.channels, self.geometry.taps()))
    }

    fn forward_f32(
        &self,
        weights: &Weights<f32>,
        x: &[f32],
        images: &Images,
        after: &After<'_, f32>,
    ) -> Result<Vec<f32>> {
        if !Winograd::fits(&self.geometry) || !Winograd::pays(images.output) {
            return self.products(self.matrix(weights)).forward(x, images, after);
        }
        let geometry = &self.geometry;
        let kernels = Kernels {
            loaded: weights.loaded.as_chunks().0,
            mirror: self.mirror.as_deref(),
            channels: self.channels,
            depth: geometry.kernel[0],
        };
        let instructions = Instructions::best();
        Winograd { kernels, bias: &self.bias, geometry, instructions }.forward(x, images, after)
    }

    /// From the gradient of the outputs, once past their ReLU, to that of the input, whose depth, height and width are told. To it
    /// `skip` is added; then what `mask` lets through is left.
    pub(super) fn pull_back(
        self: &Arc<Self>,
        gradient: &Tensor,
        input: [usize; 3],
        skip: Option<&Tensor>,
        mask: Option<&Mask>,
    ) -> Result<Tensor> {
        if has_kernels(gradient.device())
            && let Some(kernel) = self.gradient()
        {
            let op = Forward { mask: mask.cloned(), ..Forward::of(kernel, None) };
            return op.apply(gradient, skip);
        }
        let mut pulled = if !has_kernels(gradient.device()) {
            self.on(gradient.device())?.pull_back(gradient, input)?
        } else if let Some(norm) = self.norm.as_ref().or(self.norm_last.as_ref()) {
            gradient.apply_op1_no_bwd(&norm.linear())?.apply_op1_no_bwd(&Transposed(self, input))?
        } else {
            gradient.apply_op1_no_bwd(&Transposed(self, input))?
        };
        if let Some(skip) = skip {
            pulled = (pulled + skip)?;
        }
        match mask {
            Some(mask) => mask.pass(&pulled),
            None => Ok(pulled),
        }
    }

    /// These numbers where our kernels do not run.
    pub(super) fn on(&self, device: &Device) -> Result<&Arc<Convolution>> {
        if let Some(made) = self.on_device.get() {
            return Ok(made);
        }
        let [c_in, c_out] = self.channels;
        let [kd, kh, kw] = self.geometry.kernel;
        let shape = (c_out, c_in, kd, kh, kw);
        let (weight, dtype) = match &self.weight {
            Numbers::F32(weights) => (Tensor::from_slice(&weights.loaded, shape, device)?, DType::F32),
            Numbers::F64(weights) => (Tensor::from_slice(&weights.loaded, shape, device)?, DType::F64),
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

    /// Outside of any graph.
    pub(super) fn apply(&self, x: &Tensor, skip: Option<&Tensor>) -> Result<Tensor> {
        match skip {
            Some(skip) => x.apply_op2_no_bwd(&skip.contiguous()?, self),
            None => x.apply_op1_no_bwd(self),
        }
    }

    /// What the ReLU let through, once the pass is made.
    pub(super) fn noted(&self) -> Option<&Mask> {
        self.passing.as_ref()?.get()
    }

    #[expect(unsafe_code, reason = "what passes is noted from several threads")]
    fn compute(&self, x: (&CpuStorage, &Layout), skip: Option<(&CpuStorage, &Layout)>) -> Result<(CpuStorage, Shape)> {
        let (samples, c, d, h, w) = x.1.shape().dims5()?;
        let (kernel, input) = (&*self.kernel, [d, h, w]);
        let [c_in, c_out] = kernel.channels;
        if c != c_in {
            bail!("this convolution takes {c_in} channels, found {c}");
        }
        let output = kernel.geometry.output(input)?;
        let images = Images { samples, input, output };
        let shape = Shape::from((samples, c_out, output[0], output[1], output[2]));
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
        let columns = Columns::fresh(&mut passing, &[if self.passing.is_some() { shape.elem_count() } else { 0 }])?;
        let (norm, norm_last, relu) = (kernel.norm.as_ref(), kernel.norm_last.as_ref(), self.relu);
        let noted = self.passing.as_ref().map(|_| &columns);
        let storage = match &kernel.weight {
            Numbers::F32(weights) => {
                let skip = skip.map(|(s, layout)| contiguous(s, layout)).transpose()?;
                let after = After { norm, skip, relu, passing: noted, norm_last, mask };
                f32::storage(kernel.forward_f32(weights, contiguous(x.0, x.1)?, &images, &after)?)
            }
            Numbers::F64(weights) => {
                let skip = skip.map(|(s, layout)| contiguous(s, layout)).transpose()?;
                let after = After { norm, skip, relu, passing: noted, norm_last, mask };
                f64::storage(kernel.products(kernel.matrix(weights)).forward(contiguous(x.0, x.1)?, &images, &after)?)
            }
        };
        if let Some(slot) = &self.passing {
            // SAFETY: the pass has finished every output, and noted each, as `noting` wants notes of a ReLU alone.
            unsafe { passing.set_len(shape.elem_count()) };
            slot.get_or_init(|| Mask(Passing::Cpu(Arc::new(Bits::of(&passing)))));
        }
        Ok((storage, shape))
    }

    /// From the gradient of the outputs: what comes through the ReLU, and from there to the input.
    fn pull_back(&self, x: &Tensor, gradient: &Tensor) -> Result<[Tensor; 2]> {
        let (_, _, d, h, w) = x.dims5()?;
        let passed = self.noted().map_or_else(|| gradient.contiguous(), |mask| mask.pass(gradient))?;
        let pulled = self.kernel.pull_back(&passed, [d, h, w], None, None)?;
        Ok([passed, pulled])
    }
}

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.compute((x, layout), None)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [_, pulled] = self.pull_back(x, gradient)?;
        Ok(Some(pulled))
    }
}

impl CustomOp2 for Forward {
    fn name(&self) -> &'static str {
        "convolution and skip"
    }

    fn cpu_fwd(&self, x: &CpuStorage, of_x: &Layout, s: &CpuStorage, of_s: &Layout) -> Result<(CpuStorage, Shape)> {
        self.compute((x, of_x), Some((s, of_s)))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [passed, pulled] = self.pull_back(x, gradient)?;
        Ok((Some(pulled), Some(passed)))
    }
}

/// From the output's gradient to the input's, whose size it must be told, where a stride leaves gaps.
struct Transposed<'a>(&'a Kernel, [usize; 3]);

impl CustomOp1 for Transposed<'_> {
    fn name(&self) -> &'static str {
        "transposed convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (samples, _, d, h, w) = layout.shape().dims5()?;
        let Self(kernel, input) = *self;
        let images = Images { samples, input, output: [d, h, w] };
        let storage = match &kernel.weight {
            Numbers::F32(weights) => {
                f32::storage(kernel.products(&weights.loaded).backward(contiguous(storage, layout)?, &images))
            }
            Numbers::F64(weights) => {
                f64::storage(kernel.products(&weights.loaded).backward(contiguous(storage, layout)?, &images))
            }
        };
        Ok((storage, (samples, kernel.channels[0], input[0], input[1], input[2]).into()))
    }
}
