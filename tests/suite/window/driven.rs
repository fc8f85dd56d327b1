//! The real window, driven by what its widgets are called, drawn by a real adapter: none there is a failure.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use egui::{self, Key, accesskit::Role, accesskit::Toggled};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use glam::{DAffine3, DVec3};
use parallax::export::nifti::nifti_bytes;
use parallax::ui::{Answer, App, Ask, Picker, Start};
use parallax::volume::{Grid, Volume, Voxels};

use crate::support;
use crate::tiny_models::TinyModels;

/// Longer than any piece of work of the tiny networks takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// No one closes a dialog sooner.
const A_PERSON_TAKES: Duration = Duration::from_millis(900);
const SIZE: [f32; 2] = [1280.0, 860.0];

pub(crate) type Window = Harness<'static, App>;

/// Answers each question once, with the path given; a second time with nothing, as Cancel does.
struct Answers(Mutex<Vec<(Ask, PathBuf)>>);

impl Picker for Answers {
    fn pick(&self, ask: Ask, _frame: &eframe::Frame) -> Answer {
        let mut answers = self.0.lock().expect("no panic");
        let at = answers.iter().position(|(asked, _)| *asked == ask);
        let path = at.map(|at| answers.remove(at).1);
        Box::pin(async {
            if path.is_none() {
                std::thread::sleep(A_PERSON_TAKES); // sooner, the system has no dialog
            }
            path
        })
    }
}

pub(crate) fn open_with(start: Start, answers: Vec<(Ask, PathBuf)>) -> Window {
    let picker = Box::new(Answers(Mutex::new(answers)));
    Harness::builder().with_size(SIZE).wgpu().build_eframe(move |cc| App::new(cc, start, picker))
}

pub(crate) fn window(start: Start) -> Window {
    open_with(start, Vec::new())
}

/// Steps until something is so; a run works on another thread.
pub(crate) fn until(window: &mut Window, what: &str, so: impl Fn(&Window) -> bool) {
    let began = Instant::now();
    while !so(window) {
        assert!(began.elapsed() < PATIENCE, "{what} did not come; on the screen: {:#?}", texts(window));
        std::thread::sleep(Duration::from_millis(5));
        window.step();
    }
    window.run_steps(3);
}

/// Everything written on the screen, but for what is drawn on the pictures.
pub(crate) fn texts(window: &Window) -> Vec<String> {
    window
        .root()
        .children_recursive()
        .filter(|node| node.accesskit_node().role() != Role::TextRun) // again, line by line, what its parent says
        .flat_map(|node| [node.accesskit_node().label(), node.accesskit_node().value()])
        .flatten()
        .filter(|text| !text.is_empty())
        .collect()
}

pub(crate) fn says(window: &Window, part: &str) -> bool {
    texts(window).iter().any(|text| text.contains(part))
}

/// Clicks where the label stands, once nothing moves it any more: what arrives in the background pushes what is below it.
pub(crate) fn click(window: &mut Window, label: &str) {
    let mut rect = window.get_by_label(label).rect();
    for _ in 0..100 {
        window.step();
        let now = window.get_by_label(label).rect();
        if now == rect {
            break;
        }
        rect = now;
    }
    window.get_by_label(label).click();
    window.run_steps(2);
}

/// Presses a button that may lie below the edge of its panel.
pub(crate) fn press(window: &mut Window, label: &str) {
    window.get_by_label(label).focus();
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
}

/// Unfolds a step, which folds by itself once there is a result.
pub(crate) fn unfold(window: &mut Window, step: &str) {
    click(window, &format!("Unfold {step}"));
}

/// Types into the field of that name, over what is there, and presses Enter.
pub(crate) fn type_path(window: &mut Window, field: &str, path: &Path) {
    let find = |window: &Window| window.get_by_role_and_label(Role::TextInput, field).rect().center();
    let at = find(window);
    window.get_by_role_and_label(Role::TextInput, field).focus();
    window.run_steps(2);
    window.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
    window.run_steps(1);
    window.get_by_role_and_label(Role::TextInput, field).type_text(path.to_str().expect("plain names"));
    window.run_steps(1);
    window.key_press(Key::Enter);
    window.run_steps(2);
    assert_eq!(find(window).x, at.x, "the field stays where it is");
}

pub(crate) fn slider_value(window: &Window, label: &str) -> f64 {
    window.get_by_role_and_label(Role::Slider, label).accesskit_node().numeric_value().expect("a number")
}

pub(crate) fn set_slider(window: &mut Window, label: &str, value: f64) {
    window.get_by_role_and_label(Role::Slider, label).set_value_accesskit(value);
    window.run_steps(3);
}

/// The pixels of one pane.
pub(crate) fn pane(window: &mut Window, title: &str) -> Vec<u8> {
    let rect = window.get_by_label(&format!("{title} pane")).rect();
    let image = window.render().expect("an adapter draws");
    let (x, y) = (rect.left() as u32 + 1, rect.top() as u32 + 40);
    image::imageops::crop_imm(&image, x, y, rect.width() as u32 - 2, rect.height() as u32 - 90).to_image().into_raw()
}

pub(crate) fn start(models: &TinyModels, scan: PathBuf) -> Start {
    Start {
        scan: Some(scan),
        autoencoder: Some(models.card("autoencoder")),
        classifier: Some(models.card("classifier")),
        target: Some("1".to_owned()),
        ..Start::default()
    }
}

pub(crate) fn explained(models: &TinyModels) -> Window {
    explained_from(models, models.stack(8))
}

pub(crate) fn explained_from(models: &TinyModels, scan: PathBuf) -> Window {
    let mut window = window(start(models, scan));
    until(&mut window, "the models", |w| says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded"));
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
    window
}

#[test]
fn a_scan_and_models_typed_in_lead_to_a_counterfactual_scrubbed_and_photographed() {
    let models = TinyModels::new();
    let mut window = window(Start::default());
    type_path(&mut window, "Scan path", &support::data("nifti/syn_lps.nii.gz"));
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    type_path(&mut window, "Autoencoder", &models.card("autoencoder"));
    click(&mut window, "lung size");
    type_path(&mut window, "Segmenter", &models.card("segmenter"));
    until(&mut window, "the models", |w| says(w, "segmenter.toml is loaded") && says(w, "autoencoder.toml is loaded"));
    click(&mut window, "slab");
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
    for title in ["Original", "Counterfactual", "Difference"] {
        assert!(window.query_by_label(&format!("{title} pane")).is_some(), "{title}");
    }
    scores(&window);

    // Lambda: the original stays, the others change.
    let before = ["Original", "Counterfactual", "Difference"].map(|title| pane(&mut window, title));
    set_slider(&mut window, "Lambda", 0.0);
    assert_eq!(slider_value(&window, "Lambda"), 0.0);
    let after = ["Original", "Counterfactual", "Difference"].map(|title| pane(&mut window, title));
    assert!(before[0] == after[0], "the original knows no lambda");
    assert!(before[1] != after[1], "the counterfactual at lambda 0 is the reconstruction");
    assert!(before[2] != after[2], "at lambda 0 there is no difference");

    // Slices: all change.
    let slice = slider_value(&window, "Slice");
    set_slider(&mut window, "Slice", slice + 4.0);
    assert_eq!(slider_value(&window, "Slice"), slice + 4.0);
    assert!(pane(&mut window, "Original") != after[0] && pane(&mut window, "Counterfactual") != after[1]);

    // A picture, which is never written over.
    let path = models.folder.path().join("picture.png");
    type_path(&mut window, "Save as", &path);
    until(&mut window, "the picture", |w| says(w, "Saved"));
    let picture = image::open(&path).expect("a picture").to_rgba8();
    assert!(picture.width() > 3 * 300, "three panes: {:?}", picture.dimensions());
    let file = std::io::BufReader::new(std::fs::File::open(&path).expect("a file"));
    let reader = png::Decoder::new(file).read_info().expect("a PNG");
    let said = reader.info().utf8_text.iter().find(|chunk| chunk.keyword == "Lambda").expect("a lambda");
    let said = said.get_text().expect("text");
    assert!(said.starts_with("0, where the score is") && said.contains("the counterfactual is at"), "{said}");
    type_path(&mut window, "Save as", &path);
    until(&mut window, "a refusal", |w| says(w, "the file exists"));
}

#[test]
fn dialogs_keys_wheel_and_drops_do_what_they_say() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_permuted.nii.gz");
    let card = models.card("classifier");
    let mut window = open_with(Start::default(), vec![(Ask::ScanFile, scan.clone()), (Ask::Model, card)]);
    click(&mut window, "Open a CT file…");
    until(&mut window, "the scan", |w| says(w, "syn_permuted.nii.gz"));
    click(&mut window, "Open file…"); // answered with Cancel: nothing is lost
    window.run_steps(3);
    assert!(says(&window, "syn_permuted.nii.gz"));

    let axial = slider_value(&window, "Slice");
    window.key_press(Key::ArrowUp);
    window.run_steps(3);
    assert_eq!(slider_value(&window, "Slice"), axial + 1.0);
    let at = window.get_by_label("Original pane").rect().center();
    window.hover_at(at);
    window.run_steps(2);
    assert!(says(&window, "Original ") && says(&window, " mm   voxel "), "the probe: {:?}", texts(&window));
    window.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Line,
        delta: egui::vec2(0.0, -3.0),
        modifiers: egui::Modifiers::NONE,
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
    });
    window.run_steps(3);
    assert_eq!(slider_value(&window, "Slice"), axial - 2.0);
    let soft = pane(&mut window, "Original");
    window.key_press(Key::Num2);
    window.run_steps(3);
    assert!(says(&window, "Lung"), "{:?}", texts(&window));
    assert!(pane(&mut window, "Original") != soft);
    window.key_press(Key::C);
    window.run_steps(3);
    assert_eq!(window.get_by_label("Coronal").accesskit_node().toggled(), Some(Toggled::True));

    let other = support::data("nifti/syn_lps.nii.gz");
    window.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(other)));
    window.run_steps(1);
    until(&mut window, "the dropped scan", |w| says(w, "syn_lps.nii.gz"));
}

#[derive(Debug)]
pub(crate) struct Dropped(pub(crate) PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|e| e.to_string())
    }
}

#[test]
fn a_target_is_found_by_its_name() {
    let models = TinyModels::new();
    let mut window = window(Start { classifier: Some(models.card("classifier")), ..Start::default() });
    until(&mut window, "the classes", |w| says(w, "4  Emphysema"));
    let field = window.get_by_role_and_label(Role::TextInput, "Search classes");
    field.focus();
    window.run_steps(2);
    window.get_by_role_and_label(Role::TextInput, "Search classes").type_text("effusion");
    window.run_steps(2);
    assert!(!says(&window, "4  Emphysema"));
    click(&mut window, "1  Pleurisy; pleural effusion");
    assert!(says(&window, "Target: Pleurisy; pleural effusion"));
}

#[test]
fn a_target_that_the_classifier_lacks_is_said_and_near_ones_named() {
    let models = TinyModels::new();
    let mut window = window(Start { target: Some("effusion".to_owned()), ..start(&models, models.stack(8)) });
    until(&mut window, "the words", |w| says(w, "no class \"effusion\"; did you mean Pleurisy; pleural effusion?"));
    until(&mut window, "what is missing", |w| says(w, "Choose a target class first"));
}

#[test]
fn a_cancelled_run_stops_soon_and_keeps_what_was_there() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let before = scores(&window);
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the run", |w| w.query_by_label("Cancel").is_some());
    click(&mut window, "Cancel");
    until(&mut window, "the end of the run", |w| w.query_by_label("Compute counterfactual").is_some());
    assert!(says(&window, "Stopped because"), "{:?}", texts(&window));
    assert!(window.query_by_label("Dismiss").is_none(), "cancelling is no error");
    assert_eq!(scores(&window), before, "what was whole stays on the screen");
}

/// The three numbers of the result panel.
pub(crate) fn scores(window: &Window) -> [f64; 3] {
    ["scan", "reconstruction", "counterfactual"].map(|name| {
        let label = format!("Score of the {name}");
        window.get_by_role_and_label(Role::Meter, &label).accesskit_node().numeric_value().expect("a number")
    })
}

#[test]
fn a_second_result_keeps_the_first_within_reach() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let first = scores(&window);
    unfold(&mut window, "models");
    click(&mut window, "2  Fracture");
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the second result", |w| w.query_by_label("Show the other result").is_some());
    assert_ne!(scores(&window), first);
    press(&mut window, "Show the other result");
    assert_eq!(scores(&window), first);
}

#[test]
fn another_scan_waits_for_a_word_before_a_result_goes() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let other = support::data("nifti/syn_lps.nii.gz");
    unfold(&mut window, "scan");
    for keep in [true, false] {
        type_path(&mut window, "Scan path", &other);
        until(&mut window, "the question", |w| says(w, "syn_lps.nii.gz is open. Showing it drops the result"));
        assert!(window.query_by_label("Difference pane").is_some(), "nothing has gone yet");
        click(&mut window, if keep { "Keep the result" } else { "Show it" });
        assert_eq!(window.query_by_label("Difference pane").is_some(), keep);
        assert!(window.query_by_label("Keep the result").is_none());
    }
    assert!(says(&window, "LPS"), "the other scan is shown: {:?}", texts(&window));
}

#[test]
fn generated_panes_say_that_they_are_and_every_pane_where_the_patients_sides_are() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let value = |window: &Window, title: &str| {
        window.get_by_label(&format!("{title} pane")).accesskit_node().value().expect("words")
    };
    for (key, sides) in [
        (Key::A, "left R, right L, top A, bottom P"),
        (Key::C, "left R, right L, top S, bottom I"),
        (Key::S, "left A, right P, top S, bottom I"),
    ] {
        window.key_press(key);
        window.run_steps(3);
        for title in ["Original", "Counterfactual", "Difference"] {
            let words = value(&window, title);
            assert!(words.contains(sides), "{title}: {words}");
            assert_eq!(words.contains("SYNTHETIC"), title != "Original", "{words}");
        }
    }
}

#[test]
fn keys_move_lambda_step_by_step() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    window.remove_cursor();
    let end = slider_value(&window, "Lambda");
    window.key_press(Key::ArrowRight);
    window.run_steps(3);
    let next = slider_value(&window, "Lambda");
    assert!(next > end);
    // With the slider in focus a key means the next step too.
    window.get_by_role_and_label(Role::Slider, "Lambda").focus();
    window.run_steps(2);
    window.key_press(Key::ArrowLeft);
    window.run_steps(3);
    assert_eq!(slider_value(&window, "Lambda"), end);
}

#[test]
fn a_dropped_model_goes_where_it_belongs() {
    let models = TinyModels::new();
    let mut window = window(Start::default());
    let drop = |window: &mut Window, paths: &[PathBuf]| {
        for path in paths {
            window.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(path.clone())));
        }
        window.run_steps(1);
    };
    drop(&mut window, &[models.card("autoencoder"), models.card("classifier")]);
    until(&mut window, "the models", |w| says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded"));
    drop(&mut window, &[models.stack(8), models.stack(24)]);
    until(&mut window, "the words", |w| says(w, "2 files were dropped; drop one file, or the folder"));
}

#[test]
fn what_cannot_be_opened_is_said_in_place_and_nothing_is_lost() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    unfold(&mut window, "scan");
    unfold(&mut window, "models");
    for (path, words) in [
        (PathBuf::from("/no/such/scan.nii.gz"), "cannot read"),
        (models.card("classifier"), "not a scan"),
        (support::data("checkpoints/zip.ckpt"), "not a scan"),
    ] {
        type_path(&mut window, "Scan path", &path);
        // The path alone stands in its field too: the refusal has a button.
        until(&mut window, "a refusal", |w| w.query_by_label("Dismiss").is_some());
        assert!(
            texts(&window).iter().any(|text| text.contains(words) && text.contains(path.to_str().unwrap())),
            "{:?}",
            texts(&window)
        );
        assert!(window.query_by_label("Difference pane").is_some(), "the result is still there");
        click(&mut window, "Dismiss");
        assert!(window.query_by_label("Dismiss").is_none());
    }
    type_path(&mut window, "Autoencoder", &models.card("classifier"));
    until(&mut window, "the refusal", |w| says(w, "this is a classifier, and an autoencoder is wanted here"));
    assert!(says(&window, "autoencoder.toml is loaded"), "the one before still serves");
}

/// Noise takes its time: seconds, of which the slice shows in all but the first moments.
#[test]
fn a_slice_of_a_large_scan_shows_before_the_whole_file_is_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.nii.gz");
    let axes = DAffine3::from_scale(DVec3::new(-0.7, -0.7, 1.0));
    let grid = Grid { shape: [512, 512, 100], world_from_voxel: axes };
    let mut random = 1_u32;
    let mut noise = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 21) as i16 - 1000
    };
    let volume = Volume::new(grid, Voxels::I16((0..grid.len()).map(|_| noise()).collect::<Vec<_>>().into()));
    std::fs::write(&path, nifti_bytes(&volume, "noise").expect("a file")).expect("written");
    let mut window = window(Start::default());
    type_path(&mut window, "Scan path", &path);
    until(&mut window, "a slice", |w| w.query_by_label("Preview pane").is_some());
    assert!(window.query_by_label("Cancel opening").is_some() && !says(&window, "the networks see"));
    assert!(says(&window, "left R, right L, top A, bottom P"), "{:?}", texts(&window));
    assert!(window.query_by_label("Original pane").is_none());
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    assert!(window.query_by_label("Preview pane").is_none() && window.query_by_label("Original pane").is_some());
}

#[test]
fn a_slab_that_a_scan_does_not_have_is_said() {
    let models = TinyModels::new();
    let mut window = window(Start { slab: Some(5..90), ..start(&models, models.stack(8)) });
    until(&mut window, "the words", |w| says(w, "the slab 5:90 does not fit the 8 slices"));
}

#[test]
fn a_scan_wider_than_the_gpus_textures_is_said_on_its_pane() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("wide.nii.gz");
    // More than any GPU's textures have a side: none has over 16384.
    let grid = Grid { shape: [20_000, 4, 3], world_from_voxel: DAffine3::from_scale(DVec3::new(0.02, 1.0, 1.0)) };
    let volume = Volume::new(grid, Voxels::I16(vec![40; grid.len()].into()));
    std::fs::write(&path, nifti_bytes(&volume, "wide").expect("a file")).expect("written");
    let mut window = window(Start { scan: Some(path), ..Start::default() });
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    window.render().expect("an adapter draws");
    window.run_steps(2);
    assert!(says(&window, "These 20000 × 4 × 3 voxels are too many for this graphics driver"), "{:?}", texts(&window));
}

#[test]
fn playing_moves_lambda_and_an_idle_window_draws_nothing() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let delay = |window: &Window| window.output().viewport_output[&egui::ViewportId::ROOT].repaint_delay;
    window.remove_cursor();
    until(&mut window, "an idle window", |w| delay(w) == Duration::MAX);
    let lambda = slider_value(&window, "Lambda");
    click(&mut window, "Play");
    window.run_steps(4);
    assert!(slider_value(&window, "Lambda") != lambda && delay(&window) == Duration::ZERO);
    click(&mut window, "Pause");
    until(&mut window, "an idle window", |w| delay(w) == Duration::MAX);
}

#[test]
fn the_research_notice_is_always_there() {
    let mut window = window(Start::default());
    window.run_steps(2);
    assert!(says(&window, "Research use only. Not for diagnosis."));
}
