//! DIMSE peers that answer nothing, too much, or what no one asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use parallax::job::Monitor;
use parallax::pacs::{self, Error, Query};

use super::binary::{done, ended, parallax};
use super::{AT_ONCE, dimse};

/// A peer on loopback that does `work` on each connection, after it has read the request for an association.
fn peer(work: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serve = move || {
        for mut stream in listener.incoming().flatten() {
            if read_pdu(&mut stream).is_some() {
                work(&mut stream);
            }
        }
    };
    std::thread::Builder::new().name("peer".to_owned()).spawn(serve).expect("a thread");
    port
}

fn read_pdu(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 6];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]) as usize;
    let mut body = vec![0; length.min(1 << 20)];
    stream.read_exact(&mut body).ok()?;
    Some([head.to_vec(), body].concat())
}

fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0];
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Accepts the first context, with implicit VR; takes PDUs of so many bytes.
fn accepted(most: u32) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend(b"PXTEST          PARALLAX        ");
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    body.extend(item(0x21, &[vec![1, 0, 0, 0], item(0x40, b"1.2.840.10008.1.2")].concat()));
    let user = [item(0x51, &most.to_be_bytes()), item(0x52, b"1.2.3")].concat();
    body.extend(item(0x50, &user));
    pdu(2, &body)
}

fn rejected(source: u8, reason: u8) -> Vec<u8> {
    pdu(3, &[0, 1, source, reason])
}

/// What a piece is of, by its lowest bit (PS3.8, E.2).
const COMMAND: u8 = 1;
const DATA: u8 = 0;

/// A message in one PDU: command or data, the last piece of it or not.
fn pdata(of: u8, is_last: bool, data: &[u8]) -> Vec<u8> {
    let mut value = ((data.len() + 2) as u32).to_be_bytes().to_vec();
    value.extend([1, of | u8::from(is_last) << 1]);
    value.extend(data);
    pdu(4, &value)
}

fn element(group: u16, element: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
    bytes.extend((value.len() as u32).to_le_bytes());
    bytes.extend(value);
    bytes
}

/// The answer to C-FIND.
fn answer(status: u16, is_followed: bool) -> Vec<u8> {
    let rest = [
        element(0, 0x0100, &0x8020_u16.to_le_bytes()),
        element(0, 0x0120, &1_u16.to_le_bytes()),
        element(0, 0x0800, &(if is_followed { 1_u16 } else { 0x0101 }).to_le_bytes()),
        element(0, 0x0900, &status.to_le_bytes()),
    ]
    .concat();
    [element(0, 0, &(rest.len() as u32).to_le_bytes()), rest].concat()
}

fn study(uid: &[u8]) -> Vec<u8> {
    element(0x0020, 0x000d, uid)
}

/// No word of a library's is in a message.
pub(super) fn assert_plain(error: &str) {
    for raw in ["pdu", "PDU", "parse", "os error", "failed to", "Could not", "Error", "invalid", "unexpected"] {
        assert!(!error.contains(raw), "{raw}: {error}");
    }
}

fn ask(port: u16) -> Result<pacs::Found<pacs::Study>, Error> {
    pacs::studies(&dimse(port), None, &Query::default(), &Monitor::default())
}

fn write(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).ok(); // the client may have hung up
}

/// Accepts, hears the question, then sends these bytes and goes.
fn answering(bytes: Vec<u8>) -> u16 {
    peer(move |stream| {
        write(stream, &accepted(16_384));
        read_pdu(stream);
        read_pdu(stream);
        write(stream, &bytes);
    })
}

#[test]
fn refusals_of_an_association_are_sentences() {
    for (bytes, said) in [
        (rejected(1, 7), "not called PXTEST"),
        (rejected(1, 3), "does not know PARALLAX"),
        (rejected(3, 2), "no room for another association"),
        (rejected(1, 1), "rejects the association"),
        (pdu(7, &[0, 0, 0, 0]), "no DICOM archive, or breaks off"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "archive"),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "archive"),
        (Vec::new(), "closes the connection"),
        (accepted(16_384)[..40].to_vec(), "closes the connection"),
        (accepted(1), "no more than 1 bytes at once"),
    ] {
        let port = peer(move |stream| write(stream, &bytes));
        let error = ask(port).expect_err(said).to_string();
        assert!(error.contains(said) && error.contains("source peer (PXTEST@127.0.0.1"), "{said}: {error}");
        assert_plain(&error);
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let error = ask(free).expect_err("no one").to_string();
    assert!(error.contains("nothing listens there"), "{error}");
}

#[test]
fn answers_that_are_none_end_in_words_and_take_no_memory() {
    let huge = |kind: u8, length: u32| [vec![kind, 0], length.to_be_bytes().to_vec(), vec![0; 100]].concat();
    let inner = |length: u32| pdu(4, &[length.to_be_bytes().to_vec(), vec![1, 3, 0, 0]].concat());
    let deep = (0..10_000)
        .flat_map(|_| {
            [element(8, 0x1140, b"")[..4].to_vec(), vec![0xff; 4], vec![0xfe, 0xff, 0, 0xe0], vec![0xff; 4]].concat()
        })
        .collect::<Vec<_>>();
    let pending = answer(0xff00, true);
    for (bytes, said) in [
        (huge(4, u32::MAX), "archive"),
        (huge(4, 0x7fff_ffff), "archive"),
        (huge(2, u32::MAX), "archive"),
        (inner(u32::MAX), "archive"),
        (inner(0), "archive"),
        (inner(1), "archive"),
        (pdu(4, &[]), "closes the connection"),
        (pdu(5, &[0; 4]), "ends the association before"),
        (pdu(7, &[0; 4]), "breaks the association off"),
        (pdu(99, &[0; 4]), "archive"),
        (pdata(COMMAND, true, b""), "cannot be read"),
        (pdata(COMMAND, true, &[0xff; 300]), "cannot be read"),
        (pdata(DATA, true, &study(b"1.2")), "cannot be read"),
        (pdata(COMMAND, true, &answer(0xa700, false)), "out of resources"),
        (pdata(COMMAND, true, &answer(0x0122, false)), "does not do this"),
        (pdata(COMMAND, true, &element(0, 0x0100, &1_u16.to_le_bytes())), "was not asked"),
        ([pdata(COMMAND, true, &pending), pdata(COMMAND, true, &pending)].concat(), "in the middle of an object"),
        ([pdata(COMMAND, true, &pending), pdata(DATA, true, &[0xff; 64])].concat(), "cannot be read"),
        ([pdata(COMMAND, true, &pending), pdata(DATA, true, &deep)].concat(), "cannot be read"),
        ([pdata(COMMAND, true, &pending), pdata(DATA, true, &study(b"1.2"))].concat(), "closes the connection"),
    ] {
        let shown = format!("{:?}", &bytes[..bytes.len().min(40)]);
        let error = ask(answering(bytes)).expect_err(&shown).to_string();
        assert!(error.contains(said), "{shown}: {said}: {error}");
        assert_plain(&error);
    }
}

#[test]
fn commands_and_answers_without_end_are_broken_off() {
    for is_command in [true, false] {
        let port = peer(move |stream| {
            write(stream, &accepted(16_384));
            if !is_command {
                write(stream, &pdata(COMMAND, true, &answer(0xff00, true)));
            }
            let piece = pdata(u8::from(is_command), false, &[0; 16_000]);
            while stream.write_all(&piece).is_ok() {}
        });
        let error = ask(port).expect_err("endless").to_string();
        assert!(error.contains("cannot be read") || error.contains("without end"), "{error}");
    }
    let port = peer(|stream| {
        write(stream, &accepted(16_384));
        for k in 0_u64.. {
            let mut uid = format!("1.2.{k}");
            if uid.len() % 2 == 1 {
                uid.push('\0');
            }
            let one = [pdata(COMMAND, true, &answer(0xff00, true)), pdata(DATA, true, &study(uid.as_bytes()))].concat();
            if stream.write_all(&one).is_err() {
                return;
            }
        }
    });
    let found = ask(port).expect("studies");
    assert_eq!((found.all.len(), found.more), (10_000, true));
}

#[test]
fn names_that_dicom_does_not_allow_are_left_out() {
    let of = |uid: &[u8]| [pdata(COMMAND, true, &answer(0xff00, true)), pdata(DATA, true, &study(uid))].concat();
    let bytes =
        [of(b"../../../etc"), of(b"1.2\0"), of(b""), of(b"1.2\0"), pdata(COMMAND, true, &answer(0, false))].concat();
    let found = ask(answering(bytes)).expect("studies");
    assert_eq!((found.all.len(), found.unnamed, found.more), (1, 2, false));
    assert_eq!(found.all[0].study_uid, "1.2");
}

#[test]
fn a_peer_that_never_answers_is_left_at_once_when_the_work_is_cancelled() {
    let silent = || peer(|_| std::thread::sleep(Duration::from_mins(1)));
    let accepts = || {
        peer(|stream| {
            write(stream, &accepted(16_384));
            std::thread::sleep(Duration::from_mins(1));
        })
    };
    for port in [silent(), accepts()] {
        let monitor = Monitor::default();
        let (cancels, began) = (monitor.clone(), Instant::now());
        let asked = std::thread::scope(|scope| {
            scope.spawn(move || {
                while began.elapsed() < Duration::from_millis(300) {
                    std::thread::yield_now();
                }
                cancels.cancel();
            });
            pacs::studies(&dimse(port), None, &Query::default(), &monitor)
        });
        assert!(matches!(asked, Err(Error::Cancelled(_))), "{asked:?}");
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    }
}

#[test]
fn a_peer_that_drips_is_given_up_in_words() {
    let home = tempfile::tempdir().expect("a folder");
    // Its answer, byte by byte, each in a message of its own; and half of a message, byte by byte.
    let bytes = peer(|stream| {
        write(stream, &accepted(16_384));
        write(stream, &pdata(COMMAND, true, &answer(0xff00, true)));
        while stream.write_all(&pdata(DATA, false, b" ")).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let half = peer(|stream| {
        write(stream, &accepted(16_384));
        write(stream, &[4, 0, 0, 1, 0, 0]);
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    for (name, port, words) in [("bytes", bytes, "too slow to wait for"), ("half", half, "does not get on for 3 s")] {
        let port = port.to_string();
        done(home.path(), &["pacs", "add", name, "--host", "127.0.0.1", "--port", &port, "--called", "PXTEST"]);
        let mut command = parallax(home.path(), &["pacs", "find", name]);
        command.env("PARALLAX_PACS_PATIENCE", "2");
        let began = Instant::now();
        let (code, _, error) = ended(command);
        assert!(code == Some(1) && error.contains(words), "{name}: {error}");
        assert!(began.elapsed() < Duration::from_secs(30), "{name}: {:?}", began.elapsed());
    }
}
