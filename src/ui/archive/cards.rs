//! The series of a study as cards, each with its middle instance drawn small: a click fetches the series and opens it.

use egui::{
    Color32, CornerRadius, Rect, Response, RichText, Role, Sense, Spinner, Stroke, StrokeKind, Ui, Vec2, WidgetInfo,
    pos2, vec2,
};

use super::list;
use crate::files;
use crate::io::counted;
use crate::pacs::Series;
use crate::session::action::{Action, Archive as Act};
use crate::session::archive::thumbnails::Thumbnail;
use crate::session::archive::{Archive, name_of};
use crate::session::model::Model;
use crate::ui::series_panel::laid_out;
use crate::ui::widgets::{focus_frame, note_ui};
use crate::ui::{textures, theme};

const CARD_HEIGHT: f32 = 76.0;
/// A narrower card has no room for words.
const CARD_WIDTH: f32 = 240.0;
const SIDE: f32 = 64.0;
const MARGIN: f32 = 6.0;

pub(super) fn series_ui(ui: &mut Ui, model: &Model, archive: &Archive, room: f32, actions: &mut Vec<Action>) {
    let Some(found) = archive.series.ready() else {
        let text = match (archive.series.running(), archive.studies.ready()) {
            (Some(_), _) => "Asking for series",
            (None, Some(found)) if !found.all.is_empty() => "Choose a study to see its series",
            (None, _) => "Series",
        };
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
        return;
    };
    let count = if found.all.is_empty() {
        "The study has no series".to_owned()
    } else {
        format!("{} series; a click fetches one and opens it", found.all.len())
    };
    ui.label(RichText::new(count).small().color(theme::colors(ui).weak));
    if found.more {
        note_ui(ui, "The archive has more of them than are shown");
    }
    let run = model.run.running().is_some();
    if run {
        note_ui(ui, "A run is going on. Cancel it to open another scan");
    }
    let free = !run && archive.fetched.running().is_none();
    let columns = ((ui.available_width() + MARGIN) / (CARD_WIDTH + MARGIN)).floor().max(1.0) as usize;
    ui.spacing_mut().item_spacing = Vec2::splat(MARGIN);
    let rows = found.all.len().div_ceil(columns);
    let shown = list("series", room - 20.0).show_rows(ui, CARD_HEIGHT, rows, |ui, rows| {
        let width = (ui.available_width() - MARGIN * (columns as f32 - 1.0)) / columns as f32;
        for row in rows.clone() {
            ui.horizontal(|ui| {
                for at in row * columns..((row + 1) * columns).min(found.all.len()) {
                    let series = &found.all[at];
                    let card = Card { series, at, thumbnail: archive.thumbnails.of(&series.series_uid), free };
                    if card.ui(ui, width) {
                        actions.push(Act::Fetch(at).into());
                    }
                }
            });
        }
        rows.start * columns..(rows.end * columns).min(found.all.len())
    });
    if *archive.seen() != shown.inner {
        actions.push(Act::Seen(shown.inner).into());
    }
}

struct Card<'a> {
    series: &'a Series,
    at: usize,
    /// None while it has not come.
    thumbnail: Option<&'a Thumbnail>,
    /// Whether it can be fetched now.
    free: bool,
}

impl Card<'_> {
    /// Draws the card; true when it was pressed.
    fn ui(&self, ui: &mut Ui, width: f32) -> bool {
        let sense = if self.free { Sense::click() } else { Sense::hover() };
        let (rect, response) = ui.allocate_exact_size(vec2(width, CARD_HEIGHT), sense);
        let name = files::printable(&name_of(self.series)).into_owned();
        let label = format!("{name}: {}", self.words());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, self.free, &label));
        self.draw(ui, rect, &response);
        focus_frame(ui, &response);
        let clicked = response.clicked();
        response.on_hover_ui(|ui| {
            let why = match self.thumbnail {
                Some(Thumbnail::None(why)) => format!("\nNo picture: {why}"),
                _ => String::new(),
            };
            ui.label(RichText::new(format!("{label}\n{}{why}", self.series.series_uid)).small());
        });
        clicked
    }

    /// "CT, 112 images, CHEST"; a source that does not count them is not guessed for.
    fn words(&self) -> String {
        let Series { modality, instances, body_part, .. } = self.series;
        let count = instances.map_or_else(|| "not counted".to_owned(), |n| counted(n as usize, "image"));
        let words = [files::printable(modality).into_owned(), count, files::printable(body_part).into_owned()];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
    }

    fn draw(&self, ui: &Ui, rect: Rect, response: &Response) {
        let colors = theme::colors(ui);
        let on = self.free && (response.hovered() || response.has_focus());
        let (fill, edge) = if on {
            (colors.background, colors.weak)
        } else {
            (colors.panel, ui.visuals().widgets.noninteractive.bg_stroke.color)
        };
        let painter = ui.painter_at(rect);
        painter.rect(rect, CornerRadius::same(4), fill, Stroke::new(1.0, edge), StrokeKind::Inside);
        let picture = Rect::from_min_size(rect.min + Vec2::splat(MARGIN), Vec2::splat(SIDE));
        painter.rect_filled(picture, CornerRadius::same(2), theme::BLACK);
        match self.thumbnail {
            Some(Thumbnail::Here(thumbnail)) => {
                let texture = textures::picture(ui.ctx(), &format!("archive {}", self.at % 64), thumbnail);
                let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
                painter.image(texture.id(), picture, whole, Color32::WHITE);
            }
            Some(Thumbnail::None(_)) => {
                let none = laid_out(ui, "no picture", theme::DARK.weak, SIDE - 8.0, 2);
                painter.galley(picture.center() - none.size() / 2.0, none, theme::DARK.weak);
            }
            None => Spinner::new().paint_at(ui, Rect::from_center_size(picture.center(), Vec2::splat(16.0))),
        }
        let width = rect.right() - picture.right() - 2.0 * MARGIN;
        let mut at = pos2(picture.right() + MARGIN, rect.top() + MARGIN);
        let number = if self.series.number.is_empty() { "?" } else { &self.series.number };
        for (text, color) in [
            (format!("Series {}", files::printable(number)), colors.strong),
            (self.words(), colors.text),
            (files::printable(&self.series.description).into_owned(), colors.weak),
        ] {
            let line = laid_out(ui, &text, color, width, 1);
            let height = line.size().y.max(18.0);
            painter.galley(at, line, color);
            at.y += height;
        }
    }
}
