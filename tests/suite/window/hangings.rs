//! What a person makes the window's own: hangings, and keys.

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::Queryable;
use parallax::frame::display::{Change, Laid, Layout};
use parallax::frame::{PRESETS, Plane};
use parallax::latent_shift::saliency::Method;
use parallax::session::action::{Run, Setting, View};
use parallax::settings::{Hanging, Hangings};
use parallax::ui::Start;

use crate::support;
use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, says, texts, until, window};
use crate::window::without_window::{explain, explained, ready};

#[test]
fn a_new_result_of_a_class_with_a_hanging_is_shown_in_it_and_undo_goes_back() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    let mut hangings = Hangings::default();
    hangings.0[1].target = "effusion".to_owned();
    session.apply(Setting::Hangings(hangings).into());
    explain(&mut session);
    assert_eq!((session.view.plane, session.view.window), (Plane::Coronal, PRESETS[1].1));

    let (cursor, step) = (session.view.cursor, session.view.step);
    session.apply(View::Hang(2).into());
    assert_eq!((session.view.plane, session.view.display.layout), (Plane::Axial, Layout::Planes));
    assert_eq!((session.view.cursor, session.view.step), (cursor, step), "place and lambda stay");
    session.apply(View::Undo.into());
    assert_eq!((session.view.plane, session.view.display.layout), (Plane::Coronal, Layout::Three));
    session.apply(View::Hang(99).into());
    assert_eq!(session.view.plane, Plane::Coronal, "there is no such hanging");
}

#[test]
fn a_hanging_keeps_no_map_of_another_method() {
    let models = TinyModels::new();
    let mut session = explained(&models);
    session.apply(View::Change(Change::Laid(Laid::By(Method::Gradient))).into());
    let view = &session.view;
    let hanging = Hanging::of("mine", view.plane, view.window, view.display);
    assert_eq!(hanging.display.laid, Laid::Change);
    session.apply(Run::StopMethod.into());
}

fn open() -> Window {
    let mut window = window(Start { scan: Some(support::data("nifti/syn_lps.nii.gz")), ..Start::default() });
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    window
}

fn press(window: &mut Window, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click();
    window.run_steps(3);
}

fn sees(window: &Window, plane: &str) -> bool {
    let pane = window.get_by_role_and_label(Role::Image, "Original pane");
    egui_kittest::kittest::NodeT::accesskit_node(&pane).value().unwrap_or_default().contains(plane)
}

/// Opens the list of keys, and finds a command in it.
fn change_keys(window: &mut Window, command: &str) {
    window.key_press(Key::F1);
    window.run_steps(3);
    press(window, "Change the keys…");
    window.get_by_role_and_label(Role::TextInput, "Find a command").click();
    window.run_steps(2);
    window.event(egui::Event::Text(command.to_owned()));
    window.run_steps(3);
}

#[test]
fn a_command_takes_another_key_and_its_usual_one_again() {
    let mut window = open();
    change_keys(&mut window, "coronal plane");
    press(&mut window, "Key of Coronal plane: C");
    assert!(says(&window, "Press the new key"), "{:?}", texts(&window));
    window.key_press(Key::B);
    window.run_steps(3);
    assert!(says(&window, "B shows the original"), "{:?}", texts(&window));
    press(&mut window, "Key of Coronal plane: C");
    window.key_press_modifiers(Modifiers::SHIFT, Key::Y);
    window.run_steps(8); // an event a frame
    assert!(says(&window, "Shift + Y"), "{:?}", texts(&window));
    window.key_press(Key::Escape);
    window.run_steps(4);
    assert!(!says(&window, "Find a command"), "Escape puts the list away: {:?}", texts(&window));
    window.key_press(Key::C);
    window.run_steps(3);
    assert!(sees(&window, "Axial"), "the usual key is no more");
    window.key_press_modifiers(Modifiers::SHIFT, Key::Y);
    window.run_steps(8); // an event a frame
    assert!(sees(&window, "Coronal"));

    window.key_press(Key::F1);
    window.run_steps(3);
    assert!(says(&window, "Changed by you"), "{:?}", texts(&window));
    press(&mut window, "Change the keys…");
    press(&mut window, "All keys as at first");
    press(&mut window, "Close window");
    window.key_press(Key::A);
    window.run_steps(3);
    window.key_press(Key::C);
    window.run_steps(3);
    assert!(sees(&window, "Coronal"));
}

#[test]
fn what_is_shown_is_kept_as_a_hanging_and_chosen_from_the_palette() {
    let mut window = open();
    window.key_press(Key::S);
    window.run_steps(3);
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    window.event(egui::Event::Text("hangings".to_owned()));
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
    press(&mut window, "Keep what is shown");
    assert!(window.query_by_role_and_label(Role::Button, "Remove Own hanging").is_some(), "{:?}", texts(&window));
    window.key_press(Key::Escape);
    window.run_steps(3);
    window.key_press(Key::A);
    window.run_steps(3);
    assert!(sees(&window, "Axial"));
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    window.event(egui::Event::Text("hanging: own".to_owned()));
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(sees(&window, "Sagittal"));
}
