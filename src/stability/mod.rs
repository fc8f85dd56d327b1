//! How sure a counterfactual is: the same run from perturbed starts, and what of its changes comes again.

mod agreement;

use anyhow::{Result, ensure};
use glam::DVec3;
use serde::{Deserialize, Serialize};

use self::agreement::Agreement;
use crate::io::counted;
use crate::job::{Cancelled, Monitor, duration};
use crate::latent_shift::Counterfactual;
use crate::latent_shift::vary::{NOISE, Variation};
use crate::pipeline::{self, Input, Request};
use crate::quality::regions::{Change, Regions};

/// Runs that can be asked for.
pub const MOST_RUNS: usize = 100;
/// What a repetition does of a run: everything up to the end of the search.
const AGAIN: [&str; 5] = ["encoding", "encoding deviations", "reconstructing", "scoring the scan", "searching lambda"];
/// How the names of the others begin.
const GRADIENTS: &str = "gradient of ";
/// Repetitions take between these shares of the run's own search: its first trials have shown the way. Measured: the demo's take 0.5.
const SHARES: [f64; 2] = [0.4, 1.0];

/// What came again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stability {
    /// Runs that were asked for, that were made, and that found no counterfactual: these agree nowhere.
    pub asked: usize,
    pub runs: usize,
    pub failed: usize,
    /// The deviation of the noise, as a share of that of the latents.
    pub noise: f32,
    /// How often each region of the list came again, in its order.
    pub regions: Vec<Again>,
    /// `None` in what was read from text alone.
    #[serde(skip)]
    agreement: Option<Agreement>,
}

/// How often a region came again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Again {
    /// Runs in which it changed the same way, by half as much or more on average.
    pub found_in: usize,
    /// Runs that might have changed it.
    pub of: usize,
    /// Mean over its voxels of the share of runs that changed them the same way, however little: a half comes by chance.
    pub sign_share: Option<f64>,
    /// The lowest and the highest of its mean changes in these runs, HU.
    pub mean_hu: Option<[f64; 2]>,
}

impl Again {
    /// "in 9 of 10 runs".
    pub fn text(&self) -> String {
        format!("in {} of {}", self.found_in, counted(self.of, "run"))
    }
}

impl Stability {
    /// The share of runs that changed a place the same way as the run itself; nothing where that changed it no more than its threshold.
    /// `place` is RAS+ millimetres.
    pub fn share_at(&self, place: DVec3) -> Option<f32> {
        self.agreement.as_ref()?.share_at(place)
    }

    /// The share of runs that agree at each voxel of the run's slab, `[slab, height, width]`; not a number where there is none.
    pub fn shares(&self) -> Vec<f32> {
        self.agreement.as_ref().map(Agreement::shares).unwrap_or_default()
    }

    /// What the shares are made of, to be kept: how many runs agree at each voxel of the slab, `[slab, height, width]`, and how many runs
    /// held each of its slices.
    pub fn counts(&self) -> (&[u8], &[u8]) {
        self.agreement.as_ref().map(Agreement::counts).unwrap_or_default()
    }

    /// Takes up again what was read from text, with the counts that were kept beside it; `regions` are those of the run.
    ///
    /// # Errors
    /// Where the numbers are none that a run and its repetitions can have.
    pub fn with_counts(self, regions: &Regions, agree: Vec<u8>, of_slices: Vec<u8>) -> Result<Self> {
        let listed = regions.list.len();
        ensure!(
            self.regions.len() == listed,
            "its repetitions know {} changed regions, where the result has {listed}",
            self.regions.len()
        );
        let counted = self.asked <= MOST_RUNS && self.runs <= self.asked && self.failed <= self.runs;
        let may_be = |again: &Again| {
            again.found_in <= again.of
                && again.of <= self.runs
                && again.sign_share.is_none_or(|share| (0.0..=1.0).contains(&share))
        };
        ensure!(counted && self.regions.iter().all(may_be), "its repetitions are counted as no repetitions can be");
        let agreement = Agreement::restored(regions, agree, of_slices)?;
        Ok(Self { agreement: Some(agreement), ..self })
    }

    /// How often the largest regions came again, in words.
    pub fn line(&self) -> String {
        const NAMED: usize = 3;
        let made = counted(self.runs, "run");
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} without a counterfactual"),
        };
        let again: Vec<String> = self.regions.iter().take(NAMED).map(Again::text).collect();
        let again = if again.is_empty() { "no region to find again".to_owned() } else { again.join(", ") };
        format!("from perturbed starts ({made}{failed}) the largest regions came again: {again}")
    }
}

/// What so many repetitions will take, from and to, by the time that the run's own search took. What else was done under its monitor, such as
/// opening the scan or the sweep, is not done again.
pub fn cost_secs(run: &Monitor, runs: usize) -> [f64; 2] {
    let is_again = |phase: &str| AGAIN.contains(&phase) || phase.starts_with(GRADIENTS);
    let searched: f64 = run.phase_secs().into_iter().filter(|(phase, _)| is_again(phase)).map(|(_, secs)| secs).sum();
    SHARES.map(|share| share * searched * runs as f64)
}

/// The cost in words before the run itself is begun; `each_secs` is how long a repetition is thought to take, from and to, where it is known.
pub fn expected_words(each_secs: Option<[f64; 2]>, runs: usize) -> String {
    let more = counted(runs, "more run");
    match each_secs {
        Some(each) => {
            let all = range_words(each.map(|secs| secs * runs as f64));
            format!("stability: {more} will follow the run, about {all} in all")
        }
        None => format!("stability: {more} will follow the run, each at most as long as its search"),
    }
}

/// The cost in words, before it is paid.
pub fn cost_words(all_secs: [f64; 2], runs: usize) -> String {
    format!("stability: {}, about {} in all", counted(runs, "more run"), range_words(all_secs))
}

/// "20 s to 50 s"; one time where both ends are said alike.
pub fn range_words(secs: [f64; 2]) -> String {
    let [from, to] = secs.map(duration);
    if from == to { from } else { format!("{from} to {to}") }
}

/// Runs again from perturbed starts, at most [`MOST_RUNS`] times: noise in the latents, the slab a slice on or back where it is not the
/// whole stack. `result` is of the same input and request, and `regions` are its own. A run that is cancelled once one repetition is
/// made gives what there is, with fewer runs than were asked for.
///
/// # Errors
/// Where it is cancelled before that, or a network fails for want of memory.
pub fn stability(
    input: &Input,
    request: &Request,
    result: &Counterfactual,
    regions: &Regions,
    runs: usize,
    monitor: &Monitor,
) -> Result<Stability> {
    let asked = runs.min(MOST_RUNS);
    let mut agreement = Agreement::of(regions, &Change::hu_of(result, result.chosen));
    let (mut made, mut failed) = (0, 0);
    for variation in Variation::all(asked, &result.slab, result.grid.shape[2]) {
        let again = match monitor.step("running from perturbed starts", made, asked) {
            Ok(()) => pipeline::repeat(input, request, result, &variation, &monitor.quiet()),
            Err(cancelled) => Err(cancelled.into()),
        };
        match again {
            Ok(Some(again)) => agreement.add(&again.slab, Some(&Change::hu_of(&again, again.chosen))),
            Ok(None) => {
                failed += 1;
                agreement.add(&variation.slab, None);
            }
            Err(error) if made > 0 && error.downcast_ref::<Cancelled>().is_some() => break,
            Err(error) => return Err(error),
        }
        made += 1;
    }
    Ok(Stability { asked, runs: made, failed, noise: NOISE, regions: agreement.again(), agreement: Some(agreement) })
}
