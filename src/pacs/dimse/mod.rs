//! DIMSE (PS3.7): C-ECHO, C-FIND, C-GET, C-MOVE and C-STORE over associations with the archive.

mod command;
mod connect;
mod find;
mod get;
mod line;
mod moved;
mod status;
mod store;
mod syntaxes;
mod tls;

use std::time::Duration;

use super::apart::{self, Out};
use super::error::Error;
use super::outgoing::{Answer, Outgoing};
use super::query::{Found, Instance, Query, Series, Study, Wanted};
use super::shelf::Arrival;
use super::source::{Dimse, Retrieve, Source};
use crate::job::Monitor;

/// How long an archive may say nothing: some fetch from tapes.
const SILENCE: Duration = Duration::from_mins(1);
/// How long nothing whole may come of an archive that drips.
const PATIENCE: Duration = Duration::from_secs(90);

/// What connects to a source, and says what is wrong with it.
#[derive(Clone)]
struct Peer {
    source: Source,
    dimse: Dimse,
}

impl Peer {
    fn of(source: &Source, dimse: &Dimse) -> Self {
        Self { source: source.clone(), dimse: dimse.clone() }
    }

    fn refused(&self, what: impl Into<String>) -> Error {
        Error::refused(what, &self.source)
    }

    fn broken(&self, what: impl Into<String>) -> Error {
        Error::broken(what, &self.source)
    }
}

/// Asks whether the archive answers.
pub(super) fn echo(source: &Source, dimse: &Dimse, monitor: &Monitor) -> Result<String, Error> {
    let peer = Peer::of(source, dimse);
    let talk = move |out: &Out<(), ()>| find::echo(&peer, out);
    apart::talk(source, PATIENCE, monitor, talk, |()| Ok(()))?;
    Ok("C-ECHO is answered".to_owned())
}

pub(super) fn studies(source: &Source, dimse: &Dimse, query: &Query, monitor: &Monitor) -> Result<Found<Study>, Error> {
    find::matches(source, dimse, find::of_studies(query), query.most(), monitor, |message| {
        let study = find::study(message);
        (study.study_uid.clone(), study)
    })
}

pub(super) fn series(source: &Source, dimse: &Dimse, query: &Query, monitor: &Monitor) -> Result<Found<Series>, Error> {
    let study_uid = query.study_uid.clone().unwrap_or_default();
    find::matches(source, dimse, find::of_series(query), query.most(), monitor, |message| {
        let series = find::series(message, &study_uid);
        (series.series_uid.clone(), series)
    })
}

pub(super) fn instances(
    source: &Source,
    dimse: &Dimse,
    study_uid: &str,
    series_uid: &str,
    monitor: &Monitor,
) -> Result<Vec<Instance>, Error> {
    let asked = find::of_instances(study_uid, series_uid);
    let found = find::matches(source, dimse, asked, find::MOST_INSTANCES, monitor, |message| {
        let instance = find::instance(message);
        (instance.uid.clone(), instance)
    })?;
    Ok(found.all)
}

/// Fetches by C-GET where the archive offers it, else by C-MOVE where a port is named.
pub(super) fn fetch(
    source: &Source,
    dimse: &Dimse,
    wanted: &Wanted,
    monitor: &Monitor,
    take: &mut dyn FnMut(Arrival) -> Result<(), Error>,
) -> Result<(), Error> {
    let peer = Peer::of(source, dimse);
    let by_move = |take: &mut dyn FnMut(Arrival) -> Result<(), Error>| {
        let (peer, wanted) = (peer.clone(), wanted.clone());
        apart::talk(source, PATIENCE, monitor, move |out: &Out<Arrival, ()>| moved::fetch(&peer, &wanted, out), take)
    };
    if dimse.retrieve == Retrieve::Move {
        return by_move(take);
    }
    let (asks, wants) = (peer.clone(), wanted.clone());
    let talk = move |out: &Out<Arrival, get::Given>| get::fetch(&asks, &wants, out);
    match apart::talk(source, PATIENCE, monitor, talk, &mut *take)? {
        get::Given::Done => Ok(()),
        get::Given::NotOffered if dimse.receive_port.is_some() && dimse.retrieve == Retrieve::Any => by_move(take),
        get::Given::NotOffered => Err(peer.refused(
            "the archive does not offer C-GET; where it knows this machine as a receiver, name its port (--receive-port), for C-MOVE",
        )),
    }
}

pub(super) fn send(
    source: &Source,
    dimse: &Dimse,
    objects: &[Outgoing],
    monitor: &Monitor,
    hear: &mut dyn FnMut(usize, Answer) -> Result<(), Error>,
) -> Result<(), Error> {
    let (peer, objects) = (Peer::of(source, dimse), objects.to_vec());
    let talk = move |out: &Out<(usize, Answer), ()>| store::send(&peer, &objects, out);
    apart::talk(source, PATIENCE, monitor, talk, |(at, answer)| hear(at, answer))
}
