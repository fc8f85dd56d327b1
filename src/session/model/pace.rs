//! How far in time a run is.

use std::time::Instant;

/// How far in time a run is.
#[derive(Debug, Clone, Copy)]
pub struct RunPace {
    began: Instant,
    expected_secs: Option<f64>,
}

impl RunPace {
    /// A run takes between these shares of what was expected: other work on the machine, and searches that need more trials.
    const RANGE: [f64; 2] = [0.7, 1.5];

    /// `expected_secs` is how long the run is thought to take.
    pub fn new(expected_secs: Option<f64>) -> Self {
        Self { began: Instant::now(), expected_secs }
    }

    /// How long it has gone on, seconds.
    pub fn elapsed_secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// How much longer it takes, from and to, seconds; `None` where that is not known, or where it takes longer than was thought.
    pub fn left_secs(&self) -> Option<[f64; 2]> {
        left_secs(self.expected_secs?, self.elapsed_secs())
    }

    /// The share of the whole run that is behind it.
    pub fn share(&self) -> Option<f32> {
        let elapsed = self.elapsed_secs();
        let [from, to] = self.left_secs()?;
        Some((elapsed / (elapsed + f64::midpoint(from, to))) as f32)
    }
}

fn left_secs(expected_secs: f64, elapsed_secs: f64) -> Option<[f64; 2]> {
    let [from, to] = RunPace::RANGE.map(|share| share * expected_secs - elapsed_secs);
    (to > 0.0).then(|| [from.max(0.0), to])
}

#[cfg(test)]
mod tests {
    use super::left_secs;

    #[test]
    fn what_is_left_is_a_range_that_ends_where_nothing_is_known_any_more() {
        assert_eq!(left_secs(100.0, 10.0), Some([60.0, 140.0]));
        assert_eq!(left_secs(100.0, 90.0), Some([0.0, 60.0]));
        assert_eq!(left_secs(100.0, 150.0), None, "it takes longer than was thought");
    }
}
