//! A whole run, phase by phase.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::chunks::{Chunk, in_chunks, part};
use super::gradient::{self, Tapes};
use super::objective::{Objective, Scored, SlabScore};
use super::path::Path;
use super::piecewise::{self, Oracle, Uphill};
use super::result::{Counterfactual, Scores, Step, Trial};
use super::search::{self, Ahead, Rules, Walk};
use super::start::{Start, decoded};
use super::{Error, Options, SearchWay, StepsIn, heatmap};
use crate::job::{Monitor, Sketch};
use crate::models::Autoencoder;
use crate::nn::device;
use crate::volume::Volume;

/// Most that the pixels of all steps may take, bytes: beyond it a machine of today would swap, or stop.
const MAX_STEP_BYTES: usize = 8 << 30;

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
    check_slab(&slab, slices)?;
    options.check()?;
    check_room(slab.len(), [width, height], options.images())?;
    let input = tensor(stack)?;
    let size = [height, width];
    let chunk = Chunk::for_gradients(autoencoder, size, options.chunk);
    let encoded = if autoencoder.mixes_slices() { 0..slices } else { options.outside().encoded(&slab, slices) };
    let start = Start::of(&input, autoencoder, encoded.clone(), &chunk, monitor)?;
    let deviations = match options.steps_in {
        StepsIn::Latents => None,
        StepsIn::Deviations => Some(start.deviations(&input, autoencoder, &chunk, monitor)?),
    };
    let whole = pixels(&start.stack)?;
    monitor.step("scoring the scan", 0, 0)?;
    let slab_score = objective.around(&start.stack, slab.clone(), monitor)?;
    let of_slab = |stack: &Tensor| stack.narrow(0, slab.start, slab.len())?.contiguous();
    let scan = if start.is_scan_outside(&slab, &input)? {
        slab_score.score(&of_slab(&input)?, monitor)?
    } else {
        objective.score(&input, monitor)?
    };
    let within = autoencoder.within(&start.latents, &slab, slices);
    let planes = within.as_ref().map_or_else(|| start.planes_of(&slab), |within| within.planes.clone());
    let autoencoder = within.as_ref().map_or(autoencoder, |within| &*within.autoencoder);
    let latents = start.latents.narrow(0, planes.start, planes.len())?;
    let deviations = deviations.map(|all| all.narrow(0, planes.start, planes.len())).transpose()?;
    // A plane of latents stands for as many slices.
    let plane_mm = stack.grid.spacing_mm()[2] * (slab.len() as f64 / planes.len() as f64);
    let slices = of_slab(&start.stack)?;
    let (scored, gradient) = gradient::gradient(autoencoder, &*slab_score, &latents, &slices, &chunk, monitor)?;

    let mut shift = Shift {
        autoencoder,
        path: Path::straight(latents, &gradient, deviations, plane_mm)?,
        reconstruction: flat(&slices)?,
        slab: slab.clone(),
        slab_score,
        scored,
        size,
        chunk,
        monitor,
        gradient,
        dtype: start.stack.dtype(),
    };
    let mut found = shift.walk(options, &whole)?;
    let fast_error = shift.fast_error(&mut found)?;
    let end = &found.steps[found.chosen];
    let latents_moved = shift.path.moved_share(end.lambda)?;
    let Shift { gradient, reconstruction, scored, .. } = shift;
    let heat = heatmap::heatmap(options.heatmap, &found.steps, &reconstruction);
    let voxels = |slices: Range<usize>| slices.start * width * height..slices.end * width * height;
    let mut heatmap = vec![0.0; stack.grid.len()];
    heatmap[voxels(slab.clone())].copy_from_slice(&heat);

    let [a, b] = autoencoder.unit_from_decoded();
    let hu_from_decoded = [hu_from_unit[0] * a, hu_from_unit[0] * b + hu_from_unit[1]];
    Ok(Counterfactual {
        grid: stack.grid,
        calibration: calibration(stack, &whole, voxels(encoded), hu_from_unit, hu_from_decoded),
        stack: stack.clone(),
        reconstruction: Volume::from_f32(stack.grid, whole),
        scores: Scores { scan: scan.score, reconstruction: scored.score, counterfactual: end.score },
        score_kind: objective.kind(),
        scan_as_predicted: None,
        scan_logits: scan.logits,
        reconstruction_logits: scored.logits,
        latents_moved,
        fast_error,
        steps: found.steps,
        chosen: found.chosen,
        walk: found.walk,
        stop: found.stop,
        complete: found.complete,
        heatmap: Volume::from_f32(stack.grid, heatmap),
        hu_from_decoded,
        hu_from_unit,
        latents: flat(&start.latents)?,
        gradient: flat(&start.among_all(&gradient, &planes)?)?,
        latent_shape: start.latents.dims4()?.into(),
        slab,
    })
}

/// The step at lambda 0 where the slices `encoded` go through the autoencoder, in decoded units.
pub fn reconstruct(
    stack: &Volume,
    autoencoder: &dyn Autoencoder,
    encoded: Range<usize>,
    monitor: &Monitor,
) -> Result<Volume, Error> {
    let [width, height, slices] = stack.grid.shape;
    check_slab(&encoded, slices)?;
    let encoded = if autoencoder.mixes_slices() { 0..slices } else { encoded };
    let chunk = Chunk::for_gradients(autoencoder, [height, width], Options::default().chunk);
    let start = Start::of(&tensor(stack)?, autoencoder, encoded, &chunk, monitor)?;
    Ok(Volume::from_f32(stack.grid, flat(&start.stack)?))
}

fn check_slab(slab: &Range<usize>, slices: usize) -> Result<(), Error> {
    let fits = slab.start < slab.end && slab.end <= slices;
    if fits { Ok(()) } else { Err(Error::Slab { slab: slab.clone(), slices }) }
}

/// Checks that the pixels of all steps have room.
fn check_room(slices: usize, [width, height]: [usize; 2], steps: usize) -> Result<(), Error> {
    let bytes = [slices, width, height, steps, size_of::<f32>()].into_iter().fold(1, usize::saturating_mul);
    if bytes > MAX_STEP_BYTES {
        return Err(Error::TooManySteps { steps, slices, gigabytes: bytes >> 30 });
    }
    Ok(())
}

/// The slab as it moves along its path, and what is known of it.
struct Shift<'a> {
    autoencoder: &'a dyn Autoencoder,
    path: Path,
    /// The slab at lambda 0, `[slab, height, width]`.
    reconstruction: Vec<f32>,
    slab: Range<usize>,
    slab_score: Box<dyn SlabScore + 'a>,
    /// What is said of lambda 0.
    scored: Scored,
    size: [usize; 2],
    chunk: Chunk,
    monitor: &'a Monitor,
    /// The gradient at lambda 0, `[slab, channels, h, w]`.
    gradient: Tensor,
    /// That of decoded slices.
    dtype: DType,
}

/// A search and its sweep.
struct Found {
    walk: Vec<Trial>,
    stop: String,
    steps: Vec<Step>,
    chosen: usize,
    complete: bool,
}

impl Shift<'_> {
    /// Decodes and scores one lambda. Lambda 0 is known already: nothing is decoded twice.
    fn step(&self, lambda: f64) -> Result<Step, Error> {
        let of_lambda =
            if lambda == 0.0 { (self.scored.clone(), self.reconstruction.clone()) } else { self.anew(lambda)? };
        Ok(self.told(lambda, of_lambda))
    }

    /// Decodes and scores one lambda, and gives the decoder's tapes where there is memory for them.
    fn recorded(&self, lambda: f64) -> Result<(Step, Option<Tapes>), Error> {
        let (latents, slices) = (self.path.at(lambda)?, self.slab.len());
        let (slab, tapes) = Tapes::record(self.autoencoder, &latents, slices, self.size, &self.chunk, self.monitor)?;
        let of_lambda = (self.slab_score.score(&slab, self.monitor)?, pixels(&slab)?);
        Ok((self.told(lambda, of_lambda), tapes))
    }

    /// A step, told to who watches.
    fn told(&self, lambda: f64, (Scored { score, logits }, slab): (Scored, Vec<f32>)) -> Step {
        let slab: Arc<[f32]> = slab.into();
        self.monitor.plot(lambda, score);
        self.monitor.sketch(Sketch { lambda, score, pixels: Arc::clone(&slab) });
        Step { lambda, score, logits, slab }
    }

    /// What is said of the slab at a lambda, and its pixels `[slab, height, width]`: decoded and scored even where they are known.
    fn anew(&self, lambda: f64) -> Result<(Scored, Vec<f32>), Error> {
        let latents = self.path.at(lambda)?;
        let slices = self.slab.len();
        let decode = |at, n| decoded(self.autoencoder, &part(&latents, at, n, slices)?, self.size, self.monitor);
        let check = |_| self.monitor.check();
        let slab = Tensor::cat(&in_chunks(0..self.slab.len(), &self.chunk, self.monitor, check, decode)?, 0)?;
        let pixels = pixels(&slab)?;
        Ok((self.slab_score.score(&slab, self.monitor)?, pixels))
    }

    /// The difference that fast arithmetic makes to the score at the end. A run that is stopped here keeps what it found.
    fn fast_error(&self, found: &mut Found) -> Result<Option<f64>, Error> {
        if !device::fast() || !found.complete {
            return Ok(None);
        }
        let end = &found.steps[found.chosen];
        match device::exactly(|| self.anew(end.lambda)) {
            Ok((exact, _)) => Ok(Some(end.score - exact.score)),
            Err(Error::Cancelled(_)) => {
                found.stop.push_str("; cancelled before fast arithmetic was held against f32");
                found.complete = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Searches, then sweeps from the end found to lambda 0, or beyond.
    fn walk(&mut self, options: &Options, whole: &[f32]) -> Result<Found, Error> {
        let zero: Arc<[f32]> = self.reconstruction.as_slice().into();
        self.monitor.sketch(Sketch { lambda: 0.0, score: self.scored.score, pixels: zero });
        let mut walk = Walk::default();
        let mut kept = Vec::new();
        let (lambdas, stop) = if let Some([from, to]) = options.range {
            walk.end = if from.abs() >= to.abs() { from } else { to };
            (search::linspace(from, to, options.steps), "the range was given".to_owned())
        } else {
            match self.search(options, whole, &mut walk, &mut kept) {
                Ok(stop) => (sweep(walk.end, options), stop),
                Err(Error::Cancelled(_)) if walk.end != 0.0 => {
                    kept.push(self.step(0.0)?);
                    return Ok(Found::partial(walk, kept, "cancelled during the search".to_owned()));
                }
                Err(error) => return Err(error),
            }
        };
        let mut steps = Vec::with_capacity(lambdas.len());
        for (i, &lambda) in lambdas.iter().enumerate() {
            let known = || kept.iter().find(|step| step.lambda == lambda).cloned();
            let step = self.monitor.step("decoding the sweep", i, lambdas.len()).map_err(Error::from);
            match step.and_then(|()| known().map_or_else(|| self.step(lambda), Ok)) {
                Ok(step) => steps.push(step),
                Err(Error::Cancelled(_)) if !steps.is_empty() || !kept.is_empty() => {
                    steps.extend(kept);
                    return Ok(Found::partial(walk, steps, format!("{stop}; cancelled during the sweep")));
                }
                Err(error) => return Err(error),
            }
        }
        let chosen = nearest(&steps, walk.end);
        Ok(Found { walk: walk.trials, stop, steps, chosen, complete: true })
    }

    /// Walks to the end of the sweep; gives why it ends there. What may become that end stays in `kept`, so that the sweep need
    /// not decode it again.
    fn search(
        &mut self,
        options: &Options,
        whole: &[f32],
        walk: &mut Walk,
        kept: &mut Vec<Step>,
    ) -> Result<String, Error> {
        let size = |pixels: &[f32]| pixels.iter().map(|x| f64::from(x.abs())).sum::<f64>();
        let published = options.search == SearchWay::Reference;
        let rules = Rules {
            drop: options.drop,
            floor: options.floor,
            max_lambda: options.max_lambda.unwrap_or(if published { 3000.0 } else { f64::INFINITY }),
            step_size: options.step_size,
            max_change: options.max_change * size(if published { whole } else { &self.reconstruction }),
        };
        let ahead = self.path.ahead()?;
        // On a GPU a chunk is as large as memory bears.
        let records = options.search == SearchWay::Path && device::chosen().is_cpu();
        let mut search = Search { shift: self, kept, records, tapes: None };
        let trial = |lambda: f64, walk: &Walk| search.trial(lambda, walk);
        match options.search {
            SearchWay::Aim => search::aim(&rules, ahead, walk, trial),
            SearchWay::Reference => search::reference(&rules, walk, trial),
            SearchWay::Path => piecewise::path(&rules, walk, &mut search),
        }
    }

    /// The gradient at a step, `[slab, channels, h, w]`. With the tapes of its decoding, it is not decoded again.
    fn gradient_at(&self, step: &Step, tapes: Option<Tapes>) -> Result<Tensor, Error> {
        if step.lambda == 0.0 {
            return Ok(self.gradient.clone());
        }
        let shape = (self.slab.len(), 1, self.size[0], self.size[1]);
        let slices = Tensor::from_slice(&step.slab, shape, &Device::Cpu)?.to_dtype(self.dtype)?;
        if let Some(tapes) = tapes {
            return Ok(tapes.gradient(&*self.slab_score, &slices, self.monitor)?.1);
        }
        let latents = self.path.at(step.lambda)?;
        let Self { autoencoder, slab_score, chunk, monitor, .. } = self;
        Ok(gradient::gradient(*autoencoder, &**slab_score, &latents, &slices, chunk, monitor)?.1)
    }
}

/// A search as it tries steps.
struct Search<'s, 'a> {
    shift: &'s mut Shift<'a>,
    /// Steps that the sweep may ask for.
    kept: &'s mut Vec<Step>,
    /// Whether trials keep their decoder's tapes, since the path may turn there; those of the last trial, at its lambda.
    records: bool,
    tapes: Option<(f64, Tapes)>,
}

impl Oracle for Search<'_, '_> {
    fn trial(&mut self, lambda: f64, walk: &Walk) -> Result<Trial, Error> {
        let Self { shift, kept, records, tapes } = self;
        shift.monitor.step("searching lambda", walk.trials.len(), 0)?;
        *tapes = None;
        let step = if *records && lambda != 0.0 {
            let (step, recorded) = shift.recorded(lambda)?;
            *tapes = recorded.map(|recorded| (lambda, recorded));
            step
        } else {
            shift.step(lambda)?
        };
        let change = step.slab.iter().zip(&shift.reconstruction).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
        let trial = Trial { lambda, score: step.score, change };
        kept.retain(|step| step.lambda == walk.end || Some(step.lambda) == walk.beyond);
        kept.push(step);
        Ok(trial)
    }

    fn turn(&mut self, lambda: f64, uphill: Uphill) -> Result<Ahead, Error> {
        let tapes = self.tapes.take().filter(|(at, _)| *at == lambda).map(|(_, tapes)| tapes);
        let Self { shift, kept, .. } = self;
        // What was tried beyond lies on the path no more.
        kept.retain(|step| step.lambda.abs() <= lambda.abs());
        let known = kept.iter().find(|step| step.lambda == lambda).cloned();
        let gradient = shift.gradient_at(&known.map_or_else(|| shift.step(lambda), Ok)?, tapes)?;
        shift.path.turn(lambda, &gradient, uphill)?;
        shift.path.ahead()
    }
}

impl Found {
    /// What a cancelled run leaves: every step no farther from lambda 0 than the end as it stood, by lambda, each once.
    fn partial(walk: Walk, mut steps: Vec<Step>, stop: String) -> Self {
        if !walk.trials.is_empty() {
            steps.retain(|step| step.lambda.abs() <= walk.end.abs());
        }
        steps.sort_by(|a, b| a.lambda.total_cmp(&b.lambda));
        steps.dedup_by(|a, b| a.lambda == b.lambda);
        let chosen = nearest(&steps, walk.end);
        Self { walk: walk.trials, stop, steps, chosen, complete: false }
    }
}

/// The lambdas of the images, ascending.
fn sweep(end: f64, options: &Options) -> Vec<f64> {
    if options.steps == 1 {
        return vec![end];
    }
    let there = search::linspace(end.min(0.0), end.max(0.0), options.steps);
    if options.images() == options.steps {
        return there;
    }
    let mirrored: Vec<f64> = there.iter().rev().map(|lambda| 0.0 - lambda).collect();
    let [below, above] = if end < 0.0 { [there, mirrored] } else { [mirrored, there] };
    below.into_iter().chain(above.into_iter().skip(1)).collect()
}

/// The step nearest to the end of the walk: the counterfactual.
fn nearest(steps: &[Step], end: f64) -> usize {
    let away = |i: &usize| (steps[*i].lambda - end).abs();
    (0..steps.len()).min_by(|a, b| away(a).total_cmp(&away(b))).unwrap_or(0)
}

/// A volume as `[slices, 1, height, width]`.
fn tensor(volume: &Volume) -> Result<Tensor, Error> {
    let [width, height, slices] = volume.grid.shape;
    Ok(Tensor::from_vec(volume.voxels.iter().collect::<Vec<f32>>(), (slices, 1, height, width), &Device::Cpu)?)
}

/// Gives the pixels of decoded slices, which must be numbers: a classifier might make a number even of what is none.
fn pixels(decoded: &Tensor) -> Result<Vec<f32>, Error> {
    let pixels = flat(decoded)?;
    if pixels.iter().all(|x| x.is_finite()) { Ok(pixels) } else { Err(Error::NotFinite("a pixel".to_owned())) }
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>, Error> {
    Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}

/// `[slope, offset]` of reconstruction = slope * scan + offset, HU, by least squares over those voxels that were `encoded`; the
/// reconstruction is in decoded units.
pub fn calibration(
    stack: &Volume,
    decoded: &[f32],
    encoded: Range<usize>,
    hu_from_unit: [f32; 2],
    hu_from_decoded: [f32; 2],
) -> [f64; 2] {
    let n = encoded.len().max(1) as f64;
    let hu = |[slope, offset]: [f32; 2], x: f32| f64::from(slope) * f64::from(x) + f64::from(offset);
    let pairs = || encoded.clone().map(|i| (hu(hu_from_unit, stack.voxels.at(i)), hu(hu_from_decoded, decoded[i])));
    let (mean_x, mean_y) = pairs().fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x / n, sy + y / n));
    let (cov, var) =
        pairs().fold((0.0, 0.0), |(c, v), (x, y)| (c + (x - mean_x) * (y - mean_y), v + (x - mean_x) * (x - mean_x)));
    let slope = if var > 0.0 { cov / var } else { 0.0 };
    [slope, mean_y - slope * mean_x]
}
