//! The search against the published one, on an analytic model: every stop rule, and the aimed search's promises.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor, Var};
use glam::DAffine3;
use parallax::graph::{self, Check, Plan};
use parallax::job::Monitor;
use parallax::latent_shift::objective::{Objective, Scored, SlabScore};
use parallax::latent_shift::search::{self, Ahead, Rules, Walk};
use parallax::latent_shift::{Counterfactual, Error, HeatmapMethod, Options, SearchWay, Trial, explain};
use parallax::models::Autoencoder;
use parallax::volume::{Grid, Volume};
use serde_json::Value;

use crate::support;

/// Scores of one f32 sigmoid; both sides compute in f32.
const SCORE: f64 = 1e-6;
/// Lambdas are computed alike; the JSON reader may miss the last bit.
const LAMBDA: f64 = 1e-15;
/// Pixels are x + lambda * g in f32, with lambda up to 1e5: relative.
const PIXEL: f64 = 1e-5;

/// Latents are the pixels themselves.
pub(crate) struct Identity;

impl Autoencoder for Identity {
    fn encode(&self, stack: &Tensor, _: Check<'_>) -> std::result::Result<Tensor, graph::Error> {
        Ok(stack.clone())
    }
    fn decoder(&self, latents: &[usize], _: [usize; 2]) -> Result<Plan> {
        Plan::new(&support::graph_of(|_, x| x), &[latents], DType::F32)
    }
    fn unit_from_decoded(&self) -> [f32; 2] {
        [1.0, 0.0]
    }
}

/// `sigmoid(scale * dot(w, t) + b + quad * sum((t - x)^2))`, and its sigmoid again where the golden asks.
struct Toy {
    w: Tensor,
    x: Tensor,
    scale: f64,
    b: f64,
    quad: f64,
    twice: bool,
}

impl Toy {
    fn value(&self, t: &Tensor) -> Result<Tensor> {
        let linear = ((t * &self.w)?.sum_all()? * self.scale)?;
        let curved = ((t - &self.x)?.sqr()?.sum_all()? * self.quad)?;
        let mut score = candle_nn::ops::sigmoid(&((linear + curved)? + self.b)?)?;
        if self.twice {
            score = candle_nn::ops::sigmoid(&score)?;
        }
        Ok(score)
    }
}

impl Objective for Toy {
    fn score(&self, stack: &Tensor, _: &Monitor) -> std::result::Result<Scored, Error> {
        Ok(Scored::from(f64::from(self.value(stack)?.to_scalar::<f32>()?)))
    }
    fn around<'a>(
        &'a self,
        _: &Tensor,
        _: std::ops::Range<usize>,
        _: &Monitor,
    ) -> std::result::Result<Box<dyn SlabScore + 'a>, Error> {
        Ok(Box::new(self))
    }
}

/// The slab is the whole stack.
impl SlabScore for &Toy {
    fn score(&self, slices: &Tensor, monitor: &Monitor) -> std::result::Result<Scored, Error> {
        Objective::score(*self, slices, monitor)
    }

    fn gradient(&self, slices: &Tensor, _: &Monitor) -> std::result::Result<(Scored, Tensor), Error> {
        let t = Var::from_tensor(slices)?;
        let score = self.value(&t)?;
        let gradient = score.backward()?.remove(&t).expect("the score depends on t");
        Ok((f64::from(score.to_scalar::<f32>()?).into(), gradient))
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn goldens() -> Value {
    let text = std::fs::read_to_string(support::data("search_toy.json")).expect("tests/data is complete");
    serde_json::from_str(&text).expect("valid JSON")
}

fn run(goldens: &Value, case: &Value, change: impl FnOnce(&mut Options)) -> std::result::Result<Counterfactual, Error> {
    let x: Vec<f32> = numbers(&goldens["x"]).iter().map(|&x| x as f32).collect();
    let w: Vec<f32> = numbers(&goldens["w"]).iter().map(|&x| x as f32).collect();
    let tensor = |v: &[f32]| Tensor::from_slice(v, (1, 1, 1, 4), &candle_core::Device::Cpu);
    let (model, kwargs) = (&case["model"], &case["kwargs"]);
    let number = |key: &str, default: f64| kwargs[key].as_f64().unwrap_or(default);
    let toy = Toy {
        w: tensor(&w)?,
        x: tensor(&x)?,
        scale: model["scale"].as_f64().expect("scale"),
        b: model["b"].as_f64().expect("b"),
        quad: model["quad"].as_f64().unwrap_or(0.0),
        twice: kwargs["apply_sigmoid"].as_bool().expect("apply_sigmoid"),
    };
    let mut options = Options {
        search: SearchWay::Reference,
        range: kwargs["fix_range"].as_array().map(|r| [r[0].as_f64().expect("min"), r[1].as_f64().expect("max")]),
        steps: number("lambda_sweep_steps", 10.0) as usize,
        drop: number("search_pred_diff", 0.8),
        max_lambda: Some(number("search_max_steps", 3000.0)),
        step_size: number("search_step_size", 10.0),
        max_change: number("search_max_pixel_diff_pct", 0.05),
        ..Options::default()
    };
    change(&mut options);
    let grid = Grid { shape: [4, 1, 1], world_from_voxel: DAffine3::IDENTITY };
    let stack = Volume::from_f32(grid, x);
    explain(&stack, [1.0, 0.0], &Identity, &toy, None, &options, &Monitor::default())
}

fn assert_close(what: &str, got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance * want.abs().max(1.0), "{what}: {got}, the reference has {want}");
}

fn assert_pixels(what: &str, got: &[f32], want: &Value) {
    let want = numbers(want);
    assert_eq!(got.len(), want.len(), "{what}: number of pixels");
    for (got, want) in got.iter().zip(want) {
        assert_close(what, f64::from(*got), want, PIXEL);
    }
}

#[test]
fn the_reference_search_walks_as_published_through_every_stop_rule() {
    let goldens = goldens();
    for (name, case) in goldens["cases"].as_object().expect("cases") {
        let result = run(&goldens, case, |_| {}).expect(name);
        let walk = case["steps_lambda_pred_pixdiff_thresh"].as_array().expect("walk");
        assert_eq!(result.walk.len(), walk.len(), "{name}: number of trials");
        for (trial, row) in result.walk.iter().zip(walk) {
            let row = numbers(row);
            assert_eq!(row.len(), 4, "{name}: lambda, score, change, bound");
            assert_close(&format!("{name}: lambda"), trial.lambda, row[0], LAMBDA);
            assert_close(&format!("{name}: score at {}", trial.lambda), trial.score, row[1], SCORE);
            assert_close(&format!("{name}: change at {}", trial.lambda), trial.change, row[2], PIXEL);
        }
        let (lambdas, scores) = (numbers(&case["lambdas"]), numbers(&case["preds"]));
        assert_eq!([result.steps.len(), scores.len()], [lambdas.len(); 2], "{name}: number of steps");
        for (i, step) in result.steps.iter().enumerate() {
            assert_close(&format!("{name}: sweep lambda {i}"), step.lambda, lambdas[i], LAMBDA);
            assert_close(&format!("{name}: sweep score {i}"), step.score, scores[i], SCORE);
            assert_pixels(&format!("{name}: frame {i}"), &step.slab, &case["generated_images"][i]);
        }
        let heatmap: Vec<f32> = result.heatmap.voxels.iter().collect();
        assert_pixels(&format!("{name}: heatmap"), &heatmap, &case["heatmap_int"]);
    }
}

#[test]
fn a_sweep_costs_no_trial_for_its_ends() {
    // The first and last lambda of a sweep were decoded by the search: asking for them again gives the same memory.
    let goldens = goldens();
    let result = run(&goldens, &goldens["cases"]["pred_diff"], |options| options.steps = 2).expect("a run");
    assert_eq!(result.steps.len(), 2);
    assert_eq!(result.steps[0].score.to_bits(), result.walk.last().expect("trials").score.to_bits());
}

#[test]
fn the_four_heatmaps_of_a_straight_line_are_known() {
    // On a line sampled evenly, int is the whole way over the intervals, mm the whole way, max the same, mean half of it.
    let goldens = goldens();
    let heat = |method| {
        let result = run(&goldens, &goldens["cases"]["pred_diff"], |options| options.heatmap = method).expect("a run");
        f64::from(result.heatmap.voxels.at(3))
    };
    let way = heat(HeatmapMethod::MinMax);
    assert_close("int", heat(HeatmapMethod::Int), way / 9.0, PIXEL);
    assert_close("max", heat(HeatmapMethod::Max), way, PIXEL);
    assert_close("mean", heat(HeatmapMethod::Mean), way / 2.0, PIXEL);
}

/// The aimed search on a function of lambda alone, which nothing bounds but the rules.
fn aim(rules: &Rules, slope: f64, score: impl Fn(f64) -> f64) -> (Walk, String) {
    aim_within(rules, Ahead { slope, whole: f64::INFINITY }, |lambda| {
        Ok(Trial { lambda, score: score(lambda), change: lambda.abs() })
    })
}

fn aim_within(rules: &Rules, ahead: Ahead, trial: impl Fn(f64) -> std::result::Result<Trial, Error>) -> (Walk, String) {
    let mut walk = Walk::default();
    let stop = search::aim(rules, ahead, &mut walk, |lambda, _| trial(lambda)).expect("a search");
    (walk, stop)
}

fn rules() -> Rules {
    Rules { drop: 0.3, floor: 0.05, max_lambda: f64::INFINITY, step_size: 10.0, max_change: 1e9 }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn the_aimed_search_lands_on_its_mark_in_few_trials_at_any_scale_of_lambda() {
    for scale in [1e-6, 1e-3, 1.0, 1e3] {
        let score = |lambda: f64| sigmoid(1.0 + scale * lambda);
        let slope = scale * score(0.0) * (1.0 - score(0.0));
        let (Walk { trials, end, .. }, stop) = aim(&rules(), slope, score);
        let fall = score(0.0) - score(end);
        assert!((fall - 0.3).abs() <= 0.02 * 0.3, "scale {scale}: fell by {fall}; {stop}");
        assert!(trials.len() <= 10, "scale {scale}: {} trials", trials.len());
        assert!(end < 0.0 && stop.contains("reached its goal"), "scale {scale}: {stop}");
    }
}

#[test]
fn a_saturated_score_costs_the_aimed_search_no_more_trials() {
    for (start, drop) in [(0.99, 0.8), (0.9999, 0.8), (0.99999, 0.8), (0.01, -0.8), (1e-5, -0.8)] {
        let logit = |p: f64| (p / (1.0 - p)).ln();
        // Not quite a straight line in logits, as no network is.
        let score = |lambda: f64| sigmoid(logit(start) + 0.01 * lambda + 2e-6 * lambda.abs() * lambda);
        let (Walk { trials, end, .. }, stop) = aim(&Rules { drop, ..rules() }, 0.01 * start * (1.0 - start), score);
        let moved = start - score(end);
        assert!((moved - drop).abs() <= 0.02 * drop.abs(), "from {start}: moved by {moved}; {stop}");
        assert!(trials.len() <= 6, "from {start}: {} trials: {trials:?}", trials.len());
    }
}

#[test]
fn a_score_bent_against_the_straight_line_is_still_closed_in_on() {
    // Flat, then a cliff: a straight line through the bracket's ends moves the far end alone, by little.
    let score = |lambda: f64| 2.0 - (-lambda / 50.0).powi(9);
    let (Walk { trials, end, .. }, stop) = aim(&Rules { drop: 1.0, floor: 0.0, ..rules() }, 1e-5, score);
    assert!((score(end) - 1.0).abs() <= 0.02 && trials.len() < 24, "lambda {end}, {} trials; {stop}", trials.len());
}

#[test]
fn a_negative_drop_raises_the_score() {
    let score = |lambda: f64| sigmoid(0.01 * lambda);
    let (Walk { end, .. }, _) = aim(&Rules { drop: -0.3, ..rules() }, 0.0025, score);
    assert!(end > 0.0 && (score(end) - 0.8).abs() <= 0.02 * 0.3, "lambda {end}, score {}", score(end));
}

#[test]
fn the_aimed_search_backs_off_to_the_largest_change_allowed() {
    let (Walk { end, .. }, stop) = aim(&Rules { max_change: 7.0, ..rules() }, 0.0025, |lambda| sigmoid(0.01 * lambda));
    assert!((-7.0..=-6.5).contains(&end), "lambda {end}");
    assert!(stop.contains("the largest change allowed (7.0"), "{stop}");
}

#[test]
fn the_aimed_search_ends_where_the_score_turns() {
    // A parabola with its minimum at -40, which lies above the goal.
    let (Walk { end, .. }, stop) = aim(&rules(), 0.004, |lambda| 0.5 + ((lambda + 40.0) / 200.0).powi(2));
    assert!((end + 40.0).abs() < 4.0, "lambda {end}");
    assert!(stop.contains("turns"), "{stop}");
}

#[test]
fn the_aimed_search_respects_the_bound_on_lambda() {
    let (Walk { end, .. }, stop) = aim(&Rules { max_lambda: 5.0, ..rules() }, 0.0025, |lambda| sigmoid(0.01 * lambda));
    assert!((end + 5.0).abs() < 1e-12 && stop.contains("bound of 5"), "lambda {end}: {stop}");
}

#[test]
fn a_score_below_the_floor_is_still_lowered() {
    // The published effusion case: 0.0127 on the reconstruction.
    let score = |lambda: f64| sigmoid(-4.353 + 0.01 * lambda);
    let (Walk { end, .. }, stop) = aim(&Rules { max_change: 100.0, ..rules() }, 0.01 * 0.0127 * (1.0 - 0.0127), score);
    assert!(
        score(end) < 0.006 && stop.contains("the largest change allowed (100.0"),
        "lambda {end}, score {}; {stop}",
        score(end)
    );
}

#[test]
fn networks_that_overflow_far_out_cost_a_trial_and_not_the_walk() {
    let trial = |lambda: f64| match lambda {
        ..-500.0 => Err(Error::NotFinite("the score".to_owned())),
        _ => Ok(Trial { lambda, score: 0.7 + 1e-3 * lambda.max(-50.0), change: lambda.abs() }),
    };
    let (walk, stop) = aim_within(&Rules { max_change: 40.0, ..rules() }, Ahead { slope: 1e-5, whole: 1e30 }, trial);
    assert!((-40.0..=-38.0).contains(&walk.end), "lambda {}; {stop}", walk.end);
    // What moves the latents by their own length comes first, however small the gradient.
    let (walk, _) = aim_within(&rules(), Ahead { slope: 1e-60, whole: 30.0 }, trial);
    assert_eq!(walk.trials[1].lambda, -30.0);
}

#[test]
fn a_walk_that_is_cut_short_never_ends_at_a_rejected_trial() {
    for cut in 2..9 {
        let mut walk = Walk::default();
        let rules = Rules { max_change: 7.0, ..rules() };
        let ahead = Ahead { slope: 1e-6, whole: f64::INFINITY };
        let result = search::aim(&rules, ahead, &mut walk, |lambda, walk| {
            if walk.trials.len() == cut {
                return Err(Error::Cancelled(parallax::job::Cancelled));
            }
            Ok(Trial { lambda, score: sigmoid(0.01 * lambda), change: lambda.abs() })
        });
        assert!(result.is_err() || walk.trials.len() <= cut);
        let allowed = walk.trials.iter().filter(|trial| trial.change <= 7.0).map(|trial| trial.lambda);
        assert_eq!(Some(walk.end), allowed.reduce(f64::min), "after {cut}: {:?}", walk.trials);
    }
}

#[test]
fn a_flat_gradient_is_an_error_in_words() {
    let ahead = Ahead { slope: 0.0, whole: f64::INFINITY };
    let still = |lambda: f64, _: &Walk| Ok(Trial { lambda, score: 0.5, change: 0.0 });
    let error = search::aim(&rules(), ahead, &mut Walk::default(), still).expect_err("nothing to follow");
    assert!(error.to_string().contains("does not change with the latents"));
}

#[test]
fn what_no_run_can_do_is_refused_before_it_begins() {
    let goldens = goldens();
    let refused = |change: fn(&mut Options)| {
        run(&goldens, &goldens["cases"]["pred_diff"], change).expect_err("refused").to_string()
    };
    assert!(refused(|options| options.steps = 0).contains("at least 1 step"));
    assert!(refused(|options| options.drop = -0.3).contains("only lowers a score"));
}

#[test]
fn a_sweep_of_one_step_is_the_counterfactual() {
    let goldens = goldens();
    for drop in [0.1, -0.1] {
        let result = run(&goldens, &goldens["cases"]["pixel_diff"], |options| {
            (options.steps, options.search, options.drop, options.max_change) = (1, SearchWay::Aim, drop, 1e9);
        })
        .expect("a run");
        let moved = result.scores.reconstruction - result.scores.counterfactual;
        assert!((moved - drop).abs() <= 0.02 * drop.abs(), "moved by {moved}; {}", result.stop);
    }
}

#[test]
fn the_aimed_search_beats_the_reference_in_trials_on_the_long_walk() {
    let goldens = goldens();
    let case = &goldens["cases"]["long_walk_1e5"];
    let published = run(&goldens, case, |_| {}).expect("a run").walk.len();
    let ours = run(&goldens, case, |options| {
        options.search = SearchWay::Aim;
        options.drop = 0.3;
        options.max_lambda = None;
    })
    .expect("a run");
    assert!(ours.walk.len() * 4 < published, "{} trials against {published}", ours.walk.len());
}

#[test]
fn a_slab_outside_the_stack_is_an_error_that_names_both() {
    let grid = Grid { shape: [4, 1, 1], world_from_voxel: DAffine3::IDENTITY };
    let stack = Volume::from_f32(grid, vec![0.5; 4]);
    let x = Tensor::zeros((1, 1, 1, 4), DType::F32, &candle_core::Device::Cpu).expect("zeros");
    let toy = Toy { w: x.clone(), x, scale: 1.0, b: 0.0, quad: 0.0, twice: false };
    let error = explain(&stack, [1.0, 0.0], &Identity, &toy, Some(3..9), &Options::default(), &Monitor::default());
    let message = error.expect_err("slab 3:9 of 1 slice").to_string();
    assert!(message.contains("3:9") && message.contains("1 slice;"), "{message}");
}

#[test]
fn a_cancelled_search_keeps_what_it_found() {
    let goldens = goldens();
    let case = &goldens["cases"]["long_walk_1e5"];
    let x: Vec<f32> = numbers(&goldens["x"]).iter().map(|&x| x as f32).collect();
    let w: Vec<f32> = numbers(&goldens["w"]).iter().map(|&x| x as f32).collect();
    let tensor = |v: &[f32]| Tensor::from_slice(v, (1, 1, 1, 4), &candle_core::Device::Cpu).expect("4 numbers");
    let scale = case["model"]["scale"].as_f64().expect("scale");
    let toy = Toy { w: tensor(&w), x: tensor(&x), scale, b: 0.5, quad: 0.0, twice: false };
    // The listener stops the run at its sixth trial, as a person would.
    let handle: Arc<std::sync::OnceLock<Monitor>> = Arc::default();
    let seen = Arc::clone(&handle);
    let monitor = Monitor::new(move |progress| {
        if progress.phase == "searching lambda" && progress.done == 5 {
            seen.get().expect("set below").cancel();
        }
    });
    handle.set(monitor.clone()).ok().expect("set once");
    let grid = Grid { shape: [4, 1, 1], world_from_voxel: DAffine3::IDENTITY };
    let options =
        Options { search: SearchWay::Reference, max_lambda: Some(1e5), max_change: 1e9, ..Options::default() };
    let result = explain(&Volume::from_f32(grid, x), [1.0, 0.0], &Identity, &toy, None, &options, &monitor)
        .expect("partial results");
    assert!(!result.complete && result.stop.contains("cancelled"), "{}", result.stop);
    assert_eq!(result.walk.len(), 5);
    assert!(result.steps.len() > 1 && result.steps[result.chosen].lambda < 0.0);
}

/// A walk of the authors' own, on the released weights, as their notebooks printed it.
struct Trace {
    /// Python prints the nearest f64 of what PyTorch computed in f32: no digit is lost.
    trials: Vec<Trial>,
    max_change: f64,
    reason: String,
    end: f64,
    sweep: Vec<f64>,
}

/// The number behind `label` in a line of the log.
fn logged(line: &str, label: &str) -> f64 {
    let rest = line.split_once(label).unwrap_or_else(|| panic!("no {label:?} in {line:?}")).1;
    let number = rest.trim_start().split([',', ' ']).next().unwrap_or_default();
    number.parse().unwrap_or_else(|e| panic!("{label} {number:?}: {e}"))
}

/// Whatever else the log has is passed over.
fn trace(log: &str) -> Trace {
    let shifts: Vec<_> = log.lines().filter(|line| line.trim_start().starts_with("Shift:")).collect();
    let trial = |line: &&str| Trial {
        lambda: logged(line, "Shift:"),
        score: logged(line, "Pred:"),
        change: logged(line, "pixel_diff:"),
    };
    let after = |label: &str| log.split_once(label).unwrap_or_else(|| panic!("no {label:?} in the log")).1;
    let list = after("Lambdas to compute:").split_once('[').and_then(|(_, rest)| rest.split_once(']')).expect("a list");
    Trace {
        trials: shifts.iter().map(trial).collect(),
        max_change: logged(shifts.first().expect("trials"), "sum*diff_pct:"),
        reason: after("Ending search:").lines().next().unwrap_or_default().trim().to_owned(),
        end: logged(after("Selected bounds:"), ""),
        sweep: list.0.split_whitespace().map(|number| number.parse().expect("a number")).collect(),
    }
}

/// numpy prints 8 digits behind the point.
const PRINTED: f64 = 0.5e-8;

#[test]
fn the_authors_own_walks_are_walked_again_from_their_notebooks() {
    // The lengths, ends and reasons are those the notebooks show; `max_lambda` is their `search_max_steps`.
    for (name, max_lambda, length, end, reason, stop) in [
        (
            "lung",
            600_000.0,
            36,
            -2811.0,
            "reached search_max_pixel_diff_pct",
            "the change 1027.5 is above its bound of 981.2",
        ),
        ("pleu", 20_000.0, 34, -2305.0, "prediction stopped decreasing", "the score rose, from 0.4080875 to 0.4081303"),
    ] {
        let Some(path) = support::shared(&format!("goldens/notebook_trace_{name}.txt")) else { return };
        let trace = trace(&std::fs::read_to_string(path).expect("readable"));
        assert_eq!((trace.trials.len(), trace.end), (length, end), "{name}: the log is not whole");
        assert!(trace.reason.starts_with(reason), "{name}: {}", trace.reason);
        for trial in &trace.trials {
            let exact = |x: f64| f64::from(x as f32) == x;
            assert!(exact(trial.score) && exact(trial.change), "{name}: {trial:?} is rounded, and may walk elsewhere");
        }
        let rules = Rules { drop: 0.8, floor: 0.05, max_lambda, step_size: 10.0, max_change: trace.max_change };
        let (mut walk, mut recorded) = (Walk::default(), trace.trials.iter());
        let why = search::reference(&rules, &mut walk, |lambda, _| {
            let trial = recorded.next().unwrap_or_else(|| panic!("{name}: goes on to {lambda}, past the recorded end"));
            assert_eq!(lambda, trial.lambda, "{name}: a step of its own");
            Ok(*trial)
        })
        .expect("a search");
        assert_eq!((walk.trials, walk.end), (trace.trials, end), "{name}: ended early, as {why}");
        assert_eq!(why, stop, "{name}");
        let sweep = search::linspace(end, 0.0, 10);
        assert_eq!(sweep.len(), trace.sweep.len(), "{name}: {:?}", trace.sweep);
        for (got, want) in sweep.iter().zip(&trace.sweep) {
            assert!((got - want).abs() <= PRINTED, "{name}: sweeps {got}, the notebook {want}");
        }
    }
}
