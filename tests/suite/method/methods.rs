//! Other methods beside the counterfactual: RISE against its formula, by actions without a window, in the window, and by the binary.

use candle_core::{DType, Device, Tensor};
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};
use glam::{DAffine3, DVec3};
use parallax::frame::Overlaid;
use parallax::frame::display::{Change, Laid, Shown};
use parallax::graph::ops::Conv;
use parallax::job::Monitor;
use parallax::latent_shift::rise::{self, KEPT, MASKS, Masks, SEED};
use parallax::latent_shift::saliency::{self, Method};
use parallax::models::{Classifier, Probabilities};
use parallax::preprocess::Recipe;
use parallax::session::action::{Run, Setting, View};
use parallax::session::document::document_of;
use parallax::session::{Session, Start};
use parallax::settings::Settings;
use parallax::volume::{Grid, Volume};
use parallax::{io, pipeline};

use crate::support;
use crate::tiny_models::TinyModels;
use crate::window::driven::{click, explained, says};
use crate::window::without_window::{all, explain, is_kept, keeping, ready, until};

const FRAME_SECS: f32 = 0.02;
/// Of sums of f32 over a thousand voxels and hundreds of masks, as a share of the largest size.
const ROUNDING: f64 = 1e-4;

fn grid(shape: [usize; 3], spacing_mm: [f64; 3]) -> Grid {
    Grid { shape, world_from_voxel: DAffine3::from_scale(DVec3::from_array(spacing_mm)) }
}

/// Drawn numbers in -1..1, the same on every machine.
fn drawn(count: usize) -> Vec<f32> {
    (0..count).map(|n| ((n * 7919 + 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// One logit: the sum of the voxels, each with its weight. A convolution whose kernel is the whole volume.
fn linear(weights: &[f32], grid: &Grid) -> Classifier {
    let [w, h, slices] = grid.shape;
    let kernel = Tensor::from_vec(weights.to_vec(), (1, 1, slices, h, w), &Device::Cpu).expect("a kernel");
    let sum = Conv::new(&kernel, None).expect("a convolution");
    let graph = support::graph_of(|g, stack| {
        let volume = g.reshape(stack, &[Some(1), Some(1), Some(slices), Some(h), Some(w)]);
        let logits = g.conv(volume, sum);
        g.reshape(logits, &[Some(1), None])
    });
    let labels = vec!["sum".to_owned()];
    Classifier::new(graph, &Recipe::default(), labels, Probabilities::Sigmoid, DType::F32, &Device::Cpu)
}

#[test]
fn rise_on_a_linear_classifier_is_the_papers_formula_written_out() {
    let grid = grid([12, 10, 8], [20.0, 20.0, 20.0]);
    let weights = drawn(grid.len());
    let voxels: Vec<f32> = drawn(grid.len()).iter().map(|x| x.abs()).collect();
    let stack = Volume::from_f32(grid, voxels.clone());
    let network = linear(&weights, &grid);
    let maps = saliency::maps(Method::Rise, &stack, [2000.0, -1000.0], &network, &[0], &Monitor::default());
    let map = maps.expect("a map").remove(0);

    let masks = Masks::of(&grid, SEED);
    let all: Vec<Vec<f64>> = (0..MASKS).map(|n| masks.mask(n).into_iter().map(f64::from).collect()).collect();
    let score = |mask: &Vec<f64>| -> f64 {
        let terms = mask.iter().zip(&voxels).zip(&weights);
        terms.map(|((kept, x), weight)| kept * f64::from(*x) * f64::from(*weight)).sum()
    };
    let scores: Vec<f64> = all.iter().map(score).collect();
    let mean = scores.iter().sum::<f64>() / MASKS as f64;
    let formula = |voxel: usize| {
        let sum: f64 = all.iter().zip(&scores).map(|(mask, score)| (score - mean) * mask[voxel]).sum();
        (sum / (MASKS as f64 * f64::from(KEPT))).max(0.0)
    };
    let wanted: Vec<f64> = (0..grid.len()).map(formula).collect();
    let largest = wanted.iter().copied().fold(0.0, f64::max);
    assert!(largest > 0.0);
    for (at, (size, wanted)) in map.iter().zip(&wanted).enumerate() {
        assert!((f64::from(*size) - wanted).abs() <= ROUNDING * largest, "{size} is not {wanted} at {at}");
    }
}

#[test]
fn masks_are_smooth_half_left_bounded_and_their_seeds_alone() {
    let grid = grid([64, 48, 30], [3.0, 3.0, 5.0]);
    let masks = Masks::of(&grid, SEED);
    let [first, other, again, reseeded] =
        [masks.mask(0), masks.mask(1), masks.mask(0), Masks::of(&grid, 1 << 40).mask(0)];
    assert_eq!(first, again);
    assert!(first != other && first != reseeded && first.len() == grid.len());
    let mean = (0..64).flat_map(|n| masks.mask(n)).map(f64::from).sum::<f64>() / (64 * grid.len()) as f64;
    assert!((mean - f64::from(KEPT)).abs() < 0.03, "{mean} is left");
    assert!(first.iter().all(|kept| (0.0..=1.0).contains(kept)));
    let step = first.chunks(64).flat_map(|row| row.windows(2).map(|pair| (pair[1] - pair[0]).abs()));
    // Four cells of 16 voxels lie along a row.
    assert!(step.fold(0.0, f32::max) <= 1.0 / 15.0, "smooth");
    // One voxel along an axis has one cell, and no stack is too small.
    assert_eq!(Masks::of(&self::grid([1, 1, 1], [1.0; 3]), SEED).mask(3).len(), 1);
}

#[test]
fn rise_finds_the_box_that_a_logit_counts_and_reports_how_far_it_is() {
    let grid = grid([24, 20, 10], [15.0, 15.0, 15.0]);
    let is_inside =
        |at: usize| (4..10).contains(&(at % 24)) && (4..10).contains(&(at / 24 % 20)) && (3..7).contains(&(at / 480));
    let inside: Vec<f32> = (0..grid.len()).map(|at| f32::from(u8::from(is_inside(at)))).collect();
    let scores = |masked: Vec<f32>| Ok(vec![masked.iter().zip(&inside).map(|(x, inside)| x * inside).sum::<f32>()]);
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = heard.clone();
    let monitor = Monitor::new(move |progress| told.lock().expect("no panic").push((progress.done, progress.total)));
    let map = rise::weigh(&Masks::of(&grid, SEED), 40, &vec![1.0; grid.len()], scores, &monitor).expect("a map");
    let place = (0..grid.len()).max_by(|a, b| map[0][*a].total_cmp(&map[0][*b])).expect("voxels");
    assert!(is_inside(place), "{place}");
    assert_eq!(heard.lock().expect("no panic").len(), 40, "a report for each mask");
    let stopped = Monitor::default();
    stopped.cancel();
    let scores = |_: Vec<f32>| Ok(vec![0.0]);
    assert!(rise::weigh(&Masks::of(&grid, SEED), 40, &vec![1.0; grid.len()], scores, &stopped).is_err());
}

fn choose(session: &mut Session, laid: Laid) {
    session.apply(View::Change(Change::Laid(laid)).into());
}

fn comes(session: &mut Session, method: Method) {
    until(session, "the method's map", |session| session.model.methods.known(method).is_some());
    session.tick(FRAME_SECS);
}

#[test]
fn a_method_is_computed_once_when_it_is_chosen_and_lies_over_the_scan() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    explain(&mut session);
    assert!(session.model.methods.all().is_empty(), "nothing is computed unasked");
    for method in Method::ALL {
        choose(&mut session, Laid::By(method));
        comes(&mut session, method);
        let (scan, run) = session.model.shown();
        let pictures = session.view.arrange(scan, run).pictures;
        let pane = pictures.iter().find(|picture| picture.shown == Shown::Difference).expect("a pane");
        assert_eq!((&*pane.title, pane.synthetic), (method.title(), None));
        assert_eq!(pane.look.overlay.expect("an overlay").of, Overlaid::Map);
        let computed = session.model.methods.known(method).expect("a map").clone();
        assert!(computed.sizes.voxels.iter().all(|size| size >= 0.0));
        choose(&mut session, Laid::Change);
        session.tick(FRAME_SECS);
        choose(&mut session, Laid::By(method));
        session.tick(FRAME_SECS);
        let again = session.model.methods.known(method).expect("a map");
        assert!(std::sync::Arc::ptr_eq(&computed, again), "it is kept");
    }
}

#[test]
fn a_method_needs_no_result_and_is_of_the_class_that_is_chosen() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    until(&mut session, "scan and networks", |session| session.model.missing().is_none());
    choose(&mut session, Laid::By(Method::Gradient));
    comes(&mut session, Method::Gradient);
    let before: Vec<f32> = session.model.methods.known(Method::Gradient).expect("a map").sizes.voxels.iter().collect();
    let (scan, run) = session.model.shown();
    assert!(session.view.arrange(scan, run).pictures.iter().any(|picture| picture.title == "Gradient"));
    session.apply(Setting::Target("Fracture".to_owned()).into());
    session.tick(FRAME_SECS);
    assert!(session.model.methods.all().is_empty(), "another class, other maps");
    comes(&mut session, Method::Gradient);
    let after: Vec<f32> = session.model.methods.known(Method::Gradient).expect("a map").sizes.voxels.iter().collect();
    assert_ne!(before, after);
}

#[test]
fn a_method_that_is_stopped_gives_way_to_the_change_and_begins_only_when_it_is_chosen_again() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    explain(&mut session);
    choose(&mut session, Laid::By(Method::Rise));
    session.tick(FRAME_SECS);
    assert!(session.model.methods.coming.running().is_some());
    session.apply(Run::StopMethod.into());
    until(&mut session, "the end", |session| session.model.methods.coming.running().is_none());
    assert_eq!(session.view.display.laid, Laid::Change);
    for _ in 0..5 {
        session.tick(FRAME_SECS);
    }
    assert!(session.model.methods.coming.running().is_none() && session.model.methods.coming.error().is_none());
    choose(&mut session, Laid::By(Method::Rise));
    comes(&mut session, Method::Rise);
}

#[test]
fn what_is_no_class_of_a_classifier_has_no_methods_and_it_is_said_why() {
    let models = TinyModels::new();
    let start = Start { classifier: None, target: None, segmenter: Some(models.card("segmenter")), ..all(&models) };
    let mut session = crate::window::without_window::session(start);
    until(&mut session, "scan and networks", |session| session.model.missing().is_none());
    choose(&mut session, Laid::By(Method::Occlusion));
    session.tick(FRAME_SECS);
    assert!(session.model.methods.coming.running().is_none());
    assert!(session.model.subject().err().expect("a reason").contains("one class of a classifier"));
}

#[test]
fn the_window_offers_the_methods_by_one_control() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    window.get_by_role_and_label(Role::ComboBox, "Method shown").focus();
    window.run_steps(2);
    window.key_press(egui::Key::Enter);
    window.run_steps(3);
    click(&mut window, "Integrated gradients");
    crate::window::driven::until(&mut window, "the map", |w| w.query_by_label("Integrated gradients pane").is_some());
    let shown = window.get_by_role_and_label(Role::ComboBox, "Method shown").accesskit_node().value();
    assert_eq!(shown.as_deref(), Some("Integrated gradients"));
    assert!(says(&window, "on the straight way from air to the scan"), "what it shows is said");
}

#[test]
fn the_binary_writes_each_method_on_the_scans_grid_and_its_numbers_into_the_report() {
    let models = TinyModels::new();
    let scan = models.stack(8);
    let out = models.folder.path().join("out");
    let mut command = models.explain(&scan);
    command.args(["--target", "Fracture", "--range", "-20:0", "--steps", "2", "--export", "csv", "--json"]);
    command.args(["--methods", "rise,gradient,integrated,occlusion", "--out"]).arg(&out);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let schema = serde_json::from_str(include_str!("../../../assets/result.schema.json")).expect("JSON");
    assert!(crate::schema::breaches(&schema, &report).is_empty(), "{:?}", crate::schema::breaches(&schema, &report));
    let methods = report["methods"].as_array().expect("a list");
    let names: Vec<&str> = methods.iter().map(|method| method["method"].as_str().expect("a name")).collect();
    assert_eq!(names, ["gradient", "integrated_gradients", "occlusion", "rise"]);
    assert_eq!(methods[3]["masks"], MASKS);
    let stack = pipeline::open(&scan, &Recipe::default(), &Monitor::default()).expect("a stack");
    let grid = stack.display_volume().grid;
    for (name, method) in names.iter().zip(methods) {
        let map = io::open(&out.join(format!("method_{name}.nii.gz")), &Monitor::default()).expect("a map").volume;
        assert_eq!(map.grid.shape, grid.shape, "{name}");
        let largest = map.voxels.iter().fold(0.0, f32::max);
        assert!(map.voxels.iter().all(|size| size >= 0.0), "{name}");
        assert!(f64::from(largest) <= method["largest"].as_f64().expect("a size") * (1.0 + 1e-6), "{name}");
    }
    assert_eq!(report["version"], 10);
}

#[test]
fn methods_of_a_sum_of_classes_are_refused_before_anything_is_computed() {
    let models = TinyModels::new();
    let stack = models.stack(8);
    let told = ["--target", "Fracture", "--target", "Emphysema=-1", "--methods", "gradient"];
    let output = models.explain(&stack).args(told).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && said.contains("explain one class"), "{said}");
    assert!(!said.contains("encoding"), "{said}");
    let output = models.explain(&stack).args(["--target", "Fracture", "--methods", "lime"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_method_is_of_the_score_that_predict_gives() {
    let models = TinyModels::new();
    let monitor = Monitor::default();
    let classifier = pipeline::load_classifier(&models.card("classifier"), &monitor).expect("a classifier");
    let other = Recipe { spacing_mm: [4.0, 4.0, 4.0], ..Recipe::of_side(40) };
    let scan = support::data("nifti/syn_lps.nii.gz");
    let [own, fed] =
        [&classifier.recipe, &other].map(|recipe| pipeline::open(&scan, recipe, &monitor).expect("a scan"));
    let of = |input| pipeline::method(input, &classifier, 2, Method::Gradient, &monitor).expect("a map");
    let [own, fed] = [of(&own), of(&fed)];
    assert_eq!(own.grid, fed.grid, "on the classifier's own grid, whatever the scan is prepared for");
    assert!(own.voxels.iter().eq(fed.voxels.iter()));
}

/// What a session leaves out of a map's numbers, as a share of each.
const LEFT_OUT: f32 = 1.0 / 2048.0;

#[test]
fn a_session_keeps_maps_and_the_mask_and_a_reopened_result_shows_them_without_computing() {
    let models = TinyModels::new();
    let mut session = keeping(&models, Settings::default(), all(&models));
    explain(&mut session);
    until(&mut session, "the kept result", is_kept);
    let first = session.model.settings.shown_result.clone().expect("a file");
    session.apply(View::Change(Change::Laid(Laid::By(Method::Gradient))).into());
    until(&mut session, "the map", |session| session.model.methods.known(Method::Gradient).is_some());
    let grid = session.model.scan.ready().expect("a scan").layers.scan.grid;
    let marks: Vec<f32> = (0..grid.len()).map(|at| if at % 7 == 3 { 1.0 } else { 0.0 }).collect();
    let path = models.folder.path().join("mask.nii");
    let bytes = parallax::export::nifti::nifti_bytes(&Volume::from_f32(grid, marks), "mask").expect("a file");
    std::fs::write(&path, bytes).expect("written");
    session.apply(Run::LoadMask(path.clone()).into());
    until(&mut session, "the mask", |session| session.model.masking.report().is_some());
    // The kept result is saved anew with them, in the place of its file.
    until(&mut session, "the file with all of it", |session| {
        let shown = session.model.settings.shown_result.as_ref();
        let document = shown.filter(|path| path.is_file() && **path != first).map(|path| document_of(path));
        let document = document.and_then(Result::ok);
        document.is_some_and(|document| document.maps.is_some() && document.mask.is_some())
    });
    until(&mut session, "the list", |session| {
        is_kept(session) && session.gallery.kept.ready().is_some_and(|kept| kept.len() == 1)
    });
    assert!(!first.exists(), "one file a result");
    std::fs::remove_file(&path).expect("the mask's own file is not needed any more");

    let mut again = keeping(&models, session.kept(), Start::default());
    until(&mut again, "the map", |session| session.model.methods.known(Method::Gradient).is_some());
    assert!(again.model.methods.coming.running().is_none(), "it was not computed");
    assert_eq!(again.view.display.laid, Laid::By(Method::Gradient), "and is shown");
    let sizes = |session: &Session| {
        let known = session.model.methods.known(Method::Gradient).expect("a map");
        (known.sizes.grid, known.sizes.voxels.iter().collect::<Vec<_>>())
    };
    let ((grid_before, before), (grid_after, after)) = (sizes(&session), sizes(&again));
    assert_eq!(grid_before, grid_after);
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() <= LEFT_OUT * a.abs()));
    let mask = |session: &Session| session.model.masking.mask.ready().expect("a mask").mask.inside.clone();
    assert_eq!(mask(&session), mask(&again));
    until(&mut again, "what the mask says", |session| session.model.masking.report().is_some());
    assert_eq!(again.gallery.kept.ready().map(|kept| kept.len()), Some(1));
}
