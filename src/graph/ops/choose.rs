//! What other numbers of the graph choose: of two tensors, or of a frozen table.

use candle_core::{DType, Result, Tensor, bail};

use super::along::counted;
use super::broadcast::{back_to, together};
use super::frozen::Frozen;
use super::{Operation, Pass, Saved, Saves, Sum, each, only, stopped};

/// Of a mask and two tensors, the first tensor where the mask is not 0, else the second. All are repeated along the axes where they
/// have a length of 1. The mask has no gradient.
pub struct Choose;

/// Rows of a frozen table `[rows, width]`, by their numbers `[…]`: `[…, width]`. The numbers have no gradient; negative ones count
/// from the end of the table.
pub struct Lookup {
    table: Frozen,
}

impl Lookup {
    /// `table` is `[rows, width]`.
    pub fn new(table: &Tensor) -> Result<Self> {
        table.dims2()?;
        Ok(Self { table: Frozen::new(table)? })
    }
}

/// A mask as candle's operations take it, of a shape.
fn spread(mask: &Tensor, shape: &[usize]) -> Result<Tensor> {
    mask.ne(0.0)?.broadcast_as(shape)?.contiguous()
}

impl Operation for Choose {
    fn name(&self) -> String {
        "choice by a mask".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match inputs {
            [mask, a, b] => together(&self.name(), &together(&self.name(), a, b)?, mask),
            _ => bail!("{} of a mask and two tensors, found {inputs:?}", self.name()),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Inputs
    }

    fn forward(&self, inputs: &[&Tensor], save: bool) -> Result<(Tensor, Saved)> {
        let [mask, a, b] = inputs else { bail!("{} of {} tensors", self.name(), inputs.len()) };
        let shape = self.shape(&[mask.dims(), a.dims(), b.dims()])?;
        let [yes, no] = [a, b].map(|x| x.broadcast_as(shape.as_slice())?.contiguous());
        let y = spread(mask, &shape)?.where_cond(&yes?, &no?)?;
        let saved = || Saved::Tensors(inputs.iter().map(|input| (*input).clone()).collect());
        Ok((y, if save { saved() } else { Saved::Nothing }))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let gradient = gradient.contiguous()?;
        let (mask, nothing) = (spread(pass.saved.tensor(0)?, gradient.dims())?, gradient.zeros_like()?);
        let mut sums = into.into_iter();
        let of_mask = sums.next().flatten().map_or(Ok(None), Sum::without)?;
        let others = each(sums.collect(), |which| {
            let [yes, no] = if which == 0 { [&gradient, &nothing] } else { [&nothing, &gradient] };
            back_to(&mask.where_cond(yes, no)?, pass.shapes[which + 1])
        })?;
        Ok(std::iter::once(of_mask).chain(others).collect())
    }
}

impl Operation for Lookup {
    fn name(&self) -> String {
        format!("rows of a table {:?}", self.table.dims())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let width = self.table.dims().last().copied().unwrap_or(0);
        counted(&self.name(), only(inputs)?.iter().copied().chain([width]).collect())
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let (numbers, table) = (inputs[0], self.table.like(inputs[0])?);
        let (shape, rows) = (self.shape(&[numbers.dims()])?, table.dim(0)? as f64);
        let wanted: Vec<f64> = numbers.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let place = |wanted: &f64| if *wanted < 0.0 { wanted + rows } else { *wanted };
        if let Some(wrong) = wanted.iter().find(|wanted| !(0.0..rows).contains(&place(wanted))) {
            bail!("row {wrong} of a table of {rows}");
        }
        let places: Vec<u32> = wanted.iter().map(|wanted| place(wanted) as u32).collect();
        let count = places.len();
        let places = Tensor::from_vec(places, count, table.device())?;
        Ok((table.index_select(&places, 0)?.reshape(shape)?, Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, _: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        stopped(into)
    }
}
