//! A whole run, phase by phase.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use super::objective::{Objective, SlabScore};
use super::result::{Counterfactual, Scores, Step, Trial};
use super::search::{self, Rules};
use super::{Error, Options, SearchWay, gradient, heatmap};
use crate::job::{Cancelled, Monitor};
use crate::models::Autoencoder;
use crate::volume::Volume;

/// Trials whose pixels are kept, newest last: the end of a search is nearly always among them, and a sweep need not decode it again.
const KEPT_TRIALS: usize = 3;

/// Searches the counterfactual of `stack` (values `0..=1`, voxel `(i, j, k)` = column, row, slice).
/// `hu_from_unit` is the recipe's `[slope, offset]`.
///
/// A run that is cancelled once its search has begun gives what there is, with `complete == false`.
pub fn explain(
    stack: &Volume,
    hu_from_unit: [f32; 2],
    autoencoder: &dyn Autoencoder,
    objective: &dyn Objective,
    slab: Option<Range<usize>>,
    options: &Options,
    monitor: &Monitor,
) -> Result<Counterfactual, Error> {
    let [width, height, slices] = stack.grid.shape;
    let slab = slab.unwrap_or(0..slices);
    if slab.start >= slab.end || slab.end > slices {
        return Err(Error::Slab { slab, slices });
    }
    if options.steps == 0 {
        return Err(Error::NoSteps);
    }
    let pixels: Vec<f32> = stack.voxels.iter().collect();
    let input = Tensor::from_vec(pixels, (slices, 1, height, width), &Device::Cpu)?;
    let size = [height, width];
    let encode = |slices: &Tensor| autoencoder.encode(slices);
    let latents = in_chunks(&input, options.chunk, |at| monitor.step("encoding", at, slices), encode)?;
    let decode = |slices: &Tensor| autoencoder.decode(slices, size);
    let reconstruction = in_chunks(&latents, options.chunk, |at| monitor.step("reconstructing", at, slices), decode)?;
    monitor.step("scoring the scan", 0, 0)?;
    let scan_score = objective.score(&input, monitor)?;
    let (score, gradient) =
        gradient::gradient(autoencoder, objective, &latents, &reconstruction, &slab, options.chunk, monitor)?;

    let path = Path {
        autoencoder,
        latents: latents.narrow(0, slab.start, slab.len())?,
        gradient: gradient.narrow(0, slab.start, slab.len())?,
        reconstruction: flat(&reconstruction.narrow(0, slab.start, slab.len())?)?,
        slab_score: objective.around(&reconstruction, slab.clone(), monitor)?,
        score,
        size,
        chunk: options.chunk,
        monitor,
    };
    let whole = flat(&reconstruction)?;
    let found = path.walk(options, &whole)?;
    let heat = heatmap::heatmap(options.heatmap, &found.steps, &path.reconstruction);
    let mut heatmap = vec![0.0; stack.grid.len()];
    heatmap[slab.start * width * height..slab.end * width * height].copy_from_slice(&heat);

    let [a, b] = autoencoder.unit_from_decoded();
    let hu_from_decoded = [hu_from_unit[0] * a, hu_from_unit[0] * b + hu_from_unit[1]];
    let (_, channels, h, w) = latents.dims4()?;
    Ok(Counterfactual {
        grid: stack.grid,
        calibration: calibration(stack, &whole, hu_from_unit, hu_from_decoded),
        stack: stack.clone(),
        reconstruction: Volume::from_f32(stack.grid, whole),
        scores: Scores { scan: scan_score, reconstruction: score, counterfactual: found.steps[found.chosen].score },
        steps: found.steps,
        chosen: found.chosen,
        walk: found.walk,
        stop: found.stop,
        complete: found.complete,
        heatmap: Volume::from_f32(stack.grid, heatmap),
        hu_from_decoded,
        hu_from_unit,
        latents: flat(&latents)?,
        gradient: flat(&gradient)?,
        latent_shape: [slices, channels, h, w],
        slab,
    })
}

/// The straight line through the latents along the gradient, and what is known on it.
struct Path<'a> {
    autoencoder: &'a dyn Autoencoder,
    /// `[slab, channels, h, w]`, and the gradient there.
    latents: Tensor,
    gradient: Tensor,
    /// The slab at lambda 0, `[slab, height, width]`.
    reconstruction: Vec<f32>,
    slab_score: SlabScore<'a>,
    /// The score at lambda 0.
    score: f64,
    size: [usize; 2],
    chunk: usize,
    monitor: &'a Monitor,
}

/// A search and its sweep.
struct Found {
    walk: Vec<Trial>,
    stop: String,
    steps: Vec<Step>,
    chosen: usize,
    complete: bool,
}

impl Path<'_> {
    /// Decodes and scores one lambda. Lambda 0 is known already: nothing is decoded twice.
    fn step(&self, lambda: f64) -> Result<Step, Error> {
        let step = if lambda == 0.0 {
            Step { lambda, score: self.score, slab: self.reconstruction.as_slice().into() }
        } else {
            // The reference multiplies in f32: so do we, where lambda is exact.
            let latents = (&self.latents + (&self.gradient * lambda)?)?;
            let decode = |slices: &Tensor| self.autoencoder.decode(slices, self.size);
            let slab = in_chunks(&latents, self.chunk, |_| self.monitor.check(), decode)?;
            Step { lambda, score: (self.slab_score)(&slab, self.monitor)?, slab: flat(&slab)?.into() }
        };
        self.monitor.plot(lambda, step.score);
        Ok(step)
    }

    /// Searches, then sweeps from the end found to lambda 0.
    fn walk(&self, options: &Options, whole: &[f32]) -> Result<Found, Error> {
        let mut walk = Vec::new();
        let mut kept: Vec<Step> = Vec::new();
        let searched = self.search(options, whole, &mut walk, &mut kept);
        let (lambdas, stop) = match searched {
            Ok((range, stop)) => (search::linspace(range[0], range[1], options.steps), stop),
            Err(Error::Cancelled(_)) if walk.len() > 1 => {
                return Ok(partial(walk, kept, "cancelled during the search"));
            }
            Err(error) => return Err(error),
        };
        let mut steps = Vec::with_capacity(lambdas.len());
        for (i, &lambda) in lambdas.iter().enumerate() {
            let step =
                self.monitor.step("decoding the sweep", i, lambdas.len()).map_err(Error::from).and_then(
                    |()| match kept.iter().find(|step| step.lambda == lambda) {
                        Some(step) => Ok(step.clone()),
                        None => self.step(lambda),
                    },
                );
            match step {
                Ok(step) => steps.push(step),
                Err(Error::Cancelled(_)) if !steps.is_empty() || kept.len() > 1 => {
                    steps.extend(kept);
                    return Ok(partial(walk, steps, "cancelled during the sweep"));
                }
                Err(error) => return Err(error),
            }
        }
        let chosen = farthest(&steps);
        Ok(Found { walk, stop, steps, chosen, complete: true })
    }

    /// The lambda range to sweep, ascending, and why it ends there.
    fn search(
        &self,
        options: &Options,
        whole: &[f32],
        walk: &mut Vec<Trial>,
        kept: &mut Vec<Step>,
    ) -> Result<([f64; 2], String), Error> {
        if let Some([from, to]) = options.range {
            return Ok(([from, to], "the range was given".to_owned()));
        }
        let size = |pixels: &[f32]| pixels.iter().map(|x| f64::from(x.abs())).sum::<f64>();
        let aimed = options.search == SearchWay::Aim;
        let rules = Rules {
            drop: options.drop,
            floor: options.floor,
            max_lambda: options.max_lambda.unwrap_or(if aimed { f64::INFINITY } else { 3000.0 }),
            step_size: options.step_size,
            max_change: options.max_change * if aimed { size(&self.reconstruction) } else { size(whole) },
        };
        let mut count = 0;
        let trial = |lambda: f64| -> Result<Trial, Error> {
            self.monitor.step("searching lambda", count, 0)?;
            count += 1;
            let step = self.step(lambda)?;
            let change = step.slab.iter().zip(&self.reconstruction).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
            let trial = Trial { lambda, score: step.score, change };
            if kept.len() > KEPT_TRIALS {
                kept.remove(1); // the first is lambda 0
            }
            kept.push(step);
            Ok(trial)
        };
        let (end, stop) = if aimed {
            let slope = self.gradient.sqr()?.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
            search::aim(&rules, slope, walk, trial)?
        } else {
            search::reference(&rules, walk, trial)?
        };
        Ok(([end.min(0.0), end.max(0.0)], stop))
    }
}

/// What a cancelled run leaves: every step there is, by lambda, each once.
fn partial(walk: Vec<Trial>, mut steps: Vec<Step>, stop: &str) -> Found {
    steps.sort_by(|a, b| a.lambda.total_cmp(&b.lambda));
    steps.dedup_by(|a, b| a.lambda == b.lambda);
    let chosen = farthest(&steps);
    Found { walk, stop: stop.to_owned(), steps, chosen, complete: false }
}

/// The step farthest from lambda 0: the counterfactual.
fn farthest(steps: &[Step]) -> usize {
    let away = |i: &usize| steps[*i].lambda.abs();
    (0..steps.len()).rev().max_by(|a, b| away(a).total_cmp(&away(b))).unwrap_or(0)
}

/// `work` on every slice of `all`, `chunk` of them at a time; `before` hears where each chunk begins, and can stop it.
fn in_chunks(
    all: &Tensor,
    chunk: usize,
    before: impl Fn(usize) -> Result<(), Cancelled>,
    work: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<Tensor, Error> {
    let slices = all.dim(0)?;
    let mut parts = Vec::new();
    let mut at = 0;
    while at < slices {
        before(at)?;
        let n = chunk.clamp(1, slices - at);
        parts.push(work(&all.narrow(0, at, n)?)?);
        at += n;
    }
    Ok(Tensor::cat(&parts, 0)?)
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>, Error> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

/// Least squares of reconstruction on scan, HU.
fn calibration(stack: &Volume, decoded: &[f32], hu_from_unit: [f32; 2], hu_from_decoded: [f32; 2]) -> [f64; 2] {
    let n = decoded.len().max(1) as f64;
    let hu = |[slope, offset]: [f32; 2], x: f32| f64::from(slope) * f64::from(x) + f64::from(offset);
    let pairs = || stack.voxels.iter().zip(decoded).map(|(x, &y)| (hu(hu_from_unit, x), hu(hu_from_decoded, y)));
    let (mean_x, mean_y) = pairs().fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x / n, sy + y / n));
    let (cov, var) =
        pairs().fold((0.0, 0.0), |(c, v), (x, y)| (c + (x - mean_x) * (y - mean_y), v + (x - mean_x) * (x - mean_x)));
    let slope = if var > 0.0 { cov / var } else { 0.0 };
    [slope, mean_y - slope * mean_x]
}
