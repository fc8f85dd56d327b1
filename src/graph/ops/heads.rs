//! Attention by several heads, by blocks of queries: never the whole matrix of weights.

use candle_core::{D, Result, Tensor, bail};
use candle_nn::ops;
use rayon::prelude::*;

use super::frozen::Frozen;
use super::softmax::{softmax_row, softmax_row_vjp};
use super::{Operation, Pass, Saved, Saves, Sum, numbers};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Matrix, zeros};
use crate::nn::numbers::{Held, by_type, tensor};
use crate::nn::product::{Multiply, multiply};

/// Most numbers of the weights of a block of queries, 1 MiB of f32: they stay in the second-level cache.
const BLOCK: usize = 1 << 18;
/// Parts of a head's queries, each of which sums what it gives keys and values: enough for the threads where heads are few.
const PARTS: usize = 8;

/// softmax(scale q k^T + bias) v: queries `[n, heads, queries, width]`, keys `[n, heads, keys, width]`, values
/// `[n, heads, keys, width of values]`, to `[n, heads, queries, width of values]`.
pub struct HeadAttention {
    scale: f64,
    /// `[windows or 1, heads or 1, queries, keys]`; sample s has that of s modulo the windows.
    bias: Option<Frozen>,
}

/// The sizes of a pass.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    values: usize,
}

impl Sizes {
    /// Queries of a block.
    fn block(&self) -> usize {
        (BLOCK / self.keys.max(1)).clamp(1, self.queries.max(1))
    }

    /// Queries of a part.
    fn part(&self) -> usize {
        let parts = if self.n * self.heads >= PARTS { 1 } else { PARTS };
        self.queries.div_ceil(parts).max(1)
    }
}

fn rows<T>(values: &[T], columns: usize) -> Matrix<'_, T> {
    let count = values.len() / columns.max(1);
    Matrix { values, offset: 0, shape: [count, columns], strides: [columns, 1] }
}

fn columns<T>(values: &[T], rows: usize) -> Matrix<'_, T> {
    let count = values.len() / rows.max(1);
    Matrix { values, offset: 0, shape: [rows, count], strides: [1, rows] }
}

/// One head of one sample.
struct Head<'a, T> {
    sizes: Sizes,
    scale: T,
    q: &'a [T],
    k: &'a [T],
    v: &'a [T],
    /// `[queries, keys]`
    bias: Option<&'a [T]>,
}

impl<T: Multiply> Head<'_, T> {
    /// What some queries, from `first` on, give each key.
    fn weights(&self, first: usize, q: &[T], weights: &mut Vec<T>) {
        let Sizes { keys, width, .. } = self.sizes;
        weights.resize(q.len() / width * keys, T::default());
        multiply(rows(q, width), columns(self.k, width), weights);
        for weight in weights.iter_mut() {
            *weight = *weight * self.scale;
        }
        if let Some(bias) = self.bias {
            weights.iter_mut().zip(&bias[first * keys..]).for_each(|(weight, bias)| *weight += *bias);
        }
        weights.chunks_mut(keys).for_each(softmax_row);
    }

    fn forward(&self, first: usize, y: &mut [T], weights: &mut Vec<T>) {
        let Sizes { keys, width, values, .. } = self.sizes;
        let q = &self.q[first * width..][..y.len() / values * width];
        self.weights(first, q, weights);
        multiply(rows(weights, keys), rows(self.v, values), y);
    }

    /// The gradient of some queries to `gq`, and what they give those of keys and values added to `gk` and `gv`.
    fn vjp(&self, first: usize, g: &[T], [gq, gk, gv]: [&mut [T]; 3], scratch: &mut [Vec<T>; 3]) {
        let Sizes { keys, width, values, .. } = self.sizes;
        let [weights, u, sums] = scratch;
        let q = &self.q[first * width..][..gq.len()];
        self.weights(first, q, weights);
        let mut add = |a: Matrix<'_, T>, b: Matrix<'_, T>, to: &mut [T]| {
            sums.resize(to.len(), T::default());
            multiply(a, b, sums);
            to.iter_mut().zip(sums.iter()).for_each(|(to, sum)| *to += *sum);
        };
        add(columns(weights, keys), rows(g, values), gv);
        u.resize(weights.len(), T::default());
        multiply(rows(g, values), columns(self.v, values), u);
        u.chunks_mut(keys).zip(weights.chunks(keys)).for_each(|(u, weights)| softmax_row_vjp(weights, u));
        for u in u.iter_mut() {
            *u = *u * self.scale;
        }
        multiply(rows(u, keys), rows(self.k, width), gq);
        add(columns(u, keys), rows(q, width), gk);
    }
}

/// The numbers of a whole pass.
struct Heads<'a, T> {
    sizes: Sizes,
    scale: f64,
    q: &'a [T],
    k: &'a [T],
    v: &'a [T],
    /// `[windows, heads or 1, queries, keys]`
    bias: Option<(&'a [T], [usize; 2])>,
}

impl<T: Multiply> Heads<'_, T> {
    fn head(&self, at: usize) -> Head<'_, T> {
        let Sizes { heads, queries, keys, width, values, .. } = self.sizes;
        let bias = self.bias.map(|(numbers, [windows, of_heads])| {
            let which = at / heads % windows * of_heads + at % heads % of_heads;
            &numbers[which * queries * keys..][..queries * keys]
        });
        Head {
            sizes: self.sizes,
            scale: T::from_f64(self.scale),
            q: &self.q[at * queries * width..][..queries * width],
            k: &self.k[at * keys * width..][..keys * width],
            v: &self.v[at * keys * values..][..keys * values],
            bias,
        }
    }

    fn forward(&self) -> Vec<T> {
        let Sizes { n, heads, queries, values, .. } = self.sizes;
        let block = self.sizes.block().min(self.sizes.part());
        let mut y = zeros(n * heads * queries * values);
        y.par_chunks_mut((queries * values).max(1)).enumerate().for_each(|(at, y)| {
            let head = self.head(at);
            let blocks = y.par_chunks_mut((block * values).max(1)).enumerate();
            blocks.for_each_init(Vec::new, |weights, (number, y)| head.forward(number * block, y, weights));
        });
        y
    }

    /// Makes the sizes of queries, keys and values.
    fn vjp(&self, g: &[T]) -> [Vec<T>; 3] {
        let Sizes { n, heads, queries, keys, width, values } = self.sizes;
        let (block, part) = (self.sizes.block(), self.sizes.part());
        let [mut gq, mut gk, mut gv] = [queries * width, keys * width, keys * values].map(|of| zeros(n * heads * of));
        let all = gq.par_chunks_mut((queries * width).max(1)).zip(gk.par_chunks_mut((keys * width).max(1)));
        let all = all.zip(gv.par_chunks_mut((keys * values).max(1))).zip(g.par_chunks((queries * values).max(1)));
        all.enumerate().for_each(|(at, (((gq, gk), gv), g))| {
            let head = self.head(at);
            let parts = gq.par_chunks_mut(part * width).zip(g.par_chunks(part * values)).enumerate();
            let sums: Vec<[Vec<T>; 2]> = parts
                .map(|(number, (gq, g))| {
                    let mut scratch = [Vec::new(), Vec::new(), Vec::new()];
                    let [mut gk, mut gv] = [keys * width, keys * values].map(|of| vec![T::default(); of]);
                    let blocks = gq.chunks_mut(block * width).zip(g.chunks(block * values)).enumerate();
                    for (at, (gq, g)) in blocks {
                        head.vjp(number * part + at * block, g, [gq, &mut gk, &mut gv], &mut scratch);
                    }
                    [gk, gv]
                })
                .collect();
            for [of_k, of_v] in sums {
                gk.iter_mut().zip(of_k).for_each(|(sum, part)| *sum += part);
                gv.iter_mut().zip(of_v).for_each(|(sum, part)| *sum += part);
            }
        });
        [gq, gk, gv]
    }
}

impl HeadAttention {
    /// `bias` is `[queries, keys]`, `[heads or 1, queries, keys]` or `[windows, heads or 1, queries, keys]`, where sample s has that
    /// of s modulo the windows.
    pub fn new(scale: f64, bias: Option<&Tensor>) -> Result<Self> {
        let frozen = |bias: &Tensor| match bias.rank() {
            2..=4 => {
                let sides: Vec<usize> = [1; 4][bias.rank()..].iter().chain(bias.dims()).copied().collect();
                Frozen::new(&bias.reshape(sides)?)
            }
            _ => bail!("an attention's bias is [windows, heads, queries, keys], found {:?}", bias.dims()),
        };
        Ok(Self { scale, bias: bias.map(frozen).transpose()? })
    }

    fn sizes(&self, inputs: &[&[usize]]) -> Result<Sizes> {
        let [[n, heads, queries, width], [n_k, heads_k, keys, width_k], [n_v, heads_v, keys_v, values]] = inputs else {
            bail!("attention takes queries, keys and values [n, heads, tokens, width], found {inputs:?}");
        };
        if [n_k, heads_k, width_k] != [n, heads, width] || [n_v, heads_v, keys_v] != [n, heads, keys] {
            bail!(
                "attention takes queries, keys and values of as many heads, keys as wide as queries, found {inputs:?}"
            );
        }
        if [*keys, *width, *values].contains(&0) {
            bail!("attention to nothing: {inputs:?}");
        }
        if let Some(bias) = &self.bias {
            let fits = match bias.dims() {
                [windows, h, q, k] => {
                    *windows > 0 && n % windows == 0 && [1, *heads].contains(h) && [q, k] == [queries, keys]
                }
                _ => false,
            };
            if !fits {
                bail!(
                    "an attention of {n} samples, {heads} heads, {queries} queries and {keys} keys has a bias {:?}",
                    bias.dims()
                );
            }
        }
        Ok(Sizes { n: *n, heads: *heads, queries: *queries, keys: *keys, width: *width, values: *values })
    }

    /// `work` on the numbers of a pass.
    fn with<R, T: Multiply>(&self, [q, k, v]: [&Tensor; 3], work: impl FnOnce(&Heads<'_, T>) -> R) -> Result<R> {
        let sizes = self.sizes(&[q.dims(), k.dims(), v.dims()])?;
        let bias = self.bias.as_ref().map(|bias| bias.like(q)).transpose()?;
        let [of_q, of_k, of_v] = [q, k, v].map(Held::of);
        let of_bias = bias.as_ref().map(|bias| (Held::of(bias), [bias.dims()[0], bias.dims()[1]]));
        let bias = match &of_bias {
            Some((held, counts)) => Some((held.numbers::<T>()?, *counts)),
            None => None,
        };
        let (q, k, v) = (of_q.numbers()?, of_k.numbers()?, of_v.numbers()?);
        Ok(work(&Heads { sizes, scale: self.scale, q, k, v, bias }))
    }

    /// The weights, where our loops do not run: `[n, heads, queries, keys]`.
    fn weights(&self, q: &Tensor, k: &Tensor) -> Result<Tensor> {
        let mut scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * self.scale)?;
        if let Some(bias) = &self.bias {
            let (bias, (n, heads, queries, keys)) = (bias.like(q)?, scores.dims4()?);
            let windows = bias.dim(0)?;
            let beside = scores.reshape((n / windows, windows, heads, queries * keys))?;
            let bias = bias.reshape((1, windows, bias.dim(1)?, queries * keys))?;
            scores = beside.broadcast_add(&bias)?.reshape((n, heads, queries, keys))?;
        }
        ops::softmax(&scores, D::Minus1)
    }

    fn vjp_on_device(&self, [q, k, v]: [&Tensor; 3], g: &Tensor) -> Result<[Tensor; 3]> {
        let weights = self.weights(q, k)?;
        let turned = |x: &Tensor| x.transpose(2, 3)?.contiguous();
        let u = g.matmul(&turned(v)?)?;
        let level = (&weights * &u)?.sum_keepdim(D::Minus1)?;
        let of_scores = ((&weights * u.broadcast_sub(&level)?)? * self.scale)?;
        Ok([of_scores.matmul(k)?, turned(&of_scores)?.matmul(q)?, turned(&weights)?.matmul(g)?])
    }
}

impl Operation for HeadAttention {
    fn name(&self) -> String {
        "attention by heads".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let Sizes { n, heads, queries, values, .. } = self.sizes(inputs)?;
        Ok(vec![n, heads, queries, values])
    }

    fn saves(&self) -> Saves {
        Saves::Inputs
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> f64 {
        let Ok(Sizes { n, heads, queries, keys, width, values }) = self.sizes(inputs) else { return 0.0 };
        numbers(&[n, heads, queries, keys]) * (width + values) as f64
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let inputs = inputs.iter().map(|input| input.contiguous()).collect::<Result<Vec<_>>>()?;
        let [q, k, v] = inputs.as_slice() else { bail!("attention takes queries, keys and values") };
        let shape = self.shape(&[q.dims(), k.dims(), v.dims()])?;
        let y = if has_kernels(q.device()) {
            by_type!(q, T => tensor(self.with([q, k, v], |heads: &Heads<'_, T>| heads.forward())?, &shape)?)
        } else {
            self.weights(q, k)?.matmul(v)?
        };
        Ok((y, if save { Saved::Tensors(inputs) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let saved = [pass.saved.tensor(0)?, pass.saved.tensor(1)?, pass.saved.tensor(2)?];
        let g = gradient.contiguous()?;
        let parts = if has_kernels(g.device()) {
            let held = Held::of(&g);
            by_type!(g, T => {
                let numbers = held.numbers::<T>()?;
                let [gq, gk, gv] = self.with(saved, |heads: &Heads<'_, T>| heads.vjp(numbers))?;
                [tensor(gq, saved[0].dims())?, tensor(gk, saved[1].dims())?, tensor(gv, saved[2].dims())?]
            })
        } else {
            self.vjp_on_device(saved, &g)?
        };
        into.into_iter().zip(parts).map(|(sum, part)| sum.map(|sum| sum.with(part)).transpose()).collect()
    }
}
