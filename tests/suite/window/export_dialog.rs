//! The export dialog, driven by what its widgets are called, and by keys.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use egui::{Key, Modifiers, Rect, accesskit::Role, accesskit::Toggled};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::export::{Annotation, Kind, Layout, Style, names};
use parallax::session::Session;
use parallax::session::action::{Setting, Sheet, View};
use parallax::settings::ExportChoices;
use parallax::ui::Ask;

use crate::exports::dicom_export::{holds, oblique};
use crate::tiny_models::TinyModels;
use crate::window::driven::{
    Window, click, explained, explained_from, open_with, says, start, texts, type_path, until,
};
use crate::window::without_window;

/// The dialog over a result.
pub(crate) fn dialog(models: &TinyModels) -> Window {
    let mut window = explained(models);
    open(&mut window);
    window
}

fn open(window: &mut Window) {
    window.key_press_modifiers(Modifiers::COMMAND, Key::E);
    window.run_steps(2);
    until(window, "the dialog and its preview", |w| says(w, "Export the result") && preview(w).is_some());
}

/// Where it is on the screen.
fn preview(window: &Window) -> Option<Rect> {
    let is_preview = |label: Option<String>| label.is_some_and(|label| label.starts_with("Preview"));
    window.query_by(|node| node.role() == Role::Image && is_preview(node.label())).map(|node| node.rect())
}

fn ticked(window: &Window, kind: Kind) -> bool {
    window.get_by_role_and_label(Role::CheckBox, kind.title()).accesskit_node().toggled() == Some(Toggled::True)
}

/// Ticks these kinds and no others.
fn tick(window: &mut Window, kinds: &[Kind]) {
    for kind in Kind::ALL {
        if ticked(window, kind) != kinds.contains(&kind) {
            click(window, kind.title());
        }
    }
    assert!(Kind::ALL.iter().all(|kind| ticked(window, *kind) == kinds.contains(kind)));
}

fn into(window: &mut Window, folder: &Path) {
    type_path(window, "Folder", folder);
    until(window, "a look into the folder", |w| !says(w, "Looking into the folder"));
}

fn can_export(window: &Window) -> bool {
    !window.get_by_role_and_label(Role::Button, "Export").accesskit_node().is_disabled()
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn what_is_ticked_is_written_and_nothing_is_replaced_without_a_tick() {
    let models = TinyModels::new();
    let mut window = dialog(&models);
    assert!(Kind::ALL.iter().all(|kind| ticked(&window, *kind) == Kind::DEFAULT.contains(kind)), "at first");
    tick(&mut window, &[]);
    assert!(says(&window, "Tick what to export") && !can_export(&window));
    let kinds = [Kind::Png, Kind::Gif, Kind::Csv];
    tick(&mut window, &kinds);
    let folder = models.folder.path().join("results");
    into(&mut window, &folder);
    assert!(says(&window, "This folder will be made"));
    click(&mut window, "Export");
    until(&mut window, "the files", |w| says(w, "files written to"));
    let promised: BTreeSet<String> = names(&kinds).map(str::to_owned).collect();
    assert_eq!(files(&folder), promised);
    assert!(promised.iter().all(|name| says(&window, name)), "{:?}", texts(&window));

    std::fs::write(folder.join("panes.png"), "mine").expect("written");
    click(&mut window, "Export again");
    until(&mut window, "what is there", |w| says(w, "Already in this folder: panes.png, lambda.gif"));
    assert!(!can_export(&window));
    click(&mut window, "Replace these files");
    // Another choice is another question.
    click(&mut window, Kind::Csv.title());
    until(&mut window, "another look", |w| says(w, "Already in this folder: panes.png, lambda.gif, result.json"));
    assert!(!can_export(&window));
    click(&mut window, "Replace these files");
    click(&mut window, "Export");
    until(&mut window, "the files", |w| says(w, "files written to"));
    image::open(folder.join("panes.png")).expect("a picture in its place");
}

#[test]
fn a_cancelled_export_writes_nothing_and_one_that_cannot_be_says_why() {
    let models = TinyModels::new();
    let mut window = dialog(&models);
    tick(&mut window, &[Kind::Mp4, Kind::Html, Kind::Apng]);
    click(&mut window, "Pane width");
    let folder = models.folder.path().join("results");
    into(&mut window, &folder);
    click(&mut window, "Export");
    until(&mut window, "the work", |w| w.query_by_label("Cancel the export").is_some());
    click(&mut window, "Cancel the export");
    until(&mut window, "the end", |w| w.query_by_label("Export").is_some());
    assert!(!says(&window, "files written to") && window.query_by_label("Dismiss").is_none());
    assert!(!folder.exists() || files(&folder).is_empty(), "the folder alone may have been made");

    let file = models.folder.path().join("notes");
    std::fs::write(&file, "mine").expect("written");
    tick(&mut window, &[Kind::Csv]);
    into(&mut window, &file.join("results"));
    click(&mut window, "Export");
    until(&mut window, "the refusal", |w| says(w, "cannot make the folder"));
    click(&mut window, "Dismiss");
    assert!(!says(&window, "cannot make the folder"));
}

#[test]
fn dicom_files_say_whose_they_are_by_a_tick_that_does_not_last() {
    const TICK: &str = "DICOM files say whose they are";
    let models = TinyModels::new();
    let mut window = explained_from(&models, oblique(models.folder.path()));
    open(&mut window);
    tick(&mut window, &[Kind::Csv]);
    assert!(window.query_by_label(TICK).is_none(), "nothing of DICOM is chosen");
    tick(&mut window, &[Kind::Dicom]);
    let mut tells = |name: &str, ticks: bool| {
        let folder = models.folder.path().join(name);
        into(&mut window, &folder);
        if ticks {
            click(&mut window, TICK);
        }
        click(&mut window, "Export");
        until(&mut window, "the files", |w| says(w, "files written to"));
        window.key_press(Key::Escape);
        window.run_steps(3);
        open(&mut window);
        let bytes = std::fs::read(folder.join("dicom/difference.dcm")).expect("a map");
        holds(&bytes, "MRN-481516")
    };
    assert!(tells("kept", true));
    assert!(!tells("left out", false), "the next visit begins without");
}

#[test]
fn the_preview_follows_the_choices() {
    let models = TinyModels::new();
    let mut window = dialog(&models);
    let seen = |window: &mut Window| {
        let rect = preview(window).expect("a preview");
        let image = window.render().expect("an adapter draws");
        let (x, y, width, height) = (rect.left(), rect.top(), rect.width(), rect.height());
        image::imageops::crop_imm(&image, x as u32, y as u32, width as u32, height as u32).to_image()
    };
    let shown = |window: &mut Window, way: &str| {
        click(window, way);
        until(window, way, |w| preview(w).is_some());
        assert_eq!(window.get_by_label(way).accesskit_node().toggled(), Some(Toggled::True));
        seen(window)
    };
    let ways = ["Side by side", "Single pane", "Blink"].map(|way| shown(&mut window, way));
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        assert!(ways[a] != ways[b], "layouts {a} and {b} look the same");
    }
    assert!(shown(&mut window, "Side by side") == ways[0], "back again");
    for annotation in [Annotation::Letters, Annotation::Scores] {
        click(&mut window, annotation.title());
        until(&mut window, "the preview", |w| preview(w).is_some());
        assert!(seen(&mut window) != ways[0], "without {annotation:?}");
        click(&mut window, annotation.title());
    }
    shown(&mut window, "As shown");
    assert!(shown(&mut window, "Most changed") == ways[0], "back again");
}

/// As while "Pane width" is dragged.
#[test]
fn previews_are_drawn_one_at_a_time_and_the_latest_is_the_one_that_comes() {
    let models = TinyModels::new();
    let mut session = without_window::explained(&models);
    session.apply(View::Sheet(Sheet::Export).into());
    let is_there =
        |session: &Session| session.export.preview.ready().is_some() && session.export.preview.running().is_none();
    without_window::until(&mut session, "a preview", is_there);
    let shape = |session: &Session| {
        let preview = session.export.preview.ready().expect("a preview");
        f64::from(preview.width()) / f64::from(preview.height())
    };
    let three = shape(&session);
    let run = session.model.run.ready().expect("a result").clone();
    let (held, mut most) = (Arc::strong_count(&run), 0);
    for width in 200..300 {
        // The last choice is of another kind, which the picture's shape tells.
        let layout = if width == 299 { Layout::Single } else { Layout::Panes };
        let usual = session.model.settings.export.clone();
        let style = Style { size_px: Some(width), layout, ..usual.style };
        session.apply(Setting::Exports(ExportChoices { style, ..usual }).into());
        session.tick(0.0);
        most = most.max(Arc::strong_count(&run));
    }
    assert!(most <= held + 2, "{most} hold the result, {held} before: one is drawn, and one is remembered");
    without_window::until(&mut session, "the latest", |session| is_there(session) && shape(session) < 0.6 * three);
}

#[test]
fn keys_belong_to_the_dialog_while_it_is_there_and_choices_stay() {
    let models = TinyModels::new();
    let folder = models.folder.path().join("chosen");
    let answers = vec![(Ask::ExportFolder, folder.clone())];
    let mut window = open_with(start(&models, models.stack(8)), answers);
    until(&mut window, "the models", |w| says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded"));
    until(&mut window, "the scan", |w| says(w, "the networks see 8 slices"));
    window.key_press_modifiers(Modifiers::COMMAND, Key::E);
    window.run_steps(3);
    assert!(!says(&window, "Export the result"), "there is nothing to export");
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
    open(&mut window);
    window.key_press(Key::C);
    window.run_steps(3);
    assert_eq!(window.get_by_label("Coronal").accesskit_node().toggled(), Some(Toggled::False));
    click(&mut window, "Blink");
    click(&mut window, "Browse for the folder");
    until(&mut window, "the answer", |w| says(w, folder.to_str().expect("plain names")));
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(!says(&window, "Export the result"));
    window.key_press(Key::C);
    window.run_steps(3);
    assert_eq!(window.get_by_label("Coronal").accesskit_node().toggled(), Some(Toggled::True));
    click(&mut window, "Export…");
    until(&mut window, "the dialog", |w| says(w, "Export the result"));
    assert_eq!(window.get_by_label("Blink").accesskit_node().toggled(), Some(Toggled::True));
    assert!(says(&window, folder.to_str().expect("plain names")));
}

#[test]
fn every_choice_of_the_dialog_is_reached_by_the_tab_key() {
    let models = TinyModels::new();
    let mut window = dialog(&models);
    let mut wanted: BTreeSet<String> = Kind::ALL.iter().map(|kind| kind.title().to_owned()).collect();
    wanted.extend(Annotation::ALL.map(|annotation| annotation.title().to_owned()));
    let others = ["Side by side", "Single pane", "Blink", "Most changed", "As shown", "Pane width", "Steps a second"];
    wanted.extend(others.map(str::to_owned));
    wanted.extend(["Loops of GIF, PNG", "Folder", "Browse for the folder", "Export", "Close"].map(str::to_owned));
    let mut reached = BTreeSet::new();
    for _ in 0..2 * wanted.len() {
        window.key_press(Key::Tab);
        window.run_steps(2);
        let focused = window.root().children_recursive().find(|node| node.accesskit_node().is_focused());
        reached.extend(focused.and_then(|node| node.accesskit_node().label()));
    }
    assert_eq!(reached, wanted, "all of the dialog, and nothing behind it");
}
