//! The input check: what is said of a scan before a network's answer to it, the weightiest first.

use std::sync::Arc;

use egui_kittest::kittest::Queryable;
use glam::{DAffine3, DMat3, DVec3};
use parallax::export::nifti::nifti_bytes;
use parallax::io::{Among, Geometry, Note, Scan, Weight};
use parallax::job::Monitor;
use parallax::pipeline::{self, Input};
use parallax::preprocess::Recipe;
use parallax::ui::Start;
use parallax::volume::{Grid, Volume, Voxels};

use crate::window::driven::{click, says, texts, until, window};

/// Of the networks that scans are prepared for here.
fn recipe() -> Recipe {
    Recipe::of_side(16)
}

/// A chest for the check: air and tissue on a grid of this shape, with these axes.
fn chest(shape: [usize; 3], axes: DMat3) -> Volume {
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3(axes) };
    let hu: Vec<i16> = (0..grid.len()).map(|i| if i % 3 == 0 { -1000 } else { 40 }).collect();
    Volume::new(grid, Voxels::I16(hu.into()))
}

fn prepared(volume: Volume, notes: Vec<Note>) -> Input {
    let scan = Scan {
        volume,
        source: "a test".into(),
        format: "a test".to_owned(),
        geometry: Geometry::Sform,
        notes,
        window_hu: None,
        study: None,
        among: Among::default(),
    };
    pipeline::prepare(&Arc::new(scan), &recipe(), &Monitor::default()).expect("prepared")
}

fn notes(volume: Volume) -> Vec<Note> {
    prepared(volume, Vec::new()).notes()
}

/// The spacing of the recipe, so that nothing is resampled.
fn own() -> DMat3 {
    DMat3::from_diagonal(DVec3::from_array(recipe().spacing_mm))
}

#[test]
fn a_scan_as_the_networks_expect_it_needs_no_word() {
    assert_eq!(notes(chest([16, 16, 12], own())), []);
}

#[test]
fn each_thing_that_may_mislead_a_network_is_said_with_its_numbers() {
    let with = |at: usize, hu: i16| {
        let mut volume = chest([16, 16, 12], own());
        let mut voxels: Vec<i16> = volume.voxels.iter().map(|hu| hu as i16).collect();
        voxels[at] = hu;
        volume.voxels = Voxels::I16(voxels.into());
        volume
    };
    let all = |low: i16, high: i16| {
        let volume = chest([16, 16, 12], own());
        let voxels: Vec<i16> = volume.voxels.iter().map(|hu| if hu < 0.0 { low } else { high }).collect();
        Volume::new(volume.grid, Voxels::I16(voxels.into()))
    };
    let turned = DMat3::from_rotation_x(0.2) * own();
    for (volume, weight, words) in [
        (all(0, 255), Weight::Serious, "values run from 0 to 255: this looks like a windowed picture"),
        (all(-500, 300), Weight::Serious, "no air: the lowest value is -500 HU"),
        (with(7, 3500), Weight::Caution, "values up to 3500 HU, more than bone has"),
        // One of 3072 voxels.
        (
            with(7, -3024),
            Weight::Fact,
            "values run from -3024 to 40 HU; the networks see -1000 to 1000, and less than 0.1 % of the voxels lie beyond",
        ),
        (chest([26, 16, 12], own()), Weight::Caution, "cuts off 15 mm of the scan in the right-left direction"),
        (chest([16, 20, 12], own()), Weight::Caution, "cuts off 6 mm of the scan in the front-back direction"),
        (chest([16, 16, 4], own()), Weight::Caution, "only 4 slices after resampling to 3 mm"),
        (chest([16, 16, 12], turned), Weight::Caution, "the scan is oblique by 11 degrees"),
        (
            chest([16, 20, 30], DMat3::from_diagonal(DVec3::new(-0.7, 0.8, 1.0))),
            Weight::Fact,
            "resampled from 0.70 x 0.80 x 1.00 to 1.50 x 1.50 x 3.00 mm",
        ),
    ] {
        let notes = notes(volume);
        let found = notes.iter().find(|note| note.text.contains(words));
        assert_eq!(found.map(|note| note.weight), Some(weight), "{words}: {notes:?}");
    }
}

#[test]
fn the_weightiest_comes_first_and_facts_are_no_warnings() {
    let of_reader = vec![Note::caution("some files were left out"), Note::serious("left and right are a guess")];
    let input = prepared(chest([26, 16, 30], DMat3::from_diagonal(DVec3::ONE)), of_reader);
    let weights: Vec<_> = input.notes().iter().map(|note| note.weight).collect();
    assert!(weights.is_sorted() && weights.first() == Some(&Weight::Serious), "{weights:?}");
    assert_eq!(weights.last(), Some(&Weight::Fact));
    let warnings = input.warnings();
    assert_eq!(warnings[..2], ["left and right are a guess", "some files were left out"]);
    assert!(!warnings.iter().any(|text| text.contains("resampled")), "{warnings:?}");
}

#[test]
fn the_window_shows_five_lines_the_worst_first_and_the_rest_on_a_click() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("odd.nii");
    let volume = chest([232, 236, 4], DMat3::from_diagonal(DVec3::new(1.6, 1.6, 2.9)));
    let voxels: Vec<i16> = volume.voxels.iter().map(|hu| if hu < 0.0 { 0 } else { 200 }).collect();
    let packed = nifti_bytes(&Volume::new(volume.grid, Voxels::I16(voxels.into())), "odd").expect("a file");
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut bytes).expect("gzip");
    bytes[252..256].fill(0); // neither qform nor sform
    std::fs::write(&path, bytes).expect("written");
    let mut window = window(Start { scan: Some(path), ..Start::default() });
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    let shown = |window: &_| -> Vec<String> {
        let lines = texts(window).into_iter();
        lines.filter(|line| ["Serious:", "Caution:", "Fact:"].iter().any(|word| line.contains(word))).collect()
    };
    let first = shown(&window);
    let begin: Vec<&str> = first.iter().map(|line| line.split(':').next().expect("a word")).collect();
    assert_eq!(begin, ["Serious", "Serious", "Caution", "Caution", "Caution"], "{first:#?}");
    assert!(window.query_by_label("and 1 more").is_some());
    click(&mut window, "and 1 more");
    window.run_steps(20); // it opens in time
    let all = shown(&window);
    assert_eq!(all[..5], first);
    assert!(all[5].starts_with("Fact: resampled from 1.60 x 1.60 x 2.90"), "{all:#?}");
}
