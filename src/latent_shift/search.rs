//! Walks lambda until a stop rule holds. Knows nothing of tensors.

use super::{Error, Trial};

/// The rules a walk obeys. Scores fall towards negative lambda: the gradient points uphill.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Wanted change of the score; positive lowers it, negative raises it (our walks only).
    pub drop: f64,
    /// A score below this is low enough. Our walks ask it only of a score that begins above; raising has the mirror,
    /// `1 - floor`.
    pub floor: f64,
    /// Bound on |lambda|; the reference calls it `search_max_steps` though it counts no steps.
    pub max_lambda: f64,
    /// First step of the reference's walk.
    pub step_size: f64,
    /// Largest sum |change|, absolute.
    pub max_change: f64,
}

/// A walk as it grows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Walk {
    /// Every lambda tried, in order; the first is 0.
    pub trials: Vec<Trial>,
    /// The end as it stands: where a walk that is cancelled now leaves off.
    pub end: f64,
    /// The nearest lambda known to lie beyond: it may become the end yet.
    pub beyond: Option<f64>,
}

/// The published walk: `captum` fork, `LatentShift.attribute`, left bound only. Gives why it stopped.
/// The trial that breaks a rule is kept as the end. `trial` is given lambda, and the walk so far.
///
/// Scores are compared as f32, as the reference does: an uptick smaller than f32 can tell is none.
pub fn reference(
    rules: &Rules,
    walk: &mut Walk,
    mut trial: impl FnMut(f64, &Walk) -> Result<Trial, Error>,
) -> Result<String, Error> {
    let mut bound = 0.0_f64;
    let mut last = f32::INFINITY;
    let mut initial = None;
    loop {
        let now = trial(bound, walk)?;
        walk.trials.push(now);
        walk.end = bound;
        let score = now.score as f32;
        let initial = *initial.get_or_insert(score);
        // The order is the reference's; the first that holds is the reason.
        let stop = if last < score {
            Some(format!("the score rose, from {last} to {score}"))
        } else if score < rules.floor as f32 {
            Some(format!("the score {score} is below the floor {}", rules.floor))
        } else if initial - rules.drop as f32 > score {
            Some(format!("the score fell by more than {}", rules.drop))
        } else if bound <= -rules.max_lambda {
            Some(format!("lambda reached its bound of {}", rules.max_lambda))
        } else if now.change > rules.max_change {
            Some(format!("the change {:.1} is above its bound of {:.1}", now.change, rules.max_change))
        } else {
            None
        };
        if let Some(stop) = stop {
            return Ok(stop);
        }
        last = score;
        // Python's `//` floors: -10 // 10 is -1, -21 // 10 is -3. Ten percent growth and a step.
        bound = bound - rules.step_size + (bound / 10.0).floor();
    }
}

/// A score counts as at the goal within this share of the wanted change.
pub const GOAL_TOLERANCE: f64 = 0.02;
/// A bracket narrower than this share of its end is closed; about a turn, where the score is flat, wider ones are.
const NARROW: f64 = 0.02;
const NARROW_TURN: f64 = 0.1;
/// The change counts as at its bound from this share of it.
const NEAR_BOUND: f64 = 0.95;
/// More trials than any smooth score needs (about 10); a rough one ends here, and says so.
pub(super) const MAX_TRIALS: usize = 32;
/// A step aims this much beyond the goal, so that it is bracketed.
pub(super) const BEYOND: f64 = 1.1;
/// No single step of the expansion grows lambda by more than this.
const MAX_GROWTH: f64 = 4.0;

/// What a gradient tells of the way ahead.
#[derive(Debug, Clone, Copy)]
pub struct Ahead {
    /// d score / d lambda: `|g|^2` along the gradient g itself, `|g|` along its unit.
    pub slope: f64,
    /// The lambda that moves the latents by their own length, `|z| / |g|` or `|z|`: one step goes no farther.
    pub whole: f64,
}

/// What a trial means for the walk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// Allowed, better than what came before, and not there yet.
    Short,
    /// Allowed, and at the goal.
    Reached,
    /// Beyond the goal.
    Past,
    /// The change is above its bound, or no number any more.
    TooFar,
    /// The score is no better than the best.
    Turned,
}

/// What f32 rounds to 0 or 1 has a logit all the same.
const LEAST: f64 = 1e-12;

/// The inverse of the sigmoid.
pub fn logit(probability: f64) -> f64 {
    let p = probability.clamp(LEAST, 1.0 - LEAST);
    (p / (1.0 - p)).ln()
}

/// Where our walks take a score that begins at `start`: down by `drop`, but not below the floor if it begins above; or up
/// likewise, where `drop` is negative.
pub fn goal(drop: f64, floor: f64, start: f64) -> f64 {
    let (goal, ceiling) = (start - drop, 1.0 - floor);
    match drop {
        lower if lower >= 0.0 && start > floor => goal.max(floor),
        higher if higher < 0.0 && start < ceiling => goal.min(ceiling),
        _ => goal,
    }
}

/// The goal of a walk: the score that it takes the scan to, and the change that it may make.
pub(super) struct Goal {
    start: f64,
    pub(super) score: f64,
    /// Towards lower scores and lambdas, -1, or higher ones, 1.
    pub(super) sign: f64,
    max_change: f64,
}

impl Goal {
    pub(super) fn new(rules: &Rules, start: f64) -> Self {
        let score = goal(rules.drop, rules.floor, start);
        let sign = if rules.drop >= 0.0 { -1.0 } else { 1.0 };
        Self { start, score, sign, max_change: rules.max_change }
    }

    /// Whether progress is measured in logits: between two probabilities a saturated sigmoid is a straight line there.
    fn in_logits(&self) -> bool {
        let probability = |score: f64| score > 0.0 && score < 1.0;
        probability(self.start) && probability(self.score)
    }

    fn level(&self, score: f64) -> f64 {
        if !self.in_logits() {
            return score;
        }
        logit(score)
    }

    /// The distance of a score from the score at lambda 0, towards the goal; positive on the way.
    fn progress(&self, score: f64) -> f64 {
        (self.level(score) - self.level(self.start)) * self.sign
    }

    fn wanted(&self) -> f64 {
        self.progress(self.score)
    }

    /// The distance from `score` to the goal, by the slope of the score there.
    pub(super) fn distance(&self, score: f64, slope: f64) -> f64 {
        let p = score.clamp(LEAST, 1.0 - LEAST);
        let pace = if self.in_logits() { slope / (p * (1.0 - p)) } else { slope };
        (self.wanted() - self.progress(score)) / pace
    }

    /// Why a walk ends whose last trial is at the goal: beyond it, or nearly there.
    pub(super) fn reached(&self, walk: &Walk) -> String {
        let end = walk.trials.last().map_or(self.score, |trial| trial.score);
        let nearly = if self.progress(end) < self.wanted() { ", within 2 % of the way" } else { "" };
        format!("the score reached its goal of {:.4}{nearly}", self.score)
    }

    pub(super) fn missed(&self) -> String {
        format!("{MAX_TRIALS} trials came no nearer to {:.4}", self.score)
    }

    /// `best` is the score of the best trial so far.
    fn verdict(&self, trial: &Trial, best: f64) -> Verdict {
        let progress = self.progress(trial.score);
        if !(trial.change <= self.max_change && progress.is_finite()) {
            Verdict::TooFar
        } else if (trial.score - self.score).abs() <= GOAL_TOLERANCE * (self.score - self.start).abs() {
            Verdict::Reached
        } else if progress > self.wanted() {
            Verdict::Past
        } else if progress <= self.progress(best) {
            Verdict::Turned
        } else {
            Verdict::Short
        }
    }
}

/// The nearest trials on either side of the end that is sought; distances are |lambda|.
pub(super) struct Bracket {
    /// The best before `low`: a turn of the score lies between it and the far end.
    before: Trial,
    /// The best allowed trial short of the goal.
    pub(super) low: Trial,
    /// The nearest trial beyond it that is not.
    pub(super) high: Option<(Trial, Verdict)>,
    /// How often the same side has moved, one after the other: a straight line through a curved score moves one side only.
    low_moved: usize,
    high_moved: usize,
}

impl Bracket {
    /// Opens a bracket of which nothing is known but where it begins.
    pub(super) fn open(low: Trial) -> Self {
        Self { before: low, low, high: None, low_moved: 0, high_moved: 0 }
    }

    /// Tries a distance and takes it in, unless it is at the goal.
    pub(super) fn attempt(
        &mut self,
        goal: &Goal,
        distance: f64,
        walk: &mut Walk,
        trial: impl FnOnce(f64, &Walk) -> Result<Trial, Error>,
    ) -> Result<Verdict, Error> {
        let lambda = goal.sign * distance;
        let now = match trial(lambda, walk) {
            // So far out the networks overflow: too far, and no reason to lose what was found nearer.
            Err(Error::NotFinite(_) | Error::NoDirection(_)) => {
                Trial { lambda, score: f64::NAN, change: f64::INFINITY }
            }
            tried => tried?,
        };
        walk.trials.push(now);
        let verdict = goal.verdict(&now, self.low.score);
        if verdict == Verdict::Reached {
            walk.end = lambda;
        } else {
            self.take(now, verdict);
            (walk.end, walk.beyond) = (self.low.lambda, self.high.map(|(trial, _)| trial.lambda));
        }
        Ok(verdict)
    }

    fn take(&mut self, now: Trial, verdict: Verdict) {
        let farther = now.lambda.abs() > self.low.lambda.abs();
        match verdict {
            Verdict::Short if farther => {
                (self.before, self.low) = (self.low, now);
                (self.low_moved, self.high_moved) = (self.low_moved + 1, 0);
                return;
            }
            Verdict::Short => (self.high, self.low) = (Some((self.low, Verdict::Turned)), now),
            Verdict::Turned if !farther => self.before = now,
            Verdict::Past if !farther => (self.high, self.low) = (Some((now, Verdict::Past)), self.before),
            beyond => self.high = Some((now, beyond)),
        }
        (self.low_moved, self.high_moved) = (0, self.high_moved + 1);
    }

    /// The next distance; `None` when the bracket is closed.
    pub(super) fn next(&self, goal: &Goal, max_lambda: f64) -> Option<f64> {
        let near = self.low.lambda.abs();
        let Some((far, why)) = &self.high else {
            // Aim again by the slope of the trials so far.
            let aimed = BEYOND * near * goal.wanted() / goal.progress(self.low.score);
            return (near < max_lambda).then(|| aimed.clamp(1.2 * near, MAX_GROWTH * near).min(max_lambda));
        };
        let end = far.lambda.abs();
        let turned = *why == Verdict::Turned;
        let (from, narrow) = if turned { (self.before.lambda.abs(), NARROW_TURN) } else { (near, NARROW) };
        if end - from <= narrow * end || self.low.change >= NEAR_BOUND * goal.max_change {
            return None;
        }
        Some(if turned { golden(from, near, end) } else { near + (end - near) * self.share(far, *why, goal) })
    }

    /// Where in the bracket the goal is by a straight line, as a share of its width, kept off the ends; where one side alone
    /// keeps moving, at least the middle.
    fn share(&self, far: &Trial, why: Verdict, goal: &Goal) -> f64 {
        let line = |a: f64, b: f64, at: f64| (at - a) / (b - a);
        let share = match why {
            Verdict::Past => line(goal.progress(self.low.score), goal.progress(far.score), goal.wanted()),
            _ => line(self.low.change, far.change, 0.98 * goal.max_change),
        };
        let share = if share.is_finite() { share.clamp(0.1, 0.9) } else { 0.5 };
        match (self.low_moved, self.high_moved) {
            (2.., _) => share.max(0.5),
            (_, 2..) => share.min(0.5),
            _ => share,
        }
    }

    /// Where the walk ends, and why, once nothing is left to try.
    pub(super) fn end(&self, goal: &Goal, max_lambda: f64) -> (f64, String) {
        let (low, wanted) = (&self.low, goal.score);
        match &self.high {
            None => (low.lambda, format!("lambda reached its bound of {max_lambda}")),
            Some((far, Verdict::Past)) => (far.lambda, format!("the score passes {wanted:.4} here")),
            Some((_, Verdict::TooFar)) => {
                let bound = goal.max_change;
                (
                    low.lambda,
                    format!(
                        "a larger step would change the picture by more than the largest change allowed ({bound:.1} in decoded units, summed over all voxels)"
                    ),
                )
            }
            Some(_) => (low.lambda, format!("the score turns here, at {:.4}, short of {wanted:.4}", low.score)),
        }
    }
}

/// Our walk: the first trial is aimed by the slope at lambda 0, then the goal is bracketed and closed in on. Gives why it
/// stopped. The end obeys every rule: the trial that breaks one is a bracket, never the answer.
pub fn aim(
    rules: &Rules,
    ahead: Ahead,
    walk: &mut Walk,
    mut trial: impl FnMut(f64, &Walk) -> Result<Trial, Error>,
) -> Result<String, Error> {
    let start = trial(0.0, walk)?;
    walk.trials.push(start);
    if rules.drop == 0.0 {
        return Ok("no change of the score is wanted".to_owned());
    }
    if !ahead.slope.is_normal() {
        return Err(Error::NoGradient);
    }
    let goal = Goal::new(rules, start.score);
    let mut bracket = Bracket::open(start);
    let mut distance = goal.distance(start.score, ahead.slope).min(ahead.whole).min(rules.max_lambda);
    while walk.trials.len() < MAX_TRIALS {
        if bracket.attempt(&goal, distance, walk, &mut trial)? == Verdict::Reached {
            return Ok(goal.reached(walk));
        }
        let Some(next) = bracket.next(&goal, rules.max_lambda) else {
            let (end, stop) = bracket.end(&goal, rules.max_lambda);
            walk.end = end;
            return Ok(stop);
        };
        distance = next;
    }
    Ok(goal.missed())
}

/// Golden-section search: the next point, in the wider side of a bracket whose inner point is the best.
fn golden(from: f64, best: f64, to: f64) -> f64 {
    const SHARE: f64 = 0.381_966_011_250_105; // 2 minus the golden ratio
    if to - best > best - from { best + SHARE * (to - best) } else { best - SHARE * (best - from) }
}

/// Python's `numpy.linspace(from, to, steps)`: both ends exact.
pub fn linspace(from: f64, to: f64, steps: usize) -> Vec<f64> {
    let step = (to - from) / (steps.max(2) - 1) as f64;
    (0..steps).map(|i| if i > 0 && i + 1 == steps { to } else { from + i as f64 * step }).collect()
}
