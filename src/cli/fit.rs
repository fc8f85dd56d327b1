//! `parallax fit`: whether networks suit a scan, before anything is computed.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::choice::ChoiceArgs;
use super::compute::{self, ComputeArgs};
use super::values::{Slab, slab};
use super::{Usage, pacs, progress, say, say_json};
use crate::export::report::NOTICE;
use crate::fit::{self, Asked, Fit, Kept, words};
use crate::io::Note;
use crate::job::Monitor;
use crate::latent_shift::Options;
use crate::models::{self, NetworkKind, Role, Told, label_index};
use crate::pipeline::{self, BadInput};

#[derive(Debug, Args)]
pub struct FitArgs {
    /// Scan, folder or zip archive of scans, or .safetensors stack
    pub scan: PathBuf,
    /// Model cards, checkpoints or networks: an autoencoder, what gives the score (a classifier, a segmenter or an embedder), or both
    #[arg(value_name = "CARD", required = true, num_args = 1..=3)]
    pub cards: Vec<PathBuf>,
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Send the scan through the autoencoder too: how well it is kept, and the score before and after
    #[arg(long)]
    pub reconstruct: bool,
    /// Class whose score is held against that of the reconstruction, by name or number [default: the highest]
    #[arg(long, value_name = "NAME|INDEX", requires = "reconstruct")]
    pub target: Option<String>,
    /// Slices that may change, "20:28" or "all"
    #[arg(long, value_name = "A:B|all", value_parser = slab, default_value = "all")]
    pub slab: Slab,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

pub(super) fn run(args: &FitArgs) -> Result<()> {
    compute::start(&args.compute)?;
    let monitor = progress::monitor()?;
    let asked = asked(args, &monitor)?;
    if args.reconstruct && asked.autoencoder.is_none() {
        bail!(Usage("--reconstruct needs an autoencoder; name its card too".to_owned()));
    }
    let label = |target: &String| -> Result<usize> {
        match &asked.classifier {
            Some(classifier) => {
                label_index(classifier.network.labels(), target).map_err(|why| BadInput::new(why).into())
            }
            None => bail!(Usage("--target is a class of a classifier; name its card too".to_owned())),
        }
    };
    let target = args.target.as_ref().map(label).transpose()?;
    let input =
        pipeline::open_chosen(&pacs::scan(&args.scan, &monitor)?, &args.choice.choice(), &asked.recipe(), &monitor)?;
    let found = fit::fit(&input, &asked, &monitor)?;
    let kept = args.reconstruct.then(|| fit::kept(&input, &asked, target, &monitor)).transpose()?;
    let mut notes = words::notes(&found);
    notes.extend(kept.iter().flat_map(words::kept_notes));
    notes.sort_by_key(|note| note.weight);
    if args.json {
        say_json(&serde_json::to_string_pretty(&facts(&found, kept.as_ref(), &notes)?)?);
        return Ok(());
    }
    for note in &notes {
        say(&format!("{}: {}", note.weight.word().to_lowercase(), note.text));
    }
    say("Research use only. Not for diagnosis.");
    Ok(())
}

/// Loads each card to where it belongs.
fn asked(args: &FitArgs, monitor: &Monitor) -> Result<Asked> {
    let mut asked = Asked {
        autoencoder: None,
        classifier: None,
        segmenter: None,
        embedder: None,
        slab: args.slab.0.clone(),
        options: Options::default(),
    };
    for card in &args.cards {
        let twice = || Usage(format!("two networks for one purpose; leave one out: {}", card.display()));
        match models::tell(card).map_err(BadInput::mark)? {
            Told::Kind(kind) if kind.role() == Role::Autoencoder => {
                let before = asked.autoencoder.replace(pipeline::load_autoencoder(card, monitor)?);
                before.map_or(Ok(()), |_| Err(twice()))?;
            }
            Told::Kind(kind) if kind.role() == Role::Embedder => {
                let before = asked.embedder.replace(pipeline::load_embedder(card, monitor)?);
                before.map_or(Ok(()), |_| Err(twice()))?;
            }
            Told::Kind(kind @ NetworkKind::Built(_)) if kind.role() == Role::Segmenter => {
                let before = asked.segmenter.replace(pipeline::load_segmenter(card, monitor)?);
                before.map_or(Ok(()), |_| Err(twice()))?;
            }
            // What a segmenter in a file gives is scored as classes are; of a network without a card the error says what it needs.
            Told::Kind(_) | Told::WithoutCard(_) => {
                let before = asked.classifier.replace(pipeline::load_classifier(card, monitor)?);
                before.map_or(Ok(()), |_| Err(twice()))?;
            }
        }
    }
    let scorers = [asked.classifier.is_some(), asked.segmenter.is_some(), asked.embedder.is_some()];
    if scorers.into_iter().filter(|given| *given).count() > 1 {
        bail!(Usage("a classifier, a segmenter, an embedder: a run has one score; name one of them".to_owned()));
    }
    Ok(asked)
}

fn facts(found: &Fit, kept: Option<&Kept>, notes: &[Note]) -> Result<Value> {
    let mut facts = serde_json::to_value(found)?;
    facts["notice"] = json!(NOTICE);
    facts["kept"] = serde_json::to_value(kept)?;
    facts["notes"] =
        notes.iter().map(|note| json!({ "weight": note.weight.word().to_lowercase(), "text": note.text })).collect();
    Ok(facts)
}
