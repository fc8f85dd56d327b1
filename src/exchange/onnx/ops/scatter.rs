//! Gathers and scatters by known indices of single numbers and of slices.

use candle_core::{DType, Device, Tensor};

use super::one;
use crate::exchange::lower::{Lowering, Made, Meaning, Operand, beyond, elements, slices, wrong};
use crate::exchange::onnx::node::Node;

fn indices(n: &Node<'_>) -> Made<(Vec<i64>, Vec<usize>)> {
    match n.known(1)? {
        Some(indices) => Ok((indices, n.input(1)?.shape().to_vec())),
        None => wrong("its indices are missing"),
    }
}

pub(super) fn gather_elements(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, (indices, of)) = (n.input(0)?, indices(n)?);
    let places = elements(&indices, &of, x.shape(), n.axis(0, x.rank())?)?;
    one(l.flat(x, places, &of))
}

pub(super) fn gather_nd(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, (indices, of)) = (n.input(0)?, indices(n)?);
    let batch = usize::try_from(n.int("batch_dims", 0)).unwrap_or(usize::MAX);
    let Some((width, rows)) = of.split_last() else { return wrong("indices that are a lone number") };
    let behind = x.shape().get(batch.saturating_add(*width)..).unwrap_or(&[]);
    l.afford_numbers(&[rows, behind].concat())?;
    let (places, named) = slices(&indices, &of, x.shape(), batch)?;
    one(l.flat(x, places, &named))
}

pub(super) fn scatter_elements(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, (indices, of)) = (n.input(0)?, indices(n)?);
    let places = elements(&indices, &of, x.shape(), n.axis(0, x.rank())?)?;
    one(scatter(l, n, &places, &of))
}

pub(super) fn scatter_nd(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (x, (indices, of)) = (n.input(0)?, indices(n)?);
    let Some((width, rows)) = of.split_last() else { return wrong("indices that are a lone number") };
    let behind = x.shape().get(*width..).unwrap_or(&[]);
    l.afford_numbers(&[rows, behind].concat())?;
    let (places, named) = slices(&indices, &of, x.shape(), 0)?;
    one(scatter(l, n, &places, &named))
}

/// The tensor with updates at places.
fn scatter(l: &mut Lowering, n: &Node<'_>, places: &[i64], named: &[usize]) -> Made<Operand> {
    let (x, updates) = (n.input(0)?, n.input(2)?);
    if updates.shape() != named {
        return wrong(format!("updates {:?} of places {named:?}", updates.shape()));
    }
    match n.text("reduction", "none") {
        "none" => l.scatter(x, updates, places, false),
        "add" => l.scatter(x, updates, places, true),
        other => beyond(format!("it writes by {other:?}")),
    }
}

/// The upper or the lower triangle of matrices; 0 elsewhere.
pub(super) fn trilu(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let [.., rows, columns] = x.shape() else { return wrong("a matrix is wanted") };
    let off = n.known(1)?.and_then(|numbers| numbers.first().copied()).unwrap_or(0);
    let upper = n.int("upper", 1) != 0;
    l.afford_numbers(&[*rows, *columns])?;
    let inside = |place: usize| {
        let right = (place % columns) as i64 - (place / columns) as i64;
        f64::from(u8::from(if upper { right >= off } else { right <= off }))
    };
    let mask: Vec<f64> = (0..rows * columns).map(inside).collect();
    let mask = Operand::known(Meaning::Truth, Tensor::from_vec(mask, (*rows, *columns), &Device::Cpu)?);
    let zero = l.filled(x.kind, 0.0, &[1])?;
    one(l.choose(&mask, x, &zero))
}

/// The places of known numbers other than 0.
pub(super) fn non_zero(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    let Some(numbers) = x.numbers() else { return beyond("how many places it gives depends on the network's input") };
    let found: Vec<usize> = (0..numbers.len()).filter(|at| numbers[*at] != 0.0).collect();
    l.afford_numbers(&[x.rank(), found.len()])?;
    let mut places = Vec::with_capacity(x.rank() * found.len());
    for axis in 0..x.rank() {
        let behind: usize = x.shape()[axis + 1..].iter().product();
        places.extend(found.iter().map(|at| (at / behind % x.shape()[axis]) as f64));
    }
    let places = Tensor::from_vec(places, (x.rank(), found.len()), &Device::Cpu)?;
    one(Ok(Operand::known(Meaning::Whole, places)))
}

/// Rows that are one number at known places, another elsewhere.
pub(super) fn one_hot(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (Some(indices), Some(depth), Some(values)) = (n.known(0)?, n.known(1)?, n.known_reals(2)?) else {
        return wrong("an input is missing");
    };
    let (&[depth], &[off, on]) = (depth.as_slice(), values.as_slice()) else { return wrong("a depth and two values") };
    let depth = usize::try_from(depth).map_err(|why| why.to_string())?;
    let of = n.input(0)?.shape();
    let axis = crate::exchange::lower::axis_of(n.int("axis", -1), of.len() + 1)?;
    l.afford_numbers(&[indices.len(), depth])?;
    let place = |index: i64| if index < 0 { index.saturating_add(depth as i64) } else { index };
    let rows =
        indices.iter().flat_map(|index| (0..depth as i64).map(move |at| if at == place(*index) { on } else { off }));
    let kind = n.input(2)?.kind;
    let shape: Vec<usize> = of.iter().copied().chain([depth]).collect();
    let rows = Tensor::from_vec(rows.collect::<Vec<f64>>(), shape, &Device::Cpu)?;
    let rows = Operand::known(kind, if kind == Meaning::Real { rows.to_dtype(DType::F32)? } else { rows });
    let mut order: Vec<usize> = (0..of.len()).collect();
    order.insert(axis, of.len());
    one(l.permute(&rows, &order))
}
