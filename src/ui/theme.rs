//! Colours, sizes and the style of the window: dark, so that the pictures are what is bright. The only place that names a colour.
#![expect(clippy::disallowed_methods, reason = "this is the one place that may make colours")]

use eframe::egui::{Color32, Context, CornerRadius, FontFamily, FontId, Stroke, TextStyle, Theme, Visuals};

pub(super) const BACKGROUND: Color32 = Color32::from_rgb(18, 19, 22);
pub(super) const PANEL: Color32 = Color32::from_rgb(26, 28, 32);
pub(super) const FIELD: Color32 = Color32::from_rgb(12, 13, 15);
pub(super) const LINE: Color32 = Color32::from_rgb(58, 62, 70);
/// Behind every picture, whatever the theme.
pub(super) const BLACK: Color32 = Color32::BLACK;
pub(super) const TEXT: Color32 = Color32::from_rgb(222, 225, 230);
pub(super) const STRONG: Color32 = Color32::from_rgb(245, 247, 250);
/// 4.6 : 1 on `PANEL`, above WCAG's 4.5.
pub(super) const WEAK: Color32 = Color32::from_rgb(140, 145, 155);
/// The one accent.
pub(super) const ACCENT: Color32 = Color32::from_rgb(64, 200, 224);
pub(super) const ACCENT_DIM: Color32 = Color32::from_rgb(24, 92, 108);
/// A warning, and whatever is synthetic.
pub(super) const AMBER: Color32 = Color32::from_rgb(255, 193, 77);
/// What stops the work.
pub(super) const RED: Color32 = Color32::from_rgb(255, 116, 108);
/// The change per slice, and the slab behind it.
pub(super) const PROFILE: Color32 = Color32::from_rgb(226, 106, 78);
pub(super) const SLAB: Color32 = Color32::from_rgb(38, 58, 66);

pub(super) const TEXT_SIZE: f32 = 14.0;
pub(super) const SMALL_SIZE: f32 = 13.0;
pub(super) const SIDE_WIDTH: f32 = 280.0;
pub(super) const GAP: f32 = 2.0;

/// Text of 13 points, the smallest there is.
pub(super) fn small() -> FontId {
    FontId::proportional(SMALL_SIZE)
}

/// Dresses the window.
pub(super) fn apply(ctx: &Context) {
    ctx.set_theme(Theme::Dark);
    ctx.global_style_mut(|style| {
        style.visuals = visuals();
        style.text_styles = [
            (TextStyle::Heading, 16.0, FontFamily::Proportional),
            (TextStyle::Body, TEXT_SIZE, FontFamily::Proportional),
            (TextStyle::Button, TEXT_SIZE, FontFamily::Proportional),
            (TextStyle::Small, SMALL_SIZE, FontFamily::Proportional),
            (TextStyle::Monospace, SMALL_SIZE, FontFamily::Monospace),
        ]
        .map(|(style, size, family)| (style, FontId::new(size, family)))
        .into();
        style.spacing.item_spacing = [6.0, 6.0].into();
        style.spacing.button_padding = [8.0, 4.0].into();
        style.spacing.interact_size.y = 24.0; // the height of a row, so that words stand level with buttons
    });
}

fn visuals() -> Visuals {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = PANEL;
    visuals.window_fill = PANEL;
    visuals.extreme_bg_color = FIELD;
    visuals.faint_bg_color = BACKGROUND;
    visuals.override_text_color = Some(TEXT);
    visuals.weak_text_color = Some(WEAK);
    visuals.warn_fg_color = AMBER;
    visuals.error_fg_color = RED;
    visuals.selection.bg_fill = ACCENT_DIM;
    visuals.selection.stroke = Stroke::new(1.0, ACCENT);
    visuals.widgets.noninteractive.bg_stroke = Stroke::new(1.0, LINE);
    visuals.slider_trailing_fill = true;
    for widget in [&mut visuals.widgets.inactive, &mut visuals.widgets.hovered, &mut visuals.widgets.active] {
        widget.corner_radius = CornerRadius::same(4);
    }
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For text of any size: WCAG 2.1, success criterion 1.4.3, level AA.
    const TEXT_CONTRAST: f32 = 4.5;
    /// For lines and marks: success criterion 1.4.11, level AA.
    const MARK_CONTRAST: f32 = 3.0;

    /// Source: WCAG 2.1, "relative luminance".
    fn luminance(color: Color32) -> f32 {
        let [r, g, b] = [color.r(), color.g(), color.b()].map(|c| match f32::from(c) / 255.0 {
            c if c <= 0.03928 => c / 12.92,
            c => ((c + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// Source: WCAG 2.1, "contrast ratio".
    fn contrast(a: Color32, b: Color32) -> f32 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_marks_stand_out_from_all_that_they_are_drawn_on() {
        assert!((contrast(Color32::WHITE, Color32::BLACK) - 21.0).abs() < 1e-3, "the largest there is");
        let mut faint = Vec::new();
        for (name, color) in
            [("text", TEXT), ("strong", STRONG), ("weak", WEAK), ("accent", ACCENT), ("amber", AMBER), ("red", RED)]
        {
            for (on, behind) in [("panel", PANEL), ("background", BACKGROUND), ("field", FIELD), ("black", BLACK)] {
                faint.push((contrast(color, behind), TEXT_CONTRAST, name, on));
            }
        }
        faint.push((contrast(TEXT, ACCENT_DIM), TEXT_CONTRAST, "text", "a chosen button"));
        faint.push((contrast(STRONG, SLAB), TEXT_CONTRAST, "strong", "slab"));
        faint.push((contrast(PROFILE, SLAB), MARK_CONTRAST, "profile", "slab"));
        faint.push((contrast(PROFILE, PANEL), MARK_CONTRAST, "profile", "panel"));
        faint.retain(|(ratio, least, ..)| ratio < least);
        assert!(faint.is_empty(), "{faint:?}");
    }

    #[test]
    fn no_text_is_smaller_than_13_points() {
        let ctx = Context::default();
        apply(&ctx);
        let sizes: Vec<f32> = ctx.global_style().text_styles.values().map(|font| font.size).collect();
        assert!(sizes.len() >= 5 && sizes.iter().all(|size| *size >= 13.0), "{sizes:?}");
    }
}
