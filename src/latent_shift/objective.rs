//! What is moved: one number for a whole stack, and its gradient there.

use std::sync::Arc;

use candle_core::{DType, Tensor, Var};

use super::Error;
use crate::job::Monitor;
use crate::models::{self, Classifier, Segmenter};

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

/// The score of slab slices `[slab, 1, h, w]` while all other slices stand still.
pub type SlabScore<'a> = Box<dyn Fn(&Tensor, &Monitor) -> Result<Scored, Error> + 'a>;

/// A number for a stack `[slices, 1, h, w]`, differentiable in it.
pub trait Objective: Send + Sync {
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
    pub classifier: Arc<dyn Classifier>,
    /// `(label index, weight)`.
    pub terms: Vec<(usize, f64)>,
    pub offset: f64,
}

impl ClassScore {
    /// `[labels]` to a scalar.
    fn combine(&self, logits: &Tensor) -> candle_core::Result<Tensor> {
        let probabilities = candle_nn::ops::sigmoid(&logits.flatten_all()?)?;
        let mut sum = Tensor::full(self.offset as f32, (), logits.device())?.to_dtype(logits.dtype())?;
        for &(label, weight) in &self.terms {
            sum = (sum + (probabilities.get(label)? * weight)?)?;
        }
        Ok(sum)
    }

    fn scored(&self, logits: &Tensor) -> Result<Scored, Error> {
        let score = scalar(&self.combine(logits)?)?;
        let logits = logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        Ok(Scored { score, logits: logits.into() })
    }
}

impl Objective for ClassScore {
    fn score(&self, stack: &Tensor, monitor: &Monitor) -> Result<Scored, Error> {
        let check = || monitor.check().map_err(Error::from);
        let logits = models::forward(&self.classifier.stages(), stack, check)?;
        self.scored(&logits)
    }

    /// Forward through the stages, each leaving its trail, and back.
    fn gradient(
        &self,
        stack: &Tensor,
        _slab: std::ops::Range<usize>,
        monitor: &Monitor,
    ) -> Result<(Scored, Tensor), Error> {
        let stages = self.classifier.stages();
        let check = || monitor.check().map_err(Error::from);
        let (logits, mut trails) = models::trail(&stages, stack, check)?;
        let logits = Var::from_tensor(&logits)?;
        let mut cotangent = gradient_at(&self.combine(&logits)?, &logits)?;
        while let Some(pull_back) = trails.pop() {
            monitor.step("gradient of the classifier", stages.len() - 1 - trails.len(), stages.len())?;
            cotangent = pull_back(&cotangent)?;
        }
        Ok((self.scored(&logits)?, cotangent))
    }

    fn around<'a>(&'a self, stack: &Tensor, slab: std::ops::Range<usize>, _: &Monitor) -> Result<SlabScore<'a>, Error> {
        let before = stack.narrow(0, 0, slab.start)?;
        let after = stack.narrow(0, slab.end, stack.dim(0)? - slab.end)?;
        Ok(Box::new(move |slices, monitor| {
            // candle's `cat` refuses empty tensors of some layouts: name only the parts that exist.
            let parts: Vec<&Tensor> =
                [&before, slices, &after].into_iter().filter(|part| part.elem_count() > 0).collect();
            self.score(&Tensor::cat(&parts, 0)?, monitor)
        }))
    }
}

/// The lung protocol: 1 - mean of the segmenter's p/(1+p) over its first channel, "No Lung". Lower is less lung.
/// p/(1+p) is what the reference's sigmoid of a log-softmax amounts to.
pub struct LungSize {
    pub segmenter: Arc<dyn Segmenter>,
}

impl LungSize {
    /// The sum over the slice, and over how many pixels, from log-probabilities `[1, classes, h, w]`.
    fn sum(log_probabilities: &Tensor) -> candle_core::Result<(Tensor, usize)> {
        let none = log_probabilities.narrow(1, 0, 1)?;
        Ok((candle_nn::ops::sigmoid(&none)?.to_dtype(DType::F64)?.sum_all()?, none.elem_count()))
    }

    /// Sum and count over all slices of a stack, a slice at a time: each costs the memory of one.
    fn total(&self, stack: &Tensor, monitor: &Monitor) -> Result<(f64, usize), Error> {
        let mut total = (0.0, 0);
        for i in 0..stack.dim(0)? {
            monitor.check()?;
            let (sum, count) = Self::sum(&self.segmenter.log_probabilities(&stack.narrow(0, i, 1)?)?)?;
            total = (total.0 + scalar(&sum)?, total.1 + count);
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
        let slices = stack.dim(0)?;
        let (mut total, mut pixels) = (0.0, 0);
        let mut gradients = Vec::with_capacity(slices);
        for i in 0..slices {
            monitor.step("gradient of the segmenter", i, slices)?;
            let slice = stack.narrow(0, i, 1)?;
            let (sum, count) = if slab.contains(&i) {
                let (output, pull_back) = self.segmenter.trail(&slice.contiguous()?)?;
                let output = Var::from_tensor(&output)?;
                let (sum, count) = Self::sum(&output)?;
                gradients.push(pull_back(&gradient_at(&sum, &output)?)?);
                (sum, count)
            } else {
                gradients.push(slice.zeros_like()?);
                Self::sum(&self.segmenter.log_probabilities(&slice)?)?
            };
            total += scalar(&sum)?;
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
        let (before, n_before) = self.total(&stack.narrow(0, 0, slab.start)?, monitor)?;
        let (after, n_after) = self.total(&stack.narrow(0, slab.end, stack.dim(0)? - slab.end)?, monitor)?;
        Ok(Box::new(move |slices, monitor| {
            let (sum, count) = self.total(slices, monitor)?;
            Ok(Scored::from(1.0 - (before + sum + after) / (n_before + count + n_after) as f64))
        }))
    }
}

/// d `value` / d `input`, without the graph that made it.
pub(super) fn gradient_at(value: &Tensor, input: &Var) -> Result<Tensor, Error> {
    let mut gradients = value.backward()?;
    Ok(gradients.remove(input).ok_or(Error::NoGradient)?.detach())
}

fn scalar(tensor: &Tensor) -> Result<f64, Error> {
    let value = tensor.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    if value.is_finite() { Ok(value) } else { Err(Error::NotFinite("the score".to_owned())) }
}
