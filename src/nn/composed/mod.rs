//! The layers as candle's own operations on whole tensors, for the devices that our kernels do not run on: GPUs.
//!
//! candle's gradients have the same faults there that the layers avoid on a CPU. So what is computed here is hidden from its graph,
//! which sees a [`node`] with the gradient that we know. The products of matrices are candle's; a few passes that it has no
//! kernel for, or a slow one, have one of ours for CUDA (`kernels.cu`), and are made of candle's operations elsewhere. Every
//! layer is tested beside its CPU twin, on whatever device there is, the CPU included, and so are whole networks.

mod convolution;
#[cfg(feature = "cuda")]
mod cuda;
mod lines;
mod norms;
mod pooling;
mod resizing;
mod taps;
#[cfg(test)]
mod twins;

use std::sync::{Mutex, PoisonError};

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, MetalStorage, Result, Shape, Storage, Tensor, bail,
};

pub(super) use convolution::Convolution;
pub(super) use lines::Lines;
pub(super) use norms::GroupNorm;
pub(super) use pooling::{MaximaBack, max_pool, max_pool_trail, sum_squares, upsample_nearest};
pub(super) use resizing::{resize, resized};
pub(super) use taps::Taps;

/// A result that was computed outside the graph, and how its gradient becomes those of what it was computed from.
struct Node<B> {
    name: &'static str,
    /// Until the graph has its copy.
    result: Mutex<Option<Tensor>>,
    backward: B,
}

/// `result`, as what candle's graph knows as a function of `x`; `backward` takes the result's gradient to that of `x`.
pub(super) fn node(
    name: &'static str,
    x: &Tensor,
    result: Tensor,
    backward: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    if x.track_op() { x.apply_op1(Node::new(name, result, backward)) } else { Ok(result) }
}

/// The same of two tensors.
pub(super) fn node2(
    name: &'static str,
    [a, b]: [&Tensor; 2],
    result: Tensor,
    backward: impl Fn(&Tensor) -> Result<[Tensor; 2]> + Send + Sync + 'static,
) -> Result<Tensor> {
    let tracked = a.track_op() || b.track_op();
    if tracked { a.apply_op2(b, Node::new(name, result, backward)) } else { Ok(result) }
}

impl<B> Node<B> {
    fn new(name: &'static str, result: Tensor, backward: B) -> Self {
        Self { name, result: Mutex::new(Some(result)), backward }
    }

    /// A copy for the graph, which wants a storage of its own. The result itself is let go.
    fn copied(&self) -> Result<(Storage, Shape)> {
        let Some(result) = self.result.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            bail!("the result of {} is asked for twice", self.name);
        };
        let (storage, layout) = result.storage_and_layout();
        if !layout.is_contiguous() || layout.start_offset() != 0 {
            bail!("the result of {} is not contiguous", self.name);
        }
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn on_cpu(&self) -> Result<(CpuStorage, Shape)> {
        match self.copied()? {
            (Storage::Cpu(storage), shape) => Ok((storage, shape)),
            _ => bail!("{}: the tensors lie on different devices", self.name),
        }
    }

    fn on_cuda(&self) -> Result<(CudaStorage, Shape)> {
        match self.copied()? {
            (Storage::Cuda(storage), shape) => Ok((storage, shape)),
            _ => bail!("{}: the tensors lie on different devices", self.name),
        }
    }

    fn on_metal(&self) -> Result<(MetalStorage, Shape)> {
        match self.copied()? {
            (Storage::Metal(storage), shape) => Ok((storage, shape)),
            _ => bail!("{}: the tensors lie on different devices", self.name),
        }
    }
}

impl<B: Fn(&Tensor) -> Result<Tensor>> CustomOp1 for Node<B> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.on_cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.on_metal()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        (self.backward)(&gradient.contiguous()?.detach()).map(Some)
    }
}

impl<B: Fn(&Tensor) -> Result<[Tensor; 2]>> CustomOp2 for Node<B> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.on_cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.on_metal()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [a, b] = (self.backward)(&gradient.contiguous()?.detach())?;
        Ok((Some(a), Some(b)))
    }
}
