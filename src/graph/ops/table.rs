//! A sparse matrix along one axis of a tensor: what each place of the output takes of the input's.

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::along::Along;
use crate::nn::device::has_kernels;
use crate::nn::gemm::{Real, zeros};
use crate::nn::numbers::{Held, by_type, tensor};

/// Says of each row which places it takes, and which share of each.
pub(super) struct Table {
    /// Where the places of each row begin; there is one more than there are rows.
    starts: Vec<usize>,
    places: Vec<u32>,
    /// One for each place; none are shares of 1.
    shares: Option<Vec<f64>>,
    /// Places of the input.
    from: usize,
}

impl Table {
    /// Makes a table of rows that take one place whole, or none.
    pub(super) fn of_places(from: usize, rows: impl Iterator<Item = Option<usize>>) -> Result<Self> {
        let mut table = Self { starts: vec![0], places: Vec::new(), shares: None, from };
        for place in rows {
            if let Some(place) = place {
                table.places.push(table.checked(place)?);
            }
            table.starts.push(table.places.len());
        }
        Ok(table)
    }

    /// Makes a table of rows that take shares of places.
    pub(super) fn of_shares(from: usize, rows: impl Iterator<Item = Vec<(usize, f64)>>) -> Result<Self> {
        let mut table = Self { starts: vec![0], places: Vec::new(), shares: None, from };
        let mut shares = Vec::new();
        for row in rows {
            for (place, share) in row {
                table.places.push(table.checked(place)?);
                shares.push(share);
            }
            table.starts.push(table.places.len());
        }
        Ok(Self { shares: Some(shares), ..table })
    }

    fn checked(&self, place: usize) -> Result<u32> {
        match u32::try_from(place) {
            Ok(place) if (place as usize) < self.from => Ok(place),
            _ => bail!("place {place} of an axis of {}", self.from),
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether the table changes nothing.
    pub(super) fn is_identity(&self) -> bool {
        let straight = || self.places.iter().enumerate().all(|(at, place)| at == *place as usize);
        self.shares.is_none() && self.rows() == self.from && self.places.len() == self.from && straight()
    }

    fn transposed(&self) -> Self {
        let mut starts = vec![0; self.from + 1];
        self.places.iter().for_each(|place| starts[*place as usize + 1] += 1);
        (0..self.from).for_each(|at| starts[at + 1] += starts[at]);
        let mut next = starts.clone();
        let mut places = vec![0; self.places.len()];
        let mut shares = self.shares.as_ref().map(|shares| vec![0.0; shares.len()]);
        for row in 0..self.rows() {
            for at in self.starts[row]..self.starts[row + 1] {
                let to = &mut next[self.places[at] as usize];
                places[*to] = row as u32; // there are no more rows than a tensor has numbers along an axis, see `shape`
                if let (Some(to_shares), Some(shares)) = (&mut shares, &self.shares) {
                    to_shares[*to] = shares[at];
                }
                *to += 1;
            }
        }
        Self { starts, places, shares, from: self.rows() }
    }

    /// Gives the rows of `x` along `axis`; `filling` where a row takes nothing.
    fn apply(&self, x: &Tensor, axis: usize, filling: f64) -> Result<Tensor> {
        let along = Along::new(x.dims(), axis)?;
        if along.side != self.from {
            bail!("a table of {} places along axis {axis} of {:?}", self.from, x.dims());
        }
        if self.is_identity() {
            return x.contiguous();
        }
        let x = x.contiguous()?;
        let shape = along.with(x.dims(), self.rows());
        if !has_kernels(x.device()) {
            return self.on_device(&x, axis, filling);
        }
        let held = Held::of(&x);
        by_type!(x, T => tensor(self.of_numbers::<T>(held.numbers()?, &along, T::from_f64(filling)), &shape))
    }

    /// Gives the transpose of [`Self::apply`]: each place's sum over the rows that take it.
    fn vjp(&self, gradient: &Tensor, axis: usize) -> Result<Tensor> {
        if self.is_identity() {
            return gradient.contiguous();
        }
        if !has_kernels(gradient.device()) {
            return self.vjp_on_device(&gradient.contiguous()?, axis);
        }
        self.transposed().apply(gradient, axis, 0.0)
    }

    fn of_numbers<T: Real>(&self, x: &[T], along: &Along, filling: T) -> Vec<T> {
        let (rows, inner) = (self.rows(), along.inner);
        let shares: Option<Vec<T>> = self.shares.as_ref().map(|s| s.iter().map(|s| T::from_f64(*s)).collect());
        let mut y = zeros::<T>(along.outer * rows * inner);
        let pieces = y.par_chunks_mut(inner.max(1)).with_min_len(along.grain()).enumerate();
        pieces.for_each(|(at, y)| {
            let x = &x[at / rows * along.side * inner..][..along.side * inner];
            let places = self.starts[at % rows]..self.starts[at % rows + 1];
            let source = |place: u32| &x[place as usize * inner..][..inner];
            match (&self.places[places.clone()], &shares) {
                ([], _) => y.fill(filling),
                ([first, others @ ..], None) => {
                    y.copy_from_slice(source(*first));
                    for place in others {
                        y.iter_mut().zip(source(*place)).for_each(|(y, x)| *y += *x);
                    }
                }
                (all, Some(shares)) => {
                    for (place, share) in all.iter().zip(&shares[places]) {
                        y.iter_mut().zip(source(*place)).for_each(|(y, x)| *y += *x * *share);
                    }
                }
            }
        });
        y
    }

    /// Where our loops do not run: whole places by an index, shares by a dense matrix.
    fn on_device(&self, x: &Tensor, axis: usize, filling: f64) -> Result<Tensor> {
        if self.shares.is_some() {
            return multiplied(x, axis, &self.matrix(x)?);
        }
        if self.places.len() == self.rows() {
            return x.index_select(&self.index(x.device())?, axis);
        }
        let mut shape = x.dims().to_vec();
        shape[axis] = 1;
        let filled = Tensor::full(filling, shape, &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device())?;
        Tensor::cat(&[x, &filled], axis)?.contiguous()?.index_select(&self.index(x.device())?, axis)
    }

    fn vjp_on_device(&self, gradient: &Tensor, axis: usize) -> Result<Tensor> {
        if self.shares.is_some() {
            return multiplied(gradient, axis, &self.matrix(gradient)?.t()?.contiguous()?);
        }
        // The place past the end takes what comes of the filling.
        let mut shape = gradient.dims().to_vec();
        shape[axis] = self.from + 1;
        let sums = Tensor::zeros(shape, gradient.dtype(), gradient.device())?;
        sums.index_add(&self.index(gradient.device())?, gradient, axis)?.narrow(axis, 0, self.from)?.contiguous()
    }

    /// Gives the place that each row takes, and the place past the end where it takes none.
    fn index(&self, device: &Device) -> Result<Tensor> {
        let row = |at: usize| self.places[self.starts[at]..self.starts[at + 1]].first().copied();
        let index: Vec<u32> = (0..self.rows()).map(|at| row(at).unwrap_or(self.from as u32)).collect();
        Tensor::new(index, device)
    }

    /// Gives the matrix `[from, rows]`, computed on the CPU, as not every device knows f64.
    fn matrix(&self, like: &Tensor) -> Result<Tensor> {
        let mut matrix = vec![0.0_f64; self.from * self.rows()];
        for row in 0..self.rows() {
            for at in self.starts[row]..self.starts[row + 1] {
                let share = self.shares.as_ref().map_or(1.0, |shares| shares[at]);
                matrix[self.places[at] as usize * self.rows() + row] += share;
            }
        }
        Tensor::from_vec(matrix, (self.from, self.rows()), &Device::Cpu)?
            .to_dtype(like.dtype())?
            .to_device(like.device())
    }
}

/// Takes several axes by their tables, one after the other; `filling` stands where a row takes nothing.
pub(super) fn apply_all(tables: &[(usize, Table)], x: &Tensor, filling: f64) -> Result<Tensor> {
    tables.iter().try_fold(x.contiguous()?, |x, (axis, table)| table.apply(&x, *axis, filling))
}

/// Gives the transpose of [`apply_all`].
pub(super) fn vjp_all(tables: &[(usize, Table)], gradient: &Tensor) -> Result<Tensor> {
    tables.iter().rev().try_fold(gradient.contiguous()?, |gradient, (axis, table)| table.vjp(&gradient, *axis))
}

/// Multiplies an axis of `x` by a matrix `[side, rows]`.
fn multiplied(x: &Tensor, axis: usize, matrix: &Tensor) -> Result<Tensor> {
    let along = Along::new(x.dims(), axis)?;
    let last = x.reshape((along.outer, along.side, along.inner))?.transpose(1, 2)?.contiguous()?;
    let rows = last.reshape((along.outer * along.inner, along.side))?.matmul(matrix)?;
    let rows = rows.reshape((along.outer, along.inner, matrix.dim(1)?))?.transpose(1, 2)?.contiguous()?;
    rows.reshape(along.with(x.dims(), matrix.dim(1)?))
}
