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

use super::apart::{self, Out};
use super::archive::Archive;
use super::error::Error;
use super::outgoing::{Answer, Outgoing};
use super::query::{Found, Instance, Query, Series, Study, Wanted};
use super::setting::Setting;
use super::shelf::Arrival;
use super::source::{Dimse, Retrieve, Source};
use crate::job::Monitor;

/// What connects to a source, and says what is wrong with it.
#[derive(Clone)]
pub(super) struct Peer {
    source: Source,
    dimse: Dimse,
}

impl Peer {
    pub(super) fn of(source: &Source, dimse: &Dimse) -> Self {
        Self { source: source.clone(), dimse: dimse.clone() }
    }

    fn refused(&self, what: impl Into<String>) -> Error {
        Error::refused(what, &self.source)
    }

    fn broken(&self, what: impl Into<String>) -> Error {
        Error::broken(what, &self.source)
    }

    fn fetch_by_move(
        &self,
        wanted: &Wanted,
        monitor: &Monitor,
        take: &mut dyn FnMut(Arrival) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (peer, wanted) = (self.clone(), wanted.clone());
        let talk = move |out: &Out<Arrival, ()>| moved::fetch(&peer, &wanted, out);
        apart::talk(&self.source, monitor, talk, take)
    }
}

impl Archive for Peer {
    fn test(&self, monitor: &Monitor) -> Result<String, Error> {
        let peer = self.clone();
        apart::talk(&self.source, monitor, move |out: &Out<(), ()>| find::echo(&peer, out), |()| Ok(()))?;
        Ok("C-ECHO is answered".to_owned())
    }

    fn studies(&self, query: &Query, monitor: &Monitor) -> Result<Found<Study>, Error> {
        find::matches(self, find::of_studies(query), query.most(), monitor, |message| {
            let study = find::study(message);
            (study.study_uid.clone(), study)
        })
    }

    fn series(&self, query: &Query, monitor: &Monitor) -> Result<Found<Series>, Error> {
        let study_uid = query.study_uid.clone().unwrap_or_default();
        find::matches(self, find::of_series(query), query.most(), monitor, |message| {
            let series = find::series(message, &study_uid);
            (series.series_uid.clone(), series)
        })
    }

    fn instances(&self, study_uid: &str, series_uid: &str, monitor: &Monitor) -> Result<Vec<Instance>, Error> {
        let asked = find::of_instances(study_uid, series_uid);
        let found = find::matches(self, asked, find::MOST_INSTANCES, monitor, |message| {
            let instance = find::instance(message);
            (instance.uid.clone(), instance)
        })?;
        Ok(found.all)
    }

    /// Fetches by C-GET where the archive offers it, else by C-MOVE where a port is named.
    fn fetch(
        &self,
        wanted: &Wanted,
        monitor: &Monitor,
        take: &mut dyn FnMut(Arrival) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.dimse.retrieve == Retrieve::Move {
            return self.fetch_by_move(wanted, monitor, take);
        }
        let (asks, wants) = (self.clone(), wanted.clone());
        let talk = move |out: &Out<Arrival, get::Given>| get::fetch(&asks, &wants, out);
        match apart::talk(&self.source, monitor, talk, &mut *take)? {
            get::Given::Done => Ok(()),
            get::Given::NotOffered if self.dimse.receive_port.is_some() && self.dimse.retrieve == Retrieve::Any => {
                self.fetch_by_move(wanted, monitor, take)
            }
            get::Given::NotOffered => Err(self
                .refused("the archive does not offer C-GET; where it knows this machine as a receiver, for C-MOVE, name its port")
                .about(&[Setting::ReceivePort])),
        }
    }

    fn send(
        &self,
        objects: &[Outgoing],
        monitor: &Monitor,
        hear: &mut dyn FnMut(usize, Answer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (peer, objects) = (self.clone(), objects.to_vec());
        let talk = move |out: &Out<(usize, Answer), ()>| store::send(&peer, &objects, out);
        apart::talk(&self.source, monitor, talk, |(at, answer)| hear(at, answer))
    }
}
