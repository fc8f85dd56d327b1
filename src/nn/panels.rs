//! Products of f32 matrices by kernels of our own, for vectors of AVX-512 and of AVX2.
//!
//! Some columns of the right matrix are copied in panels, which stay in the second-level cache while all rows of the left pass by.
//! The rows of the left matrix are read where they lie. A tile of the output stays in registers while it is summed.
//!
//! A sum begins at 0, runs over [`SUMMED`] inner indices in order, by fused multiply-adds, and is then added to those before: so
//! `matrixmultiply` sums too.
#![expect(unsafe_code, reason = "outputs need not be written before, and the innermost loop checks no bounds")]

use std::cell::RefCell;
use std::ops::Range;

use super::epilogue::Epilogue;
use super::gemm::{Destination, Matrix};
use super::simd::{Simd, WIDEST_LANES, Work};

/// Inner indices that are summed at a time.
const SUMMED: usize = 256;
/// The most vectors in a row of a panel.
const WIDEST: usize = 3;
/// Panels that are copied at a time: half a second-level cache of 1 MB, or of 256 KB where vectors are narrower.
const PANELS: usize = 10;
/// Numbers in a line of the cache.
const LINE: usize = 16;

thread_local! {
    /// The copies, kept from product to product.
    static COPIES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Some rows of `left right + bias`, and what follows them.
pub(super) struct Product<'a> {
    left: Matrix<'a, f32>,
    rows: Range<usize>,
    right: Matrix<'a, f32>,
    bias: &'a [f64],
    to: Destination<'a, f32>,
    epilogue: &'a Epilogue<'a, f32>,
}

impl<'a> Product<'a> {
    /// # Safety
    /// The matrices lie in their slices, their inner sizes agree, there is a bias for each row of the left or none, and the product
    /// lies in its place. Until it has run no one else touches these elements of the output, nor what is noted of them.
    pub(super) unsafe fn new(
        left: Matrix<'a, f32>,
        rows: Range<usize>,
        right: Matrix<'a, f32>,
        bias: &'a [f64],
        to: Destination<'a, f32>,
        epilogue: &'a Epilogue<'a, f32>,
    ) -> Self {
        Self { left, rows, right, bias, to, epilogue }
    }
}

impl Work for Product<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // The sums of a tile, a row of the panel and a factor fill the registers: 32 of AVX-512, 16 of other sets.
        if S::LANES == WIDEST_LANES { self.by_tiles::<S, 8, 3>(s) } else { self.by_tiles::<S, 6, 2>(s) }
    }
}

impl Product<'_> {
    /// Computes the product by tiles of so many rows and vectors.
    #[inline(always)]
    fn by_tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(&self, s: S) {
        let ([_, inner], [_, columns]) = (self.left.shape, self.right.shape);
        let panel = VECTORS * S::LANES;
        let pieces = columns.div_ceil(PANELS * panel).max(1);
        let width = columns.div_ceil(pieces).next_multiple_of(panel);
        let mut copies = COPIES.take();
        let (of_left, of_right) = room(&mut copies, ROWS * SUMMED, width * SUMMED);
        for start in (0..columns).step_by(width) {
            let columns = start..columns.min(start + width);
            for first in (0..inner.max(1)).step_by(SUMMED) {
                let summed = first..inner.min(first + SUMMED);
                copy_panels(&self.right, &columns, &summed, panel, S::LANES, of_right);
                for row in self.rows.clone().step_by(ROWS) {
                    let rows = row..self.rows.end.min(row + ROWS);
                    let left: [&[f32]; ROWS] = rows_of(&self.left, &rows, &summed, of_left);
                    let tiles = Tiles { left, columns: columns.clone(), rows: rows.clone(), begins: first == 0 };
                    self.row_of_tiles::<S, ROWS, VECTORS>(s, &tiles, of_right);
                    if summed.end == inner {
                        self.finish(rows, &columns);
                    }
                }
            }
        }
        COPIES.set(copies);
    }

    /// Sums the tiles of some rows.
    #[inline(always)]
    fn row_of_tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        s: S,
        tiles: &Tiles<'_, ROWS>,
        panels: &[f32],
    ) {
        let panel = VECTORS * S::LANES;
        let inner = tiles.left[0].len();
        let mut panels = panels;
        for start in tiles.columns.clone().step_by(panel) {
            let columns = start..tiles.columns.end.min(start + panel);
            let vectors = columns.len().div_ceil(S::LANES);
            let (of_tile, others) = panels.split_at(inner * vectors * S::LANES);
            panels = others;
            match vectors {
                3 if VECTORS == 3 => self.put(s, sums::<S, ROWS, 3>(s, &tiles.left, of_tile), tiles, columns),
                2 => self.put(s, sums::<S, ROWS, 2>(s, &tiles.left, of_tile), tiles, columns),
                _ => self.put(s, sums::<S, ROWS, 1>(s, &tiles.left, of_tile), tiles, columns),
            }
        }
    }

    /// Writes a tile's sums to the output, or adds them to what is there.
    #[inline(always)]
    fn put<S: Simd, const ROWS: usize, const N: usize>(
        &self,
        s: S,
        sums: [[S::Vector; N]; ROWS],
        tiles: &Tiles<'_, ROWS>,
        columns: Range<usize>,
    ) {
        let bias = |row: usize| self.bias.get(row).map(|bias| *bias as f32);
        let whole = columns.len() == N * S::LANES;
        for (row, sums) in tiles.rows.clone().zip(&sums) {
            let at = self.to.offset + row * self.to.row_stride + columns.start;
            // SAFETY: the maker's promise bounds the product, of which these are some columns of a row; no one else touches them.
            let to = unsafe { self.to.columns.start().add(at) };
            let mut edge = [0.0; WIDEST * WIDEST_LANES];
            for (n, sum) in sums.iter().enumerate() {
                // SAFETY: a whole tile has so many vectors of columns; the vectors are made of as many f32, of any alignment.
                let place = unsafe { to.add(if whole { n * S::LANES } else { 0 }).cast::<S::Vector>() };
                let sum = match (tiles.begins, bias(row)) {
                    // SAFETY: as above; the first sums were written before.
                    (false, _) if whole => s.add(*sum, unsafe { place.read_unaligned() }),
                    (true, Some(bias)) => s.add(*sum, s.splat(bias)),
                    _ => *sum,
                };
                if whole {
                    // SAFETY: as above.
                    unsafe { place.write_unaligned(sum) };
                } else {
                    s.store(sum, &mut edge[n * S::LANES..]);
                }
            }
            for (column, sum) in edge[..if whole { 0 } else { columns.len() }].iter().enumerate() {
                // SAFETY: the column is one of these; the first sums were written before.
                unsafe {
                    let before = if tiles.begins { 0.0 } else { to.add(column).read() };
                    to.add(column).write(if tiles.begins { *sum } else { before + sum });
                }
            }
        }
    }

    /// Lets follow what follows some columns of whole rows.
    #[inline(always)]
    fn finish(&self, rows: Range<usize>, columns: &Range<usize>) {
        for row in rows {
            let at = self.to.offset + row * self.to.row_stride + columns.start;
            // SAFETY: the maker's promise; the tiles have written them.
            unsafe { self.epilogue.finish(row, at, self.to.columns.piece(at..at + columns.len())) };
        }
    }
}

/// The tiles of some rows, beside each other.
struct Tiles<'a, const ROWS: usize> {
    /// What is summed of each row of the left matrix; the last one again where there are fewer.
    left: [&'a [f32]; ROWS],
    rows: Range<usize>,
    columns: Range<usize>,
    /// Whether these are the first sums.
    begins: bool,
}

/// Room for numbers of the left matrix and of the right, which begin at a line of the cache.
fn room(copies: &mut Vec<f32>, left: usize, right: usize) -> (&mut [f32], &mut [f32]) {
    if copies.len() < left + right + LINE {
        copies.resize(left + right + LINE, 0.0);
    }
    let start = copies.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    copies[start..].split_at_mut(left)
}

/// Gives the numbers at `summed` of some rows: where they lie, or a copy where they are not neighbours.
#[inline(always)]
fn rows_of<'a, const ROWS: usize>(
    left: &Matrix<'a, f32>,
    rows: &Range<usize>,
    summed: &Range<usize>,
    copy: &'a mut [f32],
) -> [&'a [f32]; ROWS] {
    let [row_stride, stride] = left.strides;
    let at = |row: usize, inner: usize| left.offset + row * row_stride + inner * stride;
    let row = |nth: usize| (rows.start + nth).min(rows.end - 1);
    if stride == 1 || summed.is_empty() {
        return std::array::from_fn(|nth| match summed.len() {
            0 => &[],
            len => &left.values[at(row(nth), summed.start)..][..len],
        });
    }
    for inner in summed.clone() {
        for nth in 0..rows.len() {
            copy[nth * SUMMED + inner - summed.start] = left.values[at(rows.start + nth, inner)];
        }
    }
    std::array::from_fn(|nth| &copy[(row(nth) - rows.start) * SUMMED..][..summed.len()])
}

/// Copies the numbers at `summed` of some columns, panel after panel, `[summed, columns of the panel]` each. The last panel is whole
/// vectors wide.
#[inline(always)]
fn copy_panels(
    right: &Matrix<'_, f32>,
    columns: &Range<usize>,
    summed: &Range<usize>,
    panel: usize,
    lanes: usize,
    to: &mut [f32],
) {
    let [row_stride, stride] = right.strides;
    let whole = columns.len() / panel;
    let rest = columns.len() % panel;
    let rest_width = rest.next_multiple_of(lanes);
    for (nth, inner) in summed.clone().enumerate() {
        let row = right.offset + inner * row_stride + columns.start * stride;
        if stride == 1 {
            let row = &right.values[row..][..columns.len()];
            for (number, numbers) in row.chunks_exact(panel).enumerate() {
                to[(number * summed.len() + nth) * panel..][..panel].copy_from_slice(numbers);
            }
            let last = &mut to[whole * summed.len() * panel + nth * rest_width..][..rest_width];
            last[..rest].copy_from_slice(&row[whole * panel..]);
            last[rest..].fill(0.0);
        } else {
            for column in 0..whole * panel {
                let (number, of_panel) = (column / panel, column % panel);
                to[(number * summed.len() + nth) * panel + of_panel] = right.values[row + column * stride];
            }
            let last = &mut to[whole * summed.len() * panel + nth * rest_width..][..rest_width];
            for (column, number) in last[..rest].iter_mut().enumerate() {
                *number = right.values[row + (whole * panel + column) * stride];
            }
            last[rest..].fill(0.0);
        }
    }
}

/// Sums over the inner indices: rows of the left matrix times a panel of the right, `[inner, N vectors]`.
#[inline(always)]
fn sums<S: Simd, const ROWS: usize, const N: usize>(
    s: S,
    left: &[&[f32]; ROWS],
    panel: &[f32],
) -> [[S::Vector; N]; ROWS] {
    let mut sums = [[s.splat(0.0); N]; ROWS];
    let inner = panel.len() / (N * S::LANES);
    let left = left.map(|row| &row[..inner]);
    for (at, columns) in panel.chunks_exact(N * S::LANES).enumerate() {
        let mut vectors = [s.splat(0.0); N];
        for (n, vector) in vectors.iter_mut().enumerate() {
            *vector = s.load(&columns[n * S::LANES..]);
        }
        for (sums, row) in sums.iter_mut().zip(&left) {
            // SAFETY: there are `inner` pieces of the panel, and as many numbers of each row.
            let factor = s.splat(unsafe { *row.get_unchecked(at) });
            for (sum, vector) in sums.iter_mut().zip(&vectors) {
                *sum = s.mul_add(factor, *vector, *sum);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gemm::Columns;
    use crate::nn::simd::Instructions;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    /// A matrix of numbers, row after row or column after column.
    fn matrix(values: &[f32], shape: [usize; 2], by_row: bool) -> Matrix<'_, f32> {
        let strides = if by_row { [shape[1], 1] } else { [1, shape[0]] };
        Matrix { values, offset: 0, shape, strides }
    }

    /// Sums a product in the order that the module promises.
    fn expected(left: Matrix<'_, f32>, right: Matrix<'_, f32>, bias: &[f64], [row, column]: [usize; 2]) -> f32 {
        let of = |matrix: &Matrix<'_, f32>, at: [usize; 2]| {
            matrix.values[at[0] * matrix.strides[0] + at[1] * matrix.strides[1]]
        };
        let mut sum = bias.get(row).map_or(0.0, |bias| *bias as f32);
        for first in (0..left.shape[1]).step_by(SUMMED) {
            let run = first..left.shape[1].min(first + SUMMED);
            let fused = |sum: f32, at: usize| of(&left, [row, at]).mul_add(of(&right, [at, column]), sum);
            sum += run.fold(0.0, fused);
        }
        sum.max(0.0)
    }

    #[test]
    fn every_instruction_set_sums_in_the_order_that_is_promised() {
        let cases = [[1, 1, 1], [8, 3, 48], [9, 300, 50], [5, 600, 500], [17, 257, 33], [3, 0, 5], [70, 20, 1000]];
        for instructions in Instructions::all().filter(|set| !matches!(set, Instructions::Portable(_))) {
            for ([rows, inner, columns], [by_row, biased]) in
                cases.into_iter().flat_map(|case| [[true, true], [false, false]].map(|way| (case, way)))
            {
                let (a, b) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
                let bias: Vec<f64> = numbers(if biased { rows } else { 0 }, 3).into_iter().map(f64::from).collect();
                let (left, right) = (matrix(&a, [rows, inner], by_row), matrix(&b, [inner, columns], by_row));
                let mut y = vec![f32::NAN; rows * columns];
                let to = Destination { columns: &Columns::new(&mut y), offset: 0, row_stride: columns };
                let epilogue = Epilogue { relu: Some(crate::nn::epilogue::AtZero::Nothing), ..Epilogue::default() };
                // SAFETY: the matrices have these shapes, and the output is borrowed here alone.
                instructions.run(unsafe { Product::new(left, 0..rows, right, &bias, to, &epilogue) });
                for (at, y) in y.iter().enumerate() {
                    let expected = expected(left, right, &bias, [at / columns, at % columns]);
                    assert_eq!(*y, expected, "{instructions:?}: {rows} x {inner} x {columns}, number {at}");
                }
            }
        }
    }
}
