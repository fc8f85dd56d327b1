//! The second phantom: on any grid, the same patient every time, true to its masks; and the first one as it always was.

use parallax::io::voxels_sha256;
use parallax::job::Monitor;
use parallax::volume::phantom::second::{Raster, draw};
use parallax::volume::phantom::{Dials, Error, Finding, Mask, Phantom, Version, phantom};
use parallax::volume::{Volume, Voxels};

const RASTER: Raster = Raster { shape: [150, 130, 50], spacing_mm: [2.6, 2.6, 6.0] };

fn make(seed: u64, dials: Dials, raster: Raster) -> Phantom {
    draw(seed, dials, Some(raster), &Monitor::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn voxels(phantom: &Phantom) -> Vec<f32> {
    phantom.volume.voxels.iter().collect()
}

fn count(phantom: &Phantom, mask: Mask) -> usize {
    (0..phantom.masks.len()).filter(|i| phantom.is(mask, *i)).count()
}

/// The middle one of the HU of some voxels.
fn median(mut hu: Vec<f32>) -> f32 {
    assert!(hu.len() > 20, "{} voxels", hu.len());
    hu.sort_by(f32::total_cmp);
    hu[hu.len() / 2]
}

/// Whether a mask lies within `reach` voxels of each place, by a box that is slid along each axis.
fn near(phantom: &Phantom, mask: Mask, reach: [usize; 3]) -> Vec<bool> {
    let [ni, nj, nk] = phantom.volume.grid.shape;
    let mut near: Vec<bool> = (0..phantom.masks.len()).map(|i| phantom.is(mask, i)).collect();
    for (axis, (length, stride)) in [(ni, 1), (nj, ni), (nk, ni * nj)].into_iter().enumerate() {
        let source = near.clone();
        for (i, near) in near.iter_mut().enumerate() {
            let at = i / stride % length;
            let mut around = at.saturating_sub(reach[axis])..(at + reach[axis] + 1).min(length);
            *near = around.any(|there| source[i - at * stride + there * stride]);
        }
    }
    near
}

#[test]
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    ignore = "sines and powers differ by a bit between systems' libraries"
)]
fn old_seeds_mean_the_old_phantom_to_the_bit() {
    let demo = Dials { effusion: 0.7, ..Dials::default() };
    for (seed, dials, expected) in [
        (5, demo, "2a8f136d2ccb363c27de71596bc9f5014e10c1ff7f34948a09e17f9d84568a65"),
        (100_001, Dials::random(100_001), "8d3fedc63a6402646dfb4e559151b3624705a79b0a63a5ac32e6f430572808a5"),
    ] {
        let default = Version::default().draw(seed, dials, &Monitor::default()).expect("a phantom");
        let first = phantom(seed, dials, &Monitor::default()).expect("a phantom");
        assert!(voxels(&default) == voxels(&first) && default.masks == first.masks, "version 1 is the default");
        assert_eq!(voxels_sha256(&first.volume.voxels), expected, "seed {seed}");
    }
}

#[test]
fn a_healthy_chest_of_the_second_version_has_the_hu_of_one() {
    for seed in 0..6 {
        let healthy = make(seed, Dials::default(), RASTER);
        for (name, mask) in Finding::ALL.map(|finding| (finding.name(), finding.mask())) {
            assert_eq!(count(&healthy, mask), 0, "{name}");
        }
        let hu = voxels(&healthy);
        let within =
            |mask: Mask| -> Vec<f32> { (0..hu.len()).filter(|i| healthy.is(mask, *i)).map(|i| hu[i]).collect() };
        let lungs = Mask::RightLung as u8 | Mask::LeftLung as u8;
        for mask in [Mask::RightLung, Mask::LeftLung] {
            let lung = median(within(mask));
            assert!((-910.0..-760.0).contains(&lung), "seed {seed}, {mask:?}: {lung} HU");
            let litres = count(&healthy, mask) as f64 * healthy.volume.grid.spacing_mm().iter().product::<f64>() / 1e6;
            assert!((1.0..4.5).contains(&litres), "seed {seed}, {mask:?}: {litres} l");
        }
        let body = (0..hu.len()).filter(|i| healthy.is(Mask::Body, *i) && healthy.masks[*i] & lungs == 0);
        let body: Vec<f32> = body.map(|i| hu[i]).collect();
        let share =
            |low: f32, high: f32| body.iter().filter(|hu| (low..high).contains(*hu)).count() as f64 / body.len() as f64;
        assert!(share(-150.0, -50.0) > 0.08, "seed {seed}: {} fat", share(-150.0, -50.0));
        assert!(share(0.0, 130.0) > 0.25, "seed {seed}: {} muscle and organs", share(0.0, 130.0));
        assert!(share(250.0, 1600.0) > 0.01, "seed {seed}: {} bone", share(250.0, 1600.0));
        let air: Vec<f32> = (0..hu.len()).filter(|i| healthy.masks[*i] == 0).map(|i| hu[i]).collect();
        assert!(median(air) < -900.0, "seed {seed}");
    }
}

#[test]
fn a_seed_is_one_patient_of_the_second_version_on_every_grid() {
    let coarse = Raster { shape: [96, 96, 30], spacing_mm: [4.0, 4.0, 8.0] };
    let again = make(3, Dials::random(3), coarse);
    assert!(voxels(&again) == voxels(&make(3, Dials::random(3), coarse)), "the same voxels");
    assert!(voxels(&again) != voxels(&make(4, Dials::random(3), coarse)), "another patient");
    // The lungs fill the same part of space, on whatever grid.
    let litres = |raster: Raster| {
        let drawn = make(3, Dials::default(), raster);
        let lungs = count(&drawn, Mask::RightLung) + count(&drawn, Mask::LeftLung);
        lungs as f64 * drawn.volume.grid.spacing_mm().iter().product::<f64>() / 1e6
    };
    let [one, other] = [litres(coarse), litres(Raster { shape: [200, 160, 120], spacing_mm: [2.0, 2.5, 2.0] })];
    assert!((one / other - 1.0).abs() < 0.03, "{one} and {other} l");
}

#[test]
fn odd_grids_are_drawn() {
    for (shape, spacing_mm) in [
        ([1, 1, 1], [1.0, 1.0, 1.0]),
        ([64, 64, 1], [6.0, 6.0, 5.0]),
        ([1, 200, 3], [2.0, 2.0, 50.0]),
        ([3, 2, 40], [50.0, 50.0, 10.0]),
        ([40, 400, 2], [10.0, 0.9, 0.1]),
    ] {
        let drawn = make(8, Dials::random(1), Raster { shape, spacing_mm });
        assert_eq!(drawn.volume.grid.shape, shape);
        assert_eq!(drawn.masks.len(), shape.iter().product::<usize>());
        let spacing = drawn.volume.grid.spacing_mm();
        assert!((0..3).all(|axis| (spacing[axis] - spacing_mm[axis]).abs() < 1e-9), "{spacing:?}");
    }
    let slice = make(8, Dials::default(), Raster { shape: [64, 64, 1], spacing_mm: [6.0, 6.0, 5.0] });
    assert!(count(&slice, Mask::LeftLung) > 50, "a single slice lies in the middle of the chest");
}

#[test]
fn grids_that_cannot_be_are_refused_in_words() {
    for (shape, spacing_mm) in [
        ([0, 10, 10], [1.0; 3]),
        ([10, 10, 5000], [1.0; 3]),
        ([10; 3], [0.0, 1.0, 1.0]),
        ([10; 3], [1.0, f64::NAN, 1.0]),
        ([4096; 3], [1.0; 3]),
    ] {
        let error = draw(1, Dials::default(), Some(Raster { shape, spacing_mm }), &Monitor::default());
        let error = error.err().expect("an error").to_string();
        assert!(error.contains("cannot be drawn; choose 1 to 4096"), "{error}");
    }
    let bad = Dials { nodule: 1.5, ..Dials::default() };
    let error = draw(1, bad, None, &Monitor::default()).err().expect("an error").to_string();
    assert!(error.contains("nodule is 1.5"), "{error}");
    assert!("3".parse::<Version>().is_err_and(|error| error.to_string().contains("there are 1 and 2")));
}

#[test]
fn a_dial_of_the_second_version_changes_its_finding_and_nothing_else() {
    /// The kernel's reach in a slice of 2.6 mm pixels, and lung that fluid compresses, 8 mm of a distance that runs slower than
    /// true.
    const RIM_MM: f64 = 20.0;
    let reach = RASTER.spacing_mm.map(|mm| (RIM_MM / mm).ceil() as usize);
    for seed in [5, 11] {
        let healthy = make(seed, Dials::default(), RASTER);
        let before = voxels(&healthy);
        for finding in Finding::ALL {
            let (name, mask) = (finding.name(), finding.mask());
            let mut last = 0;
            for value in [0.4, 1.0] {
                let ill = make(seed, Dials::default().with(finding, value), RASTER);
                let masked = count(&ill, mask);
                assert!(masked > last, "seed {seed}, {name} {value}: {masked} voxels, {last} before");
                last = masked;
                let near = near(&ill, mask, reach);
                let (mut inside, mut all) = (0.0, 0.0);
                for (i, after) in voxels(&ill).into_iter().enumerate() {
                    let change = f64::from((after - before[i]).abs());
                    all += change;
                    inside += if ill.is(mask, i) { change } else { 0.0 };
                    assert!(change == 0.0 || near[i], "seed {seed}, {name} {value}: {change} HU far from the finding");
                }
                assert!(inside > 0.6 * all, "seed {seed}, {name} {value}: {:.2} of the change is masked", inside / all);
            }
        }
    }
}

#[test]
fn findings_of_the_second_version_have_their_hu() {
    let of = |finding: Finding| {
        let ill = make(5, Dials::default().with(finding, 1.0), RASTER);
        let hu = voxels(&ill);
        median((0..hu.len()).filter(|i| ill.is(finding.mask(), *i)).map(|i| hu[i]).collect())
    };
    let fluid = of(Finding::Effusion);
    assert!((-25.0..40.0).contains(&fluid), "fluid of {fluid} HU");
    let nodule = of(Finding::Nodule);
    assert!((-250.0..100.0).contains(&nodule), "a nodule of {nodule} HU");
    let air = of(Finding::Emphysema);
    assert!((-1024.0..-900.0).contains(&air), "emphysema of {air} HU");
}

#[test]
fn other_findings_hide_little_of_a_nodule_of_the_second_version() {
    for seed in 0..4 {
        let all = Dials { effusion: 1.0, nodule: 1.0, cardiomegaly: 1.0, emphysema: 1.0 };
        let ill = make(seed, all, RASTER);
        let hidden = (0..ill.masks.len())
            .filter(|i| ill.is(Mask::Nodule, *i) && (ill.is(Mask::Effusion, *i) || ill.is(Mask::Cardiomegaly, *i)))
            .count();
        let nodule = count(&ill, Mask::Nodule);
        assert!(nodule > 40 && hidden * 20 < nodule, "seed {seed}: {hidden} of {nodule} voxels are hidden");
    }
}

#[test]
fn the_drawing_of_a_second_phantom_is_cancelled_between_slices() {
    let monitor = Monitor::default();
    monitor.cancel();
    let stopped = draw(1, Dials::default(), Some(RASTER), &monitor).err();
    assert!(matches!(stopped, Some(Error::Cancelled(_))), "{stopped:?}");
}

#[test]
fn a_phantom_of_the_second_version_is_in_the_middle_of_its_grid() {
    let drawn = draw(2, Dials::default(), None, &Monitor::default()).expect("a phantom");
    let Volume { grid, voxels } = &drawn.volume;
    assert!(matches!(voxels, Voxels::I16(_)), "whole HU");
    assert!(grid.center().length() < 1e-9, "the middle is the origin");
    assert!(grid.shape[2] as f64 * grid.spacing_mm()[2] > 220.0, "the whole chest: {:?}", grid.shape);
}
