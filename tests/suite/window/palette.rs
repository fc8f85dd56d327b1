//! The palette in the real window: everything by its name.

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::Queryable;
use parallax::ui::Start;

use crate::support;
use crate::window::driven::{Window, says, texts, until, window};

fn open() -> Window {
    let mut window = window(Start { scan: Some(support::data("nifti/syn_lps.nii.gz")), ..Start::default() });
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    window
}

/// Types into the palette's field, which has the focus.
fn type_words(window: &mut Window, words: &str) {
    window.event(egui::Event::Text(words.to_owned()));
    window.run_steps(2);
}

#[test]
fn a_command_is_found_by_its_words_and_done_by_enter() {
    let mut window = open();
    assert!(says(&window, "Sagittal plane") && says(&window, "Ctrl + O"), "{:?}", texts(&window));
    type_words(&mut window, "plane coron");
    assert!(says(&window, "Coronal plane") && !says(&window, "Sagittal plane"));
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(!says(&window, "Coronal plane"), "the palette is put away");
    let pane = window.get_by_role_and_label(Role::Image, "Original pane");
    let words = egui_kittest::kittest::NodeT::accesskit_node(&pane).value().unwrap_or_default();
    assert!(words.contains("Coronal"), "{words}");
}

#[test]
fn arrows_choose_escape_closes_and_a_command_may_open_another_sheet() {
    let mut window = open();
    type_words(&mut window, "keys and");
    window.key_press(Key::ArrowDown);
    window.run_steps(1);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(says(&window, "slice by slice"), "the list of keys");
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(!says(&window, "slice by slice"));
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    type_words(&mut window, "no such thing");
    assert!(says(&window, "nothing of that name"));
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(!says(&window, "nothing of that name"));
}
