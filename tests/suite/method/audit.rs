//! The audit: its metrics against arrays made by hand, the saliency methods against what defines them, and the command.

use std::path::Path;
use std::process::{Command, Output};

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use glam::{DAffine3, DVec3};
use parallax::audit::curves::SHARES;
use parallax::audit::metrics::{self, Localisation};
use parallax::graph::ops::Conv;
use parallax::job::Monitor;
use parallax::latent_shift::saliency::{self, MOST_CUBES, Method};
use parallax::models::{Card, Classifier, Probabilities};
use parallax::pipeline;
use parallax::preprocess::Recipe;
use parallax::quality;
use parallax::volume::phantom::{Dials, Finding, Mask};
use parallax::volume::{Grid, Volume};
use parallax::weights::Checkpoint;

use crate::networks::gradients::random;
use crate::support::{self, relative};
use crate::tiny_models::{LABELS, TinyModels};

fn grid(shape: [usize; 3], spacing_mm: [f64; 3]) -> Grid {
    Grid { shape, world_from_voxel: DAffine3::from_scale(DVec3::from_array(spacing_mm)) }
}

pub(super) fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[test]
fn dice_marks_as_many_voxels_as_the_mask_has_and_shares_ties() {
    let mask = [true, true, false, false, false];
    let dice = |map: [f32; 5]| metrics::dice_at_matched_area(&map, &mask);
    assert!(near(dice([5.0, 4.0, 1.0, 0.0, 0.0]), 1.0));
    assert!(near(dice([5.0, 1.0, 4.0, 0.0, 0.0]), 0.5));
    assert!(near(dice([0.0, 0.0, 1.0, 2.0, 3.0]), 0.0));
    // One voxel is sure; the other is one of three that tie, one of them in the mask.
    assert!(near(dice([5.0, 1.0, 1.0, 1.0, 0.0]), 2.0 / 3.0));
    // A map of nothing is chance.
    assert!(near(dice([0.0; 5]), 2.0 / 5.0));
    assert_eq!(metrics::dice_at_matched_area(&[1.0, 2.0], &[false, false]), 0.0);
}

#[test]
fn energy_and_pointing_are_what_a_hand_counts() {
    let map = [1.0_f32, 2.0, 3.0, 4.0];
    let mask = [false, true, false, true];
    assert!(near(metrics::energy_share(&map, &mask), 0.6));
    assert_eq!(metrics::energy_share(&[0.0; 4], &mask), 0.0);
    assert_eq!(metrics::pointing(&map, &mask), 1.0);
    assert_eq!(metrics::pointing(&[4.0, 2.0, 3.0, 1.0], &mask), 0.0);
    assert!(near(metrics::pointing(&[4.0, 4.0, 3.0, 4.0], &mask), 2.0 / 3.0));
    let all = Localisation::of(&map, &mask, &[true; 4]);
    assert!(near(all.energy_rim, 1.0) && near(all.dice, 0.5) && near(all.energy_inside, 0.6));
}

#[test]
fn the_rim_is_every_voxel_within_reach_by_brute_force_on_a_grid_that_is_not_cubic() {
    let grid = grid([13, 11, 7], [1.9, 1.1, 3.0]);
    let noise: Vec<f32> = random(&[grid.len()], 3).to_dtype(DType::F32).and_then(|t| t.to_vec1()).expect("numbers");
    let mask: Vec<bool> = noise.iter().enumerate().map(|(i, v)| *v > 0.9 && i % 3 == 0).collect();
    assert!(quality::count(&mask) > 2 && quality::count(&mask) < 60, "{}", quality::count(&mask));
    let place = |i: usize| DVec3::new((i % 13) as f64 * 1.9, (i / 13 % 11) as f64 * 1.1, (i / 143) as f64 * 3.0);
    for reach_mm in [0.5, 3.0, 5.0] {
        let rim = metrics::rim(&mask, &grid, reach_mm);
        for (i, is_near) in rim.iter().enumerate() {
            let brute = (0..mask.len()).any(|j| mask[j] && place(i).distance(place(j)) <= reach_mm);
            assert_eq!(*is_near, brute, "{:?} at {reach_mm} mm", place(i));
        }
    }
}

/// A tiny classifier in f64, and the stack of a ball.
fn classifier() -> (Arc<Classifier>, Tensor) {
    let models = TinyModels::new();
    let card = Card::open(&models.card("classifier")).expect("a card");
    let checkpoint = Checkpoint::open(&card.weights).expect("weights");
    let network = support::classifier(support::network(&card, &checkpoint, DType::F64));
    let stack = support::tensors(&models.stack(6))["stack"].to_dtype(DType::F64).expect("a stack");
    (network, stack)
}

fn logit(classifier: &Classifier, stack: &Tensor, label: usize) -> f64 {
    let logits = support::output(&classifier.plan(stack.dims()).expect("a plan"), stack);
    logits.flatten_all().and_then(|logits| logits.to_vec1::<f64>()).expect("numbers")[label]
}

fn sum(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).and_then(|product| product.sum_all()?.to_scalar::<f64>()).expect("a number")
}

/// Of central differences in f64: as in the gradient of a run.
const STEP: f64 = 1e-5;
const DIFFERENCE: f64 = 1e-7;

#[test]
fn the_plain_gradient_is_the_slope_of_its_own_logit() {
    let ((network, stack), monitor) = (classifier(), Monitor::default());
    let labels = [3, 0];
    let both = saliency::gradients(&network, &stack, &labels, &monitor).expect("gradients");
    for (&label, gradient) in labels.iter().zip(&both) {
        let alone = saliency::gradients(&network, &stack, &[label], &monitor).expect("a gradient");
        assert!(relative(gradient, &alone[0]) <= 1e-12, "label {label}: together is not alone");
        let norm = sum(gradient, gradient).sqrt();
        for seed in [50, 60, 70] {
            let direction = random(stack.dims(), seed);
            let direction = (&direction / sum(&direction, &direction).sqrt()).expect("a direction");
            let at = |step: f64| {
                let moved = (&direction * step).and_then(|move_by| &stack + move_by).expect("moved");
                logit(&network, &moved, label)
            };
            let (slope, share) = ((at(STEP) - at(-STEP)) / (2.0 * STEP), sum(gradient, &direction));
            assert!((slope - share).abs() <= DIFFERENCE * norm, "label {label}: {slope} is not {share}, of {norm}");
        }
    }
}

/// Of the midpoint rule with 16 parts on a network of ReLUs, as a share of all that the voxels add and take away.
const COMPLETENESS: f64 = 1e-3; // 3e-4 is measured

#[test]
fn integrated_gradients_add_up_to_the_difference_from_air() {
    let ((network, stack), monitor) = (classifier(), Monitor::default());
    let labels = [0, 1, 4];
    let shares = saliency::integrated_gradients(&network, &stack, &labels, &monitor).expect("shares");
    let air = stack.zeros_like().expect("air");
    for (label, shares) in labels.into_iter().zip(&shares) {
        let whole = logit(&network, &stack, label) - logit(&network, &air, label);
        let sum = sum(shares, &shares.ones_like().expect("ones"));
        let all = shares.abs().and_then(|sizes| sizes.sum_all()?.to_scalar::<f64>()).expect("a number");
        assert!((sum - whole).abs() <= COMPLETENESS * all, "label {label}: {sum} is not {whole}, of {all}");
    }
}

/// A logit that is the sum of a box, and one that is its opposite: a convolution whose kernel is the whole volume, `[slices, 1, h, w]`.
pub(super) fn toy(inside: &Tensor) -> Classifier {
    let sum = inside.permute((1, 0, 2, 3)).expect("a volume");
    let kernel = Tensor::stack(&[&sum, &sum.neg().expect("its opposite")], 0).expect("two classes");
    let sums = Conv::new(&kernel, None).expect("a convolution");
    let graph = support::graph_of(|g, stack| {
        let [slices, _, h, w] = *inside.dims() else { panic!("a stack") };
        let volume = g.reshape(stack, &[Some(1), Some(1), Some(slices), Some(h), Some(w)]);
        let logits = g.conv(volume, sums);
        g.reshape(logits, &[Some(1), None])
    });
    let labels = ["sum", "opposite"].map(str::to_owned).to_vec();
    Classifier::new(graph, &Recipe::default(), labels, Probabilities::Sigmoid, DType::F32, &Device::Cpu)
}

#[test]
fn occlusion_finds_a_planted_blob_and_nothing_else() {
    let grid = grid([24, 20, 10], [7.0, 7.0, 7.0]);
    let inside: Vec<bool> = (0..grid.len())
        .map(|i| (9..13).contains(&(i % 24)) && (6..10).contains(&(i / 24 % 20)) && (3..6).contains(&(i / 480)))
        .collect();
    let ones: Vec<f32> = inside.iter().map(|is| f32::from(u8::from(*is))).collect();
    let weights = Tensor::from_vec(ones, (10, 1, 20, 24), &Device::Cpu).expect("weights");
    let toy = toy(&weights);
    let voxels: Vec<f32> = inside.iter().map(|is| if *is { 0.9 } else { 0.5 }).collect();
    let stack = Volume::from_f32(grid, voxels);
    let maps =
        |method| saliency::maps(method, &stack, [2000.0, -1000.0], &toy, &[0, 1], &Monitor::default()).expect("maps");
    let occlusion = maps(Method::Occlusion);
    let map = &occlusion[0];
    // Cubes of four voxels begin at multiples of four; the blob touches those from 8 to 16, 4 to 12, 0 to 8.
    for (i, value) in map.iter().enumerate() {
        let (x, y, z) = (i % 24, i / 24 % 20, i / 480);
        let touched = (8..16).contains(&x) && (4..12).contains(&y) && z < 8;
        assert_eq!(*value > 0.0, touched, "{value} at {x} {y} {z}");
    }
    let found = Localisation::of(map, &inside, &metrics::rim(&inside, &grid, 7.0));
    let chance = quality::count(&inside) as f64 / inside.len() as f64;
    assert!(found.dice > 10.0 * chance && found.pointing > 10.0 * chance, "{found:?}, by chance {chance}");
    assert!(occlusion[1].iter().all(|value| *value == 0.0), "hiding it raises the opposite");
    for method in [Method::Gradient, Method::IntegratedGradients] {
        assert!(metrics::energy_share(&maps(method)[0], &inside) > 0.999, "{method:?}");
    }
}

#[test]
fn cubes_cover_the_patient_alone_and_are_never_too_many() {
    let grid = grid([90, 70, 50], [4.0, 4.0, 4.0]);
    // A hollow tube, as a chest is: the air within belongs to the patient, that without does not.
    let voxel = |i: usize| {
        let (x, y) = ((i % 90) as f32 - 44.5, (i / 90 % 70) as f32 - 34.5);
        let r = (x / 40.0).hypot(y / 30.0);
        if (0.8..1.0).contains(&r) { 0.5 } else { 0.05 }
    };
    let stack = Volume::from_f32(grid, (0..grid.len()).map(voxel).collect::<Vec<f32>>());
    let cubes = saliency::cubes(&stack, 0.25);
    assert!(cubes.len() > MOST_CUBES / 3 && cubes.len() <= MOST_CUBES, "{} cubes", cubes.len());
    let covers = |at: [usize; 3]| cubes.iter().any(|cube| (0..3).all(|axis| cube[axis].contains(&at[axis])));
    assert!(covers([45, 35, 25]) && covers([20, 35, 1]) && !covers([1, 1, 25]) && !covers([89, 69, 25]));
    let air = Volume::from_f32(grid, vec![0.05_f32; grid.len()]);
    assert!(saliency::cubes(&air, 0.25).is_empty());
}

/// Of a mask's volume. A nodule of a few hundred voxels loses or gains some at its edge.
const VOLUME: f64 = 0.05;

#[test]
fn marks_on_the_prepared_grid_keep_their_volume_and_their_side() {
    let dials = Dials { effusion: 0.7, nodule: 0.9, cardiomegaly: 0.8, emphysema: 0.6 };
    for recipe in [Recipe::default(), Recipe { spacing_mm: [3.0, 3.0, 4.0], ..Recipe::of_side(112) }] {
        let (phantom, input) = pipeline::draw(5, dials, &recipe, &Monitor::default()).expect("a phantom");
        let prepared = &input.prepared.volume;
        let masks = phantom.masks_on(&prepared.grid);
        let [slope, offset] = recipe.hu_from_unit();
        let findings = Finding::ALL.map(Finding::mask);
        for mask in [Mask::RightLung, Mask::LeftLung, Mask::Body].into_iter().chain(findings) {
            let there = measure(&phantom.volume, &phantom.masks, mask, |hu| hu);
            let here = measure(prepared, &masks, mask, |unit| slope * unit + offset);
            let case = format!("{mask:?} at {:?} mm: {there:?}, then {here:?}", recipe.spacing_mm);
            assert!((here.volume / there.volume - 1.0).abs() < VOLUME, "{case}");
            // A slice that does not fit at the end, or a shoulder beyond the field of view, moves the middle of the body.
            assert!(here.center.distance(there.center) < recipe.spacing_mm[2] / 2.0, "{case}");
            // The picture moved with its masks. Coarser voxels blur the edge of a nodule: it is 43 HU darker at 4 mm.
            assert!((here.hu - there.hu).abs() < 60.0, "{case}");
        }
        // Column 0 is the patient's right.
        let column = |mask: Mask| {
            let of = (0..masks.len()).filter(|i| masks[*i] & mask as u8 != 0).map(|i| (i % recipe.size[0]) as f64);
            of.clone().sum::<f64>() / of.count() as f64
        };
        assert!(column(Mask::RightLung) + 20.0 < column(Mask::LeftLung));
    }
}

#[derive(Debug)]
struct Measured {
    volume: f64,
    center: DVec3,
    hu: f64,
}

fn measure(volume: &Volume, masks: &[u8], mask: Mask, hu: impl Fn(f32) -> f32) -> Measured {
    let [ni, nj, _] = volume.grid.shape;
    let of: Vec<usize> = (0..masks.len()).filter(|i| masks[*i] & mask as u8 != 0).collect();
    let n = of.len() as f64;
    let place = |i: &usize| DVec3::new((i % ni) as f64, (i / ni % nj) as f64, (i / ni / nj) as f64);
    Measured {
        volume: n * volume.grid.spacing_mm().iter().product::<f64>(),
        center: volume.grid.world_from_voxel.transform_point3(of.iter().map(place).sum::<DVec3>() / n),
        hu: of.iter().map(|i| f64::from(hu(volume.voxels.at(*i)))).sum::<f64>() / n,
    }
}

fn parallax(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

const AUDITED: [&str; LABELS.len()] = ["emphysema", "effusion", "other", "nodule", "cardiomegaly"];

/// A phantom with this finding and no other.
fn seed_with(finding: Finding) -> u64 {
    let only = |seed: &u64| {
        let there = Finding::ALL.map(|f| Dials::random(*seed).of(f) > 0.0);
        there == Finding::ALL.map(|f| f == finding)
    };
    (0..1000).find(only).expect("one in sixteen")
}

/// All that there are, in the order of the tables.
const METHODS: [&str; 6] =
    ["latent_shift", "gradient", "integrated_gradients", "occlusion", "rise", "grad_cam_plus_plus"];

#[test]
fn a_small_audit_writes_its_table_and_its_files() {
    let models = TinyModels::sure(AUDITED, 1.0);
    let seed = seed_with(Finding::Effusion);
    let seeds = format!("{seed}:{}", seed + 1);
    let (json, csv) = (models.folder.path().join("audit.json"), models.folder.path().join("audit.csv"));
    let page = models.folder.path().join("audit.html");
    let (ae, clf) = (models.card("autoencoder"), models.card("classifier"));
    let run = ["audit", "--seeds", &seeds, "--autoencoder", text(&ae), "--classifier", text(&clf)];
    let run = [run.as_slice(), &["--json", text(&json), "--csv", text(&csv), "--report", text(&page)]].concat();
    let every = "latent-shift,gradient,integrated,occlusion,rise,grad-cam";
    let run = [run.as_slice(), &["--curves", "--methods", every]].concat();
    let output = parallax(&run);
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{complaints}");
    assert!(said.contains("integrated gradients") && said.contains("effusion: the score reaches the target"), "{said}");
    assert!(said.contains("nodule: no case was explained") && said.contains("Research use only"), "{said}");

    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&json).expect("a file")).expect("JSON, as promised");
    assert_eq!(report["seeds"], serde_json::json!([seed, seed + 1]));
    assert_eq!(report["search"], "path");
    assert!(report["notice"].as_str().is_some_and(|notice| notice.contains("Research use only")));
    for model in ["autoencoder", "classifier"] {
        assert_eq!(report["models"][model]["sha256"].as_str().map(str::len), Some(64), "{model}");
    }
    let effusion = &report["findings"]["effusion"];
    assert_eq!((effusion["cases"].as_u64(), effusion["missed"].as_u64()), (Some(1), Some(0)));
    for method in METHODS {
        for measure in ["dice", "iou", "energy_inside", "energy_rim", "pointing", "sparsity", "deletion", "insertion"] {
            let value = effusion["methods"][method][measure].as_f64();
            assert!(value.is_some_and(|value| (0.0..=1.0).contains(&value)), "{method} {measure}: {value:?}");
        }
    }
    let measured = ["proximity_hu", "changed_body_share", "sparsity"];
    for number in
        ["validity", "drift", "monotonicity", "reconstruction_gap", "chance", "seconds"].iter().chain(&measured)
    {
        assert!(effusion[number].as_f64().is_some_and(|value| value >= 0.0), "{number}: {}", effusion[number]);
    }
    for score in ["scan", "reconstruction", "counterfactual", "truth"] {
        assert!(effusion["scores"][score].as_f64().is_some_and(|p| (0.0..=1.0).contains(&p)), "{score}");
    }
    let error = |region: &str, of: &str| effusion["hu_error"][region][of].as_f64().expect("HU");
    // Where the finding is, the scan is far from the truth; elsewhere it is the truth.
    assert!(error("inside", "no_change") > 200.0 && error("outside", "no_change") < 10.0);
    assert!(error("inside", "counterfactual") > 0.0 && error("outside", "detail_kept") >= 0.0);
    assert_eq!(report["findings"]["nodule"]["cases"], 0);
    assert!(report["findings"]["nodule"]["methods"]["gradient"]["dice"].is_null());
    // One case has no interval and no Frechet distance, and both are said.
    assert!(effusion["intervals"]["validity"].is_null() && effusion["intervals"]["methods"]["rise"]["iou"].is_null());
    assert!(effusion["realism"]["why_not"].as_str().is_some_and(|why| why.contains("10 cases at least, not 1")));
    assert!(effusion["realism"]["scan_to_truth"].is_null());
    assert_eq!(report["settings"]["methods"], serde_json::json!(METHODS));
    assert_eq!(report["settings"]["curves"]["shares"].as_array().map(Vec::len), Some(SHARES.len()));

    let table = std::fs::read_to_string(&csv).expect("a file");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 1 + METHODS.len(), "{table}");
    assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{table}");
    assert!(lines[1][1] == "effusion" && lines[1][5] == "latent_shift" && lines[2][5] == "gradient", "{table}");

    let html = std::fs::read_to_string(&page).expect("a page");
    for words in
        ["Research use only", "SYNTHETIC: all scans are phantoms", "Grad-CAM++", "Deletion", "<svg", "effusion"]
    {
        assert!(html.contains(words), "{words}");
    }
    assert!(!html.contains("<script") && !html.contains("http"), "it loads nothing and runs nothing");
    assert!(!html.contains("NaN") && !html.contains("inf,"), "no drawing has a number that is none");
    #[cfg(unix)]
    for file in [&json, &csv, &page] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }

    // The same again is refused before anything is computed.
    let again = parallax(&run);
    let complaints = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.code() == Some(1) && complaints.contains("the file exists"), "{complaints}");
    assert!(!complaints.contains("loading"), "{complaints}");
}

#[test]
fn a_finding_that_is_not_seen_is_missed_and_no_zero_in_a_mean() {
    let models = TinyModels::sure(AUDITED, -9.0);
    let seed = seed_with(Finding::Nodule);
    let (seeds, json) = (format!("{seed}:{}", seed + 1), models.folder.path().join("audit.json"));
    let (ae, clf) = (models.card("autoencoder"), models.card("classifier"));
    let run = ["audit", "--seeds", &seeds, "--finding", "nodule", "--json", text(&json)];
    let output = parallax(&[run.as_slice(), &["--autoencoder", text(&ae), "--classifier", text(&clf)]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).expect("a file")).expect("JSON");
    let findings = report["findings"].as_object().expect("an object");
    assert_eq!(findings.keys().collect::<Vec<_>>(), ["nodule"]);
    let nodule = &findings["nodule"];
    assert_eq!((nodule["cases"].as_u64(), nodule["missed"].as_u64()), (Some(0), Some(1)));
    assert!(nodule["validity"].is_null() && nodule["summary"].as_str().is_some_and(|s| s.contains("not explained")));
}

#[test]
fn what_cannot_be_audited_is_refused_in_words() {
    let (named, unnamed) = (TinyModels::sure(AUDITED, 1.0), TinyModels::new());
    let (ae, clf, other) = (named.card("autoencoder"), named.card("classifier"), unnamed.card("classifier"));
    let cards = ["--autoencoder", text(&ae), "--classifier", text(&clf)];
    let fails = |args: &[&str], code: i32, words: &str| {
        let output = parallax(&[&["audit"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && said.contains(words), "{args:?}: {:?} {said}", output.status);
    };
    fails(&[&["--finding", "fracture"], cards.as_slice()].concat(), 2, "no finding \"fracture\"; there are effusion");
    fails(&[&["--seeds", "7:7"], cards.as_slice()].concat(), 2, "holds no seed");
    fails(&[&["--seeds", "7"], cards.as_slice()].concat(), 2, "want A:B");
    fails(&["--classifier", text(&clf)], 2, "--autoencoder CARD is missing");
    fails(&["--autoencoder", text(&ae)], 2, "--classifier CARD is missing");
    fails(&["--autoencoder", text(&ae), "--classifier", text(&other)], 3, "no class \"effusion\"");
    let seed = seed_with(Finding::Effusion);
    let seeds = format!("{seed}:{}", seed + 1);
    let none = ["--seeds", &seeds, "--finding", "nodule", "--finding", "emphysema"];
    fails(&[none.as_slice(), &cards].concat(), 3, "has nodule or emphysema; choose more seeds");
    fails(&[&["--seeds", "0:99999999999"], cards.as_slice()].concat(), 3, "choose fewer");
    fails(&[&["--json", "/no/such/folder/a.json"], cards.as_slice()].concat(), 1, "no such folder");
}

#[cfg(unix)]
#[test]
fn an_interrupted_audit_writes_nothing_and_exits_with_4() {
    use std::io::{BufRead, BufReader};

    let models = TinyModels::sure(AUDITED, 1.0);
    let json = models.folder.path().join("audit.json");
    let (ae, clf) = (models.card("autoencoder"), models.card("classifier"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(["audit", "--seeds", "0:1000", "--autoencoder", text(&ae), "--classifier", text(&clf)])
        .args(["--json", text(&json)])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text").contains("auditing")), "it began");
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(4), "{rest:?}");
    assert!(!json.exists(), "half an audit was written");
}
