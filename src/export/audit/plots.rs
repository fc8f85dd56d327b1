//! Drawings of an audit, as SVG: means with their intervals, lines, and dots.

use std::fmt::Write as _;

use crate::export::page::escape;

const WIDTH: f64 = 480.0;
/// Where the names of the bands end, and where all axes do.
const NAMES: f64 = 160.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 462.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 250.0;
const ROW: f64 = 24.0;
/// Of the ticks along an axis from 0 to 1.
const TICKS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// A mean and its interval, of numbers from 0 to 1.
pub(super) struct Band {
    pub(super) name: String,
    pub(super) color: usize,
    pub(super) mean: f64,
    pub(super) interval: Option<[f64; 2]>,
}

/// Points of numbers from 0 to 1, joined.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) color: usize,
    pub(super) points: Vec<[f64; 2]>,
}

/// Means of numbers from 0 to 1, each with its interval, joined.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) color: usize,
    pub(super) points: Vec<([f64; 2], Option<[f64; 2]>)>,
}

/// A point of numbers from 0 to 1.
pub(super) struct Dot {
    pub(super) color: usize,
    pub(super) at: [f64; 2],
}

/// Each mean as a dot with its interval as a line, one below the other, and a line where chance is.
pub(super) fn bands(title: &str, bands: &[Band], chance: f64) -> String {
    let x = |number: f64| NAMES + (RIGHT - NAMES) * number.clamp(0.0, 1.0);
    let bottom = TOP + ROW * bands.len() as f64;
    let mut svg = begin(title, bottom + 24.0);
    for tick in TICKS {
        let at = x(tick);
        // A String takes all.
        write!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom:.1}\"/>{}",
            label(at, bottom + 16.0, "middle", &tick.to_string())
        )
        .ok();
    }
    for (row, band) in bands.iter().enumerate().filter(|(_, band)| band.mean.is_finite()) {
        let y = TOP + ROW * (row as f64 + 0.5);
        svg += &label(NAMES - 8.0, y + 4.0, "end", &band.name);
        write!(svg, "<g class=\"m{}\">", band.color).ok();
        if let Some([low, high]) = band.interval {
            write!(svg, "<path class=\"k\" d=\"M{:.1} {y:.1}H{:.1}\"/>", x(low), x(high)).ok();
        }
        write!(
            svg,
            "<circle class=\"m\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}: {:.3}</title></circle></g>",
            x(band.mean),
            escape(&band.name),
            band.mean
        )
        .ok();
    }
    if chance.is_finite() {
        write!(
            svg,
            "<path class=\"chance\" d=\"M{0:.1} {TOP}V{bottom:.1}\"><title>chance: {chance:.3}</title></path>",
            x(chance)
        )
        .ok();
    }
    let dashes = if chance.is_finite() { "; the dashes are chance" } else { "" };
    end(&svg, title, &format!("The line is the 95 % interval, where there is one{dashes}."))
}

/// Lines over one square, each named.
pub(super) fn lines(title: &str, axes: [&str; 2], lines: &[Line]) -> String {
    let names: Vec<(String, usize)> = lines.iter().map(|line| (line.name.clone(), line.color)).collect();
    let mut svg = square(title, axes, &names);
    for line in lines {
        let points: Vec<String> = line.points.iter().map(|[x, y]| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        write!(svg, "<g class=\"m{}\"><polyline class=\"m\" points=\"{}\"/></g>", line.color, points.join(" ")).ok();
    }
    end(&svg, title, "")
}

/// Means over one square, each as a dot with its interval as a line upwards, and dashes where chance is.
pub(super) fn against(title: &str, axes: [&str; 2], curve: &Curve, chance: f64) -> String {
    let Curve { name, color, points } = curve;
    let mut svg = square(title, axes, &[(name.clone(), *color)]);
    if chance.is_finite() {
        let y = up(chance);
        write!(svg, "<path class=\"chance\" d=\"M{LEFT} {y:.1}H{RIGHT}\"><title>chance: {chance}</title></path>").ok();
    }
    let known = || points.iter().filter(|([x, y], _)| x.is_finite() && y.is_finite());
    let joined: Vec<String> = known().map(|([x, y], _)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
    write!(svg, "<g class=\"m{color}\"><polyline class=\"m\" points=\"{}\"/>", joined.join(" ")).ok();
    for ([x, y], interval) in known() {
        let (at, said) = (across(*x), format!("{name} {y:.3} at {x}"));
        if let Some([low, high]) = interval {
            write!(svg, "<path class=\"k\" d=\"M{at:.1} {:.1}V{:.1}\"/>", up(*low), up(*high)).ok();
        }
        let said = escape(&said);
        write!(svg, "<circle class=\"m\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"4\"><title>{said}</title></circle>", up(*y))
            .ok();
    }
    svg += "</g>";
    let dashes = if chance.is_finite() { " The dashes are chance." } else { "" };
    end(&svg, title, &format!("The line upwards is the 95 % interval, where there is one.{dashes}"))
}

/// Dots over one square, each kind named.
pub(super) fn dots(title: &str, axes: [&str; 2], names: &[(String, usize)], dots: &[Dot]) -> String {
    let mut svg = square(title, axes, names);
    for dot in dots.iter().filter(|dot| dot.at.iter().all(|number| number.is_finite())) {
        let [x, y] = dot.at;
        write!(
            svg,
            "<g class=\"m{}\"><circle class=\"m\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/></g>",
            dot.color,
            across(x),
            up(y)
        )
        .ok();
    }
    end(&svg, title, "")
}

fn across(x: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * x.clamp(0.0, 1.0)
}

fn up(y: f64) -> f64 {
    BOTTOM + (TOP - BOTTOM) * y.clamp(0.0, 1.0)
}

/// Axes from 0 to 1 with their names, and below them what each colour is.
fn square(title: &str, [along, upwards]: [&str; 2], names: &[(String, usize)]) -> String {
    const COLUMNS: usize = 3;
    let rows = names.len().div_ceil(COLUMNS) as f64;
    let mut svg = begin(title, BOTTOM + 44.0 + 18.0 * rows);
    for tick in TICKS {
        let (x, y) = (across(tick), up(tick));
        write!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{BOTTOM}M{LEFT} {y:.1}H{RIGHT}\"/>{}{}",
            label(x, BOTTOM + 16.0, "middle", &tick.to_string()),
            label(LEFT - 6.0, y + 4.0, "end", &tick.to_string())
        )
        .ok();
    }
    svg += &label(f64::midpoint(LEFT, RIGHT), BOTTOM + 32.0, "middle", along);
    svg += &label(LEFT, TOP - 8.0, "start", upwards);
    for (at, (name, color)) in names.iter().enumerate() {
        let (x, y) = (LEFT + 140.0 * (at % COLUMNS) as f64, BOTTOM + 52.0 + 18.0 * (at / COLUMNS) as f64);
        write!(svg, "<g class=\"m{color}\"><circle class=\"m\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"5\"/></g>", y - 4.0).ok();
        svg += &label(x + 10.0, y, "start", name);
    }
    svg
}

fn begin(title: &str, height: f64) -> String {
    format!("<figure><svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">", escape(title))
}

fn end(svg: &str, title: &str, more: &str) -> String {
    format!("{svg}</svg><figcaption>{}. {}</figcaption></figure>\n", escape(title), escape(more))
        .replace(". </fig", ".</fig")
}

fn label(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text))
}
