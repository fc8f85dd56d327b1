//! Activations that are written as products.

use std::f64::consts::FRAC_1_SQRT_2;

use super::super::ops::{Affine, Arithmetic, Function};
use super::super::{Graph, Value};

/// How far a factor may lie from the number that it stands for: f32 rounds by 6e-8, and some write 1.4142 and more digits by hand.
const FACTOR_TOLERANCE: f64 = 1e-6;

fn is_about(a: f64, b: f64) -> bool {
    (a - b).abs() <= FACTOR_TOLERANCE * b.abs()
}

impl Graph {
    /// x sigmoid(x)
    pub(super) fn swish_of(&self, at: Value) -> Option<Value> {
        let [a, b] = self.pair(at, Arithmetic::Multiply)?;
        let gates = |x: Value, gate: Value| {
            matches!(self.is::<Function>(gate), Some(Function::Sigmoid)) && self.nodes[gate.0].inputs == [x]
        };
        if gates(a, b) { Some(a) } else { gates(b, a).then_some(b) }
    }

    /// x (1 + erf(x / sqrt(2))) / 2, wherever the half stands.
    pub(super) fn gelu_of(&self, at: Value) -> Option<Value> {
        if let Some(product) = self.scaled(at, 0.5) {
            let [a, b] = self.pair(product, Arithmetic::Multiply)?;
            let is = |x: Value, gate: Value| (self.one_plus_erf(gate) == Some(x)).then_some(x);
            return is(a, b).or_else(|| is(b, a));
        }
        let [a, b] = self.pair(at, Arithmetic::Multiply)?;
        let is = |half: Value, gate: Value| {
            let x = self.scaled(half, 0.5)?;
            (self.one_plus_erf(gate) == Some(x)).then_some(x)
        };
        is(a, b).or_else(|| is(b, a))
    }

    /// The x of `factor` x.
    fn scaled(&self, at: Value, factor: f64) -> Option<Value> {
        let Affine { slope, offset } = self.is::<Affine>(at)?;
        let [x] = self.nodes[at.0].inputs.as_slice() else { return None };
        (*offset == 0.0 && is_about(*slope, factor)).then_some(*x)
    }

    /// The x of 1 + erf(x / sqrt(2)).
    fn one_plus_erf(&self, at: Value) -> Option<Value> {
        let Affine { slope, offset } = self.is::<Affine>(at)?;
        let [erf] = self.nodes[at.0].inputs.as_slice() else { return None };
        let is_erf = *slope == 1.0 && *offset == 1.0 && matches!(self.is::<Function>(*erf), Some(Function::Erf));
        let [of] = self.nodes[erf.0].inputs.as_slice() else { return None };
        self.scaled(*of, FRAC_1_SQRT_2).filter(|_| is_erf)
    }
}
