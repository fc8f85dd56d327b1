//! Preparation against MONAI 1.4.0, and the inverse.

use std::path::Path;

use candle_core::{DType, Tensor};
use glam::{DAffine3, DMat3, DVec3};
use parallax::io;
use parallax::job::Monitor;
use parallax::preprocess::{Error, Recipe, prepare, restore};
use parallax::volume::orientation::{axis_codes, letter, obliqueness_degrees, to_ras};
use parallax::volume::resample::resample;
use parallax::volume::{Grid, Volume, Voxels};

use crate::support;

/// Images are f32 of f64 sums; the two sides round once each.
const IMAGE: f32 = 1e-6;
/// Affines are f64 products of f32 header fields.
const AFFINE: f64 = 1e-9;

fn matrix(affine: &DAffine3) -> [f64; 16] {
    let m = affine.matrix3.to_cols_array_2d();
    let t = affine.translation;
    [m[0][0], m[1][0], m[2][0], t.x, m[0][1], m[1][1], m[2][1], t.y, m[0][2], m[1][2], m[2][2], t.z, 0.0, 0.0, 0.0, 1.0]
}

fn assert_affine(what: &str, got: &DAffine3, want: &Tensor) {
    let want: Vec<f64> = want.flatten_all().and_then(|t| t.to_vec1()).expect("f64");
    for (i, (got, want)) in matrix(got).iter().zip(&want).enumerate() {
        assert!((got - want).abs() <= AFFINE * want.abs().max(1.0), "{what}[{i}]: {got}, MONAI has {want}");
    }
}

/// Which slices of a prepared image a golden has.
#[derive(Clone, Copy)]
enum Kept {
    /// All, or one in so many.
    Spread,
    /// The first few.
    First,
}

fn check(scan: &Path, golden: &Path, side: usize, kept: Kept) {
    let name = golden.display();
    let g = support::tensors(golden);
    let scan = io::open(scan, &Monitor::default()).unwrap_or_else(|e| panic!("{e}"));
    let recipe = Recipe::of_side(side);
    let prepared = prepare(&scan.volume, &recipe, &Monitor::default()).expect("not cancelled");
    assert_affine(&format!("{name}: oriented"), &prepared.oriented.world_from_voxel, &g["oriented_affine_f64"]);
    assert_affine(&format!("{name}: spaced"), &prepared.spaced.world_from_voxel, &g["spaced_affine_f64"]);
    let shape: Vec<i64> = g["spaced_shape"].to_vec1().expect("i64");
    assert_eq!(prepared.spaced.shape.map(|n| n as i64), shape[shape.len() - 3..], "{name}: shape");
    // MONAI's array is [row, column, slice]; ours counts column first.
    let [right, down, up] = [0, 1, 2].map(|i| prepared.volume.grid.world_from_voxel.matrix3.col(i));
    let swapped = DAffine3::from_mat3_translation(
        DMat3::from_cols(down, right, up),
        prepared.volume.grid.world_from_voxel.translation,
    );
    assert_affine(&format!("{name}: final"), &swapped, &g["final_affine_f64"]);
    let (_, h, w, d) = g["image"].dims4().expect("[1, h, w, slices]");
    let image: Vec<f32> = g["image"].flatten_all().and_then(|t| t.to_dtype(DType::F32)?.to_vec1()).expect("f32");
    let every = match kept {
        Kept::Spread => prepared.volume.grid.shape[2].div_ceil(d),
        Kept::First => 1,
    };
    for k in 0..d {
        for row in 0..h {
            for column in 0..w {
                let got = prepared.volume.get([column, row, k * every]).expect("inside");
                let want = image[(row * w + column) * d + k];
                assert!(
                    (got - want).abs() <= IMAGE,
                    "{name} at row {row}, column {column}, slice {}: {got}, MONAI has {want}",
                    k * every
                );
            }
        }
    }
}

const SYNTHETIC: [&str; 8] =
    ["crop", "float_qform", "lps", "oblique", "oblique_permuted_flipped", "permuted", "slope_inter", "uint8_big"];

#[test]
fn preparation_equals_monais_on_synthetic_files() {
    for name in SYNTHETIC {
        let golden = support::data(&format!("preparation/pre_syn_{name}_224.safetensors"));
        check(&support::data(&format!("nifti/syn_{name}.nii.gz")), &golden, 224, Kept::Spread);
    }
}

#[test]
fn preparation_equals_monais_on_every_voxel() {
    for name in SYNTHETIC {
        let Some(golden) = support::shared(&format!("goldens/pre_syn_{name}_224.safetensors")) else { return };
        check(&support::data(&format!("nifti/syn_{name}.nii.gz")), &golden, 224, Kept::Spread);
    }
}

#[test]
fn preparation_equals_monais_on_a_real_scan() {
    let Some(scan) = support::shared("data/nifti/abdomen_3mm.nii.gz") else { return };
    for (side, kept) in [(224, Kept::Spread), (256, Kept::First)] {
        let golden = support::shared(&format!("goldens/pre_example_ct_sm_{side}.safetensors"));
        check(&scan, &golden.expect("beside it"), side, kept);
    }
}

/// A small volume whose voxels all differ, on a RAS grid.
fn marked() -> Volume {
    let shape = [5, 6, 7];
    let world_from_voxel =
        DAffine3::from_mat3_translation(DMat3::from_diagonal(DVec3::new(1.5, 1.5, 3.0)), DVec3::new(-3.0, 5.0, 40.0));
    let voxels: Vec<i16> = (0..5 * 6 * 7).map(|i| (i * 7 % 211) as i16 - 100).collect();
    Volume::new(Grid { shape, world_from_voxel }, Voxels::I16(voxels.into()))
}

/// The same voxels in the same places, stored along other axes: all 48 ways.
fn orientations(volume: &Volume) -> Vec<Volume> {
    let mut all = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for flips in 0..8_usize {
            let n = volume.grid.shape;
            let shape = order.map(|axis| n[axis]);
            let flipped = |axis: usize| flips >> axis & 1 == 1;
            // stored index -> original index
            let original = |at: [usize; 3]| {
                let mut out = [0; 3];
                for (stored, axis) in order.iter().enumerate() {
                    out[*axis] = if flipped(stored) { n[*axis] - 1 - at[stored] } else { at[stored] };
                }
                out
            };
            let mut voxels = Vec::new();
            for k in 0..shape[2] {
                for j in 0..shape[1] {
                    for i in 0..shape[0] {
                        voxels.push(volume.get(original([i, j, k])).expect("inside") as i16);
                    }
                }
            }
            let world = |at: [usize; 3]| {
                volume.grid.world_from_voxel.transform_point3(DVec3::from_array(original(at).map(|x| x as f64)))
            };
            let origin = world([0, 0, 0]);
            let matrix =
                DMat3::from_cols(world([1, 0, 0]) - origin, world([0, 1, 0]) - origin, world([0, 0, 1]) - origin);
            let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, origin) };
            all.push(Volume::new(grid, Voxels::I16(voxels.into())));
        }
    }
    all
}

fn values(volume: &Volume) -> Vec<f32> {
    volume.voxels.iter().collect()
}

#[test]
fn all_48_orientations_of_a_scan_give_one_stack() {
    let recipe = Recipe::of_side(8);
    let prepare = |v: &Volume| prepare(v, &recipe, &Monitor::default()).expect("not cancelled");
    let first = prepare(&marked());
    let all = orientations(&marked());
    assert_eq!(all.len(), 48);
    let mut codes = std::collections::BTreeSet::new();
    for volume in &all {
        codes.insert(axis_codes(&volume.grid).to_string());
        assert_eq!(axis_codes(&to_ras(volume).grid).to_string(), "RAS");
        let again = prepare(volume);
        assert_eq!(values(&again.volume), values(&first.volume), "{}", axis_codes(&volume.grid));
        let gap = again.volume.grid.world_from_voxel.translation - first.volume.grid.world_from_voxel.translation;
        assert!(gap.length() < 1e-9, "{}: {gap}", axis_codes(&volume.grid));
    }
    assert_eq!(codes.len(), 48, "each orientation has its own letters");
}

#[test]
fn what_was_prepared_comes_back_to_every_orientation_of_the_scan() {
    let recipe = Recipe::of_side(8);
    for scan in orientations(&marked()) {
        let prepared = prepare(&scan, &recipe, &Monitor::default()).expect("not cancelled");
        let back = restore(&prepared.volume, &scan.grid, -1.0, &Monitor::default()).expect("not cancelled");
        for (got, hu) in values(&back).iter().zip(values(&scan)) {
            assert!((got * 2000.0 - 1000.0 - hu).abs() < 1e-3, "{}: {got} for {hu} HU", axis_codes(&scan.grid));
        }
    }
}

#[test]
fn the_first_row_is_anterior_and_the_first_column_the_patients_right() {
    // One bright voxel at the right front top of a scan.
    let mut scan = marked();
    let mut voxels = vec![-1000_i16; scan.grid.len()];
    voxels[4 + 5 * (5 + 6 * 6)] = 1000;
    scan.voxels = Voxels::I16(voxels.into());
    let prepared = prepare(&scan, &Recipe::of_side(6), &Monitor::default()).expect("not cancelled");
    let bright = values(&prepared.volume).iter().position(|v| *v == 1.0).expect("one bright voxel");
    // 5 columns are padded to 6 by one beyond R, which display puts first.
    assert_eq!((bright % 6, bright / 6 % 6, bright / 36), (1, 0, 6));
}

#[test]
fn a_volume_resampled_onto_itself_is_itself() {
    for volume in orientations(&marked()) {
        let same = resample(&volume, &volume.grid, 0.0, &Monitor::default()).expect("not cancelled");
        let worst = values(&same).iter().zip(values(&volume)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "off by {worst}");
    }
}

#[test]
fn beyond_the_field_of_view_is_what_the_caller_says() {
    let volume = marked();
    let mut far = volume.grid;
    far.world_from_voxel.translation += DVec3::new(500.0, 0.0, 0.0);
    let out = resample(&volume, &far, -7.0, &Monitor::default()).expect("not cancelled");
    assert!(out.voxels.iter().all(|v| v == -7.0));
}

#[test]
fn letters_name_the_nearest_direction_and_tilt_is_measured() {
    assert_eq!(
        [DVec3::X, DVec3::NEG_X, DVec3::Y, DVec3::NEG_Y, DVec3::Z, DVec3::NEG_Z].map(letter),
        ["R", "L", "A", "P", "S", "I"]
    );
    assert_eq!(letter(DVec3::new(0.3, -0.9, 0.2)), "P");
    let mut grid = marked().grid;
    assert!(obliqueness_degrees(&grid) < 1e-6);
    let turn = DMat3::from_rotation_z(17_f64.to_radians());
    grid.world_from_voxel.matrix3 = turn * grid.world_from_voxel.matrix3;
    assert!((obliqueness_degrees(&grid) - 17.0).abs() < 1e-9);
}

/// HU that rise evenly along each axis of the world: what trilinear sampling keeps exactly, on whatever grid.
fn ramp(at: DVec3) -> f64 {
    at.dot(DVec3::new(3.0, -5.0, 2.0)) + 20.0
}

fn ramp_on(shape: [usize; 3], matrix: DMat3) -> Volume {
    let middle = matrix * DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, -middle) };
    let voxels: Vec<f32> = places(&grid).map(|at| ramp(at) as f32).collect();
    Volume::from_f32(grid, voxels)
}

/// Every voxel's place in the world, in memory's order.
fn places(grid: &Grid) -> impl Iterator<Item = DVec3> {
    let ([ni, nj, nk], world_from_voxel) = (grid.shape, grid.world_from_voxel);
    (0..ni * nj * nk).map(move |n| {
        let voxel = DVec3::new((n % ni) as f64, (n / ni % nj) as f64, (n / ni / nj) as f64);
        world_from_voxel.transform_point3(voxel)
    })
}

#[test]
fn a_ramp_comes_back_from_other_spacings_oblique_grids_and_a_crop() {
    const OUTSIDE: f32 = -7.0;
    // The ramp runs from about -200 to 240 HU; f32 in 0..=1 is good to 1e-7 of 2000 HU.
    const RAMP_HU: f32 = 0.01;
    let turn = DMat3::from_euler(glam::EulerRot::XYZ, 0.2, -0.15, 0.3);
    let fine = DMat3::from_diagonal(DVec3::new(-0.8, -0.7, 2.0));
    let coarse = DMat3::from_diagonal(DVec3::new(2.5, 2.0, 5.0));
    let sheared = DMat3::from_cols(DVec3::new(1.0, 0.0, 0.0), DVec3::new(0.0, 1.2, 0.0), DVec3::new(0.0, 0.5, 2.5));
    for (what, shape, matrix, side) in [
        ("finer", [30, 34, 12], fine, 24),
        ("coarser", [14, 15, 8], coarse, 32),
        ("oblique", [30, 30, 12], turn * fine, 24),
        ("oblique, coarser, cropped", [20, 20, 9], turn * coarse, 16),
        ("cropped", [40, 30, 10], fine, 10),
        ("sheared by a gantry", [20, 22, 10], sheared, 40),
    ] {
        let scan = ramp_on(shape, matrix);
        let recipe = Recipe::of_side(side);
        let prepared = prepare(&scan, &recipe, &Monitor::default()).expect("a scan");
        let back = restore(&prepared.volume, &scan.grid, OUTSIDE, &Monitor::default()).expect("not cancelled");
        let stack_from_world = prepared.volume.grid.voxel_from_world();
        let scan_from_world = scan.grid.voxel_from_world();
        // Centres of the model's grid between which every value comes from the scan alone, without padding or its own border.
        let scan_last = DVec3::from_array(scan.grid.shape.map(|n| n as f64 - 1.0));
        let last = prepared.volume.grid.shape.map(|n| n as f64 - 1.0);
        let whole_cell = |at: DVec3| {
            let at = at.to_array();
            let low = [0, 1, 2].map(|axis| at[axis].floor().clamp(0.0, last[axis]));
            (0..8_usize).all(|corner| {
                let at = [0, 1, 2].map(|axis| (low[axis] + f64::from(corner >> axis & 1 == 1)).min(last[axis]));
                let in_scan = scan_from_world
                    .transform_point3(prepared.volume.grid.world_from_voxel.transform_point3(DVec3::from_array(at)));
                in_scan.min_element() >= -1e-9 && (scan_last - in_scan).min_element() >= -1e-9
            })
        };
        let (mut inside, mut beyond) = (0, 0);
        for (value, world) in values(&back).iter().zip(places(&scan.grid)) {
            let at = stack_from_world.transform_point3(world).to_array();
            let within = |room: f64| (0..3).all(|axis| (-room..=last[axis] + room).contains(&at[axis]));
            if within(0.0) && whole_cell(DVec3::from_array(at)) {
                inside += 1;
                let hu = value * 2000.0 - 1000.0;
                assert!((hu - ramp(world) as f32).abs() < RAMP_HU, "{what} at {world}: {hu} HU, not {}", ramp(world));
            } else if !within(0.5 + 1e-5) {
                beyond += 1;
                assert_eq!(*value, OUTSIDE, "{what} at {world}");
            }
        }
        let total = scan.grid.len();
        assert!(inside > total / 12, "{what}: {inside} of {total} voxels compared");
        assert_eq!(beyond > 0, what.contains("cropped"), "{what}: {beyond} of {total} beyond the field of view");
    }
}

#[test]
fn a_spacing_that_would_need_all_memory_is_an_error() {
    for (shape, spacing) in
        [([64, 64, 64], 700_000.0), ([3, 3, 2], 1e200), ([2, 2, 2], f64::NAN), ([1, 1, 30_000], 5e4)]
    {
        let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3(DMat3::from_diagonal(DVec3::splat(spacing))) };
        let scan = Volume::from_f32(grid, vec![0.0; grid.len()]);
        let error = prepare(&scan, &Recipe::default(), &Monitor::default()).expect_err("too large");
        assert!(
            matches!(error, Error::TooLarge { .. }) && error.to_string().contains("more than any scan has"),
            "{error}"
        );
    }
    assert_eq!(Grid { shape: [usize::MAX, 2, 2], ..marked().grid }.len(), usize::MAX);
}
