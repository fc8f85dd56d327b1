//! The networks against the published code, on small random weights.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use parallax::models::{
    self, Autoencoder, Card, Classifier, Error, I3ResNet, LungUnet, Network, Segmenter, Vqgan, label_index,
};
use parallax::preprocess::Recipe;
use parallax::weights::Checkpoint;

use crate::support::{self, relative, worst};

/// f32 sums in another order; activations are of size 1.
const FORWARD: f64 = 1e-4;
const GRADIENT: f64 = 1e-3;
/// Before they are quantised latents are as large as 23: there PyTorch's f32 is up to 7e-5 from f64, ours up to 1.1e-4.
const LATENTS: f64 = 2e-4;
/// Our f32 against f64, where no rounding decides a tie.
const UNTIED: f64 = 1e-4;
/// f32 sums in another order, of the gradient's length.
const BY_HAND: f64 = 1e-5;

fn card(name: &str) -> Option<(Card, Checkpoint)> {
    let path = support::shared(&format!("goldens/models/{name}"))?;
    let card = Card::open(&path).unwrap_or_else(|e| panic!("{e}"));
    let checkpoint = Checkpoint::open(&card.weights).unwrap_or_else(|e| panic!("{e}"));
    Some((card, checkpoint))
}

fn goldens(name: &str) -> std::collections::HashMap<String, Tensor> {
    support::tensors(&support::shared(&format!("goldens/{name}.safetensors")).expect("beside the models"))
}

/// `[1, 1, h, w, slices]` to `[slices, 1, h, w]`.
fn stack(volume: &Tensor) -> Tensor {
    volume.permute((4, 1, 2, 3, 0)).and_then(|t| t.squeeze(4)?.contiguous()).expect("a volume")
}

fn gradient(x: &Tensor, score: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Tensor {
    let var = Var::from_tensor(x).expect("a variable");
    let gradients = score(&var).and_then(|s| s.backward()).expect("a score");
    gradients.get(&var).expect("a gradient").clone()
}

#[test]
fn the_autoencoders_equal_the_published_ones() {
    for name in ["vqgan_small", "vqgan_small_f64"] {
        let Some((card, checkpoint)) = card(&format!("{name}.toml")) else { return };
        let network = Vqgan::load(&card, &checkpoint, DType::F32, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
        let g = goldens(name);
        let near = |what: &str, got: &Tensor, tolerance: f64| {
            let gap = worst(got, &g[what]);
            assert!(gap <= tolerance, "{name} {what}: off by {gap:e}");
        };
        let input = network.model_input(&g["x"]).expect("input");
        near("model_input", &input, 1e-5);
        let continuous = network.continuous_latents(&input).expect("latents");
        near("act.quant_conv", &continuous, LATENTS);
        let codes = network.codes(&continuous).and_then(|c| c.flatten_all()?.to_dtype(DType::I64)).expect("codes");
        assert_eq!(
            codes.to_vec1::<i64>().expect("codes"),
            g["code_indices"].to_vec1::<i64>().expect("codes"),
            "{name}"
        );
        let z = network.encode(&g["x"]).expect("latents");
        near("z", &z, 1e-5);
        let (_, _, h, w) = g["x"].dims4().expect("a stack");
        near("recon", &network.decode(&z, [h, w]).expect("decoded"), FORWARD);
        let grad = gradient(&g["z"], |z| (network.decode(z, [h, w])? * &g["cotangent"])?.sum_all());
        let gap = relative(&grad, &g["grad_z"]);
        assert!(gap <= GRADIENT, "{name} grad_z: off by {gap:e}");
    }
}

#[test]
fn every_slice_is_decoded_as_the_slice_wrapper_does() {
    let Some((card, checkpoint)) = card("vqgan_small.toml") else { return };
    let network = Vqgan::load(&card, &checkpoint, DType::F32, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    let g = goldens("sliceae_small");
    let input = stack(&g["volume"]);
    let z = network.encode(&input).expect("latents");
    assert!(worst(&z, &g["z_full"]) <= 1e-5);
    let decoded = network.decode(&z, [56, 56]).expect("decoded");
    assert!(worst(&decoded, &stack(&g["recon_full"])) <= FORWARD);
    // One slice alone is what it is among others: the claim that chunks rest on.
    let alone = network.decode(&z.narrow(0, 3, 1).expect("slice 3"), [56, 56]).expect("decoded");
    assert!(worst(&alone, &decoded.narrow(0, 3, 1).expect("slice 3")) <= 1e-6);
    // `SliceAECrop`: slices 2..4 encoded and decoded, the others kept as they are.
    let crop = stack(&g["crop_recon"]);
    assert!(worst(&decoded.narrow(0, 2, 2).expect("2..4"), &crop.narrow(0, 2, 2).expect("2..4")) <= FORWARD);
    for start in [0, 4] {
        let kept = |stack: &Tensor| stack.narrow(0, start, 2).expect("2 slices on either side");
        assert!(worst(&kept(&input), &kept(&crop)) == 0.0, "slices from {start}");
    }
    assert!(worst(&z.narrow(0, 2, 2).expect("2..4"), &g["crop_z"]) <= 1e-5);
}

#[test]
fn the_lung_segmenter_equals_the_published_one() {
    for name in ["lungmask_small.toml", "lungmask_small_legacy.pth"] {
        let Some((card, checkpoint)) = card(name) else { return };
        let network = LungUnet::load(&card, &checkpoint, DType::F32, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
        let g = goldens("lungmask_small");
        let out =
            |x: &Tensor| network.log_probabilities(x).and_then(|l| candle_nn::ops::sigmoid(&l)).expect("segmented");
        let log = network.log_probabilities(&g["slice"]).expect("segmented");
        assert!(worst(&log, &g["slice_logsoftmax"]) <= FORWARD, "{name}");
        assert!(worst(&out(&g["slice"]), &g["slice_out"]) <= FORWARD, "{name}");
        assert!(worst(&out(&g["slice_56"]), &g["slice_56_out"]) <= FORWARD, "{name}");
        // [1, classes, h, w, slices] to [slices, classes, h, w]
        let volume = g["volume_out"].permute((4, 1, 2, 3, 0)).and_then(|t| t.squeeze(4)).expect("a volume");
        assert!(worst(&out(&stack(&g["volume"])), &volume) <= FORWARD, "{name}");
        let g = goldens("lungmask_small_grad");
        let grad = gradient(&g["slice"], |x| {
            1.0 - candle_nn::ops::sigmoid(&network.log_probabilities(x)?.narrow(1, 0, 1)?)?.mean_all()?
        });
        let gap = relative(&grad, &g["grad_of_1_minus_mean_ch0"]);
        assert!(gap <= GRADIENT, "{name}: gradient off by {gap:e}");
        // By hand as by the graph, where levels fit and where they are cropped.
        let slices = goldens("lungmask_small");
        for slice in ["slice", "slice_56"] {
            let (log, back) = network.trail(&slices[slice]).expect("segmented");
            let of_log = gradient(&log, |log| candle_nn::ops::sigmoid(&log.narrow(1, 0, 1)?)?.mean_all());
            let graph = gradient(&slices[slice], |x| {
                candle_nn::ops::sigmoid(&network.log_probabilities(x)?.narrow(1, 0, 1)?)?.mean_all()
            });
            let gap = relative(&back(&of_log).expect("a gradient"), &graph);
            assert!(gap <= BY_HAND, "{name}, {slice}: off by {gap:e} from the graph's");
        }
    }
}

/// The gradient of a score of the logits by the stages' own trails.
fn by_hand(network: &dyn Classifier, stack: &Tensor, score: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Tensor {
    let (stages, mut trails, mut at) = (network.stages(), Vec::new(), stack.clone());
    for stage in &stages {
        let (next, back) = stage.trail(&at).expect("a stage");
        trails.push(back);
        at = next;
    }
    trails.iter().rev().fold(gradient(&at, score), |gradient, back| back(&gradient).expect("a gradient"))
}

fn logits(network: &dyn Classifier, stack: &Tensor) -> candle_core::Result<Tensor> {
    network.stages().iter().try_fold(stack.clone(), |x, stage| stage.forward(&x))
}

#[test]
fn the_classifier_equals_the_published_one() {
    let Some((card, checkpoint)) = card("phecode_small.toml") else { return };
    let load = |side| {
        let card = Card { side: Some(side), ..card.clone() };
        I3ResNet::load(&card, &checkpoint, DType::F32, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"))
    };
    let network = load(64);
    let g = goldens("phecode_small");
    let probabilities =
        |volume: &str| logits(&network, &stack(&g[volume])).and_then(|l| candle_nn::ops::sigmoid(&l)).expect("scores");
    assert!(worst(&probabilities("volume"), &g["probs"]) <= 1e-5);
    assert!(worst(&probabilities("volume_56x56x7"), &g["probs_56x56x7"]) <= 1e-5);
    // `model_only` is fed without the turn.
    let untouched =
        I3ResNet::load(&Card { side: None, turned: false, ..card.clone() }, &checkpoint, DType::F32, &Device::Cpu)
            .unwrap_or_else(|e| panic!("{e}"));
    assert!(worst(&logits(&untouched, &stack(&g["volume"])).expect("logits"), &g["model_only_logits"]) <= FORWARD);
    let grad = gradient(&stack(&g["volume"]), |x| candle_nn::ops::sigmoid(&logits(&network, x)?)?.get(0)?.get(3));
    // PyTorch's f32 stands on ties here: ours is held to PyTorch's f64, and to the recorded one by what lies between those.
    let exact =
        stack(&support::tensors(&support::data("gradients/f64.safetensors"))["phecode_small.grad_probs3_wrt_volume"]);
    let (recorded, gap) = (stack(&g["grad_probs3_wrt_volume"]), relative(&grad, &exact));
    assert!(gap <= UNTIED, "gradient off by {gap:e} from f64");
    let by_hand = by_hand(&network, &stack(&g["volume"]), |l| candle_nn::ops::sigmoid(l)?.get(0)?.get(3));
    let gap = relative(&by_hand, &grad);
    assert!(gap <= BY_HAND, "off by {gap:e} from the graph's");
    let (gap, tied) = (relative(&grad, &recorded), relative(&recorded, &exact));
    assert!(gap <= tied + UNTIED, "gradient off by {gap:e}, {tied:e} of which are the recorded one's ties");
}

/// A classifier without blocks: a stem of one channel, and a head. Its classes are all that is asked of it.
fn headed(classes: usize) -> (tempfile::TempDir, Card) {
    let mut tensors = std::collections::HashMap::new();
    let mut add = |name: &str, shape: &[usize]| {
        let ones = Tensor::ones(shape, DType::F32, &Device::Cpu).expect("ones");
        tensors.insert(name.to_owned(), ones);
    };
    add("conv1.weight", &[1, 3, 3, 7, 7]);
    for name in ["weight", "bias", "running_mean", "running_var"] {
        add(&format!("bn1.{name}"), &[1]);
    }
    add("classifier.weight", &[classes, 1, 1, 1, 1]);
    add("classifier.bias", &[classes]);
    let (folder, path) = write_card("kind = \"i3resnet\"\nweights = \"w.safetensors\"\n");
    candle_core::safetensors::save(&tensors, folder.path().join("w.safetensors")).expect("written");
    (folder, Card::open(&path).unwrap_or_else(|e| panic!("{e}")))
}

#[test]
fn a_classifier_of_1692_classes_has_the_published_phenotypes_in_their_order() {
    let Some(golden) = support::shared("goldens/phecode_targets.json") else { return };
    let rows = |path: &Path| -> Vec<serde_json::Value> {
        serde_json::from_str(&std::fs::read_to_string(path).expect("readable")).expect("a list")
    };
    let published = rows(&golden);
    let column = |field: &str| -> Vec<&str> { published.iter().filter_map(|row| row[field].as_str()).collect() };
    assert!(published.iter().enumerate().all(|(i, row)| row["index"].as_u64() == Some(i as u64)), "rows out of order");

    let (_folder, card) = headed(1692);
    let Network::Classifier(network) = Network::load(&card, &Device::Cpu).unwrap_or_else(|e| panic!("{e}")).0 else {
        panic!("the card says a classifier");
    };
    assert_eq!(network.labels(), column("name"));
    // The table that the names come from has the codes beside them.
    let table = rows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phecodes.json"));
    let codes: Vec<_> = table.iter().filter_map(|row| row[0].as_str()).collect();
    assert_eq!(codes, column("phecode"));

    // Of any other number of classes nobody knows the names.
    let (_folder, card) = headed(3);
    let network = Network::load(&card, &Device::Cpu).unwrap_or_else(|e| panic!("{e}")).0;
    assert!(matches!(network, Network::Classifier(c) if c.labels() == ["class 0", "class 1", "class 2"]));
}

#[test]
fn a_bare_checkpoint_tells_its_kind() {
    let Some(folder) = support::shared("goldens/models") else { return };
    for (file, kind) in [
        ("vqgan_small.ckpt", models::Kind::Vqgan),
        ("lungmask_small_legacy.pth", models::Kind::LungUnet),
        ("phecode_small.pt", models::Kind::I3resnet),
    ] {
        assert_eq!(Card::open(&folder.join(file)).unwrap_or_else(|e| panic!("{e}")).kind, kind, "{file}");
    }
}

#[test]
fn a_yaml_of_another_network_is_an_error_that_names_the_field() {
    let Some((mut card, checkpoint)) = card("vqgan_small.toml") else { return };
    card.config = support::shared("goldens/models/vqgan_small_f64.yaml");
    let error = Vqgan::load(&card, &checkpoint, DType::F32, &Device::Cpu).err().expect("another network's yaml");
    let message = error.to_string();
    assert!(message.contains("embed_dim = 32") && message.contains("say 40"), "{message}");
}

#[test]
fn a_checkpoint_of_another_network_is_an_error_that_names_a_tensor() {
    let Some((card, _)) = card("vqgan_small.toml") else { return };
    let Some((_, other)) = self::card("lungmask_small.toml") else { return };
    let message = Vqgan::load(&card, &other, DType::F32, &Device::Cpu).err().expect("a U-Net").to_string();
    assert!(message.contains("conv_in.weight") || message.contains("conv_out.weight"), "{message}");
}

fn write_card(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("card.toml");
    std::fs::write(&path, text).expect("written");
    (folder, path)
}

#[test]
fn a_card_with_an_unknown_key_or_kind_says_which() {
    for (text, word) in [
        ("kind = \"vqgan\"\nweights = \"w.ckpt\"\nsise = 64\n", "sise"),
        ("kind = \"gan\"\nweights = \"w.ckpt\"\n", "gan"),
        ("kind = \"vqgan\"\n", "weights"),
        ("kind = \"vqgan\"\nweights = \"w.ckpt\"\nside = 0\n", "side = 0"),
    ] {
        let (_folder, path) = write_card(text);
        let message = Card::open(&path).expect_err(text).to_string();
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_card_says_how_scans_are_prepared_or_they_are_prepared_as_published() {
    let (_folder, path) = write_card("kind = \"vqgan\"\nweights = \"w.ckpt\"\n");
    assert_eq!(Card::open(&path).expect("a card").recipe, Recipe::default());
    let recipe = "kind = \"vqgan\"\nweights = \"w.ckpt\"\n[recipe]\n";
    let (_folder, path) = write_card(&format!("{recipe}spacing_mm = [3.5, 3.5, 6.0]\nside = 96\n"));
    let expected = Recipe { spacing_mm: [3.5, 3.5, 6.0], side: 96, ..Recipe::default() };
    assert_eq!(Card::open(&path).expect("a card").recipe, expected);
    for (line, word) in [
        ("spacing_mm = [0.0, 1.5, 3.0]", "recipe.spacing_mm = [0.0, 1.5, 3.0]"),
        ("spacing_mm = [nan, 1.5, 3.0]", "recipe.spacing_mm"),
        ("hu = [100.0, 100.0]", "recipe.hu = [100.0, 100.0]"),
        ("hu = [-inf, 100.0]", "recipe.hu"),
        ("side = 0", "recipe.side = 0"),
        ("sides = 3", "sides"),
    ] {
        let (_folder, path) = write_card(&format!("{recipe}{line}\n"));
        let message = Card::open(&path).expect_err(line).to_string();
        assert!(message.contains(word), "{line}: {message}");
    }
}

#[test]
fn labels_are_found_by_name_or_number_and_near_ones_suggested() {
    let labels: Vec<String> = ["Pleural effusion", "Pneumonia", "7"].map(str::to_owned).to_vec();
    assert_eq!(label_index(&labels, "Pneumonia").expect("a name"), 1);
    assert_eq!(label_index(&labels, "0").expect("a number"), 0);
    assert_eq!(label_index(&labels, "7").expect("a name that is a number"), 2);
    let message = label_index(&labels, "effusion").expect_err("no exact name").to_string();
    assert!(message.contains("did you mean Pleural effusion?"), "{message}");
    assert!(matches!(label_index(&labels, "3"), Err(Error::NoSuchLabel { .. })));
}
