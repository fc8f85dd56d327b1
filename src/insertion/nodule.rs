//! A solid nodule: a ball of uneven radius within one lung, of the HU of the scan's own soft tissue.

use glam::DVec3;

use super::canvas::Canvas;
use super::paint::{around, paint, slabs};
use super::{Chest, NoPlace};
use crate::job::Monitor;
use crate::random::Stream;

/// Its diameter is the first at a dial of 0, and as much as the second more at 1.
const DIAMETER_MM: [f32; 2] = [6.0, 24.0];
/// Waves over its surface: wide ones, by so many shares of the radius each, and narrow ones.
const WIDE_WAVES: usize = 5;
const NARROW_WAVES: usize = 7;
const WIDE_SHARE: f32 = 0.055;
const NARROW_SHARE: f32 = 0.022;
/// What the waves may add to the radius.
const MOST_WAVE: f32 = 0.22;
/// Between a nodule and what is no lung.
const CLEAR_MM: f32 = 0.5;
/// How fast the distance to it grows at most: the waves' slope.
const STEEPNESS: f64 = 1.8;
const SAMPLE_MM: f64 = 0.5;

/// Waves over the sphere of directions, and three radii.
struct Shape {
    center: DVec3,
    radius_mm: f32,
    stretch: DVec3,
    waves: Vec<(DVec3, f32, f32)>,
}

impl Shape {
    fn draw(g: &mut Stream, center: DVec3, radius_mm: f32) -> Self {
        let direction = |g: &mut Stream| {
            let v = DVec3::new(f64::from(g.normal()), f64::from(g.normal()), f64::from(g.normal()));
            v.normalize_or(DVec3::Z)
        };
        let stretch = DVec3::from_array([0, 1, 2].map(|_| f64::from(g.within(0.9, 1.1))));
        let waves = (0..WIDE_WAVES + NARROW_WAVES)
            .map(|n| {
                let is_wide = n < WIDE_WAVES;
                let (low, high) = if is_wide { (1.5, 3.5) } else { (6.0, 10.0) };
                let along = direction(g) * f64::from(g.within(low, high));
                let phase = g.within(0.0, std::f32::consts::TAU);
                (along, phase, if is_wide { WIDE_SHARE } else { NARROW_SHARE })
            })
            .collect();
        Self { center, radius_mm, stretch, waves }
    }

    fn distance_mm(&self, world: DVec3) -> f32 {
        let from = (world - self.center) * self.stretch;
        let length = from.length();
        let direction = from / length.max(1e-9);
        let wave = self.waves.iter().map(|(along, phase, share)| share * (direction.dot(*along) as f32 + phase).cos());
        let wave = wave.sum::<f32>().clamp(-MOST_WAVE, MOST_WAVE);
        length as f32 - self.radius_mm * (1.0 + wave)
    }
}

pub(super) fn draw(
    chest: &Chest,
    dial: f32,
    seed: u64,
    canvas: &mut Canvas,
    monitor: &Monitor,
) -> Result<String, NoPlace> {
    let (grid, scanner) = (&chest.scan.grid, &chest.scanner);
    let diameter_mm = DIAMETER_MM[0] + DIAMETER_MM[1] * dial;
    let mut spacing = grid.spacing_mm();
    spacing.sort_by(f64::total_cmp);
    if f64::from(diameter_mm) < 2.0 * spacing[1] || f64::from(diameter_mm) < spacing[2] {
        let voxel_mm = spacing[1].max(spacing[2] / 2.0);
        return Err(NoPlace::BelowVoxel { asked_mm: diameter_mm, voxel_mm });
    }
    let mut g = Stream::new(seed, "nodule to insert");
    let center = place(chest, &mut g, diameter_mm)?;
    let shape = Shape::draw(&mut g, center, diameter_mm / 2.0);
    let hu = scanner.soft_hu + g.within(-15.0, 5.0);
    let blur_mm = (0..3).map(|axis| scanner.blur_voxels[axis] * grid.spacing_mm()[axis]).fold(0.0, f64::max);
    let reach = f64::from(diameter_mm) * 0.5 * f64::from(1.0 + MOST_WAVE) / 0.9;
    let within = around(grid, center - reach, center + reach, 3.0 * blur_mm);
    for slab in slabs(&within) {
        monitor.step("drawing the finding", slab[2].start - within[2].start, within[2].len())?;
        let painted = paint(grid, &slab, scanner, (STEEPNESS, SAMPLE_MM), &|world| shape.distance_mm(world));
        let noise = scanner.noise_in(seed, &slab, |at| painted.shares[at] > 0.0);
        for (at, voxel) in painted.voxels(grid) {
            let share = painted.shares[at];
            if share > 0.0 {
                let old = chest.scan.voxels.at(voxel);
                let kept = 1.0 - share;
                // The noise of both adds up to that of the scan.
                canvas.put(voxel, old * kept + hu * share + noise[at] * (1.0 - kept * kept).sqrt());
            }
            canvas.mask[voxel] |= painted.covered[at] >= 0.5;
        }
    }
    let side = if chest.lungs.side[chest.lungs.coarse.cell(center)] == super::lungs::RIGHT { "right" } else { "left" };
    Ok(format!("a solid nodule of {diameter_mm:.0} mm in the {side} lung, {hu:.0} HU"))
}

/// Its middle: of all places with room for it, the nearest to one that the seed draws anywhere in the lungs.
fn place(chest: &Chest, g: &mut Stream, diameter_mm: f32) -> Result<DVec3, NoPlace> {
    let lungs = &chest.lungs;
    let outer_mm = diameter_mm / 2.0 * (1.0 + MOST_WAVE) / 0.9 + CLEAR_MM;
    let cells: Vec<usize> = (0..lungs.space.len()).filter(|cell| lungs.space[*cell]).collect();
    let wished = lungs.coarse.world(cells[g.below(cells.len())]);
    let off = |cell: usize| lungs.coarse.world(cell).distance_squared(wished);
    let roomy = cells.iter().copied().filter(|cell| lungs.depth_mm[*cell] >= outer_mm);
    let nearest = roomy.min_by(|a, b| off(*a).total_cmp(&off(*b)));
    nearest.map(|cell| lungs.coarse.world(cell)).ok_or_else(|| {
        let deepest = cells.iter().map(|cell| lungs.depth_mm[*cell]).fold(0.0, f32::max);
        let most_mm = ((deepest - CLEAR_MM) * 2.0 * 0.9 / (1.0 + MOST_WAVE)).max(0.0).floor();
        NoPlace::NoRoom { asked_mm: diameter_mm, most_mm }
    })
}
