//! Where a counterfactual changed: connected regions of one sign, each with its place in words, its volume and its HU.

mod components;
mod outline;
mod place;
mod words;

use std::ops::Range;

use glam::{DAffine3, DVec3};
use serde::Serialize;

use self::components::{Components, components, sign};
use self::outline::Labels;
pub use self::place::{Level, Location, Side, ThirdsOf};
use self::place::{Patient, Tally};
pub use self::words::volume_text;
use super::{CHANGED_HU, body};
use crate::job::{Cancelled, Monitor};
use crate::latent_shift::Counterfactual;
use crate::volume::Grid;
use crate::volume::orientation::axis_codes;

/// Regions that are listed; all others are summed up.
pub const MOST: usize = 50;
/// Voxels of the networks' grid that a region has at least: two along each axis. What is smaller is summed up.
pub const LEAST_VOXELS: u32 = 8;
/// Labels of what is in no list.
pub const SMALLER_DARKER: u8 = 254;
pub const SMALLER_BRIGHTER: u8 = 255;
/// The usual threshold, as a share of what 99.9 % of a slab's changes lie within.
const THRESHOLD_SHARE: f32 = 0.2;
const NEARLY_ALL: f64 = 0.999;

/// A step less the reconstruction, in the slices that may change.
#[derive(Debug, Clone)]
pub struct Change {
    /// The networks' grid, and its slices that are held.
    pub grid: Grid,
    pub slab: Range<usize>,
    /// `[slab, height, width]`, HU; 0 where the scan shows nothing.
    pub hu: Vec<f32>,
    /// The grid whose axial slices people count: the scan's.
    pub shown: Grid,
    /// Whether each voxel of the whole grid is of the body.
    pub body: Vec<bool>,
}

impl Change {
    /// The change of the counterfactual; `shown` is the grid of the scan.
    pub fn of(result: &Counterfactual, shown: &Grid) -> Self {
        Self {
            grid: result.grid,
            slab: result.slab.clone(),
            hu: Self::hu_of(result, result.chosen),
            shown: *shown,
            body: body(&result.original_hu()),
        }
        .within_the_scan()
    }

    /// Leaves out what changed where the scan that is shown has no voxels: what an autoencoder draws there is no anatomy.
    #[must_use]
    pub fn within_the_scan(mut self) -> Self {
        let [ni, nj, _] = self.grid.shape;
        let shown_from_voxel = self.shown.voxel_from_world() * self.grid.world_from_voxel;
        for (at, hu) in self.hu.iter_mut().enumerate() {
            let voxel = [at % ni, at / ni % nj, at / (ni * nj) + self.slab.start].map(|n| n as f64);
            if !self.shown.holds(shown_from_voxel.transform_point3(DVec3::from_array(voxel))) {
                *hu = 0.0;
            }
        }
        self
    }

    /// Any step less the reconstruction, `[slab, height, width]`, HU.
    pub fn hu_of(result: &Counterfactual, step: usize) -> Vec<f32> {
        let [slope, _] = result.hu_from_decoded;
        let step = &result.steps[step];
        result
            .slab_voxels()
            .zip(step.slab.iter())
            .map(|(at, x)| slope * (x - result.reconstruction.voxels.at(at)))
            .collect()
    }

    /// A fifth of what 99.9 % of the changes lie within, in whole HU, and `CHANGED_HU` at least: noise stays below, and a change of large
    /// HU is told from its halo.
    pub fn usual_threshold_hu(&self) -> f32 {
        let mut sizes: Vec<f32> = self.hu.iter().map(|hu| hu.abs()).filter(|size| size.is_finite()).collect();
        let Some(last) = sizes.len().checked_sub(1) else { return CHANGED_HU };
        let (_, scale, _) = sizes.select_nth_unstable_by((last as f64 * NEARLY_ALL) as usize, f32::total_cmp);
        (THRESHOLD_SHARE * *scale).round().max(CHANGED_HU)
    }
}

/// The sign of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Lower HU.
    Darker,
    /// Higher HU.
    Brighter,
}

/// Voxels that share faces and changed the same way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Region {
    pub direction: Direction,
    #[serde(flatten)]
    pub place: Location,
    pub volume_ml: f64,
    /// The mean change with its sign, HU.
    pub mean_hu: f64,
    pub largest_hu: f32,
    /// Sum of |change| times volume: what regions are ranked by.
    pub amount_hu_ml: f64,
    /// The first and the last axial slice of the scan that it touches, counted from 1 as the window does.
    pub slices: [usize; 2],
    /// The lowest and the highest of its voxels' centres along R, A and S, millimetres.
    pub box_mm: [[f64; 3]; 2],
    /// The centre of the voxel that changed most, RAS+ millimetres.
    pub peak_mm: [f64; 3],
    /// Its box in voxels of the networks' grid.
    #[serde(skip)]
    pub voxels: [Range<usize>; 3],
}

/// What is in no list.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Smaller {
    pub count: usize,
    pub volume_ml: f64,
    pub amount_hu_ml: f64,
}

/// All that changed by more than a threshold.
#[derive(Debug, Clone, Serialize)]
pub struct Regions {
    /// A voxel belongs to a region where |change| is above this.
    pub threshold_hu: f32,
    pub thirds_of: ThirdsOf,
    /// At most `MOST`, each of at least `LEAST_VOXELS`, by falling amount.
    pub list: Vec<Region>,
    pub smaller: Smaller,
    #[serde(skip)]
    labels: Labels,
}

impl Regions {
    /// Those of a counterfactual at the usual threshold, where nothing says where the lungs are; `shown` is the grid of the scan.
    pub fn usual(result: &Counterfactual, shown: &Grid) -> Self {
        let change = Change::of(result, shown);
        regions(&change, change.usual_threshold_hu(), None, &Monitor::default()).expect("no one can cancel it")
    }
}

/// Finds the regions of a change: voxels that share a face, whose |change| is above `threshold_hu` (HU, at least 0) and has one sign.
/// `lungs` says which voxels of the whole grid are of the lungs.
///
/// The time grows with the slab, and the memory with it too: at most 16 bytes a voxel beside the change, whatever it looks like.
pub fn regions(
    change: &Change,
    threshold_hu: f32,
    lungs: Option<&[bool]>,
    monitor: &Monitor,
) -> Result<Regions, Cancelled> {
    let [ni, nj, _] = change.grid.shape;
    let found = components(&change.hu, [ni, nj, change.slab.len()], threshold_hu, monitor)?;
    let amounts = amounts(&change.hu, &found);
    let listed = largest(&amounts);
    let mut label_of = vec![0_u8; found.count + 1];
    for (label, component) in (1..).zip(&listed) {
        label_of[*component as usize] = label;
    }
    let is_in_no_list = |component: usize| component > 0 && label_of[component] == 0;
    let (ml, mut smaller) = (voxel_ml(&change.grid), Smaller::default());
    for (_, (voxels, amount)) in amounts.iter().enumerate().filter(|(component, _)| is_in_no_list(*component)) {
        smaller.count += 1;
        smaller.volume_ml += ml * f64::from(*voxels);
        smaller.amount_hu_ml += ml * amount;
    }
    let label = |(component, hu): (&u32, &f32)| match (*component, label_of[*component as usize]) {
        (0, _) => 0,
        (_, 0) if sign(*hu, threshold_hu) < 0 => SMALLER_DARKER,
        (_, 0) => SMALLER_BRIGHTER,
        (_, label) => label,
    };
    let of_voxels: Vec<u8> = found.labels.iter().zip(&change.hu).map(label).collect();
    drop(found);
    let patient = Patient::of(&change.grid, &change.body, lungs);
    let labels = Labels { grid: change.grid, slab: change.slab.clone(), of_voxels };
    let list = measured(change, &labels, listed.len(), &patient, monitor)?;
    Ok(Regions { threshold_hu, thirds_of: patient.thirds_of, list, smaller, labels })
}

/// What each component holds, by its number: how many voxels, and the sum of their |change|, HU. Nothing stands at 0.
fn amounts(hu: &[f32], found: &Components) -> Vec<(u32, f64)> {
    let mut amounts = vec![(0_u32, 0.0); found.count + 1];
    for (component, hu) in found.labels.iter().zip(hu).filter(|(component, _)| **component > 0) {
        let (voxels, amount) = &mut amounts[*component as usize];
        *voxels += 1;
        *amount += f64::from(hu.abs());
    }
    amounts
}

/// The components of the largest amounts, at most `MOST`, those of few voxels left out; equal ones by their numbers.
fn largest(amounts: &[(u32, f64)]) -> Vec<u32> {
    let by_amount = |a: &u32, b: &u32| {
        let amount = |component: &u32| amounts[*component as usize].1;
        amount(b).total_cmp(&amount(a)).then(a.cmp(b))
    };
    let is_large = |component: &u32| amounts[*component as usize].0 >= LEAST_VOXELS;
    let mut found: Vec<u32> = (1..amounts.len() as u32).filter(is_large).collect();
    if found.len() > MOST {
        found.select_nth_unstable_by(MOST, by_amount);
        found.truncate(MOST);
    }
    found.sort_unstable_by(by_amount);
    found
}

fn voxel_ml(grid: &Grid) -> f64 {
    grid.world_from_voxel.matrix3.determinant().abs() / 1000.0
}

/// What is gathered of a region, voxel by voxel.
struct Gathered {
    tally: Tally,
    voxels: usize,
    sum_hu: f64,
    largest_hu: f32,
    peak: DVec3,
    box_mm: [DVec3; 2],
    /// Along the shown grid's axial slices.
    slices: [f64; 2],
    /// The box in voxels of the networks' grid: the first and the last along each axis.
    within: [[usize; 2]; 3],
}

impl Default for Gathered {
    fn default() -> Self {
        Self {
            tally: Tally::default(),
            voxels: 0,
            sum_hu: 0.0,
            largest_hu: 0.0,
            peak: DVec3::ZERO,
            box_mm: [DVec3::INFINITY, DVec3::NEG_INFINITY],
            slices: [f64::INFINITY, f64::NEG_INFINITY],
            within: [[usize::MAX, 0]; 3],
        }
    }
}

/// What the listed regions come to, in their order.
fn measured(
    change: &Change,
    labels: &Labels,
    count: usize,
    patient: &Patient,
    monitor: &Monitor,
) -> Result<Vec<Region>, Cancelled> {
    let [ni, nj, _] = change.grid.shape;
    let shown = Shown::of(&change.shown, &change.grid);
    let mut gathered: Vec<Gathered> = (0..count).map(|_| Gathered::default()).collect();
    for (at, label) in labels.of_voxels.iter().enumerate() {
        if at % (ni * nj).max(1) == 0 {
            monitor.step("measuring the changed regions", at, labels.of_voxels.len())?;
        }
        let Some(region) = usize::from(*label).checked_sub(1).and_then(|index| gathered.get_mut(index)) else {
            continue;
        };
        let voxel = [at % ni, at / ni % nj, at / (ni * nj) + change.slab.start];
        let place = change.grid.world_from_voxel.transform_point3(DVec3::from_array(voxel.map(|n| n as f64)));
        let hu = change.hu[at];
        patient.count(&mut region.tally, voxel[0] + ni * (voxel[1] + nj * voxel[2]), place);
        region.voxels += 1;
        region.sum_hu += f64::from(hu);
        if hu.abs() > region.largest_hu.abs() {
            (region.largest_hu, region.peak) = (hu, place);
        }
        region.box_mm = [region.box_mm[0].min(place), region.box_mm[1].max(place)];
        let slice = shown.slice(place);
        region.slices = [region.slices[0].min(slice), region.slices[1].max(slice)];
        for ([first, last], at) in region.within.iter_mut().zip(voxel) {
            (*first, *last) = ((*first).min(at), (*last).max(at));
        }
    }
    let ml = voxel_ml(&change.grid);
    let region = |one: Gathered| Region {
        direction: if one.sum_hu < 0.0 { Direction::Darker } else { Direction::Brighter },
        place: patient.place(&one.tally),
        volume_ml: ml * one.voxels as f64,
        mean_hu: one.sum_hu / one.voxels.max(1) as f64,
        largest_hu: one.largest_hu,
        amount_hu_ml: ml * one.sum_hu.abs(),
        slices: shown.touched(one.slices),
        box_mm: one.box_mm.map(|corner| corner.to_array()),
        peak_mm: one.peak.to_array(),
        voxels: one.within.map(|[first, last]| first..last + 1),
    };
    Ok(gathered.into_iter().map(region).collect())
}

/// The axial slices that people count.
struct Shown {
    voxel_from_world: DAffine3,
    axis: usize,
    slices: usize,
    /// Half of the thickness of the networks' slices, in these.
    half: f64,
}

impl Shown {
    fn of(grid: &Grid, networks: &Grid) -> Self {
        let voxel_from_world = grid.voxel_from_world();
        let axial = |grid: &Grid| axis_codes(grid).0.iter().position(|(world, _)| *world == 2).unwrap_or(2);
        let axis = axial(grid);
        let thickness = voxel_from_world.transform_vector3(networks.world_from_voxel.matrix3.col(axial(networks)));
        Self { voxel_from_world, axis, slices: grid.shape[axis], half: thickness[axis].abs() / 2.0 }
    }

    fn slice(&self, place: DVec3) -> f64 {
        self.voxel_from_world.transform_point3(place)[self.axis]
    }

    /// The slices whose middles lie in what is between two slices' middles, and half a slice of the networks' beyond; counted from 1.
    fn touched(&self, [low, high]: [f64; 2]) -> [usize; 2] {
        let (first, last) = ((low - self.half).ceil(), (high + self.half).floor());
        let nearest = f64::midpoint(low, high).round();
        // Slices thinner than those that are shown may lie between two of them.
        let (first, last) = if first <= last { (first, last) } else { (nearest, nearest) };
        [first, last].map(|slice| (slice.max(0.0) as usize).min(self.slices.saturating_sub(1)) + 1)
    }
}
