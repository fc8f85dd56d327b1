//! Other ways to ask what a classifier looks at, to hold latent shift against: the plain gradient, integrated gradients, occlusion, RISE and
//! Grad-CAM++.
//!
//! All take the logit, not the probability: a sigmoid near 0 or 1 has next to no slope. Labels that are asked for together
//! share every forward pass.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::rise::{self, MASKS, Masks, SEED};
use super::{Error, grad_cam};
use crate::job::Monitor;
use crate::models::Classifier;
use crate::volume::{Grid, Volume};

/// Points between air and the scan, at the middles of as many equal parts. Sundararajan, Taly and Yan (2017, arXiv
/// 1703.01365, section 5) take 20 to 300 at the ends of theirs; the midpoint rule errs by the square of a part.
pub const INTEGRATION_STEPS: usize = 16;
/// Least edge of the cube that occlusion covers, millimetres.
pub const CUBE_MM: f64 = 28.0;
/// Most cubes that are tried: the edge grows, by `GROWTH_MM`, until they suffice for the whole patient.
pub const MOST_CUBES: usize = 250;
const GROWTH_MM: f64 = 2.0;
/// What a cube is set to, HU: inflated lung. It takes fluid, nodules and heart away, and fills emphysema; a local mean would
/// leave a finding larger than the cube as it is.
pub const LUNG_HU: f32 = -850.0;
/// A voxel is tissue from here on, HU: halfway between air and water.
const TISSUE_HU: f32 = -500.0;

/// A way to ask a classifier where it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Method {
    Gradient,
    IntegratedGradients,
    Occlusion,
    Rise,
    /// Grad-CAM++, of the classifier's last map; a network may have none.
    GradCam,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::Gradient, Self::IntegratedGradients, Self::Occlusion, Self::Rise, Self::GradCam];

    /// In files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gradient => "gradient",
            Self::IntegratedGradients => "integrated_gradients",
            Self::Occlusion => "occlusion",
            Self::Rise => "rise",
            Self::GradCam => "grad_cam_plus_plus",
        }
    }

    /// On the screen.
    pub fn title(self) -> &'static str {
        match self {
            Self::Gradient => "Gradient",
            Self::IntegratedGradients => "Integrated gradients",
            Self::Occlusion => "Occlusion",
            Self::Rise => "RISE",
            Self::GradCam => "Grad-CAM++",
        }
    }

    /// What its sizes are, in a sentence.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Gradient => "How steeply the logit follows each voxel, up or down.",
            Self::IntegratedGradients => {
                "Each voxel's share of the logit, up or down, on the straight way from air to the scan."
            }
            Self::Occlusion => "How far the logit falls where a cube of lung covers the voxel.",
            Self::Rise => "How much higher the logit is behind random masks that leave the voxel.",
            Self::GradCam => "The last map of a convolutional classifier, weighted by its gradient.",
        }
    }

    /// A size of its maps in words: "2.1e-3 logit per input range".
    pub fn size_text(self, size: f32) -> String {
        match self {
            Self::Gradient => format!("{size:.1e} logit per input range"),
            Self::IntegratedGradients | Self::Occlusion | Self::Rise => format!("{size:.1e} logit"),
            Self::GradCam => format!("{size:.1e} of the weighted map"),
        }
    }
}

/// What a method says of each of `labels`: sizes of 0 or more, one for each voxel of a stack of values `0..=1`. `hu_from_unit` is the
/// recipe's `[slope, offset]`.
pub fn maps(
    method: Method,
    stack: &Volume,
    hu_from_unit: [f32; 2],
    classifier: &Classifier,
    labels: &[usize],
    monitor: &Monitor,
) -> Result<Vec<Vec<f32>>, Error> {
    let [slope, offset] = hu_from_unit;
    let unit = |hu: f32| ((hu - offset) / slope).clamp(0.0, 1.0);
    let voxels = || stack.voxels.iter().collect::<Vec<f32>>();
    match method {
        Method::Gradient => {
            monitor.step("taking the gradient", 0, 0)?;
            let at = tensor(voxels(), &stack.grid)?;
            gradients(classifier, &at, labels, monitor)?.iter().map(sizes).collect()
        }
        Method::IntegratedGradients => {
            let at = tensor(voxels(), &stack.grid)?;
            integrated_gradients(classifier, &at, labels, monitor)?.iter().map(sizes).collect()
        }
        Method::Occlusion => {
            let cubes = cubes(stack, unit(TISSUE_HU));
            occlusion(classifier, stack, &cubes, unit(LUNG_HU), labels, monitor)
        }
        Method::GradCam => grad_cam::maps(classifier, stack, labels, monitor),
        Method::Rise => {
            let scores = |masked| {
                let all = logits(classifier, &tensor(masked, &stack.grid)?, monitor)?;
                Ok(labels.iter().map(|label| all[*label]).collect())
            };
            let mut maps = rise::weigh(&Masks::of(&stack.grid, SEED), MASKS, &voxels(), scores, monitor)?;
            maps.iter_mut().flatten().for_each(|size| *size = size.max(0.0));
            Ok(maps)
        }
    }
}

/// d logit / d stack for each label, `[slices, 1, h, w]`, signed: one pass forward, and one back for each.
pub fn gradients(
    classifier: &Classifier,
    stack: &Tensor,
    labels: &[usize],
    monitor: &Monitor,
) -> Result<Vec<Tensor>, Error> {
    let check = |_, _| monitor.check();
    let (logits, tape) = classifier.plan(stack.dims())?.fitted()?.record(std::slice::from_ref(stack), &check)?;
    let of_logit = |&label: &usize| {
        let mut one = vec![0.0; logits[0].elem_count()];
        one[label] = 1.0;
        let one = Tensor::from_vec(one, logits[0].dims(), &Device::Cpu)?.to_dtype(stack.dtype())?;
        Ok(tape.vjp(&[one], &check)?.remove(0))
    };
    labels.iter().map(of_logit).collect()
}

/// Each voxel's share of logit(stack) - logit(air), `[slices, 1, h, w]`, signed: the stack times the mean of the gradients on
/// the straight line from air, which is 0, to it.
pub fn integrated_gradients(
    classifier: &Classifier,
    stack: &Tensor,
    labels: &[usize],
    monitor: &Monitor,
) -> Result<Vec<Tensor>, Error> {
    let mut sums = vec![stack.zeros_like()?; labels.len()];
    for step in 0..INTEGRATION_STEPS {
        monitor.step("integrating gradients", step, INTEGRATION_STEPS)?;
        let share = (step as f64 + 0.5) / INTEGRATION_STEPS as f64;
        let here = gradients(classifier, &(stack * share)?, labels, monitor)?;
        for (sum, gradient) in sums.iter_mut().zip(here) {
            *sum = (&*sum + gradient)?;
        }
    }
    sums.iter().map(|sum| Ok(((sum * stack)? / INTEGRATION_STEPS as f64)?)).collect()
}

/// Columns, rows and slices of a box of voxels.
pub type Cube = [Range<usize>; 3];

/// Gives the fall of each label's logit when one cube after the other is set to `filling`; 0 where it rises, and beyond the
/// cubes (Zeiler and Fergus 2014, arXiv 1311.2901, section 4.2).
pub fn occlusion(
    classifier: &Classifier,
    stack: &Volume,
    cubes: &[Cube],
    filling: f32,
    labels: &[usize],
    monitor: &Monitor,
) -> Result<Vec<Vec<f32>>, Error> {
    let voxels: Vec<f32> = stack.voxels.iter().collect();
    let whole = logits(classifier, &tensor(voxels.clone(), &stack.grid)?, monitor)?;
    let mut maps = vec![vec![0.0; voxels.len()]; labels.len()];
    for (n, cube) in cubes.iter().enumerate() {
        monitor.step("occluding", n, cubes.len())?;
        let mut covered = voxels.clone();
        rows(cube, &stack.grid).for_each(|row| covered[row].fill(filling));
        let without = logits(classifier, &tensor(covered, &stack.grid)?, monitor)?;
        for (map, &label) in maps.iter_mut().zip(labels) {
            let fall = (whole[label] - without[label]).max(0.0);
            rows(cube, &stack.grid).for_each(|row| map[row].fill(fall));
        }
    }
    Ok(maps)
}

/// Cubes side by side that cover the patient, each at least half of it within: as small as `CUBE_MM` and `MOST_CUBES` allow.
pub fn cubes(stack: &Volume, tissue: f32) -> Vec<Cube> {
    let patient = patient(stack, tissue);
    let grid = &stack.grid;
    let mut edge_mm = CUBE_MM;
    loop {
        let cubes: Vec<Cube> = tiles(grid, edge_mm)
            .into_iter()
            .filter(|cube| {
                let within: usize = rows(cube, grid).map(|row| patient[row].iter().filter(|is| **is).count()).sum();
                2 * within >= cube.iter().map(Range::len).product() && within > 0
            })
            .collect();
        if cubes.len() <= MOST_CUBES {
            return cubes;
        }
        edge_mm += GROWTH_MM;
    }
}

/// The whole grid in cubes of one edge, cut off where it ends.
fn tiles(grid: &Grid, edge_mm: f64) -> Vec<Cube> {
    let spacing = grid.spacing_mm();
    let along = |axis: usize| -> Vec<Range<usize>> {
        let (n, edge) = (grid.shape[axis], ((edge_mm / spacing[axis]).round() as usize).max(1));
        (0..n).step_by(edge).map(|start| start..(start + edge).min(n)).collect()
    };
    let (columns, rows, slices) = (along(0), along(1), along(2));
    let mut tiles = Vec::new();
    for k in &slices {
        for j in &rows {
            tiles.extend(columns.iter().map(|i| [i.clone(), j.clone(), k.clone()]));
        }
    }
    tiles
}

/// Where the patient is, lungs included: between the outermost tissue of both the row and the column, slice by slice.
fn patient(stack: &Volume, tissue: f32) -> Vec<bool> {
    let [ni, nj, nk] = stack.grid.shape;
    let mut inside = vec![false; stack.grid.len()];
    for k in 0..nk {
        let is_tissue = |i: usize, j: usize| stack.voxels.at(i + ni * (j + nj * k)) >= tissue;
        let span = |mut along: Box<dyn DoubleEndedIterator<Item = bool>>, n: usize| {
            let first = along.position(|is| is).unwrap_or(n);
            let end = along.rev().position(|is| is).map_or(first + 1, |from_end| n - from_end);
            first..end.min(n)
        };
        let in_rows: Vec<_> = (0..nj).map(|j| span(Box::new((0..ni).map(move |i| is_tissue(i, j))), ni)).collect();
        let in_columns: Vec<_> = (0..ni).map(|i| span(Box::new((0..nj).map(move |j| is_tissue(i, j))), nj)).collect();
        for j in 0..nj {
            for i in in_rows[j].clone() {
                inside[i + ni * (j + nj * k)] = in_columns[i].contains(&j);
            }
        }
    }
    inside
}

/// The runs of memory that a cube has.
fn rows(cube: &Cube, grid: &Grid) -> impl Iterator<Item = Range<usize>> {
    let [ni, nj, _] = grid.shape;
    let [columns, rows, slices] = cube.clone();
    slices.flat_map(move |k| {
        let columns = columns.clone();
        rows.clone().map(move |j| ni * (j + nj * k) + columns.start..ni * (j + nj * k) + columns.end)
    })
}

fn logits(classifier: &Classifier, stack: &Tensor, monitor: &Monitor) -> Result<Vec<f32>, Error> {
    let logits = classifier.plan(stack.dims())?.forward(std::slice::from_ref(stack), &|_, _| monitor.check())?;
    finite(logits[0].to_dtype(DType::F32)?.flatten_all()?.to_vec1()?, "a logit")
}

/// Voxels to `[slices, 1, height, width]`.
fn tensor(voxels: Vec<f32>, grid: &Grid) -> Result<Tensor, Error> {
    let [width, height, slices] = grid.shape;
    Ok(Tensor::from_vec(voxels, (slices, 1, height, width), &Device::Cpu)?)
}

fn sizes(tensor: &Tensor) -> Result<Vec<f32>, Error> {
    finite(tensor.abs()?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?, "a gradient")
}

fn finite(values: Vec<f32>, what: &str) -> Result<Vec<f32>, Error> {
    if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(Error::NotFinite(what.to_owned())) }
}
