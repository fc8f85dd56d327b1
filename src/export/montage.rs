//! Original, counterfactual and difference of the slice that changed most: as one picture, and as pictures along lambda.

use anyhow::Result;
use glam::DVec3;
use image::RgbaImage;

use super::png::{Figure, Pane, figure};
use crate::frame::camera::Camera;
use crate::frame::{Content, Layers, Look, PRESETS, Plane, Sampling, Shade, Shift, Window, lambda_text};
use crate::latent_shift::Counterfactual;
use crate::volume::{Grid, Volume};

const PANE_PX: [u32; 2] = [420, 420];
/// Of an animation, which is for pages and slides.
const FRAME_PX: [u32; 2] = [300, 250];

/// A result as its pictures need it.
struct Story<'a> {
    result: &'a Counterfactual,
    layers: Layers,
    grid: Grid,
    scale_hu: f32,
}

impl<'a> Story<'a> {
    fn new(scan: &Volume, result: &'a Counterfactual) -> Self {
        let shift = Shift::of(result);
        let scale_hu = shift.scale_hu();
        Self { result, grid: scan.grid, layers: Layers { scan: scan.clone(), shift: Some(shift) }, scale_hu }
    }

    /// On the scan's slice where the result changed most.
    fn camera(&self, size: [u32; 2]) -> Camera {
        let place = DVec3::new(0.0, 0.0, self.result.most_changed_slice() as f64);
        let camera = Camera::fit(&self.grid, Plane::Axial, size);
        let there = Camera { center: self.result.grid.world_from_voxel.transform_point3(place), ..camera };
        camera.at_slice(&self.grid, there.slice(&self.grid))
    }

    fn row(&self, camera: Camera, window: Window, step: usize) -> [Pane<'_>; 3] {
        let lambda = Some(self.result.steps[step].lambda);
        let look =
            |content, shade| Look { content, step: step as f32, shade, overlay: None, sampling: Sampling::Linear };
        let (grey, difference) =
            (Shade::Grey(window), Shade::Difference { scale_hu: self.scale_hu, threshold_hu: 0.0 });
        [
            ("Original", look(Content::Scan, grey), None),
            ("Counterfactual", look(Content::Decoded, grey), lambda),
            ("Difference", look(Content::Difference, difference), lambda),
        ]
        .map(|(title, look, synthetic)| Pane { title, camera, layers: &self.layers, look, synthetic })
    }
}

/// At the chosen step, in the lung and the soft-tissue window.
pub fn montage(scan: &Volume, result: &Counterfactual, target: &str) -> Result<RgbaImage> {
    let story = Story::new(scan, result);
    let scores = result.scores;
    let lines = vec![
        format!(
            "{target}: scan {:.4}, reconstruction {:.4}, counterfactual {:.4}",
            scores.scan, scores.reconstruction, scores.counterfactual
        ),
        format!("Stopped because {}", result.stop),
    ];
    let camera = story.camera(PANE_PX);
    let windows = [PRESETS[1].1, PRESETS[0].1];
    let panes = windows.into_iter().flat_map(|window| story.row(camera, window, result.chosen)).collect();
    figure(&Figure { panes, columns: 3, grid: story.grid, size: PANE_PX, lines, bar: None })
}

/// One picture for each step, towards the counterfactual, in the soft-tissue window, with the score as a bar.
pub fn along_lambda(scan: &Volume, result: &Counterfactual, target: &str) -> Result<Vec<RgbaImage>> {
    let story = Story::new(scan, result);
    let camera = story.camera(FRAME_PX);
    let frame = |step: usize| {
        let here = &result.steps[step];
        figure(&Figure {
            panes: story.row(camera, PRESETS[0].1, step).into(),
            columns: 3,
            grid: story.grid,
            size: FRAME_PX,
            lines: vec![format!("{target}: {:.2} at lambda {}", here.score, lambda_text(here.lambda))],
            bar: Some(here.score),
        })
    };
    let steps = 0..result.steps.len();
    if result.chosen == 0 { steps.rev().map(frame).collect() } else { steps.map(frame).collect() }
}
