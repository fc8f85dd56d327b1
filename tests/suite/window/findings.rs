//! Findings drawn into the open scan: in the session and in the window, explained, taken away, drawn otherwise, saved, and run once more.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::export::nifti::nifti_bytes;
use parallax::export::session::{Beside, SavedSession, write_session};
use parallax::export::{Kind, Patient, Style, Subject};
use parallax::insertion::{Chest, Lying};
use parallax::io::voxels_sha256;
use parallax::job::Monitor;
use parallax::session::action::{Action, Drawing, Export, Insert, Place, Run, View};
use parallax::session::open_scan::OpenScan;
use parallax::session::shown::arrange;
use parallax::session::{Session, Start};
use parallax::volume::phantom::{Dials, Finding, phantom};
use parallax::volume::{Grid, Volume, Voxels};
use serde_json::Value;

use crate::schema::breaches;
use crate::tiny_models::{LABELS, TinyModels};
use crate::window::access::{named, reached};
use crate::window::driven::{self, Window, click, press, says, set_slider, texts, type_path, window};
use crate::window::without_window::{explain, session, until};

const NAMED: [&str; LABELS.len()] = ["Emphysema", "Pleural fluid", "Other", "Nodule", "Cardiomegaly"];
const FRAME_SECS: f32 = 0.02;

fn healthy() -> Volume {
    phantom(7, Dials::default(), &Monitor::default()).expect("no dial is set").volume
}

fn write(path: &Path, volume: &Volume) {
    std::fs::write(path, nifti_bytes(volume, "a test").expect("a volume")).expect("written");
}

/// A chest in a file, and tiny networks with a class for nodules.
struct Case {
    models: TinyModels,
    scan: PathBuf,
    before: Volume,
}

impl Case {
    fn new() -> Self {
        let models = TinyModels::sure(NAMED, 0.5);
        let scan = models.folder.path().join("chest.nii.gz");
        let before = healthy();
        write(&scan, &before);
        Self { models, scan, before }
    }

    fn start(&self) -> Start {
        Start {
            scan: Some(self.scan.clone()),
            autoencoder: Some(self.models.card("autoencoder")),
            classifier: Some(self.models.card("classifier")),
            target: Some("Other".to_owned()),
            ..Start::default()
        }
    }

    fn session(&self) -> Session {
        let mut session = session(self.start());
        until(&mut session, "scan and networks", |session| session.model.missing().is_none());
        session
    }
}

/// What the library draws into a scan as it was opened.
fn expected(opened: &OpenScan, Drawing { finding, dial, seed, .. }: Drawing) -> Vec<f32> {
    let chest = Chest::of(&opened.layers.scan, Lying::Supine, None, &Monitor::default()).expect("lungs");
    chest.draw(finding, dial, seed, &Monitor::default()).expect("a place").volume.voxels.iter().collect()
}

fn voxels(scan: &OpenScan) -> Vec<f32> {
    scan.layers.scan.voxels.iter().collect()
}

fn nodule(dial: f32) -> Drawing {
    Drawing { finding: Finding::Nodule, dial, seed: 3, position: None }
}

fn insert(act: Insert) -> Action {
    Run::Insert(act).into()
}

fn draw(session: &mut Session, drawing: Drawing) {
    session.apply(insert(Insert::Change(drawing)));
    assert_eq!(session.model.cannot_insert(), None);
    session.apply(insert(Insert::Draw));
    until(session, "the finding", |session| session.model.inserting.drawn.running().is_none());
    session.tick(FRAME_SECS);
}

fn shown(session: &Session) -> &Arc<OpenScan> {
    session.model.scan.ready().expect("a scan")
}

#[test]
fn a_finding_is_drawn_into_the_open_scan_marked_measured_by_its_mask_and_explained() {
    let case = Case::new();
    let mut session = case.session();
    let opened = Arc::clone(shown(&session));
    let before = opened.input.sha256().to_owned();
    session.apply(View::Zoom(2.0, None).into());
    draw(&mut session, nodule(0.6));
    let scan = Arc::clone(shown(&session));
    assert!(voxels(&scan) == expected(&opened, nodule(0.6)), "what is shown is what was drawn");
    assert!(scan.input.scan.as_ref().is_some_and(|of| of.volume.voxels.same(&scan.layers.scan.voxels)));
    assert!(scan.name().ends_with("chest.nii.gz, SYNTHETIC nodule 0.60"), "{}", scan.name());
    assert!(scan.notes[0].text.starts_with("SYNTHETIC nodule, dial 0.60, seed 3, patient supine: a solid nodule"));
    assert!(session.model.settings.target.as_deref() == Some("Nodule"), "the class of that name is chosen");
    let mask = session.model.masking.mask.ready().expect("the mask of the finding");
    assert!(mask.path().is_none() && mask.mask.marked() > 100);
    let voxel = scan.layers.scan.grid.voxel_from_world().transform_point3(session.view.cursor).round();
    let [ni, nj, _] = mask.mask.grid.shape;
    assert!(mask.mask.inside[voxel.x as usize + ni * (voxel.y as usize + nj * voxel.z as usize)], "it is looked at");
    assert_eq!(session.view.zoom, 2.0, "and as before");
    assert!(arrange(&session.model, &session.view).pictures.iter().all(|picture| picture.synthetic.is_some()));

    explain(&mut session);
    until(&mut session, "the numbers by the mask", |session| session.model.masking.report().is_some());
    let run = Arc::clone(session.model.run.ready().expect("a result"));
    assert!(arrange(&session.model, &session.view).pictures.iter().all(|picture| picture.synthetic.is_some()));
    let report: Value = serde_json::from_str(&run.report.json().expect("JSON")).expect("JSON");
    let schema: Value = serde_json::from_str(include_str!("../../../assets/result.schema.json")).expect("JSON");
    assert_eq!(breaches(&schema, &report), Vec::<String>::new());
    assert_eq!(report["target"], "Nodule");
    let input = &report["input"];
    assert_eq!(input["sha256"], voxels_sha256(&scan.layers.scan.voxels));
    assert_ne!(input["sha256"], before.as_str());
    let inserted = &input["inserted"];
    assert_eq!((&inserted["finding"], &inserted["seed"]), (&"nodule".into(), &3.into()));
    assert!((inserted["dial"].as_f64().expect("a number") - 0.6).abs() < 1e-6);
    assert_eq!(inserted["scan_sha256"], before.as_str());
    let provenance = run.report.provenance();
    let said = provenance.iter().find(|(name, _)| *name == "Finding drawn into the scan").expect("it is said");
    assert!(said.1.starts_with("SYNTHETIC nodule, dial 0.60, seed 3"), "{}", said.1);
    exports_say_so(&run.run, &run.report);
    runs_once_more(&case, &report);
}

/// What leaves the program says that the scan is no patient's.
fn exports_say_so(run: &parallax::pipeline::Run, report: &parallax::export::report::Report) {
    let subject = Subject::new(run, report, Style::default());
    let kinds = [Kind::Nifti, Kind::Html, Kind::Dicom];
    let refused = parallax::export::check(&run.input, &kinds, Patient::Kept).expect_err("there is no patient");
    assert!(refused.to_string().contains("a finding that the patient does not have"), "{refused}");
    let note = parallax::export::note(&run.input, &kinds).expect("words");
    assert!(note.contains("of a study of their own"), "{note}");
    let mut seen = 0;
    parallax::export::files(&subject, &kinds, &Monitor::default(), &mut |file| {
        let (words, of) = match file.name.as_str() {
            name if name.ends_with(".nii.gz") => {
                let mut header = vec![0; 348];
                std::io::Read::read_exact(&mut flate2::read::GzDecoder::new(file.bytes.as_slice()), &mut header)?;
                (String::from_utf8_lossy(&header[148..228]).into_owned(), "SYNTHETIC nodule, dial 0.60, seed 3: ")
            }
            "report.html" => {
                let words = "The scan itself is SYNTHETIC: a finding was drawn into it before it was explained.";
                (String::from_utf8_lossy(&file.bytes).into_owned(), words)
            }
            name if Path::new(name).extension().is_some_and(|of| of == "dcm") => {
                let words = "SYNTHETIC. Drawn into the scan first: SYNTHETIC nodule, dial 0.60, seed 3.";
                (String::from_utf8_lossy(&file.bytes).into_owned(), words)
            }
            _ => return Ok(()),
        };
        assert!(words.contains(of), "{}: {}", file.name, words.chars().take(400).collect::<String>());
        seen += 1;
        Ok(())
    })
    .expect("files");
    assert!(seen >= 6, "{seen}");
}

/// The record alone repeats the run, from the scan as it was opened.
fn runs_once_more(case: &Case, report: &Value) {
    let record = case.models.folder.path().join("result.json");
    std::fs::write(&record, report.to_string()).expect("written");
    let replay = |scan: &Path| {
        let mut command: Command = case.models.explain(scan);
        command.arg("--replay").arg(&record).output().expect("the binary runs")
    };
    let output = replay(&case.scan);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the same scores and lambdas as recorded"));
    let other = case.models.folder.path().join("other.nii.gz");
    write(&other, &phantom(8, Dials::default(), &Monitor::default()).expect("a phantom").volume);
    let output = replay(&other);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("not the one into which SYNTHETIC nodule, dial 0.60, seed 3, was drawn"), "{said}");
}

#[test]
fn another_dial_is_drawn_into_the_scan_as_it_was_opened_and_the_way_back_is_one_step() {
    let case = Case::new();
    let mut session = case.session();
    let opened = Arc::clone(shown(&session));
    draw(&mut session, nodule(0.8));
    let place = session.view.cursor;
    session.apply(View::Scroll(1).into());
    let here = session.view.cursor;
    session.apply(action_target("Other"));
    draw(&mut session, nodule(0.3));
    assert!(voxels(shown(&session)) == expected(&opened, nodule(0.3)), "never on top of another");
    assert!(here != place && session.view.cursor == here, "nobody is taken elsewhere by the dial");
    assert_eq!(session.model.settings.target.as_deref(), Some("Other"), "nor is another class chosen again");
    draw(&mut session, Drawing { finding: Finding::Cardiomegaly, ..nodule(0.7) });
    assert_eq!(session.model.settings.target.as_deref(), Some("Cardiomegaly"));
    assert_ne!(session.view.cursor, here, "another finding lies elsewhere");
    let here = session.view.cursor;
    session.apply(insert(Insert::Remove));
    assert!(Arc::ptr_eq(&shown(&session).layers, &opened.layers), "the very scan");
    assert!(session.model.masking.mask.ready().is_none() && session.view.cursor == here);
    assert!(session.model.inserted().is_none() && shown(&session).notes.iter().all(|n| !n.text.contains("SYNTHETIC")));
    let pictures = arrange(&session.model, &session.view).pictures;
    assert!(pictures.iter().all(|picture| picture.synthetic.is_none()));
}

fn action_target(label: &str) -> Action {
    parallax::session::action::Setting::Target(label.to_owned()).into()
}

#[test]
fn drawing_is_cancelled_and_what_has_no_place_is_said_and_the_scan_stays() {
    let case = Case::new();
    let mut session = case.session();
    let opened = Arc::clone(shown(&session));
    session.apply(insert(Insert::Change(Drawing { finding: Finding::Cardiomegaly, ..nodule(0.5) })));
    session.apply(insert(Insert::Draw));
    assert_eq!(session.model.missing(), Some("The finding is still being drawn"));
    session.apply(insert(Insert::Cancel));
    until(&mut session, "the end", |session| session.model.inserting.drawn.running().is_none());
    session.tick(FRAME_SECS);
    assert!(session.model.inserting.drawn.error().is_none(), "to cancel is no error");
    assert!(Arc::ptr_eq(shown(&session), &opened) && session.model.missing().is_none());
    session.apply(insert(Insert::Change(nodule(0.0))));
    assert_eq!(session.model.cannot_insert(), Some("At a dial of 0 nothing is drawn"));

    let water = case.models.folder.path().join("water.nii.gz");
    let grid = Grid { shape: [40, 40, 20], ..case.before.grid };
    write(&water, &Volume::new(grid, Voxels::I16(vec![40; grid.len()].into())));
    session.apply(Run::Open(water).into());
    until(&mut session, "the scan", |session| shown(session).name() == "water.nii.gz");
    draw(&mut session, nodule(0.5));
    let error = session.model.inserting.drawn.error().expect("no lung").to_string();
    assert!(error.contains("no lung in view"), "{error}");
    assert_eq!(shown(&session).name(), "water.nii.gz");
    session.apply(Run::DismissError(Place::Insert).into());
    assert!(session.model.inserting.drawn.error().is_none());

    session.apply(Run::Open(case.models.stack(8)).into());
    until(&mut session, "the stack", |session| shown(session).input.scan.is_none());
    assert!(session.model.cannot_insert().is_some_and(|why| why.contains("stack of slices")));
}

#[test]
fn another_scan_that_is_opened_meanwhile_is_not_taken_away_by_what_was_drawn() {
    let case = Case::new();
    let mut session = case.session();
    let other = case.models.folder.path().join("other.nii.gz");
    write(&other, &case.before);
    session.apply(insert(Insert::Change(nodule(0.5))));
    session.apply(insert(Insert::Draw));
    session.apply(Run::Open(other).into());
    until(&mut session, "both", |session| {
        session.model.inserting.drawn.running().is_none() && session.model.scan.running().is_none()
    });
    session.tick(FRAME_SECS);
    assert_eq!(shown(&session).name(), "other.nii.gz");
}

#[test]
fn a_result_that_is_not_kept_is_not_dropped_by_a_finding_unasked() {
    let case = Case::new();
    let mut session = case.session();
    explain(&mut session);
    draw(&mut session, nodule(0.5));
    assert!(session.model.run.ready().is_some() && session.model.inserted().is_none(), "it waits for a word");
    session.apply(Run::KeepResult.into());
    draw(&mut session, nodule(0.5));
    session.apply(Run::ShowWaiting.into());
    assert!(session.model.run.ready().is_none() && session.model.inserted().is_some());
    assert!(session.model.masking.mask.ready().is_some());
    explain(&mut session);
    session.apply(insert(Insert::Remove));
    assert!(session.model.inserted().is_some() && session.model.waiting.is_some(), "nor by the way back");
    session.apply(Run::ShowWaiting.into());
    assert!(session.model.inserted().is_none() && session.model.run.ready().is_none());
}

fn save(session: &mut Session, path: &Path) {
    session.apply(Export::SaveSession { path: path.to_owned(), replace: true }.into());
    until(session, "the file", |session| session.file.saved.running().is_none());
    assert!(session.file.saved.error().is_none(), "{:?}", session.file.saved.error());
}

fn reopened(path: &Path) -> Session {
    let mut again = session(Start { scan: Some(path.to_owned()), ..Start::default() });
    until(&mut again, "the session", |session| {
        session.model.restored.running().is_none() && session.model.scan.ready().is_some()
    });
    again
}

#[test]
fn a_session_opens_with_its_finding_or_says_why_not() {
    let case = Case::new();
    let mut session = case.session();
    draw(&mut session, nodule(0.6));
    explain(&mut session);
    let path = case.models.folder.path().join("ill.parallax");
    save(&mut session, &path);
    let again = reopened(&path);
    assert!(again.model.scan.error().is_none(), "{:?}", again.model.scan.error());
    assert_eq!(shown(&again).input.sha256(), shown(&session).input.sha256());
    assert_eq!(again.model.inserted(), session.model.inserted());
    assert!(again.model.run.ready().is_some(), "with its result");
    let [was, is] = [&session, &again].map(|of| of.model.masking.mask.ready().expect("a mask").mask.inside.clone());
    assert!(was == is);
    assert_eq!(again.model.inserting.drawing, Drawing { position: Some(Lying::Supine), ..nodule(0.6) });
    let file = std::fs::read(&path).expect("a file");

    // The mask was put away.
    session.apply(Run::ForgetMask.into());
    save(&mut session, &path);
    assert!(reopened(&path).model.masking.mask.ready().is_none());

    // Numbers that draw something else.
    std::fs::write(&path, &file).expect("written");
    let saved = SavedSession::open(&path).expect("a session");
    let mut document: Value = saved.document().expect("a document");
    document["result"] = Value::Null;
    let with = |document: &Value| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        write_session(&mut bytes, document, None, &Beside::default()).expect("bytes");
        std::fs::write(&path, bytes.into_inner()).expect("written");
        let again = reopened(&path);
        assert!(again.model.inserted().is_none() && again.model.run.ready().is_none());
        again.model.scan.error().expect("words").to_string()
    };
    document["scan"]["inserted"]["seed"] = 4.into();
    let error = with(&document);
    assert!(error.contains("the SYNTHETIC nodule, dial 0.60, seed 4, is drawn otherwise now"), "{error}");
    document["scan"]["inserted"]["dial"] = 7.0.into();
    let error = with(&document);
    assert!(error.contains("cannot be drawn again: the dial is 7"), "{error}");
    // Another scan.
    write(&case.scan, &phantom(8, Dials::default(), &Monitor::default()).expect("a phantom").volume);
    let error = with(&document);
    assert!(error.contains("voxels have another SHA-256") && error.contains("without the SYNTHETIC nodule"), "{error}");
}

fn opened(case: &Case) -> Window {
    let mut window = window(case.start());
    let loaded = |w: &Window| says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded");
    driven::until(&mut window, "the models", loaded);
    driven::until(&mut window, "the scan", |w| says(w, "the networks see"));
    // It is prepared for the autoencoder first.
    driven::until(&mut window, "a scan that is ready", |w| w.query_by_label("Cancel opening").is_none());
    window
}

fn value(window: &Window, pane: &str) -> String {
    window.get_by_label(pane).accesskit_node().value().unwrap_or_default()
}

#[test]
fn in_the_window_a_finding_is_found_by_name_drawn_marked_and_taken_away() {
    let case = Case::new();
    let mut window = opened(&case);
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    window.event(egui::Event::Text("insert find".to_owned()));
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(4);
    assert!(window.get_by_label("Nodule").accesskit_node().is_focused(), "the keyboard is there");
    set_slider(&mut window, "Dial", 0.6);
    press(&mut window, "Another place");
    let named_before = named(&window);
    press(&mut window, "Draw the nodule");
    driven::until(&mut window, "the finding", |w| w.query_by_label("Back to the scan without it").is_some());
    assert!(value(&window, "Original pane").contains("SYNTHETIC nodule 0.60"), "{}", value(&window, "Original pane"));
    for words in [
        "chest.nii.gz, SYNTHETIC nodule 0.60",
        "SYNTHETIC nodule in the scan",
        "Held against the mask of the SYNTHETIC nodule",
    ] {
        assert!(says(&window, words), "{words}: {:?}", texts(&window));
    }
    assert!(says(&window, "This is what is drawn") && says(&window, "seed 2"), "{:?}", texts(&window));
    assert!(says(&window, "Target: Nodule"), "{:?}", texts(&window));
    // Once they are scored, the classes stand still.
    driven::until(&mut window, "the scores of the classes", |w| says(w, "Explain the highest"));
    assert!(named(&window) > named_before && reached(&mut window) > 20);
    press(&mut window, "Effusion");
    assert!(says(&window, "The patient lies on the"));
    press(&mut window, "Cardiomegaly");
    assert!(window.query_by_role_and_label(Role::SpinButton, "Seed").is_none(), "a heart knows no seed");
    press(&mut window, "Back to the scan without it");
    assert!(!value(&window, "Original pane").contains("SYNTHETIC") && !says(&window, "SYNTHETIC"));
    assert!(window.query_by_label("Back to the scan without it").is_none());
    let water = case.models.folder.path().join("water.nii.gz");
    let grid = Grid { shape: [40, 40, 20], ..case.before.grid };
    write(&water, &Volume::new(grid, Voxels::I16(vec![40; grid.len()].into())));
    type_path(&mut window, "Scan path", &water);
    driven::until(&mut window, "the scan", |w| says(w, "water.nii.gz"));
    driven::until(&mut window, "a free button", |w| {
        w.query_by_label("Draw the cardiomegaly").is_some_and(|node| !node.accesskit_node().is_disabled())
    });
    press(&mut window, "Draw the cardiomegaly");
    driven::until(&mut window, "the words", |w| says(w, "no lung in view"));
    click(&mut window, "Dismiss");
    assert!(!says(&window, "no lung in view"));
}
