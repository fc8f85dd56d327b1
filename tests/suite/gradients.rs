//! Every layer of `nn` against central differences in f64, and against itself in other circumstances.

use candle_core::{DType, Device, Module, Result, Tensor, Var};
use parallax::nn::conv::{Conv2d, Conv3d};
use parallax::nn::group_norm::{GroupNorm, Swished};
use parallax::nn::norm::BatchNorm;
use parallax::nn::trail::AtZero;
use parallax::nn::{pool, resize};

/// Central differences of step 1e-5 in f64 err by about 1e-10 from curvature and 1e-11 from rounding.
const DIFFERENCE: f64 = 1e-7;
const STEP: f64 = 1e-5;

/// Uniform in -1..1, f64.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    // SplitMix64 (Steele, Lea, Flood 2014): the same numbers everywhere.
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0
    };
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("shape and values agree")
}

/// Compares the gradient of sum(op(x) * g) at random x with central differences at a few places.
fn check(name: &str, shape: &[usize], op: impl Fn(&Tensor) -> Result<Tensor>) {
    let x = random(shape, 1);
    let y = op(&x).expect(name);
    let g = random(y.dims(), 2);
    let loss = |x: &Tensor| -> f64 {
        (op(x).expect(name) * &g).and_then(|p| p.sum_all()?.to_scalar::<f64>()).expect("a scalar")
    };
    let var = Var::from_tensor(&x).expect("a variable");
    let gradients = (op(&var).expect(name) * &g).and_then(|p| p.sum_all()?.backward()).expect(name);
    let exact: Vec<f64> =
        gradients.get(&var).expect("a gradient").flatten_all().and_then(|t| t.to_vec1()).expect("f64");
    let values: Vec<f64> = x.flatten_all().and_then(|t| t.to_vec1()).expect("f64");
    for i in (0..values.len()).step_by((values.len() / 23).max(1)) {
        let moved = |by: f64| {
            let mut v = values.clone();
            v[i] += by;
            loss(&Tensor::from_vec(v, shape, &Device::Cpu).expect("same shape"))
        };
        let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        assert!(
            (slope - exact[i]).abs() <= DIFFERENCE * exact[i].abs().max(1.0),
            "{name}[{i}]: {} by the layer, {slope} by differences",
            exact[i]
        );
    }
}

#[test]
fn convolutions_agree_with_central_differences() {
    for (c_in, c_out, k, stride, padding, h, w) in [
        (3, 5, 3, 1, 1, 9, 7),
        (2, 4, 3, 2, 1, 8, 11),
        (4, 3, 1, 1, 0, 5, 6),
        (3, 2, 1, 2, 0, 7, 7),
        (1, 4, 7, 2, 3, 13, 12),
        (2, 2, 3, 1, 0, 5, 5),
        (2, 3, 3, 3, 2, 10, 4),
        (3, 2, 2, 1, 0, 6, 5),
        (2, 3, 3, 1, 2, 6, 5),
        (2, 3, 1, 1, 1, 6, 5), // more padding than a tap sees: the gradient is no convolution
    ] {
        let conv = Conv2d::from_tensors(&random(&[c_out, c_in, k, k], 3), Some(&random(&[c_out], 4)), stride, padding)
            .expect("a layer");
        check(&format!("conv2d k{k} s{stride} p{padding}"), &[2, c_in, h, w], |x| conv.forward(x));
    }
    for (kernel, stride, padding) in [
        ([3, 3, 3], [1; 3], [1; 3]),
        ([3, 3, 3], [2; 3], [1; 3]),
        ([1, 1, 1], [2; 3], [0; 3]),
        ([3, 7, 7], [1, 2, 2], [1, 3, 3]),
    ] {
        let weight = random(&[4, 3, kernel[0], kernel[1], kernel[2]], 5);
        let conv = Conv3d::from_tensors(&weight, None, stride, padding).expect("a layer");
        check(&format!("conv3d {kernel:?} s{stride:?}"), &[1, 3, 5, 9, 8], |x| conv.forward(x));
    }
    // One channel: threads share its slices.
    for (stride, padding) in [([1, 2, 2], [1, 3, 3]), ([2; 3], [1; 3]), ([3, 2, 1], [0, 1, 2]), ([2, 2, 2], [4, 3, 3])]
    {
        let conv = Conv3d::from_tensors(&random(&[4, 1, 3, 7, 7], 5), None, stride, padding).expect("a layer");
        check(&format!("one channel, s{stride:?} p{padding:?}"), &[2, 1, 11, 9, 8], |x| conv.forward(x));
    }
}

#[test]
fn a_gradient_is_the_same_to_the_bit_whatever_the_number_of_threads() -> Result<()> {
    for (channels, kernel, stride, padding, input) in [
        ([32, 6], [3; 3], [2; 3], [1; 3], [8, 48, 44]),
        ([1, 4], [3, 7, 7], [1, 2, 2], [1, 3, 3], [12, 70, 64]),
        ([9, 5], [3; 3], [1; 3], [1; 3], [5, 40, 41]),
    ] {
        let [c_in, c_out] = channels;
        let weight = random(&[c_out, c_in, kernel[0], kernel[1], kernel[2]], 1).to_dtype(DType::F32)?;
        let conv = Conv3d::from_tensors(&weight, None, stride, padding)?;
        let x = random(&[1, c_in, input[0], input[1], input[2]], 2).to_dtype(DType::F32)?;
        let gradient = || -> Result<Vec<f32>> {
            let leaf = Var::from_tensor(&x)?;
            let gradients = conv.forward(&leaf)?.sqr()?.sum_all()?.backward()?;
            gradients.get(&leaf).expect("it depends on its input").flatten_all()?.to_vec1()
        };
        let by = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(gradient)
        };
        let one = by(1)?;
        for threads in [2, 3, 16] {
            let differing = by(threads)?.iter().zip(&one).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            assert_eq!(differing, 0, "{channels:?}, kernel {kernel:?} / {stride:?}: with {threads} threads");
        }
    }
    Ok(())
}

/// f32 sums in another order, of the largest number.
const REORDERED: f64 = 1e-5;

/// A convolution's outputs, and the gradients of x and of a skip, where there is one, of sum(y * g).
fn outputs_and_gradients(
    dtype: DType,
    [n, c_in, c_out, stride]: [usize; 4],
    op: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let side = |pixels: usize| (pixels - 1) / stride + 1;
    let x = Var::from_tensor(&random(&[n, c_in, 3, 10, 9], 1).to_dtype(dtype)?)?;
    let skip = random(&[n, c_out, side(3), side(10), side(9)], 2).to_dtype(dtype)?;
    let skip = Var::from_tensor(&skip)?;
    let y = op(&x, &skip)?;
    let gradients = (&y * random(y.dims(), 3).to_dtype(dtype)?)?.sum_all()?.backward()?;
    let all = [Some(&y), gradients.get(&x), gradients.get(&skip)];
    all.into_iter().flatten().map(|tensor| tensor.to_dtype(DType::F64)).collect()
}

/// Of an input and a skip.
type Op<'a> = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + 'a>;

#[test]
fn what_follows_a_convolution_gives_the_same_within_it() -> Result<()> {
    let channels = |seed| random(&[5], seed);
    let norm = BatchNorm::from_tensors(&channels(6), &channels(7), &channels(8), &channels(9).affine(0.4, 0.6)?, 1e-5)?;
    for (kernel, stride, dtype) in [
        (3, 1, DType::F64),
        (3, 2, DType::F64),
        (1, 1, DType::F64),
        (3, 1, DType::F32),
        (3, 2, DType::F32),
        (1, 1, DType::F32),
        (1, 2, DType::F32),
    ] {
        let weight = random(&[5, 4, kernel, kernel, kernel], 5).to_dtype(dtype)?;
        let bias = channels(4).to_dtype(dtype)?;
        let plain = Conv3d::from_tensors(&weight, Some(&bias), [stride; 3], [kernel / 2; 3])?;
        let folded = plain.normed(norm.clone())?;
        let normed = |x: &Tensor| x.apply(&plain)?.apply(&norm);
        let last = plain.normed_last(norm.clone())?;
        let passing = |x: &Tensor| x.apply(&plain)?.relu()?.apply(&norm);
        let pairs: [(&str, Op<'_>, Op<'_>); 5] = [
            ("norm last", Box::new(|x, _| last.relu(x, AtZero::All)), Box::new(|x, _| passing(x))),
            ("norm", Box::new(|x, _| folded.forward(x)), Box::new(|x, _| normed(x))),
            ("relu", Box::new(|x, _| folded.relu(x, AtZero::Nothing)), Box::new(|x, _| normed(x)?.relu())),
            ("skip", Box::new(|x, skip| folded.add(x, skip)), Box::new(|x, skip| normed(x)? + skip)),
            (
                "both",
                Box::new(|x, skip| folded.add_relu(x, skip, AtZero::Nothing)),
                Box::new(|x, skip| (normed(x)? + skip)?.relu()),
            ),
        ];
        for (name, within, apart) in pairs {
            let sizes = [2, 4, 5, stride];
            let (within, apart) =
                (outputs_and_gradients(dtype, sizes, within)?, outputs_and_gradients(dtype, sizes, apart)?);
            assert_eq!(within.len(), apart.len(), "{name}: as many gradients");
            for (within, apart) in within.iter().zip(&apart) {
                let largest = |tensor: &Tensor| tensor.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>();
                let (gap, size) = (largest(&(within - apart)?)?, largest(apart)?);
                let tolerance = if dtype == DType::F64 { 1e-12 } else { REORDERED };
                assert!(
                    gap <= tolerance * size,
                    "{name}, {kernel} taps, stride {stride}, {dtype:?}: {gap:e} of {size}"
                );
            }
        }
    }
    // A trail gives what the graph gives, the part of a skip and the mask of a layer before included.
    for (kernel, stride, last) in [(3, 1, false), (3, 2, false), (1, 2, false), (3, 1, true), (1, 1, true)] {
        let conv = Conv3d::from_tensors(
            &random(&[5, 4, kernel, kernel, kernel], 5),
            Some(&channels(4)),
            [stride; 3],
            [kernel / 2; 3],
        )?;
        let conv = if last { conv.normed_last(norm.clone())? } else { conv.normed(norm.clone())? };
        let before = Conv3d::from_tensors(&random(&[4, 2, 1, 1, 1], 6), None, [1; 3], [0; 3])?;
        let input = Var::from_tensor(&random(&[2, 2, 3, 10, 9], 1))?;
        let (beside, weights) = (random(&[2, 4, 3, 10, 9], 2), random(&[2, 5, 5, 10, 9], 3));
        let x = before.relu(&input, AtZero::All)?;
        let y = conv.relu(&x, AtZero::Nothing)?;
        let weights =
            weights.narrow(2, 0, y.dim(2)?)?.narrow(3, 0, y.dim(3)?)?.narrow(4, 0, y.dim(4)?)?.contiguous()?;
        let graph = ((&y * &weights)?.sum_all()? + (&x * &beside)?.sum_all()?)?.backward()?;
        let (x, mask) = before.trail(&input, None, AtZero::All)?;
        let (made, last_mask) = conv.trail(&x, None, AtZero::Nothing)?;
        let pulled = conv.pull_back(&last_mask.pass(&weights)?, [3, 10, 9], Some(&beside), Some(&mask))?;
        let pulled = before.pull_back(&pulled, [3, 10, 9], None, None)?;
        let largest = |tensor: &Tensor| tensor.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>();
        let gradient = graph.get(&input).expect("a gradient");
        let case = format!("{kernel} taps, stride {stride}, norm last {last}");
        assert!(largest(&(made - y.detach())?)? == 0.0, "{case}");
        assert!(largest(&(pulled - gradient)?)? <= 1e-12 * largest(gradient)?, "{case}");
    }
    let wrong = Tensor::zeros((2, 5, 3, 10, 8), DType::F64, &Device::Cpu)?;
    let conv = Conv3d::from_tensors(&random(&[5, 4, 1, 1, 1], 5), None, [1; 3], [0; 3])?;
    assert!(conv.add(&random(&[2, 4, 3, 10, 9], 1), &wrong).is_err(), "a skip of another size");
    Ok(())
}

#[test]
fn pools_norms_and_resizes_agree_with_central_differences() {
    let positive = |seed| random(&[4], seed).affine(0.4, 1.0).expect("numbers");
    let norm = BatchNorm::from_tensors(&random(&[4], 6), &random(&[4], 7), &random(&[4], 8), &positive(9), 1e-5)
        .expect("a layer");
    check("batch norm", &[2, 4, 3, 5], |x| norm.forward(x));
    check("batch norm 3-D", &[1, 4, 2, 3, 3], |x| norm.forward(x));
    let grouped = GroupNorm::from_tensors(&positive(12), &random(&[4], 13), 2, 1e-6).expect("a layer");
    check("group norm", &[2, 4, 3, 5], |x| grouped.forward(x));
    check("group norm and swish", &[2, 4, 3, 5], |x| Swished(&grouped).forward(x));
    check("avg pool", &[2, 3, 9, 8], |x| pool::avg_pool2d(x, 2));
    // Random values lie further apart than a step, so no maximum changes hands.
    check("max pool 2-D", &[2, 2, 9, 9], |x| pool::max_pool2d(x, 3, 2, 1));
    check("max pool 3-D", &[1, 2, 5, 7, 6], |x| pool::max_pool3d(x, 3, 2, 1));
    check("global pool", &[2, 3, 4, 5, 2], pool::global_avg_pool);
    check("nearest", &[1, 2, 4, 3], |x| resize::upsample_nearest(x, 2));
    check("nearest x3", &[2, 1, 3, 2], |x| resize::upsample_nearest(x, 3));
    check("bilinear up", &[1, 2, 4, 5], |x| resize::bilinear(x, [9, 8]));
    check("bilinear down", &[1, 2, 9, 8], |x| resize::bilinear(x, [4, 5]));
    check("antialias down", &[1, 2, 11, 8], |x| resize::bilinear_antialias(x, [4, 5]));
}

#[test]
fn a_layer_used_twice_in_one_graph_adds_both_gradients() {
    let conv = Conv2d::from_tensors(&random(&[2, 2, 3, 3], 3), None, 1, 1).expect("a layer");
    check("conv of conv plus conv", &[1, 2, 6, 6], |x| conv.forward(&conv.forward(x)?)? + conv.forward(x)?);
    check("nearest twice", &[1, 2, 3, 3], |x| {
        resize::upsample_nearest(x, 2)? + (resize::upsample_nearest(x, 2)? * 2.0)?
    });
}

#[test]
fn a_tensor_of_other_strides_gives_the_same() {
    let conv = Conv2d::from_tensors(&random(&[3, 4, 3, 3], 3), None, 1, 1).expect("a layer");
    let x = random(&[1, 6, 5, 4], 1);
    let turned = x.permute((0, 3, 1, 2)).expect("a view");
    let copied = turned.contiguous().expect("a copy");
    let gap = |a: Result<Tensor>, b: Result<Tensor>| {
        (a.expect("a") - b.expect("b"))
            .and_then(|d| d.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>())
            .expect("a number")
    };
    assert!(gap(conv.forward(&turned), conv.forward(&copied)) == 0.0);
    assert!(gap(pool::max_pool2d(&turned, 2, 2, 0), pool::max_pool2d(&copied, 2, 2, 0)) == 0.0);
}

#[test]
fn large_images_in_many_blocks_equal_small_pieces() {
    // 70 x 90 positions of 16 * 9 rows make several blocks; a crop of the image makes one.
    let conv = Conv2d::from_tensors(&random(&[4, 16, 3, 3], 3), None, 1, 0).expect("a layer");
    let x = random(&[1, 16, 170, 190], 1);
    let whole = conv.forward(&x).expect("whole");
    let piece = conv.forward(&x.narrow(2, 100, 12).and_then(|x| x.narrow(3, 80, 14)).expect("a crop")).expect("piece");
    let same = whole.narrow(2, 100, 10).and_then(|x| x.narrow(3, 80, 12)).expect("a crop");
    let gap = (same - piece).and_then(|d| d.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()).expect("a number");
    assert!(gap < 1e-12, "off by {gap:e}");
}

/// Elements of a block in `nn::conv`: what a thread's columns are cut by.
const BLOCK: usize = 1 << 18;
/// Rounding of f64 sums over some hundred thousand products, of the product of both sides' lengths.
const LINEAR: f64 = 1e-14;

/// A convolution without bias is linear: along any direction its central difference is exact but for rounding, whatever
/// the step. Each direction reaches every element of every block, which a few places of `check` would not.
fn check_blocks(name: &str, taps: usize, shape: &[usize], op: impl Fn(&Tensor) -> Result<Tensor>) {
    let x = random(shape, 1);
    let var = Var::from_tensor(&x).expect("a variable");
    let y = op(&var).expect(name);
    // One channel has the fewest rows that a pass gives a thread: more of them make more blocks.
    let positions: usize = y.dims()[2..].iter().product();
    assert!(taps * positions > BLOCK, "{name}: {positions} positions of {taps} taps fit one block");
    let sum = |a: &Tensor, b: &Tensor| (a * b).and_then(|p| p.sum_all()?.to_scalar::<f64>()).expect("a scalar");
    for seed in [20, 30, 40] {
        let (g, v) = (random(y.dims(), seed), random(shape, seed + 1));
        let exact = (&y * &g).and_then(|p| p.sum_all()?.backward()).expect(name);
        let along = sum(exact.get(&var).expect("a gradient"), &v);
        let moved = |by: f64| op(&(&x + (&v * by).expect("scaled")).expect("same shape")).expect(name);
        let slope = sum(&((moved(1.0) - moved(-1.0)).expect("same shape") / 2.0).expect("a half"), &g);
        let size = sum(&y, &y).sqrt() * sum(&g, &g).sqrt();
        assert!((slope - along).abs() <= LINEAR * size, "{name}: {along} by the layer, {slope} by differences, {size}");
    }
}

#[test]
fn gradients_in_many_blocks_agree_with_differences_along_random_directions() {
    for (c_in, k, stride, padding, h, w) in [(16, 5, 1, 2, 110, 113), (16, 5, 1, 5, 110, 113), (3, 7, 2, 3, 160, 171)] {
        let conv = Conv2d::from_tensors(&random(&[3, c_in, k, k], 3), None, stride, padding).expect("a layer");
        check_blocks(&format!("conv2d k{k} s{stride}"), k * k, &[1, c_in, h, w], |x| conv.forward(x));
    }
    let conv = Conv3d::from_tensors(&random(&[2, 8, 3, 3, 3], 5), None, [1; 3], [1; 3]).expect("a layer");
    check_blocks("conv3d k3", 27, &[1, 8, 7, 41, 37], |x| conv.forward(x));
}

#[test]
fn a_forward_pass_in_many_blocks_is_the_sum_that_defines_it() {
    let (c_in, k, stride, padding, h, w) = (16, 5, 2, 2, 219, 230);
    let (x, weight) = (random(&[1, c_in, h, w], 1), random(&[3, c_in, k, k], 3));
    let y = Conv2d::from_tensors(&weight, None, stride, padding).and_then(|conv| conv.forward(&x)).expect("a layer");
    let f64s = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f64>()).expect("f64");
    let (_, c_out, oh, ow) = y.dims4().expect("4 axes");
    assert!(c_in * k * k * oh * ow > BLOCK, "one block holds it all");
    let (x, weight, y) = (f64s(&x), f64s(&weight), f64s(&y));
    // A step without a common divisor with the sizes visits every block, and rows and columns of all kinds.
    for at in (0..c_out * oh * ow).step_by(37) {
        let [o, row, column] = [at / (oh * ow), at / ow % oh, at % ow];
        let mut sum = 0.0;
        for tap in 0..c_in * k * k {
            let [c, i, j] = [tap / (k * k), row * stride + tap / k % k, column * stride + tap % k];
            if (padding..h + padding).contains(&i) && (padding..w + padding).contains(&j) {
                sum += weight[o * c_in * k * k + tap] * x[(c * h + i - padding) * w + j - padding];
            }
        }
        assert!((sum - y[at]).abs() <= 1e-12, "channel {o}, row {row}, column {column}: {} for {sum}", y[at]);
    }
}

#[test]
fn f32_follows_f64() {
    let weight = random(&[8, 8, 3, 3], 3);
    let x = random(&[1, 8, 12, 12], 1);
    let run = |dtype| -> Result<Tensor> {
        Conv2d::from_tensors(&weight.to_dtype(dtype)?, None, 1, 1)?.forward(&x.to_dtype(dtype)?)?.to_dtype(DType::F64)
    };
    let gap = (run(DType::F32).expect("f32") - run(DType::F64).expect("f64"))
        .and_then(|d| d.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>())
        .expect("a number");
    assert!(gap < 1e-5, "off by {gap:e}");
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let conv = Conv2d::from_tensors(&random(&[2, 3, 5, 5], 3), None, 1, 0).expect("a layer");
    assert!(conv.forward(&random(&[1, 3, 4, 9], 1)).is_err(), "an image smaller than the kernel");
    assert!(conv.forward(&random(&[1, 2, 9, 9], 1)).is_err(), "too few channels");
    assert!(pool::max_pool2d(&random(&[1, 1, 2, 2], 1), 3, 2, 0).is_err(), "a pool larger than the image");
}
