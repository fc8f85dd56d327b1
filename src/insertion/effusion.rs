//! Pleural fluid: it gathers where the patient lies, along the wall of the chest, thick at the lowest place and thinning out as the
//! wall rises, and presses on the lung above it.

use glam::DVec3;

use super::canvas::Canvas;
use super::lungs::{LEFT, Lungs, RIGHT};
use super::paint::{around, paint, slabs};
use super::{Chest, Lying, NoPlace};
use crate::job::Monitor;
use crate::random::Stream;
use crate::volume::smoothing::{smooth, smooth_noise};

/// The least and the largest HU of the fluid.
const FLUID_HU: [f32; 2] = [2.0, 18.0];
/// At a dial of 1 the fluid is as thick as this share of the lung above it, and no thicker than this.
const MOST_SHARE: f32 = 0.5;
const THICKEST_MM: f32 = 85.0;
/// Fluid that is thinner than this is not drawn.
const THINNEST_MM: f32 = 0.7;
/// The wall is as smooth as this; maps of it are cut at three times as much.
const WALL_SMOOTH_MM: f64 = 5.0;
/// How steeply the fluid thins out as the wall rises: so many times its thickness, and so much more.
const RISE: [f32; 2] = [1.25, 8.0];
/// Within this of the wall, what is lung is told by its HU, so that the wall's own edge stays.
const WALL_MM: [f32; 2] = [2.0, 5.0];
/// A part of the fluid that holds less than this share of the largest is none.
const LEAST_PART: f64 = 0.1;
/// The lung's pull makes the surface hollow: where it meets the sides the fluid is thicker by this share of itself, in the middle thinner.
const HOLLOW: f32 = 0.35;
/// Ripples of the surface and of the compressed lung's border: how high, and how wide.
const RIPPLE_MM: f32 = 1.5;
const RIPPLE_WIDTH_MM: f64 = 7.0;
/// The lung that is compressed is as wide as this share of the fluid, between these.
const PRESSED_SHARE: f32 = 0.3;
const PRESSED_MM: [f32; 2] = [2.5, 14.0];
/// Next to the fluid it is collapsed all but for a rest of air, over this share of the width.
const COLLAPSED_HU: f32 = 25.0;
const MOST_COLLAPSED: f32 = 0.93;
const COLLAPSED_SHARE: f32 = 0.35;
/// Tissue beside the lung has at least this.
const LEAST_TISSUE_HU: f32 = -350.0;
const STEEPNESS: f64 = 2.0;
const SAMPLE_MM: f64 = 1.0;
/// Fewer columns than this have no wall worth the name.
const FEWEST_COLUMNS: usize = 30;

/// The wall under one lung and the surface of the fluid on it, for each column of cells along gravity; heights against gravity, millimetres.
struct Pool {
    side: u8,
    thickest_mm: f32,
    /// Columns, rows of the maps: cells from left to right, and from foot to head.
    surface: Vec<f32>,
    /// The width of lung that is compressed above it.
    pressed_mm: Vec<f32>,
}

pub(super) fn draw(
    chest: &Chest,
    dial: f32,
    seed: u64,
    canvas: &mut Canvas,
    monitor: &Monitor,
) -> Result<String, NoPlace> {
    if chest.lying == Lying::OnSide {
        return Err(NoPlace::OnSide);
    }
    let (grid, scanner, lungs) = (&chest.scan.grid, &chest.scanner, &chest.lungs);
    let mut g = Stream::new(seed, "effusion to insert");
    let (which, less, tilt) = (g.within(0.0, 1.0), g.within(0.45, 1.0), g.within(0.15, 0.6));
    let hu = g.within(FLUID_HU[0], FLUID_HU[1]);
    let shares: [(u8, f32); 2] = match which {
        w if w < 0.35 => [(RIGHT, 1.0), (LEFT, 0.0)],
        w if w < 0.6 => [(LEFT, 1.0), (RIGHT, 0.0)],
        w if w < 0.85 => [(RIGHT, 1.0), (LEFT, less)],
        _ => [(LEFT, 1.0), (RIGHT, less)],
    };
    let pool = |(side, share): (u8, f32)| Pool::of(lungs, chest.lying, side, dial * share, (tilt, seed));
    let mut pools: Vec<Pool> = shares.into_iter().filter(|(_, share)| *share > 0.0).filter_map(pool).collect();
    if pools.is_empty() {
        // Only the other lung is in view.
        pools =
            shares.into_iter().filter(|(_, share)| *share == 0.0).filter_map(|(side, _)| pool((side, 1.0))).collect();
    }
    if pools.is_empty() {
        return Err(NoPlace::NoPleura);
    }
    let spacing = grid.spacing_mm();
    let blur_mm = (0..3).map(|axis| scanner.blur_voxels[axis] * spacing[axis]).fold(0.0, f64::max);
    for pool in &pools {
        pool.draw(chest, seed, hu, canvas, 3.0 * blur_mm, monitor)?;
    }
    let words: Vec<String> = pools
        .iter()
        .map(|pool| format!("{} {:.0} mm", if pool.side == RIGHT { "right" } else { "left" }, pool.thickest_mm))
        .collect();
    Ok(format!("pleural fluid of {hu:.0} HU, at the thickest: {}", words.join(", ")))
}

impl Pool {
    /// The pool under a lung; `None` where none of it is in view.
    fn of(lungs: &Lungs, lying: Lying, side: u8, dial: f32, (tilt, seed): (f32, u64)) -> Option<Self> {
        let coarse = &lungs.coarse;
        let [ni, nj, nk] = coarse.grid.shape;
        let cell_mm = coarse.cell_mm as f32;
        let height = |j: usize| up(lying, coarse.world(j * ni).y) as f32;
        let mut wall = vec![f32::NAN; ni * nk];
        let mut tall = Vec::new();
        for k in 0..nk {
            for i in 0..ni {
                let is_in = |j: &usize| {
                    let cell = i + ni * (j + nj * k);
                    lungs.pleural_mm[cell] > 0.0 && lungs.side[cell] == side
                };
                let mut heights: Vec<f32> = (0..nj).filter(is_in).map(height).collect();
                heights.sort_by(f32::total_cmp);
                if let (Some(low), Some(high)) = (heights.first(), heights.last()) {
                    wall[i + ni * k] = low - cell_mm / 2.0;
                    tall.push(high - low + cell_mm);
                }
            }
        }
        if tall.len() < FEWEST_COLUMNS {
            return None;
        }
        let wall = smoothed(&wall, [ni, nk], (WALL_SMOOTH_MM / coarse.cell_mm) as f32);
        let lowest = quantile(wall.iter().copied().filter(|height| height.is_finite()).collect(), 0.02)?;
        let thickest_mm = (MOST_SHARE * quantile(tall, 0.9)?).min(THICKEST_MM) * dial;
        let [foot, head] = lungs.heights_mm;
        let [ripples, borders] = ["ripples of fluid", "borders of collapse"].map(|name| {
            let width = (RIPPLE_WIDTH_MM / coarse.cell_mm) as f32;
            smooth_noise(&mut Stream::new(seed, name), [ni, nk, 1], [width, width, 0.0])
        });
        // From the middle of the lung, 0, to its sides, 1, in each slice.
        let hollow = |at: usize| {
            let row = &wall[at / ni * ni..][..ni];
            let is_there = |i: &usize| row[*i].is_finite();
            let ends = [(0..ni).find(is_there), (0..ni).rev().find(is_there)].map(Option::unwrap_or_default);
            let (middle, half) = ((ends[0] + ends[1]) as f32 / 2.0, (ends[1] - ends[0]).max(1) as f32 / 2.0);
            let off = (((at % ni) as f32 - middle) / half).abs().min(1.0);
            1.0 + HOLLOW * (off * off - 0.4)
        };
        let thickness = |at: usize| {
            let z = coarse.world(at / ni * ni * nj).z;
            let along = ((z - foot) / (head - foot).max(1.0)).clamp(0.0, 1.0) as f32;
            let rise = RISE[0] * thickest_mm + RISE[1];
            let left = (1.0 - (wall[at] - lowest) / rise).max(0.0);
            thickest_mm * (1.0 - tilt * along) * left.powf(0.8) * hollow(at)
        };
        let thicknesses: Vec<f32> = (0..wall.len()).map(thickness).collect();
        let surface = (0..wall.len())
            .map(|at| {
                if thicknesses[at] < THINNEST_MM {
                    f32::NAN
                } else {
                    wall[at] + thicknesses[at] + RIPPLE_MM * ripples[at] * (thicknesses[at] / 10.0).min(1.0)
                }
            })
            .collect();
        let pressed_mm = (0..wall.len())
            .map(|at| {
                let usual = (PRESSED_SHARE * thicknesses[at]).clamp(PRESSED_MM[0] / 1.6, PRESSED_MM[1] / 1.6);
                let usual = usual * (thicknesses[at] / 8.0).min(1.0);
                (usual * (1.0 + 0.45 * borders[at]).clamp(0.25, 1.6)).min(PRESSED_MM[1])
            })
            .collect();
        Some(Self { side, thickest_mm, surface, pressed_mm })
    }

    /// Cells that stay as they are: those below the surface that hang together with little of the fluid, corners beside bronchi and
    /// vessels; and those that are far from all fluid.
    fn untouched(&self, chest: &Chest) -> Vec<bool> {
        let lungs = &chest.lungs;
        let is_wet: Vec<bool> = (0..lungs.side.len())
            .map(|cell| lungs.side[cell] == self.side && self.above_mm(chest, lungs.coarse.world(cell)).0 < 0.0)
            .collect();
        let (_, parts) = lungs.coarse.parts(&is_wet, false);
        let most = parts.iter().map(Vec::len).max().unwrap_or(0) as f64;
        let mut apart = vec![false; is_wet.len()];
        for part in parts.iter().filter(|part| (part.len() as f64) < LEAST_PART * most) {
            for cell in part {
                apart[*cell] = true;
            }
        }
        let from_fluid = lungs.coarse.distances_mm(|cell| is_wet[cell] && !apart[cell]);
        let far_mm = PRESSED_MM[1] + lungs.coarse.cell_mm as f32;
        apart.iter().zip(from_fluid).map(|(is_apart, mm)| *is_apart || mm > far_mm).collect()
    }

    /// How far a place is above the fluid along gravity, below 0 within it, and far where there is none; and the width of what is
    /// compressed there.
    fn above_mm(&self, chest: &Chest, world: DVec3) -> (f32, f32) {
        const NONE_MM: f32 = 1000.0;
        let coarse = &chest.lungs.coarse;
        let [ni, _, nk] = coarse.grid.shape;
        let at = coarse.among(world);
        let (x, z) = (at.x.clamp(0.0, ni as f64 - 1.001), at.z.clamp(0.0, nk as f64 - 1.001));
        let (i, k) = (x as usize, z as usize);
        let (fx, fz) = ((x - i as f64) as f32, (z - k as f64) as f32);
        let corners =
            [(0, 0, (1.0 - fx) * (1.0 - fz)), (1, 0, fx * (1.0 - fz)), (0, 1, (1.0 - fx) * fz), (1, 1, fx * fz)];
        let (mut sum, mut pressed, mut weight) = (0.0, 0.0, 0.0);
        for (di, dk, share) in corners {
            let at = i + di + ni * (k + dk);
            if self.surface[at].is_finite() {
                sum += share * self.surface[at];
                pressed += share * self.pressed_mm[at];
                weight += share;
            }
        }
        if weight < 0.01 {
            return (NONE_MM, 1.0);
        }
        (up(chest.lying, world.y) as f32 - sum / weight, pressed / weight)
    }

    fn draw(
        &self,
        chest: &Chest,
        seed: u64,
        hu: f32,
        canvas: &mut Canvas,
        blur_mm: f64,
        monitor: &Monitor,
    ) -> Result<(), NoPlace> {
        let (grid, scanner, lungs) = (&chest.scan.grid, &chest.scanner, &chest.lungs);
        let (mut low, mut high) = (DVec3::INFINITY, DVec3::NEG_INFINITY);
        for cell in (0..lungs.side.len()).filter(|cell| lungs.side[*cell] == self.side) {
            let world = lungs.coarse.world(cell);
            if self.above_mm(chest, world).0 < PRESSED_MM[1] {
                (low, high) = (low.min(world), high.max(world));
            }
        }
        if !low.is_finite() {
            return Ok(());
        }
        let untouched = self.untouched(chest);
        let within = around(grid, low, high, lungs.coarse.cell_mm + blur_mm);
        let above = |world: DVec3| self.above_mm(chest, world).0;
        for slab in slabs(&within) {
            monitor.step("drawing the finding", slab[2].start - within[2].start, within[2].len())?;
            let painted = paint(grid, &slab, scanner, (STEEPNESS, SAMPLE_MM), &above);
            let noise = scanner.noise_in(seed, &slab, |at| painted.shares[at] > 0.0);
            for (at, voxel) in painted.voxels(grid) {
                let [i, j, k] = [
                    voxel % grid.shape[0],
                    voxel / grid.shape[0] % grid.shape[1],
                    voxel / (grid.shape[0] * grid.shape[1]),
                ];
                let world = grid.world_from_voxel.transform_point3(DVec3::new(i as f64, j as f64, k as f64));
                let cell = lungs.coarse.cell(world);
                if lungs.side[cell] != self.side || untouched[cell] {
                    continue;
                }
                let old = chest.scan.voxels.at(voxel);
                let depth = lungs.coarse.at(&lungs.pleural_mm, world);
                // 1 at the wall, 0 away from it.
                let wall = (1.0 - (depth - WALL_MM[0]) / (WALL_MM[1] - WALL_MM[0])).clamp(0.0, 1.0);
                let beside = if wall > 0.0 { chest.tissue_beside_hu(world) } else { scanner.soft_hu };
                let is_lung = ((beside - old) / (beside - lungs.hu)).clamp(0.0, 1.0);
                let (above, width) = self.above_mm(chest, world);
                let pressed = pressed(old, above / width) * (1.0 - wall + wall * is_lung);
                let share = painted.shares[at];
                let base = old + pressed;
                let fluid = (1.0 - wall) * (hu - base) + wall * is_lung * (hu - lungs.hu - pressed);
                let kept = 1.0 - share * (1.0 - wall);
                let value = base + share * fluid + noise[at] * (1.0 - kept * kept).sqrt();
                if share > 0.0 || pressed != 0.0 {
                    canvas.put(voxel, value);
                }
                let is_fluid = painted.covered[at] >= 0.5 && (1.0 - wall + wall * is_lung) >= 0.5;
                canvas.mask[voxel] |= is_fluid;
            }
        }
        Ok(())
    }
}

impl Chest {
    /// The tissue that the lung ends at near a place: muscle, or fat, which has less HU.
    fn tissue_beside_hu(&self, world: DVec3) -> f32 {
        let coarse = &self.lungs.coarse;
        let cell = coarse.cell(world);
        let densest = coarse.beside(cell).chain([cell]).map(|cell| coarse.hu[cell]).fold(LEAST_TISSUE_HU, f32::max);
        densest.min(self.scanner.soft_hu)
    }
}

/// What the fluid's pressure adds to a voxel of lung, `above` the fluid by so many shares of the width that it presses on.
fn pressed(old: f32, above: f32) -> f32 {
    let left = ((1.0 - above) / (1.0 - COLLAPSED_SHARE)).clamp(0.0, 1.0);
    let near = left * left * (3.0 - 2.0 * left);
    if old >= COLLAPSED_HU { 0.0 } else { MOST_COLLAPSED * near * (COLLAPSED_HU - old) }
}

/// Against gravity, millimetres, of a patient on the back or the front.
fn up(lying: Lying, y: f64) -> f64 {
    if lying == Lying::Prone { -y } else { y }
}

/// A map smoothed by a Gaussian over what of it is a number, and as far beyond as three of its deviations.
fn smoothed(map: &[f32], [ni, nk]: [usize; 2], sigma: f32) -> Vec<f32> {
    let mut weight: Vec<f32> = map.iter().map(|x| if x.is_finite() { 1.0 } else { 0.0 }).collect();
    let mut sum: Vec<f32> = map.iter().map(|x| if x.is_finite() { *x } else { 0.0 }).collect();
    smooth(&mut weight, [ni, nk, 1], [sigma, sigma, 0.0]);
    smooth(&mut sum, [ni, nk, 1], [sigma, sigma, 0.0]);
    sum.iter().zip(&weight).map(|(sum, weight)| if *weight > 0.02 { sum / weight } else { f32::NAN }).collect()
}

fn quantile(mut values: Vec<f32>, share: f64) -> Option<f32> {
    let at = (values.len().checked_sub(1)? as f64 * share) as usize;
    let (_, value, _) = values.select_nth_unstable_by(at, f32::total_cmp);
    Some(*value)
}
