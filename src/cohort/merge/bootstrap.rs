//! Means over cases with the interval that other cohorts of the same kind would mostly have, without keeping the cases.
//!
//! Each case counts in every replicate as often as a Poisson number of mean 1 says, which its id alone decides: the Poisson bootstrap
//! (Chamandy, Muralidharan, Najmi, Naidu 2012, "Estimating uncertainty for massive data streams"). Memory does not grow with the cases, and the
//! same cases give the same interval in any order.

use serde::Serialize;

use crate::random::{Stream, fnv1a};

/// Replicates: the ends of a 95 % interval are then the 5th from either end.
pub(super) const REPLICATES: usize = 200;
/// Fewer cases have no interval worth the name.
pub(super) const FEWEST: usize = 5;
/// The share of the replicates that an interval leaves out at either end, percent.
const LEFT_OUT: f64 = 2.5;

/// How often a case counts in each replicate.
pub(super) struct Weights(pub(super) [u8; REPLICATES]);

impl Weights {
    /// Draws how often the case of this name stands in each replicate.
    pub(super) fn of(id: &str) -> Self {
        let mut stream = Stream::seeded(fnv1a(id));
        Self(std::array::from_fn(|_| poisson(stream.share())))
    }
}

/// The Poisson number of mean 1 at this share of all.
fn poisson(share: f64) -> u8 {
    let mut term = (-1.0_f64).exp();
    let (mut number, mut sum) = (0_u8, term);
    while share > sum && number < 20 {
        number += 1;
        term /= f64::from(number);
        sum += term;
    }
    number
}

/// A mean, and where 95 % of the replicates lie; no interval of fewer cases than [`FEWEST`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Estimate {
    pub(super) mean: f64,
    pub(super) interval: Option<[f64; 2]>,
    pub(super) cases: usize,
}

impl Estimate {
    /// Whether all of the interval lies on one side of 0.
    pub(super) fn is_clear(&self) -> bool {
        self.interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }
}

/// The sum of one number over the sum of another, as in a mean (over ones) or in a ratio of means.
#[derive(Debug, Clone)]
pub(super) struct Ratio {
    cases: usize,
    above: f64,
    below: f64,
    replicates: Vec<[f64; 2]>,
}

impl Default for Ratio {
    fn default() -> Self {
        Self { cases: 0, above: 0.0, below: 0.0, replicates: vec![[0.0; 2]; REPLICATES] }
    }
}

impl Ratio {
    /// A case of a mean.
    pub(super) fn add(&mut self, value: f64, weights: &Weights) {
        self.add_ratio(value, 1.0, weights);
    }

    /// A case of a ratio.
    pub(super) fn add_ratio(&mut self, above: f64, below: f64, weights: &Weights) {
        if !(above.is_finite() && below.is_finite()) {
            return;
        }
        self.cases += 1;
        self.above += above;
        self.below += below;
        for (sums, weight) in self.replicates.iter_mut().zip(weights.0).filter(|(_, weight)| *weight > 0) {
            sums[0] += f64::from(weight) * above;
            sums[1] += f64::from(weight) * below;
        }
    }

    pub(super) fn estimate(&self) -> Option<Estimate> {
        let values = self.replicates.iter().map(|[above, below]| above / below).collect();
        self.estimated(self.above / self.below, values, self.cases)
    }

    /// How much more this is than that of the cases that are in `all` and not here.
    pub(super) fn beyond_the_rest(&self, all: &Self) -> Option<Estimate> {
        let of = |[a, b]: [f64; 2], [all_a, all_b]: [f64; 2]| a / b - (all_a - a) / (all_b - b);
        let values = self.replicates.iter().zip(&all.replicates).map(|(ours, all)| of(*ours, *all)).collect();
        let fewer = self.cases.min(all.cases.saturating_sub(self.cases));
        self.estimated(of([self.above, self.below], [all.above, all.below]), values, fewer)
    }

    fn estimated(&self, mean: f64, values: Vec<f64>, fewest: usize) -> Option<Estimate> {
        let interval = if fewest >= FEWEST { interval(values) } else { None };
        mean.is_finite().then_some(Estimate { mean, interval, cases: self.cases })
    }
}

/// Gives the interval in which 95 % of the replicates lie; replicates without any case are left out.
pub(super) fn interval(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.retain(|value| value.is_finite());
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = (values.len() as f64 * LEFT_OUT / 100.0) as usize;
    Some([values[at], values[values.len() - 1 - at]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_the_mean_and_its_interval_that_of_the_normal_law() {
        let mut mean = Ratio::default();
        let values: Vec<f64> = (0..400).map(|n| f64::from(n * 37 % 101)).collect();
        for (n, value) in values.iter().enumerate() {
            mean.add(*value, &Weights::of(&format!("case {n}")));
        }
        let found = mean.estimate().unwrap();
        let exact = values.iter().sum::<f64>() / 400.0;
        let variance = values.iter().map(|value| (value - exact).powi(2)).sum::<f64>() / 399.0;
        let half = 1.96 * (variance / 400.0).sqrt();
        assert!((found.mean - exact).abs() < 1e-12 && found.cases == 400);
        let [low, high] = found.interval.unwrap();
        for (end, normal) in [(low, exact - half), (high, exact + half)] {
            assert!((end - normal).abs() < 0.3 * half, "{low} {high}, by the normal law {exact} +- {half}");
        }
    }

    #[test]
    fn weights_are_of_mean_one_and_of_the_id_alone() {
        let all: usize = (0..100).flat_map(|n| Weights::of(&n.to_string()).0).map(usize::from).sum();
        assert!((19_500..20_500).contains(&all), "{all} of {} expected", 100 * REPLICATES);
        assert_eq!(Weights::of("a").0, Weights::of("a").0);
        assert_ne!(Weights::of("a").0, Weights::of("b").0);
    }

    #[test]
    fn a_group_is_held_against_the_rest() {
        let (mut all, mut group) = (Ratio::default(), Ratio::default());
        for n in 0..40 {
            let weights = Weights::of(&n.to_string());
            let value = if n < 20 { 3.0 } else { 1.0 };
            all.add(value, &weights);
            if n < 20 {
                group.add(value, &weights);
            }
        }
        let more = group.beyond_the_rest(&all).unwrap();
        let near = |x: f64| (x - 2.0).abs() < 1e-9;
        assert!(near(more.mean) && more.is_clear() && more.interval.is_some_and(|ends| ends.into_iter().all(near)));
    }
}
