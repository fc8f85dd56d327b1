//! A scan that is open, with what panels say of it.

use std::path::PathBuf;
use std::sync::Arc;

use glam::DVec3;

use super::arriving::{Arriving, Listing};
use super::open_mask::{Opened, Whence};
use crate::frame::camera::Camera;
use crate::frame::{Generated, Layers, Plane, Window};
use crate::insertion::Chest;
use crate::io::{self, Choice, Note, Scan};
use crate::job::Monitor;
use crate::pipeline::{self, DrawnInput, Input, Inserted, Insertion};
use crate::preprocess::Recipe;

pub struct OpenScan {
    /// `None` for what was drawn, not opened.
    pub path: Option<PathBuf>,
    pub input: Arc<Input>,
    /// The scan on its own grid, HU.
    pub layers: Arc<Layers>,
    /// The window that the scan asks for, or the preset for soft tissue.
    pub window: Window,
    /// The input check, the weightiest first.
    pub notes: Vec<Note>,
    /// What else its path holds; `None` where it holds this scan alone.
    pub listing: Option<Arc<Listing>>,
    /// What it was drawn from; none where it is as it was opened.
    pub drawn: Option<Arc<Drawn>>,
    /// What its series is called, where its path is named by a UID.
    called: Option<String>,
}

/// The scan that a finding was drawn into, and what of the new one is the finding.
pub struct Drawn {
    original: Arc<OpenScan>,
    pub mask: Arc<Opened>,
    /// Where to look for it first, RAS+ millimetres.
    pub middle: DVec3,
}

/// An axial slice as the viewer counts it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AxialSlice {
    /// The number of the slice, counted from 1.
    pub number: usize,
    pub of: usize,
    /// Towards the head, patient space.
    pub z_mm: f64,
}

impl std::fmt::Display for AxialSlice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, of, z_mm } = self;
        write!(f, "axial slice {number} of {of} ({z_mm:.1} mm)")
    }
}

impl OpenScan {
    /// Opens an input that lies in no file.
    pub fn drawn(input: Input) -> Self {
        Self::new(input, None, None)
    }

    /// Opens and prepares what is arriving.
    pub fn open(path: PathBuf, arriving: &Arriving, recipe: &Recipe, monitor: &Monitor) -> anyhow::Result<Self> {
        let show = |arrival| arriving.take(arrival);
        let input = pipeline::open_and_show(&path, &arriving.choice, recipe, monitor, &show)?;
        let series = input.scan.as_ref().map(|scan| scan.among.series.clone()).unwrap_or_default();
        let listing = (!series.is_empty()).then(|| Arc::new(Listing::of(series, arriving.listing().as_deref())));
        Ok(Self::new(input, Some(path), listing))
    }

    fn new(input: Input, path: Option<PathBuf>, listing: Option<Arc<Listing>>) -> Self {
        let window = Window::stored(input.scan.as_ref().and_then(|scan| scan.window_hu));
        let layers = Arc::new(Layers { scan: input.display_volume(), shift: None, map: None });
        let called = path.as_deref().and_then(io::series_name);
        Self { notes: input.notes(), window, layers, input: Arc::new(input), path, listing, drawn: None, called }
    }

    /// Draws a finding into a scan as it was opened, in which `chest` was found.
    pub fn with_finding(
        original: &Arc<Self>,
        chest: &Chest,
        asked: Insertion,
        monitor: &Monitor,
    ) -> anyhow::Result<Self> {
        let recipe = &original.input.prepared.recipe;
        let DrawnInput { input, mask, middle } = pipeline::insert(&original.input, chest, asked, recipe, monitor)?;
        let mask = Arc::new(Opened { whence: Whence::Drawn(asked.finding), mask });
        let drawn = Some(Arc::new(Drawn { original: Arc::clone(original), mask, middle }));
        let (path, listing) = (original.path.clone(), original.listing.clone());
        Ok(Self { drawn, window: original.window, ..Self::new(input, path, listing) })
    }

    /// The scan as it was opened, whatever was drawn into it since.
    pub fn undrawn(&self) -> &Self {
        self.drawn.as_ref().map_or(self, |drawn| &drawn.original)
    }

    /// The scan as it was opened, as a reference that keeps it.
    pub fn original(scan: &Arc<Self>) -> Arc<Self> {
        scan.drawn.as_ref().map_or_else(|| Arc::clone(scan), |drawn| Arc::clone(&drawn.original))
    }

    /// What was drawn into it.
    pub fn inserted(&self) -> Option<&Inserted> {
        self.input.inserted.as_deref()
    }

    /// How its pictures are marked: those of a scan as it was opened are not.
    pub fn generated(&self) -> Option<Generated> {
        self.inserted().map(Generated::of)
    }

    /// Prepares the scan for other networks; its pictures stay.
    pub fn prepared_again(&self, opened: &Arc<Scan>, recipe: &Recipe, monitor: &Monitor) -> anyhow::Result<Self> {
        let input = pipeline::prepare(opened, recipe, monitor)?.with_inserted(self.input.inserted.clone());
        let (layers, path, listing) = (Arc::clone(&self.layers), self.path.clone(), self.listing.clone());
        let (window, called, drawn) = (self.window, self.called.clone(), self.drawn.clone());
        Ok(Self { notes: input.notes(), window, layers, input: Arc::new(input), path, listing, drawn, called })
    }

    /// Slices of the stack that the networks see: what slabs are counted in.
    pub fn stack_slices(&self) -> usize {
        self.input.prepared.volume.grid.shape[2]
    }

    /// The slice of the scan, as the viewer counts axial slices, where slice `k` of the stack lies.
    pub fn axial(&self, k: usize) -> AxialSlice {
        let (stack, grid) = (&self.input.prepared.volume.grid, &self.layers.scan.grid);
        let [ni, nj, _] = stack.shape.map(|n| n as f64 / 2.0);
        let center = stack.world_from_voxel.transform_point3(DVec3::new(ni, nj, k as f64));
        let camera = Camera { center, ..Camera::fit(grid, Plane::Axial, [1, 1]) };
        AxialSlice { number: camera.slice(grid) + 1, of: camera.slices(grid), z_mm: center.z }
    }

    /// The slice of the stack that lies nearest to one that the viewer counts.
    pub fn stack_slice(&self, number: usize) -> usize {
        let far = |k: &usize| self.axial(*k).number.abs_diff(number);
        (0..self.stack_slices()).min_by_key(far).unwrap_or(0)
    }

    /// What its file, folder or series is called, which of the volumes there it is, and what was drawn into it.
    pub fn name(&self) -> String {
        let drawn = self
            .inserted()
            .map(|Inserted { asked, .. }| format!("SYNTHETIC {} {:.2}", asked.finding.name(), asked.dial));
        [Some(self.name_as_opened()), drawn].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn name_as_opened(&self) -> String {
        let Some(path) = &self.path else { return "The demo's phantom".to_owned() };
        let of_path = || path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let name = self.called.clone().unwrap_or_else(of_path);
        let among = self.input.scan.as_ref().map(|scan| &scan.among);
        let series = among.filter(|among| among.series.len() > 1).map(|among| format!("series {}", among.number));
        let volume = among.filter(|among| among.volumes > 1).map(|among| format!("volume {}", among.volume));
        [Some(name), series, volume].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// What opens another volume in time of this path.
    pub fn at_volume(&self, volume: usize) -> Choice {
        Choice { volume: Some(volume), ..self.input.choice() }
    }
}
