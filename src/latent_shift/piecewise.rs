//! Walks a path of straight pieces: the gradient is recomputed at each node, a few times in all. This module knows nothing of
//! tensors.
//!
//! One gradient at lambda 0 is a poor guide far away: the published method follows it all the same. On phantoms whose truth
//! is known, three to five gradients change more of the finding and less beside it. Each segment is as long as the slope at
//! its node says, in logits as the aimed walk has it; the last is bracketed and closed in on by the aimed walk's own rules.

use super::search::{Ahead, BEYOND, Bracket, Goal, MAX_TRIALS, Rules, Verdict, Walk};
use super::{Error, Trial};

/// Segments that the path to the end is cut into, by its predicted length.
const SEGMENTS: f64 = 4.0;
/// The last segment may be longer by so much, rather than leave a stub.
const STUB: f64 = 1.5;
/// A segment grows no more than so much over the one before: a flat place predicts an end far away.
const GROWTH: f64 = 2.0;
/// Past so many gradients the path goes straight on.
const MAX_GRADIENTS: usize = 12;

/// Which way a path turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uphill {
    /// The path goes as a finding changes: from slice to slice alike, and in the tokens that matter most.
    Coherent,
    /// The path goes along the gradient itself, for a score that turned on the coherent direction.
    Steepest,
}

/// A first-order oracle of the path: it gives scores, and the gradient at an end. Lambda is the signed length of the path.
pub trait Oracle {
    /// Scores the path at `lambda`.
    fn trial(&mut self, lambda: f64, walk: &Walk) -> Result<Trial, Error>;
    /// Cuts the path at `lambda`, the end of the walk so far, and points it anew, by the gradient there.
    fn turn(&mut self, lambda: f64, uphill: Uphill) -> Result<Ahead, Error>;
}

/// Walks with the gradient recomputed, and gives why it stopped. The end obeys every rule, as the aimed walk's does.
pub fn path(rules: &Rules, walk: &mut Walk, oracle: &mut impl Oracle) -> Result<String, Error> {
    let start = oracle.trial(0.0, walk)?;
    walk.trials.push(start);
    if rules.drop == 0.0 {
        return Ok("no change of the score is wanted".to_owned());
    }
    let goal = Goal::new(rules, start.score);
    let (mut node, mut longest, mut uphill) = (start, f64::INFINITY, Uphill::Coherent);
    for gradients in 1..=MAX_GRADIENTS {
        let ahead = match oracle.turn(node.lambda, uphill) {
            Ok(ahead) if !ahead.slope.is_normal() => Err(Error::NoGradient),
            turned => turned,
        };
        let ahead = match ahead {
            // No reason to lose what was found before.
            Err(Error::NoGradient | Error::NotFinite(_) | Error::NoDirection(_)) if gradients > 1 => {
                let (score, wanted) = (node.score, goal.score);
                return Ok(format!("the score has no slope to follow here, at {score:.4}, short of {wanted:.4}"));
            }
            ahead => ahead?,
        };
        let left = goal.distance(node.score, ahead.slope).min(ahead.whole);
        longest = ((node.lambda.abs() + left) / SEGMENTS).min(GROWTH * longest);
        let mut segment = Segment { node, longest, last: gradients == MAX_GRADIENTS, bracket: Bracket::open(node) };
        if let Some(stop) = segment.walk(rules, &goal, BEYOND * left, walk, oracle)? {
            return Ok(stop);
        }
        (node, longest) = (segment.bracket.low, segment.longest);
        if matches!(segment.bracket.high, Some((_, Verdict::Turned))) {
            uphill = Uphill::Steepest;
        }
    }
    Ok(goal.missed())
}

/// One straight piece of the path, from a node on.
struct Segment {
    node: Trial,
    longest: f64,
    /// Whether no gradient may follow.
    last: bool,
    bracket: Bracket,
}

impl Segment {
    /// Walks towards an end that is thought `ahead`. Gives why the whole walk stops, or nothing where the path shall turn.
    fn walk(
        &mut self,
        rules: &Rules,
        goal: &Goal,
        ahead: f64,
        walk: &mut Walk,
        oracle: &mut impl Oracle,
    ) -> Result<Option<String>, Error> {
        let from = self.node.lambda.abs();
        let mut distance = self.cut(from + ahead).min(rules.max_lambda);
        while walk.trials.len() < MAX_TRIALS {
            let verdict = self.bracket.attempt(goal, distance, walk, |lambda, walk| oracle.trial(lambda, walk))?;
            if verdict == Verdict::Reached {
                return Ok(Some(goal.reached(walk)));
            }
            let Some(next) = self.bracket.next(goal, rules.max_lambda) else {
                let (end, stop) = self.bracket.end(goal, rules.max_lambda);
                walk.end = end;
                return Ok(Some(stop));
            };
            // The end is nearer than it seemed, or the score turns: segments get shorter.
            let beyond = self.bracket.high.map(|(_, why)| why);
            match beyond {
                Some(Verdict::Turned) => self.longest = self.longest.min(next - from),
                Some(_) => self.longest = self.longest.min(next / SEGMENTS),
                None => {}
            }
            let ends_here = matches!(beyond, Some(Verdict::Past | Verdict::TooFar)) && self.cut(next) == next;
            if verdict == Verdict::Short && !self.last && !ends_here {
                return Ok(None);
            }
            distance = self.cut(next);
        }
        Ok(Some(goal.missed()))
    }

    /// Limits a distance to where this segment ends.
    fn cut(&self, distance: f64) -> f64 {
        let from = self.node.lambda.abs();
        if self.last || distance - from <= STUB * self.longest { distance } else { from + self.longest }
    }
}
