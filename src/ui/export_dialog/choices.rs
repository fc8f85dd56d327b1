//! What the export dialog lets a person choose: kinds of files, how pictures are made, and the folder.

use std::path::PathBuf;

use egui::{
    Align, Checkbox, DragValue, Grid, Image, Layout as Row, Rect, RichText, Role, Sense, Spinner, TextEdit, Ui, Vec2,
    WidgetInfo, vec2,
};

use crate::export::{Annotation, Group, Kind, Layout, LeftOut, REPORT, Style};
use crate::session::action::{Action, View, Wanted};
use crate::session::exporting::Exporting;
use crate::settings::ExportChoices;
use crate::ui::widgets::meaning_ui;
use crate::ui::{textures, theme};

const PREVIEW: Vec2 = vec2(380.0, 200.0);
/// Of a pane, when a person first asks for a width of their own.
const FIRST_SIZE_PX: u32 = 480;

/// A tick for every kind there is, by group.
pub(super) fn kinds_ui(ui: &mut Ui, kinds: &mut Vec<Kind>) {
    for group in Group::ALL {
        ui.label(RichText::new(group.title()).color(theme::colors(ui).accent));
        for kind in Kind::ALL.into_iter().filter(|kind| kind.group() == group) {
            let mut ticked = kinds.contains(&kind);
            let response = ui.checkbox(&mut ticked, kind.title());
            meaning_ui(ui, response, &format!("{} ({})", kind.describe(), kind.names().join(", ")));
            if ticked != kinds.contains(&kind) {
                kinds.retain(|other| *other != kind);
                kinds.extend(ticked.then_some(kind));
            }
        }
        ui.add_space(4.0);
    }
    ui.label(
        RichText::new(format!("{REPORT}, the report of the run, is always written"))
            .small()
            .color(theme::colors(ui).weak),
    );
}

/// What pictures and animations show at the counterfactual, as they will be.
pub(super) fn preview_ui(ui: &mut Ui, dialog: &Exporting, layout: Layout) {
    let (room, response) = ui.allocate_exact_size(PREVIEW, Sense::hover());
    ui.painter().rect_filled(room, 0.0, theme::BLACK);
    let Some(picture) = dialog.preview.ready() else {
        if dialog.preview.running().is_some() {
            Spinner::new().paint_at(ui, Rect::from_center_size(room.center(), Vec2::splat(24.0)));
        }
        return;
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("Preview: {}", layout.describe())));
    let texture = textures::picture(ui.ctx(), "export preview", picture);
    let size = texture.size_vec2();
    let size = size * (room.size() / size).min_elem();
    Image::new((texture.id(), size)).paint_at(ui, Rect::from_center_size(room.center(), size));
}

pub(super) fn style_ui(ui: &mut Ui, choices: &mut ExportChoices) {
    let Style { size_px, fps, loops, layout, left_out } = &mut choices.style;
    Grid::new("export style").num_columns(2).spacing([12.0, 6.0]).show(ui, |ui| {
        ui.label("Layout");
        ui.horizontal(|ui| {
            for way in Layout::ALL {
                let button = ui.selectable_value(layout, way, way.title());
                meaning_ui(ui, button, way.describe());
            }
        });
        ui.end_row();
        ui.label("Slice");
        ui.horizontal(|ui| {
            let as_shown = &mut choices.as_shown;
            let button = ui.selectable_value(as_shown, false, "Most changed");
            meaning_ui(ui, button, "the slice that changed most, in the soft-tissue and the lung window");
            let button = ui.selectable_value(as_shown, true, "As shown");
            meaning_ui(
                ui,
                button,
                "the axial slice and the window that are shown now; what shows several slices takes the window alone",
            );
        });
        ui.end_row();
        size_ui(ui, size_px);
        ui.end_row();
        let label = ui.label("Steps a second");
        ui.add(DragValue::new(fps).range(Style::FPS).speed(0.1)).labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Loops of GIF, PNG");
        let words = |n: f64, _| if n == 0.0 { "without end".to_owned() } else { format!("{n}") };
        let number = |text: &str| text.trim().parse().ok().or((text.trim() == "without end").then_some(0.0));
        let value = DragValue::new(loops).range(Style::LOOPS).speed(0.1).custom_formatter(words).custom_parser(number);
        ui.add(value).labelled_by(label.id);
        ui.end_row();
        ui.label("Annotations");
        annotations_ui(ui, left_out);
        ui.end_row();
    });
}

fn annotations_ui(ui: &mut Ui, left_out: &mut LeftOut) {
    Grid::new("annotations").num_columns(3).show(ui, |ui| {
        for (n, annotation) in Annotation::ALL.into_iter().enumerate() {
            let mut shown = !left_out.has(annotation);
            let tick = ui.checkbox(&mut shown, annotation.title());
            meaning_ui(ui, tick, annotation.describe());
            left_out.set(annotation, !shown);
            if n % 3 == 2 {
                ui.end_row();
            }
        }
    });
}

/// A width for all, or each kind's own.
fn size_ui(ui: &mut Ui, size_px: &mut Option<u32>) {
    let mut own = size_px.is_some();
    let ticked = ui.add(Checkbox::new(&mut own, "Pane width"));
    let name = ticked.id;
    meaning_ui(ui, ticked, "of every picture and animation; unticked, each kind has a width of its own");
    *size_px = own.then(|| size_px.unwrap_or(FIRST_SIZE_PX));
    if let Some(size) = size_px {
        ui.add(DragValue::new(size).range(Style::SIZE_PX).suffix(" px")).labelled_by(name);
    } else {
        ui.label(RichText::new("each kind's own").color(theme::colors(ui).weak));
    }
}

pub(super) fn folder_ui(ui: &mut Ui, folder: &mut PathBuf, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let label = ui.label("Folder");
        ui.with_layout(Row::right_to_left(Align::Center), |ui| {
            let browse = ui.button("Browse…").on_hover_text("Choose with a dialog");
            browse.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Browse for the folder"));
            if browse.clicked() {
                actions.push(View::Ask(Wanted::ExportFolder).into());
            }
            let mut text = folder.display().to_string();
            let field = TextEdit::singleline(&mut text).hint_text("path of a folder").desired_width(f32::INFINITY);
            // A path that is no text stays as it is until someone types.
            if ui.add(field).labelled_by(label.id).changed() {
                *folder = PathBuf::from(text);
            }
        });
    });
}
