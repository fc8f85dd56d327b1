//! C-ECHO and C-FIND: whether an archive answers, and what it has.

use std::collections::BTreeSet;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::Peer;
use super::command::{self, ANSWER, Elements, FIND};
use super::connect::{Associated, Proposed};
use super::status;
use super::syntaxes::PLAIN;
use crate::io::Message;
use crate::io::study::is_uid;
use crate::job::Monitor;
use crate::pacs::apart::{self, Out};
use crate::pacs::error::Error;
use crate::pacs::query::{Days, Found, Instance, Query, Series, Study};

/// A series has fewer instances than this.
pub(super) const MOST_INSTANCES: usize = 100_000;
/// Longer than any value that is read has to be, in letters.
const LONGEST: usize = 1000;
const CLASS: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND;

pub(super) fn echo(peer: &Peer, out: &Out<(), ()>) -> Result<(), Error> {
    let proposed = [Proposed::new(uids::VERIFICATION, PLAIN)];
    let Associated::With(mut line) = peer.associate(&proposed, out)? else {
        return Err(peer.refused("the archive does not answer C-ECHO"));
    };
    let (context, _) =
        line.context_of(uids::VERIFICATION).ok_or_else(|| peer.refused("the archive does not answer C-ECHO"))?;
    line.say(context, command::echo(uids::VERIFICATION))?;
    let came = line.hear()?;
    line.release();
    match came.status() {
        0 => Ok(()),
        other => Err(peer.refused(status::of_query(other))),
    }
}

/// A key that is matched where something is said, and answered either way.
fn key(elements: Elements, tag: Tag, said: Option<&str>) -> Elements {
    elements.text(tag, said.unwrap_or_default())
}

fn level(name: &str) -> Elements {
    Elements::default().text(tags::QUERY_RETRIEVE_LEVEL, name)
}

/// Texts beyond ASCII are in UTF-8, and said to be.
fn in_set(elements: Elements, texts: &[Option<&str>]) -> Vec<u8> {
    if texts.iter().flatten().all(|text| text.is_ascii()) {
        return elements.bytes();
    }
    elements.text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192").bytes()
}

pub(super) fn of_studies(query: &Query) -> Vec<u8> {
    let name = query.name_pattern();
    let (name, id, accession) = (name.as_deref(), query.patient_id.as_deref(), query.accession.as_deref());
    let mut keys = level("STUDY");
    for (tag, said) in [
        (tags::STUDY_INSTANCE_UID, query.study_uid.as_deref()),
        (tags::PATIENT_NAME, name),
        (tags::PATIENT_ID, id),
        (tags::ACCESSION_NUMBER, accession),
        (tags::STUDY_DATE, query.days.as_ref().map(Days::said)),
        (tags::MODALITIES_IN_STUDY, query.modality.as_deref()),
        (tags::STUDY_TIME, None),
        (tags::STUDY_DESCRIPTION, None),
        (tags::NUMBER_OF_STUDY_RELATED_SERIES, None),
        (tags::NUMBER_OF_STUDY_RELATED_INSTANCES, None),
    ] {
        keys = key(keys, tag, said);
    }
    in_set(keys, &[name, id, accession])
}

pub(super) fn of_series(query: &Query) -> Vec<u8> {
    let mut keys = level("SERIES");
    for (tag, said) in [
        (tags::STUDY_INSTANCE_UID, query.study_uid.as_deref()),
        (tags::SERIES_INSTANCE_UID, query.series_uid.as_deref()),
        (tags::MODALITY, query.modality.as_deref()),
        (tags::SERIES_NUMBER, None),
        (tags::SERIES_DESCRIPTION, None),
        (tags::BODY_PART_EXAMINED, None),
        (tags::NUMBER_OF_SERIES_RELATED_INSTANCES, None),
    ] {
        keys = key(keys, tag, said);
    }
    keys.bytes()
}

pub(super) fn of_instances(study_uid: &str, series_uid: &str) -> Vec<u8> {
    let keys = level("IMAGE").text(tags::STUDY_INSTANCE_UID, study_uid).text(tags::SERIES_INSTANCE_UID, series_uid);
    let keys = key(key(keys, tags::SOP_CLASS_UID, None), tags::SOP_INSTANCE_UID, None);
    key(keys, tags::INSTANCE_NUMBER, None).bytes()
}

fn text(of: &Message, tag: Tag) -> String {
    of.text(tag).unwrap_or_default().chars().take(LONGEST).collect()
}

fn count(of: &Message, tag: Tag) -> Option<u64> {
    of.text(tag)?.parse().ok()
}

pub(super) fn study(of: &Message) -> Study {
    Study {
        study_uid: text(of, tags::STUDY_INSTANCE_UID),
        patient_name: text(of, tags::PATIENT_NAME),
        patient_id: text(of, tags::PATIENT_ID),
        date: text(of, tags::STUDY_DATE),
        time: text(of, tags::STUDY_TIME),
        accession: text(of, tags::ACCESSION_NUMBER),
        description: text(of, tags::STUDY_DESCRIPTION),
        modalities: text(of, tags::MODALITIES_IN_STUDY).replace('\\', "/"),
        series: count(of, tags::NUMBER_OF_STUDY_RELATED_SERIES),
        instances: count(of, tags::NUMBER_OF_STUDY_RELATED_INSTANCES),
    }
}

pub(super) fn series(of: &Message, study_uid: &str) -> Series {
    Series {
        study_uid: study_uid.to_owned(),
        series_uid: text(of, tags::SERIES_INSTANCE_UID),
        number: text(of, tags::SERIES_NUMBER),
        modality: text(of, tags::MODALITY),
        description: text(of, tags::SERIES_DESCRIPTION),
        body_part: text(of, tags::BODY_PART_EXAMINED),
        instances: count(of, tags::NUMBER_OF_SERIES_RELATED_INSTANCES),
    }
}

pub(super) fn instance(of: &Message) -> Instance {
    Instance {
        uid: text(of, tags::SOP_INSTANCE_UID),
        class_uid: text(of, tags::SOP_CLASS_UID),
        number: of.text(tags::INSTANCE_NUMBER).and_then(|number| number.trim().parse().ok()),
    }
}

/// All matches, each once, by the name that `read` gives it.
pub(super) fn matches<M>(
    peer: &Peer,
    identifier: Vec<u8>,
    most: usize,
    monitor: &Monitor,
    read: impl Fn(&Message) -> (String, M),
) -> Result<Found<M>, Error> {
    let asks = peer.clone();
    let mut found = Found { all: Vec::new(), more: false, unnamed: 0 };
    let mut known = BTreeSet::new();
    let talk = move |out: &Out<Message, bool>| ask(&asks, &identifier, most, out);
    found.more = apart::talk(&peer.source, monitor, talk, |message| {
        let (name, value) = read(&message);
        if !is_uid(&name) {
            found.unnamed += 1;
        } else if known.insert(name) {
            found.all.push(value);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Asks, and hands over one match after the other; whether there are more than were taken.
fn ask(peer: &Peer, identifier: &[u8], most: usize, out: &Out<Message, bool>) -> Result<bool, Error> {
    // Implicit VR is what every archive must take (PS3.5, 10.1), and what identifiers are written in here.
    let proposed = [Proposed::new(CLASS, [uids::IMPLICIT_VR_LITTLE_ENDIAN])];
    let not_offered = || peer.refused("the archive does not offer C-FIND of studies to this program");
    let Associated::With(mut line) = peer.associate(&proposed, out)? else { return Err(not_offered()) };
    let (context, _) = line.context_of(CLASS).ok_or_else(not_offered)?;
    line.say(context, command::query(FIND, CLASS, 1))?;
    line.say_data(context, identifier)?;
    let mut taken = 0;
    loop {
        let came = line.hear()?;
        if came.field != FIND | ANSWER {
            return Err(peer.broken("the archive answers what it was not asked"));
        }
        let identifier = if came.is_followed { Some(line.identifier()?) } else { None };
        match came.status() {
            pending if status::is_pending(pending) => {
                let strange = || peer.broken("the archive sends an answer that cannot be read");
                let message = identifier.and_then(|bytes| Message::of(&bytes)).ok_or_else(strange)?;
                if taken == most {
                    line.abort();
                    return Ok(true);
                }
                taken += 1;
                out.say(message)?;
            }
            0 => {
                line.release();
                return Ok(false);
            }
            other => return Err(peer.refused(status::of_query(other))),
        }
    }
}
