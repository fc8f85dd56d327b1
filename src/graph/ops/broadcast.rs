//! Two tensors number by number, each repeated along the axes where it has a length of 1, and the transpose of that.

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::along::{counted, grain};
use super::function::PIECE;
use super::reduce::summed;
use crate::nn::gemm::{Real, zeros};

/// The shape of both together, as NumPy has it.
pub(super) fn together(name: &str, a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let side = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let sides = (0..rank).map(|axis| match (side(a, axis), side(b, axis)) {
        (a, b) if a == b => Some(a),
        (1, b) => Some(b),
        (a, 1) => Some(a),
        _ => None,
    });
    match sides.collect() {
        Some(shape) => counted(name, shape),
        None => bail!(
            "{name} of tensors {a:?} and {b:?}: along each axis they are as long, or one of them has a length of 1"
        ),
    }
}

/// What was repeated from `shape`, summed.
pub(super) fn back_to(repeated: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let sides = repeated.dims();
    if sides == shape {
        return repeated.contiguous();
    }
    let more = sides.len() - shape.len();
    let axes = (0..sides.len()).filter(|axis| *axis < more || (shape[axis - more] == 1 && sides[*axis] != 1));
    summed(repeated, &axes.collect::<Vec<_>>())?.reshape(shape)
}

/// A walk through two tensors at once.
pub(super) struct Walk {
    /// Sides of the result, with how far a step along each goes in the two; those that can be walked as one are one.
    outer: Vec<(usize, [usize; 2])>,
    inner: (usize, [usize; 2]),
}

impl Walk {
    pub(super) fn new(shape: &[usize], a: &[usize], b: &[usize]) -> Self {
        let mut steps = [1, 1];
        let mut sides = Vec::<(usize, [usize; 2])>::new();
        for back in 1..=shape.len() {
            let whole = shape[shape.len() - back];
            let mut stride = [0, 0];
            for (which, of) in [a, b].into_iter().enumerate() {
                let side = of.len().checked_sub(back).map_or(1, |axis| of[axis]);
                if side == whole && whole != 1 {
                    stride[which] = steps[which];
                }
                steps[which] *= side;
            }
            match sides.last_mut() {
                _ if whole == 1 => {}
                Some((size, inner)) if (0..2).all(|which| stride[which] == *size * inner[which]) => *size *= whole,
                _ => sides.push((whole, stride)),
            }
        }
        let inner = if sides.is_empty() { (1, [0, 0]) } else { sides.remove(0) };
        Self { outer: sides, inner }
    }

    /// Where the two stand at a row of the result.
    fn starts(&self, mut row: usize) -> [usize; 2] {
        let mut starts = [0; 2];
        for (side, stride) in &self.outer {
            let at = row % side;
            row /= side;
            (0..2).for_each(|which| starts[which] += at * stride[which]);
        }
        starts
    }

    /// Where the two stand at a number of the result.
    pub(super) fn places(&self, at: usize) -> [usize; 2] {
        let (width, strides) = self.inner;
        let starts = self.starts(at / width.max(1));
        [0, 1].map(|which| starts[which] + at % width.max(1) * strides[which])
    }

    /// `of` each pair of numbers.
    pub(super) fn map<T: Real>(&self, a: &[T], b: &[T], of: impl Fn(T, T) -> T + Sync) -> Vec<T> {
        let (width, strides) = self.inner;
        let rows: usize = self.outer.iter().map(|(side, _)| side).product();
        let mut y = zeros(rows * width);
        y.par_chunks_mut(width.max(1)).with_min_len(grain(width)).enumerate().for_each(|(row, y)| {
            let [first_a, first_b] = self.starts(row);
            y.par_chunks_mut(PIECE).enumerate().for_each(|(piece, y)| {
                let [of_a, of_b] = [first_a + piece * PIECE * strides[0], first_b + piece * PIECE * strides[1]];
                let count = y.len();
                match strides {
                    [0, 0] => y.fill(of(a[of_a], b[of_b])),
                    [0, _] => y.iter_mut().zip(&b[of_b..][..count]).for_each(|(y, b)| *y = of(a[of_a], *b)),
                    [_, 0] => y.iter_mut().zip(&a[of_a..][..count]).for_each(|(y, a)| *y = of(*a, b[of_b])),
                    _ => {
                        let pairs = a[of_a..][..count].iter().zip(&b[of_b..][..count]);
                        y.iter_mut().zip(pairs).for_each(|(y, (a, b))| *y = of(*a, *b));
                    }
                }
            });
        });
        y
    }
}
