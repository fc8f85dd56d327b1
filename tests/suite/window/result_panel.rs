//! The panel of the result, driven by what its widgets are called.

use egui::{self, Key, accesskit::Role, accesskit::Toggled};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::ui::Start;

use crate::tiny_models::{LABELS, TinyModels};
use crate::window::driven::{Window, click, explained, press, says, scores, start, texts, until, window};

/// Every line of numbers under "Quality".
const QUALITY: [&str; 10] = [
    "Goal reached",
    "Change of score",
    "Change of logit",
    "Reconstruction gap",
    "Mean change in body",
    "Largest change",
    "Body changed",
    "90 % of the change in",
    "Latents moved",
    "Monotonicity",
];

/// The rows of the table of other outputs, from top to bottom.
fn rows(window: &Window) -> Vec<String> {
    let label = |node: egui_kittest::Node| node.accesskit_node().label().expect("words");
    window.query_all_by_role(Role::Row).map(label).collect()
}

fn changes(rows: &[String]) -> Vec<f64> {
    rows.iter().map(|row| row.rsplit_once("change ").expect("a change").1.parse().expect("a number")).collect()
}

#[test]
fn scores_are_told_as_probabilities_and_as_logits() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let probabilities = scores(&window);
    assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{probabilities:?}");
    assert_eq!(window.get_by_label("probability").accesskit_node().toggled(), Some(Toggled::True));
    // By keyboard alone.
    press(&mut window, "logit");
    assert_eq!(window.get_by_label("logit").accesskit_node().toggled(), Some(Toggled::True));
    for (logit, p) in scores(&window).iter().zip(probabilities) {
        assert!((logit - (p / (1.0 - p)).ln()).abs() < 1e-9, "{logit} is not the logit of {p}");
    }
}

#[test]
fn other_outputs_are_sorted_by_any_column_and_found_by_name() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let largest_first = rows(&window);
    assert_eq!(largest_first.len(), LABELS.len() - 1, "all but the target: {largest_first:?}");
    assert!(!largest_first.iter().any(|row| row.contains("Pleurisy")), "{largest_first:?}");
    let sizes: Vec<f64> = changes(&largest_first).iter().map(|change| change.abs()).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{largest_first:?}");

    press(&mut window, "Sort by output");
    assert!(rows(&window).is_sorted(), "{:?}", rows(&window));
    press(&mut window, "Sorted by output");
    assert!(rows(&window).iter().rev().is_sorted(), "{:?}", rows(&window));
    press(&mut window, "Sort by change");
    assert_eq!(rows(&window), largest_first);

    window.get_by_role_and_label(Role::TextInput, "Search outputs").focus();
    window.run_steps(2);
    window.get_by_role_and_label(Role::TextInput, "Search outputs").type_text("frac");
    window.run_steps(2);
    assert!(rows(&window).len() == 1 && rows(&window)[0].starts_with("Fracture: before "), "{:?}", rows(&window));
}

#[test]
fn a_segmenter_has_no_other_outputs_and_no_logit_and_the_panel_says_so() {
    let models = TinyModels::new();
    let segmenter = Some(models.card("segmenter"));
    let mut window = window(Start { classifier: None, target: None, segmenter, ..start(&models, models.stack(8)) });
    until(&mut window, "all it needs", |w| {
        says(w, "segmenter.toml is loaded") && says(w, "autoencoder.toml is loaded") && says(w, "see 8 slices")
    });
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
    assert!(says(&window, "there are no other outputs to compare") && rows(&window).is_empty());
    assert!(window.query_by_label("logit").is_none(), "its score is no probability");
    scores(&window);
}

#[test]
fn every_number_says_what_it_means_and_the_focus_can_rest_on_it() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    for name in QUALITY {
        let line = window.get_by_role_and_label(Role::Status, name);
        let node = line.accesskit_node();
        let (value, meaning) = (node.value().expect("a value"), node.description().expect("a meaning"));
        assert!(!value.is_empty() && meaning.len() > 20, "{name}: {value}, {meaning}");
        assert_eq!(texts(&window).iter().filter(|text| **text == meaning).count(), 0, "{name} tells it unasked");
        line.focus();
        window.run_steps(3);
        assert!(says(&window, &meaning), "{name} in focus shows what it means");
    }
}

#[test]
fn provenance_unfolds_and_is_copied_without_names_or_paths() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    assert!(window.query_by_label("Copy provenance").is_none(), "folded");
    press(&mut window, "Provenance");
    until(&mut window, "the provenance", |w| w.query_by_label("Copy provenance").is_some());
    window.get_by_label("Copy provenance").focus();
    window.run_steps(1);
    // A step for each event: what is copied is in the answer to the key alone.
    window.event(egui::Event::Key {
        key: Key::Enter,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers: egui::Modifiers::NONE,
    });
    window.step();
    let copied = window.output().platform_output.commands.iter().find_map(|command| match command {
        egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    });
    let copied = copied.expect("a text");
    for part in ["Program: parallax ", "Target: Pleurisy; pleural effusion", "Lambda: ", "Slab: slices 0 to 7 of 8"] {
        assert!(copied.contains(part), "{part} is not in\n{copied}");
    }
    let hashes: Vec<&str> = copied.lines().filter_map(|line| line.split_once("SHA-256: ").map(|(_, h)| h)).collect();
    let is_sha256 = |hash: &&str| hash.len() == 64 && hash.bytes().all(|c| c.is_ascii_hexdigit());
    assert!(hashes.len() == 3 && hashes.iter().all(is_sha256), "{hashes:?}");
    let folder = models.folder.path().to_str().expect("plain names");
    assert!(!copied.contains(folder) && !copied.contains("stack_8"), "{copied}");
}

#[test]
fn what_the_focus_moves_to_comes_into_view() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let picture = window.get_by_label("Picture").rect().top();
    let hidden = |window: &Window| window.get_by_label("Provenance").rect().bottom() > picture;
    assert!(hidden(&window), "the panel is longer than the window");
    window.get_by_label("Provenance").focus();
    until(&mut window, "the end of the panel", |w| !hidden(w));
}

#[test]
fn the_panes_are_copied_to_the_clipboard_as_a_picture() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    window.key_press_modifiers(egui::Modifiers::COMMAND | egui::Modifiers::SHIFT, Key::C);
    window.step();
    let mut copied = None;
    let began = std::time::Instant::now();
    while copied.is_none() && began.elapsed().as_secs() < 60 {
        window.step();
        copied = window.output().platform_output.commands.iter().find_map(|command| match command {
            egui::OutputCommand::CopyImage(image) => Some(image.clone()),
            _ => None,
        });
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let copied = copied.expect("a picture came within a minute");
    let greys: std::collections::BTreeSet<_> = copied.pixels.iter().map(egui::Color32::r).collect();
    assert!(copied.width() > 900 && greys.len() > 20, "{:?}, {} greys", copied.size, greys.len());
    until(&mut window, "the word", |w| says(w, "on the clipboard"));
}
