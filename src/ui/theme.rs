//! Colours, sizes and the style of the window: dark at first, so that the pictures are what is bright. The only place that names a
//! colour.
#![expect(clippy::disallowed_methods, reason = "this is the one place that may make colours")]

use egui::{Color32, Context, CornerRadius, FontFamily, FontId, Stroke, TextStyle, Theme, Ui, Visuals};

use crate::settings::Panels;

/// Of everything but what is behind a picture.
pub(super) struct Colors {
    pub(super) background: Color32,
    pub(super) panel: Color32,
    pub(super) field: Color32,
    line: Color32,
    /// Around what can be pressed, ticked or typed in.
    edge: Color32,
    pub(super) text: Color32,
    pub(super) strong: Color32,
    pub(super) weak: Color32,
    /// The one accent.
    pub(super) accent: Color32,
    pub(super) accent_dim: Color32,
    /// A warning, and whatever is synthetic.
    pub(super) amber: Color32,
    /// What stops the work.
    pub(super) red: Color32,
    /// The change per slice, and the slab behind it.
    pub(super) profile: Color32,
    pub(super) slab: Color32,
}

/// Of the panels as they are at first, and of all that is written on pictures and on the curve.
pub(super) const DARK: Colors = Colors {
    background: Color32::from_rgb(18, 19, 22),
    panel: Color32::from_rgb(26, 28, 32),
    field: Color32::from_rgb(12, 13, 15),
    line: Color32::from_rgb(58, 62, 70),
    edge: Color32::from_rgb(104, 110, 120),
    text: Color32::from_rgb(222, 225, 230),
    strong: Color32::from_rgb(245, 247, 250),
    weak: Color32::from_rgb(140, 145, 155),
    accent: Color32::from_rgb(64, 200, 224),
    accent_dim: Color32::from_rgb(24, 92, 108),
    amber: Color32::from_rgb(255, 193, 77),
    red: Color32::from_rgb(255, 116, 108),
    profile: Color32::from_rgb(226, 106, 78),
    slab: Color32::from_rgb(38, 58, 66),
};

/// Of the panels in a bright room.
const LIGHT: Colors = Colors {
    background: Color32::from_rgb(222, 225, 230),
    panel: Color32::from_rgb(242, 243, 246),
    field: Color32::from_rgb(255, 255, 255),
    line: Color32::from_rgb(184, 189, 198),
    edge: Color32::from_rgb(128, 134, 144),
    text: Color32::from_rgb(38, 41, 47),
    strong: Color32::from_rgb(12, 14, 18),
    weak: Color32::from_rgb(86, 91, 101),
    accent: Color32::from_rgb(0, 96, 114),
    accent_dim: Color32::from_rgb(164, 216, 228),
    amber: Color32::from_rgb(126, 78, 0),
    red: Color32::from_rgb(168, 24, 18),
    profile: Color32::from_rgb(178, 62, 34),
    slab: Color32::from_rgb(200, 224, 232),
};

/// Behind every picture, whatever the theme.
pub(super) const BLACK: Color32 = Color32::BLACK;

/// Under words on a picture or a curve.
pub(super) const PLATE: Color32 = Color32::from_rgba_premultiplied(8, 9, 11, 208);
/// Curves beside that of the score.
pub(super) const BESIDE: [Color32; 3] =
    [Color32::from_rgb(178, 150, 255), Color32::from_rgb(140, 214, 132), Color32::from_rgb(240, 148, 196)];

/// Of the theme that a panel is drawn in.
pub(super) fn colors(ui: &Ui) -> &'static Colors {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

pub(super) const TEXT_SIZE: f32 = 14.0;
pub(super) const SMALL_SIZE: f32 = 13.0;
pub(super) const GAP: f32 = 2.0;

/// Text of 13 points, the smallest there is.
pub(super) fn small() -> FontId {
    FontId::proportional(SMALL_SIZE)
}

/// Dresses the window, for either theme.
pub(super) fn apply(ctx: &Context) {
    for (theme, visuals) in [(Theme::Dark, Visuals::dark()), (Theme::Light, Visuals::light())] {
        let colors = if theme == Theme::Dark { &DARK } else { &LIGHT };
        ctx.style_mut_of(theme, |style| {
            style.visuals = dressed(visuals, colors);
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
}

/// The panels in a dark or a bright room. Pictures know nothing of it.
pub(super) fn choose(ctx: &Context, panels: Panels) {
    ctx.set_theme(match panels {
        Panels::Dark => Theme::Dark,
        Panels::Light => Theme::Light,
    });
}

fn dressed(mut visuals: Visuals, colors: &Colors) -> Visuals {
    visuals.panel_fill = colors.panel;
    visuals.window_fill = colors.panel;
    visuals.extreme_bg_color = colors.field;
    visuals.faint_bg_color = colors.background;
    visuals.override_text_color = Some(colors.text);
    visuals.weak_text_color = Some(colors.weak);
    visuals.warn_fg_color = colors.amber;
    visuals.error_fg_color = colors.red;
    visuals.selection.bg_fill = colors.accent_dim;
    visuals.selection.stroke = Stroke::new(1.0, colors.accent);
    visuals.widgets.noninteractive.bg_stroke = Stroke::new(1.0, colors.line);
    visuals.widgets.inactive.bg_stroke = Stroke::new(1.0, colors.edge);
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
        for (theme, colors) in [("dark", &DARK), ("light", &LIGHT)] {
            let Colors { background, panel, field, text, strong, weak, accent, accent_dim, amber, red, .. } = *colors;
            let inks = [
                ("text", text),
                ("strong", strong),
                ("weak", weak),
                ("accent", accent),
                ("amber", amber),
                ("red", red),
            ];
            let mut grounds = vec![("panel", panel), ("background", background), ("field", field)];
            grounds.extend((theme == "dark").then_some(("black", BLACK))); // pictures are written on in these alone
            for (name, color) in inks {
                faint.extend(
                    grounds.iter().map(|(on, behind)| (contrast(color, *behind), TEXT_CONTRAST, theme, name, *on)),
                );
            }
            let Colors { profile, slab, edge, .. } = *colors;
            faint.push((contrast(text, accent_dim), TEXT_CONTRAST, theme, "text", "a chosen button"));
            faint.push((contrast(strong, slab), TEXT_CONTRAST, theme, "strong", "slab"));
            faint.push((contrast(profile, slab), MARK_CONTRAST, theme, "profile", "slab"));
            faint.push((contrast(profile, panel), MARK_CONTRAST, theme, "profile", "panel"));
            faint.push((contrast(edge, panel), MARK_CONTRAST, theme, "edge", "panel"));
        }
        faint.retain(|(ratio, least, ..)| ratio < least);
        assert!(faint.is_empty(), "{faint:?}");
    }

    #[test]
    fn no_text_is_smaller_than_13_points() {
        let ctx = Context::default();
        apply(&ctx);
        for theme in [Theme::Dark, Theme::Light] {
            let sizes: Vec<f32> = ctx.style_of(theme).text_styles.values().map(|font| font.size).collect();
            assert!(sizes.len() >= 5 && sizes.iter().all(|size| *size >= 13.0), "{sizes:?}");
        }
    }
}
