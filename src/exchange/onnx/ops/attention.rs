//! Attention as one operation, of opset 23: <https://onnx.ai/onnx/operators/onnx__Attention.html>.

use candle_core::{Device, Tensor};

use super::one;
use crate::exchange::lower::{Lowering, Made, Meaning, Operand, beyond, wrong};
use crate::exchange::onnx::node::Node;
use crate::graph::ops::{Arithmetic, Softmax};

/// A tensor as `[n, heads, tokens, width]`.
fn heads(l: &mut Lowering, x: &Operand, count: i64) -> Made<Operand> {
    match (x.shape(), usize::try_from(count)) {
        ([_, _, _, _], _) => Ok(x.clone()),
        (&[samples, tokens, width], Ok(heads)) if heads > 0 && width.is_multiple_of(heads) => {
            let x = l.reshape(x, &[samples, tokens, heads, width / heads])?;
            l.permute(&x, &[0, 2, 1, 3])
        }
        (shape, _) => wrong(format!("{count} heads of a tensor {shape:?}")),
    }
}

/// Each head so many times.
fn repeated(l: &mut Lowering, x: &Operand, heads: usize) -> Made<Operand> {
    let own = x.shape()[1];
    if own == heads {
        return Ok(x.clone());
    }
    if own == 0 || !heads.is_multiple_of(own) {
        return wrong(format!("{own} heads for {heads} heads of queries"));
    }
    let places: Vec<i64> = (0..heads).map(|head| (head / (heads / own)) as i64).collect();
    l.gather(x, 1, &Operand::whole(&places)?)
}

pub(super) fn attention(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    if n.maybe(4).is_some() || n.maybe(5).is_some() || n.wants_more() {
        return beyond("it goes on from keys and values of before, or gives them");
    }
    let flat = n.input(0)?.rank() == 3;
    let q = heads(l, n.input(0)?, n.int("q_num_heads", 0))?;
    let (k, v) = (heads(l, n.input(1)?, n.int("kv_num_heads", 0))?, heads(l, n.input(2)?, n.int("kv_num_heads", 0))?);
    let (&[samples, count, queries, width], &[_, _, keys, _]) = (q.shape(), k.shape()) else {
        return wrong("queries and keys of four axes are wanted");
    };
    let (k, v) = (repeated(l, &k, count)?, repeated(l, &v, count)?);
    let scale = n.float("scale", (1.0 / (width as f64).sqrt()) as f32);
    let scale = if n.has("scale") { scale } else { 1.0 / (width as f64).sqrt() };
    let q = l.affine(&q, scale, 0.0)?;
    let k = l.transposed(&k)?;
    let mut weights = l.matmul(&q, &k)?;
    let cap = n.float("softcap", 0.0);
    if cap > 0.0 {
        weights = l.affine(&weights, 1.0 / cap, 0.0)?;
        weights = l.function(crate::graph::ops::Function::Tanh, &weights)?;
        weights = l.affine(&weights, cap, 0.0)?;
    }
    if n.int("is_causal", 0) != 0 {
        l.afford_numbers(&[queries, keys])?;
        let closed = |place: usize| if place % keys > place / keys { f32::NEG_INFINITY } else { 0.0 };
        let mask =
            Tensor::from_vec((0..queries * keys).map(closed).collect::<Vec<_>>(), (queries, keys), &Device::Cpu)?;
        weights = l.pairwise(Arithmetic::Add, &weights, &Operand::known(Meaning::Real, mask))?;
    }
    if let Some(mask) = n.maybe(3) {
        weights = masked(l, &weights, mask)?;
    }
    let weights = l.on(Softmax { axis: 3 }, &weights)?;
    let y = l.matmul(&weights, &v)?;
    if !flat {
        return one(Ok(y));
    }
    let width = y.shape()[3];
    let y = l.permute(&y, &[0, 2, 1, 3])?;
    one(l.reshape(&y, &[samples, queries, count * width]))
}

/// The weights with a mask: numbers that are added, or which of them count.
fn masked(l: &mut Lowering, weights: &Operand, mask: &Operand) -> Made<Operand> {
    if mask.kind != Meaning::Truth {
        return l.pairwise(Arithmetic::Add, weights, mask);
    }
    let closed = l.filled(Meaning::Real, f64::NEG_INFINITY, &[1])?;
    l.choose(mask, weights, &closed)
}
