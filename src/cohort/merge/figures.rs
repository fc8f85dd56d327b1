//! Drawings of a cohort's report, as SVG: histograms of scores, and the clustered matrix of alignment.

use std::fmt::Write as _;

use super::alignment::Matrix;
use super::bootstrap::Estimate;
use super::cluster::Tree;
use crate::export::page::escape;
use crate::frame::colormap::{ABOVE, BELOW};

/// Bars of a histogram.
const BARS: usize = 20;
/// How standing alone a drawing is coloured; within the page the page's own style counts.
const STYLE: &str = "<style>text{font:13px system-ui,sans-serif;fill:currentColor}.axis{fill:none;stroke:#8a8f99}.bar{fill:#00697a}\
                     .tree{fill:none;stroke:#8a8f99}.clear{fill:#1c1e22}</style>";

/// Draws a histogram of numbers between two ends; what lies beyond counts to the outermost bar.
pub(super) fn histogram(title: &str, values: &[f64], [low, high]: [f64; 2]) -> String {
    const WIDTH: f64 = 300.0;
    const HEIGHT: f64 = 120.0;
    let mut counts = [0_usize; BARS];
    for value in values.iter().filter(|value| value.is_finite()) {
        let at = ((value - low) / (high - low) * BARS as f64) as usize;
        counts[at.min(BARS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 340 180\" style=\"max-width:340px\" role=\"img\" aria-label=\"{0}, of {1} cases\">{STYLE}\
         <text x=\"20\" y=\"16\">{0}</text>",
        escape(title),
        values.len()
    );
    for (bar, count) in counts.iter().enumerate() {
        let (height, width) = (HEIGHT * *count as f64 / most as f64, WIDTH / BARS as f64);
        let (x, y) = (20.0 + bar as f64 * width, 30.0 + HEIGHT - height);
        // A String takes all.
        write!(
            svg,
            "<rect class=\"bar\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            width - 1.0
        )
        .ok();
    }
    write!(
        svg,
        "<path class=\"axis\" d=\"M20 150H320\"/><text x=\"20\" y=\"168\">{low}</text><text x=\"320\" y=\"168\" text-anchor=\"end\">{high}</text>\
         <text x=\"320\" y=\"16\" text-anchor=\"end\">{most}</text></svg>"
    )
    .ok();
    svg
}

/// A square of the matrix, and the room for names and trees, pixels.
const CELL: f64 = 22.0;
const NAMES: f64 = 220.0;
const TREE: f64 = 60.0;
/// A longer name is cut.
const MOST_LETTERS: usize = 30;

/// The clustered matrix: rows are what was explained, columns what moved with it. A dot says that the interval leaves 0 out.
pub(super) fn matrix(of: &Matrix) -> String {
    let (rows, columns) = (of.targets.len() as f64, of.outputs.len() as f64);
    let (left, top) = (NAMES + TREE, NAMES + TREE);
    let (width, height) = (left + columns * CELL + 10.0, top + rows * CELL + 10.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" style=\"max-width:{width}px\" role=\"img\" \
         aria-label=\"By how much outputs move with each target, {rows} by {columns}\">{STYLE}"
    );
    for (row, (target, cells)) in of.targets.iter().zip(&of.cells).enumerate() {
        let y = top + row as f64 * CELL;
        write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", left - 6.0, y + 16.0, short(target))
            .ok();
        for (column, (output, cell)) in of.outputs.iter().zip(cells).enumerate() {
            svg += &square((left + column as f64 * CELL, y), (target, output), *cell);
        }
    }
    for (column, output) in of.outputs.iter().enumerate() {
        let (x, y) = (left + column as f64 * CELL + 15.0, top - 6.0);
        write!(svg, "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\">{}</text>", short(output)).ok();
    }
    // The tree of columns hangs above their names, and that of rows lies left of theirs.
    for [along, away] in lines(&of.output_tree) {
        let at = |along: f64, away: f64| format!("{:.1} {:.1}", left + along * CELL, TREE - 4.0 - away * (TREE - 8.0));
        write!(svg, "<path class=\"tree\" d=\"M{}L{}\"/>", at(along[0], away[0]), at(along[1], away[1])).ok();
    }
    for [along, away] in lines(&of.target_tree) {
        let at = |along: f64, away: f64| format!("{:.1} {:.1}", TREE - 4.0 - away * (TREE - 8.0), top + along * CELL);
        write!(svg, "<path class=\"tree\" d=\"M{}L{}\"/>", at(along[0], away[0]), at(along[1], away[1])).ok();
    }
    svg + "</svg>"
}

fn square((x, y): (f64, f64), (target, output): (&str, &str), cell: Option<Estimate>) -> String {
    let itself = target == output;
    let share = cell.map_or(if itself { 1.0 } else { 0.0 }, |cell| cell.mean.clamp(-1.0, 1.0)) as f32;
    let end = if share < 0.0 { BELOW } else { ABOVE };
    let [r, g, b] = end.map(|end| ((1.0 + (end - 1.0) * share.abs()) * 255.0).round() as u8);
    let number = match cell {
        Some(Estimate { mean, interval: Some([low, high]), cases }) => {
            format!("{mean:.2} ({low:.2} to {high:.2}), {cases} cases")
        }
        Some(Estimate { mean, interval: None, cases }) => format!("{mean:.2}, {cases} cases"),
        None if itself => "itself".to_owned(),
        None => "not known".to_owned(),
    };
    let dot = if cell.is_some_and(|cell| cell.is_clear()) {
        format!("<circle class=\"clear\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"/>", x + CELL / 2.0, y + CELL / 2.0)
    } else {
        String::new()
    };
    format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0:.1}\" height=\"{0:.1}\" fill=\"#{r:02x}{g:02x}{b:02x}\"><title>{1}, {2}: {number}</title></rect>{dot}",
        CELL - 1.0,
        escape(target),
        escape(output)
    )
}

fn short(name: &str) -> String {
    if name.chars().count() <= MOST_LETTERS {
        return escape(name);
    }
    let cut: String = name.chars().take(MOST_LETTERS - 1).collect();
    escape(&format!("{cut}…"))
}

/// A line from one point to another: where along the leaves, in leaves, and how far away from them, `0..=1`.
type Line = [[f64; 2]; 2];

/// The lines of a tree.
fn lines(tree: &Tree) -> Vec<Line> {
    let leaves = tree.order.len();
    let farthest = tree.joins.iter().map(|join| join.distance).fold(f64::MIN_POSITIVE, f64::max);
    let mut places = vec![[0.0, 0.0]; leaves];
    for (place, leaf) in tree.order.iter().enumerate() {
        places[*leaf] = [place as f64 + 0.5, 0.0];
    }
    let mut drawn = Vec::new();
    for join in &tree.joins {
        let [a, b] = join.parts.map(|part| places[part]);
        let away = join.distance / farthest;
        drawn.extend([a, b].map(|[along, from]| [[along, along], [from, away]]));
        drawn.push([[a[0], b[0]], [away, away]]);
        places.push([f64::midpoint(a[0], b[0]), away]);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::super::cluster::tree;
    use super::*;

    #[test]
    fn a_tree_is_drawn_by_three_lines_a_join() {
        let lines = lines(&tree(&[vec![0.0], vec![1.0], vec![5.0]]));
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[2], [[0.5, 1.5], [1.0 / 4.5, 1.0 / 4.5]], "the bar of the first");
        assert!(lines.iter().flatten().flatten().all(|x| x.is_finite()));
    }

    #[test]
    fn a_histogram_counts_every_case_and_no_name_is_taken_for_markup() {
        let svg = histogram("<b>", &[0.0, 0.49, 1.0, 2.0, f64::NAN], [0.0, 1.0]);
        assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>") && svg.matches("<rect").count() == BARS);
    }
}
