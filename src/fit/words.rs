//! What fits and what does not, in sentences: each with how much it matters, and what can be done.

use super::{Basis, Cost, Coverage, Cut, Fit, Intensities, Kept, Moved, RunCost, Sampling, Training};
use crate::io::{Note, Weight, counted};
use crate::job;
use crate::machine::gigabytes;

/// A network that sees less of the body than this sees too little; one that sees less than that is worth a word.
const SEES_HALF: f64 = 0.5;
const SEES_ALL: f64 = 0.98;
/// From here on padding is worth a word; from there on it matters.
const SOME_PADDING: f64 = 0.05;
const MUCH_PADDING: f64 = 0.5;
/// A mean that is off by so many of the training's deviations matters; by so many it is another kind of image.
const MEAN_OFF: f64 = 0.5;
const MEAN_FAR_OFF: f64 = 2.0;
/// Of the training's voxels about 1 % lay beyond its range.
const BEYOND: f64 = 0.05;
const FAR_BEYOND: f64 = 0.5;
/// A window beyond which all but a tenth of the body lies shows hardly anything.
const CLIPPED: f64 = 0.9;
/// From here on most of what a network is given lies between the scan's own voxels.
const MADE_OF_ONE: f64 = 2.0;
/// From here on a turned scan is no longer what networks are trained on.
const TURNED_DEGREES: f64 = 10.0;
/// A run of more than an hour is worth a thought.
const LONG_SECS: f64 = 3600.0;
/// An error of a tenth of the window's width, on average.
const LOW_PSNR_DB: f64 = 20.0;
/// As in notes of results: a tenth of the contrast, a fat-to-water distance.
const SLOPE_OFF: f64 = 0.1;
const OFFSET_HU: f64 = 100.0;
/// A score that the autoencoder alone moves by so much leaves little to a counterfactual.
const SCORE_MOVED: f64 = 0.1;

/// A note, and a few words for it where there is no room for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub note: Note,
    /// Empty for a fact, which needs no one's attention.
    pub short: String,
}

impl Told {
    /// Makes a note with a few words for it; a fact has none.
    fn new(weight: Weight, text: String, short: impl Into<String>) -> Self {
        let short = if weight == Weight::Fact { String::new() } else { short.into() };
        Self { note: Note { weight, text }, short }
    }

    fn fact(text: String) -> Self {
        Self::new(Weight::Fact, text, "")
    }
}

/// All of it, the weightiest first.
pub fn notes(fit: &Fit) -> Vec<Note> {
    told(fit).into_iter().map(|told| told.note).collect()
}

/// All of it with its few words, the weightiest first.
pub fn told(fit: &Fit) -> Vec<Told> {
    let several = fit.networks.len() > 1;
    let mut all = of_cost(&fit.cost);
    for network in &fit.networks {
        let name = if several { format!("{}: ", network.names.join(" and ")) } else { String::new() };
        let mut own = vec![of_coverage(&network.coverage)];
        own.extend(network.intensities.as_ref().map(of_intensities));
        own.extend(of_sampling(&network.sampling));
        for Told { note: Note { weight, text }, short } in own {
            all.push(Told { note: Note { weight, text: format!("{name}{text}") }, short });
        }
    }
    all.sort_by_key(|told| told.note.weight);
    all
}

/// Whether the autoencoder keeps the scan, the weightiest first.
pub fn kept_notes(kept: &Kept) -> Vec<Note> {
    kept_told(kept).into_iter().map(|told| told.note).collect()
}

/// Whether the autoencoder keeps the scan, with few words, the weightiest first.
pub fn kept_told(kept: &Kept) -> Vec<Told> {
    let Kept { psnr_db, slope, offset_hu, scores } = kept;
    let is_off = (slope - 1.0).abs() > SLOPE_OFF || offset_hu.abs() > OFFSET_HU || *psnr_db < LOW_PSNR_DB;
    let psnr = if psnr_db.is_finite() { format!("{psnr_db:.1} dB PSNR") } else { "the last digit".to_owned() };
    let line = format!("reconstruction = {slope:.2} * scan {offset_hu:+.0} HU");
    let mut all = vec![if is_off {
        let text = format!("the autoencoder does not keep the scan well: {psnr}, {line}; read its HU with care");
        Told::new(Weight::Caution, text, "poor reconstruction")
    } else {
        Told::fact(format!("the autoencoder keeps the scan to {psnr}, {line}"))
    }];
    for (at, of) in scores.iter().enumerate() {
        let Moved { label, scan, reconstruction } = of;
        let text = if at == 0 {
            format!("the score of {label} is {scan:.4} of the scan and {reconstruction:.4} of its reconstruction")
        } else {
            format!("the autoencoder moves the score of {label} most, from {scan:.4} to {reconstruction:.4}")
        };
        let weight = if of.by() > SCORE_MOVED { Weight::Caution } else { Weight::Fact };
        all.push(Told::new(weight, text, "the autoencoder moves a score"));
    }
    all.sort_by_key(|told| told.note.weight);
    all
}

fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".to_owned(),
        few if few < 0.1 => "less than 0.1 %".to_owned(),
        few if few < 10.0 || (few > 99.0 && few < 100.0) => format!("{few:.1} %"),
        many => format!("{many:.0} %"),
    }
}

fn of_coverage(coverage: &Coverage) -> Told {
    let Coverage { body_share, cut, padding_share } = coverage;
    let Some(share) = *body_share else {
        let text = "no body was found in the scan: nothing in it is denser than the air around";
        return Told::new(Weight::Serious, text.to_owned(), "no body found");
    };
    let padding = match *padding_share {
        some if some >= SOME_PADDING => format!("; {} of what the network is given is padding", percent(some)),
        _ => String::new(),
    };
    let text = if cut.is_empty() {
        format!("the network sees {} of the body{padding}", percent(share))
    } else {
        let ends = listed(cut.iter().map(end).collect());
        format!("the recipe's crop leaves out {ends}: the network sees {} of the body{padding}", percent(share))
    };
    let sees = format!("sees {} of the body", percent(share));
    if share < SEES_HALF {
        Told::new(Weight::Serious, text, sees)
    } else if share < SEES_ALL {
        Told::new(Weight::Caution, text, sees)
    } else if *padding_share >= MUCH_PADDING {
        Told::new(Weight::Caution, text, format!("{} is padding", percent(*padding_share)))
    } else {
        Told::fact(text)
    }
}

fn end(cut: &Cut) -> String {
    let place = match cut.towards {
        "R" => "at the right",
        "L" => "at the left",
        "A" => "at the front (anterior)",
        "P" => "at the back (posterior)",
        "S" => "of the upper body (superior)",
        _ => "of the lower body (inferior)",
    };
    format!("{:.0} mm {place}", cut.mm)
}

/// "a, b and c".
fn listed(mut parts: Vec<String>) -> String {
    match (parts.pop(), parts.len()) {
        (Some(last), 0) => last,
        (Some(last), _) => format!("{} and {last}", parts.join(", ")),
        (None, _) => String::new(),
    }
}

fn of_intensities(intensities: &Intensities) -> Told {
    let Some(training) = &intensities.training else { return of_windows(intensities) };
    let Training { stated, mean_off, beyond } = training;
    let Intensities { mean_hu, deviation_hu, .. } = intensities;
    let mut parts = vec![format!("the body has {mean_hu:.0} ± {deviation_hu:.0} HU")];
    if let (Some(mean), Some(deviation), Some(off)) = (stated.mean, stated.deviation, mean_off) {
        let off = off.abs();
        parts.push(format!(
            "the network was trained on {mean:.0} ± {deviation:.0}: the means differ by {off:.1} deviations"
        ));
    }
    if let Some(beyond) = beyond {
        let side = |hu: Option<f64>| hu.map_or("any".to_owned(), |hu| format!("{hu:.0}"));
        let range = format!("{} to {} HU", side(stated.low), side(stated.high));
        parts.push(format!("{} lie beyond its {range}, where about 1 % of the training's did", percent(*beyond)));
    }
    let (off, beyond) = (mean_off.unwrap_or(0.0).abs(), beyond.unwrap_or(0.0));
    let weight = if off > MEAN_FAR_OFF || beyond > FAR_BEYOND {
        Weight::Serious
    } else if off > MEAN_OFF || beyond > BEYOND {
        Weight::Caution
    } else {
        Weight::Fact
    };
    Told::new(weight, parts.join("; "), "HU unlike its training's")
}

fn of_windows(intensities: &Intensities) -> Told {
    let verb = if intensities.clips { "clips" } else { "is exceeded by" };
    let windows = intensities.windows.iter().map(|of| {
        let [low, high] = of.window_hu;
        format!("{low} to {high} HU {verb} {} of the body below and {} above", percent(of.below), percent(of.above))
    });
    let windows = windows.collect::<Vec<_>>().join("; ");
    let text = format!("the window {windows}; what HU the network was trained on is not stated in the card");
    let hides = intensities.windows.iter().all(|of| of.below + of.above >= CLIPPED);
    let weight = if hides { Weight::Caution } else { Weight::Fact };
    Told::new(weight, text, "its window hides the body")
}

fn of_sampling(sampling: &Sampling) -> Vec<Told> {
    let mut all = Vec::new();
    for (axis, along) in ["from right to left", "from front to back", "from foot to head"].iter().enumerate() {
        let (own, given) = (sampling.own_mm[axis], sampling.given_mm[axis]);
        if sampling.made_of_one(axis) >= MADE_OF_ONE {
            let made_up = percent(1.0 - 1.0 / sampling.made_of_one(axis));
            let text = format!(
                "the scan has a voxel every {own:.1} mm {along}, the network is given one every {given:.1} mm: {made_up} of them are made up \
                 between its own, and what is thinner than {own:.1} mm is not there"
            );
            all.push(Told::new(Weight::Caution, text, format!("{made_up} of it is made up")));
        }
    }
    if sampling.oblique_degrees > TURNED_DEGREES {
        let text = format!(
            "the scan is turned by {:.0} degrees against the patient's axes; resampling keeps its own, so the network sees the patient turned",
            sampling.oblique_degrees
        );
        all.push(Told::new(Weight::Caution, text, "the scan is turned"));
    }
    all
}

fn of_cost(cost: &Cost) -> Vec<Told> {
    if let Some(why) = &cost.refused {
        let text = format!("these networks cannot run on this scan: {why}");
        return vec![Told::new(Weight::Serious, text, "cannot run")];
    }
    let mut all = Vec::new();
    if let Some(pass) = cost.peak_of {
        let tiles = cost.passes.iter().find(|of| of.name == pass).and_then(|of| of.tiles);
        let (by_tiles, remedy) = match tiles {
            Some(count) => {
                (format!(" ({}, one after another)", counted(count, "tile")), "smaller tiles or a smaller recipe.size")
            }
            None => (String::new(), "a smaller recipe.size"),
        };
        let needs =
            format!("a run takes about {} of memory, most of it in the {pass}{by_tiles}", gigabytes(cost.peak_bytes));
        all.push(match cost.left_bytes {
            Some(left) if cost.peak_bytes > left => {
                let text = format!(
                    "{needs}, and {} are free; close what else uses memory, let fewer slices change, or set {remedy} in the card",
                    gigabytes(left)
                );
                Told::new(Weight::Caution, text, "too little memory is free")
            }
            Some(left) => Told::fact(format!("{needs}; {} are free", gigabytes(left))),
            None => Told::fact(needs),
        });
    }
    all.extend(cost.run.as_ref().map(of_run));
    all
}

fn of_run(run: &RunCost) -> Told {
    let time = in_about(run.secs);
    let slices = counted(run.slices, "slice");
    let what = match (run.gradients, run.images) {
        (0, _) => format!("a pass over the scan takes {time}"),
        (gradients, images) => {
            let tried = [
                (run.trials > 0).then(|| counted(run.trials, "trial")),
                Some(counted(gradients, "gradient")),
                Some(counted(images, "image")),
            ];
            let tried = listed(tried.into_iter().flatten().collect());
            format!("a counterfactual of which {slices} may change takes {time} here ({tried})")
        }
    };
    let basis = match run.basis {
        Basis::Timed => "by passes timed on this machine".to_owned(),
        Basis::TimedInPart => format!("an estimate: {} of a pass was timed on this machine", percent(run.timed)),
        Basis::AnothersPace => {
            "an estimate: a pass was too large to try, and another network's pace was taken".to_owned()
        }
    };
    let weight = if run.secs > LONG_SECS { Weight::Caution } else { Weight::Fact };
    let remedy = if weight == Weight::Caution && run.gradients > 0 {
        "; let fewer slices change, or search \"aimed\""
    } else {
        ""
    };
    Told::new(weight, format!("{what}, {basis}{remedy}"), format!("takes {time}"))
}

/// "about 12 s".
pub fn in_about(secs: f64) -> String {
    if secs < 1.0 { "less than a second".to_owned() } else { format!("about {}", job::duration(secs)) }
}
