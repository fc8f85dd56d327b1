//! Runs the kernels of `kernels.cu`, which the driver's own compiler translates when the first is wanted.
#![expect(unsafe_code, reason = "a GPU's kernel reads and writes what it is pointed at")]

use std::sync::OnceLock;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{DeviceRepr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{CudaDType, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Result, Storage, Tensor, bail};

const SOURCE: &str = include_str!("kernels.cu");
/// Threads of a block; `moments` counts on it.
pub(super) const THREADS: usize = 256;
/// Most blocks along y and z of a grid (CUDA C++ Programming Guide, compute capabilities); along y the kernels go round.
const MOST_BLOCKS: usize = 65_535;

/// Gives a new tensor of `shape`, computed by a kernel that takes it, the inputs, then the numbers. `work` is how many elements, rows and
/// samples it goes through.
pub(super) fn launch(
    kernel: &'static str,
    inputs: &[&Tensor],
    numbers: &[usize],
    shape: &[usize],
    work: [usize; 3],
) -> Result<Tensor> {
    let dtype = inputs[0].dtype();
    if inputs.iter().any(|input| input.dtype() != dtype) {
        bail!("{kernel} takes numbers of one type");
    }
    match dtype {
        DType::F32 => run::<f32>(kernel, inputs, numbers, shape, work),
        DType::F64 => run::<f64>(kernel, inputs, numbers, shape, work),
        other => bail!("{kernel} works in f32 or f64, not in {other:?}"),
    }
}

trait Real: CudaDType + DeviceRepr + candle_core::WithDType {
    /// Its name in C.
    const NAME: &'static str;
    fn ptx() -> &'static OnceLock<String>;
}

macro_rules! real {
    ($float:ty, $name:literal) => {
        impl Real for $float {
            const NAME: &'static str = $name;
            fn ptx() -> &'static OnceLock<String> {
                static PTX: OnceLock<String> = OnceLock::new();
                &PTX
            }
        }
    };
}
real!(f32, "float");
real!(f64, "double");

fn compiled<T: Real>() -> Result<&'static str> {
    if let Some(ptx) = T::ptx().get() {
        return Ok(ptx);
    }
    let compiled = compile_ptx(format!("typedef {} real;\n{SOURCE}", T::NAME)).map_err(candle_core::Error::wrap)?;
    Ok(T::ptx().get_or_init(|| compiled.to_src()))
}

fn run<T: Real>(
    kernel: &'static str,
    inputs: &[&Tensor],
    numbers: &[usize],
    shape: &[usize],
    [elements, rows, samples]: [usize; 3],
) -> Result<Tensor> {
    let numbers = numbers.iter().map(|n| i32::try_from(*n)).collect::<std::result::Result<Vec<_>, _>>();
    let (Ok(numbers), true) = (numbers, samples <= MOST_BLOCKS && i32::try_from(elements).is_ok()) else {
        bail!("{kernel}: a tensor of {shape:?} is too large for a GPU; choose fewer slices at a time");
    };
    let inputs = inputs.iter().map(|input| input.contiguous()).collect::<Result<Vec<_>>>()?;
    let guards: Vec<_> = inputs.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = Vec::with_capacity(guards.len());
    for (storage, layout) in &guards {
        let Storage::Cuda(storage) = &**storage else { bail!("{kernel}: a tensor lies on another device") };
        slices.push(storage.as_cuda_slice::<T>()?.slice(layout.start_offset()..));
    }
    let Storage::Cuda(first) = &*guards[0].0 else { bail!("{kernel}: a tensor lies on another device") };
    let device = first.device().clone();
    let function = device.get_or_load_custom_func(kernel, &format!("parallax_{}", T::NAME), compiled::<T>()?)?;
    // SAFETY: the kernel writes every element, as `work` covers the shape.
    let mut output = unsafe { device.alloc::<T>(shape.iter().product())? };
    let grid = (elements.div_ceil(THREADS) as u32, rows.clamp(1, MOST_BLOCKS) as u32, samples.max(1) as u32);
    let mut builder = function.builder();
    builder.arg(&mut output);
    for slice in &slices {
        builder.arg(slice);
    }
    for number in &numbers {
        builder.arg(number);
    }
    let config = LaunchConfig { grid_dim: grid, block_dim: (THREADS as u32, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the callers in this folder give each kernel of `kernels.cu` the tensors and sizes it names; the tests hold every one
    // beside the CPU's result.
    unsafe { builder.launch(config) }.w()?;
    drop(slices);
    drop(guards);
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(output, device));
    Ok(Tensor::from_storage(storage, shape, BackpropOp::none(), false))
}
