//! The scores along lambda, as numbers that stand on one axis.

use super::scale::Scale;
use crate::job::CurvePoint;
use crate::latent_shift::ScoreKind;
use crate::session::explained::Explained;

/// A curve to be drawn. All its values are told by one scale, as logits where that is chosen.
pub struct Curve {
    pub scale: Scale,
    /// The ends of the axis of values: those of the scale, farther only where a value lies beyond them.
    pub axis: [f64; 2],
    /// `[lambda, value]` by ascending lambda.
    pub points: Vec<[f64; 2]>,
    /// Other outputs of the classifier by name, with a value for each point.
    pub beside: Vec<(String, Vec<f64>)>,
    /// What stands at lambda 0, and where the search was to go; `None` while a run goes on.
    pub marks: Option<Marks>,
    /// The curve of B, where two results are compared.
    pub second: Option<Second>,
}

/// The curve of a result beside another's: it stands where the other is as far on its way.
pub struct Second {
    /// `[lambda of the other result, value]` by ascending lambda.
    pub points: Vec<[f64; 2]>,
    pub marks: Marks,
}

/// Values that are marked on a curve.
pub struct Marks {
    /// The value of the scan itself, which no step shows.
    pub scan: f64,
    pub reconstruction: f64,
    pub goal: Option<f64>,
}

impl Curve {
    /// The curve of a result, and those of other outputs.
    pub fn of(run: &Explained, logits: bool, beside: &[String]) -> Self {
        let scale = run.scale(logits);
        let beside = beside.iter().filter_map(|name| Some((name.clone(), output(run, scale, name)?))).collect();
        Self { beside, ..Self::on(run, scale) }.with_room()
    }

    /// The curves of two results that are compared, A and B, on one axis.
    pub fn of_pair(a: &Explained, b: &Explained, logits: bool) -> Self {
        let [ours, theirs] = [a, b].map(|run| run.scale(logits));
        let same = std::mem::discriminant(&ours) == std::mem::discriminant(&theirs);
        // Of different kinds each is told as it is.
        let scale = if same { ours } else { Scale::Plain([0.0, 1.0]) };
        let end = |run: &Explained| run.result().steps[run.result().chosen].lambda;
        let factor = if end(b) == 0.0 { 0.0 } else { end(a) / end(b) };
        let curve = Self::on(a, scale);
        let [first, last] = curve.lambdas().unwrap_or_default();
        let of_b = Self::on(b, scale);
        let beside_a = of_b.points.iter().map(|[lambda, value]| [lambda * factor, *value]);
        let mut points: Vec<_> = beside_a.filter(|[lambda, _]| (first..=last).contains(lambda)).collect();
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let second = of_b.marks.map(|marks| Second { points, marks });
        Self { second, ..curve }.with_room()
    }

    /// The curve of a result alone, told by a scale.
    fn on(run: &Explained, scale: Scale) -> Self {
        let scores = run.result().scores;
        let points = run.result().steps.iter().map(|step| [step.lambda, scale.of(step.score)]).collect();
        let marks = Marks {
            scan: scale.of(scores.scan),
            reconstruction: scale.of(scores.reconstruction),
            goal: run.report.quality.goal.map(|goal| scale.of(goal)),
        };
        Self { scale, axis: scale.axis(), points, beside: Vec::new(), marks: Some(marks), second: None }
    }

    /// The trials of a run that goes on, in any order.
    pub fn of_trials(trials: &[CurvePoint], kind: ScoreKind, logits: bool) -> Self {
        let scale = Scale::new(kind, logits, [0.0, 1.0, 0.0]);
        let mut points: Vec<_> = trials.iter().map(|trial| [trial.lambda, scale.of(trial.score)]).collect();
        points.sort_by(|a, b| a[0].total_cmp(&b[0]));
        Self { scale, axis: scale.axis(), points, beside: Vec::new(), marks: None, second: None }.with_room()
    }

    /// Makes the axis as long as the values need.
    fn with_room(mut self) -> Self {
        let second = self.second.iter();
        let marks = self.marks.iter().chain(second.clone().map(|second| &second.marks));
        let marks = marks.flat_map(|marks| [Some(marks.scan), Some(marks.reconstruction), marks.goal]);
        let beside = self.beside.iter().flat_map(|(_, values)| values.iter().copied());
        let points = self.points.iter().chain(second.flat_map(|second| &second.points));
        let values = points.map(|[_, value]| *value).chain(marks.flatten()).chain(beside);
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((self.axis[0], self.axis[1]), |(low, high), value| (low.min(value), high.max(value)));
        self.axis = [low, high];
        self
    }

    /// The first and the last lambda; `None` without points.
    pub fn lambdas(&self) -> Option<[f64; 2]> {
        Some([self.points.first()?[0], self.points.last()?[0]])
    }

    /// Where a value stands on the axis, `0..=1` from its lower end.
    pub fn share(&self, value: f64) -> f32 {
        let [low, high] = self.axis;
        ((value - low) / (high - low)).clamp(0.0, 1.0) as f32
    }
}

/// The values of an output at every step; `None` where the classifier has no output of that name.
fn output(run: &Explained, scale: Scale, name: &str) -> Option<Vec<f64>> {
    let label = run.asked().labels.iter().position(|label| label == name)?;
    let value = |logits: &[f32]| match scale {
        Scale::Logit => logits.get(label).map(|logit| f64::from(*logit)),
        Scale::Probability | Scale::Plain(_) => run.asked().activation.of_numbers(logits).get(label).copied(),
    };
    run.result().steps.iter().map(|step| value(&step.logits)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(points: &[(f64, f64)]) -> Vec<CurvePoint> {
        points.iter().map(|&(lambda, score)| CurvePoint { lambda, score }).collect()
    }

    #[test]
    fn the_axis_of_probabilities_stands_at_0_and_1_whatever_they_are() {
        let curve = Curve::of_trials(&trials(&[(0.0, 0.42), (-3.0, 0.41)]), ScoreKind::Probability, false);
        assert_eq!(curve.axis, [0.0, 1.0]);
        assert_eq!(curve.lambdas(), Some([-3.0, 0.0]));
        assert!((curve.share(0.42) - 0.42).abs() < 1e-6);
    }

    #[test]
    fn the_axis_of_logits_is_longer_only_where_a_score_needs_it() {
        let of = |score| Curve::of_trials(&trials(&[(0.0, score)]), ScoreKind::Probability, true).axis;
        assert_eq!(of(0.5), [-8.0, 8.0]);
        let [low, high] = of(1e-6);
        assert!(low < -13.0 && high == 8.0, "{low}");
    }

    #[test]
    fn a_curve_without_points_has_no_ends() {
        assert_eq!(Curve::of_trials(&[], ScoreKind::Number, false).lambdas(), None);
    }
}
