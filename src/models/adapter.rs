//! The way from a stack that was prepared for one network to the tensor that another was trained on.
//!
//! An adapter is a few operations of the network's own graph: resampling, cropping and padding, HU windows, channels, the order of
//! axes. All but the clip are linear, so that the gradient in the stack is exact.

use candle_core::{Result, Tensor, bail};
use glam::DVec3;

use crate::graph::ops::{Arithmetic, Clip, Concat, Function, Line, Reduction, Sample, Unsqueeze, Where};
use crate::graph::{Graph, Value};
use crate::preprocess::{OverSlices, Prepared, Recipe};
use crate::volume::Grid;

/// Axes of one grid that differ in direction from those of another by more than this are not the same axes: of a unit vector.
const SAME_DIRECTION: f64 = 1e-4;

/// How a network finds its input in a stack `[slices, 1, height, width]`.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// How the network was fed.
    recipe: Recipe,
    /// Where its slices, rows and columns lie among those of the stack; none where they are the stack's.
    place: Option<Placement>,
    /// `[slope, offset]`: HU = slope * number of the stack + offset.
    hu_from_stack: [f64; 2],
    /// Whether numbers beyond a window are possible that the network never saw in training.
    clip: bool,
    /// Mean and standard deviation of the scan, HU, where the recipe wants them.
    mean_and_sd_hu: Option<[f64; 2]>,
}

/// One grid among the voxels of another.
#[derive(Debug, Clone)]
struct Placement {
    /// Along slices, rows, columns.
    lines: [Line; 3],
    /// What the network sees where the stack has nothing: a mask `[slices, 1, height, width]` of what the stack covers, and the scan
    /// as it is, in the stack's numbers.
    beyond: Option<[Tensor; 2]>,
}

impl Adapter {
    /// Gives the adapter for stacks that were prepared by the network's own recipe.
    pub fn own(recipe: &Recipe) -> Self {
        Self {
            recipe: recipe.clone(),
            place: None,
            hu_from_stack: recipe.hu_from_unit().map(f64::from),
            clip: recipe.clip && !recipe.windows.is_empty(),
            mean_and_sd_hu: None,
        }
    }

    /// Gives the adapter for stacks like `stack`, of a network whose own preparation of the same scan is `own`.
    ///
    /// # Errors
    /// Where the two grids are turned against each other.
    pub fn between(stack: &Prepared, own: &Prepared) -> Result<Self> {
        let recipe = &own.recipe;
        let hu_from_stack = stack.recipe.hu_from_unit().map(f64::from);
        let mean_and_sd_hu = recipe.z_score.then(|| mean_and_sd_hu(own));
        let clip = recipe.clip && (!recipe.windows.is_empty() || recipe.hu != stack.recipe.hu);
        let place = Placement::of(stack, own, hu_from_stack)?;
        Ok(Self { recipe: recipe.clone(), place, hu_from_stack, clip, mean_and_sd_hu })
    }

    /// Takes a stack to a stack of one channel in which 0 and 1 are the ends of the recipe's window.
    pub(super) fn stack(&self, g: &mut Graph, x: Value) -> Result<Value> {
        let x = self.placed(g, x)?;
        Ok(self.window(g, x, self.recipe.hu))
    }

    /// Takes a stack to the tensor that the recipe describes: `[1, c, …]` of three axes, or `[slices, c, …]` of two.
    ///
    /// # Errors
    /// Where the recipe wants a mean and no scan gave it.
    pub fn tensor(&self, g: &mut Graph, x: Value) -> Result<Value> {
        let x = self.placed(g, x)?;
        let x = self.channels(g, x)?;
        let axes: Vec<_> = self.recipe.axes.of_stack().collect();
        // Batch and channels come first.
        let back: Vec<usize> = axes.iter().enumerate().filter(|(_, (_, back))| *back).map(|(at, _)| at + 2).collect();
        if self.recipe.axes.is_slice() {
            // Rows and columns, behind slices and channels.
            let order: Vec<usize> = [0, 1].into_iter().chain(axes.iter().map(|(axis, _)| axis + 1)).collect();
            return Ok(turned(g, x, &order, &back));
        }
        let x = g.apply(Unsqueeze { axis: 0 }, &[x]); // [1, slices, c, rows, columns]
        let of = |axis: usize| [1, 3, 4][axis];
        let order: Vec<usize> = [0, 2].into_iter().chain(axes.iter().map(|(axis, _)| of(*axis))).collect();
        Ok(turned(g, x, &order, &back))
    }

    /// Makes one answer, `[1, labels]`, of those to single slices, `[slices, labels]`, where the network takes slices.
    pub(super) fn over_slices(&self, g: &mut Graph, logits: Value) -> Value {
        if !self.recipe.axes.is_slice() {
            return logits;
        }
        let over = match self.recipe.over_slices {
            OverSlices::Max => Reduction::Max,
            OverSlices::Mean => Reduction::Mean,
            OverSlices::LogSumExp => {
                let largest = g.reduce(Reduction::Max, logits, &[0], true);
                let below = g.pairwise(Arithmetic::Subtract, logits, largest);
                let shares = g.function(below, Function::Exp);
                let mean = g.reduce(Reduction::Mean, shares, &[0], true);
                let mean = g.function(mean, Function::Log);
                return g.add(mean, largest);
            }
        };
        g.reduce(over, logits, &[0], true)
    }

    /// Puts the stack on the network's grid, in the stack's numbers.
    fn placed(&self, g: &mut Graph, x: Value) -> Result<Value> {
        let Some(Placement { lines: [slices, rows, columns], beyond }) = &self.place else { return Ok(x) };
        let x = g.apply(Sample(vec![(0, *slices), (2, *rows), (3, *columns)]), &[x]);
        let Some([covered, scan]) = beyond else { return Ok(x) };
        let scan = g.constant(scan.clone());
        Ok(g.apply(Where::new(covered)?, &[x, scan]))
    }

    /// Gives `[slices, c, h, w]` in the numbers of the network, from those of the stack.
    fn channels(&self, g: &mut Graph, x: Value) -> Result<Value> {
        if self.recipe.z_score {
            let Some([mean, sd]) = self.mean_and_sd_hu else {
                bail!("a recipe of z_score needs the scan whose mean it takes");
            };
            let x = self.window_hu(g, x);
            let x = g.affine(x, 1.0 / sd, -mean / sd);
            return Ok(self.repeated(g, x));
        }
        let [low, high] = self.recipe.range.map(f64::from);
        let mut of_window = |window| {
            let x = self.window(g, x, window);
            if [low, high] == [0.0, 1.0] { x } else { g.affine(x, high - low, low) }
        };
        if self.recipe.windows.is_empty() {
            let x = of_window(self.recipe.hu);
            return Ok(self.repeated(g, x));
        }
        let windows: Vec<Value> = self.recipe.windows.iter().map(|window| of_window(*window)).collect();
        Ok(if windows.len() == 1 { windows[0] } else { g.apply(Concat { axis: 1 }, &windows) })
    }

    fn repeated(&self, g: &mut Graph, x: Value) -> Value {
        match self.recipe.channels {
            1 => x,
            channels => g.tile(x, &[1, channels, 1, 1]),
        }
    }

    /// Takes the numbers of the stack to those where a window is 0 to 1.
    fn window(&self, g: &mut Graph, x: Value, window: [f32; 2]) -> Value {
        let [low, high] = window.map(f64::from);
        let [slope, offset] = self.hu_from_stack;
        let same = [slope, offset] == [high - low, low];
        let x = if same { x } else { g.affine(x, slope / (high - low), (offset - low) / (high - low)) };
        if self.clip { g.apply(Clip { low: 0.0, high: 1.0 }, &[x]) } else { x }
    }

    /// Takes the numbers of the stack to HU, within the recipe's window where it clips.
    fn window_hu(&self, g: &mut Graph, x: Value) -> Value {
        let x = self.window(g, x, self.recipe.hu);
        let [slope, offset] = self.recipe.hu_from_unit().map(f64::from);
        g.affine(x, slope, offset)
    }
}

/// Puts axes in another order, some of them in reverse.
fn turned(g: &mut Graph, x: Value, order: &[usize], reversed: &[usize]) -> Value {
    let x = if order.is_sorted() { x } else { g.permute(x, order) };
    if reversed.is_empty() { x } else { g.flip(x, reversed) }
}

impl Placement {
    /// Finds one grid among the voxels of another; none where the two are one.
    fn of(stack: &Prepared, own: &Prepared, [slope, offset]: [f64; 2]) -> Result<Option<Self>> {
        let (from, to) = (&stack.volume.grid, &own.volume.grid);
        let lines = lines(from, to)?;
        let [columns, rows, slices] = from.shape;
        let sides = [slices, rows, columns];
        if lines.iter().zip(sides).all(|(line, side)| line.is_whole(side)) {
            return Ok(None);
        }
        let covers = |axis: usize| -> Vec<bool> {
            let line: Line = lines[axis];
            (0..line.length).map(|at| line.place(at, sides[axis]).is_some()).collect()
        };
        let covered = [covers(0), covers(1), covers(2)];
        if covered.iter().flatten().all(|there| *there) {
            return Ok(Some(Self { lines, beyond: None }));
        }
        let [own_slope, own_offset] = own.recipe.hu_from_unit().map(f64::from);
        let number = |x: f32| ((own_slope * f64::from(x) + own_offset - offset) / slope) as f32;
        let shape = (lines[0].length, 1, lines[1].length, lines[2].length);
        let scan = Tensor::from_vec(
            own.volume.voxels.iter().map(number).collect::<Vec<_>>(),
            shape,
            &candle_core::Device::Cpu,
        )?;
        let mut mask = Vec::with_capacity(own.volume.grid.len());
        for slice in &covered[0] {
            for row in &covered[1] {
                mask.extend(covered[2].iter().map(|column| u8::from(*slice && *row && *column)));
            }
        }
        let mask = Tensor::from_vec(mask, shape, &candle_core::Device::Cpu)?;
        Ok(Some(Self { lines, beyond: Some([mask, scan]) }))
    }
}

/// Says where slices, rows and columns of the second grid lie among those of the first.
fn lines(from: &Grid, to: &Grid) -> Result<[Line; 3]> {
    let from_to = from.voxel_from_world() * to.world_from_voxel;
    let mut lines = [Line::whole(1); 3];
    for axis in 0..3 {
        let column = from_to.matrix3.col(axis);
        let step = column[axis];
        let aside = (column - DVec3::AXES[axis] * step).length();
        if step <= 0.0 || aside > SAME_DIRECTION * step {
            bail!(
                "the networks' grids are turned against each other; choose networks whose recipes keep the scan's axes"
            );
        }
        lines[2 - axis] = Line { start: from_to.translation[axis], step, length: to.shape[axis] };
    }
    Ok(lines)
}

/// Gives mean and standard deviation of a prepared scan, in HU. All voxels count; a scan of one number has a standard deviation of 1.
/// Source: MONAI, `NormalizeIntensity`.
fn mean_and_sd_hu(prepared: &Prepared) -> [f64; 2] {
    let [slope, offset] = prepared.recipe.hu_from_unit().map(f64::from);
    let count = prepared.volume.voxels.len().max(1) as f64;
    let mean = prepared.volume.voxels.iter().map(f64::from).sum::<f64>() / count;
    let variance = prepared.volume.voxels.iter().map(|x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    let sd = slope * variance.sqrt();
    [slope * mean + offset, if sd > 0.0 { sd } else { 1.0 }]
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use glam::{DAffine3, DMat3};

    use super::*;
    use crate::graph::Plan;
    use crate::job::Monitor;
    use crate::preprocess::{Axes, prepare};
    use crate::volume::Volume;

    /// A scan whose HU rise along each axis by another slope, so that lines between voxels are exact.
    fn ramp() -> Volume {
        let shape = [20, 16, 12];
        let matrix = DMat3::from_diagonal(DVec3::new(2.0, 2.5, 4.0));
        let grid =
            Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::new(-7.0, 3.0, 11.0)) };
        let hu = |at: usize| -400.0 + 20.0 * (at % 20) as f32 + 12.0 * (at / 20 % 16) as f32 + 9.0 * (at / 320) as f32;
        Volume::from_f32(grid, (0..grid.len()).map(hu).collect::<Vec<_>>())
    }

    fn prepared(recipe: &Recipe) -> Prepared {
        prepare(&ramp(), recipe, &Monitor::default()).expect("a scan")
    }

    fn stack(prepared: &Prepared) -> Tensor {
        let [columns, rows, slices] = prepared.volume.grid.shape;
        let numbers: Vec<f32> = prepared.volume.voxels.iter().collect();
        Tensor::from_vec(numbers, (slices, 1, rows, columns), &Device::Cpu).expect("a stack")
    }

    /// The tensor that the network is given of a stack, and a gradient of the stack from one of the tensor.
    fn through(adapter: &Adapter, stack: &Tensor) -> (Tensor, Plan) {
        let mut g = Graph::new();
        let x = g.input();
        let y = adapter.tensor(&mut g, x).expect("a tensor");
        let plan = Plan::new(&g.finish(&[y]), &[stack.dims()], DType::F32).expect("a plan");
        let y = plan.forward(std::slice::from_ref(stack), &|_, _| Ok(())).expect("numbers").remove(0);
        (y, plan)
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().and_then(|t| t.to_vec1()).expect("f32")
    }

    fn fine() -> Recipe {
        Recipe { spacing_mm: [1.6, 2.0, 3.0], size: [24, 20, 0], hu: [-500.0, 500.0], ..Recipe::default() }
    }

    /// The stack's numbers are f32 of HU; each way rounds once or twice.
    const ROUNDING: f32 = 2e-6;

    #[test]
    fn networks_of_one_recipe_are_given_the_stack_itself() {
        let stack_of = prepared(&fine());
        let adapter = Adapter::between(&stack_of, &prepared(&fine())).expect("one grid");
        let stack = stack(&stack_of);
        let (tensor, _) = through(&adapter, &stack);
        assert_eq!(tensor.dims(), [1, 1, 16, 20, 24]);
        assert_eq!(numbers(&tensor), numbers(&stack), "to the bit");
    }

    #[test]
    fn another_grid_window_and_order_of_axes_give_what_the_network_would_have_prepared_itself() {
        let other = Recipe {
            spacing_mm: [3.0, 2.5, 5.0],
            size: [12, 13, 10],
            hu: [-300.0, 100.0],
            range: [-1.0, 1.0],
            axes: Axes::of("RAS").expect("axes"),
            ..Recipe::default()
        };
        let (from, own) = (prepared(&fine()), prepared(&other));
        let adapter = Adapter::between(&from, &own).expect("grids of one scan");
        let (adapted, _) = through(&adapter, &stack(&from));
        let (direct, _) = through(&Adapter::own(&other), &stack(&own));
        assert_eq!(adapted.dims(), [1, 1, 12, 13, 10], "R, A, S");
        let inside = covered(&from, &own, &other);
        let (adapted, direct) = (numbers(&adapted), numbers(&direct));
        assert!(inside.iter().filter(|inside| **inside).count() > 300, "most of it lies within the scan");
        for ((adapted, direct), _) in adapted.iter().zip(&direct).zip(&inside).filter(|(_, inside)| **inside) {
            assert!((adapted - direct).abs() < 2e-5, "{adapted}, the network itself has {direct}");
        }
    }

    /// Which numbers of the tensor lie well within the scan, in which a ramp is a ramp.
    fn covered(from: &Prepared, own: &Prepared, recipe: &Recipe) -> Vec<bool> {
        let scan = ramp().grid;
        let to_scan = scan.voxel_from_world() * own.volume.grid.world_from_voxel;
        let to_stack = from.volume.grid.voxel_from_world() * own.volume.grid.world_from_voxel;
        let within = |place: DVec3, shape: [usize; 3]| {
            (0..3).all(|axis| (0.0..=shape[axis] as f64 - 1.0).contains(&place[axis]))
        };
        let [columns, rows, slices] = own.volume.grid.shape;
        let inside = (0..columns * rows * slices).map(|at| {
            let place = DVec3::new((at % columns) as f64, (at / columns % rows) as f64, (at / (columns * rows)) as f64);
            // A voxel of the stack beside the scan's edge is no ramp.
            let near_edge = |place: DVec3| !within(place - DVec3::splat(1.0), scan.shape.map(|n| n - 2));
            let is = within(to_scan.transform_point3(place), scan.shape)
                && !near_edge(to_scan.transform_point3(place))
                && within(to_stack.transform_point3(place), from.volume.grid.shape);
            f32::from(u8::from(is))
        });
        let inside = Tensor::from_vec(inside.collect::<Vec<f32>>(), (slices, 1, rows, columns), &Device::Cpu);
        let unit = Recipe { range: [0.0, 1.0], ..recipe.clone() };
        numbers(&through(&Adapter::own(&unit), &inside.expect("a mask")).0)
            .iter()
            .map(|inside| *inside == 1.0)
            .collect()
    }

    #[test]
    fn what_the_stack_does_not_cover_is_the_scan_as_the_network_itself_has_it() {
        let small = Recipe { size: [10, 10, 6], ..fine() };
        let wide = Recipe { size: [24, 20, 16], ..fine() };
        let (from, own) = (prepared(&small), prepared(&wide));
        let adapter = Adapter::between(&from, &own).expect("grids of one scan");
        let (adapted, plan) = through(&adapter, &stack(&from));
        for (adapted, own) in numbers(&adapted).iter().zip(own.volume.voxels.iter()) {
            assert!((adapted - own).abs() < ROUNDING, "{adapted} for {own}");
        }
        let (y, tape) = plan.record(&[stack(&from)], &|_, _| Ok(())).expect("numbers");
        let gradient = tape.vjp(&[y[0].ones_like().expect("ones")], &|_, _| Ok(())).expect("a gradient").remove(0);
        assert!(numbers(&gradient).iter().all(|g| (g - 1.0).abs() < ROUNDING), "each voxel of the stack is seen once");
    }

    #[test]
    fn windows_become_channels_and_a_single_one_is_repeated() {
        let recipe = Recipe { windows: vec![[-500.0, 0.0], [0.0, 500.0]], ..fine() };
        let from = prepared(&recipe);
        let (tensor, _) = through(&Adapter::own(&recipe), &stack(&from));
        assert_eq!(tensor.dims(), [1, 2, 16, 20, 24]);
        let (low, high) = tensor.chunk(2, 1).map(|c| (numbers(&c[0]), numbers(&c[1]))).expect("channels");
        for ((low, high), unit) in low.iter().zip(&high).zip(from.volume.voxels.iter()) {
            assert!(
                (low - (unit * 2.0).min(1.0)).abs() < ROUNDING && (high - (unit * 2.0 - 1.0).max(0.0)).abs() < ROUNDING
            );
        }
        let recipe = Recipe { channels: 3, axes: Axes::of("LA").expect("axes"), ..fine() };
        let (tensor, _) = through(&Adapter::own(&recipe), &stack(&prepared(&recipe)));
        assert_eq!(tensor.dims(), [16, 3, 24, 20], "slices one by one, columns first");
    }

    #[test]
    fn a_z_score_has_the_mean_and_deviation_of_the_scan() {
        let recipe = Recipe { z_score: true, hu: [-1024.0, 3071.0], ..fine() };
        let from = prepared(&recipe);
        let (tensor, _) = through(&Adapter::between(&from, &from).expect("one grid"), &stack(&from));
        let numbers = numbers(&tensor);
        let mean = numbers.iter().sum::<f32>() / numbers.len() as f32;
        let sd = (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / numbers.len() as f32).sqrt();
        assert!(mean.abs() < 1e-4 && (sd - 1.0).abs() < 1e-4, "{mean} and {sd}");
        let mut g = Graph::new();
        let x = g.input();
        assert!(Adapter::own(&recipe).tensor(&mut g, x).is_err(), "no scan gave a mean");
    }
}
