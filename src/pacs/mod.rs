//! Hospitals' archives of images (PACS): what they hold, scans fetched from them, results sent to them.
//!
//! A [`Source`] is an archive under a name that the user chose, reached by DICOMweb or by DIMSE. Nothing here reaches out by itself:
//! each call asks one source for one thing. What is fetched lies in a cache of the user's own, or where the user says, under the
//! names that DICOM gives objects and never under what a patient is called. Passwords are never written down: see [`Secret`].

mod ask;
mod cache;
mod error;
mod fetch;
mod log;
mod middle;
mod outgoing;
mod place;
mod query;
mod secret;
mod send;
mod shelf;
mod source;
mod sources;

#[cfg(feature = "network")]
mod apart;
#[cfg(feature = "network")]
mod dimse;
#[cfg(feature = "network")]
mod remote;
#[cfg(feature = "network")]
mod web;

#[cfg(not(feature = "network"))]
mod remote {
    //! A build without network: whoever is asked, no one is reached.

    use super::error::Error;
    use super::outgoing::{Answer, Outgoing};
    use super::query::{Found, Query, Series, Study};
    use super::secret::Secret;
    use super::shelf::Arrival;
    use super::source::Source;
    use crate::job::Monitor;

    pub(super) fn test(source: &Source, _: Option<&Secret>, _: &Monitor) -> Result<String, Error> {
        Err(Error::no_network(source))
    }

    pub(super) fn studies(source: &Source, _: Option<&Secret>, _: &Query, _: &Monitor) -> Result<Found<Study>, Error> {
        Err(Error::no_network(source))
    }

    pub(super) fn series(source: &Source, _: Option<&Secret>, _: &Query, _: &Monitor) -> Result<Found<Series>, Error> {
        Err(Error::no_network(source))
    }

    pub(super) fn instances(
        source: &Source,
        _: Option<&Secret>,
        _: &str,
        _: &str,
        _: &Monitor,
    ) -> Result<Vec<super::query::Instance>, Error> {
        Err(Error::no_network(source))
    }

    pub(super) fn fetch(
        source: &Source,
        _: Option<&Secret>,
        _: &super::query::Wanted,
        _: &Monitor,
        _: &mut dyn FnMut(Arrival) -> Result<(), Error>,
    ) -> Result<(), Error> {
        Err(Error::no_network(source))
    }

    pub(super) fn send(
        source: &Source,
        _: Option<&Secret>,
        _: &[Outgoing],
        _: &Monitor,
        _: &mut dyn FnMut(usize, Answer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        Err(Error::no_network(source))
    }
}

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
pub use source::{Certificates, Dimse, Kind, Login, Retrieve, Source, Web};
pub use sources::{Sources, load, save, sources_file};
