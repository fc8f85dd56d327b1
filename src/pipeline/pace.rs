//! How long a network's pass takes on this machine: timed, or reckoned from a part of it that was timed.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use serde::Serialize;

use crate::graph::{self, Plan};
use crate::job::{Cancelled, Monitor};
use crate::machine;
use crate::nn::{denormals, device};

/// A forward pass is timed for so long; the rest is reckoned.
const BUDGET: Duration = Duration::from_millis(1500);
/// A pass with its gradient takes so many times a forward pass: 2.07 of the VQGAN's decoder, 2.08 of the inflated ResNet, 2.3 of the U-Net.
const WITH_GRADIENT: f64 = 2.1;
/// A pass is timed where it takes no more than this share of the memory that is left: what is open must not be pushed out.
const MOST_OF_MEMORY: u64 = 2;

/// The time of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pace {
    pub forward_secs: f64,
    /// Forward, recorded, and the vector-Jacobian product.
    pub gradient_secs: f64,
    /// Share of the forward pass that was timed; 0 where another network's pace was taken.
    pub timed: f64,
    /// Work that is done in a second, as [`Plan::work`] counts it.
    pub work_per_sec: f64,
}

impl Pace {
    /// The time of a pass at the pace of another network.
    fn at(plan: &Plan, work_per_sec: f64) -> Self {
        let forward_secs = plan.work() / work_per_sec;
        Self { forward_secs, gradient_secs: with_gradient(plan, forward_secs), timed: 0.0, work_per_sec }
    }
}

/// Segments but the last are computed twice.
fn with_gradient(plan: &Plan, forward_secs: f64) -> f64 {
    forward_secs * (WITH_GRADIENT + plan.repeated())
}

/// Times a pass over numbers like a scan's: all of it where that is quick, with its gradient where `gradient` is asked for; or else what
/// there is time for. Where there is no memory to try it, `otherwise` is the pace of another network; nothing where there is none.
///
/// # Errors
/// Where an operation fails, or the monitor stops the work.
pub fn pace(plan: &Plan, gradient: bool, otherwise: Option<f64>, monitor: &Monitor) -> Result<Option<Pace>> {
    let _flushed = denormals::flushed();
    let room = machine::left_bytes().filter(|_| !device::is_gpu()).map_or(u64::MAX, |left| left / MOST_OF_MEMORY);
    if plan.forward_bytes() > room {
        return Ok(otherwise.map(|work_per_sec| Pace::at(plan, work_per_sec)));
    }
    let grey = |shape: &[usize]| Tensor::full(0.4_f32, shape, &Device::Cpu);
    let inputs = plan.inputs().into_iter().map(grey).collect::<candle_core::Result<Vec<_>>>()?;
    let (began, reached) = (Instant::now(), Cell::new((0, 0.0)));
    let check = |step: usize, _| {
        monitor.check()?;
        reached.set((step, began.elapsed().as_secs_f64()));
        // A GPU is told the whole pass at once: there is no part of it to time.
        if began.elapsed() > BUDGET && !device::is_gpu() { Err(Cancelled) } else { Ok(()) }
    };
    let whole = match plan.forward(&inputs, &check) {
        Ok(_) => true,
        Err(graph::Error::Cancelled(_)) => {
            monitor.check()?;
            false
        }
        Err(error) => return Err(error.into()),
    };
    let (step, secs) = reached.get();
    let (secs, timed) =
        if whole { (began.elapsed().as_secs_f64(), 1.0) } else { (secs, plan.work_before(step) / plan.work()) };
    let forward_secs = secs / timed.max(f64::MIN_POSITIVE);
    let mut pace = Pace {
        forward_secs,
        gradient_secs: with_gradient(plan, forward_secs),
        timed,
        work_per_sec: plan.work() / forward_secs.max(f64::MIN_POSITIVE),
    };
    if gradient && whole && forward_secs * WITH_GRADIENT < BUDGET.as_secs_f64() && plan.gradient_bytes() <= room {
        pace.gradient_secs = gradient_secs(plan, &inputs, monitor)?;
    }
    Ok(Some(pace))
}

fn gradient_secs(plan: &Plan, inputs: &[Tensor], monitor: &Monitor) -> Result<f64> {
    let (began, check) = (Instant::now(), |_, _| monitor.check());
    let tape = plan.tape(inputs, &check)?;
    let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu);
    let gradients = plan.outputs().into_iter().map(ones).collect::<candle_core::Result<Vec<_>>>()?;
    tape.into_vjp(&gradients, &check)?;
    Ok(began.elapsed().as_secs_f64())
}
