//! Every parser of files that a user may be handed, fed with bytes: for mutations here, and for the targets of `fuzz/`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use parallax::exchange::{Model, Size};
use parallax::export::record::Record;
use parallax::graph::{self, Plan};
use parallax::job::Monitor;
use parallax::latent_shift::Options;
use parallax::models::{Card, Network, Probabilities};
use parallax::pipeline::{Asked, NetworkUsed};
use parallax::study::{Reading, Study};
use parallax::weights::Checkpoint;
use parallax::{io, session, settings};
use sha2::{Digest, Sha256};

/// Reads bytes as one kind of file, in a folder for it alone. What it makes of them is no matter, as long as it returns.
pub(crate) type Feed = fn(&Path, &[u8]);

/// By the names of the fuzz targets.
pub(crate) const PARSERS: [(&str, Feed); 25] = [
    ("nifti", |folder, bytes| scan(folder, "scan.nii", bytes)),
    ("nifti_gz", |folder, bytes| scan(folder, "scan.nii.gz", bytes)),
    ("dicom", |folder, bytes| scan(folder, "slice.dcm", bytes)),
    ("nrrd", |folder, bytes| scan(folder, "scan.nrrd", bytes)),
    ("metaimage", |folder, bytes| scan(folder, "scan.mha", bytes)),
    ("study", |folder, bytes| scan(folder, "study.zip", bytes)),
    ("zip_checkpoint", |folder, bytes| checkpoint(folder, "weights.ckpt", bytes)),
    ("legacy_checkpoint", |folder, bytes| checkpoint(folder, "weights.pt", bytes)),
    ("safetensors", |folder, bytes| checkpoint(folder, "weights.safetensors", bytes)),
    ("pickle", pickle),
    ("card", card),
    ("yaml", yaml),
    ("session", session),
    ("presets", presets),
    ("record", record),
    ("reader_study", |folder, bytes| _ = Study::open(&written(folder, "study.toml", bytes)).ok()),
    ("answers", answers),
    ("vqgan", |folder, bytes| network(folder, "vqgan", bytes)),
    ("i3resnet", |folder, bytes| network(folder, "i3resnet", bytes)),
    ("onnx", onnx),
    ("pt2", onnx),
    ("program", program),
    ("autoencoder_kl", |folder, bytes| network(folder, "autoencoder-kl", bytes)),
    ("densenet", |folder, bytes| network(folder, "densenet", bytes)),
    ("lung_unet", |folder, bytes| network(folder, "lung-unet", bytes)),
];

pub(crate) fn feed(name: &str) -> Feed {
    PARSERS.iter().find(|(known, _)| *known == name).expect("a parser of that name").1
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("the folder is there");
    path
}

fn scan(folder: &Path, name: &str, bytes: &[u8]) {
    if let Ok(scan) = io::open(&written(folder, name, bytes), &Monitor::default()) {
        scan.sha256();
    }
}

fn checkpoint(folder: &Path, name: &str, bytes: &[u8]) {
    let Ok(checkpoint) = Checkpoint::open(&written(folder, name, bytes)) else { return };
    checkpoint.describe();
    let builder = checkpoint.builder(DType::F32);
    // Tensors may share their numbers: a few tell as much as thousands.
    let names: Vec<String> = checkpoint.names().take(64).map(str::to_owned).collect();
    for name in names {
        let shape = checkpoint.shape(&name).expect("it is listed").to_vec();
        builder.get(shape, &name).ok(); // either is right
    }
}

/// The pickle of a zip checkpoint: mutated within the zip file, its checksum would give it away.
fn pickle(folder: &Path, bytes: &[u8]) {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("archive/data.pkl", bytes), ("archive/data/0", &[0; 256])] {
        archive.start_file(name, options).expect("an entry");
        archive.write_all(bytes).expect("written");
    }
    checkpoint(folder, "weights.ckpt", archive.finish().expect("a zip file").get_ref());
}

fn card(folder: &Path, bytes: &[u8]) {
    Card::open(&written(folder, "card.toml", bytes)).ok(); // either is right
}

/// A VQGAN's config, held against tensors of which only the sizes are looked at.
fn yaml(folder: &Path, bytes: &[u8]) {
    let sizes: [(&str, &[usize]); 6] = [
        ("encoder.conv_in.weight", &[32, 1]),
        ("encoder.down.0.block.0.conv1.weight", &[32]),
        ("encoder.down.0.block.0.conv2.weight", &[32]),
        ("decoder.conv_out.weight", &[1]),
        ("post_quant_conv.weight", &[4, 4]),
        ("quantize.embedding.weight", &[16]),
    ];
    let tensor = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).expect("a few zeros");
    let tensors = sizes.iter().map(|(name, shape)| ((*name).to_owned(), tensor(shape))).collect();
    candle_core::safetensors::save(&tensors, folder.join("weights.safetensors")).expect("written");
    written(folder, "config.yaml", bytes);
    let card = "kind = \"vqgan\"\nweights = \"weights.safetensors\"\nconfig = \"config.yaml\"\n";
    let card = Card::open(&written(folder, "card.toml", card.as_bytes())).expect("a card");
    assert!(Network::load(&card, &Device::Cpu).is_err(), "a network of six tensors");
}

/// The document of a session; its hash, which would give a mutation away, is made anew.
fn session(folder: &Path, bytes: &[u8]) {
    let document = String::from_utf8_lossy(bytes);
    let sha256 = hex::encode(Sha256::digest(document.as_bytes()));
    let words = [("format", "parallax session"), ("version", "2"), ("document", &*document), ("sha256", &sha256)];
    let words = words.map(|(key, word)| (key.to_owned(), serde_json::Value::from(word)));
    let header = serde_json::json!({ "__metadata__": serde_json::Map::from_iter(words) }).to_string();
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    session::check_session(&written(folder, "saved.parallax", &bytes)).ok(); // either is right
}

fn presets(_: &Path, bytes: &[u8]) {
    settings::presets_from_json(&String::from_utf8_lossy(bytes)).ok(); // either is right
}

/// A reader's answers to a study of two results; MARK stands in the seed for the study's own.
fn answers(folder: &Path, bytes: &[u8]) {
    let table = written(folder, "list.csv", b"session\na.parallax\nb.parallax\n");
    let study = Study::open(&table).expect("a study");
    let text = String::from_utf8_lossy(bytes).replace("MARK", &study.mark);
    written(folder, "list-answers-R1.csv", text.as_bytes());
    Reading::begin(study.into(), "R1", 1, &BTreeSet::new()).ok(); // either is right
}

fn record(folder: &Path, bytes: &[u8]) {
    let Ok(record) = Record::open(&written(folder, "result.json", bytes)) else { return };
    record.options().ok(); // either is right, of these too
    record.slab();
    record.terms(&["a".to_owned()]).ok();
    let network = || NetworkUsed {
        name: String::new(),
        sha256: "b".to_owned(),
        self_check: None,
        recipe: None,
        notes: Vec::new(),
    };
    let asked = Asked {
        autoencoder: network(),
        scored_by: network(),
        target: String::new(),
        options: Options::default(),
        labels: Vec::new(),
        terms: Vec::new(),
        offset: 0.0,
        activation: Probabilities::Sigmoid,
        toward: None,
    };
    record.check("a", &asked).ok();
}

/// Weights of one kind of network, which then sees two slices.
fn network(folder: &Path, kind: &str, bytes: &[u8]) {
    written(folder, "weights.safetensors", bytes);
    let card = format!("kind = {kind:?}\nweights = \"weights.safetensors\"\n");
    let card = Card::open(&written(folder, "card.toml", card.as_bytes())).expect("a card");
    let Ok(loaded) = Network::load(&card, &Device::Cpu) else { return };
    for side in [1, 16, 19] {
        let stack = Tensor::full(0.5_f32, (2, 1, side, side), &Device::Cpu).expect("a stack");
        // Numbers or words, each is right.
        match &loaded.network {
            Network::Autoencoder(autoencoder) => {
                let Ok(latents) = autoencoder.encode(&stack, &|_, _| Ok(())) else { continue };
                drop(there_and_back(autoencoder.decoder(latents.dims(), [side, side]), latents));
            }
            Network::Classifier(classifier) => drop(there_and_back(classifier.plan(stack.dims()), stack)),
            Network::Segmenter(segmenter) => drop(there_and_back(segmenter.plan(stack.dims()), stack)),
            Network::Embedder(embedder) => drop(there_and_back(embedder.plan(stack.dims()), stack)),
        }
    }
}

/// A network of another program: read, lowered for the size that it says, run forward and back.
fn onnx(folder: &Path, bytes: &[u8]) {
    /// Numbers of a tensor that are worth a pass here.
    const MOST: usize = 1 << 16;
    let Ok(model) = Model::open(&written(folder, "model.onnx", bytes)) else { return };
    let side = |size: &Size| match size {
        Size::Fixed(side) => *side,
        Size::Open(_) => 8,
    };
    let shapes: Vec<Vec<usize>> =
        model.inputs().iter().map(|input| input.sizes.iter().flatten().map(side).collect()).collect();
    let count =
        |shape: &[usize]| shape.iter().try_fold(1_usize, |count, side| count.checked_mul(*side)).unwrap_or(MOST);
    if shapes.iter().any(|shape| count(shape) >= MOST) {
        return;
    }
    let sides: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    let Ok(graph) = model.graph(&sides, &[], DType::F32, &Device::Cpu) else { return };
    let Ok(plan) = Plan::new(&graph, &sides, DType::F32) else { return };
    if plan.gradient_bytes() > 1 << 24 {
        return;
    }
    let inputs: Vec<Tensor> =
        sides.iter().map(|sides| Tensor::full(0.5_f32, *sides, &Device::Cpu).expect("numbers")).collect();
    let Ok((y, tape)) = plan.record(&inputs, &|_, _| Ok(())) else { return };
    let ones: candle_core::Result<Vec<Tensor>> = y.iter().map(Tensor::ones_like).collect();
    tape.into_vjp(&ones.expect("numbers"), &|_, _| Ok(())).ok(); // either is right
}

/// An exported program around the weights of the file below.
pub(crate) const PROGRAM: &[u8] = include_bytes!("../../../data/exchange/classifier.program.pt2");

/// The graph of an exported program: mutated within the zip file, its checksum would give it away.
fn program(folder: &Path, bytes: &[u8]) {
    let mut of = zip::ZipArchive::new(Cursor::new(PROGRAM)).expect("a zip file");
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for at in 0..of.len() {
        let mut entry = of.by_index(at).expect("an entry");
        let name = entry.name().expect("plain").into_owned();
        archive.start_file(&name, options).expect("an entry");
        if name.ends_with("/model.json") {
            archive.write_all(bytes).expect("written");
        } else {
            std::io::copy(&mut entry, &mut archive).expect("written");
        }
    }
    onnx(folder, archive.finish().expect("a zip file").get_ref());
}

/// A pass, and its gradient.
fn there_and_back(plan: candle_core::Result<Plan>, x: Tensor) -> Result<Vec<Tensor>, graph::Error> {
    let (y, tape) = plan?.record(&[x], &|_, _| Ok(()))?;
    tape.into_vjp(&[y[0].ones_like()?], &|_, _| Ok(()))
}
