//! The smallest window that there is: all that is needed is seen without scrolling.

use egui::{Rect, accesskit::Role, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::ui::{App, Start, SystemPicker};

use crate::support;
use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, says, start, until};

const SIZE: [f32; 2] = [1024.0, 640.0];

fn open(start: Start) -> Window {
    Harness::builder().with_size(SIZE).wgpu().build_eframe(move |cc| App::new(cc, start, Box::new(SystemPicker)))
}

/// Asserts that a widget lies within the window, not too near to its edge, and below the toolbar where it is none of its own.
fn seen(window: &Window, role: Role, name: &str, inside: Rect) {
    let node = window.query_by_role_and_label(role, name);
    let rect = node.unwrap_or_else(|| panic!("no {name}")).rect();
    assert!(inside.contains_rect(rect), "{name} lies at {rect:?}, beyond {inside:?}");
}

const BUTTONS: [(Role, &str); 14] = [
    (Role::Button, "Axial"),
    (Role::Button, "Coronal"),
    (Role::Button, "Sagittal"),
    (Role::ComboBox, "Window"),
    (Role::SpinButton, "Centre"),
    (Role::SpinButton, "Width"),
    (Role::Button, "Three"),
    (Role::Button, "Planes"),
    (Role::Button, "Single"),
    (Role::Button, "2 x 2"),
    (Role::Button, "MPR"),
    (Role::Button, "More tools"),
    (Role::Button, "Settings"),
    (Role::Button, "Keys and mouse"),
];

#[test]
fn all_of_the_toolbar_and_of_the_models_is_seen_in_the_smallest_window() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_lps.nii.gz");
    let mut window = open(Start { target: None, ..start(&models, scan) });
    until(&mut window, "the models", |w| says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded"));
    until(&mut window, "the scan", |w| w.query_by_label("Unfold scan").is_some());
    let toolbar = Rect::from_min_size(pos2(0.0, 0.0), vec2(SIZE[0], 44.0));
    for (role, name) in BUTTONS {
        seen(&window, role, name, toolbar);
    }
    let below = Rect::from_min_max(pos2(0.0, 40.0), pos2(SIZE[0], SIZE[1] - 26.0));
    for name in ["Autoencoder", "Classifier", "Search classes"] {
        seen(&window, Role::TextInput, name, below);
    }
    for name in ["1  Pleurisy; pleural effusion", "Published models…", "Compute counterfactual"] {
        seen(&window, Role::Button, name, below);
    }
    for name in ["a class", "lung size", "likeness"] {
        seen(&window, Role::Button, name, below);
    }
    assert!(window.get_by_label("Original pane").rect().width() > 500.0, "the pictures have half of the window");
}

#[test]
fn a_step_that_is_folded_unfolds_and_says_what_it_holds() {
    let models = TinyModels::new();
    let mut window = open(start(&models, models.stack(8)));
    until(&mut window, "the models", |w| says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded"));
    until(&mut window, "the scan", |w| w.query_by_label("Unfold scan").is_some());
    assert!(says(&window, "a stack does not say where it lies"), "the worst note stays");
    assert!(window.query_by_role_and_label(Role::TextInput, "Scan path").is_none());
    click(&mut window, "Unfold scan");
    assert!(says(&window, "the networks see 8 slices") && window.query_by_label("Fold scan").is_some());
    assert!(window.query_by_role_and_label(Role::TextInput, "Scan path").is_some());
    click(&mut window, "Fold models");
    assert!(window.query_by_role_and_label(Role::TextInput, "Classifier").is_none());
    assert!(says(&window, "Pleurisy; pleural effusion") && says(&window, "by autoencoder.toml and classifier.toml"));
    click(&mut window, "Unfold models");
    let field = window.get_by_role_and_label(Role::TextInput, "Classifier");
    assert!(!field.accesskit_node().is_disabled());
}
