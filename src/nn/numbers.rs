//! The numbers of tensors on the CPU, as slices.

use std::ops::Deref;

use candle_core::{Layout, Result, Storage, Tensor, bail};

use super::gemm::Real;

/// A contiguous tensor on the CPU, held for reading.
pub(crate) struct Held<'a> {
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    layout: &'a Layout,
}

impl<'a> Held<'a> {
    pub(crate) fn of(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage: Box::new(storage), layout }
    }

    /// The numbers in order.
    ///
    /// # Errors
    /// Where they are of another type, on another device, or not in order.
    pub(crate) fn numbers<T: Real>(&self) -> Result<&[T]> {
        let Storage::Cpu(storage) = &**self.storage else { bail!("a tensor lies on another device") };
        super::gemm::contiguous(storage, self.layout)
    }
}

/// A tensor on the CPU.
pub(crate) fn tensor<T: Real>(numbers: Vec<T>, shape: &[usize]) -> Result<Tensor> {
    if numbers.len() != shape.iter().product::<usize>() {
        bail!("{} numbers make no tensor {shape:?}", numbers.len());
    }
    let storage = Storage::Cpu(T::storage(numbers));
    Ok(Tensor::from_storage(storage, shape, candle_core::op::BackpropOp::none(), false))
}

/// Runs `$work` with `$Real` as the type of a tensor's numbers, f32 or f64.
macro_rules! by_type {
    ($tensor:expr, $Real:ident => $work:expr) => {
        match $tensor.dtype() {
            candle_core::DType::F64 => {
                type $Real = f64;
                $work
            }
            candle_core::DType::F32 => {
                type $Real = f32;
                $work
            }
            other => candle_core::bail!("networks work in f32 or f64, not in {other:?}"),
        }
    };
}
pub(crate) use by_type;
