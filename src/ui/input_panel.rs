//! Step 1: the scan.

use std::path::Path;

use egui::{RichText, Ui};

use super::cohort;
use super::notes::{notes_ui, weighed_ui};
use super::progress::progress_text;
use super::series_panel::{among_ui, series_ui};
use super::theme;
use super::widgets::{Chosen, Fold, error_ui, folding_heading_ui, note_ui, path_field_ui};
use crate::io::{Weight, counted};
use crate::job::Progress;
use crate::session::action::{Action, Place, Run, Sheet, View, Wanted};
use crate::session::cohort::CohortTable;
use crate::session::model::{Model, Waiting};
use crate::session::open_scan::OpenScan;
use crate::volume::orientation::axis_codes;

/// The field of the scan's path.
pub(super) const FIELD: &str = "Scan path";

pub(super) fn input_panel_ui(ui: &mut Ui, model: &Model, cohort: &CohortTable, actions: &mut Vec<Action>) {
    let ready = model.scan.ready();
    let failed = model.scan.error().or(model.restored.error()).is_some();
    let done = ready.is_some() && model.opening().is_none() && model.waiting.is_none() && !failed;
    let fold = match (done, model.run.ready()) {
        (false, _) => Fold::Never,
        (true, None) => Fold::WhereLow,
        (true, Some(_)) => Fold::WithResult,
    };
    let open = folding_heading_ui(ui, 1, "Scan", fold);
    if let Some(scan) = ready.filter(|_| !open) {
        summary_ui(ui, scan);
        cohort::button_ui(ui, cohort, actions);
        return;
    }
    ways_ui(ui, model, cohort, actions);
    if let Some(monitor) = model.opening() {
        ui.horizontal(|ui| {
            ui.spinner();
            if ui.small_button("Cancel opening").on_hover_text("Esc").clicked() {
                actions.push(Run::CancelOpening.into());
            }
        });
        // On a line of their own, which wraps: a row as long as they can be would widen the panel.
        let words = |progress: Progress| format!("{} {}", progress.phase, progress_text(&progress));
        ui.label(monitor.progress().map_or_else(|| "opening".to_owned(), words));
    }
    error_ui(ui, model.scan.error(), Place::Scan, actions);
    error_ui(ui, model.restored.error(), Place::Session, actions);
    if let Some(waiting) = &model.waiting {
        let name = match waiting {
            Waiting::Scan(scan) => scan.name(),
            Waiting::Session(restored) => file_name(&restored.path),
        };
        note_ui(ui, &format!("{name} is open. Showing it drops the result"));
        ui.horizontal(|ui| {
            if ui.button("Show it").clicked() {
                actions.push(Run::ShowWaiting.into());
            }
            if ui.button("Keep the result").clicked() {
                actions.push(Run::KeepResult.into());
            }
        });
    }
    series_ui(ui, model, actions);
    if let Some(scan) = ready {
        facts_ui(ui, scan);
        among_ui(ui, model, scan, actions);
        notes_ui(ui, &scan.notes, "");
    }
}

/// The ways to a scan.
fn ways_ui(ui: &mut Ui, model: &Model, cohort: &CohortTable, actions: &mut Vec<Action>) {
    let ready = model.scan.ready();
    let free = model.run.running().is_none();
    let why = "A run is going on. Cancel it to open another scan";
    ui.add_enabled_ui(free, |ui| {
        ui.horizontal(|ui| {
            if ui
                .button("Open file…")
                .on_hover_text("A scan, a zip archive of scans, or a session (Ctrl+O)")
                .on_disabled_hover_text(why)
                .clicked()
            {
                actions.push(View::Ask(Wanted::ScanFile).into());
            }
            if ui
                .button("Open folder…")
                .on_hover_text("A folder of scans, or of a cohort (Ctrl+Shift+O)")
                .on_disabled_hover_text(why)
                .clicked()
            {
                actions.push(View::Ask(Wanted::ScanFolder).into());
            }
        });
        ui.horizontal(|ui| {
            let help = "Find a scan in a hospital's archive, and fetch it";
            if ui.button("Open from PACS…").on_hover_text(help).on_disabled_hover_text(why).clicked() {
                actions.push(View::Sheet(Sheet::Archive).into());
            }
            cohort::button_ui(ui, cohort, actions);
        });
        match path_field_ui(ui, FIELD, None, "or type a path, then Enter", ready.and_then(|scan| scan.path.as_deref()))
        {
            Some(Chosen::Path(path)) => actions.push(Run::Open(path).into()),
            Some(Chosen::Browse) => actions.push(View::Ask(Wanted::ScanFile).into()),
            None => {}
        }
    });
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
