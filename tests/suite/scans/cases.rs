//! Odd but real kinds of scans, by `../shared/cases`: each opens as its truth says, to the last voxel, or is refused in words.
//!
//! A case is a folder: `case.json` says what `must` come of the path `open`, and which `words` a note or a refusal holds; `truth.npz`
//! holds `hu` and `affine` as two independent readers have them.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use glam::{DAffine3, DMat3, DVec3};
use regex::RegexBuilder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support;

/// How far a corner may lie from where the truth has it: positions are written with a few decimals.
const GRID_MM: f64 = 0.05;
/// Of the least and the largest voxel, where a case has no truth but these.
const RANGE_HU: f64 = 1.0;
/// Cases that cannot pass where they were copied without their links: a link is a text file there.
const SHORT: [&str; 1] = ["symlink-folder"];

/// An array as numpy saves it, in C or in Fortran order.
struct Array {
    shape: Vec<usize>,
    /// By its index in C order.
    numbers: Vec<f64>,
}

/// An array of an `.npz` file. Source: numpy's `lib/format.py`, versions 1 and 2.
fn array(archive: &mut zip::ZipArchive<File>, name: &str) -> Array {
    let mut bytes = Vec::new();
    archive.by_name(&format!("{name}.npy")).expect(name).read_to_end(&mut bytes).expect("whole");
    let (start, length) = if bytes[6] == 1 {
        (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]])))
    } else {
        (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize)
    };
    let header = std::str::from_utf8(&bytes[start..start + length]).expect("a header of text");
    let after = |key: &str| header.split_once(&format!("'{key}': ")).expect("a field of the header").1;
    let shape = after("shape").trim_start_matches('(').split(')').next().expect("a tuple");
    let shape: Vec<usize> =
        shape.split(',').filter(|n| !n.trim().is_empty()).map(|n| n.trim().parse().expect("a size")).collect();
    let numbers = &bytes[start + length..];
    let numbers: Vec<f64> = match after("descr").split('\'').nth(1).expect("a kind of number") {
        "<i2" => numbers.as_chunks::<2>().0.iter().map(|b| f64::from(i16::from_le_bytes(*b))).collect(),
        "<i4" => numbers.as_chunks::<4>().0.iter().map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
        "<f4" => numbers.as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        "<f8" => numbers.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        other => panic!("numbers of kind {other}"),
    };
    assert_eq!(numbers.len(), shape.iter().product::<usize>(), "{name}");
    if !after("fortran_order").starts_with("True") {
        return Array { shape, numbers };
    }
    let in_fortran = |at: usize| {
        let index = |axis: usize| at / shape[axis + 1..].iter().product::<usize>() % shape[axis];
        (0..shape.len()).rev().fold(0, |sum, axis| sum * shape[axis] + index(axis))
    };
    let numbers = (0..numbers.len()).map(|at| numbers[in_fortran(at)]).collect();
    Array { shape, numbers }
}

fn affine(rows: &[f64]) -> DAffine3 {
    let column = |c: usize| DVec3::new(rows[c], rows[4 + c], rows[8 + c]);
    DAffine3 { matrix3: DMat3::from_cols(column(0), column(1), column(2)), translation: column(3) }
}

/// Which axis of the world each axis of a grid runs along most; `None` where two run along one.
fn along(grid: &DAffine3) -> Option<[usize; 3]> {
    let most = |axis: usize| {
        let sizes = grid.matrix3.col(axis).abs().to_array();
        (0..3).fold(0, |best, world| if sizes[world] > sizes[best] { world } else { best })
    };
    let axes = [most(0), most(1), most(2)];
    (0..3).all(|world| axes.contains(&world)).then_some(axes)
}

/// What is wrong with an opened grid and voxels, held against the truth in the grid's own order and directions.
fn against_truth(truth: &Path, info: &Value) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(File::open(truth).expect("readable")).expect("a zip file");
    let (hu, rows) = (array(&mut archive, "hu"), array(&mut archive, "affine"));
    let (have, got) = (affine(&rows.numbers), affine(&matrix(info)));
    let axes = along(&have).zip(along(&got)).ok_or("two axes of a grid run along one of the world")?;
    let order = axes.1.map(|world| axes.0.iter().position(|axis| *axis == world).expect("each is there"));
    let shape = order.map(|axis| hu.shape[axis]);
    if info["shape"] != serde_json::json!(shape) {
        return Err(format!("shape {}, the truth is {shape:?}", info["shape"]));
    }
    let mut turned = DAffine3 { translation: have.translation, ..have };
    let flipped: Vec<bool> = (0..3).map(|k| have.matrix3.col(order[k]).dot(got.matrix3.col(k)) < 0.0).collect();
    for k in 0..3 {
        let step = have.matrix3.col(order[k]);
        *turned.matrix3.col_mut(k) = if flipped[k] { -step } else { step };
        if flipped[k] {
            turned.translation += step * (shape[k] as f64 - 1.0);
        }
    }
    let corner =
        |c: usize| DVec3::from_array([0, 1, 2].map(|k| if c >> k & 1 == 1 { shape[k] as f64 - 1.0 } else { 0.0 }));
    let gap = |c: usize| turned.transform_point3(corner(c)).distance(got.transform_point3(corner(c)));
    let gap = (0..8).map(gap).fold(0.0, f64::max);
    if gap.is_nan() || gap > GRID_MM {
        return Err(format!("corners are off by {gap:.2} mm"));
    }
    let mut hasher = Sha256::new();
    for at in 0..hu.numbers.len() {
        let index = [at % shape[0], at / shape[0] % shape[1], at / shape[0] / shape[1]];
        let mut source = [0; 3];
        for k in 0..3 {
            source[order[k]] = if flipped[k] { shape[k] - 1 - index[k] } else { index[k] };
        }
        let value = hu.numbers[(source[0] * hu.shape[1] + source[1]) * hu.shape[2] + source[2]] as f32;
        hasher.update(value.to_le_bytes());
    }
    if info["sha256"] == hex::encode(hasher.finalize()) {
        Ok(())
    } else {
        Err(format!("the voxels differ; they run over {}", info["range_hu"]))
    }
}

fn matrix(info: &Value) -> Vec<f64> {
    let rows = info["world_from_voxel"].as_array().expect("rows");
    rows.iter().flat_map(|row| row.as_array().expect("a row")).map(|x| x.as_f64().expect("a number")).collect()
}

/// Where a case has no voxels as its truth: its sizes in any order, and its range.
fn against_numbers(case: &Value, info: &Value) -> Result<(), String> {
    let sorted = |of: &Value| {
        let mut sizes: Vec<u64> = of["shape"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        sizes.sort_unstable();
        sizes
    };
    if sorted(case) != sorted(info) {
        return Err(format!("shape {}, the truth is {}", info["shape"], case["shape"]));
    }
    let near = |n: usize, of: &str| {
        let [got, wanted] = [&info["range_hu"][n], &case[of]].map(|x| x.as_f64().unwrap_or(f64::NAN));
        (got - wanted).abs() <= RANGE_HU
    };
    let right = near(0, "min_hu") && near(1, "max_hu");
    let (got, least, most) = (&info["range_hu"], &case["min_hu"], &case["max_hu"]);
    if right { Ok(()) } else { Err(format!("range {got}, the truth is {least} to {most}")) }
}

/// Runs one case; what falls short, in words.
fn verdict(folder: &Path, case: &Value) -> Result<(), String> {
    let word = |key: &str| case[key].as_str().expect("a word");
    let path = folder.join(word("open"));
    let output = Command::new(env!("CARGO_BIN_EXE_parallax")).arg("info").arg(path).arg("--json").output();
    let output = output.expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let words = RegexBuilder::new(word("words")).case_insensitive(true).build().expect("a pattern");
    if said.contains("panicked") {
        return Err(format!("a panic is shown: {said}"));
    }
    match output.status.code() {
        Some(0) if word("must") != "refuse" => {
            let info: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
            let truth = folder.join("truth.npz");
            if case.get("shape").is_some() {
                if truth.exists() { against_truth(&truth, &info)? } else { against_numbers(case, &info)? }
            }
            let warnings: Vec<&str> =
                info["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if word("must") == "warn" && !words.is_match(&warnings.join(" ")) {
                return Err(format!("no warning of {words}: {warnings:?}"));
            }
            Ok(())
        }
        Some(3) if word("must").contains("refuse") => {
            if words.is_match(&said) {
                Ok(())
            } else {
                Err(format!("refused without saying {words}: {said}"))
            }
        }
        code => Err(format!("exit {code:?}: {said}")),
    }
}

#[test]
fn every_case_opens_as_its_truth_says_or_is_refused_in_words() {
    let told = std::env::var_os("CASES").map(PathBuf::from);
    let Some(folder) = told.or_else(|| support::shared("cases")) else { return };
    let folders = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = folders.filter(|path| path.join("case.json").exists()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "no cases");
    let mut short = HashMap::new();
    for folder in &folders {
        let case = std::fs::read(folder.join("case.json")).expect("readable");
        let case: Value = serde_json::from_slice(&case).expect("JSON");
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if let Err(fault) = verdict(folder, &case) {
            short.insert(name, format!("({}): {}\n    {fault}", case["must"], case["what"]));
        }
    }
    println!("{} of {} cases as they must be", folders.len() - short.len(), folders.len());
    let new: Vec<_> = short.iter().filter(|(name, _)| !SHORT.contains(&name.as_str())).collect();
    let lines = new.iter().map(|(name, fault)| format!("{name} {fault}")).collect::<Vec<_>>().join("\n");
    assert!(new.is_empty(), "{} of {} cases fall short:\n{lines}", new.len(), folders.len());
}
