//! The panes of what is open: of one result, or of two side by side.

use super::model::Model;
use super::view::Viewer;
use super::view::arrange::{Arrangement, Picture};

/// All panes.
pub fn arrange(model: &Model, viewer: &Viewer) -> Arrangement {
    match (model.shown(), model.beside.ready()) {
        ((Some(scan), Some(a)), Some(b)) => viewer.arrange_pair(scan, a, b),
        ((Some(scan), None), _) => match model.sketching.drawn.ready() {
            Some(so_far) => viewer.arrange_so_far(scan, so_far),
            None => viewer.arrange(Some(scan), None),
        },
        ((scan, run), _) => viewer.arrange(scan, run),
    }
}

/// The original that a swipe leaves at the left of the single pane, and its share of the width; none where two results are compared.
pub fn swiped(model: &Model, viewer: &Viewer) -> Option<(Picture, f32)> {
    let (scan, run) = model.shown();
    if model.beside.ready().is_some() { None } else { viewer.swiped(scan, run) }
}
