//! Original, counterfactual and difference of one slice: as one picture, along lambda, through the slices, and as a ladder.

use anyhow::Result;
use glam::DVec3;
use image::RgbaImage;

use super::png::{Figure, Pane, figure};
use super::{Run, Style};
use crate::frame::camera::Camera;
use crate::frame::{Content, Generated, Layers, Look, PRESETS, Plane, Sampling, Shade, Shift, Window, lambda_text};
use crate::job::Monitor;
use crate::latent_shift::Counterfactual;
use crate::volume::Grid;

const PANE_PX: [u32; 2] = [420, 420];
/// Of an animation, which is for pages and slides.
const FRAME_PX: [u32; 2] = [300, 250];
/// Of a ladder.
const RUNG_PX: [u32; 2] = [240, 200];
/// Slices and lambdas of a ladder.
const RUNGS: [usize; 2] = [4, 5];

/// A result as its pictures need it.
pub(super) struct Story<'a> {
    result: &'a Counterfactual,
    target: &'a str,
    style: Style,
    layers: Layers,
    grid: Grid,
    scale_hu: f32,
}

impl<'a> Story<'a> {
    pub(super) fn new(run: &Run<'a>) -> Self {
        let shift = Shift::of(run.result);
        let scale_hu = shift.scale_hu();
        let layers = Layers { scan: run.scan.clone(), shift: Some(shift) };
        Self { result: run.result, target: &run.report.target, style: run.style, grid: run.scan.grid, layers, scale_hu }
    }

    /// Of the difference, in every picture.
    pub(super) fn scale_hu(&self) -> f32 {
        self.scale_hu
    }

    /// On the scan's slice where a slice of the stack lies.
    fn camera(&self, size: [u32; 2], slice: usize) -> Camera {
        let place = self.result.grid.world_from_voxel.transform_point3(DVec3::new(0.0, 0.0, slice as f64));
        let camera = Camera::fit(&self.grid, Plane::Axial, size);
        camera.at_slice(&self.grid, Camera { center: place, ..camera }.slice(&self.grid))
    }

    fn pane<'b>(&'b self, title: &'b str, camera: Camera, content: Content, window: Window, step: usize) -> Pane<'b> {
        let shade = if content == Content::Difference {
            Shade::Difference { scale_hu: self.scale_hu, threshold_hu: 0.0 }
        } else {
            Shade::Grey(window)
        };
        let look = Look { content, step: step as f32, shade, overlay: None, sampling: Sampling::Linear };
        let synthetic = (content != Content::Scan).then(|| Generated::At(self.result.steps[step].lambda));
        Pane { title, camera, layers: &self.layers, look, synthetic }
    }

    fn row(&self, camera: Camera, window: Window, step: usize) -> [Pane<'_>; 3] {
        [("Original", Content::Scan), ("Counterfactual", Content::Decoded), ("Difference", Content::Difference)]
            .map(|(title, content)| self.pane(title, camera, content, window, step))
    }

    /// At the chosen step, in the lung and the soft-tissue window.
    pub(super) fn montage(&self) -> Result<RgbaImage> {
        let lines = vec![self.scores(), format!("Stopped because {}", self.result.stop)];
        let size = self.style.sized(PANE_PX);
        let camera = self.camera(size, self.result.most_changed_slice());
        let windows = [PRESETS[1].1, PRESETS[0].1];
        let panes = windows.into_iter().flat_map(|window| self.row(camera, window, self.result.chosen)).collect();
        figure(&Figure { panes, columns: 3, grid: self.grid, size, lines, bar: None })
    }

    fn scores(&self) -> String {
        let (target, scores) = (self.target, self.result.scores);
        format!(
            "{target}: scan {:.4}, reconstruction {:.4}, counterfactual {:.4}",
            scores.scan, scores.reconstruction, scores.counterfactual
        )
    }

    /// The three panes in the soft-tissue window, with the score as a bar.
    fn frame(&self, size: [u32; 2], camera: Camera, step: usize) -> Result<RgbaImage> {
        let here = &self.result.steps[step];
        figure(&Figure {
            panes: self.row(camera, PRESETS[0].1, step).into(),
            columns: 3,
            grid: self.grid,
            size,
            lines: vec![format!("{}: {:.2} at lambda {}", self.target, here.score, lambda_text(here.lambda))],
            bar: Some(here.score),
        })
    }

    /// Every step, towards the counterfactual.
    fn steps(&self) -> Vec<usize> {
        let steps = 0..self.result.steps.len();
        if self.result.chosen == 0 { steps.rev().collect() } else { steps.collect() }
    }

    /// One picture for each step, of the slice that changed most.
    pub(super) fn along_lambda(&self, monitor: &Monitor) -> Result<Vec<RgbaImage>> {
        let size = self.style.sized(FRAME_PX);
        let (camera, steps) = (self.camera(size, self.result.most_changed_slice()), self.steps());
        let frame = |(done, step): (usize, &usize)| {
            monitor.step("drawing along lambda", done, steps.len())?;
            self.frame(size, camera, *step)
        };
        steps.iter().enumerate().map(frame).collect()
    }

    /// One picture for each of the scan's slices that may change, at the counterfactual.
    pub(super) fn along_slices(&self, monitor: &Monitor) -> Result<Vec<RgbaImage>> {
        let (size, slab) = (self.style.sized(FRAME_PX), &self.result.slab);
        let ends = [slab.start, slab.end.saturating_sub(1)].map(|slice| self.camera(size, slice).slice(&self.grid));
        let (first, last) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let camera = self.camera(size, slab.start);
        let frame = |slice: usize| {
            monitor.step("drawing through the slices", slice - first, last + 1 - first)?;
            self.frame(size, camera.at_slice(&self.grid, slice), self.result.chosen)
        };
        (first..=last).map(frame).collect()
    }

    /// A contact sheet: a row for each of the slices that changed most, a column for the original and for lambdas on the way.
    pub(super) fn ladder(&self, monitor: &Monitor) -> Result<RgbaImage> {
        let size = self.style.sized(RUNG_PX);
        let all = self.steps();
        let steps: Vec<usize> = spread(all.len(), RUNGS[1]).into_iter().map(|i| all[i]).collect();
        let titles: Vec<String> =
            steps.iter().map(|step| format!("Score {:.2}", self.result.steps[*step].score)).collect();
        let mut cameras: Vec<Camera> = Vec::new();
        for slice in apart(&self.result.change_per_slice_hu(), self.result.slab.len(), RUNGS[0]) {
            let camera = self.camera(size, slice);
            // Thin slices of the stack may lie in one of the scan's.
            if cameras.iter().all(|other| other.slice(&self.grid) != camera.slice(&self.grid)) {
                cameras.push(camera);
            }
        }
        monitor.step("drawing the ladder", 0, 0)?;
        let mut panes = Vec::new();
        for camera in cameras {
            panes.push(self.pane("Original", camera, Content::Scan, PRESETS[0].1, 0));
            let rung = |(step, title)| self.pane(title, camera, Content::Decoded, PRESETS[0].1, step);
            panes.extend(steps.iter().copied().zip(titles.iter().map(String::as_str)).map(rung));
        }
        let lines = vec![self.scores()];
        figure(&Figure { panes, columns: steps.len() + 1, grid: self.grid, size, lines, bar: None })
    }
}

/// At most `wanted` of `n` places, evenly from the first to the last, none twice.
fn spread(n: usize, wanted: usize) -> Vec<usize> {
    let mut places: Vec<usize> =
        (0..wanted).map(|i| i * n.saturating_sub(1) / wanted.saturating_sub(1).max(1)).collect();
    places.dedup();
    places
}

/// At most `wanted` slices, those that changed most, apart by the slab's share for each, in their order.
fn apart(changes: &[f32], slab: usize, wanted: usize) -> Vec<usize> {
    let gap = (slab / wanted.max(1)).max(1);
    let mut most: Vec<usize> = (0..changes.len()).filter(|&i| changes[i] > 0.0).collect();
    most.sort_by(|&a, &b| changes[b].total_cmp(&changes[a]));
    let mut taken: Vec<usize> = Vec::new();
    for slice in most {
        if taken.len() < wanted && taken.iter().all(|other| slice.abs_diff(*other) >= gap) {
            taken.push(slice);
        }
    }
    if taken.is_empty() {
        // Nothing changed: any slice shows it.
        taken.push(changes.len() / 2);
    }
    taken.sort_unstable();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_takes_the_slices_that_changed_most_apart_from_each_other() {
        let changes = [0.0, 5.0, 9.0, 8.0, 1.0, 2.0, 0.0, 0.0];
        assert_eq!(apart(&changes, 8, 2), [2], "nothing else changed four slices away");
        assert_eq!(apart(&changes, 8, 4), [2, 5]);
        assert_eq!(apart(&changes, 3, 3), [1, 2, 3]);
        assert_eq!(apart(&[0.0; 5], 5, 4), [2], "a run that changed nothing is shown all the same");
    }

    #[test]
    fn lambdas_of_a_ladder_reach_from_the_first_to_the_last() {
        assert_eq!(spread(11, 5), [0, 2, 5, 7, 10]);
        assert_eq!(spread(3, 5), [0, 1, 2]);
        assert_eq!(spread(1, 5), [0]);
    }
}
