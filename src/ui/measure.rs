//! The tools that measure on the pictures: ruler, angle and region; what was drawn by them, and where it is listed.

use egui::{self, Align2, Pos2, Rect, RichText, Stroke, Ui, pos2};
use glam::DVec3;

use super::annotations::plane_name;
use super::places::point_at;
use super::theme;
use super::widgets::ink;
use crate::frame::camera::Camera;
use crate::frame::measure::{Measurement, Shape, Spread, VOLUMES};
use crate::frame::{Content, Plane, lambda_text};
use crate::io::counted;
use crate::session::action::{Action, Measure};
use crate::session::model::Model;
use crate::session::shown::told;
use crate::session::view::Viewer;
use crate::session::view::arrange::Picture;
use crate::session::view::marks::{READING, computed, is_shown, spread_text, words};
use crate::session::view::measurements::MOST;
use crate::session::view::measurements::{TOOLS, Tool};
use crate::session::view::readings::Reading;
use crate::volume::Grid;

/// How near to a line it is taken hold of, points.
const GRIP: f32 = 8.0;
/// Half the size of what is drawn without a pointer, mm.
const HALF_MM: f64 = 10.0;

/// What the pointer draws on a pane: `place` leads from the screen into the patient.
pub(super) struct Pencil<'a> {
    pub(super) response: &'a egui::Response,
    pub(super) picture: &'a Picture,
    pub(super) viewer: &'a Viewer,
    pub(super) grid: &'a Grid,
    pub(super) place: &'a dyn Fn(Pos2) -> DVec3,
}

impl Pencil<'_> {
    /// A drag that began at `from` goes on, or ends.
    pub(super) fn drag(&self, from: Pos2, actions: &mut Vec<Action>) {
        let measurements = &self.viewer.measurements;
        let (Some(tool), Some(to)) = (measurements.tool, self.response.interact_pointer_pos()) else { return };
        let [a, b] = [from, to].map(self.place);
        let plane = self.picture.plane;
        let shape = match tool {
            Tool::Ruler | Tool::Angle => Shape::Distance([a, b]),
            Tool::Region => Shape::ellipse([a, (self.place)(pos2(to.x, from.y)), b]),
        };
        let drawn = Measurement { plane, shape };
        let act = match (self.response.drag_stopped(), tool) {
            (false, _) => Measure::Draft(Some(drawn)),
            // The other arm follows the pointer until a click.
            (true, Tool::Angle) => Measure::Draft(Some(Measurement { plane, shape: Shape::Angle([a, b, b]) })),
            (true, _) => Measure::Add(drawn),
        };
        actions.push(Action::Measure(act));
    }

    /// The pointer stands or clicks without a drag. True where that belonged to a measurement.
    pub(super) fn hover(&self, ui: &Ui, pointer: Pos2, actions: &mut Vec<Action>) -> bool {
        let measurements = &self.viewer.measurements;
        if measurements.tool.is_none() {
            return false;
        }
        let mut act = |act: Measure| actions.push(Action::Measure(act));
        if let Some(Measurement { plane, shape: Shape::Angle([a, corner, b]) }) = measurements.draft
            && plane == self.picture.plane
            && !self.response.dragged()
        {
            let place = (self.place)(pointer);
            let bent = Measurement { plane, shape: Shape::Angle([a, corner, place]) };
            if self.response.clicked() {
                act(Measure::Add(bent));
            } else if b != place {
                act(Measure::Draft(Some(bent)));
            }
            return true;
        }
        if self.response.clicked() {
            let near = |m: &Measurement| self.distance(m, pointer, ui.ctx().pixels_per_point());
            let shown = measurements.list.iter().enumerate().filter(|(_, m)| self.shows(m));
            let nearest = shown.map(|(i, m)| (i, near(m))).min_by(|a, b| a.1.total_cmp(&b.1));
            act(Measure::Select(nearest.filter(|(_, distance)| *distance < GRIP).map(|(i, _)| i)));
        }
        self.response.clicked()
    }

    fn shows(&self, measurement: &Measurement) -> bool {
        is_shown(measurement, self.picture.plane, self.viewer, self.grid)
    }

    /// The distance from a point of the screen to the nearest line of a measurement.
    fn distance(&self, measurement: &Measurement, from: Pos2, pixels_per_point: f32) -> f32 {
        let Self { viewer, picture, grid, response, .. } = *self;
        let points = points(measurement, viewer, picture.plane, grid, response.rect, pixels_per_point);
        let to_segment = |pair: &[Pos2]| {
            let along = pair[1] - pair[0];
            let share = ((from - pair[0]).dot(along) / along.length_sq().max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
            from.distance(pair[0] + along * share)
        };
        points.windows(2).map(to_segment).fold(f32::INFINITY, f32::min)
    }
}

fn points(m: &Measurement, viewer: &Viewer, plane: Plane, grid: &Grid, rect: Rect, pixels_per_point: f32) -> Vec<Pos2> {
    let at = |place| point_at(viewer, plane, grid, rect, place, pixels_per_point);
    m.shape.outline().into_iter().map(at).collect()
}

/// Draws on a pane what was measured on its slice, with its own volume's numbers.
pub(super) fn draw(ui: &Ui, rect: Rect, picture: &Picture, viewer: &Viewer, grid: &Grid) {
    let (measurements, painter) = (&viewer.measurements, ui.painter_at(rect));
    let selected = measurements.selected.and_then(|at| measurements.list.get(at));
    for measurement in measurements.list.iter().chain(&measurements.draft) {
        if !is_shown(measurement, picture.plane, viewer, grid) {
            continue;
        }
        let points = points(measurement, viewer, picture.plane, grid, rect, ui.ctx().pixels_per_point());
        let color = if Some(measurement) == selected { theme::DARK.accent } else { theme::DARK.strong };
        painter.add(egui::Shape::line(points.clone(), Stroke::new(3.5, theme::BLACK)));
        painter.add(egui::Shape::line(points.clone(), Stroke::new(1.5, color)));
        if !matches!(measurement.shape, Shape::Ellipse { .. }) {
            for point in &points {
                painter.circle_filled(*point, 3.0, color);
            }
        }
        label(&painter, rect, &points, &words(measurement, picture, viewer), color);
    }
}

/// Lines of text below a shape, within the pane.
fn label(painter: &egui::Painter, pane: Rect, points: &[Pos2], lines: &[String], color: egui::Color32) {
    const LINE: f32 = 18.0;
    let shape = Rect::from_points(points);
    for (n, line) in lines.iter().enumerate() {
        let half = painter.layout_no_wrap(line.clone(), theme::small(), color).rect.width() / 2.0 + 4.0;
        let x = shape.center().x.min(pane.right() - half).max(pane.left() + half);
        ink(painter, pos2(x, shape.bottom() + LINE * (n as f32 + 0.8)), Align2::CENTER_CENTER, line, color);
    }
}

/// Buttons of the tools; they stand in the toolbar.
pub(super) fn tools_ui(ui: &mut Ui, now: Option<Tool>, actions: &mut Vec<Action>) {
    ui.menu_button("Measure", |ui| {
        for (tool, name, help) in TOOLS {
            if ui.selectable_label(now == Some(tool), name).on_hover_text(format!("{help} (key M)")).clicked() {
                actions.push(Action::Measure(Measure::Tool((now != Some(tool)).then_some(tool))));
                ui.close();
            }
        }
    });
}

/// All measurements with their numbers, while there are any or one is being made.
pub(super) fn measure_panel_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    let measurements = &viewer.measurements;
    let Some(scan) = model.scan.ready() else { return };
    if measurements.list.is_empty() && measurements.tool.is_none() {
        return;
    }
    let grid = &scan.layers.scan.grid;
    let mut act = |act: Measure| actions.push(Action::Measure(act));
    ui.add_space(4.0);
    ui.label(RichText::new("Measurements").heading().color(theme::colors(ui).strong));
    if let Some((tool, name, help)) = TOOLS.iter().find(|(tool, ..)| Some(*tool) == measurements.tool) {
        ui.label(RichText::new(format!("{name}: {}", help.to_lowercase())).small().color(theme::colors(ui).accent));
        if measurements.is_full() {
            let text = format!("There are {MOST} measurements, the most that there may be; delete one first");
            ui.label(RichText::new(text).small().color(theme::colors(ui).red));
        } else if ui
            .button("Draw in the middle")
            .on_hover_text("20 mm, where the planes cross; for the keyboard")
            .clicked()
        {
            act(Measure::Add(in_the_middle(*tool, viewer, grid)));
        }
    }
    let run = told(model, viewer).result();
    let layers = run.map_or(&scan.layers, |run| &run.layers);
    let entry = |(i, m): (usize, &Measurement)| Entry {
        title: title(i, m, grid),
        reading: measurements.readings.of(m, layers, computed(viewer.step)),
    };
    let entries: Vec<Entry> = measurements.list.iter().enumerate().map(entry).collect();
    for (i, entry) in entries.iter().enumerate() {
        let chosen = measurements.selected == Some(i);
        if ui.selectable_label(chosen, &entry.title).on_hover_text("Select it and show its slice").clicked() {
            act(Measure::Select((!chosen).then_some(i)));
        }
        for line in entry.lines(run.is_some()) {
            ui.label(RichText::new(line).small());
        }
    }
    ui.horizontal(|ui| {
        let any = !entries.is_empty();
        let delete = ui.add_enabled(measurements.selected.is_some(), egui::Button::new("Delete"));
        if delete.on_hover_text("The selected one (key Delete)").clicked() {
            act(Measure::Delete);
        }
        if ui.add_enabled(any, egui::Button::new("Copy measurements")).clicked() {
            let lambda = run.map(|run| run.lambda_at(viewer.step.round()));
            ui.copy_text(text(&entries, lambda));
        }
    });
    ui.separator();
}

/// One line of the list.
struct Entry {
    title: String,
    reading: Option<Reading>,
}

impl Entry {
    /// What a region reads in each volume, or why it reads nothing.
    fn lines(&self, has_result: bool) -> Vec<String> {
        let region = match &self.reading {
            Some(Reading::Known(region)) => region,
            Some(Reading::Coming) => return vec![READING.to_owned()],
            None => return Vec::new(),
        };
        if region.voxels == 0 {
            return vec!["No voxel's centre lies inside".to_owned()];
        }
        let volumes = if has_result { VOLUMES.len() } else { 1 };
        let line = |((content, name), spread): ((Content, &str), Option<Spread>)| match spread {
            Some(spread) => format!("{name} {}", spread_text(spread, content == Content::Difference)),
            None => format!("{name}: reaches beyond what the networks see"),
        };
        VOLUMES.into_iter().zip(region.spreads).map(line).take(volumes).collect()
    }
}

/// "1  Ruler, axial 12: 42.3 mm".
fn title(i: usize, measurement: &Measurement, grid: &Grid) -> String {
    let tool = match measurement.shape {
        Shape::Distance(_) => "Ruler",
        Shape::Angle(_) => "Angle",
        Shape::Ellipse { .. } => "Region",
    };
    let plane = plane_name(measurement.plane).to_lowercase();
    let (slice, size) = (measurement.slice(grid) + 1, measurement.shape.size_text());
    format!("{}  {tool}, {plane} {slice}: {size}", i + 1)
}

/// What is copied.
fn text(entries: &[Entry], lambda: Option<f64>) -> String {
    let line = |entry: &Entry| {
        let voxels = match &entry.reading {
            Some(Reading::Known(region)) => Some(counted(region.voxels, "voxel")),
            Some(Reading::Coming) | None => None,
        };
        let parts = [vec![entry.title.clone()], voxels.into_iter().collect(), entry.lines(lambda.is_some())];
        parts.concat().join("; ")
    };
    let mut lines: Vec<String> = entries.iter().map(line).collect();
    lines.extend(
        lambda
            .map(lambda_text)
            .map(|lambda| format!("Reconstruction, counterfactual and difference are SYNTHETIC, at lambda {lambda}.")),
    );
    lines.push("Research use only. Not for diagnosis.\n".to_owned());
    lines.join("\n")
}

/// A measurement of a usual size, where the planes cross.
pub(super) fn in_the_middle(tool: Tool, viewer: &Viewer, grid: &Grid) -> Measurement {
    let plane = viewer.plane;
    let camera = Camera { center: viewer.cursor, mm_per_pixel: 1.0, plane };
    let [left, right, up] = [[HALF_MM, 0.0], [-HALF_MM, 0.0], [0.0, HALF_MM]].map(|by| camera.panned(grid, by).center);
    let shape = match tool {
        Tool::Ruler => Shape::Distance([left, right]),
        Tool::Angle => Shape::Angle([right, viewer.cursor, up]),
        Tool::Region => {
            Shape::Ellipse { middle: viewer.cursor, half_axes: [right - viewer.cursor, up - viewer.cursor] }
        }
    };
    Measurement { plane, shape }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::measure::Region;

    #[test]
    fn what_is_copied_names_each_volume_and_what_is_synthetic() {
        let region =
            Region { voxels: 12, spreads: [-1.0, 2.0, 3.0, -0.04].map(|mean_hu| Some(Spread { mean_hu, sd_hu: 4.0 })) };
        let entries =
            [Entry { title: "1  Region, axial 3: 20.0 mm²".to_owned(), reading: Some(Reading::Known(region)) }];
        assert_eq!(
            text(&entries, Some(-12.5)),
            "1  Region, axial 3: 20.0 mm²; 12 voxels; Original -1.0 ± 4.0 HU; Reconstruction 2.0 ± 4.0 HU; \
             Counterfactual 3.0 ± 4.0 HU; Difference 0.0 ± 4.0 HU\n\
             Reconstruction, counterfactual and difference are SYNTHETIC, at lambda -12.50.\n\
             Research use only. Not for diagnosis.\n"
        );
        assert_eq!(text(&entries, None).lines().count(), 2);
    }
}
