//! What follows a convolution while the caches still hold its outputs: a batch norm, a skip that is added, a ReLU.

use std::hint::black_box;
use std::ops::Range;

use candle_core::{Result, bail};
use rayon::prelude::*;

use super::gemm::{Columns, Real};
use super::mask::Mask;

/// The gradient of a ReLU at exactly 0, of which any from 0 to 1 is one: what of the output's gradient passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtZero {
    /// Nothing passes at 0, as in PyTorch.
    Nothing,
    /// All passes at 0, as in candle.
    All,
}

/// y = scale x + shift, by channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByChannel {
    pub(crate) scale: Vec<f64>,
    pub(crate) shift: Vec<f64>,
}

impl ByChannel {
    /// Changes some numbers of a channel.
    #[inline(always)]
    pub(crate) fn apply<T: Real>(&self, channel: usize, numbers: &mut [T]) {
        let [scale, shift] = [&self.scale, &self.shift].map(|of| T::from_f64(of[channel]));
        for x in numbers {
            *x = *x * scale + shift;
        }
    }
}

/// What is done to each output, in this order. It rounds as the layers do one by one: where a sum is almost 0, a ReLU's gradient
/// hangs on its last bit, so a scale that was multiplied into the weights would give other gradients.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a, T> {
    pub(crate) norm: Option<&'a ByChannel>,
    /// Added; as many as there are outputs.
    pub(crate) skip: Option<&'a [T]>,
    pub(crate) relu: Option<AtZero>,
    /// Where to note which outputs the ReLU lets through, 1 or 0; as many as there are outputs.
    pub(crate) passing: Option<&'a Columns<'a, u8>>,
    pub(crate) norm_last: Option<&'a ByChannel>,
    /// Lets through what is not 0 here; as many as there are outputs.
    pub(crate) mask: Option<&'a [u8]>,
}

impl<T> Default for Epilogue<'_, T> {
    /// Nothing.
    fn default() -> Self {
        Self { norm: None, skip: None, relu: None, passing: None, norm_last: None, mask: None }
    }
}

impl<T: Real> Epilogue<'_, T> {
    /// Neighbouring outputs of a channel, the first of which is number `at` of all.
    ///
    /// # Safety
    /// No other thread finishes these outputs.
    #[expect(unsafe_code, reason = "what passes is noted from several threads")]
    #[inline(always)]
    pub(crate) unsafe fn finish(&self, channel: usize, at: usize, outputs: &mut [T]) {
        if let Some(norm) = self.norm {
            norm.apply(channel, outputs);
        }
        if let Some(skip) = self.skip {
            let skip = &skip[at..][..outputs.len()];
            outputs.iter_mut().zip(skip).for_each(|(output, skip)| *output += *skip);
        }
        if let (Some(at_zero), Some(passing)) = (self.relu, self.passing) {
            // SAFETY: the caller's promise.
            let passing = unsafe { passing.filled(at..at + outputs.len(), 0) };
            let pairs = passing.iter_mut().zip(outputs.iter());
            match at_zero {
                AtZero::Nothing => pairs.for_each(|(passes, output)| *passes = u8::from(*output > T::default())),
                AtZero::All => pairs.for_each(|(passes, output)| *passes = u8::from(*output >= T::default())),
            }
        }
        let one = opaque_one();
        if self.relu.is_some() {
            // What is no number stays none, as in torch.
            for output in outputs.iter_mut() {
                *output = if *output < T::default() { T::default() } else { *output * one };
            }
        }
        if let Some(norm) = self.norm_last {
            norm.apply(channel, outputs);
        }
        if let Some(mask) = self.mask {
            let mask = &mask[at..][..outputs.len()];
            outputs.iter_mut().zip(mask).for_each(|(output, mask)| {
                *output = if *mask == 0 { T::default() } else { *output * one };
            });
        }
    }
}

/// A 1 that the compiler does not know: a number that is kept is multiplied by it, which changes nothing. Without it, keeping some
/// numbers of a row in their place becomes a masked store, which takes ten times as long as a plain one on AMD's AVX2 cores.
#[inline(always)]
fn opaque_one<T: Real>() -> T {
    black_box(T::from_f64(1.0))
}

/// Parts of a tensor, `[n, c_i, plane]` each, one after the other along the channels: scaled, shifted and perhaps past a ReLU.
/// Gives the numbers `[n, c, plane]`, and what the ReLU lets through where that is to be `save`d.
#[expect(unsafe_code, reason = "threads write different planes of one output")]
pub(crate) fn apply_by_channel<T: Real>(
    parts: &[(&[T], usize)],
    [n, plane]: [usize; 2],
    norm: &ByChannel,
    relu: Option<AtZero>,
    save: bool,
) -> Result<(Vec<T>, Option<Mask>)> {
    // By channel of the output: the part that it comes from, and which channel of that.
    let sources: Vec<(usize, usize)> = (parts.iter().enumerate())
        .flat_map(|(part, (_, channels))| (0..*channels).map(move |channel| (part, channel)))
        .collect();
    let (channels, save) = (sources.len(), save && relu.is_some());
    assert!(channels == norm.scale.len() && channels == norm.shift.len(), "a norm of as many channels");
    let count = n * channels * plane;
    let (mut y, mut passing) = (Vec::new(), Vec::new());
    let columns = Columns::fresh(&mut y, &[n, channels, plane])?;
    let noted = Columns::fresh(&mut passing, &[if save { count } else { 0 }])?;
    let epilogue = Epilogue { norm: Some(norm), relu, passing: save.then_some(&noted), ..Epilogue::default() };
    (0..n * channels).into_par_iter().for_each(|at| {
        let (sample, channel) = (at / channels, at % channels);
        let (part, from) = sources[channel];
        let (numbers, of_part) = parts[part];
        let x = &numbers[(sample * of_part + from) * plane..][..plane];
        // SAFETY: each job owns its plane, which the copy writes.
        let y = unsafe {
            columns.copy(at * plane, x);
            columns.piece(at * plane..(at + 1) * plane)
        };
        // SAFETY: as above.
        unsafe { epilogue.finish(channel, at * plane, y) };
    });
    // SAFETY: the jobs have written every plane, and noted each where there was something to note.
    unsafe {
        y.set_len(count);
        passing.set_len(if save { count } else { 0 });
    }
    Ok((y, save.then(|| Mask::of(&passing))))
}

/// Some channels of a gradient `[n, c, plane]`, each times its scale; `others` is added, then what `mask` lets through is left.
/// Gives the numbers `[n, channels, plane]`.
#[expect(unsafe_code, reason = "threads write different planes of one output")]
pub(crate) fn scale_channels<T: Real>(
    gradient: &[T],
    [n, plane]: [usize; 2],
    scale: &[f64],
    channels: Range<usize>,
    (others, mask): (Option<&[T]>, Option<&[u8]>),
) -> Result<Vec<T>> {
    let norm = ByChannel { scale: scale[channels.clone()].to_vec(), shift: vec![0.0; channels.len()] };
    let count = n * channels.len() * plane;
    if others.is_some_and(|others| others.len() != count) || mask.is_some_and(|mask| mask.len() != count) {
        bail!("another part or a mask of another size beside a gradient of {count} numbers");
    }
    let mut y = Vec::new();
    let columns = Columns::fresh(&mut y, &[n, channels.len(), plane])?;
    let epilogue = Epilogue { norm: Some(&norm), skip: others, mask, ..Epilogue::default() };
    (0..n * channels.len()).into_par_iter().for_each(|at| {
        let (sample, channel) = (at / channels.len(), at % channels.len());
        let x = &gradient[(sample * scale.len() + channels.start + channel) * plane..][..plane];
        // SAFETY: each job owns its plane, which the copy writes.
        let y = unsafe {
            columns.copy(at * plane, x);
            columns.piece(at * plane..(at + 1) * plane)
        };
        // SAFETY: as above.
        unsafe { epilogue.finish(channel, at * plane, y) };
    });
    // SAFETY: the jobs have written every plane.
    unsafe { y.set_len(count) };
    Ok(y)
}
