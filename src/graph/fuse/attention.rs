//! Attention of heads, which exporters write as two products and a softmax: fused, its weights are never there as a whole.

use candle_core::Tensor;

use super::super::ops::{Affine, Arithmetic, HeadAttention, MatMul, Permute, Softmax};
use super::super::{Graph, Value};

/// Axes of heads: samples, heads, tokens, width.
const AXES: usize = 4;

/// An attention that a graph writes in several operations.
pub(super) struct Attending {
    operation: HeadAttention,
    q: Value,
    k: Keys,
    v: Value,
}

/// Where keys `[n, heads, keys, width]` come from, which a product takes transposed.
enum Keys {
    Are(Value),
    /// A permutation that can give them instead, in this order.
    Permuted(Value, Vec<usize>),
}

impl Graph {
    /// softmax(scale q k^T + mask) v, where the keys are transposed by a permutation of four axes: only then is it known that there are
    /// heads.
    pub(super) fn attention_of(&self, at: Value) -> Option<Attending> {
        let [weights, v] = self.products(at)?;
        let uses = self.uses();
        let once = |value: Value| uses[value.0] == 1;
        let Softmax { axis } = self.is::<Softmax>(weights).filter(|_| once(weights))?;
        let mut scores = *self.nodes[weights.0].inputs.first()?;
        let mut bias = None;
        if let Some((mask, of)) = self.by(scores, Arithmetic::Add) {
            bias = Some(mask_of_heads(mask)?);
            scores = of;
        }
        let (mut scale, product) = self.times(scores);
        let [q, transposed] = self.products(product)?;
        if *axis != AXES - 1 || !once(product) {
            return None;
        }
        let ((of_q, q), (of_k, transposed)) = (self.times(q), self.times(transposed));
        scale *= of_q * of_k;
        let Permute(axes) = self.is::<Permute>(transposed)?;
        let [a, b, c, d] = *axes.as_slice() else { return None };
        let k = match [a, b, d, c] {
            [0, 1, 2, 3] => Keys::Are(*self.nodes[transposed.0].inputs.first()?),
            axes if once(transposed) => Keys::Permuted(transposed, axes.to_vec()),
            _ => return None,
        };
        Some(Attending { operation: HeadAttention::new(scale, bias.as_ref()).ok()?, q, k, v })
    }

    pub(super) fn attend(&mut self, at: usize, of: Attending) {
        let k = match of.k {
            Keys::Are(k) => k,
            Keys::Permuted(k, axes) => {
                let inputs = self.nodes[k.0].inputs.clone();
                self.replace(k.0, Permute(axes), inputs);
                k
            }
        };
        self.replace(at, of.operation, vec![of.q, k, of.v]);
    }

    fn products(&self, at: Value) -> Option<[Value; 2]> {
        self.is::<MatMul>(at)?;
        self.nodes[at.0].inputs.as_slice().try_into().ok()
    }

    /// The factor of a value that is a multiple of another, and that other; 1 and the value itself of any other.
    fn times(&self, at: Value) -> (f64, Value) {
        match (self.is::<Affine>(at), self.nodes[at.0].inputs.as_slice()) {
            (Some(Affine { slope, offset }), [x]) if *offset == 0.0 => (*slope, *x),
            _ => (1.0, at),
        }
    }
}

/// A mask as [`HeadAttention`] takes it; none of a mask that is repeated along queries or keys.
fn mask_of_heads(mask: &Tensor) -> Option<Tensor> {
    let dims = mask.dims();
    let mut shape = vec![1; AXES.checked_sub(dims.len())?];
    shape.extend(dims);
    (shape[2] > 1 && shape[3] > 1).then(|| mask.reshape(shape).ok()).flatten()
}
