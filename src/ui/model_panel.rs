//! Step 2: the autoencoder, and what gives the score.

use eframe::egui::text::{LayoutJob, TextFormat};
use eframe::egui::{Align, Id, Label, Layout, RichText, ScrollArea, Spinner, TextEdit, TextStyle, Ui, vec2};

use super::action::{Action, Place, Wanted};
use super::fit_panel::fit_panel_ui;
use super::published::{self, PublishedPage};
use super::session::{Loaded, Role, Session};
use super::stage::Stage;
use super::theme;
use super::widgets::{
    Chosen, Fold, close_together, error_ui, folding_heading_ui, holds_words, meaning_ui, note_ui, path_field_ui,
};
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
    objective_ui(ui, session, actions);
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

/// What of a scan is explained: what kind of network gives the score.
fn objective_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let by = session.settings.scored_by;
    let class = if of_regions(session) { "region size" } else { "a class" };
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
                actions.push(Action::ScoreBy(way));
            }
            meaning_ui(ui, label, meaning);
        }
    });
}

/// Whether the classes to choose from are regions, whose share of the scan is the score.
fn of_regions(session: &Session) -> bool {
    session.classifier.ready().is_some_and(|loaded| loaded.model.network.is_of_regions())
}

/// What the scan is compared with.
fn toward_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    if session.embedder.ready().is_none() {
        return;
    }
    let hint = "another scan, or a stored embedding: .npy, .safetensors";
    match path_field_ui(ui, "Other scan", None, hint, session.settings.toward.as_deref()) {
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
        ScoredBy::Classifier => {
            let size = if of_regions(session) { "size of " } else { "" };
            (
                name(session.classifier.ready().map(|loaded| loaded.model.name.as_str())),
                format!("{size}{}", session.settings.target.as_deref().unwrap_or_default()),
            )
        }
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
    state_ui(ui, stage);
    error_ui(ui, stage.error(), Place::Model(role), actions);
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
    if let Some(words) = check.words().filter(|_| check.failed()) {
        note_ui(ui, &words);
    }
}

/// A search over the classes, and the list of those found. It takes its room already while the classifier is loading.
fn target_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let classifier = session.classifier.ready();
    if classifier.is_none() && session.classifier.running().is_none() {
        return;
    }
    let labels = classifier.map_or(&[][..], |classifier| classifier.model.network.labels());
    let of_regions = of_regions(session);
    let target = session.target();
    let chosen = target.as_ref().and_then(|target| target.as_ref().ok().copied());
    let id = Id::unique("target search");
    let mut search: String = ui.data_mut(|data| data.get_temp(id)).unwrap_or_default();
    match target {
        Some(Ok(index)) => {
            let size = if of_regions { "size of " } else { "" };
            ui.label(RichText::new(format!("Target: {size}{}", labels[index])).color(theme::colors(ui).strong))
        }
        Some(Err(error)) => ui.label(RichText::new(error.to_string()).color(theme::colors(ui).red)),
        None if classifier.is_none() => {
            ui.label(RichText::new("Its classes come with it").color(theme::colors(ui).weak))
        }
        None => ui.label(RichText::new("No target class chosen").color(theme::colors(ui).amber)),
    };
    let what = if of_regions { "regions" } else { "classes" };
    let label = ui.label(RichText::new(format!("Search {what}")).small().color(theme::colors(ui).weak));
    let hint = format!("{} {what}, by name or number", labels.len());
    ui.add(TextEdit::singleline(&mut search).id(id.with("text")).hint_text(hint).desired_width(f32::INFINITY))
        .labelled_by(label.id);
    let found = matches(labels, &search);
    // As high as all classes or its most lines, however few are found: what is below stays where it is while someone types.
    let height = ui.spacing().interact_size.y;
    let lines = if labels.is_empty() { LIST_LINES } else { LIST_LINES.min(labels.len() as f32) };
    ui.allocate_ui(vec2(ui.available_width(), lines * height), |ui| {
        ui.set_min_height(lines * height);
        ui.spacing_mut().item_spacing.y = 0.0;
        if found.is_empty() && classifier.is_some() {
            ui.label(RichText::new("no class matches").small().color(theme::colors(ui).weak));
        }
        let list = ScrollArea::vertical().id_salt("classes").max_height(lines * height).auto_shrink([false, true]);
        list.show_rows(ui, height, found.len(), |ui, rows| {
            for &index in &found[rows] {
                let text = format!("{index}  {}", labels[index]);
                if ui.selectable_label(chosen == Some(index), &text).on_hover_text(&labels[index]).clicked() {
                    actions.push(Action::Target(labels[index].clone()));
                }
            }
        });
    });
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
