//! Rulers, angles and regions drawn by the mouse and by the keyboard in the real window.

use egui::{self, Key, Pos2, accesskit::Role, vec2};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::tiny_models::{SIDE, TinyModels};
use crate::window::driven::{Window, click, explained, pane, says, texts, type_path, until};

/// A pane's size is rounded to whole pixels, and so is what the label says.
const ROUNDING_MM: f64 = 0.2;
/// Of a bare stack, along its rows.
const SPACING_MM: f64 = 1.5;

fn press(window: &mut Window, key: Key) {
    window.key_press(key);
    window.run_steps(3);
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

/// The line of the list that begins so.
fn line(window: &Window, start: &str) -> Option<String> {
    texts(window).into_iter().find(|text| text.starts_with(start))
}

#[test]
fn a_ruler_and_an_angle_are_measured_in_the_patients_millimetres() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let rect = window.get_by_label("Original pane").rect();
    let (middle, plain) = (rect.center(), pane(&mut window, "Difference"));
    press(&mut window, Key::M);
    drag(&mut window, middle, middle + vec2(60.0, 0.0));
    let mm_per_point = SIDE as f64 * SPACING_MM / f64::from(rect.width().min(rect.height()));
    let ruler = line(&window, "1  Ruler, axial").expect("a ruler");
    let mm: f64 = ruler.split([':', 'm']).nth(1).and_then(|mm| mm.trim().parse().ok()).expect("a length");
    assert!((mm - 60.0 * mm_per_point).abs() < ROUNDING_MM, "{ruler}, of {mm_per_point} mm a point");
    assert!(pane(&mut window, "Difference") != plain, "it is drawn in every pane");
    press(&mut window, Key::M);
    drag(&mut window, middle, middle + vec2(0.0, 60.0));
    assert_eq!(line(&window, "2  Angle"), None, "an arm is missing");
    let end = middle + vec2(60.0, 60.0);
    window.hover_at(end);
    window.run_steps(1);
    window.drag_at(end);
    window.drop_at(end);
    window.run_steps(3);
    let angle = line(&window, "2  Angle, axial").expect("an angle");
    assert!(angle.ends_with(": 90.0°"), "{angle}");
}

#[test]
fn a_region_is_read_in_every_volume_and_deleted_and_brought_back_by_keys() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let middle = window.get_by_label("Counterfactual pane").rect().center();
    for _ in 0..3 {
        press(&mut window, Key::M);
    }
    drag(&mut window, middle - vec2(40.0, 30.0), middle + vec2(40.0, 30.0));
    assert!(line(&window, "1  Region, axial").is_some_and(|line| line.ends_with("mm²")));
    let mean = |window: &Window, volume: &str| {
        // The line at the bottom of the window names several volumes in one text.
        let mine = |text: &String| text.starts_with(volume) && text.ends_with("HU") && text.contains('±');
        let text = texts(window).into_iter().find(mine).unwrap_or_else(|| panic!("no {volume}"));
        let mean = text[volume.len()..].split('±').next().map(str::trim).expect("a mean");
        mean.parse::<f64>().unwrap_or_else(|_| panic!("{text}"))
    };
    let [reconstruction, counterfactual, difference] =
        ["Reconstruction", "Counterfactual", "Difference"].map(|volume| mean(&window, volume));
    assert!((counterfactual - reconstruction - difference).abs() < 0.2, "each is rounded to 0.1 HU");
    assert!(difference != 0.0 && mean(&window, "Original") != reconstruction);
    window.key_press_modifiers(egui::Modifiers::SHIFT, Key::ArrowRight);
    window.run_steps(3);
    assert_eq!([mean(&window, "Difference"), mean(&window, "Counterfactual")], [0.0, reconstruction], "at lambda 0");
    let before = pane(&mut window, "Original");
    press(&mut window, Key::Delete);
    assert!(line(&window, "1  Region").is_none() && pane(&mut window, "Original") != before);
    window.key_press_modifiers(egui::Modifiers::COMMAND, Key::Z);
    window.run_steps(3);
    assert!(line(&window, "1  Region").is_some(), "it is back");
    press(&mut window, Key::ArrowUp);
    let beside = pane(&mut window, "Original");
    let undo = |window: &mut Window| {
        window.key_press_modifiers(egui::Modifiers::COMMAND, Key::Z);
        window.run_steps(3);
    };
    undo(&mut window);
    assert!(line(&window, "1  Region").is_some() && pane(&mut window, "Original") != beside, "the slice is back");
    assert_eq!(mean(&window, "Difference"), 0.0, "still at lambda 0");
    undo(&mut window);
    assert!(mean(&window, "Difference") != 0.0, "lambda is back");
    undo(&mut window);
    assert!(line(&window, "1  Region").is_none(), "it was not drawn yet");
    window.key_press_modifiers(egui::Modifiers::COMMAND | egui::Modifiers::SHIFT, Key::Z);
    window.run_steps(3);
    assert!(line(&window, "1  Region").is_some(), "and forth again");
}

#[test]
fn the_keyboard_measures_too_and_a_choice_in_the_list_shows_the_slice() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    click(&mut window, "Measure");
    click(&mut window, "Ruler");
    click(&mut window, "Draw in the middle");
    let ruler = line(&window, "1  Ruler").expect("a ruler");
    assert!(ruler.ends_with(": 20.0 mm"), "{ruler}");
    let slice = |window: &Window| {
        window.get_by_role_and_label(Role::Slider, "Slice").accesskit_node().numeric_value().expect("a number")
    };
    let drawn = slice(&window);
    press(&mut window, Key::ArrowDown);
    assert_ne!(slice(&window), drawn);
    click(&mut window, &ruler); // it was selected as it was drawn: this puts it down
    click(&mut window, &ruler);
    assert_eq!(slice(&window), drawn);
    press(&mut window, Key::R);
    assert!(says(&window, &ruler), "a reset of the view keeps what was measured");
}

#[test]
fn a_saved_picture_shows_what_was_measured_only_where_it_is_told_to() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    click(&mut window, "Measure");
    click(&mut window, "Region");
    click(&mut window, "Draw in the middle");
    let mut picture = |name: &str| {
        let path = models.folder.path().join(name);
        type_path(&mut window, "Save as", &path);
        until(&mut window, "the picture", |w| says(w, &format!("Saved {}", path.display())));
        click(&mut window, "With measurements");
        image::open(&path).expect("a picture").to_rgba8()
    };
    let (plain, measured, again) = (picture("plain.png"), picture("measured.png"), picture("again.png"));
    assert!(plain == again, "without the tick nothing of it is left");
    let changed = |pane: u32| {
        let width = plain.width() / 3;
        let columns = pane * width..(pane + 1) * width;
        let inside = plain.enumerate_pixels().filter(|(x, _, _)| columns.contains(x));
        inside.filter(|(x, y, pixel)| measured.get_pixel(*x, *y) != *pixel).count()
    };
    // An ellipse's line of some hundred pixels, and its numbers.
    assert!([0, 1, 2].map(changed).iter().all(|pixels| *pixels > 300), "{:?}", [0, 1, 2].map(changed));
}
