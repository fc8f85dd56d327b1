//! What is said of a wrong file: which file, which line, which key and value, and what to do.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support;

struct Folder(tempfile::TempDir);

impl Folder {
    /// With the small networks of `tests/data/networks`.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["classifier.onnx", "encoder.onnx", "decoder.onnx"] {
            std::fs::copy(support::data(&format!("networks/{name}")), folder.path().join(name)).expect("copied");
        }
        Self(folder)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }
}

const CARD: &str = "role = \"classifier\"\nweights = \"classifier.onnx\"\n\n[recipe]\naxes = \"RAS\"\nspacing_mm = [8, 7, 9]\n\
                    size = [20, 24, 16]\nhu = [-1000, 400]\n";

fn parallax(args: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs")
}

/// Runs a command on a file, which is bad input, and holds what is said.
fn refused(command: &str, file: &Path, words: &[&str]) {
    let output = parallax(&[Path::new(command), file]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(said.contains(name), "the file is named: {said}");
}

#[test]
fn a_card_that_is_wrong_is_told_by_its_line() {
    let folder = Folder::new();
    for (from, to, words) in [
        (
            "axes = \"RAS\"",
            "clip = \"yes\"",
            "line 5, `clip = \"yes\"`: it is the text \"yes\", where true or false is wanted",
        ),
        (
            "axes = \"RAS\"",
            "axis = \"RAS\"",
            "line 5, `axis = \"RAS\"`: there is no key `axis`; those that there are: `spacing_mm`",
        ),
        ("[8, 7, 9]", "[8, 7]", "line 6, `spacing_mm = [8, 7]`: it has 2 values, where a list of 3 values is wanted"),
        ("[8, 7, 9]", "[8, 7, 900]", "line 6: recipe.spacing_mm = [8.0, 7.0, 900.0]; each is 0.1..=50.0 millimetres"),
        (
            "[20, 24, 16]",
            "[20, 24, -16]",
            "line 7, `size = [20, 24, -16]`: it is -16, where a whole number of 0 or more is wanted",
        ),
        (
            "\"classifier\"\n",
            "\"classifer\"\n",
            "line 1, `role = \"classifer\"`: `classifer` is none of `autoencoder`, `classifier`, `segmenter`",
        ),
        ("role", "rôle", "line 1"),
        ("[recipe]", "[recipe", "line 4, `[recipe`: this is no toml"),
        ("\n\n", "\ntrained_on_hu = { mean = -200 , deviation = 0 }\n\n", "line 3: trained_on_hu.deviation = 0"),
        ("\n\n", "\ntrained_on_hu = { middle = -200 }\n\n", "there is no key `middle`"),
    ] {
        let card = folder.write("card.toml", CARD.replacen(from, to, 1));
        refused("info", &card, &[words]);
    }
    let card =
        folder.write("card.toml", CARD.replacen("\n\n", "\ntrained_on_hu = { mean = -200, deviation = 300 }\n\n", 1));
    assert!(parallax(&[Path::new("info"), &card]).status.success());
}

#[test]
fn a_card_is_checked_by_what_it_names() {
    let folder = Folder::new();
    let card = folder.write("card.toml", CARD);
    // It names a network without a self-check, and that is what is said of it.
    let output = parallax(&[Path::new("check"), &card]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && said.contains("classifier.onnx has no self-check"), "{said}");
    let pair = folder.write(
        "pair.toml",
        "encoder = \"encoder.onnx\"\ndecoder = \"decoder.onnx\"\nlatents = \"mean\"\n[recipe]\naxes = \"PL\"\n",
    );
    let two = parallax(&[Path::new("check"), &pair, Path::new("--against"), &card]);
    let said = String::from_utf8_lossy(&two.stderr).into_owned();
    assert!(two.status.code() == Some(2) && said.contains("encoder.onnx, ") && said.contains("one by one"), "{said}");
    let built = folder.write("built.toml", "kind = \"vqgan\"\nweights = \"last.ckpt\"\n");
    refused("check", &built, &["whose operations are Parallax's own", "an .onnx or .pt2 file"]);
    let named = folder.write("named.toml", CARD.replace("classifier.onnx", "card.toml"));
    let output = parallax(&[Path::new("check"), &named]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("card.toml is not a network that Parallax can read: it is a model card; give the .onnx"),
        "{said}"
    );
}

#[test]
fn empty_and_cut_networks_are_told_from_others() {
    let folder = Folder::new();
    for name in ["empty.pt2", "empty.onnx"] {
        refused("info", &folder.write(name, ""), &["it is empty; export the network again"]);
    }
    refused(
        "check",
        &folder.write("text.pt2", "not a zip"),
        &["does not begin as an exported program does", "torch.export.save"],
    );
    let Some(graphs) = support::shared("graphs") else { return };
    let files = std::fs::read_dir(graphs).expect("a folder").map(|entry| entry.expect("an entry").path());
    let smallest = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "pt2"))
        .min_by_key(|path| path.metadata().map_or(u64::MAX, |of| of.len()))
        .expect("a program");
    let whole = std::fs::read(smallest).expect("bytes");
    let words =
        ["it is cut or damaged: the list of entries that ends a zip file is not behind its", "copy or save it again"];
    refused("info", &folder.write("cut.pt2", &whole[..whole.len() / 2]), &words);
}

#[test]
fn a_self_check_that_is_cut_is_told_as_one() {
    let folder = Folder::new();
    let whole = std::fs::read(support::data("exchange/classifier.safetensors")).expect("bytes");
    let network = folder.0.path().join("classifier.onnx");
    for length in [0, 5, 60, whole.len() / 2, whole.len() - 1] {
        let recorded = folder.write("classifier.check.safetensors", &whole[..length]);
        let output = parallax(&[Path::new("check"), &network]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{length}: {said}");
        for word in [
            "the self-check that lies beside the network cannot be read",
            "export the network again, or remove this file",
            "classifier.check.safetensors",
        ] {
            assert!(said.contains(word), "{length}, {word}: {said}");
        }
        assert!(!said.contains("checkpoint"), "{length}: {said}");
        std::fs::remove_file(recorded).expect("removed");
    }
}

#[test]
fn info_and_check_refuse_a_card_in_the_words_of_a_run() {
    let folder = Folder::new();
    for (from, to, words) in [
        ("\n\n", "\nlabels = [\"a\", \"b\"]\n\n", "2 labels for 3 classes"),
        ("\n\n", "\noutput = \"nowhere\"\n\n", "it has no output \"nowhere\"; its outputs are \"answer\""),
        ("\n\n", "\nactivation = \"sigmoid\"\n\n", "ends in a softmax already"),
        ("\"RAS\"", "\"PL\"", "recipe.axes = \"PL\", where the network takes volumes"),
        ("[recipe]", "[recipe]\nchannels = 3", "the recipe gives 3 channels, and the network takes 1"),
    ] {
        let card = folder.write("card.toml", CARD.replacen(from, to, 1));
        let scan = support::data("nifti/syn_lps.nii.gz");
        let run = parallax(&[Path::new("predict"), &scan, Path::new("--classifier"), &card]);
        let of_run = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(of_run.contains(words), "{words}: {of_run}");
        let refusal = of_run.lines().last().expect("a refusal");
        for command in ["info", "check"] {
            let output = parallax(&[Path::new(command), &card]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), said.lines().last()), (Some(3), Some(refusal)), "{command}");
        }
    }
}

#[test]
fn info_tells_what_a_card_makes_of_its_networks() {
    let folder = Folder::new();
    let told = |card: &Path, more: &[&str]| {
        let args: Vec<&Path> = [Path::new("info"), card].into_iter().chain(more.iter().map(Path::new)).collect();
        let output = parallax(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let card = folder.write("card.toml", CARD.replacen("\n\n", "\nlabels = [\"a\", \"b\", \"c\"]\n\n", 1));
    let said = told(&card, &[]);
    for words in [
        "role             classifier",
        "labels           a\n",
        "activation       softmax",
        ", before the output \"answer\"",
        "volumes, axes RAS",
        "padded and cropped about the centre to 20 x 24 x 16 voxels",
        "-1000 to 400 HU become 0 to 1, cut off there",
        "file             classifier.onnx",
        "verdict          differentiable",
        "planned for [16, 1, 24, 20]",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let pair = "encoder = \"encoder.onnx\"\ndecoder = \"decoder.onnx\"\nlatents = \"mean\"\n[recipe]\naxes = \"PL\"\n";
    let pair = folder.write("pair.toml", pair);
    let facts: serde_json::Value = serde_json::from_str(&told(&pair, &["--json"])).expect("JSON");
    assert_eq!((&facts["role"], &facts["parts"][1]["part"]), (&"autoencoder".into(), &"decoder".into()), "{facts}");
    assert_eq!(facts["parts"][1]["inputs"][0], "image: float32 [1, 4, 8, 8]", "{facts}");
    assert_eq!((&facts["recipe"]["axes"], &facts["recipe"]["size"]), (&"PL".into(), &serde_json::json!([32, 32, 0])));
}

#[test]
fn what_a_file_is_tells_its_content_and_not_its_name() {
    let folder = Folder::new();
    let bytes = |name: &str| std::fs::read(support::data(name)).expect("bytes");
    for (from, to) in [("networks/classifier.onnx", "network.pt2"), ("networks/heads.pt2", "network.onnx")] {
        let file = folder.write(to, bytes(from));
        let output = parallax(&[Path::new("info"), &file]);
        assert!(output.status.success(), "{to}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // Saved whole, or as TorchScript: a pickle of no tensors.
    let path = folder.write("whole.pt", "");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).expect("a file"));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("whole/data.pkl", options).expect("an entry");
    std::io::Write::write_all(&mut zip, b"\x80\x02N.").expect("written");
    zip.finish().expect("written");
    refused("info", &path, &["TorchScript and networks that were saved whole", "assets/export.py"]);
    let Some(graphs) = support::shared("graphs") else { return };
    let alone = folder.write("model.onnx", std::fs::read(graphs.join("external/model.onnx")).expect("bytes"));
    refused(
        "info",
        &alone,
        &["\"model.onnx.data\", which is not there: copy it from the folder", "external_data=False"],
    );
}
