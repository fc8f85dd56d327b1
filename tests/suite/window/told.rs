//! What the window offers where there is nothing to do it with, and what it says of what was typed, of what stays chosen, and of a result
//! that something else was chosen since.

use std::path::PathBuf;

use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::latent_shift::Options;
use parallax::session::Session;
use parallax::session::action::{Run, Setting};
use parallax::session::shown::arrange;
use parallax::settings::{Settings, kept};
use parallax::ui::Start;

use crate::exports::dicom_export::oblique;
use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, explained, says, start, texts, type_path, unfold, until, window};
use crate::window::without_window;

#[test]
fn nothing_is_offered_to_be_saved_before_a_scan_is_open() {
    let mut window = window(Start::default());
    window.run_steps(3);
    for name in ["Save picture", "Picture", "Save session", "Export…", "Send results…"] {
        let offered = window.query_all_by_label(name).filter(|node| !node.accesskit_node().is_disabled()).count();
        assert_eq!(offered, 0, "{name} is offered");
    }
}

#[test]
fn the_patient_stands_above_the_pictures_only_where_that_is_asked_for() {
    const WORDS: &str = "Müller, Jürgen; MRN-481516; born 1942-01-08; M; study of 2017-03-14";
    let models = TinyModels::new();
    let mut window = window(start(&models, oblique(models.folder.path())));
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    let is_named = |w: &Window| texts(w).iter().any(|text| text.contains("Müller") || text.contains("MRN-481516"));
    assert!(!is_named(&window), "{:#?}", texts(&window));
    let turned = |window: &mut Window| {
        click(window, "Settings");
        window.run_steps(2);
        click(window, "Patient above the pictures");
        window.run_steps(2);
    };
    turned(&mut window);
    assert!(says(&window, WORDS), "{:#?}", texts(&window));
    turned(&mut window);
    assert!(!is_named(&window), "{:#?}", texts(&window));
}

#[test]
fn a_path_that_cannot_be_opened_stays_in_its_field_to_be_mended() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    unfold(&mut window, "scan");
    unfold(&mut window, "models");
    for (field, path) in [("Scan path", "/no/such/scan.nii.gz"), ("Classifier", "/no/such/card.toml")] {
        type_path(&mut window, field, &PathBuf::from(path));
        until(&mut window, "a refusal", |w| w.query_by_label("Dismiss").is_some());
        let value = |w: &Window| w.get_by_role_and_label(Role::TextInput, field).accesskit_node().value();
        assert_eq!(value(&window).as_deref(), Some(path), "{field}");
        click(&mut window, "Dismiss");
        assert_eq!(value(&window).as_deref(), Some(path), "{field}, though the refusal is put away");
    }
}

#[test]
fn what_a_run_does_beyond_its_aim_is_said_though_it_was_chosen_another_day() {
    let models = TinyModels::new();
    let settings = models.folder.path().join("settings.json");
    let options = Options { both: true, ..Options::default() };
    kept::save(&settings, &Settings { options, repeats: 2, ..Settings::default() }).expect("settings");
    let mut window = window(Start { settings: Some(settings), ..start(&models, models.stack(8)) });
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    let also = "Also: both ways from lambda 0, 2 repeats";
    assert!(says(&window, also), "before the run");
    click(&mut window, "Fold counterfactual");
    assert!(says(&window, also), "on the line that is left of the step");
}

#[test]
fn a_run_that_is_cancelled_before_it_found_anything_says_of_nothing_that_it_is_kept() {
    let models = TinyModels::new();
    let mut session = without_window::ready(&models);
    without_window::until(&mut session, "scan and networks", |session| session.model.missing().is_none());
    session.apply(Run::Explain.into());
    session.apply(Run::Cancel.into());
    let found = session.model.run.running().map(|monitor| monitor.curve().len());
    assert_eq!(found, Some(0), "the words of what is kept stand below a curve that has begun");
    without_window::until(&mut session, "the end", |session| session.model.run.running().is_none());
    assert!(session.model.run.error().is_none(), "cancelling is no error");
    assert!(session.model.run.ready().is_none() && session.toasts.list.is_empty(), "{:?}", session.toasts.list);
}

#[test]
fn a_result_says_on_its_pictures_that_something_else_is_chosen_now() {
    let models = TinyModels::new();
    let mut session = without_window::explained(&models);
    let said = |session: &Session| {
        let run = session.model.run.ready().expect("a result");
        let pictures = arrange(&session.model, &session.view).pictures;
        let marked = pictures.iter().map(|p| p.score.as_ref().is_some_and(|score| score.contains("not as chosen now")));
        (session.model.unlike(run), marked.collect::<Vec<_>>())
    };
    let as_chosen = (None, vec![false; 3]);
    assert_eq!(said(&session), as_chosen);
    let usual = session.model.settings.options.clone();
    let class = session.model.settings.target.clone().expect("a class");
    for (other, back, words) in [
        (
            Setting::Target("Fracture".to_owned()),
            Setting::Target(class.clone()),
            "of Pleurisy; pleural effusion; Fracture is",
        ),
        (Setting::Slab(Some(0..4)), Setting::Slab(None), "other slices that may change"),
        (
            Setting::Options(Options { steps: usual.steps + 1, ..usual.clone() }),
            Setting::Options(usual.clone()),
            "other options",
        ),
    ] {
        session.apply(other.into());
        let (told, marked) = said(&session);
        assert!(told.as_ref().is_some_and(|told| told.contains(words)), "{told:?}, not {words}");
        assert_eq!(marked, [false, true, true], "the original is what it was: {words}");
        session.apply(back.into());
        assert_eq!(said(&session), as_chosen);
    }
    // All slices are a slab too.
    session.apply(Setting::Slab(Some(0..8)).into());
    assert_eq!(said(&session), as_chosen);
}

#[test]
fn a_class_that_is_chosen_after_a_run_is_told_above_the_slices_until_it_is_computed() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    unfold(&mut window, "models");
    click(&mut window, "2  Fracture");
    let words = "These pictures are of Pleurisy; pleural effusion; Fracture is chosen now";
    assert!(says(&window, words), "{:?}", texts(&window));
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the other result", |w| w.query_by_label("Show the other result").is_some());
    assert!(!says(&window, words));
}
