//! Attention of every token to every other, by blocks of queries: never the whole matrix of weights.

use candle_core::{D, Result, Tensor, bail};
use candle_nn::ops;

use super::{Operation, Pass, Saved, Saves, Sum, numbers};

/// Most numbers of the weights of a block of queries: 64 MiB of f32.
const BLOCK: usize = 1 << 24;

/// softmax(q k^T / sqrt(c)) v by one head: queries, keys and values are `[n, c, …]`, tokens along what follows the channels.
pub struct Attention;

/// The three as `[n, c, tokens]`.
fn tokens(inputs: &[&Tensor]) -> Result<[Tensor; 3]> {
    let [q, k, v] = inputs else { bail!("attention takes queries, keys and values") };
    Ok([q.contiguous()?.flatten_from(2)?, k.contiguous()?.flatten_from(2)?, v.contiguous()?.flatten_from(2)?])
}

/// Queries of a block, where there are so many samples and keys.
fn block(samples: usize, keys: usize) -> usize {
    (BLOCK / (samples * keys).max(1)).max(1)
}

/// What each of some queries gives each key: `[n, queries, keys]`.
fn weights(q: &Tensor, k: &Tensor) -> Result<Tensor> {
    let scale = (q.dim(1)? as f64).powf(-0.5);
    ops::softmax(&(q.transpose(1, 2)?.contiguous()?.matmul(k)? * scale)?, D::Minus1)
}

impl Operation for Attention {
    fn name(&self) -> String {
        "attention".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match inputs {
            [q, k, v] if q.len() > 2 && q[..2] == k[..2] && k == v => Ok(q.to_vec()),
            _ => bail!("attention takes queries, keys and values of as many channels, found {inputs:?}"),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Inputs
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> f64 {
        // Each query meets each key, and mixes each value.
        let keys = inputs.get(1).map_or(0.0, |keys| numbers(keys.get(2..).unwrap_or_default()));
        inputs.first().map_or(0.0, |queries| 2.0 * numbers(queries) * keys)
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let [q, k, v] = tokens(inputs)?;
        let (n, _, queries) = q.dims3()?;
        let block = block(n, k.dim(2)?);
        let mixed = (0..queries).step_by(block).map(|first| {
            let weights = weights(&q.narrow(2, first, block.min(queries - first))?, &k)?;
            v.matmul(&weights.transpose(1, 2)?.contiguous()?)
        });
        let mixed = mixed.collect::<Result<Vec<_>>>()?;
        let y = if let [whole] = mixed.as_slice() { whole.clone() } else { Tensor::cat(&mixed, 2)?.contiguous()? };
        let saved =
            if save { Saved::Tensors(inputs.iter().map(|input| (*input).clone()).collect()) } else { Saved::Nothing };
        Ok((y.reshape(inputs[0].dims())?, saved))
    }

    /// The gradient of the scores s is w (u - sum(w u)), where w = softmax(s) are the weights and u = g^T v is their gradient.
    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let saved = [pass.saved.tensor(0)?, pass.saved.tensor(1)?, pass.saved.tensor(2)?];
        let [q, k, v] = tokens(&saved)?;
        let g = gradient.contiguous()?.flatten_from(2)?;
        let (n, c, queries) = q.dims3()?;
        let (block, scale) = (block(n, k.dim(2)?), (c as f64).powf(-0.5));
        let (mut of_q, mut of_k, mut of_v) = (Vec::new(), k.zeros_like()?, v.zeros_like()?);
        for first in (0..queries).step_by(block) {
            let count = block.min(queries - first);
            let (q, g) = (q.narrow(2, first, count)?.contiguous()?, g.narrow(2, first, count)?.contiguous()?);
            let weights = weights(&q, &k)?;
            let u = g.transpose(1, 2)?.contiguous()?.matmul(&v)?;
            let level = (&weights * &u)?.sum_keepdim(D::Minus1)?;
            let of_scores = ((&weights * u.broadcast_sub(&level)?)? * scale)?;
            of_v = (of_v + g.matmul(&weights)?)?;
            of_k = (of_k + q.matmul(&of_scores)?)?;
            of_q.push(k.matmul(&of_scores.transpose(1, 2)?.contiguous()?)?);
        }
        let parts = [Tensor::cat(&of_q, 2)?.contiguous()?, of_k, of_v];
        let sums = into.into_iter().zip(parts).zip(saved);
        sums.map(|((sum, part), x)| sum.map(|sum| sum.with(part.reshape(x.dims())?)).transpose()).collect()
    }
}
