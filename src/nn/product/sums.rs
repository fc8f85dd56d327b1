//! A tile of sums: as many at a time as there are registers.

use crate::nn::simd::Simd;

/// Vectors of columns that are multiplied together: with the rows of the largest tile they fill the registers with sums.
pub(crate) const VECTORS: usize = 3;

/// `[SIZE, N]` vectors of sums, each with `weight columns` added: `weight` is `[inner, SIZE]`, `columns` `[inner, stride]`. By value,
/// that the sums stay in registers.
#[inline(always)]
pub(crate) fn add_products<S: Simd, const SIZE: usize, const N: usize>(
    s: S,
    mut sums: [[S::Vector; N]; SIZE],
    weight: &[f32],
    columns: &[f32],
    stride: usize,
) -> [[S::Vector; N]; SIZE] {
    for (inner, weight) in weight.as_chunks::<SIZE>().0.iter().enumerate() {
        let from = &columns[inner * stride..][..N * S::LANES];
        let mut vectors = [s.splat(0.0); N];
        for (n, vector) in vectors.iter_mut().enumerate() {
            *vector = s.load(&from[n * S::LANES..]);
        }
        for (sums, weight) in sums.iter_mut().zip(weight) {
            let weight = s.splat(*weight);
            for (sum, vector) in sums.iter_mut().zip(&vectors) {
                *sum = s.mul_add(weight, *vector, *sum);
            }
        }
    }
    sums
}
