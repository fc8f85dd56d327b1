//! What a path holds, and which of it is opened.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Preview, counted};
use crate::volume::Volume;

/// Which of the volumes of a path to open. The default is the CT with the most axial slices that stacks, and the first volume
/// in time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub series: Option<Which>,
    /// Of a file of several volumes, counted from 1.
    pub volume: Option<usize>,
}

/// One series of those listed. In files it is a number, or the UID as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Which {
    /// As listed, counted from 1.
    Number(usize),
    /// The SeriesInstanceUID.
    Uid(String),
}

impl FromStr for Which {
    type Err = String;

    /// Reads "2" or "1.2.840.113619.2.55".
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse() {
            Ok(0) => Err("series are counted from 1".to_owned()),
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if text.trim().is_empty() => Err("no series named; give its number or its UID".to_owned()),
            Err(_) => Ok(Self::Uid(text.trim().to_owned())),
        }
    }
}

/// A series of a folder or an archive, or a file there that is a volume by itself: what a person chooses by.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// By which it is chosen, counted from 1.
    pub number: usize,
    /// The SeriesInstanceUID; none where there is none.
    pub uid: Option<String>,
    /// "CT", "MR"; of a file that says none, the name of its format.
    pub modality: String,
    /// What the scanner or a person called it. It may name the patient: for the screen alone.
    pub description: String,
    pub kernel: Option<String>,
    pub slices: usize,
    /// Columns and rows of each slice.
    pub size: [usize; 2],
    /// Between columns, rows and slices; none where the slices do not stack.
    pub spacing_mm: Option<[f64; 3]>,
    pub thickness_mm: Option<f64>,
    /// Why it cannot be opened; none where it can.
    pub unusable: Option<String>,
}

impl Series {
    /// What tells it from the others, in a few words that name no patient: "CT, 120 slices of 512 x 512, 0.7 x 0.7 x 1 mm, kernel B70f".
    pub fn words(&self) -> String {
        let [columns, rows] = self.size;
        let mut words = vec![self.modality.clone(), format!("{} of {columns} x {rows}", counted(self.slices, "slice"))];
        // To a tenth of a micrometre, without the zeros behind.
        let mm = |x: f64| (x * 1e4).round() / 1e4;
        words.extend(self.spacing_mm.map(|[x, y, z]| format!("{} x {} x {} mm", mm(x), mm(y), mm(z))));
        words.extend(self.thickness_mm.map(|mm| format!("thickness {mm} mm")));
        words.extend(self.kernel.as_ref().map(|kernel| format!("kernel {kernel}")));
        words.join(", ")
    }
}

/// What is known of a scan while it is still being read.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// All that the path holds, where it is more than one volume.
    Listed(Vec<Series>),
    /// The middle slice of a listed series, by its number. HU.
    Thumbnail(usize, Volume),
    /// A slice of the scan that is being opened.
    Slice(Preview),
}
