//! Questions to a source: whether it answers, and which studies and series it has.

use super::choose;
use super::error::Error;
use super::query::{Found, Query, Series, Study};
use super::secret::Secret;
use super::setting::Setting;
use super::source::Source;
use crate::job::Monitor;

/// Asks a source for no more than an answer; says in words what answered.
pub fn test(source: &Source, secret: Option<&Secret>, monitor: &Monitor) -> Result<String, Error> {
    source.check()?;
    monitor.step("asking the source", 0, 0)?;
    choose::archive(source, secret)?.test(monitor)
}

/// The studies of a source that a query suits.
pub fn studies(
    source: &Source,
    secret: Option<&Secret>,
    query: &Query,
    monitor: &Monitor,
) -> Result<Found<Study>, Error> {
    query.check()?;
    source.check()?;
    monitor.step("asking for studies", 0, 0)?;
    choose::archive(source, secret)?.studies(query, monitor)
}

/// The series of the query's study.
pub fn series(
    source: &Source,
    secret: Option<&Secret>,
    query: &Query,
    monitor: &Monitor,
) -> Result<Found<Series>, Error> {
    query.check()?;
    source.check()?;
    if query.study_uid.is_none() {
        return Err(Error::asked("series are found within a study; name its UID").about(&[Setting::Study]));
    }
    monitor.step("asking for series", 0, 0)?;
    choose::archive(source, secret)?.series(query, monitor)
}
