//! Which other outputs of the classifier moved with the counterfactual, as a table to sort and to search.

use std::cmp::Ordering;

use egui::{
    Align2, Atom, Atoms, Button, Color32, Id, Rect, RichText, Role, Sense, Shape, Stroke, TextEdit, TextStyle, Ui,
    Vec2, WidgetInfo, pos2,
};

use super::super::theme;
use super::super::widgets::{focus_frame, holds_words};
use crate::quality::Drift;
use crate::quality::words::signed;
use crate::session::action::{Action, View};
use crate::session::view::MOST_BESIDE;
use crate::session::view::scale::Scale;

/// Rows that are shown; a search finds the others.
const MOST_ROWS: usize = 20;
/// The width of a column of numbers, points.
const NUMBER_WIDTH: f32 = 52.0;
const CHANGE_WIDTH: f32 = 66.0;
/// Where the names have less room than this, each stands above its numbers; and the least that the head of their column takes, points.
const LEAST_NAMES: f32 = 110.0;
const LEAST_HEAD: f32 = 50.0;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Column {
    Name,
    Before,
    After,
    #[default]
    Change,
}

/// How the table is looked at.
#[derive(Debug, Clone, Default)]
struct Look {
    column: Column,
    /// Whether rows come from the other end: names from Z, numbers from the smallest.
    reversed: bool,
    search: String,
}

/// An output as it is told.
struct Row<'a> {
    name: &'a str,
    before: f64,
    after: f64,
}

impl Row<'_> {
    fn change(&self) -> f64 {
        self.after - self.before
    }
}

pub(super) fn drift_ui(
    ui: &mut Ui,
    outputs: Option<&[Drift]>,
    scale: Scale,
    beside: &[String],
    actions: &mut Vec<Action>,
) {
    let Some(outputs) = outputs else {
        let text = "A segmenter or an embedder gave the score: there are no other outputs to compare.";
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
        return;
    };
    if outputs.is_empty() {
        ui.label(RichText::new("The classifier has this one output only.").small().color(theme::colors(ui).weak));
        return;
    }
    let text = format!(
        "What the shift moved besides the target: reconstruction before, counterfactual after. A click shows an output's curve, of {MOST_BESIDE} at most."
    );
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    let id = Id::unique("drift");
    let mut look: Look = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    let label = ui.label(RichText::new("Search outputs").small().color(theme::colors(ui).weak));
    let hint = format!("{} outputs, by name", outputs.len());
    ui.add(TextEdit::singleline(&mut look.search).id(id.with("text")).hint_text(hint).desired_width(f32::INFINITY))
        .labelled_by(label.id);
    let rows = rows(outputs, scale, &look);
    header_ui(ui, &mut look);
    for row in rows.iter().take(MOST_ROWS) {
        let color = beside.iter().zip(theme::BESIDE).find(|(name, _)| *name == row.name).map(|(_, color)| color);
        if row_ui(ui, row, scale, color) {
            actions.push(View::Beside(row.name.to_owned()).into());
        }
    }
    let text = match rows.len() {
        0 => "no output matches".to_owned(),
        n if n > MOST_ROWS => format!("{MOST_ROWS} of {n}; search, or sort, for the others"),
        n => format!("{n} of {}", outputs.len()),
    };
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    ui.data_mut(|data| data.insert_temp(id, look));
}

/// The outputs that match, in order.
fn rows<'a>(outputs: &'a [Drift], scale: Scale, look: &Look) -> Vec<Row<'a>> {
    let told = |output: &'a Drift| {
        let [before, after] = match scale {
            Scale::Logit => output.logits,
            Scale::Probability | Scale::Plain(_) => output.scores,
        };
        Row { name: &output.name, before, after }
    };
    let mut rows: Vec<Row> =
        outputs.iter().filter(|output| holds_words(&output.name, &look.search)).map(told).collect();
    rows.sort_by(|a, b| {
        let order = compare(look.column, a, b);
        if look.reversed { order.reverse() } else { order }
    });
    rows
}

/// Names from A on, numbers from the largest on; of changes, by their size.
fn compare(column: Column, a: &Row, b: &Row) -> Ordering {
    match column {
        Column::Name => a.name.cmp(b.name),
        Column::Before => b.before.total_cmp(&a.before),
        Column::After => b.after.total_cmp(&a.after),
        Column::Change => b.change().abs().total_cmp(&a.change().abs()),
    }
}

/// The right ends of the three columns of numbers, and where the names end.
fn column_ends(row: Rect) -> ([f32; 3], f32) {
    let after = row.right() - CHANGE_WIDTH;
    let before = after - NUMBER_WIDTH;
    ([before, after, row.right()], before - NUMBER_WIDTH)
}

/// The names of the columns: each sorts by itself, and pressed again the other way round.
fn header_ui(ui: &mut Ui, look: &mut Look) {
    let (row, _) =
        ui.allocate_exact_size(Vec2::new(ui.available_width(), ui.spacing().interact_size.y), Sense::hover());
    let ([before, after, change], names) = column_ends(row);
    let names = names.max(row.left() + LEAST_HEAD);
    let columns = [
        (Column::Name, "Output", row.left(), names),
        (Column::Before, "Before", names, before),
        (Column::After, "After", before, after),
        (Column::Change, "Change", after, change),
    ];
    ui.spacing_mut().button_padding.x = 2.0;
    for (column, name, left, right) in columns {
        let is_sorted = look.column == column;
        let place = Rect::from_x_y_ranges(left + 1.0..=right, row.y_range());
        let text = Atom::from(RichText::new(name).small());
        let atoms = if column == Column::Name { [text, Atom::grow()] } else { [Atom::grow(), text] };
        let response = ui.put(place, Button::selectable(is_sorted, Atoms::from_iter(atoms)));
        if is_sorted {
            arrow(ui, response.rect, look.reversed);
        }
        let words = match (is_sorted, look.reversed) {
            (false, _) => format!("Sort by {}", name.to_lowercase()),
            (true, false) => format!("Sorted by {}", name.to_lowercase()),
            (true, true) => format!("Sorted by {}, the other way round", name.to_lowercase()),
        };
        response.widget_info(|| WidgetInfo::selected(Role::ColumnHeader, true, is_sorted, &words));
        if response.on_hover_text(words).clicked() {
            (look.reversed, look.column) = (is_sorted && !look.reversed, column);
        }
    }
}

/// A triangle under the name of the column that sorts: down from the largest, or up from the other end.
fn arrow(ui: &Ui, button: Rect, up: bool) {
    let (base, tip) = if up { (button.bottom() - 1.0, -4.0) } else { (button.bottom() - 5.0, 4.0) };
    let corners = [(-4.0, 0.0), (4.0, 0.0), (0.0, tip)].map(|(x, y)| pos2(button.center().x + x, base + y));
    ui.painter().add(Shape::convex_polygon(corners.to_vec(), theme::colors(ui).strong, Stroke::NONE));
}

/// One output, in the colour of its curve where that is shown; a long name takes as many lines as it needs, and in a narrow panel one of
/// its own. Gives whether it was pressed.
fn row_ui(ui: &mut Ui, row: &Row, scale: Scale, curve: Option<Color32>) -> bool {
    let decimals = match scale {
        Scale::Probability | Scale::Plain(_) => 3,
        Scale::Logit => 2,
    };
    let number = |value: f64| format!("{value:.decimals$}");
    let (before, after, change) = (number(row.before), number(row.after), signed(row.change(), decimals));
    let width = ui.available_width();
    let (_, names) = column_ends(Rect::from_min_size(ui.cursor().min, Vec2::new(width, 0.0)));
    let color = curve.unwrap_or(theme::colors(ui).text);
    let column = names - ui.cursor().left();
    let above = column < LEAST_NAMES;
    let name = ui.painter().layout(row.name.to_owned(), theme::small(), color, if above { width } else { column });
    let down = if above { name.size().y } else { 0.0 };
    let height = name.size().y.max(down + ui.text_style_height(&TextStyle::Monospace));
    let (rect, response) = ui.allocate_exact_size(Vec2::new(width, height), Sense::click());
    let words = format!("{}: before {before}, after {after}, change {change}", row.name);
    response.widget_info(|| WidgetInfo::selected(Role::Row, true, curve.is_some(), &words));
    focus_frame(ui, &response);
    if response.hovered() {
        ui.painter().rect_filled(rect.expand(1.0), 2.0, theme::colors(ui).slab);
    }
    ui.painter().galley(rect.min, name, color);
    let (ends, _) = column_ends(rect);
    let monospace = TextStyle::Monospace.resolve(ui.style());
    for (end, text, color) in [
        (ends[0], before, theme::colors(ui).text),
        (ends[1], after, theme::colors(ui).text),
        (ends[2], change, theme::colors(ui).strong),
    ] {
        ui.painter().text(pos2(end - 2.0, rect.top() + down), Align2::RIGHT_TOP, text, monospace.clone(), color);
    }
    response.clicked()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs() -> Vec<Drift> {
        let output = |name: &str, logits: [f64; 2]| {
            let scores = logits.map(|logit| 1.0 / (1.0 + (-logit).exp()));
            Drift { name: name.to_owned(), logits, scores }
        };
        vec![output("Pneumonia", [0.0, 0.5]), output("Heart failure", [-2.0, -4.0]), output("Fracture", [6.0, 6.1])]
    }

    fn names(scale: Scale, look: &Look) -> Vec<String> {
        rows(&outputs(), scale, look).iter().map(|row| row.name.to_owned()).collect()
    }

    #[test]
    fn the_largest_change_comes_first_and_each_column_sorts_both_ways() {
        let by = |column, reversed| Look { column, reversed, search: String::new() };
        let sorted = |column, reversed| names(Scale::Probability, &by(column, reversed));
        assert_eq!(names(Scale::Probability, &Look::default()), ["Pneumonia", "Heart failure", "Fracture"]);
        assert_eq!(names(Scale::Logit, &Look::default()), ["Heart failure", "Pneumonia", "Fracture"]);
        assert_eq!(sorted(Column::Change, true), ["Fracture", "Heart failure", "Pneumonia"]);
        assert_eq!(sorted(Column::Name, false), ["Fracture", "Heart failure", "Pneumonia"]);
        assert_eq!(sorted(Column::Before, false), ["Fracture", "Pneumonia", "Heart failure"]);
        assert_eq!(sorted(Column::After, true), ["Heart failure", "Pneumonia", "Fracture"]);
    }

    #[test]
    fn a_search_finds_outputs_by_words() {
        let look = Look { search: "failure HEART".to_owned(), ..Look::default() };
        assert_eq!(names(Scale::Logit, &look), ["Heart failure"]);
    }
}
