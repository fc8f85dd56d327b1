//! The animations of a result: along lambda, through the slices, and both.

use anyhow::Result;
use image::RgbaImage;

use super::animation::Film;
use super::montage::Story;
use super::png::leveled;
use super::style::Layout;
use crate::frame::camera::Camera;
use crate::job::Monitor;

/// How long a picture stands where they blink while slices go by, hundredths of a second: WCAG 2.1, success criterion 2.3.1,
/// allows three flashes a second.
const BLINK: u16 = 50;

impl Story<'_> {
    /// One slice while lambda goes there and back; where pictures blink, the scan and the counterfactual in turn.
    pub(super) fn along_lambda(&self, monitor: &Monitor) -> Result<Film> {
        let pictures = self.lambdas(self.here(self.frame_px()), monitor)?;
        Ok(Film::bounce(leveled(pictures), self.style.hundredths()))
    }

    /// One picture for each step, towards the counterfactual.
    fn lambdas(&self, camera: Camera, monitor: &Monitor) -> Result<Vec<RgbaImage>> {
        if self.style.layout == Layout::Blink {
            monitor.step("drawing original and counterfactual", 0, 0)?;
            return self.frames(camera, self.result.chosen);
        }
        let steps = self.steps();
        let mut pictures = Vec::with_capacity(steps.len());
        for (done, step) in steps.iter().enumerate() {
            monitor.step("drawing along lambda", done, steps.len())?;
            pictures.extend(self.frames(camera, *step)?);
        }
        Ok(pictures)
    }

    /// The scan's slices that may change, one after the other, at the counterfactual.
    pub(super) fn along_slices(&self, monitor: &Monitor) -> Result<Film> {
        let (size, slab) = (self.frame_px(), &self.result.slab);
        let ends = [slab.start, slab.end.saturating_sub(1)].map(|slice| self.camera(size, slice).slice(&self.grid));
        let (first, last) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let camera = self.camera(size, slab.start);
        let mut pictures = Vec::new();
        for slice in first..=last {
            monitor.step("drawing through the slices", slice - first, last + 1 - first)?;
            pictures.extend(self.frames(camera.at_slice(&self.grid, slice), self.result.chosen)?);
        }
        let blinks = self.style.layout == Layout::Blink;
        let hundredths = self.style.hundredths().max(if blinks { BLINK } else { 0 });
        Ok(Film::forth(leveled(pictures), hundredths))
    }

    /// From one to the next of the slices that changed most; at each lambda goes there and back.
    pub(super) fn tour(&self, monitor: &Monitor) -> Result<Film> {
        let cameras = self.most_changed(self.frame_px());
        let mut pictures = Vec::new();
        for (done, camera) in cameras.iter().enumerate() {
            monitor.step("drawing the tour of slices", done, cameras.len())?;
            pictures.extend(self.lambdas(*camera, &monitor.quiet())?);
        }
        // As many at each.
        let each = pictures.len() / cameras.len().max(1);
        let mut pictures = leveled(pictures).into_iter();
        let stop = |_| Film::bounce(pictures.by_ref().take(each).collect(), self.style.hundredths());
        Ok(cameras.iter().map(stop).fold(Film::default(), Film::then))
    }
}
