//! What a session keeps beside its result: what came again in repetitions, the maps of other methods, and a mask.

use std::io::Write;
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};

use super::packed::{Near, pack};
use super::{Numbers, Parts, SavedSession};
use crate::io::{MOST_KEPT_VOXELS, Mask};
use crate::latent_shift::saliency::Method;
use crate::stability::Stability;
use crate::volume::Volume;

/// Maps are kept while all of them have no more voxels than this: four of the published networks' grid.
const MOST_MAP_VOXELS: usize = 1 << 25;
/// A mask is kept where the box around what it marks has no more voxels than this.
const MOST_MASK_VOXELS: usize = 1 << 26;
/// Low bits of a map's numbers that are left out: what stays is exact to a part in four thousand.
const LEFT_OUT: u32 = 12;

/// The tensors of maps and of the mask, in the order of the hash. Sessions of before they were kept have none.
pub(super) const EXTRAS: [&str; 6] =
    ["map_gradient", "map_integrated_gradients", "map_occlusion", "map_rise", "map_grad_cam_plus_plus", MASK];
const MASK: &str = "mask";

/// What is written beside a result.
#[derive(Default)]
pub struct Beside<'a> {
    /// What came again of the result.
    pub stability: Option<&'a Stability>,
    /// What other methods say of its class, sizes of 0 or more; each method once.
    pub maps: Vec<(Method, &'a Volume)>,
    /// What should be found.
    pub mask: Option<&'a Mask>,
}

impl<'a> Beside<'a> {
    /// The maps that have room, the first ones first.
    pub fn bounded<T: Clone>(maps: &[T], voxels: impl Fn(&T) -> usize) -> Vec<T> {
        let mut left = MOST_MAP_VOXELS;
        let fits = |map: &&T| {
            let room = left.checked_sub(voxels(map));
            left = room.unwrap_or(left);
            room.is_some()
        };
        maps.iter().filter(fits).cloned().collect()
    }

    /// What is written of maps and mask, in the order of the hash.
    pub(super) fn parts(&self) -> Parts<'a> {
        let map = |method: Method| self.maps.iter().find(|(of, _)| *of == method).map(|(_, sizes)| *sizes);
        let maps = Method::ALL.into_iter().zip(EXTRAS).filter_map(|(method, name)| Some((name, map(method)?)));
        let rounded = |size: f32| f32::from_bits(size.to_bits() >> LEFT_OUT << LEFT_OUT);
        let mut parts: Parts = maps
            .map(|(name, sizes)| {
                let voxels = sizes.voxels.clone();
                let write = move |out: &mut dyn Write| pack(|i| rounded(voxels.at(i)), voxels.len(), Near::Itself, out);
                (name, Numbers::Packed(Box::new(write)))
            })
            .collect();
        if let Some(mask) = self.mask {
            let inside: Vec<usize> = mask.box_voxels().collect();
            let mark = move |i: usize| if mask.inside[inside[i]] { 1.0 } else { 0.0 };
            let count = boxed(mask.within());
            parts.push((MASK, Numbers::Packed(Box::new(move |out| pack(&mark, count, Near::Itself, out)))));
        }
        parts
    }
}

/// Whether a mask is small enough to be kept.
pub fn has_room(mask: &Mask) -> bool {
    boxed(mask.within()) <= MOST_MASK_VOXELS && mask.grid.len() <= MOST_KEPT_VOXELS
}

fn boxed(within: &[Range<usize>; 3]) -> usize {
    within.iter().map(ExactSizeIterator::len).product()
}

impl SavedSession {
    /// The sizes of a method's map, of so many voxels; more than a session keeps are refused.
    ///
    /// # Errors
    /// Where they are not there, or no sizes.
    pub fn map(&self, method: Method, voxels: usize) -> Result<Vec<f32>> {
        ensure!(voxels <= MOST_MAP_VOXELS, "a map of {voxels} voxels, where {MOST_MAP_VOXELS} are kept at most");
        let at = Method::ALL.iter().position(|one| *one == method).unwrap_or_default();
        let sizes = self.packed_image(EXTRAS[at], voxels)?;
        ensure!(sizes.iter().all(|size| *size >= 0.0), "the tensor {} holds sizes below 0", EXTRAS[at]);
        Ok(sizes)
    }

    /// Which voxels of the box around it a mask marks.
    ///
    /// # Errors
    /// Where they are not there, or no marks.
    pub fn mask(&self, within: &[Range<usize>; 3]) -> Result<Vec<bool>> {
        let count = within.iter().map(ExactSizeIterator::len).try_fold(1_usize, usize::checked_mul);
        let count = count.filter(|count| *count <= MOST_MASK_VOXELS);
        let count = count.context("a mask larger than any that is kept")?;
        let marks = self.packed_image(MASK, count)?;
        ensure!(marks.iter().all(|mark| [0.0, 1.0].contains(mark)), "the tensor {MASK} marks voxels in part");
        Ok(marks.into_iter().map(|mark| mark == 1.0).collect())
    }
}
