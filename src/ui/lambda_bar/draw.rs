//! How the curve is drawn: the axis, the curves, what stands at lambda 0, the goal, and the playhead with its number.

use egui::{Align2, Color32, Painter, Pos2, Rect, Shape, Stroke, Ui, Vec2, pos2};

use crate::frame::lambda_text;
use crate::session::view::curve::{Curve, Marks};
use crate::ui::slice_bar::NAME_WIDTH;
use crate::ui::theme;
use crate::ui::widgets::{ink, plate, shortened, text_size};

/// The heights of the row above the curve, where the playhead's number stands, and of the row below it, where lambdas stand, points.
const TOP: f32 = 28.0;
const AXIS: f32 = 20.0;
/// Dash and gap of the line of the goal.
const DASH: f32 = 5.0;
/// Between a mark and the words beside it.
const CLEAR: f32 = 10.0;
/// Marks nearer to each other than a line of text have one label.
const LINE: f32 = 17.0;
/// The curve of B, where two results are compared.
const SECOND: Color32 = theme::BESIDE[0];

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
        if let Some(second) = &self.curve.second {
            self.line(&second.points, SECOND);
        }
        self.line(points, theme::DARK.accent);
        self.ends();
        self.legend();
    }

    /// A curve with a dot for each of its steps.
    fn line(&self, points: &[[f64; 2]], color: Color32) {
        let places = self.places(points);
        self.painter.add(Shape::line(places.clone(), Stroke::new(2.0, color)));
        for place in places {
            self.painter.circle_filled(place, 3.0, color);
        }
    }

    fn places(&self, points: &[[f64; 2]]) -> Vec<Pos2> {
        points.iter().map(|[lambda, value]| pos2(self.x(*lambda), self.y(*value))).collect()
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
        if self.curve.second.is_some() {
            // Beside where each curve ends: the column at the right belongs to what stands at lambda 0.
            for (name, points, color) in self.letters() {
                let Some(end) = self.places(points).first().copied() else { continue };
                self.plate(end + Vec2::new(-CLEAR, 0.0), Align2::RIGHT_CENTER, name, color);
            }
        }
        for (row, ((name, _), color)) in self.curve.beside.iter().zip(theme::BESIDE).enumerate() {
            let at = pos2(x, first + down * row as f32);
            let room = self.area.right() - x;
            ink(&self.painter, at, Align2::LEFT_CENTER, &shortened(&self.painter, name, room), color);
        }
    }

    /// The letters of two results that are compared, with their curves.
    fn letters(&self) -> Vec<(&'static str, &[[f64; 2]], Color32)> {
        let second = self.curve.second.iter().map(|second| ("B", second.points.as_slice(), SECOND));
        second.chain([("A", self.curve.points.as_slice(), theme::DARK.accent)]).collect()
    }

    /// The scans and the reconstructions at lambda 0, and the goals, dashed.
    pub(super) fn marks(&self) {
        let Some(ours) = &self.curve.marks else { return };
        let both = self.curve.second.as_ref().map(|second| &second.marks);
        let all: Vec<(&str, &Marks, Color32)> = match both {
            Some(theirs) => vec![("B ", theirs, SECOND), ("A ", ours, theme::DARK.strong)],
            None => vec![("", ours, theme::DARK.strong)],
        };
        let goals = all.iter().filter_map(|(name, marks, _)| Some((*name, marks.goal?)));
        for (name, goal) in said_once(goals) {
            self.goal(goal, &format!("{name}goal {goal:.4}"));
        }
        for (_, marks, color) in &all {
            let at = |value: f64| pos2(self.x(0.0), self.y(value));
            let scan = at(marks.scan);
            let diamond = [(0.0, -6.0), (6.0, 0.0), (0.0, 6.0), (-6.0, 0.0)].map(|(x, y)| scan + Vec2::new(x, y));
            self.painter.circle_stroke(at(marks.reconstruction), 5.0, Stroke::new(2.0, *color));
            self.painter.add(Shape::convex_polygon(diamond.to_vec(), *color, Stroke::NONE));
        }
        let scans = said_once(all.iter().map(|(name, marks, _)| (*name, marks.scan)));
        let copies = said_once(all.iter().map(|(name, marks, _)| (*name, marks.reconstruction)));
        let of = |what: &'static str| move |(name, value): (&str, f64)| (value, format!("{name}{what} {value:.4}"));
        let words: Vec<(f64, String)> =
            scans.into_iter().map(of("scan")).chain(copies.into_iter().map(of("reconstruction"))).collect();
        self.at_zero(&words);
    }

    /// Words beside lambda 0, each as near to its value as there is room.
    fn at_zero(&self, words: &[(f64, String)]) {
        let wanted: Vec<f32> = words.iter().map(|(value, _)| self.y(*value)).collect();
        // Beside the curve where lambda 0 is its last step; else on it, on the side where it has room.
        let x = self.x(0.0);
        let at_end = x >= self.inner.right() - 1.0;
        let (aside, anchor) = match (at_end, x > self.inner.center().x) {
            (true, _) | (false, false) => (CLEAR, Align2::LEFT_CENTER),
            (false, true) => (-CLEAR, Align2::RIGHT_CENTER),
        };
        let places = apart(&wanted, [self.inner.top(), self.inner.bottom()]);
        for ((_, words), y) in words.iter().zip(places) {
            self.plate(pos2(x + aside, y), anchor, words, theme::DARK.strong);
        }
    }

    /// A dashed line where a search was to go, and its words where the curves leave them most room.
    fn goal(&self, goal: f64, words: &str) {
        const SHARES: [f32; 5] = [0.2, 0.35, 0.5, 0.65, 0.8];
        let y = self.y(goal);
        let line = [pos2(self.inner.left(), y), pos2(self.inner.right(), y)];
        self.painter.extend(Shape::dashed_line(&line, Stroke::new(1.0, theme::DARK.amber), DASH, DASH));
        let half = text_size(&self.painter, words) / 2.0 + Vec2::new(4.0, 1.0);
        let second = self.curve.second.iter().map(|second| &second.points);
        let curves: Vec<Vec<Pos2>> = second.chain([&self.curve.points]).map(|points| self.places(points)).collect();
        let rows = [y - half.y - 1.0, y + half.y + 2.0];
        let rows = rows.into_iter().filter(|row| (self.inner.top()..=self.inner.bottom()).contains(row));
        let places = rows.flat_map(|row| SHARES.map(|share| pos2(self.inner.left() + self.inner.width() * share, row)));
        let room = |at: &Pos2| {
            let near = Rect::from_center_size(*at, 2.0 * half);
            curves.iter().map(|curve| clearance(curve, near)).fold(f32::INFINITY, f32::min)
        };
        let place = places.max_by(|a, b| room(a).total_cmp(&room(b))).unwrap_or(pos2(self.inner.center().x, y));
        self.plate(place, Align2::CENTER_CENTER, words, theme::DARK.amber);
    }

    /// The step under the pointer, with its number beside the playhead's, which is at lambda `shown` and carries `carried`.
    pub(super) fn hover(&self, lambda: f64, words: &str, (shown, carried): (f64, &str)) {
        let (x, at) = (self.x(lambda), self.x(shown));
        let line = [pos2(x, self.area.top() + TOP - 4.0), pos2(x, self.inner.bottom())];
        self.painter.line_segment(line, Stroke::new(1.0, theme::DARK.weak));
        let [play, ours] = [self.middle(at, carried), self.middle(x, words)];
        let half = self.half(words);
        let apart = self.half(carried) + half;
        let fits_right = play + apart + half <= self.area.right();
        let fits_left = play - apart - half >= self.area.left();
        let beside = if (ours - play).abs() >= apart {
            ours
        } else if (x >= at && fits_right) || !fits_left {
            play + apart
        } else {
            play - apart
        };
        self.plate(pos2(beside, self.area.top() + 1.0), Align2::CENTER_TOP, words, theme::DARK.text);
    }

    /// The step that is shown, with its number.
    pub(super) fn playhead(&self, lambda: f64, words: &str) {
        let x = self.x(lambda);
        let line = [pos2(x, self.area.top() + TOP - 4.0), pos2(x, self.area.bottom() - AXIS)];
        self.painter.line_segment(line, Stroke::new(2.0, theme::DARK.strong));
        let at = pos2(self.middle(x, words), self.area.top() + 1.0);
        self.plate(at, Align2::CENTER_TOP, words, theme::DARK.strong);
    }

    /// The middle of words above a place, moved aside where the edge is.
    fn middle(&self, x: f32, words: &str) -> f32 {
        let half = self.half(words);
        x.min(self.area.right() - half).max(self.inner.left().max(self.area.left()) - NAME_WIDTH / 4.0 + half)
    }

    /// Half of the width of words with the room around them.
    fn half(&self, words: &str) -> f32 {
        text_size(&self.painter, words).x / 2.0 + 6.0
    }

    fn plate(&self, at: Pos2, anchor: Align2, words: &str, color: Color32) {
        plate(&self.painter, at, anchor, words, color);
    }
}

/// Values by the name of whose they are; where all have the same, it is said once, and of no one.
fn said_once<'n>(values: impl Iterator<Item = (&'n str, f64)>) -> Vec<(&'n str, f64)> {
    let values: Vec<_> = values.collect();
    let text = |value: f64| format!("{value:.4}");
    match values.as_slice() {
        [(_, first), .., (_, last)] if text(*first) == text(*last) => vec![("", *first)],
        _ => values,
    }
}

/// How far above or below words a curve passes at their place, points; 0 where it passes through them.
fn clearance(curve: &[Pos2], words: Rect) -> f32 {
    const SAMPLES: usize = 9;
    let at = |x: f32| {
        let ends = curve.windows(2).find(|ends| (ends[0].x..=ends[1].x).contains(&x))?;
        let share = (x - ends[0].x) / (ends[1].x - ends[0].x).max(f32::MIN_POSITIVE);
        Some(ends[0].y + (ends[1].y - ends[0].y) * share)
    };
    let xs = (0..SAMPLES).map(|n| words.left() + words.width() * n as f32 / (SAMPLES - 1) as f32);
    let away = |y: f32| (words.top() - y).max(y - words.bottom()).max(0.0);
    xs.filter_map(at).map(away).fold(f32::INFINITY, f32::min)
}

/// Lines of text as near to their places as they can stand without lying on each other, from top to bottom.
fn apart(wanted: &[f32], [top, bottom]: [f32; 2]) -> Vec<f32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    // Lines that touch move as one block, around the middle of their places: the first of each block, and how many there are.
    let mut blocks: Vec<(f32, usize)> = Vec::new();
    for at in &order {
        let mut block = (wanted[*at], 1);
        while let Some(above) = blocks.pop_if(|(first, count)| *first + *count as f32 * LINE > block.0) {
            let count = above.1 + block.1;
            let first = (above.0 * above.1 as f32 + (block.0 - above.1 as f32 * LINE) * block.1 as f32) / count as f32;
            block = (first, count);
        }
        blocks.push(block);
    }
    let mut places: Vec<f32> =
        blocks.iter().flat_map(|(first, count)| (0..*count).map(move |n| first + n as f32 * LINE)).collect();
    let mut least = top;
    for place in &mut places {
        *place = place.max(least);
        least = *place + LINE;
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE;
    }
    let mut back = vec![0.0; wanted.len()];
    order.into_iter().zip(places).for_each(|(at, place)| back[at] = place);
    back
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_lie_on_each_other_and_stay_within_the_curve() {
        let within = [0.0, 100.0];
        assert_eq!(apart(&[20.0, 80.0], within), [20.0, 80.0], "they stand where they belong");
        let all: [&[f32]; 7] = [
            &[50.0, 52.0],
            &[52.0, 50.0],
            &[0.0, 1.0],
            &[100.0, 99.0],
            &[3.0, 3.0],
            &[50.0, 51.0, 49.0, 90.0],
            &[99.0, 98.0, 97.0, 96.0],
        ];
        for wanted in all {
            let mut places = apart(wanted, within);
            places.sort_by(f32::total_cmp);
            assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-3), "{wanted:?}: {places:?}");
            assert!(places[0] >= -1e-3 && places[places.len() - 1] <= 100.0 + 1e-3, "{wanted:?}: {places:?}");
        }
        assert_eq!(apart(&[], within), Vec::<f32>::new());
    }

    #[test]
    fn what_two_results_share_is_said_once_and_of_no_one() {
        let both = |a: f64, b: f64| said_once([("B ", b), ("A ", a)].into_iter());
        assert_eq!(both(0.25, 0.25), [("", 0.25)]);
        assert_eq!(both(0.25, 0.75), [("B ", 0.75), ("A ", 0.25)]);
        assert_eq!(said_once([("", 0.5)].into_iter()), [("", 0.5)]);
    }

    #[test]
    fn the_room_beside_a_curve_is_none_where_it_passes_through() {
        let curve = [pos2(0.0, 0.0), pos2(100.0, 100.0)];
        let words = |x: f32, y: f32| Rect::from_center_size(pos2(x, y), Vec2::new(20.0, 10.0));
        assert_eq!(clearance(&curve, words(50.0, 50.0)), 0.0);
        assert!((clearance(&curve, words(50.0, 90.0)) - 25.0).abs() < 1e-3);
    }
}
