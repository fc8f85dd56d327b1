//! Networks in the files of other programs, for `parallax info` and `parallax check`: what they take, and whether their numbers are
//! those that were recorded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};
use candle_core::{DType, Device, Tensor};

use super::BadInput;
use crate::exchange::{Model, Size};
use crate::files;
use crate::graph::{self, Plan};
use crate::job::Monitor;
use crate::models::{self, Card, Network, NetworkKind};
use crate::nn::device;
use crate::weights;

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
    /// Both gaps; infinite where a number is none.
    pub fn gaps(&self) -> [f64; 2] {
        [self.output_relative, self.gradient_relative].map(|gap| if gap.is_nan() { f64::INFINITY } else { gap })
    }

    /// The larger gap.
    pub fn worst(&self) -> f64 {
        let [answer, gradient] = self.gaps();
        answer.max(gradient)
    }
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
    let beside = models::self_check(path);
    if beside.is_file() {
        return Ok(beside);
    }
    let why =
        format!("{} has no self-check: there is no {}; name one with --against", path.display(), beside.display());
    Err(BadInput::mark(anyhow!(why)))
}

/// The files of networks that a path stands for: itself, or those that a model card or a bundle names.
///
/// # Errors
/// Where a card names a checkpoint, whose operations are Parallax's own, where no run could begin with it, or where a path is no network.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    let is_card = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) || models::is_bundle(path);
    if !is_card {
        return Ok(vec![path.to_owned()]);
    }
    let card = Card::open(path).map_err(BadInput::mark)?;
    if let NetworkKind::Built(_) = card.kind {
        return Err(BadInput::mark(anyhow!(
            "this card is of {}, whose operations are Parallax's own: there are no recorded answers to compare; give the card of an \
             .onnx or .pt2 file, or such a file: {}",
            card.kind,
            path.display()
        )));
    }
    // What a run would refuse of a card is refused here too, in the same words.
    Network::load(&card, device::chosen()).map_err(BadInput::mark)?;
    Ok([Some(card.weights), card.file.decoder].into_iter().flatten().collect())
}

/// Compares a network with what was recorded of it: "x", "y" (its first output), "cotangent", and "gradient" of sum(y cotangent) by x.
/// Computes in f32 by the program's own kernels, but for Winograd's transform: where a ReLU stands within its rounding of 0, the gradient
/// would tell of that.
pub fn compare(path: &Path, against: Option<&Path>, monitor: &Monitor) -> Result<Comparison> {
    let model = open(path)?;
    let against = against.map_or_else(|| beside(path), |against| Ok(against.to_owned()))?;
    let recorded = models::open_self_check(&against).map_err(BadInput::mark)?;
    let get = |name: &str| -> Result<Tensor> {
        let Some(shape) = recorded.shape(name).map(<[usize]>::to_vec) else {
            let why =
                "a self-check holds \"x\", \"y\", \"cotangent\" and \"gradient\", as assets/export.py writes them";
            return Err(BadInput::mark(anyhow!("{} holds no {name:?}; {why}", against.display())));
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

/// Whether a network answers as where it was exported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SelfCheck {
    /// Its operations are Parallax's own.
    NotNeeded,
    /// No one recorded what it answers.
    Missing,
    /// The largest gaps of its answer and of its gradient, each of the largest number that was recorded.
    Gaps([f64; 2]),
    /// Those of its first output, where a card names another.
    OfFirstOutput([f64; 2]),
}

impl SelfCheck {
    /// The gap of the answer, where one was recorded.
    pub fn gap(self) -> Option<f64> {
        self.gaps().map(|[answer, _]| answer)
    }

    fn gaps(self) -> Option<[f64; 2]> {
        match self {
            Self::Gaps(gaps) | Self::OfFirstOutput(gaps) => Some(gaps),
            Self::NotNeeded | Self::Missing => None,
        }
    }

    /// Whether it is not the network that was exported.
    pub fn failed(self) -> bool {
        self.gaps().is_some_and(|[answer, gradient]| answer > MOST_OF_ANSWER || gradient > MOST_OF_GRADIENT)
    }

    /// What it comes to, in words; nothing where none are needed.
    pub fn words(self) -> Option<String> {
        match self {
            Self::NotNeeded => None,
            Self::Missing => Some("no self-check lies beside it: no one has compared its answers".to_owned()),
            Self::Gaps([answer, gradient]) | Self::OfFirstOutput([answer, gradient]) if self.failed() => Some(format!(
                "it is not what was exported: its answer is off by {answer:.0e} of the largest, its gradient by {gradient:.0e}"
            )),
            Self::Gaps([answer, gradient]) => Some(format!(
                "same as where it was exported: its answer to {answer:.0e}, its gradient to {gradient:.0e}"
            )),
            Self::OfFirstOutput([answer, gradient]) => Some(format!(
                "its first output is the same as where it was exported, to {answer:.0e}, its gradient to {gradient:.0e}; the output that \
                 its card names was not compared"
            )),
        }
    }
}

/// Beyond this gap of its answer a network that is loaded is not the one that was exported: f32 sums of deep networks err less, and a wrong
/// operation errs far more.
const MOST_OF_ANSWER: f64 = 1e-3;
/// That of its gradient: where a ReLU stands within rounding of 0, f32 and f64 differ by a few hundredths of the largest, in PyTorch as
/// here.
const MOST_OF_GRADIENT: f64 = 0.2;

/// Gaps that were found, by the SHA-256 of a network and the file that recorded its answers.
static KNOWN: Mutex<BTreeMap<(String, PathBuf), [f64; 2]>> = Mutex::new(BTreeMap::new());
static FAILED_ARE_ALLOWED: AtomicBool = AtomicBool::new(false);

/// From here on networks are loaded although their self-check fails, and scans are scored in which there is nothing to see. Every result
/// says how far off a network is.
pub fn allow_failed_checks() {
    FAILED_ARE_ALLOWED.store(true, Ordering::Relaxed);
}

/// Whether what fails a check is taken all the same.
pub(super) fn failed_are_allowed() -> bool {
    FAILED_ARE_ALLOWED.load(Ordering::Relaxed)
}

/// Repeats the self-checks that lie beside the files of a card, once for each file as it is.
pub(super) fn self_check(card: &Card, sha256: &str, monitor: &Monitor) -> Result<SelfCheck> {
    let NetworkKind::File(_) = card.kind else { return Ok(SelfCheck::NotNeeded) };
    let mut largest: Option<[f64; 2]> = None;
    for file in [Some(&card.weights), card.file.decoder.as_ref()].into_iter().flatten() {
        let recorded = models::self_check(file);
        if !recorded.is_file() {
            continue;
        }
        let key = (sha256.to_owned(), recorded.clone());
        if is_of_another(file, &recorded)? && !FAILED_ARE_ALLOWED.load(Ordering::Relaxed) {
            let why = format!(
                "{} is the self-check of another file; export the network again, or load it all the same with --despite-check: {}",
                recorded.display(),
                file.display()
            );
            return Err(BadInput::mark(anyhow!(why)));
        }
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        let gaps = match known {
            Some(gaps) => gaps,
            None => compare(file, Some(&recorded), monitor)?.gaps(),
        };
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(key, gaps);
        let check = SelfCheck::Gaps(gaps);
        if check.failed() && !failed_are_allowed() {
            let why = format!(
                "{} ({}); export it again, or load it all the same with --despite-check: {}",
                check.words().unwrap_or_default(),
                recorded.display(),
                file.display()
            );
            return Err(BadInput::mark(anyhow!(why)));
        }
        largest = Some(largest.map_or(gaps, |[a, b]| [a.max(gaps[0]), b.max(gaps[1])]));
    }
    Ok(match largest {
        Some(gaps) if names_another_output(card)? => SelfCheck::OfFirstOutput(gaps),
        Some(gaps) => SelfCheck::Gaps(gaps),
        None => SelfCheck::Missing,
    })
}

/// Whether a card names another output than the first, which self-checks are of; what the first one's activation takes is not another.
fn names_another_output(card: &Card) -> Result<bool> {
    let Some(named) = &card.file.output else { return Ok(false) };
    let model = open(&card.weights)?;
    let Some(first) = model.outputs().first() else { return Ok(true) };
    let before = model.ending(&first.name).map(|ending| ending.before);
    Ok(first.name != *named && before.as_ref() != Some(named))
}

/// Whether a self-check says the SHA-256 of another file than the network that it lies beside.
fn is_of_another(network: &Path, recorded: &Path) -> Result<bool> {
    let said = weights::safetensors_metadata(recorded).map_err(BadInput::mark)?;
    let Some(said) = said.get("sha256") else { return Ok(false) };
    let found = files::sha256(network).with_context(|| format!("cannot read {}", network.display()));
    Ok(*said != found.map_err(BadInput::mark)?)
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
