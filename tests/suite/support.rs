//! Where test data lies, and what numbers are compared by.

mod ct_slice;
mod killing;
mod needed;
pub(crate) mod pages;
mod passes;
mod random;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::{DType, Device, Tensor};

pub(crate) use ct_slice::{Said, ct_slice};
pub(crate) use killing::kills;
#[cfg(feature = "network")]
pub(crate) use killing::run_until;
pub(crate) use needed::{needed, shared};
pub(crate) use passes::{activation, classifier, graph_of, network, output, plan_for, pulled, segmenter, unchecked};
pub(crate) use random::Random;

/// A file of `tests/data`, always there.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Tensors of a safetensors file.
pub(crate) fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The largest |a - b|.
pub(crate) fn worst(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let f64s = |t: &Tensor| t.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1::<f64>()).expect("numbers");
    f64s(a).iter().zip(f64s(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// |a - b| / |b|, Euclidean. Single elements can differ more: where a ReLU or a pool stands on a tie, rounding decides, and
/// PyTorch's f32 gradient differs from its own limit in f64 by 3e-3 there, where ours differs by 2e-6.
pub(crate) fn relative(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let norm = |t: Tensor| {
        t.to_dtype(DType::F64).and_then(|t| t.sqr()?.sum_all()?.to_scalar::<f64>()).expect("a number").sqrt()
    };
    norm((a - b).expect("same shape")) / norm(b.clone()).max(f64::MIN_POSITIVE)
}

/// The first of some programs that this machine has.
fn program(names: &[&'static str], test: &str) -> Option<&'static str> {
    let runs = |name: &&&str| Command::new(name).arg(test).output().is_ok_and(|output| output.status.success());
    needed(names.iter().find(runs).copied(), names[0])
}

/// What watches the calls of a program, where there is one.
pub(crate) fn strace() -> Option<&'static str> {
    program(&["strace"], "-V")
}

/// A browser, where there is one.
pub(crate) fn browser() -> Option<&'static str> {
    program(&["chromium", "chromium-browser", "google-chrome"], "--version")
}

/// DCMTK's reader of DICOM pictures, where there is one.
pub(crate) fn dcmj2pnm() -> Option<&'static str> {
    program(&["dcmj2pnm"], "--version")
}

/// FFmpeg's reader of films, where there is one.
pub(crate) fn ffprobe() -> Option<&'static str> {
    program(&["ffprobe"], "-version")
}
