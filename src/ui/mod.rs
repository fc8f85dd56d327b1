//! The window. `App::logic` polls the workers, `App::ui` draws, `App::apply` acts; one file per panel.

mod annotations;
mod app;
mod archive;
mod cohort;
mod commands;
mod compare_bar;
mod compute_panel;
mod export_dialog;
mod fit_panel;
mod gallery_panel;
mod hangings;
mod help;
mod in_turn;
mod input_panel;
mod insert_panel;
mod key_names;
mod keys;
mod lambda_bar;
mod lens;
mod measure;
mod methods_panel;
mod model_panel;
mod navigate;
mod notes;
mod own_keys;
mod palette;
mod pane_menu;
mod panes;
mod patient_bar;
mod picker;
mod pixels;
mod places;
mod presets;
mod preview;
mod progress;
mod published;
mod result_panel;
mod send;
mod series_panel;
mod session_panel;
mod slice_bar;
mod start_panel;
mod status_bar;
mod study;
mod textures;
mod theme;
mod toasts;
mod toolbar;
mod widgets;
mod wizard;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use egui::ViewportBuilder;

pub use app::App;
pub use picker::{Answer, Ask, Picker, SystemPicker};

pub use crate::session::Start;

use crate::catalogue;
use crate::export::write;
use crate::gpu::raise_limits;
use crate::machine::desktop;

const APP_ID: &str = "parallax";

/// The folder that settings and the window's place are kept in, which is there or is made now.
fn settings_folder() -> anyhow::Result<PathBuf> {
    let folder = eframe::storage_dir(APP_ID).context("there is no home folder; set HOME")?;
    write::make_private_folder(&folder)?;
    Ok(folder)
}

/// Opens the window, and returns when it is closed. The device is chosen and the computing threads are there.
pub fn run(mut start: Start) -> anyhow::Result<()> {
    start.results = start.results.or_else(|| Some(catalogue::data_folder()?.join("results")));
    let viewport = ViewportBuilder::default()
        .with_title("Parallax")
        .with_app_id(APP_ID)
        .with_inner_size([1440.0, 900.0])
        .with_min_inner_size([1024.0, 640.0]);
    let mut options = eframe::NativeOptions { viewport, ..eframe::NativeOptions::default() };
    raise_limits(&mut options.wgpu_options.wgpu_setup);
    match settings_folder() {
        Ok(folder) => start.settings = start.settings.or_else(|| Some(folder.join("settings.json"))),
        Err(error) => {
            // A closed pipe leaves no one to tell.
            writeln!(std::io::stderr(), "parallax: what you choose will not be kept for the next time: {error:#}").ok();
        }
    }
    eframe::run_native("parallax", options, Box::new(|cc| Ok(Box::new(App::new(cc, start, Box::new(SystemPicker))))))
        .map_err(|error| anyhow!(desktop::no_window(&error.to_string())))
}
