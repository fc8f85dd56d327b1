//! The 3-D DenseNet against MONAI's, on two small ones of DenseNet-121's structure.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use parallax::job::Monitor;
use parallax::models::{Card, Classifier, Network, NetworkKind, Probabilities};
use parallax::pipeline;
use parallax::preprocess::Recipe;
use parallax::weights::Checkpoint;

use crate::support::{self, relative, worst};

/// The goldens were computed in f64 and stored in f32: of the largest number of a tensor.
const STORED: f64 = 1e-7;
/// f32 sums in another order, and Winograd's rounding in every block, of the largest number of a tensor: 1.2e-4 is measured. PyTorch's own
/// are up to 2e-5 from the goldens.
const SINGLE: f64 = 3e-4;
/// Of the largest gradient, in f32: where a ReLU's sum is almost 0, the last bit decides whether a gradient passes. 1.3e-4 is measured.
const SINGLE_GRADIENT: f64 = 5e-4;

const NAMES: [&str; 2] = ["small", "one_logit"];

fn goldens() -> HashMap<String, Tensor> {
    support::tensors(&support::data("densenet/golden.safetensors"))
}

/// As a checkpoint without a card is loaded, but fed what it was recorded with: HU / 1024, in the order of a file.
fn network(name: &str, dtype: DType) -> Arc<Classifier> {
    let card = Card::open(&support::data(&format!("densenet/{name}.pt"))).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(Some(card.kind), NetworkKind::named("densenet"));
    assert!(card.side.is_none() && card.turned, "fed at the stack's own size, in the order of a file");
    let card = Card { turned: false, recipe: Recipe { hu: [0.0, 1024.0], ..card.recipe }, ..card };
    let checkpoint = Checkpoint::open(&card.weights).unwrap_or_else(|e| panic!("{e}"));
    support::classifier(support::network(&card, &checkpoint, dtype))
}

/// `[1, 1, x, y, z]` to `[z, 1, x, y]`.
fn stack(volume: &Tensor, dtype: DType) -> Tensor {
    volume.squeeze(0).and_then(|v| v.permute((3, 0, 1, 2))?.contiguous()?.to_dtype(dtype)).expect("a volume")
}

fn near(what: &str, got: &Tensor, wanted: &Tensor, tolerance: f64) {
    let (gap, size) = (worst(got, wanted), worst(wanted, &wanted.zeros_like().expect("zeros")));
    assert!(gap <= tolerance * size, "{what}: off by {gap:e} of {size:e}");
}

#[test]
fn logits_scores_and_gradients_equal_monais() {
    let g = goldens();
    for (name, (dtype, tolerance)) in
        NAMES.iter().flat_map(|name| [(DType::F64, STORED), (DType::F32, SINGLE)].map(|of| (name, of)))
    {
        let get = |field: &str| &g[&format!("{name}.{field}")];
        let (network, x) = (network(name, dtype), stack(get("x"), dtype));
        let kind = network.probabilities();
        assert_eq!(kind, if *name == "small" { Probabilities::Softmax } else { Probabilities::Sigmoid });
        let last = network.labels().len() - 1;
        let plan = network.plan(x.dims()).expect("a plan");
        let [logits, gradient] = support::pulled(&plan, &x, |logits| {
            let one = Tensor::ones((1, 1), dtype, &Device::Cpu)?;
            kind.vjp(logits, &logits.zeros_like()?.slice_assign(&[0..1, last..last + 1], &one)?)
        });
        let case = format!("{name}, {dtype:?}");
        near(&format!("{case}: logits"), &logits, get("logits"), tolerance);
        let score = kind.of(&logits).and_then(|p| p.narrow(1, last, 1)?.flatten_all()).expect("a score");
        near(&format!("{case}: score"), &score, get("score"), tolerance);
        let tolerance = if dtype == DType::F64 { STORED } else { SINGLE_GRADIENT };
        near(&format!("{case}: gradient"), &gradient, &stack(get("gradient"), dtype), tolerance);
        let gap = relative(&gradient.to_dtype(DType::F64).expect("f64"), &stack(get("gradient"), DType::F64));
        assert!(gap <= tolerance, "{case}: gradient off by {gap:e}");
    }
}

#[test]
fn every_layer_gives_what_monais_gives() {
    let g = goldens();
    for name in NAMES {
        let (network, x) = (network(name, DType::F64), stack(&g[&format!("{name}.x")], DType::F64));
        // Dense blocks are no values of a fused graph: norms read their parts.
        for layer in ["pool0", "transition1", "transition2", "transition3"] {
            let got = support::activation(&network.graph(x.dims()).expect("a graph"), &format!("features.{layer}"), &x);
            let got = got.permute((0, 1, 3, 4, 2)).expect("a volume");
            near(&format!("{name} {layer}"), &got, &g[&format!("{name}.{layer}")], STORED);
        }
    }
}

/// The checkpoint's tensors, changed, in a folder of their own.
fn changed(change: impl FnOnce(&mut HashMap<String, Tensor>)) -> (tempfile::TempDir, Card) {
    let checkpoint = Checkpoint::open(&support::data("densenet/small.pt")).unwrap_or_else(|e| panic!("{e}"));
    let builder = checkpoint.builder(DType::F32);
    let tensor = |name: &str| builder.get(checkpoint.shape(name).expect("listed").to_vec(), name).expect(name);
    let mut tensors = checkpoint.names().map(|name| (name.to_owned(), tensor(name))).collect();
    change(&mut tensors);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("w.safetensors");
    candle_core::safetensors::save(&tensors, &path).expect("written");
    (folder, Card::open(&path).unwrap_or_else(|e| panic!("{e}")))
}

fn refusal(card: &Card) -> String {
    let checkpoint = Checkpoint::open(&card.weights).unwrap_or_else(|e| panic!("{e}"));
    Network::of(card, &checkpoint, DType::F32, &Device::Cpu).map(drop).expect_err("not a DenseNet").to_string()
}

#[test]
fn a_tensor_that_is_missing_or_of_another_shape_is_named_with_the_shape_that_belongs_there() {
    let norm = "features.denseblock2.denselayer3.layers.norm1.weight";
    let (_folder, card) = changed(|tensors| drop(tensors.remove(norm)));
    let message = refusal(&card);
    assert!(message.contains(norm) && message.contains("[16]"), "{message}");
    let head = "class_layers.out.weight";
    let other = Tensor::zeros((2, 5), DType::F32, &Device::Cpu).expect("zeros");
    let (_folder, card) = changed(|tensors| drop(tensors.insert(head.to_owned(), other)));
    let message = refusal(&card);
    assert!(message.contains(head) && message.contains("[2, 17]") && message.contains("[2, 5]"), "{message}");
}

#[test]
fn a_prefix_before_all_names_changes_nothing() {
    let (_folder, card) = changed(|tensors| {
        *tensors = tensors.drain().map(|(name, tensor)| (format!("model.{name}"), tensor)).collect();
    });
    assert_eq!(Some(card.kind), NetworkKind::named("densenet"));
    let checkpoint = Checkpoint::open(&card.weights).unwrap_or_else(|e| panic!("{e}"));
    let prefixed = support::classifier(support::network(&card, &checkpoint, DType::F32));
    let plain = Card::open(&support::data("densenet/small.pt")).unwrap_or_else(|e| panic!("{e}"));
    let checkpoint = Checkpoint::open(&plain.weights).unwrap_or_else(|e| panic!("{e}"));
    let plain = support::classifier(support::network(&plain, &checkpoint, DType::F32));
    let x = stack(&goldens()["small.x"], DType::F32);
    let [a, b] = [prefixed, plain].map(|network| support::output(&network.plan(x.dims()).expect("a plan"), &x));
    assert_eq!(worst(&a, &b), 0.0);
}

#[test]
fn labels_are_those_of_the_card_or_numbers() {
    assert_eq!(network("small", DType::F32).labels(), ["class 0", "class 1"]);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(support::data("densenet/small.pt"), folder.path().join("w.pt")).expect("copied");
    let of = |labels: &str| {
        let path: &Path = &folder.path().join("card.toml");
        std::fs::write(path, format!("kind = \"densenet\"\nweights = \"w.pt\"\nlabels = {labels}\n")).expect("written");
        Network::load(&Card::open(path).unwrap_or_else(|e| panic!("{e}")), &Device::Cpu).map(|loaded| loaded.network)
    };
    let named = support::classifier(of("[\"no diabetes\", \"diabetes\"]").unwrap_or_else(|e| panic!("{e}")));
    assert_eq!(named.labels(), ["no diabetes", "diabetes"]);
    let message = of("[\"diabetes\"]").map(drop).expect_err("two classes").to_string();
    assert!(message.contains("1 labels for 2 classes"), "{message}");
}

#[test]
fn a_card_that_does_not_say_which_way_slices_lie_is_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(support::data("densenet/small.pt"), folder.path().join("w.pt")).expect("copied");
    let card = folder.path().join("card.toml");
    let notes = |turned: &str| {
        std::fs::write(&card, format!("kind = \"densenet\"\nweights = \"w.pt\"\n{turned}")).expect("written");
        let model = pipeline::load_classifier(&card, &Monitor::default()).unwrap_or_else(|e| panic!("{e:#}"));
        model.notes().filter(|note| note.contains("turned")).count()
    };
    assert_eq!([notes(""), notes("turned = true\n"), notes("turned = false\n")], [1, 0, 0]);
}
