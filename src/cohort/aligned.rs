//! The change of one case in a frame that all patients share: scaled by the outline of the body and the height of the lungs.
//!
//! The frame is a cube of [`SIDE`] places a side along the patient's axes (RAS+). The body's box, left to right and back to front, takes the
//! middle of it, and so do the lungs, from below to above; what lies around, such as the table, stays in sight.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use glam::{DAffine3, DMat3};
use half::f16;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::coarse::Coarse;
use super::outline::{Outline, outline};
use crate::files;
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Counterfactual;
use crate::volume::{Grid, Volume, resample};

/// Places of the frame along each axis.
pub const SIDE: usize = 32;
pub(super) const PLACES: usize = SIDE * SIDE * SIDE;
/// What the frame shows around the body and the lungs, as a share of their size, on each side.
const MARGIN: f64 = 0.2;
/// Samples along each axis of a place, whose mean it is.
const SAMPLES: usize = 2;

/// A change in the frame; `i` (towards the right) fastest, then `j` (to the front), then `k` (to the head). Not a number where the scan
/// does not reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// Mean of counterfactual - reconstruction, HU.
    pub change: Vec<f32>,
    /// Mean of |counterfactual - reconstruction|, HU.
    pub size: Vec<f32>,
    /// The scan, HU.
    pub scan: Vec<f32>,
}

/// The shares of the sum of |change| that lie in each part of the outlines; they add to 1. There are none where nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// The share in the air of the lungs.
    pub lungs: f64,
    /// The share in the rest of the body.
    pub body: f64,
    /// Around the body: the table, clothes, air.
    pub around: f64,
}

/// What the frame was laid by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaidBy {
    BodyAndLungs,
    /// No lungs were found: the frame is as high as the body in the scan.
    Body,
}

/// How much of the change lies where.
fn shares(coarse: &Coarse, outline: &Outline) -> Option<Shares> {
    let (mut lungs, mut body, mut around) = (0.0, 0.0, 0.0);
    for (at, (size, voxels)) in coarse.size.iter().zip(&coarse.voxels).enumerate() {
        let amount = f64::from(size * voxels);
        match (outline.body[at], outline.lungs[at]) {
            (false, _) => around += amount,
            (true, true) => lungs += amount,
            (true, false) => body += amount,
        }
    }
    let all: f64 = lungs + body + around;
    (all > 0.0).then(|| Shares { lungs: lungs / all, body: body / all, around: around / all })
}

/// The frame of a patient: its samples, and what it was laid by.
fn frame(outline: &Outline) -> (Grid, LaidBy) {
    let [mut low, mut high] = outline.body_mm;
    let by = match outline.lungs_mm {
        Some([lungs_low, lungs_high]) => {
            (low.z, high.z) = (lungs_low.z, lungs_high.z);
            LaidBy::BodyAndLungs
        }
        None => LaidBy::Body,
    };
    let margin = (high - low) * MARGIN;
    let (low, high) = (low - margin, high + margin);
    let samples = SIDE * SAMPLES;
    let step = (high - low) / samples as f64;
    let axes = DMat3::from_diagonal(step);
    let grid = Grid { shape: [samples; 3], world_from_voxel: DAffine3::from_mat3_translation(axes, low + step / 2.0) };
    (grid, by)
}

/// Lays the change of a run into the common frame.
pub fn aligned(result: &Counterfactual, monitor: &Monitor) -> Result<(Aligned, LaidBy, Option<Shares>), Cancelled> {
    let coarse = Coarse::of(result);
    let outline = outline(&coarse);
    let (samples, by) = frame(&outline);
    let laid = |values: &[f32]| {
        let volume = Volume::from_f32(coarse.grid, values.to_vec());
        let sampled = resample::resample(&volume, &samples, f32::NAN, monitor)?;
        Ok(means(&sampled.voxels.iter().collect::<Vec<f32>>()))
    };
    let aligned = Aligned { change: laid(&coarse.change)?, size: laid(&coarse.size)?, scan: laid(&coarse.scan)? };
    Ok((aligned, by, shares(&coarse, &outline)))
}

/// The mean of the samples of each place that are numbers; not a number where none is.
fn means(samples: &[f32]) -> Vec<f32> {
    let side = SIDE * SAMPLES;
    let mut sums = vec![[0.0_f32; 2]; PLACES];
    for (at, value) in samples.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
        let [i, j, k] = [at % side, at / side % side, at / side / side].map(|n| n / SAMPLES);
        let [sum, count] = &mut sums[i + SIDE * (j + SIDE * k)];
        *sum += value;
        *count += 1.0;
    }
    sums.into_iter().map(|[sum, count]| sum / count).collect()
}

/// The key of each part in the file.
const KEYS: [&str; 3] = ["change", "size", "scan"];
const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F32, Dtype::F16];
/// The bytes of the header's length, which stand before it.
const HEAD_BYTES: usize = 8;
/// A header of three tensors takes a hundredth of this.
const MOST_HEADER_BYTES: u64 = 1 << 16;

impl Aligned {
    /// A safetensors file: "change" and "size" as f32, "scan" as f16, each `[k, j, i]`.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let f32s = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let scan: Vec<u8> = self.scan.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        let parts = [f32s(&self.change), f32s(&self.size), scan];
        let mut views = Vec::new();
        for ((key, dtype), bytes) in KEYS.iter().zip(DTYPES).zip(&parts) {
            views.push((*key, TensorView::new(dtype, vec![SIDE; 3], bytes)?));
        }
        serialize(views, None).context("the tensors cannot be written")
    }

    /// Refuses a file that is cut or is no such change, in words that follow its name; reads no more of it than its header.
    pub(super) fn check(path: &Path) -> Result<(), String> {
        let cannot = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => "is missing".to_owned(),
            std::io::ErrorKind::UnexpectedEof => "is cut".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        let mut file = files::open(path).map_err(cannot)?;
        let (length, mut head) = (file.metadata().map_err(cannot)?.len(), [0; HEAD_BYTES]);
        file.read_exact(&mut head).map_err(cannot)?;
        let header = u64::from_le_bytes(head);
        let strange = || "is no safetensors file".to_owned();
        if header > MOST_HEADER_BYTES {
            return Err(strange());
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(cannot)?;
        let found: Metadata = serde_json::from_slice(&text).map_err(|_no_header| strange())?;
        let is_part = |key: &str, dtype| found.info(key).is_some_and(|of| of.dtype == dtype && of.shape == [SIDE; 3]);
        if !KEYS.iter().zip(DTYPES).all(|(key, dtype)| is_part(key, dtype)) {
            return Err("holds no change in the common frame".to_owned());
        }
        let whole = HEAD_BYTES as u64 + header + found.data_len() as u64;
        if length == whole { Ok(()) } else { Err(format!("has {length} bytes, where {whole} belong")) }
    }

    /// Reads what [`Self::bytes`] wrote.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).context("it is no safetensors file")?;
        let part = |key: &str, dtype: Dtype| {
            let tensor = tensors.tensor(key).with_context(|| format!("it has no {key:?}"))?;
            ensure!(
                tensor.dtype() == dtype && tensor.shape() == [SIDE; 3],
                "its {key:?} is {:?} of {:?}, where {dtype:?} of {:?} is wanted",
                tensor.dtype(),
                tensor.shape(),
                [SIDE; 3]
            );
            Ok(match dtype {
                Dtype::F16 => {
                    tensor.data().as_chunks::<2>().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect()
                }
                _ => tensor.data().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
            })
        };
        let [change, size, scan] = KEYS;
        Ok(Self { change: part(change, Dtype::F32)?, size: part(size, Dtype::F32)?, scan: part(scan, Dtype::F16)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_refused() {
        let values: Vec<f32> = (0..PLACES).map(|at| if at == 7 { f32::NAN } else { at as f32 / 64.0 }).collect();
        let aligned = Aligned { change: values.clone(), size: values.clone(), scan: vec![-1000.0; PLACES] };
        let bytes = aligned.bytes().unwrap();
        let read = Aligned::read(&bytes).unwrap();
        assert!(read.change[7].is_nan() && read.change[8] == 0.125 && read.scan == aligned.scan);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let checked = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Aligned::check(&path)
        };
        assert_eq!(checked(&bytes), Ok(()));
        for length in [0, 7, 100, bytes.len() - 1] {
            assert!(Aligned::read(&bytes[..length]).is_err(), "{length} bytes");
            assert!(checked(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(checked(&[&bytes[..], b"more"].concat()).is_err_and(|why| why.contains("bytes, where")));
        assert_eq!(checked(&[0; 400]), Err("is no safetensors file".to_owned()));
        assert_eq!(checked(&[0xff; 400]), Err("is no safetensors file".to_owned()));
    }

    #[test]
    fn places_are_the_means_of_their_samples() {
        let side = SIDE * SAMPLES;
        let mut samples = vec![f32::NAN; side * side * side];
        (samples[0], samples[1], samples[side]) = (1.0, 2.0, 6.0);
        let means = means(&samples);
        assert_eq!(means[0], 3.0);
        assert!(means[1].is_nan());
    }
}
