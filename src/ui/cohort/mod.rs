//! The page of a cohort: its cases as a table, and the one that is chosen beside it.

mod details;
mod table;

use egui::{Align, Button, Context, Frame, Id, Key, Layout, Modal, Modifiers, ProgressBar, RichText, TextEdit, Ui};

use super::progress::progress_text;
use super::theme;
use super::widgets::error_ui;
use crate::session::action::{Action, Cohort as Act, Place, Sheet, View};
use crate::session::cohort::CohortTable;
use crate::session::cohort::table::Only;
use crate::session::model::Model;

const MARGIN: i8 = 12;
/// What stands beside the page takes so much of the window, points.
const BESIDE: [f32; 2] = [48.0, 150.0];
const DETAILS_SHARE: f32 = 0.34;
const GAP: f32 = 10.0;
const FIND_WIDTH: f32 = 170.0;

/// Opens the table, where a cohort is open.
pub(super) fn button_ui(ui: &mut Ui, cohort: &CohortTable, actions: &mut Vec<Action>) {
    if cohort.root().is_none() {
        return;
    }
    let help = "All cases of the cohort that is open";
    if ui.button("Table of cases…").on_hover_text(help).clicked() {
        actions.push(View::Sheet(Sheet::Cohort).into());
    }
}

pub(super) fn cohort_ui(ctx: &Context, model: &Model, cohort: &CohortTable, actions: &mut Vec<Action>) {
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let size = ctx.content_rect().size();
    let modal = Modal::new(Id::unique("cohort")).frame(frame).show(ctx, |ui| {
        ui.set_width(size.x - BESIDE[0]);
        let room = (size.y - BESIDE[1]).max(200.0);
        head_ui(ui, cohort, actions);
        let details = ((ui.available_width() - GAP) * DETAILS_SHARE).round();
        let left = ui.available_width() - GAP - details;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = GAP;
            ui.vertical(|ui| {
                ui.set_width(left);
                table::table_ui(ui, cohort, room, actions);
            });
            ui.vertical(|ui| {
                ui.set_width(details);
                details::details_ui(ui, model, cohort, room, actions);
            });
        });
        foot_ui(ui, cohort, actions);
    });
    keys(ctx, cohort, actions);
    if modal.should_close() {
        actions.push(View::Sheet(Sheet::Cohort).into());
    }
}

/// Up and down go from case to case; Enter opens the one that is chosen.
fn keys(ctx: &Context, cohort: &CohortTable, actions: &mut Vec<Action>) {
    if ctx.egui_wants_keyboard_input() {
        return;
    }
    let pressed = |key| ctx.input_mut(|input| input.count_and_consume_key(Modifiers::NONE, key)) as isize;
    let rows = pressed(Key::ArrowDown) - pressed(Key::ArrowUp) + 10 * (pressed(Key::PageDown) - pressed(Key::PageUp));
    if rows != 0 {
        actions.push(Act::Step(rows).into());
    }
    if ctx.memory(|memory| memory.focused().is_none())
        && pressed(Key::Enter) > 0
        && let Some(id) = &cohort.chosen
    {
        actions.push(Act::Open(id.clone()).into());
    }
}

/// What is shown of the cases.
fn head_ui(ui: &mut Ui, cohort: &CohortTable, actions: &mut Vec<Action>) {
    let root = cohort.root().map(|root| root.display().to_string()).unwrap_or_default();
    let name = cohort.root().and_then(|root| root.file_name()).map(|name| name.to_string_lossy().into_owned());
    ui.horizontal(|ui| {
        let title = format!("Cohort {}", name.unwrap_or_default());
        ui.label(RichText::new(title).heading().color(theme::colors(ui).strong)).on_hover_text(root);
        for only in Only::ALL {
            let count = cohort.cases.all.iter().filter(|case| only.holds(case)).count();
            let text = format!("{} {count}", only.title());
            if ui.selectable_label(cohort.only == only, text).clicked() {
                actions.push(Act::Only(only).into());
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let mut find = cohort.find.clone();
            let field = TextEdit::singleline(&mut find).id(Id::unique("find a case")).hint_text("id, site, target …");
            let field = ui.add(field.desired_width(FIND_WIDTH));
            let label = ui.label("Find");
            field.labelled_by(label.id);
            if find != cohort.find {
                actions.push(Act::Find(find).into());
            }
        });
    });
    ui.add_space(2.0);
}

fn foot_ui(ui: &mut Ui, cohort: &CohortTable, actions: &mut Vec<Action>) {
    error_ui(ui, cohort.error(), Place::Cohort, actions);
    ui.horizontal(|ui| {
        if let Some(monitor) = cohort.reading() {
            let progress = monitor.progress();
            let bar = ProgressBar::new(progress.and_then(|p| p.fraction()).unwrap_or(0.0)).animate(false);
            let text = progress.map_or_else(String::new, |p| format!("{} {}", p.phase, progress_text(&p)));
            ui.add(bar.text(text).desired_width(320.0).desired_height(ui.spacing().interact_size.y));
        } else {
            let text = "A click shows a case; a click on its picture or name, or Enter, opens it";
            ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.button("Close").clicked() {
                actions.push(View::Sheet(Sheet::Cohort).into());
            }
            let (text, act) = match cohort.reading() {
                Some(_) => ("Stop reading", Act::Stop),
                None => ("Read again", Act::Again),
            };
            let button = ui.add(Button::new(text));
            if button.on_hover_text("Other processes may go on with the cohort").clicked() {
                actions.push(act.into());
            }
        });
    });
}
