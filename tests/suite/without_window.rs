//! The session without a window: driven by actions alone, as panels, keys and the palette push them.

use std::time::{Duration, Instant};

use parallax::frame::{Plane, Window};
use parallax::io::Choice;
use parallax::models::Role;
use parallax::session::action::{Action, Export, Measure, Run, Setting, Sheet, View};
use parallax::session::view::display::{Change, Layout};
use parallax::session::worker::Worker;
use parallax::session::{Session, Start};
use parallax::settings::Settings;

use crate::support;
use crate::tiny_models::TinyModels;

/// Longer than any piece of work of the tiny networks takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
const SLICES: usize = 8;
/// Between two looks at the workers, seconds.
const FRAME_SECS: f32 = 0.02;

fn session(start: Start) -> Session {
    let mut session = Session::new(Settings::default(), Vec::new(), Worker::new(|| {}));
    session.begin(start);
    session
}

/// With all that the tiny networks need for a run.
fn ready(models: &TinyModels) -> Session {
    session(Start {
        scan: Some(models.stack(SLICES)),
        autoencoder: Some(models.card("autoencoder")),
        classifier: Some(models.card("classifier")),
        target: Some("1".to_owned()),
        ..Start::default()
    })
}

fn until(session: &mut Session, what: &str, so: impl Fn(&Session) -> bool) {
    let began = Instant::now();
    while !so(session) {
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
        session.tick(FRAME_SECS);
    }
}

fn explained(models: &TinyModels) -> Session {
    let mut session = ready(models);
    until(&mut session, "scan and networks", |session| session.model.missing().is_none());
    session.apply(Run::Explain.into());
    until(&mut session, "the counterfactual", |session| session.model.run.ready().is_some());
    session
}

#[test]
fn a_run_is_made_played_and_told_by_actions_alone() {
    let models = TinyModels::new();
    let mut session = explained(&models);
    let run = session.model.run.ready().expect("a result").clone();
    assert_eq!(session.view.step, run.result.chosen as f32, "the counterfactual comes first");
    session.apply(View::WheelLambda(1.0).into());
    session.apply(View::WheelLambda(1.0).into());
    let two_on = (run.result.chosen + 2).min(run.result.steps.len() - 1);
    assert_eq!(session.view.step, two_on as f32);
    assert_eq!(run.score_at(session.view.step), run.result.steps[two_on].score);
    session.apply(View::TogglePlay.into());
    assert!(session.tick(FRAME_SECS), "what plays moves");
    session.apply(View::TogglePlay.into());
    assert!(!session.tick(FRAME_SECS) && session.view.step.fract() == 0.0);
}

#[test]
fn a_scan_is_scored_by_itself_once_it_and_the_classifier_are_there() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    until(&mut session, "the scores", |session| session.model.scores().is_some());
    let scores: Vec<f64> = session.model.scores().expect("scores").iter().map(|(_, score)| *score).collect();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_parallax"));
    command.arg("predict").arg(models.stack(SLICES)).arg("--classifier").arg(models.card("classifier")).arg("--json");
    let said: serde_json::Value = serde_json::from_slice(&command.output().expect("it runs").stdout).expect("JSON");
    for row in said["predictions"].as_array().expect("a list") {
        let index = row["index"].as_u64().expect("an index") as usize;
        assert_eq!(row["probability"].as_f64().expect("a number"), scores[index], "as predict gives it");
    }
}

#[test]
fn what_needs_a_scan_or_a_result_does_nothing_without_one() {
    let mut session = session(Start::default());
    let cursor = session.view.cursor;
    let idle: [Action; 12] = [
        View::Slice(3).into(),
        View::Scroll(1).into(),
        View::MostChanged.into(),
        View::NextPeak(1).into(),
        View::Step(2.0).into(),
        View::TogglePlay.into(),
        View::Fit.into(),
        View::Reset.into(),
        Measure::Delete.into(),
        Run::Explain.into(),
        Run::SwapResults.into(),
        Export::Start.into(),
    ];
    for action in idle {
        session.apply(action);
    }
    session.tick(FRAME_SECS);
    assert_eq!((session.view.cursor, session.view.step, session.view.playing), (cursor, 0.0, None));
    assert!(session.model.run.running().is_none() && session.export.written.running().is_none());
}

#[test]
fn changes_of_one_frame_all_count() {
    let mut session = session(Start::default());
    for change in
        [Change::Inverted, Change::Crosshair, Change::Threshold(10.0), Change::Threshold(10.0), Change::Planes]
    {
        session.apply(View::Change(change).into());
    }
    let display = session.view.display;
    assert!(display.inverted && !display.crosshair && display.layout == Layout::Planes);
    assert_eq!(display.threshold_hu, 20.0);
    session.apply(View::Change(Change::Inverted).into());
    session.apply(View::Change(Change::Inverted).into());
    assert!(session.view.display.inverted, "twice is as it was");
}

#[test]
fn a_slab_goes_with_its_scan() {
    let models = TinyModels::new();
    let mut session = session(Start { scan: Some(models.stack(SLICES)), slab: Some(2..4), ..Start::default() });
    until(&mut session, "the scan", |session| session.model.scan.ready().is_some());
    assert_eq!(session.model.slab, Some(2..4), "it was asked for with the scan");
    session.apply(Run::OpenChosen(support::data("nifti/syn_lps.nii.gz"), Choice::default()).into());
    until(&mut session, "the other scan", |session| session.model.opening().is_none());
    assert_eq!(session.model.slab, None, "the slices of one patient are not another's");
}

#[test]
fn settings_are_what_was_chosen_and_nothing_of_the_demo() {
    let mut session = session(Start::default());
    session.apply(Setting::Target("Effusion".to_owned()).into());
    session.apply(View::Window(Window { center_hu: 40.0, width_hu: 400.0 }).into());
    session.apply(View::Plane(Plane::Coronal).into());
    assert_eq!(session.kept().expect("kept").target.as_deref(), Some("Effusion"));
    session.apply(Run::Demo.into());
    assert!(session.kept().is_none(), "the demo chose for the person");
    session.apply(Run::CancelOpening.into());
}

#[test]
fn one_sheet_lies_over_the_pictures_at_a_time() {
    let mut session = session(Start::default());
    session.apply(View::Sheet(Sheet::Keys).into());
    session.apply(View::Sheet(Sheet::Palette).into());
    assert_eq!(session.sheet, Some(Sheet::Palette));
    session.apply(View::Sheet(Sheet::Palette).into());
    assert_eq!(session.sheet, None);
}

#[test]
fn a_network_of_another_role_is_refused_in_its_own_place() {
    let models = TinyModels::new();
    let mut session = session(Start::default());
    session.apply(Run::Load(Role::Autoencoder, models.card("classifier")).into());
    until(&mut session, "the refusal", |session| session.model.autoencoder.error().is_some());
    session.apply(Run::DismissError(parallax::session::action::Place::Model(Role::Autoencoder)).into());
    assert!(session.model.autoencoder.error().is_none());
}
