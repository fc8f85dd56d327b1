//! The way into a reader study: which one, whose answers, in which order.

mod page;
mod questions;

use egui::{Button, Context, DragValue, Frame, Id, Modal, ProgressBar, RichText, TextEdit, Ui};

pub(super) use self::page::page_ui;
use super::progress::progress_text;
use super::theme;
use super::widgets::{Chosen, error_ui, note_ui, path_field_ui};
use crate::io::counted;
use crate::session::action::{Action, Place, Run, Sheet, Study, View, Wanted};
use crate::session::study::{Checked, StudyPage};

const MARGIN: i8 = 14;
const WIDTH: f32 = 460.0;
const CODE_WIDTH: f32 = 160.0;

/// What is typed before a study begins, and the mark of the study that it is for.
#[derive(Clone, Default)]
struct Draft {
    study: String,
    reader: String,
    seed: u64,
}

/// Lets a person choose a study and begin it.
pub(super) fn study_ui(ctx: &Context, page: &StudyPage, actions: &mut Vec<Action>) {
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let modal = Modal::new(Id::unique("reader study")).frame(frame).show(ctx, |ui| {
        ui.set_width(WIDTH);
        ui.label(RichText::new("Reader study").heading().color(theme::colors(ui).strong));
        let text = "Results without names and in random order; every answer is written at once";
        ui.label(RichText::new(text).color(theme::colors(ui).weak));
        ui.add_space(4.0);
        source_ui(ui, actions);
        error_ui(ui, page.error(), Place::Study, actions);
        match (page.checked.running(), page.checked.ready()) {
            (Some(monitor), _) => {
                let progress = monitor.progress();
                let bar = ProgressBar::new(progress.and_then(|p| p.fraction()).unwrap_or(0.0)).animate(false);
                ui.label(progress.map_or("reading the study", |p| p.phase));
                ui.add(if let Some(progress) = progress { bar.text(progress_text(&progress)) } else { bar });
            }
            (None, Some(checked)) => begin_ui(ui, checked, actions),
            (None, None) => {}
        }
        ui.separator();
        if ui.button("Close").clicked() {
            actions.push(View::Sheet(Sheet::Study).into());
        }
    });
    if modal.should_close() {
        actions.push(View::Sheet(Sheet::Study).into());
    }
}

/// Where the study is.
fn source_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    let hint = "A folder of results, a study file (.toml), or a table (.csv)";
    match path_field_ui(ui, "Study", Some("Open the study"), hint, None) {
        Some(Chosen::Path(path)) => actions.push(Run::Study(Study::Open(path)).into()),
        Some(Chosen::Browse) => actions.push(View::Ask(Wanted::StudyFolder).into()),
        None => {}
    }
    if ui.button("Choose a study file…").clicked() {
        actions.push(View::Ask(Wanted::StudyFile).into());
    }
}

/// What the study asks, and who answers.
fn begin_ui(ui: &mut Ui, checked: &Checked, actions: &mut Vec<Action>) {
    let study = &checked.study;
    let id = Id::unique("who reads");
    let mut draft: Draft = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    if draft.study != study.mark {
        draft = Draft { study: study.mark.clone(), seed: study.seed, ..draft };
    }
    ui.separator();
    let (cases, questions) = (counted(study.cases.len(), "result"), counted(study.questions.len(), "question"));
    ui.label(RichText::new(format!("{}: {cases}, {questions} each", study.name)).color(theme::colors(ui).strong));
    if !checked.unreadable.is_empty() {
        let count = counted(checked.unreadable.len(), "result");
        note_ui(ui, &format!("{count} cannot be read and will be passed by, as the study says"));
    }
    ui.horizontal(|ui| {
        let label = ui.label("Reader's code");
        let field = TextEdit::singleline(&mut draft.reader).id(id.with("code")).desired_width(CODE_WIDTH);
        ui.add(field.hint_text("no name")).labelled_by(label.id);
        let label = ui.label("Seed of the order");
        ui.add(DragValue::new(&mut draft.seed)).labelled_by(label.id);
    });
    let reader = draft.reader.trim().to_owned();
    let button = Button::new(RichText::new("Begin").strong()).fill(theme::colors(ui).accent_dim);
    let help = "Begins, or goes on where this reader stopped";
    if ui.add_enabled(!reader.is_empty(), button).on_hover_text(help).clicked() {
        actions.push(Run::Study(Study::Begin { reader, seed: draft.seed }).into());
    }
    ui.data_mut(|data| data.insert_temp(id, draft));
}
