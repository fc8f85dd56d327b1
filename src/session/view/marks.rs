//! What was measured, as it stands beside what was drawn: sizes, and what regions read.

use super::Viewer;
use super::arrange::Picture;
use super::readings::Reading;
use crate::export::png::Mark;
use crate::frame::display::Shown;
use crate::frame::measure::{Measurement, Spread, VOLUMES};
use crate::frame::{Generated, Plane};
use crate::quality::words::signed;
use crate::volume::Grid;

/// Whether a measurement lies on the slice that panes of this plane show.
pub fn is_shown(measurement: &Measurement, plane: Plane, viewer: &Viewer, grid: &Grid) -> bool {
    measurement.plane == plane && measurement.slice(grid) == viewer.camera(grid, plane).slice(grid)
}

/// What was measured on a pane's slice, for a picture of it.
pub fn marks(picture: &Picture, viewer: &Viewer, grid: &Grid) -> Vec<Mark> {
    let shown = viewer.measurements.list.iter().filter(|m| is_shown(m, picture.plane, viewer, grid));
    let readings = &viewer.measurements.readings;
    let mark = |m: &Measurement| {
        let reading = readings.now(m, &picture.layers, step_of(picture, viewer)).map(Reading::Known);
        Mark { line: m.shape.outline(), words: lines(m, picture, reading) }
    };
    shown.map(mark).collect()
}

/// The size of a measurement, and the numbers of the pane's own volume.
pub fn words(measurement: &Measurement, picture: &Picture, viewer: &Viewer) -> Vec<String> {
    let reading = viewer.measurements.readings.of(measurement, &picture.layers, step_of(picture, viewer));
    lines(measurement, picture, reading)
}

/// The computed step whose numbers belong to a picture: of two results that are compared each has its own.
fn step_of(picture: &Picture, viewer: &Viewer) -> usize {
    let moves = matches!(picture.shown, Shown::Counterfactual | Shown::Difference)
        && picture.synthetic.is_some_and(Generated::has_lambda);
    computed(if moves { picture.look.step } else { viewer.step })
}

fn lines(measurement: &Measurement, picture: &Picture, reading: Option<Reading>) -> Vec<String> {
    let mut lines = vec![measurement.shape.size_text()];
    match reading {
        Some(Reading::Known(region)) => {
            let spread = volume_of(picture).and_then(|at| region.spreads[at]);
            lines.extend(spread.map(|spread| spread_text(spread, picture.shown == Shown::Difference)));
        }
        Some(Reading::Coming) => lines.push(READING.to_owned()),
        None => {}
    }
    lines
}

/// What stands in place of a region's numbers while it is read.
pub const READING: &str = "reading…";

/// Numbers are those of a computed step, never of a blend.
pub fn computed(step: f32) -> usize {
    step.round().max(0.0) as usize
}

/// Which of `VOLUMES` a pane shows; the others are no volume that is measured.
fn volume_of(picture: &Picture) -> Option<usize> {
    VOLUMES.iter().position(|(content, _)| *content == picture.look.content)
}

/// "35.2 ± 12.1 HU".
pub fn spread_text(Spread { mean_hu, sd_hu }: Spread, with_sign: bool) -> String {
    let mean = if with_sign { signed(mean_hu, 1) } else { format!("{mean_hu:.1}") };
    format!("{mean} ± {sd_hu:.1} HU")
}
