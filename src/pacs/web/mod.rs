//! DICOMweb (PS3.18): QIDO-RS finds, WADO-RS fetches, STOW-RS stores.

mod call;
mod json;
mod multipart;
mod store;

use std::collections::BTreeSet;

use self::call::Asks;
use self::json::Object;
use super::archive::Archive;
use super::error::Error;
use super::outgoing::{Answer, Outgoing};
use super::query::{Found, Instance, Query, Series, Study, Wanted};
use super::secret::Secret;
use super::shelf::Arrival;
use super::source::{Source, Web};
use crate::io::study::is_uid;
use crate::job::Monitor;

/// Answers that are asked for at a time: servers have limits of their own, which are met by asking on.
const PAGE: usize = 1000;
/// No server limits its lists to fewer answers of its own accord.
const SMALLEST_PAGE: usize = 100;
/// A series has fewer instances than this.
const MOST_INSTANCES: usize = 100_000;
/// The most requests that one list takes: a server may send lists that have no end.
const MOST_PAGES: usize = 200;
/// What the multipart body of a series holds, written as the server has it.
const PARTS: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";

/// A client of one source.
pub(super) struct Client<'a> {
    source: &'a Source,
    asks: Asks,
}

impl<'a> Client<'a> {
    pub(super) fn new(source: &'a Source, web: &Web, secret: Option<&Secret>) -> Result<Self, Error> {
        Ok(Self { source, asks: Asks::new(source, web, secret)? })
    }

    /// All answers to a query, page by page, each once. `read` gives what an answer is known by, and the answer.
    fn paged<T>(
        &self,
        path: &str,
        asked: &[(&str, String)],
        most: usize,
        monitor: &Monitor,
        read: impl Fn(&Object) -> Option<(String, T)>,
    ) -> Result<Found<T>, Error> {
        let mut found = Found { all: Vec::new(), more: false, unnamed: 0 };
        let mut known = BTreeSet::new();
        let mut offset = 0;
        for _ in 0..MOST_PAGES {
            // One more than wanted, to tell whether there are more.
            let page = PAGE.min(most.saturating_sub(found.all.len()).saturating_add(1));
            let mut query = asked.to_vec();
            query.extend([("limit", page.to_string()), ("offset", offset.to_string())]);
            let answers = self.asks.list(path, &query, monitor)?;
            let (count, before) = (answers.len(), known.len());
            for answer in answers {
                let Some((name, value)) = read(&Object(answer)) else {
                    found.unnamed += 1;
                    continue;
                };
                if !known.insert(name) {
                    continue;
                }
                if found.all.len() == most {
                    found.more = true;
                    return Ok(found);
                }
                found.all.push(value);
            }
            offset += count;
            // Fewer than asked for is the last page, or one of a server with a smaller limit of its own, which the next page tells.
            // One that says nothing new has no more, or knows no offset.
            if count < page.min(SMALLEST_PAGE) || known.len() == before {
                return Ok(found);
            }
        }
        found.more = true;
        Ok(found)
    }
}

impl Archive for Client<'_> {
    fn test(&self, monitor: &Monitor) -> Result<String, Error> {
        let query = [("limit", "1".to_owned())];
        self.asks.list("studies", &query, monitor)?;
        Ok("DICOMweb answers".to_owned())
    }

    fn studies(&self, query: &Query, monitor: &Monitor) -> Result<Found<Study>, Error> {
        let mut asked = vec![
            ("includefield", "00081030".to_owned()),
            ("includefield", "00080061".to_owned()),
            ("includefield", "00201206".to_owned()),
            ("includefield", "00201208".to_owned()),
        ];
        let said = [
            ("PatientID", query.patient_id.clone()),
            ("PatientName", query.name_pattern()),
            ("AccessionNumber", query.accession.clone()),
            ("StudyDate", query.days.as_ref().map(|days| days.said().to_owned())),
            ("ModalitiesInStudy", query.modality.clone()),
            ("StudyInstanceUID", query.study_uid.clone()),
        ];
        asked.extend(said.into_iter().filter_map(|(name, value)| Some((name, value?))));
        self.paged("studies", &asked, query.most(), monitor, |object| {
            let study = object.study();
            is_uid(&study.study_uid).then(|| (study.study_uid.clone(), study))
        })
    }

    fn series(&self, query: &Query, monitor: &Monitor) -> Result<Found<Series>, Error> {
        let study_uid = query.study_uid.clone().unwrap_or_default();
        let mut asked: Vec<_> = ["0008103E", "00180015", "00201209"].map(|tag| ("includefield", tag.to_owned())).into();
        let said = [("Modality", query.modality.clone()), ("SeriesInstanceUID", query.series_uid.clone())];
        asked.extend(said.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let path = format!("studies/{study_uid}/series");
        self.paged(&path, &asked, query.most(), monitor, |object| {
            let series = object.series(&study_uid);
            is_uid(&series.series_uid).then(|| (series.series_uid.clone(), series))
        })
    }

    fn instances(&self, study_uid: &str, series_uid: &str, monitor: &Monitor) -> Result<Vec<Instance>, Error> {
        let path = format!("studies/{study_uid}/series/{series_uid}/instances");
        let found = self.paged(&path, &[], MOST_INSTANCES, monitor, |object| {
            let instance = object.instance();
            is_uid(&instance.uid).then(|| (instance.uid.clone(), instance))
        })?;
        Ok(found.all)
    }

    /// Fetches what is missing of a series: whole in one answer, or instance by instance where some of it is here.
    fn fetch(
        &self,
        wanted: &Wanted,
        monitor: &Monitor,
        take: &mut dyn FnMut(Arrival) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let series = format!("studies/{}/series/{}", wanted.study_uid, wanted.series_uid);
        if wanted.is_whole() {
            return self.asks.parts(&[series], PARTS, monitor, take);
        }
        let paths: Vec<_> = wanted.missing.iter().map(|uid| format!("{series}/instances/{uid}")).collect();
        self.asks.parts(&paths, PARTS, monitor, take)
    }

    fn send(
        &self,
        objects: &[Outgoing],
        monitor: &Monitor,
        hear: &mut dyn FnMut(usize, Answer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        store::send(&self.asks, self.source, objects, monitor, hear)
    }
}
