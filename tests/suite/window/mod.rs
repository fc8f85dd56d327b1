//! The window, and its state without a window.

pub(crate) mod access;
pub(crate) mod beside;
pub(crate) mod driven;
pub(crate) mod export_dialog;
pub(crate) mod findings;
pub(crate) mod fit_line;
pub(crate) mod hangings;
pub(crate) mod input_check;
pub(crate) mod measurements;
pub(crate) mod narrow;
pub(crate) mod palette;
#[cfg(feature = "network")]
pub(crate) mod published;
pub(crate) mod repeats;
pub(crate) mod result_panel;
pub(crate) mod sessions;
pub(crate) mod shaders;
pub(crate) mod slab_fields;
pub(crate) mod slow_frames;
pub(crate) mod snapshots;
pub(crate) mod study;
pub(crate) mod told;
pub(crate) mod views;
pub(crate) mod without_window;
