//! The wizard's questions, each with the answers that people mostly have.

use egui::{ComboBox, DragValue, RichText, TextEdit, Ui};

use crate::models::{Draft, Facts, Latents, Probabilities, Role};
use crate::preprocess::{Axes, Fit, OverSlices};
use crate::ui::theme;

/// Of volumes.
const VOLUME_AXES: [(&str, &str); 4] = [
    ("RAS", "RAS: MONAI's and nibabel's order, [right, front, head]"),
    ("LPS", "LPS: [left, back, head]"),
    ("SPL", "SPL: slices from the feet up, rows to the back, columns to the left (SimpleITK, DICOM)"),
    ("SAR", "SAR: slices from the feet up, rows to the front, columns to the right"),
];
/// Of slices.
const SLICE_AXES: [(&str, &str); 4] = [
    ("PL", "PL: rows to the back, columns to the left, as a viewer shows them"),
    ("RA", "RA: rows to the right, columns to the front (nibabel)"),
    ("AR", "AR: rows to the front, columns to the right"),
    ("LP", "LP: rows to the left, columns to the back"),
];
const SPACINGS_MM: [([f64; 3], &str); 5] = [
    ([0.0; 3], "the scan's own"),
    ([1.0, 1.0, 1.0], "1 x 1 x 1 mm"),
    ([1.5, 1.5, 1.5], "1.5 x 1.5 x 1.5 mm"),
    ([1.5, 1.5, 3.0], "1.5 x 1.5 x 3 mm"),
    ([2.0, 2.0, 2.0], "2 x 2 x 2 mm"),
];
const WINDOWS_HU: [([f32; 2], &str); 5] = [
    ([-1000.0, 1000.0], "-1000 to 1000 HU"),
    ([-1024.0, 600.0], "-1024 to 600 HU, lung"),
    ([-1000.0, 400.0], "-1000 to 400 HU, lung"),
    ([-160.0, 240.0], "-160 to 240 HU, soft tissue"),
    ([-1024.0, 3071.0], "-1024 to 3071 HU, all"),
];
const RANGES: [([f32; 2], &str); 2] = [([0.0, 1.0], "0 to 1"), ([-1.0, 1.0], "-1 to 1")];

pub(super) fn choices_ui(ui: &mut Ui, facts: &Facts, draft: &mut Draft) {
    role_ui(ui, facts, draft);
    let is_slice = facts.sides.len() == 4;
    let axes = if is_slice { SLICE_AXES } else { VOLUME_AXES };
    let known: Vec<(Option<Axes>, &str)> =
        axes.iter().map(|(letters, words)| (Axes::of(letters).ok(), *words)).collect();
    choice_ui(ui, "Order of its axes", &mut draft.axes, &known);
    let spacings = SPACINGS_MM.map(|(mm, words)| (Some(mm), words));
    choice_ui(ui, "Spacing it was trained on", &mut draft.spacing_mm, &spacings);
    if let Some(mm) = draft.spacing_mm.as_mut() {
        numbers_ui(ui, "mm to R, A, S (0: the scan's own)", mm, 0.05);
    }
    size_ui(ui, facts, draft);
    let windows = WINDOWS_HU.map(|(hu, words)| (Some(hu), words));
    choice_ui(ui, "HU it was given", &mut draft.hu, &windows);
    if let Some(hu) = draft.hu.as_mut() {
        numbers_ui(ui, "HU from, to", hu, 5.0);
    }
    choice_ui(ui, "which became", &mut draft.recipe.range, &RANGES);
    ui.checkbox(&mut draft.recipe.clip, "Clipped to this window");
    ui.checkbox(&mut draft.recipe.z_score, "Mean 0 and standard deviation 1 of each scan, instead");
    if is_slice && draft.role != Role::Autoencoder {
        let over =
            [(OverSlices::Max, "the largest"), (OverSlices::Mean, "the mean"), (OverSlices::LogSumExp, "log mean exp")];
        choice_ui(ui, "Over slices", &mut draft.recipe.over_slices, &over);
    }
    if matches!(draft.role, Role::Classifier | Role::Segmenter) {
        labels_ui(ui, facts, draft);
    }
}

/// What the network is for, and what its numbers are.
fn role_ui(ui: &mut Ui, facts: &Facts, draft: &mut Draft) {
    let roles = [
        (Role::Classifier, "a classifier: a number for each class"),
        (Role::Segmenter, "a segmenter: a map for each class, whose share of the volume is scored"),
        (Role::Embedder, "an embedder: a vector, which is compared with that of another scan"),
        (Role::Autoencoder, "the encoder of an autoencoder"),
    ];
    choice_ui(ui, "It is", &mut draft.role, &roles);
    if draft.role == Role::Autoencoder {
        text_ui(ui, "File of the decoder, beside it", &mut draft.decoder);
        let latents = [(Latents::All, "the latents"), (Latents::Mean, "their mean and log variance (KL)")];
        choice_ui(ui, "It gives", &mut draft.latents, &latents);
        return;
    }
    if facts.names.len() > 1 {
        let outputs: Vec<(Option<String>, &str)> =
            facts.names.iter().map(|name| (Some(name.clone()), name.as_str())).collect();
        choice_ui(ui, "Output", &mut draft.output, &outputs);
    }
    if draft.role == Role::Embedder {
        return;
    }
    let found = match facts.activation {
        Some(Probabilities::Sigmoid) => "a sigmoid, which the file ends in",
        Some(Probabilities::Softmax) => "a softmax, which the file ends in",
        _ => "…",
    };
    let scores = [
        (Some(Probabilities::Sigmoid), "a sigmoid: each class is a question of its own"),
        (Some(Probabilities::Softmax), "a softmax: the classes are the answers to one question"),
        (Some(Probabilities::None), "as they are: a regression"),
        (None, found),
    ];
    let offered = if facts.activation.is_some() { &scores[3..] } else { &scores[..3] };
    choice_ui(ui, "Its numbers become scores by", &mut draft.activation, offered);
}

fn size_ui(ui: &mut Ui, facts: &Facts, draft: &mut Draft) {
    let fits = [
        (Fit::Crop, "padded and cropped about the centre"),
        (Fit::Resize, "resized, by lines between voxels"),
        (Fit::Area, "resized, by means of areas"),
    ];
    choice_ui(ui, "To its size a scan is", &mut draft.recipe.fit, &fits);
    let mut shown = draft.recipe(facts).size;
    if numbers_ui(ui, "voxels to R, A, S (0: all there are)", &mut shown, 1.0) {
        draft.recipe.size = shown;
    }
}

fn labels_ui(ui: &mut Ui, facts: &Facts, draft: &mut Draft) {
    let classes = facts.classes.map_or("one in each line".to_owned(), |classes| format!("{classes}, one in each line"));
    let label =
        ui.label(RichText::new(format!("Names of the classes: {classes}")).small().color(theme::colors(ui).weak));
    ui.add(
        TextEdit::multiline(&mut draft.labels)
            .desired_rows(3)
            .desired_width(f32::INFINITY)
            .hint_text("class 0, class 1 …"),
    )
    .labelled_by(label.id);
}

fn text_ui(ui: &mut Ui, name: &str, text: &mut String) {
    let label = ui.label(RichText::new(name).small().color(theme::colors(ui).weak));
    ui.add(TextEdit::singleline(text).desired_width(f32::INFINITY)).labelled_by(label.id);
}

/// A question with its answers. What is not said yet is shown as such.
fn choice_ui<T: PartialEq + Clone>(ui: &mut Ui, name: &str, chosen: &mut T, answers: &[(T, &str)]) {
    let words = answers.iter().find(|(answer, _)| answer == chosen).map_or("choose…", |(_, words)| *words);
    let label = ui.label(RichText::new(name).small().color(theme::colors(ui).weak));
    let choice = ComboBox::from_id_salt(name).selected_text(words).width(ui.available_width()).show_ui(ui, |ui| {
        for (answer, words) in answers {
            ui.selectable_value(chosen, answer.clone(), *words);
        }
    });
    choice.response.labelled_by(label.id);
}

/// Numbers side by side; says whether one changed.
fn numbers_ui<N: egui::emath::Numeric>(ui: &mut Ui, name: &str, numbers: &mut [N], speed: f64) -> bool {
    let mut changed = false;
    ui.horizontal(|ui| {
        for number in numbers {
            changed |= ui.add(DragValue::new(number).speed(speed)).changed();
        }
        ui.label(RichText::new(name).small().color(theme::colors(ui).weak));
    });
    changed
}
