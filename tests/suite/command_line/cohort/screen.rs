//! A cohort in the window: found by its folder, looked through as a table, and a case of it opened as it was asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{Event, Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::cohort::Progress;
use parallax::export::report::report;
use parallax::io::Choice;
use parallax::job::Monitor;
use parallax::latent_shift::Options;
use parallax::pipeline::{self, Request, Target};
use parallax::quality::regions::{Change as Changed, regions};
use parallax::session::Session;
use parallax::session::action::{Cohort, Run, Sheet};
use parallax::session::cohort::table::{Column, Only};
use parallax::session::unseen::{self, Unseen};
use parallax::settings::ScoredBy;
use parallax::ui::Start;
use serde_json::Value;

use super::{Trial, ended};
use crate::window::driven::{Dropped, Window, click, says, texts, until as until_window, window};
use crate::window::without_window::{session, until};

/// A cohort of two cases that are done and one that failed, with a session of each that is done.
fn cohort() -> Trial {
    cohort_with(&[])
}

/// The same as it was before sessions were kept.
fn without_sessions() -> Trial {
    cohort_with(&["--session-mb", "0"])
}

fn cohort_with(more: &[&str]) -> Trial {
    let trial = Trial::new();
    let [a, b] = [4, 3].map(|slices| trial.models.stack(slices));
    let (a, b) = (a.display(), b.display());
    let rows = format!("p1,{a},Emphysema,1:3,9,A\np2,{b},,,10,B\nlost,/no/such/scan.nii,,,,A\n");
    let manifest = trial.table(&format!("id,scan,target,slab,age,site\n{rows}"));
    ended(&trial.run(&manifest, more), 1);
    trial
}

fn read(session: &mut Session) {
    let done = |session: &Session| !session.cohort.cases.all.is_empty() && session.cohort.reading().is_none();
    until(session, "the cases", |session| done(session) || session.cohort.error().is_some());
}

fn ids(session: &Session) -> Vec<&str> {
    let cases = &session.cohort.cases.all;
    session.cohort.order.iter().map(|at| cases[*at].row.id.as_str()).collect()
}

#[test]
fn a_folder_of_a_cohort_is_read_sorted_and_a_case_without_a_session_is_opened_as_it_was_asked() {
    let trial = without_sessions();
    let mut session = session(Start {
        autoencoder: Some(trial.models.card("autoencoder")),
        classifier: Some(trial.models.card("classifier")),
        ..Start::default()
    });
    until(&mut session, "the networks", |session| {
        session.model.autoencoder.ready().is_some() && session.model.classifier.ready().is_some()
    });
    session.apply(Run::Open(trial.out()).into());
    read(&mut session);
    assert!(session.sheet == Some(Sheet::Cohort) && session.model.scan.error().is_none());
    assert_eq!(session.model.settings.recent, [trial.out()], "it is found again");
    assert_eq!(ids(&session), ["lost", "p1", "p2"]);
    session.apply(Cohort::Sort(Column::Further(0)).into());
    assert_eq!(ids(&session), ["p1", "p2", "lost"], "9, 10, none");
    session.apply(Cohort::Sort(Column::Further(0)).into());
    assert_eq!(ids(&session), ["p2", "p1", "lost"]);
    session.apply(Cohort::Only(Only::Failed).into());
    assert_eq!(ids(&session), ["lost"]);
    let lost = session.cohort.case("lost").expect("a case").clone();
    assert!(matches!(&lost.progress, Progress::Failed(failure) if failure.reason.contains("/no/such/scan.nii")));
    session.apply(Cohort::Only(Only::All).into());
    session.apply(Cohort::Find("emphy".to_owned()).into());
    assert_eq!(ids(&session), ["p1"]);
    session.apply(Cohort::Find(String::new()).into());

    // Pictures come for the rows that are seen, and a large one for the case that is chosen.
    assert!(session.cohort.pictures.of("p1").is_none());
    session.apply(Cohort::Seen(0..3).into());
    until(&mut session, "the pictures", |session| {
        ["p1", "p2"].iter().all(|id| session.cohort.pictures.of(id).is_some())
    });
    session.apply(Cohort::Step(1).into());
    session.apply(Cohort::Step(1).into());
    assert_eq!(session.cohort.chosen.as_deref(), Some("p1"));
    until(&mut session, "the large picture", |session| session.cohort.large.ready().is_some());

    session.apply(Cohort::Open("p1".to_owned()).into());
    until(&mut session, "the scan", |session| session.model.scan.ready().is_some());
    assert_eq!(session.sheet, None);
    let settings = &session.model.settings;
    assert_eq!((settings.target.as_deref(), settings.scored_by), (Some("Emphysema"), ScoredBy::Classifier));
    assert_eq!((session.model.slab.clone(), settings.options.range), (Some(1..3), Some([-4.0, 0.0])));
    assert!(session.toasts.list.iter().any(|toast| toast.text.contains("Case p1 is open as it was asked; a run with")));
    session.apply(Run::Explain.into());
    until(&mut session, "the result", |session| session.model.run.ready().is_some());
    let recorded = super::json(&trial.case("p1").join("result.json"));
    let score = session.model.run.ready().expect("a result").result().scores.counterfactual;
    assert_eq!(Some(score), recorded["scores"]["counterfactual"].as_f64(), "the same to the bit");
    session.apply(Cohort::Open("lost".to_owned()).into());
    until(&mut session, "the refusal", |session| session.cohort.error().is_some());
    assert!(session.cohort.error().is_some_and(|why| why.to_string().contains("the scan of case lost is not there")));
}

#[test]
fn a_case_opens_with_its_result_and_nothing_is_computed() {
    let trial = cohort();
    let mut session = session(Start { scan: Some(trial.out()), ..Start::default() });
    read(&mut session);
    session.apply(Cohort::Open("p1".to_owned()).into());
    until(&mut session, "the result", |session| session.model.run.ready().is_some());
    let run = session.model.run.ready().expect("a result").clone();
    let recorded = super::json(&trial.case("p1").join("result.json"));
    assert_eq!(Some(run.result().scores.counterfactual), recorded["scores"]["counterfactual"].as_f64(), "to the bit");
    let regions: Value =
        serde_json::from_str(&serde_json::to_string(&run.report.regions).expect("JSON")).expect("JSON");
    assert_eq!(recorded["regions"], regions, "and its regions");
    let settings = &session.model.settings;
    assert_eq!((settings.target.as_deref(), settings.scored_by), (Some("Emphysema"), ScoredBy::Classifier));
    assert_eq!((session.model.slab.clone(), settings.options.range), (Some(1..3), Some([-4.0, 0.0])));
    assert_eq!(session.view.step, run.result().chosen as f32, "the counterfactual is looked at");
    assert_eq!(session.sheet, None);
    assert!(session.toasts.list.iter().any(|toast| toast.text == "Case p1 is open with its result"));
    until(&mut session, "the networks", |session| {
        session.model.autoencoder.ready().is_some() && session.model.classifier.ready().is_some()
    });

    // The next one comes without a question: the result that goes lies in its file.
    session.tick(0.02);
    session.apply(Cohort::Open("p2".to_owned()).into());
    until(&mut session, "the next result", |session| {
        session.model.run.ready().is_some_and(|run| run.asked().target == "Fracture")
    });
    assert_eq!(session.model.slab, None, "all may change");

    // What is cut is no session, and one whose scan has gone leads nowhere: the manifest's scan is opened.
    let own = trial.case("p1").join("p1.parallax");
    let bytes = std::fs::read(&own).expect("a session");
    std::fs::write(&own, &bytes[..bytes.len() / 2]).expect("written");
    session.apply(Cohort::Open("p1".to_owned()).into());
    until(&mut session, "the scan", |session| session.model.slab == Some(1..3));
    assert!(session.model.restored.error().is_none());
    std::fs::write(&own, &bytes).expect("written");
    std::fs::remove_file(trial.models.stack(4)).expect("removed");
    session.apply(Cohort::Open("p1".to_owned()).into());
    until(&mut session, "the refusal", |session| session.cohort.error().is_some());
    assert!(session.cohort.error().is_some_and(|why| why.to_string().contains("the scan of case p1 is not there")));
}

#[test]
fn a_session_that_would_be_too_large_is_left_out_whole() {
    let trial = Trial::new();
    let monitor = Monitor::default();
    let (scan, [autoencoder, classifier]) =
        (trial.models.stack(4), ["autoencoder", "classifier"].map(|name| trial.models.card(name)));
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&autoencoder, &monitor).expect("loaded"),
        target: Target::Classes {
            classifier: pipeline::load_classifier(&classifier, &monitor).expect("loaded"),
            terms: vec![(0, 1.0)],
            offset: 0.0,
        },
        slab: None,
        options: Options { range: Some([-4.0, 0.0]), steps: 2, ..Options::default() },
    };
    let recipe = request.recipe().expect("a recipe");
    let input = pipeline::open_chosen(&scan, &Choice::default(), recipe, &monitor).expect("opened");
    let run = pipeline::Run::of(&Arc::new(input), &request, &monitor).expect("a result");
    let (result, grid) = (&run.result, run.input.display_volume().grid);
    let regions = regions(&Changed::of(result, &grid), 10.0, None, &monitor).expect("regions");
    let report = report(&run, regions);
    let unseen = Unseen {
        scan: &scan,
        autoencoder: &autoencoder,
        scored_by: &classifier,
        toward: None,
        request: &request,
        run: &run,
        report: &report,
        maps: &[],
        mask: None,
    };
    let path = trial.folder.path().join("a.parallax");
    assert!(unseen::write(&path, &unseen, u64::MAX).expect("written"));
    let length = std::fs::metadata(&path).expect("a file").len();
    parallax::session::check_session(&path).expect("a session");
    std::fs::remove_file(&path).expect("removed");
    for (most, is_written) in [(0, false), (length / 2, false), (length - 1, false), (length, true)] {
        assert_eq!(unseen::write(&path, &unseen, most).expect("no failure"), is_written, "{most} of {length} bytes");
        assert_eq!(path.exists(), is_written, "{most}");
    }
    let left = std::fs::read_dir(trial.folder.path()).expect("a folder").flatten().count();
    assert_eq!(left, 1, "no temporary file");
    assert!(unseen::write(&path, &unseen, u64::MAX).is_err(), "a file that is there stays");
}

#[test]
fn a_case_with_all_slices_and_other_networks_is_open_and_says_whose_result_it_is() {
    let trial = without_sessions();
    let mut session = session(Start { scan: Some(trial.out()), ..Start::default() });
    read(&mut session);
    session.apply(Cohort::Open("p2".to_owned()).into());
    until(&mut session, "the scan", |session| session.model.scan.ready().is_some());
    assert_eq!(session.model.slab, None, "all may change");
    let said = session.toasts.list.first().map(|toast| toast.text.clone()).expect("a line");
    assert!(said.contains("Case p2 is open") && said.contains("which is not loaded"), "{said}");

    // A session that someone saved into the folder of the case comes before its scan.
    let path = trial.case("p2").join("mine.parallax");
    std::fs::write(&path, "no session").expect("written");
    session.apply(Cohort::Open("p2".to_owned()).into());
    until(&mut session, "the session", |session| session.model.restored.error().is_some());
    assert!(format!("{:#}", session.model.restored.error().expect("a refusal")).contains("mine.parallax"));
}

#[test]
fn what_is_damaged_or_half_is_told_case_by_case_and_what_is_no_cohort_is_opened_as_ever() {
    let trial = cohort();
    std::fs::write(trial.case("p1").join("result.json"), "{ \"scores\": ").expect("written");
    std::fs::write(trial.case("p2").join("panes.png"), vec![0x89; 1 << 10]).expect("written");
    std::fs::write(trial.case("lost").join("error.json"), "nonsense").expect("written");
    let mut session = session(Start { scan: Some(trial.out()), ..Start::default() });
    read(&mut session);
    session.apply(Cohort::Seen(0..3).into());
    let state = |session: &Session, id: &str| session.cohort.case(id).expect("a case").progress.clone();
    assert!(matches!(state(&session, "p1"), Progress::Damaged(why) if why.contains("result.json")));
    assert!(matches!(state(&session, "lost"), Progress::Failed(failure) if failure.reason.contains("damaged")));
    assert!(matches!(state(&session, "p2"), Progress::Done(_)));
    session.apply(Cohort::Choose("p2".to_owned()).into());
    until(&mut session, "no picture", |session| session.cohort.large.error().is_some());

    let manifests = trial.out().join("manifests");
    for entry in std::fs::read_dir(&manifests).expect("a folder").flatten() {
        std::fs::remove_file(entry.path()).expect("removed");
    }
    session.apply(Cohort::Again.into());
    until(&mut session, "the refusal", |session| session.cohort.error().is_some());
    assert!(format!("{:#}", session.cohort.error().expect("a refusal")).contains("the kept manifest is missing"));
    std::fs::remove_dir(&manifests).expect("removed");
    session.apply(Run::Open(trial.out()).into());
    until(&mut session, "the refusal", |session| session.model.scan.error().is_some());
}

/// A cohort of many cases that are all copies of one, which failed, is missing, or is done.
pub(crate) fn many(trial: &Trial, count: usize) -> PathBuf {
    let manifest = trial.manifest(&[("c00000", 3)]);
    ended(&trial.run(&manifest, &[]), 0);
    let (first, out) = (trial.case("c00000"), trial.out());
    for k in 1..count {
        let folder = trial.case(&format!("c{k:05}"));
        match k % 10 {
            7 => {}
            8 => {
                std::fs::create_dir(&folder).expect("a folder");
                let failure = "{ \"reason\": \"no such file\", \"chain\": [], \"when\": \"2026-01-31T10:11:12Z\" }";
                std::fs::write(folder.join("error.json"), failure).expect("written");
            }
            _ => {
                std::fs::create_dir(&folder).expect("a folder");
                for name in ["result.json", "case.json", "aligned.safetensors", "panes.png"] {
                    std::fs::hard_link(first.join(name), folder.join(name)).expect("a link");
                }
            }
        }
    }
    let rows: Vec<String> = (0..count).map(|k| format!("c{k:05},/scans/{k}.nii,,,,,{}", k % 90)).collect();
    let text = rows.join("\n");
    let kept: Vec<_> = std::fs::read_dir(out.join("manifests")).expect("a folder").flatten().collect();
    std::fs::write(kept[0].path(), format!("id,scan,series,target,slab,mask,age\n{text}")).expect("written");
    out
}

#[test]
fn ten_thousand_cases_are_read_off_the_windows_thread_and_only_the_rows_that_are_seen_are_drawn() {
    const COUNT: usize = 10_000;
    let trial = Trial::new();
    let folder = many(&trial, COUNT);
    let mut window = window(Start { scan: Some(folder), ..Start::default() });
    until_window(&mut window, "the rows", |w| says(w, &format!("All {COUNT}")));
    until_window(&mut window, "the end of reading", |w| w.query_by_label("Read again").is_some());
    for count in ["Done 8000", "Failed 1000", "Not yet 1000"] {
        assert!(says(&window, count), "{count}: {:?}", texts(&window));
    }
    let rows = |window: &Window| texts(window).iter().filter(|text| text.starts_with("Case c")).count();
    assert!((5..60).contains(&rows(&window)), "{} rows", rows(&window));
    click(&mut window, "Failed 1000");
    assert!(says(&window, "Case c00008: failed, no such file"));
    click(&mut window, &format!("All {COUNT}"));
    click(&mut window, "Sort by case, rising");
    assert!(says(&window, "Case c09999: done"), "{:?}", texts(&window));
    // The end of the list is as near as its beginning.
    for _ in 0..3 {
        window.key_press(Key::PageDown);
        window.run_steps(4);
    }
    assert!(says(&window, "Case c09979: done") && rows(&window) < 60, "{:?}", texts(&window));
}

#[test]
fn a_dropped_cohort_shows_its_cases_by_name_number_and_reason() {
    let trial = cohort();
    let mut window = window(Start::default());
    window.input_mut().dropped_files.push(Arc::new(Dropped(trial.out())));
    window.run_steps(1);
    until_window(&mut window, "the cases", |w| w.query_by_label("Read again").is_some() && says(w, "All 3"));
    assert!(says(&window, "Done 2") && says(&window, "Failed 1"));
    let press = |window: &mut Window, begins: &str| {
        let name = texts(window).into_iter().find(|text| text.starts_with(begins));
        let name = name.unwrap_or_else(|| panic!("no {begins}: {:?}", texts(window)));
        window.get_by_role_and_label(Role::Button, &name).click();
        window.run_steps(3);
    };
    press(&mut window, "Case lost: failed");
    assert!(says(&window, "because ") && says(&window, "tries it again"), "{:?}", texts(&window));
    press(&mut window, "Case p1: done, Emphysema");
    assert!(says(&window, "All 3"), "one click shows a case, and opens none");
    until_window(&mut window, "its picture", |w| says(w, "Original, counterfactual and difference of case p1"));
    assert!(says(&window, "Score of the scan") && says(&window, "tiny-classifier") || says(&window, "Scored by"));
    click(&mut window, "Sort by age");
    assert!(window.query_by_label("Sort by age, rising").is_some());
    click(&mut window, "Open case p1");
    until_window(&mut window, "the result", |w| says(w, "Case p1 is open with its result"));
    assert!(says(&window, "Stopped because") && !says(&window, "All 3"));

    // The table is a button away, and a command.
    click(&mut window, "Table of cases…");
    assert!(says(&window, "All 3"));
    press(&mut window, "Case p2: done");
    window.key_press(Key::Enter);
    until_window(&mut window, "the next case", |w| says(w, "Case p2 is open with its result"));
    click(&mut window, "Table of cases…");
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(!says(&window, "All 3"));
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    window.event(Event::Text("table of cases".to_owned()));
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(says(&window, "All 3"));
}

#[test]
fn every_widget_of_the_table_is_reached_by_the_tab_key_and_has_a_name() {
    let trial = cohort();
    let mut window = window(Start { scan: Some(trial.out()), ..Start::default() });
    until_window(&mut window, "the cases", |w| w.query_by_label("Read again").is_some() && says(w, "All 3"));
    let mut reached = BTreeSet::new();
    for _ in 0..60 {
        window.key_press(Key::Tab);
        window.run_steps(2);
        let focused = window.root().children_recursive().find(|node| node.accesskit_node().is_focused());
        reached.extend(focused.map(|node| node.accesskit_node().label().unwrap_or_else(|| "nameless".to_owned())));
    }
    let has = |begins: &str| reached.iter().any(|name| name.starts_with(begins));
    for wanted in [
        "All 3",
        "Done 2",
        "Failed 1",
        "Not yet 0",
        "Find",
        "Case lost: failed",
        "Case p1: done",
        "Open case p1",
        "Sort by case",
        "Sort by age",
        "Sort by scan",
        "Read again",
        "Close",
    ] {
        assert!(has(wanted), "{wanted}: {reached:#?}");
    }
    assert!(!has("nameless") && !has("Open a CT file"), "{reached:#?}");
}

#[test]
fn what_is_none_is_said_to_be_none() {
    assert!(!parallax::cohort::is_cohort(Path::new("/no/such/folder")));
    let folder = tempfile::tempdir().expect("a folder");
    assert!(!parallax::cohort::is_cohort(folder.path()));
    for name in ["cases", "shards", "manifests"] {
        std::fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    let mut session = session(Start { scan: Some(folder.path().to_owned()), ..Start::default() });
    until(&mut session, "the refusal", |session| session.cohort.error().is_some());
    assert!(session.cohort.error().is_some_and(|why| why.to_string().contains("no shard has begun here")));
}
