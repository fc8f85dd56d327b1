//! Which cases stand apart from all others, and by which number.

use super::table::Cell;

/// Beyond so many robust deviations a case stands apart (Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers").
pub(super) const FAR: f64 = 3.5;
/// What a median absolute deviation is of the standard deviation of a normal law.
const NORMAL: f64 = 0.6745;
/// The mean absolute deviation of a normal distribution, in standard deviations. It serves where more than half of all numbers are the same.
const NORMAL_MEAN: f64 = 0.7979;

/// The columns by which cases are held against each other.
pub(super) const MEASURES: [&str; 8] = [
    "score_scan",
    "reconstruction_gap",
    "score_change",
    "mean_change_hu",
    "largest_change_hu",
    "changed_body_share",
    "change_around",
    "latents_moved",
];

/// How far out a case is, and by which of the measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Far {
    pub(super) deviations: f64,
    pub(super) measure: usize,
}

/// Finds the number of each row that stands out most, where any is known; `columns` has the cells of each measure.
pub(super) fn far(columns: &[Vec<Cell>]) -> Vec<Option<Far>> {
    let rows = columns.first().map_or(0, Vec::len);
    let mut found: Vec<Option<Far>> = vec![None; rows];
    for (measure, cells) in columns.iter().enumerate() {
        let number = |cell: &Cell| if let Cell::Number(number) = cell { Some(*number) } else { None };
        let numbers: Vec<Option<f64>> = cells.iter().map(|cell| number(cell).filter(|x| x.is_finite())).collect();
        for (found, deviations) in found.iter_mut().zip(deviations(&numbers)) {
            let Some(deviations) = deviations else { continue };
            if found.is_none_or(|far| deviations > far.deviations) {
                *found = Some(Far { deviations, measure });
            }
        }
    }
    found
}

/// How many robust deviations each number is from the median.
fn deviations(numbers: &[Option<f64>]) -> Vec<Option<f64>> {
    let known: Vec<f64> = numbers.iter().flatten().copied().collect();
    let middle = median(known.clone());
    let away: Vec<f64> = known.iter().map(|number| (number - middle).abs()).collect();
    let mean = away.iter().sum::<f64>() / away.len().max(1) as f64;
    let spread = median(away);
    let unit = if spread > 0.0 { spread / NORMAL } else { mean / NORMAL_MEAN };
    let far = |number: f64| if unit > 0.0 { (number - middle).abs() / unit } else { 0.0 };
    numbers.iter().map(|number| number.map(far)).collect()
}

/// The middle of some numbers; 0 of none.
pub(super) fn median(numbers: Vec<f64>) -> f64 {
    quantile(numbers, 0.5)
}

/// The number below which this share of all lies, between the two nearest; 0 of none.
pub(super) fn quantile(mut numbers: Vec<f64>, share: f64) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    let at = numbers.len().saturating_sub(1) as f64 * share;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    match (numbers.get(low), numbers.get(high)) {
        (Some(a), Some(b)) => a + (b - a) * (at - low as f64),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_apart_is_found_by_hand_reckoned_deviations() {
        // Median 3, deviations 2 1 0 1 97, their median 1.
        let numbers: Vec<Cell> = [1.0, 2.0, 3.0, 4.0, 100.0].map(Cell::Number).into();
        let same: Vec<Cell> = vec![Cell::Number(7.0); 5];
        let found = far(&[same, numbers]);
        let last = found[4].unwrap();
        assert!((last.deviations - 97.0 * 0.6745).abs() < 1e-9 && last.measure == 1);
        assert!((found[0].unwrap().deviations - 2.0 * 0.6745).abs() < 1e-9);
        assert_eq!(far(&[vec![Cell::Nothing, Cell::Number(f64::NAN)]]), [None, None]);
        assert_eq!(quantile(vec![4.0, 0.0], 0.25), 1.0);
    }
}
