//! The numbers of a run, and all that is needed to run it again: as `result.json`, and in a few lines for people.

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::compared::{MaskReport, MethodReport};
use crate::io::{Choice, Which};
use crate::latent_shift::{Counterfactual, HeatmapMethod, Options, Outside, ScoreKind, SearchWay, StepsIn};
use crate::pipeline::{Asked, ComparedWith, Inserted, NetworkUsed, Run};
use crate::quality::regions::Regions;
use crate::quality::{self, Drift, Quality};
use crate::stability::Stability;

/// Bumped when a field comes, goes or changes its meaning, here and in `assets/result.schema.json`.
pub(super) const VERSION: u32 = 10;
pub(super) const FORMAT: &str = "parallax result";
pub const NOTICE: &str = "Research use only. Not for diagnosis. Counterfactual images are synthetic.";

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    format: &'static str,
    version: u32,
    notice: &'static str,
    program: Program,
    pub(super) input: InputReport,
    pub(super) autoencoder: NetworkUsed,
    pub(super) scored_by: NetworkUsed,
    /// In words.
    pub target: String,
    /// The target as numbers; none where a segmenter gave the score.
    terms: Vec<Term>,
    offset: f64,
    /// What the scan was compared with; none where classes or a segmenter gave the score.
    pub(super) toward: Option<ComparedWith>,
    score_kind: ScoreKind,
    slab: [usize; 2],
    options: OptionsReport,
    pub(super) scores: ScoresReport,
    /// Lambda of the counterfactual.
    pub(super) lambda: f64,
    pub(super) lambdas: Vec<f64>,
    pub(super) sweep_scores: Vec<f64>,
    /// Every trial of the search: lambda, score, sum of |change|.
    walk: Vec<[f64; 3]>,
    stop: String,
    complete: bool,
    /// Reconstruction = slope * scan + offset, HU.
    reconstruction_slope: f64,
    reconstruction_offset_hu: f64,
    #[serde(flatten)]
    pub quality: Quality,
    /// Counted from 0.
    most_changed_slice: usize,
    pub regions: Regions,
    /// Nothing where it was not asked for.
    pub stability: Option<Stability>,
    /// What other methods make of the class; nothing where none was asked for.
    pub methods: Option<Vec<MethodReport>>,
    /// How all of them agree with a mask; nothing where none was given.
    pub mask: Option<MaskReport>,
    /// The classifier's other outputs, by label; nothing where a segmenter gave the score.
    pub drift: Option<Vec<Drift>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fast_error: Option<f64>,
    device: String,
    threads: usize,
    seconds_per_phase: Vec<(String, f64)>,
}

#[derive(Debug, Clone, Serialize)]
struct Program {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct InputReport {
    /// The SHA-256 of the voxels as f32, little-endian, with what was drawn into them; the file has another.
    pub(super) sha256: String,
    /// The finding that was drawn into the scan; nothing where the scan is as it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inserted: Option<Inserted>,
    /// Which of the series of its folder or archive, and which of the volumes of its file; nothing where there is one alone.
    #[serde(flatten)]
    choice: ChosenReport,
    format: String,
    scan_shape: [usize; 3],
    stack_shape: [usize; 3],
    warnings: Vec<String>,
}

/// What opens the input again, from the path that it came from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ChosenReport {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) series: Option<Which>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) volume: Option<usize>,
}

impl From<Choice> for ChosenReport {
    fn from(Choice { series, volume }: Choice) -> Self {
        Self { series, volume }
    }
}

/// A class and its weight in the score.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Term {
    pub(super) label: String,
    pub(super) weight: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OptionsReport {
    search: String,
    range: Option<[f64; 2]>,
    steps: usize,
    both: bool,
    drop: f64,
    floor: f64,
    max_lambda: Option<f64>,
    step_size: f64,
    #[serde(default)]
    steps_in: StepsIn,
    max_change: f64,
    heatmap: String,
    #[serde(default = "outside_before_version_5")]
    outside: String,
}

/// What records meant that do not say.
fn outside_before_version_5() -> String {
    Outside::Reconstruction.name().to_owned()
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ScoresReport {
    pub(super) scan: f64,
    pub(super) reconstruction: f64,
    pub(super) counterfactual: f64,
    /// Of the scan as the network that gives the score prepares it; none where that is how the autoencoder has it.
    #[serde(default)]
    scan_as_predicted: Option<f64>,
}

impl OptionsReport {
    fn new(options: &Options) -> Self {
        Self {
            search: options.search.name().to_owned(),
            range: options.range,
            steps: options.steps,
            both: options.both,
            drop: options.drop,
            floor: options.floor,
            max_lambda: options.max_lambda,
            step_size: options.step_size,
            steps_in: options.steps_in,
            max_change: options.max_change,
            heatmap: options.heatmap.name().to_owned(),
            outside: options.outside().name().to_owned(),
        }
    }

    /// What a run is told, again.
    pub(super) fn options(&self) -> Result<Options> {
        let search = SearchWay::ALL.into_iter().find(|way| way.name() == self.search);
        let heatmap = HeatmapMethod::ALL.into_iter().find(|method| method.name() == self.heatmap);
        let outside = Outside::ALL.into_iter().find(|outside| outside.name() == self.outside);
        let outside = outside.ok_or_else(|| anyhow!("slices outside the slab cannot be {:?}", self.outside))?;
        let options = Options {
            search: search.ok_or_else(|| anyhow!("there is no search {:?}", self.search))?,
            range: self.range,
            steps: self.steps,
            both: self.both,
            drop: self.drop,
            floor: self.floor,
            max_lambda: self.max_lambda,
            step_size: self.step_size,
            steps_in: self.steps_in,
            max_change: self.max_change,
            heatmap: heatmap.ok_or_else(|| anyhow!("there is no heatmap {:?}", self.heatmap))?,
            outside: Some(outside),
            ..Options::default()
        };
        options.check()?;
        Ok(options)
    }

    /// What lambda counts, where it is not latents.
    fn counts(&self) -> &'static str {
        match self.steps_in {
            StepsIn::Latents => "",
            StepsIn::Deviations => ", lambda in standard deviations of the posterior",
        }
    }

    fn search_words(&self) -> String {
        let Self { search, drop, floor, max_change, step_size, .. } = self;
        if let Some([from, to]) = self.range {
            return format!("none, lambda from {from} to {to}{}", self.counts());
        }
        let bound = self.max_lambda.map_or(String::new(), |bound| format!(", max lambda {bound}"));
        let counts = self.counts();
        format!("{search}, drop {drop}, floor {floor}, max change {max_change}, step size {step_size}{bound}{counts}")
    }
}

impl Report {
    /// `result.json`.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).context("the report cannot be written as JSON")
    }

    /// The run itself as text: all but where and how fast it was computed.
    pub(super) fn identity(&self) -> Result<String> {
        let mut report = serde_json::to_value(self).context("the report cannot be written as JSON")?;
        for field in ["device", "threads", "seconds_per_phase"] {
            report.as_object_mut().and_then(|fields| fields.remove(field));
        }
        Ok(report.to_string())
    }

    /// Where a result came from, as names and values. It names no patient and no folder.
    pub fn provenance(&self) -> Vec<(&'static str, String)> {
        self.provenance_at(self.lambda, self.scores.counterfactual)
    }

    /// The networks of the run: the autoencoder, and what gave the score.
    pub fn networks(&self) -> [&NetworkUsed; 2] {
        [&self.autoencoder, &self.scored_by]
    }

    /// Where a picture of one step came from, as names and values; the step need not be the counterfactual.
    pub fn provenance_at(&self, lambda: f64, score: f64) -> Vec<(&'static str, String)> {
        let ([first, end], slices) = (self.slab, self.input.stack_shape[2]);
        let seconds: f64 = self.seconds_per_phase.iter().map(|(_, seconds)| seconds).sum();
        let ScoresReport { scan, reconstruction, counterfactual, .. } = &self.scores;
        let lambda = if lambda == self.lambda {
            lambda.to_string()
        } else {
            format!("{lambda}, where the score is {score}; the counterfactual is at {}", self.lambda)
        };
        let mut rows = vec![
            ("Program", format!("{} {}", self.program.name, self.program.version)),
            ("Input voxels, SHA-256", self.input.sha256.clone()),
            ("Autoencoder", self.autoencoder.name.clone()),
            ("Autoencoder, SHA-256", self.autoencoder.sha256.clone()),
            ("Scored by", self.scored_by.name.clone()),
            ("Scored by, SHA-256", self.scored_by.sha256.clone()),
            ("Target", self.target.clone()),
            ("Search", self.options.search_words()),
            (
                "Steps",
                if self.options.both {
                    format!("{} to either side", self.options.steps)
                } else {
                    self.options.steps.to_string()
                },
            ),
            ("Heatmap", self.options.heatmap.clone()),
            ("Slab", format!("slices {first} to {} of {slices}, counted from 0", end - 1)),
            ("Outside the slab", self.options.outside.clone()),
            ("Lambda", lambda),
            ("Scores", format!("scan {scan}, reconstruction {reconstruction}, counterfactual {counterfactual}")),
            ("Stopped because", self.stop.clone()),
            ("Seconds", format!("{seconds:.1}")),
        ];
        if let Some(ComparedWith { sha256, stored }) = &self.toward {
            let of = if *stored { "Stored embedding, SHA-256" } else { "Other scan's voxels, SHA-256" };
            rows.push((of, sha256.clone()));
        }
        if let Some(inserted) = &self.input.inserted {
            rows.insert(1, ("Finding drawn into the scan", inserted.line()));
            rows.insert(2, ("Scan without it, SHA-256", inserted.scan_sha256.clone()));
        }
        let of_networks = self.networks().into_iter().flat_map(|model| &model.notes);
        rows.extend(of_networks.map(|note| ("Network", note.clone())));
        rows.push(("Note", self.notice.to_owned()));
        rows
    }
}

/// The numbers of a run, with the regions that it changed.
pub fn report(run: &Run, regions: Regions) -> Report {
    let Run { input, asked, result, timing } = run;
    let options = &asked.options;
    let term = |&(label, weight): &(usize, f64)| Term { label: asked.labels[label].clone(), weight };
    Report {
        format: FORMAT,
        version: VERSION,
        notice: NOTICE,
        program: Program { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        input: InputReport {
            sha256: input.sha256().to_owned(),
            inserted: input.inserted.as_deref().cloned(),
            choice: input.choice().into(),
            format: input.scan.as_ref().map_or("stack".to_owned(), |scan| scan.format.clone()),
            scan_shape: input.display_volume().grid.shape,
            stack_shape: result.grid.shape,
            warnings: input.warnings(),
        },
        autoencoder: asked.autoencoder.clone(),
        scored_by: asked.scored_by.clone(),
        target: asked.target.clone(),
        terms: asked.terms.iter().map(term).collect(),
        offset: asked.offset,
        toward: asked.toward.clone(),
        score_kind: result.score_kind,
        slab: [result.slab.start, result.slab.end],
        options: OptionsReport::new(options),
        scores: ScoresReport {
            scan: result.scores.scan,
            reconstruction: result.scores.reconstruction,
            counterfactual: result.scores.counterfactual,
            scan_as_predicted: result.scan_as_predicted,
        },
        lambda: result.steps[result.chosen].lambda,
        lambdas: result.steps.iter().map(|step| step.lambda).collect(),
        sweep_scores: result.steps.iter().map(|step| step.score).collect(),
        walk: result.walk.iter().map(|t| [t.lambda, t.score, t.change]).collect(),
        stop: result.stop.clone(),
        complete: result.complete,
        reconstruction_slope: result.calibration[0],
        reconstruction_offset_hu: result.calibration[1],
        quality: Quality::of(result, options),
        most_changed_slice: result.most_changed_slice(),
        regions,
        stability: None,
        methods: None,
        mask: None,
        drift: drift(asked, result),
        fast_error: result.fast_error,
        device: timing.device.clone(),
        threads: timing.threads,
        seconds_per_phase: timing.seconds_per_phase.clone(),
    }
}

/// What the run did to the classes that nobody asked about; nothing where no classifier gave the score.
fn drift(asked: &Asked, result: &Counterfactual) -> Option<Vec<Drift>> {
    let explained: Vec<usize> = asked.terms.iter().map(|(label, _)| *label).collect();
    (!asked.labels.is_empty()).then(|| quality::drift(result, &asked.labels, &explained, asked.activation))
}
