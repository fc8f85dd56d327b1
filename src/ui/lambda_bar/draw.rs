//! How the curve is drawn: the axis, the curves, what stands at lambda 0, the goal, and the playhead with its number.

use eframe::egui::{Align2, Color32, Painter, Pos2, Rect, Shape, Stroke, Ui, Vec2, pos2};

use crate::frame::lambda_text;
use crate::session::view::curve::{Curve, Marks};
use crate::ui::slice_bar::NAME_WIDTH;
use crate::ui::theme;
use crate::ui::widgets::{ink, plate, text_size};

/// Of the row above the curve where the playhead's number stands, and of the row below it where lambdas stand.
const TOP: f32 = 28.0;
const AXIS: f32 = 20.0;
/// Dash and gap of the line of the goal.
const DASH: f32 = 5.0;
/// Between a mark and the words beside it.
const CLEAR: f32 = 10.0;
/// Marks nearer to each other than a line of text have one label.
const LINE: f32 = 17.0;

/// Where the curve is drawn.
pub(super) struct Canvas<'a> {
    painter: Painter,
    area: Rect,
    /// Where values and lambdas stand.
    inner: Rect,
    curve: &'a Curve,
    axis: &'static str,
}

impl<'a> Canvas<'a> {
    /// `track` is the slider's: what stands above a place of the slider is at its lambda.
    pub(super) fn new(ui: &Ui, area: Rect, track: Rect, curve: &'a Curve, axis: &'static str) -> Self {
        let inner = Rect::from_x_y_ranges(track.x_range(), area.top() + TOP..=area.bottom() - AXIS);
        Self { painter: ui.painter_at(area), area, inner, curve, axis }
    }

    fn x(&self, lambda: f64) -> f32 {
        match self.curve.lambdas() {
            Some([first, last]) if first < last => {
                self.inner.left() + self.inner.width() * ((lambda - first) / (last - first)).clamp(0.0, 1.0) as f32
            }
            _ => self.inner.right(),
        }
    }

    fn y(&self, value: f64) -> f32 {
        self.inner.bottom() - self.inner.height() * self.curve.share(value)
    }

    /// The lambda that a place stands for.
    pub(super) fn lambda(&self, x: f32) -> f64 {
        let [first, last] = self.curve.lambdas().unwrap_or_default();
        let share = f64::from((x - self.inner.left()) / self.inner.width()).clamp(0.0, 1.0);
        first + (last - first) * share
    }

    /// The axis and the curves on it.
    pub(super) fn curve(&self) {
        self.painter.rect_filled(self.area, 2.0, theme::DARK.field);
        self.values();
        let points = &self.curve.points;
        if points.is_empty() {
            let text = "The score along lambda appears here as it is found";
            self.painter.text(self.inner.center(), Align2::CENTER_CENTER, text, theme::small(), theme::DARK.weak);
            return;
        }
        for ((_, values), color) in self.curve.beside.iter().zip(theme::BESIDE) {
            let places = points.iter().zip(values).map(|([lambda, _], value)| pos2(self.x(*lambda), self.y(*value)));
            self.painter.add(Shape::line(places.collect(), Stroke::new(1.0, color)));
        }
        let places: Vec<_> = points.iter().map(|[lambda, value]| pos2(self.x(*lambda), self.y(*value))).collect();
        self.painter.add(Shape::line(places.clone(), Stroke::new(2.0, theme::DARK.accent)));
        for place in places {
            self.painter.circle_filled(place, 3.0, theme::DARK.accent);
        }
        self.ends();
        self.legend();
    }

    /// The axis of values at the left, with lines across.
    fn values(&self) {
        let [low, high] = self.curve.axis;
        for value in [low, f64::midpoint(low, high), high] {
            let y = self.y(value);
            self.painter.hline(self.inner.x_range(), y, Stroke::new(1.0, theme::DARK.panel));
            let text = if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") };
            ink(&self.painter, pos2(self.area.left() + 4.0, y), Align2::LEFT_CENTER, &text, theme::DARK.weak);
        }
        let at = pos2(self.area.left() + 4.0, self.area.top() + 2.0);
        ink(&self.painter, at, Align2::LEFT_TOP, self.axis, theme::DARK.weak);
    }

    /// Both ends of lambda, each with what happens to the score there, and lambda 0 between them.
    fn ends(&self) {
        let Some([first, last]) = self.curve.lambdas() else { return };
        let y = self.area.bottom() - 3.0;
        let zero = self.curve.points.iter().find(|[lambda, _]| *lambda == 0.0);
        let goes = |lambda: f64| {
            let end = self.curve.points.iter().find(|[at, _]| *at == lambda);
            match (end, zero) {
                (Some([_, end]), Some([at, zero])) if *at != lambda && end < zero => ", score lowered",
                (Some([_, end]), Some([at, zero])) if *at != lambda && end > zero => ", score raised",
                _ => "",
            }
        };
        let mut ends = vec![(first, Align2::LEFT_BOTTOM)];
        if first < last {
            ends.push((last, Align2::RIGHT_BOTTOM));
        }
        for (lambda, anchor) in ends {
            let text = format!("λ {}{}", lambda_text(lambda), goes(lambda));
            ink(&self.painter, pos2(self.x(lambda), y), anchor, &text, theme::DARK.weak);
        }
        if first < 0.0 && last > 0.0 {
            let at = pos2(self.x(0.0), y);
            self.painter.vline(at.x, self.inner.y_range(), Stroke::new(1.0, theme::DARK.panel));
            ink(&self.painter, at, Align2::CENTER_BOTTOM, "λ 0", theme::DARK.weak);
        }
    }

    /// The names of the curves beside the score's, at the right of the axis of lambda.
    fn legend(&self) {
        let x = self.inner.right() + CLEAR;
        // In the half that the marks at lambda 0 leave free.
        let marked = self.curve.marks.as_ref().map_or(0.0, |marks| self.curve.share(marks.reconstruction));
        let (first, down) = if marked > 0.5 { (self.inner.bottom(), -LINE) } else { (self.inner.top(), LINE) };
        for (row, ((name, _), color)) in self.curve.beside.iter().zip(theme::BESIDE).enumerate() {
            let at = pos2(x, first + down * row as f32);
            let room = self.area.right() - x;
            ink(&self.painter, at, Align2::LEFT_CENTER, &shortened(&self.painter, name, room), color);
        }
    }

    /// The scan and the reconstruction at lambda 0, and the goal, dashed.
    pub(super) fn marks(&self) {
        let Some(Marks { scan, reconstruction, goal }) = &self.curve.marks else { return };
        // The words stand on the side where the curve has room.
        let right = self.x(0.0) > self.inner.center().x;
        if let Some(goal) = goal {
            let y = self.y(*goal);
            let line = [pos2(self.inner.left(), y), pos2(self.inner.right(), y)];
            self.painter.extend(Shape::dashed_line(&line, Stroke::new(1.0, theme::DARK.amber), DASH, DASH));
            let (x, anchor) = if right {
                (self.inner.left() + NAME_WIDTH, Align2::LEFT_BOTTOM)
            } else {
                (self.inner.right() - NAME_WIDTH, Align2::RIGHT_BOTTOM)
            };
            let above = y - LINE > self.inner.top();
            let (y, anchor) = if above { (y - 2.0, anchor) } else { (y + LINE, anchor) };
            self.plate(pos2(x, y), anchor, &format!("goal {goal:.4}"), theme::DARK.amber);
        }
        let at = |value: f64| pos2(self.x(0.0), self.y(value));
        let (scan_at, copy_at) = (at(*scan), at(*reconstruction));
        let diamond = [(0.0, -6.0), (6.0, 0.0), (0.0, 6.0), (-6.0, 0.0)].map(|(x, y)| scan_at + Vec2::new(x, y));
        self.painter.circle_stroke(copy_at, 5.0, Stroke::new(2.0, theme::DARK.strong));
        self.painter.add(Shape::convex_polygon(diamond.to_vec(), theme::DARK.strong, Stroke::NONE));
        let (scan, copy) = (format!("scan {scan:.4}"), format!("reconstruction {reconstruction:.4}"));
        let (scan_y, copy_y) = apart(scan_at.y, copy_at.y, [self.inner.top(), self.inner.bottom()]);
        // Beside the curve where lambda 0 is its last step; else on it, where it has room.
        let at_end = self.x(0.0) >= self.inner.right() - 1.0;
        let (aside, anchor) = match (at_end, right) {
            (true, _) | (false, false) => (CLEAR, Align2::LEFT_CENTER),
            (false, true) => (-CLEAR, Align2::RIGHT_CENTER),
        };
        self.plate(pos2(scan_at.x + aside, scan_y), anchor, &scan, theme::DARK.strong);
        self.plate(pos2(copy_at.x + aside, copy_y), anchor, &copy, theme::DARK.strong);
    }

    /// The step under the pointer, with its number.
    pub(super) fn hover(&self, lambda: f64, words: &str) {
        let x = self.x(lambda);
        self.painter.vline(x, self.inner.y_range(), Stroke::new(1.0, theme::DARK.weak));
        self.carried(x, self.area.bottom() - AXIS, Align2::CENTER_BOTTOM, words, theme::DARK.text);
    }

    /// The step that is shown, with its number.
    pub(super) fn playhead(&self, lambda: f64, words: &str) {
        let x = self.x(lambda);
        let line = [pos2(x, self.area.top() + TOP - 4.0), pos2(x, self.area.bottom() - AXIS)];
        self.painter.line_segment(line, Stroke::new(2.0, theme::DARK.strong));
        self.carried(x, self.area.top() + 1.0, Align2::CENTER_TOP, words, theme::DARK.strong);
    }

    /// Words above a place, moved aside where the edge is.
    fn carried(&self, x: f32, y: f32, anchor: Align2, words: &str, color: Color32) {
        let half = text_size(&self.painter, words).x / 2.0 + 6.0;
        let x = x.min(self.area.right() - half).max(self.inner.left().max(self.area.left()) - NAME_WIDTH / 4.0 + half);
        self.plate(pos2(x, y), anchor, words, color);
    }

    fn plate(&self, at: Pos2, anchor: Align2, words: &str, color: Color32) {
        plate(&self.painter, at, anchor, words, color);
    }
}

/// Two lines of text as near to their places as they can stand without lying on each other.
fn apart(a: f32, b: f32, [top, bottom]: [f32; 2]) -> (f32, f32) {
    let missing = (LINE - (a - b).abs()).max(0.0) / 2.0;
    let (upper, lower) = (a.min(b) - missing, a.max(b) + missing);
    let moved = (top - upper).max(0.0) - (lower - bottom).max(0.0);
    let (upper, lower) = (upper + moved, lower + moved);
    if a <= b { (upper, lower) } else { (lower, upper) }
}

/// A name cut to the room that there is.
fn shortened(painter: &Painter, name: &str, room: f32) -> String {
    if text_size(painter, name).x <= room {
        return name.to_owned();
    }
    let letters: Vec<char> = name.chars().collect();
    let cut = |count: usize| letters[..count].iter().collect::<String>() + "…";
    let most = (0..letters.len()).rev().find(|count| text_size(painter, &cut(*count)).x <= room);
    cut(most.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{LINE, apart};

    #[test]
    fn labels_never_lie_on_each_other_and_stay_within_the_curve() {
        let within = [0.0, 100.0];
        assert_eq!(apart(20.0, 80.0, within), (20.0, 80.0), "they stand where they belong");
        for (a, b) in [(50.0, 52.0), (52.0, 50.0), (0.0, 1.0), (100.0, 99.0), (3.0, 3.0)] {
            let (a, b) = apart(a, b, within);
            assert!((a - b).abs() >= LINE - 1e-4, "{a} {b}");
            assert!(a.min(b) >= -1e-4 && a.max(b) <= 100.0 + 1e-4, "{a} {b}");
        }
    }
}
