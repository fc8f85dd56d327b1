//! What was measured on a scan, and the tool in hand.

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
}

/// What was measured on a scan.
#[derive(Default)]
pub struct Measurements {
    pub tool: Option<Tool>,
    pub draft: Option<Measurement>,
    pub list: Vec<Measurement>,
    pub selected: Option<usize>,
    pub readings: Readings,
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
                self.list.push(measurement);
                self.selected = Some(self.list.len() - 1);
            }
            Act::Select(selected) => {
                self.selected = selected;
                return self.list.get(selected?).copied();
            }
            Act::Delete => {
                if let Some(at) = self.selected.take().filter(|at| *at < self.list.len()) {
                    self.list.remove(at);
                }
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
    fn there_are_no_more_measurements_than_a_session_keeps() {
        let mut measurements = Measurements::of(vec![ruler(1.0); MOST]);
        measurements.act(&Act::Add(ruler(2.0)));
        assert_eq!(measurements.list.len(), MOST);
    }
}
