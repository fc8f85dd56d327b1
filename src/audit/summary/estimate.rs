//! Where the mean of other cases of the same kind would mostly lie: percentiles of a bootstrap over the cases (Efron and Tibshirani 1993, chapter
//! 13).

use crate::random::Stream;

/// How often the cases are drawn anew.
pub const RESAMPLES: usize = 1000;
/// Fewer cases have no interval worth the name.
pub const LEAST_CASES: usize = 5;
/// Where the draws begin: one seed gives the same interval on every machine, and every measure has the same draws.
pub const SEED: u64 = 0;
/// What an interval leaves out at either end, as a share.
const LEFT_OUT: f64 = 0.025;

/// A mean that is not known has no interval; nor have fewer cases than [`LEAST_CASES`].
pub type Interval = Option<[f64; 2]>;

/// The mean; not a number where there is no case, or one of them is not known.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Where 95 % of the means lie when as many cases are drawn from these with repetition.
pub fn interval(values: &[f64]) -> Interval {
    if values.len() < LEAST_CASES || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut stream = Stream::new(SEED, "audit bootstrap");
    let mut drawn = || (0..values.len()).map(|_| values[stream.below(values.len())]).sum::<f64>() / values.len() as f64;
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| drawn()).collect();
    means.sort_unstable_by(f64::total_cmp);
    Some([quantile(&means, LEFT_OUT), quantile(&means, 1.0 - LEFT_OUT)])
}

/// The number at a share of sorted ones, linear between two, as numpy's `quantile`.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let low = at as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// "0.64 [0.60, 0.68]"; without the interval where there is none.
pub fn text(mean: f64, interval: Interval, decimals: usize) -> String {
    match interval {
        _ if mean.is_nan() => "unknown".to_owned(),
        Some([low, high]) => format!("{mean:.decimals$} [{low:.decimals$}, {high:.decimals$}]"),
        None => format!("{mean:.decimals$}"),
    }
}
