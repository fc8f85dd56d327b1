//! What a network would see of a scan: for the eyes of whoever writes its card.

use anyhow::{Result, anyhow};
use candle_core::{DType, Device, IndexOp, Tensor};

use super::BadInput;
use crate::graph::{Graph, Plan};
use crate::io::Scan;
use crate::job::Monitor;
use crate::models::Adapter;
use crate::preprocess::{self, Recipe};

/// The middle plane of the tensor that a network is given, along its last two axes, of its first channel.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The tensor's shape, as the network's file has its axes.
    pub shape: Vec<usize>,
    /// Columns and rows of the plane.
    pub size: [usize; 2],
    /// Grey levels of the plane, from its smallest number to its largest.
    pub grey: Vec<u8>,
    /// The smallest and the largest number of the whole tensor.
    pub range: [f32; 2],
}

/// Prepares a scan by a recipe and lays it out as the recipe says.
pub fn seen(scan: &Scan, recipe: &Recipe, monitor: &Monitor) -> Result<Seen> {
    recipe.check().map_err(|why| BadInput(anyhow!(why)))?;
    let prepared = preprocess::prepare(&scan.volume, recipe, monitor).map_err(BadInput::mark)?;
    let [columns, rows, slices] = prepared.volume.grid.shape;
    let numbers: Vec<f32> = prepared.volume.voxels.iter().collect();
    let stack = Tensor::from_vec(numbers, (slices, 1, rows, columns), &Device::Cpu)?;
    let mut g = Graph::new();
    let x = g.input();
    let tensor = Adapter::between(&prepared, &prepared)?.tensor(&mut g, x)?;
    let plan = Plan::new(&g.finish(&[tensor]), &[stack.dims()], DType::F32)?;
    let tensor = plan.forward(&[stack], &|_, _| monitor.check())?.remove(0);
    let mut shape = tensor.dims().to_vec();
    // Of slices the middle one; of a volume the middle plane of its first axis.
    let plane = match shape[..] {
        [samples, _, _, _] => tensor.i((samples / 2, 0))?,
        [_, _, depth, _, _] => tensor.i((0, 0, depth / 2))?,
        _ => return Err(anyhow!("a tensor {shape:?} is no scan")),
    };
    if recipe.axes.are_before_channels() {
        shape[1..].rotate_left(1);
    }
    let (height, width) = plane.dims2()?;
    let plane: Vec<f32> = plane.flatten_all()?.to_vec1()?;
    let span = |numbers: &[f32]| {
        numbers.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], x| [low.min(*x), high.max(*x)])
    };
    let range = span(&tensor.flatten_all()?.to_vec1::<f32>()?);
    let [low, high] = span(&plane);
    let grey = |x: &f32| ((x - low) / (high - low).max(f32::MIN_POSITIVE) * 255.0) as u8;
    Ok(Seen { shape, size: [width, height], grey: plane.iter().map(grey).collect(), range })
}
