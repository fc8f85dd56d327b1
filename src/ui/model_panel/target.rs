//! Which class is explained: a search over all, by their scores once the open scan is scored.

use egui::{
    Align, Atom, AtomExt as _, Button, Id, Label, Layout, Rect, RichText, Role, ScrollArea, TextEdit, Ui, WidgetInfo,
    vec2,
};

use crate::job::Monitor;
use crate::pipeline;
use crate::session::action::{Action, Run, Setting};
use crate::session::model::Model;
use crate::ui::theme;
use crate::ui::widgets::{holds_words, text_size};

/// Lines of the list of classes that are seen at once.
const LIST_LINES: f32 = 5.0;

/// A search over the classes, and the list of those found. It takes its room already while the classifier is loading.
pub(super) fn target_ui(ui: &mut Ui, model: &Model, of_regions: bool, actions: &mut Vec<Action>) {
    let classifier = model.classifier.ready();
    if classifier.is_none() && model.classifier.running().is_none() {
        return;
    }
    let labels = classifier.map_or(&[][..], |classifier| classifier.model.network.labels());
    let target = model.target();
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
    let scores = model.scores();
    let mut found = matches(labels, &search);
    if let Some(scores) = scores {
        found.sort_by(|a, b| scores[*b].1.total_cmp(&scores[*a].1));
    }
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
                let score = scores.map(|scores| scores[index].1);
                if class_ui(ui, chosen == Some(index), index, &labels[index], score) {
                    actions.push(Setting::Target(labels[index].clone()).into());
                }
            }
        });
    });
    ui.data_mut(|data| data.insert_temp(id, search));
    scored_ui(ui, model, actions);
}

/// One class, and its score as a number and as a bar once it is known; gives whether it was pressed. Its id is its own, wherever its
/// score puts it.
fn class_ui(ui: &mut Ui, on: bool, index: usize, label: &str, score: Option<f64>) -> bool {
    let number = score.map(|score| format!("{score:.3}")).unwrap_or_default();
    let name = format!("{index}  {label}");
    let size = vec2(ui.available_width(), ui.spacing().interact_size.y);
    let room = size.x - text_size(ui.painter(), &number).x;
    let atoms = (Atom::from(name.clone()).atom_shrink(true), Atom::grow(), RichText::new(&number).small());
    let response = ui.push_id(index, |ui| ui.add_sized(size, Button::selectable(on, atoms).truncate())).inner;
    if let Some(score) = score {
        let share = score.clamp(0.0, 1.0) as f32;
        let bar = Rect::from_min_size(response.rect.left_bottom() - vec2(0.0, 2.0), vec2(room * share, 2.0));
        ui.painter().rect_filled(bar, 0.0, theme::colors(ui).accent);
    }
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &name));
    let words = if number.is_empty() { label.to_owned() } else { format!("{label}: {number}") };
    response.on_hover_text(words).clicked()
}

/// What the classifier finds most likely, and the way to explain it at once: a row of one height, whatever is known.
fn scored_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let row = vec2(ui.available_width(), ui.spacing().interact_size.y);
    ui.allocate_ui_with_layout(row, Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_height(row.y);
        let Some((label, score)) = highest(model) else {
            let words = waits(model);
            let text = RichText::new(&words).small().color(theme::colors(ui).weak);
            ui.add(Label::new(text).truncate().show_tooltip_when_elided(false)).on_hover_text(words);
            return;
        };
        let free = model.autoencoder.ready().is_some() && model.run.running().is_none();
        let button = Button::new(format!("Explain the highest: {label}")).truncate();
        let words = format!("{label} scores {score:.4}. Compute its counterfactual");
        let response = ui.add_enabled(free, button).on_hover_text(words);
        if response.on_disabled_hover_text("Choose an autoencoder first, and let a run end").clicked() {
            actions.extend([Setting::Target(label.to_owned()).into(), Run::Explain.into()]);
        }
    });
}

fn highest(model: &Model) -> Option<(&str, f64)> {
    let (label, score) = model.scores()?.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((label, *score))
}

/// Why there are no scores yet, in words.
fn waits(model: &Model) -> String {
    let scoring = &model.scoring.scores;
    if let Some(error) = scoring.error() {
        return format!("The scan was not scored: {}", pipeline::in_words(error));
    }
    let words = match (model.scan.ready(), scoring.running().and_then(Monitor::progress)) {
        (None, _) => "Scores come with a scan",
        (Some(_), Some(_)) => "The scan is being scored",
        (Some(_), None) => "The scan is scored soon",
    };
    words.to_owned()
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
