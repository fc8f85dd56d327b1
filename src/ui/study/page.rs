//! What a reader sees: the pictures of one case, the tools to look at them, and the questions beside them.

use egui::{
    CentralPanel, ComboBox, Frame, Label, Margin, Panel, Rect, RichText, Role, ScrollArea, Sense, Slider, Stroke,
    Theme, Ui, WidgetInfo, pos2, vec2,
};

use super::questions::questions_ui;
use crate::frame::Plane;
use crate::frame::display::Layout;
use crate::io::counted;
use crate::session::Session;
use crate::session::action::{Action, Measure, Place, Run, Study, View};
use crate::session::study::StudyPage;
use crate::session::view::Viewer;
use crate::session::view::arrange::Picture;
use crate::session::view::marks::is_shown;
use crate::settings::{Mouse, Presets};
use crate::study::{Answer, Pane, Reading};
use crate::ui::annotations::plane_name;
use crate::ui::places::point_at;
use crate::ui::progress::progress_text;
use crate::ui::widgets::{error_ui, scroll_to_focus};
use crate::ui::{navigate, panes, theme};
use crate::volume::Grid;

const QUESTIONS_WIDTH: f32 = 330.0;
/// Panes of the page; those of the window, and their lenses, have lower numbers.
const FIRST_PANE: u64 = 1 << 33;
const NOTICE: &str = "Research use only. Not for diagnosis.";

/// The page of a study, in the place of all panels.
pub(in crate::ui) fn page_ui(ui: &mut Ui, session: &Session, drawable: bool, actions: &mut Vec<Action>) {
    let page = &session.study;
    let Some(reading) = &page.reading else { return };
    let settings = &session.model.settings;
    Panel::top("study tools").exact_size(40.0).show(ui, |ui| {
        ui.horizontal_centered(|ui| tools_ui(ui, page, reading, &settings.presets, actions));
    });
    Panel::bottom("study notice").exact_size(26.0).show(ui, |ui| {
        ui.label(RichText::new(NOTICE).small().color(theme::colors(ui).amber));
    });
    Panel::right("study questions").exact_size(QUESTIONS_WIDTH).resizable(false).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            for note in &reading.notes {
                ui.label(RichText::new(note).small().color(theme::colors(ui).amber));
            }
            if reading.is_shown() {
                questions_ui(ui, page, reading, actions);
            }
            error_ui(ui, page.error(), Place::Study, actions);
            scroll_to_focus(ui);
        });
    });
    if let Some((scan, _)) = page.case() {
        let grid = scan.layers.scan.grid;
        Panel::bottom("study slices").show(ui, |ui| slices_ui(ui, &page.viewer, &grid, actions));
    }
    let frame = Frame::new().fill(theme::DARK.background).inner_margin(Margin::ZERO);
    CentralPanel::default().frame(frame).show(ui, |ui| {
        ui.set_style(ui.ctx().style_of(Theme::Dark)); // what is around pictures is dark in every theme
        if page.case().is_some() && drawable {
            pictures_ui(ui, page, reading, settings.mouse, actions);
        } else {
            words_ui(ui, page, reading, actions);
        }
    });
}

/// Where the reader is, how the pictures are looked at, which are seen, and the way out.
fn tools_ui(ui: &mut Ui, page: &StudyPage, reading: &Reading, presets: &Presets, actions: &mut Vec<Action>) {
    ui.label(RichText::new(&reading.study.name).color(theme::colors(ui).strong));
    let [at, of] = reading.position();
    if reading.case().is_some() {
        ui.label(format!("case {at} of {of}"));
    }
    if let Some(target) = page.target() {
        ui.label(RichText::new(target).color(theme::colors(ui).accent));
    }
    ui.separator();
    if reading.is_shown() {
        let viewer = &page.viewer;
        for plane in [Plane::Axial, Plane::Coronal, Plane::Sagittal] {
            if ui.selectable_label(viewer.plane == plane, plane_name(plane)).clicked() {
                actions.push(View::Plane(plane).into());
            }
        }
        window_ui(ui, viewer, presets, actions);
        if ui.button("Fit").on_hover_text("Show the whole slice (key F)").clicked() {
            actions.push(View::Fit.into());
        }
        ui.separator();
        for (pane, name, help) in [
            (Pane::Original, "Original", "The scan"),
            (Pane::Counterfactual, "Counterfactual", "What the networks made of it"),
            (Pane::Difference, "Difference", "What changed; asking for it is written down (key D)"),
        ] {
            if ui.selectable_label(reading.sees(pane), name).on_hover_text(help).clicked() {
                actions.push(Run::Study(Study::Turn(pane)).into());
            }
        }
        ui.separator();
    }
    if ui.button("Leave the study").on_hover_text("Answers stay; the same code goes on here").clicked() {
        actions.push(Run::Study(Study::Leave).into());
    }
}

fn window_ui(ui: &mut Ui, viewer: &Viewer, presets: &Presets, actions: &mut Vec<Action>) {
    let at = presets.0.iter().position(|preset| preset.window == viewer.window);
    let shown = at.map_or("Own", |at| &presets.0[at].name);
    let list = ComboBox::from_id_salt("Study window").width(110.0).selected_text(shown).show_ui(ui, |ui| {
        for (i, preset) in presets.0.iter().enumerate() {
            if ui.selectable_label(at == Some(i), &preset.name).clicked() {
                actions.push(View::Window(preset.window).into());
            }
        }
    });
    list.response.widget_info(|| WidgetInfo {
        current_text_value: Some(shown.to_owned()),
        ..WidgetInfo::labeled(Role::ComboBox, true, "Window")
    });
}

/// The slice, by keyboard and by hand. How much each slice changed is not shown.
fn slices_ui(ui: &mut Ui, viewer: &Viewer, grid: &Grid, actions: &mut Vec<Action>) {
    const VALUE_WIDTH: f32 = 110.0;
    let camera = viewer.camera(grid, viewer.plane);
    let (mut slice, slices) = (camera.slice(grid) + 1, camera.slices(grid));
    ui.horizontal(|ui| {
        let label = ui.label("Slice");
        ui.spacing_mut().slider_width = (ui.available_width() - VALUE_WIDTH).max(80.0);
        if ui.add(Slider::new(&mut slice, 1..=slices).show_value(false)).labelled_by(label.id).changed() {
            actions.push(View::Slice(slice - 1).into());
        }
        ui.label(format!("{slice} of {slices}"));
    });
}

/// What is said while there is no picture: the case comes, cannot come, or was the last.
fn words_ui(ui: &mut Ui, page: &StudyPage, reading: &Reading, actions: &mut Vec<Action>) {
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.35).max(20.0));
        if reading.case().is_none() {
            let count = counted(reading.position()[1], "case");
            let text = format!("All of {count} are read. Thank you.");
            ui.label(RichText::new(text).heading().color(theme::colors(ui).strong));
            ui.label(format!("The answers lie in {}", reading.answers_path().display()));
        } else if let Some(monitor) = page.opening() {
            let far = monitor.progress().map(|progress| progress_text(&progress)).unwrap_or_default();
            ui.label(RichText::new("Opening the case…").heading().color(theme::colors(ui).strong));
            ui.label(RichText::new(far).small().color(theme::colors(ui).weak));
        } else if let Some(error) = page.case_error() {
            let text = format!("The case cannot be opened: {}", crate::pipeline::in_words(error));
            ui.add(Label::new(RichText::new(text).color(theme::colors(ui).red)));
            if ui.button("Try again").clicked() {
                actions.push(Run::Study(Study::Again).into());
            }
        }
    });
}

/// The pictures side by side, linked, with the marks of the case on them.
fn pictures_ui(ui: &mut Ui, page: &StudyPage, reading: &Reading, mouse: Mouse, actions: &mut Vec<Action>) {
    let Some((scan, _)) = page.case() else { return };
    let (grid, viewer, pictures) = (scan.layers.scan.grid, &page.viewer, page.pictures());
    let all = ui.available_rect_before_wrap();
    ui.allocate_rect(all, Sense::hover());
    let rects = columns(all, pictures.len(), ui.pixels_per_point());
    if let Some(rect) = rects.first() {
        let pixels = (rect.size() * ui.ctx().pixels_per_point()).round();
        let pixels = [(pixels.x as u32).max(1), (pixels.y as u32).max(1)];
        if viewer.pane_px != pixels {
            actions.push(View::PaneSize(pixels).into());
        }
    }
    for ((pane, picture), rect) in pictures.iter().zip(rects) {
        let response = ui.interact(rect, ui.scope_id().with(("study pane", *pane as u64)), Sense::click_and_drag());
        let camera = viewer.camera(&grid, picture.plane);
        panes::name(&response, picture, &camera, &grid, Layout::Three);
        panes::draw(ui, rect, FIRST_PANE + *pane as u64, picture, (&camera, &grid), viewer.display.annotated, None);
        marks(ui, rect, *pane, picture, page, reading, &grid);
        let mut done = Vec::new();
        navigate::Pane { response: &response, picture, viewer, grid: &grid, mouse }.act(ui, &mut done);
        // What is drawn here is an answer, and no measurement.
        actions.extend(done.into_iter().map(|action| match action {
            Action::Measure(Measure::Add(drawn)) => Run::Study(Study::Drawn(*pane, drawn)).into(),
            other => other,
        }));
    }
}

/// Equal panes beside each other, on whole pixels.
fn columns(all: Rect, count: usize, pixels_per_point: f32) -> Vec<Rect> {
    let whole = |points: f32| (points * pixels_per_point).floor() / pixels_per_point;
    let width = whole((all.width() - theme::GAP * count.saturating_sub(1) as f32) / count.max(1) as f32);
    let left = |at: usize| whole(all.left() + at as f32 * (width + theme::GAP));
    (0..count).map(|at| Rect::from_min_size(pos2(left(at), all.top()), vec2(width, all.height()))).collect()
}

/// The mark that is being drawn, and those that answer questions about this picture.
fn marks(ui: &Ui, rect: Rect, pane: Pane, picture: &Picture, page: &StudyPage, reading: &Reading, grid: &Grid) {
    let viewer = &page.viewer;
    let answers = (0..reading.study.questions.len()).filter_map(|at| reading.answer_to(at));
    let kept = answers.filter_map(|answer| match answer {
        Answer::Region(mark) if mark.pane == pane => Some(mark.measurement()),
        _ => None,
    });
    let painter = ui.painter_at(rect);
    for drawn in kept.chain(viewer.measurements.draft) {
        if is_shown(&drawn, picture.plane, viewer, grid) {
            let point = |place| point_at(viewer, picture.plane, grid, rect, place, ui.ctx().pixels_per_point());
            let line: Vec<_> = drawn.shape.outline().into_iter().map(point).collect();
            painter.line(line.clone(), Stroke::new(3.5, theme::BLACK));
            painter.line(line, Stroke::new(1.5, theme::DARK.amber));
        }
    }
}
