//! Looks that can be gone back to: window, zoom, place, panes and measurements, as they were before each change.

use std::mem::discriminant;
use std::time::{Duration, Instant};

use super::SavedView;
use crate::session::action::{Measure, View};

/// Looks that are remembered.
const MOST: usize = 100;
/// Changes of one kind that follow each other this fast are one: a drag, a turn of the wheel, a key that is held.
const TOGETHER: Duration = Duration::from_millis(700);

/// What has changed a look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Slices, and where the planes cross.
    Place,
    Window,
    /// Zoom and what lies in the middle.
    Zoom,
    Lambda,
    /// One switch, or one chosen thing: each counts for itself.
    Choice,
    Measured,
}

impl Kind {
    /// What kind of change an action is; none where it leaves the look as it is, or time alone changes it.
    pub fn of(act: &View) -> Option<Self> {
        match act {
            View::Slice(_)
            | View::Scroll(_)
            | View::Wheel(..)
            | View::Cursor(_)
            | View::MostChanged
            | View::NextPeak(_) => Some(Self::Place),
            View::Window(_) => Some(Self::Window),
            View::Zoom(..) | View::Pan(..) => Some(Self::Zoom),
            View::Step(_) | View::WheelLambda(_) => Some(Self::Lambda),
            View::Plane(_) | View::Display(_) | View::Change(_) | View::Region(_) | View::Fit | View::Reset => {
                Some(Self::Choice)
            }
            View::TogglePlay
            | View::Cine
            | View::Pace(_)
            | View::Beside(_)
            | View::Lens
            | View::Blink(_)
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
    pub fn of_measure(act: &Measure) -> Option<Self> {
        match act {
            Measure::Add(_) | Measure::Delete => Some(Self::Measured),
            // What is selected is shown on its own slice.
            Measure::Select(_) => Some(Self::Place),
            Measure::Tool(_) | Measure::NextTool | Measure::Draft(_) => None,
        }
    }

    /// Whether a change that follows one of this kind at once belongs to it.
    fn goes_on(self) -> bool {
        !matches!(self, Self::Choice | Self::Measured)
    }
}

/// Looks before, and looks that were undone.
#[derive(Default)]
pub struct History {
    past: Vec<SavedView>,
    undone: Vec<SavedView>,
    last: Option<(Kind, Instant)>,
}

impl History {
    /// Remembers the look before a change.
    pub fn changed(&mut self, before: SavedView, kind: Kind, now: Instant) {
        let together = |(last, at): (Kind, Instant)| {
            discriminant(&last) == discriminant(&kind) && kind.goes_on() && now.duration_since(at) < TOGETHER
        };
        if !self.last.is_some_and(together) {
            self.past.push(before);
            if self.past.len() > MOST {
                self.past.remove(0);
            }
        }
        self.undone.clear();
        self.last = Some((kind, now));
    }

    /// The look to go back to, in exchange for the one that is left.
    pub fn back(&mut self, now: SavedView) -> Option<SavedView> {
        let before = self.past.pop()?;
        self.undone.push(now);
        self.last = None;
        Some(before)
    }

    /// The look that was left by the last step back.
    pub fn forth(&mut self, now: SavedView) -> Option<SavedView> {
        let next = self.undone.pop()?;
        self.past.push(now);
        self.last = None;
        Some(next)
    }

    pub fn can_go_back(&self) -> bool {
        !self.past.is_empty()
    }

    pub fn can_go_forth(&self) -> bool {
        !self.undone.is_empty()
    }
}
