//! Where a command or the window computes, and with how many threads.

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::Usage;
use crate::machine;
use crate::nn::{device, threads};

/// More threads than this compute nothing faster, and a hundred thousand take minutes to start.
const THREADS_PER_PROCESSOR: usize = 16;

#[derive(Debug, Clone, Args)]
pub struct ComputeArgs {
    /// Where to compute
    #[arg(long, value_enum, default_value = "auto")]
    pub device: Device,
    /// How products of matrices round; fast is for NVIDIA GPUs (TF32)
    #[arg(long, value_enum, default_value = "exact")]
    pub precision: Precision,
    /// Computing threads; 0 means one per core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// A GPU that this build knows and that answers, else the CPU
    Auto,
    Cpu,
    Cuda,
    Metal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    Exact,
    Fast,
}

/// Chooses the device and starts the computing threads.
pub(super) fn start(compute: &ComputeArgs) -> Result<()> {
    let wanted = match compute.device {
        Device::Auto => device::Wanted::Auto,
        Device::Cpu => device::Wanted::Cpu,
        Device::Cuda => device::Wanted::Cuda,
        Device::Metal => device::Wanted::Metal,
    };
    let precision = match compute.precision {
        Precision::Exact => device::Precision::Exact,
        Precision::Fast => device::Precision::Fast,
    };
    if let Some(missed) = device::choose(wanted, precision).map_err(|error| Usage(error.to_string()))? {
        // A closed pipe leaves no one to tell.
        writeln!(std::io::stderr(), "parallax: computing on the CPU ({missed})").ok();
    }
    let most = THREADS_PER_PROCESSOR * machine::processors();
    if compute.threads > most {
        bail!(Usage(format!(
            "--threads {}: this machine has {} processors, and more than {most} threads only wait for each other; choose 0 to {most}",
            compute.threads,
            machine::processors()
        )));
    }
    threads::start(compute.threads).context("the computing threads cannot be started")
}
