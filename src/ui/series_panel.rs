//! What else the path of a scan holds: its series as cards, its volumes in time, the whole series of one slice.

use std::sync::Arc;

use egui::text::LayoutJob;
use egui::{
    Button, Color32, CornerRadius, DragValue, FontId, Galley, Id, Rect, Response, RichText, Role, ScrollArea, Sense,
    Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use super::widgets::{focus_frame, scroll_to_focus};
use super::{textures, theme};
use crate::io::{Choice, Series};
use crate::pipeline;
use crate::session::action::{Action, Run};
use crate::session::arriving::{Arriving, Listing};
use crate::session::model::Model;
use crate::session::open_scan::OpenScan;

/// The list is never higher than this, nor than this share of the window: about three cards.
const LIST_HEIGHT: f32 = 276.0;
const LIST_SHARE: f32 = 0.36;
const THUMBNAIL_SIDE: f32 = 56.0;
const MARGIN: f32 = 6.0;
/// Rows of what tells a series from the others, and of why it cannot be opened. The pointer brings the rest.
const ROWS: usize = 3;

/// What a series is to the session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Opening,
    Usable,
    Unusable,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Opening => "Opening",
            Self::Usable => "",
            Self::Unusable => "Cannot be opened",
        }
    }
}

/// A card for each series, where there are several.
pub(super) fn series_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let Some((path, listing)) = model.choosable() else { return };
    let open = model.scan.ready().filter(|scan| scan.path.as_deref() == Some(path));
    let open = open.and_then(|scan| Some(scan.input.scan.as_ref()?.among.number));
    let asked = model.arriving().and_then(Arriving::asked);
    let state = |series: &Series| match series.number {
        _ if series.unusable.is_some() => State::Unusable,
        number if asked == Some(number) && open != asked => State::Opening,
        number if open == Some(number) => State::Open,
        _ => State::Usable,
    };
    let count = listing.series.len();
    let title =
        if count == 1 { "1 series".to_owned() } else { format!("{count} series, one of which is shown at a time") };
    ui.label(RichText::new(title).small().color(theme::colors(ui).weak));
    let height = LIST_HEIGHT.min(ui.ctx().content_rect().height() * LIST_SHARE);
    let list = ScrollArea::vertical().id_salt("series").max_height(height).auto_shrink([false, true]);
    list.show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        for series in &listing.series {
            let card = Card { series, state: state(series), free: model.run.running().is_none() };
            if card.ui(ui, &listing) {
                let which = pipeline::which(&listing.series, series.number);
                actions.push(Run::OpenChosen(path.to_owned(), Choice { series: Some(which), volume: None }).into());
            }
        }
        scroll_to_focus(ui);
    });
}

struct Card<'a> {
    series: &'a Series,
    state: State,
    /// Whether another series may be opened now.
    free: bool,
}

/// The words of a card, laid out.
struct Words {
    title: Arc<Galley>,
    state: Arc<Galley>,
    /// One below the other.
    lines: Vec<Arc<Galley>>,
}

impl Words {
    fn height(&self) -> f32 {
        self.title.size().y + self.lines.iter().map(|line| line.size().y).sum::<f32>()
    }
}

impl Card<'_> {
    /// Draws the card; true when this series is to be opened.
    fn ui(&self, ui: &mut Ui, listing: &Listing) -> bool {
        let width = ui.available_width();
        let words = self.words(ui, width - THUMBNAIL_SIDE - 3.0 * MARGIN);
        let size = vec2(width, words.height().max(THUMBNAIL_SIDE) + 2.0 * MARGIN);
        let usable = self.free && self.state != State::Unusable;
        let sense = if usable { Sense::click() } else { Sense::hover() };
        let (rect, response) = ui.allocate_exact_size(size, sense);
        let chosen = matches!(self.state, State::Open | State::Opening);
        response.widget_info(|| WidgetInfo::selected(Role::Button, usable, chosen, self.label()));
        if ui.is_rect_visible(rect) {
            self.draw(ui, rect, &response, listing, words);
        }
        focus_frame(ui, &response);
        let clicked = response.clicked() && !chosen;
        response.on_hover_ui(|ui| {
            ui.label(self.hover());
        });
        clicked
    }

    /// For a screen reader.
    fn label(&self) -> String {
        let why = self.series.unusable.as_ref().map_or_else(String::new, |why| format!("; cannot be opened: {why}"));
        format!("Series {}: {}{why}", self.series.number, self.series.words())
    }

    fn hover(&self) -> String {
        let Series { description, .. } = self.series;
        let run = (!self.free).then_some("A run is going on. Cancel it to open another series");
        let described = (!description.is_empty()).then_some(description.as_str());
        [Some(self.label().as_str()), described, run].into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    fn words(&self, ui: &Ui, width: f32) -> Words {
        let colors = theme::colors(ui);
        let Series { number, description, unusable, .. } = self.series;
        let (title, text) = match self.state {
            State::Unusable => (colors.weak, colors.weak),
            _ => (colors.strong, colors.text),
        };
        let state = if self.state == State::Unusable { colors.amber } else { colors.accent };
        let state = laid_out(ui, self.state.word(), state, width, 1);
        let left = width - state.size().x - MARGIN;
        let title = laid_out(ui, &format!("Series {number}"), title, left, 1);
        let mut lines = vec![laid_out(ui, &self.series.words(), text, width, ROWS)];
        if !description.is_empty() {
            lines.push(laid_out(ui, description, colors.weak, width, 1));
        }
        if let Some(why) = unusable {
            lines.push(laid_out(ui, why, colors.amber, width, ROWS));
        }
        Words { title, state, lines }
    }

    fn draw(&self, ui: &Ui, rect: Rect, response: &Response, listing: &Listing, words: Words) {
        let colors = theme::colors(ui);
        let (fill, edge) = match self.state {
            State::Open | State::Opening => (colors.slab, colors.accent),
            State::Usable if response.hovered() || response.has_focus() => (colors.background, colors.weak),
            State::Usable | State::Unusable => (colors.panel, ui.visuals().widgets.noninteractive.bg_stroke.color),
        };
        let painter = ui.painter_at(rect);
        painter.rect(rect, CornerRadius::same(4), fill, Stroke::new(1.0, edge), StrokeKind::Inside);
        let picture = Rect::from_min_size(rect.min + vec2(MARGIN, MARGIN), vec2(THUMBNAIL_SIDE, THUMBNAIL_SIDE));
        painter.rect_filled(picture, CornerRadius::same(2), theme::BLACK);
        if let Some(thumbnail) = listing.thumbnail(self.series.number) {
            let texture = textures::picture(ui.ctx(), &format!("series {}", self.series.number), thumbnail);
            let tint = if self.state == State::Unusable { Color32::from_white_alpha(110) } else { Color32::WHITE };
            let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(texture.id(), picture, whole, tint);
        }
        let mut at = pos2(picture.right() + MARGIN, rect.top() + MARGIN);
        let right = pos2(rect.right() - MARGIN - words.state.size().x, at.y);
        painter.galley(right, words.state, colors.accent);
        for line in std::iter::once(words.title).chain(words.lines) {
            let height = line.size().y;
            painter.galley(at, line, colors.text);
            at.y += height;
        }
    }
}

/// Small text of so many rows at most, cut where there is more.
pub(super) fn laid_out(ui: &Ui, text: &str, color: Color32, width: f32, rows: usize) -> Arc<Galley> {
    let font: FontId = theme::small();
    let mut job = LayoutJob::simple(text.to_owned(), font, color, width);
    job.wrap.max_rows = rows;
    job.wrap.break_anywhere = rows == 1;
    ui.painter().layout_job(job)
}

/// Which of the volumes in time is shown, where the file holds several; and the whole series of one slice.
pub(super) fn among_ui(ui: &mut Ui, model: &Model, scan: &OpenScan, actions: &mut Vec<Action>) {
    let Some(among) = scan.input.scan.as_ref().map(|opened| &opened.among) else { return };
    let free = model.run.running().is_none();
    if let Some(path) = scan.path.as_ref().filter(|_| among.volumes > 1) {
        let asked = model.arriving().filter(|arriving| arriving.path.as_ref() == Some(path));
        let now = asked.and_then(|arriving| arriving.choice.volume).unwrap_or(among.volume);
        let wanted = ui.add_enabled_ui(free, |ui| volume_ui(ui, now, among.volumes)).inner;
        if wanted != now {
            actions.push(Run::OpenChosen(path.clone(), scan.at_volume(wanted)).into());
        }
    }
    if let Some(whole) = &among.whole {
        ui.label(format!("This is one slice of a series of {}", whole.slices));
        let button = ui.add_enabled(free, Button::new("Open the whole series"));
        if button.on_hover_text(format!("The series in {}", whole.folder.display())).clicked() {
            actions.push(Run::OpenChosen(whole.folder.clone(), whole.choice.clone()).into());
        }
    }
}

/// The number of the volume that is wanted, from 1. While the number is dragged, it is kept back.
fn volume_ui(ui: &mut Ui, now: usize, volumes: usize) -> usize {
    let id = Id::unique("dragged volume");
    let mut wanted = now;
    ui.horizontal(|ui| {
        let label = ui.label("Volume");
        let back = ui.add_enabled(now > 1, Button::new("‹")).on_hover_text("The volume before");
        back.widget_info(|| WidgetInfo::labeled(Role::Button, now > 1, "Previous volume"));
        let mut shown = ui.data(|data| data.get_temp(id)).unwrap_or(now);
        let number = DragValue::new(&mut shown).range(1..=volumes).speed(0.1).update_while_editing(false);
        let number = ui.add(number).labelled_by(label.id);
        if number.dragged() {
            ui.data_mut(|data| data.insert_temp(id, shown));
        } else {
            ui.data_mut(|data| data.remove::<usize>(id));
            wanted = shown;
        }
        let next = ui.add_enabled(now < volumes, Button::new("›")).on_hover_text("The volume after");
        next.widget_info(|| WidgetInfo::labeled(Role::Button, now < volumes, "Next volume"));
        ui.label(format!("of {volumes}"));
        if back.clicked() {
            wanted = now - 1;
        }
        if next.clicked() {
            wanted = now + 1;
        }
    });
    wanted.clamp(1, volumes)
}
