//! The ways to look at a counterfactual, by key and by mouse, in the real window.

use egui::{self, Key, Rect, accesskit::Role, vec2};
use egui_kittest::kittest::{NodeT, Queryable};

use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, explained, pane, says, unfold};

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
    press(&mut window, Key::G);
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
    press(&mut window, Key::G);
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
    press(&mut window, Key::D);
    assert!(pane(&mut window, "Counterfactual") != decoded, "the difference lies on top");
    press(&mut window, Key::D);
    assert!(pane(&mut window, "Counterfactual") == decoded, "and is gone again");
    press(&mut window, Key::Q);
    assert!(pane(&mut window, "Counterfactual") != decoded, "voxels as squares");
    press(&mut window, Key::Q);
    press(&mut window, Key::K);
    assert!(words(&window, "Counterfactual, detail kept pane").contains("SYNTHETIC"));
    assert!(pane(&mut window, "Counterfactual, detail kept") != decoded);
    press(&mut window, Key::V);
    assert!(words(&window, "Largest difference pane").contains("SYNTHETIC"));
    assert!(pane(&mut window, "Largest difference") != difference);
}

#[test]
fn heatmaps_of_all_lambdas_follow_one_another_by_key_and_do_not_move_with_lambda() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let mut seen = vec![pane(&mut window, "Difference")];
    let titles = [
        "Heatmap, change from step to step",
        "Heatmap, mean change",
        "Heatmap, first to last step",
        "Heatmap, largest change",
    ];
    for title in titles {
        press(&mut window, Key::H);
        assert!(words(&window, &format!("{title} pane")).contains("SYNTHETIC  all λ"), "{title}");
        let picture = pane(&mut window, title);
        press(&mut window, Key::ArrowRight);
        assert!(pane(&mut window, title) == picture, "{title}: of all lambdas");
        press(&mut window, Key::ArrowLeft);
        assert!(!seen.contains(&picture), "{title}: as one before");
        seen.push(picture);
    }
    press(&mut window, Key::H);
    assert!(pane(&mut window, "Difference") == seen[0], "the difference again");
    click(&mut window, "Show");
    click(&mut window, "Heatmap, mean change");
    assert!(has(&window, "Heatmap, mean change pane"), "by the list too");
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

fn double_click(window: &mut Window, label: &str) {
    let at = window.get_by_label(label).rect().center();
    window.hover_at(at);
    window.run_steps(1);
    // In one frame: those of the harness are a quarter of a second apart.
    for pressed in [true, false, true, false] {
        let (button, modifiers) = (egui::PointerButton::Primary, egui::Modifiers::NONE);
        window.input_mut().events.push(egui::Event::PointerButton { pos: at, button, pressed, modifiers });
    }
    window.run_steps(3);
}

#[test]
fn a_double_click_shows_one_pane_alone_t_the_next_volume_and_another_all_again() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    double_click(&mut window, "Difference pane");
    assert!(has(&window, "Difference pane") && !has(&window, "Counterfactual pane"));
    for next in ["Original pane", "Reconstruction pane", "Counterfactual pane"] {
        press(&mut window, Key::T);
        assert!(has(&window, next), "{next}");
    }
    assert!(words(&window, "Counterfactual pane").contains("SYNTHETIC"));
    double_click(&mut window, "Counterfactual pane");
    assert!(has(&window, "Original pane") && has(&window, "Difference pane"));
}

#[test]
fn two_keys_in_one_frame_both_count() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let plain = pane(&mut window, "Original");
    window.key_press(Key::K);
    window.key_press(Key::I);
    window.run_steps(3);
    assert!(has(&window, "Counterfactual, detail kept pane"));
    assert!(pane(&mut window, "Original") != plain, "inverted");
}

#[test]
fn volumes_and_differences_have_the_colours_that_are_chosen_and_a_lens_shows_what_is_below_the_pointer() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let plain = pane(&mut window, "Original");
    let is_grey = |pixels: &[u8]| pixels.chunks(4).filter(|p| p[0].abs_diff(p[2]) > 60).count() < pixels.len() / 200;
    assert!(is_grey(&plain));
    click(&mut window, "Show");
    click(&mut window, "Viridis");
    click(&mut window, "Show");
    click(&mut window, "Cool and warm");
    let [viridis, difference] = ["Original", "Difference"].map(|title| pane(&mut window, title));
    assert!(!is_grey(&viridis));
    let light = |pixels: &[u8]| pixels.chunks(4).filter(|p| p[0] > 190 && p[1] > 190 && p[2] > 190).count();
    assert!(light(&difference) > difference.len() / 40, "nothing that did not change is black");
    let middle = window.get_by_label("Counterfactual pane").rect().center();
    window.hover_at(middle);
    window.run_steps(3);
    let without = pane(&mut window, "Original");
    press(&mut window, Key::L);
    let lens = pane(&mut window, "Original");
    assert!(lens != without, "the lens is in the other panes of the plane too");
    press(&mut window, Key::L);
    assert!(pane(&mut window, "Original") == without);
}

#[test]
fn annotations_go_but_for_the_mark_of_what_is_synthetic() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let top = |window: &mut Window, title: &str| {
        let rect = window.get_by_label(&format!("{title} pane")).rect();
        pixels(window, Rect::from_min_size(rect.min, vec2(rect.width(), 64.0)))
    };
    let (original, difference) = (top(&mut window, "Original"), top(&mut window, "Difference"));
    press(&mut window, Key::O);
    let amber = |pixels: &[u8]| pixels.chunks(4).filter(|p| p[0] > 200 && p[1] > 120 && p[2] < 110).count();
    assert!(top(&mut window, "Original") != original, "the title is gone");
    let left = top(&mut window, "Difference");
    assert!(left != difference && amber(&left) > 40, "{} amber pixels", amber(&left));
}

#[test]
fn shift_and_the_wheel_move_lambda_and_shift_and_arrows_go_to_its_ends() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let lambda = |window: &Window| {
        window.get_by_role_and_label(Role::Slider, "Lambda").accesskit_node().numeric_value().expect("a number")
    };
    let end = lambda(&window);
    window.hover_at(window.get_by_label("Original pane").rect().center());
    window.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Line,
        delta: vec2(1.0, 0.0),
        modifiers: egui::Modifiers::SHIFT,
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
    });
    window.run_steps(3);
    let next = lambda(&window);
    assert!(end < next && next < 0.0, "from {end} to {next}");
    window.key_press_modifiers(egui::Modifiers::SHIFT, Key::ArrowRight);
    window.run_steps(3);
    assert_eq!(lambda(&window), 0.0);
    window.key_press_modifiers(egui::Modifiers::SHIFT, Key::ArrowLeft);
    window.run_steps(3);
    assert_eq!(lambda(&window), end);
}

#[test]
fn the_box_of_a_ctrl_drag_gives_its_window_and_zero_brings_the_scans_own_back() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let width = |window: &Window| {
        window.get_by_role_and_label(Role::SpinButton, "Width").accesskit_node().numeric_value().expect("a number")
    };
    let before = width(&window);
    let middle = window.get_by_label("Original pane").rect().center();
    let held = egui::Modifiers::COMMAND;
    let button = |pos, pressed| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: held,
    };
    window.event(egui::Event::ModifiersChanged(held));
    window.hover_at(middle - vec2(40.0, 40.0));
    window.event(button(middle - vec2(40.0, 40.0), true));
    window.run_steps(1);
    for by in [0.0, 40.0] {
        window.hover_at(middle + vec2(by, by));
        window.run_steps(1);
    }
    // The key may go before the button does.
    window.event(egui::Event::ModifiersChanged(egui::Modifiers::NONE));
    window.run_steps(1);
    window.event(button(middle + vec2(40.0, 40.0), false));
    window.run_steps(3);
    let boxed = width(&window);
    assert!(boxed != before, "the window is still {before} HU wide");
    press(&mut window, Key::Num0);
    assert_eq!(width(&window), before);
}

#[test]
fn the_keys_are_shown_by_a_question_mark_and_put_away_by_another() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    press(&mut window, Key::Questionmark);
    assert!(says(&window, "where the largest region changed most") && says(&window, "Right drag, Ctrl + wheel"));
    press(&mut window, Key::Questionmark);
    assert!(!says(&window, "where the largest region changed most"));
    click(&mut window, "Settings");
    click(&mut window, "As in research viewers");
    click(&mut window, "Keys and mouse");
    assert!(says(&window, "where the planes cross"));
}

#[test]
fn a_window_preset_can_be_added_and_put_on_a_key_and_the_list_as_at_first_comes_back() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let width = |window: &Window| {
        window.get_by_role_and_label(Role::SpinButton, "Width").accesskit_node().numeric_value().expect("a number")
    };
    let show = |window: &mut Window| {
        window.get_by_role_and_label(Role::ComboBox, "Window").click();
        window.run_steps(3);
        click(window, "Change the presets…");
        window.run_steps(2);
    };
    show(&mut window);
    click(&mut window, "Remove Soft tissue");
    assert!(!has(&window, "Remove Soft tissue"));
    window.get_by_role_and_label(Role::TextInput, "From JSON").focus();
    window.run_steps(2);
    let narrow = r#"[{"name": "Narrow", "center_hu": 12, "width_hu": 34}]"#;
    window.get_by_role_and_label(Role::TextInput, "From JSON").type_text(narrow);
    window.run_steps(2);
    click(&mut window, "Take");
    assert!(has(&window, "Remove Narrow") && !has(&window, "Remove Lung"));
    press(&mut window, Key::Num1);
    click(&mut window, "All as at first");
    window.run_steps(3); // the list grows, and its buttons go down
    assert!(has(&window, "Remove Soft tissue") && has(&window, "Remove Model input"));
    click(&mut window, "Add the shown window");
    assert!(has(&window, "Remove Own"));
    show(&mut window);
    assert!(!has(&window, "Remove Own"), "the list is put away");
    assert_eq!(width(&window), 34.0);
}

#[test]
fn the_slab_is_dragged_by_its_ends_and_whole_on_the_strip_of_changes() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    unfold(&mut window, "counterfactual");
    // The button may lie below the edge of its panel.
    window.get_by_label("slab").focus();
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
    let slab = |window: &Window| {
        ["From", "to"].map(|label| {
            let field = window.get_by_role_and_label(Role::SpinButton, label);
            field.accesskit_node().numeric_value().expect("a number")
        })
    };
    assert_eq!(slab(&window), [0.0, 7.0], "eight slices, four on each side");
    let at = |window: &Window, label: &str| window.get_by_label(label).rect().center();
    let (first, last) = (at(&window, "First slice of the slab"), at(&window, "Last slice of the slab"));
    let slice = vec2((last.x - first.x) / 8.0, 0.0);
    let drag = |window: &mut Window, from: egui::Pos2, slices: f32| {
        window.hover_at(from);
        window.drag_at(from);
        window.run_steps(2);
        window.hover_at(from + slice * slices);
        window.run_steps(2);
        window.drop_at(from + slice * slices);
        window.run_steps(3);
    };
    drag(&mut window, last, -3.0);
    assert_eq!(slab(&window), [0.0, 4.0]);
    drag(&mut window, first, 2.0);
    assert_eq!(slab(&window), [2.0, 4.0]);
    let middle = at(&window, "Slab that may change");
    drag(&mut window, middle, 3.0);
    assert_eq!(slab(&window), [5.0, 7.0], "no farther than the stack goes");
}

#[test]
fn light_panels_leave_the_pictures_as_they_are() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    window.remove_cursor();
    let panel = |window: &mut Window| {
        let rect = window.get_by_label("Compute counterfactual").rect().expand2(vec2(8.0, 14.0));
        pixels(window, rect)
    };
    // Without what is written on them: letters are drawn a trifle bolder in a light theme.
    let picture = |window: &mut Window, title: &str| {
        let rect = window.get_by_label(&format!("{title} pane")).rect().shrink2(vec2(30.0, 80.0));
        pixels(window, rect)
    };
    press(&mut window, Key::O);
    let titles = ["Original", "Counterfactual", "Difference"];
    let before = (panel(&mut window), titles.map(|title| picture(&mut window, title)));
    click(&mut window, "Settings");
    click(&mut window, "Light");
    window.key_press(Key::Escape); // closes the list
    window.remove_cursor();
    window.run_steps(4);
    let mean = |pixels: &[u8]| pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / pixels.len() as f64;
    assert!(mean(&panel(&mut window)) > mean(&before.0) + 60.0, "the panels are bright");
    let after = titles.map(|title| picture(&mut window, title));
    assert!(after == before.1, "a picture changed");
}
