//! The intensities that a network was trained on, as its card may say them.

use serde::{Deserialize, Serialize};

/// HU of the voxels that a network was trained on: of the body, or of what whoever trained it counted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainedOn {
    pub mean: Option<f64>,
    /// The standard deviation.
    pub deviation: Option<f64>,
    /// Nearly none lie below, about one in 200: nnU-Net's `percentile_00_5`.
    pub low: Option<f64>,
    /// Nearly none lie above: nnU-Net's `percentile_99_5`.
    pub high: Option<f64>,
}

impl TrainedOn {
    /// Refuses what no voxels have, in words.
    pub fn check(&self) -> Result<(), String> {
        let Self { mean, deviation, low, high } = *self;
        let all = [mean, deviation, low, high];
        if all.iter().all(Option::is_none) {
            Err("trained_on_hu = {}; say mean and deviation, or low and high (percentiles 0.5 and 99.5), or all four"
                .to_owned())
        } else if all.iter().flatten().any(|hu| !hu.is_finite()) {
            Err("trained_on_hu holds what is no number; each is a number of HU".to_owned())
        } else if let Some(deviation) = deviation.filter(|deviation| *deviation <= 0.0) {
            Err(format!("trained_on_hu.deviation = {deviation}; a standard deviation is above 0"))
        } else if let (Some(low), Some(high)) = (low, high)
            && low >= high
        {
            Err(format!("trained_on_hu has low = {low} and high = {high}; the lower comes first"))
        } else if deviation.is_some() && mean.is_none() {
            Err("trained_on_hu has a deviation without a mean; say both".to_owned())
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_voxels_have_is_refused() {
        let of = |text: &str| toml::from_str::<TrainedOn>(text).expect("numbers").check();
        assert_eq!(of("mean = -200\ndeviation = 400\nlow = -1000\nhigh = 300"), Ok(()));
        assert_eq!(of("low = -1000"), Ok(()));
        for (text, word) in [
            ("", "say mean"),
            ("mean = 1\ndeviation = 0", "above 0"),
            ("low = 3\nhigh = 3", "lower"),
            ("deviation = 3", "say both"),
            ("mean = nan", "no number"),
        ] {
            assert!(of(text).is_err_and(|why| why.contains(word)), "{text}");
        }
    }
}
