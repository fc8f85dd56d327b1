//! An audit case by case: one line for each case and method.

use crate::audit::curves::Curves;
use crate::audit::metrics::Localisation;
use crate::audit::{Audit, Case, Change, Method};

/// What a line begins with.
const KNOWN: [&str; 6] = ["seed", "finding", "dial", "mask_voxels", "mask_share", "method"];
/// What each method has; areas are empty where curves were not asked for.
const OF_METHOD: [&str; 8] =
    ["dice", "iou", "energy_inside", "energy_rim", "pointing", "sparsity", "deletion_area", "insertion_area"];
/// The columns that latent shift alone has; they are empty for the other methods.
const OF_LATENT_SHIFT: [&str; 17] = [
    "score_scan",
    "score_reconstruction",
    "score_counterfactual",
    "score_truth",
    "reached",
    "drift",
    "monotonicity",
    "hu_inside_counterfactual",
    "hu_inside_detail_kept",
    "hu_inside_no_change",
    "hu_outside_counterfactual",
    "hu_outside_detail_kept",
    "hu_outside_no_change",
    "reconstruction_gap",
    "seconds",
    "proximity_hu",
    "changed_body_share",
];
/// What a line ends with.
const NAME: &str = "name";

/// One line for each case and method, quoted by RFC 4180.
pub fn csv(audit: &Audit) -> Vec<u8> {
    let mut lines = csv::Writer::from_writer(Vec::new());
    let head = KNOWN.iter().chain(&OF_METHOD).chain(&OF_LATENT_SHIFT).chain([&NAME]);
    lines.write_record(head).ok(); // a Vec takes all
    for case in &audit.cases {
        for (method, at) in &case.localisation {
            let curves = case.curves.iter().find(|(of, _)| of == method).map(|(_, curves)| curves);
            let rest = if *method == Method::LatentShift { of_latent_shift(case) } else { Default::default() };
            let line = known(case, *method).into_iter().chain(of_method(at, curves)).chain(rest);
            lines.write_record(line.chain([case.name.clone()])).ok();
        }
    }
    lines.into_inner().unwrap_or_default()
}

fn known(case: &Case, method: Method) -> [String; 6] {
    let or_empty = |text: Option<String>| text.unwrap_or_default();
    [
        or_empty(case.seed.map(|seed| seed.to_string())),
        case.finding.clone(),
        or_empty(case.dial.map(|dial| dial.to_string())),
        case.mask_voxels.to_string(),
        case.mask_share.to_string(),
        method.name().to_owned(),
    ]
}

fn of_method(at: &Localisation, curves: Option<&Curves>) -> [String; 8] {
    let Localisation { dice, iou, energy_inside, energy_rim, pointing, sparsity } = *at;
    let area = |area: fn(&Curves) -> f64| curves.map_or_else(String::new, |curves| area(curves).to_string());
    let [dice, iou, inside, rim, pointing, sparsity] =
        [dice, iou, energy_inside, energy_rim, pointing, sparsity].map(|number| number.to_string());
    [dice, iou, inside, rim, pointing, sparsity, area(Curves::deletion_area), area(Curves::insertion_area)]
}

fn of_latent_shift(case: &Case) -> [String; 17] {
    let Case { scores, hu_error: Change { inside, outside }, .. } = case;
    [
        scores.scan,
        scores.reconstruction,
        scores.counterfactual,
        scores.truth,
        f64::from(u8::from(case.reached)),
        case.drift,
        case.monotonicity,
        inside.counterfactual,
        inside.detail_kept,
        inside.no_change,
        outside.counterfactual,
        outside.detail_kept,
        outside.no_change,
        (scores.scan - scores.reconstruction).abs(),
        case.seconds,
        case.proximity_hu,
        case.changed_body_share,
    ]
    .map(|number| number.to_string())
}
