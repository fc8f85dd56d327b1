//! The numbers of a convolution, and its passes: forward, and from the output's gradient to the input's.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Result, Tensor, bail};

use super::device::Convolution;
use crate::graph::ops::AtZero;
use crate::graph::ops::channel_affine::ChannelAffine;
use crate::graph::ops::norm::{BatchNorm, channelwise_on};
use crate::nn::device::has_kernels;
use crate::nn::epilogue::Epilogue;
use crate::nn::gemm::{Columns, Real};
use crate::nn::geometry::{Geometry, Images};
use crate::nn::im2col;
use crate::nn::mask::Mask;
use crate::nn::numbers::{Held, tensor};
use crate::nn::simd::Instructions;
use crate::nn::winograd::{Kernels, Winograd};

/// Points of a tile of F(4x4, 3x3): 6 x 6.
const WINOGRAD_POINTS: usize = 36;

/// So few channels are scattered into, from so many times as many, where enough slices share the work among threads.
const FEW_CHANNELS: usize = 4;
const MANY_TIMES: usize = 4;
const FEWEST_SLICES: usize = 4;

/// Weights as numbers of one kind.
pub(super) enum Numbers {
    F32(Weights<f32>),
    F64(Weights<f64>),
}

pub(super) struct Weights<T> {
    /// `[out, in * elements]`, as they were loaded; of a gradient's kernel, those of the convolution it is the gradient of.
    loaded: Arc<Vec<T>>,
    /// The gradient's own weights `[out, in * elements]`, which the first pass that wants them computes.
    mirrored: OnceLock<Vec<T>>,
}

impl<T> Weights<T> {
    /// `[out, in * elements]`, as they were loaded.
    pub(super) fn loaded(&self) -> &[T] {
        &self.loaded
    }
}

impl<T> From<Arc<Vec<T>>> for Weights<T> {
    fn from(loaded: Arc<Vec<T>>) -> Self {
        Self { loaded, mirrored: OnceLock::new() }
    }
}

impl Numbers {
    /// Shares the loaded weights with another kernel.
    fn shared(&self) -> Self {
        match self {
            Self::F32(weights) => Self::F32(Arc::clone(&weights.loaded).into()),
            Self::F64(weights) => Self::F64(Arc::clone(&weights.loaded).into()),
        }
    }
}

pub(super) struct Kernel {
    weight: Numbers,
    /// What the norm of the convolution multiplies each output channel with, where this is the kernel of its gradient.
    mirror: Option<Vec<f64>>,
    /// One per output channel; none is nothing to add.
    bias: Vec<f64>,
    /// The norm of the outputs, before a skip and a ReLU or after them.
    norm: Option<BatchNorm>,
    norm_last: Option<BatchNorm>,
    channels: [usize; 2], // in, out
    geometry: Geometry,
    /// The size of the output that decides by which way a pass goes, where it is part of a larger one.
    part_of: Option<[usize; 3]>,
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
            part_of: None,
            gradient: OnceLock::new(),
            on_device: OnceLock::new(),
        }
    }

    /// Gives this convolution with a norm, before its skip and ReLU or `last`.
    pub(super) fn normed(&self, norm: BatchNorm, last: bool) -> Self {
        let kernel = Self::new(self.weight.shared(), self.bias.clone(), self.channels, self.geometry);
        let (norm, norm_last) = if last { (None, Some(norm)) } else { (Some(norm), None) };
        Self { norm, norm_last, ..kernel }
    }

    /// Input channels, output channels.
    pub(super) fn channels(&self) -> [usize; 2] {
        self.channels
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Gives this convolution for some planes of its input, which come with their padding: part of a pass whose output has that
    /// size.
    pub(super) fn on_planes(&self, output: [usize; 3]) -> Self {
        let [_, height, width] = self.geometry.padding;
        let kernel = self.placed(Geometry { padding: [0, height, width], ..self.geometry });
        Self { norm: self.norm.clone(), norm_last: self.norm_last.clone(), part_of: Some(output), ..kernel }
    }

    pub(super) fn numbers(&self) -> &Numbers {
        &self.weight
    }

    /// One per output channel; none is nothing to add.
    pub(super) fn bias(&self) -> &[f64] {
        &self.bias
    }

    pub(super) fn has_norm(&self) -> bool {
        self.norm.is_some() || self.norm_last.is_some()
    }

    /// Gives a convolution of these weights and biases with another geometry, without a norm.
    pub(super) fn placed(&self, geometry: Geometry) -> Self {
        Self::new(self.weight.shared(), self.bias.clone(), self.channels, geometry)
    }

    /// What the norm, wherever it stands, multiplies each output channel with.
    fn scale(&self) -> Vec<f64> {
        let norm = self.norm.as_ref().or(self.norm_last.as_ref());
        norm.map_or_else(|| vec![1.0; self.channels[1]], |norm| norm.by_channel().scale.clone())
    }

    /// The convolution from the output's gradient to the input's: kernels in reverse, input and output channels exchanged, times
    /// the norm's scale.
    fn gradient(&self) -> Option<&Arc<Self>> {
        let mirror = || {
            let geometry = self.geometry.mirrored()?;
            let [c_in, c_out] = self.channels;
            let kernel = Self::new(self.weight.shared(), Vec::new(), [c_out, c_in], geometry);
            Some(Arc::new(Self { mirror: Some(self.scale()), ..kernel }))
        };
        self.gradient.get_or_init(mirror).as_ref()
    }

    /// The weights `[out, in * elements]` of this kernel itself.
    fn matrix<'a, T: Real>(&self, weights: &'a Weights<T>) -> &'a [T] {
        let Some(scale) = &self.mirror else { return &weights.loaded };
        weights.mirrored.get_or_init(|| mirrored(&weights.loaded, scale, self.channels, self.geometry.elements()))
    }

    fn forward_f32(
        &self,
        weights: &Weights<f32>,
        x: &[f32],
        images: &Images,
        epilogue: &Epilogue<'_, f32>,
    ) -> Result<Vec<f32>> {
        let output = self.part_of.unwrap_or(images.output);
        if !Winograd::fits(&self.geometry) || !Winograd::pays(self.channels, output) {
            return self.products(self.matrix(weights)).forward(x, images, epilogue);
        }
        let geometry = &self.geometry;
        let kernels = Kernels {
            loaded: weights.loaded.as_chunks().0,
            mirror: self.mirror.as_deref(),
            channels: self.channels,
            depth: geometry.kernel[0],
        };
        let instructions = Instructions::best();
        Winograd { kernels, bias: &self.bias, geometry, instructions }.forward(x, images, epilogue)
    }

    /// Bytes that a pass takes besides its tensors: the weights at Winograd's points, where it goes that way.
    pub(super) fn scratch_bytes(&self, input: [usize; 3]) -> usize {
        let pays = |output| Winograd::pays(self.channels, output);
        let fits = Winograd::fits(&self.geometry) && self.geometry.output(input).is_ok_and(pays);
        let weights = self.channels[0] * self.channels[1] * self.geometry.kernel[0];
        if fits { weights * WINOGRAD_POINTS * size_of::<f32>() } else { 0 }
    }

    /// last(relu(norm(conv(x)) + skip)), of these what there is, and what the ReLU lets through where that is to be `save`d:
    /// `[n, in, d, h, w]` to `[n, out, d', h', w']`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        skip: Option<&Tensor>,
        relu: Option<AtZero>,
        save: bool,
    ) -> Result<(Tensor, Option<Mask>)> {
        if skip.is_some() && self.norm_last.is_some() {
            bail!("a skip before a norm has no gradient here");
        }
        if has_kernels(x.device()) {
            let Self { norm, norm_last, .. } = self;
            let following = Passed { norm: norm.as_ref(), skip, relu, norm_last: norm_last.as_ref(), mask: None };
            self.pass(x, &following, save && relu.is_some())
        } else {
            self.on(x.device())?.forward(x, skip, relu, save)
        }
    }

    /// A pass over the CPU's numbers, with a note of what the ReLU lets through where that is to be `save`d.
    fn pass(&self, x: &Tensor, following: &Passed<'_>, save: bool) -> Result<(Tensor, Option<Mask>)> {
        let (samples, c, d, h, w) = x.dims5()?;
        let ([c_in, c_out], input) = (self.channels, [d, h, w]);
        if c != c_in {
            bail!("this convolution takes {c_in} channels, found {c}");
        }
        let output = self.geometry.output(input)?;
        let images = Images { samples, input, output };
        let shape = [samples, c_out, output[0], output[1], output[2]];
        let count: usize = shape.iter().product();
        if let Some(skip) = following.skip
            && skip.dims() != shape
        {
            bail!("a skip of {:?} beside a convolution's {shape:?}", skip.dims());
        }
        let mask = following.mask.map(Mask::bytes).transpose()?;
        if let Some(mask) = &mask
            && mask.len() != count
        {
            bail!("a mask of {} numbers beside a convolution's {shape:?}", mask.len());
        }
        // Where the outputs are those of the ReLU themselves, they say what passed it.
        let note = save && (following.relu != Some(AtZero::Nothing) || following.norm_last.is_some());
        let mut passing = vec![0; if note { count } else { 0 }];
        let columns = Columns::new(&mut passing);
        let noted = note.then_some(&columns);
        let (x, skip) = (Held::of(x), following.skip.map(Held::of));
        let of_outputs = save && !note;
        let (y, positive) = match &self.weight {
            Numbers::F32(weights) => {
                let skip = skip.as_ref().map(Held::numbers).transpose()?;
                let epilogue = following.epilogue(skip, noted, mask.as_deref());
                let y = self.forward_f32(weights, x.numbers()?, &images, &epilogue)?;
                let positive = of_outputs.then(|| Mask::of_outputs(&y));
                (tensor(y, &shape)?, positive)
            }
            Numbers::F64(weights) => {
                let skip = skip.as_ref().map(Held::numbers).transpose()?;
                let epilogue = following.epilogue(skip, noted, mask.as_deref());
                let y = self.products(self.matrix(weights)).forward(x.numbers()?, &images, &epilogue)?;
                let positive = of_outputs.then(|| Mask::of_outputs(&y));
                (tensor(y, &shape)?, positive)
            }
        };
        Ok((y, if note { Some(Mask::of(&passing)) } else { positive }))
    }

    /// Gives the gradient of the input, whose depth, height and width are told, from that of the outputs, once past their ReLU.
    /// `others` is added to it; then what `mask` lets through is left.
    pub(super) fn vjp(
        &self,
        gradient: &Tensor,
        input: [usize; 3],
        others: Option<&Tensor>,
        mask: Option<&Mask>,
    ) -> Result<Tensor> {
        if has_kernels(gradient.device())
            && !self.scatters(input)
            && let Some(kernel) = self.gradient()
        {
            let following = Passed { norm: None, skip: others, relu: None, norm_last: None, mask };
            return Ok(kernel.pass(gradient, &following, false)?.0);
        }
        let pulled = if has_kernels(gradient.device()) {
            self.scattered(gradient, input)?
        } else {
            self.on(gradient.device())?.vjp(gradient, input)?
        };
        let pulled = others.map_or_else(|| Ok(pulled.clone()), |others| &pulled + others)?;
        mask.map_or_else(|| Ok(pulled.clone()), |mask| mask.pass(&pulled))
    }

    /// Whether a volume's gradient is faster scattered than gathered: gathering it for few channels, as those of a scan are, copies
    /// all channels of the output for products of hardly a row.
    fn scatters(&self, input: [usize; 3]) -> bool {
        let [c_in, c_out] = self.channels;
        c_in <= FEW_CHANNELS && c_out >= MANY_TIMES * c_in && input[0] >= FEWEST_SLICES
    }

    /// Gives the input's gradient from the output's. The input's size must be told, where a stride leaves gaps.
    fn scattered(&self, gradient: &Tensor, input: [usize; 3]) -> Result<Tensor> {
        let (samples, _, d, h, w) = gradient.dims5()?;
        let images = Images { samples, input, output: [d, h, w] };
        let shape = [samples, self.channels[0], input[0], input[1], input[2]];
        let gradient = Held::of(gradient);
        match &self.weight {
            Numbers::F32(weights) => {
                tensor(self.products(&self.scaled(weights)).backward(gradient.numbers()?, &images), &shape)
            }
            Numbers::F64(weights) => {
                tensor(self.products(&self.scaled(weights)).backward(gradient.numbers()?, &images), &shape)
            }
        }
    }

    /// The weights as loaded, those of each output channel times what the norm multiplies it with.
    fn scaled<'a, T: Real>(&self, weights: &'a Weights<T>) -> Cow<'a, [T]> {
        let loaded = &weights.loaded;
        if !self.has_norm() || loaded.is_empty() {
            return Cow::Borrowed(loaded);
        }
        let rows = loaded.chunks(loaded.len() / self.channels[1]).zip(self.scale());
        Cow::Owned(rows.flat_map(|(row, scale)| row.iter().map(move |w| *w * T::from_f64(scale))).collect())
    }

    /// These numbers where our kernels do not run.
    fn on(&self, device: &Device) -> Result<&Arc<Convolution>> {
        if let Some(known) = self.on_device.get() {
            return Ok(known);
        }
        let [c_in, c_out] = self.channels;
        let [kd, kh, kw] = self.geometry.kernel;
        let (shape, dilation) = ((c_out, c_in, kd, kh, kw), self.geometry.dilation);
        let (weight, dtype) = match &self.weight {
            Numbers::F32(weights) => (Tensor::from_slice(&weights.loaded, shape, device)?, DType::F32),
            Numbers::F64(weights) => (Tensor::from_slice(&weights.loaded, shape, device)?, DType::F64),
        };
        // norm(conv + bias) = scale conv + (scale bias + shift)
        let (mut scale, mut shift) = (vec![1.0; c_out], self.bias.clone());
        shift.resize(c_out, 0.0);
        if let Some(norm) = &self.norm {
            scale.clone_from(&norm.by_channel().scale);
            let affines = scale.iter().zip(&norm.by_channel().shift);
            shift.iter_mut().zip(affines).for_each(|(bias, (scale, shift))| *bias = scale * *bias + shift);
        }
        let [scale, shift] = [scale, shift].map(|numbers| channelwise_on(&numbers, dtype, device));
        let affine = ChannelAffine { scale: scale?, shift: shift? };
        let last = self.norm_last.as_ref().map(|norm| norm.on(dtype, device)).transpose()?;
        // There, zeros stand between the elements of a dilated kernel.
        let weight = super::dilated(&weight, dilation)?;
        let geometry = Geometry { kernel: self.geometry.span(), dilation: [1; 3], ..self.geometry };
        let convolution = Arc::new(Convolution::new(weight, affine, last, geometry));
        Ok(self.on_device.get_or_init(|| convolution))
    }

    fn products<'a, T>(&'a self, weight: &'a [T]) -> im2col::Kernel<'a, T> {
        im2col::Kernel { weight, bias: &self.bias, channels: self.channels, geometry: &self.geometry }
    }
}

/// What follows a convolution, of tensors.
struct Passed<'a> {
    norm: Option<&'a BatchNorm>,
    skip: Option<&'a Tensor>,
    relu: Option<AtZero>,
    norm_last: Option<&'a BatchNorm>,
    mask: Option<&'a Mask>,
}

impl Passed<'_> {
    /// Gives the epilogue of the tensors' numbers.
    fn epilogue<'s, T: Real>(
        &'s self,
        skip: Option<&'s [T]>,
        passing: Option<&'s Columns<'s, u8>>,
        mask: Option<&'s [u8]>,
    ) -> Epilogue<'s, T> {
        let [norm, norm_last] = [self.norm, self.norm_last].map(|norm| norm.map(BatchNorm::by_channel));
        Epilogue { norm, skip, relu: self.relu, passing, norm_last, mask }
    }
}

/// `[in, out, elements]` to `[out, in, elements]`, the elements in reverse, each input's times its scale.
fn mirrored<T: Real>(weight: &[T], scale: &[f64], [c_in, c_out]: [usize; 2], elements: usize) -> Vec<T> {
    let kernels = (0..c_out * c_in).map(|at| (at / c_in, at % c_in));
    let mirrored = kernels.flat_map(|(out, input)| {
        let first = (input * c_out + out) * elements;
        let scale = T::from_f64(scale[input]);
        weight[first..first + elements].iter().rev().map(move |w| *w * scale)
    });
    mirrored.collect()
}
