//! The products of a block: as many sums at a time as there are registers.

use crate::nn::product::sums;
use crate::nn::simd::Simd;

/// `[SIZE, N]` sums over the inputs, with what they were where there is `more`: `weight` is `[inputs, SIZE]`, the tiles are
/// `[inputs, stride]`, the sums `[SIZE, stride]`.
#[inline(always)]
pub(super) fn add_products<S: Simd, const SIZE: usize, const N: usize>(
    s: S,
    weight: &[f32],
    (tiles, tiles_stride): (&[f32], usize),
    (to, to_stride): (&mut [f32], usize),
    more: bool,
) {
    let mut sums = [[s.splat(0.0); N]; SIZE];
    if more {
        for (row, sums) in sums.iter_mut().enumerate() {
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum = s.load(&to[row * to_stride + n * S::LANES..]);
            }
        }
    }
    let sums = sums::add_products(s, sums, weight, tiles, tiles_stride);
    for (row, sums) in sums.iter().enumerate() {
        for (n, sum) in sums.iter().enumerate() {
            s.store(*sum, &mut to[row * to_stride + n * S::LANES..]);
        }
    }
}
