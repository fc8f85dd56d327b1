//! Resizing slices: linear maps of rows and of columns, so that their gradient comes for free.

use candle_core::{Result, Tensor};

/// Repeats each pixel `factor` x `factor` times.
pub fn upsample_nearest(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let spread = (n * c * h, factor, w, factor);
    x.contiguous()?.reshape((n * c * h, 1, w, 1))?.broadcast_as(spread)?.contiguous()?.reshape((
        n,
        c,
        h * factor,
        w * factor,
    ))
}

/// Half-pixel bilinear with clamped edges: PyTorch's `interpolate(mode="bilinear", align_corners=False)`.
pub fn bilinear(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    resize(x, size, false)
}

/// torchvision's `Resize` of tensors (bilinear, `antialias=True`, the default since 0.17). Enlarging equals [`bilinear`].
pub fn bilinear_antialias(x: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    resize(x, size, true)
}

fn resize(x: &Tensor, [height, width]: [usize; 2], antialias: bool) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let mut y = x.contiguous()?;
    if width != w {
        y = y.reshape((n * c * h, w))?.matmul(&weights(w, width, antialias, x)?)?.reshape((n, c, h, width))?;
    }
    if height != h {
        let columns = y.transpose(2, 3)?.contiguous()?.reshape((n * c * width, h))?;
        let resized = columns.matmul(&weights(h, height, antialias, x)?)?;
        y = resized.reshape((n, c, width, height))?.transpose(2, 3)?.contiguous()?;
    }
    Ok(y)
}

/// `[from, to]`: the share of each input pixel in each output pixel, a triangle filter about its centre.
/// Source: PyTorch's `aten/src/ATen/native/cpu/UpSampleKernel.cpp`, `_compute_indices_weights_aa`.
fn weights(from: usize, to: usize, antialias: bool, like: &Tensor) -> Result<Tensor> {
    let scale = from as f64 / to as f64;
    let spread = if antialias { scale.max(1.0) } else { 1.0 };
    let mut matrix = vec![0.0_f64; from * to];
    for i in 0..to {
        let mut center = scale * (i as f64 + 0.5);
        if !antialias {
            center = center.clamp(0.5, from as f64 - 0.5); // edges repeat
        }
        let low = (center - spread + 0.5).max(0.0) as usize;
        let high = ((center + spread + 0.5) as usize).min(from);
        let share = |j: usize| (1.0 - ((j as f64 - center + 0.5) / spread).abs()).max(0.0);
        let sum: f64 = (low..high).map(share).sum();
        for j in low..high {
            matrix[j * to + i] = share(j) / sum;
        }
    }
    Tensor::from_vec(matrix, (from, to), like.device())?.to_dtype(like.dtype())
}
