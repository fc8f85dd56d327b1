//! Changed regions in a few lines.

use super::{Direction, Region, Regions};
use crate::io::counted;
use crate::quality::words::signed;

/// Regions that the lines name.
const NAMED: usize = 3;

impl Direction {
    /// The direction as reports spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Darker => "darker",
            Self::Brighter => "brighter",
        }
    }
}

impl Region {
    /// "slice 12" or "slices 12 to 20".
    pub fn slices_text(&self) -> String {
        match self.slices {
            [first, last] if first == last => format!("slice {first}"),
            [first, last] => format!("slices {first} to {last}"),
        }
    }

    /// Its place and its numbers.
    pub fn line(&self) -> String {
        format!(
            "{}: {}, {}, mean {} HU, largest {} HU, {}",
            self.place.words,
            self.direction.name(),
            volume_text(self.volume_ml),
            signed(self.mean_hu, 0),
            signed(f64::from(self.largest_hu), 0),
            self.slices_text()
        )
    }
}

impl Regions {
    /// How many there are, and the largest of them.
    pub fn lines(&self) -> Vec<String> {
        let above = self.threshold_hu;
        let Some(first) = self.list.iter().map(|region| region.volume_ml).reduce(|a, b| a + b) else {
            return vec![match self.smaller.count {
                0 => format!("nothing changed by more than {above} HU"),
                count => format!("only {} changed by more than {above} HU", counted(count, "spot")),
            }];
        };
        let smaller = match self.smaller.count {
            0 => String::new(),
            count => format!("; {count} smaller, {} in all", volume_text(self.smaller.volume_ml)),
        };
        let all = format!(
            "{} changed by more than {above} HU, {} in all{smaller}",
            counted(self.list.len(), "region"),
            volume_text(first)
        );
        let named = self.list.iter().take(NAMED).map(|region| format!("  {}", region.line()));
        [all].into_iter().chain(named).collect()
    }
}

/// A volume with two digits that count below 10 ml.
pub fn volume_text(volume_ml: f64) -> String {
    let decimals = match volume_ml {
        ml if ml < 1.0 => 2,
        ml if ml < 10.0 => 1,
        _ => 0,
    };
    format!("{volume_ml:.decimals$} ml")
}
