//! What is moved: one number for a whole stack, and its gradient there.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use candle_nn::ops::sigmoid;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::graph::Around;
use crate::job::Monitor;
use crate::models::{Classifier, Probabilities, Segmenter};

/// What is said of one stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub score: f64,
    /// Every logit of the classifier behind the score, by label; none where no classifier is.
    pub logits: Arc<[f32]>,
}

impl From<f64> for Scored {
    fn from(score: f64) -> Self {
        Self { score, logits: [].into() }
    }
}

/// What kind of number a score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreKind {
    /// A probability, or a weighted sum of several.
    #[default]
    Probability,
    /// Any number: a regression's, or the share of a volume.
    Number,
    /// The cosine of an angle between two embeddings, `-1..=1`.
    Cosine,
}

impl ScoreKind {
    /// For the axes of curves.
    pub fn axis(self) -> &'static str {
        match self {
            Self::Probability | Self::Number => "score",
            Self::Cosine => "cosine similarity",
        }
    }
}

/// A number for a stack `[slices, 1, h, w]`.
pub trait Objective: Send + Sync {
    /// What kind of number the score is.
    fn kind(&self) -> ScoreKind {
        ScoreKind::Number
    }

    fn score(&self, stack: &Tensor, monitor: &Monitor) -> Result<Scored, Error>;

    /// The score where the slices of `slab` alone change: the work outside them is done once.
    fn around<'a>(
        &'a self,
        stack: &Tensor,
        slab: Range<usize>,
        monitor: &Monitor,
    ) -> Result<Box<dyn SlabScore + 'a>, Error>;
}

/// A number for the slices of a slab, `[slab, 1, h, w]`, while all others stand still, differentiable in them.
pub trait SlabScore {
    fn score(&self, slices: &Tensor, monitor: &Monitor) -> Result<Scored, Error>;

    /// The score and its exact gradient, `[slab, 1, h, w]`.
    fn gradient(&self, slices: &Tensor, monitor: &Monitor) -> Result<(Scored, Tensor), Error>;
}

/// A weighted sum of class probabilities, plus an offset: the reference's `ModelWrapper` with its `adjustment`.
pub struct ClassScore {
    pub classifier: Arc<Classifier>,
    /// `(label index, weight)`.
    pub terms: Vec<(usize, f64)>,
    pub offset: f64,
}

impl ClassScore {
    fn scored(&self, logits: &Tensor) -> Result<Scored, Error> {
        let probabilities = self.classifier.probabilities().of(logits)?.flatten_all()?;
        let mut sum = Tensor::full(self.offset as f32, (), logits.device())?.to_dtype(logits.dtype())?;
        for &(label, weight) in &self.terms {
            sum = (sum + (probabilities.get(label)? * weight)?)?;
        }
        let logits = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        Ok(Scored { score: scalar(&sum)?, logits: logits.into() })
    }

    /// d score / d logits, `[1, labels]`.
    fn cotangent(&self, logits: &Tensor) -> Result<Tensor, Error> {
        let mut weights = vec![0.0; logits.elem_count()];
        for &(label, weight) in &self.terms {
            weights[label] += weight;
        }
        let weights = Tensor::from_vec(weights, logits.dims(), logits.device())?.to_dtype(logits.dtype())?;
        Ok(self.classifier.probabilities().vjp(logits, &weights)?)
    }
}

impl Objective for ClassScore {
    fn kind(&self) -> ScoreKind {
        match self.classifier.probabilities() {
            Probabilities::Sigmoid | Probabilities::Softmax => ScoreKind::Probability,
            Probabilities::None => ScoreKind::Number,
        }
    }

    fn score(&self, stack: &Tensor, monitor: &Monitor) -> Result<Scored, Error> {
        let logits =
            self.classifier.plan(stack.dims())?.forward(std::slice::from_ref(stack), &|_, _| monitor.check())?;
        self.scored(&logits[0])
    }

    fn around<'a>(&'a self, stack: &Tensor, slab: Range<usize>, _: &Monitor) -> Result<Box<dyn SlabScore + 'a>, Error> {
        let around = self.classifier.plan(stack.dims())?.fitted()?.around(stack, slab)?;
        Ok(Box::new(ClassOfSlab { score: self, around }))
    }
}

struct ClassOfSlab<'a> {
    score: &'a ClassScore,
    around: Around,
}

impl SlabScore for ClassOfSlab<'_> {
    fn score(&self, slices: &Tensor, monitor: &Monitor) -> Result<Scored, Error> {
        let logits = self.around.forward(slices, &|_, _| monitor.check())?;
        self.score.scored(&logits[0])
    }

    fn gradient(&self, slices: &Tensor, monitor: &Monitor) -> Result<(Scored, Tensor), Error> {
        let (logits, tape) = self.around.record(slices, &|_, _| monitor.check())?;
        let step = |done, of| monitor.step("gradient of the classifier", done, of);
        let gradient = tape.into_vjp(&[self.score.cotangent(&logits[0])?], &step)?;
        Ok((self.score.scored(&logits[0])?, gradient))
    }
}

/// The lung protocol: 1 - mean of the segmenter's p/(1+p) over its first channel, "No Lung". Lower is less lung.
/// p/(1+p) is what the reference's sigmoid of a log-softmax amounts to.
pub struct LungSize {
    pub segmenter: Arc<Segmenter>,
}

impl LungSize {
    /// The sum over the slice, and over how many pixels, from log-probabilities `[1, classes, h, w]`.
    fn sum(log_probabilities: &Tensor) -> Result<(f64, usize), Error> {
        let none = sigmoid(&log_probabilities.narrow(1, 0, 1)?)?;
        Ok((scalar(&none.to_dtype(DType::F64)?.sum_all()?)?, none.elem_count()))
    }

    /// d sum / d log-probabilities.
    fn cotangent(log_probabilities: &Tensor) -> Result<Tensor, Error> {
        let none = sigmoid(&log_probabilities.narrow(1, 0, 1)?)?;
        let slope = (&none * none.affine(-1.0, 1.0)?)?;
        Ok(slope.pad_with_zeros(1, 0, log_probabilities.dim(1)? - 1)?)
    }

    /// Sum and count over all slices of a stack, a slice at a time: each costs the memory of one.
    fn total(&self, stack: &Tensor, monitor: &Monitor) -> Result<(f64, usize), Error> {
        let mut total = (0.0, 0);
        for i in 0..stack.dim(0)? {
            let slice = stack.narrow(0, i, 1)?.contiguous()?;
            let plan = self.segmenter.plan(slice.dims())?;
            let (sum, count) = Self::sum(&plan.forward(&[slice], &|_, _| monitor.check())?[0])?;
            total = (total.0 + sum, total.1 + count);
        }
        Ok(total)
    }
}

impl Objective for LungSize {
    fn score(&self, stack: &Tensor, monitor: &Monitor) -> Result<Scored, Error> {
        let (sum, count) = self.total(stack, monitor)?;
        Ok(Scored::from(1.0 - sum / count as f64))
    }

    fn around<'a>(
        &'a self,
        stack: &Tensor,
        slab: Range<usize>,
        monitor: &Monitor,
    ) -> Result<Box<dyn SlabScore + 'a>, Error> {
        let below = self.total(&stack.narrow(0, 0, slab.start)?, monitor)?;
        let above = self.total(&stack.narrow(0, slab.end, stack.dim(0)? - slab.end)?, monitor)?;
        Ok(Box::new(LungsOfSlab { size: self, sum: below.0 + above.0, pixels: below.1 + above.1 }))
    }
}

struct LungsOfSlab<'a> {
    size: &'a LungSize,
    /// That of the slices outside the slab.
    sum: f64,
    pixels: usize,
}

impl LungsOfSlab<'_> {
    /// The score, where the slab has that sum over so many pixels.
    fn with(&self, (sum, pixels): (f64, usize)) -> Scored {
        Scored::from(1.0 - (self.sum + sum) / (self.pixels + pixels) as f64)
    }
}

impl SlabScore for LungsOfSlab<'_> {
    fn score(&self, slices: &Tensor, monitor: &Monitor) -> Result<Scored, Error> {
        Ok(self.with(self.size.total(slices, monitor)?))
    }

    fn gradient(&self, slices: &Tensor, monitor: &Monitor) -> Result<(Scored, Tensor), Error> {
        let (count, check) = (slices.dim(0)?, |_, _| monitor.check());
        let mut total = (0.0, 0);
        let mut gradients = Vec::with_capacity(count);
        for i in 0..count {
            monitor.step("gradient of the segmenter", i, count)?;
            let slice = slices.narrow(0, i, 1)?.contiguous()?;
            let (outputs, tape) = self.size.segmenter.plan(slice.dims())?.fitted()?.record(&[slice], &check)?;
            gradients.extend(tape.into_vjp(&[LungSize::cotangent(&outputs[0])?], &check)?);
            let (sum, pixels) = LungSize::sum(&outputs[0])?;
            total = (total.0 + sum, total.1 + pixels);
        }
        let pixels = self.pixels + total.1;
        Ok((self.with(total), (Tensor::cat(&gradients, 0)? * (-1.0 / pixels as f64))?))
    }
}

fn scalar(tensor: &Tensor) -> Result<f64, Error> {
    let value = tensor.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    if value.is_finite() { Ok(value) } else { Err(Error::NotFinite("the score".to_owned())) }
}
