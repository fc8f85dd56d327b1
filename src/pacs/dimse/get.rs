//! C-GET: the archive sends a series over the association that asks for it.

use std::collections::BTreeSet;

use dicom_dictionary_std::{tags, uids};
use dicom_object::FileMetaTableBuilder;

use super::command::{self, ANSWER, Elements, GET, STORE};
use super::connect::{Associated, Proposed};
use super::line::{Came, Line};
use super::syntaxes::{PACKED, PLAIN, USUAL};
use super::{Peer, status};
use crate::io::study::is_uid;
use crate::pacs::apart::Out;
use crate::pacs::error::Error;
use crate::pacs::query::Wanted;
use crate::pacs::shelf::Arrival;

const CLASS: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET;
/// An association has no more contexts: their numbers are odd bytes (PS3.8, 9.3.2.2).
const MOST_CONTEXTS: usize = 128;
/// UIDs of instances that one request names.
const MOST_NAMED: usize = 100;

/// Whether the archive gives series so at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Done,
    NotOffered,
}

pub(super) fn fetch(peer: &Peer, wanted: &Wanted, out: &Out<Arrival, Given>) -> Result<Given, Error> {
    let mut proposed = vec![Proposed::new(CLASS, [uids::IMPLICIT_VR_LITTLE_ENDIAN])];
    let classes: BTreeSet<&str> =
        wanted.listed.iter().map(|one| one.class_uid.as_str()).filter(|uid| is_uid(uid)).collect();
    let classes: Vec<&str> = if classes.is_empty() { USUAL.into() } else { classes.into_iter().collect() };
    // One context for each way to write: where several stand in one, the archive must write all as the one that it picks.
    let ways = PLAIN.iter().take(1).chain(&PACKED).map(|syntax| vec![*syntax]).chain([vec![PLAIN[1]]]);
    for way in ways {
        for class in &classes {
            if proposed.len() < MOST_CONTEXTS {
                proposed.push(Proposed::new(class, way.iter().copied()).taken());
            }
        }
    }
    let Associated::With(mut line) = peer.associate(&proposed, out)? else { return Ok(Given::NotOffered) };
    let Some((context, _)) = line.context_of(CLASS) else {
        line.release();
        return Ok(Given::NotOffered);
    };
    let identifiers = identifiers(wanted);
    for (id, identifier) in (1..).zip(identifiers) {
        line.say(context, command::query(GET, CLASS, id))?;
        line.say_data(context, &identifier)?;
        until_done(peer, &mut line, out)?;
    }
    line.release();
    Ok(Given::Done)
}

/// What is asked for: the series, or instances of it by name.
pub(super) fn identifiers(wanted: &Wanted) -> Vec<Vec<u8>> {
    let of = |level: &str| {
        Elements::default()
            .text(tags::QUERY_RETRIEVE_LEVEL, level)
            .text(tags::STUDY_INSTANCE_UID, &wanted.study_uid)
            .text(tags::SERIES_INSTANCE_UID, &wanted.series_uid)
    };
    if wanted.is_whole() {
        return vec![of("SERIES").bytes()];
    }
    let missing: Vec<&str> = wanted.missing.iter().map(String::as_str).collect();
    missing.chunks(MOST_NAMED).map(|some| of("IMAGE").text(tags::SOP_INSTANCE_UID, &some.join("\\")).bytes()).collect()
}

/// Takes what comes until the archive says that it has sent all.
fn until_done(peer: &Peer, line: &mut Line, out: &Out<Arrival, Given>) -> Result<(), Error> {
    loop {
        let came = line.hear()?;
        if came.field == STORE {
            take(peer, line, &came, &mut |arrival| out.say(arrival))?;
            continue;
        }
        if came.field != GET | ANSWER {
            return Err(peer.broken("the archive answers what it was not asked"));
        }
        if came.is_followed {
            line.identifier()?; // which objects it could not send: those are missing in the end
        }
        match came.status() {
            pending if status::is_pending(pending) => out.alive()?,
            // What it could not send is missing, and counted by whoever asked.
            0 | 0xb000 => return Ok(()),
            other => return Err(peer.refused(status::of_query(other))),
        }
    }
}

/// Takes one object that a peer sends, as a DICOM file, and answers.
pub(super) fn take(
    peer: &Peer,
    line: &mut Line,
    came: &Came,
    give: &mut dyn FnMut(Arrival) -> Result<(), Error>,
) -> Result<(), Error> {
    let strange = || peer.broken("the archive sends an object without a name");
    let class_uid = came.message.text(tags::AFFECTED_SOP_CLASS_UID).filter(|uid| is_uid(uid)).ok_or_else(strange)?;
    let uid = came.message.text(tags::AFFECTED_SOP_INSTANCE_UID).filter(|uid| is_uid(uid)).ok_or_else(strange)?;
    let context = line.contexts().iter().find(|context| context.id == came.context);
    let syntax_uid = context.map(|context| context.transfer_syntax.trim_matches(['\0', ' ']).to_owned());
    let syntax_uid =
        syntax_uid.ok_or_else(|| peer.broken("the archive sends an object in a way that was not agreed on"))?;
    if !came.is_followed {
        return Err(peer.broken("the archive sends an object without its data"));
    }
    give(Arrival::Begin)?;
    give(Arrival::Bytes(head(peer, &class_uid, &uid, &syntax_uid)?))?;
    line.data(|piece| give(Arrival::Bytes(piece)))?;
    give(Arrival::End)?;
    let id = came.message.short(tags::MESSAGE_ID).unwrap_or_default();
    line.say(came.context, command::answer(STORE, &class_uid, Some(&uid), id, 0))
}

/// What stands before the data set in a file: preamble and file meta information (PS3.10, 7.1).
fn head(peer: &Peer, class_uid: &str, uid: &str, syntax_uid: &str) -> Result<Vec<u8>, Error> {
    let unfit = || peer.broken("the archive names an object in a way that no file can hold");
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(class_uid)
        .media_storage_sop_instance_uid(uid)
        .transfer_syntax(syntax_uid)
        .build()
        .map_err(|_unfit| unfit())?;
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    meta.write(&mut bytes).map_err(|_unfit| unfit())?;
    Ok(bytes)
}
