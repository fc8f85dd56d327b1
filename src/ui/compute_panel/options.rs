//! Where the score is to go, and how it is searched.

use egui::{CollapsingHeader, DragValue, RichText, Ui};

use crate::io::counted;
use crate::latent_shift::{Options, SearchWay, StepsIn};
use crate::session::action::{Action, Setting};
use crate::session::model::Model;
use crate::settings::{MOST_REPEATS, ScoredBy};
use crate::stability::range_words;
use crate::ui::theme;
use crate::ui::widgets::close_together;

/// The aim in words that a reader uses; the rest folds away.
pub(super) fn options_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let options = &model.settings.options;
    let mut new = options.clone();
    if new.range.is_none() {
        aim_ui(ui, &mut new, model.settings.scored_by);
    } else {
        ui.label("Lambda is swept along a range, without a goal");
    }
    if let Some(more) = beyond(model) {
        says(ui, &more);
    }
    CollapsingHeader::new("Advanced").id_salt("advanced options").show_unindented(ui, |ui| {
        search_ui(ui, &mut new);
        if new.range.is_none() {
            ends_ui(ui, &mut new);
        }
        let has_deviations = model.autoencoder.ready().is_some_and(|loaded| loaded.model.network.has_deviations());
        if has_deviations || new.steps_in == StepsIn::Deviations {
            let mut in_deviations = new.steps_in == StepsIn::Deviations;
            ui.checkbox(&mut in_deviations, "Lambda in standard deviations");
            says(ui, StepsIn::Deviations.describe());
            new.steps_in = if in_deviations { StepsIn::Deviations } else { StepsIn::Latents };
        }
        repeats_ui(ui, model, actions);
    });
    if new != *options {
        actions.push(Setting::Options(new).into());
    }
}

/// What a run does beyond its aim, "Also: both ways from lambda 0, 8 repeats": it is chosen under Advanced, stays from one start of the
/// program to the next, and takes its time.
pub(super) fn beyond(model: &Model) -> Option<String> {
    let options = &model.settings.options;
    let both = (options.both && options.range.is_none()).then(|| "both ways from lambda 0".to_owned());
    let repeats = (model.settings.repeats > 0).then(|| counted(model.settings.repeats, "repeat"));
    let all: Vec<String> = [both, repeats].into_iter().flatten().collect();
    (!all.is_empty()).then(|| format!("Also: {}", all.join(", ")))
}

/// Which way the score is to go, and how far.
fn aim_ui(ui: &mut Ui, new: &mut Options, by: ScoredBy) {
    let raises = new.drop < 0.0;
    ui.horizontal_wrapped(|ui| {
        close_together(ui);
        for (up, name) in [(false, "Lower"), (true, "Raise")] {
            let free = !(up && new.search == SearchWay::Reference);
            let way = ui.add_enabled_ui(free, |ui| ui.selectable_label(raises == up, name)).inner;
            if way.on_disabled_hover_text("The published search lowers scores alone").clicked() && raises != up {
                new.drop = -new.drop;
            }
        }
        if by == ScoredBy::Embedder {
            let label = ui.label("the likeness by");
            let mut by = new.drop.abs();
            if ui.add(DragValue::new(&mut by).range(0.0..=2.0).speed(0.01)).labelled_by(label.id).changed() {
                new.drop = by.copysign(new.drop);
            }
            return;
        }
        let label = ui.label("the score to");
        let mut end = if raises { 1.0 - new.floor } else { new.floor };
        let range = if raises { 0.5..=1.0 } else { 0.0..=0.5 };
        if ui.add(DragValue::new(&mut end).range(range).speed(0.005).max_decimals(3)).labelled_by(label.id).changed() {
            new.floor = if raises { 1.0 - end } else { end };
        }
        ui.label(if raises { "or more" } else { "or less" });
    });
    if by != ScoredBy::Embedder {
        says(ui, &format!("or by {:.2}, whichever comes first", new.drop.abs()));
    }
}

/// The way of the search.
fn search_ui(ui: &mut Ui, new: &mut Options) {
    ui.horizontal_wrapped(|ui| {
        close_together(ui);
        ui.label("Search");
        for (way, name) in
            [(SearchWay::Path, "path"), (SearchWay::Aim, "aimed"), (SearchWay::Reference, "as published")]
        {
            if ui.selectable_label(new.range.is_none() && new.search == way, name).clicked() {
                (new.range, new.search) = (None, way);
            }
        }
        if ui.selectable_label(new.range.is_some(), "range").clicked() {
            new.range.get_or_insert([-100.0, 0.0]);
        }
    });
    says(
        ui,
        match (new.range, new.search) {
            (Some(_), _) => "No search: every lambda of a range is computed.",
            (None, SearchWay::Path) => {
                "The gradient is taken anew a few times on the way: slower, and truer to what lies ahead."
            }
            (None, SearchWay::Aim) => "Along one gradient, then between the two nearest trials: few trials.",
            (None, SearchWay::Reference) => "The published walk with every stop rule.",
        },
    );
    if let Some([min, max]) = &mut new.range {
        ui.horizontal(|ui| {
            let label = ui.label("Lambda from");
            ui.add(DragValue::new(min).range(f64::MIN..=*max).update_while_editing(false)).labelled_by(label.id);
            let label = ui.label("up to");
            ui.add(DragValue::new(max).range(*min..=f64::MAX).update_while_editing(false)).labelled_by(label.id);
        });
    }
    ui.horizontal(|ui| {
        let label = ui.label("Steps");
        ui.add(DragValue::new(&mut new.steps).range(2..=200)).labelled_by(label.id);
    });
    says(ui, "Pictures from the counterfactual to lambda 0, or along the range.");
}

/// Where a search ends.
fn ends_ui(ui: &mut Ui, new: &mut Options) {
    ui.horizontal(|ui| {
        let label = ui.label("By at most");
        let mut by = new.drop.abs();
        if ui.add(DragValue::new(&mut by).range(0.0..=2.0).speed(0.01)).labelled_by(label.id).changed() {
            new.drop = by.copysign(new.drop);
        }
    });
    says(ui, "The search ends where the score has moved so far, though it is not at its goal.");
    ui.horizontal(|ui| {
        let label = ui.label("Change up to");
        let mut percent = new.max_change * 100.0;
        let value = DragValue::new(&mut percent).range(0.1..=100.0).speed(0.1).suffix(" %");
        if ui.add(value).labelled_by(label.id).changed() {
            new.max_change = percent / 100.0;
        }
    });
    says(ui, "The largest change of the picture, as a share of it: of the slab, or of the whole scan as published.");
    ui.checkbox(&mut new.both, "Both ways from lambda 0");
    says(ui, "As many steps to the other side of lambda 0, where the score goes the other way.");
}

/// How often the run is repeated, and what that costs.
fn repeats_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let mut repeats = model.settings.repeats;
    ui.horizontal(|ui| {
        let label = ui.label("Repeats from perturbed starts");
        ui.add(DragValue::new(&mut repeats).range(0..=MOST_REPEATS).speed(0.1)).labelled_by(label.id);
    });
    if repeats != model.settings.repeats {
        actions.push(Setting::Repeats(repeats).into());
    }
    let cost = match (repeats, model.repeat_secs()) {
        (0, _) => {
            "Off. Repeats say how sure a result is: in how many of them each changed region comes again.".to_owned()
        }
        (_, Some(each)) => {
            let all = range_words(each.map(|secs| secs * repeats as f64));
            format!("{}, about {all} more.", counted(repeats, "more run"))
        }
        (_, None) => format!("{}, each at most as long as the search of the run.", counted(repeats, "more run")),
    };
    says(ui, &cost);
}

/// The sentence under an option.
fn says(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
}
