//! Autoencoders of volumes in two files: all slices are encoded and decoded together, so that a slab is a box of latents among others.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, bail};

use super::pass::Pass;
use super::posterior::{Encoded, Posterior};
use super::tiling::{Band, Tiling};
use super::{example, same_channels, unit};
use crate::graph::ops::Reduction;
use crate::graph::{self, Check, Graph, Plan, Value};
use crate::models::Autoencoder;
use crate::models::roles::{Within, planned};
use crate::preprocess::Recipe;

/// Compresses a stack as a whole. Latents are `[planes, channels, h, w]`; planes run as the stack's slices do.
#[derive(Clone)]
pub(super) struct FileVolumes {
    pub(super) encoder: Posterior,
    pub(super) decoder: Pass,
    pub(super) recipe: Recipe,
    /// How volumes are cut into tiles; none where they go through whole.
    pub(super) tiling: Option<Tiling>,
    pub(super) dtype: DType,
    pub(super) device: Device,
}

/// The decoder of some planes of latents among others that stay, to some slices.
struct LatentBox {
    volumes: FileVolumes,
    /// The latents of the whole stack, `[planes, channels, h, w]`.
    latents: Tensor,
    planes: Range<usize>,
    slab: Range<usize>,
}

impl FileVolumes {
    /// Follows the shape of a stack through the encoder: the shape of its latents.
    pub(super) fn latents(&self) -> Result<Vec<usize>> {
        let [slices, rows, columns] = self.example();
        Ok(self.encoder([slices, 1, rows, columns])?.outputs()[0].to_vec())
    }

    /// Slices, rows and columns of a stack: of a tile, where there are tiles.
    fn example(&self) -> [usize; 3] {
        let volume = example(&self.recipe, 1);
        let tensor = match &self.tiling {
            Some(tiling) => tiling.tile(volume),
            None => volume,
        };
        let mut stack = [0; 3];
        for ((at, _), side) in self.recipe.axes.of_stack().zip(&tensor[2..]) {
            stack[at] = *side;
        }
        stack
    }

    /// Follows the shape of a stack's latents through the decoder.
    pub(super) fn check(&self, latents: &[usize]) -> Result<()> {
        let [slices, rows, columns] = self.example();
        let decoded = self.decoder(latents, [rows, columns])?.outputs()[0].to_vec();
        if decoded[0] != slices {
            bail!(
                "the decoder gives {} slices of the {slices} that were encoded; set recipe.size to what it was trained on",
                decoded[0]
            );
        }
        Ok(())
    }

    /// Where the tensor's axes stand among slices, rows and columns: the order that brings the stack's axes to the front.
    fn order(&self) -> [usize; 3] {
        let mut order = [0; 3];
        for (of_tensor, (of_stack, _)) in self.recipe.axes.of_stack().enumerate() {
            order[of_stack] = of_tensor;
        }
        order
    }

    /// Takes `[1, c, …]` in the order of the network's axes to `[slices, c, rows, columns]` in that of a stack.
    fn as_stack(&self, g: &mut Graph, x: Value) -> Value {
        let back: Vec<usize> =
            self.recipe.axes.of_stack().enumerate().filter(|(_, (_, back))| *back).map(|(at, _)| at + 2).collect();
        let x = if back.is_empty() { x } else { g.flip(x, &back) };
        let [slices, rows, columns] = self.order().map(|at| at + 2);
        let x = g.permute(x, &[0, slices, 1, rows, columns]);
        // A sum of one takes the axis away.
        g.reduce(Reduction::Sum, x, &[0], false)
    }

    /// The shape `[1, c, …]` that latents `[planes, c, h, w]` have in the order of the network's axes.
    fn tensor(&self, latents: &[usize]) -> Result<Vec<usize>> {
        let [planes, channels, h, w] = latents[..] else {
            bail!("latents [planes, channels, h, w], found {latents:?}")
        };
        let sides = [planes, h, w];
        Ok([1, channels].into_iter().chain(self.recipe.axes.of_stack().map(|(at, _)| sides[at])).collect())
    }

    /// Refuses a decoder without a gradient.
    pub(super) fn differentiable(&self, latents: &[usize]) -> Result<()> {
        self.decoder.differentiable(&self.tensor(latents)?)
    }

    /// Takes latents `[planes, c, h, w]` to `[1, c, …]` in the order of the network's axes.
    fn as_tensor(&self, g: &mut Graph, x: Value) -> Value {
        let x = g.apply(graph::ops::Unsqueeze { axis: 0 }, &[x]); // [1, planes, c, h, w]
        let axes: Vec<(usize, bool)> = self.recipe.axes.of_stack().collect();
        let order: Vec<usize> = [0, 2].into_iter().chain(axes.iter().map(|(at, _)| [1, 3, 4][*at])).collect();
        let x = g.permute(x, &order);
        let back: Vec<usize> = axes.iter().enumerate().filter(|(_, (_, back))| *back).map(|(at, _)| at + 2).collect();
        if back.is_empty() { x } else { g.flip(x, &back) }
    }

    /// The pass from a stack `[slices, 1, height, width]` to latents.
    fn encoder(&self, stack: [usize; 4]) -> Result<Plan> {
        let encoder = |tensor: &[usize]| self.encoder.latents(tensor);
        self.planned(self.encoder.through(&self.recipe, stack, self.tiling.as_ref(), encoder)?, stack)
    }

    fn planned(&self, Encoded { mut graph, value, shape }: Encoded, stack: [usize; 4]) -> Result<Plan> {
        if shape.len() != 5 {
            bail!("the encoder gives {shape:?}, where the latents of volumes are [1, channels, d, h, w]");
        }
        let z = self.as_stack(&mut graph, value);
        planned(&graph.finish(&[z]), &stack, self.dtype, &self.device)
    }

    /// The graph from latents of such a shape, as the network takes them, to one channel.
    fn network(&self, tensor: &[usize]) -> Result<Graph> {
        let network = self.decoder.graph(tensor)?;
        let decoded = Plan::new(&network, &[tensor], self.dtype)?.outputs()[0].to_vec();
        match decoded[..] {
            [1, c, _, _, _] => {
                same_channels(&self.recipe, c)?;
                if c == 1 {
                    return Ok(network);
                }
                let mut g = Graph::new();
                let z = g.input();
                let y = g.append(&network, z);
                let y = g.reduce(Reduction::Mean, y, &[1], true);
                Ok(g.finish(&[y]))
            }
            _ => bail!("the decoder gives {decoded:?} of latents {tensor:?}, where a volume is [1, channels, d, h, w]"),
        }
    }

    /// Decodes all latents to all slices; in tiles, to those of a part where there is one.
    fn decoded(&self, g: &mut Graph, z: Value, latents: &[usize], part: Option<&LatentBox>) -> Result<Value> {
        let z = self.as_tensor(g, z);
        let (tensor, planes) = (self.tensor(latents)?, latents[0]);
        let y = match &self.tiling {
            Some(tiling) => {
                let band = part.map(|part| self.band(tiling, part, planes));
                tiling.decode(g, z, &tensor, band.as_ref(), |tile| self.network(tile))?
            }
            None => g.append(&self.network(&tensor)?, z),
        };
        let y = self.as_stack(g, y);
        Ok(unit(g, y, &self.recipe))
    }

    /// The slab of a part, and its planes of latents, along the axis of the tensor that slices are.
    fn band(&self, tiling: &Tiling, part: &LatentBox, planes: usize) -> Band {
        let axis = self.order()[0];
        let back = self.recipe.axes.of_stack().nth(axis).is_some_and(|(_, back)| back);
        let along = |range: &Range<usize>, all: usize| {
            if back { all.saturating_sub(range.end)..all.saturating_sub(range.start) } else { range.clone() }
        };
        let voxels = along(&part.slab, tiling.voxels(axis, planes));
        Band { axis, latents: along(&part.planes, planes), voxels }
    }

    fn sized(&self, graph: &Graph, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        let plan = planned(graph, latents, self.dtype, &self.device)?;
        match plan.outputs()[0] {
            [_, 1, rows, columns] if [*rows, *columns] == size => Ok(plan),
            other => bail!(
                "the decoder gives slices {other:?}, where the scan's have {} x {} pixels; set recipe.size to what the \
                 autoencoder was trained on",
                size[0],
                size[1]
            ),
        }
    }
}

impl Autoencoder for FileVolumes {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        let (n, c, h, w) = stack.dims4()?;
        Ok(self.encoder([n, c, h, w])?.forward(std::slice::from_ref(stack), check)?.remove(0))
    }

    fn has_deviations(&self) -> bool {
        self.encoder.has_deviations()
    }

    fn deviations(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Option<Tensor>, graph::Error> {
        let (n, c, h, w) = stack.dims4()?;
        let shape = [n, c, h, w];
        if !self.encoder.has_deviations() {
            return Ok(None);
        }
        let encoder = |tensor: &[usize]| self.encoder.deviations(tensor);
        let encoded = self.encoder.through(&self.recipe, shape, self.tiling.as_ref(), encoder)?;
        Ok(Some(self.planned(encoded, shape)?.forward(std::slice::from_ref(stack), check)?.remove(0)))
    }

    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        let mut g = Graph::new();
        let z = g.input();
        let y = self.decoded(&mut g, z, latents, None)?;
        self.sized(&g.finish(&[y]), latents, size)
    }

    fn room(&self, _size: [usize; 2]) -> Option<usize> {
        Some(usize::MAX)
    }

    fn plans(&self, slices: &[usize; 4]) -> Result<Vec<(&'static str, Plan)>> {
        let encoder = self.encoder(*slices)?;
        let decoder = self.decoder(encoder.outputs()[0], [slices[2], slices[3]])?;
        Ok(vec![("encoder", encoder), ("decoder", decoder)])
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        [1.0, 0.0]
    }

    fn mixes_slices(&self) -> bool {
        true
    }

    fn within(&self, latents: &Tensor, slab: &Range<usize>, slices: usize) -> Option<Within> {
        let planes = latents.dim(0).ok()?;
        let plane = |slice: usize| slice * planes / slices.max(1);
        let planes = plane(slab.start)..(slab.end * planes).div_ceil(slices.max(1));
        let within =
            LatentBox { volumes: self.clone(), latents: latents.clone(), planes: planes.clone(), slab: slab.clone() };
        Some(Within { autoencoder: Arc::new(within), planes })
    }
}

impl Autoencoder for LatentBox {
    fn encode(&self, stack: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        self.volumes.encode(stack, check)
    }

    fn decoder(&self, latents: &[usize], size: [usize; 2]) -> Result<Plan> {
        let all = self.latents.dims();
        if latents.first() != Some(&self.planes.len()) {
            bail!("a box of {} planes of latents, found {latents:?}", self.planes.len());
        }
        let mut g = Graph::new();
        let z = g.input();
        let (before, behind) = (0..self.planes.start, self.planes.end..all[0]);
        let mut parts = Vec::with_capacity(3);
        for part in [before, self.planes.clone(), behind] {
            match part {
                part if part.is_empty() => {}
                part if part == self.planes => parts.push(z),
                part => {
                    let frozen = self.latents.narrow(0, part.start, part.len())?.contiguous()?;
                    parts.push(g.constant(frozen.to_dtype(self.volumes.dtype)?));
                }
            }
        }
        let whole = if parts.len() == 1 { z } else { g.concat(&parts, 0) };
        let mut y = self.volumes.decoded(&mut g, whole, all, Some(self))?;
        if self.volumes.tiling.is_none() {
            y = g.narrow(y, 0, self.slab.start, self.slab.len());
        }
        self.volumes.sized(&g.finish(&[y]), latents, size)
    }

    fn room(&self, size: [usize; 2]) -> Option<usize> {
        self.volumes.room(size)
    }

    fn unit_from_decoded(&self) -> [f32; 2] {
        self.volumes.unit_from_decoded()
    }

    fn mixes_slices(&self) -> bool {
        true
    }
}
