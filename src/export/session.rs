//! A session as one file, to go on another day: safetensors, with a JSON document in the metadata and a result in the tensors.
//!
//! The file comes from anywhere: nothing in it is believed before it is checked, and nothing is reserved that is not there.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tensors::{Array, bytes, f32s, f64s, file, volume};
use crate::files;
use crate::io::counted;
use crate::latent_shift::{Counterfactual, ScoreKind, Scores, Step, Trial};
use crate::preprocess::Prepared;
use crate::quality::regions::Regions;
use crate::stability::Stability;
use crate::volume::Volume;

const FORMAT: &str = "parallax session";
/// Bumped when what is there changes its meaning.
const VERSION: &str = "1";
/// Of files that hold what came again in repetitions too, which older programs could not read.
const WITH_REPETITIONS: &str = "2";
/// The document with the names of a classifier's classes takes a hundredth of this.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// Of a result, in the order of the hash. Images are f32 in decoded units, numbers f64.
const TENSORS: [&str; 15] = [
    "steps",
    "reconstruction",
    "heatmap",
    "hu_from_decoded",
    "latents",
    "gradient",
    "logits",
    "scan_logits",
    "reconstruction_logits",
    "lambdas",
    "step_scores",
    "scores",
    "calibration",
    "latents_moved",
    "walk",
];

/// What came again in repetitions, where there were any: bytes, in the order of the hash.
const REPETITIONS: [&str; 2] = ["agreeing_runs", "runs_of_slices"];

/// What of a result is no tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    slab: Range<usize>,
    chosen: usize,
    stop: String,
    complete: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fast_error: Option<f64>,
    /// Results of before it was kept were of probabilities, or of a segmenter, which had no logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score_kind: Option<ScoreKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scan_as_predicted: Option<f64>,
}

impl Outline {
    pub fn of(result: &Counterfactual) -> Self {
        Self {
            slab: result.slab.clone(),
            chosen: result.chosen,
            stop: result.stop.clone(),
            complete: result.complete,
            fast_error: result.fast_error,
            score_kind: Some(result.score_kind),
            scan_as_predicted: result.scan_as_predicted,
        }
    }
}

/// The stack is not written: it is the scan's, prepared. `stability` is of the result.
pub fn session_bytes(
    document: &impl Serialize,
    result: Option<&Counterfactual>,
    stability: Option<&Stability>,
) -> Result<Vec<u8>> {
    let document = serde_json::to_string(document).context("the session cannot be written")?;
    let repeated = result.zip(stability).map(|(result, stability)| repetitions(result, stability));
    let version = if repeated.is_some() { WITH_REPETITIONS } else { VERSION };
    let arrays = result.map(arrays).into_iter().flatten().chain(repeated.into_iter().flatten()).collect::<Vec<_>>();
    let parts = arrays.iter().map(|(name, array)| (*name, array.shape.as_slice(), array.bytes.as_slice()));
    let sha256 = sha256(&document, parts);
    file(&arrays, &[("format", FORMAT), ("version", version), ("document", &document), ("sha256", &sha256)])
}

fn repetitions(result: &Counterfactual, stability: &Stability) -> [(&'static str, Array); REPETITIONS.len()] {
    let ([width, height, _], slices) = (result.grid.shape, result.slab.len());
    let (agree, of_slices) = stability.counts();
    [(REPETITIONS[0], bytes(&[slices, height, width], agree)), (REPETITIONS[1], bytes(&[slices], of_slices))]
}

fn arrays(result: &Counterfactual) -> [(&'static str, Array); TENSORS.len()] {
    let Counterfactual { steps, slab, scores, .. } = result;
    let ([width, height, _], count) = (result.grid.shape, steps.len());
    let labels = result.scan_logits.len();
    let latents = |numbers: &[f32]| f32s(&result.latent_shape, numbers.iter().copied());
    let pixels = steps.iter().flat_map(|step| step.slab.iter().copied());
    let logits = steps.iter().flat_map(|step| step.logits.iter().copied());
    let walk = result.walk.iter().flat_map(|t| [t.lambda, t.score, t.change]);
    let arrays = [
        f32s(&[count, slab.len(), height, width], pixels),
        volume(&result.reconstruction),
        volume(&result.heatmap),
        f32s(&[2], result.hu_from_decoded.into_iter()),
        latents(&result.latents),
        latents(&result.gradient),
        f32s(&[count, labels], logits),
        f32s(&[labels], result.scan_logits.iter().copied()),
        f32s(&[labels], result.reconstruction_logits.iter().copied()),
        f64s(&[count], steps.iter().map(|step| step.lambda)),
        f64s(&[count], steps.iter().map(|step| step.score)),
        f64s(&[3], [scores.scan, scores.reconstruction, scores.counterfactual].into_iter()),
        f64s(&[2], result.calibration.into_iter()),
        f64s(&[1], [result.latents_moved].into_iter()),
        f64s(&[result.walk.len(), 3], walk),
    ];
    let mut names = TENSORS.into_iter();
    arrays.map(|array| (names.next().expect("as many names as arrays"), array))
}

/// Of all that a picture or a number is made of: a flipped bit must not become a finding.
fn sha256<'a>(document: &str, parts: impl Iterator<Item = (&'static str, &'a [usize], &'a [u8])>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(document);
    for (name, shape, bytes) in parts {
        hasher.update(format!("{name} {shape:?}"));
        hasher.update(bytes);
    }
    hex::encode(hasher.finalize())
}

/// A file that was read whole, and is as it was written.
pub struct SavedSession {
    document: String,
    metadata: Metadata,
    bytes: Vec<u8>,
}

impl SavedSession {
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| format!("cannot open the session {}", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let mut file = files::open(path)?;
        let length = file.metadata()?.len();
        let mut count = [0; 8];
        file.read_exact(&mut count).context("the file is too short for a session; save it again")?;
        let header_bytes = u64::from_le_bytes(count);
        ensure!(
            header_bytes <= MAX_HEADER_BYTES.min(length.saturating_sub(8)),
            "it is no session of Parallax, or the file is cut; choose another"
        );
        let mut header = vec![0; header_bytes as usize];
        file.read_exact(&mut header)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).context("it is no session of Parallax, or the file is damaged")?;
        let words = metadata.metadata().clone().unwrap_or_default();
        let word = |key: &str| words.get(key).map(String::as_str).unwrap_or_default();
        ensure!(word("format") == FORMAT, "it holds tensors, but is no session of Parallax; choose another file");
        let version = word("version");
        ensure!(
            [VERSION, WITH_REPETITIONS].contains(&version),
            "it is of version {version:?}, and this Parallax reads versions {VERSION} and {WITH_REPETITIONS}"
        );
        let (there, wanted) = (length - 8 - header_bytes, metadata.data_len());
        ensure!(there == wanted as u64, "it is cut: {there} bytes of numbers, where {wanted} were saved");
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(wanted).context("there is not enough memory for it")?;
        file.take(wanted as u64).read_to_end(&mut bytes)?;
        let saved = Self { document: word("document").to_owned(), bytes, metadata };
        ensure!(saved.sha256()? == word("sha256"), "it is damaged: its numbers are not those that were saved");
        Ok(saved)
    }

    fn sha256(&self) -> Result<String> {
        let names = if self.metadata.tensors().is_empty() { &[][..] } else { &TENSORS[..] };
        let part = |name: &&'static str| self.tensor(name).map(|(info, bytes)| (*name, info.shape.as_slice(), bytes));
        let more = if self.has_repetitions() { &REPETITIONS[..] } else { &[] };
        let parts: Vec<_> = names.iter().chain(more).map(part).collect::<Result<_>>()?;
        Ok(sha256(&self.document, parts.into_iter()))
    }

    fn has_repetitions(&self) -> bool {
        REPETITIONS.iter().any(|name| self.metadata.info(name).is_some())
    }

    /// What came again of its result, with the counts that lie beside the text; `regions` are the result's.
    pub fn stability(&self, told: Stability, regions: &Regions) -> Result<Stability> {
        let (_, slab, _) = regions.labels();
        let [_, height, width] = <[usize; 3]>::try_from(self.tensor(REPETITIONS[0])?.0.shape.as_slice())
            .context("its repetitions are not counted voxel by voxel")?;
        let agree = self.checked(REPETITIONS[0], &[slab.len(), height, width], Dtype::U8)?;
        let of_slices = self.checked(REPETITIONS[1], &[slab.len()], Dtype::U8)?;
        told.with_counts(regions, agree.to_vec(), of_slices.to_vec())
    }

    pub fn document<D: DeserializeOwned>(&self) -> Result<D> {
        serde_json::from_str(&self.document).context("its document is not as Parallax writes it")
    }

    /// The result, held against the scan that it is of.
    pub fn result(&self, outline: &Outline, prepared: &Prepared) -> Result<Counterfactual> {
        let grid = prepared.volume.grid;
        let [width, height, slices] = grid.shape;
        let Outline { slab, chosen, stop, complete, fast_error, score_kind, scan_as_predicted } = outline.clone();
        ensure!(
            slab.start < slab.end && slab.end <= slices,
            "its slab {slab:?} does not fit the {} of the scan",
            counted(slices, "slice")
        );
        let count = self.rows("lambdas")?;
        ensure!(chosen < count, "its counterfactual is step {chosen}, where {count} were saved");
        let labels = self.rows("scan_logits")?;
        let [lambdas, scores] = [self.f64s("lambdas", &[count])?, self.f64s("step_scores", &[count])?];
        ensure!(
            lambdas.iter().chain(&scores).all(|x| x.is_finite()) && lambdas.is_sorted(),
            "its steps are not in order of lambda, or have no score"
        );
        let pixels = self.pixels("steps", &[count, slab.len(), height, width])?;
        let logits = self.f32s("logits", &[count, labels])?;
        let steps = (0..count).map(|i| {
            let part = |all: &[f32]| Arc::from(&all[all.len() / count * i..all.len() / count * (i + 1)]);
            Step { lambda: lambdas[i], score: scores[i], logits: part(&logits), slab: part(&pixels) }
        });
        let whole =
            |name| Ok::<_, anyhow::Error>(Volume::from_f32(grid, self.pixels(name, &[slices, 1, height, width])?));
        let latent_shape = <[usize; 4]>::try_from(self.tensor("latents")?.0.shape.as_slice())
            .context("its latents are not [slices, channels, h, w]")?;
        let walk = self.f64s("walk", &[self.rows("walk")?, 3])?;
        let [scan, reconstruction, counterfactual] = self.fixed("scores")?;
        let [latents_moved] = self.fixed("latents_moved")?;
        let hu_from_decoded = self.pixels("hu_from_decoded", &[2])?;
        Ok(Counterfactual {
            grid,
            steps: steps.collect(),
            stack: prepared.volume.clone(),
            reconstruction: whole("reconstruction")?,
            heatmap: whole("heatmap")?,
            slab,
            chosen,
            stop,
            complete,
            scores: Scores { scan, reconstruction, counterfactual },
            score_kind: score_kind.unwrap_or(if labels == 0 { ScoreKind::Number } else { ScoreKind::Probability }),
            scan_as_predicted: scan_as_predicted.filter(|score| score.is_finite()),
            scan_logits: self.f32s("scan_logits", &[labels])?.into(),
            reconstruction_logits: self.f32s("reconstruction_logits", &[labels])?.into(),
            latents_moved,
            fast_error,
            walk: walk.chunks_exact(3).map(|t| Trial { lambda: t[0], score: t[1], change: t[2] }).collect(),
            hu_from_decoded: [hu_from_decoded[0], hu_from_decoded[1]],
            hu_from_unit: prepared.recipe.hu_from_unit(),
            calibration: self.fixed("calibration")?,
            latents: self.f32s("latents", &latent_shape)?,
            gradient: self.f32s("gradient", &latent_shape)?,
            latent_shape,
        })
    }

    fn tensor(&self, name: &str) -> Result<(&TensorInfo, &[u8])> {
        let info = self.metadata.info(name).with_context(|| format!("the tensor {name} is missing"))?;
        let (from, to) = info.data_offsets;
        let bytes = self.bytes.get(from..to).with_context(|| format!("the tensor {name} lies beyond the end"))?;
        Ok((info, bytes))
    }

    /// The first size of a tensor.
    fn rows(&self, name: &str) -> Result<usize> {
        self.tensor(name)?.0.shape.first().copied().with_context(|| format!("the tensor {name} has no size"))
    }

    /// The bytes of a tensor of this shape and kind.
    fn checked(&self, name: &str, shape: &[usize], kind: Dtype) -> Result<&[u8]> {
        let (info, bytes) = self.tensor(name)?;
        ensure!(
            info.shape == shape && info.dtype == kind,
            "the tensor {name} is {:?} of {:?}, where {shape:?} of {kind:?} belongs to this scan",
            info.shape,
            info.dtype
        );
        Ok(bytes)
    }

    fn f32s(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (numbers, _) = self.checked(name, shape, Dtype::F32)?.as_chunks::<4>();
        Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn f64s(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let (numbers, _) = self.checked(name, shape, Dtype::F64)?.as_chunks::<8>();
        Ok(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }

    fn fixed<const N: usize>(&self, name: &str) -> Result<[f64; N]> {
        let numbers = self.f64s(name, &[N])?;
        Ok(std::array::from_fn(|i| numbers[i]))
    }

    /// Numbers that become HU.
    fn pixels(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let numbers = self.f32s(name, shape)?;
        ensure!(numbers.iter().all(|x| x.is_finite()), "the tensor {name} holds what is no number");
        Ok(numbers)
    }
}
