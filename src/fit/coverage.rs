//! Which part of the body a network sees, and how much of what it is given is padding.

use glam::DVec3;
use serde::Serialize;

use crate::preprocess::Prepared;
use crate::quality;
use crate::volume::{Grid, Volume, Voxels, orientation};

/// The body is looked for among voxels no nearer to each other than this, mm: a scan of half a millimetre is not looked at whole.
const FINEST_MM: f64 = 2.0;
/// A plane of a millimetre counts as body where it holds this share of the body's mean plane: a table's edge and noise do not.
const LEAST_OF_A_PLANE: f64 = 0.01;
/// What is cut off farther away than this counts as this far, mm: no body reaches so far.
const FARTHEST_MM: usize = 4096;

/// The body among some of a scan's voxels.
pub(super) struct Body {
    grid: Grid,
    /// Of each voxel.
    pub(super) hu: Vec<f32>,
    /// Whether it is of the body.
    solid: Vec<bool>,
}

/// How much a network sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// Share of the body's voxels that lie within the network's field of view; nothing where the scan holds no body.
    pub body_share: Option<f64>,
    /// Ends of the body that lie outside, the longest first.
    pub cut: Vec<Cut>,
    /// Share of the voxels that the network is given that lie beyond the scan.
    pub padding_share: f64,
}

/// An end of the body that a network does not see.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cut {
    /// Where it lies: "R", "L", "A", "P", "S" or "I".
    pub towards: &'static str,
    pub mm: f64,
}

impl Body {
    pub(super) fn of(scan: &Volume) -> Self {
        let thinned = thinned(scan);
        let solid = quality::body(&thinned);
        Self { grid: thinned.grid, hu: thinned.voxels.iter().collect(), solid }
    }
}

/// Every so manieth voxel along each axis.
fn thinned(scan: &Volume) -> Volume {
    let spacing_mm = scan.grid.spacing_mm();
    let step = spacing_mm.map(|mm| if mm > 0.0 { ((FINEST_MM / mm) as usize).max(1) } else { 1 });
    if step == [1; 3] {
        return scan.clone();
    }
    let [ni, nj, _] = scan.grid.shape;
    let shape = [0, 1, 2].map(|axis| scan.grid.shape[axis].div_ceil(step[axis]));
    let mut hu = Vec::with_capacity(shape.iter().product());
    for k in (0..scan.grid.shape[2]).step_by(step[2]) {
        for j in (0..nj).step_by(step[1]) {
            hu.extend((0..ni).step_by(step[0]).map(|i| scan.voxels.at((k * nj + j) * ni + i)));
        }
    }
    let mut world_from_voxel = scan.grid.world_from_voxel;
    for (axis, step) in step.into_iter().enumerate() {
        *world_from_voxel.matrix3.col_mut(axis) *= step as f64;
    }
    Volume::new(Grid { shape, world_from_voxel }, Voxels::F32(hu.into()))
}

/// Says what is covered, and which voxels of the body are.
pub(super) fn coverage(body: &Body, prepared: &Prepared) -> (Coverage, Vec<bool>) {
    let to = prepared.volume.grid;
    let to_network = to.voxel_from_world() * body.grid.world_from_voxel;
    let [ni, nj, _] = body.grid.shape;
    let (shape, spacing_mm) = (to.shape.map(|side| side as f64), to.spacing_mm());
    let mut seen = vec![false; body.solid.len()];
    let mut ends: Vec<Beyond> = (0..6).map(|_| Beyond(vec![(0, 0.0); FARTHEST_MM])).collect();
    let (mut count, mut low, mut high) = (0_usize, DVec3::INFINITY, DVec3::NEG_INFINITY);
    for at in (0..body.solid.len()).filter(|at| body.solid[*at]) {
        let voxel = DVec3::new((at % ni) as f64, (at / ni % nj) as f64, (at / (ni * nj)) as f64);
        let place = to_network.transform_point3(voxel);
        (low, high, count) = (low.min(place), high.max(place), count + 1);
        let mut inside = true;
        for axis in 0..3 {
            let beyond_mm = [-0.5 - place[axis], place[axis] + 0.5 - shape[axis]].map(|by| by * spacing_mm[axis]);
            for (end, mm) in beyond_mm.into_iter().enumerate().filter(|(_, mm)| *mm > 0.0) {
                ends[2 * axis + end].take(mm);
                inside = false;
            }
        }
        seen[at] = inside;
    }
    let own_mm = body.grid.spacing_mm().into_iter().fold(0.0, f64::max);
    let mut cut: Vec<Cut> = Vec::new();
    for (number, beyond) in ends.iter().enumerate() {
        let (axis, sign) = (number / 2, if number.is_multiple_of(2) { -1.0 } else { 1.0 });
        // Half of the scan's voxel lies beyond its centre.
        let half_mm = 0.5 * spacing_mm[axis] * to_network.matrix3.row(axis).abs().element_sum();
        let planes = ((high - low)[axis] * spacing_mm[axis]).max(1.0);
        let mm = beyond.farthest(LEAST_OF_A_PLANE * count as f64 / planes).map(|mm| mm + half_mm);
        // What rounding to whole voxels leaves out is no news.
        if let Some(mm) = mm.filter(|mm| *mm >= spacing_mm[axis].max(own_mm)) {
            cut.push(Cut { towards: orientation::letter(sign * to.world_from_voxel.matrix3.col(axis)), mm });
        }
    }
    cut.sort_by(|a, b| b.mm.total_cmp(&a.mm));
    let filled: f64 = [0, 1, 2].map(|axis| prepared.filled[axis] as f64 / shape[axis].max(1.0)).iter().product();
    let body_share = (count > 0).then(|| quality::count(&seen) as f64 / count as f64);
    (Coverage { body_share, cut, padding_share: 1.0 - filled }, seen)
}

/// The body beyond one face of a field of view: of each millimetre, how many voxels and the farthest.
struct Beyond(Vec<(usize, f64)>);

impl Beyond {
    fn take(&mut self, mm: f64) {
        let (count, farthest) = &mut self.0[(mm as usize).min(FARTHEST_MM - 1)];
        *count += 1;
        *farthest = farthest.max(mm);
    }

    /// The farthest plane that holds so many voxels.
    fn farthest(&self, least: f64) -> Option<f64> {
        let plane = self.0.iter().rev().find(|(count, _)| *count > 0 && *count as f64 >= least);
        plane.map(|(_, farthest)| *farthest)
    }
}
