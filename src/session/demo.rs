//! The demo's result as it comes with the program: made by `parallax demo --session FILE`, and opened like any session.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::document::{Document, SavedNetwork, SavedResult};
use super::explained::Explained;
use super::open_scan::OpenScan;
use super::saved_scan::SavedScan;
use super::view::Viewer;
use crate::demo::{self, Cards};
use crate::export::session::{Beside, Outline, write_session};
use crate::export::write;
use crate::job::Monitor;
use crate::latent_shift::heatmap::heatmap;
use crate::latent_shift::{Counterfactual, HeatmapMethod, Step};
use crate::pipeline::{self, Run};
use crate::settings::ScoredBy;
use crate::volume::Volume;

/// Pixels are multiples of this, decoded units: about one HU, as scans have them. The networks' own floats take two and a half times
/// the room, and nothing is seen of the rest.
const PIXEL: f32 = 1.0 / 2048.0;

/// Computes the demo, and writes it as a session that finds its networks beside it. The flag says whether a file there may go.
pub fn write(cards: &Cards, path: &Path, replace: bool, monitor: &Monitor) -> Result<()> {
    let request = demo::request(cards, monitor)?;
    let scan = Arc::new(OpenScan::drawn(demo::input(request.recipe()?, monitor)?));
    let run = Run::of(&scan.input, &request, monitor)?;
    monitor.check()?; // what a cancelled run found is no demo
    let segmenter = pipeline::load_segmenter(&cards.segmenter, monitor)?;
    let run = Run { result: rounded(run.result, request.options.heatmap), ..run };
    let explained = Explained::new(Arc::clone(&scan), run);
    let mut viewer = Viewer::default();
    viewer.show_scan(&scan);
    viewer.show_run(&explained);
    let beside = |card: &Path, sha256: &str| {
        let card = card.file_name().map(Into::into).unwrap_or_default();
        Some(SavedNetwork { card, sha256: sha256.to_owned() })
    };
    let document = Document {
        scan: SavedScan {
            path: None,
            choice: scan.input.choice(),
            sha256: scan.input.sha256().to_owned(),
            recipe: scan.input.prepared.recipe.clone(),
            inserted: None,
        },
        autoencoder: beside(&cards.autoencoder, &request.autoencoder.sha256),
        classifier: beside(&cards.classifier, request.target.scored_by().1),
        segmenter: beside(&cards.segmenter, &segmenter.sha256),
        embedder: None,
        toward: None,
        scored_by: ScoredBy::Classifier,
        target: Some(demo::TARGET.to_owned()),
        options: demo::options(),
        slab: None,
        view: Some(viewer.saved()),
        result: Some(SavedResult {
            outline: Outline::of(explained.result()),
            asked: explained.asked().clone(),
            timing: explained.run.timing.clone(),
            stability: None,
            regions_above_hu: None,
        }),
        maps: None,
        mask: None,
    };
    write::save_by(path, replace, |out| write_session(out, &document, Some(explained.result()), &Beside::default()))
}

/// A result of rounded pixels, with their heatmap. The numbers that the networks gave stay.
fn rounded(result: Counterfactual, method: HeatmapMethod) -> Counterfactual {
    let round = |x: f32| (x / PIXEL).round().mul_add(PIXEL, 0.0); // no -0
    let voxels: Vec<f32> = result.reconstruction.voxels.iter().map(round).collect();
    let step = |step: &Step| Step { slab: step.slab.iter().copied().map(round).collect(), ..step.clone() };
    let steps: Vec<Step> = result.steps.iter().map(step).collect();
    let slab = result.slab_voxels();
    let mut heat = vec![0.0; voxels.len()];
    heat[slab.clone()].copy_from_slice(&heatmap(method, &steps, &voxels[slab]));
    let volume = |voxels| Volume::from_f32(result.grid, voxels);
    Counterfactual { steps, heatmap: volume(heat), reconstruction: volume(voxels), ..result }
}
