//! Checkpoints in every packing give the same tensors; damaged and foreign ones give words.

use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use parallax::weights::{Checkpoint, Error};

use crate::support;

fn all(path: &Path) -> Vec<(String, Tensor)> {
    let checkpoint = Checkpoint::open(path).unwrap_or_else(|e| panic!("{e}"));
    let vb = checkpoint.builder(DType::F64);
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
    let vb = checkpoint.builder(DType::F32);
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
                let vb = checkpoint.builder(DType::F32);
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
        let mut random = support::Random::new(2025);
        for _ in 0..400 {
            let mut bytes = whole.clone();
            random.flip(&mut bytes);
            try_bytes(&bytes, "flipped");
        }
    }
}

/// A zip checkpoint of one pickle and one storage, packed as said.
fn zip_of(pickle: &[u8], storage: &[u8], packing: zip::CompressionMethod) -> tempfile::NamedTempFile {
    use std::io::Write;

    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut archive = zip::ZipWriter::new(file.as_file());
    let options = zip::write::SimpleFileOptions::default().compression_method(packing);
    for (name, bytes) in [("archive/data.pkl", pickle), ("archive/data/0", storage)] {
        archive.start_file(name, options).expect("an entry");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("a zip file");
    file
}

/// The pickle of `{"w": tensor}` over storage "0" of `numel` floats; `shape` and `strides` are the pickled tuples.
fn pickle_of(numel: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&[b'X', text.len() as u8, 0, 0, 0], text.as_bytes()].concat();
    let mut pickle = b"\x80\x02}(".to_vec();
    pickle.extend(text("w"));
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle.extend(text("storage"));
    pickle.extend(b"ctorch\nFloatStorage\n");
    pickle.extend(text("0"));
    pickle.extend(text("cpu"));
    pickle.extend([b'K', numel, b't', b'Q', b'K', 0]);
    pickle.extend(shape);
    pickle.extend(strides);
    pickle.extend(b"tRu.");
    pickle
}

const STORED: zip::CompressionMethod = zip::CompressionMethod::Stored;
const DEFLATED: zip::CompressionMethod = zip::CompressionMethod::Deflated;

#[test]
fn a_shape_of_calls_in_calls_overflows_no_stack() {
    // torch.Size(torch.Size(… (2,) …)): one call is torch's own, more are none's.
    let calls = |depth: usize| {
        let mut shape = b"ctorch\nSize\nq\x010".to_vec();
        shape.extend(b"h\x01".repeat(depth));
        shape.extend(b"K\x02\x85");
        shape.extend(b"\x85R".repeat(depth));
        pickle_of(2, &shape, b"K\x01\x85")
    };
    let storage = [1.0_f32, 2.0].map(f32::to_le_bytes).concat();
    assert_eq!(
        Checkpoint::open(zip_of(&calls(1), &storage, STORED).path()).expect("readable").shape("w"),
        Some(&[2][..])
    );
    for depth in [2, 1_000_000] {
        let outcome = Checkpoint::open(zip_of(&calls(depth), &storage, STORED).path());
        assert!(matches!(outcome, Err(Error::NoTensors { .. })), "{depth}: {:?}", outcome.map(|c| c.describe()));
    }
}

#[test]
fn a_legacy_storage_of_a_size_beyond_64_bits_is_damage() {
    // The 6 floats of the first storage become so many that 4 bytes each just fit 64 bits, and an offset more does not: before
    // its numbers, and in every persistent id.
    const HUGE: u64 = (1 << 62) - 1;
    let whole = std::fs::read(small("legacy.pt")).expect("tests/data is complete");
    let numbers = [0.0_f32, 1.0].map(f32::to_le_bytes).concat();
    let replaced = |bytes: &[u8], from: &[u8], to: &[u8]| -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let found = bytes[at..].starts_with(from);
            out.extend_from_slice(if found { to } else { &bytes[at..=at] });
            at += if found { from.len() } else { 1 };
        }
        assert_ne!(out, bytes, "found");
        out
    };
    let counted = |count: u64| [&count.to_le_bytes()[..], &numbers].concat();
    let bytes = replaced(&whole, &counted(6), &counted(HUGE));
    let huge = [&[0x8a, 8][..], &HUGE.to_le_bytes(), b"Nt"].concat();
    let bytes = replaced(&bytes, b"K\x06Nt", &huge);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let outcome = Checkpoint::open(file.path());
    let Err(Error::Damaged { what, .. }) = &outcome else { panic!("{:?}", outcome.map(|c| c.describe())) };
    assert!(what.contains("ends in the middle of its storages"), "{what}");
}

#[test]
fn shapes_without_numbers_are_read_whatever_their_other_sizes_and_strides() {
    let huge = [&[0x8a, 8][..], &(i64::MAX / 4).to_le_bytes()].concat();
    let tuple = |items: [&[u8]; 3]| [items.concat(), vec![0x87]].concat();
    let zero = b"K\x00";
    let empty = |shape: [&[u8]; 3]| -> Result<usize, Error> {
        let file = zip_of(&pickle_of(2, &tuple(shape), &tuple([&huge, &huge, &huge])), &[0; 8], STORED);
        let checkpoint = Checkpoint::open(file.path())?;
        let shape = checkpoint.shape("w").expect("listed").to_vec();
        Ok(checkpoint.builder(DType::F32).get(shape, "w").expect("no numbers").elem_count())
    };
    for shape in [[&zero[..], b"K\x03", b"K\x05"], [b"K\x03", zero, &huge], [&huge, b"K\x01", zero]] {
        assert_eq!(empty(shape).unwrap_or_else(|e| panic!("{e}")), 0);
    }
    // Strides of a dense tensor of this shape are beyond 64 bits.
    let outcome = empty([&huge, zero, &huge]);
    assert!(matches!(outcome, Err(Error::Damaged { .. })), "{outcome:?}");
}

#[test]
fn a_pickle_that_inflates_without_end_is_refused() {
    // Deflate makes about a thousandth of it: more than any pickle, in a file of some 300 kB.
    let bomb = vec![b'N'; (1 << 28) + 1];
    let outcome = Checkpoint::open(zip_of(&bomb, &[], DEFLATED).path());
    let Err(Error::Damaged { what, .. }) = &outcome else { panic!("{:?}", outcome.map(|c| c.describe())) };
    assert!(what.contains("data.pkl claims 268435457 bytes"), "{what}");
    // Within the limit, but nothing but values.
    for op in [b"N".as_slice(), b"(", b"N2\x94"] {
        let outcome = Checkpoint::open(zip_of(&op.repeat((1 << 22) + 8), &[], DEFLATED).path());
        let Err(Error::Damaged { what, .. }) = &outcome else { panic!("{:?}", outcome.map(|c| c.describe())) };
        assert!(what.contains("more than 4194304 values"), "{op:?}: {what}");
    }
}

/// Changes of the checksums that a zip file lists, entry by entry: in the list behind the entries.
pub(crate) fn with_checksums(zip: &[u8], change: impl Fn([u8; 4]) -> [u8; 4]) -> Vec<u8> {
    let mut bytes = zip.to_vec();
    for at in 0..bytes.len() - 20 {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            let sum = change(bytes[at + 16..at + 20].try_into().expect("four"));
            bytes[at + 16..at + 20].copy_from_slice(&sum);
        }
    }
    bytes
}

#[test]
fn a_changed_bit_of_a_storage_is_damage_unless_torch_wrote_no_checksums() {
    let opened = |bytes: &[u8]| -> Result<f64, Error> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        let checkpoint = Checkpoint::open(file.path())?;
        let tensor = checkpoint.builder(DType::F64).get(2, "w").expect("two numbers");
        Ok(tensor.get(1).and_then(|x| x.to_scalar()).expect("a number"))
    };
    let storage = [1.0_f32, 2.0].map(f32::to_le_bytes).concat();
    let pickle = pickle_of(2, b"K\x02\x85", b"K\x01\x85");
    let whole = std::fs::read(zip_of(&pickle, &storage, STORED).path()).expect("written");
    assert_eq!(opened(&whole).expect("whole"), 2.0);
    let mut changed = whole.clone();
    let at = changed.windows(8).position(|part| part == storage).expect("its numbers");
    changed[at + 6] ^= 0x40; // 2 becomes 3
    let said = opened(&changed).expect_err("damaged").to_string();
    assert!(said.contains("entry archive/data/0 is damaged: its checksum (CRC-32)"), "{said}");
    let pickled = with_checksums(&whole, |sum| [sum[0] ^ 1, sum[1], sum[2], sum[3]]);
    let said = opened(&pickled).expect_err("damaged").to_string();
    assert!(said.contains("entry archive/data.pkl is damaged: its checksum"), "{said}");
    // torch.serialization.set_crc32_options(False) leaves 0 in every entry.
    assert_eq!(opened(&with_checksums(&whole, |_| [0; 4])).expect("unchecked"), 2.0);
    assert_eq!(opened(&with_checksums(&changed, |_| [0; 4])).expect("unchecked"), 3.0);
}

#[test]
fn a_number_that_is_none_is_named_with_its_tensor() {
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let storage = [1.0, odd].map(f32::to_le_bytes).concat();
        let file = zip_of(&pickle_of(2, b"K\x02\x85", b"K\x01\x85"), &storage, DEFLATED);
        let checkpoint = Checkpoint::open(file.path()).expect("its tensors are listed");
        let message = checkpoint.builder(DType::F32).get(2, "w").expect_err("not finite").to_string();
        assert!(message.contains("tensor w: it holds") && message.contains(&odd.to_string()), "{message}");
    }
}
