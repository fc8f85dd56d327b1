//! One test binary: each further one would link wgpu and candle again.
mod support;

mod command_line;
mod encoders;
mod exports;
mod house;
mod method;
mod networks;
#[cfg(feature = "network")]
mod pacs;
mod scans;
mod schema;
mod tiny_models;
mod window;
