//! The demo with its result in windows of every usual size, in both themes: nothing lies on anything else, all is there, and the pictures
//! are left in `target/window` to be looked at.

use std::path::{Path, PathBuf};

use egui::accesskit::Role;
use egui::{Key, Pos2, Rect, Shape, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use parallax::settings::{Panels, Settings, kept};
use parallax::ui::{App, Start, SystemPicker};

use crate::tiny_models::TinyModels;
use crate::window::access::{named, reached};
use crate::window::driven::{Window, click, explained, press, says, texts, unfold, until};

const SIZES: [[f32; 2]; 3] = [[1024.0, 640.0], [1440.0, 900.0], [1920.0, 1080.0]];
/// A narrower window shows the result alone.
const NARROW: f32 = 1200.0;
const NOTICE: &str = "Research use only. Not for diagnosis.";
/// Two lines of text may overlap by so much, points: letters leave room above and below them.
const TOUCH: f32 = 2.0;
/// Copies of a text that stand so near to it are its dark edge, points.
const EDGE: f32 = 3.0;

/// The demo's window at a size, once its networks are there.
fn demo(size: [f32; 2], scale: f32, panels: Panels, folder: &Path) -> Window {
    let settings = folder.join(format!("{panels:?}.json"));
    kept::save(&settings, &Settings { panels, ..Settings::default() }).expect("settings");
    let start = Start { demo: true, settings: Some(settings), ..Start::default() };
    let builder = Harness::builder().with_size(size).with_pixels_per_point(scale).wgpu();
    let mut window = builder.build_eframe(move |cc| App::new(cc, start, Box::new(SystemPicker)));
    until(&mut window, "the result", |w| says(w, "Stopped because") || says(w, "effusion"));
    window.remove_cursor();
    window.run_steps(4);
    window
}

/// A text as it is drawn: what of it is seen, and all of it.
#[derive(Debug, Clone)]
struct Drawn {
    text: String,
    seen: Rect,
    whole: Rect,
}

/// Every text of the last frame, each once.
fn drawn(window: &Window) -> Vec<Drawn> {
    let mut found: Vec<Drawn> = Vec::new();
    for clipped in &window.output().shapes {
        let mut open = vec![&clipped.shape];
        while let Some(shape) = open.pop() {
            match shape {
                Shape::Vec(shapes) => open.extend(shapes),
                Shape::Text(text) => {
                    for row in &text.galley.rows {
                        let whole = row.rect_without_leading_space().translate(text.pos.to_vec2());
                        let seen = whole.intersect(clipped.clip_rect);
                        let words = row.text();
                        let is_copy = |one: &Drawn| one.text == words && (one.whole.min - whole.min).length() < EDGE;
                        if seen.is_positive() && !words.trim().is_empty() && !found.iter().any(is_copy) {
                            found.push(Drawn { text: words, seen, whole });
                        }
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// Asserts that no text lies on another one, and that none is cut by the window.
fn assert_apart(window: &Window, size: [f32; 2], what: &str) {
    let all = drawn(window);
    assert!(all.len() > 40, "{what}: {} texts", all.len());
    let screen = Rect::from_min_size(Pos2::ZERO, size.into());
    for (n, one) in all.iter().enumerate() {
        let is_out = !screen.expand(1.0).contains_rect(one.seen);
        assert!(!is_out, "{what}: {:?} lies at {:?}", one.text, one.seen);
        for other in &all[n + 1..] {
            let both = one.seen.intersect(other.seen);
            let lies_on = both.width() > TOUCH && both.height() > TOUCH;
            assert!(!lies_on, "{what}: {one:?} lies on {other:?}");
        }
    }
}

/// Asserts that what is written on the pictures is not cut.
fn assert_whole(window: &Window, words: &[&str], what: &str) {
    for drawn in drawn(window).iter().filter(|drawn| words.iter().any(|word| drawn.text.starts_with(word))) {
        assert!(drawn.seen.expand(1.0).contains_rect(drawn.whole), "{what}: {drawn:?} is cut");
    }
}

fn assert_in_reach(window: &mut Window, size: [f32; 2], what: &str) {
    let screen = Rect::from_min_size(Pos2::ZERO, size.into());
    let inside = |role: Role, name: &str| {
        let node = window.query_by_role_and_label(role, name);
        let rect = node.unwrap_or_else(|| panic!("{what}: no {name}: {:?}", texts(window))).rect();
        assert!(screen.contains_rect(rect), "{what}: {name} lies at {rect:?}");
    };
    inside(Role::Label, NOTICE);
    for name in ["Axial", "Coronal", "Sagittal", "Three", "Settings", "Keys and mouse", "Play", "Export…"] {
        inside(Role::Button, name);
    }
    for name in ["Slice", "Lambda"] {
        inside(Role::Slider, name);
    }
    for name in ["Original pane", "Counterfactual pane", "Difference pane"] {
        inside(Role::Image, name);
    }
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/window");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Leaves a picture of the window.
fn leave(window: &mut Window, name: &str) {
    let picture = window.render().expect("an adapter draws");
    picture.save(folder().join(format!("{name}.png"))).expect("written");
}

fn look(size: [f32; 2], scale: f32, panels: Panels) {
    let settings = tempfile::tempdir().expect("a folder");
    let mut window = demo(size, scale, panels, settings.path());
    let [width, height] = size;
    if width > NARROW {
        // Until the networks are there the steps tell of them.
        until(&mut window, "the networks", |w| w.query_by_label("Unfold models").is_some());
        window.run_steps(4);
    }
    let what = format!("{width} x {height}, {panels:?}, scale {scale}").to_lowercase();
    leave(&mut window, &what.replace(", ", "-").replace(' ', "-"));
    assert_apart(&window, size, &what);
    assert_whole(&window, &["Original", "Counterfactual", "Difference", "SYNTHETIC", "Axial ", "score "], &what);
    assert_in_reach(&mut window, size, &what);
    named(&window);
}

#[test]
fn nothing_lies_on_anything_else_and_all_is_in_reach_at_every_size_in_both_themes() {
    for size in SIZES {
        for panels in [Panels::Dark, Panels::Light] {
            look(size, 1.0, panels);
        }
    }
}

#[test]
fn at_scale_two_it_is_the_same_in_finer_pixels() {
    look([1440.0, 900.0], 2.0, Panels::Dark);
    look([1024.0, 640.0], 2.0, Panels::Light);
}

#[test]
fn every_layout_has_room_for_its_labels_in_the_smallest_window() {
    let settings = tempfile::tempdir().expect("a folder");
    let mut window = demo(SIZES[0], 1.0, Panels::Dark, settings.path());
    window.key_press(Key::F1);
    window.run_steps(4);
    assert!(says(&window, "where the largest region changed most"), "the list of keys");
    leave(&mut window, "help");
    let foot = window.get_by_label(NOTICE).rect();
    let of_foot = |drawn: &Drawn| drawn.text == NOTICE || drawn.text.starts_with("Wheel: slice");
    let below: Vec<Drawn> =
        drawn(&window).into_iter().filter(|one| one.seen.bottom() > foot.top() + TOUCH && !of_foot(one)).collect();
    assert!(below.is_empty(), "the list of keys lies on the notice: {below:?}");
    window.key_press(Key::F1);
    window.run_steps(4);
    for layout in ["Three", "Planes", "Single", "2 x 2", "MPR"] {
        window.get_by_role_and_label(Role::Button, layout).click();
        window.remove_cursor();
        window.run_steps(4);
        leave(&mut window, &format!("layout-{}", layout.replace(' ', "")));
        assert_apart(&window, SIZES[0], layout);
    }
}

#[test]
fn a_narrow_window_shows_one_side_panel_and_the_other_by_a_key_or_a_button() {
    let settings = tempfile::tempdir().expect("a folder");
    let mut window = demo(SIZES[0], 1.0, Panels::Dark, settings.path());
    let pictures = |window: &Window| window.get_by_label("Original pane").rect().width();
    let shows_steps = |window: &Window| window.query_by_label("Compute it again").is_some();
    let wide = pictures(&window);
    assert!(!shows_steps(&window) && says(&window, "Stopped because"), "there is a result to be read");
    assert!(3.0 * wide > 0.65 * SIZES[0][0], "the pictures have two thirds of the window: {wide}");
    window.key_press(Key::F9);
    window.run_steps(4);
    assert!(shows_steps(&window) && pictures(&window) < wide);
    let steps = window.get_by_label("Compute it again").rect();
    assert!(Rect::from_min_size(pos2(0.0, 0.0), vec2(SIZES[0][0], SIZES[0][1])).contains_rect(steps));
    window.key_press(Key::F10);
    window.run_steps(4);
    assert!(!says(&window, "Stopped because"));
    // Once the networks are there the step folds, and nothing comes or goes any more.
    until(&mut window, "the networks", |w| w.query_by_label("Unfold models").is_some());
    window.get_by_label("Show the result (F10)").click();
    window.run_steps(4);
    assert!(says(&window, "Stopped because"));
    reached(&mut window);
}

#[test]
fn two_results_side_by_side_and_a_run_beside_an_older_result_have_room_for_their_labels() {
    const SIZE: [f32; 2] = [1280.0, 860.0];
    let models = TinyModels::new();
    let mut window = explained(&models);
    unfold(&mut window, "models");
    click(&mut window, "2  Fracture");
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the other result", |w| w.query_by_label("Compare with it").is_some());
    press(&mut window, "Compare with it");
    window.remove_cursor();
    window.run_steps(4);
    leave(&mut window, "compare");
    assert_apart(&window, SIZE, "compare");
    assert_whole(&window, &["Counterfactual", "Difference", "SYNTHETIC"], "compare");
    named(&window);
    // What lies under the pointer is told of both: a long line, beside which the notice keeps its room.
    let pane = window.get_by_label("Reconstruction A pane").rect();
    window.hover_at(pane.center());
    window.run_steps(3);
    assert!(says(&window, "A Reconstruction") && says(&window, "B Reconstruction"), "{:?}", texts(&window));
    assert_apart(&window, SIZE, "compare, under the pointer");
    assert_whole(&window, &[NOTICE], "compare, under the pointer");
    window.remove_cursor();
    window.run_steps(2);
    window.key_press(Key::Escape);
    // A sweep that is long enough to be looked at.
    unfold(&mut window, "counterfactual");
    press(&mut window, "Advanced");
    press(&mut window, "range");
    window.get_by_role_and_label(Role::SpinButton, "Steps").focus();
    window.run_steps(2);
    window.event(egui::Event::Text("200".to_owned()));
    window.run_steps(1);
    window.key_press(Key::Enter);
    window.run_steps(3);
    click(&mut window, "Compute counterfactual");
    until(&mut window, "a picture", |w| w.query_by_label("Show the result before").is_some());
    window.remove_cursor();
    leave(&mut window, "so-far");
    assert!(window.query_by_label("Counterfactual so far pane").is_some(), "{:?}", texts(&window));
    assert_apart(&window, SIZE, "so far");
    click(&mut window, "Show the result before");
    assert!(window.query_by_label("Counterfactual pane").is_some(), "{:?}", texts(&window));
}

#[test]
fn the_words_of_the_step_under_the_pointer_lie_on_no_others() {
    const SIZE: [f32; 2] = [1280.0, 860.0];
    let models = TinyModels::new();
    let mut window = explained(&models);
    let curve = window.get_by_label("Scores along lambda").rect();
    for share in [0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8] {
        window.hover_at(curve.left_top() + curve.size() * vec2(share, 0.6));
        window.run_steps(3);
        let is_number = |text: &str| text.contains(" at λ ") && text.starts_with(|first: char| first.is_ascii_digit());
        let numbers = drawn(&window).iter().filter(|drawn| is_number(&drawn.text)).count();
        assert_eq!(numbers, 2, "the playhead's and the pointer's, at {share}");
        assert_apart(&window, SIZE, &format!("the pointer at {share} of the curve"));
    }
    leave(&mut window, "hover");
}

#[test]
fn a_finding_that_is_drawn_has_room_for_its_words_at_every_size() {
    for (size, scale) in [(SIZES[0], 1.0), (SIZES[1], 1.0), (SIZES[1], 2.0)] {
        let settings = tempfile::tempdir().expect("a folder");
        let mut window = demo(size, scale, Panels::Dark, settings.path());
        let what = format!("finding-{}-x-{}-scale-{scale}", size[0], size[1]);
        window.key_press_modifiers(egui::Modifiers::COMMAND, Key::K);
        window.run_steps(3);
        window.event(egui::Event::Text("insert a finding".to_owned()));
        window.run_steps(2);
        window.key_press(Key::Enter);
        window.run_steps(4);
        until(&mut window, "the networks", |w| w.query_by_label("Unfold models").is_some());
        click(&mut window, "Effusion");
        leave(&mut window, &format!("{what}-panel"));
        assert_apart(&window, size, &what);
        click(&mut window, "Nodule");
        press(&mut window, "Draw the nodule");
        until(&mut window, "the finding", |w| w.query_by_label("Back to the scan without it").is_some());
        window.remove_cursor();
        window.run_steps(4);
        leave(&mut window, &what);
        assert_apart(&window, size, &what);
        assert_whole(&window, &["Original", "SYNTHETIC nodule 0.50", NOTICE], &what);
        let screen = Rect::from_min_size(Pos2::ZERO, size.into());
        let back = window.get_by_label("Back to the scan without it").rect();
        assert!(screen.contains_rect(back), "{what}: the way back lies at {back:?}");
        named(&window);
    }
}
