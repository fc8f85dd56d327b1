//! Where a result came from, to read and to copy. It names no patient and no folder.

use egui::{RichText, Ui};

use super::super::theme;
use crate::export::report::Report;

pub(super) fn provenance_ui(ui: &mut Ui, report: &Report) {
    let lines = report.provenance();
    if ui.button("Copy provenance").on_hover_text("All of this, as text").clicked() {
        let text: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        ui.copy_text(text.join("\n"));
    }
    for (name, value) in lines {
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.label(RichText::new(name).small().color(theme::colors(ui).weak));
        ui.label(RichText::new(value).small());
        ui.add_space(2.0);
    }
}
