//! Sums, means and extremes over axes.

use std::sync::Arc;

use candle_core::{D, Result, Tensor, bail};
use rayon::prelude::*;

use super::along::grain;
use super::{Operation, Pass, Saved, Saves, Sum, each, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Real, zeros};
use crate::nn::numbers::{Held, by_type, tensor};

/// What is made of the numbers along the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    Sum,
    Mean,
    /// The first of equal numbers has the gradient.
    Max,
    /// The first of equal numbers has the gradient.
    Min,
}

/// One number of all along some axes, which stay with a length of 1 where they are to be kept.
pub struct Reduce {
    pub reduction: Reduction,
    pub axes: Vec<usize>,
    pub keep: bool,
}

/// Where along `axis` the largest number lies, as a number: the first of equal ones, or the last. It has no gradient.
pub struct ArgMax {
    pub axis: usize,
    pub keep: bool,
    pub last: bool,
}

/// A tensor whose reduced axes stand last: by row of the result, what is reduced.
struct Rows {
    /// The order of the axes, the reduced ones last.
    order: Vec<usize>,
    /// The shape in that order.
    shape: Vec<usize>,
    /// Numbers along the reduced axes.
    width: usize,
}

impl Rows {
    fn new(shape: &[usize], axes: &[usize]) -> Self {
        let (last, mut order): (Vec<usize>, Vec<usize>) = (0..shape.len()).partition(|axis| axes.contains(axis));
        order.extend(&last);
        Self {
            shape: order.iter().map(|axis| shape[*axis]).collect(),
            width: last.iter().map(|axis| shape[*axis]).product(),
            order,
        }
    }

    fn in_place(&self) -> bool {
        self.order.iter().copied().eq(0..self.order.len())
    }

    /// A tensor with the reduced axes last.
    fn of(&self, x: &Tensor) -> Result<Tensor> {
        if self.in_place() { x.contiguous() } else { x.permute(self.order.as_slice())?.contiguous() }
    }

    /// The transpose of [`Self::of`].
    fn back(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = rows.reshape(self.shape.as_slice())?;
        if self.in_place() {
            return Ok(rows);
        }
        let mut inverse = vec![0; self.order.len()];
        self.order.iter().enumerate().for_each(|(to, from)| inverse[*from] = to);
        rows.permute(inverse.as_slice())?.contiguous()
    }
}

/// A shape without the reduced axes, or with a 1 for each.
fn reduced(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let sides = shape.iter().enumerate().filter(|(axis, _)| keep || !axes.contains(axis));
    sides.map(|(axis, side)| if axes.contains(&axis) { 1 } else { *side }).collect()
}

/// Sum in f64 by sixteen lanes: a long row of f32 loses nothing.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a loop over numbers")]
fn row_sum<T: Real>(row: &[T]) -> f64 {
    let (sixteens, rest) = row.as_chunks::<16>();
    let mut lanes = [0.0_f64; 16];
    for sixteen in sixteens {
        lanes.iter_mut().zip(sixteen).for_each(|(lane, x)| *lane += x.to_f64());
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|x| x.to_f64()).sum::<f64>()
}

/// The place of a row's extreme, whose sign is such that it is a maximum.
fn extreme<T: Real>(row: &[T], sign: T, last: bool) -> usize {
    let mut best = 0;
    for (at, x) in row.iter().enumerate() {
        let (x, of_best) = (*x * sign, row[best] * sign);
        let is_none = x.partial_cmp(&x).is_none() && of_best.partial_cmp(&of_best).is_some();
        if x > of_best || is_none || (last && x == of_best) {
            best = at;
        }
    }
    best
}

/// The sum over some axes, which stay with a length of 1.
pub(super) fn summed(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    let shape = reduced(x.dims(), axes, true);
    if !has_kernels(x.device()) {
        return x.sum_keepdim(axes)?.reshape(shape);
    }
    let rows = Rows::new(x.dims(), axes);
    let x = rows.of(x)?;
    let held = Held::of(&x);
    by_type!(x, T => {
        let mut y = zeros::<T>(shape.iter().product());
        let sums = y.par_iter_mut().with_min_len(grain(rows.width)).zip(held.numbers::<T>()?.par_chunks(rows.width.max(1)));
        sums.for_each(|(y, row)| *y = T::from_f64(row_sum(row)));
        tensor(y, &shape)
    })
}

/// Holds, by row, the place of its extreme.
fn extremes<T: Real>(x: &[T], width: usize, sign: T, last: bool) -> Vec<u32> {
    x.par_chunks(width.max(1)).with_min_len(grain(width)).map(|row| extreme(row, sign, last) as u32).collect()
}

fn check(name: &str, shape: &[usize], axes: &[usize]) -> Result<()> {
    let twice = axes.iter().enumerate().any(|(at, axis)| axes[..at].contains(axis));
    if twice || axes.iter().any(|axis| *axis >= shape.len()) {
        bail!("{name} of a tensor {shape:?}: each axis must be one of its {}, once", shape.len());
    }
    Ok(())
}

/// More places along the axes than are counted.
fn countable(name: &str, shape: &[usize], axes: &[usize]) -> Result<()> {
    let width: usize = axes.iter().map(|axis| shape[*axis]).product();
    if u32::try_from(width).is_err() {
        bail!("{name} of a tensor {shape:?}: {width} places are more than are counted");
    }
    Ok(())
}

impl Reduce {
    fn sign(&self) -> Option<f64> {
        match self.reduction {
            Reduction::Sum | Reduction::Mean => None,
            Reduction::Max => Some(1.0),
            Reduction::Min => Some(-1.0),
        }
    }

    /// Gives the place of each row's extreme, u32 `[rows, 1]`, of `[rows, width]`, where our loops do not run.
    fn places(rows: &Tensor, sign: f64) -> Result<Tensor> {
        if sign > 0.0 { rows.argmax_keepdim(D::Minus1) } else { rows.argmin_keepdim(D::Minus1) }
    }

    fn extremes(&self, x: &Tensor, sign: f64, save: bool) -> Result<(Tensor, Saved)> {
        let shape = reduced(x.dims(), &self.axes, self.keep);
        let rows = Rows::new(x.dims(), &self.axes);
        let count: usize = shape.iter().product();
        let numbers = rows.of(x)?;
        if rows.width == 0 {
            // The extreme of nothing is the end of the numbers on its side.
            let ends = Tensor::full(-sign * f64::INFINITY, shape, &candle_core::Device::Cpu)?;
            return Ok((ends.to_dtype(x.dtype())?.to_device(x.device())?, Saved::Nothing));
        }
        if !has_kernels(x.device()) {
            let numbers = numbers.reshape((count, rows.width))?;
            let places = Self::places(&numbers, sign)?;
            let y = numbers.gather(&places, 1)?.reshape(shape)?;
            return Ok((y, if save { Saved::Tensors(vec![places]) } else { Saved::Nothing }));
        }
        let held = Held::of(&numbers);
        by_type!(x, T => {
            let numbers = held.numbers::<T>()?;
            let places = extremes(numbers, rows.width, T::from_f64(sign), false);
            let y = numbers.chunks(rows.width).zip(&places).map(|(row, place)| row[*place as usize]).collect();
            let saved = if save { Saved::Indices(Arc::new(places)) } else { Saved::Nothing };
            Ok((tensor(y, &shape)?, saved))
        })
    }

    /// Each extreme's gradient goes to its place.
    fn to_extremes(&self, pass: &Pass<'_>, gradient: &Tensor) -> Result<Tensor> {
        let shape = only(pass.shapes)?;
        let (rows, gradient) = (Rows::new(shape, &self.axes), gradient.contiguous()?);
        let count = gradient.elem_count();
        match pass.saved {
            Saved::Tensors(places) if places.len() == 1 => {
                let zeros = Tensor::zeros((count, rows.width), gradient.dtype(), gradient.device())?;
                rows.back(&zeros.scatter_add(&places[0], &gradient.reshape((count, 1))?, 1)?)
            }
            Saved::Indices(places) if places.len() == count => {
                let held = Held::of(&gradient);
                by_type!(gradient, T => {
                    let mut gx = zeros::<T>(count * rows.width);
                    let all = gx.par_chunks_mut(rows.width.max(1)).with_min_len(grain(rows.width));
                    let given = held.numbers::<T>()?.par_iter().zip(places.par_iter());
                    all.zip(given).for_each(|(gx, (g, place))| gx[*place as usize] = *g);
                    rows.back(&tensor(gx, &rows.shape)?)
                })
            }
            // The extreme of nothing.
            Saved::Nothing if rows.width == 0 => Tensor::zeros(shape, gradient.dtype(), gradient.device()),
            _ => bail!("a gradient of another reduction than the {} places that were saved", count),
        }
    }
}

impl Operation for Reduce {
    fn name(&self) -> String {
        format!("{:?} over axes {:?}", self.reduction, self.axes).to_lowercase()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        check(&self.name(), shape, &self.axes)?;
        countable(&self.name(), shape, &self.axes)?;
        Ok(reduced(shape, &self.axes, self.keep))
    }

    fn saves(&self) -> Saves {
        if self.sign().is_some() { Saves::Indices } else { Saves::Nothing }
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0];
        let shape = self.shape(&[x.dims()])?;
        if let Some(sign) = self.sign() {
            return self.extremes(x, sign, save);
        }
        let y = summed(x, &self.axes)?.reshape(shape)?;
        let width: usize = self.axes.iter().map(|axis| x.dims()[*axis]).product();
        Ok((if self.reduction == Reduction::Mean { (y / width as f64)? } else { y }, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let shape = only(pass.shapes)?;
        if self.sign().is_some() {
            return each(into, |_| self.to_extremes(pass, gradient));
        }
        let beside = gradient.contiguous()?.reshape(reduced(shape, &self.axes, true))?;
        let width: usize = self.axes.iter().map(|axis| shape[*axis]).product();
        let share = if self.reduction == Reduction::Mean { (beside / width.max(1) as f64)? } else { beside };
        each(into, |_| share.broadcast_as(shape)?.contiguous())
    }
}

impl Operation for ArgMax {
    fn name(&self) -> String {
        format!("place of the maximum along axis {}", self.axis)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        check(&self.name(), shape, &[self.axis])?;
        countable(&self.name(), shape, &[self.axis])?;
        if shape[self.axis] == 0 {
            bail!("{} of a tensor {shape:?}, which has no numbers there", self.name());
        }
        Ok(reduced(shape, &[self.axis], self.keep))
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0];
        let (shape, rows) = (self.shape(&[x.dims()])?, Rows::new(x.dims(), &[self.axis]));
        let numbers = rows.of(x)?;
        if !has_kernels(x.device()) {
            let numbers = numbers.reshape((shape.iter().product::<usize>(), rows.width))?;
            let places = if self.last {
                // The first in the reverse order.
                numbers.flip(&[1])?.argmax(1)?.to_dtype(x.dtype())?.affine(-1.0, rows.width as f64 - 1.0)?
            } else {
                numbers.argmax(1)?.to_dtype(x.dtype())?
            };
            return Ok((places.reshape(shape)?, Saved::Nothing));
        }
        let held = Held::of(&numbers);
        by_type!(x, T => {
            let places = extremes(held.numbers::<T>()?, rows.width, T::ONE, self.last);
            Ok((tensor(places.iter().map(|place| T::from_f64(f64::from(*place))).collect::<Vec<T>>(), &shape)?, Saved::Nothing))
        })
    }

    fn vjp(&self, _: &Pass<'_>, _: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        super::stopped(into)
    }

    fn stops(&self) -> bool {
        true
    }
}
