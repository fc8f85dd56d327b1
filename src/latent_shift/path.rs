//! Where the latents of each lambda lie: on a straight line, or on one that bends at nodes.

use candle_core::{DType, Tensor};

use super::Error;
use super::bend::Uphill;
use super::search::Ahead;

/// How much of the last direction is kept at a turn, both being of length 1: it smooths the zigzag of a narrow valley,
/// as the heavy ball of Polyak (1964) does.
const MOMENTUM: f64 = 0.5;
/// How far along the patient a finding is thought to change as one, millimetres: the deviation of a Gaussian over the slices.
const COHERENCE_MM: f64 = 60.0;

/// A path through the latents of the slab, by lambda. Beyond its last node it goes straight on.
pub(super) struct Path {
    /// From lambda 0 outwards, to one side; never empty.
    nodes: Vec<Node>,
    /// Between slices.
    spacing_mm: f64,
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
    pub(super) fn straight(latents: Tensor, gradient: Tensor, spacing_mm: f64) -> Result<Self, Error> {
        let slope = dot(&gradient, &gradient)?;
        Ok(Self { nodes: vec![Node { lambda: 0.0, latents, direction: gradient, slope }], spacing_mm })
    }

    /// The latents at `lambda`.
    pub(super) fn at(&self, lambda: f64) -> Result<Tensor, Error> {
        let before = self.nodes.iter().rfind(|node| node.lambda.abs() <= lambda.abs());
        let node = before.unwrap_or(&self.nodes[0]);
        // The reference multiplies in f32: so do we, where lambda is exact.
        Ok((&node.latents + (&node.direction * (lambda - node.lambda))?)?)
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
        let uphill = match uphill {
            Uphill::Coherent => unit(&coherent(gradient, COHERENCE_MM / self.spacing_mm)?)?,
            Uphill::Steepest => unit(gradient)?,
        };
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

/// The way up that a finding would take, of a gradient `[slab, channels, h, w]`: smoothed over the slices, focused on the tokens
/// that matter, and smoothed again.
///
/// The decoder draws each slice for itself, so the gradient may fool the classifier in each by another trifle. A finding goes on
/// from slice to slice. The product of the three is symmetric with no negative eigenvalue: the score never falls along it.
fn coherent(gradient: &Tensor, deviation_slices: f64) -> Result<Tensor, Error> {
    let kernel = gaussian(gradient.dim(0)?, deviation_slices / 2.0_f64.sqrt(), gradient)?;
    let smoothed =
        |g: &Tensor| -> Result<Tensor, Error> { Ok(kernel.matmul(&g.flatten_from(1)?)?.reshape(g.shape())?) };
    Ok(smoothed(&focused(&smoothed(&gradient.to_dtype(DType::F64)?)?)?)?.to_dtype(gradient.dtype())?)
}

/// A Gaussian over `n` slices as a matrix `[n, n]` of f64: beyond the first and the last there is nothing.
fn gaussian(n: usize, deviation: f64, like: &Tensor) -> Result<Tensor, Error> {
    let weight = |away: f64| (-0.5 * (away / deviation).powi(2)).exp();
    let entries = (0..n * n).map(|i| weight((i / n).abs_diff(i % n) as f64));
    Ok(Tensor::from_iter(entries, like.device())?.reshape((n, n))?)
}

/// A gradient with each token weighted by the square of its own length, as a share of the longest: a step between the steepest one
/// where all tokens may move alike and the one that moves a single token. On phantoms whose truth is known it changes more of the
/// finding, and less of the edges of everything else, than the gradient itself, or one weighted by the length.
fn focused(gradient: &Tensor) -> Result<Tensor, Error> {
    let squares = gradient.sqr()?.sum_keepdim(1)?;
    let longest = squares.flatten_all()?.max(0)?.to_scalar::<f64>()?;
    if !longest.is_normal() {
        return Err(Error::NoGradient);
    }
    Ok(gradient.broadcast_mul(&(squares / longest)?)?)
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

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    const SHAPE: (usize, usize, usize, usize) = (12, 3, 2, 2);

    /// Five slices.
    const DEVIATION: f64 = 5.0;

    fn random() -> Tensor {
        Tensor::randn(0.0_f64, 1.0, SHAPE, &Device::Cpu).expect("a tensor")
    }

    #[test]
    fn the_score_never_falls_along_a_coherent_direction() {
        for deviation in [1e-3, 0.7, DEVIATION, 1e3] {
            for _ in 0..50 {
                let gradient = random();
                let slope = dot(&gradient, &coherent(&gradient, deviation).expect("a direction")).expect("a slope");
                assert!(slope > 0.0, "{slope} at a deviation of {deviation} slices");
            }
        }
    }

    #[test]
    fn what_differs_from_slice_to_slice_is_left_out_of_the_direction_and_what_goes_on_is_kept() {
        let whole = Tensor::ones(SHAPE, DType::F64, &Device::Cpu).expect("a tensor");
        let signs: Vec<f64> = (0..SHAPE.0).map(|k| if k % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let trifles =
            whole.broadcast_mul(&Tensor::new(signs, &Device::Cpu).unwrap().reshape((SHAPE.0, 1, 1, 1)).unwrap());
        let trifles = trifles.expect("a tensor");
        let direction = unit(&coherent(&(&whole + &trifles).unwrap(), DEVIATION).unwrap()).unwrap();
        let share = |part: &Tensor| dot(&direction, &unit(part).unwrap()).unwrap().abs();
        assert!(share(&whole) > 0.85 && share(&trifles) < 0.1, "{} and {}", share(&whole), share(&trifles));
    }

    #[test]
    fn a_single_slice_and_slices_far_apart_are_focused_only() {
        let gradient = random();
        let apart = coherent(&gradient, 1e-3).unwrap();
        let alone = coherent(&gradient.narrow(0, 0, 1).unwrap(), DEVIATION).unwrap();
        for (got, of) in [(&apart, gradient.clone()), (&alone, gradient.narrow(0, 0, 1).unwrap())] {
            let gap = dot(&unit(got).unwrap(), &unit(&focused(&of).unwrap()).unwrap()).unwrap() - 1.0;
            assert!(gap.abs() < 1e-12, "{gap:e}");
        }
    }
}
