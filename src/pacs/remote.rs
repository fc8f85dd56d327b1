//! Each kind of source by its own protocol.

use super::error::Error;
use super::outgoing::{Answer, Outgoing};
use super::query::{Found, Instance, Query, Series, Study, Wanted};
use super::secret::Secret;
use super::shelf::Arrival;
use super::source::{Kind, Source};
use super::{dimse, web};
use crate::job::Monitor;

pub(super) fn test(source: &Source, secret: Option<&Secret>, monitor: &Monitor) -> Result<String, Error> {
    match &source.kind {
        Kind::DicomWeb(web) => web::Client::new(source, web, secret)?.test(monitor),
        Kind::Dimse(peer) => dimse::echo(source, peer, monitor),
    }
}

pub(super) fn studies(
    source: &Source,
    secret: Option<&Secret>,
    query: &Query,
    monitor: &Monitor,
) -> Result<Found<Study>, Error> {
    match &source.kind {
        Kind::DicomWeb(web) => web::Client::new(source, web, secret)?.studies(query, monitor),
        Kind::Dimse(peer) => dimse::studies(source, peer, query, monitor),
    }
}

pub(super) fn series(
    source: &Source,
    secret: Option<&Secret>,
    query: &Query,
    monitor: &Monitor,
) -> Result<Found<Series>, Error> {
    match &source.kind {
        Kind::DicomWeb(web) => web::Client::new(source, web, secret)?.series(query, monitor),
        Kind::Dimse(peer) => dimse::series(source, peer, query, monitor),
    }
}

/// The instances of a series, each once.
pub(super) fn instances(
    source: &Source,
    secret: Option<&Secret>,
    study_uid: &str,
    series_uid: &str,
    monitor: &Monitor,
) -> Result<Vec<Instance>, Error> {
    match &source.kind {
        Kind::DicomWeb(web) => web::Client::new(source, web, secret)?.instances(study_uid, series_uid, monitor),
        Kind::Dimse(peer) => dimse::instances(source, peer, study_uid, series_uid, monitor),
    }
}

/// Fetches what is missing of a series; `take` is given each instance's bytes in pieces.
pub(super) fn fetch(
    source: &Source,
    secret: Option<&Secret>,
    wanted: &Wanted,
    monitor: &Monitor,
    take: &mut dyn FnMut(Arrival) -> Result<(), Error>,
) -> Result<(), Error> {
    match &source.kind {
        Kind::DicomWeb(web) => web::Client::new(source, web, secret)?.fetch(wanted, monitor, take),
        Kind::Dimse(peer) => dimse::fetch(source, peer, wanted, monitor, take),
    }
}

/// Sends objects; `hear` is told the answer to each, by its place among them.
pub(super) fn send(
    source: &Source,
    secret: Option<&Secret>,
    objects: &[Outgoing],
    monitor: &Monitor,
    hear: &mut dyn FnMut(usize, Answer) -> Result<(), Error>,
) -> Result<(), Error> {
    match &source.kind {
        Kind::DicomWeb(web) => web::Client::new(source, web, secret)?.send(objects, monitor, hear),
        Kind::Dimse(peer) => dimse::send(source, peer, objects, monitor, hear),
    }
}
