//! The fields of the slab in the real window, typed while other things happen.

use egui::{self, Key, accesskit::Role};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::ui::Start;

use crate::tiny_models::TinyModels;
use crate::window::driven::{Dropped, Window, says, until, window};

/// First and last slice that may change.
fn slab(window: &Window) -> [f64; 2] {
    ["From", "to"].map(|label| {
        window.get_by_role_and_label(Role::SpinButton, label).accesskit_node().numeric_value().expect("a number")
    })
}

fn press_digit(window: &mut Window, digit: &str) {
    window.event(egui::Event::Text(digit.to_owned()));
    window.run_steps(1);
}

#[test]
fn a_half_typed_slab_moves_nothing_and_a_typed_one_is_taken_though_a_model_loads_meanwhile() {
    let models = TinyModels::new();
    let mut window = window(Start { scan: Some(models.stack(24)), slab: Some(2..4), ..Start::default() });
    until(&mut window, "the scan", |w| says(w, "the networks see 24 slices"));
    assert_eq!(slab(&window), [2.0, 3.0]);
    window.get_by_role_and_label(Role::SpinButton, "From").focus();
    window.run_steps(2);
    press_digit(&mut window, "1");
    window.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(models.card("autoencoder"))));
    until(&mut window, "the model", |w| says(w, "autoencoder.toml is loaded"));
    press_digit(&mut window, "7");
    window.key_press(Key::Enter);
    window.run_steps(3);
    // The window counts from 1, in the way that it shows slices: the networks count from 0.
    assert_eq!(slab(&window), [16.0, 17.0], "the slab moved, as long as it was");
}
