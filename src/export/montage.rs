//! Pictures of one slice in the chosen layout, and the ladder of several slices and lambdas.

use anyhow::Result;
use glam::DVec3;
use image::RgbaImage;

use super::Subject;
use super::png::{Figure, Pane, figure};
use super::style::{Layout, Spot, Style};
use crate::frame::camera::Camera;
use crate::frame::{Content, Generated, Layers, Look, PRESETS, Plane, Sampling, Shade, Shift, Window, lambda_text};
use crate::job::Monitor;
use crate::latent_shift::Counterfactual;
use crate::volume::Grid;

const PANE_PX: [u32; 2] = [420, 420];
/// Of an animation, which is for pages and slides: of a row of three, and alone.
const FRAME_PX: [u32; 2] = [300, 250];
const ALONE_PX: [u32; 2] = [480, 400];
/// Of a ladder.
const RUNG_PX: [u32; 2] = [240, 200];
/// Slices and lambdas of a ladder.
const RUNGS: [usize; 2] = [4, 5];

/// A result as its pictures need it.
#[derive(Clone)]
pub(super) struct Story<'a> {
    pub(super) result: &'a Counterfactual,
    target: &'a str,
    pub(super) style: Style,
    spot: Option<Spot>,
    layers: Layers,
    pub(super) grid: Grid,
    scale_hu: f32,
    /// How pictures of the scan are marked, where a finding was drawn into it.
    drawn: Option<Generated>,
}

impl<'a> Story<'a> {
    pub(super) fn new(subject: &Subject<'a>) -> Self {
        let layers = subject.layers.clone();
        let scale_hu = layers.shift.as_ref().map_or(1.0, Shift::scale_hu);
        let (style, spot, grid) = (subject.style, subject.spot, layers.scan.grid);
        let drawn = subject.run.input.inserted.as_deref().map(Generated::of);
        Self { result: &subject.run.result, target: &subject.report.target, style, spot, layers, grid, scale_hu, drawn }
    }

    /// As the words of the report say, whatever was chosen: all three side by side, of the slice that changed most.
    pub(super) fn usual(&self) -> Self {
        Self { spot: None, style: Style { layout: Layout::Panes, ..self.style }, ..self.clone() }
    }

    /// Of the difference, in every picture.
    pub(super) fn scale_hu(&self) -> f32 {
        self.scale_hu
    }

    /// On the scan's slice where a slice of the stack lies.
    pub(super) fn camera(&self, size: [u32; 2], slice: usize) -> Camera {
        self.camera_at(size, self.result.grid.world_from_voxel.transform_point3(DVec3::new(0.0, 0.0, slice as f64)))
    }

    fn camera_at(&self, size: [u32; 2], place: DVec3) -> Camera {
        let camera = Camera::fit(&self.grid, Plane::Axial, size);
        camera.at_slice(&self.grid, Camera { center: place, ..camera }.slice(&self.grid))
    }

    /// On the chosen slice, or else the one that changed most.
    pub(super) fn here(&self, size: [u32; 2]) -> Camera {
        match self.spot {
            Some(spot) => self.camera_at(size, spot.place),
            None => self.camera(size, self.result.most_changed_slice()),
        }
    }

    /// On each of the slices that changed most. Thin slices of the stack may lie in one of the scan's: each once.
    pub(super) fn most_changed(&self, size: [u32; 2]) -> Vec<Camera> {
        let mut cameras: Vec<Camera> = Vec::new();
        for slice in apart(&self.result.change_per_slice_hu(), self.result.slab.len(), RUNGS[0]) {
            let camera = self.camera(size, slice);
            if cameras.iter().all(|other| other.slice(&self.grid) != camera.slice(&self.grid)) {
                cameras.push(camera);
            }
        }
        cameras
    }

    fn window(&self) -> Window {
        self.spot.map_or(PRESETS[0].1, |spot| spot.window)
    }

    fn pane<'b>(&'b self, title: &'b str, camera: Camera, content: Content, window: Window, step: usize) -> Pane<'b> {
        let shade =
            if content == Content::Difference { Shade::difference(self.scale_hu, 0.0) } else { Shade::grey(window) };
        let look = Look { content, step: step as f32, shade, overlay: None, sampling: Sampling::Linear };
        let generated = || Generated::At(self.result.steps[step].lambda);
        let synthetic = if content == Content::Scan { self.drawn } else { Some(generated()) };
        Pane { title, camera, layers: &self.layers, look, synthetic, marks: Vec::new() }
    }

    /// What the layout shows of a slice.
    fn row(&self, camera: Camera, window: Window, step: usize) -> Vec<Pane<'_>> {
        let shown: &[(&str, Content)] = match self.style.layout {
            Layout::Panes => &[
                ("Original", Content::Scan),
                ("Counterfactual", Content::Decoded),
                ("Difference", Content::Difference),
            ],
            Layout::Single => &[("Counterfactual", Content::Decoded)],
            Layout::Blink => &[("Original", Content::Scan), ("Counterfactual", Content::Decoded)],
        };
        shown.iter().map(|(title, content)| self.pane(title, camera, *content, window, step)).collect()
    }

    /// At the chosen step, in the lung and the soft-tissue window, or in the one that was chosen.
    pub(super) fn montage(&self) -> Result<RgbaImage> {
        let lines = vec![self.scores(), format!("Stopped because {}", self.result.stop)];
        let size = self.style.sized(PANE_PX);
        let camera = self.here(size);
        let windows = self.spot.map_or(vec![PRESETS[1].1, PRESETS[0].1], |spot| vec![spot.window]);
        let rows: Vec<_> = windows.iter().map(|window| self.row(camera, *window, self.result.chosen)).collect();
        let single = self.style.layout == Layout::Single;
        let columns = if single { rows.len() } else { rows[0].len() };
        let bar = single.then_some(self.result.scores.counterfactual);
        figure(&Figure {
            panes: rows.into_iter().flatten().collect(),
            columns,
            grid: self.grid,
            size,
            lines,
            bar,
            left_out: self.style.left_out,
        })
    }

    fn scores(&self) -> String {
        let (target, scores) = (self.target, self.result.scores);
        format!(
            "{target}: scan {:.4}, reconstruction {:.4}, counterfactual {:.4}",
            scores.scan, scores.reconstruction, scores.counterfactual
        )
    }

    /// Pixels of a pane of an animation.
    pub(super) fn frame_px(&self) -> [u32; 2] {
        self.style.sized(if self.style.layout == Layout::Panes { FRAME_PX } else { ALONE_PX })
    }

    /// A picture of an animation, in one window, with the score as a bar; two to be shown in turn where they blink.
    pub(super) fn frames(&self, camera: Camera, step: usize) -> Vec<Figure<'_>> {
        let (row, here) = (self.row(camera, self.window(), step), &self.result.steps[step]);
        let (size, grid, left_out) = (self.frame_px(), self.grid, self.style.left_out);
        let at_lambda = format!("{:.2} at lambda {}", here.score, lambda_text(here.lambda));
        if self.style.layout == Layout::Panes {
            let (columns, lines) = (row.len(), vec![format!("{}: {at_lambda}", self.target)]);
            return vec![Figure { panes: row, columns, grid, size, lines, bar: Some(here.score), left_out }];
        }
        let alone = |pane, score: f64, said: String| {
            // The target in a line of its own: the lines below stay in their places.
            let lines = vec![self.target.to_owned(), said];
            Figure { panes: vec![pane], columns: 1, grid, size, lines, bar: Some(score), left_out }
        };
        row.into_iter()
            .map(|pane| match pane.look.content {
                Content::Scan => {
                    alone(pane, self.result.scores.scan, format!("Score {:.2} of the scan", self.result.scores.scan))
                }
                _ => alone(pane, here.score, format!("Score {at_lambda}")),
            })
            .collect()
    }

    /// Every step, towards the counterfactual.
    pub(super) fn steps(&self) -> Vec<usize> {
        let steps = 0..self.result.steps.len();
        if self.result.chosen == 0 { steps.rev().collect() } else { steps.collect() }
    }

    /// A contact sheet: a row for each of the slices that changed most, a column for the original and for lambdas on the way.
    pub(super) fn ladder(&self, monitor: &Monitor) -> Result<RgbaImage> {
        let size = self.style.sized(RUNG_PX);
        let all = self.steps();
        let steps: Vec<usize> = spread(all.len(), RUNGS[1]).into_iter().map(|i| all[i]).collect();
        let titles: Vec<String> =
            steps.iter().map(|step| format!("Score {:.2}", self.result.steps[*step].score)).collect();
        monitor.step("drawing the ladder", 0, 0)?;
        let mut panes = Vec::new();
        for camera in self.most_changed(size) {
            panes.push(self.pane("Original", camera, Content::Scan, self.window(), 0));
            let rung = |(step, title)| self.pane(title, camera, Content::Decoded, self.window(), step);
            panes.extend(steps.iter().copied().zip(titles.iter().map(String::as_str)).map(rung));
        }
        let lines = vec![self.scores()];
        figure(&Figure {
            panes,
            columns: steps.len() + 1,
            grid: self.grid,
            size,
            lines,
            bar: None,
            left_out: self.style.left_out,
        })
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
