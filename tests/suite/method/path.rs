//! The search along a path of straight pieces, on landscapes of two latents: where it goes, how long it is, and how it ends.

use std::f64::consts::SQRT_2;
use std::ops::Range;
use std::sync::Mutex;

use candle_core::{Device, Tensor};
use glam::{DAffine3, DVec2};
use parallax::job::Monitor;
use parallax::latent_shift::objective::{Objective, Scored, SlabScore};
use parallax::latent_shift::{Counterfactual, Error, Options, SearchWay, explain};
use parallax::volume::{Grid, Volume};

use crate::method::search::Identity;

/// Latents are f32, about 1.
const PLACE: f64 = 1e-5;

/// A logit and its gradient.
type Logit = fn(DVec2) -> (f64, DVec2);

/// The sigmoid of a logit of two latents, which are the two pixels of the only slice.
struct Landscape {
    logit: Logit,
    /// Where the gradient was asked for.
    nodes: Mutex<Vec<DVec2>>,
    /// Stops the run at so many gradients.
    cancel: Option<(usize, Monitor)>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn place(pixels: &[f32]) -> DVec2 {
    DVec2::new(f64::from(pixels[0]), f64::from(pixels[1]))
}

impl Objective for Landscape {
    fn score(&self, stack: &Tensor, _: &Monitor) -> Result<Scored, Error> {
        Ok(sigmoid((self.logit)(place(&stack.flatten_all()?.to_vec1()?)).0).into())
    }

    fn around<'a>(&'a self, _: &Tensor, _: Range<usize>, _: &Monitor) -> Result<Box<dyn SlabScore + 'a>, Error> {
        Ok(Box::new(self))
    }
}

/// The slab is the whole stack.
impl SlabScore for &Landscape {
    fn score(&self, slices: &Tensor, monitor: &Monitor) -> Result<Scored, Error> {
        Objective::score(*self, slices, monitor)
    }

    fn gradient(&self, slices: &Tensor, monitor: &Monitor) -> Result<(Scored, Tensor), Error> {
        let at = place(&slices.flatten_all()?.to_vec1()?);
        let mut nodes = self.nodes.lock().expect("one thread");
        if let Some((after, monitor)) = &self.cancel
            && nodes.len() + 1 == *after
        {
            monitor.cancel();
        }
        monitor.check()?;
        nodes.push(at);
        let (logit, slope) = (self.logit)(at);
        let p = sigmoid(logit);
        let gradient = (slope * p * (1.0 - p)).to_array().map(|x| x as f32);
        Ok((p.into(), Tensor::from_slice(&gradient, (1, 1, 1, 2), &Device::Cpu)?))
    }
}

/// A run from `start`, and where it asked for the gradient.
struct Run {
    result: Result<Counterfactual, Error>,
    nodes: Vec<DVec2>,
}

impl Run {
    fn ok(&self) -> &Counterfactual {
        self.result.as_ref().unwrap_or_else(|e| panic!("{e}"))
    }

    /// Lambda and place of the end.
    fn end(&self) -> (f64, DVec2) {
        let step = &self.ok().steps[self.ok().chosen];
        (step.lambda, place(&step.slab))
    }

    fn fall(&self) -> f64 {
        self.ok().scores.reconstruction - self.ok().scores.counterfactual
    }

    /// The corners from lambda 0 to the end.
    fn corners(&self) -> Vec<DVec2> {
        self.nodes.iter().copied().chain([self.end().1]).collect()
    }
}

fn options() -> Options {
    Options { search: SearchWay::Path, drop: 0.7, max_change: 1e9, ..Options::default() }
}

fn run(logit: Logit, start: DVec2, options: &Options, cancel: Option<usize>) -> Run {
    let monitor = Monitor::default();
    let cancel = cancel.map(|after| (after, monitor.clone()));
    let landscape = Landscape { logit, nodes: Mutex::default(), cancel };
    let grid = Grid { shape: [2, 1, 1], world_from_voxel: DAffine3::IDENTITY };
    let stack = Volume::from_f32(grid, start.to_array().map(|x| x as f32).to_vec());
    let result = explain(&stack, [1.0, 0.0], &Identity, &landscape, None, options, &monitor);
    Run { result, nodes: landscape.nodes.into_inner().expect("one thread") }
}

/// A valley along the unit circle, whose floor falls clockwise by 2 a radian: a straight line leaves it at a tangent.
fn ring(at: DVec2) -> (f64, DVec2) {
    let (r, angle) = (at.length(), at.y.atan2(at.x));
    let along = DVec2::new(-at.y, at.x) / (r * r);
    (2.0 * angle - 2.0 + 2.0 * (r - 1.0).powi(2), 2.0 * along + 4.0 * (r - 1.0) * at / r)
}

/// The valley turned into a ridge, to be climbed.
fn ridge(at: DVec2) -> (f64, DVec2) {
    let (logit, slope) = ring(at * DVec2::new(1.0, -1.0));
    (-logit, slope * DVec2::new(-1.0, 1.0))
}

fn on_the_ring(angle: f64) -> DVec2 {
    DVec2::from_angle(angle)
}

/// An even slope of logits.
fn slope(at: DVec2) -> (f64, DVec2) {
    (at.x + at.y, DVec2::ONE)
}

#[test]
fn a_path_reaches_the_mark_where_the_straight_line_runs_aground() {
    let start = on_the_ring(2.0);
    let aimed = run(ring, start, &Options { search: SearchWay::Aim, ..options() }, None);
    assert!(aimed.ok().stop.contains("turns") && aimed.fall() < 0.3, "fell by {}", aimed.fall());
    let path = run(ring, start, &options(), None);
    let (trials, gradients) = (path.ok().walk.len(), path.nodes.len());
    eprintln!(
        "ring: aim fell {} in {} trials; path {} in {trials} trials, {gradients} gradients",
        aimed.fall(),
        aimed.ok().walk.len(),
        path.fall()
    );
    assert!((path.fall() - 0.7).abs() <= 0.02 * 0.7, "fell by {}; {}", path.fall(), path.ok().stop);
    assert!(path.ok().stop.contains("reached its goal"), "{}", path.ok().stop);
    assert!(gradients <= 8 && trials <= 16, "{gradients} gradients, {trials} trials");
    // The goal is a fall of 3.6 logits: 1.8 radians along the floor, and no point of the ring is much nearer.
    let lambda = path.end().0;
    assert!((-2.6..=-1.5).contains(&lambda), "lambda {lambda}");
}

#[test]
fn lambda_is_the_length_of_the_path_and_every_step_lies_on_it() {
    let ways: [(f64, Logit, f64); 2] = [(0.7, ring, 2.0), (-0.7, ridge, -2.0)];
    for (drop, landscape, angle) in ways {
        let (start, sign) = (on_the_ring(angle), -drop.signum());
        let run = run(landscape, start, &Options { drop, steps: 33, ..options() }, None);
        let (end, _) = run.end();
        let corners = run.corners();
        let lengths: Vec<f64> = corners.windows(2).map(|pair| pair[0].distance(pair[1])).collect();
        let whole: f64 = lengths.iter().sum();
        assert!(corners.len() > 4, "drop {drop}: {} corners prove little", corners.len());
        assert!((end - sign * whole).abs() <= PLACE, "drop {drop}: lambda {end}, length {whole}");
        assert!((run.fall() - drop).abs() <= 0.02 * 0.7, "drop {drop}: moved by {}; {}", run.fall(), run.ok().stop);
        for step in &run.ok().steps {
            let mut left = step.lambda.abs();
            let segment = lengths.iter().position(|&length| {
                let here = left <= length + PLACE;
                if !here {
                    left -= length;
                }
                here
            });
            let i = segment.expect("no step lies beyond the end");
            let want = corners[i].lerp(corners[i + 1], left / lengths[i]);
            let gap = place(&step.slab).distance(want);
            assert!(gap <= PLACE, "drop {drop}: the step at {} is off the path by {gap:e}", step.lambda);
            assert!((step.score - sigmoid(landscape(want).0)).abs() <= PLACE, "drop {drop}: score at {}", step.lambda);
        }
        // A straight line between its ends would not do: the path is not straight.
        assert!(corners[0].distance(corners[corners.len() - 1]) < 0.9 * whole, "drop {drop}: {corners:?}");
    }
}

#[test]
fn a_sweep_to_both_sides_has_lambda_0_once_in_its_middle_and_goes_straight_on_the_other_side() {
    let ways: [(f64, Logit, f64); 2] = [(0.7, ring, 2.0), (-0.7, ridge, -2.0)];
    for (drop, landscape, angle) in ways {
        let one = run(landscape, on_the_ring(angle), &Options { drop, steps: 6, ..options() }, None);
        let both = run(landscape, on_the_ring(angle), &Options { drop, steps: 6, both: true, ..options() }, None);
        let (steps, end) = (&both.ok().steps, both.end().0);
        assert_eq!((both.end(), both.ok().walk.len()), (one.end(), one.ok().walk.len()), "the search is the same");
        let lambdas: Vec<f64> = steps.iter().map(|step| step.lambda).collect();
        assert!(lambdas.len() == 11 && lambdas.is_sorted() && lambdas[5] == 0.0, "{lambdas:?}");
        assert!(lambdas.iter().zip(lambdas.iter().rev()).all(|(a, b)| (a + b).abs() < 1e-12), "{lambdas:?}");
        let (start, first) = (both.nodes[0], both.nodes[1]);
        let back = (start - first).normalize();
        for step in steps.iter().filter(|step| step.lambda * end < 0.0) {
            let gap = place(&step.slab).distance(start + back * step.lambda.abs());
            assert!(gap <= PLACE, "drop {drop}: the step at {} is off the line by {gap:e}", step.lambda);
        }
    }
}

#[test]
fn on_an_even_slope_the_path_is_the_straight_line() {
    let start = DVec2::new(5.0, -4.0);
    let (path, aimed) = (
        run(slope, start, &options(), None),
        run(slope, start, &Options { search: SearchWay::Aim, ..options() }, None),
    );
    assert!((path.fall() - aimed.fall()).abs() <= 0.03, "{} and {}", path.fall(), aimed.fall());
    let ((lambda, end), logits) = (path.end(), path.ok().scores);
    assert!((lambda.abs() - start.distance(end)).abs() <= PLACE && (end.x - end.y - 9.0).abs() <= PLACE, "{end}");
    // Logits fall by sqrt(2) a unit of length.
    let logit = |p: f64| (p / (1.0 - p)).ln();
    let fallen = logit(logits.reconstruction) - logit(logits.counterfactual);
    assert!((fallen - SQRT_2 * lambda.abs()).abs() <= 1e-4, "{fallen} over {lambda}");
    assert_eq!(path.nodes.len(), 4, "four gradients for a way that is as long as it seemed");
    assert!(path.ok().walk.len() <= 8, "{} trials", path.ok().walk.len());
}

#[test]
fn a_saturated_score_is_walked_down_and_up() {
    for (start, drop) in [(9.0, 0.8), (12.0, 0.8), (-9.0, -0.8), (-12.0, -0.8)] {
        let curved = |at: DVec2| (at.x + 0.02 * at.x * at.y, DVec2::new(1.0 + 0.02 * at.y, 0.02 * at.x));
        let run = run(curved, DVec2::new(start, 1.0), &Options { drop, ..options() }, None);
        assert!((run.fall() - drop).abs() <= 0.02 * 0.8, "from {start}: moved by {}; {}", run.fall(), run.ok().stop);
        assert!(run.nodes.len() <= 8 && run.ok().walk.len() <= 14, "from {start}: {} trials", run.ok().walk.len());
    }
}

#[test]
fn the_change_of_the_image_bounds_the_path_which_bends_all_the_same() {
    // The pixels of the start sum to 1.33: a change of 0.6 of that is nearer than the goal.
    let run = run(ring, on_the_ring(2.0), &Options { max_change: 0.6, ..options() }, None);
    let bound = 0.6 * on_the_ring(2.0).abs().element_sum();
    let change = (run.end().1 - on_the_ring(2.0)).abs().element_sum();
    assert!((0.9 * bound..=bound + PLACE).contains(&change), "{change} of {bound}; {}", run.ok().stop);
    assert!(run.ok().stop.contains("the largest change allowed") && run.nodes.len() >= 3, "{}", run.ok().stop);
}

#[test]
fn a_path_ends_at_the_bottom_of_a_bowl() {
    // The bottom, logit 0, lies above the goal; the sides are not alike, so no line along the gradient leads there.
    fn bowl(at: DVec2) -> (f64, DVec2) {
        (at.x * at.x + 3.0 * at.y * at.y, DVec2::new(2.0 * at.x, 6.0 * at.y))
    }
    let run = run(bowl, DVec2::new(1.2, 0.8), &options(), None);
    let (_, end) = run.end();
    assert!(bowl(end).0 < 0.05, "ends at {end}, logit {}; {}", bowl(end).0, run.ok().stop);
    assert!(run.ok().stop.contains("turns"), "{}", run.ok().stop);
}

#[test]
fn a_segment_that_makes_the_score_worse_is_shortened() {
    // A narrow gully: the first guess jumps over it.
    fn gully(at: DVec2) -> (f64, DVec2) {
        let across = at.y - 0.2 * (3.0 * at.x).sin();
        let wall = 30.0 * across;
        (at.x + 15.0 * across * across, DVec2::new(1.0 - wall * 0.6 * (3.0 * at.x).cos(), wall))
    }
    let run = run(gully, DVec2::new(2.0, 0.2 * 6f64.sin()), &options(), None);
    let walk = &run.ok().walk;
    let best = |i: usize| walk[..i].iter().map(|trial| trial.score).fold(f64::INFINITY, f64::min);
    let worse: Vec<_> = (1..walk.len()).filter(|&i| walk[i].score > best(i)).collect();
    assert!(!worse.is_empty(), "nothing got worse: this proves nothing");
    let first = worse[0];
    let [now, next] = [walk[first], walk[first + 1]].map(|trial| trial.lambda.abs());
    assert!(next < now, "from {now} on to {next}");
    assert!((run.fall() - 0.7).abs() <= 0.02 * 0.7, "fell by {}; {}", run.fall(), run.ok().stop);
    let from_mark = |score: f64| (walk[0].score - 0.7 - score).abs();
    let nearest = walk.iter().map(|trial| from_mark(trial.score)).fold(f64::INFINITY, f64::min);
    let end = from_mark(run.ok().steps[run.ok().chosen].score);
    assert!(end <= nearest + 1e-12, "the end is {end} from the goal, another trial {nearest}");
}

#[test]
fn the_bound_on_lambda_is_a_bound_on_the_length() {
    let run = run(ring, on_the_ring(2.0), &Options { max_lambda: Some(0.8), ..options() }, None);
    assert!((run.end().0 + 0.8).abs() < 1e-12 && run.ok().stop.contains("bound of 0.8"), "{}", run.ok().stop);
    let length: f64 = run.corners().windows(2).map(|pair| pair[0].distance(pair[1])).sum();
    assert!((length - 0.8).abs() <= PLACE, "{length}");
}

#[test]
fn a_score_without_slope_is_an_error_at_the_start_and_an_end_later() {
    let flat = |_: DVec2| (1.0, DVec2::ZERO);
    let error = run(flat, DVec2::ONE, &options(), None).result.expect_err("nothing to follow");
    assert!(error.to_string().contains("does not change with the latents"), "{error}");
    // A plateau in the valley.
    let ledge = |at: DVec2| if at.x > 0.5 { (at.x, DVec2::X) } else { (0.5, DVec2::ZERO) };
    let run = run(ledge, DVec2::new(1.5, 0.3), &options(), None);
    assert!(run.ok().stop.contains("no slope to follow") && run.end().0 < 0.0, "{}", run.ok().stop);
    assert!(run.ok().complete && (run.ok().scores.counterfactual - sigmoid(0.5)).abs() < 1e-9);
}

#[test]
fn a_cancelled_path_keeps_its_best() {
    let whole = run(ring, on_the_ring(2.0), &options(), None);
    for after in 2..=whole.nodes.len() {
        let run = run(ring, on_the_ring(2.0), &options(), Some(after));
        assert_eq!(run.nodes, whole.nodes[..after - 1], "after {after}: the same way so far");
        // The node whose gradient was not taken is the end.
        let (lambda, end) = run.end();
        assert!(!run.ok().complete && run.ok().stop.contains("cancelled"), "{}", run.ok().stop);
        assert!(end.distance(whole.nodes[after - 1]) <= PLACE, "after {after}: ends at {end}");
        let best = run.ok().walk.iter().map(|trial| trial.score).fold(f64::INFINITY, f64::min);
        assert_eq!(run.ok().scores.counterfactual, best, "after {after}");
        assert!(lambda < 0.0 && run.ok().steps.iter().any(|step| step.lambda == 0.0), "after {after}");
    }
    let error = run(ring, on_the_ring(2.0), &options(), Some(1)).result.expect_err("nothing was found");
    assert!(matches!(error, Error::Cancelled(_)));
}

#[test]
fn a_range_is_swept_along_the_first_gradient_whatever_the_search() {
    let range = Options { range: Some([-1.0, 0.0]), ..options() };
    let [path, aimed] = [SearchWay::Path, SearchWay::Aim].map(|search| {
        let run = run(ring, on_the_ring(2.0), &Options { search, ..range.clone() }, None);
        run.ok().steps.iter().map(|step| (step.lambda, place(&step.slab))).collect::<Vec<_>>()
    });
    assert_eq!(path, aimed);
    assert_eq!((path.len(), path[0].0), (range.steps, -1.0));
}

#[test]
fn what_was_tried_on_a_line_that_was_left_is_not_taken_for_the_path() {
    // A wall at a slant: straight on it is worse at the bound of lambda, past the turn it is better at the same lambda.
    fn slant(at: DVec2) -> (f64, DVec2) {
        let inside = (11.8 - at.x - at.y).max(0.0);
        (at.x + 4.0 * inside * inside, DVec2::X - DVec2::splat(8.0 * inside))
    }
    let run = run(slant, DVec2::new(2.0, 10.0), &Options { max_lambda: Some(0.8), ..options() }, None);
    let tried: Vec<_> = run.ok().walk.iter().map(|trial| trial.lambda).collect();
    let ((lambda, end), bound) = (run.end(), -0.8);
    assert_eq!((tried.iter().filter(|&&lambda| lambda == bound).count(), lambda), (2, bound), "{tried:?}");
    assert!(end.y > 10.2, "ends straight on, at {end}");
    assert!((run.ok().scores.counterfactual - sigmoid(slant(end).0)).abs() <= PLACE);
}
