//! Where a command or the window computes, and with how many threads.

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::Usage;
use super::values::whole;
use crate::machine;
use crate::nn::{device, threads};
use crate::pipeline;

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
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<usize>)]
    pub threads: usize,
    /// The most memory to take, such as 6GB or 900MB; what the machine has free where it is left out
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub memory: Option<u64>,
    /// Load networks whose self-check fails, which every result says, and score scans in which there is nothing to see
    #[arg(long)]
    pub despite_check: bool,
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

/// "6GB", "6.5 GB", "900MB", "6GiB" as bytes.
pub(super) fn bytes(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_alphabetic()).trim_end();
    let unit: f64 = match text[digits.len()..].trim() {
        "MB" => 1e6,
        "GB" => 1e9,
        "MiB" => f64::from(1 << 20),
        "GiB" => f64::from(1 << 30),
        _ => return Err("give a number and its unit, MB or GB: 6GB".to_owned()),
    };
    match digits.parse::<f64>() {
        Ok(count) if count.is_finite() && count > 0.0 => Ok((count * unit) as u64),
        _ => Err("give a number above 0 and its unit, MB or GB: 6GB".to_owned()),
    }
}

/// Chooses the device and starts the computing threads.
pub(super) fn start(compute: &ComputeArgs) -> Result<()> {
    if let Some(most) = compute.memory {
        machine::allow_memory(most);
    }
    if compute.despite_check {
        pipeline::allow_failed_checks();
    }
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
