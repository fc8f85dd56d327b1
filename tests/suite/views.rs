//! The ways to look at a counterfactual, by key and by mouse, in the real window.

use eframe::egui::{Key, Rect, accesskit::Role, vec2};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::tiny_models::TinyModels;
use crate::window::{Window, explained, pane};

fn press(window: &mut Window, key: Key) {
    window.key_press(key);
    window.run_steps(3);
}

fn words(window: &Window, label: &str) -> String {
    window.get_by_label(label).accesskit_node().value().expect("words")
}

fn has(window: &Window, label: &str) -> bool {
    window.query_by_label(label).is_some()
}

fn pixels(window: &mut Window, rect: Rect) -> Vec<u8> {
    let image = window.render().expect("an adapter draws");
    let [x, y, w, h] = [rect.left(), rect.top(), rect.width(), rect.height()].map(|n| n as u32);
    image::imageops::crop_imm(&image, x, y, w, h).to_image().into_raw()
}

#[test]
fn three_planes_stand_in_rows_and_a_click_moves_where_they_cross() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    press(&mut window, Key::L);
    for plane in ["Axial", "Coronal", "Sagittal"] {
        for title in ["Original", "Counterfactual", "Difference"] {
            let label = format!("{title} pane, {plane}");
            assert!(words(&window, &label).contains(plane), "{label}");
        }
    }
    let coronal = words(&window, "Counterfactual pane, Coronal");
    let axial = words(&window, "Counterfactual pane, Axial");
    let middle = window.get_by_label("Original pane, Axial").rect().center();
    // Lower on an axial picture is further back; the axial slice stays.
    let at = middle + vec2(0.0, 25.0);
    window.hover_at(at);
    window.drag_at(at);
    window.drop_at(at);
    window.run_steps(3);
    assert_ne!(words(&window, "Counterfactual pane, Coronal"), coronal, "the coronal plane follows");
    assert_eq!(words(&window, "Counterfactual pane, Axial"), axial);
    press(&mut window, Key::L);
    assert!(has(&window, "Counterfactual pane") && !has(&window, "Original pane"), "one pane");
    press(&mut window, Key::L);
    assert!(has(&window, "Original pane"), "three panes again");
}

#[test]
fn while_b_is_held_the_original_stands_in_the_counterfactuals_place() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let place = window.get_by_label("Counterfactual pane").rect().shrink2(vec2(30.0, 60.0));
    let original = window.get_by_label("Original pane").rect().shrink2(vec2(30.0, 60.0));
    let (original, before) = (pixels(&mut window, original), pixels(&mut window, place));
    window.key_down(Key::B);
    window.run_steps(3);
    assert!(!has(&window, "Counterfactual pane"), "nothing generated is left there");
    let held = pixels(&mut window, place);
    assert!(held == original && held != before);
    window.key_up(Key::B);
    window.run_steps(3);
    assert!(pixels(&mut window, place) == before && words(&window, "Counterfactual pane").contains("SYNTHETIC"));
}

#[test]
fn keys_choose_what_the_generated_panes_show_and_all_of_it_is_marked() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let (decoded, difference) = (pane(&mut window, "Counterfactual"), pane(&mut window, "Difference"));
    press(&mut window, Key::O);
    assert!(pane(&mut window, "Counterfactual") != decoded, "the difference lies on top");
    press(&mut window, Key::O);
    assert!(pane(&mut window, "Counterfactual") == decoded, "and is gone again");
    press(&mut window, Key::N);
    assert!(pane(&mut window, "Counterfactual") != decoded, "voxels as squares");
    press(&mut window, Key::N);
    press(&mut window, Key::D);
    assert!(words(&window, "Counterfactual, detail kept pane").contains("SYNTHETIC"));
    assert!(pane(&mut window, "Counterfactual, detail kept") != decoded);
    press(&mut window, Key::M);
    assert!(words(&window, "Difference, largest through the patient pane").contains("SYNTHETIC"));
    assert!(pane(&mut window, "Difference, largest through the patient") != difference);
}

#[test]
fn a_swipe_shows_the_original_left_of_a_line_that_can_be_dragged() {
    const LINE: &str = "Swipe between original and counterfactual";
    let models = TinyModels::new();
    let mut window = explained(&models);
    press(&mut window, Key::W);
    let rect = window.get_by_label("Counterfactual pane").rect().shrink2(vec2(40.0, 60.0));
    let (left, right) = rect.split_left_right_at_fraction(0.45);
    let right = right.with_min_x(right.left() + 0.2 * rect.width());
    let swiped = [left, right].map(|half| pixels(&mut window, half));
    press(&mut window, Key::W);
    let counterfactual = [left, right].map(|half| pixels(&mut window, half));
    window.key_down(Key::B);
    window.run_steps(3);
    let original = [left, right].map(|half| pixels(&mut window, half));
    window.key_up(Key::B);
    assert!(original[0] != counterfactual[0] && original[1] != counterfactual[1], "they differ everywhere");
    assert!(swiped[0] == original[0] && swiped[1] == counterfactual[1]);
    press(&mut window, Key::W);
    let line = window.get_by_role_and_label(Role::Slider, LINE).rect().center();
    window.hover_at(line);
    window.drag_at(line);
    window.run_steps(2);
    window.hover_at(line + vec2(200.0, 0.0));
    window.run_steps(2);
    window.drop_at(line + vec2(200.0, 0.0));
    window.run_steps(3);
    let moved = window.get_by_role_and_label(Role::Slider, LINE).rect().center();
    assert!((moved.x - line.x - 200.0).abs() < 3.0, "from {line} to {moved}");
}
