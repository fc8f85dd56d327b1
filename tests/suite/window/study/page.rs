//! A study in the real window, by what its widgets are called.

use std::path::Path;

use egui::{Key, Modifiers, Pos2, accesskit::Role, vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::ui::{Ask, Start};

use super::blinded::results;
use super::{cell, rows};
use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, open_with, says, texts, type_path, until, window};

const TEXT: &str = r#"
name = "Trial"
[[question]]
name = "finding"
ask = "Is it there?"
kind = "yes-no"
[[question]]
name = "remarks"
ask = "What else?"
kind = "text"
optional = true
"#;

fn write(window: &mut Window, field: &str, text: &str) {
    window.get_by_role_and_label(Role::TextInput, field).focus();
    window.run_steps(2);
    window.get_by_role_and_label(Role::TextInput, field).type_text(text);
    window.run_steps(2);
}

fn drag(window: &mut Window, from: Pos2, to: Pos2) {
    window.hover_at(from);
    window.drag_at(from);
    window.run_steps(2);
    window.hover_at(to);
    window.run_steps(2);
    window.drop_at(to);
    window.run_steps(3);
}

/// The window at the first case of a study.
fn begun(window: &mut Window, folder: &Path) {
    click(window, "Reader study…");
    until(window, "the way in", |w| w.query_by_role_and_label(Role::TextInput, "Study").is_some());
    type_path(window, "Study", folder);
    until(window, "the study", |w| says(w, "Trial: 2 results, 4 questions each"));
    write(window, "Reader's code", "R1");
    click(window, "Begin");
    until(window, "the first case", |w| w.query_by_label("Original pane").is_some());
}

#[test]
fn a_reader_goes_through_a_study_leaves_it_and_goes_on_and_no_score_or_name_is_on_the_screen() {
    let models = TinyModels::new();
    let (folder, of_result) = results(&models, TEXT, &["jane_doe.parallax", "john_doe.parallax"]);
    let run = of_result.model.run.ready().expect("a result").clone();
    let scores = run.result().scores;
    let mut window = window(Start::default());
    begun(&mut window, &folder);
    let path = folder.join("study-answers-R1.csv");

    // Blinded: the pictures and all words.
    let secret = |window: &Window| {
        let numbers = [scores.scan, scores.reconstruction, scores.counterfactual].map(|score| format!("{score:.2}"));
        let words =
            numbers.into_iter().chain(["doe", "λ", "lambda", "probability", &run.asked().target].map(str::to_owned));
        let all = texts(window).join("\n");
        words.filter(|word| all.contains(word.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(secret(&window), Vec::<String>::new(), "{:?}", texts(&window));
    assert!(window.query_by_label("Difference pane").is_none(), "on request alone");
    click(&mut window, "Difference");
    assert!(window.query_by_label("Difference pane").is_some());
    let tag = window.get_by_label("Counterfactual pane").accesskit_node().value().expect("words");
    assert!(tag.starts_with("SYNTHETIC;"), "{tag}");
    assert_eq!(secret(&window), Vec::<String>::new());
    assert!(says(&window, "Research use only. Not for diagnosis."));

    // Answers: a step of the scale, a word, a mark, a remark that Enter was never pressed for.
    assert!(window.get_by_label("Next case").accesskit_node().is_disabled());
    assert!(says(&window, "Still to answer: Is it there?"));
    click(&mut window, "realistic: 4");
    click(&mut window, "finding: yes");
    click(&mut window, "where: mark on a picture");
    let middle = window.get_by_label("Counterfactual pane").rect().center();
    drag(&mut window, middle - vec2(30.0, 20.0), middle + vec2(30.0, 20.0));
    assert!(says(&window, "Marked on the counterfactual, axial"), "{:?}", texts(&window));
    write(&mut window, "remarks", "soft edge");
    window.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.run_steps(3);
    until(&mut window, "the second case", |w| says(w, "case 2 of 2") && w.query_by_label("Original pane").is_some());
    let told = |row: &Vec<String>| ["event", "question"].map(|column| cell(row, column).to_owned()).join(" ");
    let wanted = ["difference ", "answer realistic", "answer finding", "answer where", "answer remarks", "done "];
    assert_eq!(rows(&path).iter().map(told).collect::<Vec<_>>(), wanted);
    assert_eq!(cell(&rows(&path)[4], "answer"), "soft edge");
    assert!(window.query_by_label("Difference pane").is_none(), "each case begins without it");

    // Leaving keeps what was answered.
    click(&mut window, "realistic: 2");
    click(&mut window, "Leave the study");
    assert!(window.query_by_label("Open a CT file…").is_some());
    click(&mut window, "Reader study…");
    until(&mut window, "the study", |w| says(w, "Trial: 2 results, 4 questions each"));
    click(&mut window, "Begin");
    until(&mut window, "the case", |w| w.query_by_label("Original pane").is_some());
    assert!(says(&window, "Going on where you stopped: 1 of 2 cases read"), "{:?}", texts(&window));
    click(&mut window, "finding: no");
    click(&mut window, "Next case");
    until(&mut window, "the end", |w| says(w, "All of 2 cases are read. Thank you."));
    assert_eq!(rows(&path).len(), 9);
    click(&mut window, "Leave the study");
    assert!(window.query_by_label("Open a CT file…").is_some());
}

#[test]
fn a_study_is_found_by_the_palette_and_a_dialog_and_a_reader_can_do_it_all_by_keys() {
    let models = TinyModels::new();
    let (folder, _) = results(&models, TEXT, &["a.parallax", "b.parallax"]);
    let answers = vec![(Ask::StudyFile, folder.join("study.toml"))];
    let mut window = open_with(Start::default(), answers);
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    window.event(egui::Event::Text("reader study".to_owned()));
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
    click(&mut window, "Choose a study file…");
    until(&mut window, "the study", |w| says(w, "Trial: 2 results"));
    write(&mut window, "Reader's code", "Jane Doe");
    click(&mut window, "Begin");
    assert!(says(&window, "the reader's code is \"Jane Doe\""), "{:?}", texts(&window));
    click(&mut window, "Dismiss");
    window.get_by_role_and_label(Role::TextInput, "Reader's code").focus();
    window.run_steps(2);
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.run_steps(1);
    write(&mut window, "Reader's code", "K-1");
    click(&mut window, "Begin");
    until(&mut window, "the case", |w| w.query_by_label("Original pane").is_some());
    window.remove_cursor();
    for (key, plane) in [(Key::C, "Coronal"), (Key::A, "Axial")] {
        window.key_press(key);
        window.run_steps(3);
        let words = window.get_by_label("Original pane").accesskit_node().value().expect("words");
        assert!(words.contains(plane), "{words}");
    }
    window.key_press(Key::D);
    window.run_steps(3);
    assert!(window.query_by_label("Difference pane").is_some());
    for name in ["realistic: 5", "finding: no", "where: mark on a picture", "Mark the middle"] {
        window.get_by_label(name).focus();
        window.run_steps(2);
        window.key_press(Key::Enter);
        window.run_steps(3);
    }
    assert!(says(&window, "Marked on the original, axial"), "{:?}", texts(&window));
    window.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.run_steps(3);
    until(&mut window, "the second case", |w| says(w, "case 2 of 2"));
    // What a reader can do is a list of its own.
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    assert!(says(&window, "Leave the study") && !says(&window, "Save the session…") && !says(&window, "Lambda 0"));
}
