//! The pictures: panes in rows, linked, with what a reader needs burnt on top.

use std::sync::Arc;

use egui::{
    Color32, CursorIcon, Id, Label, Pos2, Rect, Response, RichText, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2,
};
use glam::DVec3;

use super::annotations::{annotate, mark_synthetic, words};
use super::lens;
use super::measure;
use super::navigate;
use super::pane_menu::pane_menu;
use super::pixels::picture_ui;
use super::places::point_at;
use super::theme;
use crate::frame::Plane;
use crate::frame::camera::Camera;
use crate::frame::display::{Display, Layout};
use crate::gpu;
use crate::session::action::{Action, View};
use crate::session::explained::Explained;
use crate::session::model::Model;
use crate::session::open_mask::Opened;
use crate::session::shown::{arrange, swiped, told};
use crate::session::view::Viewer;
use crate::session::view::arrange::{Arrangement, Picture};
use crate::session::view::pair::is_of;
use crate::volume::Grid;

pub(super) const MARGIN: f32 = 8.0;
/// How near to the line of a swipe it is taken hold of, points.
const GRIP: f32 = 8.0;

/// Fills what is left of the window with panes.
pub(super) fn panes_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    let Some(scan) = model.scan.ready() else { return };
    let grid = scan.layers.scan.grid;
    let run = told(model, viewer).result();
    let arrangement = arrange(model, viewer);
    let all = ui.available_rect_before_wrap();
    ui.allocate_rect(all, Sense::hover());
    let rects = rects(all, &arrangement, ui.pixels_per_point());
    if let Some(rect) = rects.first() {
        let pixels = (rect.size() * ui.ctx().pixels_per_point()).round();
        let pixels = [(pixels.x as u32).max(1), (pixels.y as u32).max(1)];
        if viewer.pane_px != pixels {
            actions.push(View::PaneSize(pixels).into());
        }
    }
    let mut probe = None;
    let mut responses = Vec::new();
    for (i, (picture, rect)) in arrangement.pictures.iter().zip(rects).enumerate() {
        let response = ui.interact(rect, ui.scope_id().with(("pane", i)), Sense::click_and_drag());
        let camera = viewer.camera(&grid, picture.plane);
        name(&response, picture, &camera, &grid, viewer.display.layout);
        let crossed = viewer.display.layout.shows_all_planes() && viewer.display.crosshair;
        let crossed =
            crossed.then(|| point_at(viewer, picture.plane, &grid, rect, viewer.cursor, ui.ctx().pixels_per_point()));
        draw(ui, rect, i as u64, picture, (&camera, &grid), viewer.display.annotated, crossed);
        if let Some((left, share)) = swiped(model, viewer) {
            swipe_ui(ui, rect, &left, share, viewer.display, &camera, &grid, actions);
        }
        // Of two results the regions are those of A.
        if let Some(run) = run.filter(|run| is_of(picture, run)) {
            outline(ui, rect, picture.plane, viewer, &grid, run);
        }
        if let Some(opened) = model.masking.mask.ready() {
            mask_outline(ui, rect, picture.plane, viewer, &grid, opened);
        }
        measure::draw(ui, rect, picture, viewer, &grid);
        let pane = navigate::Pane { response: &response, picture, viewer, grid: &grid, mouse: model.settings.mouse };
        probe = pane.act(ui, actions).or(probe);
        pane_menu(&response, picture, model, viewer, actions);
        responses.push((response, picture.plane));
    }
    if viewer.probe != probe {
        actions.push(View::Probe(probe).into());
    }
    let hovered = responses.iter().find(|(response, _)| response.hovered()).map(|(_, plane)| *plane);
    for (response, plane) in &responses {
        marks(ui, response, *plane, viewer, &grid, hovered);
    }
    let Some(place) = viewer.probe.filter(|_| viewer.lens) else { return };
    for (i, ((response, plane), picture)) in responses.iter().zip(&arrangement.pictures).enumerate() {
        if hovered == Some(*plane) {
            lens::lens_ui(ui, response, i as u64, picture, viewer, (&grid, place));
        }
    }
}

/// Gives as many equal panes as there are pictures, on whole pixels: what two of them show of one volume is the same to the pixel.
fn rects(all: Rect, arrangement: &Arrangement, pixels_per_point: f32) -> Vec<Rect> {
    let count = arrangement.pictures.len();
    let columns = arrangement.columns.max(1);
    let rows = count.div_ceil(columns).max(1);
    let whole = |points: f32| (points * pixels_per_point).floor() / pixels_per_point;
    let share = |length: f32, n: usize| whole((length - theme::GAP * (n as f32 - 1.0)) / n as f32);
    let size = vec2(share(all.width(), columns), share(all.height(), rows));
    let corner = |i: usize| {
        let (column, row) = ((i % columns) as f32, (i / columns) as f32);
        pos2(whole(all.left() + column * (size.x + theme::GAP)), whole(all.top() + row * (size.y + theme::GAP)))
    };
    (0..count).map(|i| Rect::from_min_size(corner(i), size)).collect()
}

/// Tells a screen reader what a pane shows.
pub(super) fn name(response: &Response, picture: &Picture, camera: &Camera, grid: &Grid, layout: Layout) {
    let title = match layout {
        Layout::Planes | Layout::Mpr(_) => {
            format!("{} pane, {}", picture.title, super::annotations::plane_name(picture.plane))
        }
        Layout::Three | Layout::Rows | Layout::Single(_) => format!("{} pane", picture.title),
    };
    response.widget_info(|| WidgetInfo {
        current_text_value: Some(words(picture, camera, grid)),
        ..WidgetInfo::labeled(Role::Image, true, &title)
    });
}

/// The picture, where the planes cross if that is shown, and what is written on it.
pub(super) fn draw(
    ui: &mut Ui,
    rect: Rect,
    pane: u64,
    picture: &Picture,
    (camera, grid): (&Camera, &Grid),
    annotated: bool,
    crossed: Option<Pos2>,
) {
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, 0.0, theme::BLACK);
    picture_ui(ui, &painter, rect, pane, picture, camera, grid);
    if let Some(at) = crossed {
        let stroke = Stroke::new(1.0, theme::DARK.accent_dim);
        painter.hline(rect.x_range(), at.y, stroke);
        painter.vline(at.x, rect.y_range(), stroke);
    }
    let inner = rect.shrink(MARGIN);
    if let Some(words) = gpu::words(ui.ctx(), pane) {
        let words = Label::new(RichText::new(words).color(theme::DARK.strong)).selectable(false);
        ui.put(inner.shrink2(vec2(3.0 * MARGIN, 0.0)), words);
    }
    mark_synthetic(&painter, inner, picture);
    if annotated {
        annotate(&painter, inner, picture, camera, grid, ui.ctx().pixels_per_point());
    }
}

/// The original over the left part of a pane, up to a line that can be dragged.
#[expect(clippy::too_many_arguments, reason = "a pane and what lies over it")]
fn swipe_ui(
    ui: &mut Ui,
    rect: Rect,
    left: &Picture,
    share: f32,
    display: Display,
    camera: &Camera,
    grid: &Grid,
    actions: &mut Vec<Action>,
) {
    const PANE: u64 = u64::MAX; // none of the arrangement's
    let x = rect.left() + rect.width() * share;
    let painter = ui.painter_at(Rect::from_min_max(rect.min, pos2(x, rect.bottom())));
    painter.rect_filled(rect, 0.0, theme::BLACK);
    picture_ui(ui, &painter, rect, PANE, left, camera, grid);
    annotate(&painter, rect.shrink(MARGIN), left, camera, grid, ui.ctx().pixels_per_point());
    ui.painter_at(rect).vline(x, rect.y_range(), Stroke::new(2.0, theme::DARK.accent));
    let grip = Rect::from_x_y_ranges(x - GRIP..=x + GRIP, rect.y_range());
    let line = ui.interact(grip, Id::unique("swipe"), Sense::drag()).on_hover_cursor(CursorIcon::ResizeHorizontal);
    line.widget_info(|| WidgetInfo::labeled(Role::Slider, true, "Swipe between original and counterfactual"));
    if let Some(at) = line.interact_pointer_pos() {
        let share = ((at.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        actions.push(View::Display(Display { swipe: Some(share), ..display }).into());
    }
}

/// Draws around the chosen region on the slice that is shown.
fn outline(ui: &Ui, rect: Rect, plane: Plane, viewer: &Viewer, grid: &Grid, run: &Explained) {
    let Some(region) = viewer.region else { return };
    let lines = run.report.regions.outline(region, across(plane), viewer.cursor);
    draw_lines(ui, rect, plane, viewer, grid, &lines, theme::DARK.amber);
}

/// The axis of the patient that a plane is across, as outlines count them.
fn across(plane: Plane) -> usize {
    match plane {
        Plane::Sagittal => 0,
        Plane::Coronal => 1,
        Plane::Axial => 2,
    }
}

/// The outline of a mask on a slice, which is made anew only for another slice.
#[derive(Clone)]
struct MaskLines {
    of: Arc<Opened>,
    /// Along the mask's own slices.
    place: DVec3,
    lines: Arc<Vec<[DVec3; 2]>>,
}

/// Draws around the mask on the slice that is shown.
fn mask_outline(ui: &Ui, rect: Rect, plane: Plane, viewer: &Viewer, grid: &Grid, opened: &Arc<Opened>) {
    let id = Id::unique(("mask outline", across(plane)));
    let place = viewer.cursor;
    let known = ui.data(|data| data.get_temp::<MaskLines>(id));
    let known = known.filter(|known| Arc::ptr_eq(&known.of, opened) && known.place == place);
    let shown = known.unwrap_or_else(|| {
        let lines = Arc::new(opened.mask.outline(across(plane), place));
        let made = MaskLines { of: Arc::clone(opened), place, lines };
        ui.data_mut(|data| data.insert_temp(id, made.clone()));
        made
    });
    draw_lines(ui, rect, plane, viewer, grid, &shown.lines, theme::DARK.accent);
}

/// Lines in the patient, dark all around so that they read on any grey.
fn draw_lines(ui: &Ui, rect: Rect, plane: Plane, viewer: &Viewer, grid: &Grid, lines: &[[DVec3; 2]], color: Color32) {
    let painter = ui.painter_at(rect);
    let point = |place: DVec3| point_at(viewer, plane, grid, rect, place, ui.ctx().pixels_per_point());
    for line in lines {
        let ends = line.map(point);
        painter.line_segment(ends, Stroke::new(3.0, theme::BLACK));
        painter.line_segment(ends, Stroke::new(1.5, color));
    }
}

/// A cross where the pointer is in another pane of the same plane.
fn marks(ui: &Ui, response: &Response, plane: Plane, viewer: &Viewer, grid: &Grid, hovered: Option<Plane>) {
    let painter = ui.painter_at(response.rect);
    let point = |place: DVec3| point_at(viewer, plane, grid, response.rect, place, ui.ctx().pixels_per_point());
    if let Some(place) = viewer.probe.filter(|_| !response.hovered() && hovered == Some(plane)) {
        let at = point(place);
        for arm in [vec2(6.0, 0.0), vec2(0.0, 6.0)] {
            painter.line_segment([at - arm, at + arm], Stroke::new(3.0, theme::BLACK));
            painter.line_segment([at - arm, at + arm], Stroke::new(1.0, theme::DARK.accent));
        }
    }
}
