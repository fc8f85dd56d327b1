//! Where the latents of each lambda lie: on a straight line, or on one that bends at nodes.

use candle_core::{DType, Tensor};

use super::Error;
use super::search::Ahead;

/// How much of the last direction is kept at a turn, both being of length 1: it smooths the zigzag of a narrow valley,
/// as the heavy ball of Polyak (1964) does.
const MOMENTUM: f64 = 0.5;

/// A path through the latents of the slab, by lambda. Beyond its last node it goes straight on.
pub(super) struct Path {
    /// From lambda 0 outwards, to one side; never empty.
    nodes: Vec<Node>,
}

struct Node {
    lambda: f64,
    /// `[slab, channels, h, w]`
    latents: Tensor,
    /// Uphill, d latents / d lambda.
    direction: Tensor,
    /// d score / d lambda.
    slope: f64,
}

impl Path {
    /// The straight line along the gradient itself, as published: lambda counts gradients.
    pub(super) fn straight(latents: Tensor, gradient: Tensor) -> Result<Self, Error> {
        let slope = dot(&gradient, &gradient)?;
        Ok(Self { nodes: vec![Node { lambda: 0.0, latents, direction: gradient, slope }] })
    }

    /// The latents at `lambda`.
    pub(super) fn at(&self, lambda: f64) -> Result<Tensor, Error> {
        let before = self.nodes.iter().rfind(|node| node.lambda.abs() <= lambda.abs());
        let node = before.unwrap_or(&self.nodes[0]);
        // The reference multiplies in f32: so do we, where lambda is exact.
        Ok((&node.latents + (&node.direction * (lambda - node.lambda))?)?)
    }

    /// Forgets the path from `lambda` on, and points it along the gradient there. Lambda is a length from here on.
    pub(super) fn turn(&mut self, lambda: f64, gradient: &Tensor) -> Result<(), Error> {
        let latents = self.at(lambda)?;
        let uphill = unit(&focused(gradient)?)?;
        self.nodes.retain(|node| node.lambda.abs() < lambda.abs());
        let direction = match self.nodes.last() {
            Some(last) => unit(&((&last.direction * MOMENTUM)? + &uphill)?)?,
            None => uphill,
        };
        let slope = dot(gradient, &direction)?;
        self.nodes.push(Node { lambda, latents, direction, slope });
        Ok(())
    }

    /// What the last node tells of the way ahead.
    pub(super) fn ahead(&self) -> Result<Ahead, Error> {
        let Node { latents, direction, slope, .. } = &self.nodes[self.nodes.len() - 1];
        let whole = (dot(latents, latents)? / dot(direction, direction)?).sqrt();
        Ok(Ahead { slope: *slope, whole: if whole.is_normal() { whole } else { f64::INFINITY } })
    }
}

/// A gradient `[slab, channels, h, w]` with each token weighted by its own length, as a share of the longest: a step between
/// the steepest one where all tokens may move alike and the one that moves a single token. On phantoms whose truth is known it
/// changes more of the finding, and less of the edges of everything else, than the gradient itself.
fn focused(gradient: &Tensor) -> Result<Tensor, Error> {
    let lengths = gradient.to_dtype(DType::F64)?.sqr()?.sum_keepdim(1)?.sqrt()?;
    let longest = lengths.flatten_all()?.max(0)?.to_scalar::<f64>()?;
    if !longest.is_normal() {
        return Err(Error::NoGradient);
    }
    Ok(gradient.to_dtype(DType::F64)?.broadcast_mul(&(lengths / longest)?)?.to_dtype(gradient.dtype())?)
}

/// Products of f32 leave its range: they are f64.
fn dot(a: &Tensor, b: &Tensor) -> Result<f64, Error> {
    Ok((a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?.to_scalar::<f64>()?)
}

/// Of length 1, in the type it came in.
fn unit(tensor: &Tensor) -> Result<Tensor, Error> {
    let length = dot(tensor, tensor)?.sqrt();
    if !length.is_normal() {
        return Err(Error::NoGradient);
    }
    Ok((tensor.to_dtype(DType::F64)? / length)?.to_dtype(tensor.dtype())?)
}
