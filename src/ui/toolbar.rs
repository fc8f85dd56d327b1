//! The row at the top: plane, window, and the whole slice again.

use egui::{Align, ComboBox, DragValue, Id, Layout as Row, RichText, Role, Ui, WidgetInfo};

use super::annotations::plane_name;
use super::hangings;
use super::measure;
use super::theme;
use crate::frame::display::{Changes, Display, ENDS, LARGEST_THRESHOLD_HU, Layout, MAPS, Shown, heatmap_title};
use crate::frame::{Plane, Sampling, Window};
use crate::latent_shift::HeatmapMethod;
use crate::session::Session;
use crate::session::action::{Action, Setting, Sheet, View, Which};
use crate::session::model::Model;
use crate::session::view::Viewer;
use crate::settings::{Mouse, Panels, Preset, Presets};

/// The height of the open list of presets, points: all that have keys, and the way to change them, without scrolling.
const LIST_HEIGHT: f32 = 420.0;
/// The width of the button for tools that do not fit, points.
const MORE_WIDTH: f32 = 40.0;

pub(super) fn toolbar_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let Session { model, view, .. } = session;
    ui.horizontal_centered(|ui| {
        ui.with_layout(Row::right_to_left(Align::Center), |ui| {
            let help = ui.button("?").on_hover_text("Keys, and what the mouse does (key ?)");
            help.widget_info(|| named(Role::Button, true, "Keys and mouse"));
            if help.clicked() {
                actions.push(View::Sheet(Sheet::Keys).into());
            }
            settings_ui(ui, session, actions);
            ui.with_layout(Row::left_to_right(Align::Center), |ui| tools_ui(ui, model, view, actions));
        });
    });
}

/// A group of tools that stay together.
type Group<'a> = Box<dyn FnMut(&mut Ui, &mut Vec<Action>) + 'a>;

/// What changes the pictures; there are none before there is a scan. Groups that do not fit stand in a menu at the end.
fn tools_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    let has_result = model.run.ready().is_some();
    let groups: [Group<'_>; 7] = [
        Box::new(|ui, actions| planes_ui(ui, viewer.plane, actions)),
        Box::new(|ui, actions| window_ui(ui, viewer.window, &model.settings.presets, actions)),
        Box::new(|ui, actions| {
            layouts_ui(ui, viewer.display, actions);
            hangings::menu_ui(ui, &model.settings.hangings, actions);
        }),
        Box::new(|ui, actions| show_ui(ui, viewer.display, has_result, actions)),
        Box::new(|ui, actions| measure::tools_ui(ui, viewer.measurements.tool, actions)),
        Box::new(fit_ui),
        Box::new(study_ui),
    ];
    ui.add_enabled_ui(model.scan.ready().is_some(), |ui| fitting_ui(ui, groups, actions));
}

/// The groups in a row as far as there is room, and the others in a menu. How wide each is, is known from when it was drawn last.
fn fitting_ui<const N: usize>(ui: &mut Ui, groups: [Group<'_>; N], actions: &mut Vec<Action>) {
    let id = Id::unique("widths of the tools");
    let mut widths: [f32; N] = ui.data(|data| data.get_temp(id)).unwrap_or([0.0; N]);
    let room = ui.available_width();
    let mut left = Vec::new();
    let mut taken = 0.0;
    for (at, mut group) in groups.into_iter().enumerate() {
        let behind = if at + 1 == N { 0.0 } else { MORE_WIDTH };
        if !left.is_empty() || taken + widths[at] + behind > room {
            left.push(group);
            continue;
        }
        let from = ui.cursor().left();
        group(ui, actions);
        widths[at] = ui.cursor().left() - from;
        taken += widths[at];
    }
    if !left.is_empty() {
        let more = ui.menu_button("»", |ui| left.iter_mut().for_each(|group| group(ui, actions)));
        more.response.widget_info(|| named(Role::Button, true, "More tools"));
    }
    ui.data_mut(|data| data.insert_temp(id, widths));
}

fn planes_ui(ui: &mut Ui, shown: Plane, actions: &mut Vec<Action>) {
    for (plane, key) in [(Plane::Axial, 'A'), (Plane::Coronal, 'C'), (Plane::Sagittal, 'S')] {
        let button = ui.selectable_label(shown == plane, plane_name(plane));
        if button.on_hover_text(format!("Key {key}")).clicked() {
            actions.push(View::Plane(plane).into());
        }
    }
    ui.separator();
}

fn fit_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    if ui.button("Fit").on_hover_text("Show the whole slice (key F)").clicked() {
        actions.push(View::Fit.into());
    }
}

/// The way into a reader study, which shows results that are kept.
fn study_ui(ui: &mut Ui, actions: &mut Vec<Action>) {
    let help = "A reader study: results shown blinded and in random order, with questions to a reader";
    if ui.button("Study…").on_hover_text(help).clicked() {
        actions.push(View::Sheet(Sheet::Study).into());
    }
}

fn window_ui(ui: &mut Ui, window: Window, presets: &Presets, actions: &mut Vec<Action>) {
    let at = presets.0.iter().position(|preset| preset.window == window);
    let shown = at.map_or("Own", |at| &presets.0[at].name);
    let list = ComboBox::from_id_salt("Window").width(110.0).height(LIST_HEIGHT).selected_text(shown);
    let list = list.show_ui(ui, |ui| {
        for (i, Preset { name, window }) in presets.0.iter().enumerate() {
            let key = if i < 9 { format!("{}  ", i + 1) } else { String::new() };
            let text = format!("{key}{name}  {} / {}", window.center_hu, window.width_hu);
            if ui.selectable_label(at == Some(i), text).clicked() {
                actions.push(View::Window(*window).into());
            }
        }
        ui.separator();
        if ui.button("Change the presets…").clicked() {
            actions.push(View::Sheet(Sheet::Presets).into());
        }
    });
    let enabled = ui.is_enabled();
    let info = || WidgetInfo { current_text_value: Some(shown.to_owned()), ..named(Role::ComboBox, enabled, "Window") };
    list.response.on_hover_text("Which HU are black and which are white").widget_info(info);
    let mut own = window;
    let center = DragValue::new(&mut own.center_hu).max_decimals(0).prefix("C ").suffix(" HU");
    let center = ui.add(center).on_hover_text("Centre of the window");
    center.widget_info(|| named(Role::SpinButton, enabled, "Centre"));
    let width = DragValue::new(&mut own.width_hu).range(1.0..=8000.0).max_decimals(0).prefix("W ").suffix(" HU");
    let width = ui.add(width).on_hover_text("Width of the window");
    width.widget_info(|| named(Role::SpinButton, enabled, "Width"));
    if own != window {
        actions.push(View::Window(own).into());
    }
    ui.separator();
}

fn named(role: Role, enabled: bool, name: &str) -> WidgetInfo {
    WidgetInfo::labeled(role, enabled, name)
}

/// How the panes are arranged.
fn layouts_ui(ui: &mut Ui, display: Display, actions: &mut Vec<Action>) {
    let mut new = display;
    for (layout, name, help) in [
        (Layout::Three, "Three", "Original, counterfactual and difference of one plane"),
        (Layout::Planes, "Planes", "Three planes of each, in rows (key G)"),
        (
            Layout::Single(Shown::Counterfactual),
            "Single",
            "One pane (double click on a picture); T shows the next volume",
        ),
        (
            Layout::Rows,
            "2 x 2",
            "Original and counterfactual above, difference and reconstruction below: for wide bodies",
        ),
        (
            Layout::Mpr(Shown::Counterfactual),
            "MPR",
            "Three planes of one volume, with the difference; T shows the next volume",
        ),
    ] {
        let on = std::mem::discriminant(&new.layout) == std::mem::discriminant(&layout);
        if ui.selectable_label(on, name).on_hover_text(help).clicked() {
            new.layout = layout;
        }
    }
    if new != display {
        actions.push(View::Display(new).into());
    }
}

/// What the panes show.
fn show_ui(ui: &mut Ui, display: Display, has_result: bool, actions: &mut Vec<Action>) {
    let mut new = display;
    ui.menu_button("Show", |ui| {
        ui.add_enabled_ui(has_result, |ui| {
            let help = "The sharp scan plus the difference, in place of what the autoencoder draws (key K)";
            ui.checkbox(&mut new.detail_kept, "Detail kept").on_hover_text(help);
            let help = "The difference on top of the counterfactual (key D)";
            ui.checkbox(&mut new.overlay, "Difference on the counterfactual").on_hover_text(help);
            let mut swipe = new.swipe.is_some();
            let help = "One pane, original at the left of a line, counterfactual at its right (key W)";
            if ui.checkbox(&mut swipe, "Swipe").on_hover_text(help).changed() {
                new = new.swiping(swipe);
            }
            ui.separator();
            changes_ui(ui, &mut new.changes);
            difference_ui(ui, &mut new);
            ui.separator();
        });
        let mut nearest = new.sampling == Sampling::Nearest;
        ui.checkbox(&mut nearest, "Voxels as squares").on_hover_text("No interpolation (key Q)");
        new.sampling = if nearest { Sampling::Nearest } else { Sampling::Linear };
        colors_ui(ui, &mut new);
        ui.checkbox(&mut new.inverted, "Inverted").on_hover_text("Dark where it is bright (key I)");
        ui.checkbox(&mut new.crosshair, "Crosshair").on_hover_text("Lines where the planes cross (key X)");
        let help = "Letters, scales and numbers on the pictures (key O); SYNTHETIC always stands there";
        ui.checkbox(&mut new.annotated, "Annotations").on_hover_text(help);
    });
    if new != display {
        actions.push(View::Display(new).into());
    }
}

/// What stands in the pane of the difference.
fn changes_ui(ui: &mut Ui, changes: &mut Changes) {
    let mut choice = |changes_to, name: &str, help: &str| {
        ui.radio_value(changes, changes_to, name).on_hover_text(help);
    };
    choice(Changes::Slice, "Difference", "Counterfactual minus reconstruction, at the lambda that is shown");
    let help = "The largest difference along the line of sight, through the whole patient (key V)";
    choice(Changes::Projection, "Largest difference through the patient", help);
    for method in HeatmapMethod::ALL {
        let help = match method {
            HeatmapMethod::Int => "Mean size of the difference between neighbouring steps (key H: the next heatmap)",
            HeatmapMethod::Mean => "Mean size of the difference from the reconstruction, over all steps",
            HeatmapMethod::MinMax => "Size of the difference between the first and the last step",
            HeatmapMethod::Max => "Largest size of the difference from the reconstruction, of all steps",
        };
        choice(Changes::Heatmap(method), heatmap_title(method), help);
    }
}

/// The colours of the volumes and of the difference.
fn colors_ui(ui: &mut Ui, new: &mut Display) {
    ui.horizontal(|ui| {
        ui.label("Colours");
        for (map, name) in MAPS {
            ui.radio_value(&mut new.map, map, name);
        }
    });
    ui.horizontal(|ui| {
        ui.label("Difference");
        for (ends, name) in ENDS {
            ui.radio_value(&mut new.ends, ends, name);
        }
    });
}

/// The threshold of the difference, and how opaque it is drawn.
fn difference_ui(ui: &mut Ui, new: &mut Display) {
    ui.horizontal(|ui| {
        let label = ui.label("Differences from");
        let value = DragValue::new(&mut new.threshold_hu)
            .range(0.0..=LARGEST_THRESHOLD_HU)
            .speed(1.0)
            .max_decimals(0)
            .suffix(" HU");
        ui.add(value).labelled_by(label.id);
    });
    ui.horizontal(|ui| {
        let label = ui.label("Opacity of the overlay");
        let mut percent = new.opacity * 100.0;
        let value = DragValue::new(&mut percent).range(5.0..=100.0).speed(1.0).max_decimals(0).suffix(" %");
        if ui.add(value).labelled_by(label.id).changed() {
            new.opacity = percent / 100.0;
        }
    });
}

fn settings_ui(ui: &mut Ui, session: &Session, actions: &mut Vec<Action>) {
    let settings = &session.model.settings;
    let (mut mouse, mut panels) = (settings.mouse, settings.panels);
    ui.menu_button("Settings", |ui| {
        ui.label(RichText::new("Mouse").small().color(theme::colors(ui).weak));
        let help = "Left drag: window; right drag: zoom";
        ui.radio_value(&mut mouse, Mouse::Pacs, "As in a PACS").on_hover_text(help);
        let help = "Left drag: where the planes cross; right drag: window";
        ui.radio_value(&mut mouse, Mouse::Research, "As in research viewers").on_hover_text(help);
        ui.separator();
        ui.label(RichText::new("Panels").small().color(theme::colors(ui).weak));
        let help = "For a room where scans are read";
        ui.radio_value(&mut panels, Panels::Dark, "Dark").on_hover_text(help);
        let help = "For a bright room; pictures, and what is around them, stay as they are";
        ui.radio_value(&mut panels, Panels::Light, "Light").on_hover_text(help);
        ui.separator();
        for (which, name, key) in
            [(Which::Steps, "Steps at the left", "Key F9"), (Which::Result, "Result at the right", "Key F10")]
        {
            let mut shown = session.shows(which);
            if ui.checkbox(&mut shown, name).on_hover_text(key).changed() {
                actions.push(View::Side(which).into());
            }
        }
        let mut patient = settings.patient_shown;
        let help = "Name, number, birth date, sex and day of the study, where the scan's files say them; never in a saved picture";
        if ui.checkbox(&mut patient, "Patient above the pictures").on_hover_text(help).changed() {
            actions.push(Setting::PatientShown(patient).into());
        }
    });
    if mouse != settings.mouse {
        actions.push(Setting::Mouse(mouse).into());
    }
    if panels != settings.panels {
        actions.push(Setting::Panels(panels).into());
    }
}
