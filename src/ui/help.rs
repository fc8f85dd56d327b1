//! The keys, and what the mouse does: everything that can be done without a button.

use egui::{Align2, Context, Grid, RichText, ScrollArea, Ui, Window};

use super::theme;
use crate::session::action::{Action, Sheet, View};
use crate::settings::{Mouse, OwnKeys, Settings};

/// The width of the column of keys, points, so that all groups stand in line.
const KEYS_WIDTH: f32 = 220.0;
/// The height of the whole list, points: all of it where the window has room.
const HEIGHT: f32 = 780.0;
/// The least room above and below the list, points: its head, and the line at the bottom that says what this program is not for.
const AROUND: f32 = 140.0;

type Row = (&'static str, &'static str);

const SLICES: [Row; 7] = [
    ("Wheel, up, down", "slice by slice"),
    ("Page up, page down", "ten slices"),
    ("Home, end", "first and last slice"),
    ("J", "where the largest region changed most"),
    ("N, Shift + N", "the next one up or down that changed more than its neighbours"),
    ("Shift + space", "play through the slices, or stop"),
    ("A, C, S", "axial, coronal, sagittal"),
];
const LAMBDA: [Row; 4] = [
    ("Shift + wheel, left, right", "lambda, step by step"),
    ("Shift + left", "the counterfactual"),
    ("Shift + right", "lambda 0"),
    ("Space", "play, to and fro"),
];
const LOOK: [Row; 15] = [
    ("1 to 9; 0", "window presets; the scan's own window"),
    ("Ctrl + left drag", "the window of what lies in the box"),
    ("G", "three planes; again: one"),
    ("Double click", "one pane; again: three"),
    ("T", "the next volume where one is shown alone"),
    ("B, held", "the original in the counterfactual's place"),
    ("W", "swipe between original and counterfactual"),
    ("K", "detail kept: the sharp scan plus the difference"),
    ("D; [ and ]", "the difference on the counterfactual; its opacity"),
    (", and .", "threshold of the difference, 10 HU down or up"),
    ("V", "the largest difference through the patient"),
    ("H", "heatmaps of all lambdas together, one after the other"),
    ("I, Q", "inverted; voxels as squares"),
    ("L", "a lens under the pointer, in every pane of its plane"),
    ("X, O", "crosshair; annotations"),
];
const MEASURE: [Row; 3] = [
    ("M", "ruler, angle, region, none: what a left drag draws"),
    ("Delete", "the selected measurement goes"),
    ("Ctrl + Z", "the view before the last change: window, zoom, slice, panes, measurements; + Shift: forth again"),
];
const REST: [Row; 9] = [
    ("F, R", "the whole slice; everything as at first"),
    ("Ctrl + O, Ctrl + Shift + O", "open a file, a folder"),
    ("Ctrl + S", "save the session, to go on another day"),
    ("Ctrl + Shift + C", "copy the picture"),
    ("Ctrl + E", "export pictures, animations, volumes, numbers"),
    ("Ctrl + Enter, Esc", "compute, cancel"),
    ("Ctrl + K", "everything that can be done, by name"),
    ("F9, F10", "the panels at the left and at the right: shown, or put away"),
    ("?, F1", "this list"),
];
const PACS: [Row; 3] = [
    ("Left drag", "window"),
    ("Right drag, Ctrl + wheel", "zoom"),
    ("Middle drag, Shift + left drag", "move the picture"),
];
const RESEARCH: [Row; 4] = [
    ("Left drag", "where the planes cross"),
    ("Right drag", "window"),
    ("Ctrl + wheel", "zoom"),
    ("Middle drag, Shift + left drag", "move the picture"),
];

pub(super) fn help_ui(ctx: &Context, settings: &Settings, actions: &mut Vec<Action>) {
    let mut open = true;
    let buttons: &[Row] = match settings.mouse {
        Mouse::Pacs => &PACS,
        Mouse::Research => &RESEARCH,
    };
    let height = HEIGHT.min(ctx.content_rect().height() - AROUND);
    let window = Window::new("Keys and mouse")
        .open(&mut open)
        .collapsible(false)
        .default_height(height)
        .anchor(Align2::CENTER_CENTER, [0.0; 2]);
    window.show(ctx, |ui| {
        ScrollArea::vertical().max_height(height).show(ui, |ui| {
            own_ui(ui, &settings.keys, actions);
            for (title, rows) in [
                ("Slices", &SLICES[..]),
                ("Lambda", &LAMBDA),
                ("Pictures", &LOOK),
                ("Measurements", &MEASURE),
                ("Mouse", buttons),
                ("Program", &REST),
            ] {
                group_ui(ui, title, rows);
            }
        });
    });
    if !open {
        actions.push(View::Sheet(Sheet::Keys).into());
    }
}

/// The keys that the person changed; the groups above tell the usual ones.
fn own_ui(ui: &mut Ui, own: &OwnKeys, actions: &mut Vec<Action>) {
    if ui.button("Change the keys…").clicked() {
        actions.push(View::Sheet(Sheet::OwnKeys).into());
    }
    if !own.0.is_empty() {
        ui.label(RichText::new("Changed by you").color(theme::colors(ui).accent));
        Grid::new("own keys").num_columns(2).min_col_width(KEYS_WIDTH).spacing([24.0, 2.0]).show(ui, |ui| {
            for (command, key) in &own.0 {
                let key = if key.is_empty() { "no key".to_owned() } else { key.replace('+', " + ") };
                ui.label(RichText::new(key).color(theme::colors(ui).strong));
                ui.label(command);
                ui.end_row();
            }
        });
        ui.add_space(6.0);
    }
}

fn group_ui(ui: &mut Ui, title: &str, rows: &[Row]) {
    ui.label(RichText::new(title).color(theme::colors(ui).accent));
    Grid::new(title).num_columns(2).min_col_width(KEYS_WIDTH).spacing([24.0, 2.0]).show(ui, |ui| {
        for (keys, what) in rows {
            ui.label(RichText::new(*keys).color(theme::colors(ui).strong));
            ui.label(*what);
            ui.end_row();
        }
    });
    ui.add_space(6.0);
}
