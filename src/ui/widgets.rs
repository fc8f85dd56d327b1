//! Small pieces that several panels share.

use std::path::{Path, PathBuf};

use egui::collapsing_header::paint_default_icon;
use egui::{
    Align, Align2, Button, CollapsingHeader, Color32, Context, Id, Key, Layout, Memory, Painter, Pos2, Response,
    RichText, Role, Sense, Stroke, StrokeKind, TextEdit, Ui, Vec2, WidgetInfo,
};

use super::theme;
use crate::pipeline;
use crate::session::action::{Action, Place, Run};

/// A window lower than this has no room for all steps at once, points.
const LOW: f32 = 760.0;
/// The side of a sign, and of the icon beside what unfolds, points.
pub(super) const FOLD_SIZE: f32 = 16.0;
/// How wide the bar is that scrolls a panel, points.
const SCROLL_BAR: f32 = 10.0;

/// What a person did with a path field.
pub(super) enum Chosen {
    Path(PathBuf),
    Browse,
}

/// What is typed, and the path that was there when it was.
#[derive(Clone, Default)]
struct Draft {
    text: String,
    seen: Option<PathBuf>,
}

/// A named field for a path, taken on Enter or by a button called `take`, with another button for the dialog. What was typed
/// stays until another path is chosen.
pub(super) fn path_field_ui(
    ui: &mut Ui,
    name: &str,
    take: Option<&str>,
    hint: &str,
    current: Option<&Path>,
) -> Option<Chosen> {
    let id = path_field(name);
    let mut draft: Draft = ui.data_mut(|data| data.get_temp(id)).unwrap_or_default();
    if draft.seen.as_deref() != current {
        draft = Draft {
            text: current.map(|p| p.display().to_string()).unwrap_or_default(),
            seen: current.map(Path::to_owned),
        };
    }
    let mut chosen = None;
    let label = ui.label(RichText::new(name).small().color(theme::colors(ui).weak));
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let browse = ui.button("Browse…").on_hover_text(format!("Choose with a dialog: {}", name.to_lowercase()));
            browse
                .widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Browse for {}", name.to_lowercase())));
            if browse.clicked() {
                chosen = Some(Chosen::Browse);
            }
            let field = TextEdit::singleline(&mut draft.text).id(id.with("text")).hint_text(hint.to_owned());
            let field = ui.add(field.desired_width(f32::INFINITY)).labelled_by(label.id);
            let text = draft.text.trim();
            if field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) && !text.is_empty() {
                chosen = Some(Chosen::Path(PathBuf::from(text)));
            }
            if !field.has_focus() && !text.is_empty() {
                field.on_hover_text(text);
            }
        });
    });
    let text = draft.text.trim();
    if let Some(take) = take
        && ui.add_enabled(!text.is_empty(), Button::new(take)).clicked()
    {
        chosen = Some(Chosen::Path(PathBuf::from(text)));
    }
    ui.data_mut(|data| data.insert_temp(id, draft));
    chosen
}

/// Puts the cursor into the field of a path, by its name.
pub(super) fn focus_path_field(ctx: &Context, name: &str) {
    ctx.memory_mut(|memory| memory.request_focus(path_field(name).with("text")));
}

fn path_field(name: &str) -> Id {
    Id::unique(("path field", name))
}

/// Lets what follows end left of the bar that scrolls the panel, whether it is there or not: it lies over the contents, and takes the
/// clicks of what is below it.
pub(super) fn clear_of_scroll_bar(ui: &mut Ui) {
    ui.set_max_width(ui.available_width() - SCROLL_BAR);
}

/// Lets what follows in a row stand nearer to each other: the narrowest panel has no room for more.
pub(super) fn close_together(ui: &mut Ui) {
    ui.spacing_mut().item_spacing.x = 3.0;
    ui.spacing_mut().button_padding.x = 4.0;
    ui.spacing_mut().interact_size.x = 28.0; // a number of two digits
}

/// A heading with its number, as the steps of the work are counted.
fn heading_ui(ui: &mut Ui, number: usize, title: &str) {
    ui.label(RichText::new(number.to_string()).heading().color(theme::colors(ui).accent));
    ui.label(RichText::new(title).heading().color(theme::colors(ui).strong));
}

/// How a step folds to a line or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// There is something to do in it.
    Never,
    ByHand,
    /// The step folds by itself in a low window, until someone opens it: there is no room for all steps.
    WhereLow,
    /// The step folds by itself, until someone opens it: there is a result, and pictures come first.
    WithResult,
}

/// Whether the window has no room for everything at once.
pub(super) fn is_low(ui: &Ui) -> bool {
    ui.ctx().content_rect().height() < LOW
}

/// The heading of a step that may fold, and whether it is open. What a person chose before there was a result says nothing of after.
pub(super) fn folding_heading_ui(ui: &mut Ui, number: usize, title: &str, fold: Fold) -> bool {
    let id = Id::unique(("step is open", number, fold == Fold::WithResult));
    let chosen: Option<bool> = ui.data(|data| data.get_temp(id));
    let low = is_low(ui);
    let by_itself = match fold {
        Fold::Never | Fold::ByHand => true,
        Fold::WhereLow => !low,
        Fold::WithResult => false,
    };
    let open = fold == Fold::Never || chosen.unwrap_or(by_itself);
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        heading_ui(ui, number, title);
        if fold == Fold::Never {
            return;
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let (_, button) = ui.allocate_exact_size(Vec2::splat(FOLD_SIZE), Sense::click());
            paint_default_icon(ui, if open { 1.0 } else { 0.0 }, &button);
            let name = format!("{} {}", if open { "Fold" } else { "Unfold" }, title.to_lowercase());
            button.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
            if button.clicked() {
                ui.data_mut(|data| data.insert_temp(id, !open));
            }
            meaning_ui(ui, button, &name);
        });
    });
    open
}

/// A part that folds.
pub(super) fn section_ui(ui: &mut Ui, title: &str, open: bool, contents: impl FnOnce(&mut Ui)) {
    let title = RichText::new(title).heading().color(theme::colors(ui).strong);
    CollapsingHeader::new(title).default_open(open).show_unindented(ui, contents);
}

/// An error in its place: what, where, what to do; to copy, and to put away.
pub(super) fn error_ui(ui: &mut Ui, error: Option<&anyhow::Error>, place: Place, actions: &mut Vec<Action>) {
    let Some(error) = error else { return };
    let text = pipeline::in_words(error);
    ui.label(RichText::new(&text).color(theme::colors(ui).red));
    ui.horizontal(|ui| {
        if ui.small_button("Copy").clicked() {
            ui.copy_text(text);
        }
        if ui.small_button("Dismiss").clicked() {
            actions.push(Run::DismissError(place).into());
        }
    });
}

/// A warning or note in words.
pub(super) fn note_ui(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).small().color(theme::colors(ui).amber));
}

/// Text on a picture, readable on any grey: dark all around.
pub(super) fn ink(painter: &Painter, at: Pos2, anchor: Align2, text: &str, color: Color32) {
    for x in [-1.0, 0.0, 1.0] {
        for y in [-1.0, 0.0, 1.0] {
            painter.text(at + Vec2::new(x, y), anchor, text, theme::small(), theme::BLACK);
        }
    }
    painter.text(at, anchor, text, theme::small(), color);
}

/// Text on a plate, readable on anything.
pub(super) fn plate(painter: &Painter, at: Pos2, anchor: Align2, text: &str, color: Color32) {
    let galley = painter.layout_no_wrap(text.to_owned(), theme::small(), color);
    let place = anchor.anchor_size(at, galley.size());
    painter.rect_filled(place.expand2(Vec2::new(4.0, 1.0)), 3.0, theme::PLATE);
    painter.galley(place.min, galley, color);
}

/// The size of a line of small text, points.
pub(super) fn text_size(painter: &Painter, text: &str) -> Vec2 {
    painter.layout_no_wrap(text.to_owned(), theme::small(), theme::DARK.text).size()
}

/// A name cut to the room that there is.
pub(super) fn shortened(painter: &Painter, name: &str, room: f32) -> String {
    if text_size(painter, name).x <= room {
        return name.to_owned();
    }
    let letters: Vec<char> = name.chars().collect();
    let cut = |count: usize| letters[..count].iter().collect::<String>() + "…";
    let most = (0..letters.len()).rev().find(|count| text_size(painter, &cut(*count)).x <= room);
    cut(most.unwrap_or(0))
}

/// One line of meaning to what the focus can rest on: on hover, in focus, and as description for a screen reader.
pub(super) fn meaning_ui(ui: &Ui, response: Response, meaning: &str) {
    focus_frame(ui, &response);
    if response.has_focus() {
        response.show_tooltip_text(meaning);
    }
    response.on_hover_text(meaning);
}

/// Shows where the focus is, on what egui itself does not draw.
pub(super) fn focus_frame(ui: &Ui, response: &Response) {
    if response.has_focus() {
        let frame = Stroke::new(1.0, theme::colors(ui).accent);
        ui.painter().rect_stroke(response.rect.expand(1.0), 2.0, frame, StrokeKind::Outside);
    }
}

/// Brings what a key has just moved the focus to into view; last in a scrolled `ui`.
pub(super) fn scroll_to_focus(ui: &Ui) {
    let focused = ui.memory(Memory::focused).and_then(|id| ui.ctx().read_response(id));
    if let Some(focused) = focused.filter(Response::gained_focus)
        && ui.min_rect().contains(focused.rect.center())
    {
        ui.scroll_to_rect(focused.rect, None);
    }
}

/// Whether a text holds every word of a search, in any order and case.
pub(super) fn holds_words(text: &str, search: &str) -> bool {
    let text = text.to_lowercase();
    search.split_whitespace().all(|word| text.contains(&word.to_lowercase()))
}
