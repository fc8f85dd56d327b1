//! Products of matrices, by our own kernels or by `matrixmultiply`: each sum runs over the inner index in order, in runs of a fixed
//! length, so that none depends on how rows and columns are shared out among threads.
#![expect(unsafe_code, reason = "threads write different parts of one output")]

use std::ops::Range;

use super::epilogue::Epilogue;
use super::gemm::{Columns, Destination, Matrix, Real};
use super::panels::Product;
use super::simd::Instructions;

/// Numbers that products are made of.
pub(crate) trait Multiply: Real {
    /// Writes some rows of `left right + bias` to `to`: row r begins at `offset + r * row_stride`. `bias` has one number for each
    /// row of the left matrix, or none. Then lets the epilogue follow, whose channel is the row.
    ///
    /// # Safety
    /// No other thread touches these elements of `to`, nor what is noted of them, during the call. They need not be written before.
    unsafe fn multiply(
        left: Matrix<'_, Self>,
        rows: Range<usize>,
        right: Matrix<'_, Self>,
        bias: &[f64],
        to: Destination<'_, Self>,
        epilogue: &Epilogue<'_, Self>,
    );
}

macro_rules! multiply_by {
    ($float:ty, $gemm:ident, $own:expr) => {
        impl Multiply for $float {
            unsafe fn multiply(
                left: Matrix<'_, $float>,
                rows: Range<usize>,
                right: Matrix<'_, $float>,
                bias: &[f64],
                to: Destination<'_, $float>,
                epilogue: &Epilogue<'_, $float>,
            ) {
                let ([all, inner], [_, columns]) = (left.shape, right.shape);
                assert!(rows.start <= rows.end && rows.end <= all, "the rows are the left matrix's");
                assert_eq!(right.shape[0], inner, "the inner sizes of a product agree");
                assert!(bias.is_empty() || bias.len() == all, "a product has a bias for each row");
                left.check();
                right.check();
                to.check(&rows, columns);
                if rows.is_empty() || columns == 0 {
                    return;
                }
                // SAFETY: the checks hold, and the caller keeps other threads away.
                if unsafe { $own(left, rows.clone(), right, bias, to, epilogue) } {
                    return;
                }
                let at = |row: usize| to.offset + row * to.row_stride;
                for (row, bias) in rows.clone().zip(bias.get(rows.clone()).unwrap_or_default()) {
                    // SAFETY: the check bounds the row; the caller keeps other threads away.
                    unsafe { to.columns.fill(at(row)..at(row) + columns, *bias as $float) };
                }
                let beta = if bias.is_empty() { 0.0 } else { 1.0 };
                let [row, column] = left.strides.map(|stride| stride as isize);
                let [right_row, right_column] = right.strides.map(|stride| stride as isize);
                // SAFETY: the checks bound every element. The output's are written where `beta` has them read, and the caller keeps
                // other threads away.
                unsafe {
                    matrixmultiply::$gemm(
                        rows.len(),
                        inner,
                        columns,
                        1.0,
                        left.values.as_ptr().add(left.offset + rows.start * left.strides[0]),
                        row,
                        column,
                        right.values.as_ptr().add(right.offset),
                        right_row,
                        right_column,
                        beta,
                        to.columns.start().add(at(rows.start)),
                        to.row_stride as isize,
                        1,
                    );
                }
                for row in rows {
                    // SAFETY: the check bounds the row, which is written; the caller keeps other threads away.
                    unsafe { epilogue.finish(row, at(row), to.columns.piece(at(row)..at(row) + columns)) };
                }
            }
        }
    };
}
multiply_by!(f32, sgemm, by_panels);
multiply_by!(f64, dgemm, by_none);

/// Computes the product by kernels of our own, where they are faster. Says whether it did.
///
/// # Safety
/// The caller promises what [`Product::new`] asks for.
unsafe fn by_panels(
    left: Matrix<'_, f32>,
    rows: Range<usize>,
    right: Matrix<'_, f32>,
    bias: &[f64],
    to: Destination<'_, f32>,
    epilogue: &Epilogue<'_, f32>,
) -> bool {
    let instructions = Instructions::best();
    let faster = !matches!(instructions, Instructions::Portable(_));
    if faster {
        // SAFETY: the caller's promise.
        instructions.run(unsafe { Product::new(left, rows, right, bias, to, epilogue) });
    }
    faster
}

/// There are no kernels of our own for f64.
///
/// # Safety
/// None is needed.
unsafe fn by_none(
    _: Matrix<'_, f64>,
    _: Range<usize>,
    _: Matrix<'_, f64>,
    _: &[f64],
    _: Destination<'_, f64>,
    _: &Epilogue<'_, f64>,
) -> bool {
    false
}

/// Computes `c = a b`, `c` dense.
pub(crate) fn multiply<T: Multiply>(a: Matrix<'_, T>, b: Matrix<'_, T>, c: &mut [T]) {
    let (rows, row_stride) = (0..a.shape[0], b.shape[1]);
    let to = Destination { columns: &Columns::new(c), offset: 0, row_stride };
    // SAFETY: `c` is borrowed here alone.
    unsafe { T::multiply(a, rows, b, &[], to, &Epilogue::default()) }
}
