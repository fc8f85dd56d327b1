//! The animations of a result: along lambda, through the slices, and both.

use super::animation::Film;
use super::montage::Story;
use super::png::Figure;
use super::style::Layout;
use crate::frame::camera::Camera;

/// How long a picture stands where they blink while slices go by, hundredths of a second: WCAG 2.1, success criterion 2.3.1,
/// allows three flashes a second.
const BLINK: u16 = 50;

impl Story<'_> {
    /// One slice while lambda goes there and back; where pictures blink, the scan and the counterfactual in turn.
    pub(super) fn along_lambda(&self) -> Film<Figure<'_>> {
        Film::bounce(self.lambdas(self.here(self.frame_px())), self.style.hundredths())
    }

    /// One picture for each step, towards the counterfactual.
    fn lambdas(&self, camera: Camera) -> Vec<Figure<'_>> {
        if self.style.layout == Layout::Blink {
            return self.frames(camera, self.result.chosen);
        }
        self.steps().into_iter().flat_map(|step| self.frames(camera, step)).collect()
    }

    /// The scan's slices that may change, one after the other, at the counterfactual.
    pub(super) fn along_slices(&self) -> Film<Figure<'_>> {
        let (size, slab) = (self.frame_px(), &self.result.slab);
        let ends = [slab.start, slab.end.saturating_sub(1)].map(|slice| self.camera(size, slice).slice(&self.grid));
        let (first, last) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let camera = self.camera(size, slab.start);
        let of_slice = |slice| self.frames(camera.at_slice(&self.grid, slice), self.result.chosen);
        let blinks = self.style.layout == Layout::Blink;
        let hundredths = self.style.hundredths().max(if blinks { BLINK } else { 0 });
        Film::forth((first..=last).flat_map(of_slice).collect(), hundredths)
    }

    /// From one to the next of the slices that changed most; at each lambda goes there and back.
    pub(super) fn tour(&self) -> Film<Figure<'_>> {
        let stop = |camera| Film::bounce(self.lambdas(camera), self.style.hundredths());
        let cameras = self.most_changed(self.frame_px()).into_iter();
        cameras.map(stop).reduce(Film::then).unwrap_or_else(|| self.along_lambda())
    }
}
