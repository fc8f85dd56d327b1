//! What the panes show: which pictures, how arranged, in which colours.

use serde::{Deserialize, Serialize};

use crate::frame::{Ends, Map, Sampling};
use crate::latent_shift::HeatmapMethod;
use crate::latent_shift::saliency::Method;

/// Which of the pictures of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shown {
    Original,
    /// Lambda 0.
    Reconstruction,
    Counterfactual,
    Difference,
}

impl Shown {
    /// The next one in a single pane.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Original => Self::Reconstruction,
            Self::Reconstruction => Self::Counterfactual,
            Self::Counterfactual => Self::Difference,
            Self::Difference => Self::Original,
        }
    }
}

/// What is laid over the pictures, and stands in the pane of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Laid {
    /// What the counterfactual changed.
    #[default]
    Change,
    /// How many repetitions of the run agree with it, voxel by voxel.
    Agreement,
    /// What another method makes of the same class.
    By(Method),
}

impl Laid {
    /// Above the pane.
    pub fn title(self) -> &'static str {
        match self {
            Self::Change => "Counterfactual change",
            Self::Agreement => "Runs that agree",
            Self::By(method) => method.title(),
        }
    }

    /// What is shown, in a sentence.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Change => "What the counterfactual changed.",
            Self::Agreement => "The share of repeats that change each place the same way.",
            Self::By(method) => method.describe(),
        }
    }
}

/// How a difference is shown in its pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Changes {
    /// The difference of the slice, at the lambda that is shown.
    Slice,
    /// The largest one through the whole patient.
    Projection,
    /// The change over all lambdas together.
    Heatmap(HeatmapMethod),
}

impl Changes {
    /// This, or the difference of the slice where it is chosen already.
    #[must_use]
    pub fn toggled(self, other: Self) -> Self {
        if self == other { Self::Slice } else { other }
    }

    /// The first heatmap, then the next one; after the last the difference again.
    #[must_use]
    pub fn next_heatmap(self) -> Self {
        let next = match self {
            Self::Heatmap(method) => method as usize + 1,
            Self::Slice | Self::Projection => 0,
        };
        HeatmapMethod::ALL.get(next).map_or(Self::Slice, |method| Self::Heatmap(*method))
    }
}

/// Above the pane, and in the list of what it can show.
pub fn heatmap_title(method: HeatmapMethod) -> &'static str {
    match method {
        HeatmapMethod::Int => "Heatmap, change from step to step",
        HeatmapMethod::Mean => "Heatmap, mean change",
        HeatmapMethod::MinMax => "Heatmap, first to last step",
        HeatmapMethod::Max => "Heatmap, largest change",
    }
}

/// The colours of volumes, by name.
pub const MAPS: [(Map, &str); 3] = [(Map::Grey, "Grey"), (Map::Viridis, "Viridis"), (Map::Hot, "Hot")];
/// The colours of a difference, by name.
pub const ENDS: [(Ends, &str); 2] = [(Ends::BlueRed, "Blue and red"), (Ends::CoolWarm, "Cool and warm")];

/// How the panes are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Original, counterfactual, difference, on one plane.
    Three,
    /// Original, counterfactual and difference in three rows, one for each plane.
    Planes,
    /// Original and counterfactual above, difference and reconstruction below, on one plane.
    Rows,
    /// Three planes of one volume, two by two, with the difference.
    Mpr(Shown),
    /// One pane.
    Single(Shown),
}

/// Least and most of an overlay.
pub const OPACITY: [f32; 2] = [0.05, 1.0];
/// The largest threshold of the difference, HU.
pub const LARGEST_THRESHOLD_HU: f32 = 2000.0;

/// A change of what is shown, told without what is shown now: several in one frame all count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Three planes of each picture, or one plane again.
    Planes,
    /// The next volume where one is shown alone.
    NextVolume,
    Swipe,
    DetailKept,
    Overlay,
    Projection,
    NextHeatmap,
    Inverted,
    Map(Map),
    Ends(Ends),
    Crosshair,
    Annotated,
    Laid(Laid),
    Sampling,
    Logits,
    /// The overlay so much more opaque, or less.
    Opacity(f32),
    /// The threshold of the difference so many HU higher, or lower.
    Threshold(f32),
}

/// What a person chose of all that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, and all combine")]
pub struct Display {
    pub layout: Layout,
    /// The counterfactual as the sharp scan plus the difference, in place of what the autoencoder draws.
    pub detail_kept: bool,
    /// The difference on top of the counterfactual.
    pub overlay: bool,
    pub changes: Changes,
    #[serde(default)]
    pub laid: Laid,
    /// Smaller differences are not drawn, HU.
    pub threshold_hu: f32,
    /// How opaque the overlay is where it saturates, `0..=1`.
    pub opacity: f32,
    pub sampling: Sampling,
    /// Where a single pane is split between original and counterfactual, `0..=1` of its width.
    pub swipe: Option<f32>,
    pub inverted: bool,
    /// The colours of the volumes.
    #[serde(default)]
    pub map: Map,
    /// The colours of the difference.
    #[serde(default)]
    pub ends: Ends,
    /// Lines where the planes cross.
    pub crosshair: bool,
    /// Letters, scales and numbers on the pictures. SYNTHETIC stands there in any case.
    pub annotated: bool,
    /// Scores that are probabilities are told as logits.
    #[serde(default)]
    pub logits: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            layout: Layout::Three,
            detail_kept: false,
            overlay: false,
            changes: Changes::Slice,
            laid: Laid::Change,
            threshold_hu: 0.0,
            opacity: 0.7,
            sampling: Sampling::Linear,
            swipe: None,
            inverted: false,
            map: Map::Grey,
            ends: Ends::BlueRed,
            crosshair: true,
            annotated: true,
            logits: false,
        }
    }
}

impl Layout {
    /// Whether it shows all three planes.
    pub fn shows_all_planes(self) -> bool {
        matches!(self, Self::Planes | Self::Mpr(_))
    }
}

impl Display {
    /// This with a change.
    #[must_use]
    pub fn changed(self, change: Change) -> Self {
        match change {
            Change::Planes => {
                let layout = if self.layout == Layout::Planes { Layout::Three } else { Layout::Planes };
                Self { layout, ..self }
            }
            Change::NextVolume => self.next_volume(),
            Change::Swipe => self.swiping(self.swipe.is_none()),
            Change::DetailKept => Self { detail_kept: !self.detail_kept, ..self },
            Change::Overlay => Self { overlay: !self.overlay, ..self },
            Change::Projection => Self { changes: self.changes.toggled(Changes::Projection), ..self },
            Change::NextHeatmap => Self { changes: self.changes.next_heatmap(), ..self },
            Change::Inverted => Self { inverted: !self.inverted, ..self },
            Change::Map(map) => Self { map, ..self },
            Change::Ends(ends) => Self { ends, ..self },
            Change::Crosshair => Self { crosshair: !self.crosshair, ..self },
            Change::Laid(laid) => Self { laid, ..self },
            Change::Annotated => Self { annotated: !self.annotated, ..self },
            Change::Sampling => {
                let sampling = match self.sampling {
                    Sampling::Linear => Sampling::Nearest,
                    Sampling::Nearest => Sampling::Linear,
                };
                Self { sampling, ..self }
            }
            Change::Logits => Self { logits: !self.logits, ..self },
            Change::Opacity(by) => Self { opacity: self.opacity + by, ..self }.within_bounds(),
            Change::Threshold(by_hu) => Self { threshold_hu: self.threshold_hu + by_hu, ..self }.within_bounds(),
        }
    }

    /// The next volume where one is shown alone.
    #[must_use]
    pub fn next_volume(self) -> Self {
        let layout = match self.layout {
            Layout::Single(shown) => Layout::Single(shown.next()),
            Layout::Mpr(shown) => Layout::Mpr(shown.next()),
            layout @ (Layout::Three | Layout::Planes | Layout::Rows) => layout,
        };
        Self { layout, ..self }
    }

    /// This with or without a swipe, which is a matter of the single pane.
    #[must_use]
    pub fn swiping(self, on: bool) -> Self {
        let layout = Layout::Single(Shown::Counterfactual);
        if on { Self { layout, swipe: Some(0.5), ..self } } else { Self { swipe: None, ..self } }
    }

    /// What comes from a file, as far as it can be.
    #[must_use]
    pub fn within_bounds(self) -> Self {
        Self {
            threshold_hu: self.threshold_hu.clamp(0.0, LARGEST_THRESHOLD_HU),
            opacity: self.opacity.clamp(OPACITY[0], OPACITY[1]),
            swipe: self.swipe.map(|share| share.clamp(0.0, 1.0)),
            ..self
        }
    }

    /// One pane alone, or all three of its plane again.
    #[must_use]
    pub fn maximised(self, shown: Shown) -> Self {
        let layout = if matches!(self.layout, Layout::Single(_)) { Layout::Three } else { Layout::Single(shown) };
        Self { layout, swipe: None, ..self }
    }
}
