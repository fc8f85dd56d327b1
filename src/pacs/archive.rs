//! What an archive can be asked, whatever it speaks.

use super::error::Error;
use super::outgoing::{Answer, Outgoing};
use super::query::{Found, Instance, Query, Series, Study, Wanted};
use super::shelf::Arrival;
use crate::job::Monitor;

/// An archive that a source names. Each call asks it for one thing, ends at once when the monitor is cancelled, and waits for nothing
/// without end.
pub(super) trait Archive {
    /// Asks for no more than an answer; says in words what answered.
    fn test(&self, monitor: &Monitor) -> Result<String, Error>;

    /// The studies that a query suits.
    fn studies(&self, query: &Query, monitor: &Monitor) -> Result<Found<Study>, Error>;

    /// The series of the query's study.
    fn series(&self, query: &Query, monitor: &Monitor) -> Result<Found<Series>, Error>;

    /// The instances of a series, each once.
    fn instances(&self, study_uid: &str, series_uid: &str, monitor: &Monitor) -> Result<Vec<Instance>, Error>;

    /// Fetches what is missing of a series; `take` is given each instance's bytes in pieces.
    fn fetch(
        &self,
        wanted: &Wanted,
        monitor: &Monitor,
        take: &mut dyn FnMut(Arrival) -> Result<(), Error>,
    ) -> Result<(), Error>;

    /// Sends objects; `hear` is told the answer to each, by its place among them.
    fn send(
        &self,
        objects: &[Outgoing],
        monitor: &Monitor,
        hear: &mut dyn FnMut(usize, Answer) -> Result<(), Error>,
    ) -> Result<(), Error>;
}
