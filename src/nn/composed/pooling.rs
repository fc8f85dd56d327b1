//! Maximum pooling, nearest upsampling and its transpose.

use candle_core::{Result, Tensor, bail};

use super::node;
use super::taps::Taps;

/// Takes the gradient of the maxima to that of a pool's input.
pub(in super::super) type MaximaBack = Box<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// Maximum over windows of `[n, c, d, h, w]`; the first of equals in scan order has the gradient. Padding never wins. A NaN does so
/// on a CPU alone.
pub(in super::super) fn max_pool(x: &Tensor, taps: Taps) -> Result<Tensor> {
    let (best, back) = max_pool_trail(x, taps)?;
    node("max pool", x, best, back)
}

/// The same without a graph, and the way back.
pub(in super::super) fn max_pool_trail(x: &Tensor, taps: Taps) -> Result<(Tensor, MaximaBack)> {
    let plain = x.detach();
    let padded = taps.padded(&plain, f32::NEG_INFINITY)?;
    let mut best: Option<Tensor> = None;
    for tap in taps.all() {
        let seen = taps.seen(&padded, tap)?;
        best = Some(match best {
            Some(best) => best.maximum(&seen)?,
            None => seen,
        });
    }
    let Some(best) = best else { bail!("a pool of {taps:?} sees nothing") };
    let maxima = best.clone();
    Ok((best, Box::new(move |gradient: &Tensor| to_maxima(&plain, &taps, &maxima, gradient))))
}

/// Each window's gradient goes to the first place that holds its maximum.
fn to_maxima(x: &Tensor, taps: &Taps, maxima: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let padded = taps.padded(x, f32::NEG_INFINITY)?;
    let (zeros, mut left) = (gradient.zeros_like()?, gradient.clone());
    let mut sum = padded.zeros_like()?;
    for tap in taps.all() {
        let here = taps.seen(&padded, tap)?.eq(maxima)?;
        sum = (sum + taps.placed(&here.where_cond(&left, &zeros)?, tap)?)?;
        left = here.where_cond(&zeros, &left)?;
    }
    taps.cropped(&sum)
}

/// The sum of each square of `factor` x `factor` pixels of `[n, c, h, w]`.
pub(in super::super) fn sum_squares(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let squares = x.contiguous()?.reshape((n, c, h / factor, factor, w / factor, factor))?;
    squares.sum(5)?.sum(3)
}

/// Each pixel of `[n, c, h, w]` `factor` x `factor` times.
pub(in super::super) fn upsample_nearest(x: &Tensor, factor: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let wide = x.detach().contiguous()?.reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, factor, w, factor))?;
    let y = wide.contiguous()?.reshape((n, c, h * factor, w * factor))?;
    node("nearest upsampling", x, y, move |gradient| sum_squares(gradient, factor))
}
