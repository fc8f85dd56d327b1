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
    let pair =
        folder.write("pair.toml", "encoder = \"encoder.onnx\"\ndecoder = \"decoder.onnx\"\n[recipe]\naxes = \"PL\"\n");
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
