//! What else the shift moved: counterfactual alignment, the other outputs of the classifier before and after
//! (Cohen et al. 2023, "Identifying Spurious Correlations using Counterfactual Alignment", arXiv 2312.02186).

use serde::Serialize;

use crate::latent_shift::Counterfactual;
use crate::models::Probabilities;

/// One output of a classifier, at lambda 0 and at the counterfactual.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    pub name: String,
    pub logits: [f64; 2],
    /// What the classifier makes of them: probabilities, or the numbers themselves.
    pub scores: [f64; 2],
}

impl Drift {
    /// Of the score.
    pub fn change(&self) -> f64 {
        let [before, after] = self.scores;
        after - before
    }
}

/// Every output but those that were explained, by label; `activation` makes scores of logits.
pub fn drift(result: &Counterfactual, labels: &[String], explained: &[usize], activation: Probabilities) -> Vec<Drift> {
    let [before, after] = [&result.reconstruction_logits, &result.steps[result.chosen].logits];
    let scores = activation.of_numbers(before).into_iter().zip(activation.of_numbers(after));
    let logits = before.iter().zip(after.iter());
    let outputs = labels.iter().zip(logits.zip(scores)).enumerate();
    outputs
        .filter(|(label, _)| !explained.contains(label))
        .map(|(_, (name, ((before, after), scores)))| Drift {
            name: name.clone(),
            logits: [*before, *after].map(f64::from),
            scores: scores.into(),
        })
        .collect()
}
