//! The line at the bottom: what lies under the pointer, in every pane at once; and what this program is not for.

use egui::{Align, Label, Layout, RichText, Ui};
use glam::DVec3;

use super::theme;
use crate::frame::display::Changes;
use crate::frame::paint::probe;
use crate::frame::{Content, Layers, nearest_voxel};
use crate::session::model::Model;
use crate::session::shown::{Told, told};
use crate::session::view::Viewer;
use crate::session::view::pair::step_beside;

pub(super) fn status_bar_ui(ui: &mut Ui, model: &Model, viewer: &Viewer) {
    let text = probe_text(model, viewer);
    let color = if text.is_some() { theme::colors(ui).text } else { theme::colors(ui).weak };
    let hint = "Wheel: slice   Shift + wheel: lambda   Double click: one pane   ?: keys and mouse";
    let text = text.unwrap_or_else(|| if model.scan.ready().is_some() { hint.to_owned() } else { String::new() });
    ui.horizontal_centered(|ui| {
        // What this program is not for has its room first, whatever else there is to say.
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(RichText::new("Research use only. Not for diagnosis.").small().color(theme::colors(ui).amber));
            if let Some(inserted) = model.inserted() {
                let text = format!("SYNTHETIC {} in the scan", inserted.asked.finding.name());
                ui.label(RichText::new(text).small().color(theme::colors(ui).amber));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(Label::new(RichText::new(text).small().color(color)).truncate());
            });
        });
    });
}

/// HU of each pane, the place in the patient, the voxel.
fn probe_text(model: &Model, viewer: &Viewer) -> Option<String> {
    let scan = model.scan.ready()?;
    let place = viewer.probe?;
    let [i, j, k] = nearest_voxel(&scan.layers.scan, place)?;
    let mut parts = vec![format!("Original {:.0} HU", scan.layers.scan.get([i, j, k])?)];
    let changes = viewer.display.changes;
    match told(model, viewer) {
        Told::Nothing | Told::Scan(_) => {}
        Told::SoFar(_, so_far) => parts.extend(generated(&so_far.layers, 1.0, place, "so far ", Changes::Slice)),
        Told::Result(_, run) => parts.extend(generated(&run.layers, viewer.step, place, "", changes)),
        Told::Pair(_, [a, b]) => {
            parts.extend(generated(&a.layers, viewer.step, place, "A ", changes));
            parts.extend(generated(&b.layers, step_beside(viewer.step, a, b), place, "B ", changes));
        }
    }
    parts.extend(viewer.laid_at(place));
    parts.push(place_text(place));
    parts.push(format!("voxel {i} {j} {k}"));
    Some(parts.join("   "))
}

/// What the volumes of a result read at a place; `whose` stands before each.
fn generated(layers: &Layers, step: f32, place: DVec3, whose: &str, changes: Changes) -> Vec<String> {
    let read = |content| probe(layers, content, step, place);
    let (Some(decoded), Some(difference)) = (read(Content::Decoded), read(Content::Difference)) else {
        return vec![format!("{whose}outside what the networks see")];
    };
    let reconstruction = decoded - difference;
    let mut parts = vec![
        format!("{whose}Reconstruction {reconstruction:.0} HU   Counterfactual {decoded:.0} HU"),
        format!("Difference {difference:+.1} HU"),
    ];
    if let Changes::Heatmap(method) = changes
        && let Some(heat) = read(Content::Heatmap(method))
    {
        parts.push(format!("Heatmap {heat:.1} HU"));
    }
    parts
}

/// "R 17.6 P 35.3 S 12.1 mm": how far to which side of the scanner's origin.
fn place_text(place: DVec3) -> String {
    let side = |x: f64, [above, below]: [char; 2]| format!("{} {:.1}", if x < 0.0 { below } else { above }, x.abs());
    format!("{} {} {} mm", side(place.x, ['R', 'L']), side(place.y, ['A', 'P']), side(place.z, ['S', 'I']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_the_patients_own_sides() {
        assert_eq!(place_text(DVec3::new(17.6, -35.3, 12.1)), "R 17.6 P 35.3 S 12.1 mm");
    }
}
