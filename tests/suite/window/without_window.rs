//! The session without a window: driven by actions alone, as panels, keys and the palette push them.

use std::time::{Duration, Instant};

use parallax::frame::display::{Change, Layout};
use parallax::frame::{Plane, Window};
use parallax::io::Choice;
use parallax::job::Monitor;
use parallax::latent_shift::Options;
use parallax::models::Role;
use parallax::quality::regions::{Change as Changed, regions};
use parallax::session::action::{Action, Export, Measure, Run, Setting, Sheet, View, Wanted};
use parallax::session::shown::{arrange, told};
use parallax::session::worker::Worker;
use parallax::session::{Session, Start};
use parallax::settings::{ExportChoices, Mouse, Settings};

use crate::support;
use crate::tiny_models::TinyModels;

/// Longer than any piece of work of the tiny networks takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
const SLICES: usize = 8;
/// Between two looks at the workers, seconds.
const FRAME_SECS: f32 = 0.02;

pub(crate) fn session(start: Start) -> Session {
    let mut session = Session::new(Settings::default(), Vec::new(), Worker::new(|| {}));
    session.begin(start);
    session
}

/// All that the tiny networks need for a run.
pub(crate) fn all(models: &TinyModels) -> Start {
    Start {
        scan: Some(models.stack(SLICES)),
        autoencoder: Some(models.card("autoencoder")),
        classifier: Some(models.card("classifier")),
        target: Some("1".to_owned()),
        ..Start::default()
    }
}

pub(crate) fn ready(models: &TinyModels) -> Session {
    session(all(models))
}

pub(crate) fn until(session: &mut Session, what: &str, so: impl Fn(&Session) -> bool) {
    let began = Instant::now();
    while !so(session) {
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
        session.tick(FRAME_SECS);
    }
}

pub(crate) fn explained(models: &TinyModels) -> Session {
    let mut session = ready(models);
    explain(&mut session);
    session
}

pub(crate) fn explain(session: &mut Session) {
    until(session, "scan and networks", |session| session.model.missing().is_none());
    session.apply(Run::Explain.into());
    until(session, "the counterfactual", |session| session.model.run.ready().is_some());
}

/// With a folder for results, which is made when the first one comes.
pub(crate) fn keeping(models: &TinyModels, settings: Settings, start: Start) -> Session {
    let mut session = Session::new(settings, Vec::new(), Worker::new(|| {}));
    session.begin(Start { results: Some(models.folder.path().join("results")), ..start });
    session
}

pub(crate) fn is_kept(session: &Session) -> bool {
    session.model.run.ready().is_some_and(|run| session.gallery.file_of(run).is_some())
        && session.gallery.kept.ready().is_some_and(|kept| !kept.is_empty())
}

#[test]
fn while_a_first_run_goes_on_the_panes_show_what_it_has_drawn_so_far() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    until(&mut session, "scan and networks", |session| session.model.missing().is_none());
    let options = Options { range: Some([-50.0, 0.0]), steps: 5000, ..session.model.settings.options.clone() };
    session.apply(Setting::Options(options).into());
    session.apply(Run::Explain.into());
    until(&mut session, "a picture", |session| session.model.sketching.drawn.ready().is_some());
    assert!(session.model.run.running().is_some(), "the run goes on");
    let so_far = session.model.sketching.drawn.ready().expect("a picture");
    let shift = so_far.layers.shift.as_ref().expect("a step");
    assert_eq!((shift.count(), shift.slab.clone()), (2, 0..SLICES));
    assert!(so_far.lambda < 0.0 && so_far.scale_hu > 0.0);
    let titles: Vec<_> = arrange(&session.model, &session.view).pictures.into_iter().map(|p| p.title).collect();
    assert_eq!(titles, ["Original", "Counterfactual so far", "Difference so far"]);
    let synthetic = arrange(&session.model, &session.view).pictures.into_iter().map(|p| p.synthetic.is_some());
    assert_eq!(synthetic.collect::<Vec<_>>(), [false, true, true], "each generated picture is marked");
    session.apply(Run::Cancel.into());
    until(&mut session, "the end", |session| session.model.run.running().is_none());
    session.tick(FRAME_SECS);
    assert!(session.model.sketching.drawn.ready().is_none(), "the result takes its place");
}

#[test]
fn a_run_is_looked_at_while_it_goes_on_and_the_result_before_comes_back_when_it_is_cancelled() {
    let models = TinyModels::new();
    let mut session = explained(&models);
    let before = session.model.run.ready().expect("a result").clone();
    let options = Options { range: Some([-50.0, 0.0]), steps: 5000, ..session.model.settings.options.clone() };
    session.apply(Setting::Options(options).into());
    session.apply(Run::Explain.into());
    until(&mut session, "a picture", |session| session.model.sketching.drawn.ready().is_some());
    let titles = |session: &Session| {
        let pictures = arrange(&session.model, &session.view).pictures;
        pictures
            .into_iter()
            .map(|picture| (picture.title.into_owned(), picture.synthetic.is_some()))
            .collect::<Vec<_>>()
    };
    let so_far = [("Original", false), ("Counterfactual so far", true), ("Difference so far", true)];
    let whole = [("Original", false), ("Counterfactual", true), ("Difference", true)];
    let owned = |titles: [(&str, bool); 3]| titles.map(|(title, synthetic)| (title.to_owned(), synthetic)).to_vec();
    assert_eq!(titles(&session), owned(so_far));
    assert!(told(&session.model, &session.view).result().is_none(), "nothing is told of the result before");
    let behind = |session: &Session| (session.view.step, session.view.cursor, session.view.playing);
    let was = behind(&session);
    for act in [View::WheelLambda(1.0), View::Step(0.0), View::TogglePlay, View::MostChanged, View::NextPeak(1)] {
        session.apply(act.into());
    }
    assert_eq!(behind(&session), was, "nothing moves behind what is shown");
    session.apply(View::Older(true).into());
    assert_eq!(titles(&session), owned(whole), "the result before is there for who wants it");
    session.apply(View::Older(false).into());
    assert_eq!(titles(&session), owned(so_far));
    let share = session.model.pace.expect("a pace").share();
    session.apply(Run::Cancel.into());
    until(&mut session, "the end", |session| session.model.run.running().is_none());
    session.tick(FRAME_SECS);
    assert!((0.0..1.0).contains(&share), "{share}");
    assert!(std::sync::Arc::ptr_eq(session.model.run.ready().expect("a result"), &before));
    assert_eq!(titles(&session), owned(whole));
}

#[test]
fn a_run_is_made_played_and_told_by_actions_alone() {
    let models = TinyModels::new();
    let mut session = explained(&models);
    let run = session.model.run.ready().expect("a result").clone();
    assert_eq!(session.view.step, run.result().chosen as f32, "the counterfactual comes first");
    session.apply(View::WheelLambda(1.0).into());
    session.apply(View::WheelLambda(1.0).into());
    let two_on = (run.result().chosen + 2).min(run.result().steps.len() - 1);
    assert_eq!(session.view.step, two_on as f32);
    assert_eq!(run.score_at(session.view.step), run.result().steps[two_on].score);
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
    assert_eq!(session.kept().target.as_deref(), Some("Effusion"));
    let before = session.kept();
    session.apply(Run::Demo.into());
    until(&mut session, "the demo", |session| {
        session.model.scan.ready().is_some() && session.model.missing().is_none()
    });
    assert_eq!(session.model.settings.target.as_deref(), Some(parallax::demo::TARGET));
    assert_eq!(session.kept(), before, "the demo chose networks, class and options for the person");
    // What is no choice of the demo's is the person's.
    session.apply(Setting::Mouse(Mouse::Research).into());
    assert_eq!(session.kept(), Settings { mouse: Mouse::Research, ..before });
    session.apply(Run::Open(support::data("nifti/syn_lps.nii.gz")).into());
    until(&mut session, "a scan of one's own", |session| session.model.opening().is_none());
    let scan = session.model.scan.ready().expect("a scan");
    assert!(scan.path.is_some());
    assert_eq!(session.kept(), session.model.settings, "from here on all is chosen by the person");
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

#[test]
fn a_finished_run_stays_and_is_on_the_screen_again_after_a_restart() {
    let models = TinyModels::new();
    let mut session = keeping(&models, Settings::default(), all(&models));
    explain(&mut session);
    until(&mut session, "the kept result", is_kept);
    let kept = session.gallery.kept.ready().expect("a list")[0].clone();
    let run = session.model.run.ready().expect("a result").clone();
    assert_eq!(kept.summary.target, run.asked().target);
    assert_eq!(kept.summary.counterfactual_score, run.result().scores.counterfactual);
    assert_eq!(session.model.settings.shown_result.as_ref(), Some(&kept.session));

    // As after a crash: the settings and the folder are all that is left.
    let mut again = keeping(&models, session.kept(), Start::default());
    until(&mut again, "the result", |session| session.model.run.ready().is_some());
    let back = again.model.run.ready().expect("a result").clone();
    assert_eq!(back.result().scores, run.result().scores);
    let pixels = |run: &parallax::session::explained::Explained| {
        run.result().step_hu(run.result().chosen).voxels.iter().collect::<Vec<_>>()
    };
    assert_eq!(pixels(&back), pixels(&run), "to the bit");
    for _ in 0..20 {
        again.tick(FRAME_SECS);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(again.gallery.kept.ready().map_or(0, |kept| kept.len()), 1, "it is not kept twice");

    again.apply(Run::ClearResults.into());
    until(&mut again, "the empty folder", |session| session.gallery.kept.ready().is_some_and(|kept| kept.is_empty()));
    assert!(again.model.run.ready().is_some(), "what is on the screen stays there");
}

#[test]
fn another_scan_takes_the_place_of_a_result_that_is_kept_without_a_word() {
    let models = TinyModels::new();
    let mut session = keeping(&models, Settings::default(), all(&models));
    explain(&mut session);
    until(&mut session, "the kept result", is_kept);
    session.apply(Run::Open(support::data("nifti/syn_lps.nii.gz")).into());
    until(&mut session, "the other scan", |session| session.model.opening().is_none());
    assert!(session.model.waiting.is_none() && session.model.run.ready().is_none());
    assert_eq!(session.model.settings.shown_result, None);
    let kept = session.gallery.kept.ready().expect("a list")[0].session.clone();
    session.apply(Run::Open(kept).into());
    until(&mut session, "the result again", |session| session.model.run.ready().is_some());
}

#[test]
fn nothing_is_kept_where_the_person_wants_nothing_kept() {
    let models = TinyModels::new();
    let settings = Settings { keep_results: false, ..Settings::default() };
    let mut session = keeping(&models, settings, all(&models));
    explain(&mut session);
    for _ in 0..20 {
        session.tick(FRAME_SECS);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!models.folder.path().join("results").exists());
    session.apply(Run::Open(support::data("nifti/syn_lps.nii.gz")).into());
    until(&mut session, "the question", |session| session.model.waiting.is_some());
    assert!(session.model.run.ready().is_some(), "nothing is lost unasked");
}

#[test]
fn a_region_takes_all_planes_to_where_it_changed_most_and_the_first_view_is_of_the_largest() {
    let models = TinyModels::new();
    let mut session = explained(&models);
    let run = session.model.run.ready().expect("a result").clone();
    let regions = &run.report.regions.list;
    assert!(!regions.is_empty(), "the tiny networks change something");
    let peak = |index: usize| glam::DVec3::from(regions[index].peak_mm);
    assert_eq!(session.view.cursor, peak(0));
    session.apply(View::Slice(0).into());
    assert_ne!(session.view.cursor, peak(0));
    let last = regions.len() - 1;
    session.apply(View::Region(Some(last)).into());
    assert_eq!((session.view.cursor, session.view.region), (peak(last), Some(last)));
    session.apply(View::Region(None).into());
    session.apply(View::MostChanged.into());
    assert_eq!((session.view.cursor, session.view.region), (peak(0), None));
    session.apply(View::Region(Some(regions.len())).into());
    assert_eq!(session.view.region, None, "there is no such region");
}

#[test]
fn looks_are_undone_one_by_one_and_a_drag_is_one_look() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    until(&mut session, "the scan", |session| session.model.scan.ready().is_some());
    let looks = |session: &Session| (session.view.window, session.view.display, session.view.zoom);
    let first = looks(&session);
    for width_hu in [300.0, 310.0, 320.0] {
        session.apply(View::Window(Window { center_hu: 0.0, width_hu }).into());
    }
    let dragged = looks(&session);
    session.apply(View::Change(Change::Inverted).into());
    session.apply(View::Change(Change::Crosshair).into());
    session.apply(View::Probe(None).into());
    session.apply(View::Undo.into());
    session.apply(View::Undo.into());
    assert_eq!(looks(&session), dragged, "each switch counts for itself");
    session.apply(View::Undo.into());
    assert_eq!(looks(&session), first, "a drag is one change");
    session.apply(View::Undo.into());
    assert_eq!(looks(&session), first, "there is nothing before it");
    for _ in 0..4 {
        session.apply(View::Redo.into());
    }
    assert!(session.view.display.inverted && !session.view.display.crosshair);
    session.apply(View::Undo.into());
    session.apply(View::Zoom(2.0, None).into());
    let zoomed = looks(&session);
    session.apply(View::Redo.into());
    assert_eq!(looks(&session), zoomed, "what was undone is gone once something else was changed");
}

#[test]
fn what_ends_out_of_sight_is_told_once_with_a_way_to_it() {
    let models = TinyModels::new();
    let mut session = explained(&models);
    let folder = models.folder.path().join("exported");
    let choices = ExportChoices { folder: folder.clone(), ..session.model.settings.export.clone() };
    session.apply(Setting::Exports(choices).into());
    session.apply(View::Sheet(Sheet::Export).into());
    let may_start = |session: &Session| session.export.hindrance(&session.model).is_none();
    until(&mut session, "a look into the folder", may_start);
    session.apply(Export::Start.into());
    session.apply(View::Sheet(Sheet::Export).into());
    until(&mut session, "the end of the export", |session| !session.toasts.list.is_empty());
    let toast = session.toasts.list[0].clone();
    assert!(toast.text.contains("exported to") && toast.text.contains("exported") && !toast.failed, "{toast:?}");
    assert_eq!(toast.show, Some(Export::ShowFolder.into()));
    session.apply(View::CloseToast(0).into());
    session.tick(FRAME_SECS);
    assert!(session.toasts.list.is_empty(), "it is told once");
    // In sight the dialog tells.
    session.apply(View::Sheet(Sheet::Export).into());
    until(&mut session, "a second look", |session| {
        session.export.found.ready().is_some_and(|found| !found.names.is_empty())
    });
    session.apply(Export::Replace(true).into());
    session.apply(Export::Start.into());
    until(&mut session, "the second export", |session| session.export.written.ready().is_some());
    session.tick(FRAME_SECS);
    assert!(session.toasts.list.is_empty());
}

#[test]
fn where_no_dialog_can_be_shown_it_is_said_and_the_path_is_asked_for_in_its_field() {
    let mut session = session(Start::default());
    session.apply(View::Ask(Wanted::ScanFolder).into());
    let wanted = session.dialog.take().expect("a dialog is asked for");
    session.dialog.wait(wanted, std::future::ready(None), &session.model.worker).expect("a thread");
    until(&mut session, "the system's answer", |session| !session.toasts.list.is_empty());
    assert!(session.toasts.list[0].text.contains("type the path"), "{:?}", session.toasts.list);
    assert_eq!(session.dialog.take_missing(), Some(Wanted::ScanFolder));
    assert_eq!(session.dialog.take_missing(), None, "once");
}

#[test]
fn regions_are_found_again_at_the_threshold_that_is_asked_for_and_come_back_with_the_session() {
    let models = TinyModels::new();
    let mut session = explained(&models);
    let run = session.model.run.ready().expect("a result").clone();
    let usual_hu = run.report.regions.threshold_hu;
    for above_hu in [usual_hu + 7.0, 1.0] {
        session.apply(Run::RegionsAbove(above_hu).into());
    }
    let threshold_hu = |session: &Session| session.model.run.ready().map(|run| run.report.regions.threshold_hu);
    until(&mut session, "the regions", |session| threshold_hu(session) == Some(1.0));
    let now = session.model.run.ready().expect("a result").clone();
    let change = Changed::of(run.result(), &run.scan.layers.scan.grid);
    let wanted = regions(&change, 1.0, None, &Monitor::default()).expect("not cancelled");
    assert_eq!(now.report.regions.list, wanted.list);
    assert!(now.is_of(&run), "its pictures are the same");
    let path = models.folder.path().join("regions.parallax");
    session.apply(Export::SaveSession { path: path.clone(), replace: false }.into());
    until(&mut session, "the session file", |session| session.file.saved.ready().is_some());
    let mut again = self::session(Start { scan: Some(path), ..Start::default() });
    until(&mut again, "the session", |session| session.model.run.ready().is_some());
    assert_eq!(threshold_hu(&again), Some(1.0));
}
