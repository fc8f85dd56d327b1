//! A scan on a coarse grid along the patient's axes: anatomy is found there, at the same cost whatever the scan's own grid is.

use glam::{DAffine3, DMat3, DVec3};
use rayon::prelude::*;

use crate::job::{Cancelled, Monitor};
use crate::volume::resample::{Outside, sample};
use crate::volume::{Grid, Volume};

/// Cells are as wide as this where the scan has no more of them than `MOST_CELLS`.
const FINEST_MM: f64 = 2.0;
const MOST_CELLS: f64 = 6e6;
/// What stands for no number where a number is needed.
const AIR_HU: f32 = -1000.0;

/// Cells of one width along R, A and S, with a border of unknown ones all around.
pub(super) struct Coarse {
    pub(super) grid: Grid,
    pub(super) cell_mm: f64,
    /// Mean HU of what a cell holds; not a number where the scan shows nothing.
    pub(super) hu: Vec<f32>,
}

impl Coarse {
    pub(super) fn of(scan: &Volume, monitor: &Monitor) -> Result<Self, Cancelled> {
        let (grid, cell_mm) = grid_around(&scan.grid);
        let (mut sums, mut counts) = (vec![0.0_f32; grid.len()], vec![0_u32; grid.len()]);
        let cell_from_voxel = grid.voxel_from_world() * scan.grid.world_from_voxel;
        let [ni, nj, nk] = scan.grid.shape;
        let [columns, rows, _] = grid.shape;
        let along = cell_from_voxel.matrix3.x_axis;
        for k in 0..nk {
            monitor.step("looking for the lungs", k, nk)?;
            for j in 0..nj {
                let start = cell_from_voxel.transform_point3(DVec3::new(0.0, j as f64, k as f64)) + 0.5;
                let row = ni * (j + nj * k);
                for i in 0..ni {
                    let hu = scan.voxels.at(row + i);
                    if hu.is_finite() {
                        let at = start + along * i as f64;
                        let cell = at.x as usize + columns * (at.y as usize + rows * at.z as usize);
                        sums[cell] += hu;
                        counts[cell] += 1;
                    }
                }
            }
        }
        // Cells between the slices of a coarser scan hold no voxel: they lie between some. Beyond the middles of the outermost voxels nothing
        // is known, but for the rest of a cell.
        let voxel_from_cell = scan.grid.voxel_from_world() * grid.world_from_voxel;
        let rest = DVec3::from_array(scan.grid.spacing_mm().map(|mm| 0.5 * cell_mm / mm));
        let last = DVec3::from_array(scan.grid.shape.map(|n| n as f64 - 1.0));
        let place = |cell: [usize; 3]| {
            let is_empty = counts[cell[0] + columns * (cell[1] + rows * cell[2])] == 0;
            let at = voxel_from_cell.transform_point3(DVec3::from_array(cell.map(|n| n as f64)));
            let is_known = at.cmpge(-rest).all() && at.cmple(last + rest).all() && scan.grid.holds(at);
            (is_empty && is_known).then_some(at)
        };
        let quiet = monitor.quiet();
        let mut hu = sample(scan.into(), grid.shape, place, (Outside::Border, f32::NAN), &quiet)?;
        for ((hu, sum), count) in hu.iter_mut().zip(&sums).zip(&counts).filter(|(_, count)| **count > 0) {
            *hu = sum / *count as f32;
        }
        Ok(Self { grid, cell_mm, hu })
    }

    /// Where the cells that share a face with one lie in memory; none of them beyond the grid.
    pub(super) fn beside(&self, cell: usize) -> impl Iterator<Item = usize> + use<> {
        let [ni, nj, nk] = self.grid.shape;
        let [i, j, k] = self.place(cell);
        let step = |is_there: bool, to: usize| is_there.then_some(to);
        [
            step(i > 0, cell.wrapping_sub(1)),
            step(i + 1 < ni, cell + 1),
            step(j > 0, cell.wrapping_sub(ni)),
            step(j + 1 < nj, cell + ni),
            step(k > 0, cell.wrapping_sub(ni * nj)),
            step(k + 1 < nk, cell + ni * nj),
        ]
        .into_iter()
        .flatten()
    }

    pub(super) fn place(&self, cell: usize) -> [usize; 3] {
        let [ni, nj, _] = self.grid.shape;
        [cell % ni, cell / ni % nj, cell / (ni * nj)]
    }

    /// The middle of a cell, RAS+ millimetres.
    pub(super) fn world(&self, cell: usize) -> DVec3 {
        let place = DVec3::from_array(self.place(cell).map(|n| n as f64));
        self.grid.world_from_voxel.translation + place * self.cell_mm
    }

    /// A place among cells.
    pub(super) fn among(&self, world: DVec3) -> DVec3 {
        (world - self.grid.world_from_voxel.translation) / self.cell_mm
    }

    /// The cell that a place lies in; the nearest one of the border beyond.
    pub(super) fn cell(&self, world: DVec3) -> usize {
        let [ni, nj, nk] = self.grid.shape;
        let at = (self.among(world) + 0.5).max(DVec3::ZERO);
        let [i, j, k] = [(at.x, ni), (at.y, nj), (at.z, nk)].map(|(x, n)| (x as usize).min(n - 1));
        i + ni * (j + nj * k)
    }

    /// A field of the cells at a place between them: trilinear, the border's values beyond it.
    pub(super) fn at(&self, field: &[f32], world: DVec3) -> f32 {
        let [ni, nj, _] = self.grid.shape;
        let at = self.among(world);
        let (mut low, mut share) = ([0; 3], [0.0_f32; 3]);
        for axis in 0..3 {
            let last = self.grid.shape[axis] - 1;
            let x = at[axis].clamp(0.0, last as f64);
            low[axis] = (x as usize).min(last - 1);
            share[axis] = (x - low[axis] as f64) as f32;
        }
        let first = low[0] + ni * (low[1] + nj * low[2]);
        let along = |from: usize| field[from] + share[0] * (field[from + 1] - field[from]);
        let plane = |from: usize| {
            let (near, far) = (along(from), along(from + ni));
            near + share[1] * (far - near)
        };
        let (near, far) = (plane(first), plane(first + ni * nj));
        near + share[2] * (far - near)
    }

    /// The HU with air where nothing is known.
    pub(super) fn filled(&self) -> Vec<f32> {
        self.hu.iter().map(|hu| if hu.is_nan() { AIR_HU } else { *hu }).collect()
    }

    pub(super) fn cell_ml(&self) -> f64 {
        self.cell_mm.powi(3) / 1000.0
    }

    /// Numbers of cells that hang together by faces, from 1, and 0 where `is_in` holds not; and what each part has, by its number less 1.
    /// Where `flat`, axial slices are parts of their own.
    pub(super) fn parts(&self, is_in: &[bool], flat: bool) -> (Vec<u32>, Vec<Vec<usize>>) {
        let slice = self.grid.shape[0] * self.grid.shape[1];
        let (mut labels, mut parts) = (vec![0_u32; is_in.len()], Vec::new());
        for first in 0..is_in.len() {
            if !is_in[first] || labels[first] > 0 {
                continue;
            }
            let label = parts.len() as u32 + 1;
            labels[first] = label;
            let (mut cells, mut next) = (vec![first], 0);
            while let Some(cell) = cells.get(next).copied() {
                next += 1;
                for other in self.beside(cell) {
                    if is_in[other] && labels[other] == 0 && !(flat && other / slice != cell / slice) {
                        labels[other] = label;
                        cells.push(other);
                    }
                }
            }
            parts.push(cells);
        }
        (labels, parts)
    }

    /// How far each cell is from the nearest one in which `is_in` holds, millimetres, between middles; infinite where there is none.
    /// Exact: Felzenszwalb and Huttenlocher 2012, "Distance transforms of sampled functions".
    pub(super) fn distances_mm(&self, is_in: impl Fn(usize) -> bool + Sync) -> Vec<f32> {
        let [ni, nj, nk] = self.grid.shape;
        let mut squares: Vec<f32> =
            (0..self.grid.len()).into_par_iter().map(|cell| if is_in(cell) { 0.0 } else { f32::INFINITY }).collect();
        squares.par_chunks_mut(ni).for_each(|row| Parabolas::default().lower(row));
        squares.par_chunks_mut(ni * nj).for_each(|slice| across(slice, ni));
        // Along the third axis, a plane of rows at a time.
        let rows = (0..nj).flat_map(|j| (0..nk).map(move |k| ni * (j + nj * k)));
        let mut planes: Vec<f32> = rows.clone().flat_map(|row| squares[row..row + ni].to_vec()).collect();
        planes.par_chunks_mut(ni * nk).for_each(|plane| across(plane, ni));
        for (row, plane) in rows.zip(planes.chunks(ni)) {
            let millimetres = plane.iter().map(|square| square.sqrt() * self.cell_mm as f32);
            squares[row..row + ni].iter_mut().zip(millimetres).for_each(|(out, mm)| *out = mm);
        }
        squares
    }
}

/// Lower envelopes along the second axis of a plane of rows.
fn across(plane: &mut [f32], columns: usize) {
    let mut parabolas = Parabolas::default();
    let mut line = vec![0.0; plane.len() / columns];
    for column in 0..columns {
        line.iter_mut().zip(plane.chunks(columns)).for_each(|(value, row)| *value = row[column]);
        parabolas.lower(&mut line);
        line.iter().zip(plane.chunks_mut(columns)).for_each(|(value, row)| row[column] = *value);
    }
}

/// The lower envelope of parabolas that stand on a line, each at its height.
#[derive(Default)]
struct Parabolas {
    feet: Vec<(f32, f32)>,
    /// From where on each is the lowest.
    from: Vec<f32>,
}

impl Parabolas {
    fn lower(&mut self, line: &mut [f32]) {
        self.feet.clear();
        self.from.clear();
        for (q, height) in line.iter().enumerate().filter(|(_, height)| height.is_finite()) {
            let q = q as f32;
            let mut meet = f32::NEG_INFINITY;
            while let Some((foot, low)) = self.feet.last() {
                meet = ((height + q * q) - (low + foot * foot)) / (2.0 * (q - foot));
                if meet > self.from[self.feet.len() - 1] {
                    break;
                }
                self.feet.pop();
                self.from.pop();
                meet = f32::NEG_INFINITY;
            }
            self.feet.push((q, *height));
            self.from.push(meet);
        }
        if self.feet.is_empty() {
            return;
        }
        let mut which = 0;
        for (q, value) in line.iter_mut().enumerate() {
            let q = q as f32;
            while which + 1 < self.feet.len() && self.from[which + 1] < q {
                which += 1;
            }
            let (foot, height) = self.feet[which];
            *value = (q - foot).powi(2) + height;
        }
    }
}

/// The grid of cells around a scan, with one more on every side.
fn grid_around(scan: &Grid) -> (Grid, f64) {
    let last = DVec3::from_array(scan.shape.map(|n| n as f64 - 1.0));
    let corner = |at: usize| {
        let voxel = DVec3::from_array([0, 1, 2].map(|axis| if at >> axis & 1 == 1 { last[axis] } else { 0.0 }));
        scan.world_from_voxel.transform_point3(voxel)
    };
    let low = (0..8).map(corner).fold(DVec3::INFINITY, DVec3::min);
    let high = (0..8).map(corner).fold(DVec3::NEG_INFINITY, DVec3::max);
    let size = high - low;
    let cells = |cell: f64| size.to_array().iter().map(|mm| (mm / cell).ceil() + 3.0).product::<f64>();
    let mut cell_mm = FINEST_MM;
    while cells(cell_mm) > MOST_CELLS {
        cell_mm *= 1.05;
    }
    let shape = size.to_array().map(|mm| (mm / cell_mm).ceil() as usize + 3);
    let world_from_voxel = DAffine3::from_mat3_translation(DMat3::from_diagonal(DVec3::splat(cell_mm)), low - cell_mm);
    (Grid { shape, world_from_voxel }, cell_mm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_a_search_through_all_cells() {
        let grid = Grid { shape: [9, 7, 5], world_from_voxel: DAffine3::from_scale(DVec3::splat(2.0)) };
        let coarse = Coarse { grid, cell_mm: 2.0, hu: vec![0.0; grid.len()] };
        let is_in = |cell: usize| cell % 37 == 3;
        let found = coarse.distances_mm(is_in);
        for (cell, found) in found.iter().enumerate() {
            let all = (0..grid.len()).filter(|other| is_in(*other));
            let nearest =
                all.map(|other| coarse.world(other).distance(coarse.world(cell))).fold(f64::INFINITY, f64::min);
            assert!((f64::from(*found) - nearest).abs() < 1e-4, "cell {cell}: {found}, not {nearest}");
        }
        assert!(coarse.distances_mm(|_| false).iter().all(|mm| mm.is_infinite()));
    }
}
