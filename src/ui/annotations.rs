//! What is written on the pictures: which volume, whose sides, which slice, how large, which colours; and SYNTHETIC.

use egui::{self, Align2, Rect, Stroke, pos2, vec2};

use super::theme;
use super::widgets::{plate, shortened, text_size};
use crate::frame::camera::Camera;
use crate::frame::{Generated, Legend, Plane, lambda_text};
use crate::session::view::arrange::{Labels, Picture};
use crate::volume::Grid;

/// Height of a line of text, points.
const LINE: f32 = 18.0;
/// The width of a bar of colours, points.
const BAR: f32 = 10.0;

/// The tag that no one can take away: beside the title, or where there is no room below it and the score.
pub(super) fn mark_synthetic(painter: &egui::Painter, inner: Rect, picture: &Picture) {
    let Some(tag) = synthetic_tag(picture) else { return };
    if is_beside(painter, inner, picture, &tag) {
        plate(painter, inner.right_top(), Align2::RIGHT_TOP, &tag, theme::DARK.amber);
    } else {
        plate(painter, inner.left_top() + vec2(0.0, 2.0 * LINE), Align2::LEFT_TOP, &tag, theme::DARK.amber);
    }
}

/// Whether the tag has room beside the title.
fn is_beside(painter: &egui::Painter, inner: Rect, picture: &Picture, tag: &str) -> bool {
    let width = |text: &str| text_size(painter, text).x;
    let title = if picture.labels.title { width(&picture.title) } else { 0.0 };
    title + width(tag) + 2.0 * LINE < inner.width()
}

/// What else a reader needs on one pane; `pixels_per_point` of the screen.
pub(super) fn annotate(
    painter: &egui::Painter,
    inner: Rect,
    picture: &Picture,
    camera: &Camera,
    grid: &Grid,
    pixels_per_point: f32,
) {
    let Labels { title, slice } = picture.labels;
    if title {
        let title = shortened(painter, &picture.title, inner.width());
        plate(painter, inner.left_top(), Align2::LEFT_TOP, &title, theme::DARK.strong);
    }
    if let Some(score) = picture.score.as_ref().filter(|_| title) {
        plate(painter, inner.left_top() + vec2(0.0, LINE), Align2::LEFT_TOP, score, theme::DARK.strong);
    }
    let [left, right, top, bottom] = camera.letters(grid);
    // Below what stands at the left, where a pane is low.
    let below = inner.top() + (crossed(&at_left(painter, inner, picture), 0.0) + 0.5) * LINE + 2.0;
    let at = pos2(inner.left(), inner.center().y.max(below));
    plate(painter, at, Align2::LEFT_CENTER, left, theme::DARK.strong);
    plate(painter, inner.right_center(), Align2::RIGHT_CENTER, right, theme::DARK.strong);
    let legend = picture.look.legend(picture.layers.map.as_ref());
    let lines = top_lines(painter, inner, picture, legend.as_ref());
    plate(painter, inner.center_top() + vec2(0.0, lines.letter * LINE), Align2::CENTER_TOP, top, theme::DARK.strong);
    let shown_slice = if slice { slice_text(camera, grid) } else { String::new() };
    if slice {
        plate(painter, inner.left_bottom(), Align2::LEFT_BOTTOM, &shown_slice, theme::DARK.strong);
    }
    // Above the slice, where a pane has no room beside it.
    let up = if text_size(painter, &shown_slice).x + LINE > inner.width() / 2.0 { 1.0 } else { 0.0 };
    plate(painter, inner.center_bottom() - vec2(0.0, up * LINE), Align2::CENTER_BOTTOM, bottom, theme::DARK.strong);
    scale_bar(painter, inner, camera.mm_per_pixel * f64::from(pixels_per_point));
    if let Some(legend) = legend {
        color_bar(painter, inner, &legend, lines.legend * LINE);
    }
}

/// The lines at the top of a pane where the letter of its upper edge stands, and where its legend begins: below whatever reaches there.
struct TopLines {
    letter: f32,
    legend: f32,
}

fn top_lines(painter: &egui::Painter, inner: Rect, picture: &Picture, legend: Option<&Legend>) -> TopLines {
    let at_left = at_left(painter, inner, picture);
    let middle = (inner.width() - LINE) / 2.0;
    let letter = crossed(&at_left, middle).max(1.0);
    let widest = legend.map_or(0.0, |legend| {
        legend.labels().iter().map(|(_, text)| plate_width(painter, text)).fold(0.0, f32::max) + BAR + LINE / 2.0
    });
    // Its first label stands half a line above the bar: at the line before.
    let mut first = crossed(&at_left, inner.width() - widest).max(1.0);
    if widest > middle {
        first = first.max(letter + 1.0);
    }
    TopLines { letter, legend: first + 0.5 }
}

/// The width of a text with its plate, points.
fn plate_width(painter: &egui::Painter, text: &str) -> f32 {
    text_size(painter, text).x + 8.0
}

/// How wide each line at the upper left of a pane is: its title, its score, and the tag where that has no room beside the title.
fn at_left(painter: &egui::Painter, inner: Rect, picture: &Picture) -> [f32; 3] {
    let tag = synthetic_tag(picture);
    let below = tag.as_ref().filter(|tag| !is_beside(painter, inner, picture, tag));
    let titled = picture.labels.title;
    [
        if titled { plate_width(painter, &picture.title) } else { 0.0 },
        picture.score.as_ref().filter(|_| titled).map_or(0.0, |score| plate_width(painter, score)),
        below.map_or(0.0, |tag| plate_width(painter, tag)),
    ]
}

/// How many of these lines there are down to the last that is wider than `reach`.
fn crossed(lines: &[f32], reach: f32) -> f32 {
    lines.iter().rposition(|width| *width > reach).map_or(0.0, |line| line as f32 + 1.0)
}

/// On every pane of generated pixels, always.
fn synthetic_tag(picture: &Picture) -> Option<String> {
    let is = if picture.blended { "≈" } else { "=" };
    picture.synthetic.map(|generated| match generated {
        Generated::At(lambda) => format!("SYNTHETIC  λ {is} {}", lambda_text(lambda)),
        Generated::Sweep => "SYNTHETIC  all λ".to_owned(),
        Generated::Untold => "SYNTHETIC".to_owned(),
        Generated::Finding(finding, dial) => format!("SYNTHETIC {} {dial:.2}", finding.name()),
    })
}

fn slice_text(camera: &Camera, grid: &Grid) -> String {
    format!("{} {}/{}", plane_name(camera.plane), camera.slice(grid) + 1, camera.slices(grid))
}

/// What is written on a pane, for those who do not see it.
pub(super) fn words(picture: &Picture, camera: &Camera, grid: &Grid) -> String {
    let [left, right, top, bottom] = camera.letters(grid);
    let edges = format!("left {left}, right {right}, top {top}, bottom {bottom}");
    [synthetic_tag(picture), picture.score.clone(), Some(slice_text(camera, grid)), Some(edges)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
}

pub(super) fn plane_name(plane: Plane) -> &'static str {
    match plane {
        Plane::Axial => "Axial",
        Plane::Coronal => "Coronal",
        Plane::Sagittal => "Sagittal",
    }
}

/// 5 cm, or 1 cm where that is too long, at the bottom right.
fn scale_bar(painter: &egui::Painter, inner: Rect, mm_per_point: f64) {
    let fits = |mm: &f64| mm / mm_per_point < f64::from(inner.width()) / 3.0;
    let Some(mm) = [50.0, 10.0].into_iter().find(fits) else { return };
    let end = inner.right_bottom();
    let start = end - vec2((mm / mm_per_point) as f32, 0.0);
    painter.line_segment([start, end], Stroke::new(4.0, theme::BLACK));
    painter.line_segment([start, end], Stroke::new(2.0, theme::DARK.strong));
    plate(painter, end - vec2(0.0, 6.0), Align2::RIGHT_BOTTOM, &format!("{:.0} cm", mm / 10.0), theme::DARK.strong);
}

/// The colours of a picture with their HU, above the letter of the right edge; `down` from the upper edge, points.
fn color_bar(painter: &egui::Painter, inner: Rect, legend: &Legend, down: f32) {
    let room = inner.height() / 2.0 - down - 1.5 * LINE;
    let height = (inner.height() / 4.0).min(room).max(2.0 * LINE);
    let bar = Rect::from_min_size(pos2(inner.right() - BAR, inner.top() + down), vec2(BAR, height));
    let rows = height.max(1.0) as usize;
    for row in 0..rows {
        let color = legend.color((row as f32 + 0.5) / rows as f32).map(|c| (c * 255.0) as u8);
        let color = egui::Color32::from(egui::Rgba::from_srgba_unmultiplied(color[0], color[1], color[2], 255));
        let y = bar.top() + row as f32;
        painter.rect_filled(Rect::from_min_max(pos2(bar.left(), y), pos2(bar.right(), y + 1.0)), 0.0, color);
    }
    for (place, text) in legend.labels() {
        let at = pos2(bar.left() - 4.0, bar.top() + place * height);
        plate(painter, at, Align2::RIGHT_CENTER, &text, theme::DARK.strong);
    }
}
