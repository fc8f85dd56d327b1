//! Step 1: the scan.

use std::path::Path;

use eframe::egui::text::{LayoutJob, TextFormat};
use eframe::egui::{Align2, CollapsingHeader, Color32, Label, Rect, RichText, Sense, Shape, Stroke, Ui, vec2};

use super::action::{Action, Place, Wanted};
use super::compute_panel::progress_text;
use super::open_scan::OpenScan;
use super::series_panel::{among_ui, series_ui};
use super::session::{Session, Waiting};
use super::theme;
use super::widgets::{Chosen, Fold, error_ui, folding_heading_ui, note_ui, path_field_ui};
use crate::io::{Note, Weight, counted};
use crate::job::Progress;
use crate::volume::orientation::axis_codes;

/// Lines of the input check that stand there at once.
const NOTES_SHOWN: usize = 5;

pub(super) fn input_panel_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let ready = session.scan.ready();
    let failed = session.scan.error().or(session.restored.error()).is_some();
    let done = ready.is_some() && session.opening().is_none() && session.waiting.is_none() && !failed;
    let open = folding_heading_ui(ui, 1, "Scan", if done { Fold::WhereLow } else { Fold::Never });
    if let Some(scan) = ready.filter(|_| !open) {
        summary_ui(ui, scan);
        return;
    }
    let free = session.run.running().is_none();
    let why = "A run is going on. Cancel it to open another scan";
    ui.add_enabled_ui(free, |ui| {
        ui.horizontal(|ui| {
            if ui
                .button("Open file…")
                .on_hover_text("A scan, a zip archive of scans, or a session (Ctrl+O)")
                .on_disabled_hover_text(why)
                .clicked()
            {
                actions.push(Action::Ask(Wanted::ScanFile));
            }
            if ui
                .button("Open folder…")
                .on_hover_text("A folder of scans (Ctrl+Shift+O)")
                .on_disabled_hover_text(why)
                .clicked()
            {
                actions.push(Action::Ask(Wanted::ScanFolder));
            }
        });
        match path_field_ui(
            ui,
            "Scan path",
            None,
            "or type a path, then Enter",
            ready.and_then(|scan| scan.path.as_deref()),
        ) {
            Some(Chosen::Path(path)) => actions.push(Action::Open(path)),
            Some(Chosen::Browse) => actions.push(Action::Ask(Wanted::ScanFile)),
            None => {}
        }
    });
    if let Some(monitor) = session.opening() {
        ui.horizontal(|ui| {
            ui.spinner();
            if ui.small_button("Cancel opening").on_hover_text("Esc").clicked() {
                actions.push(Action::CancelOpening);
            }
        });
        // On a line of their own, which wraps: a row as long as they can be would widen the panel.
        let words = |progress: Progress| format!("{} {}", progress.phase, progress_text(&progress));
        ui.label(monitor.progress().map_or_else(|| "opening".to_owned(), words));
    }
    error_ui(ui, session.scan.error(), Place::Scan, actions);
    error_ui(ui, session.restored.error(), Place::Session, actions);
    if let Some(waiting) = &session.waiting {
        let name = match waiting {
            Waiting::Scan(scan) => scan.name(),
            Waiting::Session(restored) => file_name(&restored.path),
        };
        note_ui(ui, &format!("{name} is open. Showing it drops the result"));
        ui.horizontal(|ui| {
            if ui.button("Show it").clicked() {
                actions.push(Action::ShowWaiting);
            }
            if ui.button("Keep the result").clicked() {
                actions.push(Action::KeepResult);
            }
        });
    }
    series_ui(ui, session, actions);
    if let Some(scan) = ready {
        facts_ui(ui, scan);
        among_ui(ui, session, scan, actions);
        notes_ui(ui, &scan.notes, "");
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What is left of the step where it is folded: the scan's name, and the worst of what may be wrong with it.
fn summary_ui(ui: &mut Ui, scan: &OpenScan) {
    ui.label(RichText::new(scan.name()).color(theme::colors(ui).strong));
    let Some(worst) = scan.notes.first().filter(|note| note.weight != Weight::Fact) else { return };
    weighed_ui(ui, worst, usize::MAX);
    let others = scan.notes.iter().filter(|note| note.weight != Weight::Fact).count() - 1;
    if others > 0 {
        let text = format!("and {} of this kind", counted(others, "more note"));
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    }
}

/// What was opened, in three lines.
fn facts_ui(ui: &mut Ui, scan: &OpenScan) {
    let grid = scan.layers.scan.grid;
    let ([ni, nj, nk], [di, dj, dk]) = (grid.shape, grid.spacing_mm());
    let color = theme::colors(ui).weak;
    let weak = |text: String| RichText::new(text).small().color(color);
    ui.label(RichText::new(scan.name()).color(theme::colors(ui).strong));
    ui.label(weak(format!("{ni} × {nj} × {nk} voxels of {di:.2} × {dj:.2} × {dk:.2} mm, {}", axis_codes(&grid))));
    let format = scan.input.scan.as_ref().map_or("stack, not a scan: no preparation", |scan| &scan.format);
    ui.label(weak(format!("{format}; the networks see {}", counted(scan.stack_slices(), "slice"))));
}

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
