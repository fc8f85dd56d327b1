//! The table of cases: only the rows that are seen are drawn, however many there are.

use egui::{
    Align2, Color32, CornerRadius, CursorIcon, Id, Pos2, Rect, Response, Role, ScrollArea, Sense, Shape, Stroke, Ui,
    UiBuilder, WidgetInfo, pos2, vec2,
};

use crate::cohort::{Case, Progress};
use crate::session::action::{Action, Cohort as Act};
use crate::session::cohort::CohortTable;
use crate::session::cohort::table::{Column, state, target};
use crate::ui::series_panel::laid_out;
use crate::ui::widgets::focus_frame;
use crate::ui::{textures, theme};

const ROW: f32 = 44.0;
const HEAD: f32 = 26.0;
const PICTURE: [f32; 2] = [116.0, 38.0];
const MARGIN: f32 = 6.0;
/// The side of the mark of the column that is sorted by.
const MARK: f32 = 7.0;
/// Rows whose pictures are on the GPU at a time; more are never seen.
const SLOTS: usize = 128;

/// How wide a column is, points.
fn width(column: Column) -> f32 {
    match column {
        Column::Id => 130.0,
        Column::State => 76.0,
        Column::Further(_) => 90.0,
        Column::Target => 140.0,
        Column::Stop => 190.0,
        _ => 80.0,
    }
}

fn left_of(columns: &[Column]) -> Vec<f32> {
    let mut at = PICTURE[0] + 2.0 * MARGIN;
    let step = |column: &Column| {
        let left = at;
        at += width(*column);
        left
    };
    columns.iter().map(step).collect()
}

pub(super) fn table_ui(ui: &mut Ui, cohort: &CohortTable, room: f32, actions: &mut Vec<Action>) {
    let columns = Column::all(&cohort.cases);
    let lefts = left_of(&columns);
    let total = lefts.last().copied().unwrap_or_default() + columns.last().copied().map_or(0.0, width);
    let (head, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEAD), Sense::hover());
    let id = Id::unique("table of cases");
    let remembered: Option<(String, f32)> = ui.data(|data| data.get_temp(id));
    let (was_chosen, offset) = remembered.unwrap_or_default();
    let chosen = cohort.chosen.clone().unwrap_or_default();
    ui.spacing_mut().item_spacing.y = 0.0;
    let mut area = ScrollArea::both().id_salt("cases").max_height(room - HEAD).auto_shrink([false, false]);
    // A key may have led to a row that is not seen: the list goes there.
    if chosen != was_chosen
        && let Some(row) = cohort.chosen_row()
    {
        let seen: std::ops::Range<usize> = ui.data(|data| data.get_temp(id.with("seen"))).unwrap_or_default();
        if row < seen.start || row + 1 >= seen.end {
            let rows = seen.len().saturating_sub(2);
            let first = if row < seen.start { row } else { (row + 1).saturating_sub(rows.max(1)) };
            area = area.vertical_scroll_offset(first as f32 * ROW);
        }
    }
    let shown = area.show_rows(ui, ROW, cohort.order.len(), |ui, rows| {
        ui.set_min_width(total);
        for row in rows.clone() {
            if let Some(case) = cohort.order.get(row).and_then(|at| cohort.cases.all.get(*at)) {
                row_ui(ui, cohort, (row, case), (&columns, &lefts, total), actions);
            }
        }
        rows
    });
    head_ui(ui, cohort, head, (&columns, &lefts, offset), actions);
    if shown.inner != *cohort.seen() {
        actions.push(Act::Seen(shown.inner.clone()).into());
    }
    ui.data_mut(|data| {
        data.insert_temp(id, (chosen, shown.state.clamped_offset().x));
        data.insert_temp(id.with("seen"), shown.inner);
    });
    if cohort.order.is_empty() {
        let words = if cohort.cases.all.is_empty() { "Reading" } else { "No case is like that" };
        let at = head.left_bottom() + vec2(MARGIN, 12.0);
        ui.painter().text(at, Align2::LEFT_TOP, words, theme::small(), theme::colors(ui).weak);
    }
}

/// The names of the columns, each a button that sorts by it. They move to the side with the rows.
fn head_ui(
    ui: &mut Ui,
    cohort: &CohortTable,
    rect: Rect,
    (columns, lefts, offset): (&[Column], &[f32], f32),
    actions: &mut Vec<Action>,
) {
    let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).id_salt("columns"));
    ui.set_clip_rect(rect.intersect(ui.clip_rect()));
    let colors = theme::colors(&ui);
    ui.painter().rect_filled(rect, CornerRadius::ZERO, colors.background);
    for (column, left) in columns.iter().zip(lefts) {
        let at = pos2(rect.left() + left - offset, rect.top());
        let place = Rect::from_min_size(at, vec2(width(*column), HEAD));
        let response = ui.interact(place, ui.scope_id().with(("column", left.to_bits())), Sense::click());
        let title = column.title(&cohort.cases);
        let on = cohort.sorted.by == *column;
        let way = if cohort.sorted.descends { ", falling" } else { ", rising" };
        let name = format!("Sort by {}{}", title.to_lowercase(), if on { way } else { "" });
        response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &name));
        let color = if on || response.hovered() { colors.strong } else { colors.weak };
        let text = laid_out(&ui, title, color, width(*column) - MARGIN - 2.0 * MARK, 1);
        let x = if column.is_number() { place.right() - MARGIN - text.size().x } else { place.left() };
        if on {
            // At the side where there is room.
            let middle = if column.is_number() { x - 1.5 * MARK } else { x + text.size().x + 1.5 * MARK };
            mark_ui(&ui, pos2(middle, place.center().y), cohort.sorted.descends, colors.accent);
        }
        ui.painter().galley(pos2(x, place.center().y - text.size().y / 2.0), text, color);
        focus_frame(&ui, &response);
        if response.clicked() {
            actions.push(Act::Sort(*column).into());
        }
        response.on_hover_text(column.meaning());
    }
}

/// A triangle that tells which way is sorted.
fn mark_ui(ui: &Ui, middle: Pos2, descends: bool, color: Color32) {
    let tip = if descends { MARK / 2.0 } else { -MARK / 2.0 };
    let corners = [vec2(-MARK / 2.0, -tip), vec2(MARK / 2.0, -tip), vec2(0.0, tip)].map(|corner| middle + corner);
    ui.painter().add(Shape::convex_polygon(corners.into(), color, Stroke::NONE));
}

fn row_ui(
    ui: &mut Ui,
    cohort: &CohortTable,
    (row, case): (usize, &Case),
    (columns, lefts, total): (&[Column], &[f32], f32),
    actions: &mut Vec<Action>,
) {
    let (rect, response) = ui.allocate_exact_size(vec2(total.max(ui.available_width()), ROW), Sense::click());
    let id = &case.row.id;
    let on = cohort.chosen.as_ref() == Some(id);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, label(case)));
    let link = link_ui(ui, rect, id);
    let colors = theme::colors(ui);
    let painter = ui.painter_at(rect);
    if on {
        painter.rect_filled(rect, CornerRadius::ZERO, colors.slab);
    } else if response.hovered() || link.hovered() || response.has_focus() {
        painter.rect_filled(rect, CornerRadius::ZERO, colors.slab.gamma_multiply(0.45));
    } else if row % 2 == 1 {
        painter.rect_filled(rect, CornerRadius::ZERO, colors.background);
    }
    let place = Rect::from_min_size(rect.min + vec2(MARGIN, 3.0), PICTURE.into());
    if matches!(case.progress, Progress::Done(_)) {
        painter.rect_filled(place, CornerRadius::same(2), theme::BLACK);
    }
    if let Some(picture) = cohort.pictures.of(id) {
        let texture = textures::picture(ui.ctx(), &format!("case {}", row % SLOTS), picture);
        let size = texture.size_vec2();
        let size = size * (place.size() / size).min_elem();
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        painter.image(texture.id(), Rect::from_center_size(place.center(), size), whole, Color32::WHITE);
    }
    for (column, left) in columns.iter().zip(lefts) {
        let cell = Rect::from_min_size(pos2(rect.left() + left, rect.top()), vec2(width(*column), ROW));
        if !ui.is_rect_visible(cell) {
            continue;
        }
        let color = match column {
            Column::Id if link.hovered() => colors.accent,
            Column::Id => colors.strong,
            Column::State | Column::Stop => color(ui, &case.progress),
            _ => colors.text,
        };
        let rows = if matches!(column, Column::Stop | Column::Target) { 2 } else { 1 };
        let text = laid_out(ui, &column.text(case), color, width(*column) - MARGIN, rows);
        let x = if column.is_number() { cell.right() - MARGIN - text.size().x } else { cell.left() };
        let at = pos2(x, cell.center().y - text.size().y / 2.0);
        if *column == Column::Id && link.hovered() {
            let below = at.y + text.size().y;
            ui.painter().hline(x..=x + text.size().x, below, Stroke::new(1.0, color));
        }
        ui.painter().galley(at, text, color);
    }
    focus_frame(ui, &response);
    focus_frame(ui, &link);
    if link.clicked() || response.double_clicked() {
        actions.push(Act::Open(id.clone()).into());
    } else if response.clicked() {
        actions.push(Act::Choose(id.clone()).into());
    }
}

/// The picture and the name of a case, which open it.
fn link_ui(ui: &Ui, row: Rect, id: &str) -> Response {
    let place = Rect::from_min_size(row.min, vec2(PICTURE[0] + 2.0 * MARGIN + width(Column::Id), ROW));
    let link = ui.interact(place, ui.scope_id().with(("open case", id)), Sense::click());
    link.widget_info(|| WidgetInfo::labeled(Role::Link, true, format!("Open case {id}")));
    link.on_hover_cursor(CursorIcon::PointingHand)
}

/// A failure stands out; words tell it too.
fn color(ui: &Ui, progress: &Progress) -> Color32 {
    let colors = theme::colors(ui);
    match progress {
        Progress::Failed(_) | Progress::Damaged(_) => colors.red,
        Progress::Done(_) => colors.text,
        Progress::Unread | Progress::Missing | Progress::Computing => colors.weak,
    }
}

/// For a screen reader.
fn label(case: &Case) -> String {
    let id = &case.row.id;
    match &case.progress {
        Progress::Done(numbers) => {
            let (from, to) = (numbers.scores.reconstruction, numbers.scores.counterfactual);
            format!("Case {id}: done, {}, {from:.3} to {to:.3}", target(case))
        }
        Progress::Failed(failure) => format!("Case {id}: failed, {}", failure.reason),
        other => format!("Case {id}: {}", state(other)),
    }
}
