//! How a scan shows things: how blurred its edges are along each axis, the noise of its own even tissue, the HU of its soft tissue.

use std::ops::Range;

use rayon::prelude::*;

use crate::random::Stream;
use crate::volume::orientation::axis_codes;
use crate::volume::{Volume, Voxels};

/// An edge is looked for between plateaus of lung and of soft tissue that lie this far from it on either side.
const PLATEAU_MM: f64 = 4.0;
const LUNG_BELOW_HU: f32 = -650.0;
const SOFT_HU: Range<f32> = -60.0..350.0;
/// Edges that the axis meets aslant look wider: the sharpest sixth is taken for those that it meets straight.
const STRAIGHT_SHARE: f64 = 0.15;
/// Between a quarter and three quarters of a step's height, a Gaussian blur is this many of its deviations wide.
const QUARTERS: f64 = 1.349;
/// The blur of a voxel that takes the mean of what it covers, in voxels: the deviation of a box.
pub(super) const BOX: f64 = 0.288_675;
/// What is believed of a blur, in voxels.
const BLUR_VOXELS: Range<f64> = 0.4..2.0;
/// Where no edge tells.
const USUAL_BLUR_VOXELS: f64 = 0.6;
const FEWEST_EDGES: usize = 40;
/// Lines of voxels that are looked at along each axis.
const MOST_LINES: usize = 40_000;
/// Blocks of even tissue: so many voxels along and across slices. Where little tissue is in view, large ones are not even.
const BLOCKS: [[usize; 2]; 3] = [[11, 3], [7, 3], [5, 3]];
/// Large blocks are of even tissue where they vary at most so many times as much as smaller ones.
const MOST_UNEVEN: f32 = 1.4;
const MOST_BLOCKS: usize = 60_000;
/// Even tissue is what varies least; of that, not the very least, which lies where noise is lowest.
const EVEN_SHARE: f64 = 0.12;
const PATCHES: usize = 3;
const SOFT_TISSUE_HU: Range<f32> = 0.0..110.0;
const USUAL_SOFT_HU: f32 = 40.0;

pub(super) struct Scanner {
    /// The deviation of a Gaussian that blurs an edge as the scan does, in voxels along each axis; that of a voxel's box is in it.
    pub(super) blur_voxels: [f64; 3],
    pub(super) soft_hu: f32,
    noise: Noise,
}

/// Residuals of even tissue. White noise folded with them has their spectrum: Galerne, Gousseau and Morel 2011, "Random phase
/// textures", IEEE Trans. Image Process. 20:257.
#[derive(Default)]
struct Noise {
    shape: [usize; 3],
    patches: Vec<Vec<f32>>,
}

impl Scanner {
    pub(super) fn of(scan: &Volume) -> Self {
        let (noise, soft_hu) = noise(scan);
        Self { blur_voxels: [0, 1, 2].map(|axis| blur_voxels(scan, axis)), soft_hu, noise }
    }

    /// The blur that is left for what is drawn as means over voxels.
    pub(super) fn blur_beyond_box(&self) -> [f32; 3] {
        self.blur_voxels.map(|blur| (blur * blur - BOX * BOX).max(0.0).sqrt() as f32)
    }

    /// The deviation of the noise, HU.
    pub(super) fn noise_hu(&self) -> f32 {
        let squares = self.noise.patches.iter().flatten().map(|x| x * x).sum::<f32>();
        (squares / self.noise.patches.iter().map(Vec::len).sum::<usize>().max(1) as f32).sqrt()
    }

    /// Noise in a box of voxels, where `is_wanted` by its place in the box, HU: the same at a voxel whatever the box is.
    pub(super) fn noise_in(
        &self,
        seed: u64,
        within: &[Range<usize>; 3],
        is_wanted: impl Fn(usize) -> bool + Sync,
    ) -> Vec<f32> {
        let Noise { shape, patches } = &self.noise;
        let [ni, nj, nk] = [0, 1, 2].map(|axis| within[axis].len());
        let mut noise = vec![0.0_f32; ni * nj * nk];
        for (which, patch) in patches.iter().enumerate() {
            // Beyond the box by a patch: each voxel is a sum over the white noise that lies under a patch at it.
            let [wide, high] = [ni + shape[0] - 1, nj + shape[1] - 1];
            let planes: Vec<Vec<f32>> = (0..nk + shape[2] - 1)
                .into_par_iter()
                .map(|k| white(seed, which, within, [wide, high], within[2].start + k))
                .collect();
            let scale = 1.0 / ((patch.len() * patches.len()) as f32).sqrt();
            noise.par_chunks_mut(ni).enumerate().for_each(|(row, out)| {
                let (j, k) = (row % nj, row / nj);
                for (i, out) in out.iter_mut().enumerate().filter(|(i, _)| is_wanted(row * ni + i)) {
                    let mut sum = 0.0;
                    for (at, weights) in patch.chunks(shape[0]).enumerate() {
                        let from = i + wide * (j + at % shape[1]);
                        let under = &planes[k + at / shape[1]][from..from + shape[0]];
                        sum += weights.iter().zip(under).map(|(weight, white)| weight * white).sum::<f32>();
                    }
                    *out += scale * sum;
                }
            });
        }
        noise
    }
}

/// White noise of deviation 1 over a part of a slice, keyed by the place in the scan.
fn white(seed: u64, which: usize, within: &[Range<usize>; 3], [wide, high]: [usize; 2], k: usize) -> Vec<f32> {
    let reach = 3.0_f32.sqrt();
    let mut plane = Vec::with_capacity(wide * high);
    for j in 0..high {
        // A row's numbers begin at the scan's border, so that a box has those of any other.
        let row = (which as u64) << 48 | (k as u64) << 24 | (within[1].start + j) as u64;
        let mut stream = Stream::new(seed ^ row.wrapping_mul(0x9e37_79b9_7f4a_7c15), "noise of an insertion");
        for _ in 0..within[0].start {
            stream.within(0.0, 1.0);
        }
        plane.extend((0..wide).map(|_| stream.within(-reach, reach)));
    }
    plane
}

/// The deviation of the blur along an axis, in voxels, by the widths of edges between lung and soft tissue.
fn blur_voxels(scan: &Volume, axis: usize) -> f64 {
    let shape = scan.grid.shape;
    let strides = [1, shape[0], shape[0] * shape[1]];
    let far = ((PLATEAU_MM / scan.grid.spacing_mm()[axis]).ceil() as usize).clamp(2, 12);
    let [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
    let lines = shape[u] * shape[v];
    if shape[axis] < 2 * far + 2 {
        return USUAL_BLUR_VOXELS;
    }
    let mut widths: Vec<f64> = (0..lines)
        .step_by(lines.div_ceil(MOST_LINES).max(1))
        .flat_map(|line| {
            let start = line % shape[u] * strides[u] + line / shape[u] * strides[v];
            let hu: Vec<f32> = (0..shape[axis]).map(|at| scan.voxels.at(start + at * strides[axis])).collect();
            edge_widths(&hu, far)
        })
        .collect();
    if widths.len() < FEWEST_EDGES {
        return USUAL_BLUR_VOXELS;
    }
    let straight = (widths.len() as f64 * STRAIGHT_SHARE) as usize;
    let (_, width, _) = widths.select_nth_unstable_by(straight, f64::total_cmp);
    (*width / QUARTERS).clamp(BLUR_VOXELS.start, BLUR_VOXELS.end)
}

/// How many voxels each edge of a line takes from a quarter of its height to three quarters.
fn edge_widths(hu: &[f32], far: usize) -> Vec<f64> {
    let mut widths = Vec::new();
    let mut at = far;
    while at + far + 1 < hu.len() {
        let plateau = |middle: usize| (hu[middle - 1] + hu[middle] + hu[middle + 1]) / 3.0;
        let is_step = (hu[at] < -400.0) != (hu[at + 1] < -400.0) && at > far && at + far + 2 < hu.len();
        if is_step {
            let (before, after) = (plateau(at - far), plateau(at + 1 + far));
            let is_edge = |lung: f32, soft: f32| lung < LUNG_BELOW_HU && SOFT_HU.contains(&soft);
            if is_edge(before, after) || is_edge(after, before) {
                let share = |x: usize| f64::from((hu[x] - before) / (after - before));
                let crossing = |level: f64| {
                    (at - far..at + 1 + far)
                        .find(|x| share(*x) < level && share(x + 1) >= level)
                        .map(|x| x as f64 + (level - share(x)) / (share(x + 1) - share(x)))
                };
                if let (Some(quarter), Some(most)) = (crossing(0.25), crossing(0.75)) {
                    widths.extend((most > quarter).then_some(most - quarter));
                }
            }
            at += far;
        }
        at += 1;
    }
    widths
}

/// The noise of even soft tissue, and its HU: by the largest blocks that are even.
fn noise(scan: &Volume) -> (Noise, f32) {
    let of_blocks = BLOCKS.map(|block| noise_in_blocks(scan, block));
    let least = of_blocks.iter().flatten().map(|(_, deviation, _)| *deviation).fold(f32::INFINITY, f32::min);
    let even = of_blocks.into_iter().flatten().find(|(_, deviation, _)| *deviation <= MOST_UNEVEN * least);
    even.map_or((Noise::default(), USUAL_SOFT_HU), |(noise, _, soft_hu)| (noise, soft_hu))
}

/// The noise of the blocks of one size that vary little, the deviation of the first of them, and the HU of their tissue; none where no block
/// is of soft tissue.
fn noise_in_blocks(scan: &Volume, [along, across]: [usize; 2]) -> Option<(Noise, f32, f32)> {
    let codes = axis_codes(&scan.grid).0;
    let shape = [0, 1, 2].map(|axis| (if codes[axis].0 == 2 { across } else { along }).min(scan.grid.shape[axis]));
    let voxels: usize = shape.iter().product();
    if voxels < 30 {
        return None;
    }
    let steps = [0, 1, 2].map(|axis| (shape[axis] * 2 / 3).max(1));
    let counts = [0, 1, 2].map(|axis| (scan.grid.shape[axis] - shape[axis]) / steps[axis] + 1);
    let all: usize = counts.iter().product();
    let place = |n: usize| {
        let [i, j, k] = [n % counts[0], n / counts[0] % counts[1], n / (counts[0] * counts[1])];
        [i * steps[0], j * steps[1], k * steps[2]]
    };
    let every = all.div_ceil(MOST_BLOCKS).max(1);
    let mut even: Vec<(f32, f32, usize)> = (0..all.div_ceil(every))
        .into_par_iter()
        .map(|n| n * every)
        .filter_map(|n| {
            let block = block(scan, place(n), shape)?;
            let mean = block.iter().sum::<f32>() / voxels as f32;
            let residual = levelled(block, shape);
            let deviation = (residual.iter().map(|x| x * x).sum::<f32>() / voxels as f32).sqrt();
            SOFT_TISSUE_HU.contains(&mean).then_some((deviation, mean, n))
        })
        .collect();
    if even.is_empty() {
        return None;
    }
    even.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
    let at = (even.len() as f64 * EVEN_SHARE) as usize;
    let first = at.min(even.len().saturating_sub(PATCHES));
    let chosen = &even[first..(first + PATCHES).min(even.len())];
    let patches = chosen.iter().filter_map(|(.., n)| Some(levelled(block(scan, place(*n), shape)?, shape))).collect();
    let mut means: Vec<f32> = even[..(2 * at).clamp(1, even.len())].iter().map(|(_, mean, _)| *mean).collect();
    let middle = means.len() / 2;
    let (_, soft_hu, _) = means.select_nth_unstable_by(middle, f32::total_cmp);
    Some((Noise { shape, patches }, chosen[0].0, *soft_hu))
}

/// A block of voxels, all of soft tissue and numbers.
fn block(scan: &Volume, [i, j, k]: [usize; 3], shape: [usize; 3]) -> Option<Vec<f32>> {
    let [ni, nj, _] = scan.grid.shape;
    let middle = scan.voxels.at(i + shape[0] / 2 + ni * (j + shape[1] / 2 + nj * (k + shape[2] / 2)));
    if !(-200.0..350.0).contains(&middle) {
        return None;
    }
    let mut block = Vec::with_capacity(shape.iter().product());
    for z in k..k + shape[2] {
        for y in j..j + shape[1] {
            let row = ni * (y + nj * z);
            match &scan.voxels {
                Voxels::I16(all) => block.extend(all[row + i..row + i + shape[0]].iter().map(|hu| f32::from(*hu))),
                voxels => block.extend((row + i..row + i + shape[0]).map(|at| voxels.at(at))),
            }
        }
    }
    block.iter().all(|hu| hu.is_finite()).then_some(block)
}

/// Less its mean and its slope along each axis, which are shading and no noise.
fn levelled(mut block: Vec<f32>, shape: [usize; 3]) -> Vec<f32> {
    let mean = block.iter().sum::<f32>() / block.len() as f32;
    for x in &mut block {
        *x -= mean;
    }
    let strides = [1, shape[0], shape[0] * shape[1]];
    for axis in 0..3 {
        let middle = (shape[axis] as f32 - 1.0) / 2.0;
        let along = |at: usize| (at / strides[axis] % shape[axis]) as f32 - middle;
        let (mut product, mut squares) = (0.0, 0.0);
        for (at, x) in block.iter().enumerate() {
            product += along(at) * x;
            squares += along(at).powi(2);
        }
        if squares > 0.0 {
            let slope = product / squares;
            block.iter_mut().enumerate().for_each(|(at, x)| *x -= slope * along(at));
        }
    }
    block
}
