//! The products of a block: as many sums at a time as there are registers.

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
    let sums = products(s, sums, weight, tiles, tiles_stride);
    for (row, sums) in sums.iter().enumerate() {
        for (n, sum) in sums.iter().enumerate() {
            s.store(*sum, &mut to[row * to_stride + n * S::LANES..]);
        }
    }
}

/// By value, that the sums stay in registers.
#[inline(always)]
fn products<S: Simd, const SIZE: usize, const N: usize>(
    s: S,
    mut sums: [[S::Vector; N]; SIZE],
    weight: &[f32],
    tiles: &[f32],
    stride: usize,
) -> [[S::Vector; N]; SIZE] {
    for (input, weight) in weight.as_chunks::<SIZE>().0.iter().enumerate() {
        let from = &tiles[input * stride..][..N * S::LANES];
        let mut tiles = [s.splat(0.0); N];
        for (n, tile) in tiles.iter_mut().enumerate() {
            *tile = s.load(&from[n * S::LANES..]);
        }
        for (sums, weight) in sums.iter_mut().zip(weight) {
            let weight = s.splat(*weight);
            for (sum, tile) in sums.iter_mut().zip(&tiles) {
                *sum = s.mul_add(weight, *tile, *sum);
            }
        }
    }
    sums
}
