//! What was measured on a scan: the list, and its undo.

use super::readings::Readings;
use crate::frame::measure::Measurement;

/// More than anyone draws by hand: each is drawn, and listed, in every frame.
pub const MOST: usize = 500;

/// What a left drag draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Ruler,
    Angle,
    Region,
}

pub const TOOLS: [(Tool, &str, &str); 3] = [
    (Tool::Ruler, "Ruler", "Drag from end to end"),
    (Tool::Angle, "Angle", "Drag from an end to the corner, then click on the other end"),
    (Tool::Region, "Region", "Drag a box around an ellipse"),
];

#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Tool(Option<Tool>),
    /// Off, ruler, angle, region, and off again.
    NextTool,
    /// What is being drawn, or no longer.
    Draft(Option<Measurement>),
    Add(Measurement),
    Select(Option<usize>),
    Delete,
    Undo,
}

/// What was measured on a scan.
#[derive(Default)]
pub struct Measurements {
    pub tool: Option<Tool>,
    pub draft: Option<Measurement>,
    pub list: Vec<Measurement>,
    pub selected: Option<usize>,
    /// What was changed, the latest last, for undo.
    pub changes: Vec<Change>,
    pub readings: Readings,
}

/// A change of the list, and what takes it back.
pub enum Change {
    /// At the end.
    Added,
    Removed(usize, Measurement),
}

impl Measurements {
    pub fn of(list: Vec<Measurement>) -> Self {
        Self { list, ..Self::default() }
    }

    pub fn list(&self) -> &[Measurement] {
        &self.list
    }

    /// The slice to look at, where a measurement was chosen.
    pub fn act(&mut self, act: &Act) -> Option<Measurement> {
        match *act {
            Act::Tool(tool) => (self.tool, self.draft) = (tool, None),
            Act::NextTool => {
                let at = TOOLS.iter().position(|(tool, ..)| Some(*tool) == self.tool);
                (self.tool, self.draft) = (TOOLS.get(at.map_or(0, |at| at + 1)).map(|(tool, ..)| *tool), None);
            }
            Act::Draft(draft) => self.draft = draft,
            Act::Add(measurement) => {
                self.draft = None;
                if self.is_full() {
                    return None;
                }
                self.changes.push(Change::Added);
                self.list.push(measurement);
                self.selected = Some(self.list.len() - 1);
            }
            Act::Select(selected) => {
                self.selected = selected;
                return self.list.get(selected?).copied();
            }
            Act::Delete => {
                if let Some(at) = self.selected.take().filter(|at| *at < self.list.len()) {
                    let removed = self.list.remove(at);
                    self.changes.push(Change::Removed(at, removed));
                }
            }
            Act::Undo => {
                match self.changes.pop() {
                    Some(Change::Added) => _ = self.list.pop(),
                    Some(Change::Removed(at, measurement)) => self.list.insert(at.min(self.list.len()), measurement),
                    None => return None,
                }
                self.selected = None;
            }
        }
        None
    }

    pub fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }
}

#[cfg(test)]
mod tests {
    use glam::DVec3;

    use super::*;
    use crate::frame::Plane;
    use crate::frame::measure::Shape;

    fn ruler(mm: f64) -> Measurement {
        Measurement { plane: Plane::Axial, shape: Shape::Distance([DVec3::ZERO, DVec3::X * mm]) }
    }

    #[test]
    fn every_change_can_be_undone_in_turn() {
        let mut measurements = Measurements::default();
        for act in [Act::Add(ruler(1.0)), Act::Add(ruler(2.0)), Act::Select(Some(0)), Act::Delete] {
            measurements.act(&act);
        }
        assert_eq!(measurements.list, [ruler(2.0)]);
        measurements.act(&Act::Delete);
        assert_eq!(measurements.list, [ruler(2.0)], "nothing is selected any more");
        let mut seen = Vec::new();
        for _ in 0..4 {
            measurements.act(&Act::Undo);
            seen.push(measurements.list.len());
        }
        assert_eq!(seen, [2, 1, 0, 0]);
    }

    #[test]
    fn there_are_no_more_measurements_than_a_session_keeps() {
        let mut measurements = Measurements::of(vec![ruler(1.0); MOST]);
        measurements.act(&Act::Add(ruler(2.0)));
        assert_eq!(measurements.list.len(), MOST);
        measurements.act(&Act::Undo);
        assert_eq!(measurements.list.len(), MOST, "nothing was added");
    }
}
