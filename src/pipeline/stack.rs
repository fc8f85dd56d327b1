//! Reads a stack from a `.safetensors` file: pixels as the networks take them, without a scan.

use std::path::Path;

use anyhow::{Result, anyhow};
use glam::{DAffine3, DMat3, DVec3};

use crate::preprocess::{Prepared, Recipe};
use crate::volume::{Grid, Volume};
use crate::weights::Checkpoint;

pub(super) fn is_stack(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("safetensors"))
}

/// The key "stack" of a safetensors file, `[slices, 1, height, width]` in `0..=1`. It says nothing of where it lies:
/// it is taken to be axial, in display order, with the recipe's spacing.
pub(super) fn stack(path: &Path, recipe: &Recipe) -> Result<Prepared> {
    let checkpoint = Checkpoint::open(path)?;
    let found = checkpoint.shape("stack").map(<[usize]>::to_vec);
    let Some(&[slices, 1, height, width]) = found.as_deref().filter(|shape| !shape.contains(&0)) else {
        let found = found.map_or("no such key".to_owned(), |shape| format!("{shape:?}"));
        return Err(anyhow!(
            "the stack must be [slices, 1, height, width] under the key \"stack\"; found {found}: {}",
            path.display()
        ));
    };
    let vb = checkpoint.builder(candle_core::DType::F32);
    let voxels: Vec<f32> = vb.get((slices, 1, height, width), "stack")?.flatten_all()?.to_vec1()?;
    if let Some(odd) = voxels.iter().find(|x| !(0.0..=1.0).contains(*x)) {
        return Err(anyhow!("the stack holds {odd}, outside 0..=1; scale it first: {}", path.display()));
    }
    let recipe = Recipe { size: [width, height, 0], ..recipe.clone() };
    let [right, front, up] = recipe.spacing_mm.map(|mm| if mm == 0.0 { 1.0 } else { mm });
    // Columns towards the patient's left, rows towards the back, slices towards the head.
    let axes = DMat3::from_diagonal(DVec3::new(-right, -front, up));
    let shape = [width, height, slices];
    let middle = DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(axes, -(axes * middle)) };
    let volume = Volume::from_f32(grid, voxels);
    Ok(Prepared { volume, recipe, oriented: grid, spaced: grid, filled: shape })
}
