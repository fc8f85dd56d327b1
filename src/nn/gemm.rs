//! Matrix products for the convolutions, and the numbers they are made of.
#![expect(
    unsafe_code,
    reason = "matrixmultiply takes raw pointers, and threads share an output; every bound is checked here"
)]

use std::ops::{Add, AddAssign, Div, Mul, Neg, Range, Sub};

use candle_core::{CpuStorage, Layout, Result, bail};
use rayon::iter::ParallelIterator;

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
    fn slice(storage: &CpuStorage) -> Result<&[Self]>;
    fn storage(values: Vec<Self>) -> CpuStorage;
    /// c = a b + beta c, where `a` is `[m, k]`, `b` `[k, n]`, `c` `[m, n]`.
    ///
    /// # Safety
    /// Every element that sizes and strides reach must lie in its slice or allocation, each of `c` once; `c` overlaps nothing, and
    /// is made before unless `beta` is 0.
    #[expect(clippy::too_many_arguments, reason = "BLAS's own signature")]
    unsafe fn gemm(
        m: usize,
        k: usize,
        n: usize,
        a: *const Self,
        sa: [isize; 2],
        b: *const Self,
        sb: [isize; 2],
        beta: Self,
        c: *mut Self,
        sc: [isize; 2],
    );
}

macro_rules! real {
    ($float:ty, $variant:ident, $gemm:ident, $exp:path) => {
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
            unsafe fn gemm(
                m: usize,
                k: usize,
                n: usize,
                a: *const Self,
                sa: [isize; 2],
                b: *const Self,
                sb: [isize; 2],
                beta: Self,
                c: *mut Self,
                sc: [isize; 2],
            ) {
                // SAFETY: the caller's promise is matrixmultiply's.
                unsafe { matrixmultiply::$gemm(m, k, n, 1.0, a, sa[0], sa[1], b, sb[0], sb[1], beta, c, sc[0], sc[1]) }
            }
        }
    };
}
real!(f32, F32, sgemm, super::exponential::exp);
real!(f64, F64, dgemm, f64::exp);

/// A matrix in a slice: `[rows, columns]` from `offset`, with strides.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub values: &'a [T],
    pub offset: usize,
    pub shape: [usize; 2],
    pub strides: [usize; 2],
}

/// One past the last element that a matrix reaches, from its offset.
fn reach(offset: usize, shape: [usize; 2], strides: [usize; 2]) -> usize {
    if shape.contains(&0) { offset } else { offset + (shape[0] - 1) * strides[0] + (shape[1] - 1) * strides[1] + 1 }
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

    /// Over room for `len` elements, none of which is there yet: they become the vector's by its `set_len`. A large vector of zeros
    /// would be written by one thread, once for nothing.
    pub(crate) fn fresh(values: &'a mut Vec<T>, len: usize) -> Self {
        values.clear();
        values.reserve_exact(len);
        Self { start: values.as_mut_ptr(), len, _borrow: std::marker::PhantomData }
    }

    /// Some neighbouring elements, which are made, the same number each.
    ///
    /// # Safety
    /// No one else touches these elements of the output while the piece lives.
    pub(crate) unsafe fn filled(&self, elements: Range<usize>, value: T) -> &'a mut [T]
    where
        T: Copy,
    {
        assert!(elements.start <= elements.end && elements.end <= self.len, "the piece lies in its slice");
        for at in elements.clone() {
            // SAFETY: the assert bounds the elements, which lie in one allocation; the caller keeps others away.
            unsafe { self.start.add(at).write(value) };
        }
        // SAFETY: as above, and they are written.
        unsafe { self.piece(elements) }
    }

    /// Neighbouring elements, from `first` on.
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

    /// Some neighbouring elements, to write.
    ///
    /// # Safety
    /// They are there: given, or made before. No one else touches these elements of the output while the piece lives.
    pub(crate) unsafe fn piece(&self, elements: Range<usize>) -> &'a mut [T] {
        assert!(elements.start <= elements.end && elements.end <= self.len, "the piece lies in its slice");
        // SAFETY: the assert bounds the elements, which lie in one allocation; the caller keeps others away.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(elements.start), elements.len()) }
    }
}

impl<T: Real> Columns<'_, T> {
    /// `c = a b + beta c`, where `c` has rows `row_stride` apart from `offset`. With a `beta` of 0 nothing of `c` is read.
    ///
    /// # Safety
    /// With another `beta` these elements of the output are there. No other thread touches them during the call.
    pub(crate) unsafe fn multiply_into(
        &self,
        a: Matrix<'_, T>,
        b: Matrix<'_, T>,
        beta: T,
        offset: usize,
        row_stride: usize,
    ) {
        let [m, k] = a.shape;
        let n = b.shape[1];
        assert_eq!(b.shape[0], k, "the inner sizes of a product agree");
        assert!(reach(a.offset, a.shape, a.strides) <= a.values.len(), "the left matrix lies in its slice");
        assert!(reach(b.offset, b.shape, b.strides) <= b.values.len(), "the right matrix lies in its slice");
        assert!(reach(offset, [m, n], [row_stride, 1]) <= self.len, "the product lies in its slice");
        if m == 0 || n == 0 {
            return;
        }
        let stride = |s: [usize; 2]| s.map(|x| x as isize);
        // SAFETY: the asserts above bound every element; the caller keeps other threads away.
        unsafe {
            T::gemm(
                m,
                k,
                n,
                a.values.as_ptr().add(a.offset),
                stride(a.strides),
                b.values.as_ptr().add(b.offset),
                stride(b.strides),
                beta,
                self.start.add(offset),
                [row_stride as isize, 1],
            );
        }
    }
}

/// So many zeros, written by all threads.
pub(crate) fn zeros<T: Copy + Default + Send + Sync>(count: usize) -> Vec<T> {
    rayon::iter::repeat_n(T::default(), count).collect()
}

/// `c = a b`, `c` dense.
pub(crate) fn multiply<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, c: &mut [T]) {
    let n = b.shape[1];
    // SAFETY: `c` is borrowed here alone.
    unsafe { Columns::new(c).multiply_into(a, b, T::default(), 0, n) }
}

/// The elements of a contiguous tensor.
pub(crate) fn contiguous<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&T::slice(storage)?[start..end]),
        None => bail!("this layer needs a contiguous tensor, found strides {:?}", layout.stride()),
    }
}
