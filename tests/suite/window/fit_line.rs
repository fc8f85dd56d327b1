//! The line of the window that says whether scan and networks fit: it moves nothing, and unfolds.

use candle_core::{DType, Device, Tensor};
use egui::{Rect, accesskit::Role};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::ui::Start;

use crate::networks::cards::{CLASSIFIER, Files};
use crate::support;
use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, says, start, texts, unfold, until, window};

/// The line of the fit: what it says, and where it stands.
fn line(window: &Window) -> Option<(String, Rect)> {
    let nodes = window.root().children_recursive();
    let mut lines = nodes.filter_map(|node| {
        let label = node.accesskit_node().label().filter(|_| node.accesskit_node().role() == Role::Button)?;
        (label.starts_with("Fit: ") || label.starts_with("Fits ")).then(|| (label, node.rect()))
    });
    lines.next()
}

fn answered(window: &Window) -> bool {
    line(window).is_some_and(|(text, _)| {
        text.starts_with("Fits this scan") || text.ends_with("note") || text.ends_with("notes")
    })
}

/// Unfolds or folds it.
fn turn(window: &mut Window) {
    let (text, _) = line(window).expect("a line");
    window.get_by_label(&text).focus(); // it may lie below the edge of its panel
    window.run_steps(5);
    click(window, &text);
}

/// Where the rows of step 3 and the button below them stand.
fn stand(window: &Window) -> Vec<Rect> {
    let rows = ["Counterfactual", "Slices that may change", "the score to", "Advanced", "Compute counterfactual"];
    rows.iter().filter_map(|row| window.query_all_by_label(row).next()).map(|node| node.rect()).collect()
}

#[test]
fn step_3_and_its_button_stand_where_they_stood_before_the_answer_of_the_fit_came() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_lps.nii.gz");
    let mut window = window(start(&models, scan));
    until(&mut window, "all that is open", |w| {
        says(w, "the networks see") && says(w, "autoencoder.toml is loaded") && says(w, "classifier.toml is loaded")
    });
    let (_, before) = line(&window).expect("it stands there from the beginning");
    let stood = stand(&window);
    assert_eq!(stood.len(), 5);
    until(&mut window, "the answer", answered);
    let (_, behind) = line(&window).expect("a line");
    assert_eq!((behind, stand(&window)), (before, stood));
}

/// Numbers that no network uses: to hash so many takes longer than the window needs for its first frames.
const IDLE_NUMBERS: usize = 48 << 20;

#[test]
fn the_line_of_a_network_and_the_list_of_its_classes_take_their_room_while_it_is_loading() {
    let models = TinyModels::new();
    let card = models.card("classifier");
    let weights = card.with_extension("safetensors");
    let mut tensors = support::tensors(&weights);
    let idle = Tensor::zeros(IDLE_NUMBERS, DType::F32, &Device::Cpu).expect("zeros");
    tensors.insert("contrastive_head.idle".to_owned(), idle);
    candle_core::safetensors::save(&tensors, &weights).expect("written");
    let mut window = window(Start { classifier: Some(card), target: Some("1".to_owned()), ..Start::default() });
    assert!(says(&window, "loading"));
    let (_, before) = line(&window).expect("a line");
    until(&mut window, "the classifier", |w| says(w, "classifier.toml is loaded"));
    assert!(says(&window, "Target: Pleurisy"));
    assert_eq!(line(&window).expect("a line").1, before);
}

#[test]
fn the_window_looks_by_itself_and_reconstructs_when_it_is_asked_to() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_lps.nii.gz");
    let mut window = window(start(&models, scan));
    until(&mut window, "what fits", answered);
    assert!(window.query_by_label("Check the reconstruction").is_none() && !says(&window, "of memory"), "folded");
    turn(&mut window);
    until(&mut window, "what fits", |w| says(w, "of the body"));
    until(&mut window, "its cost", |w| says(w, "may change takes") || says(w, "more on the fit"));
    assert!(!says(&window, "PSNR"));
    let weighed = |window: &_| {
        let own =
            ["of the body", "not stated in the card", "of memory", "may change takes", "made up", "PSNR", "score of"];
        let unfolded = texts(window).into_iter().filter(|line| !line.starts_with("Fit"));
        unfolded.filter(|line| own.iter().any(|part| line.contains(part))).count()
    };
    assert!(weighed(&window) <= 5, "{:#?}", texts(&window));
    until(&mut window, "the button", |w| w.query_by_label("Check the reconstruction").is_some());
    window.get_by_label("Check the reconstruction").focus(); // it may lie below the edge of its panel
    window.run_steps(5);
    click(&mut window, "Check the reconstruction");
    until(&mut window, "the reconstruction", |w| says(w, "dB PSNR") || says(w, "more on the fit"));
    assert!(window.query_by_label("Check the reconstruction").is_none(), "{:#?}", texts(&window));
    assert!(weighed(&window) <= 5, "{:#?}", texts(&window));
    // A run goes first, and what fits is still said behind it.
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
    unfold(&mut window, "models");
    until(&mut window, "what fits", |w| says(w, "of the body"));
}

#[test]
fn a_serious_note_stands_above_the_button_though_the_fit_is_folded() {
    let files = Files::new();
    let card = files.card("c.toml", &CLASSIFIER.replace("spacing_mm = [8, 7, 9]", "spacing_mm = [1, 1, 1]"));
    let scan = support::data("nifti/syn_permuted.nii.gz");
    let mut window = window(Start { scan: Some(scan), classifier: Some(card), ..Start::default() });
    until(&mut window, "what fits", answered);
    let (text, _) = line(&window).expect("a line");
    assert!(text.starts_with("Fit: serious, sees "), "{text}");
    let note =
        window.query_all_by_label_contains("Serious: the recipe's crop leaves out").next().expect("in full").rect();
    assert!(note.bottom() < window.get_by_label("Compute counterfactual").rect().top());
}

#[test]
fn without_a_network_the_line_says_what_it_waits_for() {
    let mut window = window(Start { scan: Some(support::data("nifti/syn_lps.nii.gz")), ..Start::default() });
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    window.run_steps(5);
    assert_eq!(line(&window).expect("a line").0, "Fit: needs a scan and a network");
}
