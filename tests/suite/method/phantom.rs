//! The phantom: recognisable, the same every time, and true to its masks.

use glam::DVec3;
use parallax::job::Monitor;
use parallax::volume::phantom::{Dials, Finding, Mask, Phantom, phantom};

const SEED: u64 = 5;

fn make(dials: Dials) -> Phantom {
    phantom(SEED, dials, &Monitor::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn count(phantom: &Phantom, mask: Mask) -> usize {
    (0..phantom.masks.len()).filter(|i| phantom.is(mask, *i)).count()
}

/// Mean HU of the voxels that bear one mask and none of `without`.
fn mean_hu(phantom: &Phantom, mask: Mask, without: u8) -> f64 {
    let of: Vec<f64> = (0..phantom.masks.len())
        .filter(|i| phantom.is(mask, *i) && phantom.masks[*i] & without == 0)
        .map(|i| f64::from(phantom.volume.voxels.at(i)))
        .collect();
    of.iter().sum::<f64>() / of.len() as f64
}

/// The middle of a mask in the patient, RAS+ millimetres.
fn center(phantom: &Phantom, mask: Mask) -> DVec3 {
    let grid = phantom.volume.grid;
    let [ni, nj, _] = grid.shape;
    let place = |i: usize| DVec3::new((i % ni) as f64, (i / ni % nj) as f64, (i / ni / nj) as f64);
    let of: Vec<DVec3> = (0..phantom.masks.len()).filter(|i| phantom.is(mask, *i)).map(place).collect();
    grid.world_from_voxel.transform_point3(of.iter().sum::<DVec3>() / of.len() as f64)
}

fn dial(finding: Finding, value: f32) -> Dials {
    Dials::default().with(finding, value)
}

#[test]
fn a_healthy_chest_has_the_hu_of_one() {
    let healthy = make(Dials::default());
    for (name, mask) in Finding::ALL.map(|finding| (finding.name(), finding.mask())) {
        assert_eq!(count(&healthy, mask), 0, "{name}");
    }
    let outside: Vec<f32> =
        (0..healthy.masks.len()).filter(|i| healthy.masks[*i] == 0).map(|i| healthy.volume.voxels.at(i)).collect();
    let air = outside.iter().filter(|hu| **hu < -900.0).count() as f64 / outside.len() as f64;
    assert!(air > 0.9, "{air} of what is outside is air, the rest the table");
    for mask in [Mask::RightLung, Mask::LeftLung] {
        let hu = mean_hu(&healthy, mask, 0);
        assert!((-900.0..-700.0).contains(&hu), "{mask:?}: {hu} HU on average");
        let litres = count(&healthy, mask) as f64 * healthy.volume.grid.spacing_mm().iter().product::<f64>() / 1e6;
        assert!((1.0..4.5).contains(&litres), "{mask:?}: {litres} l");
    }
    let tissue = mean_hu(&healthy, Mask::Body, Mask::RightLung as u8 | Mask::LeftLung as u8);
    assert!((-60.0..150.0).contains(&tissue), "{tissue} HU on average but for the lungs");
}

#[test]
fn the_same_seed_gives_the_same_patient_and_another_another() {
    let voxels = |seed| -> Vec<f32> {
        phantom(seed, Dials::random(seed), &Monitor::default()).expect("a phantom").volume.voxels.iter().collect()
    };
    assert!(voxels(1) == voxels(1) && voxels(1) != voxels(2));
}

#[test]
fn a_dial_changes_its_finding_and_nothing_else() {
    /// Noise is the same, so unchanged tissue is equal; the rim of a finding is a pixel, or lung that fluid
    /// compresses: 9 mm of a distance that runs slower than true across the chest.
    const RIM_MM: f64 = 15.0;
    let healthy = make(Dials::default());
    let grid = healthy.volume.grid;
    let [ni, nj, nk] = grid.shape;
    let reach = grid.spacing_mm().map(|s| (RIM_MM / s) as usize);
    for finding in Finding::ALL {
        let (name, mask) = (finding.name(), finding.mask());
        let mut last = 0;
        for value in [0.3, 0.6, 1.0] {
            let ill = make(dial(finding, value));
            let masked = count(&ill, mask);
            assert!(masked > last, "{name} {value}: {masked} voxels, {last} before");
            last = masked;
            let (mut inside, mut all) = (0.0, 0.0);
            for i in 0..ill.masks.len() {
                let change = f64::from((ill.volume.voxels.at(i) - healthy.volume.voxels.at(i)).abs());
                if change == 0.0 {
                    continue;
                }
                all += change;
                inside += if ill.is(mask, i) { change } else { 0.0 };
                let at = [i % ni, i / ni % nj, i / ni / nj];
                let range =
                    |axis: usize, n: usize| at[axis].saturating_sub(reach[axis])..(at[axis] + reach[axis] + 1).min(n);
                let near = range(2, nk)
                    .any(|k| range(1, nj).any(|j| range(0, ni).any(|i| ill.is(mask, i + ni * (j + nj * k)))));
                assert!(near, "{name} {value}: {at:?} changed by {change} HU, far from the finding");
            }
            assert!(inside > 0.7 * all, "{name} {value}: {:.2} of the change lies in the mask", inside / all);
        }
    }
}

#[test]
fn findings_lie_where_they_belong_and_have_their_hu() {
    let lungs = center(&make(Dials::default()), Mask::LeftLung).y;
    let effusion = make(dial(Finding::Effusion, 0.7));
    assert!(center(&effusion, Mask::Effusion).y < lungs - 20.0, "fluid gathers at the back");
    let hu = mean_hu(&effusion, Mask::Effusion, 0);
    assert!((-60.0..40.0).contains(&hu), "fluid of {hu} HU");
    let large = make(dial(Finding::Cardiomegaly, 1.0));
    assert!(center(&large, Mask::Cardiomegaly).x < 0.0, "the heart grows to the patient's left");
    let hu = mean_hu(&make(dial(Finding::Nodule, 1.0)), Mask::Nodule, 0);
    assert!((-100.0..120.0).contains(&hu), "a nodule of {hu} HU");
    let hu = mean_hu(&make(dial(Finding::Emphysema, 1.0)), Mask::Emphysema, 0);
    assert!((-1024.0..-920.0).contains(&hu), "emphysema of {hu} HU");
}

#[test]
fn no_other_finding_hides_a_nodule() {
    for seed in 0..4 {
        let all = Dials { effusion: 1.0, nodule: 1.0, cardiomegaly: 1.0, emphysema: 1.0 };
        let ill = phantom(seed, all, &Monitor::default()).expect("a phantom");
        let (mut nodule, mut hidden) = (0, 0);
        for i in (0..ill.masks.len()).filter(|i| ill.is(Mask::Nodule, *i)) {
            nodule += 1;
            hidden += usize::from(ill.is(Mask::Effusion, i) || ill.is(Mask::Cardiomegaly, i));
        }
        assert!(nodule > 300 && hidden * 20 < nodule, "seed {seed}: {hidden} of {nodule} voxels are hidden");
    }
}

#[test]
fn a_dial_that_cannot_be_is_named() {
    let bad = Dials { nodule: 1.5, ..Dials::default() };
    let error = phantom(1, bad, &Monitor::default()).err().expect("an error").to_string();
    assert!(error.contains("nodule is 1.5") && error.contains("0 (none) to 1 (severe)"), "{error}");
    assert!(phantom(1, Dials { effusion: f32::NAN, ..Dials::default() }, &Monitor::default()).is_err());
}
