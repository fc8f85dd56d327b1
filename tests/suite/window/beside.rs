//! Two results of one scan side by side: opened from the kept ones, linked, and refused in words where they cannot be compared.

use std::sync::Arc;

use egui::Key;
use egui_kittest::kittest::Queryable;
use parallax::export::session::SavedSession;
use parallax::frame::display::Laid;
use parallax::frame::{Layers, Shade, SizeMap};
use parallax::session::action::{Run, Setting, View};
use parallax::session::shown::arrange;
use parallax::session::view::arrange::Arrangement;
use parallax::session::view::curve::Curve;
use parallax::session::view::pair::{is_of, step_beside};
use parallax::session::{Session, Start};
use parallax::settings::Settings;
use serde_json::{Value, json};

use crate::tiny_models::{LABELS, TinyModels};
use crate::window::driven::{click, explained as shown_in_window, press, says, texts, type_path, until as until_seen};
use crate::window::sessions::old::bytes_of_version_1;
use crate::window::without_window::{all, explain, is_kept, keeping, until};

/// A session with two kept results: of the second class, then of the first, which is shown.
fn two_results(models: &TinyModels) -> Session {
    let mut session = keeping(models, Settings::default(), all(models));
    explain(&mut session);
    until(&mut session, "the kept result", is_kept);
    session.apply(Setting::Target(LABELS[0].to_owned()).into());
    session.apply(Run::Explain.into());
    until(&mut session, "the other result", |session| session.model.aside.is_some());
    until(&mut session, "the kept results", |session| is_kept(session) && kept(session) == 2);
    session
}

fn kept(session: &Session) -> usize {
    session.gallery.kept.ready().map_or(0, |kept| kept.len())
}

fn titles(arrangement: &Arrangement) -> Vec<&str> {
    arrangement.pictures.iter().map(|picture| &*picture.title).collect()
}

/// How far along its steps each picture is.
fn steps(session: &Session) -> Vec<f32> {
    arrange(&session.model, &session.view).pictures.iter().map(|picture| picture.look.step).collect()
}

#[test]
fn a_kept_result_stands_beside_the_one_shown_and_lambda_goes_along_both() {
    let models = TinyModels::new();
    let mut session = two_results(&models);
    let older = session.gallery.kept.ready().expect("a list")[1].session.clone();
    session.apply(Run::Compare(older).into());
    until(&mut session, "the other result", |session| session.model.beside.ready().is_some());
    let (a, b) = (session.model.run.ready().expect("A").clone(), session.model.beside.ready().expect("B").clone());
    assert_eq!((a.asked().target.as_str(), b.asked().target.as_str()), (LABELS[0], LABELS[1]));
    let (of_a, of_b) = (format!("A: {}", LABELS[0]), format!("B: {}", LABELS[1]));
    let arrangement = arrange(&session.model, &session.view);
    assert_eq!(
        titles(&arrangement),
        [
            "Original".to_owned(),
            format!("Counterfactual {of_a}"),
            format!("Counterfactual {of_b}"),
            "Reconstruction A".to_owned(),
            format!("Difference {of_a}"),
            format!("Difference {of_b}"),
        ]
    );
    let ends = [a.result().chosen as f32, b.result().chosen as f32];
    assert_eq!([steps(&session)[1], steps(&session)[2]], ends, "both at the end of their way");
    let zero = a.step_at(0.0).round();
    session.apply(View::Step(zero).into());
    assert_eq!([steps(&session)[4], steps(&session)[5]], [zero, b.step_at(0.0)], "and both at lambda 0");
    let (from, to) = (zero.min(ends[0]), zero.max(ends[0]));
    session.apply(View::Step(f32::midpoint(from, to)).into());
    let share = |run: &parallax::session::explained::Explained, step: f32| {
        run.lambda_at(step) / run.result().steps[run.result().chosen].lambda
    };
    let [half_a, half_b] = [share(&a, steps(&session)[1]), share(&b, steps(&session)[2])];
    assert!((half_a - half_b).abs() < 1e-5, "{half_a} of the way of A, {half_b} of that of B");
    // Colours mean one size, and a map that is laid over the first result is none of the other's.
    let scales: Vec<Shade> =
        arrange(&session.model, &session.view).pictures[4..].iter().map(|p| p.look.shade).collect();
    assert_eq!(scales[0], scales[1]);
    assert!(matches!(scales[0], Shade::Difference { scale_hu, .. } if scale_hu == a.scale_hu.max(b.scale_hu)));
    let map = SizeMap::new(a.result().grid, (0..a.result().grid.len()).map(|n| n as f32), 1.0, "all".to_owned());
    session.view.mapped = Some(Arc::new(Layers { map: Some(map), ..(*a.layers).clone() }));
    session.view.display.laid = Laid::Agreement;
    let pictures = arrange(&session.model, &session.view).pictures;
    assert!(pictures[1].layers.map.is_some() && pictures[4].layers.map.is_some());
    for of_b in [&pictures[2], &pictures[5]] {
        assert!(Arc::ptr_eq(&of_b.layers, &b.layers), "{}", of_b.title);
    }
    (session.view.mapped, session.view.display.laid) = (None, Laid::Change);
    // What is told of A alone is told of B too.
    let pictures = arrange(&session.model, &session.view).pictures;
    let [of_a, of_b] = [&a, &b].map(|run| format!("{:.4}", run.result().scores.scan));
    let score = pictures[0].score.as_deref().expect("a score");
    assert_eq!(score, format!("A: score {of_a}, B: score {of_b}"));
    let is_of_a: Vec<bool> = pictures.iter().map(|picture| is_of(picture, &a)).collect();
    assert_eq!(is_of_a, [true, true, false, true, true, false], "regions of A are outlined on these");
    let curve = Curve::of_pair(&a, &b, false);
    let second = curve.second.as_ref().expect("B");
    assert_eq!((second.marks.scan, second.marks.goal), (b.result().scores.scan, b.report.quality.goal));
    let marks = curve.marks.as_ref().expect("A");
    assert_eq!((marks.scan, marks.goal), (a.result().scores.scan, a.report.quality.goal));
    // Each step of B stands where A is as far on its way.
    for ([lambda, value], step) in second.points.iter().zip(&b.result().steps) {
        assert!(
            (b.lambda_at(step_beside(a.step_at(*lambda), &a, &b)) - step.lambda).abs()
                < 1e-6 * step.lambda.abs().max(1.0)
        );
        assert_eq!(*value, step.score);
    }
    session.apply(Run::StopComparing.into());
    assert_eq!(titles(&arrange(&session.model, &session.view)), ["Original", "Counterfactual", "Difference"]);
}

#[test]
fn the_result_before_stands_beside_the_one_shown_and_they_change_places() {
    let models = TinyModels::new();
    let mut session = two_results(&models);
    session.apply(Run::CompareOther.into());
    let targets = |session: &Session| {
        [session.model.run.ready(), session.model.beside.ready()]
            .map(|run| run.expect("a result").asked().target.clone())
    };
    assert_eq!(targets(&session), [LABELS[0], LABELS[1]]);
    session.apply(Run::SwapResults.into());
    assert_eq!(targets(&session), [LABELS[1], LABELS[0]]);
    // Both are kept already: each change of places shows the one's file, and saves nothing.
    let files: Vec<_> = session.gallery.kept.ready().expect("a list").iter().map(|kept| kept.session.clone()).collect();
    for _ in 0..2 {
        for _ in 0..20 {
            session.tick(0.02);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(is_kept(&session));
        let shown = session.model.settings.shown_result.clone().expect("a file");
        let target = &session.model.run.ready().expect("a result").asked().target;
        let of_file = session.gallery.kept.ready().expect("a list").iter().find(|kept| kept.session == shown);
        assert_eq!(&of_file.expect("one of the list").summary.target, target);
        session.apply(Run::SwapResults.into());
    }
    assert_eq!(
        session.gallery.kept.ready().expect("a list").iter().map(|kept| kept.session.clone()).collect::<Vec<_>>(),
        files
    );
    session.apply(Run::Open(models.stack(24)).into());
    until(&mut session, "the other scan", |session| session.model.opening().is_none());
    assert!(session.model.beside.ready().is_none(), "nothing stands beside what is gone");
}

/// Changes the document of a session.
type Change<'a> = &'a dyn Fn(&mut Value);

#[test]
fn a_result_of_another_scan_or_grid_or_none_at_all_is_refused_in_words() {
    let models = TinyModels::new();
    let mut session = two_results(&models);
    let path = session.gallery.kept.ready().expect("a list")[1].session.clone();
    let document: Value = SavedSession::open(&path).and_then(|saved| saved.document()).expect("a session");
    let odd = models.folder.path().join("odd.parallax");
    let changes: [(&str, Change); 4] = [
        ("it is of another scan; only results of one scan can be compared", &|d| d["scan"]["sha256"] = "0".into()),
        ("on another grid", &|d| d["scan"]["recipe"]["spacing_mm"] = json!([1.0, 1.0, 1.0])),
        ("it holds no result", &|d| d["result"] = Value::Null),
        ("is missing", &|_| ()),
    ];
    for (words, change) in changes {
        let mut document = document.clone();
        change(&mut document);
        std::fs::write(&odd, bytes_of_version_1(&document, None)).expect("written");
        session.apply(Run::Compare(odd.clone()).into());
        until(&mut session, "a refusal", |session| session.model.beside.running().is_none());
        let error = format!("{:#}", session.model.beside.error().expect("a refusal"));
        assert!(error.contains(words) && error.contains("odd.parallax"), "{words}: {error}");
        assert!(session.model.beside.ready().is_none() && session.model.run.ready().is_some());
    }
    let mut alone = keeping(&models, Settings::default(), Start::default());
    alone.apply(Run::Compare(odd).into());
    assert!(alone.model.beside.running().is_none(), "there is nothing to compare with");
}

#[test]
fn two_results_are_compared_in_the_window_and_escape_leaves() {
    let models = TinyModels::new();
    let mut window = shown_in_window(&models);
    click(&mut window, "Compute counterfactual");
    until_seen(&mut window, "the other result", |w| w.query_by_label("Compare with it").is_some());
    press(&mut window, "Compare with it"); // it may lie below the edge of its panel
    let pane = |letter: &str, what: &str| format!("{what} {letter}: {} pane", LABELS[1]);
    for (letter, what) in [("A", "Counterfactual"), ("B", "Counterfactual"), ("A", "Difference"), ("B", "Difference")] {
        assert!(window.query_by_label(&pane(letter, what)).is_some(), "{what} {letter}: {:?}", texts(&window));
    }
    assert!(window.query_by_label("Stop comparing").is_some() && window.query_by_label("Original pane").is_some());
    let path = models.folder.path().join("pair.png");
    type_path(&mut window, "Save as", &path);
    until_seen(&mut window, "the picture", |w| says(w, &format!("Saved {}", path.display())));
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(window.query_by_label("Stop comparing").is_none());
    assert!(window.query_by_label("Counterfactual pane").is_some(), "{:?}", texts(&window));
}
