//! Whether counterfactuals are like scans: the Frechet distance of two sets in the classifier's own features (Heusel et al. 2017, arXiv
//! 1706.08500, with another network's features). No network from outside is needed.
//!
//! d^2 = |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^1/2), of means m and covariances S. Few cases bias it upwards, so that numbers of one audit
//! are held against each other alone, of as many cases each.

use serde::Serialize;

use super::case::{Case, Features};

/// A distance takes at least so many cases.
pub const LEAST_CASES: usize = 10;
/// A turn of two columns is small enough from here on, as a share of their lengths.
const SMALL: f64 = 1e-14;
/// Far more sweeps over all pairs of columns than any matrix needs.
const MOST_SWEEPS: usize = 60;

/// Squared Frechet distances between the images of some cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Realism {
    pub cases: usize,
    /// How many features there are.
    pub features: usize,
    /// How far counterfactuals are from what the autoencoder makes of the same scans.
    pub counterfactual_to_reconstruction: Option<f64>,
    /// How far counterfactuals are from the same scans without the finding, where they are known.
    pub counterfactual_to_truth: Option<f64>,
    /// How far the unchanged scans are from what the autoencoder makes of them: a scale for the first number.
    pub scan_to_reconstruction: Option<f64>,
    /// How far the unchanged scans are from those without the finding: a scale for the second number.
    pub scan_to_truth: Option<f64>,
    /// Why there are no distances, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

impl Realism {
    /// Of cases of one finding. `without_features` says why the classifier has none.
    pub fn of(cases: &[&Case], without_features: Option<&str>) -> Self {
        let features: Vec<&Features> = cases.iter().filter_map(|case| case.features.as_ref()).collect();
        let width = features.first().map_or(0, |features| features.scan.len());
        let mut realism = Self {
            cases: features.len(),
            features: width,
            counterfactual_to_reconstruction: None,
            counterfactual_to_truth: None,
            scan_to_reconstruction: None,
            scan_to_truth: None,
            why_not: None,
        };
        if let Some(why) = without_features {
            realism.why_not = Some(format!("the classifier has no features to compare by: {why}"));
        } else if features.len() < LEAST_CASES {
            realism.why_not = Some(format!("it takes {LEAST_CASES} cases at least, not {}", features.len()));
        } else {
            let set =
                |of: fn(&Features) -> &Vec<f64>| features.iter().map(|one| of(one).as_slice()).collect::<Vec<_>>();
            let (scans, reconstructions) = (set(|of| &of.scan), set(|of| &of.reconstruction));
            let counterfactuals = set(|of| &of.counterfactual);
            let truths: Option<Vec<&[f64]>> = features.iter().map(|one| one.truth.as_deref()).collect();
            realism.counterfactual_to_reconstruction = Some(frechet(&counterfactuals, &reconstructions));
            realism.scan_to_reconstruction = Some(frechet(&scans, &reconstructions));
            realism.counterfactual_to_truth = truths.as_ref().map(|truths| frechet(&counterfactuals, truths));
            realism.scan_to_truth = truths.as_ref().map(|truths| frechet(&scans, truths));
        }
        realism
    }
}

/// The squared Frechet distance between two sets of as long vectors, each of two vectors at least; covariances divide by one less than the
/// number of vectors, as numpy's `cov` does.
pub fn frechet(a: &[&[f64]], b: &[&[f64]]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let between: f64 = mean_a.iter().zip(&mean_b).map(|(a, b)| (a - b).powi(2)).sum();
    let (a, b) = (centred(a, &mean_a), centred(b, &mean_b));
    let trace = |rows: &[Vec<f64>]| rows.iter().flatten().map(|x| x * x).sum::<f64>();
    let (trace_a, trace_b) = (trace(&a), trace(&b));
    // With S = X^T X of centred rows X, the eigenvalues of S1 S2 are those of M M^T with M = X1 X2^T: the trace of the root is the sum of
    // the singular values of M. Rows beyond the number of features are first made a triangle of the same X^T X.
    let (a, b) = (triangle(a), triangle(b));
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let product: Vec<Vec<f64>> = b.iter().map(|b| a.iter().map(|a| dot(a, b)).collect()).collect();
    let distance = between + trace_a + trace_b - 2.0 * nuclear_norm(product);
    distance.max(0.0) // what rounding leaves below 0 is 0
}

fn mean(rows: &[&[f64]]) -> Vec<f64> {
    let width = rows.first().map_or(0, |row| row.len());
    (0..width).map(|column| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64).collect()
}

/// Rows less their mean, over the root of one less than their number.
fn centred(rows: &[&[f64]], mean: &[f64]) -> Vec<Vec<f64>> {
    let scale = 1.0 / ((rows.len().max(2) - 1) as f64).sqrt();
    rows.iter().map(|row| row.iter().zip(mean).map(|(x, mean)| (x - mean) * scale).collect()).collect()
}

/// Rows with the same X^T X, no more of them than columns: the triangle R of X = Q R, by modified Gram and Schmidt.
fn triangle(rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let width = rows.first().map_or(0, Vec::len);
    if rows.len() <= width {
        return rows;
    }
    let mut columns: Vec<Vec<f64>> = (0..width).map(|column| rows.iter().map(|row| row[column]).collect()).collect();
    let mut triangle = vec![vec![0.0; width]; width];
    for at in 0..width {
        let (done, rest) = columns.split_at_mut(at + 1);
        let length = done[at].iter().map(|x| x * x).sum::<f64>().sqrt();
        if length == 0.0 {
            continue;
        }
        done[at].iter_mut().for_each(|x| *x /= length);
        triangle[at][at] = length;
        for (column, other) in rest.iter_mut().enumerate() {
            let share: f64 = done[at].iter().zip(&*other).map(|(q, x)| q * x).sum();
            triangle[at][at + 1 + column] = share;
            other.iter_mut().zip(&done[at]).for_each(|(x, q)| *x -= share * q);
        }
    }
    triangle
}

/// The sum of the singular values, by turns of two columns until all are at right angles (Hestenes 1958, one-sided Jacobi).
pub fn nuclear_norm(mut columns: Vec<Vec<f64>>) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    for _ in 0..MOST_SWEEPS {
        let mut turned = false;
        for p in 0..columns.len() {
            for q in p + 1..columns.len() {
                let (head, tail) = columns.split_at_mut(q);
                let (x, y) = (&mut head[p], &mut tail[0]);
                let (alpha, beta, gamma) = (dot(x, x), dot(y, y), dot(x, y));
                if gamma.abs() <= SMALL * (alpha * beta).sqrt() || gamma == 0.0 {
                    continue;
                }
                turned = true;
                let zeta = (beta - alpha) / (2.0 * gamma);
                let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = c * t;
                for (x, y) in x.iter_mut().zip(y.iter_mut()) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
        }
        if !turned {
            break;
        }
    }
    columns.iter().map(|column| dot(column, column).sqrt()).sum()
}
