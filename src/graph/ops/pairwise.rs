//! Arithmetic of two tensors number by number, one of which may be frozen.

use candle_core::{Result, Tensor, bail};

use super::broadcast::{Walk, back_to, together};
use super::frozen::Frozen;
use super::{Operation, Pass, Saved, Saves, Sum, stopped};
use crate::nn::device::has_kernels;
use crate::nn::gemm::Real;
use crate::nn::numbers::{Held, by_type, tensor};

/// What is made of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// The larger. Of equal numbers each has half the gradient, as in PyTorch.
    Larger,
    /// The smaller. Of equal numbers each has half the gradient.
    Smaller,
    /// a to the power b, of a positive a; the gradient is that of a alone where b is frozen.
    Power,
    /// 1 where they are equal, else 0. It has no gradient.
    Equal,
    /// 1 where the first is greater, else 0. It has no gradient.
    Greater,
    /// 1 where the first is less, else 0. It has no gradient.
    Less,
}

use Arithmetic::{Add, Divide, Equal, Greater, Larger, Less, Multiply, Power, Smaller, Subtract};

/// Arithmetic of two tensors, each repeated along the axes where it has a length of 1.
pub struct Pairwise {
    arithmetic: Arithmetic,
    /// Which operand is frozen, and its numbers.
    frozen: Option<(usize, Frozen)>,
}

/// The first tensor where the mask is not 0, else the second. The mask is frozen. All are repeated along the axes where they have a
/// length of 1.
pub struct Where {
    /// 1 or 0.
    mask: Frozen,
}

/// `arithmetic` of two tensors on one device.
fn computed(arithmetic: Arithmetic, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let shape = together("arithmetic", a.dims(), b.dims())?;
    if !has_kernels(a.device()) {
        return on_device(arithmetic, a, b);
    }
    if a.dtype() != b.dtype() {
        bail!("{arithmetic:?} of {:?} and {:?}", a.dtype(), b.dtype());
    }
    let (a, b) = (a.contiguous()?, b.contiguous()?);
    let (walk, of_a, of_b) = (Walk::new(&shape, a.dims(), b.dims()), Held::of(&a), Held::of(&b));
    by_type!(a, T => {
        let (a, b) = (of_a.numbers::<T>()?, of_b.numbers::<T>()?);
        let truth = |holds: bool| if holds { T::ONE } else { T::default() };
        let is_none = |x: T| x.partial_cmp(&x).is_none();
        let y = match arithmetic {
            Add => walk.map(a, b, |a, b| a + b),
            Subtract => walk.map(a, b, |a, b| a - b),
            Multiply => walk.map(a, b, |a, b| a * b),
            Divide => walk.map(a, b, |a, b| a / b),
            Larger => walk.map(a, b, |a, b| if a > b || is_none(a) { a } else { b }),
            Smaller => walk.map(a, b, |a, b| if a < b || is_none(a) { a } else { b }),
            Power => walk.map(a, b, |a, b| T::from_f64(a.to_f64().powf(b.to_f64()))),
            Equal => walk.map(a, b, |a, b| truth(a == b)),
            Greater => walk.map(a, b, |a, b| truth(a > b)),
            Less => walk.map(a, b, |a, b| truth(a < b)),
        };
        tensor(y, &shape)
    })
}

fn on_device(arithmetic: Arithmetic, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match arithmetic {
        Add => a.broadcast_add(b),
        Subtract => a.broadcast_sub(b),
        Multiply => a.broadcast_mul(b),
        Divide => a.broadcast_div(b),
        Larger => a.broadcast_maximum(b),
        Smaller => a.broadcast_minimum(b),
        Power => a.broadcast_pow(b),
        Equal => a.broadcast_eq(b)?.to_dtype(a.dtype()),
        Greater => a.broadcast_gt(b)?.to_dtype(a.dtype()),
        Less => a.broadcast_lt(b)?.to_dtype(a.dtype()),
    }
}

impl Pairwise {
    /// What is made of two tensors of the graph; none where one is frozen.
    pub(in crate::graph) fn of_two(&self) -> Option<Arithmetic> {
        self.frozen.is_none().then_some(self.arithmetic)
    }

    /// The frozen numbers of this arithmetic of a tensor, in either order where that means the same.
    pub(in crate::graph) fn by_frozen(&self, wanted: Arithmetic) -> Option<&Tensor> {
        let (which, numbers) = self.frozen.as_ref()?;
        let order = *which == 1 || matches!(wanted, Add | Multiply);
        (self.arithmetic == wanted && order).then(|| numbers.loaded())
    }

    /// Makes the operation on two tensors of the graph.
    pub fn new(arithmetic: Arithmetic) -> Self {
        Self { arithmetic, frozen: None }
    }

    /// Makes the operation on a tensor and frozen numbers.
    pub fn by(arithmetic: Arithmetic, numbers: &Tensor) -> Result<Self> {
        Ok(Self { arithmetic, frozen: Some((1, Frozen::new(numbers)?)) })
    }

    /// Makes the operation on frozen numbers and a tensor.
    pub fn of(numbers: &Tensor, arithmetic: Arithmetic) -> Result<Self> {
        Ok(Self { arithmetic, frozen: Some((0, Frozen::new(numbers)?)) })
    }

    fn operands(&self, inputs: &[&Tensor]) -> Result<[Tensor; 2]> {
        match (inputs, &self.frozen) {
            ([a, b], None) => Ok([(*a).clone(), (*b).clone()]),
            ([x], Some((0, frozen))) => Ok([frozen.like(x)?, (*x).clone()]),
            ([x], Some((_, frozen))) => Ok([(*x).clone(), frozen.like(x)?]),
            _ => bail!("{} of {} tensors", self.name(), inputs.len()),
        }
    }

    /// Whether the gradient wants the operands.
    fn wants(&self) -> bool {
        match self.arithmetic {
            Add | Subtract | Equal | Greater | Less => false,
            Multiply => self.frozen.is_none(),
            Divide => !matches!(self.frozen, Some((1, _))),
            Larger | Smaller | Power => true,
        }
    }

    /// The slope by operand `which`, which the gradient is multiplied with.
    fn slope(&self, which: usize, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let ties = |wins: Arithmetic| {
            let [first, second] = if which == 0 { [a, b] } else { [b, a] };
            let half = (computed(Equal, first, second)? * 0.5)?;
            computed(wins, first, second)? + half
        };
        match (self.arithmetic, which) {
            (Multiply, 0) => Ok(b.clone()),
            (Multiply, _) => Ok(a.clone()),
            (Divide, 0) => b.recip(),
            (Divide, _) => computed(Divide, &computed(Divide, a, b)?.neg()?, b),
            (Larger, _) => ties(Greater),
            (Smaller, _) => ties(Less),
            (Power, 0) => computed(Multiply, b, &computed(Power, a, &(b - 1.0)?)?),
            (Power, _) => computed(Multiply, &computed(Power, a, b)?, &a.log()?),
            (Add | Subtract | Equal | Greater | Less, _) => {
                bail!("{:?} has no slope to multiply with", self.arithmetic)
            }
        }
    }
}

impl Operation for Pairwise {
    fn name(&self) -> String {
        match &self.frozen {
            Some((_, frozen)) => format!("{:?} with numbers {:?}", self.arithmetic, frozen.dims()).to_lowercase(),
            None => format!("{:?}", self.arithmetic).to_lowercase(),
        }
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match (inputs, &self.frozen) {
            ([a, b], None) => together(&self.name(), a, b),
            ([x], Some((_, frozen))) => together(&self.name(), x, frozen.dims()),
            _ => bail!("{} of tensors {inputs:?}", self.name()),
        }
    }

    fn saves(&self) -> Saves {
        if self.wants() { Saves::Inputs } else { Saves::Nothing }
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let [a, b] = self.operands(inputs)?;
        let kept = || Saved::Tensors(inputs.iter().map(|input| (*input).clone()).collect());
        Ok((computed(self.arithmetic, &a, &b)?, if save && self.wants() { kept() } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        if let Equal | Greater | Less = self.arithmetic {
            return stopped(into);
        }
        let side = |input: usize| self.frozen.as_ref().map_or(input, |(frozen, _)| 1 - frozen);
        let operands = match (&self.frozen, pass.saved) {
            // What the gradient wants of these is the frozen numbers alone: the tensor may be any of its type.
            (Some(_), Saved::Nothing) => self.operands(&[gradient])?,
            (_, Saved::Tensors(tensors)) => self.operands(&tensors.iter().collect::<Vec<_>>())?,
            (None, _) => [gradient.clone(), gradient.clone()],
            _ => bail!("{} saved no tensors", self.name()),
        };
        super::each(into, |input| {
            let repeated = match (self.arithmetic, side(input)) {
                (Add, _) | (Subtract, 0) => gradient.clone(),
                (Subtract, _) => gradient.neg()?,
                (Divide, 0) => computed(Divide, gradient, &operands[1])?,
                (_, side) => computed(Multiply, gradient, &self.slope(side, &operands[0], &operands[1])?)?,
            };
            back_to(&repeated, pass.shapes[input])
        })
    }

    fn stops(&self) -> bool {
        matches!(self.arithmetic, Equal | Greater | Less)
    }

    fn scratch_bytes(&self, inputs: &[&[usize]]) -> usize {
        let numbers: usize = self.shape(inputs).map_or(0, |shape| shape.iter().product());
        if self.wants() { numbers.saturating_mul(size_of::<f32>()) } else { 0 }
    }
}

impl Where {
    /// `mask` is of any type: numbers other than 0 choose the first tensor.
    pub fn new(mask: &Tensor) -> Result<Self> {
        Ok(Self { mask: Frozen::new(&mask.ne(0.0)?)? })
    }
}

impl Operation for Where {
    fn name(&self) -> String {
        format!("choice by a mask {:?}", self.mask.dims())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match inputs {
            [a, b] => together(&self.name(), &together(&self.name(), a, b)?, self.mask.dims()),
            _ => bail!("{} of tensors {inputs:?}", self.name()),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let [a, b] = inputs else { bail!("{} of {} tensors", self.name(), inputs.len()) };
        let shape = self.shape(&[a.dims(), b.dims()])?;
        let mask = self.mask.like(a)?.ne(0.0)?.broadcast_as(shape.as_slice())?.contiguous()?;
        let [a, b] = [a, b].map(|x| x.broadcast_as(shape.as_slice()));
        Ok((mask.where_cond(&a?.contiguous()?, &b?.contiguous()?)?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let gradient = gradient.contiguous()?;
        let mask = self.mask.like(&gradient)?.ne(0.0)?.broadcast_as(gradient.shape())?.contiguous()?;
        let nothing = gradient.zeros_like()?;
        super::each(into, |input| {
            let [yes, no] = if input == 0 { [&gradient, &nothing] } else { [&nothing, &gradient] };
            back_to(&mask.where_cond(yes, no)?, pass.shapes[input])
        })
    }
}
