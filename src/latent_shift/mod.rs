//! The method: encode, an exact gradient, a search along it, a sweep of steps, a heatmap.
//!
//! Source: Cohen, Blankemeier, Chaudhari, arXiv 2502.07156, and its published code, `ct-counterfactuals` 0.0.4 with the
//! `LatentShift` of its captum fork. Scores fall towards negative lambda.

pub mod chunks;
mod direction;
pub mod grad_cam;
pub mod gradient;
pub mod heatmap;
pub mod objective;
mod path;
pub mod piecewise;
mod result;
pub mod rise;
mod run;
pub mod saliency;
pub mod search;
mod start;
pub mod toward;
pub mod vary;

use std::ops::Range;

pub use objective::ScoreKind;
pub use result::{Counterfactual, Scores, Step, Trial};
pub use run::{calibration, explain, reconstruct};
use serde::{Deserialize, Serialize};

use crate::graph;
use crate::io::counted;
use crate::job::Cancelled;

/// What can stop a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    #[error(
        "the score does not change with the latents at all: its gradient is zero, so there is no direction to search; choose another target"
    )]
    NoGradient,
    #[error("{0} is not a finite number; the weights or the input hold NaN or infinity")]
    NotFinite(String),
    #[error("slab {}:{} does not fit {}; choose A:B with 0 <= A < B <= {slices}", slab.start, slab.end, counted(*slices, "slice"))]
    Slab { slab: Range<usize>, slices: usize },
    #[error("a sweep needs at least 1 step, not 0")]
    NoSteps,
    #[error("the {0} must be a number above 0, not {1}")]
    NotPositive(&'static str, f64),
    #[error("a range begins at its lower end, and {0} is above {1}")]
    RangeFalls(f64, f64),
    #[error(
        "the pixels of {} of {} would take {gigabytes} GB; choose fewer steps or a smaller slab",
        counted(*steps, "step"),
        counted(*slices, "slice")
    )]
    TooManySteps { steps: usize, slices: usize, gigabytes: usize },
    #[error(
        "the published search only lowers a score, and a drop of {0} would raise it; use the aimed search, the path, or a range"
    )]
    OnlyLowers(f64),
    #[error(
        "the embedding of {0} has no length, so no angle to it can be measured; choose another scan, or another output of the network"
    )]
    NoDirection(&'static str),
    #[error(
        "the embedding of this scan has {} and the one that it is compared with {}; set recipe.size in the embedder's card, \
         so that every scan gives as many",
        counted(*this, "number"),
        counted(*other, "number")
    )]
    Lengths { this: usize, other: usize },
    #[error(
        "the autoencoder's card says of no deviations of its latents, so steps cannot be measured in them; say latents = \"mean\" or \
         deviations = \"OUTPUT\" in it, or measure steps in latents"
    )]
    NoDeviations,
    #[error("the classifier has no map for Grad-CAM++: {0}")]
    NoMap(String),
}

impl From<graph::Error> for Error {
    fn from(error: graph::Error) -> Self {
        match error {
            graph::Error::Cancelled(cancelled) => Self::Cancelled(cancelled),
            graph::Error::Tensor(error) => Self::Tensor(error),
        }
    }
}

/// How lambda is searched, where no range is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SearchWay {
    /// Aimed by |g|^2, bracketed, bisected to the wanted drop.
    Aim,
    /// The published walk: every stop rule, and its overshoot.
    Reference,
    /// Aimed likewise, with the gradient taken anew a few times on the way; lambda is the length of the path in latents.
    Path,
}

impl SearchWay {
    pub const ALL: [Self; 3] = [Self::Aim, Self::Reference, Self::Path];

    /// As reports and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aim => "aim",
            Self::Reference => "reference",
            Self::Path => "path",
        }
    }
}

/// What the slices outside the slab are, all along lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// The scan's own, in decoded units: only slices of the slab are encoded and decoded.
    Scan,
    /// What the autoencoder makes of them, as published.
    Reconstruction,
}

impl Outside {
    pub const ALL: [Self; 2] = [Self::Scan, Self::Reconstruction];

    /// As reports and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Reconstruction => "reconstruction",
        }
    }

    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Scan => "Slices outside the slab stay as scanned; only those of the slab are encoded and decoded",
            Self::Reconstruction => "Slices outside the slab are reconstructed too, as published",
        }
    }

    /// The slices that the autoencoder is given.
    pub fn encoded(self, slab: &Range<usize>, slices: usize) -> Range<usize> {
        match self {
            Self::Scan => slab.clone(),
            Self::Reconstruction => 0..slices,
        }
    }

    /// What runs meant that were saved before there was a choice.
    #[expect(clippy::unnecessary_wraps, reason = "serde asks for the type of the field")]
    fn before_there_was_a_choice() -> Option<Self> {
        Some(Self::Reconstruction)
    }
}

/// What lambda counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepsIn {
    /// Gradients, or lengths of a path in latents.
    #[default]
    Latents,
    /// Standard deviations of the posterior of a KL autoencoder.
    Deviations,
}

impl StepsIn {
    pub const ALL: [Self; 2] = [Self::Latents, Self::Deviations];

    /// As reports and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latents => "latents",
            Self::Deviations => "deviations",
        }
    }

    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Latents => "As published: multiples of the gradient, or with --search path lengths in latents",
            Self::Deviations => {
                "Standard deviations of a KL autoencoder's posterior, along the direction; the search goes by latents divided by them"
            }
        }
    }
}

/// What a heatmap adds up along the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeatmapMethod {
    /// Mean |difference| of neighbouring steps.
    Int,
    /// Mean |step - reconstruction|.
    Mean,
    /// |first step - last step|.
    MinMax,
    /// Largest |step - reconstruction|.
    Max,
}

impl HeatmapMethod {
    pub const ALL: [Self; 4] = [Self::Int, Self::Mean, Self::MinMax, Self::Max];

    /// As reports and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Mean => "mean",
            Self::MinMax => "mm",
            Self::Max => "max",
        }
    }
}

/// What a run is told, besides its networks and target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    pub search: SearchWay,
    /// Fixed lambda range along the one gradient at lambda 0, the reference's `fix_range`, in place of any search.
    pub range: Option<[f64; 2]>,
    /// Images on the sweep from the end of the search to lambda 0.
    pub steps: usize,
    /// Sweeps as far to the other side of lambda 0 too, where the score goes the other way; not with a range.
    pub both: bool,
    /// Wanted change of the score; positive lowers it (lambda < 0), negative raises it (not as published).
    pub drop: f64,
    /// A score below this is low enough; our searches ask it only of a score that begins above.
    pub floor: f64,
    /// Bound on |lambda|; `None` is 3000 for the reference and none for our searches, since a lambda's size
    /// means something else for every model.
    pub max_lambda: Option<f64>,
    pub step_size: f64,
    /// What lambda, its bound and the step size count.
    pub steps_in: StepsIn,
    /// Largest sum |change|, as a share of the sum |reconstruction|: of the whole stack in the reference's way (where a small
    /// slab can never reach it), of the slab in ours.
    pub max_change: f64,
    pub heatmap: HeatmapMethod,
    /// What slices outside the slab are; `None` is the reconstruction, as published.
    #[serde(default = "Outside::before_there_was_a_choice")]
    pub outside: Option<Outside>,
    /// Slices decoded at a time on the CPU; a GPU takes as many as it has memory for.
    pub chunk: usize,
}

impl Default for Options {
    /// The defaults of `LatentShift.attribute`, with the path, whose counterfactuals are the truest on phantoms.
    fn default() -> Self {
        Self {
            search: SearchWay::Path,
            range: None,
            steps: 10,
            both: false,
            drop: Self::FALL,
            floor: Self::FLOOR,
            max_lambda: None,
            step_size: 10.0,
            steps_in: StepsIn::Latents,
            max_change: 0.05,
            heatmap: HeatmapMethod::Int,
            outside: None,
            chunk: 2,
        }
    }
}

impl Options {
    /// The wanted change of a cosine to another scan, where none is said: it rises.
    pub const RISE_OF_COSINE: f64 = -Self::FALL;
    /// A cosine above 1 less this is near enough, where no floor is said: scans of chests are alike to most networks.
    pub const FLOOR_OF_COSINE: f64 = 0.001;
    /// The wanted change of any other score, and what is low enough, as published.
    pub const FALL: f64 = 0.8;
    pub const FLOOR: f64 = 0.05;

    /// What slices outside the slab are: as chosen, or else as published. On phantoms neither brings our searches nearer to the truth
    /// than the other, see docs/method.md.
    pub fn outside(&self) -> Outside {
        self.outside.unwrap_or(Outside::Reconstruction)
    }

    /// Where a score that begins at `start` is to go; nowhere in particular where a range is given.
    pub fn goal(&self, start: f64) -> Option<f64> {
        match (self.range, self.search) {
            (Some(_), _) => None,
            // The published walk ends at either, whatever it begins from.
            (None, SearchWay::Reference) => Some((start - self.drop).max(self.floor)),
            (None, SearchWay::Aim | SearchWay::Path) => Some(search::goal(self.drop, self.floor, start)),
        }
    }

    /// Images on the whole sweep: lambda 0 is one of either side.
    pub fn images(&self) -> usize {
        if self.both && self.range.is_none() { self.steps.saturating_mul(2).saturating_sub(1) } else { self.steps }
    }

    /// Refuses what no run can do.
    pub fn check(&self) -> Result<(), Error> {
        let positive = [
            ("largest lambda", self.max_lambda.unwrap_or(1.0)),
            ("step size", self.step_size),
            ("largest change", self.max_change),
        ];
        if let Some((name, number)) = positive.into_iter().find(|(_, number)| !(number.is_finite() && *number > 0.0)) {
            Err(Error::NotPositive(name, number))
        } else if let Some([from, to]) = self.range.filter(|[from, to]| from > to) {
            Err(Error::RangeFalls(from, to))
        } else if self.steps == 0 {
            Err(Error::NoSteps)
        } else if self.search == SearchWay::Reference && self.range.is_none() && self.drop < 0.0 {
            Err(Error::OnlyLowers(self.drop))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_as_far_as_was_asked_and_no_farther_than_the_floor() {
        let goal = |search, drop, floor, start: f64| Options { search, drop, floor, ..Options::default() }.goal(start);
        let near = |goal: Option<f64>, expected: f64| (goal.expect("a goal") - expected).abs() < 1e-12;
        assert!(near(goal(SearchWay::Path, 0.3, 0.05, 0.9), 0.6));
        assert!(near(goal(SearchWay::Path, 0.9, 0.05, 0.9), 0.05));
        assert!(near(goal(SearchWay::Aim, 0.01, 0.05, 0.04), 0.03), "the floor holds no score that begins below");
        assert!(near(goal(SearchWay::Aim, -0.5, 0.05, 0.9), 0.95), "raising has the mirror of the floor");
        assert!(near(goal(SearchWay::Reference, 0.01, 0.05, 0.04), 0.05), "as published, the floor is low enough");
        assert_eq!(Options { range: Some([-5.0, 0.0]), ..Options::default() }.goal(0.9), None);
    }
}
