//! Every number of a finding that is made of its cases' numbers: their mean, or the interval of that, by one list of what is measured.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::curves::Curves;
use crate::audit::metrics::Localisation;
use crate::audit::{Case, Change, HuError, Method, Scores};

/// What the cases of one finding come to, each number as a `T`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Means<T> {
    pub methods: BTreeMap<Method, Measured<T>>,
    /// The mask's share of all voxels: what chance scores in `dice`, `energy_inside` and `pointing`.
    pub chance: T,
    /// What chance scores in `iou`.
    pub chance_iou: T,
    /// Share of the cases in which the score came to the target.
    pub validity: T,
    /// Mean |counterfactual - reconstruction| over the body, HU.
    pub proximity_hu: T,
    /// Share of the body that changed by more than 10 HU.
    pub changed_body_share: T,
    /// Share of the voxels that might change that holds 90 % of the change.
    pub sparsity: T,
    pub scores: Scores<T>,
    /// Mean |score of the scan - score of its reconstruction|.
    pub reconstruction_gap: T,
    pub drift: T,
    pub monotonicity: T,
    pub hu_error: Change<T>,
    pub seconds: T,
}

/// What a method's maps come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured<T> {
    #[serde(flatten)]
    pub at: Localisation<T>,
    /// The area under the curve of deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<T>,
    /// The area under the curve of insertion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insertion: Option<T>,
}

impl<T> Means<T> {
    /// `reduce` makes one number of those of the cases.
    pub(super) fn of(methods: &[Method], cases: &[&Case], reduce: &dyn Fn(&[f64]) -> T) -> Self {
        let of = |value: &dyn Fn(&Case) -> f64| reduce(&cases.iter().map(|case| value(case)).collect::<Vec<_>>());
        let hu_error = |error: &dyn Fn(&Case) -> HuError| HuError {
            counterfactual: of(&|case| error(case).counterfactual),
            detail_kept: of(&|case| error(case).detail_kept),
            no_change: of(&|case| error(case).no_change),
        };
        Self {
            methods: methods.iter().map(|method| (*method, Measured::of(*method, cases, reduce))).collect(),
            chance: of(&|case| case.mask_share),
            chance_iou: of(&|case| case.mask_share / (2.0 - case.mask_share)),
            validity: of(&|case| f64::from(u8::from(case.reached))),
            proximity_hu: of(&|case| case.proximity_hu),
            changed_body_share: of(&|case| case.changed_body_share),
            sparsity: of(&|case| case.sparsity),
            scores: Scores {
                scan: of(&|case| case.scores.scan),
                reconstruction: of(&|case| case.scores.reconstruction),
                counterfactual: of(&|case| case.scores.counterfactual),
                truth: of(&|case| case.scores.truth),
            },
            reconstruction_gap: of(&|case| (case.scores.scan - case.scores.reconstruction).abs()),
            drift: of(&|case| case.drift),
            monotonicity: of(&|case| case.monotonicity),
            hu_error: Change {
                inside: hu_error(&|case| case.hu_error.inside),
                outside: hu_error(&|case| case.hu_error.outside),
            },
            seconds: of(&|case| case.seconds),
        }
    }
}

impl<T> Measured<T> {
    fn of(method: Method, cases: &[&Case], reduce: &dyn Fn(&[f64]) -> T) -> Self {
        let at = |case: &Case| case.localisation.iter().find(|(of, _)| *of == method).map(|(_, at)| *at);
        let of = |value: &dyn Fn(Localisation) -> f64| {
            reduce(&cases.iter().map(|case| at(case).map_or(f64::NAN, value)).collect::<Vec<_>>())
        };
        let area = |value: &dyn Fn(&Curves) -> f64| {
            let curves = cases.iter().map(|case| case.curves.iter().find(|(of, _)| *of == method));
            let areas: Option<Vec<f64>> = curves.map(|curves| Some(value(&curves?.1))).collect();
            areas.filter(|areas| !areas.is_empty()).map(|areas| reduce(&areas))
        };
        Self {
            at: Localisation {
                dice: of(&|at| at.dice),
                iou: of(&|at| at.iou),
                energy_inside: of(&|at| at.energy_inside),
                energy_rim: of(&|at| at.energy_rim),
                pointing: of(&|at| at.pointing),
                sparsity: of(&|at| at.sparsity),
            },
            deletion: area(&Curves::deletion_area),
            insertion: area(&Curves::insertion_area),
        }
    }
}
