//! Whether the scan and the networks fit: a line of one height, whatever is known, that unfolds to all that is known and to the check
//! of the reconstruction.

use egui::collapsing_header::paint_default_icon;
use egui::{
    Button, Color32, Id, ProgressBar, Rect, RichText, Role, Sense, Spinner, TextStyle, TextWrapMode, Ui, WidgetInfo,
    WidgetText, pos2, vec2,
};

use super::notes::{notes_ui, sign_ui, weighed_ui};
use super::progress::progress_text;
use super::theme;
use super::widgets::{FOLD_SIZE, error_ui, focus_frame, meaning_ui};
use crate::fit::words::Told;
use crate::io::{Note, Weight, counted};
use crate::job::duration;
use crate::pipeline;
use crate::session::action::{Action, Place, Run};
use crate::session::model::Model;

/// A serious note above the button that starts a run has so many lines at most; the rest of it is shown on hover.
const SERIOUS_LINES: usize = 3;

pub(super) fn fit_panel_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let told = model.fit_told();
    ui.add_space(2.0);
    let was_open = is_open(ui);
    line_ui(ui, &line(model, &told));
    if !is_open(ui) {
        return;
    }
    let notes: Vec<Note> = told.into_iter().map(|told| told.note).collect();
    let unfolded = ui.scope(|ui| {
        notes_ui(ui, &notes, "on the fit");
        error_ui(ui, model.fitting.error(), Place::Fit, actions);
        reconstruction_ui(ui, model, actions);
    });
    if !was_open {
        unfolded.response.scroll_to_me(None); // it may lie below the edge
    }
}

/// What a run should not begin without, if there is such a thing; it stands above the button that starts one.
pub(super) fn serious_ui(ui: &mut Ui, model: &Model) {
    let failed = model.fitting.error().map(|error| Note::serious(pipeline::in_words(error)));
    let worst = failed.or_else(|| model.fit_told().into_iter().map(|told| told.note).next());
    if let Some(note) = worst.filter(|note| note.weight == Weight::Serious) {
        weighed_ui(ui, &note, SERIOUS_LINES);
    }
}

/// The line of the fit while it is folded.
struct Line {
    /// How much it matters; nothing while nothing is known.
    weight: Option<Weight>,
    text: String,
    /// All of what the text says in short.
    meaning: String,
    at_work: bool,
}

fn line(model: &Model, told: &[Told]) -> Line {
    let fitting = &model.fitting;
    let quiet = |text: &str, at_work| Line {
        weight: None,
        text: text.to_owned(),
        meaning: "Which part of the body the networks see, how its HU lie, how long a run takes and how much memory"
            .to_owned(),
        at_work,
    };
    if fitting.fit.running().is_some() {
        return quiet("Fit: looking…", true);
    }
    if fitting.kept.running().is_some() {
        return quiet("Fit: checking the reconstruction…", true);
    }
    if let Some(error) = model.fitting.error() {
        let text = pipeline::in_words(error);
        return Line {
            weight: Some(Weight::Serious),
            text: format!("Fit: not known, {text}"),
            meaning: text,
            at_work: false,
        };
    }
    let Some(worst) = told.first() else { return quiet(model.fit_waits(), false) };
    let Note { weight, text } = &worst.note;
    let notes = told.iter().filter(|told| told.note.weight != Weight::Fact).count();
    let short = if *weight == Weight::Fact {
        let run = model.run_secs().map_or_else(String::new, |secs| match secs {
            few if few < 1.0 => ", under 1 s a run".to_owned(),
            secs => format!(", about {} a run", duration(secs)),
        });
        format!("Fits this scan{run}")
    } else {
        format!("Fit: {}, {}; {}", weight.word().to_lowercase(), worst.short, counted(notes, "note"))
    };
    Line {
        weight: Some(*weight),
        text: short,
        meaning: format!("{text}. A click shows all that is known"),
        at_work: false,
    }
}

fn open_id() -> Id {
    Id::unique("fit is open")
}

fn is_open(ui: &Ui) -> bool {
    ui.data(|data| data.get_temp(open_id())).unwrap_or(false)
}

/// A sign, words cut to the width, and the icon of what unfolds at a click.
fn line_ui(ui: &mut Ui, line: &Line) {
    let size = vec2(ui.available_width(), ui.spacing().interact_size.y);
    let (rect, button) = ui.allocate_exact_size(size, Sense::click());
    let name = &line.text;
    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    let open = is_open(ui) != button.clicked();
    ui.data_mut(|data| data.insert_temp(open_id(), open));
    let colors = theme::colors(ui);
    let color = match line.weight {
        Some(Weight::Serious) => colors.red,
        Some(Weight::Caution) => colors.amber,
        Some(Weight::Fact) => colors.text,
        None => colors.weak,
    };
    let middle = rect.center().y;
    let mut left = rect.left();
    if line.at_work || line.weight.is_some() {
        let square = Rect::from_center_size(pos2(left + 0.5 * FOLD_SIZE, middle), vec2(FOLD_SIZE, FOLD_SIZE));
        match line.weight {
            Some(weight) => sign_ui(ui, square, weight, color),
            None => Spinner::new().paint_at(ui, square.shrink(1.0)),
        }
        left = square.right() + ui.spacing().item_spacing.x;
    }
    let icon = Rect::from_center_size(pos2(rect.right() - 0.5 * FOLD_SIZE, middle), vec2(FOLD_SIZE, FOLD_SIZE));
    paint_default_icon(ui, if open { 1.0 } else { 0.0 }, &button.clone().with_new_rect(icon));
    let room = (icon.left() - left).max(0.0);
    let text = WidgetText::from(RichText::new(name).color(color));
    let galley = text.into_galley(ui, Some(TextWrapMode::Truncate), room, TextStyle::Small);
    let at = pos2(left, middle - 0.5 * galley.size().y);
    ui.painter().galley(at, galley, Color32::PLACEHOLDER);
    if open {
        focus_frame(ui, &button); // the meaning would lie over the first note, which says it
    } else {
        meaning_ui(ui, button, &line.meaning);
    }
}

/// What the autoencoder makes of the scan, where someone asks for it.
fn reconstruction_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let (fit, kept) = (&model.fitting.fit, &model.fitting.kept);
    if model.autoencoder.ready().is_none() || model.scan.ready().is_none() {
        return;
    }
    if let Some(monitor) = kept.running() {
        let progress = monitor.progress();
        let (phase, fraction) = progress.map_or(("waiting", None), |p| (p.phase, p.fraction()));
        let text = progress.map_or_else(String::new, |progress| progress_text(&progress));
        ui.label(RichText::new(phase).small().color(theme::colors(ui).weak));
        ui.add(ProgressBar::new(fraction.unwrap_or(0.0)).animate(false).text(text));
        if ui.button("Stop the check").clicked() {
            actions.push(Run::StopReconstruction.into());
        }
    } else if kept.ready().is_none() {
        let can = model.run.running().is_none() && fit.running().is_none();
        let hover = "Sends the scan through the autoencoder and the classifier: PSNR, slope, offset, and the score before and after. It takes \
                     about as long as the beginning of a run";
        let button = ui.add_enabled(can, Button::new("Check the reconstruction"));
        if button.on_hover_text(hover).on_disabled_hover_text("It waits for the work that goes on").clicked() {
            actions.push(Run::CheckReconstruction.into());
        }
    }
}
