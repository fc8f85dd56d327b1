//! What a network is fed by the recipe of its card, beside what MONAI's transforms make of the same scan.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use glam::{DAffine3, DMat3, DVec3};
use parallax::graph::Graph;
use parallax::job::Monitor;
use parallax::models::Adapter;
use parallax::pipeline;
use parallax::preprocess::{Axes, Recipe, prepare};
use parallax::volume::{Grid, Volume, Voxels};

use crate::support::{self, output, plan_for};

/// Of the largest number: MONAI samples in f32 at places computed in f64, and resizes in f32.
const TOLERANCE: f64 = 2e-5;

/// The tensor of a scan by a recipe.
fn tensor(scan: &str, recipe: &Recipe) -> Tensor {
    let input = pipeline::open(&support::data(&format!("nifti/{scan}.nii.gz")), recipe, &Monitor::default());
    let prepared = input.unwrap_or_else(|e| panic!("{e:#}")).prepared;
    let [columns, rows, slices] = prepared.volume.grid.shape;
    let numbers: Vec<f32> = prepared.volume.voxels.iter().collect();
    let stack = Tensor::from_vec(numbers, (slices, 1, rows, columns), &Device::Cpu).expect("a stack");
    let mut g = Graph::new();
    let x = g.input();
    let adapter = Adapter::between(&prepared, &prepared).expect("the same grid");
    let tensor = adapter.tensor(&mut g, x).expect("a tensor");
    output(&plan_for(&g.finish(&[tensor]), std::slice::from_ref(&stack)).expect("a plan"), &stack)
}

#[test]
fn every_way_of_feeding_gives_what_monai_gives() {
    let text = std::fs::read_to_string(support::data("recipes/recipes.toml")).expect("recipes");
    let recipes: BTreeMap<String, Recipe> = toml::from_str(&text).expect("recipes");
    let goldens = candle_core::safetensors::load(support::data("recipes/recipes.safetensors"), &Device::Cpu);
    let goldens = goldens.expect("goldens");
    assert_eq!(goldens.len(), 2 * recipes.len());
    let mut wrong = Vec::new();
    for (name, recipe) in &recipes {
        for scan in ["syn_permuted", "syn_lps"] {
            let (got, want) = (tensor(scan, recipe), &goldens[&format!("{name}.{scan}")]);
            if got.dims() != want.dims() {
                wrong.push(format!("{name} of {scan}: {:?}, MONAI has {:?}", got.dims(), want.dims()));
                continue;
            }
            let largest = support::worst(want, &want.zeros_like().expect("zeros"));
            let gap = support::worst(&got.to_dtype(DType::F32).expect("f32"), want) / largest;
            println!("{name} of {scan}: {gap:.1e}");
            if gap > TOLERANCE {
                wrong.push(format!("{name} of {scan}: {gap:.1e} of the largest number"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Extents of 61.5, 51.5 and 56.5 voxels: the last bit of where the scan lies decides, in MONAI's own sums.
#[test]
fn where_an_extent_lies_between_two_numbers_of_voxels_it_goes_as_in_monai() {
    let matrix = DMat3::from_diagonal(DVec3::new(-1.5, -1.5, 1.5));
    let origin = DVec3::new(71.658_203_125, 255.658_203_125, 576.200_012_207_031_2);
    let grid = Grid { shape: [122, 102, 112], world_from_voxel: DAffine3::from_mat3_translation(matrix, origin) };
    let scan = Volume::new(grid, Voxels::I16(vec![0; 122 * 102 * 112].into()));
    for (axes, rows) in [
        ("RAS", 51),
        ("LPS", 52),
        ("SPL", 52),
        ("PLS", 52),
        ("PLI", 52),
        ("LAI", 51),
        ("LAS", 51),
        ("RPS", 52),
        ("SAR", 51),
    ] {
        let recipe = Recipe {
            axes: Axes::of(axes).expect("axes"),
            spacing_mm: [3.0; 3],
            size: [64, 64, 64],
            ..Recipe::default()
        };
        let prepared = prepare(&scan, &recipe, &Monitor::default()).expect("a stack");
        assert_eq!(prepared.spaced.shape, [62, rows, 56], "{axes}");
    }
}
