//! Every layer beside its CPU twin, value and gradient, in f64: on the CPU itself, and on the GPU of a build that has one.

use std::sync::Arc;

use candle_core::{DType, Device, Module, Result, Tensor, Var};

use super::super::after::AtZero;
use super::super::conv::Conv3d;
use super::super::geometry::Geometry;
use super::super::group_norm::{GroupNorm, Swished};
use super::super::norm::BatchNorm;
use super::super::{pool, resize};
use super::{Taps, max_pool, sum_squares, upsample_nearest};

/// f64 sums in another order, of the largest number.
const TOLERANCE: f64 = 1e-11;

fn devices() -> Vec<Device> {
    let gpu = if cfg!(feature = "cuda") { Device::new_cuda(0).ok() } else { None };
    if gpu.is_none() {
        eprintln!("no GPU: its twins run on the CPU");
    }
    [Device::Cpu].into_iter().chain(gpu).collect()
}

fn random(shape: &[usize]) -> Tensor {
    Tensor::randn(0.0_f64, 1.0, shape, &Device::Cpu).expect("random numbers")
}

fn near(what: &str, got: &Tensor, expected: &Tensor) -> Result<()> {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let largest = |t: &Tensor| t.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>();
    let (gap, size) = (largest(&(got.to_device(&Device::Cpu)? - expected)?)?, largest(expected)?);
    assert!(gap <= TOLERANCE * size.max(1.0), "{what}: off by {gap:e} of {size}");
    Ok(())
}

/// The values and the gradient of a random weighting of them.
fn pulled(layer: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor, weights: &Tensor) -> Result<[Tensor; 2]> {
    let leaf = Var::from_tensor(x)?;
    let y = layer(&leaf)?;
    let gradient = (&y * weights)?.sum_all()?.backward()?.remove(&leaf).expect("it depends on its input");
    Ok([y.detach(), gradient])
}

fn assert_twins(
    what: &str,
    shape: &[usize],
    ours: &dyn Fn(&Tensor) -> Result<Tensor>,
    composed: &dyn Fn(&Tensor) -> Result<Tensor>,
) -> Result<()> {
    let x = random(shape);
    let weights = random(ours(&x)?.dims());
    let [y, gradient] = pulled(ours, &x, &weights)?;
    for device in devices() {
        let (x, weights) = (x.to_device(&device)?, weights.to_device(&device)?);
        let [its_y, its_gradient] = pulled(composed, &x, &weights)?;
        near(&format!("{what} on {device:?}"), &its_y, &y)?;
        near(&format!("gradient of {what} on {device:?}"), &its_gradient, &gradient)?;
        near(&format!("{what} without a graph on {device:?}"), &composed(&x)?, &y)?;
    }
    Ok(())
}

fn norm(channels: usize) -> Result<BatchNorm> {
    let numbers = || random(&[channels]);
    BatchNorm::from_tensors(&numbers(), &numbers(), &numbers(), &numbers().sqr()?, 1e-5)
}

#[test]
fn convolutions_of_every_kind_are_those_of_the_cpu() -> Result<()> {
    // kernel, stride, padding, input
    let kinds = [
        ([1, 3, 3], [1, 1, 1], [0, 1, 1], [2, 5, 1, 9, 7]),
        ([1, 3, 3], [1, 2, 2], [0, 0, 0], [2, 5, 1, 10, 8]),
        ([1, 1, 1], [1, 1, 1], [0, 0, 0], [2, 5, 3, 6, 7]),
        ([1, 1, 1], [2, 2, 2], [0, 0, 0], [1, 5, 5, 6, 7]),
        ([3, 3, 3], [1, 1, 1], [1, 1, 1], [2, 5, 4, 6, 7]),
        ([3, 3, 3], [2, 2, 2], [1, 1, 1], [1, 5, 6, 7, 8]),
        ([3, 7, 7], [1, 2, 2], [1, 3, 3], [1, 5, 4, 12, 13]),
        ([3, 5, 3], [2, 1, 1], [0, 2, 0], [1, 5, 6, 7, 8]),
    ];
    for (kernel, stride, padding, input) in kinds {
        let weight = random(&[4, 5, kernel[0], kernel[1], kernel[2]]);
        let (bias, norm) = (random(&[4]), norm(4)?);
        // Made anew for each device: its numbers stay where they were seen first.
        let make = |with_norm| {
            let conv = Conv3d::from_tensors(&weight, Some(&bias), stride, padding)?;
            if with_norm { conv.normed(norm.clone()) } else { Ok(conv) }
        };
        for with_norm in [false, true] {
            let conv = make(with_norm)?;
            let what = format!("a convolution {kernel:?} / {stride:?} + {padding:?}, norm {with_norm}");
            let skip = random(conv.forward(&random(&input))?.dims());
            let composed = |x: &Tensor, skip: Option<&Tensor>, relu| {
                let skip = skip.map(|skip| skip.to_device(x.device())).transpose()?;
                make(with_norm)?.0.on(x.device())?.forward(x, skip.as_ref(), relu)
            };
            assert_twins(&what, &input, &|x| conv.forward(x), &|x| composed(x, None, None))?;
            assert_twins(&what, &input, &|x| conv.relu(x, AtZero::Nothing), &|x| {
                composed(x, None, Some(AtZero::Nothing))
            })?;
            assert_twins(&what, &input, &|x| conv.add(x, &skip), &|x| composed(x, Some(&skip), None))?;
            assert_twins(&what, &input, &|x| conv.add_relu(x, &skip, AtZero::Nothing), &|x| {
                composed(x, Some(&skip), Some(AtZero::Nothing))
            })?;
        }
    }
    Ok(())
}

#[test]
fn the_skip_of_a_convolution_has_its_gradient() -> Result<()> {
    let conv = Conv3d::from_tensors(&random(&[4, 5, 1, 3, 3]), None, [1; 3], [0, 1, 1])?;
    let (x, weights) = (random(&[2, 5, 6, 7]), random(&[2, 4, 6, 7]));
    let of_skip = |add: &dyn Fn(&Tensor) -> Result<Tensor>| pulled(add, &random(&[2, 4, 6, 7]), &weights);
    let [_, gradient] = of_skip(&|skip| conv.add(&x.unsqueeze(2)?, &skip.unsqueeze(2)?)?.squeeze(2))?;
    let on =
        |skip: &Tensor| conv.0.on(&Device::Cpu)?.forward(&x.unsqueeze(2)?, Some(&skip.unsqueeze(2)?), None)?.squeeze(2);
    near("the gradient of a skip", &of_skip(&on)?[1], &gradient)
}

#[test]
fn norms_are_those_of_the_cpu() -> Result<()> {
    let batch = norm(6)?;
    let composed = |x: &Tensor| batch.on(DType::F64, x.device())?.node(x);
    assert_twins("batch norm", &[2, 6, 5, 7], &|x| batch.forward(x), &composed)?;
    let (weight, bias) = (random(&[6]), random(&[6]));
    let group = GroupNorm::from_tensors(&weight, &bias, 3, 1e-6)?;
    let on = |x: &Tensor, swish| -> Result<Tensor> {
        let fresh = GroupNorm::from_tensors(&weight, &bias, 3, 1e-6)?;
        Arc::clone(fresh.0.on(DType::F64, x.device())?).forward(x, swish)
    };
    assert_twins("group norm", &[2, 6, 5, 7], &|x| group.forward(x), &|x| on(x, false))?;
    assert_twins("group norm and swish", &[2, 6, 5, 7], &|x| Swished(&group).forward(x), &|x| on(x, true))
}

#[test]
fn pools_and_upsampling_are_those_of_the_cpu() -> Result<()> {
    for (kernel, stride, padding, input) in [
        ([3; 3], [2; 3], [1; 3], [2, 3, 5, 8, 9]),
        ([2; 3], [2; 3], [0; 3], [1, 3, 5, 6, 7]),
        ([3; 3], [1; 3], [1; 3], [1, 2, 3, 4, 5]),
    ] {
        let ours = |x: &Tensor| pool::max_pool3d(x, kernel[0], stride[0], padding[0]);
        let geometry = Geometry { kernel, stride, padding };
        let composed = |x: &Tensor| max_pool(x, Taps::new(geometry, [input[2], input[3], input[4]])?);
        assert_twins(&format!("a max pool {kernel:?} / {stride:?}"), &input, &ours, &composed)?;
    }
    // Of equal numbers the first has the gradient, on every device.
    let (equal, ones) = (Tensor::zeros((1, 1, 4, 4, 4), DType::F64, &Device::Cpu)?, random(&[1, 1, 2, 2, 2]));
    let geometry = Geometry { kernel: [3; 3], stride: [2; 3], padding: [1; 3] };
    let [_, first] = pulled(&|x| pool::max_pool3d(x, 3, 2, 1), &equal, &ones)?;
    for device in devices() {
        let (x, ones) = (equal.to_device(&device)?, ones.to_device(&device)?);
        let [_, its] = pulled(&|x| max_pool(x, Taps::new(geometry, [4; 3])?), &x, &ones)?;
        near("the gradient of equals", &its, &first)?;
    }
    assert_twins("upsampling", &[2, 3, 4, 5], &|x| resize::upsample_nearest(x, 2), &|x| upsample_nearest(x, 2))?;
    assert_twins("its transpose", &[2, 3, 4, 6], &|x| resize::sum_squares(x, 2), &|x| sum_squares(x, 2))
}

#[test]
fn resizing_is_that_of_the_cpu() -> Result<()> {
    for (input, size, antialias) in
        [([2, 3, 5, 7], [10, 14], false), ([1, 2, 9, 8], [4, 5], true), ([1, 1, 6, 6], [9, 4], true)]
    {
        let filters =
            || [resize::Filter::new(input[2], size[0], antialias), resize::Filter::new(input[3], size[1], antialias)];
        let ours = |x: &Tensor| if antialias { resize::bilinear_antialias(x, size) } else { resize::bilinear(x, size) };
        let composed = |x: &Tensor| super::resize(x, resize::matrices(&filters(), x)?);
        assert_twins(&format!("{input:?} to {size:?}"), &input, &ours, &composed)?;
    }
    Ok(())
}

#[test]
fn what_is_no_number_stays_none_past_a_relu() -> Result<()> {
    let make = || Conv3d::from_tensors(&Tensor::ones((1, 1, 1, 1, 1), DType::F64, &Device::Cpu)?, None, [1; 3], [0; 3]);
    let x = Tensor::new(&[f64::NAN, -1.0], &Device::Cpu)?.reshape((1, 1, 1, 1, 2))?;
    let ours = make()?.relu(&x, AtZero::Nothing)?;
    for device in devices() {
        let of = make()?;
        let its = of.0.on(&device)?.forward(&x.to_device(&device)?, None, Some(AtZero::Nothing))?;
        let (its_trail, _) = of.0.on(&device)?.trail(&x.to_device(&device)?, None, AtZero::All)?;
        for y in [&ours, &its, &its_trail] {
            let y = y.flatten_all()?.to_vec1::<f64>()?;
            assert!(y[0].is_nan() && y[1] == 0.0, "{y:?} on {device:?}");
        }
    }
    Ok(())
}

#[test]
fn a_skip_of_another_shape_is_an_error() -> Result<()> {
    let conv = Conv3d::from_tensors(&random(&[4, 5, 1, 1, 1]), None, [1; 3], [0; 3])?;
    let (x, skip) = (random(&[1, 5, 2, 3, 4]), random(&[1, 3, 2, 3, 4]));
    let on = conv.0.on(&Device::Cpu)?;
    for error in [conv.add(&x, &skip), on.forward(&x, Some(&skip), None)] {
        assert!(error.expect_err("other channels").to_string().contains("a skip of [1, 3, 2, 3, 4]"));
    }
    Ok(())
}

/// Of the trail of a layer on a device: its outputs, and what passes of a gradient, of volumes and of slices.
#[test]
fn trails_are_those_of_the_cpu() -> Result<()> {
    let (weight, bias, norm) = (random(&[4, 5, 1, 3, 3]), random(&[4]), norm(4)?);
    let make = |last| {
        let conv = Conv3d::from_tensors(&weight, Some(&bias), [1; 3], [0, 1, 1])?;
        if last { conv.normed_last(norm.clone()) } else { conv.normed(norm.clone()) }
    };
    let (x, gradient) = (random(&[2, 5, 1, 6, 7]), random(&[2, 4, 1, 6, 7]));
    for (last, at_zero) in [(false, AtZero::Nothing), (true, AtZero::All)] {
        let ours = make(last)?;
        let (y, mask) = ours.trail(&x, None, at_zero)?;
        let passed = mask.pass(&gradient)?;
        let pulled = ours.pull_back(&passed, [1, 6, 7], Some(&x), None)?;
        for device in devices() {
            let [x, gradient] = [&x, &gradient].map(|tensor| tensor.to_device(&device));
            let (x, gradient, fresh) = (x?, gradient?, make(last)?);
            let on = fresh.0.on(&device)?;
            let (its, mask) = on.trail(&x, None, at_zero)?;
            let its_passed = mask.pass(&gradient)?;
            near("a trail's outputs", &its, &y)?;
            near("what passes", &its_passed, &passed)?;
            near("what passes of slices", &mask.pass(&gradient.squeeze(2)?)?.unsqueeze(2)?, &passed)?;
            near("what is pulled back", &(on.pull_back(&its_passed, [1, 6, 7])? + &x)?, &pulled)?;
        }
    }
    Ok(())
}
