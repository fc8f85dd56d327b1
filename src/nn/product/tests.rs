//! Products against plain sums in f64, for every instruction set.

use super::*;
use crate::nn::simd::Instructions;

/// Of the sum of the factors' magnitudes: each of at most a few hundred additions may round by half a last place.
const TOLERANCE: f64 = 1e-6;
/// What no product writes.
const UNTOUCHED: f32 = -77.0;

/// Numbers in -1..1 that are no pattern of a tile's size.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// One product: sizes, whether the left, the right is stored transposed, whether there is a bias.
#[derive(Clone, Copy, Debug)]
struct Case {
    sizes: [usize; 3], // rows, inner, columns
    transposed: [bool; 2],
    bias: bool,
}

fn matrix(values: &[f32], shape: [usize; 2], transposed: bool) -> Matrix<'_, f32> {
    let strides = if transposed { [1, shape[0] + 3] } else { [shape[1] + 2, 1] };
    Matrix { values, offset: 5, shape, strides }
}

fn multiplied(left: &Packed, rows: Range<usize>, right: Matrix<'_, f32>, bias: &[f64], row_stride: usize) -> Vec<f32> {
    let mut out = vec![UNTOUCHED; 3 + left.rows() * row_stride];
    let to = Place { columns: &Columns::new(&mut out), offset: 3, row_stride };
    // SAFETY: the output is borrowed here alone.
    unsafe { f32::multiply(left, rows, right, bias, to, &mut Room::default()) };
    out
}

/// Holds a product beside its sums in f64: the worst gap, of the largest that rounding could make.
fn gap(instructions: Instructions, case: Case) -> f64 {
    let [rows, inner, columns] = case.sizes;
    let values = [numbers((rows + 3) * (inner + 3) + 5, 1), numbers((inner + 3) * (columns + 3) + 5, 2)];
    let left = matrix(&values[0], [rows, inner], case.transposed[0]);
    let right = matrix(&values[1], [inner, columns], case.transposed[1]);
    let bias: Vec<f64> = numbers(if case.bias { rows } else { 0 }, 3).into_iter().map(f64::from).collect();
    let out = multiplied(&Packed::within(instructions, left), 0..rows, right, &bias, columns + 1);
    let at = |matrix: &Matrix<'_, f32>, row: usize, column: usize| {
        f64::from(matrix.values[matrix.offset + row * matrix.strides[0] + column * matrix.strides[1]])
    };
    let mut worst = 0.0_f64;
    for row in 0..rows {
        for column in 0..columns {
            let begin = bias.get(row).copied().unwrap_or(0.0);
            let terms = (0..inner).map(|i| at(&left, row, i) * at(&right, i, column));
            let (sum, size) =
                terms.fold((begin, begin.abs() + 1e-3), |(sum, size), term| (sum + term, size + term.abs()));
            worst = worst.max((f64::from(out[3 + row * (columns + 1) + column]) - sum).abs() / size);
        }
        assert_eq!(out[3 + row * (columns + 1) + columns], UNTOUCHED, "{case:?}: behind row {row}");
    }
    assert_eq!(out[..3], [UNTOUCHED; 3], "{case:?}: before the first row");
    worst
}

/// Sizes around those of tiles, panels and runs. Miri takes fewer.
const SIZES: [[usize; 3]; 14] = [
    [1, 1, 1],
    [2, 3, 7],
    [3, 2, 13],
    [7, 13, 16],
    [8, 5, 12],
    [5, 0, 3],
    [13, 1, 49],
    [13, 64, 1],
    [64, 65, 48],
    [65, 130, 47],
    [130, 7, 65],
    [9, 700, 50],
    [300, 3, 20],
    [15, 129, 500],
];

#[test]
fn every_instruction_set_gives_the_sums_of_f64() {
    let sizes = if cfg!(miri) { &SIZES[..5] } else { &SIZES[..] };
    for instructions in Instructions::all() {
        for sizes in sizes.iter().copied() {
            for flags in 0..8 {
                let case = Case { sizes, transposed: [flags & 1 > 0, flags & 2 > 0], bias: flags & 4 > 0 };
                let gap = gap(instructions, case);
                assert!(gap <= TOLERANCE, "{instructions:?}, {case:?}: off by {gap:e}");
            }
        }
    }
}

#[test]
fn no_sum_depends_on_how_rows_and_columns_are_shared_out() {
    let [rows, inner, columns] = if cfg!(miri) { [11, 5, 29] } else { [29, 300, 131] };
    let (left, right) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
    let bias: Vec<f64> = numbers(rows, 3).into_iter().map(f64::from).collect();
    let left = Matrix { values: &left, offset: 0, shape: [rows, inner], strides: [inner, 1] };
    let right = |first: usize, count: usize| Matrix {
        values: &right,
        offset: first,
        shape: [inner, count],
        strides: [columns, 1],
    };
    for instructions in Instructions::all() {
        let left = Packed::within(instructions, left);
        let whole = multiplied(&left, 0..rows, right(0, columns), &bias, columns);
        for first in [1, 17, columns - 1] {
            let part = multiplied(&left, 8..rows, right(first, columns - first), &bias, columns);
            for row in 8..rows {
                let [whole, part] = [&whole[3 + row * columns + first..], &part[3 + row * columns..]];
                assert_eq!(
                    whole[..columns - first],
                    part[..columns - first],
                    "{instructions:?}: row {row} from {first} on"
                );
            }
        }
    }
}

#[test]
fn no_sum_depends_on_the_number_of_threads() {
    let [rows, inner] = if cfg!(miri) { [11, 5] } else { [300, 700] };
    let values = numbers(rows * inner, 4);
    let left = Matrix { values: &values, offset: 0, shape: [rows, inner], strides: [inner, 1] };
    let right = Matrix { values: &values, offset: 0, shape: [inner, 9], strides: [9, 1] };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| multiplied(&Packed::new(left), 0..rows, right, &[], 9))
    };
    let alone = on(1);
    for threads in [2, 3, 7] {
        assert_eq!(alone, on(threads), "{threads} threads");
    }
}
