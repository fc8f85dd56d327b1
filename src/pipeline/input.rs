//! What goes into the networks: a scan that is opened or drawn and prepared, or a stack from a file.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow};

use super::inserted::Inserted;
use super::stack::{is_stack, stack};
use super::{BadInput, choice, chosen};
use crate::io::{self, Among, Arrival, Choice, Note, Scan};
use crate::job::Monitor;
use crate::preprocess::{self, Prepared, Recipe};
use crate::volume::Volume;
use crate::volume::phantom::{self, Dials, Phantom, Version};

/// What goes into the networks: a scan with its preparation, or a stack from a file, which skips it.
#[derive(Debug, Clone)]
pub struct Input {
    pub scan: Option<Arc<Scan>>,
    pub prepared: Prepared,
    /// What was drawn into the scan; none where it is as it was opened.
    pub inserted: Option<Arc<Inserted>>,
    sha256: OnceLock<String>,
}

impl Input {
    pub(super) fn new(scan: Option<Arc<Scan>>, prepared: Prepared) -> Self {
        Self { scan, prepared, inserted: None, sha256: OnceLock::new() }
    }

    /// This input, which says what was drawn into its scan.
    #[must_use]
    pub fn with_inserted(self, inserted: Option<Arc<Inserted>>) -> Self {
        Self { inserted, ..self }
    }

    /// The scan's own volume in HU; a bare stack in the HU that its recipe gives it.
    pub fn display_volume(&self) -> Volume {
        if let Some(scan) = &self.scan {
            scan.volume.clone()
        } else {
            let [slope, offset] = self.prepared.recipe.hu_from_unit();
            let hu: Vec<f32> = self.prepared.volume.voxels.iter().map(|x| slope * x + offset).collect();
            Volume::from_f32(self.prepared.volume.grid, hu)
        }
    }

    /// What opens this input again where its path holds more than one volume.
    pub fn choice(&self) -> Choice {
        self.scan.as_deref().map(choice).unwrap_or_default()
    }

    /// SHA-256 of the voxels, hex. The first call computes it, as long as [`Scan::sha256`] does.
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| match &self.scan {
            Some(scan) => scan.sha256(),
            None => io::voxels_sha256(&self.prepared.volume.voxels),
        })
    }
}

/// Opens a scan and prepares it by a recipe; or a `.safetensors` stack, which is taken as it is.
pub fn open(path: &Path, recipe: &Recipe, monitor: &Monitor) -> Result<Input> {
    open_chosen(path, &Choice::default(), recipe, monitor)
}

/// Opens and prepares the chosen one of the volumes that a path holds.
pub fn open_chosen(path: &Path, choice: &Choice, recipe: &Recipe, monitor: &Monitor) -> Result<Input> {
    open_and_show(path, choice, recipe, monitor, &|_| {})
}

/// Opens and prepares a scan; `show` is given what the path holds and a few slices while the others are still being read.
pub fn open_and_show(
    path: &Path,
    choice: &Choice,
    recipe: &Recipe,
    monitor: &Monitor,
    show: &dyn Fn(Arrival),
) -> Result<Input> {
    if is_stack(path) {
        chosen::refuse(choice, "a stack of slices", path)?;
        let prepared = stack(path, recipe).map_err(BadInput::mark)?;
        return Ok(Input::new(None, prepared));
    }
    let scan = io::open_and_show(path, choice, monitor, show).map_err(BadInput::mark)?;
    prepare(&Arc::new(scan), recipe, monitor)
}

/// Prepares an open scan for other networks.
pub fn prepare(scan: &Arc<Scan>, recipe: &Recipe, monitor: &Monitor) -> Result<Input> {
    let prepared = preprocess::prepare(&scan.volume, recipe, monitor).map_err(|error| match error {
        preprocess::Error::Cancelled(cancelled) => cancelled.into(),
        why => {
            BadInput::mark(anyhow!("the scan cannot be prepared for the networks: {why}: {}", scan.source.display()))
        }
    })?;
    Ok(Input::new(Some(Arc::clone(scan)), prepared))
}

/// Draws a phantom of the first version, which is a scan like any other, and prepares it.
pub fn draw(seed: u64, dials: Dials, recipe: &Recipe, monitor: &Monitor) -> Result<(Phantom, Input)> {
    draw_version(Version::First, seed, dials, recipe, monitor)
}

/// Draws a phantom of a version, and prepares it.
pub fn draw_version(
    version: Version,
    seed: u64,
    dials: Dials,
    recipe: &Recipe,
    monitor: &Monitor,
) -> Result<(Phantom, Input)> {
    let phantom = version.draw(seed, dials, monitor).map_err(|error| match error {
        phantom::Error::Cancelled(cancelled) => cancelled.into(),
        phantom::Error::Dial(dial) => BadInput::mark(dial),
        phantom::Error::Raster(raster) => BadInput::mark(raster),
    })?;
    let which = match version {
        Version::First => String::new(),
        later @ Version::Second => format!(", version {}", later.number()),
    };
    let scan = Scan {
        volume: phantom.volume.clone(),
        source: format!("phantom {seed}{which}").into(),
        format: format!("drawn by Parallax, seed {seed}{which}"),
        geometry: io::Geometry::Sform,
        notes: vec![Note::caution("SYNTHETIC: a drawn phantom, no patient")],
        window_hu: None,
        study: None,
        among: Among::default(),
    };
    let input = prepare(&Arc::new(scan), recipe, monitor)?;
    Ok((phantom, input))
}
