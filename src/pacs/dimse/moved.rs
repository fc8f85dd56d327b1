//! C-MOVE: the archive is asked to deliver a series to this program, which listens as long as that takes.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dicom_dictionary_std::{tags, uids};
use dicom_ul::association::ServerAssociationOptions;

use super::command::{self, ANSWER, ECHO, MOVE, STORE};
use super::connect::{Associated, MOST_PDU_BYTES, Proposed};
use super::get;
use super::line::{Line, Next};
use super::syntaxes::{PACKED, PLAIN, USUAL};
use super::{Peer, status, tls};
use crate::job;
use crate::pacs::apart::{Cutter, Out};
use crate::pacs::error::Error;
use crate::pacs::pace::silence;
use crate::pacs::query::Wanted;
use crate::pacs::setting::Setting;
use crate::pacs::shelf::Arrival;

const CLASS: &str = uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE;
/// How often the receiver looks for the next delivery.
const GLANCE: Duration = Duration::from_millis(10);
/// How long a receiver may take to leave its port.
const LEAVES: Duration = Duration::from_secs(1);

/// The receiver, shared by those who deliver at once.
struct Receiver {
    peer: Peer,
    out: Out<Arrival, ()>,
    over: AtomicBool,
    /// Held while an instance comes: those of two deliveries do not mix.
    turn: Mutex<()>,
    /// How many deliveries go on.
    open: AtomicUsize,
}

pub(super) fn fetch(peer: &Peer, wanted: &Wanted, out: &Out<Arrival, ()>) -> Result<(), Error> {
    let port = peer
        .dimse
        .receive_port
        .ok_or_else(|| peer.refused("no port to receive at is named").about(&[Setting::ReceivePort]))?;
    let listener = bound(port).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    let listener =
        listener.map_err(|error| peer.refused(no_listener(port, error.kind())).about(&[Setting::ReceivePort]))?;
    let config = if peer.dimse.tls { Some(tls::server(&peer.source, &peer.dimse.certificates)?) } else { None };
    let receiver = Arc::new(Receiver {
        peer: peer.clone(),
        out: out.clone(),
        over: AtomicBool::new(false),
        turn: Mutex::default(),
        open: AtomicUsize::new(0),
    });
    let (listens, cutter) = (Arc::clone(&receiver), out.cutter());
    let (stop, stops) = (Arc::clone(&receiver), Arc::clone(&receiver));
    cutter.cuts(move || stop.over.store(true, Ordering::Relaxed));
    job::apart("receive", move || listen(&listens, &listener, config.as_ref(), &cutter))
        .map_err(|cause| peer.refused(format!("cannot start a thread: {cause}")))?;
    let done = ask(peer, wanted, &receiver, out);
    stops.over.store(true, Ordering::Relaxed);
    done
}

/// Why there is no receiver at a port, in words.
fn no_listener(port: u16, kind: ErrorKind) -> String {
    let why = match kind {
        ErrorKind::AddrInUse => "another program listens there; end it, or name another port that the archive knows",
        ErrorKind::PermissionDenied => {
            "this system does not let you; ports below 1024 are often its administrator's: name another that the archive knows"
        }
        _ => "the network of this machine is in trouble, or there is none",
    };
    format!("this program cannot listen at port {port}: {why}")
}

/// Listens at a port. The receiver of the retrieval before may be about to leave it.
fn bound(port: u16) -> std::io::Result<TcpListener> {
    let began = std::time::Instant::now();
    loop {
        match TcpListener::bind(("0.0.0.0", port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && began.elapsed() < LEAVES => {
                std::thread::sleep(GLANCE);
            }
            bound => return bound,
        }
    }
}

/// Asks for the delivery, and waits until the archive says that it has delivered all.
fn ask(peer: &Peer, wanted: &Wanted, receiver: &Receiver, out: &Out<Arrival, ()>) -> Result<(), Error> {
    let not_offered = || peer.refused("the archive does not offer C-MOVE to this program");
    let proposed = [Proposed::new(CLASS, [uids::IMPLICIT_VR_LITTLE_ENDIAN])];
    let Associated::With(mut line) = peer.associate(&proposed, out)? else { return Err(not_offered()) };
    let (context, _) = line.context_of(CLASS).ok_or_else(not_offered)?;
    for (id, identifier) in (1..).zip(get::identifiers(wanted)) {
        line.say(context, command::move_to(CLASS, id, &peer.dimse.calling))?;
        line.say_data(context, &identifier)?;
        loop {
            let came = line.hear()?;
            if came.field != MOVE | ANSWER {
                return Err(peer.broken("the archive answers what it was not asked"));
            }
            if came.is_followed {
                line.identifier()?;
            }
            match came.status() {
                pending if status::is_pending(pending) => out.alive()?,
                0 | 0xb000 => break,
                other => return Err(peer.refused(status::of_query(other))),
            }
        }
    }
    line.release();
    // The last delivery may still say its goodbye; what it brought is here.
    let began = std::time::Instant::now();
    while receiver.open.load(Ordering::SeqCst) > 0 && began.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

/// Waits for deliveries until the retrieval is over.
fn listen(
    receiver: &Arc<Receiver>,
    listener: &TcpListener,
    config: Option<&Arc<rustls::ServerConfig>>,
    cutter: &Cutter,
) {
    while !receiver.over.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(GLANCE);
            continue;
        };
        if let Ok(stream) = stream.try_clone() {
            cutter.cuts(move || drop(stream.shutdown(std::net::Shutdown::Both)));
        }
        let (receiver, config) = (Arc::clone(receiver), config.cloned());
        receiver.open.fetch_add(1, Ordering::SeqCst);
        let takes = Arc::clone(&receiver);
        let take = move || {
            // What is wrong with a delivery is seen by what is missing in the end.
            drop(job::quietly(|| deliver(&takes, stream, config)));
            takes.open.fetch_sub(1, Ordering::SeqCst);
        };
        if job::apart("delivery", take).is_err() {
            receiver.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// One delivery: an association that the archive asks for.
fn deliver(receiver: &Receiver, stream: TcpStream, config: Option<Arc<rustls::ServerConfig>>) -> Result<(), Error> {
    let peer = &receiver.peer;
    let no_stream = |_gone: std::io::Error| peer.broken("a delivery ends as it begins");
    stream.set_nonblocking(false).map_err(no_stream)?;
    stream.set_nodelay(true).map_err(no_stream)?;
    let mut options = ServerAssociationOptions::new()
        .accept_called_ae_title()
        .ae_title(peer.dimse.calling.as_str())
        .max_pdu_length(MOST_PDU_BYTES)
        .read_timeout(silence())
        .write_timeout(silence())
        .promiscuous(true)
        .with_abstract_syntax(uids::VERIFICATION);
    for class in USUAL {
        options = options.with_abstract_syntax(class);
    }
    for syntax in PLAIN.iter().chain(&PACKED) {
        options = options.with_transfer_syntax(*syntax);
    }
    let mut line = if let Some(config) = config {
        let secured = options.tls_config(config).establish_tls(stream);
        Line::new(peer, secured.map_err(|error| peer.failed(&error))?)?
    } else {
        Line::new(peer, options.establish(stream).map_err(|error| peer.failed(&error))?)?
    };
    take_all(receiver, &mut line)
}

fn take_all(receiver: &Receiver, line: &mut Line) -> Result<(), Error> {
    while let Next::Came(came) = line.next()? {
        match came.field {
            STORE => {
                let _turn = receiver.turn.lock().unwrap_or_else(PoisonError::into_inner);
                get::take(&receiver.peer, line, &came, &mut |arrival| receiver.out.say(arrival))?;
            }
            ECHO => {
                let id = came.message.short(tags::MESSAGE_ID).unwrap_or_default();
                line.say(came.context, command::answer(ECHO, uids::VERIFICATION, None, id, 0))?;
            }
            _ => return Err(receiver.peer.broken("a delivery asks for something else")),
        }
    }
    Ok(())
}
