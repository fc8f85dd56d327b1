//! A run that has ended: the one value that reports, records, sessions and exports are made of.

use std::sync::Arc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Asked, Input, Request, explain};
use crate::job::Monitor;
use crate::latent_shift::Counterfactual;
use crate::nn::{device, threads};

/// What a run was of, what was asked, what came of it, and where and how long it was computed.
#[derive(Debug)]
pub struct Run {
    pub input: Arc<Input>,
    pub asked: Asked,
    pub result: Counterfactual,
    pub timing: Timing,
}

impl Run {
    /// Makes the whole run. One that is cancelled after its first steps is a run too: its result is not complete.
    ///
    /// # Errors
    /// The errors of [`explain`].
    pub fn of(input: &Arc<Input>, request: &Request, monitor: &Monitor) -> Result<Self> {
        let result = explain(input, request, monitor)?;
        Ok(Self { input: Arc::clone(input), asked: Asked::of(request), result, timing: Timing::of(monitor) })
    }
}

/// Where a run was computed, and how long it took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Timing {
    pub device: String,
    pub threads: usize,
    /// Phases by name, in their order.
    pub seconds_per_phase: Vec<(String, f64)>,
}

impl Timing {
    pub fn of(monitor: &Monitor) -> Self {
        let phases = monitor.phase_secs().into_iter();
        Self {
            device: device::name(),
            threads: threads::number(),
            seconds_per_phase: phases.map(|(phase, secs)| (phase.to_owned(), secs)).collect(),
        }
    }

    /// The length of the run, seconds.
    pub fn seconds(&self) -> f64 {
        self.seconds_per_phase.iter().map(|(_, seconds)| seconds).sum()
    }
}
