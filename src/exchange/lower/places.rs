//! Places in tensors as numbers in a row: what gathers and scatters of known indices come to.

use candle_core::{Device, Tensor};

use super::shapes::counted;
use super::{Lowering, Made, Meaning, Operand, wrong};
use crate::graph::ops::Arithmetic;

/// How far apart neighbours along each axis lie.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Calls `of` with each place of a tensor, in order, as its place along each axis.
fn each_place(shape: &[usize], mut of: impl FnMut(&[usize])) {
    let mut place = vec![0; shape.len()];
    for _ in 0..shape.iter().product::<usize>() {
        of(&place);
        for (at, side) in place.iter_mut().zip(shape).rev() {
            *at += 1;
            if *at < *side {
                break;
            }
            *at = 0;
        }
    }
}

/// By place of a tensor of `shape`, the place in one of `from` that `of` says, axis by axis.
pub(in crate::exchange) fn flat_places(
    shape: &[usize],
    from: &[usize],
    mut of: impl FnMut(&[usize], &mut [usize]),
) -> Made<Vec<i64>> {
    let (count, strides) = (counted(shape)?, strides(from));
    let (mut places, mut at) = (Vec::with_capacity(count), vec![0; from.len()]);
    each_place(shape, |place| {
        of(place, &mut at);
        places.push(at.iter().zip(&strides).map(|(at, stride)| at * stride).sum::<usize>() as i64);
    });
    Ok(places)
}

/// An index within an axis, counted from its end where it is negative.
fn within(index: i64, side: usize) -> Made<usize> {
    let from_start = if index < 0 { index.saturating_add(side as i64) } else { index };
    match usize::try_from(from_start).ok().filter(|index| *index < side) {
        Some(index) => Ok(index),
        None => wrong(format!("place {index} of an axis of {side}")),
    }
}

/// By place of `indices`, the place of `shape` that lies there along the other axes and at the index along this one.
pub(in crate::exchange) fn elements(indices: &[i64], of: &[usize], shape: &[usize], axis: usize) -> Made<Vec<i64>> {
    let fits = of.len() == shape.len() && of.iter().zip(shape).enumerate().all(|(at, (a, b))| at == axis || a <= b);
    if !fits {
        return wrong(format!("indices {of:?} of a tensor {shape:?}"));
    }
    let mut given = indices.iter();
    let mut fault = None;
    let places = flat_places(of, shape, |place, at| {
        at.copy_from_slice(place);
        match given.next().map(|index| within(*index, shape[axis])) {
            Some(Ok(index)) => at[axis] = index,
            Some(Err(why)) => fault = Some(why),
            None => {}
        }
    })?;
    fault.map_or(Ok(places), Err)
}

/// The places that rows of indices name in a tensor of `shape`: each row names a place along the axes behind the `batch` first, and with
/// it all that lies behind. Gives the shape of what they name too.
pub(in crate::exchange) fn slices(
    indices: &[i64],
    of: &[usize],
    shape: &[usize],
    batch: usize,
) -> Made<(Vec<i64>, Vec<usize>)> {
    let Some((&width, rows)) = of.split_last() else { return wrong("indices that are a lone number") };
    if batch > rows.len() || batch + width > shape.len() || rows[..batch] != shape[..batch] || width == 0 {
        return wrong(format!("indices {of:?} of a tensor {shape:?}"));
    }
    let behind = &shape[batch + width..];
    let named: Vec<usize> = rows.iter().chain(behind).copied().collect();
    counted(&named)?;
    let mut fault = None;
    let row_strides = strides(rows);
    let places = flat_places(&named, shape, |place, at| {
        let row: usize = place[..rows.len()].iter().zip(&row_strides).map(|(at, stride)| at * stride).sum();
        at[..batch].copy_from_slice(&place[..batch]);
        for (which, at) in at[batch..batch + width].iter_mut().enumerate() {
            match within(indices.get(row * width + which).copied().unwrap_or(0), shape[batch + which]) {
                Ok(index) => *at = index,
                Err(why) => fault = Some(why),
            }
        }
        at[batch + width..].copy_from_slice(&place[rows.len()..]);
    })?;
    fault.map_or(Ok((places, named)), Err)
}

/// By place of a tensor of `shape`, whether it is that of an update, and of which: the last that is written there.
fn written(count: usize, places: &[i64]) -> Vec<Option<usize>> {
    let mut by = vec![None; count];
    for (update, place) in places.iter().enumerate() {
        if let Some(slot) = usize::try_from(*place).ok().and_then(|place| by.get_mut(place)) {
            *slot = Some(update);
        }
    }
    by
}

impl Lowering {
    /// A tensor with updates written to its places as a row, where the last that is written to a place stays, or added to them.
    pub(in crate::exchange) fn scatter(
        &mut self,
        x: &Operand,
        updates: &Operand,
        places: &[i64],
        adds: bool,
    ) -> Made<Operand> {
        self.afford_numbers(x.shape())?;
        self.afford_numbers(&[places.len()])?;
        let row = self.reshape(updates, &[updates.count()])?;
        if adds {
            let mut sum = x.clone();
            for layer in self.layers(counted(x.shape())?, places)? {
                let spread = self.spread(&row, &layer, x.shape())?;
                sum = self.pairwise(Arithmetic::Add, &sum, &spread)?;
            }
            return Ok(sum);
        }
        let by = written(counted(x.shape())?, places);
        let spread = self.spread(&row, &by, x.shape())?.called(x.kind);
        if by.iter().all(Option::is_some) {
            return Ok(spread);
        }
        let mask: Vec<f64> = by.iter().map(|update| f64::from(u8::from(update.is_some()))).collect();
        let mask = Operand::known(Meaning::Truth, Tensor::from_vec(mask, x.shape(), &Device::Cpu)?);
        self.choose(&mask, &spread, x)
    }

    /// Updates in as many layers as go to one place, each of which holds one update of each place at most.
    pub(super) fn layers(&mut self, count: usize, places: &[i64]) -> Made<Vec<Vec<Option<usize>>>> {
        let (mut layers, mut heights): (Vec<Vec<Option<usize>>>, _) = (Vec::new(), vec![0_usize; count]);
        for (update, place) in places.iter().enumerate() {
            let Some(place) = usize::try_from(*place).ok().filter(|place| *place < count) else { continue };
            let height = heights[place];
            if height == layers.len() {
                self.afford_numbers(&[count])?;
                layers.push(vec![None; count]);
            }
            layers[height][place] = Some(update);
            heights[place] = height + 1;
        }
        Ok(layers)
    }

    /// Numbers of a row by their places in it; 0 where there is none.
    fn spread(&mut self, row: &Operand, from: &[Option<usize>], shape: &[usize]) -> Made<Operand> {
        let none = row.count();
        let zero = self.filled(row.kind, 0.0, &[1])?;
        let row = if from.contains(&None) { self.concat(&[row, &zero], 0)? } else { row.clone() };
        self.flat(&row, from.iter().map(|place| place.unwrap_or(none) as i64).collect(), shape)
    }
}
