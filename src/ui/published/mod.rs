//! The page of published networks: what each is and under which licence, and the one button of the window that uses the network.

mod details;

use std::path::PathBuf;

use egui::text::{LayoutJob, TextFormat};
use egui::{
    Align, Button, Context, FontId, Frame, Id, Layout, Modal, ProgressBar, RichText, Role, ScrollArea, TextEdit, Ui,
    WidgetInfo,
};

use super::theme;
use super::widgets::{self, error_ui, note_ui};
use crate::catalogue::{self, Entry, shown};
use crate::job::{Monitor, Progress, duration};
use crate::session::action::{Action, Place, Published, Run, Setting, Sheet, View, Wanted};
use crate::session::model::Model;
use crate::session::published::{self, PublishedPage};
use crate::settings::{Fetching, ScoredBy};

const MARGIN: i8 = 14;
const LIST_WIDTH: f32 = 250.0;
const DETAILS_WIDTH: f32 = 500.0;
/// What stands around the list takes so much of the window, points.
const AROUND: f32 = 290.0;
const FIELD_NAME_WIDTH: f32 = 40.0;

/// Opens the page; says whether a download goes on, and that one has failed.
pub(super) fn button_ui(ui: &mut Ui, page: &PublishedPage, actions: &mut Vec<Action>) {
    let getting = page.entries.get(page.getting).map_or("", |entry| entry.name.as_str());
    let text = match page.got.running() {
        Some(monitor) => format!("Fetching {getting}{}…", percent(monitor)),
        None => "Published models…".to_owned(),
    };
    let help = "Networks that their authors have published: what they are, under which licence, and how to get them";
    if ui.button(text).on_hover_text(help).clicked() {
        actions.push(View::Sheet(Sheet::Published).into());
    }
    if page.got.error().is_some() {
        note_ui(ui, &format!("{getting} was not fetched; the page says why"));
    }
}

pub(super) fn published_ui(ctx: &Context, model: &Model, page: &PublishedPage, actions: &mut Vec<Action>) {
    let frame = Frame::popup(&ctx.global_style()).inner_margin(MARGIN);
    let modal = Modal::new(Id::unique("published models")).frame(frame).show(ctx, |ui| {
        ui.label(RichText::new("Published models").heading().color(theme::colors(ui).strong));
        let text = if catalogue::HAS_NETWORK {
            "Nothing is fetched before you press Get, and nothing of a scan ever leaves this machine"
        } else {
            "This build of Parallax has no network: get the files by other means, and name the folder that holds them"
        };
        ui.label(RichText::new(text).color(theme::colors(ui).weak));
        ui.add_space(4.0);
        let room = (ctx.content_rect().height() - AROUND).max(0.0);
        ui.horizontal_top(|ui| {
            ui.vertical(|ui| {
                ui.set_width(LIST_WIDTH);
                ScrollArea::vertical()
                    .id_salt("published list")
                    .max_height(room)
                    .min_scrolled_height(room)
                    .show(ui, |ui| list_ui(ui, page, actions));
            });
            ui.add_space(8.0); // a line here would take all of the window's height
            ui.vertical(|ui| {
                ui.set_width(DETAILS_WIDTH);
                ScrollArea::vertical()
                    .id_salt("published entry")
                    .max_height(room)
                    .auto_shrink([false, false])
                    .show(ui, |ui| details::details_ui(ui, page, actions));
            });
        });
        ui.separator();
        places_ui(ui, &model.settings.fetching, actions);
        foot_ui(ui, model, page, actions);
    });
    if modal.should_close() {
        actions.push(View::Sheet(Sheet::Published).into());
    }
}

/// Those that run, then the others.
fn list_ui(ui: &mut Ui, page: &PublishedPage, actions: &mut Vec<Action>) {
    for (title, run) in [("Run in Parallax", true), ("Not yet in Parallax", false)] {
        ui.label(RichText::new(title).small().color(theme::colors(ui).accent));
        let those = page.entries.iter().enumerate().filter(|(_, entry)| entry.card.is_some() == run);
        for (at, entry) in those {
            ui.with_layout(Layout::top_down_justified(Align::LEFT), |ui| row_ui(ui, page, (at, entry), actions));
        }
        ui.add_space(6.0);
    }
    widgets::scroll_to_focus(ui);
}

fn row_ui(ui: &mut Ui, page: &PublishedPage, (at, entry): (usize, &Entry), actions: &mut Vec<Action>) {
    let on = page.chosen == at;
    let colors = theme::colors(ui);
    let state = match (page.fetching(at), page.kept_of(at)) {
        (Some(monitor), _) => format!("fetching{}", percent(monitor)),
        (None, Some(kept)) if kept.whole => "on this disk".to_owned(),
        (None, Some(kept)) if kept.came_bytes > 0 => format!("{} came", shown(kept.came_bytes)),
        _ if entry.files.is_empty() => "at its source".to_owned(),
        _ => entry.size().unwrap_or_default(),
    };
    let mut text = LayoutJob::default();
    let format = |font_id: FontId, color| TextFormat { font_id, color, ..TextFormat::default() };
    text.append(&entry.name, 0.0, format(FontId::proportional(theme::TEXT_SIZE), colors.strong));
    let second = if on { colors.text } else { colors.weak };
    let comma = if state.is_empty() { "" } else { ", " };
    text.append(&format!("\n{}{comma}{state}", entry.role), 0.0, format(theme::small(), second));
    let row = ui.add(Button::selectable(on, text));
    row.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &entry.name));
    if row.clicked() {
        actions.push(Run::Published(Published::Choose(at)).into());
    }
}

/// Where files come from, and where they go to.
fn places_ui(ui: &mut Ui, fetching: &Fetching, actions: &mut Vec<Action>) {
    let mut new = fetching.clone();
    let hint = if catalogue::HAS_NETWORK {
        "where it was published; or a mirror's address, or a folder"
    } else {
        "a folder that holds the files"
    };
    let help = "A folder, or a folder of folders by the networks' names; an address under which the files lie by their names, of Python \
                packages that of an index of packages";
    field_ui(ui, "From", &mut new.from, (hint, help), Wanted::ModelsFrom, actions);
    let own = published::root(&Fetching::default()).map(|root| root.display().to_string()).unwrap_or_default();
    let mut into = new.into.display().to_string();
    field_ui(
        ui,
        "Into",
        &mut into,
        (own.as_str(), "The folder for files and model cards, a folder for each network"),
        Wanted::ModelsInto,
        actions,
    );
    if into != new.into.display().to_string() {
        new.into = PathBuf::from(into);
    }
    if new != *fetching {
        actions.push(Setting::Places(new).into());
    }
}

fn field_ui(
    ui: &mut Ui,
    name: &str,
    text: &mut String,
    (hint, help): (&str, &str),
    wanted: Wanted,
    actions: &mut Vec<Action>,
) {
    ui.horizontal(|ui| {
        let label = ui.add_sized([FIELD_NAME_WIDTH, ui.spacing().interact_size.y], egui::Label::new(name));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let browse = ui.button("Browse…").on_hover_text("Choose with a dialog");
            browse.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Browse: {}", name.to_lowercase())));
            if browse.clicked() {
                actions.push(View::Ask(wanted).into());
            }
            let field = TextEdit::singleline(text).hint_text(hint.to_owned()).desired_width(f32::INFINITY);
            ui.add(field).labelled_by(label.id).on_hover_text(help);
        });
    });
}

/// What can be done with the shown entry now, and how far a download is.
fn foot_ui(ui: &mut Ui, model: &Model, page: &PublishedPage, actions: &mut Vec<Action>) {
    error_ui(ui, page.error(), Place::Published, actions);
    let Some(entry) = page.entry() else { return };
    if let Some(monitor) = page.fetching(page.chosen) {
        fetching_ui(ui, entry, monitor, actions);
        return;
    }
    let kept = page.kept_of(page.chosen);
    let whole = kept.is_some_and(|kept| kept.whole);
    let card = kept.and_then(|kept| kept.card.clone()).filter(|_| whole);
    let hindrance = page.hindrance(&model.settings.fetching);
    let ready = whole && (card.is_some() || entry.card.is_none());
    let words = match (kept, &hindrance) {
        (None, _) => "Looking at the disk".to_owned(),
        (Some(_), _) if ready => "Its files are on this disk".to_owned(),
        (Some(_), Some(hindrance)) => hindrance.clone(),
        (Some(_), None) if whole => "Its files are on this disk; Get writes its model card".to_owned(),
        (Some(kept), None) if kept.came_bytes > 0 => {
            format!("{} came before; Get goes on from there where the server can", shown(kept.came_bytes))
        }
        _ => String::new(),
    };
    // A row of its own, so that nothing moves when a bar takes its place.
    ui.horizontal(|ui| ui.label(RichText::new(words).small().color(theme::colors(ui).text)));
    buttons_ui(ui, "", actions, |ui, actions| {
        let accent = theme::colors(ui).accent_dim;
        if whole && ui.button("Show in folder").clicked() {
            actions.push(Run::Published(Published::ShowFolder).into());
        }
        if let Some(card) = card {
            if ui.add(Button::new("Open").fill(accent)).on_hover_text("Load it, as step 2 does").clicked() {
                actions.extend(opened(entry, card));
            }
        } else if !ready {
            let free = hindrance.is_none() && kept.is_some();
            if ui.add_enabled(free, Button::new("Get").fill(accent)).clicked() {
                actions.push(Run::Published(Published::Get).into());
            }
        }
    });
}

/// Loads a network to where it belongs, and lets it give the score if it can.
fn opened(entry: &Entry, card: PathBuf) -> Vec<Action> {
    let by = match entry.role.as_str() {
        "segmenter" => Some(ScoredBy::Segmenter),
        "classifier" => Some(ScoredBy::Classifier),
        _ => None,
    };
    let score = by.map(|by| Setting::ScoreBy(by).into());
    score.into_iter().chain([Run::Drop(vec![card]).into(), View::Sheet(Sheet::Published).into()]).collect()
}

fn fetching_ui(ui: &mut Ui, entry: &Entry, monitor: &Monitor, actions: &mut Vec<Action>) {
    let progress = monitor.progress();
    let bar = ProgressBar::new(progress.and_then(|p| p.fraction()).unwrap_or(0.0)).animate(false);
    let text = progress.map_or_else(|| "asking the server".to_owned(), |progress| far(&progress));
    ui.add(bar.text(text).desired_height(ui.spacing().interact_size.y));
    let stopping = monitor.check().is_err();
    let words = if stopping {
        "Stopping".to_owned()
    } else {
        format!("Fetching {}; what came is kept when you cancel, and this page may be closed meanwhile", entry.name)
    };
    buttons_ui(ui, &words, actions, |ui, actions| {
        if ui.add_enabled(!stopping, Button::new("Cancel")).clicked() {
            actions.push(Run::Published(Published::Cancel).into());
        }
    });
}

/// Words at the left; at the right the buttons, the one that closes the page last.
fn buttons_ui(ui: &mut Ui, words: &str, actions: &mut Vec<Action>, buttons: impl FnOnce(&mut Ui, &mut Vec<Action>)) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.button("Close").clicked() {
                actions.push(View::Sheet(Sheet::Published).into());
            }
            buttons(ui, actions);
        });
    });
}

/// ", 34 %" where the end is known.
fn percent(monitor: &Monitor) -> String {
    let share = monitor.progress().and_then(|progress| progress.fraction());
    share.map_or_else(String::new, |share| format!(", {:.0} %", share * 100.0))
}

/// "fetching: 117 MB of 470 MB, 12 s left". The catalogue counts in thousands of bytes.
fn far(progress: &Progress) -> String {
    let phase = progress.phase.trim_end_matches(", kB");
    let megabytes = |thousands: usize| shown((thousands as u64).saturating_mul(1000));
    let (done, total) = (megabytes(progress.done), megabytes(progress.total));
    match progress.left() {
        _ if progress.total == 0 => format!("{phase}: {done}"),
        Some(left) => format!("{phase}: {done} of {total}, {} left", duration(left.as_secs_f64())),
        None => format!("{phase}: {done} of {total}"),
    }
}
