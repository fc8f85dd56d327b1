//! Operations that put numbers in another order, take some of them, or set zeros around them.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::{Operation, Pass, Planes, Saved, Saves, Sum, each, only};

/// Axes in another order.
pub struct Permute(pub Vec<usize>);

/// Axes in reverse.
pub struct Flip(pub Vec<usize>);

/// Another shape of as many numbers; one side may be `None`: what is left for it.
pub struct Reshape(pub Vec<Option<usize>>);

/// An axis of length 1 more.
pub struct Unsqueeze {
    pub axis: usize,
}

/// `length` numbers of an axis, from `start` on.
pub struct Narrow {
    pub axis: usize,
    pub start: usize,
    pub length: usize,
}

/// The centre of the first tensor, of the height and width of the second: `[n, c, h, w]`. The first row is half the surplus, rounded
/// down, as in `lungmask/resunet.py`, `center_crop`.
pub struct CenterCrop;

/// Zeros before and behind, along each axis.
pub struct Pad(pub Vec<[usize; 2]>);

impl Operation for Permute {
    fn name(&self) -> String {
        format!("axes {:?}", self.0)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        let mut axes = self.0.clone();
        axes.sort_unstable();
        if !axes.iter().copied().eq(0..shape.len()) {
            bail!("axes {:?} of a tensor {shape:?}", self.0);
        }
        Ok(self.0.iter().map(|axis| shape[*axis]).collect())
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((inputs[0].permute(self.0.as_slice())?.contiguous()?, Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let mut inverse = vec![0; self.0.len()];
        self.0.iter().enumerate().for_each(|(to, from)| inverse[*from] = to);
        each(into, |_| gradient.permute(inverse.as_slice())?.contiguous())
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        let to = self.0.iter().position(|from| *from == axis)?;
        Some((Arc::new(Self(self.0.clone())), Planes::each(to)))
    }
}

impl Operation for Flip {
    fn name(&self) -> String {
        format!("axes {:?} in reverse", self.0)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match only(inputs)? {
            shape if self.0.iter().all(|axis| *axis < shape.len()) => Ok(shape.to_vec()),
            shape => bail!("axes {:?} of a tensor {shape:?}", self.0),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((inputs[0].contiguous()?.flip(&self.0)?, Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        each(into, |_| gradient.contiguous()?.flip(&self.0))
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        let stays = !self.0.contains(&axis);
        stays.then(|| (Arc::new(Self(self.0.clone())) as Arc<dyn Operation>, Planes::each(axis)))
    }
}

impl Operation for Reshape {
    fn name(&self) -> String {
        format!("shape {:?}", self.0)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        let count: usize = shape.iter().product();
        let known: usize = self.0.iter().flatten().product();
        let open = self.0.iter().filter(|side| side.is_none()).count();
        let fits = if open == 0 { count == known } else { open == 1 && known > 0 && count.is_multiple_of(known) };
        if !fits {
            bail!("a tensor {shape:?} as {:?}", self.0);
        }
        Ok(self.0.iter().map(|side| side.unwrap_or(count / known.max(1))).collect())
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let x = inputs[0].contiguous()?;
        Ok((x.reshape(self.shape(&[x.dims()])?)?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        each(into, |_| gradient.contiguous()?.reshape(only(pass.shapes)?))
    }
}

impl Operation for Unsqueeze {
    fn name(&self) -> String {
        format!("another axis {}", self.axis)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let mut shape = only(inputs)?.to_vec();
        if self.axis > shape.len() {
            bail!("{} of {shape:?}", self.name());
        }
        shape.insert(self.axis, 1);
        Ok(shape)
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((inputs[0].unsqueeze(self.axis)?, Saved::Nothing))
    }

    fn vjp(&self, _: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        each(into, |_| gradient.squeeze(self.axis))
    }
    fn on_planes(&self, axis: usize, _: &[usize]) -> Option<(Arc<dyn Operation>, Planes)> {
        let to = axis + usize::from(self.axis <= axis);
        Some((Arc::new(Self { axis: self.axis }), Planes::each(to)))
    }
}

/// `shape` with another side.
fn with(shape: &[usize], axis: usize, side: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    shape[axis] = side;
    shape
}

impl Operation for Narrow {
    fn name(&self) -> String {
        format!("{} of axis {} from {}", self.length, self.axis, self.start)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        let room = shape.get(self.axis).and_then(|side| side.checked_sub(self.start));
        if room.is_none_or(|room| room < self.length) {
            bail!("{} of {shape:?}", self.name());
        }
        Ok(with(shape, self.axis, self.length))
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        Ok((inputs[0].narrow(self.axis, self.start, self.length)?.contiguous()?, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let behind = only(pass.shapes)?[self.axis] - self.start - self.length;
        each(into, |_| gradient.contiguous()?.pad_with_zeros(self.axis, self.start, behind))
    }
}

impl Operation for CenterCrop {
    fn name(&self) -> String {
        "centre".to_owned()
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        match inputs {
            [[n, c, h, w], [_, _, height, width]] if height <= h && width <= w => Ok(vec![*n, *c, *height, *width]),
            _ => bail!("the centre of the first of {inputs:?} as large as the second"),
        }
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let ((_, _, h, w), (_, _, height, width)) = (inputs[0].dims4()?, inputs[1].dims4()?);
        let cropped = inputs[0].narrow(2, (h - height) / 2, height)?.narrow(3, (w - width) / 2, width)?;
        Ok((cropped.contiguous()?, Saved::Nothing))
    }

    /// The second tensor lends its size alone: it has no gradient.
    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        let ([.., h, w], (_, _, height, width)) = (pass.shapes[0], gradient.dims4()?) else {
            bail!("the centre of {:?}", pass.shapes);
        };
        let [top, left] = [(h - height) / 2, (w - width) / 2];
        let mut into = into.into_iter();
        let first = into.next().flatten().map(|sum| {
            let rows = gradient.contiguous()?.pad_with_zeros(2, top, h - height - top)?;
            sum.with(rows.pad_with_zeros(3, left, w - width - left)?)
        });
        let second = into.next().flatten().map(Sum::without);
        Ok(vec![first.transpose()?, second.transpose()?.flatten()])
    }
}

impl Operation for Pad {
    fn name(&self) -> String {
        format!("zeros {:?} around", self.0)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>> {
        let shape = only(inputs)?;
        if shape.len() != self.0.len() {
            bail!("{} of {shape:?}", self.name());
        }
        Ok(shape.iter().zip(&self.0).map(|(side, [before, behind])| before + side + behind).collect())
    }

    fn saves(&self) -> Saves {
        Saves::Nothing
    }

    fn forward(&self, inputs: &[&Tensor], _: bool) -> Result<(Tensor, Saved)> {
        let mut x = inputs[0].contiguous()?;
        for (axis, [before, behind]) in self.0.iter().enumerate().filter(|(_, zeros)| **zeros != [0; 2]) {
            x = x.pad_with_zeros(axis, *before, *behind)?;
        }
        Ok((x, Saved::Nothing))
    }

    fn vjp(&self, pass: &Pass<'_>, gradient: &Tensor, into: Vec<Option<Sum>>) -> Result<Vec<Option<Tensor>>> {
        each(into, |_| {
            let mut inside = gradient.clone();
            for (axis, ([before, _], side)) in self.0.iter().zip(only(pass.shapes)?).enumerate() {
                inside = inside.narrow(axis, *before, *side)?;
            }
            inside.contiguous()
        })
    }
}
