//! A finding drawn into the open scan: which one, how much of it and where; the work on it, and the way back.

use egui::{Button, CollapsingHeader, Context, DragValue, Id, ProgressBar, Response, RichText, Slider, Ui};

use super::progress::progress_text;
use super::theme;
use super::widgets::{close_together, error_ui};
use crate::insertion::Lying;
use crate::job::Monitor;
use crate::session::action::{Action, Drawing, Insert, Place, Run};
use crate::session::model::Model;
use crate::volume::phantom::Finding;

/// What the number beside a slider takes, points.
const NUMBER: f32 = 62.0;
/// Seeds that a drag reaches; others can be typed on the command line.
const SEEDS: std::ops::RangeInclusive<u64> = 0..=1_000_000;
const FINDINGS: [(Finding, &str, &str); 4] = [
    (Finding::Nodule, "Nodule", "A solid ball of 6 to 30 mm within one lung, of the HU of the scan's own soft tissue"),
    (
        Finding::Effusion,
        "Effusion",
        "Fluid in the pleural space, where it gathers as the patient lies; the lung above it gives way",
    ),
    (Finding::Emphysema, "Emphysema", "Holes in the lungs, up to 45 % of them"),
    (
        Finding::Cardiomegaly,
        "Cardiomegaly",
        "The scan's own heart, grown into the lungs by up to a third of its radius",
    ),
];

/// Below the scan: folded to a line until someone wants it.
pub(super) fn insert_panel_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    if model.scan.ready().is_none() {
        return;
    }
    if model.inserted().is_some() {
        back_ui(ui, model, actions);
    }
    let inserting = &model.inserting;
    let header = CollapsingHeader::new("Insert a finding").id_salt("insert a finding").open(Some(inserting.is_open));
    let header = header.show_unindented(ui, |ui| {
        let text = "Drawn into the scan: does the network see it, and does the explanation find it?";
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
        let coming = inserting.drawn.running();
        let choices = ui.add_enabled_ui(coming.is_none(), |ui| choices_ui(ui, model, actions)).inner;
        if let Some(choice) = choices.filter(|_| is_asked_for(ui.ctx(), inserting.asked_for)) {
            choice.request_focus();
            choice.scroll_to_me(None);
        }
        match coming {
            Some(monitor) => progress_ui(ui, monitor, actions),
            None => draw_ui(ui, model, actions),
        }
        error_ui(ui, inserting.drawn.error(), Place::Insert, actions);
    });
    let help =
        "A nodule, fluid, emphysema or an enlarged heart, drawn into the open scan to see what a network makes of it";
    if header.header_response.on_hover_text(help).clicked() {
        actions.push(Run::Insert(Insert::Fold).into());
    }
}

/// The way back, for a scan whose name and notes say what was drawn into it.
fn back_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let free = model.run.running().is_none();
    let button = ui.add_enabled(free, Button::new("Back to the scan without it"));
    let why = "A run is going on: cancel it, or let it end";
    let help = "The scan as it was opened, at the same slice, zoom and window";
    if button.on_hover_text(help).on_disabled_hover_text(why).clicked() {
        actions.push(Run::Insert(Insert::Remove).into());
    }
}

/// Whether the panel was asked for since it was drawn last.
fn is_asked_for(ctx: &Context, times: usize) -> bool {
    let id = Id::unique("insert a finding was asked for");
    let before = ctx.data(|data| data.get_temp::<usize>(id)).unwrap_or_default();
    ctx.data_mut(|data| data.insert_temp(id, times));
    times > before
}

/// What is drawn; gives the widget that the focus goes to.
fn choices_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) -> Option<Response> {
    let before = model.inserting.drawing;
    let mut new = before;
    let mut chosen = None;
    for pair in FINDINGS.chunks(2) {
        ui.horizontal(|ui| {
            close_together(ui);
            for (finding, name, help) in pair {
                let button = ui.selectable_label(before.finding == *finding, *name).on_hover_text(*help);
                if button.clicked() {
                    new.finding = *finding;
                }
                if before.finding == *finding {
                    chosen = Some(button);
                }
            }
        });
    }
    dial_ui(ui, &mut new.dial);
    if new.finding != Finding::Cardiomegaly {
        seed_ui(ui, &mut new);
    }
    if new.finding == Finding::Effusion {
        position_ui(ui, model, &mut new);
    }
    if new != before {
        actions.push(Run::Insert(Insert::Change(new)).into());
    }
    chosen
}

/// How much of it.
fn dial_ui(ui: &mut Ui, dial: &mut f32) {
    ui.horizontal(|ui| {
        let label = ui.label("Dial");
        ui.spacing_mut().slider_width = (ui.available_width() - NUMBER).max(60.0);
        let slider = Slider::new(dial, 0.0..=1.0).step_by(0.05).fixed_decimals(2);
        ui.add(slider).labelled_by(label.id).on_hover_text("How much of it: from 0, none, to 1, severe");
    });
}

/// Which one of its kind.
fn seed_ui(ui: &mut Ui, new: &mut Drawing) {
    ui.horizontal(|ui| {
        let label = ui.label("Seed");
        let number = DragValue::new(&mut new.seed).range(SEEDS).clamp_existing_to_range(false).speed(0.1);
        let help = "Where it lies and how it looks: the same seed and dial give the same voxels, on every machine";
        ui.add(number).labelled_by(label.id).on_hover_text(help);
        if ui.button("Another place").on_hover_text("The next seed").clicked() {
            new.seed = new.seed.wrapping_add(1);
        }
    });
}

/// How the patient lies: fluid gathers there.
fn position_ui(ui: &mut Ui, model: &Model, new: &mut Drawing) {
    ui.horizontal(|ui| {
        close_together(ui);
        ui.label("The patient lies on the");
        let now = new.position.unwrap_or_else(|| model.lies());
        for (lying, name) in [(Lying::Supine, "back"), (Lying::Prone, "front")] {
            if ui.selectable_label(now == lying, name).clicked() {
                new.position = Some(lying);
            }
        }
    });
}

fn draw_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let finding = model.inserting.drawing.finding;
    let again = model.inserted().is_some_and(|inserted| inserted.asked.finding == finding);
    let words = format!("Draw the {}{}", finding.name(), if again { " again" } else { "" });
    let hindrance = model.cannot_insert();
    ui.horizontal(|ui| {
        let button = Button::new(words).fill(theme::colors(ui).accent_dim);
        let button = ui.add_enabled(hindrance.is_none(), button);
        let help = "Into the scan as it was opened, whatever was drawn before; nothing is written to the scan's files";
        if button.on_hover_text(help).on_disabled_hover_text(hindrance.unwrap_or_default()).clicked() {
            actions.push(Run::Insert(Insert::Draw).into());
        }
    });
    if let Some(hindrance) = hindrance {
        ui.label(RichText::new(hindrance).small().color(theme::colors(ui).weak));
    }
}

fn progress_ui(ui: &mut Ui, monitor: &Monitor, actions: &mut Vec<Action>) {
    let progress = monitor.progress();
    let phase = progress.map_or("drawing the finding", |progress| progress.phase);
    let far = progress.map(|progress| progress_text(&progress)).unwrap_or_default();
    ui.label(RichText::new(format!("{phase} {far}")).small().color(theme::colors(ui).strong));
    ui.add(ProgressBar::new(progress.and_then(|progress| progress.fraction()).unwrap_or(0.0)).animate(false));
    let stopping = monitor.check().is_err();
    let button = Button::new(if stopping { "Stopping" } else { "Cancel drawing" });
    if ui.add_enabled(!stopping, button).on_hover_text("Esc").clicked() {
        actions.push(Run::Insert(Insert::Cancel).into());
    }
}
