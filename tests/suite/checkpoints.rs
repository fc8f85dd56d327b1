//! Checkpoints in every packing give the same tensors; damaged and foreign ones give words.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use parallax::weights::{Checkpoint, Error};

use crate::support;

fn all(path: &Path) -> Vec<(String, Tensor)> {
    let checkpoint = Checkpoint::open(path).unwrap_or_else(|e| panic!("{e}"));
    let vb = checkpoint.builder(DType::F64, &Device::Cpu);
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| {
            let shape = checkpoint.shape(&name).expect("listed").to_vec();
            let tensor = vb.get(shape, &name).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, tensor)
        })
        .collect()
}

fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (all(a), all(b));
    assert_eq!(a.iter().map(|(n, _)| n).collect::<Vec<_>>(), b.iter().map(|(n, _)| n).collect::<Vec<_>>());
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        let values = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f64>()).expect("f64");
        assert_eq!(values(a), values(b), "{name}");
    }
}

fn expected_names(list: &Path) -> Vec<(String, Vec<usize>)> {
    let text = std::fs::read_to_string(list).expect("a list of keys");
    let rows = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut fields = line.split('\t');
        let name = fields.next().expect("a name").to_owned();
        let shape = fields.next().expect("a shape").trim_matches(['[', ']']);
        (name, shape.split(", ").filter(|n| !n.is_empty()).map(|n| n.parse().expect("a size")).collect())
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

#[test]
fn four_packings_of_one_network_hold_the_same_numbers() {
    let Some(models) = support::shared("goldens/models") else { return };
    let first = models.join("vqgan_small.ckpt");
    for other in ["vqgan_small_legacy.ckpt", "vqgan_small_pl19.ckpt", "vqgan_small_sd_only.ckpt"] {
        assert_same(&first, &models.join(other));
    }
    assert_same(&models.join("lungmask_small.pth"), &models.join("lungmask_small_legacy.pth"));
}

#[test]
fn every_tensor_is_found_with_its_shape() {
    let Some(models) = support::shared("goldens/models") else { return };
    for (file, keys) in [
        ("vqgan_small.ckpt", "keys_vqgan_small.txt"),
        ("vqgan_small_f64.ckpt", "keys_vqgan_small_f64.txt"),
        ("lungmask_small.pth", "keys_lungmask_small.txt"),
        ("phecode_small.pt", "keys_phecode_small.txt"),
    ] {
        let checkpoint = Checkpoint::open(&models.join(file)).unwrap_or_else(|e| panic!("{e}"));
        let found: Vec<_> =
            checkpoint.names().map(|n| (n.to_owned(), checkpoint.shape(n).expect("listed").to_vec())).collect();
        assert_eq!(found, expected_names(&models.join(keys)), "{file}");
    }
}

/// Small checkpoints that `tests/data/checkpoints/make.py` wrote: `w` is 0..6 as [2, 3], `t` its transpose (shared storage),
/// `n` the i64 7, `h` an f16 0.5.
fn small(name: &str) -> PathBuf {
    support::data("checkpoints").join(name)
}

#[test]
fn strides_offsets_kinds_and_wrappers_are_read_in_every_packing() {
    for name in ["zip.ckpt", "legacy.pt", "bare.pt", "protocol4.pt"] {
        let tensors: std::collections::HashMap<_, _> = all(&small(name)).into_iter().collect();
        let values = |n: &str| tensors[n].flatten_all().and_then(|t| t.to_vec1::<f64>()).expect("f64");
        assert_eq!(values("w"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{name}");
        assert_eq!(tensors["t"].dims(), [3, 2], "{name}");
        assert_eq!(values("t"), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0], "{name}");
        assert_eq!(values("tail"), [4.0, 5.0], "{name}");
        assert_eq!(values("n"), [7.0], "{name}");
        assert_eq!(values("h"), [0.5], "{name}");
    }
}

#[test]
fn safetensors_are_read() {
    let tensors = all(&small("small.safetensors"));
    assert_eq!(tensors.len(), 1);
    assert_eq!(
        tensors[0].1.flatten_all().and_then(|t| t.to_vec1::<f64>()).expect("f64"),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
}

#[test]
fn a_pickle_that_calls_the_shell_runs_nothing() {
    let marker = std::env::temp_dir().join("parallax-pickle-ran");
    std::fs::remove_file(&marker).ok(); // it should not be there
    let outcome = Checkpoint::open(&small("hostile.pt"));
    assert!(matches!(outcome, Err(Error::NoTensors { .. })), "{:?}", outcome.map(|c| c.describe()));
    assert!(!marker.exists(), "the pickle ran a command");
}

#[test]
fn missing_misshapen_and_left_over_tensors_are_named_with_their_shapes() {
    let checkpoint = Checkpoint::open(&small("zip.ckpt")).expect("readable");
    let vb = checkpoint.builder(DType::F32, &Device::Cpu);
    let message = vb.get((3, 3), "w").expect_err("w is [2, 3]").to_string();
    assert!(message.contains("tensor w") && message.contains("[2, 3]") && message.contains("[3, 3]"), "{message}");
    let message = vb.get(4, "conv.bias").expect_err("no such tensor").to_string();
    assert!(message.contains("conv.bias is missing") && message.contains("[4]"), "{message}");
    vb.get((2, 3), "w").expect("w");
    let message = checkpoint.finish(&["t"]).expect_err("n and h are left").to_string();
    assert!(message.contains("tensor h, shape []") && message.contains("1 more"), "{message}");
    checkpoint.finish(&["t", "n", "h"]).expect("nothing left");
}

#[test]
fn what_is_no_checkpoint_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.pt");
    std::fs::write(&path, "these are notes").expect("written");
    assert!(matches!(Checkpoint::open(&path), Err(Error::NotACheckpoint { .. })));
    assert!(matches!(Checkpoint::open(&folder.path().join("none.pt")), Err(Error::Io { .. })));
}

#[test]
fn damaged_checkpoints_are_errors_never_panics() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["zip.ckpt", "legacy.pt", "protocol4.pt", "small.safetensors"] {
        let whole = std::fs::read(small(name)).expect("tests/data is complete");
        let try_bytes = |bytes: &[u8], what: &str| {
            let path = folder.path().join("damaged");
            std::fs::write(&path, bytes).expect("written");
            // Reading every tensor must end in a value or an error; a panic fails the test by itself.
            if let Ok(checkpoint) = Checkpoint::open(&path) {
                let vb = checkpoint.builder(DType::F32, &Device::Cpu);
                let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
                for tensor in names {
                    let shape = checkpoint.shape(&tensor).expect("listed").to_vec();
                    assert!(shape.iter().product::<usize>() <= 1 << 20, "{name} {what}: {tensor} claims {shape:?}");
                    vb.get(shape, &tensor).ok(); // either is right
                }
            }
        };
        for cut in (0..whole.len()).step_by((whole.len() / 97).max(1)) {
            try_bytes(&whole[..cut], "cut");
        }
        let mut state = 2025_u64; // SplitMix64, as in gradients.rs
        for _ in 0..400 {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mut bytes = whole.clone();
            bytes[(mixed >> 16) as usize % whole.len()] ^= 1 << (mixed & 7);
            try_bytes(&bytes, "flipped");
        }
    }
}
