//! Hospitals' archives of images (PACS): what they hold, scans fetched from them, results sent to them.
//!
//! A [`Source`] is an archive under a name that the user chose, reached by DICOMweb or by DIMSE. Nothing here reaches out by itself:
//! each call asks one source for one thing. What is fetched lies in a cache of the user's own, or where the user says, under the
//! names that DICOM gives objects and never under what a patient is called. Passwords are never written down: see [`Secret`].

mod archive;
mod ask;
mod cache;
mod choose;
mod error;
mod fetch;
mod log;
mod middle;
mod outgoing;
mod place;
mod query;
mod secret;
mod send;
mod setting;
mod shelf;
mod source;
mod sources;

#[cfg(feature = "network")]
mod apart;
#[cfg(feature = "network")]
mod dimse;
#[cfg(feature = "network")]
mod pace;
#[cfg(feature = "network")]
mod web;

pub use ask::{series, studies, test};
pub use cache::{Cleared, clear};
pub use error::Error;
pub use fetch::{Fetched, Where, fetch};
pub use log::sent_log;
pub use middle::middle;
pub use outgoing::Answer;
pub use place::Address;
pub use query::{Days, Found, Query, Series, Study};
pub use secret::{PASSWORD_VARIABLE, Secret, Stored, forget, remember, stored};
pub use send::{Sent, send, send_and_tell};
pub use setting::Setting;
pub use source::{Access, Certificates, Dimse, Login, Retrieve, Source, Web};
pub use sources::{Sources, load, save, sources_file};
