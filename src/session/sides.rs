//! The panels at the sides of the pictures: both where the window is wide, and in a narrow one that which there is something to do in.

use super::action::Which;
use super::apply::Session;

impl Session {
    /// Whether a side panel is shown.
    pub fn shows(&self, which: Which) -> bool {
        let sides = self.model.settings.sides;
        let (side, needed) = match which {
            Which::Steps => (sides.steps, self.model.awaits_steps()),
            Which::Result => (sides.result, !self.model.awaits_steps()),
        };
        side.is_shown(self.narrow.then_some(needed))
    }

    /// Shows a side panel, or puts it away.
    pub(super) fn turn_side(&mut self, which: Which) {
        let (open, narrow) = (!self.shows(which), self.narrow);
        let sides = &mut self.model.settings.sides;
        let side = match which {
            Which::Steps => &mut sides.steps,
            Which::Result => &mut sides.result,
        };
        *side = if narrow { side.turned_where_narrow(open) } else { side.turned(open) };
    }
}
