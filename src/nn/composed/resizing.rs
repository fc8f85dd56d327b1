//! Resizing as products of matrices.

use candle_core::{Result, Tensor};

use super::node;

/// `[n, c, h, w]` by a matrix along the height, `[h, h']`, and one along the width, `[w, w']`: `[n, c, h', w']`.
pub(in super::super) fn resize(x: &Tensor, [of_height, of_width]: [Tensor; 2]) -> Result<Tensor> {
    let y = resized(&x.detach(), [&of_height, &of_width])?;
    let transposed = move |gradient: &Tensor| resized(gradient, [&of_height.t()?, &of_width.t()?]);
    node("bilinear resize", x, y, transposed)
}

/// The same without a graph.
pub(in super::super) fn resized(x: &Tensor, [of_height, of_width]: [&Tensor; 2]) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let (height, width) = (of_height.dim(1)?, of_width.dim(1)?);
    let rows = x.contiguous()?.reshape((n * c * h, w))?.matmul(of_width)?;
    let columns = rows.reshape((n, c, h, width))?.transpose(2, 3)?.contiguous()?;
    let resized = columns.reshape((n * c * width, h))?.matmul(of_height)?;
    resized.reshape((n, c, width, height))?.transpose(2, 3)?.contiguous()
}
