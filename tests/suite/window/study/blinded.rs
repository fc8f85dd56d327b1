//! A study in the session, without a window: what of a result a reader can see, and results that cannot be read.

use std::path::{Path, PathBuf};

use parallax::frame::Generated;
use parallax::frame::measure::{Measurement, Shape};
use parallax::session::action::{Export, Measure, Place, Run, Sheet, Study, View};
use parallax::session::{Session, Start};
use parallax::study::{Answer, Pane};

use super::{cell, rows};
use crate::tiny_models::TinyModels;
use crate::window::without_window::{explained, session, until};

const QUESTIONS: &str = r#"
[[question]]
name = "realistic"
ask = "Could it be?"
kind = "five-point"
[[question]]
name = "where"
ask = "Mark it"
kind = "region"
optional = true
"#;

/// A folder with a study of one result under these names, and the result's session.
pub(super) fn results(models: &TinyModels, text: &str, names: &[&str]) -> (PathBuf, Session) {
    let folder = models.folder.path().join("study");
    std::fs::create_dir(&folder).expect("a folder");
    let mut session = explained(models);
    let first = folder.join(names[0]);
    session.apply(Export::SaveSession { path: first.clone(), replace: false }.into());
    until(&mut session, "the session", |session| session.file.saved.ready().is_some());
    for name in &names[1..] {
        std::fs::copy(&first, folder.join(name)).expect("copied");
    }
    std::fs::write(folder.join("study.toml"), format!("{text}\n{QUESTIONS}")).expect("written");
    (folder, session)
}

/// Opens a study, and waits for it or for a refusal.
fn open(session: &mut Session, path: &Path) {
    session.apply(View::Sheet(Sheet::Study).into());
    session.apply(Run::Study(Study::Open(path.to_owned())).into());
    until(session, "the study", |session| session.study.checked.running().is_none());
}

fn begin(session: &mut Session) {
    session.apply(Run::Study(Study::Begin { reader: "R1".to_owned(), seed: 1 }).into());
    assert!(session.study.error().is_none(), "{:?}", session.study.error());
    assert_eq!(session.sheet, None, "the way in is put away");
}

fn shown(session: &mut Session) {
    until(session, "the case", |session| {
        session.study.reading.as_ref().is_some_and(parallax::study::Reading::is_shown)
    });
}

#[test]
fn a_reader_sees_no_score_no_target_and_no_lambda_unless_the_study_says_so() {
    for (text, tells) in [("", false), ("show_score = true\nshow_target = true\nfirst_slice = \"middle\"", true)] {
        let models = TinyModels::new();
        let (folder, of_result) = results(&models, text, &["one.parallax", "two.parallax"]);
        let run = of_result.model.run.ready().expect("a result").clone();
        let mut session = session(Start::default());
        let cursor = session.view.cursor;
        open(&mut session, &folder);
        begin(&mut session);
        shown(&mut session);
        session.apply(Run::Study(Study::Turn(Pane::Difference)).into());
        let pictures = session.study.pictures();
        assert_eq!(pictures.iter().map(|(pane, _)| *pane).collect::<Vec<_>>(), Pane::ALL);
        for (pane, picture) in &pictures {
            assert_eq!(picture.score.is_some(), tells && *pane != Pane::Difference, "{pane:?}");
            let untold = picture.synthetic == Some(Generated::Untold);
            assert_eq!(
                (picture.synthetic.is_some(), untold),
                (*pane != Pane::Original, *pane != Pane::Original && !tells)
            );
        }
        assert_eq!(session.study.target(), tells.then_some(run.asked().target.as_str()));
        // Lambda stays where the counterfactual is, whatever is turned.
        for act in [View::WheelLambda(1.0), View::Step(0.0), View::TogglePlay] {
            session.apply(act.into());
        }
        assert_eq!(session.study.viewer.step, run.result().chosen as f32);
        let middle = run.scan.layers.scan.grid.center();
        assert_eq!(session.study.viewer.cursor == middle, tells, "it begins where the study says");
        session.apply(View::Slice(0).into());
        assert_eq!(session.view.cursor, cursor, "the window's own view waits");
        // None of the numbers that a score is told by is in the answers.
        session.apply(Run::Study(Study::Answer(0, Answer::Rating(3))).into());
        until(&mut session, "the answer on the disk", |_| rows(&folder.join("study-answers-R1.csv")).len() == 2);
        let scores = run.result().scores;
        let text = std::fs::read_to_string(folder.join("study-answers-R1.csv")).expect("answers");
        let numbers = [scores.scan, scores.reconstruction, scores.counterfactual];
        assert!(numbers.iter().all(|score| !text.contains(&format!("{score:.4}"))), "{text}");
        assert!(!text.contains(&run.asked().target));
    }
}

#[test]
fn a_mark_is_an_answer_and_leaves_no_measurement() {
    let models = TinyModels::new();
    let (folder, _) = results(&models, "", &["one.parallax"]);
    let mut session = session(Start::default());
    open(&mut session, &folder);
    begin(&mut session);
    shown(&mut session);
    let viewer = &session.study.viewer;
    let shape = Shape::Ellipse { middle: viewer.cursor, half_axes: [glam::DVec3::X * 4.0, glam::DVec3::Y * 2.0] };
    let drawn = Measurement { plane: viewer.plane, shape };
    session.apply(Run::Study(Study::Drawn(Pane::Original, drawn)).into());
    let path = folder.join("study-answers-R1.csv");
    assert!(rows(&path).is_empty(), "no question awaits a mark");
    session.apply(Run::Study(Study::Marking(Some(1))).into());
    session.apply(Measure::Draft(Some(drawn)).into());
    assert!(session.study.viewer.measurements.draft.is_some() && session.view.measurements.draft.is_none());
    session.apply(Run::Study(Study::Drawn(Pane::Counterfactual, drawn)).into());
    let measurements = &session.study.viewer.measurements;
    assert!(measurements.list.is_empty() && measurements.draft.is_none() && measurements.tool.is_none());
    until(&mut session, "the answer on the disk", |_| !rows(&path).is_empty());
    let rows = rows(&path);
    assert!(cell(&rows[0], "answer").starts_with("{\"pane\":\"counterfactual\",\"plane\":\"Axial\",\"middle_mm\":["));
    session.apply(Run::Study(Study::Leave).into());
    assert!(session.study.reading.is_none() && session.study.case().is_none());
}

#[test]
fn a_result_that_cannot_be_read_is_refused_before_the_first_case_or_passed_by_where_the_study_says_so() {
    let models = TinyModels::new();
    let (folder, _) = results(&models, "", &["one.parallax", "two.parallax"]);
    let bytes = std::fs::read(folder.join("two.parallax")).expect("bytes");
    std::fs::write(folder.join("two.parallax"), &bytes[..bytes.len() - 7]).expect("written");
    let mut session = session(Start::default());
    open(&mut session, &folder);
    let said = format!("{:#}", session.study.error().expect("a refusal"));
    assert!(session.study.checked.ready().is_none());
    for part in
        ["the study's result two.parallax cannot be read", "take it out of the study", "skip_unreadable = true", "cut"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    session.apply(Run::Study(Study::Begin { reader: "R1".to_owned(), seed: 1 }).into());
    assert!(session.study.reading.is_none(), "nothing begins");
    session.apply(Run::DismissError(Place::Study).into());
    assert!(session.study.error().is_none());
    let text = std::fs::read_to_string(folder.join("study.toml")).expect("text");
    std::fs::write(folder.join("study.toml"), format!("skip_unreadable = true\n{text}")).expect("written");
    open(&mut session, &folder);
    assert_eq!(session.study.checked.ready().expect("a study").unreadable.len(), 1);
    session.sheet = Some(Sheet::Study);
    begin(&mut session);
    shown(&mut session);
    session.apply(Run::Study(Study::Answer(0, Answer::Rating(1))).into());
    session.apply(Run::Study(Study::Next).into());
    until(&mut session, "the end", |session| {
        session.study.reading.as_ref().is_some_and(|reading| reading.case().is_none())
    });
}

#[test]
fn a_scan_that_is_gone_is_refused_at_the_beginning_and_said_in_the_middle() {
    let models = TinyModels::new();
    let (folder, of_result) = results(&models, "", &["one.parallax"]);
    let scan = of_result.model.scan.ready().and_then(|scan| scan.path.clone()).expect("a path");
    let mut session = session(Start::default());
    open(&mut session, &folder);
    let moved = scan.with_extension("moved");
    std::fs::rename(&scan, &moved).expect("moved");
    begin(&mut session);
    until(&mut session, "the words", |session| session.study.case_error().is_some());
    let said = format!("{:#}", session.study.case_error().expect("words"));
    assert!(said.contains("the session's scan cannot be opened"), "{said}");
    std::fs::rename(&moved, &scan).expect("moved back");
    session.apply(Run::Study(Study::Again).into());
    shown(&mut session);
    session.apply(Run::Study(Study::Leave).into());
    std::fs::rename(&scan, &moved).expect("moved");
    open(&mut session, &folder);
    let said = format!("{:#}", session.study.error().expect("a refusal"));
    assert!(said.contains("the session's scan is not there any more"), "{said}");
}

#[test]
fn the_next_case_is_opened_ahead_and_shown_only_once_all_answers_are_on_the_disk() {
    let models = TinyModels::new();
    let (folder, _) = results(&models, "", &["one.parallax", "two.parallax", "three.parallax"]);
    let mut session = session(Start::default());
    open(&mut session, &folder);
    begin(&mut session);
    shown(&mut session);
    until(&mut session, "the case behind", |session| session.study.is_ahead());
    let path = folder.join("study-answers-R1.csv");
    for position in 1..=3_usize {
        let scan = session.study.case().expect("a case").0.clone();
        session.apply(Run::Study(Study::Answer(0, Answer::Rating(3))).into());
        session.apply(Run::Study(Study::Next).into());
        let here = session.study.case().expect("it stays until its answers are written");
        assert!(std::sync::Arc::ptr_eq(here.0, &scan), "position {position}");
        until(&mut session, "the next case", |session| {
            let reading = session.study.reading.as_ref().expect("a reading");
            let moved = reading.position()[0] > position;
            assert_eq!(moved, moved && rows(&path).len() == 2 * position, "written before it is shown");
            moved && (reading.is_shown() || reading.case().is_none())
        });
    }
    assert_eq!(rows(&path).len(), 6);
}

#[test]
fn a_reader_who_leaves_at_once_loses_no_answer_and_can_begin_again() {
    let models = TinyModels::new();
    let (folder, _) = results(&models, "", &["one.parallax", "two.parallax"]);
    let mut session = session(Start::default());
    open(&mut session, &folder);
    begin(&mut session);
    shown(&mut session);
    session.apply(Run::Study(Study::Answer(0, Answer::Rating(5))).into());
    session.apply(Run::Study(Study::Leave).into());
    assert!(session.study.reading.is_none());
    session.apply(Run::Study(Study::Begin { reader: "R1".to_owned(), seed: 1 }).into());
    shown(&mut session);
    let reading = session.study.reading.as_ref().expect("a reading");
    assert_eq!(reading.answer_to(0), Some(&Answer::Rating(5)));
}
