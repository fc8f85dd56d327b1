//! Where to save the session.

use egui::{RichText, Ui};

use super::theme;
use super::widgets::{Chosen, error_ui, path_field_ui};
use crate::session::action::{Action, Export, Place, View, Wanted};
use crate::session::file::SessionFile;

/// The field of the path.
pub(super) const SAVE_AS: &str = "Save session as";

/// Where to save, below the result.
pub(super) fn session_panel_ui(ui: &mut Ui, file: &SessionFile, actions: &mut Vec<Action>) {
    ui.add_space(8.0);
    ui.label(RichText::new("Session").heading().color(theme::colors(ui).strong));
    let text = "Scan, models, result and view, to go on another day. It holds their paths.";
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    let hint = "path of a .parallax file";
    match path_field_ui(ui, SAVE_AS, Some("Save session"), hint, Some(&file.suggested)) {
        Some(Chosen::Path(path)) => actions.push(Export::SaveSession { path, replace: false }.into()),
        Some(Chosen::Browse) => actions.push(View::Ask(Wanted::Session).into()),
        None => {}
    }
    if file.saved.running().is_some() {
        ui.spinner();
    } else if let Some(path) = file.saved.ready() {
        ui.label(RichText::new(format!("Saved {}", path.display())).small().color(theme::colors(ui).text));
    }
    error_ui(ui, file.saved.error(), Place::SessionFile, actions);
    ui.add_space(4.0);
}
