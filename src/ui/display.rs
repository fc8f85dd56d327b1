//! What the panes show: which pictures, how arranged, in which colours.

use std::sync::Arc;

use super::session::{Explained, OpenScan, Session};
use super::viewer::Viewer;
use crate::frame::{Content, Layers, Look, Overlay, Plane, Sampling, Shade};

/// How the panes are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Layout {
    /// Original, counterfactual, difference, on one plane.
    #[default]
    Three,
    /// The same in three rows, one for each plane.
    Planes,
    /// One pane.
    Single,
}

impl Layout {
    pub(super) const ALL: [(Self, &str, &str); 3] = [
        (Self::Three, "Three", "Original, counterfactual and difference of one plane (key L for the next layout)"),
        (Self::Planes, "Planes", "Three planes of each, in rows (key L)"),
        (Self::Single, "Single", "One pane; W swipes between original and counterfactual (key L)"),
    ];

    pub(super) fn next(self) -> Self {
        match self {
            Self::Three => Self::Planes,
            Self::Planes => Self::Single,
            Self::Single => Self::Three,
        }
    }
}

/// What a person chose of all that can be shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Display {
    pub(super) layout: Layout,
    /// The counterfactual as the sharp scan plus the difference, in place of what the autoencoder draws.
    pub(super) detail_kept: bool,
    /// The difference on top of the counterfactual.
    pub(super) overlay: bool,
    /// The largest difference through the whole patient, in place of the slice's.
    pub(super) projection: bool,
    /// Smaller differences are not drawn, HU.
    pub(super) threshold_hu: f32,
    /// Of the overlay where it saturates, `0..=1`.
    pub(super) opacity: f32,
    pub(super) sampling: Sampling,
    /// Where a single pane is split between original and counterfactual, `0..=1` of its width.
    pub(super) swipe: Option<f32>,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            layout: Layout::Three,
            detail_kept: false,
            overlay: false,
            projection: false,
            threshold_hu: 0.0,
            opacity: 0.7,
            sampling: Sampling::Linear,
            swipe: None,
        }
    }
}

/// One pane: what it shows, and how.
#[derive(Clone)]
pub(super) struct Picture {
    pub(super) title: &'static str,
    pub(super) plane: Plane,
    pub(super) layers: Arc<Layers>,
    pub(super) look: Look,
    /// Lambda, where the pixels are generated.
    pub(super) synthetic: Option<f64>,
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
        if on { Self { layout: Layout::Single, swipe: Some(0.5), ..self } } else { Self { swipe: None, ..self } }
    }

    /// All panes. While `blink` is held the original stands in the counterfactual's place.
    pub(super) fn arrange(&self, session: &Session, viewer: &Viewer) -> Arrangement {
        let planes = match self.layout {
            Layout::Planes => vec![Plane::Axial, Plane::Coronal, Plane::Sagittal],
            Layout::Three | Layout::Single => vec![viewer.plane],
        };
        let Some(scan) = session.scan.ready() else { return Arrangement { pictures: Vec::new(), columns: 1 } };
        let original = |plane| self.original(session, scan, viewer, plane);
        let Some(run) = session.run.ready() else {
            let columns = planes.len();
            return Arrangement { pictures: planes.into_iter().map(original).collect(), columns };
        };
        let row = |plane| {
            let counterfactual = if viewer.blink { original(plane) } else { self.counterfactual(run, viewer, plane) };
            match self.layout {
                Layout::Single => vec![counterfactual],
                Layout::Three | Layout::Planes => {
                    vec![original(plane), counterfactual, self.difference(run, viewer, plane)]
                }
            }
        };
        let columns = if self.layout == Layout::Single { 1 } else { 3 };
        Arrangement { pictures: planes.into_iter().flat_map(row).collect(), columns }
    }

    /// The original that a swipe leaves at the left of the single pane, and its share of the width.
    pub(super) fn swiped(&self, session: &Session, viewer: &Viewer) -> Option<(Picture, f32)> {
        let share = self.swipe.filter(|_| self.layout == Layout::Single && !viewer.blink)?;
        session.run.ready()?;
        Some((self.original(session, session.scan.ready()?, viewer, viewer.plane), share))
    }

    /// Of the result's own layers, where there is one: they stay on the GPU while the original alone is looked at.
    fn original(&self, session: &Session, scan: &OpenScan, viewer: &Viewer, plane: Plane) -> Picture {
        let layers = Arc::clone(session.run.ready().map_or(&scan.layers, |run| &run.layers));
        let look = Look { sampling: self.sampling, ..Look::scan(viewer.window) };
        Picture { title: "Original", plane, layers, look, synthetic: None, blended: false }
    }

    fn counterfactual(&self, run: &Explained, viewer: &Viewer, plane: Plane) -> Picture {
        let overlay = Overlay { scale_hu: run.scale_hu, threshold_hu: self.threshold_hu, opacity: self.opacity };
        let look = Look {
            content: if self.detail_kept { Content::DetailKept } else { Content::Decoded },
            step: viewer.step,
            shade: Shade::Grey(viewer.window),
            overlay: self.overlay.then_some(overlay),
            sampling: self.sampling,
        };
        let title = if self.detail_kept { "Counterfactual, detail kept" } else { "Counterfactual" };
        generated(run, viewer, title, plane, look)
    }

    fn difference(&self, run: &Explained, viewer: &Viewer, plane: Plane) -> Picture {
        let look = Look {
            content: if self.projection { Content::Projection } else { Content::Difference },
            step: viewer.step,
            shade: Shade::Difference { scale_hu: run.scale_hu, threshold_hu: self.threshold_hu },
            overlay: None,
            sampling: self.sampling,
        };
        let title = if self.projection { "Difference, largest through the patient" } else { "Difference" };
        generated(run, viewer, title, plane, look)
    }
}

fn generated(run: &Explained, viewer: &Viewer, title: &'static str, plane: Plane, look: Look) -> Picture {
    let (synthetic, blended) = (Some(run.lambda_at(viewer.step)), viewer.step.fract() != 0.0);
    Picture { title, plane, layers: Arc::clone(&run.layers), look, synthetic, blended }
}
