//! Changed regions of drawn volumes, whose blobs are known: by any orientation of the grid, and whatever the slab.

use glam::{DAffine3, DMat3, DQuat, DVec3};
use parallax::job::Monitor;
use parallax::quality::regions::{
    Change, Direction, LEAST_VOXELS, MOST, Region, Regions, SMALLER_BRIGHTER, Side, ThirdsOf, regions,
};
use parallax::quality::regions::{Level, SMALLER_DARKER};
use parallax::volume::Grid;

/// Sums of a few hundred numbers in f64.
const ROUNDING: f64 = 1e-9;
const THRESHOLD_HU: f32 = 10.0;

/// Voxels of 2 x 2 x 3 mm about the origin of patient space, `i` to the left, `j` to the back, `k` to the head, as stacks are.
fn grid(shape: [usize; 3]) -> Grid {
    let axes = DMat3::from_diagonal(DVec3::new(-2.0, -2.0, 3.0));
    let middle = DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
    Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(axes, -(axes * middle)) }
}

const SHAPE: [usize; 3] = [20, 16, 30];

/// A drawn change: every voxel of a slab, by its place in patient space.
fn drawn(grid: Grid, slab: std::ops::Range<usize>, hu: impl Fn(DVec3) -> f32) -> Change {
    let [ni, nj, _] = grid.shape;
    let place = |at: usize| {
        let voxel = [at % ni, at / ni % nj, at / (ni * nj) + slab.start].map(|n| n as f64);
        grid.world_from_voxel.transform_point3(DVec3::from_array(voxel))
    };
    let hu = (0..ni * nj * slab.len()).map(|at| hu(place(at))).collect();
    Change { grid, slab, hu, shown: grid, body: vec![true; grid.len()] }
}

fn found(change: &Change) -> Regions {
    regions(change, THRESHOLD_HU, None, &Monitor::default()).expect("not cancelled")
}

/// Whether a place lies in a box about a middle.
fn is_near(place: DVec3, middle: [f64; 3], half_mm: f64) -> bool {
    (place - DVec3::from_array(middle)).abs().max_element() <= half_mm
}

/// Two blobs: the larger one darker, at the patient's right and low; the other brighter, at the left and high.
fn two_blobs(place: DVec3) -> f32 {
    if is_near(place, [10.0, 0.0, -30.0], 5.0) {
        -60.0 - place.x as f32
    } else if is_near(place, [-11.0, 4.0, 31.0], 3.0) {
        40.0
    } else {
        4.0
    }
}

fn summary(region: &Region) -> (Direction, Side, &str) {
    (region.direction, region.place.side, region.place.words.as_str())
}

#[test]
fn blobs_have_their_place_volume_and_hu() {
    let change = drawn(grid(SHAPE), 0..SHAPE[2], two_blobs);
    let found = found(&change);
    let [low, high] = found.list.as_slice() else { panic!("two regions, not {:?}", found.list) };
    assert_eq!(summary(low), (Direction::Darker, Side::Right, "right, lower third"));
    assert_eq!(summary(high), (Direction::Brighter, Side::Left, "left, upper third"));
    assert_eq!((found.smaller.count, found.thirds_of), (0, ThirdsOf::Body));
    // Against a count by hand.
    let voxels: Vec<f32> = change.hu.iter().copied().filter(|hu| *hu < -THRESHOLD_HU).collect();
    let ml = 2.0 * 2.0 * 3.0 / 1000.0;
    let sum: f64 = voxels.iter().map(|hu| f64::from(*hu)).sum();
    assert!((low.volume_ml - voxels.len() as f64 * ml).abs() < ROUNDING, "{}", low.volume_ml);
    assert!((low.mean_hu - sum / voxels.len() as f64).abs() < ROUNDING, "{}", low.mean_hu);
    assert!((low.amount_hu_ml + sum * ml).abs() < ROUNDING);
    assert_eq!(low.largest_hu, voxels.iter().copied().fold(0.0, f32::min));
    assert_eq!(low.peak_mm[0], 15.0, "the farthest to the right is the darkest");
    assert!(is_near(DVec3::from_array(low.peak_mm), [10.0, 0.0, -30.0], 5.0));
    assert_eq!(low.box_mm, [[5.0, -5.0, -34.5], [15.0, 5.0, -25.5]]);
    // Slices of 3 mm from -43.5: the fourth is at -34.5, the seventh at -25.5.
    assert_eq!(low.slices, [4, 7]);
    assert_eq!(low.line(), "right, lower third: darker, 1.7 ml, mean -70 HU, largest -75 HU, slices 4 to 7");
    assert_eq!(found.lines()[0], "2 regions changed by more than 10 HU, 2.0 ml in all");
}

#[test]
fn sides_and_thirds_are_the_patients_whichever_way_the_grid_runs() {
    let plain = grid(SHAPE);
    let turned = DMat3::from_quat(DQuat::from_euler(glam::EulerRot::XYZ, 0.15, -0.2, 0.1));
    let mut grids = Vec::new();
    for axes in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1]] {
        for flips in 0..8_usize {
            let mut matrix = DMat3::ZERO;
            let mut shape = [0; 3];
            for (axis, world) in axes.into_iter().enumerate() {
                let step = [2.0, 2.0, 3.0][world] * if flips >> axis & 1 == 1 { -1.0 } else { 1.0 };
                matrix.col_mut(axis)[world] = step;
                shape[axis] = plain.shape[world];
            }
            for matrix in [matrix, turned * matrix] {
                let middle = DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
                let world_from_voxel = DAffine3::from_mat3_translation(matrix, -(matrix * middle));
                grids.push(Grid { shape, world_from_voxel });
            }
        }
    }
    assert_eq!(grids.len(), 64);
    for grid in grids {
        let found = found(&drawn(grid, 0..grid.shape[2], two_blobs));
        let said: Vec<_> = found.list.iter().map(summary).collect();
        let wanted = [
            (Direction::Darker, Side::Right, "right, lower third"),
            (Direction::Brighter, Side::Left, "left, upper third"),
        ];
        assert_eq!(said, wanted, "{grid:?}");
        for region in &found.list {
            let peak = DVec3::from_array(region.peak_mm);
            assert!(two_blobs(peak).abs() > THRESHOLD_HU, "{peak} of {grid:?}");
        }
    }
}

#[test]
fn slices_are_those_of_the_scan_that_is_shown() {
    let stack = grid(SHAPE);
    let blob = |place: DVec3| if is_near(place, [0.0, 0.0, 1.5], 3.5) { 30.0 } else { 0.0 };
    let mut change = drawn(stack, 0..SHAPE[2], blob);
    // The blob's slices lie at -1.5, 1.5 and 4.5 mm, 3 mm thick.
    assert_eq!(found(&change).list[0].slices, [15, 17]);
    // Slices of 1 mm from the head down: the first lies at 29 mm.
    let axes = DMat3::from_diagonal(DVec3::new(1.0, 1.0, -1.0));
    let origin = DVec3::new(-20.0, -16.0, 29.0);
    change.shown = Grid { shape: [40, 32, 50], world_from_voxel: DAffine3::from_mat3_translation(axes, origin) };
    // From 6 mm down to -3 mm.
    assert_eq!(found(&change).list[0].slices, [24, 33]);
    // Of 20 mm, at -30, -10 and 10 mm: none lies within, and the nearest is said.
    let thick = DMat3::from_diagonal(DVec3::new(1.0, 1.0, 20.0));
    let origin = DVec3::new(-20.0, -16.0, -30.0);
    change.shown = Grid { shape: [40, 32, 3], world_from_voxel: DAffine3::from_mat3_translation(thick, origin) };
    assert_eq!(found(&change).list[0].slices, [3, 3]);
}

#[test]
fn what_changed_beyond_the_scan_is_no_region() {
    let mut change = drawn(grid(SHAPE), 0..SHAPE[2], two_blobs);
    // The scan ends above 20 mm: the upper blob lies beyond, and the lower one within.
    change.shown.shape[2] = 22;
    let regions = found(&change.clone().within_the_scan());
    assert_eq!(regions.list.len(), 1);
    assert_eq!(regions.list[0].direction, Direction::Darker);
    // A scan that ends within a blob keeps the part that it shows.
    change.shown.shape[2] = 6;
    let cut = found(&change.clone().within_the_scan());
    assert_eq!(cut.list[0].slices[1], 6);
    // Of the whole grid nothing is left out.
    change.shown = change.grid;
    assert_eq!(found(&change.clone().within_the_scan()).list, found(&change).list);
}

#[test]
fn a_slabs_regions_lie_where_those_of_the_whole_stack_do() {
    let whole = found(&drawn(grid(SHAPE), 0..SHAPE[2], two_blobs));
    let part = found(&drawn(grid(SHAPE), 22..SHAPE[2], two_blobs));
    assert_eq!(part.list, whole.list[1..], "the upper blob alone, at its own place");
    // A slab that cuts a blob.
    let cut = found(&drawn(grid(SHAPE), 4..6, two_blobs));
    assert_eq!(cut.list[0].slices, [5, 6]);
    assert_eq!(cut.list[0].voxels[2], 4..6);
}

#[test]
fn touching_blobs_of_opposite_sign_are_two_regions() {
    let found = found(&drawn(grid(SHAPE), 0..SHAPE[2], |place| {
        if is_near(place, [0.0, 0.0, 0.0], 6.0) { if place.x > 0.0 { 50.0 } else { -50.0 } } else { 0.0 }
    }));
    let said: Vec<_> = found.list.iter().map(|region| (region.direction, region.place.side)).collect();
    assert_eq!(said.len(), 2);
    assert!(said.contains(&(Direction::Darker, Side::Left)) && said.contains(&(Direction::Brighter, Side::Right)));
    assert!((found.list[0].volume_ml - found.list[1].volume_ml).abs() < ROUNDING);
}

#[test]
fn what_lies_on_both_sides_and_over_thirds_is_said_so() {
    let found =
        found(&drawn(grid(SHAPE), 0..SHAPE[2], |place| if place.x.abs() < 8.0 && place.z > -5.0 { 20.0 } else { 0.0 }));
    assert_eq!(found.list[0].place.words, "both sides, upper and middle thirds");
}

#[test]
fn nothing_that_changed_is_no_region() {
    for hu in [0.0, 10.0, f32::NAN, f32::INFINITY] {
        let found = found(&drawn(grid(SHAPE), 0..SHAPE[2], |_| hu));
        assert!(found.list.is_empty() && found.smaller.count == 0, "{hu}");
        assert_eq!(found.lines(), ["nothing changed by more than 10 HU"]);
        assert_eq!(found.at(DVec3::ZERO), None);
    }
    let change = drawn(grid(SHAPE), 0..SHAPE[2], |_| f32::NAN);
    assert_eq!(change.usual_threshold_hu(), 10.0);
}

#[test]
fn noise_is_summed_up_and_the_list_is_bounded() {
    // Every second voxel by itself, of either sign in turn: as many components as there can be.
    let grid = grid([40, 40, 40]);
    let mut change = drawn(grid, 0..40, |_| 0.0);
    for (at, hu) in change.hu.iter_mut().enumerate() {
        let [i, j, k] = [at % 40, at / 40 % 40, at / 1600];
        *hu = if (i + j + k) % 2 == 0 { if i % 2 == 0 { 20.0 } else { -20.0 } } else { 0.0 };
    }
    let noise = found(&change);
    assert_eq!((noise.list.len(), noise.smaller.count), (0, 32_000));
    assert!((noise.smaller.volume_ml - 32_000.0 * 0.012).abs() < 1e-6);
    assert_eq!(noise.lines(), ["only 32000 spots changed by more than 10 HU"]);

    // Cubes of 2 x 2 x 2, brighter one by one: the list holds the brightest.
    let mut count = 0;
    for (at, hu) in change.hu.iter_mut().enumerate() {
        let voxel = [at % 40, at / 40 % 40, at / 1600];
        let cube: usize = (0..3).map(|axis| voxel[axis] / 4 * [1, 10, 100][axis]).sum();
        *hu = if voxel.iter().all(|n| n % 4 < 2) { 20.0 + cube as f32 } else { 0.0 };
        count = count.max(cube + 1);
    }
    let cubes = found(&change);
    assert_eq!((count, cubes.list.len(), cubes.smaller.count), (1000, MOST, 1000 - MOST));
    assert!(cubes.list.iter().all(|region| region.volume_ml >= f64::from(LEAST_VOXELS) * 0.012 - ROUNDING));
    let largest: Vec<f32> = cubes.list.iter().map(|region| region.largest_hu).collect();
    assert_eq!(largest, (0..MOST).map(|rank| 1019.0 - rank as f32).collect::<Vec<_>>());
}

#[test]
fn lungs_say_what_lies_in_them_and_which_third_it_is() {
    let grid = grid(SHAPE);
    let change = drawn(grid, 0..SHAPE[2], two_blobs);
    // The lungs of the right side alone, from -36 mm to 0 mm.
    let [ni, nj, _] = SHAPE;
    let place = |at: usize| {
        let voxel = [at % ni, at / ni % nj, at / (ni * nj)].map(|n| n as f64);
        grid.world_from_voxel.transform_point3(DVec3::from_array(voxel))
    };
    let lungs: Vec<bool> =
        (0..grid.len()).map(|at| place(at).x > 2.0 && (-36.0..=0.0).contains(&place(at).z)).collect();
    let found = regions(&change, THRESHOLD_HU, Some(&lungs), &Monitor::default()).expect("not cancelled");
    assert_eq!(found.thirds_of, ThirdsOf::Lungs);
    assert_eq!(found.list[0].place.words, "right, lower third, in the lungs");
    assert_eq!(found.list[1].place.words, "left, above the lungs, outside the lungs");
    assert_eq!(
        (found.list[1].place.lung_share, found.list[1].place.levels.as_slice()),
        (Some(0.0), &[Level::Above][..])
    );
    // A mask of nothing, and one that is too short, panic nowhere.
    for lungs in [vec![false; grid.len()], vec![true; 3], Vec::new()] {
        let found = regions(&change, THRESHOLD_HU, Some(&lungs), &Monitor::default()).expect("not cancelled");
        assert_eq!(found.list.len(), 2);
    }
}

#[test]
fn the_middle_of_the_body_parts_the_sides_not_that_of_the_grid() {
    let mut change =
        drawn(grid(SHAPE), 0..SHAPE[2], |place| if is_near(place, [3.0, 0.0, 0.0], 2.5) { 30.0 } else { 0.0 });
    let [ni, ..] = SHAPE;
    // A body that lies at the right: columns from the first to the tenth, x from 19 to 1 mm.
    change.body = (0..change.grid.len()).map(|at| at % ni < 10).collect();
    assert_eq!(found(&change).list[0].place.side, Side::Left);
    change.body = vec![false; change.grid.len()];
    assert_eq!(found(&change).list[0].place.side, Side::Right, "no body: the grid stands for it");
}

#[test]
fn an_outline_runs_around_its_region_in_any_plane() {
    let change = drawn(grid(SHAPE), 0..SHAPE[2], two_blobs);
    let found = found(&change);
    let peak = DVec3::from_array(found.list[0].peak_mm);
    assert_eq!(found.at(peak), Some(0));
    assert_eq!(found.at(DVec3::splat(1e6)), None);
    // 6 voxels of 2 mm along R and A, 4 of 3 mm along S.
    for (across, length_mm) in [(0, 2.0 * (12.0 + 12.0)), (1, 2.0 * (12.0 + 12.0)), (2, 2.0 * (12.0 + 12.0))] {
        let lines = found.outline(0, across, peak);
        let length: f64 = lines.iter().map(|[a, b]| a.distance(*b)).sum();
        assert_eq!(lines.len(), 4, "a box has four sides");
        assert!((length - length_mm).abs() < ROUNDING, "across {across}: {length}");
        assert!(lines.iter().flatten().all(|end| (end[across] - peak[across]).abs() < ROUNDING), "in the plane");
        // From back to front the two overlap.
        assert_eq!(found.outline(1, across, peak).is_empty(), across != 1, "the other one is elsewhere");
    }
    assert!(found.outline(2, 2, peak).is_empty() && found.outline(0, 3, peak).is_empty());
    // Nothing of a region is drawn on a slice where it is not.
    assert!(found.outline(0, 2, DVec3::new(0.0, 0.0, 0.0)).is_empty());
}

#[test]
fn labels_on_another_grid_are_those_of_the_voxels_beneath() {
    let grid = grid(SHAPE);
    let change =
        drawn(grid, 0..SHAPE[2], |place| if is_near(place, [-15.0, 9.0, 0.0], 1.5) { -30.0 } else { two_blobs(place) });
    let found = found(&change);
    assert_eq!(found.smaller.count, 1);
    // Twice as fine.
    let fine = Grid {
        shape: SHAPE.map(|n| n * 2),
        world_from_voxel: grid.world_from_voxel
            * DAffine3::from_mat3_translation(DMat3::IDENTITY * 0.5, DVec3::splat(-0.25)),
    };
    let labels = found.labels_on(&fine, &Monitor::default()).expect("not cancelled");
    let [ni, nj, _] = SHAPE;
    let mut seen = std::collections::BTreeMap::<u8, usize>::new();
    for (at, label) in labels.iter().enumerate() {
        let [i, j, k] = [at % (2 * ni) / 2, at / (2 * ni) % (2 * nj) / 2, at / (4 * ni * nj) / 2];
        let hu = change.hu[i + ni * (j + nj * k)];
        assert_eq!(*label != 0, hu.abs() > THRESHOLD_HU, "{label} at {i} {j} {k}");
        *seen.entry(*label).or_default() += 1;
    }
    let voxels = |ml: f64| (ml / 0.012 * 8.0).round() as usize;
    assert_eq!(seen[&1], voxels(found.list[0].volume_ml));
    assert_eq!(seen[&2], voxels(found.list[1].volume_ml));
    assert_eq!(seen[&SMALLER_DARKER], voxels(found.smaller.volume_ml));
    assert!(!seen.contains_key(&SMALLER_BRIGHTER));
}
