//! Parallax
pub mod cli;
pub mod export;
pub mod frame;
pub mod gpu;
pub mod io;
pub mod job;
pub mod latent_shift;
pub mod models;
pub mod nn;
pub mod pipeline;
pub mod preprocess;
pub mod settings;
pub mod ui;
pub mod volume;
pub mod weights;
