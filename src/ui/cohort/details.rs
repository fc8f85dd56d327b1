//! The case that is chosen: its picture, its numbers or why it failed, and the ways to it.

use egui::{Align, Button, Grid, Image, Label, Layout, RichText, ScrollArea, Spinner, Ui, vec2};

use crate::cohort::{Case, Failure, Numbers, Progress};
use crate::frame::lambda_text;
use crate::session::action::{Action, Cohort as Act};
use crate::session::cohort::CohortTable;
use crate::session::cohort::table::state;
use crate::session::model::Model;
use crate::ui::widgets::note_ui;
use crate::ui::{textures, theme};

/// The height that buttons take at the foot, points.
const FOOT: f32 = 34.0;
/// How wide the names of facts are, and how far from the facts.
const NAMES: f32 = 128.0;
const GAP: f32 = 8.0;

pub(super) fn details_ui(ui: &mut Ui, model: &Model, cohort: &CohortTable, room: f32, actions: &mut Vec<Action>) {
    let Some(case) = cohort.chosen_case() else {
        ui.set_min_height(room);
        ui.label(RichText::new("Choose a case to see its picture and numbers").small().color(theme::colors(ui).weak));
        return;
    };
    let area = ScrollArea::vertical().id_salt("case").max_height(room - FOOT).min_scrolled_height(room - FOOT);
    area.auto_shrink([false, false]).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(&case.row.id).heading().color(theme::colors(ui).strong));
            ui.label(RichText::new(state(&case.progress)).color(theme::colors(ui).weak));
        });
        match &case.progress {
            Progress::Done(numbers) => {
                picture_ui(ui, cohort, case);
                numbers_ui(ui, numbers);
            }
            Progress::Failed(failure) => failure_ui(ui, failure),
            Progress::Damaged(why) => {
                ui.add(Label::new(RichText::new(why).color(theme::colors(ui).red)).wrap());
            }
            Progress::Unread | Progress::Missing | Progress::Computing => {}
        }
        further_ui(ui, cohort, case);
    });
    buttons_ui(ui, model, case, actions);
}

fn picture_ui(ui: &mut Ui, cohort: &CohortTable, case: &Case) {
    if cohort.large.running().is_some() {
        ui.add(Spinner::new());
    }
    let Some(picture) = cohort.large.ready() else {
        if let Some(error) = cohort.large.error() {
            note_ui(ui, &format!("{error:#}"));
        }
        return;
    };
    let texture = textures::picture(ui.ctx(), "chosen case", picture);
    let size = texture.size_vec2();
    let size = size * (ui.available_width() / size.x).min(1.0);
    let alt = format!("Original, counterfactual and difference of case {}", case.row.id);
    ui.add(Image::new((texture.id(), size)).alt_text(alt));
}

fn numbers_ui(ui: &mut Ui, numbers: &Numbers) {
    let score = |score: f64| format!("{score:.4}");
    let goal = match numbers.goal_reached {
        Some(true) => "reached",
        Some(false) => "not reached",
        None => "none was set",
    };
    let mut facts = vec![
        ("Target", numbers.target.clone()),
        ("Score of the scan", score(numbers.scores.scan)),
        ("of the reconstruction", score(numbers.scores.reconstruction)),
        ("of the counterfactual", score(numbers.scores.counterfactual)),
        ("Reconstruction gap", format!("{:+.4}", numbers.reconstruction_gap)),
        ("Lambda", lambda_text(numbers.lambda)),
        ("Goal", goal.to_owned()),
        ("Stopped because", numbers.stop.clone()),
    ];
    if let Some(hu) = numbers.largest_change_hu {
        facts.push(("Largest change", format!("{hu:.0} HU")));
    }
    facts.extend([("Autoencoder", numbers.autoencoder.name.clone()), ("Scored by", numbers.scored_by.name.clone())]);
    facts_ui(ui, "numbers", facts.iter().map(|(name, value)| (*name, value.as_str())));
    for warning in numbers.warnings() {
        note_ui(ui, warning);
    }
}

fn failure_ui(ui: &mut Ui, failure: &Failure) {
    // The reason is all causes in one line: each stands once.
    let outermost = failure.chain.first().unwrap_or(&failure.reason);
    ui.add(Label::new(RichText::new(outermost).color(theme::colors(ui).red)).wrap());
    let weak = theme::colors(ui).weak;
    for cause in failure.chain.iter().skip(1) {
        ui.add(Label::new(RichText::new(format!("because {cause}")).small().color(weak)).wrap());
    }
    ui.label(RichText::new(minute(&failure.when)).small().color(weak));
    let text = "The next run of the same command tries it again";
    ui.label(RichText::new(text).small().color(weak));
}

/// A moment as it is kept, in the words of a clock: 2026-01-31T10:11:12.345Z is 2026-01-31, 10:11 UTC.
fn minute(kept: &str) -> String {
    match (kept.get(..10), kept.get(10..11), kept.get(11..16)) {
        (Some(day), Some("T"), Some(minute)) if kept.ends_with('Z') => format!("{day}, {minute} UTC"),
        _ => kept.to_owned(),
    }
}

/// What the manifest says of the case.
fn further_ui(ui: &mut Ui, cohort: &CohortTable, case: &Case) {
    let columns = cohort.cases.columns.iter().map(String::as_str);
    let cells = case.row.further.iter().map(String::as_str);
    let scan = case.row.scan.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    ui.add_space(4.0);
    facts_ui(ui, "manifest", columns.zip(cells).chain([("Scan", scan.as_str())]));
}

/// Names at the left, all whole, and what they are beside them.
fn facts_ui<'a>(ui: &mut Ui, id: &str, facts: impl Iterator<Item = (&'a str, &'a str)>) {
    let left = ui.available_width() - NAMES - GAP;
    Grid::new(id).num_columns(2).spacing([GAP, 3.0]).show(ui, |ui| {
        for (name, value) in facts.filter(|(_, value)| !value.is_empty()) {
            let weak = theme::colors(ui).weak;
            for (width, text) in
                [(NAMES, RichText::new(name).small().color(weak)), (left, RichText::new(value).small())]
            {
                ui.with_layout(Layout::top_down(Align::LEFT), |ui| {
                    ui.set_width(width);
                    ui.add(Label::new(text).wrap());
                });
            }
            ui.end_row();
        }
    });
}

fn buttons_ui(ui: &mut Ui, model: &Model, case: &Case, actions: &mut Vec<Action>) {
    ui.allocate_ui(vec2(ui.available_width(), FOOT), |ui| {
        ui.horizontal(|ui| {
            let free = model.run.running().is_none();
            let open = Button::new("Open the case").fill(theme::colors(ui).accent_dim);
            let help = "With its result, where a session lies in its folder; else its scan, with its target, slices and options";
            let open = ui.add_enabled(free, open).on_hover_text(help);
            if open.on_disabled_hover_text("A run is going on. Cancel it to open another scan").clicked() {
                actions.push(Act::Open(case.row.id.clone()).into());
            }
            if ui.button("Show in folder").clicked() {
                actions.push(Act::ShowFolder(case.row.id.clone()).into());
            }
        });
    });
}
