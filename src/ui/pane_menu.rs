//! What a right click on a picture offers.

use egui::{Response, Ui};

use crate::session::action::{Action, Export, Insert, Run, Sheet, View, Wanted};
use crate::session::model::Model;
use crate::session::view::Viewer;
use crate::session::view::arrange::Picture;

pub(super) fn pane_menu(
    response: &Response,
    picture: &Picture,
    model: &Model,
    viewer: &Viewer,
    actions: &mut Vec<Action>,
) {
    response.context_menu(|ui| {
        ui.menu_button("Window", |ui| windows_ui(ui, model, viewer, actions));
        ui.separator();
        let alone = viewer.display.maximised(picture.shown);
        let whole: [(&str, Vec<Action>); 4] = [
            ("This picture alone, or all", vec![View::Plane(picture.plane).into(), View::Display(alone).into()]),
            ("The whole slice", vec![View::Fit.into()]),
            ("Everything as at first", vec![View::Reset.into()]),
            ("Through the slices, or stop", vec![View::Plane(picture.plane).into(), View::Cine.into()]),
        ];
        offer(ui, whole, actions);
        ui.separator();
        offer(
            ui,
            [
                ("Copy the picture", vec![Export::CopyPicture.into()]),
                ("Save the picture…", vec![View::Ask(Wanted::Picture).into()]),
            ],
            actions,
        );
        offer(ui, [("Insert a finding…", vec![Run::Insert(Insert::Show).into()])], actions);
        if model.run.ready().is_some() {
            offer(ui, [("Export…", vec![View::Sheet(Sheet::Export).into()])], actions);
        }
    });
}

fn windows_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    for preset in &model.settings.presets.0 {
        if ui.selectable_label(viewer.window == preset.window, &preset.name).clicked() {
            actions.push(View::Window(preset.window).into());
            ui.close();
        }
    }
}

fn offer<const N: usize>(ui: &mut Ui, all: [(&str, Vec<Action>); N], actions: &mut Vec<Action>) {
    for (name, does) in all {
        if ui.button(name).clicked() {
            actions.extend(does);
            ui.close();
        }
    }
}
