//! The session behind the window, without a window: what is open, what is computed, what is looked at, and what leaves.
//!
//! Everything that happens is an [`action::Action`]; [`Session::apply`] acts. [`Session::tick`] takes what workers have answered.
//! Panels only read and push actions, and so does a test that has no window:
//!
//! ```
//! use parallax::session::{Session, action::View, worker::Worker};
//! use parallax::settings::Settings;
//!
//! let mut session = Session::new(Settings::default(), parallax::catalogue::all().to_vec(), Worker::new(|| {}));
//! session.apply(View::TogglePlay.into());
//! assert!(session.view.playing.is_none(), "nothing plays while no scan is open");
//! ```

pub mod action;
mod answered;
mod apply;
pub mod archive;
pub mod arriving;
pub mod cohort;
pub mod demo;
pub mod dialog;
pub mod document;
pub mod explained;
pub mod exporting;
pub mod file;
pub mod gallery;
pub mod model;
pub mod network;
pub mod open_mask;
pub mod open_scan;
mod pages;
pub mod picture;
pub mod published;
pub mod recent;
pub mod saved_scan;
mod showing;
pub mod shown;
mod sides;
pub mod stage;
mod start;
pub mod study;
pub mod toasts;
mod undo;
pub mod unseen;
pub mod view;
pub mod wizard;
pub mod worker;

pub use self::apply::Session;
pub use self::document::check_session;
pub use self::start::Start;
