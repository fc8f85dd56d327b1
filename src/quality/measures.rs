//! Plain measures of maps and sweeps. Nothing here knows of networks.

use crate::latent_shift::search::GOAL_TOLERANCE;

/// Share of a map's sum whose voxels are counted by `sparsity`.
const MOST: f64 = 0.9;

/// Whether a score that began at `start` came to its goal, or so near that a search stops there.
pub fn reached(start: f64, goal: f64, end: f64) -> bool {
    let way = goal - start;
    (end - start) * way.signum() >= (1.0 - GOAL_TOLERANCE) * way.abs()
}

/// Share of all voxels, the largest ones, that holds 90 % of the map's sum: small where a map says much with little.
pub fn sparsity(map: &[f32]) -> f64 {
    let mut sorted = map.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let all: f64 = sorted.iter().map(|v| f64::from(*v)).sum();
    if all <= 0.0 {
        return 0.0;
    }
    let mut sum = 0.0;
    let enough = sorted.iter().position(|value| {
        sum += f64::from(*value);
        sum >= MOST * all
    });
    enough.map_or(1.0, |last| (last + 1) as f64 / sorted.len() as f64)
}

/// Share of a region's voxels where the map is above a bound; not a number where the region is empty.
pub fn share_above(map: &[f32], bound: f32, region: &[bool]) -> f64 {
    let above = map.iter().zip(region).filter(|(value, is_inside)| **is_inside && **value > bound).count();
    above as f64 / count(region) as f64
}

/// Share of neighbouring steps in which the score rises with lambda, as it does on a path that the score follows.
/// `scores` are by ascending lambda. A path that stands still does not rise.
pub fn monotonicity(scores: &[f64]) -> f64 {
    let pairs = scores.len().saturating_sub(1);
    let rising = scores.windows(2).filter(|pair| pair[1] > pair[0]).count();
    if pairs > 0 { rising as f64 / pairs as f64 } else { 0.0 }
}

/// Mean |a - b| over a region; not a number where the region is empty.
pub fn mean_distance(a: &[f32], b: &[f32], region: &[bool]) -> f64 {
    let pairs = a.iter().zip(b).zip(region).filter(|(_, is_inside)| **is_inside);
    let sum: f64 = pairs.map(|((a, b), _)| f64::from((a - b).abs())).sum();
    sum / count(region) as f64
}

pub fn count(region: &[bool]) -> usize {
    region.iter().filter(|is_inside| **is_inside).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-7
    }

    #[test]
    fn a_score_reaches_its_goal_from_either_side_within_two_percent_of_the_way() {
        assert!(reached(0.9, 0.1, 0.1) && reached(0.9, 0.1, 0.02) && reached(0.9, 0.1, 0.115));
        assert!(!reached(0.9, 0.1, 0.12) && !reached(0.9, 0.1, 0.95));
        assert!(reached(0.2, 0.7, 0.695) && !reached(0.2, 0.7, 0.6) && !reached(0.2, 0.7, 0.1));
    }

    #[test]
    fn sparsity_is_what_a_hand_counts() {
        // 4 + 3 of 10 are less than 90 %, 4 + 3 + 2 are that.
        assert!(near(sparsity(&[1.0, 2.0, 3.0, 4.0]), 0.75));
        assert!(near(sparsity(&[0.0, 9.0, 0.0, 0.0]), 0.25));
        assert_eq!(sparsity(&[0.0; 4]), 0.0);
    }

    #[test]
    fn a_region_bounds_what_is_measured() {
        let (map, region) = ([12.0, 5.0, 30.0, 10.0], [true, true, false, true]);
        assert!(near(share_above(&map, 10.0, &region), 1.0 / 3.0), "10 is not above 10");
        assert!(near(mean_distance(&[1.0, 5.0, 9.0], &[2.0, 0.0, 9.0], &[true, false, true]), 0.5));
        assert!(share_above(&map, 10.0, &[false; 4]).is_nan() && mean_distance(&map, &map, &[false; 4]).is_nan());
    }

    #[test]
    fn a_path_that_the_score_follows_is_monotone_and_one_that_stands_still_is_not() {
        assert_eq!(monotonicity(&[0.1, 0.4, 0.7, 0.9]), 1.0);
        assert!(near(monotonicity(&[0.1, 0.4, 0.3, 0.9]), 2.0 / 3.0));
        assert_eq!(monotonicity(&[0.5, 0.5, 0.5]), 0.0);
        assert_eq!(monotonicity(&[0.5]), 0.0);
    }
}
