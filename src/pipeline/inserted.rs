//! What was drawn into a scan, in words and in numbers that draw it again.

use serde::{Deserialize, Serialize};

use crate::insertion::Lying;
use crate::volume::phantom::Finding;

/// What is drawn into a scan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Insertion {
    pub finding: Finding,
    /// How much of it, 0 (none) to 1 (severe).
    pub dial: f32,
    /// Which one: where it lies and how it looks.
    pub seed: u64,
    /// How the patient lies.
    pub position: Lying,
}

impl Insertion {
    /// "SYNTHETIC nodule, dial 0.50, seed 1": enough to draw it again in a scan of a patient who lies as the scan says.
    pub fn words(&self) -> String {
        let Self { finding, dial, seed, .. } = self;
        format!("SYNTHETIC {}, dial {dial:.2}, seed {seed}", finding.name())
    }
}

/// What was drawn into the scan of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inserted {
    #[serde(flatten)]
    pub asked: Insertion,
    /// The SHA-256 of the scan as it was before, of its voxels as [`Input::sha256`](super::Input::sha256) takes them.
    pub scan_sha256: String,
    /// Where and how large, in words.
    pub words: String,
    /// What was added to the scan within the mask, on the mean, HU.
    pub strength_hu: f64,
    /// How much of the scan is of the finding, millilitres.
    pub volume_ml: f64,
}

impl Inserted {
    /// All of it in a line.
    pub fn line(&self) -> String {
        let Self { asked, words, strength_hu, volume_ml, .. } = self;
        let (drawn, lies) = (asked.words(), asked.position.name());
        format!("{drawn}, patient {lies}: {words}; {volume_ml:.1} ml, {strength_hu:+.0} HU on the mean")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_is_said_with_the_numbers_that_draw_it_again() {
        let asked = Insertion { finding: Finding::Nodule, dial: 0.5, seed: 7, position: Lying::Prone };
        let inserted = Inserted {
            asked,
            scan_sha256: "0".to_owned(),
            words: "a ball".to_owned(),
            strength_hu: 700.2,
            volume_ml: 3.04,
        };
        let line = "SYNTHETIC nodule, dial 0.50, seed 7, patient prone: a ball; 3.0 ml, +700 HU on the mean";
        assert_eq!(inserted.line(), line);
        let json = serde_json::to_value(&inserted).expect("JSON");
        assert_eq!((&json["finding"], &json["position"]), (&"nodule".into(), &"prone".into()));
        assert_eq!(serde_json::from_value::<Inserted>(json).expect("the same"), inserted);
    }
}
