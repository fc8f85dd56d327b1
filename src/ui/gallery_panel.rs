//! The results that stay: a row for each, which opens it.

use std::time::{SystemTime, UNIX_EPOCH};

use egui::{Align2, Pos2, Rect, RichText, Role, Sense, Ui, Vec2, WidgetInfo, pos2, vec2};

use super::widgets::{error_ui, focus_frame, section_ui};
use super::{textures, theme};
use crate::frame::lambda_text;
use crate::io::counted;
use crate::session::action::{Action, Place, Run, Setting};
use crate::session::gallery::{Gallery, Kept};
use crate::session::model::Model;

/// The side of a picture, points.
const SIDE: f32 = 52.0;
const MARGIN: f32 = 4.0;
const LINE: f32 = 16.0;

/// The kept results, and whether results are kept.
pub(super) fn gallery_ui(ui: &mut Ui, model: &Model, gallery: &Gallery, actions: &mut Vec<Action>) {
    if !gallery.has_folder() {
        return;
    }
    let count = gallery.kept.ready().map_or(0, |kept| kept.len());
    section_ui(ui, "Results kept", count > 0, |ui| {
        let mut keep = model.settings.keep_results;
        let help =
            "Every finished run stays in your data folder, readable for you alone, until newer ones take its place";
        if ui.checkbox(&mut keep, "Keep every result").on_hover_text(help).changed() {
            actions.push(Setting::KeepResults(keep).into());
        }
        rows_ui(ui, model, gallery, usize::MAX, actions);
        if count > 0 {
            ui.menu_button("Delete these…", |ui| {
                if ui.button(format!("Delete {} for good", counted(count, "kept result"))).clicked() {
                    actions.push(Run::ClearResults.into());
                }
            });
        }
        error_ui(ui, gallery.error(), Place::Results, actions);
    });
}

/// Rows of the newest results, `most` of them.
pub(super) fn rows_ui(ui: &mut Ui, model: &Model, gallery: &Gallery, most: usize, actions: &mut Vec<Action>) {
    let free = model.run.running().is_none();
    for kept in gallery.kept.ready().iter().flat_map(|kept| kept.iter()).take(most) {
        let shown = model.settings.shown_result.as_ref() == Some(&kept.session);
        if ui.add_enabled_ui(free, |ui| row_ui(ui, kept, shown)).inner {
            actions.push(Run::Open(kept.session.clone()).into());
        }
        if free && !shown && model.run.ready().is_some() {
            compare_ui(ui, kept, actions);
        }
    }
}

/// One result; gives whether it was pressed.
fn row_ui(ui: &mut Ui, kept: &Kept, shown: bool) -> bool {
    let summary = &kept.summary;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), SIDE + 2.0 * MARGIN), Sense::click());
    let (before, end) = (summary.reconstruction_score, summary.counterfactual_score);
    let scores = format!("{before:.3} to {end:.3} at λ {}", lambda_text(summary.lambda));
    let words = format!("{}, {scores}, {}, {}", summary.target, summary.scan, ago(summary.saved_secs));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, shown, format!("Result: {words}")));
    let colors = theme::colors(ui);
    if shown || response.hovered() {
        ui.painter().rect_filled(rect, 3.0, colors.slab);
    }
    let picture = Rect::from_min_size(rect.min + Vec2::splat(MARGIN), Vec2::splat(SIDE));
    let texture = textures::picture(ui.ctx(), &kept.session.to_string_lossy(), &kept.picture);
    let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    ui.painter().image(texture.id(), picture, whole, egui::Color32::WHITE);
    let painter = ui.painter().with_clip_rect(rect);
    let lines = [
        (&summary.target, colors.strong),
        (&scores, colors.text),
        (&format!("{}, {}", ago(summary.saved_secs), summary.scan), colors.weak),
    ];
    for (row, (text, color)) in lines.into_iter().enumerate() {
        let at = pos2(picture.right() + 2.0 * MARGIN, picture.top() + LINE * row as f32);
        painter.text(at, Align2::LEFT_TOP, text, theme::small(), color);
    }
    focus_frame(ui, &response);
    response.on_hover_text(RichText::new(words).small()).clicked()
}

/// The way to look at a result beside the one that is shown.
fn compare_ui(ui: &mut Ui, kept: &Kept, actions: &mut Vec<Action>) {
    let button = ui.small_button("Compare with this");
    let name = format!("Compare with {}, {}", kept.summary.target, ago(kept.summary.saved_secs));
    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let help = "The result that is shown and this one side by side, with linked slices, zoom, window and lambda";
    if button.on_hover_text(help).clicked() {
        actions.push(Run::Compare(kept.session.clone()).into());
    }
}

/// "just now", "12 min ago", "3 h ago", "5 days ago".
fn ago(saved_secs: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    match now.saturating_sub(saved_secs) {
        secs if secs < 60 => "just now".to_owned(),
        secs if secs < 3600 => format!("{} min ago", secs / 60),
        secs if secs < 48 * 3600 => format!("{} h ago", secs / 3600),
        secs => format!("{} days ago", secs / 86_400),
    }
}
