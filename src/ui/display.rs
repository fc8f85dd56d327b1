//! What the panes show: which pictures, how arranged, in which colours.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::open_scan::OpenScan;
use super::session::{Explained, Session};
use super::viewer::Viewer;
use crate::frame::{Content, Generated, Layers, Look, Overlay, Plane, Sampling, Shade};
use crate::latent_shift::HeatmapMethod;

/// Which of the pictures of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Shown {
    Original,
    /// Lambda 0.
    Reconstruction,
    Counterfactual,
    Difference,
}

impl Shown {
    /// The next one in a single pane.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Original => Self::Reconstruction,
            Self::Reconstruction => Self::Counterfactual,
            Self::Counterfactual => Self::Difference,
            Self::Difference => Self::Original,
        }
    }
}

/// How a difference is shown in its pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Changes {
    /// Of the slice, at the lambda that is shown.
    Slice,
    /// The largest one through the whole patient.
    Projection,
    /// Of all lambdas together.
    Heatmap(HeatmapMethod),
}

impl Changes {
    /// This, or the difference of the slice where it is chosen already.
    pub(super) fn toggled(self, other: Self) -> Self {
        if self == other { Self::Slice } else { other }
    }

    /// The first heatmap, then the next one; after the last the difference again.
    pub(super) fn next_heatmap(self) -> Self {
        let next = match self {
            Self::Heatmap(method) => method as usize + 1,
            Self::Slice | Self::Projection => 0,
        };
        HeatmapMethod::ALL.get(next).map_or(Self::Slice, |method| Self::Heatmap(*method))
    }
}

/// Above the pane, and in the list of what it can show.
pub(super) fn heatmap_title(method: HeatmapMethod) -> &'static str {
    match method {
        HeatmapMethod::Int => "Heatmap, change from step to step",
        HeatmapMethod::Mean => "Heatmap, mean change",
        HeatmapMethod::MinMax => "Heatmap, first to last step",
        HeatmapMethod::Max => "Heatmap, largest change",
    }
}

/// How the panes are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Layout {
    /// Original, counterfactual, difference, on one plane.
    Three,
    /// The same in three rows, one for each plane.
    Planes,
    /// One pane.
    Single(Shown),
}

/// Least and most of an overlay.
pub(super) const OPACITY: [f32; 2] = [0.05, 1.0];
/// Of a difference that is drawn, HU.
pub(super) const LARGEST_THRESHOLD_HU: f32 = 2000.0;

/// What a person chose of all that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, and all combine")]
pub(super) struct Display {
    pub(super) layout: Layout,
    /// The counterfactual as the sharp scan plus the difference, in place of what the autoencoder draws.
    pub(super) detail_kept: bool,
    /// The difference on top of the counterfactual.
    pub(super) overlay: bool,
    pub(super) changes: Changes,
    /// Smaller differences are not drawn, HU.
    pub(super) threshold_hu: f32,
    /// Of the overlay where it saturates, `0..=1`.
    pub(super) opacity: f32,
    pub(super) sampling: Sampling,
    /// Where a single pane is split between original and counterfactual, `0..=1` of its width.
    pub(super) swipe: Option<f32>,
    pub(super) inverted: bool,
    /// Lines where the planes cross.
    pub(super) crosshair: bool,
    /// Letters, scales and numbers on the pictures. SYNTHETIC stands there in any case.
    pub(super) annotated: bool,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            layout: Layout::Three,
            detail_kept: false,
            overlay: false,
            changes: Changes::Slice,
            threshold_hu: 0.0,
            opacity: 0.7,
            sampling: Sampling::Linear,
            swipe: None,
            inverted: false,
            crosshair: true,
            annotated: true,
        }
    }
}

/// One pane: what it shows, and how.
#[derive(Clone)]
pub(super) struct Picture {
    pub(super) title: &'static str,
    pub(super) shown: Shown,
    pub(super) plane: Plane,
    pub(super) layers: Arc<Layers>,
    pub(super) look: Look,
    /// Of what, where the pixels are generated.
    pub(super) synthetic: Option<Generated>,
    /// Blended from two steps, for the eye only.
    pub(super) blended: bool,
}

/// Pictures row by row, and how many stand in a row.
pub(super) struct Arrangement {
    pub(super) pictures: Vec<Picture>,
    pub(super) columns: usize,
}

impl Display {
    /// With or without a swipe, which is a matter of the single pane.
    pub(super) fn swiping(self, on: bool) -> Self {
        let layout = Layout::Single(Shown::Counterfactual);
        if on { Self { layout, swipe: Some(0.5), ..self } } else { Self { swipe: None, ..self } }
    }

    /// What comes from a file, as far as it can be.
    pub(super) fn within_bounds(self) -> Self {
        Self {
            threshold_hu: self.threshold_hu.clamp(0.0, LARGEST_THRESHOLD_HU),
            opacity: self.opacity.clamp(OPACITY[0], OPACITY[1]),
            swipe: self.swipe.map(|share| share.clamp(0.0, 1.0)),
            ..self
        }
    }

    /// One pane alone, or all three of its plane again.
    pub(super) fn maximised(self, shown: Shown) -> Self {
        let layout = if matches!(self.layout, Layout::Single(_)) { Layout::Three } else { Layout::Single(shown) };
        Self { layout, swipe: None, ..self }
    }

    /// All panes. While `blink` is held the original stands in the counterfactual's place.
    pub(super) fn arrange(&self, session: &Session, viewer: &Viewer) -> Arrangement {
        let planes = match self.layout {
            Layout::Planes => vec![Plane::Axial, Plane::Coronal, Plane::Sagittal],
            Layout::Three | Layout::Single(_) => vec![viewer.plane],
        };
        let Some(scan) = session.scan.ready() else { return Arrangement { pictures: Vec::new(), columns: 1 } };
        let original = |plane| self.original(session, scan, viewer, plane);
        let Some(run) = session.run.ready() else {
            let columns = planes.len();
            return Arrangement { pictures: planes.into_iter().map(original).collect(), columns };
        };
        let picture = |plane, shown| match shown {
            Shown::Original => original(plane),
            Shown::Counterfactual if viewer.blink => original(plane),
            Shown::Counterfactual => self.counterfactual(run, viewer, plane),
            Shown::Reconstruction => self.reconstruction(run, viewer, plane),
            Shown::Difference => self.difference(run, viewer, plane),
        };
        let row: &[Shown] = match &self.layout {
            Layout::Single(shown) => std::slice::from_ref(shown),
            Layout::Three | Layout::Planes => &[Shown::Original, Shown::Counterfactual, Shown::Difference],
        };
        let pictures = planes.into_iter().flat_map(|plane| row.iter().map(move |shown| (plane, *shown)));
        Arrangement { pictures: pictures.map(|(plane, shown)| picture(plane, shown)).collect(), columns: row.len() }
    }

    /// The original that a swipe leaves at the left of the single pane, and its share of the width.
    pub(super) fn swiped(&self, session: &Session, viewer: &Viewer) -> Option<(Picture, f32)> {
        let split = self.layout == Layout::Single(Shown::Counterfactual) && !viewer.blink;
        let share = self.swipe.filter(|_| split)?;
        session.run.ready()?;
        Some((self.original(session, session.scan.ready()?, viewer, viewer.plane), share))
    }

    /// Of the result's own layers, where there is one: they stay on the GPU while the original alone is looked at.
    fn original(&self, session: &Session, scan: &OpenScan, viewer: &Viewer, plane: Plane) -> Picture {
        let layers = Arc::clone(session.run.ready().map_or(&scan.layers, |run| &run.layers));
        let look = Look { sampling: self.sampling, shade: self.grey(viewer), ..Look::scan(viewer.window) };
        Picture { title: "Original", shown: Shown::Original, plane, layers, look, synthetic: None, blended: false }
    }

    fn grey(&self, viewer: &Viewer) -> Shade {
        if self.inverted { Shade::Inverted(viewer.window) } else { Shade::Grey(viewer.window) }
    }

    /// What the autoencoder alone makes of the scan.
    fn reconstruction(&self, run: &Explained, viewer: &Viewer, plane: Plane) -> Picture {
        let look = Look {
            content: Content::Reconstruction,
            step: 0.0,
            shade: self.grey(viewer),
            overlay: None,
            sampling: self.sampling,
        };
        let (shown, layers) = (Shown::Reconstruction, Arc::clone(&run.layers));
        Picture {
            title: "Reconstruction",
            shown,
            plane,
            layers,
            look,
            synthetic: Some(Generated::At(0.0)),
            blended: false,
        }
    }

    fn counterfactual(&self, run: &Explained, viewer: &Viewer, plane: Plane) -> Picture {
        let overlay = Overlay { scale_hu: run.scale_hu, threshold_hu: self.threshold_hu, opacity: self.opacity };
        let look = Look {
            content: if self.detail_kept { Content::DetailKept } else { Content::Decoded },
            step: viewer.step,
            shade: self.grey(viewer),
            overlay: self.overlay.then_some(overlay),
            sampling: self.sampling,
        };
        let title = if self.detail_kept { "Counterfactual, detail kept" } else { "Counterfactual" };
        generated(run, viewer, title, Shown::Counterfactual, plane, look)
    }

    fn difference(&self, run: &Explained, viewer: &Viewer, plane: Plane) -> Picture {
        let (title, content, scale_hu) = match self.changes {
            Changes::Slice => ("Difference", Content::Difference, run.scale_hu),
            Changes::Projection => ("Largest difference", Content::Projection, run.scale_hu),
            Changes::Heatmap(method) => {
                (heatmap_title(method), Content::Heatmap(method), run.heat_scales_hu[method as usize])
            }
        };
        let shade = Shade::Difference { scale_hu, threshold_hu: self.threshold_hu };
        let look = Look { content, step: viewer.step, shade, overlay: None, sampling: self.sampling };
        let picture = generated(run, viewer, title, Shown::Difference, plane, look);
        match self.changes {
            Changes::Heatmap(_) => Picture { synthetic: Some(Generated::Sweep), blended: false, ..picture },
            Changes::Slice | Changes::Projection => picture,
        }
    }
}

fn generated(run: &Explained, viewer: &Viewer, title: &'static str, shown: Shown, plane: Plane, look: Look) -> Picture {
    let (synthetic, blended) = (Some(Generated::At(run.lambda_at(viewer.step))), viewer.step.fract() != 0.0);
    Picture { title, shown, plane, layers: Arc::clone(&run.layers), look, synthetic, blended }
}
