//! What each tap of a window sees of a volume, and the transpose of that.

use candle_core::{Result, Tensor};

use crate::nn::geometry::Geometry;

/// Windows over volumes of a size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taps {
    geometry: Geometry,
    input: [usize; 3],
    output: [usize; 3],
}

impl Taps {
    pub(super) fn new(geometry: Geometry, input: [usize; 3]) -> Result<Self> {
        Ok(Self { geometry, input, output: geometry.output(input)? })
    }

    pub(super) fn output(&self) -> [usize; 3] {
        self.output
    }

    pub(super) fn positions(&self) -> usize {
        self.output.iter().product()
    }

    pub(super) fn count(&self) -> usize {
        self.geometry.taps()
    }

    /// Every tap, in scan order.
    pub(super) fn all(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [_, kh, kw] = self.geometry.kernel;
        (0..self.count()).map(move |tap| [tap / (kh * kw), tap / kw % kh, tap % kw])
    }

    /// The matrix whose product with a kernel's weights is a convolution: `[n, c, d, h, w]` to `[n, c * taps, positions]`.
    pub(super) fn unfold(&self, x: &Tensor) -> Result<Tensor> {
        let (n, c) = (x.dim(0)?, x.dim(1)?);
        if self.geometry.pointwise() {
            return x.contiguous()?.reshape((n, c, self.positions()));
        }
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() {
            let shape = [n, c * self.count(), self.positions()];
            return crate::nn::cuda::launch("unfold", &[x], &self.numbers(c), &shape, [shape[2], shape[1], n]);
        }
        let padded = self.padded(x, 0.0)?;
        let seen = self.all().map(|tap| self.seen(&padded, tap)).collect::<Result<Vec<_>>>()?;
        Tensor::stack(&seen, 2)?.reshape((n, c * self.count(), self.positions()))
    }

    /// The transpose: each voxel's sum over what the taps that see it hold.
    pub(super) fn fold(&self, columns: &Tensor) -> Result<Tensor> {
        let (n, c) = (columns.dim(0)?, columns.dim(1)? / self.count());
        let [d, h, w] = self.input;
        #[cfg(feature = "cuda")]
        if columns.device().is_cuda() {
            return crate::nn::cuda::launch("fold", &[columns], &self.numbers(c), &[n, c, d, h, w], [d * h * w, c, n]);
        }
        let [od, oh, ow] = self.output;
        let columns = columns.reshape((n, c, self.count(), self.positions()))?;
        let mut sum: Option<Tensor> = None;
        for (number, tap) in self.all().enumerate() {
            let seen = columns.narrow(2, number, 1)?.contiguous()?.reshape((n, c, od, oh, ow))?;
            let placed = self.placed(&seen, tap)?;
            sum = Some(match sum {
                Some(sum) => (sum + placed)?,
                None => placed,
            });
        }
        match sum {
            Some(sum) => self.cropped(&sum),
            None => Tensor::zeros((n, c, d, h, w), columns.dtype(), columns.device()),
        }
    }

    #[cfg(feature = "cuda")]
    fn numbers(&self, channels: usize) -> Vec<usize> {
        let Geometry { kernel, stride, padding } = self.geometry;
        [channels].into_iter().chain([self.input, self.output, kernel, stride, padding].concat()).collect()
    }

    /// How many places an axis has once padded: a whole number of strides, which no window leaves.
    fn room(&self, axis: usize) -> usize {
        let (kernel, stride) = (self.geometry.kernel[axis], self.geometry.stride[axis]);
        (self.output[axis] + kernel.div_ceil(stride)) * stride
    }

    /// `x` with `filling` around it.
    pub(super) fn padded(&self, x: &Tensor, filling: f32) -> Result<Tensor> {
        let mut x = x.clone();
        for axis in 0..3 {
            let at = axis + 2;
            let (before, room) = (self.geometry.padding[axis], self.room(axis));
            let after = room.saturating_sub(x.dim(at)? + before);
            let filled = |count: usize| -> Result<Tensor> {
                let mut shape = x.dims().to_vec();
                shape[at] = count;
                Tensor::full(filling, shape, x.device())?.to_dtype(x.dtype())
            };
            let parts = [(before > 0).then(|| filled(before)), Some(Ok(x.clone())), (after > 0).then(|| filled(after))];
            let parts = parts.into_iter().flatten().collect::<Result<Vec<_>>>()?;
            x = Tensor::cat(&parts, at)?.narrow(at, 0, room)?.contiguous()?;
        }
        Ok(x)
    }

    /// What one tap of every window sees: `[n, c, output]`.
    pub(super) fn seen(&self, padded: &Tensor, tap: [usize; 3]) -> Result<Tensor> {
        let mut seen = padded.clone();
        for (axis, place) in tap.into_iter().enumerate() {
            // Every stride-th from the tap on: one column of rows of a stride.
            let (stride, at) = (self.geometry.stride[axis], axis + 2);
            let mut rows = seen.dims().to_vec();
            rows[at] /= stride;
            rows.insert(at + 1, stride);
            let column = seen.contiguous()?.reshape(rows)?.narrow(at + 1, place % stride, 1)?.squeeze(at + 1)?;
            seen = column.narrow(at, place / stride, self.output[axis])?;
        }
        seen.contiguous()
    }

    /// The transpose of [`Self::seen`]: `[n, c, output]` where the tap sees it in a padded volume, zeros elsewhere.
    pub(super) fn placed(&self, seen: &Tensor, tap: [usize; 3]) -> Result<Tensor> {
        let mut placed = seen.contiguous()?;
        for (axis, place) in tap.into_iter().enumerate() {
            let (stride, at) = (self.geometry.stride[axis], axis + 2);
            let gaps = placed.unsqueeze(at + 1)?.pad_with_zeros(at + 1, 0, stride - 1)?.flatten(at, at + 1)?;
            let after = self.room(axis) - self.output[axis] * stride;
            placed = gaps.pad_with_zeros(at, 0, after)?;
            placed = placed.narrow(at, 0, self.room(axis) - place)?.pad_with_zeros(at, place, 0)?.contiguous()?;
        }
        Ok(placed)
    }

    /// A padded volume without its padding.
    pub(super) fn cropped(&self, padded: &Tensor) -> Result<Tensor> {
        let mut x = padded.clone();
        for axis in 0..3 {
            let before = self.geometry.padding[axis];
            let inside = self.input[axis].min(self.room(axis) - before);
            x = x.narrow(axis + 2, before, inside)?.pad_with_zeros(axis + 2, 0, self.input[axis] - inside)?;
        }
        x.contiguous()
    }
}
