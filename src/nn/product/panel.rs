//! A product, panel by panel of the right matrix.

use std::ops::Range;

use super::Place;
use super::packed::{PANEL, Packed, groups};
use super::sums::{VECTORS, add_products};
use crate::nn::gemm::Matrix;
use crate::nn::simd::{Simd, WIDEST_LANES, Work};

/// Rows that are multiplied before the next: their packed numbers of one run stay in the second-level cache.
const ROWS: usize = 256;

/// A product of some rows, for whose bounds its maker has answered.
pub(crate) struct Product<'a> {
    left: &'a Packed,
    rows: Range<usize>,
    right: Matrix<'a, f32>,
    bias: &'a [f64],
    to: Place<'a, f32>,
    room: &'a mut Room,
}

impl<'a> Product<'a> {
    /// The product of some rows of `left`, with `right`.
    ///
    /// # Safety
    /// Until the product has run, these rows' elements of `to` lie in its output, and no other thread touches them.
    pub(crate) unsafe fn new(
        (left, rows): (&'a Packed, Range<usize>),
        right: Matrix<'a, f32>,
        bias: &'a [f64],
        to: Place<'a, f32>,
        room: &'a mut Room,
    ) -> Self {
        Self { left, rows, right, bias, to, room }
    }
}

/// Panels that are packed together: rows of the right matrix are read in long pieces, and lie in the second-level cache.
const PANELS: usize = 10;

/// Some columns of one run of the right matrix, row after row of whole vectors. Aligned, so that no vector lies in two lines of the
/// cache.
#[derive(Clone)]
#[repr(align(64))]
struct Panel([f32; PANEL]);

impl Panel {
    #[expect(clippy::large_stack_arrays, reason = "24 KB, which go to the heap at once")]
    fn empty() -> Self {
        Self([0.0; PANEL])
    }
}

/// Room for packed panels, which a thread keeps from product to product.
#[derive(Default)]
pub(crate) struct Room(Vec<Panel>);

/// Which sums a tile makes.
struct Sums {
    /// The first number of the run that is added, and how many.
    run: (usize, usize),
    /// The first column, and how many.
    column: usize,
    count: usize,
}

impl Work for Product<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { left, rows, right, bias, to, room: Room(panels) } = self;
        panels.resize_with(PANELS, Panel::empty);
        let tiles = Tiles { left, bias, to };
        let (width, inner, columns) = (VECTORS * S::LANES, left.inner(), right.shape[1]);
        // Where nothing is summed, one empty run writes what the sums begin with.
        for start in (0..inner.max(1)).step_by(PANEL / width) {
            let run = (start, (PANEL / width).min(inner - start));
            for first in (0..columns).step_by(PANELS * width) {
                let packed = first..columns.min(first + PANELS * width);
                pack::<S>(&right, run, &packed, panels);
                for first in rows.clone().step_by(ROWS) {
                    let rows = first..rows.end.min(first + ROWS);
                    for (column, Panel(panel)) in packed.clone().step_by(width).zip(&*panels) {
                        let sums = Sums { run, column, count: width.min(packed.end - column) };
                        // SAFETY: the maker's promise; runs are added one after the other.
                        unsafe {
                            match sums.count.div_ceil(S::LANES) {
                                1 => tiles.panel::<S, 1>(s, &rows, &sums, panel),
                                2 => tiles.panel::<S, 2>(s, &rows, &sums, panel),
                                _ => tiles.panel::<S, 3>(s, &rows, &sums, panel),
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Packs some columns of one run of the right matrix: each panel's rows follow one another, as many whole vectors as its columns take.
/// What lies behind the last column is multiplied but never written.
#[inline(always)]
fn pack<S: Simd>(right: &Matrix<'_, f32>, (start, len): (usize, usize), columns: &Range<usize>, panels: &mut [Panel]) {
    let Matrix { values, offset, strides: [of_row, of_column], .. } = *right;
    let width = VECTORS * S::LANES;
    for row in 0..len {
        let first = offset + (start + row) * of_row;
        for (column, Panel(panel)) in columns.clone().step_by(width).zip(&mut *panels) {
            let count = width.min(columns.end - column);
            let stride = count.next_multiple_of(S::LANES);
            let to = &mut panel[row * stride..][..count];
            let first = first + column * of_column;
            if of_column != 1 {
                for (column, to) in to.iter_mut().enumerate() {
                    *to = values[first + column * of_column];
                }
            } else if count == width {
                // A length that is known is copied by vectors, without a call.
                to[..width].copy_from_slice(&values[first..][..width]);
            } else {
                to.copy_from_slice(&values[first..][..count]);
            }
        }
    }
}

/// What all tiles of a product have in common. Whoever calls for tiles answers for what [`Product::new`] wants.
struct Tiles<'a> {
    left: &'a Packed,
    bias: &'a [f64],
    to: Place<'a, f32>,
}

impl Tiles<'_> {
    /// Some rows of a panel's sums, after one more run.
    ///
    /// # Safety
    /// The tiles lie in the output, no other thread touches them, and the runs before this one have been added.
    #[inline(always)]
    unsafe fn panel<S: Simd, const N: usize>(&self, s: S, rows: &Range<usize>, sums: &Sums, panel: &[f32; PANEL]) {
        for (first, size) in groups(rows.clone(), self.left.rows(), S::TILE_ROWS) {
            // SAFETY: the caller's promise.
            unsafe {
                match size {
                    8 if S::TILE_ROWS == 8 => self.tile::<S, 8, N>(s, first, sums, panel),
                    4 => self.tile::<S, 4, N>(s, first, sums, panel),
                    2 => self.tile::<S, 2, N>(s, first, sums, panel),
                    _ => self.tile::<S, 1, N>(s, first, sums, panel),
                }
            }
        }
    }

    /// One tile of a panel's sums, after one more run.
    ///
    /// # Safety
    /// The tile lies in the output, no other thread touches it, and the runs before this one have been added.
    #[inline(always)]
    unsafe fn tile<S: Simd, const SIZE: usize, const N: usize>(
        &self,
        s: S,
        first: usize,
        sums: &Sums,
        panel: &[f32; PANEL],
    ) {
        let weight = self.left.group((first, SIZE), sums.run);
        let Place { columns, offset, row_stride } = self.to;
        let mut to = [columns.start(); SIZE];
        for (row, to) in to.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *to = unsafe { to.add(offset + (first + row) * row_stride + sums.column) };
        }
        // A run is summed by itself, then added: to the bias, or to what the runs before it gave.
        let sum = add_products(s, [[s.splat(0.0); N]; SIZE], weight, panel, N * S::LANES);
        let mut before = [[s.splat(0.0); N]; SIZE];
        let begun = sums.run.0 > 0;
        if !begun {
            for (row, before) in before.iter_mut().enumerate() {
                *before = [s.splat(self.bias.get(first + row).copied().unwrap_or(0.0) as f32); N];
            }
        }
        if sums.count == N * S::LANES {
            for ((before, sum), to) in before.iter_mut().zip(&sum).zip(to) {
                for (n, (before, sum)) in before.iter_mut().zip(sum).enumerate() {
                    // SAFETY: the caller's promise; the run before has written these, where there was one.
                    unsafe {
                        if begun {
                            *before = s.read(to.add(n * S::LANES));
                        }
                        s.write(s.add(*before, *sum), to.add(n * S::LANES));
                    }
                }
            }
        } else {
            for ((before, sum), to) in before.iter_mut().zip(&sum).zip(to) {
                let mut rest = [0.0; VECTORS * WIDEST_LANES];
                if begun {
                    // SAFETY: the caller's promise; the run before has written these, and `rest` is no part of the output.
                    unsafe { rest.as_mut_ptr().copy_from_nonoverlapping(to, sums.count) };
                }
                for (n, (before, sum)) in before.iter_mut().zip(sum).enumerate() {
                    if begun {
                        *before = s.load(&rest[n * S::LANES..]);
                    }
                    s.store(s.add(*before, *sum), &mut rest[n * S::LANES..]);
                }
                // SAFETY: the caller's promise; `rest` is no part of the output.
                unsafe { to.copy_from_nonoverlapping(rest.as_ptr(), sums.count) };
            }
        }
    }
}
