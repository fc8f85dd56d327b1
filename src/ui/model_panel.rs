//! Step 2: the autoencoder, and what gives the score.

use eframe::egui::{Id, RichText, ScrollArea, TextEdit, Ui};

use super::action::{Action, Place, Wanted};
use super::fit_panel::fit_panel_ui;
use super::published::{self, PublishedPage};
use super::session::{Loaded, Role, Session};
use super::stage::Stage;
use super::theme;
use super::widgets::{Chosen, Fold, error_ui, folding_heading_ui, holds_words, path_field_ui};
use crate::settings::ScoredBy;

/// Lines of the list of classes that are seen at once.
const LIST_LINES: f32 = 5.0;

pub(super) fn model_panel_ui(ui: &mut Ui, session: &Session, page: &PublishedPage, actions: &mut Vec<Action>) {
    let fold = if session.missing().is_none() { Fold::ByHand } else { Fold::Never };
    if !folding_heading_ui(ui, 2, "Models", fold) {
        summary_ui(ui, session);
        return;
    }
    published::button_ui(ui, page, actions);
    card_ui(ui, Role::Autoencoder, &session.autoencoder, actions);
    let by = session.settings.scored_by;
    ui.horizontal_wrapped(|ui| {
        ui.label("Explain");
        for (way, name) in
            [(ScoredBy::Classifier, "a class"), (ScoredBy::Segmenter, "lung size"), (ScoredBy::Embedder, "likeness")]
        {
            if ui.selectable_label(by == way, name).clicked() {
                actions.push(Action::ScoreBy(way));
            }
        }
    });
    match by {
        ScoredBy::Classifier => {
            card_ui(ui, Role::Classifier, &session.classifier, actions);
            target_ui(ui, session, actions);
        }
        ScoredBy::Segmenter => card_ui(ui, Role::Segmenter, &session.segmenter, actions),
        ScoredBy::Embedder => {
            card_ui(ui, Role::Embedder, &session.embedder, actions);
            toward_ui(ui, session, actions);
        }
    }
    fit_panel_ui(ui, session, actions);
}

/// What the scan is compared with.
fn toward_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    if session.embedder.ready().is_none() {
        return;
    }
    let hint = "another scan, or a stored embedding: .npy, .safetensors";
    match path_field_ui(ui, "Toward another scan…", None, hint, session.settings.toward.as_deref()) {
        Some(Chosen::Path(path)) => actions.push(Action::Toward(path)),
        Some(Chosen::Browse) => actions.push(Action::Ask(Wanted::Toward)),
        None => {}
    }
    let text = "The score is the cosine similarity of the two embeddings: a drop below 0 brings the scan nearer, one above 0 takes it away.";
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
}

/// What is left of the step where it is folded.
fn summary_ui(ui: &mut Ui, session: &Session) {
    let name = |of: Option<&str>| of.unwrap_or_default().to_owned();
    let autoencoder = name(session.autoencoder.ready().map(|loaded| loaded.model.name.as_str()));
    let (by, what) = match session.settings.scored_by {
        ScoredBy::Classifier => (
            name(session.classifier.ready().map(|loaded| loaded.model.name.as_str())),
            session.settings.target.clone().unwrap_or_default(),
        ),
        ScoredBy::Segmenter => {
            (name(session.segmenter.ready().map(|loaded| loaded.model.name.as_str())), "lung size".to_owned())
        }
        ScoredBy::Embedder => (
            name(session.embedder.ready().map(|loaded| loaded.model.name.as_str())),
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
    let name = match role {
        Role::Autoencoder => "Autoencoder",
        Role::Classifier => "Classifier",
        Role::Segmenter => "Segmenter",
        Role::Embedder => "Embedder",
    };
    match path_field_ui(
        ui,
        name,
        None,
        "model card, checkpoint, .onnx or .pt2",
        stage.ready().map(|loaded| loaded.card.as_path()),
    ) {
        Some(Chosen::Path(path)) => actions.push(Action::Load(role, path)),
        Some(Chosen::Browse) => actions.push(Action::Ask(Wanted::Model(role))),
        None => {}
    }
    if stage.running().is_some() {
        ui.horizontal(|ui| {
            ui.spinner();
            ui.label("loading");
        });
    } else if let Some(loaded) = stage.ready() {
        let text = format!("{} is loaded", loaded.model.name);
        ui.label(RichText::new(text).color(theme::colors(ui).strong))
            .on_hover_text(format!("SHA-256 {}", loaded.model.sha256));
        if let Some(words) = loaded.model.self_check.words() {
            ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
        }
    }
    error_ui(ui, stage.error(), Place::Model(role), actions);
}

/// A search over the classes, and the list of those found.
fn target_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let Some(classifier) = session.classifier.ready() else { return };
    let labels = classifier.model.network.labels();
    let target = session.target();
    let chosen = target.as_ref().and_then(|target| target.as_ref().ok().copied());
    let id = Id::unique("target search");
    let mut search: String = ui.data_mut(|data| data.get_temp(id)).unwrap_or_default();
    match target {
        Some(Ok(index)) => {
            ui.label(RichText::new(format!("Target: {}", labels[index])).color(theme::colors(ui).strong))
        }
        Some(Err(error)) => ui.label(RichText::new(error.to_string()).color(theme::colors(ui).red)),
        None => ui.label(RichText::new("No target class chosen").color(theme::colors(ui).amber)),
    };
    let label = ui.label(RichText::new("Search classes").small().color(theme::colors(ui).weak));
    let hint = format!("{} classes, by name or number", labels.len());
    ui.add(TextEdit::singleline(&mut search).id(id.with("text")).hint_text(hint).desired_width(f32::INFINITY))
        .labelled_by(label.id);
    let found = matches(labels, &search);
    let height = ui.spacing().interact_size.y;
    ScrollArea::vertical().id_salt("classes").max_height(LIST_LINES * height).auto_shrink([false, true]).show_rows(
        ui,
        height,
        found.len(),
        |ui, rows| {
            for &index in &found[rows] {
                let text = format!("{index}  {}", labels[index]);
                if ui.selectable_label(chosen == Some(index), &text).on_hover_text(&labels[index]).clicked() {
                    actions.push(Action::Target(labels[index].clone()));
                }
            }
        },
    );
    if found.is_empty() {
        ui.label(RichText::new("no class matches").small().color(theme::colors(ui).weak));
    }
    ui.data_mut(|data| data.insert_temp(id, search));
}

/// Classes whose name holds every word, or whose number it is.
fn matches(labels: &[String], search: &str) -> Vec<usize> {
    let number = search.trim().parse::<usize>().ok();
    let fits = |(index, label): &(usize, &String)| number == Some(*index) || holds_words(label, search);
    labels.iter().enumerate().filter(fits).map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn classes_are_found_by_words_in_any_order_and_by_number() {
        let labels = ["Pleurisy; pleural effusion", "Pneumonia", "Effusion of joint"].map(str::to_owned);
        assert_eq!(matches(&labels, "EFFUSION pleural"), [0]);
        assert_eq!(matches(&labels, "effusion"), [0, 2]);
        assert_eq!(matches(&labels, "1"), [1]);
        assert_eq!(matches(&labels, ""), [0, 1, 2]);
        assert!(matches(&labels, "fracture").is_empty());
    }
}
