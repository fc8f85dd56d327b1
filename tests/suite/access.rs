//! What a screen reader can tell of the window.

use eframe::egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::ui::Start;

use crate::export_dialog::dialog;
use crate::tiny_models::TinyModels;
use crate::window::{Window, click, explained, window};

/// What a person can act on.
const INTERACTIVE: [Role; 10] = [
    Role::Button,
    Role::CheckBox,
    Role::ComboBox,
    Role::Link,
    Role::MultilineTextInput,
    Role::RadioButton,
    Role::Slider,
    Role::SpinButton,
    Role::Switch,
    Role::TextInput,
];

/// Asserts that each of the window's widgets has a name; gives how many there are.
fn named(window: &Window) -> usize {
    let nodes = window.root().children_recursive();
    let interactive = nodes.filter(|node| INTERACTIVE.contains(&node.accesskit_node().role()));
    let names: Vec<_> = interactive.map(|node| (node.accesskit_node().role(), node.accesskit_node().label())).collect();
    let nameless: Vec<_> =
        names.iter().filter(|(_, name)| name.as_deref().unwrap_or_default().trim().is_empty()).collect();
    assert!(nameless.is_empty(), "{nameless:?} among {names:#?}");
    names.len()
}

#[test]
fn every_widget_has_a_name_before_there_is_a_scan_and_when_there_is_a_result() {
    let start = named(&window(Start::default()));
    let models = TinyModels::new();
    let mut window = explained(&models);
    click(&mut window, "Provenance");
    click(&mut window, "slab");
    click(&mut window, "range");
    let result = named(&window);
    assert!(start > 8 && result > start + 10, "{start} widgets, then {result}");
}

#[test]
fn every_widget_of_the_export_dialog_has_a_name() {
    let models = TinyModels::new();
    let closed = named(&explained(&models));
    let open = named(&dialog(&models));
    assert!(open > closed + 15, "{closed} widgets, then {open}");
}

#[test]
fn every_widget_of_the_window_presets_has_a_name() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let closed = named(&window);
    window.get_by_role_and_label(Role::ComboBox, "Window").click();
    window.run_steps(3);
    click(&mut window, "Change the presets…");
    window.run_steps(2);
    let open = named(&window);
    assert!(open > closed + 30, "{closed} widgets, then {open}");
}

#[test]
fn every_widget_of_a_menu_has_a_name() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let closed = named(&window);
    for menu in ["Show", "Measure", "Settings", "Pace"] {
        click(&mut window, menu);
        let open = named(&window);
        assert!(open > closed, "{menu}: {closed} widgets, then {open}");
        click(&mut window, menu);
    }
}
