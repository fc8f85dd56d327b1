//! What a screen reader can tell of the window, and what the keyboard alone can reach.

use std::collections::BTreeMap;

use egui::Key;
use egui::accesskit::{NodeId, Role};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::ui::Start;

use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, explained, press, says, until, window};
use crate::window::export_dialog::dialog;

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
pub(crate) fn named(window: &Window) -> usize {
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
    for closed in ["Provenance", "Unfold models", "Unfold counterfactual", "Advanced", "slab", "range"] {
        press(&mut window, closed);
    }
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

/// Asserts that the Tab key comes to each of the window's widgets that can be acted on; gives how many there are.
pub(crate) fn reached(window: &mut Window) -> usize {
    let nodes = window.root().children_recursive();
    let usable = nodes.filter(|node| {
        let node = node.accesskit_node();
        INTERACTIVE.contains(&node.role()) && !node.is_disabled()
    });
    let named = |node: &egui_kittest::Node<'_>| {
        let node = node.accesskit_node();
        (node.locate().0, format!("{:?} {}", node.role(), node.label().unwrap_or_default()))
    };
    let wanted: BTreeMap<NodeId, String> = usable.map(|node| named(&node)).collect();
    let mut left = wanted.clone();
    for _ in 0..2 * wanted.len() {
        window.key_press(Key::Tab);
        window.run_steps(2);
        let focused = window.root().children_recursive().find(|node| node.accesskit_node().is_focused());
        if let Some(node) = focused {
            left.remove(&named(&node).0);
        }
    }
    assert!(left.is_empty(), "{left:#?} of {} are out of the keyboard's reach", wanted.len());
    wanted.len()
}

#[test]
fn every_widget_is_reached_by_the_tab_key_before_there_is_a_scan_and_when_there_is_a_result() {
    let start = reached(&mut window(Start::default()));
    let models = TinyModels::new();
    let mut window = explained(&models);
    for closed in ["Provenance", "Unfold models", "Unfold counterfactual", "Advanced", "slab", "range"] {
        press(&mut window, closed);
    }
    // Once they are scored, the classes stand still.
    until(&mut window, "the scores of the classes", |window| says(window, "Explain the highest"));
    let result = reached(&mut window);
    assert!(start > 4 && result > start + 10, "{start} widgets, then {result}");
}

#[test]
fn every_widget_of_a_menu_and_of_the_window_presets_is_reached_by_the_tab_key() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let closed = reached(&mut window);
    for menu in ["Show", "Measure", "Settings", "Pace"] {
        click(&mut window, menu);
        let open = reached(&mut window);
        assert!(open > closed, "{menu}: {closed} widgets, then {open}");
        click(&mut window, menu);
    }
    window.get_by_role_and_label(Role::ComboBox, "Window").click();
    window.run_steps(3);
    click(&mut window, "Change the presets…");
    window.run_steps(2);
    let open = reached(&mut window);
    assert!(open > closed + 30, "{closed} widgets, then {open}");
}
