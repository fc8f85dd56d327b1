//! What the mouse did, frame by frame. egui looks for what was clicked where the pointer is at the end of a frame; in a slow frame it
//! may have gone on by then, so what followed elsewhere waits for the next one.

use egui::{Event, Pos2};

/// A pointer that has moved no farther since a click is where it clicked, points: egui's own measure.
const NEAR: f32 = 6.0;

/// The events that wait for the next frame.
#[derive(Default)]
pub(super) struct InTurn {
    waiting: Vec<Event>,
    pointer: Pos2,
    /// Whether a button is down.
    held: bool,
}

impl InTurn {
    /// Leaves as many events as one frame can take: clicks and turns of the wheel at one place, and no drag together with its end.
    pub(super) fn take(&mut self, events: &mut Vec<Event>) {
        let mut all = std::mem::take(&mut self.waiting);
        all.append(events);
        self.waiting = all.split_off(self.first_frame(&all));
        *events = all;
    }

    /// Whether another frame is needed.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many events the next frame takes.
    fn first_frame(&mut self, events: &[Event]) -> usize {
        let (mut acted_at, mut dragged) = (None::<Pos2>, false);
        for (n, event) in events.iter().enumerate() {
            match event {
                Event::PointerMoved(to) => {
                    if acted_at.is_some_and(|at| at.distance(*to) > NEAR) {
                        return n;
                    }
                    (self.pointer, dragged) = (*to, self.held);
                }
                Event::PointerButton { pressed, .. } => {
                    if dragged && !pressed {
                        return n;
                    }
                    (self.held, acted_at) = (*pressed, Some(self.pointer));
                }
                Event::MouseWheel { .. } | Event::Zoom(_) => acted_at = Some(self.pointer),
                _ => {}
            }
        }
        events.len()
    }
}
