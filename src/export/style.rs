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
}

impl Default for Style {
    fn default() -> Self {
        Self { size_px: None, fps: 8, loops: 0, layout: Layout::default() }
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
