//! Pieces of a network that can be gone through forward, and back.

use candle_core::{Error, Result, Tensor, Var};

/// Takes the gradient of what a piece gave to that of what it was given.
pub type PullBack<'a> = Box<dyn Fn(&Tensor) -> Result<Tensor> + 'a>;

type Forward<'a> = Box<dyn Fn(&Tensor) -> Result<Tensor> + 'a>;
type Trail<'a> = Box<dyn Fn(&Tensor) -> Result<(Tensor, PullBack<'a>)> + 'a>;

/// A piece of a network: a tensor in, a tensor out.
pub struct Stage<'a> {
    forward: Forward<'a>,
    /// None where the gradient is candle's.
    trail: Option<Trail<'a>>,
}

impl<'a> Stage<'a> {
    /// A piece that candle differentiates.
    pub fn of(forward: impl Fn(&Tensor) -> Result<Tensor> + 'a) -> Self {
        Self { forward: Box::new(forward), trail: None }
    }

    /// A piece that knows its gradient.
    pub(super) fn with_trail(
        forward: impl Fn(&Tensor) -> Result<Tensor> + 'a,
        trail: impl Fn(&Tensor) -> Result<(Tensor, PullBack<'a>)> + 'a,
    ) -> Self {
        Self { forward: Box::new(forward), trail: Some(Box::new(trail)) }
    }

    /// What the piece gives.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        (self.forward)(x)
    }

    /// The same, and the way back.
    pub fn trail(&self, x: &Tensor) -> Result<(Tensor, PullBack<'_>)> {
        if let Some(trail) = &self.trail {
            return trail(x);
        }
        // Only `x` is kept: the way back computes the piece again.
        let x = x.detach();
        Ok((self.forward(&x)?, Box::new(move |gradient| pull_by_graph(&self.forward, &x, gradient))))
    }
}

/// From the gradient of what `forward` gives to that of `x`, by candle's graph.
pub(super) fn pull_by_graph(
    forward: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor> {
    let leaf = Var::from_tensor(x)?;
    let mut gradients = (forward(&leaf)? * gradient)?.sum_all()?.backward()?;
    // What it does not depend on has a gradient of zero.
    gradients.remove(&leaf).map_or_else(|| x.zeros_like(), |gradient| Ok(gradient.detach()))
}

/// Through all pieces; `check` comes before each, and can stop it.
pub fn forward<E: From<Error>>(
    stages: &[Stage<'_>],
    x: &Tensor,
    check: impl Fn() -> std::result::Result<(), E>,
) -> std::result::Result<Tensor, E> {
    stages.iter().try_fold(x.clone(), |x, stage| {
        check()?;
        Ok(stage.forward(&x)?)
    })
}

/// The same, and the ways back, to be gone from the last to the first.
pub fn trail<'a, E: From<Error>>(
    stages: &'a [Stage<'_>],
    x: &Tensor,
    check: impl Fn() -> std::result::Result<(), E>,
) -> std::result::Result<(Tensor, Vec<PullBack<'a>>), E> {
    stages.iter().try_fold((x.clone(), Vec::with_capacity(stages.len())), |(x, mut back), stage| {
        check()?;
        let (y, pull_back) = stage.trail(&x)?;
        back.push(pull_back);
        Ok((y, back))
    })
}
