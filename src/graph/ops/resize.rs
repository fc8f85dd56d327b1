//! Slices of another height and width.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::{Operation, Pass, Planes, Saved, Saves, Sum, each, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Real, zeros};
use crate::nn::numbers::{Held, by_type, tensor};

/// Each pixel of `[n, c, h, w]` so many times along the height and along the width.
pub struct Nearest {
    pub factor: usize,
}

/// What height and width slices are brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Fixed([usize; 2]),
    /// The smaller edge becomes this long, the other keeps the aspect, rounded down: torchvision's `Resize(side)`.
    Smaller(usize),
    /// So many times as high and wide.
    Times(usize),
}

/// Half-pixel bilinear resizing of `[n, c, h, w]` with clamped edges: PyTorch's `interpolate(mode="bilinear",
/// align_corners=False)`. It is torchvision's `Resize` of tensors (its default since 0.17) with `antialias`. Both are the same where
/// slices are enlarged.
pub struct Resize {
    pub size: Size,
    pub antialias: bool,
}

impl Size {
    /// Gives the height and width that slices of height `h` and width `w` come to have.
    pub fn of(self, [h, w]: [usize; 2]) -> [usize; 2] {
        let longer = |side: usize, long: usize, short: usize| side.saturating_mul(long) / short.max(1);
        match self {
            Self::Fixed(size) => size,
            Self::Smaller(side) if h <= w => [side, longer(side, w, h)],
            Self::Smaller(side) => [longer(side, h, w), side],
            Self::Times(factor) => [h.saturating_mul(factor), w.saturating_mul(factor)],
        }
    }
}

fn slices<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize; 4]> {
    let shape = only(inputs)?;
    match shape.first_chunk::<4>() {
        Some(sizes) if shape.len() == 4 && !sizes.contains(&0) => Ok(sizes),
        _ => bail!("slices [n, c, h, w], found {shape:?}"),
    }
}

impl Operation for Nearest {
    fn name(&self) -> String {
        format!("each pixel {} times", self.factor)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = *slices(inputs)?;
        let [height, width] = Size::Times(self.factor).of([h, w]);
        Ok(vec![n, c, height, width])
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let (x, factor) = (inputs[0].contiguous()?, self.factor);
        let (n, c, h, w) = x.dims4()?;
        if !has_kernels(x.device()) {
            let wide = x.reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, factor, w, factor))?;
            return Ok((wide.contiguous()?.reshape((n, c, h * factor, w * factor))?, Saved::Nothing));
        }
        let held = Held::of(&x);
        by_type!(x, T => {
            let y = tensor(repeat::<T>(held.numbers()?, w, factor), &[n, c, h * factor, w * factor])?;
            Ok((y, Saved::Nothing))
        })
    }

    /// The sum of each square of pixels.
    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let ([n, c, h, w], factor) = (*slices(pass.shapes)?, self.factor);
        let gradient = gradient.contiguous()?;
        let held = Held::of(&gradient);
        each(into, |_| {
            if !has_kernels(gradient.device()) {
                return gradient.reshape((n, c, h, factor, w, factor))?.sum(5)?.sum(3);
            }
            by_type!(gradient, T => tensor(square_sum::<T>(held.numbers()?, w * factor, factor), &[n, c, h, w]))
        })
    }
}

impl Resize {
    /// Gives the filters along height and width for an input of such a shape; none where nothing changes.
    fn filters(&self, [_, _, h, w]: [usize; 4]) -> Option<[Filter; 2]> {
        let [height, width] = self.size.of([h, w]);
        let filters = || [Filter::new(h, height, self.antialias), Filter::new(w, width, self.antialias)];
        ([h, w] != [height, width]).then(filters)
    }
}

impl Operation for Resize {
    fn name(&self) -> String {
        format!("resizing to {:?}", self.size)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let [n, c, h, w] = *slices(inputs)?;
        let [height, width] = self.size.of([h, w]);
        if height == 0 || width == 0 {
            bail!("slices of {h} x {w} resized to {height} x {width}");
        }
        Ok(vec![n, c, height, width])
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        let Some(filters) = self.filters(*slices(&[x.dims()])?) else { return Ok((x, Saved::Nothing)) };
        if !has_kernels(x.device()) {
            let [of_height, of_width] = matrices(&filters, &x)?;
            return Ok((multiplied(&x, &of_height, &of_width)?, Saved::Nothing));
        }
        let held = Held::of(&x);
        let shape = self.shape(&[x.dims()])?;
        by_type!(x, T => Ok((tensor(resized::<T>(held.numbers()?, &filters), &shape)?, Saved::Nothing)))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (shape, gradient) = (slices(pass.shapes)?, gradient.contiguous()?);
        let Some(filters) = self.filters(*shape) else { return each(into, |_| Ok(gradient.clone())) };
        let held = Held::of(&gradient);
        each(into, |_| {
            if !has_kernels(gradient.device()) {
                let [of_height, of_width] = matrices(&filters, &gradient)?;
                return multiplied(&gradient, &of_height.t()?, &of_width.t()?);
            }
            by_type!(gradient, T => tensor(spread::<T>(held.numbers()?, &filters), shape))
        })
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        (axis < 2).then(|| (Arc::new(Self { ..*self }) as Arc<dyn Operation>, Planes::each(axis)))
    }
}

/// `[n, c, h, w]` by a matrix along the height, `[h, h']`, and one along the width, `[w, w']`: `[n, c, h', w']`.
fn multiplied(x: &Tensor, of_height: &Tensor, of_width: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let (height, width) = (of_height.dim(1)?, of_width.dim(1)?);
    let rows = x.contiguous()?.reshape((n * c * h, w))?.matmul(&of_width.contiguous()?)?;
    let columns = rows.reshape((n, c, h, width))?.transpose(2, 3)?.contiguous()?;
    let resized = columns.reshape((n * c * width, h))?.matmul(of_height)?;
    resized.reshape((n, c, width, height))?.transpose(2, 3)?.contiguous()
}

/// Gives the matrices along height and width, where our loops do not run.
fn matrices([of_height, of_width]: &[Filter; 2], like: &Tensor) -> Result<[Tensor; 2]> {
    Ok([of_height.matrix(like)?, of_width.matrix(like)?])
}

/// Rows of `w` pixels.
fn repeat<T: Real>(x: &[T], w: usize, factor: usize) -> Vec<T> {
    let mut y = zeros(x.len() * factor * factor);
    y.par_chunks_mut((w * factor * factor).max(1)).zip(x.par_chunks(w.max(1))).for_each(|(rows, row)| {
        let (first, others) = rows.split_at_mut(w * factor);
        first.chunks_mut(factor).zip(row).for_each(|(pixels, pixel)| pixels.fill(*pixel));
        others.chunks_mut(w * factor).for_each(|other| other.copy_from_slice(first));
    });
    y
}

/// Rows of `w` pixels, which `factor` divides, as their number does.
fn square_sum<T: Real>(g: &[T], w: usize, factor: usize) -> Vec<T> {
    let mut sums = zeros(g.len() / (factor * factor));
    sums.par_chunks_mut((w / factor).max(1)).zip(g.par_chunks((w * factor).max(1))).for_each(|(sums, rows)| {
        for row in rows.chunks(w) {
            sums.iter_mut().zip(row.chunks(factor)).for_each(|(sum, pixels)| pixels.iter().for_each(|p| *sum += *p));
        }
    });
    sums
}

/// The shares of input pixels in each output pixel along an axis, a triangle filter about its centre.
/// Source: PyTorch's `aten/src/ATen/native/cpu/UpSampleKernel.cpp`, `_compute_indices_weights_aa`.
struct Filter {
    from: usize,
    to: usize,
    /// The first input pixel that has a share in each output pixel, and the shares from there on.
    shares: Vec<(usize, Vec<f64>)>,
}

impl Filter {
    fn new(from: usize, to: usize, antialias: bool) -> Self {
        let scale = from as f64 / to as f64;
        let spread = if antialias { scale.max(1.0) } else { 1.0 };
        let shares = (0..to).map(|i| {
            let mut center = scale * (i as f64 + 0.5);
            if !antialias {
                center = center.clamp(0.5, from as f64 - 0.5); // edges repeat
            }
            let low = (center - spread + 0.5).max(0.0) as usize;
            let high = ((center + spread + 0.5) as usize).min(from);
            let share = |j: usize| (1.0 - ((j as f64 - center + 0.5) / spread).abs()).max(0.0);
            let sum: f64 = (low..high).map(share).sum();
            (low, (low..high).map(|j| share(j) / sum).collect())
        });
        Self { from, to, shares: shares.collect() }
    }

    /// The shares as numbers of a kind.
    fn shares<T: Real>(&self) -> Vec<(usize, Vec<T>)> {
        self.shares.iter().map(|(first, shares)| (*first, shares.iter().map(|x| T::from_f64(*x)).collect())).collect()
    }

    /// The matrix `[from, to]`, computed on the CPU, as not every device knows f64.
    fn matrix(&self, like: &Tensor) -> Result<Tensor> {
        let mut matrix = vec![0.0_f64; self.from * self.to];
        for (i, (first, shares)) in self.shares.iter().enumerate() {
            shares.iter().enumerate().for_each(|(j, share)| matrix[(first + j) * self.to + i] = *share);
        }
        Tensor::from_vec(matrix, (self.from, self.to), &Device::Cpu)?.to_dtype(like.dtype())?.to_device(like.device())
    }
}

/// Columns first, whose sums are of whole rows; then rows.
fn resized<T: Real>(x: &[T], [of_height, of_width]: &[Filter; 2]) -> Vec<T> {
    let (rows, columns) = (of_height.shares::<T>(), of_width.shares::<T>());
    let mut y = zeros(x.len() / (of_height.from * of_width.from) * of_height.to * of_width.to);
    let planes = y.par_chunks_mut(of_height.to * of_width.to).zip(x.par_chunks(of_height.from * of_width.from));
    planes.for_each_init(
        || vec![T::default(); of_width.from],
        |sum, (y, x)| {
            for (y, (first, shares)) in y.chunks_mut(of_width.to).zip(&rows) {
                sum.fill(T::default());
                for (x, share) in x.chunks(of_width.from).skip(*first).zip(shares) {
                    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += *x * *share);
                }
                for (y, (first, shares)) in y.iter_mut().zip(&columns) {
                    let weighted = sum[*first..].iter().zip(shares).map(|(x, share)| *x * *share);
                    *y = weighted.fold(T::default(), |sum, x| sum + x);
                }
            }
        },
    );
    y
}

fn spread<T: Real>(g: &[T], [of_height, of_width]: &[Filter; 2]) -> Vec<T> {
    let (rows, columns) = (of_height.shares::<T>(), of_width.shares::<T>());
    let mut gx = zeros(g.len() / (of_height.to * of_width.to) * of_height.from * of_width.from);
    let planes = gx.par_chunks_mut(of_height.from * of_width.from).zip(g.par_chunks(of_height.to * of_width.to));
    planes.for_each_init(
        || vec![T::default(); of_width.from],
        |sum, (gx, g)| {
            for (g, (first, shares)) in g.chunks(of_width.to).zip(&rows) {
                sum.fill(T::default());
                for (g, (first, shares)) in g.iter().zip(&columns) {
                    sum[*first..].iter_mut().zip(shares).for_each(|(sum, share)| *sum += *g * *share);
                }
                for (gx, share) in gx.chunks_mut(of_width.from).skip(*first).zip(shares) {
                    gx.iter_mut().zip(sum.iter()).for_each(|(gx, sum)| *gx += *sum * *share);
                }
            }
        },
    );
    gx
}
