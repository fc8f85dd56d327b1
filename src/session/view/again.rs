//! The same scan again, with another finding or without one: it is looked at as it was.

use glam::DVec3;

use super::Viewer;
use crate::session::open_scan::OpenScan;

impl Viewer {
    /// Looks at the scan as it was looked at, or at a place in it. Nothing is left of a result.
    pub fn show_again(&mut self, scan: &OpenScan, place: Option<DVec3>) {
        let (before, lens) = (self.saved(), self.lens);
        self.show_scan(scan);
        self.restore(&before, None);
        self.lens = lens;
        if let Some(place) = place {
            self.cursor = place;
            if self.zoom > 1.0 {
                self.middle = place;
            }
        }
    }
}
