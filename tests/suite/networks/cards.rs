//! Networks in files of other programs, behind cards: how they are fed, what they answer, and what is refused.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use parallax::exchange::Model;
use parallax::job::Monitor;
use parallax::latent_shift::Options;
use parallax::models::{self, Card, Draft, Probabilities, Role};
use parallax::pipeline::{self, Input, Request, Target};
use parallax::preprocess::{Axes, Recipe};
use parallax::ui::Start;

use crate::support;
use crate::window::driven::{click, says, type_path, until, window};

/// The networks beside `tests/data/networks/make.py`, in a folder of their own with cards.
pub(crate) struct Files(tempfile::TempDir);

pub(crate) const CLASSIFIER: &str = "role = \"classifier\"\nweights = \"classifier.onnx\"\nlabels = [\"a\", \"b\", \"c\"]\n[recipe]\n\
                          axes = \"RAS\"\nspacing_mm = [8, 7, 9]\nsize = [20, 24, 16]\nhu = [-1000, 400]\nrange = [-1, 1]\n";
pub(crate) const SLICES: &str = "role = \"classifier\"\nweights = \"slices.onnx\"\nactivation = \"sigmoid\"\n[recipe]\naxes = \"AR\"\n\
                      spacing_mm = [7, 7, 8]\nhu = [-160, 240]\nchannels = 3\n";
pub(crate) const SEGMENTER: &str = "role = \"segmenter\"\nweights = \"segmenter.onnx\"\nactivation = \"softmax\"\n\
                         labels = [\"air\", \"tissue\"]\n[recipe]\naxes = \"SPL\"\nspacing_mm = [8, 8, 8]\nsize = [16, 16, 0]\n";
pub(crate) const AUTOENCODER: &str = "encoder = \"encoder.onnx\"\ndecoder = \"decoder.onnx\"\nlatents = \"mean\"\n[recipe]\naxes = \"LP\"\n\
                           spacing_mm = [6, 6, 9]\nrange = [-1, 1]\n";

pub(crate) const BLOCKS: &str = "encoder = \"blocks_encoder.onnx\"\ndecoder = \"blocks_decoder.onnx\"\n[recipe]\naxes = \"RAS\"\n\
                      spacing_mm = [11, 13, 12]\nrange = [-1, 1]\n";

impl Files {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let networks =
            ["classifier", "slices", "findings", "encoder", "decoder", "segmenter", "blocks_encoder", "blocks_decoder"];
        for name in networks.into_iter().chain(["tiles_encoder", "tiles_decoder"]) {
            let file = format!("{name}.onnx");
            std::fs::copy(support::data(&format!("networks/{file}")), folder.path().join(file)).expect("copied");
        }
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn card(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

pub(crate) fn scan() -> PathBuf {
    support::data("nifti/syn_permuted.nii.gz")
}

fn open(recipe: &Recipe) -> Input {
    pipeline::open(&scan(), recipe, &Monitor::default()).expect("a scan")
}

fn predicted(card: &Path) -> (Input, Vec<f64>) {
    let model = pipeline::load_classifier(card, &Monitor::default()).unwrap_or_else(|e| panic!("{e:#}"));
    let input = open(&model.recipe);
    let scores = pipeline::predict(&input, &model, &Monitor::default()).expect("scores");
    (input, scores.into_iter().map(|(_, score)| score).collect())
}

/// What a file's output is for a tensor.
fn answer(network: &Path, shape: &[usize], numbers: Vec<f32>) -> Vec<f32> {
    let x = Tensor::from_vec(numbers, shape, &Device::Cpu).expect("a tensor");
    let graph = Model::open(network).and_then(|model| model.graph(&[shape], &["answer"], DType::F32, &Device::Cpu));
    let plan = support::plan_for(&graph.expect("a graph"), std::slice::from_ref(&x)).expect("a plan");
    support::output(&plan, &x).flatten_all().and_then(|y| y.to_vec1()).expect("numbers")
}

/// Both sides compute the same operations in f32; one of them scales by way of the unit.
const ROUNDING: f64 = 1e-5;

fn near(got: &[f64], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - f64::from(*want)).abs() < ROUNDING, "{got}, where the file itself has {want}");
    }
}

#[test]
fn a_classifier_of_volumes_is_given_the_axes_size_and_numbers_that_its_card_says() {
    let files = Files::new();
    let (input, scores) = predicted(&files.card("c.toml", CLASSIFIER));
    let volume = &input.prepared.volume;
    assert_eq!(volume.grid.shape, [20, 24, 16]);
    // Columns run to the left, rows to the back: R and A are their reverse.
    let mut tensor = Vec::new();
    for r in 0..20 {
        for a in 0..24 {
            for s in 0..16 {
                tensor.push(volume.voxels.at((s * 24 + (23 - a)) * 20 + (19 - r)) * 2.0 - 1.0);
            }
        }
    }
    near(&scores, &answer(&files.path("classifier.onnx"), &[1, 1, 20, 24, 16], tensor));
    assert!((scores.iter().sum::<f64>() - 1.0).abs() < ROUNDING, "a softmax");
}

#[test]
fn a_classifier_of_slices_gives_the_largest_answer_of_all_slices() {
    let files = Files::new();
    let (input, scores) = predicted(&files.card("s.toml", SLICES));
    let volume = &input.prepared.volume;
    let [columns, rows, slices] = volume.grid.shape;
    assert_eq!([columns, rows], [24, 24], "the file's own size");
    let mut largest = [f32::NEG_INFINITY; 2];
    for slice in 0..slices {
        let mut tensor = Vec::new();
        for _channel in 0..3 {
            for a in 0..24 {
                tensor.extend((0..24).map(|r| volume.voxels.at((slice * 24 + (23 - a)) * 24 + (23 - r))));
            }
        }
        let logits = answer(&files.path("slices.onnx"), &[1, 3, 24, 24], tensor);
        largest.iter_mut().zip(logits).for_each(|(largest, logit)| *largest = largest.max(logit));
    }
    near(&scores, &largest.map(|logit| 1.0 / (1.0 + (-logit).exp())));
}

#[test]
fn a_segmenter_is_scored_by_the_share_of_the_volume_that_each_class_has() {
    let files = Files::new();
    let (input, scores) = predicted(&files.card("g.toml", SEGMENTER));
    let [_, _, slices] = input.prepared.volume.grid.shape;
    let tensor: Vec<f32> = input.prepared.volume.voxels.iter().collect();
    let maps = answer(&files.path("segmenter.onnx"), &[1, 1, slices, 16, 16], tensor);
    let (air, tissue) = maps.split_at(maps.len() / 2);
    let shares = air.iter().zip(tissue).map(|(air, tissue)| 1.0 / (1.0 + f64::from(tissue - air).exp()));
    let share = (shares.sum::<f64>() / air.len() as f64) as f32;
    near(&scores, &[share, 1.0 - share]);
}

fn request(autoencoder: &Path, classifier: &Path) -> Request {
    let monitor = Monitor::default();
    let classifier = pipeline::load_classifier(classifier, &monitor).unwrap_or_else(|e| panic!("{e:#}"));
    Request {
        autoencoder: pipeline::load_autoencoder(autoencoder, &monitor).unwrap_or_else(|e| panic!("{e:#}")),
        target: Target::Classes { classifier, terms: vec![(1, 1.0)], offset: 0.0 },
        slab: None,
        options: Options { range: Some([-20.0, 20.0]), steps: 3, ..Options::default() },
    }
}

#[test]
fn an_autoencoder_and_classifiers_of_other_recipes_in_files_are_explained_together() {
    let files = Files::new();
    let autoencoder = files.card("a.toml", AUTOENCODER);
    // What these random networks decode lies beyond a window of soft tissue: there the clip lets no gradient through.
    let wide = SLICES.replace("[-160, 240]", "[-1000, 900]");
    for (name, text) in [("c.toml", CLASSIFIER.to_owned()), ("s.toml", wide.clone()), ("g.toml", SEGMENTER.to_owned())]
    {
        let request = request(&autoencoder, &files.card(name, &text));
        let input = open(request.recipe().expect("a recipe"));
        assert_eq!(input.prepared.volume.grid.shape[..2], [32, 32], "the encoder's own size");
        let result =
            pipeline::explain(&input, &request, &Monitor::default()).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        let [below, at, above] = [0, 1, 2].map(|step| result.steps[step].score);
        assert!(
            below <= at && at <= above && below < above,
            "{name}: the score follows its gradient: {below} {at} {above}"
        );
        assert_eq!(result.latent_shape, [result.grid.shape[2], 4, 8, 8], "{name}: means, not variances");
    }
}

/// The mean of the block of 2 x 2 x 2 that a voxel of a stack lies in.
fn block_mean(volume: &parallax::volume::Volume, at: usize) -> f32 {
    let [columns, rows, _] = volume.grid.shape;
    let place = [at % columns, at / columns % rows, at / (columns * rows)].map(|place| place / 2 * 2);
    let of = |corner: usize| {
        let [i, j, k] = [0, 1, 2].map(|axis| place[axis] + (corner >> axis & 1));
        volume.voxels.at((k * rows + j) * columns + i)
    };
    (0..8).map(of).sum::<f32>() / 8.0
}

#[test]
fn an_autoencoder_of_volumes_puts_each_voxel_where_it_was_and_a_slab_among_what_stays() {
    let files = Files::new();
    // Of one window with the autoencoder: no clip, at whose edge air would stand.
    let classifier = CLASSIFIER.replace("hu = [-1000, 400]", "hu = [-1000, 1000]");
    let request = request(&files.card("b.toml", BLOCKS), &files.card("c.toml", &classifier));
    let input = open(request.recipe().expect("a recipe"));
    let stack = &input.prepared.volume;
    assert_eq!(stack.grid.shape, [16, 12, 8], "R, A, S of the file");
    // Slices 2 and 3 are one plane of latents; slice 4 is half of the next, whose other half stays with its slice.
    let options = Options { range: Some([-1.0, 1.0]), ..request.options.clone() };
    let request = Request { slab: Some(2..5), options, ..request };
    let result = pipeline::explain(&input, &request, &Monitor::default()).unwrap_or_else(|e| panic!("{e:#}"));
    assert_eq!(result.latent_shape, [4, 1, 6, 8], "planes, channels, rows, columns");
    for (at, got) in result.reconstruction.voxels.iter().enumerate() {
        assert!((got - block_mean(stack, at)).abs() < 1e-6, "voxel {at}");
    }
    let [below, at, above] = [0, 1, 2].map(|step| result.steps[step].score);
    assert!(below < at && at < above, "the score follows its gradient: {below} {at} {above}");
    let moved: Vec<bool> = result.gradient.chunks(48).map(|plane| plane.iter().any(|g| *g != 0.0)).collect();
    assert_eq!(moved, [false, true, true, false], "the planes that the slab comes from");
    // Central differences of the score along one latent, through slices that are decoded of the whole.
    let (low, high) = (&result.steps[0], &result.steps[2]);
    let slope = (high.score - low.score) / (high.lambda - low.lambda);
    let square: f64 = result.gradient.iter().map(|g| f64::from(*g).powi(2)).sum();
    assert!((slope / square - 1.0).abs() < 0.05, "{slope} along a gradient of length {square}");
}

#[test]
fn cards_that_contradict_the_file_are_refused_with_what_to_do() {
    let files = Files::new();
    let recipe = "[recipe]\naxes = \"RAS\"\n";
    let of = |text: &str| text.to_owned();
    for (text, word) in [
        (of("weights = \"classifier.onnx\"\n"), "neither `kind`"),
        (
            of("kind = \"vqgan\"\nrole = \"classifier\"\nweights = \"classifier.onnx\"\n"),
            "role is for networks in files",
        ),
        (of("encoder = \"encoder.onnx\"\n"), "an autoencoder in files encoder and decoder"),
        (of("role = \"autoencoder\"\nweights = \"encoder.onnx\"\n"), "an autoencoder is two files"),
        (CLASSIFIER.replace("labels = [\"a\", \"b\", \"c\"]", "labels = [\"a\", \"b\"]"), "2 labels for 3 classes"),
        (CLASSIFIER.replace("labels", "output = \"fc\"\nlabels"), "it has no output \"fc\""),
        (CLASSIFIER.replace("labels", "activation = \"sigmoid\"\nlabels"), "ends in a softmax already"),
        (CLASSIFIER.replace("\"RAS\"", "\"PL\""), "takes volumes: give it three letters"),
        (CLASSIFIER.replace("hu =", "channels = 3\nhu ="), "set recipe.channels = 1"),
        (SLICES.replace("\"AR\"", "\"RAS\""), "takes slices: give it two letters"),
        (SLICES.replace("channels = 3", ""), "set recipe.channels = 3"),
        (
            SLICES.replace("channels = 3", "channels = 3\nsize = [32, 24, 0]"),
            "has 32 voxels along R-L, and the network takes 24",
        ),
        (SLICES.replace("activation = \"sigmoid\"\n", ""), "must say how its numbers become scores"),
        (CLASSIFIER.replace("role = \"classifier\"", "role = \"segmenter\""), "say role = \"classifier\""),
        (SEGMENTER.replace("role = \"segmenter\"", "role = \"classifier\""), "say role = \"segmenter\""),
        (CLASSIFIER.replace("classifier.onnx", "nowhere.onnx"), "nowhere.onnx"),
        (format!("encoder = \"blocks_encoder.onnx\"\ndecoder = \"decoder.onnx\"\n{recipe}"), "decoder"),
        (BLOCKS.replace("\"RAS\"", "\"LP\""), "takes volumes: give it three letters"),
        (
            AUTOENCODER.replace("latents = \"mean\"\n", ""),
            "takes 4 channels, half of the 8 that the encoder gives: the others are a logarithm of the variance, so say latents = \"mean\"",
        ),
        (AUTOENCODER.replace("latents = \"mean\"\n", ""), "/decoder.onnx"),
        (SLICES.replace("classifier", "embedder"), "activation says nothing here: an embedding is compared as it is"),
        (CLASSIFIER.replace("role = \"classifier\"", "role = \"embedder\""), "labels says nothing here"),
        (SEGMENTER.replace("activation = \"softmax\"", "deviations = \"answer\""), "deviations says nothing here"),
        (AUTOENCODER.replace("latents", "deviations = \"answer\"\nlatents"), "has the logarithm of the variance"),
        (AUTOENCODER.replace("latents = \"mean\"", "deviations = \"sigma\""), "it has no output \"sigma\""),
        (AUTOENCODER.replace("axes", "z_score = true\naxes"), "cannot be undone behind a decoder"),
    ] {
        let card = files.card("card.toml", &text);
        let error = if text.contains("coder") {
            pipeline::load_autoencoder(&card, &Monitor::default()).err()
        } else {
            pipeline::load_classifier(&card, &Monitor::default()).err()
        };
        let said = error.map_or_else(|| panic!("{text}: it was loaded"), |error| pipeline::in_words(&error));
        assert!(said.contains(word), "{text}\n{said}");
    }
}

#[test]
fn a_file_without_a_card_is_not_guessed_at() {
    let files = Files::new();
    let error =
        pipeline::load_classifier(&files.path("classifier.onnx"), &Monitor::default()).err().expect("no recipe");
    assert!(pipeline::in_words(&error).contains("write a model card classifier.toml"), "{error:#}");
    // With a card of its name beside it, the file opens by it.
    let mut text = CLASSIFIER.to_owned();
    text.push_str("clip = false\n");
    files.card("classifier.toml", &text);
    let model = pipeline::load_classifier(&files.path("classifier.onnx"), &Monitor::default()).expect("a classifier");
    assert!(!model.recipe.clip);
}

#[test]
fn the_hash_of_a_network_is_that_of_its_files() {
    let files = Files::new();
    let of =
        |card: &Path| pipeline::load_autoencoder(card, &Monitor::default()).expect("an autoencoder").sha256.clone();
    let card = files.card("a.toml", AUTOENCODER);
    let before = of(&card);
    let bytes = std::fs::read(files.path("decoder.onnx")).expect("bytes");
    let mut changed = bytes.clone();
    let at = changed.len() - 200;
    changed[at] ^= 1;
    std::fs::write(files.path("decoder.onnx"), changed).expect("written");
    let after = pipeline::load_autoencoder(&card, &Monitor::default()).map(|model| model.sha256.clone());
    assert!(after.map_or(true, |after| after != before), "another decoder is another network");
}

#[test]
fn a_bundle_of_monai_opens_as_it_is() {
    let files = Files::new();
    let bundle = files.path("bundle");
    for folder in ["configs", "models"] {
        std::fs::create_dir_all(bundle.join(folder)).expect("a folder");
    }
    std::fs::copy(files.path("classifier.onnx"), bundle.join("models/model.onnx")).expect("copied");
    let inference = serde_json::json!({"preprocessing": {"_target_": "Compose", "transforms": [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [8, 7, 9], "mode": "bilinear"},
        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1000, "a_max": 400, "b_min": -1, "b_max": 1, "clip": true},
        {"_target_": "ResizeWithPadOrCropd", "keys": "image", "spatial_size": [20, 24, 16], "value": -1},
    ]}});
    std::fs::write(bundle.join("configs/inference.json"), inference.to_string()).expect("written");
    let labels = serde_json::json!({"network_data_format": {"outputs": {"pred": {"channel_def": {"0": "x", "1": "y", "2": "z"}}}}});
    std::fs::write(bundle.join("configs/metadata.json"), labels.to_string()).expect("written");
    let model = pipeline::load_classifier(&bundle, &Monitor::default()).unwrap_or_else(|e| panic!("{e:#}"));
    assert_eq!(model.network.labels(), ["x", "y", "z"]);
    let (_, by_card) = predicted(&files.card("c.toml", CLASSIFIER));
    let (_, by_bundle) = predicted(&bundle);
    assert_eq!(by_bundle, by_card);
}

#[test]
fn a_card_that_the_wizard_writes_says_what_was_chosen() {
    let files = Files::new();
    let facts = models::facts(&files.path("slices.onnx")).expect("facts");
    assert_eq!((facts.role, facts.classes, facts.activation), (Role::Classifier, Some(2), None));
    let mut draft = Draft::of(&facts);
    assert_eq!(draft.missing(&facts).len(), 4, "nothing that matters is guessed");
    draft.axes = Some(Axes::of("AR").expect("axes"));
    draft.spacing_mm = Some([0.0, 0.0, 5.0]);
    draft.hu = Some([-160.0, 240.0]);
    draft.activation = Some(Probabilities::Softmax);
    draft.labels = "one\n two \n".to_owned();
    assert!(draft.missing(&facts).is_empty());
    let card = files.card("slices.toml", &draft.card(&facts).expect("a card"));
    let card = Card::open(&card).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(card.labels, Some(vec!["one".to_owned(), "two".to_owned()]));
    let expected = Recipe {
        axes: Axes::of("AR").expect("axes"),
        spacing_mm: [0.0, 0.0, 5.0],
        size: [24, 24, 0],
        hu: [-160.0, 240.0],
        channels: 3,
        ..Recipe::default()
    };
    assert_eq!(card.recipe, expected);
    assert_eq!(models::facts(&files.path("classifier.onnx")).expect("facts").activation, Some(Probabilities::Softmax));
    assert_eq!(models::facts(&files.path("segmenter.onnx")).expect("facts").role, Role::Segmenter);
    let encoder = Draft::of(&models::facts(&files.path("encoder.onnx")).expect("facts"));
    assert_eq!((encoder.role, encoder.decoder.as_str()), (Role::Autoencoder, "decoder.onnx"));
}

#[test]
fn the_window_asks_how_a_network_without_a_card_is_fed_and_writes_the_card() {
    let files = Files::new();
    let mut window = window(Start { scan: Some(scan()), ..Start::default() });
    until(&mut window, "the scan", |w| says(w, "the networks see 30 slices"));
    type_path(&mut window, "Classifier", &files.path("classifier.onnx"));
    until(&mut window, "the wizard", |w| says(w, "How is classifier.onnx fed?"));
    until(&mut window, "the preview", |w| says(w, "tensor 1 x 1 x"));
    assert!(says(&window, "Still to be said: the order of the axes, the spacing, the window of HU"));
    for (question, answer) in [
        ("Order of its axes", "RAS: MONAI's and nibabel's order, [right, front, head]"),
        ("Spacing it was trained on", "2 x 2 x 2 mm"),
        ("HU it was given", "-1000 to 400 HU, lung"),
    ] {
        click(&mut window, question);
        click(&mut window, answer);
    }
    until(&mut window, "all that is asked", |w| says(w, "The card is written to"));
    click(&mut window, "Write the card and load");
    until(&mut window, "the network", |w| says(w, "classifier.toml is loaded"));
    assert!(files.path("classifier.toml").exists());
}

/// The self-check that `assets/export.py` writes beside a network, with an answer that is `off`.
fn self_check(files: &Files, off: f32) {
    let network = files.path("classifier.onnx");
    let numbers: Vec<f32> = (0..4096_u16).map(|at| f32::from(at % 97) / 97.0).collect();
    let x = Tensor::from_vec(numbers, (1, 1, 16, 16, 16), &Device::Cpu).expect("a tensor");
    let graph = Model::open(&network).and_then(|model| model.graph(&[x.dims()], &["answer"], DType::F32, &Device::Cpu));
    let plan = support::plan_for(&graph.expect("a graph"), std::slice::from_ref(&x)).expect("a plan");
    let cotangent = Tensor::new(&[[1.0_f32, -0.5, 0.25]], &Device::Cpu).expect("a tensor");
    let [y, gradient] = support::pulled(&plan, &x, |_| Ok(cotangent.clone()));
    let y = (y * f64::from(1.0 + off)).expect("numbers");
    let tensors = [("x", x), ("y", y), ("cotangent", cotangent), ("gradient", gradient)];
    let tensors = tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
    candle_core::safetensors::save(&tensors, files.path("classifier.check.safetensors")).expect("written");
}

#[test]
fn a_network_that_answers_otherwise_than_its_export_recorded_is_loaded_only_when_told_to() {
    let files = Files::new();
    let card = files.card("c.toml", CLASSIFIER);
    let words = |card: &Path| {
        let model = pipeline::load_classifier(card, &Monitor::default()).unwrap_or_else(|e| panic!("{e:#}"));
        model.self_check.words().expect("words")
    };
    assert!(words(&card).contains("no self-check"));
    self_check(&files, 0.0);
    assert!(words(&card).contains("same as where it was exported"));
    let of_another = CLASSIFIER
        .replace("labels = [\"a\", \"b\", \"c\"]", "output = \"/ReduceMean_output_0\"\nactivation = \"none\"");
    assert!(words(&files.card("m.toml", &of_another)).contains("names was not compared"));
    let wrong = Files::new();
    let card = wrong.card("c.toml", CLASSIFIER);
    self_check(&wrong, 0.1);
    let scan = scan();
    let predict = |more: &[&str]| {
        let args =
            [&["predict", scan.to_str().expect("plain"), "--classifier", card.to_str().expect("plain")], more].concat();
        std::process::Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
    };
    let refused = predict(&[]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--despite-check"), "the way out");
    let told = predict(&["--despite-check"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("it is not what was exported"));
    // Every result says so.
    let (autoencoder, out) = (wrong.card("a.toml", AUTOENCODER), wrong.path("out"));
    let explained = std::process::Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(
            ["explain", "--despite-check", "--target", "b", "--range=-20:20", "--steps=2", "--export=png,html"]
                .map(std::ffi::OsStr::new),
        )
        .args([
            scan.as_os_str(),
            "--classifier".as_ref(),
            card.as_ref(),
            "--autoencoder".as_ref(),
            autoencoder.as_ref(),
        ])
        .args(["--out".as_ref(), out.as_os_str()])
        .output()
        .expect("the binary runs");
    assert!(explained.status.success(), "{}", String::from_utf8_lossy(&explained.stderr));
    for file in ["result.json", "report.html", "panes.png"] {
        let bytes = std::fs::read(out.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(String::from_utf8_lossy(&bytes).contains("it is not what was exported"), "{file}");
    }
}

#[cfg(unix)]
#[test]
fn a_card_names_a_file_of_hugging_faces_cache_and_where_it_is_missing_the_command_that_fetches_it() {
    let files = Files::new();
    let repository = files.path("hub/models--someone--net");
    for inside in ["refs", "blobs", "snapshots/0af1/onnx"] {
        std::fs::create_dir_all(repository.join(inside)).expect("a folder");
    }
    std::fs::write(repository.join("refs/main"), "0af1").expect("written");
    std::fs::rename(files.path("classifier.onnx"), repository.join("blobs/b10b")).expect("moved");
    let link = repository.join("snapshots/0af1/onnx/classifier.onnx");
    std::os::unix::fs::symlink("../../../blobs/b10b", link).expect("a link");
    let predict = |weights: &str| {
        let card = files.card("hub.toml", &CLASSIFIER.replace("classifier.onnx", weights));
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_parallax"));
        command.arg("predict").arg(scan()).arg("--classifier").arg(card).env("HF_HUB_CACHE", files.path("hub"));
        let output = command.output().expect("the binary runs");
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        (output.status.code(), said)
    };
    for weights in ["hf://someone/net/onnx/classifier.onnx", "hf://someone/net@0af1/onnx/classifier.onnx"] {
        let (code, said) = predict(weights);
        assert_eq!(code, Some(0), "{weights}: {said}");
    }
    let (code, said) = predict("hf://someone/net/other.onnx");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("huggingface-cli download someone/net other.onnx"), "{said}");
}

#[test]
fn a_self_check_of_another_file_is_refused_in_words() {
    let files = Files::new();
    let card = files.card("c.toml", CLASSIFIER);
    self_check(&files, 0.0);
    let path = files.path("classifier.check.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).expect("tensors");
    let words = [("sha256".to_owned(), "0".repeat(64))].into();
    safetensors::serialize_to_file(&tensors, Some(words), &path).expect("written");
    let error = pipeline::load_classifier(&card, &Monitor::default()).err().expect("another file's");
    assert!(pipeline::in_words(&error).contains("is the self-check of another file"), "{error:#}");
}
