//! Where the latents of each lambda lie: on a straight line, or on one of straight pieces between nodes.

use candle_core::{DType, Tensor};

use super::Error;
use super::direction::Coherence;
use super::piecewise::Uphill;
use super::search::Ahead;

/// How much of the last direction is kept at a turn, both being of length 1: it smooths the zigzag of a narrow valley,
/// as the heavy ball of Polyak (1964) does.
const MOMENTUM: f64 = 0.5;

/// A path through the latents of the slab, by lambda. Beyond its last node it goes straight on, and so it does on the other side
/// of lambda 0, as the first node points.
pub(super) struct Path {
    /// The nodes from lambda 0 outwards, to one side; never empty.
    nodes: Vec<Node>,
    coherence: Coherence,
    /// The standard deviation of each latent, where lambda counts these: the path then lies in u = latents / deviations, and what is a
    /// direction or a slope below is one of u.
    deviations: Option<Tensor>,
}

struct Node {
    lambda: f64,
    /// `[slab, channels, h, w]`
    latents: Tensor,
    /// Uphill, d latents / d lambda; or d u / d lambda, of length 1.
    direction: Tensor,
    /// d score / d lambda.
    slope: f64,
}

impl Path {
    /// The straight line along the gradient itself, as published: lambda counts gradients. Or, where deviations s are given, along the
    /// gradient g of the score in u, which is s g: latents(lambda) = latents + lambda s d with d = s g / |s g|. Lambda then counts
    /// standard deviations of the posterior along this line, as Mahalanobis's distance does.
    pub(super) fn straight(
        latents: Tensor,
        gradient: &Tensor,
        deviations: Option<Tensor>,
        spacing_mm: f64,
    ) -> Result<Self, Error> {
        let (direction, slope, coherence) = match &deviations {
            None => (gradient.clone(), dot(gradient, gradient)?, Coherence::of(&latents, spacing_mm)?),
            Some(deviations) => {
                let gradient = (gradient * deviations)?;
                let direction = unit(&gradient)?;
                let slope = dot(&gradient, &direction)?;
                (direction, slope, Coherence::of(&(&latents / deviations)?, spacing_mm)?)
            }
        };
        Ok(Self { nodes: vec![Node { lambda: 0.0, latents, direction, slope }], coherence, deviations })
    }

    /// From a step in u to one in latents, and from a gradient in latents to one in u.
    fn stretched(&self, tensor: &Tensor) -> Result<Tensor, Error> {
        Ok(match &self.deviations {
            None => tensor.clone(),
            Some(deviations) => (tensor * deviations)?,
        })
    }

    /// The latents at `lambda`.
    pub(super) fn at(&self, lambda: f64) -> Result<Tensor, Error> {
        let on_the_way = |node: &&Node| node.lambda.abs() <= lambda.abs() && node.lambda * lambda >= 0.0;
        let before = self.nodes.iter().rfind(on_the_way);
        let node = before.unwrap_or(&self.nodes[0]);
        // The reference multiplies in f32: so do we, where lambda is exact.
        Ok((&node.latents + (self.stretched(&node.direction)? * (lambda - node.lambda))?)?)
    }

    /// How far the latents at `lambda` lie from those at 0, as a share of the length of these.
    pub(super) fn moved_share(&self, lambda: f64) -> Result<f64, Error> {
        let start = &self.nodes[0].latents;
        let way = (self.at(lambda)? - start)?;
        let whole = dot(start, start)?;
        Ok(if whole > 0.0 { (dot(&way, &way)? / whole).sqrt() } else { 0.0 })
    }

    /// Forgets the path from `lambda` on, and points it anew, by the gradient there. Lambda is a length from here on.
    pub(super) fn turn(&mut self, lambda: f64, gradient: &Tensor, uphill: Uphill) -> Result<(), Error> {
        let latents = self.at(lambda)?;
        let gradient = self.stretched(gradient)?;
        let uphill = match uphill {
            Uphill::Coherent => unit(&self.coherence.direction(&gradient)?)?,
            Uphill::Steepest => unit(&gradient)?,
        };
        self.nodes.retain(|node| node.lambda.abs() < lambda.abs());
        let direction = match self.nodes.last() {
            Some(last) => unit(&((&last.direction * MOMENTUM)? + &uphill)?)?,
            None => uphill,
        };
        let slope = dot(&gradient, &direction)?;
        self.nodes.push(Node { lambda, latents, direction, slope });
        Ok(())
    }

    /// What the last node tells of the way ahead.
    pub(super) fn ahead(&self) -> Result<Ahead, Error> {
        let Node { latents, direction, slope, .. } = &self.nodes[self.nodes.len() - 1];
        let step = self.stretched(direction)?;
        let whole = (dot(latents, latents)? / dot(&step, &step)?).sqrt();
        Ok(Ahead { slope: *slope, whole: if whole.is_normal() { whole } else { f64::INFINITY } })
    }
}

/// Products of f32 leave its range: they are f64.
pub(super) fn dot(a: &Tensor, b: &Tensor) -> Result<f64, Error> {
    Ok((a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?.to_scalar::<f64>()?)
}

/// Scales a tensor to length 1, in the type it came in.
pub(super) fn unit(tensor: &Tensor) -> Result<Tensor, Error> {
    let length = dot(tensor, tensor)?.sqrt();
    if !length.is_normal() {
        return Err(Error::NoGradient);
    }
    Ok((tensor.to_dtype(DType::F64)? / length)?.to_dtype(tensor.dtype())?)
}
