//! Where a convolutional network looks, by its last map with places left: Grad-CAM++ (Chattopadhay, Sarkar, Howlader and Balasubramanian 2018,
//! arXiv 1710.11063), in three dimensions.

use candle_core::{DType, Device, Tensor};

use super::Error;
use crate::graph::{Plan, Split};
use crate::job::Monitor;
use crate::models::Classifier;
use crate::volume::Volume;

/// The map of each label, one size of 0 or more for each voxel of the stack: max(0, sum over channels k of `w_k` `A_k`), where A is the last
/// map of the network with places left, resized to the stack by linear interpolation.
///
/// # Errors
/// [`Error::NoMap`] where the network has no such map.
pub fn maps(
    classifier: &Classifier,
    stack: &Volume,
    labels: &[usize],
    monitor: &Monitor,
) -> Result<Vec<Vec<f32>>, Error> {
    monitor.step("weighing the last map", 0, 0)?;
    let [width, height, slices] = stack.grid.shape;
    let pixels: Vec<f32> = stack.voxels.iter().collect();
    let input = Tensor::from_vec(pixels, (slices, 1, height, width), &Device::Cpu)?;
    let check = |_, _| monitor.check();
    let Split { front, back, along } = classifier.graph(input.dims())?.last_map(input.dims()).map_err(Error::NoMap)?;
    let device = classifier.plan(input.dims())?.device();
    let planned = |graph: &_, shape: &[usize]| Plan::new(graph, &[shape], DType::F32)?.on(&device).fitted();
    let map = planned(&front, input.dims())?.forward(&[input], &check)?.remove(0);
    let (logits, tape) = planned(&back, map.dims())?.record(std::slice::from_ref(&map), &check)?;
    let sides = [slices, height, width];
    let of_label = |&label: &usize| {
        let mut one = vec![0.0_f32; logits[0].elem_count()];
        one[label] = 1.0;
        let gradient = tape.vjp(&[Tensor::from_vec(one, logits[0].dims(), &Device::Cpu)?], &check)?.remove(0);
        let numbers = |tensor: &Tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        let (shape, sizes) = weighed(map.dims(), &numbers(&map)?, &numbers(&gradient)?);
        if !sizes.iter().all(|size| size.is_finite()) {
            return Err(Error::NotFinite("a size of the last map".to_owned()));
        }
        monitor.check()?;
        Ok(placed(&shape, &sizes, &along, sides))
    };
    labels.iter().map(of_label).collect()
}

/// The map of a channel-weighted sum, of `[n, c, …]` numbers and their gradients: its shape, without the channels, and its sizes.
///
/// With Y = exp(S) of a score S whose second derivatives vanish, as in a network of ReLUs, equation 19 of the paper gives
/// alpha = g^2 / (2 g^2 + (sum over places of A) g^3) with g = dS/dA, which is 1 / (2 + (sum of A) g) where g is not 0, and the weight of a
/// channel is the sum over places of alpha max(0, exp(S) g). The factor exp(S) is one for the whole map, and is left out: no measure depends on
/// it, and it overflows. Samples, as a network of slices has them, are places too.
pub fn weighed(shape: &[usize], map: &[f32], gradient: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let places: usize = shape[2..].iter().product();
    let (samples, channels) = (shape[0], shape[1]);
    let mut sizes = vec![0.0_f64; samples * places];
    let of_channel = |channel: usize| {
        (0..samples).flat_map(move |sample| {
            let start = (sample * channels + channel) * places;
            start..start + places
        })
    };
    for channel in 0..channels {
        let sum: f64 = of_channel(channel).map(|at| f64::from(map[at])).sum();
        let weight: f64 = of_channel(channel)
            .map(|at| {
                let g = f64::from(gradient[at]);
                let below = 2.0 + sum * g;
                if g > 0.0 && below != 0.0 { g / below } else { 0.0 }
            })
            .sum();
        for (size, at) in sizes.iter_mut().zip(of_channel(channel)) {
            *size += weight * f64::from(map[at]);
        }
    }
    let without_channels = shape[..1].iter().chain(&shape[2..]).copied().collect();
    (without_channels, sizes.into_iter().map(|size| size.max(0.0) as f32).collect())
}

/// Lays a map on a stack of these slices, rows and columns: half-pixel linear interpolation with clamped edges, as PyTorch's
/// `interpolate(mode="trilinear", align_corners=False)`. `along` says of each axis with its channels which axis of the stack it is.
fn placed(shape: &[usize], sizes: &[f32], along: &[Option<(usize, bool)>], sides: [usize; 3]) -> Vec<f32> {
    let along: Vec<Option<(usize, bool)>> = along[..1].iter().chain(&along[2..]).copied().collect();
    let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
    // For each axis of the stack, where each of its places lies: two offsets into the map and the share of the second.
    let line = |of: usize| -> Vec<(usize, usize, f32)> {
        let stack_axis = [0, 2, 3][of];
        let found = (0..shape.len()).find_map(|axis| match along[axis] {
            Some((place, reversed)) if place == stack_axis => Some((axis, reversed)),
            _ => None,
        });
        let Some((axis, reversed)) = found else { return vec![(0, 0, 0.0); sides[of]] };
        let (n, stride) = (shape[axis], strides[axis]);
        let place = |at: usize| {
            let at = if reversed { sides[of] - 1 - at } else { at };
            let x = ((at as f32 + 0.5) * n as f32 / sides[of] as f32 - 0.5).max(0.0);
            let low = (x as usize).min(n - 1);
            (low * stride, (low + 1).min(n - 1) * stride, x - low as f32)
        };
        (0..sides[of]).map(place).collect()
    };
    let [slices, rows, columns] = [line(0), line(1), line(2)];
    let mut laid = Vec::with_capacity(sides.iter().product());
    let blend = |a: f32, b: f32, share: f32| a + (b - a) * share;
    for &(k0, k1, k) in &slices {
        for &(j0, j1, j) in &rows {
            for &(i0, i1, i) in &columns {
                let row = |at: usize| blend(sizes[at + i0], sizes[at + i1], i);
                let plane = |at: usize| blend(row(at + j0), row(at + j1), j);
                laid.push(blend(plane(k0), plane(k1), k));
            }
        }
    }
    laid
}
