//! Step 1: the scan.

use std::path::Path;

use eframe::egui::{RichText, Ui};

use super::action::{Action, Place, Wanted};
use super::session::{OpenScan, Session, Waiting};
use super::theme;
use super::widgets::{Chosen, error_ui, note_ui, path_field_ui, step_heading_ui};
use crate::volume::orientation::axis_codes;

pub(super) fn input_panel_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    step_heading_ui(ui, 1, "Scan");
    let ready = session.scan.ready();
    let free = session.run.running().is_none();
    let why = "A run is going on. Cancel it to open another scan";
    ui.add_enabled_ui(free, |ui| {
        ui.horizontal(|ui| {
            if ui
                .button("Open file…")
                .on_hover_text("NIfTI, DICOM or a session (Ctrl+O)")
                .on_disabled_hover_text(why)
                .clicked()
            {
                actions.push(Action::Ask(Wanted::ScanFile));
            }
            if ui.button("Open folder…").on_hover_text("A folder of DICOM files").on_disabled_hover_text(why).clicked()
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
            ui.label(monitor.progress().map_or("opening", |progress| progress.phase));
            if ui.small_button("Cancel opening").on_hover_text("Esc").clicked() {
                actions.push(Action::CancelOpening);
            }
        });
    }
    error_ui(ui, session.scan.error(), Place::Scan, actions);
    error_ui(ui, session.restored.error(), Place::Session, actions);
    if let Some(waiting) = &session.waiting {
        let name = match waiting {
            Waiting::Scan(scan) => scan_name(scan),
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
    if let Some(scan) = ready {
        facts_ui(ui, scan);
    }
}

fn scan_name(scan: &OpenScan) -> String {
    scan.path.as_deref().map_or_else(|| "The demo's phantom".to_owned(), file_name)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What was opened, in two lines, and what is wrong with it.
fn facts_ui(ui: &mut Ui, scan: &OpenScan) {
    let grid = scan.layers.scan.grid;
    let ([ni, nj, nk], [di, dj, dk]) = (grid.shape, grid.spacing_mm());
    let color = theme::colors(ui).weak;
    let weak = |text: String| RichText::new(text).small().color(color);
    ui.label(RichText::new(scan_name(scan)).color(theme::colors(ui).strong));
    ui.label(weak(format!("{ni} × {nj} × {nk} voxels of {di:.2} × {dj:.2} × {dk:.2} mm, {}", axis_codes(&grid))));
    let format = scan.input.scan.as_ref().map_or("stack, not a scan: no preparation", |scan| &scan.format);
    ui.label(weak(format!("{format}; the networks see {} slices", scan.stack_slices())));
    for warning in &scan.warnings {
        note_ui(ui, warning);
    }
}
