//! What the panes tell of: a scan, what a run has drawn so far, one result, or two side by side.

use std::sync::Arc;

use super::explained::Explained;
use super::model::Model;
use super::model::sketching::SoFar;
use super::open_scan::OpenScan;
use super::view::Viewer;
use super::view::arrange::{Arrangement, Picture};
use super::view::marks::computed;
use super::view::pair::step_beside;
use crate::frame::{Generated, Layers};

/// What the panes tell of.
#[derive(Clone, Copy)]
pub enum Told<'a> {
    Nothing,
    Scan(&'a Arc<OpenScan>),
    /// The latest step of a run that goes on.
    SoFar(&'a Arc<OpenScan>, &'a Arc<SoFar>),
    Result(&'a Arc<OpenScan>, &'a Arc<Explained>),
    /// Two results of the scan, A and B.
    Pair(&'a Arc<OpenScan>, [&'a Arc<Explained>; 2]),
}

impl<'a> Told<'a> {
    /// The result that is shown, A of two; none while a run's pictures so far are shown.
    pub fn result(self) -> Option<&'a Arc<Explained>> {
        match self {
            Self::Result(_, run) | Self::Pair(_, [run, _]) => Some(run),
            Self::Nothing | Self::Scan(_) | Self::SoFar(..) => None,
        }
    }
}

/// What the panes tell of now. A run that goes on is looked at as soon as it has drawn something, unless the result before is wanted.
pub fn told<'a>(model: &'a Model, viewer: &Viewer) -> Told<'a> {
    let Some(scan) = model.scan.ready() else { return Told::Nothing };
    let run = model.run.ready();
    let so_far = model.sketching.drawn.ready().filter(|_| run.is_none() || !viewer.older);
    match (so_far, run, model.beside.ready()) {
        (Some(so_far), ..) => Told::SoFar(scan, so_far),
        (None, Some(a), Some(b)) => Told::Pair(scan, [a, b]),
        (None, Some(run), None) => Told::Result(scan, run),
        (None, None, _) => Told::Scan(scan),
    }
}

/// All panes.
pub fn arrange(model: &Model, viewer: &Viewer) -> Arrangement {
    match told(model, viewer) {
        Told::Nothing => viewer.arrange(None, None),
        Told::Scan(scan) => viewer.arrange(Some(scan), None),
        Told::SoFar(scan, so_far) => viewer.arrange_so_far(scan, so_far),
        Told::Result(scan, run) => {
            let mut arrangement = viewer.arrange(Some(scan), Some(run));
            if model.unlike(run).is_some() {
                let drawn = |picture: &&mut Picture| picture.synthetic.is_some_and(Generated::has_lambda);
                arrangement.pictures.iter_mut().filter(drawn).for_each(not_as_chosen);
            }
            arrangement
        }
        Told::Pair(scan, [a, b]) => viewer.arrange_pair(scan, a, b),
    }
}

/// Says on a picture that a run would now be asked for something else.
fn not_as_chosen(picture: &mut Picture) {
    const WORDS: &str = "not as chosen now";
    picture.score = Some(match picture.score.take() {
        Some(score) => format!("{score}, {WORDS}"),
        None => WORDS.to_owned(),
    });
}

/// The original that a swipe leaves at the left of the single pane, and its share of the width; none where two results are compared, or a
/// run goes on.
pub fn swiped(model: &Model, viewer: &Viewer) -> Option<(Picture, f32)> {
    match told(model, viewer) {
        Told::Result(scan, run) => viewer.swiped(Some(scan), Some(run)),
        Told::Nothing | Told::Scan(_) | Told::SoFar(..) | Told::Pair(..) => None,
    }
}

/// The volumes that regions are read in, each with the step that it shows.
pub fn read_in(model: &Model, viewer: &Viewer) -> Vec<(Arc<Layers>, usize)> {
    let here = computed(viewer.step);
    match told(model, viewer) {
        Told::Nothing => Vec::new(),
        Told::Scan(scan) => vec![(Arc::clone(&scan.layers), here)],
        Told::SoFar(scan, so_far) => vec![(Arc::clone(&scan.layers), here), (Arc::clone(&so_far.layers), 1)],
        Told::Result(_, run) => vec![(Arc::clone(&run.layers), here)],
        Told::Pair(_, [a, b]) => {
            let there = computed(step_beside(viewer.step, a, b));
            vec![(Arc::clone(&a.layers), here), (Arc::clone(&b.layers), there)]
        }
    }
}
