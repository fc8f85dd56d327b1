//! The networks against the published code, on small random weights.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::ops::sigmoid;
use parallax::graph::ops::Size;
use parallax::models::{Autoencoder, Card, Classifier, Error, Network, NetworkKind, Vqgan, label_index};
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
/// f32 sums in another order, of the largest activation.
const ACTIVATION: f64 = 1e-4;

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

/// Holds a recorded activation against ours.
fn near(name: &str, got: &Tensor, wanted: &Tensor) {
    let size = worst(wanted, &wanted.zeros_like().expect("zeros")).max(1.0);
    let gap = worst(got, wanted);
    assert!(gap <= ACTIVATION * size, "{name}: off by {gap:e} of {size}");
}

fn vqgan(card: &Card, checkpoint: &Checkpoint) -> Vqgan {
    Vqgan::load(card, checkpoint, DType::F32, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"))
}

fn decoded(network: &Vqgan, z: &Tensor, size: [usize; 2]) -> Tensor {
    support::output(&network.decoder(z.dims(), size).expect("a plan"), z)
}

#[test]
fn the_autoencoders_equal_the_published_ones() {
    for name in ["vqgan_small", "vqgan_small_f64"] {
        let Some((card, checkpoint)) = card(&format!("{name}.toml")) else { return };
        let network = vqgan(&card, &checkpoint);
        let g = goldens(name);
        let near = |what: &str, got: &Tensor, tolerance: f64| {
            let gap = worst(got, &g[what]);
            assert!(gap <= tolerance, "{name} {what}: off by {gap:e}");
        };
        let [encoder, _] = network.graphs();
        near("model_input", &support::activation(encoder, "model_input", &g["x"]), 1e-5);
        let continuous = support::output(&network.encoder(g["x"].dims()).expect("a plan"), &g["x"]);
        near("act.quant_conv", &continuous, LATENTS);
        let codes = network.codes(&continuous).and_then(|c| c.flatten_all()?.to_dtype(DType::I64)).expect("codes");
        assert_eq!(
            codes.to_vec1::<i64>().expect("codes"),
            g["code_indices"].to_vec1::<i64>().expect("codes"),
            "{name}"
        );
        let z = network.encode(&g["x"], &support::unchecked).expect("latents");
        near("z", &z, 1e-5);
        let (_, _, h, w) = g["x"].dims4().expect("a stack");
        near("recon", &decoded(&network, &z, [h, w]), FORWARD);
        let plan = network.decoder(g["z"].dims(), [h, w]).expect("a plan");
        let [_, grad] = support::pulled(&plan, &g["z"], |_| Ok(g["cotangent"].clone()));
        let gap = relative(&grad, &g["grad_z"]);
        assert!(gap <= GRADIENT, "{name} grad_z: off by {gap:e}");
    }
}

/// Every activation that was recorded within the published network, by the names of its layers.
#[test]
fn every_layer_of_the_autoencoders_gives_what_the_published_one_gives() {
    for name in ["vqgan_small", "vqgan_small_f64"] {
        let Some((card, checkpoint)) = card(&format!("{name}.toml")) else { return };
        let network = vqgan(&card, &checkpoint);
        let g = goldens(name);
        let [encoder, decoder] = network.graphs();
        let mut layers = vec![
            "encoder",
            "post_quant_conv",
            "decoder.conv_in",
            "decoder.mid.block_1",
            "decoder.mid.attn_1",
            "decoder",
        ];
        if g.contains_key("act.encoder.conv_in") {
            layers.extend([
                "encoder.conv_in",
                "encoder.down.0.block.0",
                "encoder.down.0.downsample",
                "decoder.up.1.upsample",
            ]);
        }
        for layer in layers {
            let (graph, x) = if layer.starts_with("encoder") { (encoder, &g["x"]) } else { (decoder, &g["z"]) };
            near(&format!("{name} {layer}"), &support::activation(graph, layer, x), &g[&format!("act.{layer}")]);
        }
    }
}

#[test]
fn every_slice_is_decoded_as_the_slice_wrapper_does() {
    let Some((card, checkpoint)) = card("vqgan_small.toml") else { return };
    let network = vqgan(&card, &checkpoint);
    let g = goldens("sliceae_small");
    let input = stack(&g["volume"]);
    let z = network.encode(&input, &support::unchecked).expect("latents");
    assert!(worst(&z, &g["z_full"]) <= 1e-5);
    let all = decoded(&network, &z, [56, 56]);
    assert!(worst(&all, &stack(&g["recon_full"])) <= FORWARD);
    // One slice alone is what it is among others: the claim that chunks rest on.
    let alone = decoded(&network, &z.narrow(0, 3, 1).expect("slice 3"), [56, 56]);
    assert!(worst(&alone, &all.narrow(0, 3, 1).expect("slice 3")) <= 1e-6);
    // `SliceAECrop`: slices 2..4 encoded and decoded, the others kept as they are.
    let crop = stack(&g["crop_recon"]);
    assert!(worst(&all.narrow(0, 2, 2).expect("2..4"), &crop.narrow(0, 2, 2).expect("2..4")) <= FORWARD);
    for start in [0, 4] {
        let kept = |stack: &Tensor| stack.narrow(0, start, 2).expect("2 slices on either side");
        assert!(worst(&kept(&input), &kept(&crop)) == 0.0, "slices from {start}");
    }
    assert!(worst(&z.narrow(0, 2, 2).expect("2..4"), &g["crop_z"]) <= 1e-5);
}

#[test]
fn the_smaller_edge_becomes_the_side() {
    for (size, side, wanted) in [([40, 56], 64, [64, 89]), ([56, 40], 64, [89, 64]), ([224, 224], 256, [256, 256])] {
        assert_eq!(Size::Smaller(side).of(size), wanted);
    }
}

#[test]
fn the_lung_segmenter_equals_the_published_one() {
    for name in ["lungmask_small.toml", "lungmask_small_legacy.pth"] {
        let Some((card, checkpoint)) = card(name) else { return };
        let network = support::segmenter(support::network(&card, &checkpoint, DType::F32));
        let g = goldens("lungmask_small");
        let log = |x: &Tensor| support::output(&network.plan(x.dims()).expect("a plan"), x);
        let out = |x: &Tensor| sigmoid(&log(x)).expect("numbers");
        assert!(worst(&log(&g["slice"]), &g["slice_logsoftmax"]) <= FORWARD, "{name}");
        assert!(worst(&out(&g["slice"]), &g["slice_out"]) <= FORWARD, "{name}");
        assert!(worst(&out(&g["slice_56"]), &g["slice_56_out"]) <= FORWARD, "{name}");
        // [1, classes, h, w, slices] to [slices, classes, h, w]
        let volume = g["volume_out"].permute((4, 1, 2, 3, 0)).and_then(|t| t.squeeze(4)).expect("a volume");
        assert!(worst(&out(&stack(&g["volume"])), &volume) <= FORWARD, "{name}");
        let g = goldens("lungmask_small_grad");
        // Of 1 - mean(sigmoid(log)) over the first channel.
        let plan = network.plan(g["slice"].dims()).expect("a plan");
        let [_, grad] = support::pulled(&plan, &g["slice"], |log| {
            let none = sigmoid(&log.narrow(1, 0, 1)?)?;
            let slope = (&none * none.affine(-1.0, 1.0)?)?.affine(-1.0 / none.elem_count() as f64, 0.0)?;
            slope.pad_with_zeros(1, 0, log.dim(1)? - 1)
        });
        let gap = relative(&grad, &g["grad_of_1_minus_mean_ch0"]);
        assert!(gap <= GRADIENT, "{name}: gradient off by {gap:e}");
    }
}

fn phenotypes(card: &Card, checkpoint: &Checkpoint) -> std::sync::Arc<Classifier> {
    support::classifier(support::network(card, checkpoint, DType::F32))
}

fn logits(network: &Classifier, stack: &Tensor) -> Tensor {
    support::output(&network.plan(stack.dims()).expect("a plan"), stack)
}

#[test]
fn the_classifier_equals_the_published_one() {
    let Some((card, checkpoint)) = card("phecode_small.toml") else { return };
    let network = phenotypes(&Card { side: Some(64), ..card.clone() }, &checkpoint);
    let g = goldens("phecode_small");
    let probabilities = |volume: &str| sigmoid(&logits(&network, &stack(&g[volume]))).expect("scores");
    assert!(worst(&probabilities("volume"), &g["probs"]) <= 1e-5);
    assert!(worst(&probabilities("volume_56x56x7"), &g["probs_56x56x7"]) <= 1e-5);
    // `model_only` is fed without the turn.
    let untouched = phenotypes(&Card { side: None, turned: false, ..card }, &checkpoint);
    assert!(worst(&logits(&untouched, &stack(&g["volume"])), &g["model_only_logits"]) <= FORWARD);
    let volume = stack(&g["volume"]);
    let [_, grad] = support::pulled(&network.plan(volume.dims()).expect("a plan"), &volume, |logits| {
        let third =
            logits.zeros_like()?.slice_assign(&[0..1, 3..4], &Tensor::ones((1, 1), DType::F32, &Device::Cpu)?)?;
        network.probabilities().vjp(logits, &third)
    });
    // PyTorch's f32 stands on ties here: ours is held to PyTorch's f64, and to the recorded one by what lies between those.
    let exact =
        stack(&support::tensors(&support::data("gradients/f64.safetensors"))["phecode_small.grad_probs3_wrt_volume"]);
    let (recorded, gap) = (stack(&g["grad_probs3_wrt_volume"]), relative(&grad, &exact));
    assert!(gap <= UNTIED, "gradient off by {gap:e} from f64");
    let (gap, tied) = (relative(&grad, &recorded), relative(&recorded, &exact));
    assert!(gap <= tied + UNTIED, "gradient off by {gap:e}, {tied:e} of which are the recorded one's ties");
}

/// Every activation that was recorded within the published network, by the names of its layers.
#[test]
fn every_layer_of_the_classifier_gives_what_the_published_one_gives() {
    let Some((card, checkpoint)) = card("phecode_small.toml") else { return };
    let (g, network) = (goldens("phecode_small"), phenotypes(&Card { side: Some(64), ..card.clone() }, &checkpoint));
    let volume = stack(&g["volume"]);
    for layer in ["maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"] {
        let wanted = &g[&format!("act.{layer}")];
        let graph = network.graph(volume.dims()).expect("a graph");
        let got = support::activation(&graph, layer, &volume).reshape(wanted.dims()).expect("the shape");
        near(layer, &got, wanted);
    }
    // The head that matches text is no part of the classifier; it tells all the same whether what it is fed is right. It
    // was recorded without the turn, as the logits were.
    let untouched = phenotypes(&Card { side: None, turned: false, ..card }, &checkpoint);
    let pooled = support::activation(&untouched.graph(volume.dims()).expect("a graph"), "avgpool", &volume);
    let vb = checkpoint.builder(DType::F32).pp("contrastive_head");
    let (width, size) = (pooled.dim(1).expect("channels"), g["model_only_contrastive"].dim(1).expect("channels"));
    let (weight, bias) = (vb.get((size, width, 1, 1, 1), "weight"), vb.get(size, "bias"));
    let weight = weight.and_then(|weight| weight.flatten_from(1)?.t()).expect("a matrix");
    let head = pooled.matmul(&weight).and_then(|y| y.broadcast_add(&bias?)).expect("a product");
    near("model_only_contrastive", &head, &g["model_only_contrastive"]);
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
    let Network::Classifier(network) = Network::load(&card, &Device::Cpu).unwrap_or_else(|e| panic!("{e}")).network
    else {
        panic!("the card says a classifier");
    };
    assert_eq!(network.labels(), column("name"));
    // The table that the names come from has the codes beside them.
    let table = rows(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phecodes.json"));
    let codes: Vec<_> = table.iter().filter_map(|row| row[0].as_str()).collect();
    assert_eq!(codes, column("phecode"));

    // Of any other number of classes nobody knows the names.
    let (_folder, card) = headed(3);
    let network = Network::load(&card, &Device::Cpu).unwrap_or_else(|e| panic!("{e}")).network;
    assert!(matches!(network, Network::Classifier(c) if c.labels() == ["class 0", "class 1", "class 2"]));
}

#[test]
fn a_bare_checkpoint_tells_its_kind() {
    let Some(folder) = support::shared("goldens/models") else { return };
    for (file, kind) in
        [("vqgan_small.ckpt", "vqgan"), ("lungmask_small_legacy.pth", "lung-unet"), ("phecode_small.pt", "i3resnet")]
    {
        let found = Card::open(&folder.join(file)).unwrap_or_else(|e| panic!("{e}")).kind;
        assert_eq!(Some(found), NetworkKind::named(kind), "{file}");
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
    let expected = Recipe { spacing_mm: [3.5, 3.5, 6.0], ..Recipe::of_side(96) };
    assert_eq!(Card::open(&path).expect("a card").recipe, expected);
    for (line, word) in [
        ("spacing_mm = [0.05, 1.5, 3.0]", "recipe.spacing_mm = [0.05, 1.5, 3.0]"),
        ("spacing_mm = [nan, 1.5, 3.0]", "recipe.spacing_mm"),
        ("hu = [100.0, 100.0]", "recipe.hu = [100.0, 100.0]"),
        ("hu = [-inf, 100.0]", "recipe.hu"),
        ("side = 3", "recipe.size = [3, 3, 0]"),
        ("size = [224, 224, 4000]", "with a side of 4000"),
        ("fit = \"resize\"\nside = 96", "what is resized needs all three sides"),
        ("range = [1.0, 1.0]", "recipe.range = [1.0, 1.0]"),
        ("windows = [[40.0, -160.0]]", "each window is two HU, the lower first"),
        ("windows = [[-160.0, 240.0]]\nchannels = 3", "windows, or one repeated"),
        ("axes = \"RAX\"", "axes = \"RAX\""),
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

#[test]
fn a_card_of_a_kind_refuses_what_would_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kind.toml");
    let of = |kind: &str, line: &str, recipe: &str| {
        let text = format!("kind = \"{kind}\"\nweights = \"w.pt\"\nturned = false\n{line}\n[recipe]\n{recipe}\n");
        std::fs::write(&path, text).expect("written");
        Card::open(&path).map_err(|error| error.to_string())
    };
    for (kind, line, recipe, word) in [
        ("i3resnet", "", "range = [-1.0, 1.0]", "recipe.range says nothing here"),
        ("densenet", "", "z_score = true", "recipe.z_score says nothing here"),
        ("vqgan", "", "windows = [[-1000, 0], [0, 500]]", "recipe.windows says nothing here"),
        ("lung-unet", "", "channels = 3", "recipe.channels says nothing here"),
        ("i3resnet", "", "axes = \"RAS\"", "recipe.axes says nothing here: `turned` says"),
        ("densenet", "", "over_slices = \"mean\"", "recipe.over_slices says nothing here"),
        ("i3resnet", "decode = \"reference\"", "", "decode says nothing here: it is an autoencoder's"),
        ("i3resnet", "config = \"c.yaml\"", "", "config says nothing here"),
        ("autoencoder-kl", "latents = \"mean\"", "", "latents says nothing here"),
        ("vqgan", "labels = [\"a\"]", "", "labels says nothing here"),
        ("lung-unet", "side = 256", "", "side says nothing here: recipe.side says"),
        ("densenet", "", "side = 96\nsize = [96, 96, 36]", "recipe.side says nothing here: recipe.size says it"),
    ] {
        let said = of(kind, line, recipe).err().unwrap_or_else(|| panic!("{kind} {line} {recipe}: it was read"));
        assert!(said.contains(word) && said.contains("line "), "{kind} {line} {recipe}\n{said}");
    }
    std::fs::write(&path, "kind = \"lung-unet\"\nweights = \"w.pt\"\nturned = true\n").expect("written");
    assert!(Card::open(&path).is_err_and(|said| said.to_string().contains("turned says nothing here")));
    // What says the same as nothing, and what is used, is read.
    for recipe in [
        "range = [0, 1]\naxes = \"SPL\"\nchannels = 1",
        "hu = [-1000, 400]\nclip = false\nfit = \"resize\"\nsize = [96, 96, 36]\npad_hu = -1024",
    ] {
        if let Err(said) = of("i3resnet", "", recipe) {
            panic!("{recipe}: {said}");
        }
    }
}
