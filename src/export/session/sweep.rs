//! In which order the steps of a sweep are told, and by which others: from lambda 0 outwards, each by the two within it.

use super::packed::Near;

/// The steps by their places, those nearest to lambda 0 first; no lambda is NaN.
pub(super) fn outwards(lambdas: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lambdas.len()).collect();
    // Of one lambda twice, the inner one first.
    let place = |at: usize| if lambdas[at] < 0.0 { lambdas.len() - at } else { at };
    order.sort_by(|&a, &b| lambdas[a].abs().total_cmp(&lambdas[b].abs()).then(place(a).cmp(&place(b))));
    order
}

/// The step beside one, towards lambda 0 and not beyond it.
fn inwards(at: usize, lambdas: &[f64]) -> Option<usize> {
    let lambda = lambdas[at];
    if lambda < 0.0 {
        Some(at + 1).filter(|beside| lambdas.get(*beside).is_some_and(|inner| *inner <= 0.0))
    } else if lambda > 0.0 {
        at.checked_sub(1).filter(|beside| lambdas[*beside] >= 0.0)
    } else {
        None
    }
}

/// What a step is told by: the two steps within it on its side, or `zero`, the slab at lambda 0, where there are none. `None` where
/// `steps` does not know one of them.
pub(super) fn near<'a>(
    at: usize,
    lambdas: &[f64],
    zero: &'a [f32],
    steps: impl Fn(usize) -> Option<&'a [f32]>,
) -> Option<Near<'a>> {
    let Some(first) = inwards(at, lambdas) else { return Some(Near::One(zero)) };
    let second = inwards(first, lambdas).map_or(Some(zero), &steps);
    Some(Near::Beyond(steps(first)?, second?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_comes_behind_those_that_it_is_told_by() {
        for lambdas in [
            &[-3.0, -2.0, -1.0, 0.0][..],
            &[0.0, 1.0, 2.0],
            &[-2.0, -1.0, 0.0, 1.0, 2.0],
            &[-2.0, -2.0, -0.0, 0.0, 5.0, 5.0, 5.0],
            &[-1.0],
            &[4.0, 5.0],
        ] {
            let mut known = vec![false; lambdas.len()];
            for at in outwards(lambdas) {
                for within in [inwards(at, lambdas), inwards(at, lambdas).and_then(|at| inwards(at, lambdas))] {
                    assert!(within.is_none_or(|within| known[within]), "{at} of {lambdas:?}");
                }
                known[at] = true;
            }
            assert!(known.iter().all(|known| *known), "{lambdas:?}");
        }
    }
}
