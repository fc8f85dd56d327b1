//! The hangings, which are kept by name: chosen from a menu, and changed in a list.

use egui::{Align2, Button, Context, Grid, RichText, Role, TextEdit, Ui, WidgetInfo, Window};

use super::theme;
use crate::session::action::{Action, Setting, Sheet, View};
use crate::session::view::Viewer;
use crate::settings::{Hanging, Hangings, MOST_HANGINGS};

const NAME_SIZE: [f32; 2] = [190.0, 24.0];

/// The menu of the hangings.
pub(super) fn menu_ui(ui: &mut Ui, hangings: &Hangings, actions: &mut Vec<Action>) {
    let menu = ui.menu_button("Hanging", |ui| {
        for (at, hanging) in hangings.0.iter().enumerate() {
            if ui.button(&hanging.name).clicked() {
                actions.push(View::Hang(at).into());
                ui.close();
            }
        }
        ui.separator();
        if ui.button("Keep or change hangings…").clicked() {
            actions.push(View::Sheet(Sheet::Hangings).into());
            ui.close();
        }
    });
    menu.response.on_hover_text("Plane, window, panes and colours by name");
}

/// The list of the hangings.
pub(super) fn hangings_ui(ctx: &Context, hangings: &Hangings, viewer: &Viewer, actions: &mut Vec<Action>) {
    let (mut open, mut new) = (true, hangings.clone());
    let window = Window::new("Hangings").open(&mut open).collapsible(false).anchor(Align2::CENTER_CENTER, [0.0; 2]);
    window.show(ctx, |ui| {
        list_ui(ui, &mut new.0, viewer);
        ui.horizontal(|ui| {
            if ui.add_enabled(new.0.len() < MOST_HANGINGS, Button::new("Keep what is shown")).clicked() {
                new.0.push(Hanging::of("Own hanging", viewer.plane, viewer.window, viewer.display));
            }
            if ui.button("All as at first").clicked() {
                new = Hangings::default();
            }
        });
        let help = "A new result of a class whose name holds the words under \"For results of\" is shown so.";
        ui.label(RichText::new(help).small().color(theme::colors(ui).weak));
    });
    if new != *hangings {
        actions.push(Setting::Hangings(new).into());
    }
    if !open {
        actions.push(View::Sheet(Sheet::Hangings).into());
    }
}

fn list_ui(ui: &mut Ui, hangings: &mut Vec<Hanging>, viewer: &Viewer) {
    let mut removed = None;
    Grid::new("hangings").num_columns(4).show(ui, |ui| {
        let weak = theme::colors(ui).weak;
        let head = ["Name", "For results of"].map(|name| ui.label(RichText::new(name).color(weak)).id);
        ui.end_row();
        for (at, hanging) in hangings.iter_mut().enumerate() {
            ui.add_sized(NAME_SIZE, TextEdit::singleline(&mut hanging.name)).labelled_by(head[0]);
            let target = TextEdit::singleline(&mut hanging.target).hint_text("no class: by hand");
            ui.add_sized(NAME_SIZE, target).labelled_by(head[1]);
            let take = ui.button("Take what is shown");
            take.widget_info(|| {
                WidgetInfo::labeled(Role::Button, true, format!("Take what is shown as {}", hanging.name))
            });
            if take.clicked() {
                let shown = Hanging::of(&hanging.name, viewer.plane, viewer.window, viewer.display);
                *hanging = Hanging { target: hanging.target.clone(), ..shown };
            }
            let remove = ui.button("Remove");
            remove.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Remove {}", hanging.name)));
            if remove.clicked() {
                removed = Some(at);
            }
            ui.end_row();
        }
    });
    if let Some(at) = removed {
        hangings.remove(at);
    }
}
