//! Where a classifier looks, over many patients: the mean size of change in the common frame, and its three projections with intervals.

use super::bootstrap::{FEWEST, REPLICATES, Weights, interval};
use crate::cohort::aligned::{Aligned, PLACES, SIDE};

/// Places of a projection.
pub(super) const FLAT: usize = SIDE * SIDE;

/// A projection along one axis of the frame: left and right, back and front, or below and above fall together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Seen from the front: along the second axis.
    Coronal,
    /// Seen from the side: along the first.
    Sagittal,
    /// Seen from below: along the third.
    Axial,
}

impl View {
    pub(super) const ALL: [Self; 3] = [Self::Coronal, Self::Sagittal, Self::Axial];

    /// Where a place of the frame falls.
    fn flat(self, at: usize) -> usize {
        let [i, j, k] = [at % SIDE, at / SIDE % SIDE, at / SIDE / SIDE];
        match self {
            Self::Coronal => i + SIDE * k,
            Self::Sagittal => j + SIDE * k,
            Self::Axial => i + SIDE * j,
        }
    }

    /// The mean of the places that fall together, of those that are numbers; not a number where none is.
    pub(super) fn project(self, places: &[f32]) -> Vec<f32> {
        let (mut sums, mut counts) = (vec![0.0_f32; FLAT], vec![0.0_f32; FLAT]);
        for (at, value) in places.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            sums[self.flat(at)] += value;
            counts[self.flat(at)] += 1.0;
        }
        sums.iter().zip(&counts).map(|(sum, count)| sum / count).collect()
    }
}

/// Sums over the cases of a group. What it takes does not grow with them.
pub(super) struct Atlas {
    pub(super) cases: usize,
    /// For the change, its size and the scan, in this order: the sum at each place, HU, and the number of cases in it.
    sums: [Vec<[f64; 2]>; 3],
    /// For each projection of the sizes: sum and count of each replicate, at `replicate + REPLICATES * place`.
    flats: [Vec<[f32; 2]>; 3],
}

impl Default for Atlas {
    fn default() -> Self {
        let flats = || vec![[0.0; 2]; FLAT * REPLICATES];
        Self {
            cases: 0,
            sums: std::array::from_fn(|_| vec![[0.0; 2]; PLACES]),
            flats: std::array::from_fn(|_| flats()),
        }
    }
}

impl Atlas {
    pub(super) fn add(&mut self, case: &Aligned, weights: &Weights) {
        self.cases += 1;
        for (sums, values) in self.sums.iter_mut().zip([&case.change, &case.size, &case.scan]) {
            for ([sum, count], value) in sums.iter_mut().zip(values).filter(|(_, value)| value.is_finite()) {
                *sum += f64::from(*value);
                *count += 1.0;
            }
        }
        for (view, flats) in View::ALL.into_iter().zip(&mut self.flats) {
            for (value, replicates) in view.project(&case.size).iter().zip(flats.as_chunks_mut::<REPLICATES>().0) {
                if value.is_nan() {
                    continue;
                }
                for ([sum, count], weight) in replicates.iter_mut().zip(weights.0) {
                    *sum += f32::from(weight) * value;
                    *count += f32::from(weight);
                }
            }
        }
    }

    /// The mean case.
    pub(super) fn mean(&self) -> Aligned {
        let [change, size, scan] =
            [0, 1, 2].map(|part| self.sums[part].iter().map(|[sum, count]| (sum / count) as f32).collect());
        Aligned { change, size, scan }
    }

    /// Where the mean projection of this group is clearly above or below that of the cases that are in `all` and not here: the difference,
    /// and whether its interval leaves 0 out. Nothing where either has too few cases.
    pub(super) fn beyond_the_rest(&self, all: &Self, view: View) -> Option<Vec<(f32, bool)>> {
        let rest = all.cases.saturating_sub(self.cases);
        if self.cases.min(rest) < FEWEST {
            return None;
        }
        let at = View::ALL.iter().position(|other| *other == view)?;
        let pairs = self.flats[at].as_chunks::<REPLICATES>().0.iter().zip(all.flats[at].as_chunks::<REPLICATES>().0);
        let of = |(ours, all): (&[[f32; 2]; REPLICATES], &[[f32; 2]; REPLICATES])| {
            let differences = ours
                .iter()
                .zip(all)
                .map(|([a, n], [all_a, all_n])| f64::from(a / n) - f64::from((all_a - a) / (all_n - n)));
            let differences: Vec<f64> = differences.collect();
            let known: Vec<f64> = differences.iter().copied().filter(|x| x.is_finite()).collect();
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            let is_clear = interval(differences).is_some_and(|[low, high]| low > 0.0 || high < 0.0);
            (mean as f32, is_clear)
        };
        Some(pairs.map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(value: f32) -> Aligned {
        let mut size = vec![value; PLACES];
        size[0] = f32::NAN;
        Aligned { change: vec![-value; PLACES], size, scan: vec![40.0; PLACES] }
    }

    #[test]
    fn the_mean_passes_over_what_no_scan_reaches() {
        let mut atlas = Atlas::default();
        for (n, value) in [1.0, 3.0, 8.0].into_iter().enumerate() {
            atlas.add(&case(value), &Weights::of(&n.to_string()));
        }
        let mean = atlas.mean();
        assert!(mean.size[0].is_nan() && mean.size[1] == 4.0 && mean.change[0] == -4.0 && mean.scan[5] == 40.0);
        assert_eq!(View::Axial.project(&mean.size)[0], 4.0, "of the places that are known");
    }

    #[test]
    fn a_group_that_differs_somewhere_is_seen_there() {
        let (mut all, mut group) = (Atlas::default(), Atlas::default());
        for n in 0..16 {
            let mut one = case(1.0 + n as f32 % 3.0);
            if n % 2 == 0 {
                // A column of the frame at its left edge, in all heights.
                (0..SIDE).for_each(|k| one.size[5 * SIDE + k * SIDE * SIDE] += 50.0);
            }
            let weights = Weights::of(&format!("case {n}"));
            all.add(&one, &weights);
            if n % 2 == 0 {
                group.add(&one, &weights);
            }
        }
        let axial = group.beyond_the_rest(&all, View::Axial).unwrap();
        assert!(axial[5 * SIDE].1 && axial[5 * SIDE].0 > 40.0, "{:?}", axial[5 * SIDE]);
        let elsewhere = axial.iter().filter(|(_, is_clear)| *is_clear).count();
        assert!(elsewhere < FLAT / 2, "{elsewhere}");
        assert!(Atlas::default().beyond_the_rest(&all, View::Axial).is_none());
    }
}
