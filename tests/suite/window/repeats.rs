//! Repeats from perturbed starts in the session and in the window: behind the result, stopped, kept, and seen.

use std::time::Duration;

use egui::{self, Key, accesskit::Role, accesskit::Toggled};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::export::session::{Beside, SavedSession, write_session};
use parallax::frame::Overlaid;
use parallax::frame::display::{Change, Laid, Shown};
use parallax::latent_shift::Counterfactual;
use parallax::session::Session;
use parallax::session::action::{Run, Setting, View};
use parallax::session::explained::Explained;
use parallax::stability::Stability;

use crate::tiny_models::TinyModels;
use crate::window::driven::{press, says, start, window};
use crate::window::without_window::{all, explain, is_kept, keeping, ready, until};

const FRAME_SECS: f32 = 0.02;

fn is_repeated(session: &Session) -> bool {
    session.model.run.ready().is_some_and(|run| run.report.stability.is_some())
}

fn repeated(session: &mut Session, runs: usize) -> std::sync::Arc<Explained> {
    session.apply(Setting::Repeats(runs).into());
    explain(session);
    until(session, "the repeats", is_repeated);
    session.model.run.ready().expect("a result").clone()
}

#[test]
fn repeats_run_behind_a_result_that_is_shown_meanwhile_and_stays_as_it_was() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    session.apply(Setting::Repeats(3).into());
    explain(&mut session);
    let first = session.model.run.ready().expect("a result").clone();
    assert!(first.report.stability.is_none() && session.model.repeating.is_of(&first), "the result comes first");
    session.apply(View::Step(0.0).into());
    until(&mut session, "the repeats", is_repeated);
    let run = session.model.run.ready().expect("a result").clone();
    let stability = run.report.stability.as_ref().expect("repeats");
    assert_eq!((stability.asked, stability.runs), (3, 3));
    assert_eq!(stability.regions.len(), run.report.regions.list.len());
    assert!(run.is_of(&first) && run.result().scores == first.result().scores);
    assert_eq!(session.view.step, 0.0, "nobody is taken elsewhere");
    assert!(session.model.aside.is_none(), "it is no other result");
}

#[test]
fn the_share_of_runs_that_agree_lies_over_the_scan_in_place_of_the_difference() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    let run = repeated(&mut session, 2);
    session.apply(View::Change(Change::Laid(Laid::Agreement)).into());
    session.apply(View::Change(Change::Overlay).into());
    session.tick(FRAME_SECS);
    let (scan, shown) = session.model.shown();
    let pictures = session.view.arrange(scan, shown).pictures;
    let of = |shown: Shown| pictures.iter().find(|picture| picture.shown == shown).expect("a pane");
    let difference = of(Shown::Difference);
    assert_eq!((&*difference.title, difference.synthetic), ("Runs that agree", None));
    for pane in [difference, of(Shown::Counterfactual)] {
        assert_eq!(pane.look.overlay.expect("an overlay").of, Overlaid::Map);
        assert_eq!(pane.layers.map.as_ref().expect("a map").top, "all 2 runs");
    }
    let place = glam::DVec3::from(run.report.regions.list[0].peak_mm);
    let share = run.report.stability.as_ref().and_then(|stability| stability.share_at(place)).expect("a share");
    let said = session.view.laid_at(place).expect("words");
    assert_eq!(said, format!("Runs that agree: {:.0} % of all 2 runs", 100.0 * share));
    session.apply(View::Change(Change::Laid(Laid::Change)).into());
    session.tick(FRAME_SECS);
    let (scan, shown) = session.model.shown();
    let pictures = session.view.arrange(scan, shown).pictures;
    assert!(pictures.iter().any(|picture| picture.title == "Difference"));
}

#[test]
fn repeats_that_are_stopped_leave_the_result_with_what_was_made() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    session.apply(Setting::Repeats(900).into());
    assert_eq!(session.model.settings.repeats, 20, "no more than are offered");
    explain(&mut session);
    session.apply(Run::StopRepeating.into());
    until(&mut session, "the end", |session| session.model.repeating.repeated.running().is_none());
    session.tick(FRAME_SECS);
    let run = session.model.run.ready().expect("the result stays");
    assert!(run.report.stability.as_ref().is_none_or(|stability| stability.runs < stability.asked));
    assert!(session.model.repeating.repeated.error().is_none(), "to stop is no error");
}

#[test]
fn what_came_again_is_kept_with_its_result_once_and_is_there_after_a_restart() {
    let models = TinyModels::new();
    let mut session = keeping(&models, parallax::settings::Settings::default(), all(&models));
    let run = repeated(&mut session, 2);
    until(&mut session, "the kept result", |session| {
        is_kept(session) && session.gallery.kept.ready().is_some_and(|kept| kept.len() == 1)
    });
    let mut again = keeping(&models, session.kept(), parallax::session::Start::default());
    until(&mut again, "the result", |session| session.model.run.ready().is_some());
    let back = again.model.run.ready().expect("a result").clone();
    let [before, after] = [&run, &back].map(|run| run.report.stability.as_ref().expect("repeats"));
    assert_eq!(after.counts(), before.counts());
    let told = |stability: &Stability| serde_json::to_value(stability).expect("JSON");
    assert_eq!(told(after), told(before));
    assert!(back.agreement.is_some());
    for _ in 0..20 {
        again.tick(FRAME_SECS);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(again.gallery.kept.ready().map_or(0, |kept| kept.len()), 1, "it is not kept twice");
}

fn session_bytes(
    document: &str,
    result: Option<&Counterfactual>,
    stability: Option<&Stability>,
) -> anyhow::Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    write_session(&mut bytes, &document, result, &Beside { stability, ..Beside::default() })?;
    Ok(bytes.into_inner())
}

#[test]
fn counts_that_no_repeats_can_have_are_refused() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    let run = repeated(&mut session, 2);
    let stability = run.report.stability.clone().expect("repeats");
    let path = models.folder.path().join("a.parallax");
    let bytes = session_bytes("words", Some(run.result()), Some(&stability)).expect("bytes");
    std::fs::write(&path, &bytes).expect("written");
    let saved = SavedSession::open(&path).expect("a session");
    let back = saved.stability(stability.clone(), &run.report.regions).expect("repeats");
    assert_eq!(back.counts(), stability.counts());
    let mut more = stability.clone();
    more.runs = 3;
    assert!(saved.stability(more, &run.report.regions).is_err(), "more than were asked for");
    let (agree, of_slices) = stability.counts();
    let mut wrong = agree.to_vec();
    wrong[0] = 200;
    let refused = stability.clone().with_counts(&run.report.regions, wrong, of_slices.to_vec());
    assert!(format!("{:#}", refused.expect_err("too many")).contains("than were made"));
    let short = stability.clone().with_counts(&run.report.regions, agree[1..].to_vec(), of_slices.to_vec());
    assert!(short.is_err());
    let bare = session_bytes("words", Some(run.result()), None).expect("bytes");
    std::fs::write(&path, bare).expect("written");
    let bare = SavedSession::open(&path).expect("a session");
    assert!(bare.stability(stability, &run.report.regions).is_err(), "none are there");
    let end = bytes.len() - 1;
    let mut flipped = bytes;
    flipped[end] ^= 1;
    std::fs::write(&path, flipped).expect("written");
    assert!(SavedSession::open(&path).is_err(), "a flipped bit becomes no finding");
}

#[test]
fn the_window_says_the_cost_repeats_and_shows_where_runs_agree() {
    let models = TinyModels::new();
    let mut window = window(start(&models, models.stack(8)));
    crate::window::driven::until(&mut window, "the models", |w| {
        says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded")
    });
    crate::window::driven::until(&mut window, "the scan", |w| says(w, "the networks see"));
    press(&mut window, "Advanced");
    crate::window::driven::until(&mut window, "the option", |w| says(w, "Repeats from perturbed starts"));
    assert!(says(&window, "Off. Repeats say how sure"), "off by default");
    window.get_by_role_and_label(Role::SpinButton, "Repeats from perturbed starts").focus();
    window.run_steps(2);
    window.event(egui::Event::Text("2".to_owned()));
    window.run_steps(1);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(says(&window, "2 more runs, "), "the cost is said before");
    press(&mut window, "Compute counterfactual");
    crate::window::driven::until(&mut window, "the repeats", |w| says(w, "Repeated from 2 perturbed starts"));
    assert!(says(&window, "in 2 of 2 runs") || says(&window, "in 1 of 2 runs") || says(&window, "in 0 of 2 runs"));
    press(&mut window, "Show where runs agree");
    assert_eq!(window.get_by_label("Show where runs agree").accesskit_node().toggled(), Some(Toggled::True));
    assert!(window.query_by_label("Runs that agree pane").is_some());
}
