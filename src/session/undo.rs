//! Which actions change the view, so that it can be gone back to.

use super::action::{Measure, View};
use super::view::history::ViewChange;

/// What kind of change an action is; none where it leaves the view as it is, or time alone changes it.
pub(super) fn kind_of(act: &View) -> Option<ViewChange> {
    match act {
        View::Slice(_)
        | View::Scroll(_)
        | View::Wheel(..)
        | View::Cursor(_)
        | View::MostChanged
        | View::NextPeak(_) => Some(ViewChange::Place),
        View::Window(_) => Some(ViewChange::Window),
        View::Zoom(..) | View::Pan(..) => Some(ViewChange::Zoom),
        View::Step(_) | View::WheelLambda(_) => Some(ViewChange::Lambda),
        View::Plane(_)
        | View::Hang(_)
        | View::Display(_)
        | View::Change(_)
        | View::Region(_)
        | View::Fit
        | View::Reset => Some(ViewChange::Choice),
        View::TogglePlay
        | View::Cine
        | View::Pace(_)
        | View::Beside(_)
        | View::Lens
        | View::Blink(_)
        | View::Older(_)
        | View::Narrow(_)
        | View::Side(_)
        | View::PaneSize(_)
        | View::Probe(_)
        | View::Sheet(_)
        | View::Ask(_)
        | View::CloseToast(_)
        | View::Undo
        | View::Redo => None,
    }
}

/// What kind of change a measurement is.
pub(super) fn kind_of_measure(act: &Measure) -> Option<ViewChange> {
    match act {
        Measure::Add(_) | Measure::Delete => Some(ViewChange::Measured),
        // What is selected is shown on its own slice.
        Measure::Select(_) => Some(ViewChange::Place),
        Measure::Tool(_) | Measure::NextTool | Measure::Draft(_) => None,
    }
}
