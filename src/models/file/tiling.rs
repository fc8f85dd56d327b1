//! An autoencoder of volumes in overlapping tiles: where those of the encoder and of the decoder lie, so that each is the other's.

use std::ops::Range;

use candle_core::{DType, Device, Result, bail};

use super::example;
use crate::graph::ops::{Blend, Tiled, TilesAlong};
use crate::graph::{Graph, Plan, Value};
use crate::models::Tiles;
use crate::preprocess::Recipe;

/// Where a world axis runs, for people.
const AXES: [&str; 3] = ["R-L", "A-P", "S-I"];

/// Tiles along the axes of a network's tensor.
#[derive(Clone)]
pub(super) struct Tiling {
    /// Voxels of a tile along each axis of the tensor; 0 is as many as there are.
    sides: [usize; 3],
    /// How many voxels become one latent.
    compression: [usize; 3],
    /// Which of R-L, A-P, S-I each axis of the tensor is.
    world: [usize; 3],
    overlap: f64,
    blend: Blend,
    dtype: DType,
    device: Device,
}

/// The tiles along one axis of one volume, in latents.
struct Along {
    /// How many latents a tile has.
    side: usize,
    /// Latents of the volume, between the padding.
    inside: Range<usize>,
    /// Latents of the volume and the padding.
    padded: usize,
    starts: Vec<usize>,
}

/// What of the latents moves and what of the volume is asked for, along one axis of the tensor; of the others it is all.
pub(super) struct Band {
    pub(super) axis: usize,
    pub(super) latents: Range<usize>,
    pub(super) voxels: Range<usize>,
}

impl Tiling {
    /// Makes the tiling of a card's tiles, as the encoder's file has them; none where the card has none. `latents` follows a tile's
    /// shape through the encoder.
    ///
    /// # Errors
    /// In words, where the encoder does not compress a tile by whole numbers, or a side of the recipe is not a multiple of those.
    pub(super) fn of(
        tiles: Option<Tiles>,
        recipe: &Recipe,
        (dtype, device): (DType, &Device),
        latents: impl Fn(&[usize]) -> Result<Vec<usize>>,
    ) -> Result<Option<Self>> {
        let Some(tiles) = tiles else { return Ok(None) };
        let world: Vec<usize> = recipe.axes.of_stack().map(|(axis, _)| 2 - axis).collect();
        let [a, b, c] = world[..] else { bail!("[tiles] are of volumes, and recipe.axes = \"{}\"", recipe.axes) };
        let world = [a, b, c];
        let sides = world.map(|axis| tiles.size[axis]);
        let tile = of_sides(sides, example(recipe, 1));
        let shape = latents(&tile)?;
        let [_, _, of_latents @ ..] = shape.as_slice() else { bail!("the encoder gives {shape:?} of a tile {tile:?}") };
        if of_latents.len() != 3 {
            bail!("the encoder gives {shape:?}, where the latents of volumes are [1, channels, d, h, w]");
        }
        let mut compression = [0; 3];
        for (axis, (voxels, latents)) in tile[2..].iter().zip(of_latents).enumerate() {
            if *latents == 0 || !voxels.is_multiple_of(*latents) {
                bail!(
                    "tiles.size: the encoder makes {latents} latents of a tile's {voxels} voxels along {}; a side must be a multiple of \
                     how much the network compresses",
                    AXES[world[axis]]
                );
            }
            compression[axis] = voxels / latents;
        }
        let Tiles { overlap, blend, .. } = tiles;
        let device = device.clone();
        let tiling = Self { sides, compression, world, overlap, blend, dtype, device };
        for (axis, of_world) in world.into_iter().enumerate().filter(|(_, of_world)| recipe.size[*of_world] != 0) {
            tiling.compressed(axis, recipe.size[of_world])?;
        }
        Ok(Some(tiling))
    }

    /// How many latents so many voxels become along an axis.
    fn compressed(&self, axis: usize, voxels: usize) -> Result<usize> {
        let by = self.compression[axis];
        if voxels == 0 || !voxels.is_multiple_of(by) {
            bail!(
                "the network makes one latent of {by} voxels along {axis}, and the prepared scan has {voxels} there: set recipe.size to a \
                 multiple of {by}",
                axis = AXES[self.world[axis]]
            );
        }
        Ok(voxels / by)
    }

    /// Lays tiles along an axis of so many latents. A tile is as far from the next as MONAI's, to whole latents: the encoder's tiles are
    /// so many times the decoder's.
    fn along(&self, axis: usize, latents: usize) -> Result<Along> {
        let side = match self.sides[axis] {
            0 => latents,
            voxels => voxels / self.compression[axis],
        };
        if side == 0 || latents == 0 {
            bail!("tiles of {side} latents over {latents} along {}", AXES[self.world[axis]]);
        }
        // A volume smaller than a tile lies in its middle.
        let missing = side.saturating_sub(latents);
        let padded = latents + missing;
        let interval = if side == padded { side } else { ((side as f64 * (1.0 - self.overlap)) as usize).max(1) };
        let last = padded - side;
        let starts = (0..last.div_ceil(interval)).map(|number| number * interval).chain([last]).collect();
        let before = missing / 2;
        Ok(Along { side, inside: before..before + latents, padded, starts })
    }

    fn all_along(&self, latents: [usize; 3]) -> Result<[Along; 3]> {
        let [a, b, c] = latents;
        Ok([self.along(0, a)?, self.along(1, b)?, self.along(2, c)?])
    }

    /// Encodes a tensor `[1, c, …]` tile by tile; `network` gives the encoder's graph for a tile.
    pub(super) fn encode(
        &self,
        g: &mut Graph,
        x: Value,
        tensor: &[usize],
        network: impl Fn(&[usize]) -> Result<Graph>,
    ) -> Result<Value> {
        let [1, channels, sides @ ..] = tensor else { bail!("a volume [1, channels, d, h, w], found {tensor:?}") };
        let mut latents = [0; 3];
        for (axis, voxels) in sides.iter().enumerate().take(3) {
            latents[axis] = self.compressed(axis, *voxels)?;
        }
        let along = self.all_along(latents)?;
        let by = self.compression;
        let x = padded(g, x, &along, by);
        let tile: Vec<usize> =
            [1, *channels].into_iter().chain(along.iter().zip(by).map(|(of, by)| of.side * by)).collect();
        let tiles = [0, 1, 2].map(|axis| TilesAlong {
            starts: along[axis].starts.iter().map(|start| start * by[axis]).collect(),
            output: along[axis].inside.clone(),
            moving: 0..along[axis].padded * by[axis],
        });
        self.tiled(g, x, (&network(&tile)?, &tile), [0, 1, 2].map(|axis| along[axis].side), tiles)
    }

    /// Decodes latents `[1, c, …]` tile by tile, or of the volume what lies within a band; `network` gives the decoder's graph for a tile.
    pub(super) fn decode(
        &self,
        g: &mut Graph,
        z: Value,
        latents: &[usize],
        band: Option<&Band>,
        network: impl Fn(&[usize]) -> Result<Graph>,
    ) -> Result<Value> {
        let [1, channels, a, b, c] = *latents else { bail!("latents [1, channels, d, h, w], found {latents:?}") };
        let along = self.all_along([a, b, c])?;
        let by = self.compression;
        let z = padded(g, z, &along, [1; 3]);
        let tile: Vec<usize> = [1, channels].into_iter().chain(along.iter().map(|of| of.side)).collect();
        let tiles = [0, 1, 2].map(|axis| {
            let Along { inside, starts, .. } = &along[axis];
            let band = band.filter(|band| band.axis == axis);
            let shifted = |range: &Range<usize>, by: usize| range.start + by..range.end + by;
            let output = band.map_or(inside.start * by[axis]..inside.end * by[axis], |band| {
                shifted(&band.voxels, inside.start * by[axis])
            });
            let moving = band.map_or(inside.clone(), |band| shifted(&band.latents, inside.start));
            TilesAlong { starts: starts.clone(), output, moving }
        });
        self.tiled(g, z, (&network(&tile)?, &tile), [0, 1, 2].map(|axis| along[axis].side * by[axis]), tiles)
    }

    /// Applies a network to tiles, which it must take to sides of `output`.
    fn tiled(
        &self,
        g: &mut Graph,
        x: Value,
        (network, tile): (&Graph, &[usize]),
        output: [usize; 3],
        along: [TilesAlong; 3],
    ) -> Result<Value> {
        let plan = Plan::new(network, &[tile], self.dtype)?.on(&self.device);
        let found = plan.outputs()[0].to_vec();
        if found.get(2..) != Some(&output) {
            bail!(
                "the network gives {found:?} of a tile {tile:?}, where the other one of the two wants sides {output:?}"
            );
        }
        Ok(g.apply(Tiled::new(plan, along, self.blend)?, &[x]))
    }

    /// How many voxels so many planes of latents are, along an axis of the tensor.
    pub(super) fn voxels(&self, axis: usize, latents: usize) -> usize {
        latents.saturating_mul(self.compression[axis])
    }

    /// The shape of a tile, from that of some volume `[1, c, …]`.
    pub(super) fn tile(&self, volume: Vec<usize>) -> Vec<usize> {
        of_sides(self.sides, volume)
    }
}

fn of_sides(sides: [usize; 3], mut volume: Vec<usize>) -> Vec<usize> {
    for (of_volume, side) in volume.iter_mut().skip(2).zip(sides).filter(|(_, side)| *side != 0) {
        *of_volume = side;
    }
    volume
}

/// Puts zeros around a volume that is smaller than a tile, `by` for each latent.
fn padded(g: &mut Graph, x: Value, along: &[Along; 3], by: [usize; 3]) -> Value {
    let around = |(of, by): (&Along, usize)| [of.inside.start * by, (of.padded - of.inside.end) * by];
    let zeros: Vec<[usize; 2]> = [[0; 2]; 2].into_iter().chain(along.iter().zip(by).map(around)).collect();
    if zeros.iter().all(|zeros| *zeros == [0; 2]) { x } else { g.pad(x, &zeros) }
}
