//! Keys, and files dropped on the window.

use eframe::egui::{Align2, Color32, Context, FontId, Key, LayerId, Modifiers, Order, Popup, Ui};

use super::action::{Action, Wanted};
use super::display::{Changes, Display, Layout, OPACITY};
use super::measure::Act;
use super::session::Session;
use super::theme;
use super::viewer::Viewer;
use super::widgets::ink;
use crate::frame::{Plane, Sampling};

const NUMBERS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

/// What was pressed. Plain keys belong to a text field or slider while one has the focus.
pub(super) fn keys(ctx: &Context, session: &Session, viewer: &Viewer, actions: &mut Vec<Action>) {
    let pressed = |modifiers, key| ctx.input_mut(|input| input.consume_key(modifiers, key));
    // The longer combination first: egui lets the shorter one match it too.
    if pressed(Modifiers::COMMAND | Modifiers::SHIFT, Key::O) {
        actions.push(Action::Ask(Wanted::ScanFolder));
    }
    if pressed(Modifiers::COMMAND, Key::O) {
        actions.push(Action::Ask(Wanted::ScanFile));
    }
    if pressed(Modifiers::COMMAND, Key::S) && session.scan.ready().is_some() {
        actions.push(Action::Ask(Wanted::Session));
    }
    if pressed(Modifiers::COMMAND | Modifiers::SHIFT, Key::C) {
        actions.push(Action::CopyPicture);
    }
    if pressed(Modifiers::COMMAND, Key::Enter) && session.missing().is_none() {
        actions.push(Action::Explain);
    }
    if ctx.egui_wants_keyboard_input() {
        return;
    }
    let cancel = match (session.run.running(), session.opening()) {
        (Some(_), _) => Some(Action::Cancel),
        (None, Some(_)) => Some(Action::CancelOpening),
        (None, None) => None,
    };
    // An open list is closed first.
    if let Some(cancel) = cancel.filter(|_| !Popup::is_any_open(ctx))
        && pressed(Modifiers::NONE, Key::Escape)
    {
        actions.push(cancel);
    }
    measure_keys(ctx, viewer, actions);
    display_keys(ctx, viewer.display, actions);
    let mut on = |modifiers, key, action: Action| {
        if pressed(modifiers, key) {
            actions.push(action);
        }
    };
    let plain = Modifiers::NONE;
    for (key, preset) in NUMBERS.into_iter().zip(&session.settings.presets.0) {
        on(plain, key, Action::Window(preset.window));
    }
    if let Some(scan) = session.scan.ready() {
        on(plain, Key::Num0, Action::Window(scan.window));
    }
    on(plain, Key::A, Action::Plane(Plane::Axial));
    on(plain, Key::C, Action::Plane(Plane::Coronal));
    on(plain, Key::S, Action::Plane(Plane::Sagittal));
    on(plain, Key::F, Action::Fit);
    on(plain, Key::R, Action::Reset);
    on(plain, Key::J, Action::MostChanged);
    on(Modifiers::SHIFT, Key::N, Action::NextPeak(-1));
    on(plain, Key::N, Action::NextPeak(1));
    on(plain, Key::ArrowUp, Action::Scroll(1));
    on(plain, Key::ArrowDown, Action::Scroll(-1));
    on(plain, Key::PageUp, Action::Scroll(10));
    on(plain, Key::PageDown, Action::Scroll(-10));
    on(plain, Key::Home, Action::Slice(0));
    on(plain, Key::End, Action::Slice(usize::MAX));
    on(plain, Key::F1, Action::Help);
    on(Modifiers::SHIFT, Key::Questionmark, Action::Help);
    on(plain, Key::Questionmark, Action::Help);
    let Some(run) = session.run.ready() else { return };
    let last = run.result.steps.len() as f32 - 1.0;
    on(Modifiers::SHIFT, Key::ArrowLeft, Action::Step(run.result.chosen as f32));
    on(Modifiers::SHIFT, Key::ArrowRight, Action::Step(run.step_at(0.0).round()));
    on(plain, Key::ArrowLeft, Action::Step((viewer.step.ceil() - 1.0).max(0.0)));
    on(plain, Key::ArrowRight, Action::Step((viewer.step.floor() + 1.0).min(last)));
    if last > 0.0 {
        on(plain, Key::Space, Action::TogglePlay);
    }
}

fn measure_keys(ctx: &Context, viewer: &Viewer, actions: &mut Vec<Action>) {
    for (modifiers, key, act) in [
        (Modifiers::NONE, Key::M, Act::NextTool),
        (Modifiers::NONE, Key::Delete, Act::Delete),
        (Modifiers::COMMAND, Key::Z, Act::Undo),
        (Modifiers::NONE, Key::Escape, Act::Draft(None)),
    ] {
        let drawn = act != Act::Draft(None) || viewer.measurements.draft.is_some();
        if drawn && ctx.input_mut(|input| input.consume_key(modifiers, key)) {
            actions.push(Action::Measure(act));
        }
    }
}

/// What the panes show. Several keys may come in one frame.
fn display_keys(ctx: &Context, now: Display, actions: &mut Vec<Action>) {
    let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let mut new = now;
    if pressed(Key::G) {
        new.layout = if new.layout == Layout::Planes { Layout::Three } else { Layout::Planes };
    }
    if pressed(Key::W) {
        new = new.swiping(new.swipe.is_none());
    }
    if let Layout::Single(shown) = new.layout
        && pressed(Key::T)
    {
        new.layout = Layout::Single(shown.next());
    }
    new.detail_kept ^= pressed(Key::K);
    new.overlay ^= pressed(Key::D);
    if pressed(Key::V) {
        new.changes = new.changes.toggled(Changes::Projection);
    }
    if pressed(Key::H) {
        new.changes = new.changes.next_heatmap();
    }
    new.inverted ^= pressed(Key::I);
    new.crosshair ^= pressed(Key::X);
    new.annotated ^= pressed(Key::O);
    if pressed(Key::Q) {
        new.sampling = match new.sampling {
            Sampling::Linear => Sampling::Nearest,
            Sampling::Nearest => Sampling::Linear,
        };
    }
    for (key, percent) in [(Key::OpenBracket, -10.0), (Key::CloseBracket, 10.0)] {
        if pressed(key) {
            new.opacity = (new.opacity + percent / 100.0).clamp(OPACITY[0], 1.0);
        }
    }
    for (key, hu) in [(Key::Comma, -10.0), (Key::Period, 10.0)] {
        if pressed(key) {
            new.threshold_hu = (new.threshold_hu + hu).max(0.0);
        }
    }
    if new != now {
        actions.push(Action::Display(new));
    }
}

/// Whether the original shall stand in the counterfactual's place: while B is held.
pub(super) fn blinks(ctx: &Context) -> bool {
    !ctx.egui_wants_keyboard_input() && ctx.input(|input| input.key_down(Key::B))
}

/// Opens what is dropped; says so while something is held over the window.
pub(super) fn dropped(ui: &Ui, actions: &mut Vec<Action>) {
    let (held, paths) = ui.input(|input| {
        let paths: Vec<_> = input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect();
        (!input.raw.hovered_files.is_empty(), paths)
    });
    if held {
        let painter = ui.ctx().layer_painter(LayerId::new(Order::Foreground, ui.scope_id().with("drop")));
        let all = ui.ctx().content_rect();
        painter.rect_filled(all, 0.0, Color32::from_black_alpha(160));
        painter.text(
            all.center(),
            Align2::CENTER_CENTER,
            "Drop to open",
            FontId::proportional(28.0),
            theme::DARK.strong,
        );
        ink(
            &painter,
            all.center() + eframe::egui::vec2(0.0, 30.0),
            Align2::CENTER_CENTER,
            "a scan file, a DICOM folder, a session, or a model card",
            theme::DARK.weak,
        );
    }
    if !paths.is_empty() {
        actions.push(Action::Drop(paths));
    }
}
