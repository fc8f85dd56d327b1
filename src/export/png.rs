//! Pictures of panes with their annotations burnt in, painted on the CPU as the screen's shader does.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use anyhow::{Context, Result};
use glam::{DAffine3, DVec2, DVec3};
use image::{Rgba, RgbaImage, imageops};

use crate::export::report::NOTICE;
use crate::export::{Annotation, LeftOut};
use crate::frame::camera::Camera;
use crate::frame::paint::paint;
use crate::frame::{Generated, Layers, Legend, Look, Plane, lambda_text};
use crate::volume::Grid;

const MARGIN: u32 = 6;
const TEXT_PX: f32 = 15.0;
const LINE: u32 = 20;
/// Height of a bar.
const BAR: u32 = 8;
/// Between panes.
const GAP: u32 = 2;
const WHITE: Rgba<u8> = Rgba([235, 235, 235, 255]);
const BLACK: Rgba<u8> = Rgba([0, 0, 0, 255]);
const AMBER: Rgba<u8> = Rgba([255, 193, 77, 255]);
const BACKGROUND: Rgba<u8> = Rgba([18, 19, 22, 255]);
const ACCENT: Rgba<u8> = Rgba([64, 200, 224, 255]);
const TRACK: Rgba<u8> = Rgba([48, 50, 56, 255]);

/// One picture of a figure.
pub struct Pane<'a> {
    pub title: &'a str,
    pub camera: Camera,
    pub layers: &'a Layers,
    pub look: Look,
    /// Of what, where the pixels are generated: the pane is then marked SYNTHETIC.
    pub synthetic: Option<Generated>,
    pub marks: Vec<Mark>,
}

/// What was measured on a picture: a line, and words below it.
pub struct Mark {
    /// RAS+ millimetres.
    pub line: Vec<DVec3>,
    pub words: Vec<String>,
}

/// Panes in rows, and lines of text below.
pub struct Figure<'a> {
    pub panes: Vec<Pane<'a>>,
    /// Panes in a row.
    pub columns: usize,
    /// The grid whose axes and slices the panes follow.
    pub grid: Grid,
    /// Pixels of one pane.
    pub size: [u32; 2],
    pub lines: Vec<String>,
    /// A number drawn as a bar on a fixed axis from 0 to 1, above the lines.
    pub bar: Option<f64>,
    pub left_out: LeftOut,
}

impl Figure<'_> {
    fn shows(&self, annotation: Annotation) -> bool {
        !self.left_out.has(annotation)
    }

    /// The bar, where it is shown.
    fn bar(&self) -> Option<f64> {
        self.bar.filter(|_| self.shows(Annotation::Scores))
    }
}

/// Where the parts of a figure go, pixels.
struct Arranged {
    columns: u32,
    /// Of all panes together.
    width: u32,
    height: u32,
    /// Of the bar and what is around it.
    bar: u32,
    lines: Vec<(String, Rgba<u8>)>,
}

impl Arranged {
    fn of(figure: &Figure, font: &FontRef) -> Self {
        let [w, h] = figure.size;
        let columns = figure.columns.clamp(1, figure.panes.len().max(1)) as u32;
        let rows = (figure.panes.len() as u32).div_ceil(columns);
        let extent = |n: u32, size: u32| n * size + GAP * n.saturating_sub(1);
        let (width, height) = (extent(columns, w), extent(rows, h));
        let mut lines = Vec::new();
        let said = figure.lines.iter().filter(|_| figure.shows(Annotation::Scores));
        for (line, color) in said.map(|line| (line.as_str(), WHITE)).chain([(NOTICE, AMBER)]) {
            let parts = wrap(line, |text| measure(font, text) + 2 * MARGIN <= width);
            lines.extend(parts.into_iter().map(|part| (part, color)));
        }
        Self { columns, width, height, bar: if figure.bar().is_some() { BAR + MARGIN } else { 0 }, lines }
    }

    fn size(&self) -> (u32, u32) {
        (self.width, self.height + self.bar + LINE * self.lines.len() as u32 + MARGIN)
    }
}

/// Width and height that a figure will have, pixels.
pub(super) fn size_of(figure: &Figure) -> Result<(u32, u32)> {
    Ok(Arranged::of(figure, &font()?).size())
}

/// Draws a figure.
pub fn figure(figure: &Figure) -> Result<RgbaImage> {
    let font = font()?;
    let [w, h] = figure.size;
    let arranged = Arranged::of(figure, &font);
    let (width, height) = arranged.size();
    let mut image = RgbaImage::from_pixel(width, height, BACKGROUND);
    let Arranged { columns, height, bar, lines, .. } = arranged;
    for (i, pane) in figure.panes.iter().enumerate() {
        let view = pane.camera.view(&figure.grid, figure.size, pane.look);
        let mut picture = paint(&view, pane.layers);
        for mark in &pane.marks {
            draw_mark(&mut picture, mark, view.world_from_pixel.inverse(), &font);
        }
        annotate(&mut picture, pane, figure, &font);
        let (column, row) = (i as u32 % columns, i as u32 / columns);
        imageops::replace(&mut image, &picture, i64::from(column * (w + GAP)), i64::from(row * (h + GAP)));
    }
    if let Some(share) = figure.bar() {
        draw_bar(&mut image, height + MARGIN, share);
    }
    for (i, (line, color)) in lines.iter().enumerate() {
        text(&mut image, &font, line, [MARGIN, height + bar + MARGIN / 2 + LINE * i as u32], *color);
    }
    Ok(image)
}

/// A picture as tall as others of its film: where the lines below one are broken differently, it gets empty ground.
pub(super) fn leveled(picture: RgbaImage, height: u32) -> RgbaImage {
    if picture.height() == height {
        return picture;
    }
    let mut leveled = RgbaImage::from_pixel(picture.width(), height, BACKGROUND);
    imageops::replace(&mut leveled, &picture, 0, 0);
    leveled
}

/// From the left margin to the right one; what is filled is the share.
fn draw_bar(image: &mut RgbaImage, top: u32, share: f64) {
    let length = image.width().saturating_sub(2 * MARGIN);
    let filled = (f64::from(length) * share.clamp(0.0, 1.0)).round() as u32;
    for y in top..top + BAR {
        for x in 0..length {
            image.put_pixel(MARGIN + x, y, if x < filled { ACCENT } else { TRACK });
        }
    }
}

/// A line in parts that fit, broken between words; a word that fits nowhere stands alone.
fn wrap(line: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for word in line.split(' ') {
        match parts.last_mut() {
            Some(part) if fits(&format!("{part} {word}")) => *part = format!("{part} {word}"),
            _ => parts.push(word.to_owned()),
        }
    }
    parts
}

/// Title, tag, letters, slice, scale bar, colour bar.
fn annotate(picture: &mut RgbaImage, pane: &Pane, figure: &Figure, font: &FontRef) {
    let [w, h] = figure.size;
    let right = |s: &str| w.saturating_sub(measure(font, s) + MARGIN);
    text(picture, font, pane.title, [MARGIN, MARGIN], WHITE);
    if let Some(generated) = pane.synthetic {
        let tag = match generated {
            Generated::At(lambda) if figure.shows(Annotation::Lambda) => {
                format!("SYNTHETIC  lambda {}", lambda_text(lambda))
            }
            Generated::At(_) | Generated::Untold => "SYNTHETIC".to_owned(),
            Generated::Sweep => "SYNTHETIC  all lambdas".to_owned(),
            Generated::Finding(finding, dial) => format!("SYNTHETIC {} {dial:.2}", finding.name()),
        };
        text(picture, font, &tag, [MARGIN, MARGIN + LINE], AMBER);
    }
    let camera = &pane.camera;
    let lowest_line = h.saturating_sub(LINE + MARGIN);
    if figure.shows(Annotation::Letters) {
        let [left, far, top, bottom] = camera.letters(&figure.grid);
        text(picture, font, left, [MARGIN, h / 2], WHITE);
        text(picture, font, far, [right(far), h / 2], WHITE);
        text(picture, font, top, [w / 2, MARGIN], WHITE);
        text(picture, font, bottom, [w / 2, lowest_line], WHITE);
    }
    if figure.shows(Annotation::Slice) {
        let plane = match camera.plane {
            Plane::Axial => "Axial",
            Plane::Coronal => "Coronal",
            Plane::Sagittal => "Sagittal",
        };
        let slice = format!("{plane} {}/{}", camera.slice(&figure.grid) + 1, camera.slices(&figure.grid));
        text(picture, font, &slice, [MARGIN, lowest_line], WHITE);
    }
    if figure.shows(Annotation::ScaleBar) {
        scale_bar(picture, camera.mm_per_pixel, font);
    }
    if !figure.shows(Annotation::ColorBar) {
        return;
    }
    if let Some(legend) = pane.look.legend(pane.layers.map.as_ref()) {
        color_bar(picture, &legend, font);
    }
}

/// The line, dark all around so that it reads on any grey, and its words below it within the picture.
fn draw_mark(picture: &mut RgbaImage, mark: &Mark, pixel_from_world: DAffine3, font: &FontRef) {
    let points: Vec<_> = mark.line.iter().map(|place| pixel_from_world.transform_point3(*place).truncate()).collect();
    let (Some(first), [w, h]) = (points.first(), [picture.width(), picture.height()]) else { return };
    let [low, high] = points.iter().fold([*first; 2], |[low, high], at| [low.min(*at), high.max(*at)]);
    if high.min_element() < 0.0 || low.x > f64::from(w) || low.y > f64::from(h) {
        return;
    }
    for (half_width, color) in [(2, BLACK), (0, WHITE)] {
        for pair in points.windows(2) {
            let Some(ends) = within([pair[0], pair[1]], [w, h]) else { continue };
            let dots = (2.0 * ends[0].distance(ends[1])).ceil().max(1.0);
            for n in 0..=dots as usize {
                dot(picture, ends[0].lerp(ends[1], n as f64 / dots), half_width, color);
            }
        }
    }
    let room = |size: u32, taken: u32| f64::from(size.saturating_sub(taken).max(MARGIN));
    let top = (high.y + f64::from(MARGIN)).clamp(f64::from(MARGIN), room(h, LINE * mark.words.len() as u32));
    for (n, line) in mark.words.iter().enumerate() {
        let width = measure(font, line);
        let left = f64::midpoint(low.x, high.x) - f64::from(width) / 2.0;
        let left = left.clamp(f64::from(MARGIN), room(w, width + MARGIN));
        text(picture, font, line, [left as u32, top as u32 + LINE * n as u32], WHITE);
    }
}

/// The part of a line that a picture shows, and a little more: a line may reach far beyond. Liang and Barsky 1984.
fn within([a, b]: [DVec2; 2], size: [u32; 2]) -> Option<[DVec2; 2]> {
    const BEYOND: f64 = 4.0;
    let (mut from, mut to) = (0.0_f64, 1.0_f64);
    for (start, along, size) in [(a.x, b.x - a.x, size[0]), (a.y, b.y - a.y, size[1])] {
        let edges = [-BEYOND, f64::from(size) + BEYOND].map(|edge| edge - start);
        if along == 0.0 {
            if edges[0] > 0.0 || edges[1] < 0.0 {
                return None;
            }
            continue;
        }
        let shares = edges.map(|edge| edge / along);
        from = from.max(shares[0].min(shares[1]));
        to = to.min(shares[0].max(shares[1]));
    }
    (from <= to).then(|| [a.lerp(b, from), a.lerp(b, to)])
}

/// A square around a place; what lies beyond the picture is cut off.
fn dot(picture: &mut RgbaImage, at: DVec2, half_width: i64, color: Rgba<u8>) {
    let [x, y] = [at.x, at.y].map(|c| c.round() as i64);
    for (x, y) in (y - half_width..=y + half_width).flat_map(|y| (x - half_width..=x + half_width).map(move |x| (x, y)))
    {
        if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
            && let Some(pixel) = picture.get_pixel_mut_checked(x, y)
        {
            *pixel = color;
        }
    }
}

/// 5 cm at the bottom right.
fn scale_bar(picture: &mut RgbaImage, mm_per_pixel: f64, font: &FontRef) {
    let (w, h) = picture.dimensions();
    let length = (50.0 / mm_per_pixel) as u32;
    if length + 2 * MARGIN >= w {
        return;
    }
    let (x, y) = (w - length - MARGIN, h.saturating_sub(MARGIN + 2));
    for i in x..x + length {
        picture.put_pixel(i, y, WHITE);
        picture.put_pixel(i, y + 1, WHITE);
    }
    text(picture, font, "5 cm", [w - measure(font, "5 cm") - MARGIN, y.saturating_sub(LINE)], WHITE);
}

/// The colours of `scale_hu` down to `lowest` times as much at the right edge, with their numbers.
fn color_bar(picture: &mut RgbaImage, legend: &Legend, font: &FontRef) {
    let (w, h) = picture.dimensions();
    let (top, height) = (h / 5, h / 5);
    for y in 0..height {
        let [r, g, b] = legend.color(y as f32 / height as f32).map(|c| (c * 255.0 + 0.5) as u8);
        for x in w.saturating_sub(14)..w.saturating_sub(MARGIN) {
            picture.put_pixel(x, top + y, Rgba([r, g, b, 255]));
        }
    }
    for (place, label) in legend.labels().into_iter().filter(|(place, _)| *place != 0.5) {
        let y = if place == 0.0 { top } else { top + height - LINE };
        text(picture, font, &label, [w.saturating_sub(18 + measure(font, &label)), y], WHITE);
    }
}

fn font() -> Result<FontRef<'static>> {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).context("the built-in font cannot be read")
}

fn measure(font: &FontRef, line: &str) -> u32 {
    let font = font.as_scaled(PxScale::from(TEXT_PX));
    line.chars().map(|c| font.h_advance(font.glyph_id(c))).sum::<f32>().ceil() as u32
}

/// Writes a line with its top left corner at a place, dark all around so that it reads on any grey; what does not fit is cut off.
fn text(image: &mut RgbaImage, font: &FontRef, line: &str, [x, y]: [u32; 2], color: Rgba<u8>) {
    for (dx, dy) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)] {
        glyphs(image, font, line, [x as f32 + dx, y as f32 + dy], BLACK);
    }
    glyphs(image, font, line, [x as f32, y as f32], color);
}

fn glyphs(image: &mut RgbaImage, font: &FontRef, line: &str, [x, y]: [f32; 2], color: Rgba<u8>) {
    let scaled = font.as_scaled(PxScale::from(TEXT_PX));
    let mut at = x;
    for c in line.chars() {
        let glyph = scaled.glyph_id(c).with_scale_and_position(TEXT_PX, point(at, y + scaled.ascent()));
        at += scaled.h_advance(glyph.id);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        outline.draw(|dx, dy, coverage| {
            let (px, py) = (bounds.min.x + dx as f32, bounds.min.y + dy as f32);
            if px >= 0.0 && py >= 0.0 && (px as u32) < image.width() && (py as u32) < image.height() {
                let pixel = image.get_pixel_mut(px as u32, py as u32);
                for channel in 0..3 {
                    let under = f32::from(pixel.0[channel]);
                    pixel.0[channel] = (under + (f32::from(color.0[channel]) - under) * coverage.min(1.0)) as u8;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_line_that_reaches_beyond_a_picture_the_part_within_is_drawn() {
        let cut = |a: [f64; 2], b: [f64; 2]| within([a.into(), b.into()], [100, 50]);
        let inside = [[1.0, 2.0].into(), [90.0, 40.0].into()];
        assert_eq!(within(inside, [100, 50]), Some(inside));
        // Along the diagonal y = x / 2 + 10, which leaves at the bottom.
        let far = cut([-1e6, -499_990.0], [1e6, 500_010.0]).expect("it crosses");
        assert!(far[0].distance([-4.0, 8.0].into()) < 1e-6 && far[1].distance([88.0, 54.0].into()) < 1e-6, "{far:?}");
        assert_eq!(cut([-9.0, 0.0], [-9.0, 30.0]), None);
        assert_eq!(cut([0.0, 80.0], [100.0, 70.0]), None);
    }

    #[test]
    fn a_line_too_long_for_its_picture_is_broken_and_loses_no_word() {
        let parts = wrap("Research use only. Not for diagnosis.", |text| text.len() <= 14);
        assert_eq!(parts, ["Research use", "only. Not for", "diagnosis."]);
        let long = wrap("a incomprehensibilities b", |text| text.len() <= 8);
        assert_eq!(long, ["a", "incomprehensibilities", "b"]);
    }
}
