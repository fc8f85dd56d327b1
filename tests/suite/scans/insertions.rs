//! Findings drawn into scans: what is changed is known to the voxel, grows with the dial, and has a place or a reason for none.

use std::sync::Arc;

use glam::{DAffine3, DVec3};
use parallax::insertion::{Chest, Drawn, Found, Lying, NoPlace};
use parallax::job::Monitor;
use parallax::volume::phantom::{Dials, Finding, Mask, phantom};
use parallax::volume::{Grid, Volume, Voxels};

fn healthy() -> Volume {
    phantom(7, Dials::default(), &Monitor::default()).expect("no dial is set").volume
}

fn chest(scan: &Volume) -> Chest {
    Chest::of(scan, Lying::Supine, None, &Monitor::default()).expect("a phantom has lungs")
}

fn draw(chest: &Chest, finding: Finding, dial: f32) -> Drawn {
    chest
        .draw(finding, dial, 3, &Monitor::default())
        .unwrap_or_else(|why| panic!("{} at {dial}: {why}", finding.name()))
}

fn numbers(volume: &Volume) -> Vec<f32> {
    volume.voxels.iter().collect()
}

fn place(grid: &Grid, at: usize) -> DVec3 {
    let [ni, nj, _] = grid.shape;
    let voxel = [at % ni, at / ni % nj, at / (ni * nj)].map(|n| n as f64);
    grid.world_from_voxel.transform_point3(DVec3::from_array(voxel))
}

#[test]
fn a_dial_of_0_gives_the_scan_to_the_bit() {
    let scan = healthy();
    let chest = chest(&scan);
    for finding in Finding::ALL {
        let drawn = draw(&chest, finding, 0.0);
        assert!(drawn.volume.voxels.same(&scan.voxels) && !drawn.mask.contains(&true), "{}", finding.name());
        assert!(drawn.strength_hu == 0.0 && drawn.volume_ml() == 0.0);
    }
}

#[test]
fn the_same_seed_gives_the_same_voxels_and_another_one_others() {
    let chest = chest(&healthy());
    for finding in Finding::ALL {
        let (one, again) = (draw(&chest, finding, 0.6), draw(&chest, finding, 0.6));
        assert!(one.mask == again.mask && numbers(&one.volume) == numbers(&again.volume), "{}", finding.name());
        let other = chest.draw(finding, 0.6, 4, &Monitor::default()).unwrap();
        // A heart is where it is: it grows alike whatever the seed.
        assert!((other.mask == one.mask) == (finding == Finding::Cardiomegaly), "{}", finding.name());
    }
}

#[test]
fn a_mask_grows_with_the_dial_and_nothing_is_changed_beyond_its_reach() {
    let scan = healthy();
    let chest = chest(&scan);
    let before = numbers(&scan);
    let (low, high) = before.iter().fold((f32::MAX, f32::MIN), |(low, high), hu| (low.min(*hu), high.max(*hu)));
    // A heart moves with all that is in it, and fluid presses on the lung above it; of the others, edges blur.
    for (finding, farthest_mm) in
        [(Finding::Nodule, 12.0), (Finding::Effusion, 35.0), (Finding::Emphysema, 20.0), (Finding::Cardiomegaly, 90.0)]
    {
        let mut last = 0.0;
        for dial in [0.25, 0.6, 1.0] {
            let drawn = draw(&chest, finding, dial);
            let name = format!("{} at {dial}", finding.name());
            assert!(drawn.volume_ml() > last, "{name}: {} ml, not more than {last}", drawn.volume_ml());
            last = drawn.volume_ml();
            assert!(drawn.volume.grid == scan.grid && !drawn.words.is_empty());
            assert!(matches!(drawn.volume.voxels, Voxels::I16(_)), "{name} keeps the kind of numbers");
            assert!((2.0..farthest_mm).contains(&drawn.reach_mm), "{name}: changed as far as {} mm", drawn.reach_mm);
            let marked: Vec<DVec3> =
                (0..before.len()).filter(|at| drawn.mask[*at]).map(|at| place(&scan.grid, at)).collect();
            let after = numbers(&drawn.volume);
            assert!(
                after.iter().all(|hu| hu.is_finite() && (low..=high).contains(hu)),
                "{name}: beyond the scan's range"
            );
            let changed = (0..before.len()).filter(|at| before[*at] != after[*at]);
            let astray = changed
                .step_by(31)
                .map(|at| place(&scan.grid, at))
                .find(|at| marked.iter().all(|marked| marked.distance(*at) > drawn.reach_mm));
            assert_eq!(astray, None, "{name}: changed farther than {:.1} mm from its mask", drawn.reach_mm);
        }
    }
}

#[test]
fn what_is_drawn_lies_where_anatomy_has_it_with_the_hu_it_has() {
    let scan = healthy();
    let chest = chest(&scan);
    let truth = phantom(7, Dials::default(), &Monitor::default()).unwrap();
    let is_lung = |at: usize| truth.is(Mask::RightLung, at) || truth.is(Mask::LeftLung, at);
    let mean = |drawn: &Drawn| {
        let marked: Vec<f32> =
            drawn.volume.voxels.iter().zip(&drawn.mask).filter(|(_, is)| **is).map(|(hu, _)| hu).collect();
        marked.iter().sum::<f32>() / marked.len() as f32
    };
    for (finding, hu) in [
        (Finding::Nodule, 0.0..110.0),
        (Finding::Effusion, -40.0..40.0),
        (Finding::Emphysema, -1024.0..-900.0),
        (Finding::Cardiomegaly, -200.0..250.0),
    ] {
        let drawn = draw(&chest, finding, 0.8);
        let marked: Vec<usize> = (0..drawn.mask.len()).filter(|at| drawn.mask[*at]).collect();
        let in_lung = marked.iter().filter(|at| is_lung(**at)).count() as f64 / marked.len() as f64;
        assert!(in_lung > 0.8, "{}: {in_lung:.2} of it lies in what was lung", finding.name());
        assert!(hu.contains(&mean(&drawn)), "{}: {} HU", finding.name(), mean(&drawn));
        assert_eq!(drawn.strength_hu < 0.0, finding == Finding::Emphysema, "{}", finding.name());
    }
}

#[test]
fn fluid_gathers_where_the_patient_lies() {
    let scan = healthy();
    let middle = |lying| {
        let chest = Chest::of(&scan, lying, None, &Monitor::default()).unwrap();
        let drawn = draw(&chest, Finding::Effusion, 0.4);
        let marked: Vec<f64> =
            (0..drawn.mask.len()).filter(|at| drawn.mask[*at]).map(|at| place(&scan.grid, at).y).collect();
        marked.iter().sum::<f64>() / marked.len() as f64
    };
    let (supine, prone) = (middle(Lying::of_position(Some("HFS"))), middle(Lying::of_position(Some("FFP"))));
    assert_eq!(Lying::of_position(None), Lying::Supine);
    assert!(supine + 40.0 < prone, "supine {supine:.0} mm, prone {prone:.0} mm: y grows to the front");
}

#[test]
fn no_fluid_is_drawn_into_a_patient_who_lies_on_a_side_but_a_nodule_is() {
    let lying = Lying::of_position(Some("HFDL "));
    let chest = Chest::of(&healthy(), lying, None, &Monitor::default()).unwrap();
    let refused = chest.draw(Finding::Effusion, 0.4, 1, &Monitor::default()).unwrap_err();
    assert!(matches!(refused, NoPlace::OnSide) && refused.to_string().contains("--position"), "{refused}");
    assert!(draw(&chest, Finding::Nodule, 0.8).mask.contains(&true));
}

#[test]
fn the_noise_within_a_finding_is_that_of_the_scan() {
    let scan = healthy();
    let chest = chest(&scan);
    let drawn = draw(&chest, Finding::Effusion, 1.0);
    let [ni, ..] = scan.grid.shape;
    // Differences of neighbours, deep in the fluid: shading does not count.
    let deep = (1..drawn.mask.len() - 1)
        .filter(|at| (at - 1..=at + 1).all(|at| drawn.mask[at] && drawn.mask[at.saturating_sub(3 * ni)]));
    let steps: Vec<f32> = deep.map(|at| drawn.volume.voxels.at(at + 1) - drawn.volume.voxels.at(at)).collect();
    let deviation = (steps.iter().map(|x| x * x).sum::<f32>() / steps.len() as f32).sqrt();
    let noise = chest.noise_hu();
    assert!(steps.len() > 500 && (4.0..40.0).contains(&noise), "{} steps, noise {noise}", steps.len());
    assert!((0.5 * noise..2.0 * noise).contains(&deviation), "steps of {deviation} HU, noise of {noise} HU");
}

#[test]
fn lungs_that_a_segmenter_found_are_taken() {
    let truth = phantom(7, Dials::default(), &Monitor::default()).unwrap();
    let right: Vec<bool> = (0..truth.masks.len()).map(|at| truth.is(Mask::RightLung, at)).collect();
    let found = Found { grid: &truth.volume.grid, inside: &right };
    let chest = Chest::of(&truth.volume, Lying::Supine, Some(found), &Monitor::default()).unwrap();
    let drawn = draw(&chest, Finding::Nodule, 0.3);
    assert!(drawn.mask.iter().zip(&right).all(|(is_nodule, is_right)| !is_nodule || *is_right));
}

/// A grid of so many voxels, so far apart.
fn grid(shape: [usize; 3], spacing_mm: [f64; 3]) -> Grid {
    Grid { shape, world_from_voxel: DAffine3::from_scale(DVec3::from_array(spacing_mm)) }
}

fn refusal(scan: &Volume) -> NoPlace {
    match Chest::of(scan, Lying::Supine, None, &Monitor::default()) {
        Err(why) => why,
        Ok(_) => panic!("no chest"),
    }
}

#[test]
fn a_scan_in_which_nothing_has_a_place_says_why() {
    let constant = |hu: f32, grid: Grid| Volume::from_f32(grid, vec![hu; grid.len()]);
    let box_ = grid([40, 40, 40], [3.0; 3]);
    for hu in [40.0, -1000.0, -800.0, f32::NAN, f32::INFINITY] {
        let why = refusal(&constant(hu, box_));
        assert!(matches!(why, NoPlace::NoLung { .. }), "{hu}: {why}");
        assert!(why.to_string().contains("no lung in view"));
    }
    let one = refusal(&constant(-800.0, grid([64, 64, 1], [1.0; 3])));
    assert!(matches!(one, NoPlace::Flat { .. }) && one.to_string().contains("[64, 64, 1]"), "{one}");
    for spacing in [[0.5, 0.5, 12.0], [6.0, 6.0, 6.0], [0.01, 0.01, 1.0], [100.0, 0.01, 1.0]] {
        let why = refusal(&constant(-800.0, grid([8, 8, 8], spacing)));
        assert!(matches!(why, NoPlace::Coarse { .. }), "{spacing:?}: {why}");
    }
}

#[test]
fn a_dial_that_cannot_be_and_a_nodule_without_room_are_refused_in_words() {
    let scan = healthy();
    let whole = chest(&scan);
    for dial in [-0.1, 1.1, f32::NAN] {
        assert!(matches!(whole.draw(Finding::Nodule, dial, 1, &Monitor::default()), Err(NoPlace::Dial(_))));
    }
    // Of the lungs, a rim of 8 mm is left.
    let truth = phantom(7, Dials::default(), &Monitor::default()).unwrap();
    let left: Vec<bool> =
        (0..truth.masks.len()).map(|at| truth.is(Mask::LeftLung, at) && at % scan.grid.shape[0] % 12 < 4).collect();
    let found = Found { grid: &truth.volume.grid, inside: &left };
    let thin = Chest::of(&scan, Lying::Supine, Some(found), &Monitor::default()).unwrap();
    let why = thin.draw(Finding::Nodule, 1.0, 1, &Monitor::default()).unwrap_err();
    assert!(
        matches!(why, NoPlace::NoRoom { asked_mm: 30.0, .. }) && why.to_string().contains("largest that fits"),
        "{why}"
    );
    let heartless = thin.draw(Finding::Cardiomegaly, 1.0, 1, &Monitor::default());
    assert!(matches!(heartless, Err(NoPlace::NoHeart)), "one lung has no heart beside it: {:?}", heartless.err());
}

#[test]
fn what_is_no_number_stays_and_spreads_nowhere() {
    let scan = healthy();
    let mut hu = numbers(&scan);
    for at in (0..hu.len()).step_by(997) {
        hu[at] = f32::NAN;
    }
    let scan = Volume::new(scan.grid, Voxels::F32(Arc::new(hu)));
    let chest = chest(&scan);
    for finding in Finding::ALL {
        let drawn = draw(&chest, finding, 0.7);
        let odd = scan.voxels.iter().zip(drawn.volume.voxels.iter()).position(|(a, b)| a.is_nan() != b.is_nan());
        assert_eq!(odd, None, "{}", finding.name());
        assert!(drawn.strength_hu.is_finite(), "{}: {}", finding.name(), drawn.strength_hu);
    }
}

#[test]
fn a_scan_turned_in_space_has_the_finding_at_the_same_place() {
    let scan = healthy();
    let here = draw(&chest(&scan), Finding::Nodule, 0.5);
    // The same patient, columns and slices the other way round.
    let [ni, nj, nk] = scan.grid.shape;
    let turned: Vec<i16> = (0..nk)
        .flat_map(|k| (0..nj).flat_map(move |j| (0..ni).map(move |i| [ni - 1 - i, j, nk - 1 - k])))
        .map(|voxel| scan.get(voxel).expect("a voxel of it") as i16)
        .collect();
    let flip = DAffine3::from_scale(DVec3::new(-1.0, 1.0, -1.0));
    let ends = DAffine3::from_translation(DVec3::new(ni as f64 - 1.0, 0.0, nk as f64 - 1.0));
    let grid = Grid { shape: scan.grid.shape, world_from_voxel: scan.grid.world_from_voxel * ends * flip };
    let turned = Volume::new(grid, Voxels::I16(turned.into()));
    let there = draw(&chest(&turned), Finding::Nodule, 0.5);
    let middle = |drawn: &Drawn| {
        let marked: Vec<DVec3> =
            (0..drawn.mask.len()).filter(|at| drawn.mask[*at]).map(|at| place(&drawn.volume.grid, at)).collect();
        marked.iter().sum::<DVec3>() / marked.len() as f64
    };
    let apart = middle(&here).distance(middle(&there));
    assert!(apart < 1.0, "{apart} mm apart");
}

#[test]
fn lungs_that_the_view_cuts_are_lungs_all_the_same() {
    // A round view as cardiac CT has it: beyond it stands what readers put where a scanner saw nothing.
    let scan = healthy();
    let [ni, nj, _] = scan.grid.shape;
    let from_middle = |at: usize| {
        let [x, y] = [(at % ni) as f64 - ni as f64 / 2.0, (at / ni % nj) as f64 - nj as f64 / 2.0];
        x.hypot(y)
    };
    let hu: Vec<i16> =
        scan.voxels.iter().enumerate().map(|(at, hu)| if from_middle(at) < 45.0 { hu as i16 } else { -1000 }).collect();
    let cut = chest(&Volume::new(scan.grid, Voxels::I16(hu.into())));
    for finding in [Finding::Nodule, Finding::Effusion] {
        let drawn = draw(&cut, finding, 0.3);
        let beyond = (0..drawn.mask.len()).filter(|at| drawn.mask[*at] && from_middle(*at) > 46.5).count();
        assert!(drawn.volume_ml() > 0.5 && beyond == 0, "{}: {beyond} voxels beyond the view", finding.name());
    }
}

#[test]
fn drawing_can_be_cancelled() {
    let (scan, monitor) = (healthy(), Monitor::default());
    let chest = chest(&scan);
    monitor.cancel();
    assert!(matches!(Chest::of(&scan, Lying::Supine, None, &monitor), Err(NoPlace::Cancelled(_))));
    for finding in Finding::ALL {
        assert!(matches!(chest.draw(finding, 0.5, 1, &monitor), Err(NoPlace::Cancelled(_))), "{}", finding.name());
    }
}

/// Means over blocks of voxels, as thicker slices and wider pixels have them.
fn coarser(scan: &Volume, by: [usize; 3]) -> Volume {
    let [ni, nj, _] = scan.grid.shape;
    let shape = [0, 1, 2].map(|axis| scan.grid.shape[axis] / by[axis]);
    let hu = numbers(scan);
    let mean = |at: usize| {
        let [i, j, k] = [at % shape[0], at / shape[0] % shape[1], at / (shape[0] * shape[1])];
        let (mut sum, mut count) = (0.0, 0.0);
        for z in k * by[2]..(k + 1) * by[2] {
            for y in j * by[1]..(j + 1) * by[1] {
                let row = ni * (y + nj * z) + i * by[0];
                sum += hu[row..row + by[0]].iter().sum::<f32>();
                count += by[0] as f32;
            }
        }
        (sum / count).round() as i16
    };
    let means: Vec<i16> = (0..shape.iter().product()).map(mean).collect();
    let by = DVec3::from_array(by.map(|n| n as f64));
    let place = DAffine3::from_scale(by) * DAffine3::from_translation((by - 1.0) / 2.0 / by);
    Volume::new(Grid { shape, world_from_voxel: scan.grid.world_from_voxel * place }, Voxels::I16(means.into()))
}

/// Some axial slices.
fn part(scan: &Volume, slices: std::ops::Range<usize>) -> Volume {
    let [ni, nj, _] = scan.grid.shape;
    let hu: Vec<i16> =
        numbers(scan)[ni * nj * slices.start..ni * nj * slices.end].iter().map(|hu| *hu as i16).collect();
    let up = DAffine3::from_translation(DVec3::new(0.0, 0.0, slices.start as f64));
    Volume::new(
        Grid { shape: [ni, nj, slices.len()], world_from_voxel: scan.grid.world_from_voxel * up },
        Voxels::I16(hu.into()),
    )
}

#[test]
fn the_lungs_of_thick_slices_and_of_wide_pixels_are_found() {
    for by in [[1, 1, 2], [1, 1, 3], [2, 2, 2]] {
        let scan = coarser(&healthy(), by);
        let chest = Chest::of(&scan, Lying::Supine, None, &Monitor::default());
        assert!(chest.is_ok(), "{:?} mm: {}", scan.grid.spacing_mm(), chest.err().expect("an error"));
    }
}

#[test]
fn no_nodule_is_cut_by_the_edge_of_the_view() {
    let scan = coarser(&part(&healthy(), 20..62), [1, 1, 2]);
    let chest = chest(&scan);
    let slice = scan.grid.shape[0] * scan.grid.shape[1];
    let mut drawn = 0;
    for seed in 1..=20 {
        let Ok(nodule) = chest.draw(Finding::Nodule, 0.6, seed, &Monitor::default()) else { continue };
        drawn += 1;
        let ends = [&nodule.mask[..slice], &nodule.mask[nodule.mask.len() - slice..]];
        assert!(ends.iter().all(|end| !end.contains(&true)), "seed {seed}: {}", nodule.words);
    }
    assert!(drawn >= 10, "{drawn} of 20 seeds have room");
}

#[test]
fn the_noise_of_a_few_slices_is_told_as_that_of_all() {
    let scan = healthy();
    let whole = chest(&scan).noise_hu();
    for slices in [20..32, 34..40, 45..57] {
        let few = chest(&part(&scan, slices.clone())).noise_hu();
        assert!((0.6..1.8).contains(&(few / whole)), "slices {slices:?}: {few} HU, of all {whole}");
    }
}
