//! A path that holds more than one volume: what is listed, chosen, marked and kept, in the window and by the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dicom_core::VR;
use dicom_dictionary_std::tags;
use egui::Key;
use egui::accesskit::{Role, Toggled};
use egui_kittest::kittest::{NodeT, Queryable};
use glam::{DAffine3, DVec3};
use parallax::export::nifti::nifti_bytes;
use parallax::ui::Start;
use parallax::volume::{Grid, Volume, Voxels};
use serde_json::{Value, json};

use crate::support::ct_slice;
use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, press, says, texts, type_path, unfold, until, window};

const COLUMNS: usize = 48;
const ROWS: usize = 40;
const GAP_MM: f64 = 5.0;
/// SeriesInstanceUIDs.
const LUNG: &str = "1.2.826.0.1.3680043.2.1";
const SOFT: &str = "1.2.826.0.1.3680043.2.2";
const BROKEN: &str = "1.2.826.0.1.3680043.2.3";

/// A slice of a chest, or of a belly without lungs, in HU.
fn slice_hu(lungs: bool) -> Vec<i16> {
    let inside = |x: f64, y: f64, [cx, cy, rx, ry]: [f64; 4]| ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) < 1.0;
    let at = |x: f64, y: f64| match () {
        () if !inside(x, y, [23.5, 19.5, 21.0, 15.0]) => -1000,
        () if lungs && (inside(x, y, [14.0, 19.0, 7.0, 9.0]) || inside(x, y, [33.0, 19.0, 7.0, 9.0])) => -850,
        () if inside(x, y, [23.5, 29.0, 3.0, 3.0]) => 500,
        () => 40,
    };
    (0..ROWS * COLUMNS).map(|i| at((i % COLUMNS) as f64, (i / COLUMNS) as f64)).collect()
}

/// Slices of one series at these numbers along the body.
fn write_series(folder: &Path, uid: &str, [number, kernel, description]: [&str; 3], places: &[usize]) {
    for &k in places {
        let instance = format!("{uid}.{}", k + 1);
        let place = format!("-180\\-150\\{}", 100.0 + GAP_MM * k as f64);
        let says = [
            (tags::SOP_INSTANCE_UID, VR::UI, instance.as_str()),
            (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.2"),
            (tags::SERIES_INSTANCE_UID, VR::UI, uid),
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.826.0.1.3680043.2.9"),
            (tags::MODALITY, VR::CS, "CT"),
            (tags::SERIES_NUMBER, VR::IS, number),
            (tags::SERIES_DESCRIPTION, VR::LO, description),
            (tags::CONVOLUTION_KERNEL, VR::SH, kernel),
            (tags::IMAGE_POSITION_PATIENT, VR::DS, place.as_str()),
            (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
            (tags::PIXEL_SPACING, VR::DS, "7.5\\7.5"),
            (tags::RESCALE_SLOPE, VR::DS, "1"),
            (tags::RESCALE_INTERCEPT, VR::DS, "0"),
            (tags::RESCALE_TYPE, VR::LO, "HU"),
        ]
        .map(|(tag, vr, value)| (tag, vr, value.to_owned()));
        let stored: Vec<u16> = slice_hu(uid == LUNG).into_iter().map(|hu| hu as u16).collect();
        let bytes = ct_slice([COLUMNS as u16, ROWS as u16], true, stored, &says);
        std::fs::write(folder.join(format!("{uid}-{k:03}.dcm")), bytes).expect("written");
    }
}

/// A study of three series, of which the last one lacks most of its slices.
pub(crate) fn study(folder: &Path) {
    write_series(folder, LUNG, ["1", "B70f", "Thorax lung"], &(0..16).collect::<Vec<_>>());
    write_series(folder, SOFT, ["2", "B30f", "Abdomen soft tissue, portal venous"], &(0..12).collect::<Vec<_>>());
    write_series(folder, BROKEN, ["3", "B30f", "Late phase"], &[0, 1, 2, 9]);
}

fn start_at(path: &Path) -> Start {
    Start { scan: Some(path.to_owned()), ..Start::default() }
}

/// Whether the card of a series is the chosen one.
fn is_chosen(window: &Window, number: usize) -> bool {
    let label = format!("Series {number}: CT");
    let card = window.get_by_label_contains(&label);
    card.accesskit_node().toggled() == Some(Toggled::True)
}

fn card(number: usize, slices: usize, kernel: &str) -> String {
    format!("Series {number}: CT, {slices} slices of 48 x 40, 7.5 x 7.5 x 5 mm, kernel {kernel}")
}

#[test]
fn the_series_of_a_study_are_cards_and_a_click_opens_another_one() {
    let folder = tempfile::tempdir().expect("a folder");
    study(folder.path());
    let mut window = window(start_at(folder.path()));
    until(&mut window, "the scan", |w| says(w, "48 × 40 × 16 voxels"));
    assert!(is_chosen(&window, 1) && !is_chosen(&window, 2), "{:#?}", texts(&window));
    let broken = window.get_by_label_contains("Series 3: CT, 4 slices of 48 x 40");
    let why = broken.accesskit_node().label().expect("a label");
    assert!(why.contains("cannot be opened: ") && broken.accesskit_node().is_disabled(), "{why}");
    click(&mut window, &why);
    assert!(window.query_by_label("Cancel opening").is_none(), "nothing begins");

    click(&mut window, &card(2, 12, "B30f"));
    until(&mut window, "the other series", |w| says(w, "48 × 40 × 12 voxels"));
    assert!(is_chosen(&window, 2) && !is_chosen(&window, 1));
    assert!(says(&window, ", series 2"), "{:#?}", texts(&window));
    // By keys alone, back to the first.
    window.get_by_label(&card(1, 16, "B70f")).focus();
    window.run_steps(2);
    window.key_press(Key::Enter);
    until(&mut window, "the first series", |w| says(w, "48 × 40 × 16 voxels"));
    assert!(is_chosen(&window, 1));
}

#[test]
fn one_series_is_chosen_while_another_is_still_being_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    study(folder.path());
    let mut window = window(start_at(folder.path()));
    until(&mut window, "the cards", |w| w.query_by_label_contains("Series 2: CT").is_some());
    click(&mut window, &card(2, 12, "B30f"));
    until(&mut window, "the second series", |w| says(w, "48 × 40 × 12 voxels"));
    assert!(is_chosen(&window, 2) && window.query_by_label("Cancel opening").is_none());
}

#[test]
fn where_no_series_opens_the_cards_stay_and_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    write_series(folder.path(), LUNG, ["1", "B70f", "Thorax"], &[0, 1, 2, 9]);
    write_series(folder.path(), SOFT, ["2", "B30f", "Abdomen"], &[0, 1, 2, 3, 11]);
    let mut window = window(start_at(folder.path()));
    until(&mut window, "a refusal", |w| w.query_by_label("Dismiss").is_some());
    for number in [1, 2] {
        let label = format!("Series {number}: CT");
        let card = window.get_by_label_contains(&label);
        assert!(card.accesskit_node().is_disabled());
    }
}

#[test]
fn another_series_waits_for_a_word_before_a_result_goes_and_is_kept_in_the_session() {
    let models = TinyModels::new();
    let folder = tempfile::tempdir().expect("a folder");
    study(folder.path());
    let mut window = window(crate::window::driven::start(&models, folder.path().to_owned()));
    until(&mut window, "the models", |w| {
        says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded") && says(w, "× 16 voxels")
    });
    press(&mut window, "slab");
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
    unfold(&mut window, "scan");
    click(&mut window, &card(2, 12, "B30f"));
    until(&mut window, "the question", |w| says(w, ", series 2 is open. Showing it drops the result"));
    assert!(window.query_by_label("Difference pane").is_some(), "nothing has gone yet");
    click(&mut window, "Show it");
    assert!(says(&window, "48 × 40 × 12 voxels"));

    let path = models.folder.path().join("kept.parallax");
    type_path(&mut window, "Save session as", &path);
    let said = format!("Saved {}", path.display());
    until(&mut window, "the session", |w| says(w, &said));
    let mut again = crate::window::driven::window(start_at(&path));
    until(&mut again, "the series that was saved", |w| says(w, "48 × 40 × 12 voxels"));
    assert!(is_chosen(&again, 2) && again.query_by_label("Dismiss").is_none(), "{:#?}", texts(&again));
}

#[test]
fn one_slice_offers_the_whole_series() {
    let folder = tempfile::tempdir().expect("a folder");
    study(folder.path());
    let mut window = window(start_at(&folder.path().join(format!("{SOFT}-004.dcm"))));
    until(&mut window, "the slice", |w| says(w, "48 × 40 × 1 voxels"));
    assert!(says(&window, "This is one slice of a series of 12"), "{:#?}", texts(&window));
    click(&mut window, "Open the whole series");
    until(&mut window, "the series", |w| says(w, "48 × 40 × 12 voxels"));
    assert!(is_chosen(&window, 2));
}

/// Three volumes in time in one NIfTI file, -100, 0 and 100 HU somewhere in each.
fn four_d(folder: &Path) -> PathBuf {
    let grid = Grid { shape: [48, 40, 12], world_from_voxel: DAffine3::from_scale(DVec3::new(-7.5, -7.5, 5.0)) };
    let volume = |hu: i16| {
        let mut voxels: Vec<i16> = (0..12).flat_map(|_| slice_hu(true)).collect();
        voxels[0] = hu;
        let packed = nifti_bytes(&Volume::new(grid, Voxels::I16(voxels.into())), "4-D").expect("a file");
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut bytes).expect("gzip");
        bytes
    };
    let mut bytes = volume(-1100);
    // dim[0], the number of axes, and dim[4], of the NIfTI-1 header.
    bytes[40..42].copy_from_slice(&4_i16.to_le_bytes());
    bytes[48..50].copy_from_slice(&3_i16.to_le_bytes());
    for hu in [-1200, -1300] {
        let whole = volume(hu);
        bytes.extend(&whole[whole.len() - 2 * grid.len()..]);
    }
    let path = folder.join("time.nii");
    std::fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn the_volumes_of_a_4d_file_are_stepped_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut window = window(start_at(&four_d(folder.path())));
    until(&mut window, "the first volume", |w| says(w, "time.nii, volume 1") && says(w, "of 3"));
    let number = |window: &Window| {
        window.get_by_role_and_label(Role::SpinButton, "Volume").accesskit_node().numeric_value().expect("a number")
    };
    assert_eq!(number(&window), 1.0);
    assert!(window.get_by_label("Previous volume").accesskit_node().is_disabled());
    click(&mut window, "Next volume");
    until(&mut window, "the second volume", |w| says(w, "time.nii, volume 2"));
    window.get_by_role_and_label(Role::SpinButton, "Volume").set_value_accesskit(3.0);
    window.run_steps(2);
    until(&mut window, "the third volume", |w| says(w, "time.nii, volume 3"));
    assert!(window.get_by_label("Next volume").accesskit_node().is_disabled() && number(&window) == 3.0);
}

fn parallax(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
}

fn info(args: &[&str]) -> Value {
    let output = parallax(&[&["info", "--json"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

#[test]
fn info_lists_the_series_of_a_folder_and_opens_the_chosen_one() {
    let folder = tempfile::tempdir().expect("a folder");
    study(folder.path());
    let path = text(folder.path());
    let facts = info(&[path]);
    let series = facts["series"].as_array().expect("a list");
    let of = |field: &str| series.iter().map(|one| one[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("number"), [1, 2, 3]);
    assert_eq!(of("uid"), [LUNG, SOFT, BROKEN]);
    assert_eq!(of("slices"), [16, 12, 4]);
    assert_eq!(of("opened"), [true, false, false]);
    assert_eq!(series[1]["description"], "Abdomen soft tissue, portal venous");
    assert_eq!(series[0]["size"], json!([48, 40]));
    assert!(series[0]["unusable"].is_null() && series[2]["unusable"].is_string(), "{series:#?}");
    for choice in ["2", SOFT] {
        let facts = info(&[path, "--series", choice]);
        assert_eq!((&facts["shape"][2], &facts["series"][1]["opened"]), (&json!(12), &json!(true)), "{choice}");
    }
    let rows = parallax(&["info", path]);
    let rows = String::from_utf8_lossy(&rows.stdout);
    for part in ["   1  CT, 16 slices", "\"Thorax lung\" (opened)", "kernel B30f", "      cannot be opened: "] {
        assert!(rows.contains(part), "{part}: {rows}");
    }
    for (choice, code) in [("7", 3), ("1.2.3", 3), ("0", 2)] {
        assert_eq!(parallax(&["info", path, "--series", choice]).status.code(), Some(code), "{choice}");
    }
}

#[test]
fn where_no_series_opens_info_lists_what_is_there_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    write_series(folder.path(), LUNG, ["1", "B70f", "Thorax"], &[0, 1, 2, 9]);
    write_series(folder.path(), SOFT, ["2", "B30f", "Abdomen"], &[0, 1, 2, 3, 11]);
    let output = parallax(&["info", text(folder.path())]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("CT, 4 slices of 48 x 40") && said.contains("CT, 5 slices of 48 x 40"), "{said}");
    assert!(said.matches("cannot be opened: ").count() == 2, "{said}");
}

#[test]
fn a_choice_where_there_is_none_to_make_is_refused() {
    let models = TinyModels::new();
    let (stack, card) = (models.stack(8), models.card("classifier"));
    for path in [text(&stack), text(&card)] {
        let output = parallax(&["info", path, "--series", "1"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(3) && said.contains("no series or volumes to choose from"), "{said}");
    }
    assert_eq!(parallax(&["--series", "2"]).status.code(), Some(2), "no scan");
    assert_eq!(parallax(&["info", text(&stack), "--volume", "0"]).status.code(), Some(2));
}

#[test]
fn every_command_opens_the_chosen_series_and_a_record_opens_it_again() {
    let models = TinyModels::new();
    let folder = tempfile::tempdir().expect("a folder");
    study(folder.path());
    let out = models.folder.path().join("out");
    let soft = info(&[text(folder.path()), "--series", "2"])["sha256"].clone();
    let classifier = models.card("classifier");
    let predicted =
        parallax(&["predict", text(folder.path()), "--series", SOFT, "--classifier", text(&classifier), "--json"]);
    let predicted: Value = serde_json::from_slice(&predicted.stdout).expect("JSON");
    assert_eq!(predicted["input_sha256"], soft);
    let stack = models.folder.path().join("prepared.nii.gz");
    let prepared = parallax(&["prepare", text(folder.path()), "--series", "3", "--out", text(&stack)]);
    assert_eq!(prepared.status.code(), Some(3), "the chosen one does not stack");

    let run = |more: &[&str]| models.explain(folder.path()).args(more).output().expect("the binary runs");
    let first =
        run(&["--target", "1", "--series", "2", "--slab", "6:8", "--range=-5:0", "--steps", "2", "--export", "csv"]
            .iter()
            .chain(&["--out", text(&out)])
            .copied()
            .collect::<Vec<_>>());
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let record = out.join("result.json");
    let report: Value = serde_json::from_slice(&std::fs::read(&record).expect("a file")).expect("JSON");
    assert_eq!((&report["input"]["sha256"], &report["input"]["series"]), (&soft, &json!(SOFT)));
    let schema: Value = serde_json::from_str(include_str!("../../../assets/result.schema.json")).expect("JSON");
    assert_eq!(crate::schema::breaches(&schema, &report), Vec::<String>::new());
    let again = run(&["--replay", text(&record)]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let other = run(&["--replay", text(&record), "--series", "1"]);
    assert_eq!(other.status.code(), Some(3), "what is typed counts, and it is another scan");
}
