//! Which slices may change, by the numbers that the viewer has for them.

use std::ops::Range;

use egui::{Button, DragValue, RichText, Ui};

use crate::frame::Plane;
use crate::io::counted;
use crate::latent_shift::{Options, Outside};
use crate::session::action::{Action, Setting};
use crate::session::model::Model;
use crate::session::view::Viewer;
use crate::ui::theme;

/// Slices that "around this slice" takes on each side.
const AROUND: usize = 4;

/// All slices, or those from one to another.
pub(super) fn slab_ui(ui: &mut Ui, model: &Model, viewer: &Viewer, actions: &mut Vec<Action>) {
    let Some(scan) = model.scan.ready() else { return };
    let slices = scan.stack_slices();
    let all = model.slab.is_none();
    ui.horizontal_wrapped(|ui| {
        ui.label("Slices that may change");
        if ui.selectable_label(all, "all").clicked() {
            actions.push(Setting::Slab(None).into());
        }
        if ui.selectable_label(!all, "slab").clicked() && all {
            actions.push(Setting::Slab(Some(around(model, viewer))).into());
        }
    });
    let Some(slab) = &model.slab else { return };
    let (mut first, mut last) = (slab.start, slab.end - 1);
    ui.horizontal(|ui| {
        // A number that is half typed moves nothing. The stack's slices are told by the viewer's numbers.
        let told = |k: f64, _| scan.axial(k.max(0.0) as usize).number.to_string();
        let read = |text: &str| Some(scan.stack_slice(text.trim().parse().ok()?) as f64);
        let number = |n| {
            let value = DragValue::new(n).range(0..=slices - 1).update_while_editing(false);
            value.custom_formatter(told).custom_parser(read)
        };
        let from = ui.label("From");
        ui.add(number(&mut first)).labelled_by(from.id);
        let to = ui.label("to");
        ui.add(number(&mut last)).labelled_by(to.id);
        let of = scan.axial(0).of;
        ui.label(RichText::new(format!("of {of}")).small().color(theme::colors(ui).weak));
    });
    let [from, to] = [slab.start, slab.end - 1].map(|k| scan.axial(k).z_mm);
    let text = format!("{from:.1} to {to:.1} mm; {} for the networks", counted(slab.len(), "slice"));
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
    if (first, last) != (slab.start, slab.end - 1) {
        actions.push(Setting::Slab(Some(moved(slab, first, last, slices))).into());
    }
    outside_ui(ui, &model.settings.options, actions);
    let axial = viewer.plane == Plane::Axial;
    let button = ui.add_enabled(axial, Button::new("Around the shown slice"));
    if button.on_disabled_hover_text("Show the axial plane first").clicked() {
        actions.push(Setting::Slab(Some(around(model, viewer))).into());
    }
}

/// What the slices outside the slab are.
fn outside_ui(ui: &mut Ui, options: &Options, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        ui.label("Slices outside");
        for (outside, name) in [(Outside::Scan, "as scanned"), (Outside::Reconstruction, "reconstructed")] {
            let on = options.outside() == outside;
            if ui.selectable_label(on, name).on_hover_text(outside.describe()).clicked() && !on {
                actions.push(Setting::Options(Options { outside: Some(outside), ..options.clone() }).into());
            }
        }
    });
}

/// The slab with another first or last slice. An end that is moved beyond the other takes the whole slab along.
fn moved(slab: &Range<usize>, first: usize, last: usize, slices: usize) -> Range<usize> {
    if first <= last {
        first..last + 1
    } else if first == slab.start {
        last.saturating_sub(slab.len() - 1)..last + 1
    } else {
        first..(first + slab.len()).min(slices)
    }
}

/// The stack's slices next to the one shown.
fn around(model: &Model, viewer: &Viewer) -> Range<usize> {
    let Some(scan) = model.scan.ready() else { return 0..1 };
    let slices = scan.stack_slices();
    let place = scan.input.prepared.volume.grid.voxel_from_world().transform_point3(viewer.cursor).z;
    let shown = (place.round().max(0.0) as usize).min(slices - 1);
    shown.saturating_sub(AROUND)..(shown + AROUND).min(slices)
}

#[cfg(test)]
mod tests {
    use super::moved;

    #[test]
    fn an_end_of_a_slab_moved_beyond_the_other_takes_it_along() {
        assert_eq!(moved(&(20..28), 22, 27, 134), 22..28);
        assert_eq!(moved(&(20..28), 100, 27, 134), 100..108);
        assert_eq!(moved(&(20..28), 130, 27, 134), 130..134);
        assert_eq!(moved(&(20..28), 20, 5, 134), 0..6);
        assert_eq!(moved(&(20..28), 20, 12, 134), 5..13);
    }
}
