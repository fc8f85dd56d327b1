//! The score of a network without a head: how alike its embeddings of two scans are.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::Error;
use super::objective::{Objective, ScoreKind, Scored, SlabScore};
use crate::graph::Around;
use crate::job::Monitor;
use crate::models::Embedder;

/// The cosine of the angle between the embedding e of a stack and one that is known, r: e r / (|e| |r|), computed in f64.
pub struct Toward {
    embedder: Arc<Embedder>,
    /// r / |r|
    direction: Vec<f64>,
}

impl Toward {
    /// `embedding` is that of the other scan.
    ///
    /// # Errors
    /// Where it has no length, or holds what is no number.
    pub fn new(embedder: Arc<Embedder>, embedding: &[f64]) -> Result<Self, Error> {
        let length = length(embedding, "the scan that it is compared with")?;
        Ok(Self { embedder, direction: embedding.iter().map(|x| x / length).collect() })
    }

    /// The cosine, and its gradient in the embedding: (r / |r| - cosine e / |e|) / |e|.
    fn of(&self, embedding: &Tensor) -> Result<(f64, Vec<f64>), Error> {
        let numbers: Vec<f64> = embedding.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        if numbers.len() != self.direction.len() {
            return Err(Error::Lengths { this: numbers.len(), other: self.direction.len() });
        }
        let length = length(&numbers, "this scan")?;
        let cosine = numbers.iter().zip(&self.direction).map(|(e, r)| e / length * r).sum::<f64>().clamp(-1.0, 1.0);
        let gradient = numbers.iter().zip(&self.direction).map(|(e, r)| (r - cosine * (e / length)) / length).collect();
        Ok((cosine, gradient))
    }

    fn scored(&self, embedding: &Tensor) -> Result<Scored, Error> {
        Ok(Scored::from(self.of(embedding)?.0))
    }
}

impl Objective for Toward {
    fn kind(&self) -> ScoreKind {
        ScoreKind::Cosine
    }

    fn score(&self, stack: &Tensor, monitor: &Monitor) -> Result<Scored, Error> {
        let embedding =
            self.embedder.plan(stack.dims())?.forward(std::slice::from_ref(stack), &|_, _| monitor.check())?;
        self.scored(&embedding[0])
    }

    fn around<'a>(&'a self, stack: &Tensor, slab: Range<usize>, _: &Monitor) -> Result<Box<dyn SlabScore + 'a>, Error> {
        let around = self.embedder.plan(stack.dims())?.fitted()?.around(stack, slab)?;
        Ok(Box::new(TowardOfSlab { score: self, around }))
    }
}

struct TowardOfSlab<'a> {
    score: &'a Toward,
    around: Around,
}

impl SlabScore for TowardOfSlab<'_> {
    fn score(&self, slices: &Tensor, monitor: &Monitor) -> Result<Scored, Error> {
        self.score.scored(&self.around.forward(slices, &|_, _| monitor.check())?[0])
    }

    fn gradient(&self, slices: &Tensor, monitor: &Monitor) -> Result<(Scored, Tensor), Error> {
        let (embedding, tape) = self.around.record(slices, &|_, _| monitor.check())?;
        let (cosine, slope) = self.score.of(&embedding[0])?;
        let slope = Tensor::from_vec(slope, embedding[0].dims(), embedding[0].device())?;
        let step = |done, of| monitor.step("gradient of the embedder", done, of);
        let gradient = tape.into_vjp(&[slope.to_dtype(embedding[0].dtype())?], &step)?;
        Ok((Scored::from(cosine), gradient))
    }
}

/// The length of an embedding, which must have one.
fn length(embedding: &[f64], of: &'static str) -> Result<f64, Error> {
    // The squares of f64 may leave its range where the numbers do not.
    let largest = embedding.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    if !embedding.iter().all(|x| x.is_finite()) {
        return Err(Error::NotFinite(format!("the embedding of {of}")));
    }
    if !largest.is_normal() {
        return Err(Error::NoDirection(of));
    }
    let squares: f64 = embedding.iter().map(|x| (x / largest).powi(2)).sum();
    let length = largest * squares.sqrt();
    if length.is_finite() { Ok(length) } else { Err(Error::NotFinite(format!("the length of the embedding of {of}"))) }
}
