//! What a file or a folder is, for `parallax info`: a scan, a model card, a checkpoint or a network of another program.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::described::{Described, described};
use super::stack::{is_stack, stack};
use super::{BadInput, Input, check, chosen, network};
use crate::exchange::Model;
use crate::graph::Plan;
use crate::io::{self, Among, Arrival, Choice, Note, Scan, Series};
use crate::job::Monitor;
use crate::latent_shift::Options;
use crate::models::{self, Card, Loaded, Network, NetworkKind};
use crate::nn::device;
use crate::preprocess::{self, Recipe};
use crate::weights::{self, Checkpoint};

/// What `info` was pointed at.
pub enum Opened {
    Scan {
        scan: Arc<Scan>,
        /// All that the window says of it, the weightiest first.
        notes: Vec<Note>,
        /// By which results name it.
        sha256: String,
    },
    Checkpoint {
        checkpoint: Box<Checkpoint>,
        kind: Option<String>,
    },
    /// The file of a network, without a card.
    Network(Box<Model>),
    /// A card of networks in files.
    Card(Box<Described>),
}

/// A scan, a model card, a checkpoint or a network, told by what it holds. A scan is prepared by the recipe, since what that does to
/// it is said too.
pub fn inspect(path: &Path, choice: &Choice, recipe: &Recipe, monitor: &Monitor) -> Result<Opened> {
    if models::is_file_of_operations(path) {
        chosen::refuse(choice, "a network", path)?;
        return Ok(Opened::Network(Box::new(network::open(path)?)));
    }
    if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("toml")) || models::is_bundle(path) {
        chosen::refuse(choice, "a model card", path)?;
        let card = Card::open(path).map_err(BadInput::mark)?;
        if let NetworkKind::File(_) = card.kind {
            return Ok(Opened::Card(Box::new(described(&card)?)));
        }
        let checkpoint = Checkpoint::open(&card.weights).map_err(BadInput::mark)?;
        return Ok(Opened::Checkpoint { checkpoint: Box::new(checkpoint), kind: Some(card.kind.to_string()) });
    }
    if path.is_file() {
        match Checkpoint::open(path) {
            Ok(checkpoint) if is_stack(path) && checkpoint.shape("stack").is_some_and(|shape| shape.len() == 4) => {
                chosen::refuse(choice, "a stack of slices", path)?;
                let prepared = stack(path, recipe).map_err(BadInput::mark)?;
                return Ok(of_stack(&Input::new(None, prepared), path));
            }
            Ok(checkpoint) => {
                chosen::refuse(choice, "a checkpoint", path)?;
                let kind = NetworkKind::of(&checkpoint).map(|kind| kind.to_string());
                return Ok(Opened::Checkpoint { checkpoint: Box::new(checkpoint), kind });
            }
            Err(weights::Error::NotACheckpoint { .. }) => {}
            // A zip archive may hold a study instead.
            Err(error) if is_stack(path) || io::list(path, monitor).is_ok_and(|found| found.is_empty()) => {
                return Err(BadInput::mark(error));
            }
            Err(error) if models::is_model(path) => return Err(BadInput::mark(error)),
            Err(_) => {}
        }
    }
    let scan = open(path, choice, monitor)?;
    let notes = match preprocess::prepare(&scan.volume, recipe, monitor) {
        Ok(prepared) => check::of_scan(&scan, &prepared),
        Err(preprocess::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
        Err(error) => check::unprepared(&scan, recipe, &error),
    };
    Ok(Opened::Scan { sha256: scan.sha256(), notes, scan: Arc::new(scan) })
}

/// What stands for a side that a recipe leaves open.
const SOME_SIDE: usize = 256;
/// Networks of volumes that are cut into tiles make a latent of so many slices, or of a divisor of it.
const SLICES_OF_A_LATENT: usize = 16;

/// Plans the passes of the network of a card or a checkpoint over a scan of so many slices, as its recipe prepares it. The plans
/// fit the memory that this process can have, or else the error says how much they need.
pub fn plans(path: &Path, slices: usize) -> Result<Vec<(&'static str, Plan)>> {
    let card = Card::open(path).map_err(BadInput::mark)?;
    let Loaded { network, recipe, .. } = Network::load(&card, device::chosen()).map_err(BadInput::mark)?;
    let [columns, rows, depth] = recipe.size;
    let slices = match (depth, card.file.tiles) {
        (0, None) => slices,
        (0, Some(_)) => slices.next_multiple_of(SLICES_OF_A_LATENT),
        (depth, _) => depth,
    };
    let side = |side: usize| if side == 0 { SOME_SIDE } else { side };
    let plans = network.plans([slices, 1, side(rows), side(columns)], Options::default().chunk)?;
    plans.into_iter().map(|(name, plan)| Ok((name, plan.fitted()?))).collect()
}

fn of_stack(input: &Input, path: &Path) -> Opened {
    let scan = Scan {
        volume: input.display_volume(),
        source: path.to_owned(),
        format: "stack of slices, safetensors".to_owned(),
        geometry: io::Geometry::Spacing,
        notes: Vec::new(),
        window_hu: None,
        study: None,
        among: Among::default(),
    };
    Opened::Scan { scan: Arc::new(scan), notes: input.notes(), sha256: input.sha256().to_owned() }
}

/// Opens a scan. Where none opens, the error lists what is there.
fn open(path: &Path, choice: &Choice, monitor: &Monitor) -> Result<Scan> {
    let listed = RefCell::new(Vec::new());
    let show = |arrival| {
        if let Arrival::Listed(series) = arrival {
            listed.replace(series);
        }
    };
    let error = match io::open_and_show(path, choice, monitor, &show) {
        Ok(scan) => return Ok(scan),
        Err(io::Error::Cancelled(cancelled)) => return Err(cancelled.into()),
        Err(error) => error,
    };
    let mut listed = listed.into_inner();
    if listed.is_empty() {
        // That it cannot be listed either is no news.
        listed = io::list(path, monitor).unwrap_or_default();
    }
    if listed.is_empty() {
        return Err(BadInput::mark(error));
    }
    let said = error.to_string();
    let rows: Vec<_> = listed.iter().map(|series| row(series, &said)).collect();
    Err(BadInput::mark(anyhow!("{error}; what is there:\n{}", rows.join("\n"))))
}

/// A series, in its words unless they are said already, and why it cannot be opened.
fn row(series: &Series, said: &str) -> String {
    let words = Some(series.words()).filter(|words| !said.contains(words));
    let why = series.unusable.as_ref().map(|why| format!("cannot be opened: {why}"));
    let words = words.into_iter().chain(why).collect::<Vec<_>>().join("; ");
    format!("{:4}  {words}", series.number)
}
