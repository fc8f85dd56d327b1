//! Unfolds windows over volumes into columns (im2col), and folds columns back: the transpose.

use candle_core::{Result, Tensor};

use crate::nn::geometry::Geometry;

/// Windows of one geometry, without dilation, over volumes of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unfold {
    geometry: Geometry,
    input: [usize; 3],
    output: [usize; 3],
}

impl Unfold {
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
        self.geometry.elements()
    }

    /// Every element of a window, its place by axis, in scan order.
    pub(super) fn elements(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [_, kh, kw] = self.geometry.kernel;
        (0..self.count()).map(move |element| [element / (kh * kw), element / kw % kh, element % kw])
    }

    /// Gives the matrix whose product with a kernel's weights is a convolution: `[n, c, d, h, w]` to `[n, c * elements, positions]`.
    pub(super) fn columns(&self, x: &Tensor) -> Result<Tensor> {
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
        let gathered = self.elements().map(|element| self.gather(&padded, element)).collect::<Result<Vec<_>>>()?;
        Tensor::stack(&gathered, 2)?.reshape((n, c * self.count(), self.positions()))
    }

    /// Gives the transpose of [`Self::columns`]: each voxel's sum over the window elements that read it.
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
        for (number, element) in self.elements().enumerate() {
            let gathered = columns.narrow(2, number, 1)?.contiguous()?.reshape((n, c, od, oh, ow))?;
            let placed = self.scatter(&gathered, element)?;
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
        let Geometry { kernel, stride, padding, .. } = self.geometry;
        [channels].into_iter().chain([self.input, self.output, kernel, stride, padding].concat()).collect()
    }

    /// How many places an axis has once padded: a whole number of strides, which no window leaves.
    fn room(&self, axis: usize) -> usize {
        let (kernel, stride) = (self.geometry.kernel[axis], self.geometry.stride[axis]);
        (self.output[axis] + kernel.div_ceil(stride)) * stride
    }

    /// Gives `x` with `filling` around it.
    pub(super) fn padded(&self, x: &Tensor, filling: f32) -> Result<Tensor> {
        let mut x = x.clone();
        for axis in 0..3 {
            let at = axis + 2;
            let (before, room) = (self.geometry.padding[axis], self.room(axis));
            let behind = room.saturating_sub(x.dim(at)? + before);
            let filled = |count: usize| -> Result<Tensor> {
                let mut shape = x.dims().to_vec();
                shape[at] = count;
                Tensor::full(filling, shape, x.device())?.to_dtype(x.dtype())
            };
            let parts =
                [(before > 0).then(|| filled(before)), Some(Ok(x.clone())), (behind > 0).then(|| filled(behind))];
            let parts = parts.into_iter().flatten().collect::<Result<Vec<_>>>()?;
            x = Tensor::cat(&parts, at)?.narrow(at, 0, room)?.contiguous()?;
        }
        Ok(x)
    }

    /// Gives what one element of every window reads: `[n, c, output]`.
    pub(super) fn gather(&self, padded: &Tensor, element: [usize; 3]) -> Result<Tensor> {
        let mut gathered = padded.clone();
        for (axis, place) in element.into_iter().enumerate() {
            // Every stride-th from the element on: one column of rows of a stride.
            let (stride, at) = (self.geometry.stride[axis], axis + 2);
            let mut rows = gathered.dims().to_vec();
            rows[at] /= stride;
            rows.insert(at + 1, stride);
            let column = gathered.contiguous()?.reshape(rows)?.narrow(at + 1, place % stride, 1)?.squeeze(at + 1)?;
            gathered = column.narrow(at, place / stride, self.output[axis])?;
        }
        gathered.contiguous()
    }

    /// Gives the transpose of [`Self::gather`]: `[n, c, output]` where the element reads it in a padded volume, zeros elsewhere.
    pub(super) fn scatter(&self, gathered: &Tensor, element: [usize; 3]) -> Result<Tensor> {
        let mut placed = gathered.contiguous()?;
        for (axis, place) in element.into_iter().enumerate() {
            let (stride, at) = (self.geometry.stride[axis], axis + 2);
            let gaps = placed.unsqueeze(at + 1)?.pad_with_zeros(at + 1, 0, stride - 1)?.flatten(at, at + 1)?;
            let behind = self.room(axis) - self.output[axis] * stride;
            placed = gaps.pad_with_zeros(at, 0, behind)?;
            placed = placed.narrow(at, 0, self.room(axis) - place)?.pad_with_zeros(at, place, 0)?.contiguous()?;
        }
        Ok(placed)
    }

    /// Gives a padded volume without its padding.
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
