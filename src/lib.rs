//! x
pub mod job;
pub mod volume;
pub mod nn;
pub mod models;
pub mod latent_shift;
pub mod weights;
pub mod preprocess;
pub mod io;
