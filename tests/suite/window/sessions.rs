//! A session saved, and taken up again: in the real window, and from files that are not what they say.

use std::path::{Path, PathBuf};

use egui::{Key, Modifiers, accesskit::Toggled};
use egui_kittest::kittest::{NodeT, Queryable};
use glam::{DAffine3, DVec3};
use parallax::export::session::{Beside, Outline, SavedSession, write_session};
use parallax::latent_shift::heatmap::heatmap;
use parallax::latent_shift::{Counterfactual, HeatmapMethod, ScoreKind, Scores, Step, Trial};
use parallax::preprocess::{Prepared, Recipe};
use parallax::ui::{Ask, Start};
use parallax::volume::{Grid, Volume};
use safetensors::SafeTensors;
use serde::Serialize;
use serde_json::Value;

pub(crate) mod old;

use self::old::bytes_of_version_1;
use crate::tiny_models::{LABELS, TinyModels};
use crate::window::driven::{
    Dropped, Window, click, explained, open_with, pane, says, scores, set_slider, slider_value, start, texts,
    type_path, unfold, until, window,
};

const PANES: [&str; 3] = ["Original", "Counterfactual", "Difference"];

/// Saves what is shown, by the path field.
fn save(window: &mut Window, models: &TinyModels) -> PathBuf {
    let path = models.folder.path().join("kept.parallax");
    type_path(window, "Save session as", &path);
    let said = format!("Saved {}", path.display());
    until(window, "the session", |w| says(w, &said));
    path
}

/// A new window on a session file, when its networks have loaded.
fn reopened(path: &Path) -> Window {
    let mut window = window(Start { scan: Some(path.to_owned()), ..Start::default() });
    let loaded = |w: &Window| says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded");
    let folded = |w: &Window| w.query_by_label("Unfold models").is_some();
    until(&mut window, "the session", |w| loaded(w) || folded(w));
    if folded(&window) {
        unfold(&mut window, "models"); // there is a result
    }
    until(&mut window, "the networks", loaded);
    window
}

/// What the right panel says of where the result came from.
fn provenance(window: &mut Window) -> Vec<String> {
    window.get_by_label("Provenance").focus(); // it lies below the edge of its panel
    window.run_steps(2);
    window.key_press(Key::Enter);
    until(window, "the provenance", |w| w.query_by_label("Copy provenance").is_some());
    let all = texts(window);
    let first = all.iter().position(|text| text == "Input voxels, SHA-256").expect("a provenance");
    let lines = all[first..].iter().take_while(|text| !text.starts_with("Research use only."));
    lines.cloned().collect()
}

#[test]
fn a_session_opens_as_it_was_saved_and_computes_nothing_again() {
    let models = TinyModels::new();
    let mut before = explained(&models);
    let step = slider_value(&before, "Lambda");
    set_slider(&mut before, "Lambda", 0.0);
    assert_ne!(slider_value(&before, "Lambda"), step, "lambda is not where a new result has it");
    for key in [Key::Num2, Key::K, Key::ArrowUp] {
        before.key_press(key);
        before.run_steps(3);
    }
    click(&mut before, "Measure");
    click(&mut before, "Ruler");
    click(&mut before, "Draw in the middle");
    let ruler = texts(&before).into_iter().find(|text| text.starts_with("1  Ruler")).expect("a ruler");
    click(&mut before, &ruler); // puts it down
    click(&mut before, "Measure");
    click(&mut before, "Ruler");
    before.remove_cursor();
    let path = save(&mut before, &models);

    let mut after = reopened(&path);
    after.remove_cursor();
    assert!(says(&after, "Stopped because"), "the result is there: {:?}", texts(&after));
    assert_eq!(scores(&after), scores(&before));
    for slider in ["Lambda", "Slice"] {
        assert_eq!(slider_value(&after, slider), slider_value(&before, slider), "{slider}");
    }
    assert!(says(&after, "Target: Pleurisy; pleural effusion") && says(&after, "Lung"));
    assert!(says(&after, &ruler), "{:?}", texts(&after));
    assert!(after.query_by_label("Counterfactual, detail kept pane").is_some(), "{:?}", texts(&after));
    assert!(pane(&mut after, "Original") == pane(&mut before, "Original"), "the same picture");
    assert!(pane(&mut after, "Difference") == pane(&mut before, "Difference"), "the same picture");
    assert_eq!(provenance(&mut after), provenance(&mut before));
    assert!(after.query_by_label("Dismiss").is_none(), "nothing is amiss: {:?}", texts(&after));
}

#[test]
fn a_session_is_saved_by_key_and_dialog_and_opens_by_drop_after_a_word_where_a_result_would_go() {
    let models = TinyModels::new();
    let path = models.folder.path().join("by_key.parallax");
    let mut window = open_with(start(&models, models.stack(8)), vec![(Ask::SaveSession, path.clone())]);
    until(&mut window, "the scan", |w| says(w, "the networks see 8 slices") && says(w, "classifier.toml is loaded"));
    until(&mut window, "the autoencoder", |w| says(w, "autoencoder.toml is loaded"));
    window.key_press(Key::C);
    window.run_steps(3);
    window.key_press_modifiers(Modifiers::COMMAND, Key::S);
    until(&mut window, "the session", |_| path.is_file());
    let coronal = |w: &Window| w.get_by_label("Coronal").accesskit_node().toggled();
    assert_eq!(coronal(&window), Some(Toggled::True), "Ctrl+S is not S");
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
    for keep in [true, false] {
        window.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(path.clone())));
        window.run_steps(1);
        until(&mut window, "the question", |w| says(w, "by_key.parallax is open. Showing it drops the result"));
        click(&mut window, if keep { "Keep the result" } else { "Show it" });
        assert_eq!(window.query_by_label("Difference pane").is_some(), keep);
    }
    assert_eq!(coronal(&window), Some(Toggled::True));
}

#[test]
fn a_scan_that_has_changed_is_named_and_shown_without_the_result_of_the_one_before() {
    let models = TinyModels::new();
    let path = save(&mut explained(&models), &models);
    let scan = models.stack(8);
    std::fs::rename(models.stack(24), &scan).expect("another scan in its place");
    let window = reopened(&path);
    let named =
        |text: &String| text.contains("the scan is not the one") && text.contains(scan.to_str().expect("plain"));
    assert!(texts(&window).iter().any(named), "{:?}", texts(&window));
    assert!(says(&window, "the networks see 24 slices"), "{:?}", texts(&window));
    assert!(window.query_by_label("Difference pane").is_none());
    drop(window);
    std::fs::remove_file(&scan).expect("gone");
    let window = reopened(&path);
    assert!(says(&window, "the session's scan cannot be opened"), "{:?}", texts(&window));
    assert!(window.query_by_label("Original pane").is_none());
}

#[test]
fn a_network_that_has_changed_is_named_and_the_result_of_the_one_before_stays() {
    let models = TinyModels::new();
    let mut before = explained(&models);
    let path = save(&mut before, &models);
    let other = TinyModels::sure(LABELS, 2.0);
    let weights = |models: &TinyModels| models.folder.path().join("classifier.safetensors");
    std::fs::copy(weights(&other), weights(&models)).expect("copied");
    let window = reopened(&path);
    assert!(
        says(&window, "classifier.toml is not the network that the session was saved with"),
        "{:?}",
        texts(&window)
    );
    assert!(!says(&window, "autoencoder.toml is not the network"));
    assert_eq!(scores(&window), scores(&before));
    for title in PANES {
        assert!(window.query_by_label(&format!("{title} pane")).is_some(), "{title}");
    }
}

#[test]
fn a_file_that_is_no_session_is_refused_in_words_and_nothing_is_lost() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let path = models.folder.path().join("odd.parallax");
    let kept = save(&mut window, &models);
    let document: Value = SavedSession::open(&kept).and_then(|saved| saved.document()).expect("a session");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = document.clone();
        change(&mut document);
        session_bytes(&document, None).expect("bytes")
    };
    let kept = std::fs::read(kept).expect("a session");
    unfold(&mut window, "scan");
    for (bytes, words) in [
        (b"not a session".to_vec(), "no session of Parallax"),
        (Vec::new(), "too short for a session"),
        (std::fs::read(models.stack(8)).expect("a stack"), "is no session of Parallax"),
        (kept[..kept.len() - 1].to_vec(), "it is cut"),
        (with(&|document| *document = Value::Null), "not as Parallax writes it"),
        (with(&|document| document["options"]["chunk"] = 0.into()), "0 slices are to be decoded at a time"),
        (with(&|document| document["view"]["cursor"][0] = 1e12.into()), "from the scan's origin"),
        (with(&|_| ()), "is missing"),
    ] {
        std::fs::write(&path, bytes).expect("written");
        type_path(&mut window, "Scan path", &path);
        until(&mut window, "a refusal", |w| w.query_by_label("Dismiss").is_some());
        let said = |text: &String| text.contains(words) && text.contains("odd.parallax");
        assert!(texts(&window).iter().any(said), "{words}: {:?}", texts(&window));
        assert!(window.query_by_label("Difference pane").is_some(), "the result is still there");
        click(&mut window, "Dismiss");
    }
}

/// Three columns, two rows, four slices, of which two may change.
fn prepared() -> Prepared {
    let grid = Grid { shape: [3, 2, 4], world_from_voxel: DAffine3::from_scale(DVec3::new(-1.5, -1.5, 3.0)) };
    let voxels: Vec<f32> = (0..grid.len()).map(|n| n as f32 / 24.0).collect();
    let volume = Volume::from_f32(grid, voxels);
    Prepared { volume, recipe: Recipe::of_side(3), oriented: grid, spaced: grid, filled: grid.shape }
}

fn result(prepared: &Prepared) -> Counterfactual {
    let (stack, grid) = (prepared.volume.clone(), prepared.volume.grid);
    let numbers = |count: usize, by: f32| (0..count).map(|n| n as f32 * by).collect::<Vec<f32>>();
    let step = |lambda: f64| Step {
        lambda,
        score: 0.1 + lambda / 7.0,
        logits: [lambda as f32, 0.3].into(),
        slab: numbers(12, lambda as f32).into(),
    };
    Counterfactual {
        grid,
        slab: 1..3,
        reconstruction: Volume::from_f32(grid, numbers(24, 0.1)),
        heatmap: Volume::from_f32(grid, numbers(24, 0.01)),
        steps: vec![step(-2.5), step(-1.0 / 3.0), step(0.0)],
        chosen: 0,
        scores: Scores { scan: 0.9, reconstruction: 0.8, counterfactual: 1.0 / 3.0 },
        score_kind: ScoreKind::Cosine,
        scan_as_predicted: Some(0.1 + 0.7),
        scan_logits: [1.0, 2.0].into(),
        reconstruction_logits: [0.5, f32::MIN_POSITIVE].into(),
        latents_moved: 0.1 + 0.2,
        fast_error: None,
        walk: vec![Trial { lambda: -1.0, score: 0.7, change: 3.0 }],
        stop: "the goal was reached".to_owned(),
        complete: true,
        hu_from_decoded: [2000.0, -1000.0],
        hu_from_unit: [2000.0, -1000.0],
        calibration: [0.97, f64::NAN],
        latents: numbers(4, 1.0),
        gradient: numbers(4, -1.0),
        latent_shape: [4, 1, 1, 1],
        stack,
    }
}

fn session_bytes(document: &impl Serialize, result: Option<&Counterfactual>) -> anyhow::Result<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    write_session(&mut bytes, document, result, &Beside::default())?;
    Ok(bytes.into_inner())
}

fn written(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("a.parallax");
    std::fs::write(&path, bytes).expect("written");
    path
}

/// What of a result a session keeps.
fn kept(result: &Counterfactual) -> Counterfactual {
    Counterfactual { latents: Vec::new(), gradient: Vec::new(), latent_shape: [0; 4], ..result.clone() }
}

/// A result whose heatmap is what its steps add up to, and whose slices outside the slab stay as scanned, by a decoder that returns
/// `hu_from_decoded`.
fn derived(prepared: &Prepared, method: HeatmapMethod, hu_from_decoded: [f32; 2]) -> Counterfactual {
    let result = Counterfactual { hu_from_decoded, hu_from_unit: [2000.0, -1000.0], ..result(prepared) };
    let [slope, offset] = [hu_from_decoded[0] / 2000.0, (hu_from_decoded[1] + 1000.0) / 2000.0];
    let scanned = prepared.volume.voxels.iter().map(|x| x * (1.0 / slope) - offset / slope);
    let mut whole: Vec<f32> = scanned.collect();
    whole[6..18].copy_from_slice(&result.reconstruction.voxels.iter().skip(6).take(12).collect::<Vec<_>>());
    let mut heat = vec![0.0; 24];
    heat[6..18].copy_from_slice(&heatmap(method, &result.steps, &whole[6..18]));
    let volume = |voxels| Volume::from_f32(prepared.volume.grid, voxels);
    Counterfactual { reconstruction: volume(whole), heatmap: volume(heat), ..result }
}

#[test]
fn every_number_of_a_result_comes_back_to_its_last_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let (prepared, document) = (prepared(), "any words".to_owned());
    let published = [500.0, 0.0]; // decoding returns (y + 2) / 4
    let all = [
        result(&prepared),
        derived(&prepared, HeatmapMethod::Int, [2000.0, -1000.0]),
        derived(&prepared, HeatmapMethod::Max, published),
    ];
    let mut sizes = Vec::new();
    for result in all {
        let bytes = session_bytes(&document, Some(&result)).expect("bytes");
        let saved = SavedSession::open(&written(&folder, &bytes)).expect("a session");
        assert_eq!(saved.document::<String>().expect("words"), document);
        let back = saved.result(&Outline::of(&result), &prepared).expect("a result");
        // What is printed tells every float from every other.
        assert_eq!(format!("{back:?}"), format!("{:?}", kept(&result)));
        sizes.push(SafeTensors::read_metadata(&bytes).expect("safetensors").1.tensors().len());
    }
    assert_eq!(sizes, [13, 12, 12], "a heatmap that the steps add up to is not written");
    let bare = written(&folder, &session_bytes(&document, None).expect("bytes"));
    let bare = SavedSession::open(&bare).expect("a session without a result");
    assert!(bare.result(&Outline::of(&result(&prepared)), &prepared).is_err());
}

#[test]
fn a_session_of_version_1_opens_with_every_number_that_is_kept_today() {
    let folder = tempfile::tempdir().expect("a folder");
    let (prepared, document) = (prepared(), "any words".to_owned());
    let result = result(&prepared);
    let saved =
        SavedSession::open(&written(&folder, &bytes_of_version_1(&document, Some(&result)))).expect("a session");
    assert_eq!(saved.document::<String>().expect("words"), document);
    let back = saved.result(&Outline::of(&result), &prepared).expect("a result");
    assert_eq!(format!("{back:?}"), format!("{:?}", kept(&result)));
    let bare = SavedSession::open(&written(&folder, &bytes_of_version_1(&document, None))).expect("a session");
    assert!(bare.result(&Outline::of(&result), &prepared).is_err());
}

/// Of the bytes of what cannot be computed again: the steps and the reconstruction in the slab, as the floats that they are. Packing takes
/// away more than the numbers, the document and the other slices add, so nothing near this bound is ever met.
const MOST_OF_ITS_PIXELS: f64 = 1.3;

#[test]
fn a_session_takes_hardly_more_room_than_what_cannot_be_computed_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = prepared();
    let grid = Grid { shape: [64, 64, 24], ..small.volume.grid };
    let smooth = |phase: f32| (0..grid.len()).map(move |n| 0.5 + 0.4 * (n as f32 * 0.013 + phase).sin());
    let volume = |voxels: Vec<f32>| Volume::from_f32(grid, voxels);
    let prepared = Prepared { volume: volume(smooth(0.0).collect()), filled: grid.shape, ..small.clone() };
    let (slab, pixels) = (8..12, 64 * 64);
    let mut whole: Vec<f32> = smooth(0.0).collect();
    let of_slab = |phase: f32| smooth(phase).skip(slab.start * pixels).take(slab.len() * pixels).collect::<Vec<_>>();
    whole[slab.start * pixels..slab.end * pixels].copy_from_slice(&of_slab(0.01));
    let step = |n: u8| {
        let lambda = f64::from(n) - 10.0;
        Step { lambda, score: 0.5, logits: [1.0].into(), slab: of_slab(0.01 + lambda as f32 * 0.01).into() }
    };
    let result = Counterfactual {
        grid,
        slab: slab.clone(),
        steps: (0..10).map(step).collect(),
        stack: prepared.volume.clone(),
        reconstruction: volume(whole),
        heatmap: volume(vec![0.0; grid.len()]),
        scan_logits: [1.0].into(),
        reconstruction_logits: [1.0].into(),
        ..result(&small)
    };
    let bytes = session_bytes(&"", Some(&result)).expect("bytes");
    let needed = (result.steps.len() + 1) * slab.len() * pixels * size_of::<f32>();
    let share = bytes.len() as f64 / needed as f64;
    assert!(share <= MOST_OF_ITS_PIXELS, "{share} of {needed} bytes");
    let before = bytes_of_version_1(&"", Some(&result)).len() as f64 / needed as f64;
    assert!(share < before / 2.0, "{share}, and {before} in version 1");
    let back = SavedSession::open(&written(&folder, &bytes)).expect("a session");
    let back = back.result(&Outline::of(&result), &prepared).expect("a result");
    assert_eq!(format!("{back:?}"), format!("{:?}", kept(&result)));
}

#[test]
fn a_session_that_is_cut_or_flipped_anywhere_is_an_error_or_what_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let prepared = prepared();
    let (result, document) = (result(&prepared), "any words".to_owned());
    let (outline, whole) = (Outline::of(&result), session_bytes(&document, Some(&result)).expect("bytes"));
    for end in 0..whole.len() {
        assert!(SavedSession::open(&written(&folder, &whole[..end])).is_err(), "cut at {end} of {}", whole.len());
    }
    let (mut refused, expected) = (0, format!("{:?}", kept(&result)));
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let Ok(saved) = SavedSession::open(&written(&folder, &bytes)) else {
            refused += 1;
            continue;
        };
        // The words of the notice, and the space between two of the header's, may be anything.
        let back = saved.result(&outline, &prepared).expect("what is as it was opens");
        assert_eq!(format!("{back:?}"), expected, "flipped at {at}");
        assert_eq!(saved.document::<String>().expect("words"), document, "flipped at {at}");
    }
    // The notice has 74 letters and the header ends in at most 7 spaces.
    assert!(whole.len() - refused < 100, "{refused} of {} flips were seen", whole.len());
}

#[test]
fn a_result_of_another_grid_or_out_of_order_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let prepared = prepared();
    let good = result(&prepared);
    let refusal = |result: &Counterfactual, outline: Outline, prepared: &Prepared| {
        let path = written(&folder, &session_bytes(&"", Some(result)).expect("bytes"));
        let saved = SavedSession::open(&path).expect("whole");
        format!("{:#}", saved.result(&outline, prepared).expect_err("a refusal"))
    };
    let grid = Grid { shape: [2, 3, 4], ..prepared.volume.grid };
    let turned = Prepared { volume: Volume::from_f32(grid, vec![0.0; 24]), ..prepared.clone() };
    assert!(refusal(&good, Outline::of(&good), &turned).contains("belongs to this scan"));
    let mut odd = good.clone();
    odd.slab = 1..9;
    assert!(refusal(&good, Outline::of(&odd), &prepared).contains("does not fit the 4 slices"));
    odd = good.clone();
    odd.chosen = 3;
    assert!(refusal(&good, Outline::of(&odd), &prepared).contains("is step 3, where 3 were saved"));
    odd = good.clone();
    odd.steps.swap(0, 1);
    assert!(refusal(&odd, Outline::of(&odd), &prepared).contains("not in order of lambda"));
    odd = good.clone();
    odd.steps[0].slab = vec![f32::NAN; 12].into();
    assert!(refusal(&odd, Outline::of(&odd), &prepared).contains("holds what is no number"));
}

#[test]
fn what_cannot_be_opened_is_named_once_and_last() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in
        [("gone.parallax", None), ("empty.parallax", Some(&b""[..])), ("text.parallax", Some(&b"no session"[..]))]
    {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).expect("written");
        }
        let error = parallax::session::check_session(&path).expect_err("a refusal");
        let said = parallax::pipeline::in_words(&error);
        assert_eq!(said.matches(name).count(), 1, "{said}");
    }
}
