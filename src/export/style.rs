//! How pictures and animations are made: what stands in them, how large, how fast, of which slice.

use std::ops::RangeInclusive;

use glam::DVec3;
use serde::{Deserialize, Serialize};

use crate::frame::Window;

/// What stands in a picture of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    #[default]
    Panes,
    Single,
    Blink,
}

impl Layout {
    pub const ALL: [Self; 3] = [Self::Panes, Self::Single, Self::Blink];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Panes => "panes",
            Self::Single => "single",
            Self::Blink => "blink",
        }
    }

    /// In a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Panes => "Side by side",
            Self::Single => "Single pane",
            Self::Blink => "Blink",
        }
    }

    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Panes => "original, counterfactual and difference side by side",
            Self::Single => "the counterfactual alone, with its score as a bar",
            Self::Blink => "original and counterfactual in turn in one pane; side by side where nothing moves",
        }
    }
}

/// What is written on pictures beside titles, SYNTHETIC and the line that says research use, which are always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Annotation {
    Letters,
    Slice,
    ScaleBar,
    ColorBar,
    Lambda,
    Scores,
}

impl Annotation {
    pub const ALL: [Self; 6] = [Self::Letters, Self::Slice, Self::ScaleBar, Self::ColorBar, Self::Lambda, Self::Scores];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Letters => "letters",
            Self::Slice => "slice",
            Self::ScaleBar => "scale-bar",
            Self::ColorBar => "color-bar",
            Self::Lambda => "lambda",
            Self::Scores => "scores",
        }
    }

    /// In a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Letters => "Letters",
            Self::Slice => "Slice",
            Self::ScaleBar => "Scale bar",
            Self::ColorBar => "Colour bar",
            Self::Lambda => "Lambda",
            Self::Scores => "Scores",
        }
    }

    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Letters => "which way each edge lies in the patient",
            Self::Slice => "plane and number of the slice",
            Self::ScaleBar => "5 cm, as a line",
            Self::ColorBar => "the colours of the difference, with their HU",
            Self::Lambda => "where along the shift a pane lies",
            Self::Scores => "the lines below and the bar of the score",
        }
    }
}

/// Annotations that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Annotation>", into = "Vec<Annotation>")]
pub struct LeftOut([bool; Annotation::ALL.len()]);

impl LeftOut {
    pub fn has(self, annotation: Annotation) -> bool {
        self.0[annotation as usize]
    }

    pub fn set(&mut self, annotation: Annotation, left_out: bool) {
        self.0[annotation as usize] = left_out;
    }
}

impl From<Vec<Annotation>> for LeftOut {
    fn from(annotations: Vec<Annotation>) -> Self {
        let mut all = Self::default();
        for annotation in annotations {
            all.set(annotation, true);
        }
        all
    }
}

impl From<LeftOut> for Vec<Annotation> {
    fn from(left_out: LeftOut) -> Self {
        Annotation::ALL.into_iter().filter(|annotation| left_out.has(*annotation)).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Style {
    /// Width of a pane; each kind of picture has its own where none is chosen.
    pub size_px: Option<u32>,
    /// Steps, or slices, a second.
    pub fps: u16,
    /// How often GIF and APNG play; 0 is without end. A video is repeated by what plays it.
    pub loops: u16,
    pub layout: Layout,
    pub left_out: LeftOut,
}

impl Default for Style {
    fn default() -> Self {
        Self { size_px: None, fps: 8, loops: 0, layout: Layout::default(), left_out: LeftOut::default() }
    }
}

impl Style {
    /// Narrower panes hold no annotations.
    pub const SIZE_PX: RangeInclusive<u32> = 240..=1200;
    pub const FPS: RangeInclusive<u16> = 1..=25;
    pub const LOOPS: RangeInclusive<u16> = 0..=1000;

    /// The size of a pane, of the shape that its kind of picture has.
    pub(super) fn sized(self, [width, height]: [u32; 2]) -> [u32; 2] {
        self.size_px.map_or([width, height], |size| {
            let size = size.clamp(*Self::SIZE_PX.start(), *Self::SIZE_PX.end());
            [size, (size * height).div_ceil(width)]
        })
    }

    /// How long one of `fps` pictures a second stands, hundredths of a second.
    pub(super) fn hundredths(self) -> u16 {
        (100 / self.fps.max(1)).max(1)
    }
}

/// An axial slice and a window, in the place of the slice that changed most and the usual windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// On the slice, RAS+ millimetres.
    pub place: DVec3,
    pub window: Window,
}
