//! What the counterfactual is worth, in numbers, each with a line that says what it means.

use egui::{Role, Sense, TextStyle, Ui, Vec2, WidgetInfo};

use super::super::theme;
use super::super::widgets::meaning_ui;
use crate::quality::Quality;
use crate::quality::words::{Line, lines};

/// Between a name and its value, points.
const APART: f32 = 12.0;

pub(super) fn quality_ui(ui: &mut Ui, quality: &Quality, end: f64) {
    for line in lines(quality, end) {
        line_ui(ui, &line);
    }
}

/// A name and a value, which the focus can rest on: on one line where there is room, else below each other.
fn line_ui(ui: &mut Ui, line: &Line) {
    let [body, monospace] = [TextStyle::Body, TextStyle::Monospace].map(|style| style.resolve(ui.style()));
    let name = ui.painter().layout_no_wrap(line.name.to_owned(), body, theme::colors(ui).text);
    let value = ui.painter().layout_no_wrap(line.value.clone(), monospace, theme::colors(ui).strong);
    let (width, height) = (ui.available_width(), name.size().y);
    let fits = name.size().x + APART + value.size().x <= width;
    let size = Vec2::new(width, if fits { height } else { 2.0 * height });
    let (rect, response) = ui.allocate_exact_size(size, Sense::focusable_noninteractive());
    response.widget_info(|| WidgetInfo {
        current_text_value: Some(line.value.clone()),
        ..WidgetInfo::labeled(Role::Status, true, line.name)
    });
    let at = rect.right_bottom() - value.size();
    ui.painter().galley(rect.min, name, theme::colors(ui).text);
    ui.painter().galley(at, value, theme::colors(ui).strong);
    meaning_ui(ui, response, &line.meaning);
}
