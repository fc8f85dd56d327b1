//! C-STORE: objects given to an archive, each as it is written.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom};

use super::command::{self, ANSWER, STORE};
use super::connect::{Associated, Proposed};
use super::line::Line;
use super::{Peer, status};
use crate::files;
use crate::pacs::apart::Out;
use crate::pacs::error::Error;
use crate::pacs::outgoing::{Answer, Outgoing};

/// An association has no more contexts: their numbers are odd bytes (PS3.8, 9.3.2.2).
const MOST_CONTEXTS: usize = 128;

type Way<'a> = (&'a str, &'a str);

/// Sends all objects. An archive that takes only some kinds of them is given those, and the others are told as refused.
pub(super) fn send(peer: &Peer, objects: &[Outgoing], out: &Out<(usize, Answer), ()>) -> Result<(), Error> {
    // By class and by how they are written: each pair is proposed once.
    let mut ways: BTreeMap<Way, Vec<usize>> = BTreeMap::new();
    for (at, object) in objects.iter().enumerate() {
        ways.entry((&object.named.class_uid, &object.named.syntax_uid)).or_default().push(at);
    }
    let ways: Vec<_> = ways.into_iter().collect();
    for some in ways.chunks(MOST_CONTEXTS) {
        let proposed: Vec<_> = some.iter().map(|((class, syntax), _)| Proposed::new(class, [*syntax])).collect();
        let mut line = match peer.associate(&proposed, out)? {
            Associated::With(line) => Some(line),
            Associated::NothingTaken => None,
        };
        for ((class, syntax), places) in some {
            let taken = line.as_ref().and_then(|line| context(line, class, syntax));
            for at in places {
                let answer = match (taken, &mut line) {
                    (Some(context), Some(line)) => store(peer, line, context, &objects[*at], out)?,
                    _ => Answer::NotTaken(format!(
                        "the archive accepted no presentation context for its kind of object (class {class}, written as {syntax})"
                    )),
                };
                out.say((*at, answer))?;
            }
        }
        if let Some(line) = line {
            line.release();
        }
    }
    Ok(())
}

fn context(line: &Line, class: &str, syntax: &str) -> Option<u8> {
    let plain = |said: &str| said.trim_matches(['\0', ' ']).to_owned();
    let is_it = |context: &&dicom_ul::pdu::PresentationContextNegotiated| {
        context.abstract_syntax == class && plain(&context.transfer_syntax) == syntax
    };
    line.contexts().iter().find(is_it).map(|context| context.id)
}

fn store(
    peer: &Peer,
    line: &mut Line,
    context: u8,
    object: &Outgoing,
    out: &Out<(usize, Answer), ()>,
) -> Result<Answer, Error> {
    let cannot = Error::io("cannot read", &object.path);
    let opened = files::open(&object.path).and_then(|mut file| {
        file.seek(SeekFrom::Start(object.named.data_at))?;
        Ok(file)
    });
    let mut file = opened.map_err(cannot)?;
    let (class_uid, uid) = (&object.named.class_uid, &object.named.uid);
    line.say(context, command::store(class_uid, uid, 1))?;
    line.say_read(context, &mut file, || out.alive())?;
    let came = line.hear()?;
    if came.field != STORE | ANSWER {
        return Err(peer.broken("the archive answers what it was not asked"));
    }
    if came.is_followed {
        line.identifier()?;
    }
    let said = came.status();
    Ok(match status::warning(said) {
        _ if said == 0 => Answer::Stored,
        Some(why) => Answer::StoredBut(why),
        None => Answer::Failed(status::of_store(said)),
    })
}
