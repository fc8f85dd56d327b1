//! The panes while a run goes on: the scan, the latest step, and how they differ.

use std::sync::Arc;

use super::Viewer;
use super::arrange::{Arrangement, Labels, Picture};
use crate::frame::display::{Display, Shown};
use crate::frame::{Content, Generated, Look, Shade};
use crate::session::model::sketching::SoFar;
use crate::session::open_scan::OpenScan;

/// Where the latest step stands behind lambda 0.
const LATEST: f32 = 1.0;

impl Viewer {
    /// Original, what was drawn so far, and their difference, on one plane.
    pub fn arrange_so_far(&self, scan: &OpenScan, so_far: &SoFar) -> Arrangement {
        let Display { threshold_hu, ends, sampling, map, inverted, .. } = self.display;
        let window = Shade::Window { window: self.window, map, inverted };
        let difference = Shade::Difference { scale_hu: so_far.scale_hu, threshold_hu, ends };
        let look = |content, step, shade| Look { content, step, shade, overlay: None, sampling };
        let drawn = |title: &'static str, shown, look| Picture {
            title: title.into(),
            shown,
            plane: self.plane,
            layers: Arc::clone(&so_far.layers),
            look,
            synthetic: Some(Generated::At(so_far.lambda)),
            blended: false,
            score: None,
            labels: Labels::ALL,
        };
        let so_far_look = look(Content::Decoded, LATEST, window);
        let counterfactual = Picture {
            score: Some(format!("computing, score {:.4}", so_far.score)),
            ..drawn("Counterfactual so far", Shown::Counterfactual, so_far_look)
        };
        let difference = drawn("Difference so far", Shown::Difference, look(Content::Difference, LATEST, difference));
        let original = self.original(scan, None, self.plane);
        Arrangement { pictures: vec![original, counterfactual, difference], columns: 3 }
    }
}
