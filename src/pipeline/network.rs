//! Networks in the files of other programs, for `parallax info` and `parallax check`: what they take, and whether their numbers are
//! those that were recorded.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use candle_core::{DType, Device, Tensor};

use super::BadInput;
use crate::exchange::{Model, Size};
use crate::graph::{self, Plan};
use crate::job::Monitor;
use crate::nn::device;
use crate::weights::Checkpoint;

/// What a network does with inputs of a size.
#[derive(Debug, Clone)]
pub struct Cost {
    /// One for each input.
    pub shapes: Vec<Vec<usize>>,
    pub operations: usize,
    pub forward_bytes: u64,
    pub gradient_bytes: u64,
}

/// How far a network's numbers are from those that were recorded.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// The largest gap of the output, of the recorded output's largest number.
    pub output_relative: f64,
    /// That of the gradient.
    pub gradient_relative: f64,
    pub operations: usize,
}

impl Comparison {
    /// The larger gap; infinite where a number is none.
    pub fn worst(&self) -> f64 {
        let gaps = [self.output_relative, self.gradient_relative];
        gaps.into_iter().fold(0.0, |worst, gap| if gap.is_nan() { f64::INFINITY } else { gap.max(worst) })
    }
}

/// Whether a file is a network of another program, as its name says.
pub(super) fn is_network(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("onnx") || ext.eq_ignore_ascii_case("pt2"))
}

pub(super) fn open(path: &Path) -> Result<Model> {
    Model::open(path).map_err(BadInput::mark)
}

/// What the network costs for inputs of these shapes, or of those of the file where none are given; none where it leaves sides open.
pub fn cost(model: &Model, shapes: &[Vec<usize>]) -> Result<Option<Cost>> {
    let shapes = if shapes.is_empty() {
        let fixed = |size: &Size| match size {
            Size::Fixed(side) => Some(*side),
            Size::Open(_) => None,
        };
        let of_file: Option<Vec<Vec<usize>>> =
            model.inputs().iter().map(|input| input.sizes.as_ref()?.iter().map(fixed).collect()).collect();
        let Some(shapes) = of_file else { return Ok(None) };
        shapes
    } else {
        shapes.to_vec()
    };
    let sides: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    let graph = model.graph(&sides, &[], DType::F32, &Device::Cpu)?;
    let plan = Plan::new(&graph, &sides, DType::F32)?;
    let (forward_bytes, gradient_bytes) = (plan.forward_bytes(), plan.gradient_bytes());
    Ok(Some(Cost { operations: graph.operations(), forward_bytes, gradient_bytes, shapes }))
}

/// The self-check that an export wrote beside a network.
fn beside(path: &Path) -> Result<PathBuf> {
    let beside = path.with_extension("check.safetensors");
    if beside.is_file() {
        return Ok(beside);
    }
    let why =
        format!("{} has no self-check: there is no {}; name one with --against", path.display(), beside.display());
    Err(BadInput::mark(anyhow!(why)))
}

/// Compares a network with what was recorded of it: "x", "y" (its first output), "cotangent", and "gradient" of sum(y cotangent) by x.
/// Computes in f32 by the program's own kernels, but for Winograd's transform: where a ReLU stands within its rounding of 0, the gradient
/// would tell of that.
pub fn compare(path: &Path, against: Option<&Path>, monitor: &Monitor) -> Result<Comparison> {
    let model = open(path)?;
    let against = against.map_or_else(|| beside(path), |against| Ok(against.to_owned()))?;
    let recorded = Checkpoint::open(&against).map_err(BadInput::mark)?;
    let get = |name: &str| -> Result<Tensor> {
        let Some(shape) = recorded.shape(name).map(<[usize]>::to_vec) else {
            return Err(BadInput::mark(anyhow!("{} holds no {name:?}", against.display())));
        };
        recorded.builder(DType::F32).get(shape, name).map_err(BadInput::mark)
    };
    let (x, y, cotangent, gradient) = (get("x")?, get("y")?, get("cotangent")?, get("gradient")?);
    let first = model.outputs().first().map(|output| output.name.clone());
    let first = first.with_context(|| format!("{} gives no output", path.display())).map_err(BadInput::mark)?;
    let graph = model.graph(&[x.dims()], &[&first], DType::F32, &Device::Cpu).map_err(BadInput::mark)?;
    let plan = Plan::new(&graph, &[x.dims()], DType::F32).and_then(Plan::fitted).map_err(BadInput::mark)?;
    let [of_x, of_y] = [(gradient.dims(), x.dims()), (y.dims(), plan.outputs()[0])];
    if of_x.0 != of_x.1 || of_y.0 != of_y.1 || cotangent.dims() != y.dims() {
        let why = "its \"gradient\" must have the shape of \"x\", its \"y\" and \"cotangent\" that of the output";
        return Err(BadInput::mark(anyhow!("{}: {why} {:?}", against.display(), of_y.1)));
    }
    let (found, pulled) = device::carefully(|| {
        let (found, tape) = plan.record(&[x], &|done, all| monitor.step("forward", done, all))?;
        let pulled = tape.into_vjp(&[cotangent], &|done, all| monitor.step("gradient", done, all))?;
        Ok::<_, graph::Error>((found, pulled))
    })?;
    let (Some(found), Some(pulled)) = (found.first(), pulled.first()) else { return Err(anyhow!("no output")) };
    Ok(Comparison {
        output_relative: relative(found, &y)?,
        gradient_relative: relative(pulled, &gradient)?,
        operations: graph.operations(),
    })
}

/// The largest gap, of the largest number of the second; not a number where a number is none.
fn relative(found: &Tensor, recorded: &Tensor) -> Result<f64> {
    let numbers = |of: &Tensor| of.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (found, recorded) = (numbers(found)?, numbers(recorded)?);
    let largest = |sizes: &mut dyn Iterator<Item = f64>| {
        sizes.fold(0.0_f64, |most, size| if size.is_nan() || size > most { size } else { most })
    };
    let gap = largest(&mut found.iter().zip(&recorded).map(|(a, b)| (a - b).abs()));
    Ok(gap / largest(&mut recorded.iter().map(|number| number.abs())).max(f64::MIN_POSITIVE))
}
