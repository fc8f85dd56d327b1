//! An axis of a tensor among those before and behind it, and the bounds of shapes.

use candle_core::{Result, bail};

/// A tensor as `[outer, side, inner]`, the axis in the middle.
pub(super) struct Along {
    axis: usize,
    pub(super) outer: usize,
    pub(super) side: usize,
    pub(super) inner: usize,
}

impl Along {
    pub(super) fn new(shape: &[usize], axis: usize) -> Result<Self> {
        match (shape.get(..axis), shape.get(axis..)) {
            (Some(outer), Some([side, inner @ ..])) => {
                Ok(Self { axis, outer: outer.iter().product(), side: *side, inner: inner.iter().product() })
            }
            _ => bail!("axis {axis} of a tensor {shape:?}"),
        }
    }

    /// The shape with another side.
    pub(super) fn with(&self, shape: &[usize], side: usize) -> Vec<usize> {
        let mut shape = shape.to_vec();
        shape[self.axis] = side;
        shape
    }

    /// Rows of `inner` numbers that one thread takes at a time.
    pub(super) fn grain(&self) -> usize {
        grain(self.inner)
    }
}

/// Rows of a width that one thread takes at a time.
pub(super) fn grain(width: usize) -> usize {
    const NUMBERS: usize = 1 << 14;
    (NUMBERS / width.max(1)).max(1)
}

/// A shape whose numbers can be counted, and each of whose places along an axis.
///
/// # Errors
/// The error says in words where they cannot.
pub(super) fn counted(name: &str, shape: Vec<usize>) -> Result<Vec<usize>> {
    const MOST: usize = isize::MAX as usize / size_of::<f64>();
    let count = shape.iter().try_fold(1, |count: usize, side| count.checked_mul((*side).max(1)));
    if count.is_none_or(|count| count > MOST) || shape.iter().any(|side| u32::try_from(*side).is_err()) {
        bail!("{name} gives a tensor {shape:?}, which has more numbers than can be counted");
    }
    Ok(shape)
}
