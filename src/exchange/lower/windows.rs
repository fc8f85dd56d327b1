//! Windows of slices as columns, and columns added up into slices: PyTorch's `unfold` and `fold`.

use super::{Lowering, Made, Meaning, Operand, counted, shared, wrong};
use crate::graph::ops::{Arithmetic, Edge, Pick};

/// Most that a side, a stride, a dilation or a padding may be.
const MOST_STEP: usize = 1 << 20;

/// Windows over slices of one size, along height and width.
pub(in crate::exchange) struct Columns {
    pub(in crate::exchange) size: [usize; 2],
    pub(in crate::exchange) kernel: [usize; 2],
    pub(in crate::exchange) stride: [usize; 2],
    pub(in crate::exchange) dilation: [usize; 2],
    /// Before and behind each axis.
    pub(in crate::exchange) padding: [[usize; 2]; 2],
}

impl Columns {
    /// How many windows stand along each axis.
    fn windows(&self) -> Made<[usize; 2]> {
        let steps = [self.kernel, self.stride, self.dilation].concat();
        let all = steps.iter().chain(&self.size).chain(self.padding.iter().flatten());
        if steps.contains(&0) || all.clone().any(|step| *step > MOST_STEP) {
            return wrong(format!("windows of {:?} by {:?} over {:?}", self.kernel, self.stride, self.size));
        }
        let mut windows = [0; 2];
        for (axis, windows) in windows.iter_mut().enumerate() {
            let padded = self.size[axis] + self.padding[axis].iter().sum::<usize>();
            let Some(surplus) = padded.checked_sub((self.kernel[axis] - 1) * self.dilation[axis] + 1) else {
                return wrong(format!("windows of {:?} do not fit slices of {:?}", self.kernel, self.size));
            };
            *windows = surplus / self.stride[axis] + 1;
        }
        Ok(windows)
    }

    /// By element of the windows and by window, the place in the slice; none in the padding.
    fn places(&self, low: &mut Lowering) -> Made<Vec<Option<usize>>> {
        let windows = self.windows()?;
        let shape = [self.kernel[0], self.kernel[1], windows[0], windows[1]];
        let count = counted(&shape)?;
        low.afford_numbers(&shape)?;
        let along = |axis: usize, element: usize, window: usize| {
            let padded = window * self.stride[axis] + element * self.dilation[axis];
            padded.checked_sub(self.padding[axis][0]).filter(|place| *place < self.size[axis])
        };
        let place = |at: usize| {
            let (column, row) = (at % windows[1], at / windows[1] % windows[0]);
            let element = at / (windows[0] * windows[1]);
            let (y, x) = (along(0, element / self.kernel[1], row)?, along(1, element % self.kernel[1], column)?);
            Some(y * self.size[1] + x)
        };
        Ok((0..count).map(place).collect())
    }
}

impl Lowering {
    /// Windows as columns: `[n, c, h, w]` to `[n, c * elements, windows]`.
    pub(in crate::exchange) fn columns(&mut self, x: &Operand, of: &Columns) -> Made<Operand> {
        let &[n, c, h, w] = x.shape() else { return wrong(format!("windows over a tensor {:?}", x.shape())) };
        let (elements, windows) = (of.kernel.iter().product::<usize>(), of.windows()?.iter().product::<usize>());
        let places = of.places(self)?;
        let row = self.reshape(x, &[n, c, h * w])?;
        let y = self.taken(&row, &places)?;
        self.reshape(&y, &[n, c * elements, windows])
    }

    /// Each voxel as the sum of the columns' numbers that stand for it: `[n, c * elements, windows]` to `[n, c, h, w]`.
    pub(in crate::exchange) fn folded(&mut self, columns: &Operand, of: &Columns) -> Made<Operand> {
        let (elements, windows) = (of.kernel.iter().product::<usize>(), of.windows()?.iter().product::<usize>());
        let &[n, rows, there] = columns.shape() else {
            return wrong(format!("columns {:?}, where three axes are wanted", columns.shape()));
        };
        if there != windows || rows % elements != 0 {
            return wrong(format!("columns {:?} of {windows} windows of {elements}", columns.shape()));
        }
        let (c, [h, w]) = (rows / elements, of.size);
        // Windows that share a voxel lie in layers of their own.
        let places = of.places(self)?;
        let places: Vec<i64> = places.iter().map(|place| place.map_or(-1, |place| place as i64)).collect();
        let layers = self.layers(counted(&[h, w])?, &places)?;
        let row = self.reshape(columns, &[n, c, elements * windows])?;
        let mut sum: Option<Operand> = None;
        for layer in &layers {
            let layer = self.taken(&row, layer)?;
            sum = Some(match sum {
                Some(sum) => self.pairwise(Arithmetic::Add, &sum, &layer)?,
                None => layer,
            });
        }
        match sum {
            Some(sum) => self.reshape(&sum, &[n, c, h, w]),
            None => self.filled(Meaning::Real, 0.0, &[n, c, h, w]),
        }
    }

    /// Places of the last of three axes; 0 where there is none.
    fn taken(&mut self, x: &Operand, places: &[Option<usize>]) -> Made<Operand> {
        let none = x.shape()[2];
        let x = if places.contains(&None) { self.pad(x, &[(2, [0, 1])], Edge::Constant, 0.0)? } else { x.clone() };
        let places = places.iter().map(|place| place.unwrap_or(none) as i64).collect();
        self.select(&x, vec![(2, Pick::Indices(shared(places)))], 0.0)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;

    /// Slices of three by three, under windows of two by two.
    const OF: Columns =
        Columns { size: [3, 3], kernel: [2, 2], stride: [1, 1], dilation: [1, 1], padding: [[0, 0], [0, 0]] };

    fn lowering() -> Lowering {
        Lowering::new(DType::F64, &Device::Cpu, 1 << 20)
    }

    fn numbers(numbers: &[f64], shape: &[usize]) -> Operand {
        Operand::known(Meaning::Real, Tensor::from_slice(numbers, shape, &Device::Cpu).expect("as many as the shape"))
    }

    #[test]
    fn columns_folded_again_count_each_voxel_once_for_each_window_over_it() {
        let (mut low, x) = (lowering(), numbers(&[1., 2., 3., 4., 5., 6., 7., 8., 9.], &[1, 1, 3, 3]));
        let columns = low.columns(&x, &OF).expect("windows that fit");
        assert_eq!(columns.shape(), [1, 4, 4]);
        assert_eq!(columns.numbers().expect("known")[..4], [1., 2., 4., 5.]);
        let y = low.folded(&columns, &OF).expect("as many columns as windows");
        assert_eq!(y.numbers().expect("known"), [1., 4., 3., 8., 20., 12., 7., 16., 9.]);
    }

    #[test]
    fn windows_that_do_not_fit_are_an_error() {
        let (mut low, x) = (lowering(), numbers(&[1., 2., 3., 4.], &[1, 1, 2, 2]));
        assert!(low.columns(&x, &Columns { size: [2, 2], kernel: [3, 3], ..OF }).is_err());
        assert!(low.columns(&x, &Columns { size: [2, 2], stride: [0, 1], ..OF }).is_err());
        assert!(low.folded(&x, &OF).is_err());
    }

    #[test]
    fn updates_of_one_place_add_up() {
        let (mut low, x) = (lowering(), numbers(&[1., 1., 1.], &[3]));
        let updates = numbers(&[10., 20., 30.], &[3]);
        let added = low.scatter(&x, &updates, &[2, 0, 2], true).expect("places within");
        assert_eq!(added.numbers().expect("known"), [21., 1., 41.]);
        let written = low.scatter(&x, &updates, &[2, 0, 2], false).expect("places within");
        assert_eq!(written.numbers().expect("known"), [20., 1., 30.]);
    }
}
