//! One test binary: each further one would link wgpu and candle again.
mod support;

mod architecture;
mod audit;
mod checkpoints;
mod command;
mod demo;
mod dicom;
mod exports;
mod gradients;
mod models;
mod ops;
mod path;
mod phantom;
mod preparation;
mod quality;
mod record;
mod result_panel;
mod runs;
mod scans;
mod schema;
mod search;
mod shaders;
mod tiny_models;
mod views;
mod whole;
mod window;
