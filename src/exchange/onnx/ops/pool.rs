//! Pools over windows, and over everything.

use candle_core::{Device, Tensor};

use super::one;
use super::pick::places;
use crate::exchange::lower::{Columns, Lowering, Made, Meaning, Operand, beyond, wrong};
use crate::exchange::onnx::node::{Node, three};
use crate::graph::ops::{Arithmetic, AveragePool, Edge, MaxPool, Reduction, Windows};

/// The windows of a pool along its axes of voxels.
struct Pool {
    size: Vec<usize>,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<[usize; 2]>,
    /// How many windows there are.
    outputs: Vec<usize>,
}

impl Pool {
    fn of(n: &Node<'_>) -> Made<Self> {
        let x = n.input(0)?;
        let [_, _, size @ ..] = x.shape() else { return wrong(format!("a pool of a tensor {:?}", x.shape())) };
        let axes = size.len();
        let kernel = n.steps("kernel_shape", axes, 0)?;
        if axes == 0 || kernel.contains(&0) {
            return wrong("its kernel is missing");
        }
        let (strides, dilations) = (n.steps("strides", axes, 1)?, n.steps("dilations", axes, 1)?);
        let extents: Vec<usize> = kernel.iter().zip(&dilations).map(|(side, apart)| (side - 1) * apart + 1).collect();
        let pads = n.window_pads(size, &extents, &strides)?;
        let same = n.text("auto_pad", "NOTSET").starts_with("SAME");
        let ceil = n.int("ceil_mode", 0) != 0 && !same;
        let outputs = (0..axes).map(|axis| {
            let [before, behind] = pads[axis];
            let Some(surplus) = (size[axis] + before + behind).checked_sub(extents[axis]).filter(|_| size[axis] > 0)
            else {
                return wrong(format!("windows of {extents:?} do not fit {size:?}"));
            };
            let steps = if ceil { surplus.div_ceil(strides[axis]) } else { surplus / strides[axis] };
            // No window begins in the padding behind.
            Ok(steps + 1 - usize::from(ceil && steps * strides[axis] >= size[axis] + before))
        });
        let outputs = outputs.collect::<Made<Vec<_>>>()?;
        Ok(Self { size: size.to_vec(), kernel, strides, dilations, pads, outputs })
    }

    /// Gives the windows as the pools of the graph have them, where they have them.
    fn windows(&self, ceil: bool) -> Made<Option<Windows>> {
        let even =
            self.pads.iter().zip(&self.kernel).all(|([before, behind], side)| before == behind && 2 * before <= *side);
        if !even || self.dilations.iter().any(|apart| *apart != 1) || !(2..=3).contains(&self.size.len()) {
            return Ok(None);
        }
        let padding: Vec<usize> = self.pads.iter().map(|[before, _]| *before).collect();
        let [kernel, stride, padding] = [three(&self.kernel, 1)?, three(&self.strides, 1)?, three(&padding, 0)?];
        Ok(Some(Windows { kernel, stride, padding, ceil }))
    }

    /// Along an axis, the place of each number of each window; none in the padding.
    fn places(&self, axis: usize) -> Vec<Option<usize>> {
        let windows = (0..self.outputs[axis]).flat_map(|at| (0..self.kernel[axis]).map(move |tap| (at, tap)));
        let place = |(at, tap): (usize, usize)| {
            let padded = at * self.strides[axis] + tap * self.dilations[axis];
            padded.checked_sub(self.pads[axis][0]).filter(|place| *place < self.size[axis])
        };
        windows.map(place).collect()
    }

    /// The windows side by side, `filling` in the padding, and pools that take them one after the other.
    fn apart(&self, l: &mut Lowering, x: &Operand, filling: f64) -> Made<(Operand, Windows)> {
        let mut y = x.clone();
        for axis in 0..self.size.len() {
            l.afford_numbers(&[self.outputs[axis].saturating_mul(self.kernel[axis])])?;
            let own = self.places(axis);
            let picked: Vec<i64> =
                own.iter().map(|place| place.map_or(self.size[axis], |place| place) as i64).collect();
            if own.iter().any(Option::is_none) {
                y = l.pad(&y, &[(axis + 2, [0, 1])], Edge::Constant, filling)?;
            }
            y = l.select(&y, vec![(axis + 2, places(picked))], 0.0)?;
        }
        // Lines are slices of one row.
        if self.size.len() == 1 {
            y = l.unsqueeze(&y, &[2])?;
        }
        let kernel = three(&self.kernel, 1)?;
        Ok((y, Windows { kernel, stride: kernel, padding: [0; 3], ceil: false }))
    }

    fn shaped(&self, l: &mut Lowering, y: &Operand) -> Made<Operand> {
        let shape: Vec<usize> = y.shape()[..2].iter().chain(&self.outputs).copied().collect();
        l.reshape(y, &shape)
    }
}

pub(super) fn max(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (pool, x) = (Pool::of(n)?, n.input(0)?);
    if let Some(windows) = pool.windows(n.int("ceil_mode", 0) != 0)? {
        return one(l.on(MaxPool(windows), x));
    }
    let (apart, windows) = pool.apart(l, x, f64::NEG_INFINITY)?;
    let y = l.on(MaxPool(windows), &apart)?;
    one(pool.shaped(l, &y))
}

pub(super) fn average(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (pool, x) = (Pool::of(n)?, n.input(0)?);
    let count_padding = n.int("count_include_pad", 0) != 0;
    if let Some(windows) = pool.windows(n.int("ceil_mode", 0) != 0)? {
        return one(l.on(AveragePool { windows, count_padding }, x));
    }
    let (apart, windows) = pool.apart(l, x, 0.0)?;
    let y = l.on(AveragePool { windows, count_padding: true }, &apart)?;
    let y = pool.shaped(l, &y)?;
    // From shares of the whole window to shares of what counts of it.
    let mut factors = Operand::known(Meaning::Real, Tensor::ones(&[1][..], candle_core::DType::F32, &Device::Cpu)?);
    for axis in 0..pool.size.len() {
        let counts = |at: usize| {
            let padded = |tap: &usize| at * pool.strides[axis] + tap * pool.dilations[axis];
            let [before, behind] = pool.pads[axis];
            let inside = |place: &usize| {
                let within = before..before + pool.size[axis];
                if count_padding { *place < within.end + behind } else { within.contains(place) }
            };
            let count = (0..pool.kernel[axis]).map(|tap| padded(&tap)).filter(inside).count();
            pool.kernel[axis] as f32 / count.max(1) as f32
        };
        let along: Vec<f32> = (0..pool.outputs[axis]).map(counts).collect();
        let mut shape = vec![1; pool.size.len()];
        shape[axis] = along.len();
        let along = Operand::known(Meaning::Real, Tensor::from_vec(along, shape, &Device::Cpu)?);
        factors = l.pairwise(Arithmetic::Multiply, &factors, &along)?;
    }
    one(l.pairwise(Arithmetic::Multiply, &y, &factors))
}

fn global(l: &mut Lowering, n: &Node<'_>, of: Reduction) -> Made<Vec<Operand>> {
    let x = n.input(0)?;
    one(l.reduce(of, x, &(2..x.rank()).collect::<Vec<_>>(), true))
}

pub(super) fn global_average(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    global(l, n, Reduction::Mean)
}

pub(super) fn global_max(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    global(l, n, Reduction::Max)
}

/// Columns of windows added up into slices: `Col2Im`.
pub(super) fn fold(l: &mut Lowering, n: &Node<'_>) -> Made<Vec<Operand>> {
    let (Some(size), Some(kernel)) = (n.known(1)?, n.known(2)?) else { return wrong("its sizes are missing") };
    let (Ok(size), Ok(kernel)) = (<[i64; 2]>::try_from(size.as_slice()), <[i64; 2]>::try_from(kernel.as_slice()))
    else {
        return beyond(format!("it folds {} axes of voxels; two can be had", size.len()));
    };
    let side = |side: i64| usize::try_from(side).unwrap_or(usize::MAX);
    let pair = |steps: Vec<usize>| [steps[0], steps[1]];
    let pads = n.pads(2)?;
    let columns = Columns {
        size: size.map(side),
        kernel: kernel.map(side),
        stride: pair(n.steps("strides", 2, 1)?),
        dilation: pair(n.steps("dilations", 2, 1)?),
        padding: [pads[0].map(side), pads[1].map(side)],
    };
    one(l.folded(n.input(0)?, &columns))
}
