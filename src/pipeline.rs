//! open -> prepare -> predict -> explain: the one path through the program, used by the window and by the command line.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use crate::io::Scan;
use crate::job::Monitor;
use crate::latent_shift::Counterfactual;
use crate::models::{Autoencoder, Classifier, Segmenter};
use crate::preprocess::Prepared;

/// What goes into the networks: a scan with its preparation, or a stack from a file, which skips it.
#[derive(Debug, Clone)]
pub struct Input {
    pub scan: Option<Arc<Scan>>,
    pub prepared: Prepared,
}

/// A network with where it came from.
pub struct Model<T: ?Sized> {
    pub network: Arc<T>,
    /// Name of the card or checkpoint, for people.
    pub name: String,
    /// SHA-256 of the checkpoint file, hex.
    pub sha256: String,
}

/// What gives the score.
#[derive(Clone)]
pub enum Target {
    /// Weighted sum of class probabilities: `(label index, weight)`, plus `offset`.
    Classes { classifier: Arc<Model<dyn Classifier>>, terms: Vec<(usize, f64)>, offset: f64 },
    /// 1 - mean of the segmenter's p/(1+p) over its first channel.
    LungSize { segmenter: Arc<Model<dyn Segmenter>> },
}

/// Everything `explain` is told.
#[derive(Clone)]
pub struct Request {
    pub autoencoder: Arc<Model<dyn Autoencoder>>,
    pub target: Target,
    /// Slices that may change; `None` = all.
    pub slab: Option<Range<usize>>,
    pub options: crate::latent_shift::Options,
}

/// Opens a scan or a stack and prepares it.
pub fn open(path: &Path, monitor: &Monitor) -> Result<Input> { todo!() }
pub fn load_autoencoder(card: &Path, monitor: &Monitor) -> Result<Arc<Model<dyn Autoencoder>>> { todo!() }
pub fn load_classifier(card: &Path, monitor: &Monitor) -> Result<Arc<Model<dyn Classifier>>> { todo!() }
pub fn load_segmenter(card: &Path, monitor: &Monitor) -> Result<Arc<Model<dyn Segmenter>>> { todo!() }
/// `(label, probability)` by label index.
pub fn predict(input: &Input, classifier: &dyn Classifier, monitor: &Monitor) -> Result<Vec<(String, f64)>> { todo!() }
/// The whole run. A run cancelled after its first steps gives `Ok` with `complete == false` and what there is.
pub fn explain(input: &Input, request: &Request, monitor: &Monitor) -> Result<Counterfactual> { todo!() }
