//! Whether a classifier sees a finding: its score against the dial, and how well the score tells scans with it from scans without.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Score;
use crate::audit::summary::estimate::{self, Interval, LEAST_CASES, RESAMPLES, SEED, quantile};
use crate::random::Stream;

/// What an interval leaves out at either end, as a share.
const LEFT_OUT: f64 = 0.025;

/// What the classifier says of one finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detection {
    /// The classifier's own name for it.
    pub label: String,
    /// By ascending dial, the scans as they are first; of masks, the scans without and those with it.
    pub dials: Vec<AtDial>,
}

/// At one dial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtDial {
    /// Null of masks.
    pub dial: Option<f32>,
    /// Whether the finding is there.
    pub present: bool,
    pub scans: usize,
    pub scores: usize,
    /// Of the scans' own means.
    pub mean_score: f64,
    pub mean_score_interval: Interval,
    /// How often a score with the finding is above one without, ties half; null where there are none with it or none without. Where the
    /// finding was drawn, those without it are of the same scans: one in which it has no place at this dial is on neither side.
    pub auroc: Option<f64>,
    pub auroc_interval: Interval,
    /// Share of the scores that are above the same scan's without the finding; null of masks.
    pub raised: Option<f64>,
    pub mean_strength_hu: Option<f64>,
    pub mean_volume_ml: Option<f64>,
}

/// Scores of scans with the finding and without it, by scan.
type ByScan<'a> = BTreeMap<&'a str, Vec<f64>>;

impl Detection {
    /// Of the scores of one finding.
    pub fn of(finding: &str, label: String, scores: &[Score]) -> Self {
        let mine: Vec<&Score> = scores.iter().filter(|score| score.finding == finding).collect();
        let mut kinds: Vec<(Option<f32>, bool)> = mine.iter().map(|score| (score.dial, score.present)).collect();
        kinds.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.unwrap_or(0.0).total_cmp(&b.0.unwrap_or(0.0))));
        kinds.dedup();
        let without = by_scan(&mine, |score| !score.present);
        let dials = kinds.into_iter().map(|kind| AtDial::of(kind, &mine, &without)).collect();
        Self { label, dials }
    }
}

impl AtDial {
    fn of((dial, present): (Option<f32>, bool), all: &[&Score], without: &ByScan) -> Self {
        let here: Vec<&Score> =
            all.iter().copied().filter(|score| score.dial == dial && score.present == present).collect();
        let scores = by_scan(&here, |_| true);
        let means: Vec<f64> = scores.values().map(|scores| estimate::mean(scores)).collect();
        let is_compared = |scan: &&str| dial.is_none() || scores.contains_key(scan);
        let compared =
            without.iter().filter(|(scan, _)| is_compared(scan)).map(|(scan, scores)| (*scan, scores.clone()));
        let (auroc, auroc_interval) = if present { told_apart(&scores, &compared.collect()) } else { (None, None) };
        let raised: Vec<f64> = here
            .iter()
            .filter(|score| score.present && score.dial.is_some())
            .filter_map(|score| Some((score.score, without.get(score.scan.as_str())?.first()?)))
            .map(|(with, without)| f64::from(u8::from(with > *without)))
            .collect();
        let known = |of: &dyn Fn(&Score) -> Option<f64>| {
            let values: Vec<f64> = here.iter().filter_map(|score| of(score)).collect();
            (!values.is_empty()).then(|| estimate::mean(&values))
        };
        Self {
            dial,
            present,
            scans: scores.len(),
            scores: here.len(),
            mean_score: estimate::mean(&means),
            mean_score_interval: estimate::interval(&means),
            auroc,
            auroc_interval,
            raised: (!raised.is_empty()).then(|| estimate::mean(&raised)),
            mean_strength_hu: known(&|score| score.strength_hu),
            mean_volume_ml: known(&|score| score.volume_ml),
        }
    }
}

fn by_scan<'a>(scores: &[&'a Score], is_wanted: impl Fn(&Score) -> bool) -> ByScan<'a> {
    let mut by_scan = ByScan::new();
    for score in scores.iter().filter(|score| is_wanted(score)) {
        by_scan.entry(score.scan.as_str()).or_default().push(score.score);
    }
    by_scan
}

/// The area under the curve, and where 95 % of it lie when the scans are drawn anew: a scan is drawn with all its scores.
fn told_apart(with: &ByScan, without: &ByScan) -> (Option<f64>, Interval) {
    let flat = |by: &ByScan| by.values().flatten().copied().collect::<Vec<f64>>();
    let area = auroc(&flat(with), &flat(without));
    if area.is_none() || with.len() < LEAST_CASES || without.len() < LEAST_CASES {
        return (area, None);
    }
    let mut scans: Vec<&str> = with.keys().chain(without.keys()).copied().collect();
    scans.sort_unstable();
    scans.dedup();
    let mut stream = Stream::new(SEED, "audit bootstrap of areas");
    let mut areas: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let (mut drawn_with, mut drawn_without) = (Vec::new(), Vec::new());
            for _ in 0..scans.len() {
                let scan = scans[stream.below(scans.len())];
                drawn_with.extend(with.get(scan).into_iter().flatten());
                drawn_without.extend(without.get(scan).into_iter().flatten());
            }
            auroc(&drawn_with, &drawn_without)
        })
        .collect();
    areas.sort_unstable_by(f64::total_cmp);
    let interval = (areas.len() >= LEAST_CASES).then(|| [quantile(&areas, LEFT_OUT), quantile(&areas, 1.0 - LEFT_OUT)]);
    (area, interval)
}

/// The area under the receiver operating characteristic: how often a score with the finding is above one without, ties half (Hanley and
/// McNeil 1982). Nothing where one kind is missing.
pub fn auroc(with: &[f64], without: &[f64]) -> Option<f64> {
    if with.is_empty() || without.is_empty() {
        return None;
    }
    let mut sorted = without.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let above = |score: &f64| {
        let below = sorted.partition_point(|other| other < score);
        let not_above = sorted.partition_point(|other| other <= score);
        f64::midpoint(below as f64, not_above as f64)
    };
    Some(with.iter().map(above).sum::<f64>() / (with.len() * without.len()) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(scan: &str, dial: f32, score: f64) -> Score {
        let (scan, finding) = (scan.to_owned(), "nodule".to_owned());
        let dial = Some(dial);
        Score { scan, finding, seed: None, dial, present: dial > Some(0.0), score, strength_hu: None, volume_ml: None }
    }

    #[test]
    fn a_scan_without_room_at_a_dial_is_held_against_none_there() {
        // The second scan scores high as it is, and has no room for a large nodule.
        let scores = [
            score("a", 0.0, 0.1),
            score("a", 0.2, 0.3),
            score("a", 1.0, 0.5),
            score("b", 0.0, 0.6),
            score("b", 0.2, 0.7),
        ];
        let dials = Detection::of("nodule", "Nodule".to_owned(), &scores).dials;
        let area = |dial: f32| dials.iter().find(|at| at.dial == Some(dial)).and_then(|at| at.auroc);
        assert_eq!((area(0.2), area(1.0)), (Some(0.75), Some(1.0)));
    }
}
