//! Arithmetic of operands, the simplest operation that does it.

use candle_core::{DType, Device, Tensor};

use super::{Lowering, Made, Meaning, Operand, wrong};
use crate::graph::ops::{
    Add, Affine, Arithmetic, Choose, Function, Linear, MatMul, Pairwise, Permute, Reduce, Reduction, Steps, Where,
};

/// Most numbers that are multiplied along an axis: each is an operation.
const LONGEST_PRODUCT: usize = 256;

impl Lowering {
    /// slope x + offset
    pub(in crate::exchange) fn affine(&mut self, x: &Operand, slope: f64, offset: f64) -> Made<Operand> {
        if slope == 1.0 && offset == 0.0 {
            return Ok(x.clone());
        }
        self.on(Affine { slope, offset }, x)
    }

    pub(in crate::exchange) fn function(&mut self, function: Function, x: &Operand) -> Made<Operand> {
        self.on(function, x)
    }

    /// Arithmetic of two operands, each repeated along the axes where it has a length of 1.
    pub(in crate::exchange) fn pairwise(&mut self, of: Arithmetic, a: &Operand, b: &Operand) -> Made<Operand> {
        let truth = matches!(of, Arithmetic::Equal | Arithmetic::Greater | Arithmetic::Less);
        let kind = if truth { Meaning::Truth } else { a.kind };
        if (kind, of) == (Meaning::Whole, Arithmetic::Divide) {
            let y = self.quotient(a, b)?;
            return self.on(Steps::Truncate, &y);
        }
        match (a.tensor().is_some(), b.tensor().is_some()) {
            (true, true) => {
                let y = self.apply(Pairwise::new(of), &[a, &self.like(b, a)?], kind)?;
                let whole = (kind, of) == (Meaning::Whole, Arithmetic::Power);
                if whole { self.on(Steps::Truncate, &y) } else { Ok(y) }
            }
            (false, false) if of == Arithmetic::Add && a.shape() == b.shape() => self.apply(Add, &[a, b], kind),
            (false, false) => self.apply(Pairwise::new(of), &[a, b], kind),
            (false, true) => self.by_known(of, a, b, kind),
            (true, false) => self.of_known(a, of, b, kind),
        }
    }

    /// a / b by division itself, which a product with 1 / b misses by a bit: 49 / 49 is 1, and steps may follow.
    pub(in crate::exchange) fn quotient(&mut self, a: &Operand, b: &Operand) -> Made<Operand> {
        let of = Arithmetic::Divide;
        match (self.tensor_of(a)?, self.tensor_of(b)?) {
            (Some(_), Some(_)) => self.apply(Pairwise::new(of), &[a, &self.like(b, a)?], a.kind),
            (None, None) => self.apply(Pairwise::new(of), &[a, b], a.kind),
            (None, Some(by)) => self.apply(Pairwise::by(of, &by)?, &[a], a.kind),
            (Some(number), None) => self.apply(Pairwise::of(&number, of)?, &[b], a.kind),
        }
    }

    /// Known numbers as those of another operand's kind.
    fn like(&self, b: &Operand, a: &Operand) -> Made<Operand> {
        let dtype = if a.kind == Meaning::Real { self.dtype } else { DType::F64 };
        match b.tensor() {
            Some(tensor) => Ok(Operand::known(a.kind, tensor.to_dtype(dtype)?)),
            None => Ok(b.clone()),
        }
    }

    fn by_known(&mut self, of: Arithmetic, a: &Operand, b: &Operand, kind: Meaning) -> Made<Operand> {
        let number = b.scalar().filter(|_| b.rank() <= a.rank());
        match (of, number) {
            (Arithmetic::Add, Some(number)) => self.affine(a, 1.0, number),
            (Arithmetic::Subtract, Some(number)) => self.affine(a, 1.0, -number),
            (Arithmetic::Multiply, Some(number)) => self.affine(a, number, 0.0),
            (Arithmetic::Divide, Some(number)) if number != 0.0 => self.affine(a, 1.0 / number, 0.0),
            (Arithmetic::Power, Some(number)) => self.power(a, number),
            _ => {
                let Some(tensor) = self.tensor_of(b)? else { return wrong("a constant without numbers") };
                self.apply(Pairwise::by(of, &tensor)?, &[a], kind)
            }
        }
    }

    fn of_known(&mut self, a: &Operand, of: Arithmetic, b: &Operand, kind: Meaning) -> Made<Operand> {
        let number = a.scalar().filter(|_| a.rank() <= b.rank());
        match (of, number) {
            (Arithmetic::Add | Arithmetic::Multiply | Arithmetic::Larger | Arithmetic::Smaller, _) => {
                self.by_known(of, b, a, kind)
            }
            (Arithmetic::Subtract, Some(number)) => self.affine(b, -1.0, number),
            (Arithmetic::Divide, Some(number)) => {
                let y = self.function(Function::Reciprocal, b)?;
                self.affine(&y, number, 0.0)
            }
            _ => {
                let Some(tensor) = self.tensor_of(a)? else { return wrong("a constant without numbers") };
                self.apply(Pairwise::of(&tensor, of)?, &[b], kind)
            }
        }
    }

    /// x to a power.
    pub(in crate::exchange) fn power(&mut self, x: &Operand, power: f64) -> Made<Operand> {
        match power {
            1.0 => Ok(x.clone()),
            0.5 => self.function(Function::Sqrt, x),
            -1.0 => self.function(Function::Reciprocal, x),
            _ => self.function(Function::Power(power), x),
        }
    }

    /// 1 where a number is 0, else 0.
    pub(in crate::exchange) fn not(&mut self, x: &Operand) -> Made<Operand> {
        Ok(self.affine(x, -1.0, 1.0)?.called(Meaning::Truth))
    }

    /// 1 where a number is that number, else 0.
    pub(in crate::exchange) fn is(&mut self, x: &Operand, number: f64) -> Made<Operand> {
        let number = Operand::known(x.kind, Tensor::from_slice(&[number], (), &Device::Cpu)?);
        self.pairwise(Arithmetic::Equal, x, &number)
    }

    /// 1 where there is no number (NaN), else 0.
    pub(in crate::exchange) fn is_nan(&mut self, x: &Operand) -> Made<Operand> {
        let same = self.pairwise(Arithmetic::Equal, x, x)?;
        self.not(&same)
    }

    /// The first where the mask is not 0, else the second.
    pub(in crate::exchange) fn choose(&mut self, mask: &Operand, yes: &Operand, no: &Operand) -> Made<Operand> {
        match mask.tensor() {
            Some(mask) => self.apply(Where::new(mask)?, &[yes, no], yes.kind),
            None => self.apply(Choose, &[mask, yes, no], yes.kind),
        }
    }

    pub(in crate::exchange) fn reduce(
        &mut self,
        of: Reduction,
        x: &Operand,
        axes: &[usize],
        keep: bool,
    ) -> Made<Operand> {
        if axes.is_empty() {
            return Ok(x.clone());
        }
        self.on(Reduce { reduction: of, axes: axes.to_vec(), keep }, x)
    }

    /// The product along an axis, which stays with a length of 1: one number after the other.
    pub(in crate::exchange) fn product_along(&mut self, x: &Operand, axis: usize) -> Made<Operand> {
        let side = x.shape()[axis];
        if side == 0 || side > LONGEST_PRODUCT {
            return super::beyond(format!("it multiplies {side} numbers; 1 to {LONGEST_PRODUCT} can be had"));
        }
        let mut product = self.narrow(x, axis, [0, 1])?;
        for place in 1..side {
            let next = self.narrow(x, axis, [place, place + 1])?;
            product = self.pairwise(Arithmetic::Multiply, &product, &next)?;
        }
        Ok(product)
    }

    pub(in crate::exchange) fn permute(&mut self, x: &Operand, axes: &[usize]) -> Made<Operand> {
        if axes.iter().copied().eq(0..x.rank()) {
            return Ok(x.clone());
        }
        self.on(Permute(axes.to_vec()), x)
    }

    /// The last two axes exchanged.
    pub(in crate::exchange) fn transposed(&mut self, x: &Operand) -> Made<Operand> {
        let mut axes: Vec<usize> = (0..x.rank()).collect();
        if let [.., a, b] = axes.as_mut_slice() {
            std::mem::swap(a, b);
        }
        self.permute(x, &axes)
    }

    /// a b, as NumPy's `matmul`: a lone axis of `a` is a row, one of `b` a column, and neither stays.
    pub(in crate::exchange) fn matmul(&mut self, a: &Operand, b: &Operand) -> Made<Operand> {
        let (row, column) = (a.rank() == 1, b.rank() == 1);
        let of_a = if row { self.reshape(a, &[1, a.count()])? } else { a.clone() };
        let of_b = if column { self.reshape(b, &[b.count(), 1])? } else { b.clone() };
        let y = match (&of_a.tensor(), self.tensor_of(&of_b)?) {
            (None, Some(weight)) if of_b.rank() == 2 => {
                self.apply(Linear::new(&weight.t()?.contiguous()?, None)?, &[&of_a], a.kind)?
            }
            _ => self.apply(MatMul, &[&of_a, &of_b], a.kind)?,
        };
        let mut shape = y.shape().to_vec();
        let last = shape.len();
        if column {
            shape.truncate(last - 1);
        }
        if row && last >= 2 {
            shape.remove(last - 2);
        }
        self.reshape(&y, &shape)
    }
}
