//! Whose scan the pictures show: a line above them, where the person asked for it. Saved pictures and exports never have it.

use egui::{RichText, Ui};

use super::theme;
use crate::io::study::Study;
use crate::session::model::Model;

/// What is said of a scan whose files name no one.
const NO_ONE: &str = "The scan's files name no patient";

/// What is said of a scan that a finding was drawn into.
const DRAWN: &str = "A scan with a SYNTHETIC finding is no patient's";

/// The line, where it is asked for.
pub(super) fn words(model: &Model) -> Option<String> {
    let scan = model.scan.ready().filter(|_| model.settings.patient_shown)?;
    if scan.inserted().is_some() {
        return Some(DRAWN.to_owned());
    }
    let study = scan.input.scan.as_ref().and_then(|scan| scan.study.as_ref());
    Some(study.and_then(Study::patient_words).unwrap_or_else(|| NO_ONE.to_owned()))
}

pub(super) fn patient_bar_ui(ui: &mut Ui, words: &str) {
    ui.label(RichText::new(words).color(theme::colors(ui).strong)).on_hover_text(
        "As the scan's files say it. It is never part of a saved picture; Settings, Patient above the pictures takes it away",
    );
}
