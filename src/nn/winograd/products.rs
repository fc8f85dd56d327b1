//! The products of a block: as many sums at a time as there are registers.

use crate::nn::simd::Simd;

/// Computes `[SIZE, N]` sums over the inputs, and adds what they were where there is `more`: `weight` is `[inputs, SIZE]`, the
/// tiles are `[inputs, stride]`, the sums `[SIZE, stride]`.
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
    let sums = summed(s, sums, weight, tiles, tiles_stride);
    for (row, sums) in sums.iter().enumerate() {
        for (n, sum) in sums.iter().enumerate() {
            s.store(*sum, &mut to[row * to_stride + n * S::LANES..]);
        }
    }
}

/// Gives `[SIZE, N]` vectors of sums, each with `weight columns` added: `weight` is `[inner, SIZE]`, `columns` `[inner, stride]`. The
/// sums are passed by value, so that they stay in registers.
#[inline(always)]
fn summed<S: Simd, const SIZE: usize, const N: usize>(
    s: S,
    mut sums: [[S::Vector; N]; SIZE],
    weight: &[f32],
    columns: &[f32],
    stride: usize,
) -> [[S::Vector; N]; SIZE] {
    for (inner, weight) in weight.as_chunks::<SIZE>().0.iter().enumerate() {
        let from = &columns[inner * stride..][..N * S::LANES];
        let vectors: [S::Vector; N] = std::array::from_fn(|n| s.load(&from[n * S::LANES..]));
        for (sums, weight) in sums.iter_mut().zip(weight) {
            let weight = s.splat(*weight);
            for (sum, vector) in sums.iter_mut().zip(&vectors) {
                *sum = s.mul_add(weight, *vector, *sum);
            }
        }
    }
    sums
}
