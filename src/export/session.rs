//! A session as one file, to go on another day: safetensors, with a JSON document in the metadata and a result in the tensors.
//!
//! Version 2 holds what cannot be computed again from the scan and from its other parts: the reconstruction and the steps as packed images,
//! and the numbers. Version 1 held whole volumes as floats; it is read, and not written any more. The file comes from anywhere: nothing in
//! it is believed before it is checked, and nothing is reserved that is not there.

mod extras;
mod images;
mod packed;
mod sweep;
mod written;

use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::extras::EXTRAS;
pub use self::extras::{Beside, has_room};
use self::images::Images;
pub use self::written::write_session;
use super::tensors::Array;
use crate::files;
use crate::io::counted;
use crate::latent_shift::{Counterfactual, ScoreKind, Scores, Step, Trial};
use crate::preprocess::Prepared;
use crate::quality::regions::Regions;
use crate::stability::Stability;
use crate::weights::{HeaderError, safetensors_header};

const FORMAT: &str = "parallax session";
/// Bumped when what is there changes its meaning.
const VERSION: &str = "2";
/// The document with the names of a classifier's classes takes a hundredth of this.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// The tensors of a result in a session of version 1, in the order of the hash. Images are f32 in decoded units, numbers f64.
const TENSORS_OF_1: [&str; 15] = [
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
/// The tensors of a result in a session of version 2, in the order of the hash. The heatmap is there only where the steps do not add up to it.
const TENSORS: [&str; 13] = [
    "lambdas",
    "step_scores",
    "scores",
    "calibration",
    "latents_moved",
    "walk",
    "hu_from_decoded",
    "logits",
    "scan_logits",
    "reconstruction_logits",
    "reconstruction",
    "steps",
    "heatmap",
];
/// Words of a result: the size of its stack, what the slices outside the slab are, where they are not stored, and how the steps add up to
/// the heatmap.
const WORDS: [&str; 3] = [STACK, OUTSIDE, HEATMAP];
const STACK: &str = "stack";
const OUTSIDE: &str = "outside";
const HEATMAP: &str = "heatmap";
/// The slices outside the slab are the scan's, in decoded units.
const SCANNED: &str = "scan";

/// What came again in repetitions, where there were any: bytes, in the order of the hash.
const REPETITIONS: [&str; 2] = ["agreeing_runs", "runs_of_slices"];

/// Writes images, and knows how many bytes they take once it has.
type Pack<'a> = Box<dyn Fn(&mut dyn Write) -> std::io::Result<()> + 'a>;

/// The numbers of a tensor.
enum Numbers<'a> {
    Plain(Array),
    Packed(Pack<'a>),
}

/// Tensors by their names, in the order of the hash.
type Parts<'a> = Vec<(&'static str, Numbers<'a>)>;

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

/// A hash of everything that a picture or a number is made of: a flipped bit must not become a finding.
struct Hash(Sha256);

impl Hash {
    fn of(document: &str) -> Self {
        Self(Sha256::new_with_prefix(document))
    }

    fn word(&mut self, key: &str, word: &str) {
        self.0.update(format!("{key} {word}\n"));
    }

    fn tensor(&mut self, name: &str, shape: &[usize], bytes: Sha256) {
        self.0.update(format!("{name} {shape:?} {}\n", hex::encode(bytes.finalize())));
    }

    fn hex(&self) -> String {
        hex::encode(self.0.clone().finalize())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Why a file with such a header is no session, in words.
fn no_session(error: HeaderError) -> anyhow::Error {
    match error {
        HeaderError::Cut(_) => anyhow!(error).context("the file is too short for a session; save it again"),
        HeaderError::Long(_) => anyhow!("it is no session of Parallax, or the file is cut; choose another"),
        HeaderError::NotAHeader(_) => anyhow!(error).context("it is no session of Parallax, or the file is damaged"),
    }
}

/// A file that was read whole, and is as it was written.
pub struct SavedSession {
    version: Version,
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
        let (metadata, header_bytes) = safetensors_header(&mut file, length, MAX_HEADER_BYTES).map_err(no_session)?;
        let words = metadata.metadata().clone().unwrap_or_default();
        let word = |key: &str| words.get(key).map(String::as_str).unwrap_or_default();
        ensure!(word("format") == FORMAT, "it holds tensors, but is no session of Parallax; choose another file");
        let version = match word("version") {
            "1" => Version::One,
            VERSION => Version::Two,
            other => bail!("it is of version {other:?}, and this Parallax reads versions 1 and {VERSION}"),
        };
        let (there, wanted) = (length - 8 - header_bytes, metadata.data_len());
        ensure!(there == wanted as u64, "it is cut: {there} bytes of numbers, where {wanted} were saved");
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(wanted).context("there is not enough memory for it")?;
        file.take(wanted as u64).read_to_end(&mut bytes)?;
        let saved = Self { version, document: word("document").to_owned(), bytes, metadata };
        ensure!(saved.sha256()? == word("sha256"), "it is damaged: its numbers are not those that were saved");
        Ok(saved)
    }

    fn sha256(&self) -> Result<String> {
        let mut hash = Hash::of(&self.document);
        match self.version {
            Version::One => {
                let names = if self.metadata.tensors().is_empty() { &[][..] } else { &TENSORS_OF_1[..] };
                for name in names {
                    let (info, bytes) = self.tensor(name)?;
                    hash.0.update(format!("{name} {:?}", info.shape));
                    hash.0.update(bytes);
                }
            }
            Version::Two => {
                for key in WORDS {
                    if let Some(word) = self.word(key) {
                        hash.word(key, word);
                    }
                }
                for name in
                    TENSORS.iter().chain(&REPETITIONS).chain(&EXTRAS).filter(|name| self.metadata.info(name).is_some())
                {
                    let (info, bytes) = self.tensor(name)?;
                    hash.tensor(name, &info.shape, Sha256::new_with_prefix(bytes));
                }
            }
        }
        Ok(hash.hex())
    }

    /// A word of the result.
    fn word(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
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

    /// The result, held against the scan that it is of; without the latents and their gradient.
    pub fn result(&self, outline: &Outline, prepared: &Prepared) -> Result<Counterfactual> {
        let grid = prepared.volume.grid;
        let slices = grid.shape[2];
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
        let Images { steps: images, reconstruction, heatmap } = self.images(&slab, &lambdas, prepared)?;
        let logits = self.f32s("logits", &[count, labels])?;
        let steps = images.into_iter().enumerate().map(|(i, slab)| Step {
            lambda: lambdas[i],
            score: scores[i],
            logits: Arc::from(&logits[labels * i..labels * (i + 1)]),
            slab,
        });
        let walk = self.f64s("walk", &[self.rows("walk")?, 3])?;
        let [scan, reconstructed, counterfactual] = self.fixed("scores")?;
        let [latents_moved] = self.fixed("latents_moved")?;
        let hu_from_decoded = self.hu_from_decoded()?;
        Ok(Counterfactual {
            grid,
            steps: steps.collect(),
            stack: prepared.volume.clone(),
            reconstruction,
            heatmap,
            slab,
            chosen,
            stop,
            complete,
            scores: Scores { scan, reconstruction: reconstructed, counterfactual },
            score_kind: score_kind.unwrap_or(if labels == 0 { ScoreKind::Number } else { ScoreKind::Probability }),
            scan_as_predicted: scan_as_predicted.filter(|score| score.is_finite()),
            scan_logits: self.f32s("scan_logits", &[labels])?.into(),
            reconstruction_logits: self.f32s("reconstruction_logits", &[labels])?.into(),
            latents_moved,
            fast_error,
            walk: walk.chunks_exact(3).map(|t| Trial { lambda: t[0], score: t[1], change: t[2] }).collect(),
            hu_from_decoded,
            hu_from_unit: prepared.recipe.hu_from_unit(),
            calibration: self.fixed("calibration")?,
            latents: Vec::new(),
            gradient: Vec::new(),
            latent_shape: [0; 4],
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

    fn hu_from_decoded(&self) -> Result<[f32; 2]> {
        let numbers = self.pixels("hu_from_decoded", &[2])?;
        Ok([numbers[0], numbers[1]])
    }

    /// Numbers that become HU.
    fn pixels(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let numbers = self.f32s(name, shape)?;
        ensure!(numbers.iter().all(|x| x.is_finite()), "the tensor {name} holds what is no number");
        Ok(numbers)
    }
}
