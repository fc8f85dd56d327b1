//! The panes as they are drawn: each with its plane, its layers and its look.

use std::borrow::Cow;
use std::sync::Arc;

use super::Viewer;
use crate::frame::display::{Changes, Display, Laid, Layout, Shown, heatmap_title};
use crate::frame::{Content, Generated, Layers, Look, Overlaid, Overlay, Plane, Shade};
use crate::session::explained::Explained;
use crate::session::open_scan::OpenScan;

/// One pane: what it shows, and how.
#[derive(Clone)]
pub struct Picture {
    pub title: Cow<'static, str>,
    pub shown: Shown,
    pub plane: Plane,
    pub layers: Arc<Layers>,
    pub look: Look,
    /// What the pixels were generated of; none where they are those of a scan as it was opened.
    pub synthetic: Option<Generated>,
    /// Blended from two steps, for the eye only.
    pub blended: bool,
    /// The score of what is shown; none of a difference, nor without a result.
    pub score: Option<String>,
    pub labels: Labels,
}

/// Which labels are written on a picture: where rows and columns of pictures share one, the first of them has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels {
    /// The title and the score.
    pub title: bool,
    /// The plane and the slice.
    pub slice: bool,
}

impl Labels {
    pub const ALL: Self = Self { title: true, slice: true };
}

/// Pictures row by row, and how many stand in a row.
pub struct Arrangement {
    pub pictures: Vec<Picture>,
    pub columns: usize,
}

impl Viewer {
    /// All panes.
    pub fn arrange(&self, scan: Option<&OpenScan>, run: Option<&Explained>) -> Arrangement {
        const PLANES: [Plane; 3] = [Plane::Axial, Plane::Coronal, Plane::Sagittal];
        let Some(scan) = scan else { return Arrangement { pictures: Vec::new(), columns: 1 } };
        let original = |plane| self.original(scan, run, plane);
        let here = self.plane;
        let Some(run) = run else {
            let (planes, columns): (&[Plane], _) = match self.display.layout {
                Layout::Planes => (&PLANES, 3),
                Layout::Mpr(_) => (&PLANES, 2),
                Layout::Three | Layout::Rows | Layout::Single(_) => (std::slice::from_ref(&here), 1),
            };
            let shown = |plane| match self.laid_over(None) {
                Some((overlay, layers)) => self.mapped(scan, overlay, layers, plane),
                None => original(plane),
            };
            return Arrangement { pictures: planes.iter().map(|plane| shown(*plane)).collect(), columns };
        };
        let picture = |place| self.picture(scan, run, place, self.step);
        let row = [Shown::Original, Shown::Counterfactual, Shown::Difference];
        let (places, columns): (Vec<(Plane, Shown)>, _) = match self.display.layout {
            Layout::Single(shown) => (vec![(here, shown)], 1),
            Layout::Three => (row.map(|shown| (here, shown)).to_vec(), 3),
            Layout::Planes => (PLANES.into_iter().flat_map(|plane| row.map(|shown| (plane, shown))).collect(), 3),
            Layout::Rows => {
                let [original, counterfactual, difference] = row;
                let four = [original, counterfactual, difference, Shown::Reconstruction];
                (four.map(|shown| (here, shown)).to_vec(), 2)
            }
            Layout::Mpr(shown) => {
                let beside = if shown == Shown::Difference { Shown::Counterfactual } else { Shown::Difference };
                (PLANES.map(|plane| (plane, shown)).into_iter().chain([(here, beside)]).collect(), 2)
            }
        };
        let mut pictures: Vec<Picture> = places.into_iter().map(picture).collect();
        if self.display.layout == Layout::Planes {
            for (at, picture) in pictures.iter_mut().enumerate() {
                picture.labels = Labels { title: at < columns, slice: at % columns == 0 };
            }
        }
        Arrangement { pictures, columns }
    }

    /// One picture of a result, at a place along its steps. While `blink` is held the original stands in the counterfactual's place.
    pub(in crate::session) fn picture(
        &self,
        scan: &OpenScan,
        run: &Explained,
        (plane, shown): (Plane, Shown),
        step: f32,
    ) -> Picture {
        match shown {
            Shown::Original => self.original(scan, Some(run), plane),
            Shown::Counterfactual if self.blink => self.original(scan, Some(run), plane),
            Shown::Counterfactual => self.counterfactual(run, plane, step),
            Shown::Reconstruction => self.reconstruction(run, plane),
            Shown::Difference => self.difference(run, plane, step),
        }
    }

    /// The original that a swipe leaves at the left of the single pane, and its share of the width.
    pub fn swiped(&self, scan: Option<&OpenScan>, run: Option<&Explained>) -> Option<(Picture, f32)> {
        let split = self.display.layout == Layout::Single(Shown::Counterfactual) && !self.blink;
        let share = self.display.swipe.filter(|_| split)?;
        Some((self.original(scan?, Some(run?), self.plane), share))
    }

    /// The scan, from the result's own layers where there is a result: they stay on the GPU while the original alone is looked at.
    pub(super) fn original(&self, scan: &OpenScan, run: Option<&Explained>, plane: Plane) -> Picture {
        let layers = Arc::clone(run.map_or(&scan.layers, |run| &run.layers));
        let look = Look { sampling: self.display.sampling, shade: self.shade(), ..Look::scan(self.window) };
        let score = run.map(|run| self.score_text(run, run.result().scores.scan));
        Picture {
            title: "Original".into(),
            shown: Shown::Original,
            plane,
            layers,
            look,
            synthetic: scan.generated(),
            blended: false,
            score,
            labels: Labels::ALL,
        }
    }

    /// "score 0.8312", or a logit where scores are told so; between two steps about so much.
    fn score_text(&self, run: &Explained, score: f64) -> String {
        let what = if self.display.logits { "logit" } else { run.result().score_kind.axis() };
        format!("{what} {}", run.scale(self.display.logits).text(score))
    }

    fn shade(&self) -> Shade {
        let Display { map, inverted, .. } = self.display;
        Shade::Window { window: self.window, map, inverted }
    }

    /// What the autoencoder alone makes of the scan.
    fn reconstruction(&self, run: &Explained, plane: Plane) -> Picture {
        let look = Look {
            content: Content::Reconstruction,
            step: 0.0,
            shade: self.shade(),
            overlay: None,
            sampling: self.display.sampling,
        };
        let (shown, layers) = (Shown::Reconstruction, Arc::clone(&run.layers));
        Picture {
            title: "Reconstruction".into(),
            shown,
            plane,
            layers,
            look,
            synthetic: Some(Generated::At(0.0)),
            blended: false,
            score: Some(self.score_text(run, run.result().scores.reconstruction)),
            labels: Labels::ALL,
        }
    }

    fn counterfactual(&self, run: &Explained, plane: Plane, step: f32) -> Picture {
        let (overlay, layers) = self.laid_over(Some(run)).unwrap_or_else(|| {
            let Display { threshold_hu, opacity, .. } = self.display;
            let of = Overlaid::Difference;
            (Overlay { of, scale_hu: run.scale_hu, threshold_hu, opacity }, Arc::clone(&run.layers))
        });
        let look = Look {
            content: if self.display.detail_kept { Content::DetailKept } else { Content::Decoded },
            step,
            shade: self.shade(),
            overlay: self.display.overlay.then_some(overlay),
            sampling: self.display.sampling,
        };
        let title = if self.display.detail_kept { "Counterfactual, detail kept" } else { "Counterfactual" };
        let score = Some(self.score_text(run, run.score_at(step)));
        Picture { layers, score, ..Self::generated(run, title, Shown::Counterfactual, plane, look) }
    }

    /// The overlay of a map, where one is chosen and there, and the layers that hold it; of a result that is compared with another, its own
    /// map alone.
    fn laid_over(&self, of: Option<&Explained>) -> Option<(Overlay, Arc<Layers>)> {
        let slabs = |layers: &Layers| layers.shift.as_ref().map(|shift| shift.slabs.clone());
        let is_of = |layers: &Layers| match of.and_then(|run| slabs(&run.layers)).zip(slabs(layers)) {
            Some((ours, its)) => ours.same(&its),
            None => true,
        };
        let layers = self.mapped.clone().filter(|layers| self.display.laid != Laid::Change && is_of(layers))?;
        let opacity = self.display.opacity;
        Some((Overlay { of: Overlaid::Map, scale_hu: 1.0, threshold_hu: 0.0, opacity }, layers))
    }

    /// The scan under a map.
    fn mapped(&self, scan: &OpenScan, overlay: Overlay, layers: Arc<Layers>, plane: Plane) -> Picture {
        let look = Look {
            sampling: self.display.sampling,
            shade: self.shade(),
            overlay: Some(overlay),
            ..Look::scan(self.window)
        };
        Picture {
            title: self.display.laid.title().into(),
            shown: Shown::Difference,
            plane,
            layers,
            look,
            synthetic: scan.generated(),
            blended: false,
            score: None,
            labels: Labels::ALL,
        }
    }

    fn difference(&self, run: &Explained, plane: Plane, step: f32) -> Picture {
        if let Some((overlay, layers)) = self.laid_over(Some(run)) {
            return self.mapped(&run.scan, overlay, layers, plane);
        }
        let (title, content, scale_hu) = match self.display.changes {
            Changes::Slice => ("Difference", Content::Difference, run.scale_hu),
            Changes::Projection => ("Largest difference", Content::Projection, run.scale_hu),
            Changes::Heatmap(method) => {
                (heatmap_title(method), Content::Heatmap(method), run.heat_scales_hu[method as usize])
            }
        };
        let Display { threshold_hu, ends, .. } = self.display;
        let shade = Shade::Difference { scale_hu, threshold_hu, ends };
        let look = Look { content, step, shade, overlay: None, sampling: self.display.sampling };
        let picture = Self::generated(run, title, Shown::Difference, plane, look);
        match self.display.changes {
            Changes::Heatmap(_) => Picture { synthetic: Some(Generated::Sweep), blended: false, ..picture },
            Changes::Slice | Changes::Projection => picture,
        }
    }

    fn generated(run: &Explained, title: &'static str, shown: Shown, plane: Plane, look: Look) -> Picture {
        let (synthetic, blended) = (Some(Generated::At(run.lambda_at(look.step))), look.step.fract() != 0.0);
        let title = title.into();
        Picture {
            title,
            shown,
            plane,
            layers: Arc::clone(&run.layers),
            look,
            synthetic,
            blended,
            score: None,
            labels: Labels::ALL,
        }
    }
}
