//! A network over a volume that no memory holds whole: applied to overlapping tiles one after another, whose outputs are blended.
//!
//! A pass holds one tile's values, the volumes, and a weight for each place of the output. Source of places and weights: MONAI,
//! `sliding_window_inference`, `compute_importance_map` and `dense_patch_slices`.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use super::{Operation, Pass, Saved, Saves, Sum, only};
use crate::graph::{Check, Error, Plan};
use crate::nn::gemm::{Real, zeros};
use crate::nn::numbers::{Held, tensor};

/// The standard deviation of a Gaussian blend, as a share of the tile's side. Source: MONAI, `sigma_scale`.
const SIGMA_SHARE: f64 = 0.125;
/// No weight of a Gaussian blend is lower. Source: MONAI, `compute_importance_map`.
const LEAST_WEIGHT: f64 = 1e-3;
/// Far more tiles than a scan of a machine's memory has.
const MOST_TILES: usize = 1 << 17;

/// How much each number of a tile counts where tiles overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blend {
    /// All alike.
    #[default]
    Constant,
    /// The less the farther from the tile's centre.
    Gaussian,
}

/// Where tiles lie along an axis of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TilesAlong {
    /// Where each tile begins in the input, ascending.
    pub starts: Vec<usize>,
    /// The places of the whole output that are asked for.
    pub output: Range<usize>,
    /// The places of the input whose gradient is asked for; that of others is not whole.
    pub moving: Range<usize>,
}

/// A network of one tile, `[1, c, d, h, w]` to `[1, c', d', h', w']`, over a volume `[1, c, D, H, W]`.
#[derive(Clone)]
pub struct Tiled {
    plan: Plan,
    along: [TilesAlong; 3],
    tiles: Vec<Tile>,
    /// Channels and sides of a tile, before the network and behind it.
    input: [usize; 4],
    output: [usize; 4],
    /// What each place of a tile's output counts along each axis; a weight is the product of three.
    weights: [Vec<f64>; 3],
    least: f64,
}

/// Where a tile begins in the input and in the whole output.
#[derive(Debug, Clone, Copy)]
struct Tile {
    input: [usize; 3],
    output: [usize; 3],
}

impl Tiled {
    /// Lays tiles over a volume; the plan is that of one.
    ///
    /// # Errors
    /// Where the plan is not that of a volume, where a tile begins between two places of the output, where tiles leave out places that
    /// are asked for, or where there are too many of them.
    pub fn new(plan: Plan, along: [TilesAlong; 3], blend: Blend) -> Result<Self> {
        let (inputs, outputs) = (plan.inputs(), plan.outputs());
        let (&[&[1, c_in, d, h, w]], &[&[1, c_out, od, oh, ow]]) = (inputs.as_slice(), outputs.as_slice()) else {
            bail!("tiles are [1, channels, d, h, w] before and behind a network, found {inputs:?} and {outputs:?}");
        };
        let (input, output) = ([c_in, d, h, w], [c_out, od, oh, ow]);
        let count = along.iter().fold(1_usize, |count, axis| count.saturating_mul(axis.starts.len()));
        if count > MOST_TILES {
            bail!("{count} tiles, where {MOST_TILES} are the most; make tiles larger, or let them overlap less");
        }
        let mut places: [Vec<[usize; 2]>; 3] = Default::default();
        for (axis, TilesAlong { starts, output: asked, .. }) in along.iter().enumerate() {
            places[axis] = of_axis(starts, asked, [input[axis + 1], output[axis + 1]])?;
        }
        let mut tiles = Vec::new();
        for [i, oi] in &places[0] {
            for [j, oj] in &places[1] {
                tiles.extend(places[2].iter().map(|[k, ok]| Tile { input: [*i, *j, *k], output: [*oi, *oj, *ok] }));
            }
        }
        let weights = [0, 1, 2].map(|axis| weights(blend, input[axis + 1], output[axis + 1]));
        let least_of = |side: usize| weight(blend, side, 0);
        let least = input[1..].iter().map(|side| least_of(*side)).product::<f64>().max(LEAST_WEIGHT);
        Ok(Self { plan, along, tiles, input, output, weights, least })
    }

    /// The plan of one tile.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many tiles a forward pass computes.
    pub fn count(&self) -> usize {
        self.tiles.len()
    }

    /// Gives the operation with a gradient of one tile that takes no more than so many bytes.
    ///
    /// # Errors
    /// Where it takes more in any case.
    pub fn within(&self, budget: u64) -> Result<Self> {
        Ok(Self { plan: self.plan.clone().within(budget)?, ..self.clone() })
    }

    /// How many steps a forward pass has, for who watches it.
    pub(in crate::graph) fn steps(&self) -> usize {
        self.plan.steps().saturating_mul(self.count()).max(1)
    }

    /// The work before a step, as [`Plan::work_before`] counts it.
    pub(in crate::graph) fn work_before(&self, step: usize) -> f64 {
        let of_tile = self.plan.steps().max(1);
        (step / of_tile) as f64 * self.plan.work() + self.plan.work_before(step % of_tile)
    }

    /// What a vjp holds beside its input and its output, bytes: a tile's gradient, the scaled gradient, and the weights' sums.
    pub(in crate::graph) fn vjp_bytes(&self) -> u64 {
        self.plan.gradient_bytes().saturating_add(self.blending_bytes())
    }

    /// The sums of weights, in the size of a plan's numbers.
    fn blending_bytes(&self) -> u64 {
        self.region().iter().fold(self.plan.number_bytes(), |bytes, side| bytes.saturating_mul(*side as u64))
    }

    /// The sides of what is asked for.
    fn region(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.along[axis].output.len())
    }

    /// The tiles whose input has places with a gradient.
    fn moving(&self) -> impl Iterator<Item = &Tile> {
        let meets = |axis: usize, start: usize| {
            let moving = &self.along[axis].moving;
            start < moving.end && moving.start < start + self.input[axis + 1]
        };
        self.tiles.iter().filter(move |tile| (0..3).all(|axis| meets(axis, tile.input[axis])))
    }

    /// Calls `each` with every row of a tile that is asked for: its place within a channel of the tile, within a channel of what is asked
    /// for, and the weights of its numbers.
    fn rows<T: Real>(&self, tile: &Tile, mut each: impl FnMut(usize, usize, &[T])) {
        let [_, _, height, width] = self.output;
        let shared = [0, 1, 2].map(|axis| {
            let (start, asked) = (tile.output[axis], &self.along[axis].output);
            start.max(asked.start)..(start + self.output[axis + 1]).min(asked.end)
        });
        let [_, rows, columns] = self.region();
        let [first_i, first_j, first_k] = [0, 1, 2].map(|axis| self.along[axis].output.start);
        let start = shared[2].start;
        let mut weights = vec![T::default(); shared[2].len()];
        for i in shared[0].clone() {
            for j in shared[1].clone() {
                let [ti, tj, tk] = [i - tile.output[0], j - tile.output[1], start - tile.output[2]];
                let of_row = self.weights[0][ti] * self.weights[1][tj];
                for (weight, along) in weights.iter_mut().zip(&self.weights[2][tk..]) {
                    *weight = T::from_f64((of_row * along).max(self.least));
                }
                let in_region = ((i - first_i) * rows + j - first_j) * columns + start - first_k;
                each((ti * height + tj) * width + tk, in_region, &weights);
            }
        }
    }

    /// The sum of the weights at each place that is asked for.
    fn totals<T: Real>(&self) -> Vec<T> {
        let mut totals = zeros::<T>(self.region().iter().product());
        for tile in &self.tiles {
            self.rows(tile, |_, at, weights: &[T]| {
                totals[at..].iter_mut().zip(weights).for_each(|(total, weight)| *total += *weight);
            });
        }
        totals
    }

    /// The tile of a volume, by itself.
    fn cut(&self, x: &Tensor, tile: &Tile) -> Result<Tensor> {
        let part = |x: Tensor, axis: usize| x.narrow(axis + 2, tile.input[axis], self.input[axis + 1]);
        (0..3).try_fold(x.clone(), part)?.contiguous()
    }

    /// The blended outputs of all tiles; `check` can stop within each.
    pub(in crate::graph) fn forward_with(&self, x: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, Error> {
        match x.dtype() {
            DType::F64 => self.blended::<f64>(x, check),
            _ => self.blended::<f32>(x, check),
        }
    }

    fn blended<T: Real>(&self, x: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, Error> {
        let ([channels, ..], region, steps) = (self.output, self.region(), self.plan.steps());
        let (of_tile, of_region) = (self.output[1..].iter().product::<usize>(), region.iter().product::<usize>());
        let mut sums = zeros::<T>(channels * of_region);
        for (number, tile) in self.tiles.iter().enumerate() {
            let check = |step, _| check(number * steps + step, self.steps());
            let y = self.plan.forward(&[self.cut(x, tile)?], &check)?.remove(0).contiguous()?;
            let held = Held::of(&y);
            let y = held.numbers::<T>()?;
            self.rows(tile, |from, to, weights: &[T]| {
                for channel in 0..channels {
                    let sums = sums[channel * of_region + to..].iter_mut();
                    let of_row = y[channel * of_tile + from..].iter().zip(weights);
                    sums.zip(of_row).for_each(|(sum, (y, weight))| *sum += *weight * *y);
                }
            });
        }
        let totals = self.totals::<T>();
        for sums in sums.chunks_mut(of_region.max(1)) {
            sums.iter_mut().zip(&totals).for_each(|(sum, total)| *sum = *sum / *total);
        }
        let shape = [1, channels, region[0], region[1], region[2]];
        Ok(tensor(sums, &shape)?.to_device(x.device())?)
    }

    /// The gradient of the volume `x` from that of the blended outputs: each tile is passed again, and its vjp added to the others'.
    pub(in crate::graph) fn vjp_with(
        &self,
        pass: &Pass<'_>,
        gradient: &Tensor,
        into: Vec<Option<Sum>>,
        check: Check<'_>,
    ) -> std::result::Result<Vec<Option<Tensor>>, Error> {
        let x = pass.saved.tensor(0)?;
        let mut parts = Vec::with_capacity(into.len());
        for sum in into {
            let Some(sum) = sum else {
                parts.push(None);
                continue;
            };
            let part = match x.dtype() {
                DType::F64 => self.pulled::<f64>(x, gradient, check)?,
                _ => self.pulled::<f32>(x, gradient, check)?,
            };
            parts.push(Some(sum.with(part)?));
        }
        Ok(parts)
    }

    fn pulled<T: Real>(&self, x: &Tensor, gradient: &Tensor, check: Check<'_>) -> std::result::Result<Tensor, Error> {
        let ([channels, d, h, w], [c_in, ..]) = (self.output, self.input);
        let (of_tile, of_region) = (d * h * w, self.region().iter().product::<usize>());
        let gradient = gradient.to_device(&Device::Cpu)?.contiguous()?;
        let held = Held::of(&gradient);
        let gradient = held.numbers::<T>()?;
        let totals = self.totals::<T>();
        let sides = &x.dims()[2..];
        let mut sums = zeros::<T>(x.elem_count());
        for tile in self.moving() {
            let mut of_output = zeros::<T>(channels * of_tile);
            self.rows(tile, |to, from, weights: &[T]| {
                for channel in 0..channels {
                    let given = gradient[channel * of_region + from..].iter().zip(&totals[from..]).zip(weights);
                    let places = of_output[channel * of_tile + to..].iter_mut();
                    places.zip(given).for_each(|(place, ((g, total), weight))| *place = *g * *weight / *total);
                }
            });
            let of_output = tensor(of_output, &[1, channels, d, h, w])?;
            let (_, tape) = self.plan.record(&[self.cut(x, tile)?], check)?;
            let pulled = tape.into_vjp(&[of_output], check)?.remove(0).contiguous()?;
            let held = Held::of(&pulled);
            let [_, depth, height, width] = self.input;
            for (row, numbers) in held.numbers::<T>()?.chunks(width.max(1)).enumerate() {
                let (channel, i, j) = (row / height / depth, row / height % depth, row % height);
                let [i, j, k] = [tile.input[0] + i, tile.input[1] + j, tile.input[2]];
                let at = ((channel * sides[0] + i) * sides[1] + j) * sides[2] + k;
                sums[at..].iter_mut().zip(numbers).for_each(|(sum, number)| *sum += *number);
            }
        }
        let shape = [1, c_in, sides[0], sides[1], sides[2]];
        Ok(tensor(sums, &shape)?.to_device(x.device())?)
    }
}

/// Where the tiles that meet what is asked for begin along an axis, in the input and in the output.
fn of_axis(starts: &[usize], asked: &Range<usize>, [before, behind]: [usize; 2]) -> Result<Vec<[usize; 2]>> {
    let mut places = Vec::with_capacity(starts.len());
    let mut covered = asked.start;
    for start in starts {
        let Some(place) = start.checked_mul(behind).filter(|place| before > 0 && place.is_multiple_of(before)) else {
            bail!(
                "a tile that begins at {start} begins between two places of the output, {before} to {behind} of them"
            );
        };
        let end = place / before + behind;
        if end > asked.start && place / before < asked.end {
            if place / before > covered {
                bail!("tiles at {starts:?} leave out place {covered} of the output");
            }
            covered = covered.max(end);
            places.push([*start, place / before]);
        }
    }
    if covered < asked.end || asked.is_empty() {
        bail!("tiles at {starts:?} leave out places of {asked:?} of the output");
    }
    Ok(places)
}

/// What a place of a tile of a side counts along an axis, before any least weight.
fn weight(blend: Blend, side: usize, place: usize) -> f64 {
    match blend {
        Blend::Constant => 1.0,
        Blend::Gaussian => {
            let (away, sigma) = (place as f64 - (side as f64 - 1.0) / 2.0, SIGMA_SHARE * side as f64);
            (-away * away / (2.0 * sigma * sigma)).exp()
        }
    }
}

/// What each place of a tile's output counts along an axis: what the place of the input nearest to its middle counts.
/// Source: PyTorch, `interpolate`, mode "nearest-exact".
fn weights(blend: Blend, input: usize, output: usize) -> Vec<f64> {
    let nearest = |place: usize| ((2 * place + 1) * input / (2 * output.max(1))).min(input.saturating_sub(1));
    (0..output).map(|place| weight(blend, input, nearest(place))).collect()
}

impl Operation for Tiled {
    fn name(&self) -> String {
        format!("{} tiles of {:?}", self.count(), &self.input[1..])
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        let ends = |axis: usize| {
            let last = self.along[axis].starts.last().copied().unwrap_or(0);
            last.saturating_add(self.input[axis + 1])
        };
        match shape {
            [1, channels, sides @ ..] if *channels == self.input[0] && sides.len() == 3 => {
                if (0..3).any(|axis| ends(axis) > sides[axis]) {
                    bail!("{} do not lie within a volume {shape:?}", self.name());
                }
                let [depth, height, width] = self.region();
                Ok(vec![1, self.output[0], depth, height, width])
            }
            _ => bail!("{} of a volume [1, {}, d, h, w], found {shape:?}", self.name(), self.input[0]),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Inputs
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let y = self.forward_with(inputs[0], &|_, _| Ok(())).map_err(candle_core::Error::wrap)?;
        Ok((y, if save { Saved::Tensors(vec![inputs[0].clone()]) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        self.vjp_with(pass, gradient, into, &|_, _| Ok(())).map_err(candle_core::Error::wrap)
    }

    fn tiled(&self) -> Option<&Tiled> {
        Some(self)
    }

    fn multiply_adds(&self, _: &[&[usize]]) -> f64 {
        self.count() as f64 * self.plan.work()
    }

    fn scratch_bytes(&self, _: &[&[usize]]) -> usize {
        let bytes = self.plan.forward_bytes().saturating_add(self.blending_bytes());
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
