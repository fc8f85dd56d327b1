//! Distances, angles and regions drawn on a slice, measured in the patient's millimetres and in HU of every volume at once.

use std::f64::consts::{PI, TAU};

use glam::{DVec2, DVec3};
use serde::{Deserialize, Serialize};

use super::camera::{Camera, axis_along};
use super::paint::nearest;
use super::{Content, Layers, Plane};
use crate::volume::Grid;

/// Corners of the line that an ellipse is drawn by.
const CORNERS: usize = 64;

/// A place in the patient, RAS+ millimetres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    /// A line, from end to end.
    Distance([DVec3; 2]),
    /// An angle: one end, the corner, the other end.
    Angle([DVec3; 3]),
    Ellipse {
        middle: DVec3,
        half_axes: [DVec3; 2],
    },
}

/// A shape on the slice that it was drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub plane: Plane,
    pub shape: Shape,
}

/// The volumes that a region is read in.
pub const VOLUMES: [(Content, &str); 4] = [
    (Content::Scan, "Original"),
    (Content::Reconstruction, "Reconstruction"),
    (Content::Decoded, "Counterfactual"),
    (Content::Difference, "Difference"),
];

/// The numbers of a region in one volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean_hu: f64,
    /// The standard deviation of these voxels, divided by their count and not by one less: they are no sample of others.
    pub sd_hu: f64,
}

/// A region in all volumes, each read at the same places: the centres of the scan's voxels inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    pub voxels: usize,
    /// One for each of `VOLUMES`; `None` where a volume does not reach the whole region, or the region holds no voxel's centre.
    pub spreads: [Option<Spread>; VOLUMES.len()],
}

impl Shape {
    /// The ellipse inside a box of a picture, by three of the box's corners in turn.
    pub fn ellipse([a, b, c]: [DVec3; 3]) -> Self {
        Self::Ellipse { middle: (a + c) / 2.0, half_axes: [(b - a) / 2.0, (c - b) / 2.0] }
    }

    /// The line that it is drawn by; its last point is where its number stands.
    pub fn outline(&self) -> Vec<DVec3> {
        match *self {
            Self::Distance(ends) => ends.to_vec(),
            Self::Angle(points) => points.to_vec(),
            Self::Ellipse { middle, half_axes: [a, b] } => {
                let at = |n: usize| DVec2::from_angle(TAU * n as f64 / CORNERS as f64);
                (0..=CORNERS).map(|n| middle + a * at(n).x + b * at(n).y).collect()
            }
        }
    }

    /// The measurements that lie on the slice of a camera.
    pub fn anchor(&self) -> DVec3 {
        match *self {
            Self::Distance([a, b]) => (a + b) / 2.0,
            Self::Angle([_, corner, _]) => corner,
            Self::Ellipse { middle, .. } => middle,
        }
    }

    /// "42.3 mm", "37.2°", "314.2 mm²".
    pub fn size_text(&self) -> String {
        match *self {
            Self::Distance([a, b]) => format!("{:.1} mm", a.distance(b)),
            Self::Angle([a, corner, b]) => {
                let (a, b) = (a - corner, b - corner);
                // Twice the half angle by Kahan: exact near 0 and 180 degrees, where the arc cosine is not.
                let (a, b) = (a * b.length(), b * a.length());
                format!("{:.1}°", (2.0 * (a - b).length().atan2((a + b).length())).to_degrees())
            }
            Self::Ellipse { half_axes: [a, b], .. } => format!("{:.1} mm²", PI * a.cross(b).length()),
        }
    }
}

impl Measurement {
    /// The scan's slice that it lies on, counted along its plane.
    pub fn slice(&self, grid: &Grid) -> usize {
        let center = self.shape.anchor();
        Camera { plane: self.plane, center, mm_per_pixel: 1.0 }.slice(grid)
    }

    /// About how many voxels of the scan a region encloses; 0 of other shapes.
    pub fn voxels(&self, grid: &Grid) -> f64 {
        let Shape::Ellipse { half_axes: [a, b], .. } = self.shape else { return 0.0 };
        let [_, _, thickness] = {
            let mut spacing = grid.spacing_mm();
            spacing.swap(2, axis_along(grid, self.plane));
            spacing
        };
        let voxel_mm2 = grid.world_from_voxel.matrix3.determinant().abs() / thickness;
        PI * a.cross(b).length() / voxel_mm2
    }

    /// What an ellipse encloses, at a computed step; `None` of other shapes.
    pub fn region(&self, layers: &Layers, step: usize) -> Option<Region> {
        let Shape::Ellipse { middle, half_axes } = self.shape else { return None };
        let grid = &layers.scan.grid;
        let inside = voxels_inside(grid, axis_along(grid, self.plane), middle, half_axes);
        let shift_from_voxel =
            layers.shift.as_ref().map(|s| s.reconstruction.grid.voxel_from_world() * grid.world_from_voxel);
        let read = |content, voxel: DVec3| {
            let in_shift = shift_from_voxel.map_or(voxel, |map| map.transform_point3(voxel));
            nearest(layers, content, step as f32, voxel.as_vec3(), in_shift.as_vec3()).map(f64::from)
        };
        let spreads = VOLUMES.map(|(content, _)| {
            let values: Option<Vec<f64>> = inside.iter().map(|voxel| read(content, *voxel)).collect();
            values.as_deref().and_then(spread)
        });
        Some(Region { voxels: inside.len(), spreads })
    }
}

fn spread(values_hu: &[f64]) -> Option<Spread> {
    if values_hu.is_empty() {
        return None;
    }
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / values_hu.len() as f64;
    let mean_hu = mean(&mut values_hu.iter().copied());
    let sd_hu = mean(&mut values_hu.iter().map(|x| (x - mean_hu).powi(2))).sqrt();
    Some(Spread { mean_hu, sd_hu })
}

/// Voxels of the slice through `middle`, whose slices run along `axis`, with their centres in the ellipse.
fn voxels_inside(grid: &Grid, axis: usize, middle: DVec3, [a, b]: [DVec3; 2]) -> Vec<DVec3> {
    let voxel_from_world = grid.voxel_from_world();
    let m = voxel_from_world.transform_point3(middle);
    let (u, v) = (voxel_from_world.transform_vector3(a), voxel_from_world.transform_vector3(b));
    // The point m + u cos t + v sin t goes as far as the root of u² + v² along each axis.
    let mut range = [0, 1, 2].map(|n| (m[n] - u[n].hypot(v[n]), m[n] + u[n].hypot(v[n])));
    range[axis] = (m[axis].round(), m[axis].round());
    let indices = |n: usize| {
        let (low, high) = range[n];
        let first = low.ceil().max(0.0);
        let last = high.floor().min(grid.shape[n] as f64 - 1.0);
        (0..=(last - first).max(0.0) as usize).map(move |i| first + i as f64).filter(move |x| *x <= last)
    };
    let (aa, ab, bb) = (a.dot(a), a.dot(b), b.dot(b));
    let determinant = aa * bb - ab * ab;
    let is_inside = |voxel: &DVec3| {
        let from_middle = grid.world_from_voxel.transform_point3(*voxel) - middle;
        let (along_a, along_b) = (from_middle.dot(a), from_middle.dot(b));
        // The place as s a + t b, by least squares: what lies off the ellipse's plane does not count.
        let s = (along_a * bb - along_b * ab) / determinant;
        let t = (along_b * aa - along_a * ab) / determinant;
        s * s + t * t <= 1.0
    };
    let all = indices(2).flat_map(|k| indices(1).flat_map(move |j| indices(0).map(move |i| DVec3::new(i, j, k))));
    all.filter(is_inside).collect()
}

#[cfg(test)]
mod tests {
    use glam::{DAffine3, DMat3, DQuat, EulerRot};

    use super::*;
    use crate::frame::paint::probe;
    use crate::frame::{HEATMAPS, Shift};
    use crate::volume::{Volume, Voxels};

    /// Rounding of f64 in a handful of products.
    const EXACT: f64 = 1e-9;

    fn oblique(spacing_mm: [f64; 3]) -> Grid {
        let turn = DMat3::from_quat(DQuat::from_euler(EulerRot::ZYX, 0.3, -0.2, 0.15));
        let matrix = turn * DMat3::from_diagonal(DVec3::from(spacing_mm));
        Grid {
            shape: [40, 30, 12],
            world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::new(-80.0, 35.0, 900.0)),
        }
    }

    /// HU grows by 1 with `i`, by 10 with `j`, by 100 with `k`.
    fn ramp(grid: Grid) -> Volume {
        let [ni, nj, nk] = grid.shape;
        let voxel = |n: usize| (n % ni + 10 * (n / ni % nj) + 100 * (n / ni / nj)) as f32;
        Volume::from_f32(grid, (0..ni * nj * nk).map(voxel).collect::<Vec<_>>())
    }

    fn at(grid: &Grid, voxel: [f64; 3]) -> DVec3 {
        grid.world_from_voxel.transform_point3(DVec3::from(voxel))
    }

    #[test]
    fn lengths_and_angles_are_the_patients_own_on_an_oblique_grid_of_unequal_spacing() {
        let grid = oblique([0.5, 2.0, 3.0]);
        let [corner, along_i, along_j] =
            [[10.0, 10.0, 4.0], [18.0, 10.0, 4.0], [10.0, 12.0, 4.0]].map(|v| at(&grid, v));
        assert_eq!(Shape::Distance([corner, along_i]).size_text(), "4.0 mm", "8 voxels of 0.5 mm");
        assert_eq!(Shape::Distance([corner, along_j]).size_text(), "4.0 mm", "2 voxels of 2 mm");
        assert_eq!(Shape::Angle([along_i, corner, along_j]).size_text(), "90.0°");
        let both = at(&grid, [18.0, 12.0, 4.0]);
        assert_eq!(Shape::Angle([along_i, corner, both]).size_text(), "45.0°", "not 14.0, as counted in voxels");
        let behind = corner - (along_i - corner);
        assert_eq!(Shape::Angle([along_i, corner, behind]).size_text(), "180.0°");
        let (middle, half_axes) = (corner, [along_i - corner, along_j - corner]);
        assert_eq!(Shape::Ellipse { middle, half_axes }.size_text(), "50.3 mm²", "pi * 4 * 4");
    }

    #[test]
    fn a_region_holds_the_voxels_whose_centres_lie_in_it_on_its_own_slice() {
        for (plane, axis) in [(Plane::Axial, 2), (Plane::Coronal, 1), (Plane::Sagittal, 0)] {
            let spacing_mm = [1.5, 0.7, 4.0];
            let grid = oblique(spacing_mm);
            let middle_voxel = [19.6, 14.2, 5.4];
            let middle = at(&grid, middle_voxel);
            let across: Vec<usize> = (0..3).filter(|n| *n != axis).collect();
            let unit = |n: usize| grid.world_from_voxel.matrix3.col(n).normalize();
            let half_mm = [9.0, 6.0];
            let half_axes = [unit(across[0]) * half_mm[0], unit(across[1]) * half_mm[1]];
            let measured = Measurement { plane, shape: Shape::Ellipse { middle, half_axes } };
            let layers = Layers { scan: ramp(grid), shift: None, map: None };
            let region = measured.region(&layers, 0).unwrap();
            // Anew, in voxels: every voxel of the slice, by the ellipse's own equation.
            let mut values = Vec::new();
            for n in 0..grid.len() {
                let [ni, nj, _] = grid.shape;
                let voxel = [n % ni, n / ni % nj, n / ni / nj];
                let off = |n: usize| (voxel[n] as f64 - middle_voxel[n]) * spacing_mm[n];
                let share = (off(across[0]) / half_mm[0]).powi(2) + (off(across[1]) / half_mm[1]).powi(2);
                if voxel[axis] == middle_voxel[axis].round() as usize && share <= 1.0 {
                    values.push(f64::from(layers.scan.voxels.at(n)));
                }
            }
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
            assert!(values.len() > 9 && region.voxels == values.len(), "{} of {}", region.voxels, values.len());
            let Some(Spread { mean_hu, sd_hu }) = region.spreads[0] else { panic!("{plane:?}: none") };
            assert!((mean_hu - mean).abs() < EXACT && (sd_hu - variance.sqrt()).abs() < EXACT, "{plane:?}");
            assert_eq!(region.spreads[1..], [None; 3], "there is no result yet");
        }
    }

    #[test]
    fn generated_volumes_are_read_at_the_same_places_as_the_scan_and_not_beyond_their_edges() {
        let grid = oblique([1.0, 1.0, 3.0]);
        let shift_grid = Grid {
            shape: [20, 20, 12],
            world_from_voxel: DAffine3::from_mat3_translation(DMat3::from_diagonal(DVec3::new(1.7, 1.7, 3.0)), {
                grid.center() - DVec3::new(16.0, 16.0, 18.0)
            }),
        };
        let changed = (0..(2 + HEATMAPS) * shift_grid.len()).map(|n| half::f16::from_f32((n % 977) as f32));
        let slabs = Voxels::F16(changed.collect::<Vec<_>>().into());
        let shift = Shift { reconstruction: ramp(shift_grid), slab: 0..12, slabs };
        let layers = Layers { scan: ramp(grid), shift: Some(shift), map: None };
        let ellipse = |middle| {
            let unit = |n: usize| grid.world_from_voxel.matrix3.col(n).normalize();
            let shape = Shape::Ellipse { middle, half_axes: [unit(0) * 3.0, unit(1) * 4.0] };
            Measurement { plane: Plane::Axial, shape }
        };
        let middle = grid.center();
        let region = ellipse(middle).region(&layers, 1).unwrap();
        let places = voxels_inside(
            &grid,
            2,
            middle,
            [0, 1].map(|n| grid.world_from_voxel.matrix3.col(n).normalize() * [3.0, 4.0][n]),
        );
        assert_eq!(places.len(), region.voxels);
        for ((content, name), spread) in VOLUMES.into_iter().zip(region.spreads) {
            let read = |voxel: &DVec3| probe(&layers, content, 1.0, grid.world_from_voxel.transform_point3(*voxel));
            let values: Vec<f64> = places.iter().map(|v| f64::from(read(v).unwrap())).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((spread.unwrap().mean_hu - mean).abs() < EXACT, "{name}");
        }
        let [_, reconstruction, decoded, difference] = region.spreads.map(Option::unwrap);
        assert!((decoded.mean_hu - reconstruction.mean_hu - difference.mean_hu).abs() < 1e-3, "f32 subtracts");
        let edge = ellipse(at(&grid, [2.0, 15.0, 6.0])).region(&layers, 1).unwrap();
        assert!(edge.spreads[0].is_some() && edge.spreads[2].is_none(), "{edge:?}");
    }

    #[test]
    fn a_region_between_voxels_or_beside_the_scan_has_no_numbers() {
        let grid = oblique([1.0, 1.0, 3.0]);
        let layers = Layers { scan: ramp(grid), shift: None, map: None };
        for (voxel, half_mm) in [([10.5, 10.5, 4.0], 0.3), ([-30.0, 10.0, 4.0], 5.0), ([10.0, 10.0, 4.0], 0.0)] {
            let unit = |n: usize| grid.world_from_voxel.matrix3.col(n).normalize() * half_mm;
            let shape = Shape::Ellipse { middle: at(&grid, voxel), half_axes: [unit(0), unit(1)] };
            let region = Measurement { plane: Plane::Axial, shape }.region(&layers, 0).unwrap();
            assert_eq!((region.voxels, region.spreads[0]), (0, None), "{voxel:?}");
        }
    }
}
