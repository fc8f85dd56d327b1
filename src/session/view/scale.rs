//! How a score is told: as it is or as a logit, on an axis that stands still whatever the scores are.

use crate::latent_shift::ScoreKind;
use crate::latent_shift::search::logit;

/// How a score is told. Between probabilities near 0 or 1 only logits show a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Scale {
    #[default]
    Probability,
    Logit,
    /// As it is, on an axis with these ends.
    Plain([f64; 2]),
}

impl Scale {
    /// The ends of the axis; both begin their bars at 0.
    pub fn axis(self) -> [f64; 2] {
        match self {
            Self::Probability => [0.0, 1.0],
            Self::Logit => [-8.0, 8.0],
            Self::Plain(ends) => ends,
        }
    }

    pub fn of(self, score: f64) -> f64 {
        match self {
            Self::Probability | Self::Plain(_) => score,
            Self::Logit => logit(score),
        }
    }

    /// Places after the point that tell two scores apart.
    pub fn decimals(self) -> usize {
        match self {
            Self::Probability | Self::Plain(_) => 4,
            Self::Logit => 2,
        }
    }

    /// How the scores of a kind are told; `logits` is what a person chose for probabilities.
    pub fn new(kind: ScoreKind, logits: bool, scores: [f64; 3]) -> Self {
        match kind {
            ScoreKind::Probability if logits => Self::Logit,
            ScoreKind::Probability => Self::Probability,
            ScoreKind::Number => Self::around(scores),
            ScoreKind::Cosine => Self::Plain([-1.0, 1.0]),
        }
    }

    /// A score with as many places as tell two apart.
    pub fn text(self, score: f64) -> String {
        format!("{:.decimals$}", self.of(score), decimals = self.decimals())
    }

    /// The axis of numbers that are no probabilities: from 0 to 1, or as far as they go.
    pub fn around(scores: [f64; 3]) -> Self {
        let far = |end: f64, farther: fn(f64, f64) -> f64| scores.into_iter().fold(end, farther);
        Self::Plain([far(0.0, f64::min), far(1.0, f64::max)])
    }

    /// Where a value lies along the axis, `0..=1`; beyond its ends, at them.
    pub fn share(self, value: f64) -> f32 {
        let [low, high] = self.axis();
        ((value - low) / (high - low)).clamp(0.0, 1.0) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn the_axis_stands_whatever_the_scores_are() {
        assert_eq!([0.0, 0.25, 1.0].map(|p| Scale::Probability.share(p)), [0.0, 0.25, 1.0]);
        assert_eq!([-8.0, 0.0, 6.0, 20.0].map(|logit| Scale::Logit.share(logit)), [0.0, 0.5, 0.875, 1.0]);
        assert_eq!(Scale::Logit.of(0.5), 0.0);
        assert!((Scale::Logit.of(0.1) + 9.0_f64.ln()).abs() < 1e-12);
    }
}
