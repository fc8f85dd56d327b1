//! What is asked of a run, as it can be typed: the networks, the target and the search. One scan is asked it, or each of a cohort.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::{LambdaRange, Slab, finite, positive, range, slab, within};
use crate::latent_shift::{HeatmapMethod, Options, Outside, SearchWay, StepsIn};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Objective {
    LungSize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Search {
    /// Along the gradient taken anew a few times on the way, smoothed over slices; lambda is the length of the path
    Path,
    /// Along one gradient, aimed by its size, bracketed, bisected to the wanted drop
    Aim,
    /// The published walk with every stop rule, and its overshoot
    Reference,
}

impl Search {
    pub fn way(self) -> SearchWay {
        match self {
            Self::Aim => SearchWay::Aim,
            Self::Reference => SearchWay::Reference,
            Self::Path => SearchWay::Path,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Heatmap {
    /// Mean |difference| of neighbouring steps
    Int,
    /// Mean |step - reconstruction|
    Mean,
    /// |first step - last step|
    Mm,
    /// Largest |step - reconstruction|
    Max,
}

/// All that a run is told but the scan.
#[derive(Debug, Args)]
pub struct AskedArgs {
    /// Model card or checkpoint of the slice autoencoder
    #[arg(long, value_name = "CARD")]
    pub autoencoder: PathBuf,
    /// Model card or checkpoint of the classifier
    #[arg(long, value_name = "CARD", group = "scorer", required_unless_present_any = ["segmenter", "embedder"])]
    pub classifier: Option<PathBuf>,
    /// Class, by name or number; several as "NAME=WEIGHT", summed: "A=1" and "B=-1" are one class against another
    #[arg(long, value_name = "NAME|INDEX", conflicts_with = "embedder")]
    pub target: Vec<String>,
    /// Model card or checkpoint of a segmenter: --target CLASS is that class's share of the volume
    #[arg(long, value_name = "CARD", group = "scorer")]
    pub segmenter: Option<PathBuf>,
    /// What the output of the lung segmenter is made into, where no --target is named
    #[arg(long, value_enum, requires = "segmenter", conflicts_with = "target")]
    pub objective: Option<Objective>,
    /// Model card of a network whose output is an embedding, such as a foundation model without a head
    #[arg(long, value_name = "CARD", group = "scorer", requires = "toward")]
    pub embedder: Option<PathBuf>,
    /// Another scan, or a stored embedding (.npy, or .safetensors): the score is the cosine of the two embeddings, which --drop lowers and,
    /// by default, a drop below 0 raises
    #[arg(long, value_name = "SCAN|FILE", requires = "embedder")]
    pub toward: Option<PathBuf>,
    /// Slices that may change, "20:28" or "all"
    #[arg(long, value_name = "A:B|all", value_parser = slab, default_value = "all")]
    pub slab: Slab,
    #[arg(long, value_enum, default_value = "path")]
    pub search: Search,
    /// Lambda range along the first gradient, in place of a search: "-500:200"
    #[arg(long, value_name = "MIN:MAX", value_parser = range, allow_hyphen_values = true)]
    pub range: Option<LambdaRange>,
    /// Images from the counterfactual to lambda 0, or along the range
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = within(1..=1000_usize))]
    pub steps: usize,
    /// Images to the other side of lambda 0 too, as many and as far: there the score goes the other way
    #[arg(long, conflicts_with = "range")]
    pub both: bool,
    /// Wanted fall of the score; negative to raise it [default: 0.8; with --toward -0.8]
    #[arg(long, value_name = "D", allow_hyphen_values = true, value_parser = finite)]
    pub drop: Option<f64>,
    /// A score below this is low enough, and one above 1 less this high enough (our searches: if it begins beyond) [default: 0.05; with
    /// --toward 0.001]
    #[arg(long, value_name = "F", allow_hyphen_values = true, value_parser = finite)]
    pub floor: Option<f64>,
    /// Bound on |lambda| [default: 3000 for the reference's search, none for ours]
    #[arg(long, value_name = "L", value_parser = positive)]
    pub max_lambda: Option<f64>,
    /// First step of the reference's search
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = positive)]
    pub step_size: f64,
    /// What lambda, --max-lambda, --step-size and --range count; deviations are for autoencoders whose card says latents = "mean" or
    /// deviations
    #[arg(long, value_enum, value_name = "WHAT", default_value = "latents")]
    pub steps_in: StepsIn,
    /// Largest change, as a share of the image
    #[arg(long, value_name = "PCT", default_value_t = 0.05, value_parser = positive)]
    pub max_change: f64,
    /// Added to the class probability
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.0,
        allow_hyphen_values = true,
        value_parser = finite,
        conflicts_with_all = ["objective", "embedder"]
    )]
    pub offset: f64,
    #[arg(long, value_enum, default_value = "int")]
    pub heatmap: Heatmap,
    /// What the classifier sees outside the slab [default: reconstruction]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub outside: Option<Outside>,
}

impl AskedArgs {
    pub fn options(&self) -> Options {
        let (drop, floor) = if self.toward.is_some() {
            (Options::RISE_OF_COSINE, Options::FLOOR_OF_COSINE)
        } else {
            (Options::FALL, Options::FLOOR)
        };
        Options {
            search: self.search.way(),
            range: self.range.map(|LambdaRange(range)| range),
            steps: self.steps,
            both: self.both,
            drop: self.drop.unwrap_or(drop),
            floor: self.floor.unwrap_or(floor),
            max_lambda: self.max_lambda,
            step_size: self.step_size,
            steps_in: self.steps_in,
            max_change: self.max_change,
            heatmap: match self.heatmap {
                Heatmap::Int => HeatmapMethod::Int,
                Heatmap::Mean => HeatmapMethod::Mean,
                Heatmap::Mm => HeatmapMethod::MinMax,
                Heatmap::Max => HeatmapMethod::Max,
            },
            outside: self.outside,
            ..Options::default()
        }
    }
}
