//! A scan that is open, with what panels say of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::arriving::{Arriving, Listing};
use crate::frame::{Layers, Window};
use crate::io::{Choice, Note, Scan};
use crate::job::Monitor;
use crate::pipeline::{self, Input};
use crate::preprocess::Recipe;

pub(super) struct OpenScan {
    /// `None` for what was drawn, not opened.
    pub(super) path: Option<PathBuf>,
    pub(super) input: Input,
    /// The scan on its own grid, HU.
    pub(super) layers: Arc<Layers>,
    /// The window that the scan asks for, or the preset for soft tissue.
    pub(super) window: Window,
    /// The input check, the weightiest first.
    pub(super) notes: Vec<Note>,
    /// What else its path holds; `None` where it holds this scan alone.
    pub(super) listing: Option<Arc<Listing>>,
}

impl OpenScan {
    /// Of an input that lies in no file.
    pub(super) fn drawn(input: Input) -> Self {
        Self::new(input, None, None)
    }

    /// Opens and prepares what is arriving.
    pub(super) fn open(path: PathBuf, arriving: &Arriving, recipe: &Recipe, monitor: &Monitor) -> anyhow::Result<Self> {
        let show = |arrival| arriving.take(arrival);
        let input = pipeline::open_and_show(&path, &arriving.choice, recipe, monitor, &show)?;
        let series = input.scan.as_ref().map(|scan| scan.among.series.clone()).unwrap_or_default();
        let listing = (!series.is_empty()).then(|| Arc::new(Listing::of(series, arriving.listing().as_deref())));
        Ok(Self::new(input, Some(path), listing))
    }

    fn new(input: Input, path: Option<PathBuf>, listing: Option<Arc<Listing>>) -> Self {
        let window = Window::stored(input.scan.as_ref().and_then(|scan| scan.window_hu));
        let layers = Arc::new(Layers { scan: input.display_volume(), shift: None });
        Self { notes: input.notes(), window, layers, input, path, listing }
    }

    /// The same scan, prepared for other networks: pictures of it stay.
    pub(super) fn prepared_again(
        &self,
        opened: &Arc<Scan>,
        recipe: &Recipe,
        monitor: &Monitor,
    ) -> anyhow::Result<Self> {
        let input = pipeline::prepare(opened, recipe, monitor)?;
        let (layers, path, listing) = (Arc::clone(&self.layers), self.path.clone(), self.listing.clone());
        Ok(Self { notes: input.notes(), window: self.window, layers, input, path, listing })
    }

    /// Slices of the stack that the networks see: what slabs are counted in.
    pub(super) fn stack_slices(&self) -> usize {
        self.input.prepared.volume.grid.shape[2]
    }

    /// What its file or folder is called, and which of the volumes there it is.
    pub(super) fn name(&self) -> String {
        let Some(path) = &self.path else { return "The demo's phantom".to_owned() };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let among = self.input.scan.as_ref().map(|scan| &scan.among);
        let series = among.filter(|among| among.series.len() > 1).map(|among| format!("series {}", among.number));
        let volume = among.filter(|among| among.volumes > 1).map(|among| format!("volume {}", among.volume));
        [Some(name), series, volume].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The same path with another one of its volumes in time.
    pub(super) fn at_volume(&self, volume: usize) -> Choice {
        Choice { volume: Some(volume), ..self.input.choice() }
    }
}
