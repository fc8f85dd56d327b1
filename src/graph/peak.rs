//! How many bytes the passes of a plan hold at once, known beforehand.

use std::ops::Range;

use super::Value;
use super::plan::{Banded, Plan, Planned};

impl Plan {
    /// How many bytes a tape keeps, inputs included. None of a plan whose gradient computes parts again, since its tape hardly saves work.
    pub fn tape_bytes(&self) -> Option<u64> {
        (self.segments() == 1).then(|| self.saved_bytes())
    }

    /// What a pass through a plan of one segment saves for the gradient.
    pub(super) fn saved_bytes(&self) -> u64 {
        let mut held = Holding::new(&self.0);
        (0..self.0.shapes.len()).for_each(|at| held.run(at, true));
        held.saved
    }
}

impl Planned {
    /// What a forward pass keeps of a segment that is not the last, for its gradient.
    fn kept(&self, segment: &Range<usize>) -> u64 {
        match self.banded(segment).filter(|banded| banded.taped) {
            Some(banded) => banded.tape_bytes(),
            None => self.entries(segment).iter().fold(0, |sum, value| sum.saturating_add(self.bytes(*value))),
        }
    }

    /// The most that a forward pass holds.
    pub(super) fn peak_of_forward(&self) -> u64 {
        let mut held = Holding::new(self);
        for segment in &self.segments {
            match self.banded(segment).filter(|_| self.by_bands) {
                Some(banded) => held.run_bands(banded),
                None => segment.clone().for_each(|at| held.run(at, false)),
            }
        }
        held.peak
    }

    /// The most that is held by a forward pass through all segments and the vjps from the last to the first.
    pub(super) fn peak_of_gradient(&self) -> u64 {
        let mut held = Holding::new(self);
        let last = self.segments.len().saturating_sub(1);
        let mut kept: u64 = 0;
        for (number, segment) in self.segments.iter().enumerate() {
            if number > 0 && number < last {
                kept = kept.saturating_add(self.kept(segment));
            }
            held.base = kept;
            match self.banded(segment) {
                Some(banded) => held.run_bands(banded),
                None => segment.clone().for_each(|at| held.run(at, number == last)),
            }
        }
        let mut peak = held.peak;
        for (number, segment) in self.segments.iter().enumerate().rev() {
            if let Some(banded) = self.banded(segment) {
                peak = peak.max(kept.saturating_add(self.peak_of_bands(banded)));
                kept = kept.saturating_sub(self.kept(segment));
                continue;
            }
            if number < last {
                held = Holding::new(self);
                held.base = kept;
                segment.clone().for_each(|at| held.run(at, true));
                peak = peak.max(held.peak);
                kept = kept.saturating_sub(self.kept(segment));
            }
            peak = peak.max(self.peak_of_vjp(segment, held.saved.saturating_add(held.base)));
        }
        peak
    }

    /// The most that the vjp of a segment by bands holds besides what goes in or the tapes: the gradients of what goes in and of what
    /// comes out, and a band's.
    fn peak_of_bands(&self, banded: &Banded) -> u64 {
        let gradients = self.bytes(banded.exit()).saturating_add(self.bytes(banded.entry));
        gradients.saturating_add(banded.bytes()[1])
    }

    /// The most that the vjp of a segment holds, of which so much was saved.
    fn peak_of_vjp(&self, segment: &Range<usize>, mut saved: u64) -> u64 {
        let mut gradients = vec![false; self.shapes.len()];
        let (mut live, mut peak) = (0_u64, saved);
        for at in segment.clone().rev() {
            let of_output = if std::mem::replace(&mut gradients[at], false) { 0 } else { self.bytes(at) };
            live = live.saturating_add(of_output);
            let mut masks = 0_u64;
            for Value(value) in &self.graph.nodes[at].inputs {
                // A sum stands beside its parts, and a mask's bits are unpacked to bytes.
                if !std::mem::replace(&mut gradients[*value], true) {
                    live = live.saturating_add(self.bytes(*value));
                }
                masks = masks.max(self.count(*value));
            }
            peak = peak.max(saved.saturating_add(live).saturating_add(self.vjp_scratch(at)).saturating_add(masks));
            // The gradients of outputs are the caller's.
            let ours = !self.graph.outputs.contains(&Value(at));
            live = live.saturating_sub(if ours { self.bytes(at) } else { 0 });
            saved = saved.saturating_sub(self.saves(at).0);
        }
        peak
    }
}

/// What a pass holds, as it goes.
struct Holding<'a> {
    plan: &'a Planned,
    /// Values that are there, and those that stay for the gradient.
    there: Vec<bool>,
    stays: Vec<bool>,
    live: u64,
    /// Bytes that were saved for the gradient, values that stay included.
    saved: u64,
    /// Held by others.
    base: u64,
    peak: u64,
}

impl<'a> Holding<'a> {
    fn new(plan: &'a Planned) -> Self {
        let none = || vec![false; plan.shapes.len()];
        Self { plan, there: none(), stays: none(), live: 0, saved: 0, base: 0, peak: 0 }
    }

    /// Runs a node.
    fn run(&mut self, at: usize, save: bool) {
        let Self { plan, .. } = *self;
        self.there[at] = true;
        self.live = self.live.saturating_add(plan.bytes(at));
        let now = self.live.saturating_add(self.saved).saturating_add(self.base);
        self.peak = self.peak.max(now.saturating_add(plan.scratch(at)));
        if save {
            let (own, values) = plan.saves(at);
            self.saved = self.saved.saturating_add(own);
            for value in values {
                if !std::mem::replace(&mut self.stays[value], true) {
                    self.saved = self.saved.saturating_add(plan.bytes(value));
                    self.leave(value);
                }
            }
        }
        let inputs = plan.graph.nodes[at].inputs.iter().map(|value| value.0);
        inputs.filter(|value| plan.last_use[*value] <= at).for_each(|value| self.leave(value));
    }

    /// Runs a segment by bands: what comes out is there from the first band on.
    fn run_bands(&mut self, banded: &Banded) {
        let of_exit = self.plan.bytes(banded.exit());
        self.there[banded.exit()] = true;
        let now = self.live.saturating_add(self.saved).saturating_add(self.base).saturating_add(of_exit);
        self.peak = self.peak.max(now.saturating_add(banded.bytes()[0]));
        self.live = self.live.saturating_add(of_exit);
        if self.plan.last_use[banded.entry] <= banded.exit() {
            self.leave(banded.entry);
        }
    }

    /// A value is counted among the live no more.
    fn leave(&mut self, value: usize) {
        if std::mem::replace(&mut self.there[value], false) {
            self.live = self.live.saturating_sub(self.plan.bytes(value));
        }
    }
}
