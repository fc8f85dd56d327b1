//! How far a run is: one share for all of it, and how long it has gone on and may still go on.

use std::time::Instant;

use crate::job::Monitor;
use crate::latent_shift::{Options, SearchWay};

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct RunPace {
    began: Instant,
    expected_secs: Option<f64>,
    work: Work,
    /// The share of the whole run that is behind it; it never falls.
    share: f64,
}

impl RunPace {
    /// A run takes between these shares of what is expected: other work on the machine, and searches that need more trials.
    const RANGE: [f64; 2] = [0.7, 1.5];
    /// A run that has not ended is never shown as done.
    const MOST: f64 = 0.99;
    /// What is told of the rest by the pace so far is worth nothing before so much is done, and so long has passed.
    const LEAST: f64 = 0.04;
    const LEAST_SECS: f64 = 1.0;
    /// Once so much is done, its own pace alone tells what is left.
    const TRUSTED: f64 = 0.25;

    /// `expected_secs` is how long the run is thought to take, where that is known.
    pub fn new(expected_secs: Option<f64>, options: &Options) -> Self {
        Self { began: Instant::now(), expected_secs, work: Work::of(options), share: 0.0 }
    }

    /// Looks at what the run does now.
    pub fn follow(&mut self, run: &Monitor) {
        let Some(now) = run.progress() else { return };
        let share = self.work.share(now.phase, now.fraction().map(f64::from), run.curve().len());
        self.share = self.share.max(share).min(Self::MOST);
    }

    /// How long it has gone on, seconds.
    pub fn elapsed_secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// How much longer it takes, from and to, seconds; `None` while that is not known.
    pub fn left_secs(&self) -> Option<[f64; 2]> {
        left_secs(self.expected_secs, self.elapsed_secs(), self.share)
    }

    /// The share of the whole run that is behind it, `0..1`.
    pub fn share(&self) -> f32 {
        self.share as f32
    }
}

/// What is expected gives way to the run's own pace, the farther it is.
fn left_secs(expected_secs: Option<f64>, elapsed_secs: f64, share: f64) -> Option<[f64; 2]> {
    let by_pace =
        (share >= RunPace::LEAST && elapsed_secs >= RunPace::LEAST_SECS).then(|| elapsed_secs * (1.0 - share) / share);
    let by_plan = expected_secs.map(|secs| secs * (1.0 - share));
    let left = match (by_pace, by_plan) {
        (Some(pace), Some(plan)) => {
            let weight = (share / RunPace::TRUSTED).min(1.0);
            pace * weight + plan * (1.0 - weight)
        }
        (pace, plan) => pace.or(plan)?,
    };
    Some(RunPace::RANGE.map(|share| share * left))
}

/// The parts of a run, in passes of the decoder, which are what takes the time: measured on the demo's networks.
#[derive(Debug, Clone, Copy)]
struct Work {
    trials: f64,
    search: f64,
    sweep: f64,
}

impl Work {
    /// Encoding, reconstructing and scoring; then the first gradient.
    const BEGINNING: f64 = 1.6;
    const GRADIENT: f64 = 2.2;
    /// A search that has made as many trials as is usual is so far; where it goes on, the rest is for those that come.
    const USUAL: f64 = 0.85;

    fn of(options: &Options) -> Self {
        let (trials, gradients) = match (options.range, options.search) {
            (Some(_), _) => (0.0, 0.0),
            (None, SearchWay::Aim) => (6.0, 0.0),
            (None, SearchWay::Path) => (6.0, 3.0),
            (None, SearchWay::Reference) => (40.0, 0.0),
        };
        Self { trials, search: trials + gradients * Self::GRADIENT, sweep: options.images() as f64 }
    }

    /// The share of the whole that is done, in a phase of which a share may be known, after so many points of the curve.
    fn share(&self, phase: &str, within: Option<f64>, points: usize) -> f64 {
        let all = Self::BEGINNING + Self::GRADIENT + self.search + self.sweep;
        let within = within.unwrap_or(0.0);
        let done = match phase {
            "encoding" | "encoding deviations" => 0.5 * Self::BEGINNING * within,
            "reconstructing" => Self::BEGINNING * (0.5 + 0.5 * within),
            "decoding the sweep" => all - self.sweep * (1.0 - within),
            _ if points == 0 && phase.starts_with("gradient of") => Self::BEGINNING + Self::GRADIENT * within,
            _ if points > 0 => Self::BEGINNING + Self::GRADIENT + self.search * self.searched(points as f64),
            _ => 0.0,
        };
        done / all
    }

    /// The share of a search that has made so many trials: it is not known how many it needs.
    fn searched(&self, trials: f64) -> f64 {
        if trials <= self.trials {
            Self::USUAL * trials / self.trials.max(1.0)
        } else {
            1.0 - (1.0 - Self::USUAL) * self.trials.max(1.0) / trials
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_a_range_by_what_was_expected_and_more_and_more_by_the_pace() {
        let near = |left: Option<[f64; 2]>, expected: [f64; 2]| {
            let left = left.expect("a range");
            assert!((left[0] - expected[0]).abs() + (left[1] - expected[1]).abs() < 1e-6, "{left:?} {expected:?}");
        };
        assert_eq!(left_secs(None, 0.5, 0.2), None, "too early to tell");
        near(left_secs(Some(100.0), 0.0, 0.0), [70.0, 150.0]);
        near(left_secs(None, 10.0, 0.5), [7.0, 15.0]);
        // It was thought to take 100 s in all, and takes 400 s by its pace.
        near(left_secs(Some(100.0), 200.0, 0.5), [140.0, 300.0]);
        assert!(left_secs(Some(10.0), 500.0, 0.9).is_some(), "known to the end, however wrong the plan was");
    }

    #[test]
    fn one_share_goes_from_beginning_to_end_through_all_phases_and_never_falls() {
        let pixel = |lambda: f64, monitor: &Monitor| monitor.plot(lambda, 0.5);
        for options in [
            Options::default(),
            Options { search: SearchWay::Reference, ..Options::default() },
            Options { range: Some([-5.0, 0.0]), ..Options::default() },
        ] {
            let (monitor, mut pace) = (Monitor::default(), RunPace::new(None, &options));
            let mut shares = vec![0.0];
            let mut at = |phase, done, total, monitor: &Monitor, pace: &mut RunPace| {
                monitor.step(phase, done, total).unwrap();
                pace.follow(monitor);
                shares.push(pace.share());
            };
            for phase in ["loading the networks", "encoding", "reconstructing", "gradient of the decoder"] {
                (0..4).for_each(|done| at(phase, done, 4, &monitor, &mut pace));
            }
            if options.range.is_none() {
                for trial in 0..90 {
                    pixel(-f64::from(trial), &monitor);
                    at("searching lambda", trial as usize, 0, &monitor, &mut pace);
                    at("gradient of the decoder", 0, 4, &monitor, &mut pace);
                }
            }
            (0..10).for_each(|done| at("decoding the sweep", done, 10, &monitor, &mut pace));
            assert!(shares.is_sorted(), "{shares:?}");
            let last = shares[shares.len() - 1];
            assert!(last > 0.9 && last < 1.0, "{shares:?}");
        }
    }
}
