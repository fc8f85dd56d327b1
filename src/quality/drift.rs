//! What else the shift moved: counterfactual alignment, the other outputs of the classifier before and after
//! (Cohen et al. 2023, "Identifying Spurious Correlations using Counterfactual Alignment", arXiv 2312.02186).

use serde::Serialize;

use crate::latent_shift::Counterfactual;

/// One output of a classifier, at lambda 0 and at the counterfactual.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    pub name: String,
    pub logits: [f64; 2],
}

impl Drift {
    pub fn probabilities(&self) -> [f64; 2] {
        self.logits.map(|logit| 1.0 / (1.0 + (-logit).exp()))
    }

    /// Of the probability.
    pub fn change(&self) -> f64 {
        let [before, after] = self.probabilities();
        after - before
    }
}

/// Every output but those that were explained, by label.
pub fn drift(result: &Counterfactual, labels: &[String], explained: &[usize]) -> Vec<Drift> {
    let after = &result.steps[result.chosen].logits;
    let logits = result.reconstruction_logits.iter().zip(after.iter());
    labels
        .iter()
        .zip(logits)
        .enumerate()
        .filter(|(label, _)| !explained.contains(label))
        .map(|(_, (name, (before, after)))| Drift { name: name.clone(), logits: [*before, *after].map(f64::from) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_told_in_probabilities_too() {
        let drift = Drift { name: String::new(), logits: [0.0, -1.0] };
        assert_eq!(drift.probabilities()[0], 0.5);
        assert!((drift.change() - (0.268_941_421 - 0.5)).abs() < 1e-9);
    }
}
