//! The studies that an archive has, a row for each.

use egui::{CornerRadius, RichText, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::list;
use crate::files;
use crate::io::counted;
use crate::io::study::{day, person};
use crate::pacs::Study;
use crate::session::action::{Action, Archive as Act};
use crate::session::archive::Archive;
use crate::session::archive::form::MOST_STUDIES;
use crate::ui::series_panel::laid_out;
use crate::ui::theme;
use crate::ui::widgets::{focus_frame, note_ui};

const ROW: f32 = 44.0;
const MARGIN: f32 = 6.0;

pub(super) fn studies_ui(ui: &mut Ui, archive: &Archive, room: f32, actions: &mut Vec<Action>) {
    let Some(found) = archive.studies.ready() else {
        let text = if archive.studies.running().is_some() { "Asking for studies" } else { "Studies" };
        ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
        return;
    };
    let count = match found.all.len() {
        0 => "Nothing was found".to_owned(),
        1 => "1 study".to_owned(),
        many => format!("{many} studies, the latest first"),
    };
    ui.label(RichText::new(count).small().color(theme::colors(ui).weak));
    if found.more {
        note_ui(ui, &format!("There are more than {MOST_STUDIES}; look for less"));
    }
    if found.unnamed > 0 {
        let what = counted(found.unnamed, "answer");
        note_ui(ui, &format!("{what} without a UID that DICOM allows: left out"));
    }
    ui.spacing_mut().item_spacing.y = 3.0;
    list("studies", room - 20.0).show_rows(ui, ROW, found.all.len(), |ui, rows| {
        for at in rows {
            if row_ui(ui, &found.all[at], archive.study == Some(at)) {
                actions.push(Act::Study(at).into());
            }
        }
    });
}

/// One study; gives whether it was pressed.
fn row_ui(ui: &mut Ui, study: &Study, on: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let (name, date, words) = (person(&study.patient_name), day(&study.date), words(study));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, format!("Study of {name}, {date}: {words}")));
    let colors = theme::colors(ui);
    if on || response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, CornerRadius::same(3), colors.slab);
    }
    let painter = ui.painter_at(rect);
    let width = rect.width() - 2.0 * MARGIN;
    let at = rect.min + vec2(MARGIN, 4.0);
    let right = laid_out(ui, &date, colors.accent, width, 1);
    let taken = right.size().x;
    painter.galley(pos2(rect.right() - MARGIN - taken, at.y), right, colors.accent);
    let second = if on { colors.text } else { colors.weak };
    painter.galley(at, laid_out(ui, &name, colors.strong, width - taken - MARGIN, 1), colors.strong);
    painter.galley(at + vec2(0.0, 18.0), laid_out(ui, &words, second, width, 1), second);
    focus_frame(ui, &response);
    let clicked = response.clicked();
    response.on_hover_ui(|ui| {
        ui.label(RichText::new(format!("{name}\n{date}\n{words}\n{}", study.study_uid)).small());
    });
    clicked
}

/// "PX-77, CT/SEG, 2 series, 130 images, Thorax, accession ACC-5".
fn words(study: &Study) -> String {
    let said = |text: &str| files::printable(text).into_owned();
    let counts = [study.series.map(|n| format!("{n} series")), study.instances.map(|n| counted(n as usize, "image"))];
    let accession = if study.accession.is_empty() { String::new() } else { format!("accession {}", study.accession) };
    [&study.patient_id, &study.modalities, &study.description]
        .into_iter()
        .map(|text| said(text))
        .chain(counts.into_iter().flatten())
        .chain([said(&accession)])
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}
