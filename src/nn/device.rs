//! The device that networks compute on: one for the process, the CPU unless another is chosen.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor, cuda};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A GPU that this build knows and that answers, else the CPU.
    Auto,
    Cpu,
    Cuda,
    Metal,
}

/// What products of matrices may round to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// f32 throughout.
    Exact,
    /// Factors of 10 bits (TF32), sums of f32.
    Fast,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this build computes on the CPU only, not on {0}; use --device cpu, or build with --features {0}")]
    NotBuilt(&'static str),
    #[error("no {0} device answers: {1}; use --device cpu")]
    Silent(&'static str, candle_core::Error),
    #[error("only NVIDIA GPUs have arithmetic that is faster and less exact; use --precision exact")]
    NotFaster,
}

static CHOSEN: OnceLock<Device> = OnceLock::new();
static FAST: AtomicBool = AtomicBool::new(false);

/// Chooses the device, once per process, before any network is loaded; later calls change nothing. Gives what stood in the way
/// of the GPU that this build knows, where the CPU was taken for want of it.
pub fn choose(wanted: Wanted, precision: Precision) -> Result<Option<Error>, Error> {
    if CHOSEN.get().is_some() {
        return Ok(None);
    }
    let cuda = || found("cuda", cfg!(feature = "cuda"), Device::new_cuda);
    let metal = || found("metal", cfg!(feature = "metal"), Device::new_metal);
    let (device, missed) = match wanted {
        Wanted::Cpu => (Device::Cpu, None),
        Wanted::Cuda => (cuda()?, None),
        Wanted::Metal => (metal()?, None),
        Wanted::Auto => match if cfg!(feature = "metal") { metal() } else { cuda() } {
            Ok(device) => (device, None),
            Err(Error::NotBuilt(_)) => (Device::Cpu, None),
            Err(silent) => (Device::Cpu, Some(silent)),
        },
    };
    if precision == Precision::Fast && !device.is_cuda() {
        return Err(Error::NotFaster);
    }
    set_fast(precision == Precision::Fast);
    CHOSEN.get_or_init(|| device);
    Ok(missed)
}

/// Whether products may round as [`Precision::Fast`] says.
pub fn fast() -> bool {
    FAST.load(Ordering::Relaxed)
}

fn set_fast(fast: bool) {
    FAST.store(fast, Ordering::Relaxed);
    cuda::set_gemm_reduced_precision_f32(fast);
}

/// `work` in f32, whatever was chosen. For the one thread that computes.
pub fn exactly<T>(work: impl FnOnce() -> T) -> T {
    let fast = fast();
    set_fast(false);
    let result = work();
    set_fast(fast);
    result
}

thread_local! {
    /// Whether convolutions that this thread asks for keep the digits that Winograd's transform trades for speed.
    static CAREFUL: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn careful() -> bool {
    CAREFUL.get()
}

/// `work` without Winograd's transform, whose outputs err by up to 3e-6 of the largest: a ReLU so near to 0 lets through what it should
/// not. Other threads' work goes on as it is.
pub fn carefully<T>(work: impl FnOnce() -> T) -> T {
    let before = CAREFUL.replace(true);
    let made = work();
    CAREFUL.set(before);
    made
}

fn found(
    name: &'static str,
    built: bool,
    open: impl FnOnce(usize) -> candle_core::Result<Device>,
) -> Result<Device, Error> {
    if !built {
        return Err(Error::NotBuilt(name));
    }
    open(0).map_err(|error| Error::Silent(name, error))
}

thread_local! {
    static AS_ON_A_GPU: Cell<bool> = const { Cell::new(false) };
}

/// Whether our own kernels run there; elsewhere the layers are candle's operations.
pub(crate) fn has_kernels(device: &Device) -> bool {
    device.is_cpu() && !AS_ON_A_GPU.get()
}

/// `work` with the layers that GPUs have, wherever its tensors lie: so they are tested on a machine without one.
pub fn as_on_a_gpu<T>(work: impl FnOnce() -> T) -> T {
    AS_ON_A_GPU.set(true);
    let result = work();
    AS_ON_A_GPU.set(false);
    result
}

/// The device of this process.
pub fn chosen() -> &'static Device {
    CHOSEN.get().unwrap_or(&Device::Cpu)
}

/// Whether it is not the CPU.
pub fn is_gpu() -> bool {
    !chosen().is_cpu()
}

/// What it is, for people: "cpu", or what kind of GPU and, where it says, which.
pub fn name() -> String {
    match chosen() {
        Device::Cpu => "cpu".to_owned(),
        Device::Metal(_) => "metal".to_owned(),
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => match device.cuda_stream().context().name() {
            Ok(name) => format!("cuda: {name}"),
            Err(_) => "cuda".to_owned(), // the driver does not say
        },
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => "cuda".to_owned(),
    }
}

/// Which of our kernels run on this CPU: "AVX-512", "AVX2", or "portable".
pub fn kernels() -> &'static str {
    super::simd::widest()
}

/// What the tensor shows, on `device`: there the same or, where it is another, a copy of that alone. candle's own way would take
/// the whole of what the tensor is a view of along.
pub fn copied(x: &Tensor, device: &Device) -> candle_core::Result<Tensor> {
    if x.device().same_device(device) { Ok(x.clone()) } else { x.force_contiguous()?.to_device(device) }
}

/// Memory of a GPU that nothing holds, bytes; `None` where that is not known, or the device is the CPU.
pub fn free_bytes(device: &Device) -> Option<usize> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(gpu) => {
            device.synchronize().ok()?; // what was freed comes back with it
            gpu.cuda_stream().context().mem_get_info().ok().map(|(free, _)| free)
        }
        _ => None,
    }
}

/// Whether the device had too little memory for a tensor: with fewer slices at a time it may have enough.
pub fn out_of_memory(error: &candle_core::Error) -> bool {
    let text = error.to_string().to_lowercase();
    ["out of memory", "out_of_memory", "alloc_failed", "failed to create metal resource"]
        .iter()
        .any(|sign| text.contains(sign))
}
