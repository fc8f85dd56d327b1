//! Products of matrices, of two tensors or by a frozen one.

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::along::counted;
use super::broadcast::{Walk, back_to, together};
use super::frozen::Frozen;
use super::{Operation, Pass, Saved, Saves, Sum, each, numbers, only};
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Matrix, Real, zeros};
use crate::nn::numbers::{Held, by_type, tensor};
use crate::nn::product::multiply;

/// a b, of `[…, m, k]` and `[…, k, n]`: `[…, m, n]`. What stands before the matrices is repeated where it has a length of 1.
pub struct MatMul;

/// x w^T + bias, of `[…, in]` by frozen weights `[out, in]`: `[…, out]`.
pub struct Linear {
    weight: Frozen,
    bias: Option<Frozen>,
}

/// Least rows of a product that one thread computes at a time: enough for the kernel.
const ROWS: usize = 64;

/// How many rows of each of so many products of `rows` one thread computes at a time: each such block copies the whole right matrix,
/// so there are no more of them than keep every thread busy.
fn rows_of_block(rows: usize, products: usize) -> usize {
    let blocks = (2 * rayon::current_num_threads()).div_ceil(products.max(1));
    rows.div_ceil(blocks).max(ROWS)
}

/// A matrix in a tensor: whether it is taken transposed.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) tensor: &'a Tensor,
    pub(super) transposed: bool,
}

impl Side<'_> {
    /// What stands before the matrix, and its rows and columns as taken.
    fn shape(&self) -> Result<(&[usize], [usize; 2])> {
        match self.tensor.dims() {
            [batch @ .., rows, columns] if self.transposed => Ok((batch, [*columns, *rows])),
            [batch @ .., rows, columns] => Ok((batch, [*rows, *columns])),
            other => bail!("a matrix of a tensor {other:?}"),
        }
    }

    fn strides(&self, [rows, columns]: [usize; 2]) -> [usize; 2] {
        if self.transposed { [1, rows] } else { [columns, 1] }
    }

    fn on_device(&self) -> Result<Tensor> {
        if self.transposed { self.tensor.t()?.contiguous() } else { self.tensor.contiguous() }
    }
}

/// a b, of contiguous tensors.
pub(super) fn product(a: Side<'_>, b: Side<'_>) -> Result<Tensor> {
    if !has_kernels(a.tensor.device()) {
        return a.on_device()?.broadcast_matmul(&b.on_device()?);
    }
    let ((batch_a, [m, k]), (batch_b, [inner, n])) = (a.shape()?, b.shape()?);
    if inner != k {
        bail!("a product of matrices of {k} columns and of {inner} rows");
    }
    let batch = together("a product", batch_a, batch_b)?;
    let shape: Vec<usize> = batch.iter().copied().chain([m, n]).collect();
    let (of_a, of_b) = (Held::of(a.tensor), Held::of(b.tensor));
    let walk = Walk::new(&batch, batch_a, batch_b);
    by_type!(a.tensor, T => {
        let (numbers_a, numbers_b) = (of_a.numbers::<T>()?, of_b.numbers::<T>()?);
        let mut y = zeros::<T>(shape.iter().product());
        let rows = rows_of_block(m, batch.iter().product());
        if !y.is_empty() && k > 0 {
            y.par_chunks_mut(m * n).enumerate().for_each(|(at, y)| {
                let [at_a, at_b] = walk.places(at);
                y.par_chunks_mut(rows * n).enumerate().for_each(|(block, y)| {
                    let strides = a.strides([m, k]);
                    let offset = at_a * m * k + block * rows * strides[0];
                    let left = Matrix { values: numbers_a, offset, shape: [y.len() / n, k], strides };
                    let right = Matrix { values: numbers_b, offset: at_b * k * n, shape: [k, n], strides: b.strides([k, n]) };
                    multiply::<T>(left, right, y);
                });
            });
        }
        tensor(y, &shape)
    })
}

fn straight(tensor: &Tensor) -> Side<'_> {
    Side { tensor, transposed: false }
}

fn transposed(tensor: &Tensor) -> Side<'_> {
    Side { tensor, transposed: true }
}

/// A tensor as one matrix, `[rows, last]`.
fn flat(x: &Tensor) -> Result<Tensor> {
    let last = x.dims().last().copied().unwrap_or(1);
    let rows: usize = x.dims().iter().rev().skip(1).product();
    x.contiguous()?.reshape((rows, last))
}

impl Operation for MatMul {
    fn name(&self) -> String {
        "product of matrices".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match inputs {
            [[batch_a @ .., m, k], [batch_b @ .., inner, n]] if k == inner => {
                let batch = together(&self.name(), batch_a, batch_b)?;
                counted(&self.name(), batch.into_iter().chain([*m, *n]).collect())
            }
            _ => bail!("a product of matrices [..., m, k] and [..., k, n], found {inputs:?}"),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Inputs
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> f64 {
        let inner = inputs.first().and_then(|a| a.last()).copied().unwrap_or(0);
        self.shape(inputs).map_or(0.0, |shape| numbers(&shape) * inner as f64)
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let [a, b] = inputs else { bail!("a product of {} tensors", inputs.len()) };
        let shape = self.shape(&[a.dims(), b.dims()])?;
        let [a, b] = [a.contiguous()?, b.contiguous()?];
        // One matrix for all: the others are rows of one.
        let y = if b.rank() == 2 {
            product(straight(&flat(&a)?), straight(&b))?
        } else {
            product(straight(&a), straight(&b))?
        };
        Ok((y.reshape(shape)?, if save { Saved::Tensors(vec![a, b]) } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let (a, b, g) = (pass.saved.tensor(0)?, pass.saved.tensor(1)?, gradient.contiguous()?);
        let one = b.rank() == 2;
        each(into, |which| match which {
            0 if one => product(straight(&flat(&g)?), transposed(b))?.reshape(a.dims()),
            0 => back_to(&product(straight(&g), transposed(b))?, a.dims()),
            _ if one => product(transposed(&flat(a)?), straight(&flat(&g)?)),
            _ => back_to(&product(transposed(a), straight(&g))?, b.dims()),
        })
    }
}

impl Linear {
    /// `weight` is `[out, in]`, `bias` `[out]`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (out, _) = weight.dims2()?;
        if let Some(bias) = bias
            && bias.dims() != [out]
        {
            bail!("a linear layer of {out} outputs has biases {:?}", bias.dims());
        }
        Ok(Self { weight: Frozen::new(weight)?, bias: bias.map(Frozen::new).transpose()? })
    }
}

/// Adds a bias to every row.
fn add_to_rows<T: Real>(y: &[T], bias: &[T]) -> Vec<T> {
    Walk::new(&[y.len() / bias.len().max(1), bias.len()], &[y.len() / bias.len().max(1), bias.len()], &[bias.len()])
        .map(y, bias, |y, bias| y + bias)
}

impl Operation for Linear {
    fn name(&self) -> String {
        format!("linear layer {:?}", self.weight.dims())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match (only(inputs)?, self.weight.dims()) {
            ([before @ .., last], [out, width]) if last == width => {
                counted(&self.name(), before.iter().copied().chain([*out]).collect())
            }
            (shape, weight) => bail!("a linear layer of weights {weight:?} [out, in] takes [..., in], found {shape:?}"),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn multiply_adds(&self, inputs: &[&[usize]]) -> f64 {
        let outputs = self.weight.dims().first().copied().unwrap_or(0);
        only(inputs).map_or(0.0, |shape| numbers(shape) * outputs as f64)
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0];
        let shape = self.shape(&[x.dims()])?;
        let mut y = product(straight(&flat(x)?), transposed(&self.weight.like(x)?))?;
        if let Some(bias) = &self.bias {
            let bias = bias.like(x)?;
            y = if has_kernels(x.device()) {
                let (held, of_bias) = (Held::of(&y), Held::of(&bias));
                by_type!(x, T => tensor(add_to_rows::<T>(held.numbers()?, of_bias.numbers()?), &shape)?)
            } else {
                y.broadcast_add(&bias)?
            };
        }
        Ok((y.reshape(shape)?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let shape = only(pass.shapes)?;
        each(into, |_| product(straight(&flat(gradient)?), straight(&self.weight.like(gradient)?))?.reshape(shape))
    }
}
