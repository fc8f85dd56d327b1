//! An association as a line of messages: commands, each with the data set behind it, whatever PDUs they come in.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::marker::PhantomData;
use std::time::Instant;

use dicom_dictionary_std::tags;
use dicom_ul::association::{self, CloseSocket, SyncAssociation};
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu, PresentationContextNegotiated};

use super::{Peer, command};
use crate::io::Message;
use crate::pacs::error::Error;
use crate::pacs::pace::Pace;

/// No command is longer.
const MOST_COMMAND_BYTES: usize = 1 << 16;
/// An answer to a query is no longer.
const MOST_IDENTIFIER_BYTES: usize = 1 << 20;
/// Data sets are sent in pieces of so many bytes at most, however much a peer takes at once.
const MOST_PIECE_BYTES: u32 = 1 << 17;
/// A peer that takes fewer bytes at once takes none (PS3.8, D.1 has no limit; PDUs have 12 bytes of header).
const LEAST_PIECE_BYTES: u32 = 256;
/// The bytes of a PDU's items before its data (PS3.8, 9.3.5.1).
const ITEM_HEAD_BYTES: u32 = 6;

/// An association over any stream.
pub(super) trait Talks: Send {
    fn send(&mut self, pdu: &Pdu) -> Result<(), association::Error>;
    fn receive(&mut self) -> Result<Pdu, association::Error>;
    fn contexts(&self) -> &[PresentationContextNegotiated];
    fn most_bytes(&self) -> u32;
}

/// An association of one kind of stream.
struct Over<S, A>(A, PhantomData<fn() -> S>);

impl<S: Read + Write + CloseSocket, A: SyncAssociation<S> + Send> Talks for Over<S, A> {
    fn send(&mut self, pdu: &Pdu) -> Result<(), association::Error> {
        SyncAssociation::send(&mut self.0, pdu)
    }

    fn receive(&mut self) -> Result<Pdu, association::Error> {
        SyncAssociation::receive(&mut self.0)
    }

    fn contexts(&self) -> &[PresentationContextNegotiated] {
        self.0.presentation_contexts()
    }

    fn most_bytes(&self) -> u32 {
        self.0.peer_max_pdu_length()
    }
}

/// A command that came.
pub(super) struct Came {
    pub(super) context: u8,
    pub(super) field: u16,
    pub(super) message: Message,
    /// Whether a data set follows.
    pub(super) is_followed: bool,
}

impl Came {
    pub(super) fn status(&self) -> u16 {
        self.message.short(tags::STATUS).unwrap_or(u16::MAX)
    }
}

/// What comes next of a peer that asks.
pub(super) enum Next {
    Came(Came),
    /// The peer has no more to say.
    Released,
}

/// An association, message by message.
pub(super) struct Line<'a> {
    peer: &'a Peer,
    talks: Box<dyn Talks>,
    queue: VecDeque<PDataValue>,
}

impl<'a> Line<'a> {
    pub(super) fn new<S, A>(peer: &'a Peer, association: A) -> Result<Self, Error>
    where
        S: Read + Write + CloseSocket + 'static,
        A: SyncAssociation<S> + Send + 'static,
    {
        let talks: Box<dyn Talks> = Box::new(Over(association, PhantomData::<fn() -> S>));
        if talks.most_bytes() < LEAST_PIECE_BYTES {
            return Err(peer.refused(format!("the archive takes no more than {} bytes at once", talks.most_bytes())));
        }
        Ok(Self { peer, talks, queue: VecDeque::new() })
    }

    pub(super) fn contexts(&self) -> &[PresentationContextNegotiated] {
        self.talks.contexts()
    }

    /// The context of a class of objects, and the transfer syntax that was agreed on for it.
    pub(super) fn context_of(&self, class_uid: &str) -> Option<(u8, String)> {
        let of = |context: &&PresentationContextNegotiated| context.abstract_syntax == class_uid;
        self.contexts().iter().find(of).map(|context| (context.id, context.transfer_syntax.clone()))
    }

    /// Says a command.
    pub(super) fn say(&mut self, context: u8, command: Vec<u8>) -> Result<(), Error> {
        self.send(context, PDataValueType::Command, true, command)
    }

    /// Says a data set that is in memory.
    pub(super) fn say_data(&mut self, context: u8, data: &[u8]) -> Result<(), Error> {
        self.say_read(context, &mut &data[..], || Ok(()))
    }

    /// Says a data set that is read; `went` is called for each piece that went. An error of the file is one of `Error::File`.
    pub(super) fn say_read(
        &mut self,
        context: u8,
        data: &mut dyn Read,
        mut went: impl FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut pace = Pace::new();
        let size = self.talks.most_bytes().min(MOST_PIECE_BYTES).saturating_sub(ITEM_HEAD_BYTES) as usize;
        let mut next = self.read_piece(data, size)?;
        loop {
            let piece = next;
            next = if piece.len() < size { Vec::new() } else { self.read_piece(data, size)? };
            let is_last = next.is_empty();
            let (bytes, began) = (piece.len(), Instant::now());
            self.send(context, PDataValueType::Data, is_last, piece)?;
            pace.count(bytes, began.elapsed(), &self.peer.source)?;
            went()?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn read_piece(&self, data: &mut dyn Read, size: usize) -> Result<Vec<u8>, Error> {
        let mut piece = Vec::with_capacity(size);
        let read = data.take(size as u64).read_to_end(&mut piece);
        read.map_err(|_cut| self.peer.refused("a file cannot be read to its end; check the disk that it lies on"))?;
        Ok(piece)
    }

    fn send(&mut self, context: u8, kind: PDataValueType, is_last: bool, data: Vec<u8>) -> Result<(), Error> {
        let value = PDataValue { presentation_context_id: context, value_type: kind, is_last, data };
        self.talks.send(&Pdu::PData { data: vec![value] }).map_err(|error| self.peer.failed(&error))
    }

    /// The next piece of a message. `None` where the peer releases the association.
    fn piece(&mut self) -> Result<Option<PDataValue>, Error> {
        loop {
            if let Some(value) = self.queue.pop_front() {
                return Ok(Some(value));
            }
            match self.talks.receive().map_err(|error| self.peer.failed(&error))? {
                Pdu::PData { data } => self.queue.extend(data),
                Pdu::ReleaseRQ => {
                    // An answer that does not arrive changes nothing.
                    self.talks.send(&Pdu::ReleaseRP).ok();
                    return Ok(None);
                }
                Pdu::AbortRQ { .. } => return Err(self.peer.broken("the archive breaks the association off")),
                _ => return Err(self.peer.broken("the archive says what belongs elsewhere")),
            }
        }
    }

    /// The next command, or the end.
    pub(super) fn next(&mut self) -> Result<Next, Error> {
        let mut bytes = Vec::new();
        let peer = self.peer;
        let strange = || peer.broken("the archive sends a command that cannot be read");
        let context = loop {
            let Some(value) = self.piece()? else { return Ok(Next::Released) };
            if value.value_type != PDataValueType::Command || bytes.len() + value.data.len() > MOST_COMMAND_BYTES {
                return Err(strange());
            }
            bytes.extend(value.data);
            if value.is_last {
                break value.presentation_context_id;
            }
        };
        let message = Message::of(&bytes).ok_or_else(strange)?;
        let field = message.short(tags::COMMAND_FIELD).ok_or_else(strange)?;
        let is_followed = message.short(tags::COMMAND_DATA_SET_TYPE).is_some_and(command::is_followed);
        Ok(Next::Came(Came { context, field, message, is_followed }))
    }

    /// The next command, where the archive must say one.
    pub(super) fn hear(&mut self) -> Result<Came, Error> {
        match self.next()? {
            Next::Came(came) => Ok(came),
            Next::Released => Err(self.peer.broken("the archive ends the association before it has answered")),
        }
    }

    /// The data set behind a command, piece by piece.
    pub(super) fn data(&mut self, mut take: impl FnMut(Vec<u8>) -> Result<(), Error>) -> Result<(), Error> {
        let mut pace = Pace::new();
        loop {
            let (peer, began) = (self.peer, Instant::now());
            let Some(value) = self.piece()? else {
                return Err(peer.broken("the archive ends the association in the middle of an object"));
            };
            if value.value_type != PDataValueType::Data {
                return Err(peer.broken("the archive sends a command in the middle of an object"));
            }
            pace.count(value.data.len(), began.elapsed(), &peer.source)?;
            take(value.data)?;
            if value.is_last {
                return Ok(());
            }
        }
    }

    /// The identifier behind an answer.
    pub(super) fn identifier(&mut self) -> Result<Vec<u8>, Error> {
        let (mut bytes, peer) = (Vec::new(), self.peer);
        self.data(|piece| {
            if bytes.len() + piece.len() > MOST_IDENTIFIER_BYTES {
                return Err(peer.broken("the archive sends an answer without end"));
            }
            bytes.extend(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Ends the association. A peer that does not answer has done its work all the same.
    pub(super) fn release(mut self) {
        if self.talks.send(&Pdu::ReleaseRQ).is_ok() {
            self.talks.receive().ok();
        }
    }

    /// Breaks the association off.
    pub(super) fn abort(mut self) {
        let source = dicom_ul::pdu::AbortRQSource::ServiceUser;
        self.talks.send(&Pdu::AbortRQ { source }).ok(); // it is over either way
    }
}
