//! What is moved: one number for a whole stack, and its gradient there.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use candle_nn::ops::sigmoid;
use serde::{Deserialize, Serialize};

use super::Error;
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

/// The score of slab slices `[slab, 1, h, w]` while all other slices stand still.
pub type SlabScore<'a> = Box<dyn Fn(&Tensor, &Monitor) -> Result<Scored, Error> + 'a>;

/// A number for a stack `[slices, 1, h, w]`, differentiable in it.
pub trait Objective: Send + Sync {
    /// What kind of number the score is.
    fn kind(&self) -> ScoreKind {
        ScoreKind::Number
    }

    fn score(&self, stack: &Tensor, monitor: &Monitor) -> Result<Scored, Error>;

    /// The score and its exact gradient `[slices, 1, h, w]`. `slab` is all that will be asked of it:
    /// an objective may leave the gradient of other slices at zero.
    fn gradient(
        &self,
        stack: &Tensor,
        slab: std::ops::Range<usize>,
        monitor: &Monitor,
    ) -> Result<(Scored, Tensor), Error>;

    /// A scorer that does the work of the slices outside `slab` once.
    fn around<'a>(
        &'a self,
        stack: &Tensor,
        slab: std::ops::Range<usize>,
        monitor: &Monitor,
    ) -> Result<SlabScore<'a>, Error>;
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

    fn gradient(
        &self,
        stack: &Tensor,
        _slab: std::ops::Range<usize>,
        monitor: &Monitor,
    ) -> Result<(Scored, Tensor), Error> {
        let (logits, tape) = self
            .classifier
            .plan(stack.dims())?
            .fitted()?
            .record(std::slice::from_ref(stack), &|_, _| monitor.check())?;
        let step = |done, of| monitor.step("gradient of the classifier", done, of);
        let gradient = tape.into_vjp(&[self.cotangent(&logits[0])?], &step)?.remove(0);
        Ok((self.scored(&logits[0])?, gradient))
    }

    fn around<'a>(&'a self, stack: &Tensor, slab: std::ops::Range<usize>, _: &Monitor) -> Result<SlabScore<'a>, Error> {
        let around = self.classifier.plan(stack.dims())?.around(stack, slab)?;
        Ok(Box::new(move |slices, monitor| {
            let logits = around.forward(slices, &|_, _| monitor.check())?;
            self.scored(&logits[0])
        }))
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

    fn gradient(
        &self,
        stack: &Tensor,
        slab: std::ops::Range<usize>,
        monitor: &Monitor,
    ) -> Result<(Scored, Tensor), Error> {
        let (slices, check) = (stack.dim(0)?, |_, _| monitor.check());
        let (mut total, mut pixels) = (0.0, 0);
        let mut gradients = Vec::with_capacity(slices);
        for i in 0..slices {
            monitor.step("gradient of the segmenter", i, slices)?;
            let slice = stack.narrow(0, i, 1)?.contiguous()?;
            let plan = self.segmenter.plan(slice.dims())?;
            let (sum, count) = if slab.contains(&i) {
                let (outputs, tape) = plan.fitted()?.record(&[slice], &check)?;
                gradients.extend(tape.into_vjp(&[Self::cotangent(&outputs[0])?], &check)?);
                Self::sum(&outputs[0])?
            } else {
                gradients.push(slice.zeros_like()?);
                Self::sum(&plan.forward(&[slice], &check)?[0])?
            };
            total += sum;
            pixels += count;
        }
        let gradient = (Tensor::cat(&gradients, 0)? * (-1.0 / pixels as f64))?;
        Ok((Scored::from(1.0 - total / pixels as f64), gradient))
    }

    fn around<'a>(
        &'a self,
        stack: &Tensor,
        slab: std::ops::Range<usize>,
        monitor: &Monitor,
    ) -> Result<SlabScore<'a>, Error> {
        let (below, n_below) = self.total(&stack.narrow(0, 0, slab.start)?, monitor)?;
        let (above, n_above) = self.total(&stack.narrow(0, slab.end, stack.dim(0)? - slab.end)?, monitor)?;
        Ok(Box::new(move |slices, monitor| {
            let (sum, count) = self.total(slices, monitor)?;
            Ok(Scored::from(1.0 - (below + sum + above) / (n_below + count + n_above) as f64))
        }))
    }
}

fn scalar(tensor: &Tensor) -> Result<f64, Error> {
    let value = tensor.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    if value.is_finite() { Ok(value) } else { Err(Error::NotFinite("the score".to_owned())) }
}
