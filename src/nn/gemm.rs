//! The numbers of networks, matrices of them, and outputs that threads share.
#![expect(unsafe_code, reason = "threads write different parts of one output; every bound is checked here")]

use std::ops::{Add, AddAssign, Div, Mul, Neg, Range, Sub};

use candle_core::{CpuStorage, Layout, Result, bail};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::memory::in_huge_pages;

/// f32 or f64.
pub(crate) trait Real:
    Copy
    + Default
    + Send
    + Sync
    + AddAssign
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + PartialOrd
    + 'static
{
    const MIN: Self;
    const ONE: Self;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    fn exp(self) -> Self;
    /// The share of the normal distribution below it.
    fn below(self) -> Self;
    fn slice(storage: &CpuStorage) -> Result<&[Self]>;
    fn storage(values: Vec<Self>) -> CpuStorage;
}

macro_rules! real {
    ($float:ty, $variant:ident, $exp:path, $below:path) => {
        impl Real for $float {
            const MIN: Self = <$float>::NEG_INFINITY;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn below(self) -> Self {
                $below(self)
            }
            fn slice(storage: &CpuStorage) -> Result<&[Self]> {
                match storage {
                    CpuStorage::$variant(values) => Ok(values),
                    other => bail!(
                        "expected {}, found {:?}",
                        stringify!($float),
                        candle_core::backend::BackendStorage::dtype(other)
                    ),
                }
            }
            fn storage(values: Vec<Self>) -> CpuStorage {
                CpuStorage::$variant(values)
            }
        }
    };
}
/// The share of the normal distribution below x.
fn below_f64(x: f64) -> f64 {
    0.5 * (1.0 + candle_core::cpu::erf::erf_f64(x * std::f64::consts::FRAC_1_SQRT_2))
}

real!(f32, F32, super::exponential::exp, super::normal::below);
real!(f64, F64, f64::exp, below_f64);

/// A matrix in a slice: `[rows, columns]` from `offset`, with strides.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub values: &'a [T],
    pub offset: usize,
    pub shape: [usize; 2],
    pub strides: [usize; 2],
}

impl<T> Matrix<'_, T> {
    /// Checks that every element lies in the slice.
    pub(crate) fn check(&self) {
        let [rows, columns] = self.shape;
        if rows > 0 && columns > 0 {
            let last = self.offset + (rows - 1) * self.strides[0] + (columns - 1) * self.strides[1];
            assert!(last < self.values.len(), "the matrix lies in its slice");
        }
    }
}

/// An output shared by threads that write different columns of it.
pub(crate) struct Columns<'a, T> {
    start: *mut T,
    len: usize,
    /// Holds the borrow: no one else reads or writes meanwhile.
    _borrow: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: threads only go through the unsafe functions below, whose contracts keep what they write apart.
unsafe impl<T: Send> Sync for Columns<'_, T> {}

impl<'a, T> Columns<'a, T> {
    pub(crate) fn new(values: &'a mut [T]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), _borrow: std::marker::PhantomData }
    }

    /// The first element: what is reached from it lies in [`Self::len`], and the callers of threads keep apart what these touch.
    pub(crate) fn start(&self) -> *mut T {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Borrows the capacity of a vector that is emptied, none of whose elements is there yet: they become the vector's by its
    /// `set_len`.
    pub(crate) fn room(values: &'a mut Vec<T>) -> Self {
        values.clear();
        Self { start: values.as_mut_ptr(), len: values.capacity(), _borrow: std::marker::PhantomData }
    }

    /// Reserves room for `sizes` multiplied, none of whose elements is there yet: they become the vector's by its `set_len` to
    /// [`Self::len`]. A large vector of zeros would be written by one thread, once for nothing. An error where the memory is not
    /// there.
    pub(crate) fn fresh(values: &'a mut Vec<T>, sizes: &[usize]) -> Result<Self> {
        values.clear();
        let len = sizes.iter().try_fold(1_usize, |len, size| len.checked_mul(*size));
        let Some(len) = len.filter(|len| values.try_reserve_exact(*len).is_ok()) else {
            let bytes = sizes.iter().fold(size_of::<T>() as f64, |bytes, size| bytes * *size as f64);
            bail!(
                "an output of {sizes:?} numbers needs {:.1} GB of memory, which are not there; take a smaller input, or close other programs",
                bytes / 1e9
            );
        };
        in_huge_pages(values);
        Ok(Self { len, ..Self::room(values) })
    }

    /// Gives some neighbouring elements, once each holds one number.
    ///
    /// # Safety
    /// No one else touches these elements of the output while the piece lives.
    pub(crate) unsafe fn filled(&self, elements: Range<usize>, value: T) -> &'a mut [T]
    where
        T: Copy,
    {
        // SAFETY: the caller's promise.
        unsafe { self.fill(elements.clone(), value) };
        // SAFETY: the caller's promise, and they are written.
        unsafe { self.piece(elements) }
    }

    /// Writes one number to some neighbouring elements.
    ///
    /// # Safety
    /// No one else touches these elements of the output during the call.
    pub(crate) unsafe fn fill(&self, elements: Range<usize>, value: T)
    where
        T: Copy,
    {
        assert!(elements.start <= elements.end && elements.end <= self.len, "the piece lies in its slice");
        for at in elements {
            // SAFETY: the assert bounds the elements, which lie in one allocation; the caller keeps others away.
            unsafe { self.start.add(at).write(value) };
        }
    }

    /// Copies values to neighbouring elements, from `first` on.
    ///
    /// # Safety
    /// No one else touches these elements of the output during the call.
    pub(crate) unsafe fn copy(&self, first: usize, values: &[T])
    where
        T: Copy,
    {
        assert!(first <= self.len && values.len() <= self.len - first, "the piece lies in its slice");
        // SAFETY: the assert bounds the elements; the caller keeps others away, so that these are not the values.
        unsafe { self.start.add(first).copy_from_nonoverlapping(values.as_ptr(), values.len()) };
    }

    /// Gives some neighbouring elements, to write.
    ///
    /// # Safety
    /// They are there: given, or written before. No one else touches these elements of the output while the piece lives.
    pub(crate) unsafe fn piece(&self, elements: Range<usize>) -> &'a mut [T] {
        assert!(elements.start <= elements.end && elements.end <= self.len, "the piece lies in its slice");
        // SAFETY: the assert bounds the elements, which lie in one allocation; the caller keeps others away.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(elements.start), elements.len()) }
    }
}

/// Where a product goes: its row r begins at `offset + r * row_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a, T> {
    pub(crate) columns: &'a Columns<'a, T>,
    pub(crate) offset: usize,
    pub(crate) row_stride: usize,
}

impl<T> Destination<'_, T> {
    /// Checks that so many columns of some rows lie in the output, and overlap in no row.
    pub(crate) fn check(&self, rows: &Range<usize>, columns: usize) {
        let Some(last) = rows.end.checked_sub(1) else { return };
        assert!(rows.len() <= 1 || columns <= self.row_stride, "the rows of a product do not overlap");
        assert!(self.offset + last * self.row_stride + columns <= self.columns.len(), "the product lies in its slice");
    }
}

/// So many zeros, written by all threads.
pub(crate) fn zeros<T: Copy + Default + Send + Sync>(count: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(count);
    in_huge_pages(&values);
    let columns = Columns::room(&mut values);
    (0..count.div_ceil(PIECE)).into_par_iter().for_each(|piece| {
        // SAFETY: each piece is one thread's, and lies in the room.
        unsafe { columns.fill(piece * PIECE..count.min((piece + 1) * PIECE), T::default()) };
    });
    // SAFETY: the pieces cover them.
    unsafe { values.set_len(count) };
    values
}

/// Zeros that one thread writes at a time.
const PIECE: usize = 1 << 15;

/// The elements of a contiguous tensor.
pub(crate) fn contiguous<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::slice(storage)?[start..end]),
        None => bail!("this layer needs a contiguous tensor, found strides {:?}", layout.stride()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_an_error_in_words() {
        for sizes in [[usize::MAX, 2, 1], [1 << 21, 1 << 21, 1 << 20]] {
            let mut values = Vec::<f32>::new();
            let error = Columns::fresh(&mut values, &sizes).err().expect("no machine has it").to_string();
            assert!(error.contains("GB of memory, which are not there"), "{error}");
        }
    }

    #[test]
    fn what_is_written_from_several_threads_is_there() {
        use rayon::prelude::*;
        let mut values = Vec::new();
        let columns = Columns::fresh(&mut values, &[5, 3]).expect("there is room");
        (0..5).into_par_iter().for_each(|row| {
            // SAFETY: each row is one thread's.
            unsafe { columns.copy(row * 3, &[row as f32; 2]) };
            // SAFETY: as above.
            unsafe { columns.filled(row * 3 + 2..row * 3 + 3, 9.0)[0] += row as f32 };
        });
        let len = columns.len();
        // SAFETY: the rows cover it.
        unsafe { values.set_len(len) };
        assert_eq!(values, [0., 0., 9., 1., 1., 10., 2., 2., 11., 3., 3., 12., 4., 4., 13.]);
    }
}
