//! Step 2: the autoencoder, and what gives the score.

mod target;

use egui::text::{LayoutJob, TextFormat};
use egui::{Align, Label, Layout, RichText, Spinner, TextStyle, Ui, vec2};

use super::fit_panel::fit_panel_ui;
use super::published;
use super::theme;
use super::widgets::{Chosen, Fold, close_together, error_ui, folding_heading_ui, meaning_ui, note_ui, path_field_ui};
use crate::models::{Head, Role};
use crate::session::action::{Action, Place, Run, Setting, View, Wanted};
use crate::session::model::Model;
use crate::session::network::Loaded;
use crate::session::published::PublishedPage;
use crate::session::stage::Stage;
use crate::settings::ScoredBy;

/// The field of the scan that the open one is compared with.
pub(super) const OTHER_SCAN: &str = "Other scan";

pub(super) fn model_panel_ui(ui: &mut Ui, model: &Model, page: &PublishedPage, actions: &mut Vec<Action>) {
    let fold = match (model.missing(), model.run.ready()) {
        (Some(_), _) => Fold::Never,
        (None, None) => Fold::ByHand,
        (None, Some(_)) => Fold::WithResult,
    };
    if !folding_heading_ui(ui, 2, "Models", fold) {
        summary_ui(ui, model);
        return;
    }
    published::button_ui(ui, page, actions);
    card_ui(ui, Role::Autoencoder, &model.autoencoder, actions);
    let by = model.settings.scored_by;
    objective_ui(ui, model, actions);
    match by {
        ScoredBy::Classifier => {
            card_ui(ui, Role::Classifier, &model.classifier, actions);
            target::target_ui(ui, model, of_regions(model), actions);
        }
        ScoredBy::Segmenter => card_ui(ui, Role::Segmenter, &model.segmenter, actions),
        ScoredBy::Embedder => {
            card_ui(ui, Role::Embedder, &model.embedder, actions);
            toward_ui(ui, model, actions);
        }
    }
    fit_panel_ui(ui, model, actions);
}

/// What of a scan is explained: what kind of network gives the score.
fn objective_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let by = model.settings.scored_by;
    let class = if of_regions(model) { "region size" } else { "a class" };
    let ways = [
        (
            ScoredBy::Classifier,
            class,
            "Why a classifier gives this scan its score for one class; or, of a segmenter in a file, what makes one of its regions as \
             large as it is",
        ),
        (
            ScoredBy::Segmenter,
            "lung size",
            "What makes the lungs as large as they are, by a segmenter of lungs. Other regions: load their segmenter as the classifier",
        ),
        (
            ScoredBy::Embedder,
            "likeness",
            "What makes this scan like another one, or unlike it, to a network that gives scans no classes",
        ),
    ];
    ui.horizontal_wrapped(|ui| {
        close_together(ui);
        ui.label("Explain");
        for (way, name, meaning) in ways {
            let label = ui.selectable_label(by == way, name);
            if label.clicked() {
                actions.push(Setting::ScoreBy(way).into());
            }
            meaning_ui(ui, label, meaning);
        }
    });
}

/// Whether the classes to choose from are regions, whose share of the scan is the score.
fn of_regions(model: &Model) -> bool {
    model.classifier.ready().is_some_and(|loaded| loaded.model.network.is_of_regions())
}

/// What the scan is compared with.
fn toward_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    if model.embedder.ready().is_none() {
        return;
    }
    let hint = "another scan, or a stored embedding: .npy, .safetensors";
    match path_field_ui(ui, OTHER_SCAN, None, hint, model.settings.toward.as_deref()) {
        Some(Chosen::Path(path)) => actions.push(Setting::Toward(path).into()),
        Some(Chosen::Browse) => actions.push(View::Ask(Wanted::Toward).into()),
        None => {}
    }
    let text = "The score is the cosine similarity of the two embeddings: a drop below 0 brings the scan nearer, one above 0 takes it away.";
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
}

/// What is left of the step where it is folded.
fn summary_ui(ui: &mut Ui, model: &Model) {
    let name = |of: Option<&str>| of.unwrap_or_default().to_owned();
    let autoencoder = name(model.autoencoder.ready().map(|loaded| loaded.model.name.as_str()));
    let (by, what) = match model.settings.scored_by {
        ScoredBy::Classifier => {
            let size = if of_regions(model) { "size of " } else { "" };
            (
                name(model.classifier.ready().map(|loaded| loaded.model.name.as_str())),
                format!("{size}{}", model.settings.target.as_deref().unwrap_or_default()),
            )
        }
        ScoredBy::Segmenter => {
            (name(model.segmenter.ready().map(|loaded| loaded.model.name.as_str())), "lung size".to_owned())
        }
        ScoredBy::Embedder => (
            name(model.embedder.ready().map(|loaded| loaded.model.name.as_str())),
            "likeness to another scan".to_owned(),
        ),
    };
    ui.label(RichText::new(what).color(theme::colors(ui).strong));
    ui.label(RichText::new(format!("by {autoencoder} and {by}")).small().color(theme::colors(ui).weak));
}

fn card_ui<N: ?Sized>(ui: &mut Ui, role: Role, stage: &Stage<Loaded<N>>, actions: &mut Vec<Action>)
where
    Loaded<N>: Send + Sync + 'static,
{
    match path_field_ui(
        ui,
        name(role),
        None,
        "model card, checkpoint, .onnx or .pt2",
        stage.ready().map(|loaded| loaded.card.as_path()),
    ) {
        Some(Chosen::Path(path)) => actions.push(Run::Load(role, path).into()),
        Some(Chosen::Browse) => actions.push(View::Ask(Wanted::Model(role)).into()),
        None => {}
    }
    state_ui(ui, stage);
    error_ui(ui, stage.error(), Place::Model(role), actions);
}

/// The name of a network's field.
pub(super) fn name(role: Role) -> &'static str {
    match role {
        Role::Autoencoder => "Autoencoder",
        Role::Classifier => "Classifier",
        Role::Segmenter => "Segmenter",
        Role::Embedder => "Embedder",
    }
}

/// Whether a network is loading or loaded: one line of one height, cut to the width, so that nothing below it moves.
fn state_ui<N: ?Sized>(ui: &mut Ui, stage: &Stage<Loaded<N>>)
where
    Loaded<N>: Send + Sync + 'static,
{
    let (colors, height) = (theme::colors(ui), ui.text_style_height(&TextStyle::Body));
    let row = vec2(ui.available_width(), height);
    if stage.running().is_some() {
        ui.allocate_ui_with_layout(row, Layout::left_to_right(Align::Center), |ui| {
            ui.add(Spinner::new().size(height));
            ui.label("loading");
        });
        return;
    }
    let Some(loaded) = stage.ready() else { return };
    let check = loaded.model.self_check;
    let mut text = LayoutJob::default();
    let loud = TextFormat::simple(TextStyle::Body.resolve(ui.style()), colors.strong);
    text.append(&format!("{} is loaded", loaded.model.name), 0.0, loud);
    if let Some(words) = check.words().filter(|_| !check.failed()) {
        text.append(&format!(", {words}"), 0.0, TextFormat::simple(theme::small(), colors.weak));
    }
    let meaning = format!("{}. SHA-256 {}", text.text, loaded.model.sha256);
    ui.allocate_ui_with_layout(row, Layout::left_to_right(Align::Center), |ui| {
        ui.add(Label::new(text).truncate().show_tooltip_when_elided(false)).on_hover_text(meaning);
    });
    let of_check = check.words().filter(|_| check.failed());
    let of_head = loaded.model.head.as_ref().and_then(Head::note);
    for words in of_check.into_iter().chain(of_head) {
        note_ui(ui, &words);
    }
}
