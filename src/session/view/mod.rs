//! How the pictures are looked at: plane, place, zoom, window, lambda. Every pane shares it, so panes are always linked.

mod again;
pub mod arrange;
pub mod curve;
pub mod history;
mod lay;
pub mod marks;
pub mod measurements;
pub mod pair;
pub mod readings;
pub mod scale;
mod so_far;

use std::sync::Arc;

use glam::DVec3;
use serde::{Deserialize, Serialize};

use self::history::History;
use self::measurements::{Act, Measurements};
use super::explained::Explained;
use super::open_scan::OpenScan;
use super::worker::Worker;
use crate::frame::camera::Camera;
use crate::frame::display::Display;
use crate::frame::measure::Measurement;
use crate::frame::{Layers, PRESETS, Plane, Window};
use crate::settings::{CENTER_HU, Hanging, WIDTH_HU};
use crate::volume::Grid;

/// One way along lambda takes this long, whatever the number of steps.
const PLAY_SECS: f32 = 2.5;
/// Slices play at this pace.
const SLICES_PER_SEC: f32 = 12.0;
const ZOOM: std::ops::RangeInclusive<f64> = 0.25..=40.0;
/// Curves beside that of the score.
pub const MOST_BESIDE: usize = 3;
/// The size of a pane that was never drawn, physical pixels.
const PANE_PX: [u32; 2] = [512, 512];

/// How lambda plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// 1 takes `PLAY_SECS` from end to end.
    pub speed: f32,
    /// Ends at the end, in place of turning there.
    pub once: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { speed: 1.0, once: false }
    }
}

/// How pictures were looked at, to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedView {
    plane: Plane,
    cursor: DVec3,
    middle: DVec3,
    zoom: f64,
    window: Window,
    step: f32,
    display: Display,
    measurements: Vec<Measurement>,
}

impl SavedView {
    pub fn measurements(&self) -> usize {
        self.measurements.len()
    }

    /// All its places, RAS+ millimetres.
    pub fn places(&self) -> impl Iterator<Item = DVec3> {
        let measured = self.measurements.iter().flat_map(|measurement| measurement.shape.outline());
        [self.cursor, self.middle].into_iter().chain(measured)
    }
}

pub struct Viewer {
    pub plane: Plane,
    /// Where the slices of all planes cross, RAS+ millimetres.
    pub cursor: DVec3,
    /// The place in the middle of every pane, within its plane, RAS+ millimetres.
    pub middle: DVec3,
    /// 1 shows the whole slice.
    pub zoom: f64,
    pub window: Window,
    /// Place along the steps; between two steps only while it moves.
    pub step: f32,
    /// +1 or -1 while playing.
    pub playing: Option<f32>,
    pub pace: Pace,
    /// The slices play, one after another; how far the next one is, `0..1`.
    pub cine: Option<f32>,
    pub display: Display,
    pub measurements: Measurements,
    pub history: History,
    /// Outputs of the classifier whose curves stand beside the score's, by name.
    pub beside: Vec<String>,
    /// The changed region that is outlined, by its place in the list.
    pub region: Option<usize>,
    /// What lies under the pointer is shown larger, in every pane of its plane.
    pub lens: bool,
    /// The original is held in the counterfactual's place.
    pub blink: bool,
    /// While a run goes on, the result before it is looked at.
    pub older: bool,
    /// The layers that are shown, under the map that the display lays over them, as far as that is there.
    pub mapped: Option<Arc<Layers>>,
    /// Size of a pane as it was last drawn, physical pixels.
    pub pane_px: [u32; 2],
    /// Under the pointer, RAS+ millimetres.
    pub probe: Option<DVec3>,
    /// Parts of a slice, and of a step, that the wheel has turned.
    wheel: f32,
    lambda_wheel: f32,
}

impl Default for Viewer {
    fn default() -> Self {
        Self {
            plane: Plane::Axial,
            cursor: DVec3::ZERO,
            middle: DVec3::ZERO,
            zoom: 1.0,
            window: PRESETS[0].1,
            step: 0.0,
            playing: None,
            pace: Pace::default(),
            cine: None,
            display: Display::default(),
            measurements: Measurements::default(),
            history: History::default(),
            beside: Vec::new(),
            region: None,
            lens: false,
            blink: false,
            older: false,
            mapped: None,
            pane_px: PANE_PX,
            probe: None,
            wheel: 0.0,
            lambda_wheel: 0.0,
        }
    }
}

impl Viewer {
    /// A new scan: its middle slice, whole, in its own window.
    pub fn show_scan(&mut self, scan: &OpenScan) {
        let center = scan.layers.scan.grid.center();
        *self = Self {
            plane: self.plane,
            cursor: center,
            middle: center,
            display: self.display,
            pace: self.pace,
            pane_px: self.pane_px,
            ..Self::default()
        };
        self.set_window(scan.window);
    }

    /// What `restore` takes up again. A place between two steps becomes the nearest step.
    pub fn saved(&self) -> SavedView {
        SavedView {
            plane: self.plane,
            cursor: self.cursor,
            middle: self.middle,
            zoom: self.zoom,
            window: self.window,
            step: self.step.round(),
            display: self.display,
            measurements: self.measurements.list().to_vec(),
        }
    }

    /// Looks at a scan as it was looked at, and at its result, if it has one.
    pub fn restore(&mut self, saved: &SavedView, run: Option<&Explained>) {
        let last = run.map_or(0, |run| run.result().steps.len() - 1);
        (self.plane, self.cursor, self.middle) = (saved.plane, saved.cursor, saved.middle);
        self.zoom = saved.zoom.clamp(*ZOOM.start(), *ZOOM.end());
        self.set_window(saved.window);
        self.step = saved.step.round().clamp(0.0, last as f32);
        self.display = saved.display.within_bounds();
        self.measurements = Measurements::of(saved.measurements.clone());
        self.region = None;
    }

    /// Takes a hanging. Place, zoom, lambda and measurements stay.
    pub fn hang(&mut self, hanging: &Hanging) {
        self.plane = hanging.plane;
        self.set_window(hanging.window);
        self.display = hanging.display.within_bounds();
    }

    /// Looks as before the last change.
    pub fn undo(&mut self, run: Option<&Explained>) {
        if let Some(before) = self.history.back(self.saved()) {
            self.look_as(&before, run);
        }
    }

    /// Takes the last step back again.
    pub fn redo(&mut self, run: Option<&Explained>) {
        if let Some(next) = self.history.forth(self.saved()) {
            self.look_as(&next, run);
        }
    }

    fn look_as(&mut self, saved: &SavedView, run: Option<&Explained>) {
        let tool = self.measurements.tool;
        self.restore(saved, run);
        (self.measurements.tool, self.playing, self.cine) = (tool, None, None);
    }

    /// A new result: where it changed most, at the counterfactual.
    pub fn show_run(&mut self, run: &Explained) {
        self.step = run.result().chosen as f32;
        (self.playing, self.region) = (None, None);
        self.go_to_most_changed(run);
    }

    /// The axial slice through the voxel of the largest region that changed most; without a region, the slice that changed most.
    pub fn go_to_most_changed(&mut self, run: &Explained) {
        match run.report.regions.list.first() {
            Some(region) => {
                self.plane = Plane::Axial;
                self.cursor = region.peak_mm.into();
            }
            None => self.go_to_stack_slice(run, run.most_changed_slice),
        }
    }

    /// Outlines a region, and takes all planes to where it changed most.
    pub fn choose_region(&mut self, run: &Explained, index: Option<usize>) {
        self.region = index.filter(|index| *index < run.report.regions.list.len());
        if let Some(region) = self.region.and_then(|index| run.report.regions.list.get(index)) {
            self.cursor = region.peak_mm.into();
        }
    }

    /// Shows the curve of another output beside the score's, or takes it away; the oldest one gives way.
    pub fn toggle_beside(&mut self, output: &str) {
        if let Some(at) = self.beside.iter().position(|name| name == output) {
            self.beside.remove(at);
            return;
        }
        if self.beside.len() == MOST_BESIDE {
            self.beside.remove(0);
        }
        self.beside.push(output.to_owned());
    }

    /// Moves to the next slice of the stack that changed more than its neighbours, up or down.
    pub fn go_to_next_peak(&mut self, run: &Explained, towards: isize) {
        let here = run.result().grid.voxel_from_world().transform_point3(self.cursor).z.round() as isize;
        let mut peaks = run.peaks();
        let next = if towards > 0 {
            peaks.find(|k| *k as isize > here)
        } else {
            peaks.take_while(|k| (*k as isize) < here).last()
        };
        if let Some(slice) = next {
            self.go_to_stack_slice(run, slice);
        }
    }

    /// Moves along the slices to one of the stack's.
    pub fn go_to_stack_slice(&mut self, run: &Explained, slice: usize) {
        let [ni, nj, _] = run.result().grid.shape.map(|n| n as f64 / 2.0);
        let place = run.result().grid.world_from_voxel.transform_point3(DVec3::new(ni, nj, slice as f64));
        self.plane = Plane::Axial;
        let grid = run.scan.layers.scan.grid;
        let there = Camera { center: place, ..self.camera(&grid, Plane::Axial) }.slice(&grid);
        self.set_slice(&grid, Plane::Axial, there);
    }

    /// The camera of a pane of this plane. All planes share one scale: that of the one that needs most room.
    pub fn camera(&self, grid: &Grid, plane: Plane) -> Camera {
        let whole = Camera::fit(grid, plane, self.pane_px);
        let planes = [Plane::Axial, Plane::Coronal, Plane::Sagittal].into_iter();
        let mm_per_pixel = if self.display.layout.shows_all_planes() {
            planes.map(|plane| Camera::fit(grid, plane, self.pane_px).mm_per_pixel).fold(0.0, f64::max)
        } else {
            whole.mm_per_pixel
        };
        let middle = Camera { center: self.middle, mm_per_pixel: mm_per_pixel / self.zoom, ..whole };
        middle.at_slice_of(grid, self.cursor)
    }

    pub fn set_slice(&mut self, grid: &Grid, plane: Plane, slice: usize) {
        let cursor = Camera { center: self.cursor, ..self.camera(grid, plane) };
        self.cursor = cursor.at_slice(grid, slice).center;
    }

    /// Moves so many slices on.
    pub fn scroll(&mut self, grid: &Grid, plane: Plane, slices: isize) {
        let slice = self.camera(grid, plane).slice(grid).saturating_add_signed(slices);
        self.set_slice(grid, plane, slice);
    }

    /// A wheel may turn less than a slice at a time.
    pub fn turn_wheel(&mut self, grid: &Grid, plane: Plane, slices: f32) {
        self.wheel += slices;
        let whole = self.wheel.trunc();
        self.wheel -= whole;
        self.scroll(grid, plane, whole as isize);
    }

    pub fn pan(&mut self, grid: &Grid, plane: Plane, pixels: [f64; 2]) {
        let camera = Camera { center: self.middle, ..self.camera(grid, plane) };
        self.middle = camera.panned(grid, pixels).center;
    }

    pub fn set_window(&mut self, window: Window) {
        self.window = Window {
            center_hu: window.center_hu.clamp(*CENTER_HU.start(), *CENTER_HU.end()),
            width_hu: window.width_hu.clamp(*WIDTH_HU.start(), *WIDTH_HU.end()),
        };
    }

    /// The whole slice, and the middle of the scan across it.
    pub fn fit(&mut self, grid: &Grid) {
        (self.zoom, self.middle) = (1.0, grid.center());
    }

    /// Around a place that stays where it is on the screen.
    pub fn zoom_by(&mut self, factor: f64, around: Option<DVec3>) {
        let zoom = (self.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
        if let Some(place) = around {
            self.middle = place + (self.middle - place) * (self.zoom / zoom);
        }
        self.zoom = zoom;
    }

    /// Everything as a new scan is shown, but for where the slices are, lambda, and what was measured.
    pub fn reset(&mut self, scan: &OpenScan) {
        let (cursor, step, measurements) = (self.cursor, self.step, std::mem::take(&mut self.measurements));
        self.display = Display::default();
        self.show_scan(scan);
        (self.cursor, self.step, self.measurements) = (cursor, step, measurements);
    }

    /// Draws, chooses or takes away a measurement; one that is chosen is shown.
    pub fn measure(&mut self, grid: &Grid, act: &Act) {
        if let Some(chosen) = self.measurements.act(act) {
            self.plane = chosen.plane;
            self.set_slice(grid, chosen.plane, chosen.slice(grid));
        }
    }

    /// Reads the regions that a frame has no time for, in the background.
    pub fn read_regions(&mut self, read_in: &[(Arc<Layers>, usize)], worker: &Worker) {
        let Measurements { list, draft, readings, .. } = &mut self.measurements;
        let all: Vec<Measurement> = list.iter().chain(draft.as_ref()).copied().collect();
        readings.follow(&all, read_in, worker);
    }

    /// A wheel may turn less than a step at a time.
    pub fn turn_lambda(&mut self, run: &Explained, steps: f32) {
        self.lambda_wheel += steps;
        let whole = self.lambda_wheel.trunc();
        self.lambda_wheel -= whole;
        if whole != 0.0 {
            let last = run.result().steps.len() as f32 - 1.0;
            (self.step, self.playing) = ((self.step.round() + whole).clamp(0.0, last), None);
        }
    }

    /// Moves along lambda for `secs`, to and fro or as far as the end.
    pub fn advance(&mut self, steps: usize, secs: f32) {
        let Some(direction) = self.playing else { return };
        let last = steps.saturating_sub(1) as f32;
        let at = self.step + direction * secs * self.pace.speed * last / PLAY_SECS;
        let turned = if at >= last {
            Some(-1.0)
        } else if at <= 0.0 {
            Some(1.0)
        } else {
            None
        };
        self.playing = match turned {
            Some(_) if self.pace.once => None,
            Some(turned) => Some(turned),
            None => Some(direction),
        };
        self.step = at.clamp(0.0, last);
    }

    /// Goes on through the slices for `secs`, from the last one to the first again.
    pub fn advance_slices(&mut self, grid: &Grid, secs: f32) {
        let Some(share) = &mut self.cine else { return };
        *share += secs * SLICES_PER_SEC * self.pace.speed;
        let whole = share.trunc();
        *share -= whole;
        let camera = self.camera(grid, self.plane);
        let slice = (camera.slice(grid) + whole as usize) % camera.slices(grid).max(1);
        if whole > 0.0 {
            self.set_slice(grid, self.plane, slice);
        }
    }

    /// Starts at the end that the eye is used to, lambda 0, or stops on a whole step.
    pub fn toggle_play(&mut self) {
        match self.playing {
            Some(_) => self.stop_lambda(),
            None => self.playing = Some(if self.step > 0.0 { -1.0 } else { 1.0 }),
        }
    }

    /// Stops what plays along lambda, on a whole step.
    pub fn stop_lambda(&mut self) {
        if self.playing.take().is_some() {
            self.step = self.step.round();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playing_goes_to_and_fro_and_stops_on_a_step() {
        let mut viewer = Viewer { step: 4.0, ..Viewer::default() };
        viewer.toggle_play();
        let mut seen = Vec::new();
        for _ in 0..100 {
            viewer.advance(5, 0.07);
            seen.push(viewer.step);
        }
        assert!(seen.contains(&0.0) && seen.contains(&4.0), "{seen:?}");
        viewer.toggle_play();
        assert_eq!(viewer.step.fract(), 0.0);
        assert!(viewer.playing.is_none());
    }

    #[test]
    fn playing_once_ends_at_the_other_end_and_twice_as_fast_in_half_the_time() {
        let frames = |speed: f32| {
            let mut viewer = Viewer { step: 4.0, pace: Pace { speed, once: true }, ..Viewer::default() };
            viewer.toggle_play();
            let frames = (1..1000).find(|_| {
                viewer.advance(5, 0.01);
                viewer.playing.is_none()
            });
            assert_eq!(viewer.step, 0.0);
            frames.unwrap() as f32
        };
        // Up to one frame of rounding at either speed.
        assert!((frames(1.0) * 0.01 - PLAY_SECS).abs() < 0.015, "{}", frames(1.0));
        assert!((frames(2.0) * 0.02 - PLAY_SECS).abs() < 0.03, "{}", frames(2.0));
    }

    #[test]
    fn slices_play_from_the_last_to_the_first_again_and_in_whole_steps() {
        let grid = Grid { shape: [4, 4, 5], world_from_voxel: glam::DAffine3::IDENTITY };
        let mut viewer = Viewer { cine: Some(0.0), cursor: grid.center(), ..Viewer::default() };
        let first = viewer.camera(&grid, Plane::Axial).slice(&grid);
        let seen: Vec<usize> = (0..5)
            .map(|_| {
                viewer.advance_slices(&grid, 1.0 / SLICES_PER_SEC + 1e-4);
                viewer.camera(&grid, Plane::Axial).slice(&grid)
            })
            .collect();
        let expected: Vec<usize> = (1..=5).map(|by| (first + by) % 5).collect();
        assert_eq!(seen, expected);
        viewer.advance_slices(&grid, 0.1 / SLICES_PER_SEC);
        assert_eq!(viewer.camera(&grid, Plane::Axial).slice(&grid), first, "not yet");
    }

    #[test]
    fn a_window_and_a_zoom_stay_within_reason() {
        let mut viewer = Viewer::default();
        viewer.set_window(Window { center_hu: 1e9, width_hu: -5.0 });
        assert_eq!(viewer.window, Window { center_hu: *CENTER_HU.end(), width_hu: *WIDTH_HU.start() });
        viewer.zoom_by(1e9, None);
        assert_eq!(viewer.zoom, *ZOOM.end());
    }
}
