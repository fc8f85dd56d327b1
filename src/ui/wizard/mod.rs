//! The wizard: a network without a card was given; what it takes and gives is shown, what cannot be known is asked, and the card is
//! written beside the file.

mod choices;

use egui::{Align, Button, ColorImage, Context, Frame, Id, Image, Layout, Modal, RichText, ScrollArea, Ui, vec2};

use super::widgets::{error_ui, note_ui};
use super::{textures, theme};
use crate::models::{Draft, Facts};
use crate::pipeline::{self, Seen};
use crate::session::action::{self, Action, Place, Run};
use crate::session::wizard::Wizard;

const MARGIN: i8 = 14;
const CHOICES_WIDTH: f32 = 430.0;
const PREVIEW_WIDTH: f32 = 260.0;
/// What stands around the choices takes so much of the window, points.
const AROUND: f32 = 190.0;

pub(in crate::ui) fn wizard_ui(ctx: &Context, wizard: &Wizard, actions: &mut Vec<Action>) {
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let modal = Modal::new(Id::unique("wizard")).frame(frame).show(ctx, |ui| {
        let name = wizard.facts.path.file_name().unwrap_or_default().display().to_string();
        ui.label(RichText::new(format!("How is {name} fed?")).heading().color(theme::colors(ui).strong));
        ui.label("No card says how scans are prepared for this network. A wrong answer gives a wrong score, so nothing is taken for granted.");
        ui.add_space(4.0);
        let mut draft = wizard.draft.clone();
        let room = (ctx.content_rect().height() - AROUND).max(0.0);
        ScrollArea::vertical().max_height(room).show(ui, |ui| {
            ui.horizontal_top(|ui| {
                ui.vertical(|ui| {
                    ui.set_width(CHOICES_WIDTH);
                    facts_ui(ui, &wizard.facts);
                    choices::choices_ui(ui, &wizard.facts, &mut draft);
                });
                ui.separator();
                ui.vertical(|ui| {
                    ui.set_width(PREVIEW_WIDTH);
                    preview_ui(ui, wizard);
                });
            });
        });
        ui.separator();
        if draft != wizard.draft {
            actions.push(Run::Wizard(action::Wizard::Change(Box::new(draft))).into());
        }
        foot_ui(ui, wizard, actions);
    });
    if modal.should_close() {
        actions.push(Run::Wizard(action::Wizard::Close).into());
    }
}

fn facts_ui(ui: &mut Ui, facts: &Facts) {
    for (words, ports) in [("takes", &facts.inputs), ("gives", &facts.outputs)] {
        for port in ports {
            ui.label(RichText::new(format!("{words} {port}")).small().color(theme::colors(ui).weak));
        }
    }
    if let Some(refused) = &facts.refused {
        ui.label(RichText::new(refused).color(theme::colors(ui).red));
    }
    ui.add_space(4.0);
}

/// What the network would see of the open scan.
fn preview_ui(ui: &mut Ui, wizard: &Wizard) {
    ui.label(RichText::new("What the network sees").color(theme::colors(ui).strong));
    if let Some(error) = wizard.seen.error() {
        ui.label(RichText::new(pipeline::in_words(error)).color(theme::colors(ui).red));
    }
    let Some(seen) = wizard.seen.ready() else {
        let words =
            if wizard.seen.running().is_some() { "preparing" } else { "Open a scan to see it as the network would" };
        ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
        return;
    };
    let grey = |seen: &Seen| ColorImage::from_gray(seen.size, &seen.grey);
    let texture = &textures::texture(ui.ctx(), "what the network sees", seen, grey);
    let [width, height] = texture.size();
    let scale = PREVIEW_WIDTH / width.max(height).max(1) as f32;
    ui.add(
        Image::new(texture)
            .fit_to_exact_size(vec2(width as f32, height as f32) * scale)
            .alt_text("What the network sees"),
    );
    let shape = seen.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let [low, high] = seen.range;
    ui.label(RichText::new(format!("tensor {shape}, {low:.3} to {high:.3}")).small());
    ui.label(RichText::new("The middle plane of the tensor's last two axes").small().color(theme::colors(ui).weak));
    if wizard.seen.running().is_some() {
        ui.spinner();
    }
}

fn foot_ui(ui: &mut Ui, wizard: &Wizard, actions: &mut Vec<Action>) {
    error_ui(ui, wizard.written.error(), Place::Wizard, actions);
    let missing = wizard.draft.missing(&wizard.facts);
    let place = Draft::place(&wizard.facts.path);
    if missing.is_empty() {
        ui.label(
            RichText::new(format!("The card is written to {}", place.display())).small().color(theme::colors(ui).weak),
        );
    } else {
        note_ui(ui, &format!("Still to be said: {}", missing.join(", ")));
    }
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if ui.button("Cancel").clicked() {
            actions.push(Run::Wizard(action::Wizard::Close).into());
        }
        let ready = missing.is_empty() && wizard.facts.refused.is_none();
        let button = Button::new("Write the card and load").fill(theme::colors(ui).accent_dim);
        if ui.add_enabled(ready, button).clicked() {
            actions.push(Run::Wizard(action::Wizard::Write).into());
        }
    });
}
