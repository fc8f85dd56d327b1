//! One test binary: each further one would link wgpu and candle again. A build without network is tested for that alone.
#![cfg_attr(
    not(feature = "network"),
    expect(dead_code, unused_imports, reason = "the tests that use the rest are of a build with network")
)]

mod support;

#[cfg(feature = "network")]
mod command_line;
#[cfg(feature = "network")]
mod encoders;
#[cfg(feature = "network")]
mod exports;
#[cfg(feature = "network")]
mod house;
#[cfg(feature = "network")]
mod method;
#[cfg(feature = "network")]
mod networks;
#[cfg(feature = "network")]
mod pacs;
#[cfg(feature = "network")]
mod scans;
#[cfg(feature = "network")]
mod schema;
mod tiny_models;
#[cfg(feature = "network")]
mod window;

#[cfg(not(feature = "network"))]
mod house {
    pub(crate) mod offline;
}
#[cfg(not(feature = "network"))]
mod window {
    pub(crate) mod driven;
}
