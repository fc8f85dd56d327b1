//! The images of a saved result: as they are packed, or as version 1 had them.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::Dtype;

use super::packed::{Near, unpack};
use super::sweep::{near, outwards};
use super::{HEATMAP, OUTSIDE, SCANNED, STACK, SavedSession, Version};
use crate::latent_shift::heatmap::heatmap;
use crate::latent_shift::{HeatmapMethod, Step};
use crate::preprocess::Prepared;
use crate::volume::Volume;

/// No run makes more pixels of steps than this, bytes.
const MAX_STEP_BYTES: usize = 8 << 30;

/// The images of a result, decoded units.
pub(super) struct Images {
    /// The slab at each step.
    pub(super) steps: Vec<Arc<[f32]>>,
    pub(super) reconstruction: Volume,
    pub(super) heatmap: Volume,
}

/// Columns, rows, slices.
pub(super) fn shape_words(shape: [usize; 3]) -> String {
    shape.map(|n| n.to_string()).join(" ")
}

/// A voxel of the scan in decoded units, as a run has slices that were never encoded. `hu_from_*` are slope and offset.
pub(super) fn as_scanned(stack: &Volume, hu_from_unit: [f32; 2], hu_from_decoded: [f32; 2]) -> impl Fn(usize) -> f32 {
    let [unit, decoded] = [hu_from_unit, hu_from_decoded].map(|line| line.map(f64::from));
    let [slope, offset] = [decoded[0] / unit[0], (decoded[1] - unit[1]) / unit[0]];
    let [slope, offset] = [(1.0 / slope) as f32, (-offset / slope) as f32];
    move |i| stack.voxels.at(i) * slope + offset
}

impl SavedSession {
    /// The images of a result with this slab and steps at these lambdas, on the grid of the prepared scan.
    pub(super) fn images(&self, slab: &Range<usize>, lambdas: &[f64], prepared: &Prepared) -> Result<Images> {
        match self.version {
            Version::One => self.images_of_1(slab, lambdas.len(), prepared),
            Version::Two => self.packed_images(slab, lambdas, prepared),
        }
    }

    fn images_of_1(&self, slab: &Range<usize>, count: usize, prepared: &Prepared) -> Result<Images> {
        let grid = prepared.volume.grid;
        let [width, height, slices] = grid.shape;
        let pixels = self.pixels("steps", &[count, slab.len(), height, width])?;
        let whole =
            |name| Ok::<_, anyhow::Error>(Volume::from_f32(grid, self.pixels(name, &[slices, 1, height, width])?));
        Ok(Images {
            steps: pixels.chunks_exact((slab.len() * width * height).max(1)).map(Arc::from).collect(),
            reconstruction: whole("reconstruction")?,
            heatmap: whole("heatmap")?,
        })
    }

    fn packed_images(&self, slab: &Range<usize>, lambdas: &[f64], prepared: &Prepared) -> Result<Images> {
        let grid = prepared.volume.grid;
        let (saved, wanted) = (self.word(STACK).unwrap_or_default(), shape_words(grid.shape));
        ensure!(saved == wanted, "its stack is of {saved:?} voxels, where {wanted:?} belongs to this scan");
        let pixels = grid.shape[0] * grid.shape[1];
        let slab = slab.start * pixels..slab.end * pixels;
        let reconstruction = match self.word(OUTSIDE) {
            Some(SCANNED) => {
                let scanned = as_scanned(&prepared.volume, prepared.recipe.hu_from_unit(), self.hu_from_decoded()?);
                let mut whole: Vec<f32> = (0..grid.len()).map(scanned).collect();
                ensure!(whole.iter().all(|x| x.is_finite()), "its slices outside the slab are none of this scan");
                whole[slab.clone()].copy_from_slice(&self.packed_image("reconstruction", slab.len())?);
                whole
            }
            Some(other) => bail!("its slices outside the slab are {other:?}, which this Parallax does not know"),
            None => self.packed_image("reconstruction", grid.len())?,
        };
        let steps = self.packed_steps(&reconstruction[slab.clone()], lambdas)?;
        let heatmap = match self.word(HEATMAP) {
            Some(name) => {
                let method = HeatmapMethod::ALL.into_iter().find(|method| method.name() == name);
                let method =
                    method.with_context(|| format!("its heatmap is {name:?}, which this Parallax does not know"))?;
                let alone =
                    |slab: &Arc<[f32]>| Step { lambda: 0.0, score: 0.0, logits: [].into(), slab: Arc::clone(slab) };
                let of_slab: Vec<Step> = steps.iter().map(alone).collect();
                let mut whole = vec![0.0; grid.len()];
                whole[slab.clone()].copy_from_slice(&heatmap(method, &of_slab, &reconstruction[slab]));
                whole
            }
            None => self.packed_image("heatmap", grid.len())?,
        };
        let volume = |voxels| Volume::from_f32(grid, voxels);
        Ok(Images { steps, reconstruction: volume(reconstruction), heatmap: volume(heatmap) })
    }

    /// An image that was packed alone.
    pub(super) fn packed_image(&self, name: &str, pixels: usize) -> Result<Vec<f32>> {
        let mut packed = self.packed(name)?;
        let image = unpack(&mut packed, pixels, Near::Itself).with_context(|| odd(name))?;
        ensure!(packed.is_empty(), "the tensor {name} holds more than one image");
        finite(name, image)
    }

    /// The steps at these lambdas, each as many pixels as `zero`, which is the slab at lambda 0. Every step is packed in full before memory
    /// for the next one is taken.
    fn packed_steps(&self, zero: &[f32], lambdas: &[f64]) -> Result<Vec<Arc<[f32]>>> {
        const NAME: &str = "steps";
        let bytes = lambdas.len().saturating_mul(size_of_val(zero));
        ensure!(bytes <= MAX_STEP_BYTES, "its steps would take {} GB", bytes >> 30);
        let mut packed = self.packed(NAME)?;
        let mut steps: Vec<Option<Arc<[f32]>>> = Vec::new();
        steps.resize(lambdas.len(), None);
        for at in outwards(lambdas) {
            let near = near(at, lambdas, zero, |at| steps[at].as_deref()).context("its steps are in no order")?;
            let image = unpack(&mut packed, zero.len(), near).with_context(|| odd(NAME))?;
            steps[at] = Some(finite(NAME, image)?.into());
        }
        ensure!(packed.is_empty(), "the tensor {NAME} holds more than {} steps", lambdas.len());
        steps.into_iter().collect::<Option<_>>().context("a step is missing")
    }

    /// The bytes of packed images.
    fn packed(&self, name: &str) -> Result<&[u8]> {
        let (info, bytes) = self.tensor(name)?;
        ensure!(info.dtype == Dtype::U8, "the tensor {name} is of {:?}, where packed images are bytes", info.dtype);
        Ok(bytes)
    }
}

fn odd(name: &str) -> String {
    format!("the images in the tensor {name} are not those that belong to this scan")
}

fn finite(name: &str, image: Vec<f32>) -> Result<Vec<f32>> {
    ensure!(image.iter().all(|x| x.is_finite()), "the tensor {name} holds what is no number");
    Ok(image)
}
