//! Files that are not what they say: seeds of every kind, flipped, cut, spliced and filled with odd numbers, are read or refused:
//! without a panic, an abort, or more memory and time than a file of their size may take.
//!
//! What `PARALLAX_MUTATIONS=10` does is ten times what runs by itself. An input that fails is kept, and its path said.

pub(crate) mod parsers;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use candle_core::{DType, Tensor};
use parallax::export::nifti::nifti_bytes;
use parallax::volume::{Grid, Volume, Voxels};
use parallax::weights::Checkpoint;
use peak_alloc::PeakAlloc;

use crate::scans::dicom::{self, Slice};
use crate::support::{self, Random};
use crate::tiny_models::TinyModels;

/// Counts for the whole process, and so in a process that does nothing else.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What one input may take beside what its size explains: buffers, tables, the least blocks of decoders.
const MEMORY_AT_ALL: usize = 64 << 20;
/// What each of its bytes may take. Deflate makes up to 1032 of one, and each becomes a number of four.
const MEMORY_PER_BYTE: usize = 4 * 1032;
/// But never more than this, for inputs of up to 100 KB or so.
const MEMORY_AT_MOST: usize = 1 << 30;
/// The longest that one input may take, on a machine that does other things too; by itself none takes a tenth of it.
const LONGEST: Duration = Duration::from_secs(5);

fn one_of<'a, T: ?Sized>(all: &[&'a T], random: &mut Random) -> &'a T {
    all[random.below(all.len())]
}

/// Where sizes end, and signs turn.
const ODD: [u64; 12] =
    [0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];
const ODD_WORDS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "65536",
    "4294967295",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e999",
    "-1e300",
    "1e-320",
    "NaN",
    "\"\"",
    "[]",
];

/// One to four changes of a seed.
fn mutated(seed: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => {
                for _ in 0..=random.below(8) {
                    let at = random.below(bytes.len());
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << random.below(8);
                    }
                }
            }
            1 => bytes.truncate(at),
            2 => {
                let odd = ODD[random.below(ODD.len())];
                let (little, big) = (odd.to_le_bytes(), odd.to_be_bytes());
                let size = [1, 2, 4, 8][random.below(4)];
                let number = if random.below(2) == 0 { &little[..size] } else { &big[8 - size..] };
                bytes.iter_mut().skip(at).zip(number).for_each(|(byte, odd)| *byte = *odd);
            }
            3 => {
                let end = (at + random.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 | 5 => {
                let from = &others[random.below(others.len())];
                let start = random.below(from.len());
                let piece = &from[start..(start + 1 + random.below(64)).min(from.len())];
                let over = if random.below(2) == 0 { (at + piece.len()).min(bytes.len()) } else { at };
                bytes.splice(at..over, piece.iter().copied());
            }
            6 => bytes.insert(at, random.next() as u8),
            _ => odd_number(&mut bytes, at, random),
        }
    }
    bytes
}

/// Puts an odd number in the place of the next one that stands in a text.
fn odd_number(bytes: &mut Vec<u8>, from: usize, random: &mut Random) {
    let Some(start) = bytes.iter().skip(from).position(u8::is_ascii_digit).map(|n| n + from) else { return };
    let end = bytes.iter().skip(start).position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |n| n + start);
    bytes.splice(start..end, one_of(&ODD_WORDS, random).bytes());
}

/// A safetensors file with other shapes for a few of its tensors, most of as many numbers as before: what kernels must survive.
fn reshaped(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let (length, rest) = seed.split_first_chunk::<8>().expect("a header");
    let (header, numbers) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).expect("JSON");
    for _ in 0..=random.below(3) {
        let at = random.below(header.len());
        let tensor = header.values_mut().nth(at).expect("it is there");
        let Some(shape) = tensor["shape"].as_array_mut().filter(|shape| !shape.is_empty()) else { continue };
        let (a, b) = (random.below(shape.len()), random.below(shape.len()));
        let size = shape[a].as_u64().expect("a size");
        match random.below(5) {
            0 => shape.swap(a, b),
            1 if a != b => {
                shape[b] = (shape[b].as_u64().expect("a size") * size).into();
                shape[a] = 1.into();
            }
            2 if size % 2 == 0 && a != b => {
                shape[b] = (shape[b].as_u64().expect("a size") * 2).into();
                shape[a] = (size / 2).into();
            }
            3 => shape[a] = 0.into(),
            _ => shape[a] = ODD[random.below(ODD.len())].into(),
        }
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    [&(header.len() as u64).to_le_bytes(), header.as_slice(), numbers].concat()
}

/// Another input, from a seed and all seeds.
type Mutate = fn(&[u8], &[Vec<u8>], &mut Random) -> Vec<u8>;

/// What a parser is tried with: seeds, and how many mutations.
struct Trial {
    parser: &'static str,
    seeds: Vec<Vec<u8>>,
    mutations: usize,
    mutate: Mutate,
}

impl Trial {
    fn of(parser: &'static str, mutations: usize, seeds: Vec<Vec<u8>>) -> Self {
        Self { parser, seeds, mutations, mutate: mutated }
    }
}

fn file(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("it was written")
}

fn scans() -> Vec<Trial> {
    let folder = tempfile::tempdir().expect("a folder");
    let gz: Vec<_> = ["syn_lps", "syn_slope_inter", "syn_oblique"]
        .map(|name| file(&support::data(&format!("nifti/{name}.nii.gz"))))
        .into();
    let small = Grid { shape: [5, 4, 3], world_from_voxel: glam::DAffine3::IDENTITY };
    let volumes = [
        Volume::new(small, Voxels::I16((0..60).collect::<Vec<_>>().into())),
        Volume::from_f32(small, (0..60).map(|n| n as f32 / 7.0).collect::<Vec<_>>()),
    ];
    let mut plain = Vec::new();
    for volume in &volumes {
        let mut bytes = Vec::new();
        let packed = nifti_bytes(volume, "a seed").expect("written");
        std::io::copy(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut bytes).expect("gzip");
        plain.push(bytes);
    }
    let slice = folder.path().join("slice.dcm");
    dicom::write(&Slice::axial(4), &slice);
    let slice = file(&slice);
    let study = zipped(&[("study/1.dcm", &slice), ("study/2.dcm", &slice)]);
    let numbers: Vec<u8> = (0..60_i16).flat_map(i16::to_le_bytes).collect();
    let nrrd = "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 5 4 3\nspace directions: (1,0,0) (0,1,0) (0,0,2.5)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n";
    let mha = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 2.5\nDimSize = 5 4 3\nElementType = MET_SHORT\nElementDataFile = LOCAL\n";
    let with = |header: &str| vec![[header.as_bytes(), &numbers].concat()];
    vec![
        Trial::of("nifti", 4000, plain),
        Trial::of("nifti_gz", 1000, gz),
        Trial::of("dicom", 4000, vec![slice]),
        Trial::of("nrrd", 2000, with(nrrd)),
        Trial::of("metaimage", 2000, with(mha)),
        Trial::of("study", 1000, vec![study]),
    ]
}

fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write;

    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).expect("an entry");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("a zip file").into_inner()
}

/// The entry of a zip file whose name ends so.
fn entry(zip: &[u8], end: &str) -> Vec<u8> {
    use std::io::Read;

    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).expect("a zip file");
    let names: Vec<String> = archive.file_names().map(|name| name.expect("plain").into_owned()).collect();
    let name = names.iter().find(|name| name.ends_with(end)).expect("an entry");
    let mut bytes = Vec::new();
    archive.by_name(name).expect("it is there").read_to_end(&mut bytes).expect("whole");
    bytes
}

/// The tensors of a checkpoint as a safetensors file.
fn as_safetensors(path: &Path) -> Vec<u8> {
    let checkpoint = Checkpoint::open(path).expect("a checkpoint");
    let builder = checkpoint.builder(DType::F32);
    let tensors: HashMap<String, Tensor> = checkpoint
        .names()
        .map(|name| {
            let shape = checkpoint.shape(name).expect("listed").to_vec();
            (name.to_owned(), builder.get(shape, name).expect("numbers"))
        })
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let written = folder.path().join("weights.safetensors");
    candle_core::safetensors::save(&tensors, &written).expect("written");
    file(&written)
}

fn checkpoints() -> Vec<Trial> {
    let seeds =
        |names: &[&str]| names.iter().map(|name| file(&support::data(&format!("checkpoints/{name}")))).collect();
    let zips: Vec<Vec<u8>> = seeds(&["zip.ckpt", "bare.pt", "protocol4.pt"]);
    let pickles = zips.iter().map(|zip| entry(zip, "data.pkl")).collect();
    let programs =
        ["classifier", "transformer"].map(|name| file(&support::data(&format!("exchange/{name}.program.pt2"))));
    let graph = entry(parsers::PROGRAM, "/model.json");
    vec![
        Trial::of("zip_checkpoint", 4000, zips),
        Trial::of("pickle", 20_000, pickles),
        Trial::of("legacy_checkpoint", 10_000, seeds(&["legacy.pt"])),
        Trial::of("safetensors", 10_000, seeds(&["small.safetensors"])),
        Trial::of("pt2", 1000, programs.into()),
        Trial::of("program", 3000, vec![graph]),
        Trial::of(
            "onnx",
            6000,
            ["classifier", "transformer"].map(|name| file(&support::data(&format!("exchange/{name}.onnx")))).into(),
        ),
    ]
}

const READER_STUDY: &str = r#"name = "Trial"
cases = ["a.parallax", "b.parallax"]
seed = 7
show_target = true
first_slice = "middle"
[[question]]
name = "realistic"
ask = "Could it be?"
kind = "five-point"
low = "no"
[[question]]
name = "where"
ask = "Mark it"
kind = "region"
optional = true
"#;

const ANSWERS: &str = "study,seed,reader,event,position,case,question,answer,shown_at,at,seconds,seconds_original,\
    seconds_counterfactual,seconds_difference\r\n\
    MARK,1,R1,answer,1,a.parallax,realistic,4,2026-11-30T03:00:00.000Z,2026-11-30T03:01:00.000Z,60.0,60.0,60.0,0.0\r\n\
    MARK,1,R1,answer,1,a.parallax,remarks,\"soft, at the edge\",2026-11-30T03:00:00.000Z,2026-11-30T03:02:00.000Z,120.0,120.0,120.0,0.0\r\n\
    MARK,1,R1,done,1,a.parallax,,,2026-11-30T03:00:00.000Z,2026-11-30T03:03:00.000Z,180.0,180.0,180.0,0.0\r\n";

fn texts() -> Vec<Trial> {
    let seed = |text: &str| vec![text.as_bytes().to_vec()];
    let presets = r#"[{ "name": "Lung", "center_hu": -600, "width_hu": 1500 }, { "name": "Bone", "center_hu": 300, "width_hu": 1500 }]"#;
    vec![
        Trial::of("card", 10_000, vec![file(&support::data("hostile/card.toml"))]),
        Trial::of("yaml", 4000, vec![file(&support::data("hostile/config.yaml"))]),
        Trial::of("session", 8000, vec![file(&support::data("hostile/session.json"))]),
        Trial::of("presets", 10_000, seed(presets)),
        Trial::of("record", 8000, vec![file(&support::data("hostile/result.json"))]),
        Trial::of("reader_study", 4000, seed(READER_STUDY)),
        Trial::of("answers", 2000, seed(ANSWERS)),
    ]
}

fn networks() -> Vec<Trial> {
    let models = TinyModels::new();
    let weights = |name: &str| file(&models.folder.path().join(format!("{name}.safetensors")));
    let trial = |parser, seed, mutations| Trial {
        parser,
        seeds: vec![seed],
        mutations,
        mutate: |seed, _, random| reshaped(seed, random),
    };
    vec![
        trial("i3resnet", weights("classifier"), 300),
        trial("lung_unet", weights("segmenter"), 300),
        trial("vqgan", weights("autoencoder"), 100),
        trial("autoencoder_kl", std::fs::read(support::data("kl/small.safetensors")).expect("a checkpoint"), 100),
        trial("densenet", as_safetensors(&support::data("densenet/small.pt")), 300),
    ]
}

/// A name, and what makes the trials of that name.
type Group = (&'static str, fn() -> Vec<Trial>);

const GROUPS: [Group; 4] = [("scans", scans), ("checkpoints", checkpoints), ("texts", texts), ("networks", networks)];

/// Runs a group in a process of its own: what it takes is its own, and an abort takes nothing else with it.
fn try_group(name: &str) {
    let kept = std::env::temp_dir().join(format!("parallax-mutation-{name}"));
    std::fs::remove_dir_all(&kept).ok(); // of a run before
    std::fs::create_dir_all(&kept).expect("a folder");
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["house::mutations::of_one_group", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("PARALLAX_GROUP", name)
        .env("PARALLAX_INPUTS", &kept)
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{}; the input lies in {}:\n{said}", output.status, kept.display());
    std::fs::remove_dir_all(&kept).ok(); // nothing to look at
}

#[test]
fn mutated_scans_are_read_or_refused() {
    try_group("scans");
}

#[test]
fn mutated_checkpoints_are_read_or_refused() {
    try_group("checkpoints");
}

#[test]
fn mutated_texts_are_read_or_refused() {
    try_group("texts");
}

#[test]
fn networks_of_other_shapes_are_refused_or_compute() {
    try_group("networks");
}

#[test]
#[ignore = "the tests above start it, in a process of its own"]
fn of_one_group() {
    let name = std::env::var("PARALLAX_GROUP").expect("the name of a group");
    let folder = PathBuf::from(std::env::var_os("PARALLAX_INPUTS").expect("a folder"));
    let times: usize = std::env::var("PARALLAX_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let trials = GROUPS.iter().find(|(known, _)| *known == name).expect("a group of that name").1();
    for Trial { parser, seeds, mutations, mutate } in &trials {
        let (feed, mut random) = (parsers::feed(parser), Random::new(2026));
        let (mut most, mut longest) = (0, Duration::ZERO);
        for number in 0..seeds.len() + mutations * times {
            let seed = &seeds[number % seeds.len()];
            let input = if number < seeds.len() { seed.clone() } else { mutate(seed, seeds, &mut random) };
            let (taken, took) = try_input(parser, number, feed, &folder, &input);
            (most, longest) = (most.max(taken), longest.max(took));
        }
        println!("{parser}: {most} bytes and {longest:?} at most");
    }
}

/// Bytes of memory and time that an input took; more than it may is a failure.
fn try_input(parser: &str, number: usize, feed: parsers::Feed, folder: &Path, input: &[u8]) -> (usize, Duration) {
    std::fs::write(folder.join("input"), input).expect("written"); // to be looked at, should this be the last
    let inside = folder.join("files");
    std::fs::create_dir_all(&inside).expect("a folder");
    MEMORY.reset_peak_usage();
    let (before, began) = (MEMORY.current_usage(), Instant::now());
    let outcome = catch_unwind(AssertUnwindSafe(|| feed(&inside, input)));
    let (taken, took) = (MEMORY.peak_usage().saturating_sub(before), began.elapsed());
    assert!(outcome.is_ok(), "{parser}, input {number} of {} bytes: a panic", input.len());
    let may_take = MEMORY_AT_MOST.min(MEMORY_AT_ALL + MEMORY_PER_BYTE * input.len());
    assert!(taken <= may_take, "{parser}, input {number} of {} bytes took {taken} bytes of memory", input.len());
    assert!(took <= LONGEST, "{parser}, input {number} of {} bytes took {took:?}", input.len());
    std::fs::remove_dir_all(&inside).expect("nothing holds its files");
    (taken, took)
}

/// Seeds for `fuzz/`, a folder for each target: `fuzz/seeds` runs it.
#[test]
#[ignore = "fuzz/seeds runs it, with the folder to write to"]
fn seeds_are_written() {
    let folder = PathBuf::from(std::env::var_os("PARALLAX_SEEDS").expect("a folder"));
    for trial in GROUPS.iter().flat_map(|(_, trials)| trials()) {
        let folder = folder.join(trial.parser);
        std::fs::create_dir_all(&folder).expect("a folder");
        for (number, seed) in trial.seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed_{number}")), seed).expect("written");
        }
    }
}
