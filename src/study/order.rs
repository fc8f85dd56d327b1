//! The order in which a reader sees the cases.

use crate::random::Stream;

/// A random order of `count` cases, the same for a seed on every machine.
/// Source: Durstenfeld 1964, "Algorithm 235: random permutation", on `SplitMix64`.
pub fn order(count: usize, seed: u64) -> Vec<usize> {
    let mut stream = Stream::new(seed, "reader study");
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, stream.below(last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_every_case_once_and_seeds_differ() {
        for count in [0, 1, 2, 7, 100] {
            let mut all = order(count, 5);
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
        assert_ne!(order(20, 1), order(20, 2));
    }

    #[test]
    fn every_case_comes_first_about_as_often() {
        const SEEDS: u64 = 6000;
        let mut firsts = [0_u64; 6];
        for seed in 0..SEEDS {
            firsts[order(6, seed)[0]] += 1;
        }
        // Five standard deviations of a binomial count of 6000 in 6: 5 * sqrt(6000 * 1/6 * 5/6) = 144.
        assert!(firsts.iter().all(|count| count.abs_diff(SEEDS / 6) < 144), "{firsts:?}");
    }
}
