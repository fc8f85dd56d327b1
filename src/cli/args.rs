//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::asked::{AskedArgs, Search};
use super::audit_scans_args::ScansArgs;
use super::choice::ChoiceArgs;
use super::cohort_args::CohortArgs;
use super::compute::{ComputeArgs, bytes};
use super::doctor::DoctorArgs;
use super::fit::FitArgs;
use super::insert::InsertArgs;
use super::models::ModelsArgs;
use super::outputs::OutputArgs;
use super::pacs::PacsArgs;
use super::values::{
    PerAxis, Seeds, Shape, Slab, dial, listed, matrix, positive, seeds, size, slab, spacing, whole, within,
};
use crate::audit;
use crate::latent_shift::Outside;
use crate::ui::Start;
use crate::volume::phantom::{Finding, Version};

/// Shows what a CT classifier looks at: the nearest scan that it would have scored differently.
///
/// Research use only. Not for diagnosis.
#[derive(Debug, Parser)]
#[command(name = "parallax", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(flatten)]
    pub window: WindowArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The window, when no command is named.
#[derive(Debug, Args)]
pub struct WindowArgs {
    /// Scan, folder or zip archive of scans, pacs:SOURCE/STUDY/SERIES, .safetensors stack, or .parallax session to open in the window
    scan: Option<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Model card or checkpoint of the slice autoencoder
    #[arg(long, value_name = "CARD")]
    autoencoder: Option<PathBuf>,
    /// Model card or checkpoint of the classifier
    #[arg(long, value_name = "CARD", group = "window_scorer")]
    classifier: Option<PathBuf>,
    /// Class of the classifier, by name or number
    #[arg(long, value_name = "NAME|INDEX", requires = "classifier")]
    target: Option<String>,
    /// Model card or checkpoint of the lung segmenter, for the lung-size objective
    #[arg(long, value_name = "CARD", group = "window_scorer")]
    segmenter: Option<PathBuf>,
    /// Model card of a network whose output is an embedding
    #[arg(long, value_name = "CARD", group = "window_scorer")]
    embedder: Option<PathBuf>,
    /// Another scan, or a stored embedding, that the scan is compared with
    #[arg(long, value_name = "SCAN|FILE", requires = "embedder")]
    toward: Option<PathBuf>,
    /// Slices that may change, "20:28" or "all"
    #[arg(long, value_name = "A:B|all", value_parser = slab, default_value = "all")]
    slab: Slab,
    /// A mask of the scan, to hold methods against
    #[arg(long, value_name = "FILE", requires = "scan")]
    mask: Option<PathBuf>,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

impl WindowArgs {
    /// The scan, where one was named.
    pub(super) fn scan(&mut self) -> Option<&mut PathBuf> {
        self.scan.as_mut()
    }

    pub fn start(self) -> Start {
        Start {
            scan: self.scan,
            choice: self.choice.choice(),
            autoencoder: self.autoencoder,
            classifier: self.classifier,
            segmenter: self.segmenter,
            embedder: self.embedder,
            toward: self.toward,
            target: self.target,
            slab: self.slab.0,
            mask: self.mask,
            ..Start::default()
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Says what a scan, a model card, a checkpoint or a network holds
    Info(InfoArgs),
    /// Compares the output and the gradient of a network with those that were recorded
    Check(CheckArgs),
    /// Writes the stack that a scan becomes for networks: on the recipe's grid, 0 and 1 at the ends of its HU
    Prepare(PrepareArgs),
    /// Says whether networks suit a scan, before anything is computed: what they see, at what cost
    Fit(Box<FitArgs>),
    /// Scores a scan with a classifier
    Predict(PredictArgs),
    /// Searches the counterfactual of a scan
    Explain(Box<ExplainArgs>),
    /// Explains many scans, one after the other or as the shards of a cluster's job, and says what they have in common
    Cohort(CohortArgs),
    /// Explains a drawn chest with the networks that come with Parallax: in the window, or without one into --out
    Demo(DemoArgs),
    /// Draws a chest CT whose truth is known, with findings on dials
    Phantom(PhantomArgs),
    /// Draws a finding into a real scan, where its anatomy allows
    Insert(InsertArgs),
    /// Measures how true explanations are: on phantoms whose truth is known, or on real scans with findings drawn into them or marked
    Audit(AuditArgs),
    /// Lists published networks, and fetches one when it is asked for
    Models(ModelsArgs),
    /// Finds and fetches scans of a hospital's archive (PACS), and sends results to it
    Pacs(PacsArgs),
    /// Says what this build and this machine have, without a word of the user or a patient: send it with a report of a fault
    Doctor(DoctorArgs),
    /// Prints the page docs/command-line.md
    #[command(hide = true)]
    Reference,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Scan, folder or zip archive of scans, pacs:SOURCE/STUDY/SERIES, .safetensors stack, model card, checkpoint, or network as ONNX
    #[arg(id = "scan", value_name = "PATH")]
    pub path: PathBuf,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Model card of the network that the scan is checked for [default: the published ones]
    #[arg(long, value_name = "CARD")]
    pub card: Option<PathBuf>,
    /// Slices of the scan that a network's memory is planned for
    #[arg(long, value_name = "N", default_value_t = 134, value_parser = within(1..=10_000_usize))]
    pub slices: usize,
    /// Size of a network's input where the file leaves it open, once for each input: "1x1x96x96x96"
    #[arg(long, value_name = "AxBx...", value_parser = size)]
    pub size: Vec<Shape>,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Network as .onnx or .pt2, or the model card or bundle that names it
    pub model: PathBuf,
    /// F.safetensors with "x", "y" (the first output), "cotangent" and "gradient" (of sum(y cotangent) by x) [default: MODEL with the
    /// ending .check.safetensors]
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Largest gap of either, of the recorded one's largest number; beyond it the exit code is 1
    #[arg(long, value_name = "GAP", default_value_t = 1e-5, value_parser = positive)]
    pub tolerance: f64,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// Scan, folder or zip archive of scans, or .safetensors stack
    pub scan: PathBuf,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Model card of the network that it is for [default: the published ones]
    #[arg(long, value_name = "CARD")]
    pub card: Option<PathBuf>,
    /// F.safetensors (key "stack", f32 [slices, 1, height, width]) or F.nii.gz
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The most memory to take, such as 6GB or 900MB; what the machine has free where it is left out
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub memory: Option<u64>,
    /// Replace a file that exists
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub outputs: OutputArgs,
    /// Compute the demo and write it as the session that the window shows at once, with its pixels rounded to about one HU
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "dump", "json"])]
    pub session: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PhantomArgs {
    /// Which patient
    #[arg(long, value_name = "N", required_unless_present = "seeds", conflicts_with = "seeds", value_parser = whole::<u64>)]
    pub seed: Option<u64>,
    /// Many patients, "1000:1200", as the networks of --card see them, for training: one .safetensors each, with "stack" f32
    /// and "masks" u8 [slices, 1, height, width], and four "dials", f32
    #[arg(long, value_name = "A:B", value_parser = seeds, requires_all = ["random", "card"], conflicts_with = "masks")]
    pub seeds: Option<Seeds>,
    /// Model card that says how to prepare them
    #[arg(long, value_name = "CARD", requires = "seeds")]
    pub card: Option<PathBuf>,
    /// Pleural effusion, from 0 (none) to 1 (severe)
    #[arg(long, value_name = "DIAL", default_value_t = 0.0, value_parser = dial)]
    pub effusion: f32,
    /// Lung nodule, from 0 to 1
    #[arg(long, value_name = "DIAL", default_value_t = 0.0, value_parser = dial)]
    pub nodule: f32,
    /// Enlarged heart, from 0 to 1
    #[arg(long, value_name = "DIAL", default_value_t = 0.0, value_parser = dial)]
    pub cardiomegaly: f32,
    /// Emphysema, from 0 to 1
    #[arg(long, value_name = "DIAL", default_value_t = 0.0, value_parser = dial)]
    pub emphysema: f32,
    /// Dials drawn by the seed, each finding there with a chance of one half
    #[arg(long, conflicts_with_all = ["effusion", "nodule", "cardiomegaly", "emphysema"])]
    pub random: bool,
    /// Findings whose dial is set to 0 all the same: the true counterfactual
    #[arg(long, value_name = "FINDING", requires = "random")]
    pub without: Vec<Finding>,
    /// The scan, .nii.gz; with --seeds a folder
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The masks, .nii.gz: sums of 1 effusion, 2 nodule, 4 cardiomegaly, 8 emphysema, 16 right lung, 32 left lung, 64 body
    #[arg(long, value_name = "FILE")]
    pub masks: Option<PathBuf>,
    /// Which generator draws, 1 or 2: the networks that come with Parallax know version 1 alone
    #[arg(long, value_name = "N", default_value = "1")]
    pub phantom_version: Version,
    /// Columns, rows and slices of a phantom of version 2, "512x512x300" [default: by seed]
    #[arg(long, value_name = "CxRxS", value_parser = matrix, requires = "spacing", conflicts_with = "seeds")]
    pub matrix: Option<PerAxis<usize>>,
    /// Millimetres between columns, rows and slices, "0.7x0.7x1"
    #[arg(long, value_name = "AxBxC", value_parser = spacing, requires = "matrix")]
    pub spacing: Option<PerAxis<f64>>,
    /// Replace files that exist
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Scan, folder or zip archive of scans, pacs:SOURCE/STUDY/SERIES, or .safetensors stack
    pub scan: PathBuf,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Model card, checkpoint or network of a classifier; or of a segmenter: the share of the volume that each of its classes has
    #[arg(long, value_name = "CARD")]
    pub classifier: PathBuf,
    /// How many classes to list, highest first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole::<usize>)]
    pub top: usize,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

#[derive(Debug, Args)]
#[command(mut_arg("target", |target| target.required_unless_present_any(["segmenter", "embedder", "replay"])))]
pub struct ExplainArgs {
    /// Scan, folder or zip archive of scans, or .safetensors stack
    pub scan: PathBuf,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    #[command(flatten)]
    pub asked: AskedArgs,
    /// A result.json whose run is repeated: its target, slab and options are taken. Exits with 0 where scores and lambdas are
    /// the same, 1 where they are not, 3 where the scan or a network is another
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "target", "offset", "slab", "search", "range", "steps", "both", "drop", "floor", "max_lambda", "step_size",
            "steps_in", "max_change", "heatmap", "outside",
        ]
    )]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub outputs: OutputArgs,
}

/// The methods of an audit that names none.
const DEFAULT_METHODS: &str = "latent-shift,gradient,integrated,occlusion,grad-cam";

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    pub scans: ScansArgs,
    /// Which phantoms, none that the networks were trained on [default: 100000:100020]; with --insert, which insertions [default: 1:2]
    #[arg(long, value_name = "A:B", value_parser = seeds)]
    pub seeds: Option<Seeds>,
    /// Which generator draws phantoms, 1 or 2: the networks that come with Parallax know version 1 alone
    #[arg(long, value_name = "N", default_value = "1")]
    pub phantom_version: Version,
    /// One finding of phantoms, by name; may be repeated [default: all four]
    #[arg(long, value_name = "NAME", conflicts_with = "scans")]
    pub finding: Vec<Finding>,
    /// Model card or checkpoint of the slice autoencoder [default: the one that comes with Parallax]
    #[arg(long, value_name = "CARD")]
    pub autoencoder: Option<PathBuf>,
    /// Model card or checkpoint of the classifier, with a label of each finding's name; --label names others
    #[arg(long, value_name = "CARD")]
    pub classifier: Option<PathBuf>,
    /// How lambda is searched
    #[arg(long, value_enum, default_value = "path")]
    pub search: Search,
    /// Largest change, as a share of the image
    #[arg(long, value_name = "PCT", default_value_t = 1.0, value_parser = positive)]
    pub max_change: f64,
    /// Only so many slices may change, those that hold most of the finding; they alone are measured [default: all]
    #[arg(long, value_name = "N", value_parser = within(1..=10_000_usize))]
    pub slices: Option<usize>,
    /// What the classifier sees outside these slices [default: reconstruction]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub outside: Option<Outside>,
    /// What is held against the masks. RISE takes about as long as occlusion, and the others next to nothing beside the search
    #[arg(
        long,
        value_parser = listed::<audit::Method>(),
        value_name = "METHOD",
        value_delimiter = ',',
        default_value = DEFAULT_METHODS
    )]
    pub methods: Vec<audit::Method>,
    /// Also follows the score while voxels are deleted, and inserted, in the order of each method: 26 passes of the classifier for each
    /// method and case
    #[arg(long)]
    pub curves: bool,
    /// Means per finding with their 95 % intervals, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// One line per case and method
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// One page of HTML with tables and drawings, which holds all that it shows
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}
