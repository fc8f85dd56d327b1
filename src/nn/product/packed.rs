//! The left matrix of a product, in the order in which tiles of sums take it.

use rayon::prelude::*;

use crate::nn::gemm::{Columns, Matrix};
use crate::nn::simd::Instructions;

/// Numbers of a panel of the right matrix: 24 KB, three quarters of the smallest first-level cache.
pub(crate) const PANEL: usize = 6144;
/// The longest run of the inner index, with the narrowest vectors.
const LONGEST_RUN: usize = PANEL / (super::sums::VECTORS * 4);
/// Fewer numbers than these one thread packs sooner than several.
const SHARED: usize = 1 << 16;

/// A left matrix `[rows, inner]` as `[run of the inner index][group of rows][inner][row of the group]`.
pub(crate) struct Packed {
    values: Vec<f32>,
    shape: [usize; 2],
    instructions: Instructions,
}

impl Packed {
    /// For the best instructions of this CPU.
    pub(crate) fn new(matrix: Matrix<'_, f32>) -> Self {
        Self::within(Instructions::best(), matrix)
    }

    pub(crate) fn within(instructions: Instructions, matrix: Matrix<'_, f32>) -> Self {
        matrix.check();
        let [rows, inner] = matrix.shape;
        // As many as the matrix has itself, unless its strides repeat some.
        let len = rows * inner;
        let mut values = Vec::with_capacity(len);
        let columns = Columns::room(&mut values);
        let pack = |group: usize| {
            let mut run = [0.0; LONGEST_RUN * super::TILE_ROWS];
            let first = group * super::TILE_ROWS;
            for (first, size) in groups(first..rows.min(first + super::TILE_ROWS), rows, instructions.tile_rows()) {
                for start in (0..inner).step_by(run_length(instructions)) {
                    let len = run_length(instructions).min(inner - start);
                    let run = &mut run[..len * size];
                    gather(&matrix, first, start, size, run);
                    // SAFETY: a group's run has its own place, which is one thread's.
                    unsafe { columns.copy(start * rows + first * len, run) };
                }
            }
        };
        let tiles = rows.div_ceil(super::TILE_ROWS);
        if len < SHARED {
            (0..tiles).for_each(pack);
        } else {
            (0..tiles).into_par_iter().for_each(pack);
        }
        // SAFETY: the groups cover every row, and the runs of each every number of it.
        unsafe { values.set_len(len) };
        Self { values, shape: matrix.shape, instructions }
    }

    pub(crate) fn rows(&self) -> usize {
        self.shape[0]
    }

    pub(crate) fn inner(&self) -> usize {
        self.shape[1]
    }

    pub(crate) fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// The numbers `[len, size]` of a group of rows, of the run that begins at `start`.
    #[inline(always)]
    pub(crate) fn group(&self, (first, size): (usize, usize), (start, len): (usize, usize)) -> &[f32] {
        &self.values[start * self.shape[0] + first * len..][..len * size]
    }
}

/// How much of the inner index is summed before the sums are written: what fills a panel.
fn run_length(instructions: Instructions) -> usize {
    PANEL / (super::sums::VECTORS * instructions.lanes())
}

/// Some rows in groups: each group's first row and how many. Where fewer rows are left than a tile has, the groups are the powers of
/// two that make the rest.
#[inline(always)]
pub(crate) fn groups(
    rows: std::ops::Range<usize>,
    all: usize,
    tile_rows: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let group = move |first: usize| (first < rows.end).then(|| (first, tile_rows.min(1 << (all - first).ilog2())));
    std::iter::successors(group(rows.start), move |(first, size)| group(first + size))
}

/// A group's numbers of one run.
fn gather(matrix: &Matrix<'_, f32>, row: usize, start: usize, size: usize, run: &mut [f32]) {
    match size {
        8 => gather_rows::<8>(matrix, row, start, run),
        4 => gather_rows::<4>(matrix, row, start, run),
        2 => gather_rows::<2>(matrix, row, start, run),
        _ => gather_rows::<1>(matrix, row, start, run),
    }
}

fn gather_rows<const SIZE: usize>(matrix: &Matrix<'_, f32>, row: usize, start: usize, run: &mut [f32]) {
    let (run, _) = run.as_chunks_mut::<SIZE>();
    let [of_row, of_inner] = matrix.strides;
    let values = &matrix.values[matrix.offset + row * of_row + start * of_inner..];
    if of_inner == 1 {
        let rows: [&[f32]; SIZE] = std::array::from_fn(|i| &values[i * of_row..][..run.len()]);
        for (at, to) in run.iter_mut().enumerate() {
            *to = std::array::from_fn(|i| rows[i][at]);
        }
    } else {
        for (at, to) in run.iter_mut().enumerate() {
            *to = std::array::from_fn(|i| values[at * of_inner + i * of_row]);
        }
    }
}
