//! What the counterfactual is worth, in numbers, each with a line that says what it means.

use eframe::egui::{Align2, Role, Sense, TextStyle, Ui, Vec2, WidgetInfo};

use super::super::theme;
use super::super::widgets::meaning_ui;
use crate::quality::Quality;
use crate::quality::words::{Line, lines};

pub(super) fn quality_ui(ui: &mut Ui, quality: &Quality) {
    for line in lines(quality) {
        line_ui(ui, &line);
    }
}

/// A name and a value on one line, which the focus can rest on.
fn line_ui(ui: &mut Ui, line: &Line) {
    let size = Vec2::new(ui.available_width(), ui.text_style_height(&TextStyle::Body));
    let (rect, response) = ui.allocate_exact_size(size, Sense::focusable_noninteractive());
    response.widget_info(|| WidgetInfo {
        current_text_value: Some(line.value.clone()),
        ..WidgetInfo::labeled(Role::Status, true, line.name)
    });
    let [body, monospace] = [TextStyle::Body, TextStyle::Monospace].map(|style| style.resolve(ui.style()));
    ui.painter().text(rect.left_center(), Align2::LEFT_CENTER, line.name, body, theme::colors(ui).text);
    ui.painter().text(rect.right_center(), Align2::RIGHT_CENTER, &line.value, monospace, theme::colors(ui).strong);
    meaning_ui(ui, response, &line.meaning);
}
