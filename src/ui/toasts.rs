//! Lines at the lower right that tell of what ended out of sight.

use std::time::Instant;

use egui::{Align, Align2, Area, Button, Context, Frame, Id, Layout, Order, RichText, Role, WidgetInfo, vec2};

use super::theme;
use crate::session::action::{Action, View};
use crate::session::toasts::{Toast, Toasts};

/// Above the line at the bottom of the window, points.
const MARGIN: [f32; 2] = [12.0, 40.0];
const WIDTH: f32 = 360.0;

pub(super) fn toasts_ui(ctx: &Context, toasts: &Toasts, actions: &mut Vec<Action>) {
    let Some(first) = toasts.list.iter().map(|toast| toast.until).min() else { return };
    ctx.request_repaint_after(first.saturating_duration_since(Instant::now()));
    let area = Area::new(Id::unique("toasts")).order(Order::Tooltip);
    area.anchor(Align2::RIGHT_BOTTOM, vec2(-MARGIN[0], -MARGIN[1])).show(ctx, |ui| {
        ui.set_width(WIDTH);
        for (at, toast) in toasts.list.iter().enumerate() {
            Frame::popup(ui.style()).inner_margin(8).show(ui, |ui| toast_ui(ui, at, toast, actions));
        }
    });
}

fn toast_ui(ui: &mut egui::Ui, at: usize, toast: &Toast, actions: &mut Vec<Action>) {
    ui.set_width(ui.available_width());
    let colors = theme::colors(ui);
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            let close = ui.add(Button::new("×").frame(false));
            close.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Close the message"));
            if close.clicked() {
                actions.push(View::CloseToast(at).into());
            }
            if let Some(show) = &toast.show
                && ui.button("Show").clicked()
            {
                actions.extend([show.clone(), View::CloseToast(at).into()]);
            }
            ui.with_layout(Layout::left_to_right(Align::Min).with_main_wrap(true), |ui| {
                let color = if toast.failed { colors.red } else { colors.text };
                ui.label(RichText::new(&toast.text).color(color));
            });
        });
    });
}
