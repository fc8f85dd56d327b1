//! Views that can be gone back to: window, zoom, place, panes and measurements, as they were before each change.

use std::mem::discriminant;
use std::time::{Duration, Instant};

use super::SavedView;

/// Views that are remembered.
const MOST: usize = 100;
/// Changes of one kind that follow each other this fast are one: a drag, a turn of the wheel, a key that is held.
const TOGETHER: Duration = Duration::from_millis(700);

/// What has changed a view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ViewChange {
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

impl ViewChange {
    /// Whether a change that follows one of this kind at once belongs to it.
    fn goes_on(self) -> bool {
        !matches!(self, Self::Choice | Self::Measured)
    }
}

/// Views before, and views that were undone.
#[derive(Default)]
pub struct History {
    past: Vec<SavedView>,
    undone: Vec<SavedView>,
    last: Option<(ViewChange, Instant)>,
}

impl History {
    /// Remembers the view before a change.
    pub fn changed(&mut self, before: SavedView, kind: ViewChange, now: Instant) {
        let together = |(last, at): (ViewChange, Instant)| {
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

    /// The view to go back to, in exchange for the one that is left.
    pub fn back(&mut self, now: SavedView) -> Option<SavedView> {
        let before = self.past.pop()?;
        self.undone.push(now);
        self.last = None;
        Some(before)
    }

    /// The view that was left by the last step back.
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
