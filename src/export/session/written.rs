//! Writes a session as its numbers come: what stands in front of them is written last, into room that was left for it.

use std::io::{SeekFrom, Write};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::extras::Beside;
use super::images::{as_scanned, shape_words};
use super::packed::{Near, pack};
use super::sweep::{near, outwards};
use super::{FORMAT, HEATMAP, Hash, Numbers, OUTSIDE, Parts, REPETITIONS, SCANNED, STACK, VERSION};
use crate::export::report::NOTICE;
use crate::export::tensors::{bytes, f32s, f64s};
use crate::export::write::Seekable;
use crate::latent_shift::heatmap::heatmap;
use crate::latent_shift::{Counterfactual, HeatmapMethod};
use crate::stability::Stability;
use crate::volume::Volume;

/// A tensor as it stands in the header.
struct Entry {
    name: &'static str,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: u64,
}

/// Writes a session. What the scan and its other parts give again is left out: the stack, which is the scan's, prepared; slices that stay as
/// scanned; the heatmap, where the steps add up to it; and latents and their gradient, which nothing asks of a run that is over.
/// `beside` is of the result, or of the scan.
pub fn write_session(
    out: &mut dyn Seekable,
    document: &impl Serialize,
    result: Option<&Counterfactual>,
    beside: &Beside,
) -> Result<()> {
    let document = serde_json::to_string(document).context("the session cannot be written")?;
    let (words, mut parts) = result.map(parts).unwrap_or_default();
    if let Some((result, stability)) = result.zip(beside.stability) {
        parts.extend(repetitions(result, stability));
    }
    parts.extend(beside.parts());
    let begin = out.stream_position()?;
    let longest = parts.iter().map(|(name, numbers)| Entry::longest(name, numbers)).collect::<Vec<_>>();
    let room = header(&document, &words, &longest, &Hash::of(&document).hex())?.len();
    out.write_all(&(room as u64).to_le_bytes())?;
    out.write_all(&vec![b' '; room])?;
    let (mut hash, mut entries) = (Hash::of(&document), Vec::new());
    for (key, word) in &words {
        hash.word(key, word);
    }
    for (name, numbers) in parts {
        let mut counted = Counted { out: &mut *out, sha256: Sha256::new(), bytes: 0 };
        let (dtype, shape) = match numbers {
            Numbers::Plain(array) => {
                counted.write_all(&array.bytes)?;
                (array.kind(), Some(array.shape))
            }
            Numbers::Packed(write) => {
                write(&mut counted)?;
                ("U8", None)
            }
        };
        let Counted { sha256, bytes, .. } = counted;
        let shape = shape.unwrap_or_else(|| vec![bytes as usize]);
        hash.tensor(name, &shape, sha256);
        entries.push(Entry { name, dtype, shape, bytes });
    }
    let mut header = header(&document, &words, &entries, &hash.hex())?;
    header.resize(room, b' ');
    let end = out.stream_position()?;
    out.seek(SeekFrom::Start(begin + 8))?;
    out.write_all(&header)?;
    out.seek(SeekFrom::Start(end))?;
    Ok(())
}

impl Entry {
    /// No entry of these numbers takes more room.
    fn longest(name: &'static str, numbers: &Numbers) -> Self {
        let (dtype, shape) = match numbers {
            Numbers::Plain(array) => (array.kind(), array.shape.clone()),
            Numbers::Packed(_) => ("U8", vec![usize::MAX]),
        };
        Self { name, dtype, shape, bytes: u64::MAX }
    }
}

/// The header of a safetensors file, padded to whole eights. Source: the format's own description, github.com/huggingface/safetensors.
fn header(document: &str, words: &[(&str, String)], entries: &[Entry], sha256: &str) -> Result<Vec<u8>> {
    let own =
        [("format", FORMAT), ("version", VERSION), ("document", document), ("sha256", sha256), ("notice", NOTICE)];
    let words = own.into_iter().chain(words.iter().map(|(key, word)| (*key, word.as_str())));
    let words: Map<_, _> = words.map(|(key, word)| (key.to_owned(), Value::from(word))).collect();
    let mut header = Map::from_iter([("__metadata__".to_owned(), words.into())]);
    let mut end = 0_u64;
    for Entry { name, dtype, shape, bytes } in entries {
        let begin = end;
        end = end.saturating_add(*bytes);
        header.insert((*name).to_owned(), json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}));
    }
    let mut header = serde_json::to_vec(&header).context("the session's header cannot be written")?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// Passes bytes on, counts and hashes them.
struct Counted<'a> {
    out: &'a mut dyn Seekable,
    sha256: Sha256,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

type Words = Vec<(&'static str, String)>;

/// How often each voxel and each slice came again.
fn repetitions(result: &Counterfactual, stability: &Stability) -> [(&'static str, Numbers<'static>); 2] {
    let ([width, height, _], slices) = (result.grid.shape, result.slab.len());
    let (agree, of_slices) = stability.counts();
    let counted = [bytes(&[slices, height, width], agree), bytes(&[slices], of_slices)];
    let mut names = REPETITIONS.into_iter();
    counted.map(|array| (names.next().expect("as many names as arrays"), Numbers::Plain(array)))
}

/// What of a result is written, in the order of the hash.
fn parts(result: &Counterfactual) -> (Words, Parts<'_>) {
    let Counterfactual { steps, scores, reconstruction, .. } = result;
    let (count, labels) = (steps.len(), result.scan_logits.len());
    let logits = steps.iter().flat_map(|step| step.logits.iter().copied());
    let walk = result.walk.iter().flat_map(|t| [t.lambda, t.score, t.change]);
    let arrays = [
        ("lambdas", f64s(&[count], steps.iter().map(|step| step.lambda))),
        ("step_scores", f64s(&[count], steps.iter().map(|step| step.score))),
        ("scores", f64s(&[3], [scores.scan, scores.reconstruction, scores.counterfactual].into_iter())),
        ("calibration", f64s(&[2], result.calibration.into_iter())),
        ("latents_moved", f64s(&[1], [result.latents_moved].into_iter())),
        ("walk", f64s(&[result.walk.len(), 3], walk)),
        ("hu_from_decoded", f32s(&[2], result.hu_from_decoded.into_iter())),
        ("logits", f32s(&[count, labels], logits)),
        ("scan_logits", f32s(&[labels], result.scan_logits.iter().copied())),
        ("reconstruction_logits", f32s(&[labels], result.reconstruction_logits.iter().copied())),
    ];
    let mut parts: Parts = arrays.into_iter().map(|(name, array)| (name, Numbers::Plain(array))).collect();
    let mut words: Words = vec![(STACK, shape_words(result.grid.shape))];
    let slab = result.slab_voxels();
    let of_volume = |volume: &'_ Volume, first: usize, count: usize| {
        let voxels = volume.voxels.clone();
        Numbers::Packed(Box::new(move |out: &mut dyn Write| pack(|i| voxels.at(first + i), count, Near::Itself, out)))
    };
    if is_as_scanned_outside(result) {
        words.push((OUTSIDE, SCANNED.to_owned()));
        parts.push(("reconstruction", of_volume(reconstruction, slab.start, slab.len())));
    } else {
        parts.push(("reconstruction", of_volume(reconstruction, 0, reconstruction.voxels.len())));
    }
    parts.push(("steps", Numbers::Packed(Box::new(|out| pack_steps(result, out)))));
    match heatmap_method(result) {
        Some(method) => words.push((HEATMAP, method.name().to_owned())),
        None => parts.push(("heatmap", of_volume(&result.heatmap, 0, result.heatmap.voxels.len()))),
    }
    (words, parts)
}

/// Writes the steps from lambda 0 outwards.
fn pack_steps(result: &Counterfactual, out: &mut dyn Write) -> std::io::Result<()> {
    let zero: Vec<f32> = result.slab_voxels().map(|i| result.reconstruction.voxels.at(i)).collect();
    let lambdas: Vec<f64> = result.steps.iter().map(|step| step.lambda).collect();
    for at in outwards(&lambdas) {
        let slab = &result.steps[at].slab;
        let near = near(at, &lambdas, &zero, |at| Some(&*result.steps[at].slab)).unwrap_or(Near::Itself);
        pack(|i| slab[i], slab.len(), near, out)?;
    }
    Ok(())
}

/// Whether the reconstruction differs from the scan in the slab alone, to the bit.
fn is_as_scanned_outside(result: &Counterfactual) -> bool {
    let (slab, all) = (result.slab_voxels(), result.reconstruction.voxels.len());
    let scanned = as_scanned(&result.stack, result.hu_from_unit, result.hu_from_decoded);
    let alike = |i: usize| scanned(i).to_bits() == result.reconstruction.voxels.at(i).to_bits();
    (0..slab.start).chain(slab.end..all).all(alike)
}

/// How the steps add up to the heatmap, to the bit, where they do.
fn heatmap_method(result: &Counterfactual) -> Option<HeatmapMethod> {
    let slab = result.slab_voxels();
    let zero: Vec<f32> = slab.clone().map(|i| result.reconstruction.voxels.at(i)).collect();
    let of = |i: usize| result.heatmap.voxels.at(i).to_bits();
    let outside = (0..slab.start).chain(slab.end..result.heatmap.voxels.len());
    let none_outside = outside.into_iter().all(|i| of(i) == 0);
    let adds_up = |method: &HeatmapMethod| {
        let heat = heatmap(*method, &result.steps, &zero);
        slab.clone().zip(&heat).all(|(i, heat)| of(i) == heat.to_bits())
    };
    HeatmapMethod::ALL.into_iter().filter(|_| none_outside).find(adds_up)
}
