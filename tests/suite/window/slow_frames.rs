//! Slow frames, in which much happens at once: a click counts where it was made, a drag is a drag, and each press of a key counts.

use eframe::App as _;
use egui::{Event, Key, Modifiers, PointerButton, Pos2, RawInput, accesskit::Role, vec2};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, explained, slider_value};

/// More frames than any of the tests needs.
const FRAMES: usize = 8;

/// Everything comes within one frame, and is handed on as the system's window does it.
fn at_once(window: &mut Window, events: Vec<Event>) {
    let mut raw = RawInput { events, ..RawInput::default() };
    for _ in 0..FRAMES {
        let ctx = window.ctx.clone();
        window.state_mut().raw_input_hook(&ctx, &mut raw);
        window.input_mut().events.append(&mut raw.events);
        window.step();
    }
}

fn button(pos: Pos2, pressed: bool) -> Event {
    Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE }
}

fn click_at(at: Pos2) -> [Event; 3] {
    [Event::PointerMoved(at), button(at, true), button(at, false)]
}

fn middle(window: &Window, label: &str) -> Pos2 {
    window.get_by_label(label).rect().center()
}

#[test]
fn a_click_counts_where_it_was_made_though_the_pointer_has_gone_on_within_the_frame() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let single = window.get_by_role_and_label(Role::Button, "Single").rect().center();
    let (three, pane) =
        (window.get_by_role_and_label(Role::Button, "Three").rect().center(), middle(&window, "Difference pane"));
    let words = |window: &Window| window.get_by_label("Counterfactual pane").accesskit_node().value();
    let before = words(&window);
    at_once(&mut window, click_at(single).into_iter().chain([Event::PointerMoved(pane)]).collect());
    assert!(window.query_by_label("Difference pane").is_none(), "one pane alone");
    // Two clicks at two places, and on to a third.
    let two = click_at(three).into_iter().chain(click_at(single)).chain([Event::PointerMoved(pane)]);
    at_once(&mut window, two.collect());
    assert!(window.query_by_label("Difference pane").is_none(), "the last one holds");
    at_once(&mut window, click_at(single).into_iter().chain(click_at(three)).collect());
    assert!(window.query_by_label("Difference pane").is_some());
    assert_eq!(words(&window), before, "nothing was clicked on the pictures");
}

#[test]
fn a_drag_that_begins_and_ends_within_one_frame_is_a_drag() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let width = |window: &Window| {
        window.get_by_role_and_label(Role::SpinButton, "Width").accesskit_node().numeric_value().expect("a number")
    };
    let before = width(&window);
    let from = middle(&window, "Original pane");
    let to = from + vec2(60.0, 0.0);
    let drag = vec![Event::PointerMoved(from), button(from, true), Event::PointerMoved(to), button(to, false)];
    at_once(&mut window, drag);
    let wider = before * (1.0 + 60.0 / 250.0);
    assert!((width(&window) - wider).abs() < 2.0, "{} HU, from {before} to {wider}", width(&window));
    assert!(window.query_by_label("Difference pane").is_some(), "and no double click");
}

#[test]
fn presses_of_one_key_within_one_frame_all_count() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    window.remove_cursor();
    let before = slider_value(&window, "Slice");
    let (key, by) = if before > 4.0 { (Key::ArrowDown, -3.0) } else { (Key::ArrowUp, 3.0) }; // of eight slices
    let press = |pressed| Event::Key { key, physical_key: None, pressed, repeat: false, modifiers: Modifiers::NONE };
    at_once(&mut window, [true, false, true, false, true, false].map(press).to_vec());
    assert_eq!(slider_value(&window, "Slice"), before + by);
}

#[test]
fn another_layout_is_drawn_at_the_size_of_its_panes_from_its_first_frame_on() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    window.remove_cursor();
    window.run_steps(3);
    let key = Event::Key { key: Key::G, physical_key: None, pressed: true, repeat: false, modifiers: Modifiers::NONE };
    window.input_mut().events.push(key);
    window.step(); // the key is acted on
    window.step();
    assert!(window.query_by_label("Original pane, Coronal").is_some(), "three planes");
    let first = window.render().expect("an adapter draws");
    window.run_steps(3);
    let later = window.render().expect("an adapter draws");
    let differ = first.pixels().zip(later.pixels()).filter(|(a, b)| a != b).count();
    assert_eq!(differ, 0, "pixels of the first frame are others");
}
