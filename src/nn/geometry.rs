//! Kernel, stride, padding and dilation of a convolution, and the sizes that follow.

use std::ops::Range;

use candle_core::{Result, bail};

/// The geometry of a convolution by axis: depth, height, width. A 2-D convolution is 1 deep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) kernel: [usize; 3],
    pub(crate) stride: [usize; 3],
    pub(crate) padding: [usize; 3],
    /// How far apart the elements of a kernel stand, at least 1.
    pub(crate) dilation: [usize; 3],
}

/// The sizes of one pass: how many volumes, and the size of each in the input and in the output, by axis.
#[derive(Clone, Copy)]
pub(crate) struct Images {
    pub(crate) samples: usize,
    pub(crate) input: [usize; 3],
    pub(crate) output: [usize; 3],
}

impl Images {
    /// The voxels of one sample of the input, and the positions of one of the output.
    pub(crate) fn counts(&self) -> [usize; 2] {
        [self.input, self.output].map(|size| size.iter().product())
    }
}

impl Geometry {
    /// How many elements a kernel has for each pair of channels.
    pub(crate) fn elements(&self) -> usize {
        self.kernel.iter().product()
    }

    /// How many voxels a kernel spans along each axis, from its first element to its last.
    pub(crate) fn span(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.kernel[axis].saturating_sub(1) * self.dilation[axis] + 1)
    }

    /// Whether the im2col matrix is the input itself.
    pub(crate) fn pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.stride == [1; 3] && self.padding == [0; 3]
    }

    pub(crate) fn output(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let (mut output, span) = ([0; 3], self.span());
        for axis in 0..3 {
            let padded = input[axis] + 2 * self.padding[axis];
            if input[axis] == 0 || padded < span[axis] || self.stride[axis] == 0 {
                bail!(
                    "a convolution of kernel {:?}, stride {:?}, padding {:?}, dilation {:?} does not fit an input of {input:?}",
                    self.kernel,
                    self.stride,
                    self.padding,
                    self.dilation
                );
            }
            output[axis] = (padded - span[axis]) / self.stride[axis] + 1;
        }
        Ok(output)
    }

    /// Which of so many output slices have any of some input slices in their receptive field.
    pub(crate) fn reached(&self, slices: &Range<usize>, outputs: usize) -> Range<usize> {
        let ([depth, ..], [stride, ..], [padding, ..]) = (self.span(), self.stride, self.padding);
        let first = (slices.start + padding + 1).saturating_sub(depth).div_ceil(stride);
        let end = (slices.end + padding).div_ceil(stride); // slice z reads from z * stride - padding on
        first.min(outputs)..end.clamp(first.min(outputs), outputs)
    }

    /// Gives the geometry of the convolution that takes the output's gradient to the input's, where that is one: at stride 1,
    /// unless there is more padding than a kernel spans.
    pub(crate) fn mirrored(&self) -> Option<Self> {
        let mut padding = self.span();
        for (axis, padded) in padding.iter_mut().zip(self.padding) {
            *axis = axis.checked_sub(padded + 1)?;
        }
        (self.stride == [1; 3]).then_some(Self { padding, ..*self })
    }
}
