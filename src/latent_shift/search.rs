//! Walks lambda until a stop rule holds. Knows nothing of tensors.

use super::{Error, Trial};

/// The rules a walk obeys. Scores fall towards negative lambda: the gradient points uphill.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Wanted change of the score; positive lowers it, negative raises it (the aimed walk only).
    pub drop: f64,
    /// A score below this is low enough. Raising has the mirror, `1 - floor`.
    pub floor: f64,
    /// Bound on |lambda|; the reference calls it `search_max_steps` though it counts no steps.
    pub max_lambda: f64,
    /// First step of the reference's walk.
    pub step_size: f64,
    /// Largest sum |change|, absolute.
    pub max_change: f64,
}

/// The published walk: `captum` fork, `LatentShift.attribute`, left bound only.
/// The trial that breaks a rule is kept as the end; there is no way back. `trials` always begins at lambda 0.
///
/// Scores are compared as f32, as the reference does: an uptick smaller than f32 can tell is none.
pub fn reference(
    rules: &Rules,
    trials: &mut Vec<Trial>,
    mut trial: impl FnMut(f64) -> Result<Trial, Error>,
) -> Result<(f64, String), Error> {
    let mut bound = 0.0_f64;
    let mut last = f32::INFINITY;
    let mut initial = None;
    loop {
        let now = trial(bound)?;
        trials.push(now);
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
            return Ok((bound, stop));
        }
        last = score;
        // Python's `//` floors: -10 // 10 is -1, -21 // 10 is -3. Ten percent growth and a step.
        bound = bound - rules.step_size + (bound / 10.0).floor();
    }
}

/// A score counts as on the mark within this share of the wanted change.
const ON_THE_MARK: f64 = 0.02;
/// A bracket narrower than this share of its end is closed; about a turn, where the score is flat, wider ones are.
const NARROW: f64 = 0.02;
const NARROW_TURN: f64 = 0.1;
/// The change counts as at its bound from this share of it.
const NEAR_BOUND: f64 = 0.95;
/// More trials than any smooth score needs (about 10); a rough one ends here, and says so.
const MAX_TRIALS: usize = 32;
/// No single step of the expansion grows lambda by more than this.
const MAX_GROWTH: f64 = 4.0;

/// What a trial means for the walk.
#[derive(PartialEq)]
enum Verdict {
    /// Allowed, better than what came before, and not there yet.
    Short,
    /// Allowed, and on the mark.
    Reached,
    /// Beyond the mark.
    Past,
    /// The change, or lambda, is above its bound.
    TooFar,
    /// The score is no better than the best.
    Turned,
}

impl Verdict {
    fn narrow(&self) -> f64 {
        if *self == Self::Turned { NARROW_TURN } else { NARROW }
    }
}

/// Our walk: the first trial is aimed by the slope `|g|^2` = d score / d lambda at 0, then the mark is bracketed and bisected.
/// The end obeys every rule: the trial that breaks one is a bracket, never the answer.
pub fn aim(
    rules: &Rules,
    slope: f64,
    trials: &mut Vec<Trial>,
    mut trial: impl FnMut(f64) -> Result<Trial, Error>,
) -> Result<(f64, String), Error> {
    let start = trial(0.0)?;
    trials.push(start);
    let lowering = rules.drop >= 0.0;
    let goal = if lowering {
        (start.score - rules.drop).max(rules.floor)
    } else {
        (start.score - rules.drop).min(1.0 - rules.floor)
    };
    let sign = if lowering { -1.0 } else { 1.0 };
    // Everything below is in distance along the wanted direction, and in progress towards the goal.
    let wanted = (goal - start.score) * sign;
    if wanted <= 0.0 {
        return Ok((0.0, format!("the score {:.4} is already past {goal:.4}", start.score)));
    }
    if !slope.is_normal() {
        return Err(Error::NoGradient);
    }
    let progress = |t: &Trial| (t.score - start.score) * sign;
    let verdict = |t: &Trial, best: f64| {
        if t.change > rules.max_change {
            Verdict::TooFar
        } else if (progress(t) - wanted).abs() <= ON_THE_MARK * wanted {
            Verdict::Reached
        } else if progress(t) > wanted {
            Verdict::Past
        } else if progress(t) <= best {
            Verdict::Turned
        } else {
            Verdict::Short
        }
    };
    let mut before = start; // the best before `low`: a turn of the score lies between it and the bracket's end
    let mut low = start; // the best allowed trial short of the mark
    let mut high: Option<(Trial, Verdict)> = None; // the nearest trial beyond it that is not
    let mut distance = (wanted / slope).min(rules.max_lambda);
    while trials.len() < MAX_TRIALS {
        let now = trial(sign * distance)?;
        trials.push(now);
        let farther = now.lambda.abs() > low.lambda.abs();
        match verdict(&now, progress(&low)) {
            Verdict::Reached => return Ok((now.lambda, format!("the score reached its mark of {goal:.4}"))),
            Verdict::Short if farther => (before, low) = (low, now),
            Verdict::Short => (high, low) = (Some((low, Verdict::Turned)), now),
            Verdict::Turned if !farther => before = now,
            Verdict::Past if !farther => (high, low) = (Some((now, Verdict::Past)), before),
            beyond => high = Some((now, beyond)),
        }
        let near = low.lambda.abs();
        distance = match &high {
            None if near >= rules.max_lambda => {
                return Ok((low.lambda, format!("lambda reached its bound of {}", rules.max_lambda)));
            }
            // Aim again by the slope of what has been seen, a little beyond, so that the mark is bracketed.
            None => (1.1 * near * wanted / progress(&low)).clamp(1.2 * near, MAX_GROWTH * near).min(rules.max_lambda),
            Some((far, why)) => {
                let end = far.lambda.abs();
                let width = if *why == Verdict::Turned { end - before.lambda.abs() } else { end - near };
                if width <= why.narrow() * end || low.change >= NEAR_BOUND * rules.max_change {
                    return Ok(closed(&low, far, why, goal, rules));
                }
                match why {
                    Verdict::Turned => golden(before.lambda.abs(), near, end),
                    _ => near + width * secant(&low, far, why, wanted, rules.max_change, progress),
                }
            }
        };
    }
    Ok((low.lambda, format!("{MAX_TRIALS} trials came no nearer to {goal:.4}")))
}

/// Golden-section search: the next point, in the wider side of a bracket whose inner point is the best.
fn golden(from: f64, best: f64, to: f64) -> f64 {
    const SHARE: f64 = 0.381_966_011_250_105; // 2 minus the golden ratio
    if to - best > best - from { best + SHARE * (to - best) } else { best - SHARE * (best - from) }
}

/// Where in the bracket the mark is by a straight line, as a share of its width, kept off the ends.
fn secant(
    low: &Trial,
    far: &Trial,
    why: &Verdict,
    wanted: f64,
    max_change: f64,
    progress: impl Fn(&Trial) -> f64,
) -> f64 {
    let line = |a: f64, b: f64, mark: f64| ((mark - a) / (b - a)).clamp(0.1, 0.9);
    match why {
        Verdict::Past => line(progress(low), progress(far), wanted),
        _ => line(low.change, far.change, 0.98 * max_change),
    }
}

/// The end of a closed bracket.
fn closed(low: &Trial, far: &Trial, why: &Verdict, goal: f64, rules: &Rules) -> (f64, String) {
    match why {
        Verdict::Past => (far.lambda, format!("the score passes {goal:.4} here")),
        Verdict::TooFar => {
            (low.lambda, format!("a larger step changes the image by more than its bound of {:.1}", rules.max_change))
        }
        _ => (low.lambda, format!("the score turns here, at {:.4}, short of {goal:.4}", low.score)),
    }
}

/// Python's `numpy.linspace(from, to, steps)`: both ends exact.
pub fn linspace(from: f64, to: f64, steps: usize) -> Vec<f64> {
    let step = (to - from) / (steps.max(2) - 1) as f64;
    (0..steps).map(|i| if i > 0 && i + 1 == steps { to } else { from + i as f64 * step }).collect()
}
