//! STOW-RS: objects posted in batches, each with the answer that the server gives to it.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::time::Instant;

use super::call::Asks;
use super::json::Object;
use crate::files;
use crate::job::Monitor;
use crate::pacs::apart::{self, Out};
use crate::pacs::error::Error;
use crate::pacs::outgoing::{Answer, Outgoing};
use crate::pacs::pace::Pace;
use crate::pacs::source::Source;

/// A request holds so many objects, or so many bytes, whichever comes first.
const BATCH: usize = 50;
const BATCH_BYTES: u64 = 256 << 20;
/// 24 letters that no DICOM file holds in a row by chance.
const BOUNDARY: &str = "parallax-8c1f64d0b3e7a95c2f";
const HEAD: &str = "\r\n--parallax-8c1f64d0b3e7a95c2f\r\nContent-Type: application/dicom\r\n\r\n";
const END: &str = "\r\n--parallax-8c1f64d0b3e7a95c2f--\r\n";

/// How many of the objects, from the first on, one request holds.
fn batch(objects: &[Outgoing]) -> usize {
    let mut bytes = 0_u64;
    let fits = |object: &&Outgoing| {
        bytes = bytes.saturating_add(object.bytes);
        bytes <= BATCH_BYTES
    };
    objects.iter().take(BATCH).take_while(fits).count().max(1)
}

pub(super) fn send(
    asks: &Asks,
    source: &Source,
    objects: &[Outgoing],
    monitor: &Monitor,
    hear: &mut dyn FnMut(usize, Answer) -> Result<(), Error>,
) -> Result<(), Error> {
    let (asks, all) = (asks.clone(), objects.to_vec());
    let talk = move |out: &Out<(usize, Answer), ()>| {
        let mut first = 0;
        while let Some(rest) = all.get(first..).filter(|rest| !rest.is_empty()) {
            let of_batch = &rest[..batch(rest)];
            for (at, answer) in post(&asks, out, of_batch)?.into_iter().enumerate() {
                out.say((first + at, answer))?;
            }
            first += of_batch.len();
        }
        Ok(())
    };
    apart::talk(source, monitor, talk, |(at, answer)| hear(at, answer))
}

/// Posts one batch. What the server refuses as a whole, it refuses of each.
fn post<E, T>(asks: &Asks, out: &Out<E, T>, objects: &[Outgoing]) -> Result<Vec<Answer>, Error> {
    let mut body: Box<dyn Read> = Box::new(std::io::empty());
    let mut length = END.len() as u64;
    for object in objects {
        let file = files::open(&object.path).map_err(Error::io("cannot read", &object.path))?;
        length += HEAD.len() as u64 + object.bytes;
        // A file that grew since is sent as long as it was; one that shrank ends the request.
        body = Box::new(body.chain(Cursor::new(HEAD)).chain(file.take(object.bytes)));
    }
    let body = body.chain(Cursor::new(END));
    let kind = format!("multipart/related; type=\"application/dicom\"; boundary={BOUNDARY}");
    let (source, pace) = (asks.source(), Pace::new());
    let mut watched = Watched { body, out, source, pace, latest: None, slow: None };
    let answer = asks.post(out, &kind, length, &mut watched);
    let (status, text) = match watched.slow.map_or(answer, Err) {
        Ok(answer) => answer,
        Err(error @ Error::Refused { .. }) if objects.len() == 1 || is_of_objects(&error) => {
            return Ok(vec![Answer::Failed(error_words(error)); objects.len()]);
        }
        Err(error) => return Err(error),
    };
    Ok(answers(objects, status, &text))
}

/// Whether the server said something of what it was given, not of who gives it.
fn is_of_objects(error: &Error) -> bool {
    matches!(error, Error::Refused { what, .. } if ["HTTP 400", "HTTP 413", "HTTP 415", "HTTP 500", "HTTP 507"].iter().any(|said| what.contains(said)))
}

fn error_words(error: Error) -> String {
    match error {
        Error::Refused { what, .. } => what,
        other => other.to_string(),
    }
}

/// The answer to each object, as the server's text has it (PS3.18, 10.5.3 and annex I).
fn answers(objects: &[Outgoing], status: u16, text: &[u8]) -> Vec<Answer> {
    let Ok(answer) = serde_json::from_slice(text).map(Object) else {
        // A server that answers in XML or not at all: its status is all that is known.
        let all = if status == 200 {
            Answer::Stored
        } else if status == 202 {
            Answer::Failed("the server took some objects and does not say which (HTTP 202)".to_owned())
        } else {
            Answer::Failed(format!("the server took no object and does not say why (HTTP {status})"))
        };
        return vec![all; objects.len()];
    };
    let mut said: HashMap<String, Answer> = HashMap::new();
    for item in answer.items("00081198") {
        let why = item.reason("00081197").map_or_else(|| "the server does not say why".to_owned(), reason);
        said.insert(item.referred(), Answer::Failed(why));
    }
    for item in answer.items("00081199") {
        let warned = item.reason("00081196").map(|code| Answer::StoredBut(warning(code)));
        said.insert(item.referred(), warned.unwrap_or(Answer::Stored));
    }
    let of = |object: &Outgoing| match said.get(&object.named.uid) {
        Some(answer) => answer.clone(),
        None if said.is_empty() && status == 200 => Answer::Stored,
        None => Answer::Failed("the server says nothing of it".to_owned()),
    };
    objects.iter().map(of).collect()
}

/// Why an object was not stored (PS3.18, table I.2-2).
fn reason(code: u16) -> String {
    let words = match code {
        0x0110 => "the server fails while it stores it",
        0x0111 => "it is there already",
        0x0112 => "its UID is no valid one",
        0x0117 => "its object instance is no valid one",
        0x0122 => "the server takes no objects of this kind",
        0x0124 => "this user may not store it",
        0x0131 | 0xa700..=0xa7ff => "the server is out of room",
        0xa900..=0xa9ff => "it is not what it says it is",
        0xc122 => "the server takes no objects written so",
        0xc000..=0xcfff => "the server does not understand it",
        _ => "the server refuses it",
    };
    format!("{words} (reason {code:#06x})")
}

fn warning(code: u16) -> String {
    let words = match code {
        0xb000 => "the server changed some of its values",
        0xb006 => "the server left some of its elements out",
        0xb007 => "the server says that it is not what it says it is",
        _ => "the server complains",
    };
    format!("{words} (reason {code:#06x})")
}

/// A body that says, as it is sent, that the talk goes on, and that ends where the server takes it too slowly.
struct Watched<'a, R, E, T> {
    body: R,
    out: &'a Out<E, T>,
    source: &'a Source,
    pace: Pace,
    /// The bytes that were read last, and when.
    latest: Option<(usize, Instant)>,
    slow: Option<Error>,
}

impl<R: Read, E, T> Read for Watched<'_, R, E, T> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.out.alive().map_err(std::io::Error::other)?;
        // What was read before went in the time since.
        let went = self.latest.take();
        if let Some(Err(slow)) = went.map(|(bytes, read)| self.pace.count(bytes, read.elapsed(), self.source)) {
            self.slow = Some(slow);
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        let read = self.body.read(buffer)?;
        self.latest = Some((read, Instant::now()));
        Ok(read)
    }
}
