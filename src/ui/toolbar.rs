//! The row at the top: plane, window, and the whole slice again.

use eframe::egui::{ComboBox, DragValue, Ui};

use super::action::Action;
use super::panes::plane_name;
use super::session::Session;
use super::viewer::Viewer;
use crate::frame::{PRESETS, Plane, Window};

pub(super) fn toolbar_ui(ui: &mut Ui, session: &Session, viewer: &Viewer, actions: &mut Vec<Action>) {
    ui.add_enabled_ui(session.scan.ready().is_some(), |ui| {
        ui.horizontal_centered(|ui| {
            for (plane, key) in [(Plane::Axial, 'A'), (Plane::Coronal, 'C'), (Plane::Sagittal, 'S')] {
                let button = ui.selectable_label(viewer.plane == plane, plane_name(plane));
                if button.on_hover_text(format!("Key {key}")).clicked() {
                    actions.push(Action::Plane(plane));
                }
            }
            ui.separator();
            window_ui(ui, viewer.window, actions);
            ui.separator();
            if ui.button("Fit").on_hover_text("Show the whole slice (double click)").clicked() {
                actions.push(Action::Fit);
            }
        });
    });
}

fn window_ui(ui: &mut Ui, window: Window, actions: &mut Vec<Action>) {
    let preset = PRESETS.iter().position(|(_, preset)| *preset == window);
    let mut chosen = preset;
    ComboBox::from_label("Window").width(120.0).selected_text(preset.map_or("Own", |i| PRESETS[i].0)).show_ui(
        ui,
        |ui| {
            for (i, (name, preset)) in PRESETS.iter().enumerate() {
                let text = format!("{}  {name}  {} / {}", i + 1, preset.center_hu, preset.width_hu);
                ui.selectable_value(&mut chosen, Some(i), text);
            }
        },
    );
    if let Some(i) = chosen.filter(|_| chosen != preset) {
        actions.push(Action::Window(PRESETS[i].1));
    }
    let mut own = window;
    let label = ui.label("Centre");
    ui.add(DragValue::new(&mut own.center_hu).max_decimals(0).suffix(" HU")).labelled_by(label.id);
    let label = ui.label("Width");
    ui.add(DragValue::new(&mut own.width_hu).range(1.0..=8000.0).max_decimals(0).suffix(" HU")).labelled_by(label.id);
    if own != window {
        actions.push(Action::Window(own));
    }
}
