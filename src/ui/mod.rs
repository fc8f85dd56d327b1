//! The window. `App::logic` polls the workers, `App::ui` draws, `App::apply` acts; one file per panel.

mod action;
mod annotations;
mod app;
mod arriving;
mod compute_panel;
mod display;
mod export_dialog;
mod fit_panel;
mod help;
mod input_panel;
mod keys;
mod lambda_bar;
mod measure;
mod measurements;
mod model_panel;
mod navigate;
mod open_scan;
mod panes;
mod picker;
mod picture;
mod presets;
mod preview;
mod published;
mod result_panel;
mod series_panel;
mod session;
mod session_file;
mod slice_bar;
mod stage;
mod start_panel;
mod status_bar;
mod theme;
mod toolbar;
mod viewer;
mod widgets;
mod wizard;

use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use eframe::egui::ViewportBuilder;

pub use app::App;
pub use picker::{Answer, Ask, Picker, SystemPicker};
pub use presets::presets_from_json;
pub use session_file::check_session;

use crate::catalogue::Entry;
use crate::gpu::raise_limits;
use crate::io::Choice;

const APP_ID: &str = "parallax";

/// What the window is opened with.
#[derive(Debug, Default)]
pub struct Start {
    /// Or a session file.
    pub scan: Option<PathBuf>,
    /// Which of the volumes of the scan's path.
    pub choice: Choice,
    pub autoencoder: Option<PathBuf>,
    pub classifier: Option<PathBuf>,
    pub segmenter: Option<PathBuf>,
    pub embedder: Option<PathBuf>,
    /// What the scan is compared with, by the embedder.
    pub toward: Option<PathBuf>,
    /// Class by name or number.
    pub target: Option<String>,
    /// Slices that may change; `None` = all.
    pub slab: Option<Range<usize>>,
    /// The built-in scan and networks, in place of all others; the run begins at once.
    pub demo: bool,
    /// What the page of published networks offers, in place of the catalogue.
    pub published: Option<Vec<Entry>>,
}

/// The folder that eframe keeps settings in is there, or can be made: it says nothing itself where it cannot.
fn settings_folder() -> anyhow::Result<()> {
    let folder = eframe::storage_dir(APP_ID).context("there is no home folder; set HOME")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// Opens the window, and returns when it is closed. The device is chosen and the computing threads are there.
pub fn run(start: Start) -> anyhow::Result<()> {
    let viewport = ViewportBuilder::default()
        .with_title("Parallax")
        .with_app_id(APP_ID)
        .with_inner_size([1440.0, 900.0])
        .with_min_inner_size([1024.0, 640.0]);
    let mut options = eframe::NativeOptions { viewport, ..eframe::NativeOptions::default() };
    raise_limits(&mut options.wgpu_options.wgpu_setup);
    if let Err(error) = settings_folder() {
        // A closed pipe leaves no one to tell.
        writeln!(std::io::stderr(), "parallax: what you choose will not be kept for the next time: {error:#}").ok();
    }
    eframe::run_native("parallax", options, Box::new(|cc| Ok(Box::new(App::new(cc, start, Box::new(SystemPicker))))))
        .map_err(|error| {
            anyhow!("the window cannot be opened: {error}; it needs a display and a Vulkan, Metal, DX12 or OpenGL driver; `parallax explain` needs neither")
        })
}
