//! Notes on a scan and on what fits: a sign, a word and a colour say how much each matters.

use egui::text::{LayoutJob, TextFormat};
use egui::{Align2, CollapsingHeader, Color32, Label, Rect, Sense, Shape, Stroke, Ui, vec2};

use super::theme;
use crate::io::{Note, Weight};

/// Lines of the input check that stand there at once.
const NOTES_SHOWN: usize = 5;

/// Notes, the worst first, of which a few are shown; `on` says what those are on that a click shows.
pub(super) fn notes_ui(ui: &mut Ui, notes: &[Note], on: &str) {
    let (first, more) = notes.split_at(notes.len().min(NOTES_SHOWN));
    for note in first {
        weighed_ui(ui, note, usize::MAX);
    }
    if !more.is_empty() {
        let title = format!("and {} more {on}", more.len());
        CollapsingHeader::new(title.trim_end()).id_salt(("more notes", on)).show_unindented(ui, |ui| {
            for note in more {
                weighed_ui(ui, note, usize::MAX);
            }
        });
    }
}

/// A note of so many lines at most: a sign, a word and a colour say how much it matters.
pub(super) fn weighed_ui(ui: &mut Ui, note: &Note, lines: usize) {
    let colors = theme::colors(ui);
    let color = match note.weight {
        Weight::Serious => colors.red,
        Weight::Caution => colors.amber,
        Weight::Fact => colors.weak,
    };
    ui.horizontal_top(|ui| {
        let (square, _) = ui.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
        sign_ui(ui, square, note.weight, color);
        let text = format!("{}: {}", note.weight.word(), note.text);
        let mut text = LayoutJob::single_section(text, TextFormat::simple(theme::small(), color));
        text.wrap.max_rows = lines;
        ui.add(Label::new(text).wrap());
    });
}

/// A disc, a triangle or a ring, drawn: the font has no such signs.
pub(super) fn sign_ui(ui: &Ui, square: Rect, weight: Weight, color: Color32) {
    let (painter, middle) = (ui.painter(), square.center());
    let inside = theme::colors(ui).panel;
    let (letter, ink) = match weight {
        Weight::Serious => {
            painter.circle_filled(middle, 7.5, color);
            ("!", inside)
        }
        Weight::Caution => {
            let corners = [vec2(0.0, -8.0), vec2(8.0, 7.0), vec2(-8.0, 7.0)].map(|corner| middle + corner);
            painter.add(Shape::convex_polygon(corners.to_vec(), color, Stroke::NONE));
            ("!", inside)
        }
        Weight::Fact => {
            painter.circle_stroke(middle, 7.0, Stroke::new(1.0, color));
            ("i", color)
        }
    };
    painter.text(middle + vec2(0.0, 0.5), Align2::CENTER_CENTER, letter, theme::small(), ink);
}
