//! Where the lungs of a scan are: air that the body encloses, told from the air around it, from the airways and from gas in the bowel.

use glam::DVec3;

use super::NoPlace;
use super::coarse::Coarse;
use crate::job::{Cancelled, Monitor};
use crate::volume::Grid;

/// Halfway between lung and soft tissue.
const AERATED_BELOW_HU: f32 = -500.0;
/// What scanners write where they saw nothing lies below; no cell of lung does.
const PADDING_BELOW_HU: f32 = -1012.0;
/// Air around the patient has less.
const OUTSIDE_BELOW_HU: f32 = -950.0;
/// Tissue of the lungs, inflated or not; air of airways and of the bowel has less.
const TISSUE_HU: std::ops::Range<f32> = -950.0..-550.0;
/// A part of the lungs has at least this share of such tissue beyond its rim, and this volume.
const TISSUE_SHARE: f64 = 0.3;
const LEAST_PART_ML: f64 = 10.0;
/// Soft tissue, not air, lies at least at this share of the places that are so many cells beyond its border: foam of a table has a thin
/// shell. What is neither tells nothing: in thick slices the vessels of the lung are neither.
const ENCLOSED_SHARE: f64 = 0.5;
const BEYOND_CELLS: isize = 3;
const TISSUE_ABOVE_HU: f32 = -200.0;
/// Less lung than this in view is none.
pub(super) const LEAST_ML: f64 = 50.0;
/// Airways: air as wide as this, and all of them together no more than this.
const AIRWAY_BELOW_HU: f32 = -930.0;
const AIRWAY_RADIUS_MM: f32 = 3.0;
const MOST_AIRWAY_ML: f64 = 150.0;
const AIRWAY_RIM_CELLS: f32 = 1.5;
/// Vessels that are less than twice as wide lie in the lung.
const CLOSED_MM: f32 = 3.5;
/// In the pleural space lie larger ones too.
const PLEURAL_CLOSED_MM: f32 = 6.5;
/// Vessels and bronchi whose cut in an axial slice is no larger than this lie in the pleural space where lung is all around.
const LARGEST_HOLE_MM2: f64 = 600.0;
/// The two lungs come apart where what is nearer to their borders is left out.
const CORE_MM: f32 = 6.0;
/// A lung has at least this share of both.
const LEAST_SHARE: f64 = 0.1;

/// The sides of the patient, as labels of cells.
pub(super) const RIGHT: u8 = 1;
pub(super) const LEFT: u8 = 2;

/// The lungs on the coarse grid.
pub(super) struct Lungs {
    pub(super) coarse: Coarse,
    /// The lungs with their small vessels.
    pub(super) space: Vec<bool>,
    /// How deep a cell lies in them, millimetres from the nearest cell beyond; 0 there.
    pub(super) depth_mm: Vec<f32>,
    /// How deep a cell lies in the pleural space: the lungs with all vessels and bronchi that they enclose.
    pub(super) pleural_mm: Vec<f32>,
    /// `RIGHT` or `LEFT` in the pleural space and in two cells of tissue beyond, else 0.
    pub(super) side: Vec<u8>,
    /// Their median HU.
    pub(super) hu: f32,
    /// The lowest and the highest, millimetres towards the head.
    pub(super) heights_mm: [f64; 2],
}

/// Lungs that someone else has found, on a grid of theirs.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    pub grid: &'a Grid,
    pub inside: &'a [bool],
}

impl Lungs {
    pub(super) fn of(coarse: Coarse, found: Option<Found>, monitor: &Monitor) -> Result<Self, NoPlace> {
        let outside = outside(&coarse);
        let aerated = match found {
            Some(found) => found.on(&coarse),
            None => aerated(&coarse, &outside, monitor)?,
        };
        let airways = airways(&coarse, &aerated);
        let lungs: Vec<bool> = aerated.iter().zip(&airways).map(|(is_air, is_airway)| *is_air && !is_airway).collect();
        let cells = lungs.iter().filter(|is_lung| **is_lung).count();
        let ml = cells as f64 * coarse.cell_ml();
        if ml < LEAST_ML {
            return Err(NoPlace::NoLung { ml: ml.round() });
        }
        monitor.check()?;
        let mut space = closed(&coarse, &lungs, &outside, CLOSED_MM);
        space.iter_mut().zip(&airways).for_each(|(is_in, is_airway)| *is_in &= !is_airway);
        let pleural = without_holes(&coarse, &closed(&coarse, &space, &outside, PLEURAL_CLOSED_MM));
        let [depth_mm, pleural_mm] = [&space, &pleural].map(|space| {
            let mut depth_mm = coarse.distances_mm(|cell| !space[cell]);
            for mm in depth_mm.iter_mut().filter(|mm| !mm.is_finite()) {
                *mm = 0.0;
            }
            depth_mm
        });
        monitor.check()?;
        let mut side = sides(&coarse, &pleural, &depth_mm);
        // No fluid runs into them, nor into the rim that partial volume gives them.
        let from_airways = coarse.distances_mm(|cell| airways[cell]);
        let rim_mm = AIRWAY_RIM_CELLS * coarse.cell_mm as f32;
        side.iter_mut().zip(from_airways).filter(|(_, mm)| *mm <= rim_mm).for_each(|(side, _)| *side = 0);
        let mut of_lung: Vec<f32> = (0..lungs.len()).filter(|cell| lungs[*cell]).map(|cell| coarse.hu[cell]).collect();
        of_lung.retain(|hu| hu.is_finite());
        let middle = of_lung.len() / 2;
        let hu = *of_lung.select_nth_unstable_by(middle, f32::total_cmp).1;
        let slice = coarse.grid.shape[0] * coarse.grid.shape[1];
        let is_met = |k: &usize| space[k * slice..(k + 1) * slice].contains(&true);
        let slices = 0..coarse.grid.shape[2];
        let ends = [slices.clone().find(is_met), slices.clone().rev().find(is_met)].map(Option::unwrap_or_default);
        let heights_mm = ends.map(|k| coarse.world(k * slice).z);
        Ok(Self { coarse, space, depth_mm, pleural_mm, side, hu, heights_mm })
    }
}

impl Found<'_> {
    fn on(&self, coarse: &Coarse) -> Vec<bool> {
        let [ni, nj, nk] = self.grid.shape;
        let here_from_there = self.grid.voxel_from_world();
        let is_in = |cell: usize| {
            let at = here_from_there.transform_point3(coarse.world(cell)).round();
            let is_there = at.cmpge(DVec3::ZERO).all() && at.cmplt(DVec3::new(ni as f64, nj as f64, nk as f64)).all();
            is_there && self.inside[at.x as usize + ni * (at.y as usize + nj * at.z as usize)]
        };
        (0..coarse.grid.len()).map(|cell| is_in(cell) && coarse.hu[cell] < AERATED_BELOW_HU).collect()
    }
}

/// Air around the patient, and what stands where the scanner saw nothing: it reaches the edge of a slice.
fn outside(coarse: &Coarse) -> Vec<bool> {
    let is_empty: Vec<bool> = coarse.hu.iter().map(|hu| *hu < OUTSIDE_BELOW_HU).collect();
    let (_, parts) = coarse.parts(&is_empty, true);
    let [columns, rows, _] = coarse.grid.shape;
    let is_at_edge = |cell: &usize| {
        let [i, j, _] = coarse.place(*cell);
        let across = [*cell + 1, cell.wrapping_sub(1), *cell + columns, cell.wrapping_sub(columns)];
        i == 0 || j == 0 || i + 1 == columns || j + 1 == rows || across.into_iter().any(|cell| coarse.hu[cell].is_nan())
    };
    let mut is_outside = vec![false; is_empty.len()];
    for part in parts.iter().filter(|part| part.iter().any(is_at_edge)) {
        set(&mut is_outside, part, true);
    }
    is_outside
}

/// Air that is enclosed, or cut by the edge of the view, and has tissue of lungs in it.
fn aerated(coarse: &Coarse, is_outside: &[bool], monitor: &Monitor) -> Result<Vec<bool>, Cancelled> {
    // Cells beside the outside are of both.
    let is_air = |cell: usize| {
        let is_within = !is_outside[cell] && coarse.beside(cell).all(|other| !is_outside[other]);
        is_within && (PADDING_BELOW_HU..AERATED_BELOW_HU).contains(&coarse.hu[cell])
    };
    let mut is_air: Vec<bool> = (0..coarse.grid.len()).map(is_air).collect();
    monitor.check()?;
    let (_, enclosed) = coarse.parts(&is_air, false);
    for part in enclosed {
        let inner: Vec<f32> = part
            .iter()
            .filter(|cell| coarse.beside(**cell).all(|other| is_air[other]))
            .map(|cell| coarse.hu[*cell])
            .collect();
        let tissue = inner.iter().filter(|hu| TISSUE_HU.contains(hu)).count();
        let is_lung = tissue as f64 >= TISSUE_SHARE * inner.len().max(1) as f64
            && part.len() as f64 * coarse.cell_ml() >= LEAST_PART_ML
            && enclosed_share(coarse, &is_air, &part) >= ENCLOSED_SHARE;
        if !is_lung {
            set(&mut is_air, &part, false);
        }
    }
    Ok(is_air)
}

/// At what share of the places a little beyond a part of the air there is soft tissue, of those with soft tissue or other air.
fn enclosed_share(coarse: &Coarse, is_air: &[bool], part: &[usize]) -> f64 {
    let shape = coarse.grid.shape;
    let (mut beyond, mut soft) = (0_usize, 0_usize);
    for cell in part {
        let place = coarse.place(*cell);
        for (axis, step) in (0..3).flat_map(|axis| [(axis, -BEYOND_CELLS), (axis, BEYOND_CELLS)]) {
            let to = place[axis] as isize + step;
            if to < 0 || to >= shape[axis] as isize {
                continue;
            }
            let mut other = place;
            other[axis] = to as usize;
            let other = other[0] + shape[0] * (other[1] + shape[1] * other[2]);
            let hu = coarse.hu[other];
            if !is_air[other] && hu >= PADDING_BELOW_HU && !(AERATED_BELOW_HU..=TISSUE_ABOVE_HU).contains(&hu) {
                beyond += 1;
                soft += usize::from(hu > TISSUE_ABOVE_HU);
            }
        }
    }
    soft as f64 / beyond.max(1) as f64
}

/// The lungs with what they enclose in axial slices: no hole is larger than `LARGEST_HOLE_MM2`.
fn without_holes(coarse: &Coarse, space: &[bool]) -> Vec<bool> {
    let mut filled = space.to_vec();
    let beyond: Vec<bool> = space.iter().map(|is_in| !is_in).collect();
    let (_, holes) = coarse.parts(&beyond, true);
    for hole in holes.into_iter().filter(|hole| hole.len() as f64 * coarse.cell_mm.powi(2) <= LARGEST_HOLE_MM2) {
        if hole.iter().all(|cell| coarse.hu[*cell].is_finite()) {
            set(&mut filled, &hole, true);
        }
    }
    filled
}

/// Gives cells a value.
fn set<T: Copy>(field: &mut [T], cells: &[usize], value: T) {
    for cell in cells {
        field[*cell] = value;
    }
}

/// Trachea and bronchi with their walls' rim: air that a ball fits in. Where there is more of it than airways hold, it is emphysema.
fn airways(coarse: &Coarse, aerated: &[bool]) -> Vec<bool> {
    let is_airy = |cell: usize| aerated[cell] && coarse.hu[cell] < AIRWAY_BELOW_HU;
    let inner = coarse.distances_mm(|cell| !is_airy(cell));
    let core: Vec<bool> = inner.iter().map(|mm| *mm >= AIRWAY_RADIUS_MM && mm.is_finite()).collect();
    let ml = core.iter().filter(|is_in| **is_in).count() as f64 * coarse.cell_ml();
    if ml > MOST_AIRWAY_ML {
        return vec![false; core.len()];
    }
    let reach = AIRWAY_RADIUS_MM + coarse.cell_mm as f32;
    coarse.distances_mm(|cell| core[cell]).iter().map(|mm| *mm <= reach).collect()
}

/// The lungs with what lies between parts of them: all that no ball of that radius beside them reaches.
fn closed(coarse: &Coarse, lungs: &[bool], outside: &[bool], radius_mm: f32) -> Vec<bool> {
    let from_lungs = coarse.distances_mm(|cell| lungs[cell]);
    let from_outside = coarse.distances_mm(|cell| from_lungs[cell] > radius_mm);
    let is_reached = |cell: usize| !outside[cell] && from_lungs[cell] <= radius_mm && from_outside[cell] > radius_mm;
    (0..lungs.len()).map(|cell| lungs[cell] || (is_reached(cell) && coarse.hu[cell].is_finite())).collect()
}

/// Which lung each cell is of: cores of the two, grown.
fn sides(coarse: &Coarse, space: &[bool], depth_mm: &[f32]) -> Vec<u8> {
    let core: Vec<bool> = depth_mm.iter().map(|mm| *mm >= CORE_MM).collect();
    let (_, mut parts) = coarse.parts(&core, false);
    if parts.is_empty() {
        (_, parts) = coarse.parts(space, false);
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let all: usize = parts.iter().map(Vec::len).sum();
    let mean_x = |part: &[usize]| part.iter().map(|cell| coarse.world(*cell).x).sum::<f64>() / part.len() as f64;
    let mut side = vec![0_u8; space.len()];
    let mut front = Vec::new();
    let mut mark = |part: &[usize], label: u8| {
        set(&mut side, part, label);
        front.extend_from_slice(part);
    };
    match &parts[..] {
        [one, other, ..] if other.len() as f64 >= LEAST_SHARE * all as f64 => {
            let is_right = mean_x(one) > mean_x(other);
            mark(one, if is_right { RIGHT } else { LEFT });
            mark(other, if is_right { LEFT } else { RIGHT });
        }
        [one, ..] => mark(one, if mean_x(one) > coarse.grid.center().x { RIGHT } else { LEFT }),
        [] => {}
    }
    grow(coarse, &mut side, front, |cell| space[cell]);
    for _ in 0..2 {
        let rim: Vec<usize> = (0..side.len()).filter(|cell| side[*cell] > 0).collect();
        for cell in rim {
            let label = side[cell];
            for other in coarse.beside(cell).filter(|other| coarse.hu[*other] > AERATED_BELOW_HU) {
                if side[other] == 0 {
                    side[other] = label;
                }
            }
        }
    }
    side
}

/// Labels spread from cell to cell, each as fast as the other.
fn grow(coarse: &Coarse, side: &mut [u8], mut front: Vec<usize>, may: impl Fn(usize) -> bool) {
    while !front.is_empty() {
        let mut next = Vec::new();
        for cell in front {
            let label = side[cell];
            for other in coarse.beside(cell) {
                if side[other] == 0 && may(other) {
                    side[other] = label;
                    next.push(other);
                }
            }
        }
        front = next;
    }
}
