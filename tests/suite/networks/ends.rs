//! How networks of other programs begin and end: batches, channels that come last, single numbers, activations that are written out,
//! numbers of classes.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use parallax::exchange::{Activation, Model};
use parallax::job::Monitor;
use parallax::pipeline;

use crate::networks::cards::{Files, scan};
use crate::support;

/// A folder with some of the networks of `tests/data/networks/ends.py`.
fn with(networks: &[&str]) -> Files {
    let files = Files::new();
    for name in networks {
        std::fs::copy(support::data(&format!("networks/{name}")), files.path(name)).expect("copied");
    }
    files
}

fn card(files: &Files, network: &str, more: &str, axes: &str) -> PathBuf {
    let text = format!(
        "weights = \"{network}\"\n{more}\n[recipe]\naxes = \"{axes}\"\nspacing_mm = [8, 8, 8]\nsize = [12, 12, 12]\n"
    );
    files.card("card.toml", &text)
}

fn scores(card: &Path) -> Vec<f64> {
    let model = pipeline::load_classifier(card, &Monitor::default()).unwrap_or_else(|e| panic!("{e:#}"));
    let input = pipeline::open(&scan(), &model.recipe, &Monitor::default()).expect("a scan");
    let scores = pipeline::predict(&input, &model, &Monitor::default()).unwrap_or_else(|e| panic!("{e:#}"));
    scores.into_iter().map(|(_, score)| score).collect()
}

fn refused(card: &Path) -> String {
    let loaded = pipeline::load_classifier(card, &Monitor::default()).map(drop);
    format!("{:#}", loaded.expect_err("it is refused"))
}

/// The scan of all tests as `[12, 12, 12]` numbers along R, A, S.
fn tensor() -> Vec<f32> {
    let files = with(&["single.onnx"]);
    let card = card(&files, "single.onnx", "role = \"classifier\"\nactivation = \"none\"", "RAS");
    let recipe = pipeline::recipe(&card).expect("a recipe");
    let volume = pipeline::open(&scan(), &recipe, &Monitor::default()).expect("a scan").prepared.volume;
    let place = |at: usize| (at % 12 * 12 + (11 - at / 12 % 12)) * 12 + (11 - at / 144);
    (0..1728).map(|at| volume.voxels.at(place(at))).collect()
}

/// What a file's output is for a tensor.
fn answer(network: &str, shape: &[usize], output: &str) -> Vec<f64> {
    let x = Tensor::from_vec(tensor(), shape, &Device::Cpu).expect("a tensor");
    let model = Model::open(&support::data(&format!("networks/{network}"))).expect("a network");
    let graph = model.graph(&[shape], &[output], DType::F32, &Device::Cpu).expect("a graph");
    let y = support::output(&support::plan_for(&graph, std::slice::from_ref(&x)).expect("a plan"), &x);
    y.to_dtype(DType::F64).and_then(|y| y.flatten_all()?.to_vec1()).expect("numbers")
}

/// Both sides compute the same operations in f32, in another order.
const ROUNDING: f64 = 1e-5;

fn near(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    assert!(
        got.iter().zip(want).all(|(got, want)| (got - want).abs() < ROUNDING),
        "{got:?}, where the file has {want:?}"
    );
}

#[test]
fn an_activation_that_is_written_out_is_known_as_what_it_is() {
    let wanted = [
        Some((Activation::Softmax, true)),
        Some((Activation::Softmax, true)),
        Some((Activation::LogSoftmax, true)),
        Some((Activation::LogSoftmax, true)),
        Some((Activation::LogSoftmax, true)),
        Some((Activation::LogSoftmax, true)),
        Some((Activation::Sigmoid, true)),
        None,
        Some((Activation::Softmax, false)),
    ];
    for file in ["written.onnx", "written.pt2"] {
        let model = Model::open(&support::data(&format!("networks/{file}"))).expect("a network");
        let mut before = std::collections::BTreeSet::new();
        for (port, wanted) in model.outputs().iter().zip(wanted) {
            let ending = model.ending(&port.name);
            let found = ending.as_ref().map(|ending| (ending.activation, ending.is_of_classes(2, 1)));
            assert_eq!(found, wanted, "{file}: {}", port.name);
            before.extend(ending.map(|ending| ending.before));
        }
        assert_eq!(before.len(), 1, "{file}: they are all of the same logits: {before:?}");
    }
}

#[test]
fn the_number_of_the_largest_class_is_scored_by_the_maps_before_it_and_says_so() {
    let files = with(&["argmax.onnx", "argmax.pt2"]);
    let labels = "role = \"segmenter\"\nlabels = [\"a\", \"b\", \"c\"]";
    let mut found = Vec::new();
    for file in ["argmax.onnx", "argmax.pt2"] {
        let path = card(&files, file, labels, "RAS");
        let model = pipeline::load_classifier(&path, &Monitor::default()).unwrap_or_else(|e| panic!("{file}: {e:#}"));
        let notes: Vec<String> = model.notes().collect();
        assert!(notes.iter().any(|note| note.contains("is the number of the largest class")), "{notes:?}");
        let told = std::process::Command::new(env!("CARGO_BIN_EXE_parallax"))
            .args([
                "predict".as_ref(),
                scan().as_os_str(),
                "--json".as_ref(),
                "--classifier".as_ref(),
                path.as_os_str(),
            ])
            .output()
            .expect("the binary runs");
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("JSON on standard output");
        assert_eq!(told["classifier"]["notes"], serde_json::json!(notes), "a program that asks is told too");
        found.push(scores(&path));
    }
    near(&found[0], &found[1]);
    // The maps themselves, by name.
    let model = Model::open(&files.path("argmax.onnx")).expect("a network");
    let before = model.choice("answer").expect("an argmax").before;
    let maps = answer("argmax.onnx", &[1, 1, 12, 12, 12], &before);
    let shares: Vec<f64> = maps.chunks(1728).map(|map| map.iter().sum::<f64>() / 1728.0).collect();
    near(&found[0], &shares);
    let as_it_is = refused(&card(&files, "argmax.onnx", &format!("{labels}\nactivation = \"none\""), "RAS"));
    assert!(as_it_is.contains("has no gradient") && as_it_is.contains("leave `activation` out"), "{as_it_is}");
    let step = format!("{labels}\noutput = \"step\"\nactivation = \"none\"");
    let step = refused(&card(&files, "argmax.onnx", &step, "RAS"));
    assert!(step.contains("no gradient comes from the output \"step\""), "{step}");
}

#[test]
fn a_network_of_a_fixed_batch_is_refused_with_the_way_out() {
    let files = with(&["batch.onnx"]);
    let said = refused(&card(&files, "batch.onnx", "role = \"classifier\"\nactivation = \"softmax\"", "RAS"));
    for word in ["takes 2 samples at a time", "[2, 1, 12, 12, 12]", "a batch of 1", "dynamic_axes"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_single_number_without_axes_is_one_output_of_one_scan() {
    let files = with(&["single.onnx", "single_slices.onnx"]);
    let regression = "role = \"classifier\"\nactivation = \"none\"\nlabels = [\"volume\"]";
    near(
        &scores(&card(&files, "single.onnx", regression, "RAS")),
        &answer("single.onnx", &[1, 1, 12, 12, 12], "answer"),
    );
    let said = refused(&card(&files, "single_slices.onnx", regression, "RA"));
    assert!(said.contains("of two slices, where one answer to each is wanted"), "{said}");
}

#[test]
fn channels_that_come_last_are_given_last() {
    let files = with(&["last.onnx", "last_encoder.onnx", "last_decoder.onnx"]);
    let classifier = "role = \"classifier\"\nactivation = \"none\"";
    let path = card(&files, "last.onnx", classifier, "RASC");
    near(&scores(&path), &answer("last.onnx", &[1, 12, 12, 12, 1], "answer"));
    let maps = answer("last.onnx", &[1, 12, 12, 12, 1], "maps");
    let share = |class: usize| maps.iter().skip(class).step_by(3).sum::<f64>() / 1728.0;
    let segmenter = card(&files, "last.onnx", "role = \"segmenter\"\noutput = \"maps\"", "RASC");
    near(&scores(&segmenter), &[0, 1, 2].map(share));
    let said = refused(&card(&files, "last.onnx", classifier, "RAS"));
    assert!(said.contains("channels"), "{said}");
    let text = "encoder = \"last_encoder.onnx\"\ndecoder = \"last_decoder.onnx\"\n[recipe]\naxes = \"PLC\"\nspacing_mm = [8, 8, 9]\n";
    let autoencoder = pipeline::load_autoencoder(&files.card("a.toml", text), &Monitor::default());
    let autoencoder = autoencoder.unwrap_or_else(|e| panic!("{e:#}"));
    let stack = Tensor::rand(0_f32, 1.0, (2, 1, 16, 16), &Device::Cpu).expect("a stack");
    let latents = autoencoder.network.encode(&stack, &|_, _| Ok(())).expect("latents");
    assert_eq!(latents.dims(), [2, 4, 8, 8]);
    let decoded = autoencoder.network.decoder(latents.dims(), [16, 16]).expect("a plan");
    assert_eq!(decoded.outputs(), [&[2, 1, 16, 16]]);
    // The first slice's latents, as the file itself has them.
    let model = Model::open(&files.path("last_encoder.onnx")).expect("a network");
    let one = stack.narrow(0, 0, 1).and_then(|x| x.reshape((1, 16, 16, 1))).expect("a slice");
    let graph = model.graph(&[&[1, 16, 16, 1]], &["answer"], DType::F32, &Device::Cpu).expect("a graph");
    let own = support::output(&support::plan_for(&graph, std::slice::from_ref(&one)).expect("a plan"), &one);
    let own = own.permute((0, 3, 1, 2)).and_then(|own| own.contiguous()).expect("channels second");
    assert!(support::worst(&own, &latents.narrow(0, 0, 1).expect("the first")) < ROUNDING);
}

#[test]
fn what_a_network_would_see_is_named_in_the_order_of_its_file() {
    let files = with(&["batch.onnx"]);
    let shape = |axes: &str| {
        let card = card(&files, "batch.onnx", "role = \"classifier\"", axes);
        let card = parallax::models::Card::open(&card).expect("a card");
        let scan = parallax::io::open(&scan(), &Monitor::default()).expect("a scan");
        pipeline::seen(&scan, &card.recipe, &Monitor::default()).expect("a picture").shape
    };
    assert_eq!(shape("RAS"), [1, 1, 12, 12, 12]);
    assert_eq!(shape("RASC"), [1, 12, 12, 12, 1]);
}
