//! DICOMweb servers that are honest, that break, and that lie.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parallax::job::{Cancelled, Monitor};
use parallax::pacs::{self, Error, Query, Where};
use serde_json::{Value, json};

use super::dimse_peers::assert_plain;
use super::series::of_series;
use super::{AT_ONCE, SERIES, STUDY, fetch, instance, instances, names, slice, web};
use crate::networks::catalogue::server::{Request, Server, send};

const SIDE: u16 = 8;

pub(super) fn list(stream: &mut TcpStream, all: &[Value]) {
    let text = serde_json::to_vec(all).expect("JSON");
    send(stream, &format!("200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: {}", text.len()), &text);
}

pub(super) fn listed(count: usize) -> Vec<Value> {
    let of = |k| json!({ "00080018": { "vr": "UI", "Value": [instance(k)] } });
    (0..count).map(of).collect()
}

/// The number in `name=5` of an address.
fn number(path: &str, name: &str) -> usize {
    let value = path.split(['?', '&']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// One page of a list, as the request wants it.
pub(super) fn page(request: &Request, all: &[Value], most: usize) -> Vec<Value> {
    let (offset, limit) = (number(&request.path, "offset"), number(&request.path, "limit"));
    all.iter().skip(offset).take(limit.min(most)).cloned().collect()
}

/// A body of parts, with its end or without.
pub(super) fn multipart(parts: &[Vec<u8>], ends: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend(b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend(part);
    }
    if ends {
        body.extend(b"\r\n--b--\r\n");
    }
    body
}

pub(super) const PARTS: &str = "200 OK\r\nContent-Type: multipart/related; type=\"application/dicom\"; boundary=b";

pub(super) fn is_list(request: &Request) -> bool {
    request.path.contains("/instances?")
}

/// Which instance a request is for, if for one.
pub(super) fn asked(request: &Request) -> Option<usize> {
    let uid = request.path.rsplit_once("/instances/")?.1;
    uid.rsplit('.').next()?.parse::<usize>().ok()?.checked_sub(1)
}

#[test]
fn pages_of_any_size_are_read_to_the_end() {
    for most in [100, 250, 100_000] {
        let all: Vec<_> = (0..730).map(|k| json!({ "0020000D": { "Value": [format!("1.2.{k}")] } })).collect();
        let server = Server::start(move |_, request, stream| list(stream, &page(request, &all, most)));
        let query = Query::default();
        let found = pacs::studies(&web(&server.address), None, &query, &Monitor::default()).expect("studies");
        assert_eq!((found.all.len(), found.more, found.unnamed), (730, false, 0), "{most}");
        let query = Query { limit: 730, ..Query::default() };
        let found = pacs::studies(&web(&server.address), None, &query, &Monitor::default()).expect("studies");
        assert_eq!((found.all.len(), found.more), (730, false), "{most}");
        let query = Query { limit: 200, ..Query::default() };
        let found = pacs::studies(&web(&server.address), None, &query, &Monitor::default()).expect("studies");
        assert_eq!((found.all.len(), found.more), (200, true), "{most}");
    }
}

#[test]
fn a_server_that_knows_no_limit_and_no_offset_and_one_whose_list_has_no_end_are_read_up_to_a_bound() {
    let all: Vec<_> = (0..12_000).map(|k| json!({ "0020000D": { "Value": [format!("1.2.{k}")] } })).collect();
    let server = Server::start(move |_, _, stream| list(stream, &all));
    let found = pacs::studies(&web(&server.address), None, &Query::default(), &Monitor::default()).expect("studies");
    assert_eq!((found.all.len(), found.more), (10_000, true));
    let endless = Server::start(|number, _, stream| {
        let of = |k| json!({ "0020000D": { "Value": [format!("1.{number}.{k}")] } });
        list(stream, &(0..100).map(of).collect::<Vec<_>>());
    });
    let found = pacs::studies(&web(&endless.address), None, &Query::default(), &Monitor::default()).expect("studies");
    assert_eq!((found.all.len(), found.more), (10_000, true));
}

#[test]
fn what_is_asked_for_stands_escaped_in_the_address_and_nothing_found_is_no_error() {
    for nothing in ["204 None\r\nContent-Length: 0", "200 OK\r\nContent-Length: 2"] {
        let server = Server::start(move |_, _, stream| {
            send(stream, nothing, if nothing.starts_with("200") { b"[]" } else { b"" });
        });
        let query = Query {
            patient_name: Some("M\u{fc}ller & S\u{f6}hne".to_owned()),
            days: Some(pacs::Days::read("2026-01-01:2026-01-31").expect("days")),
            modality: Some("CT".to_owned()),
            ..Query::default()
        };
        let found = pacs::studies(&web(&server.address), None, &query, &Monitor::default()).expect("studies");
        assert_eq!(found.all, []);
        let path = &server.requests()[0].path;
        for part in
            ["PatientName=M%C3%BCller%20%26%20S%C3%B6hne*", "StudyDate=20260101-20260131", "ModalitiesInStudy=CT"]
        {
            assert!(path.contains(part), "{path}");
        }
    }
}

#[test]
fn each_refusal_is_a_sentence_and_holds_no_password() {
    let secret = pacs::Secret::new("hunter2".to_owned());
    for (answer, body, said) in [
        ("401 No\r\nContent-Length: 0", "", "wants to know who asks"),
        ("403 No\r\nContent-Length: 0", "", "does not allow"),
        ("404 No\r\nContent-Length: 0", "", "knows no such thing"),
        ("302 Go\r\nLocation: http://elsewhere/\r\nContent-Length: 0", "", "redirects"),
        ("429 No\r\nContent-Length: 0", "", "no more requests"),
        ("500 No\r\nContent-Length: 0", "", "in trouble"),
        ("502 No\r\nContent-Length: 0", "", "does not reach it"),
        ("200 OK\r\nContent-Type: text/html\r\nContent-Length: 6", "<html>", "text/html, where a list"),
        ("200 OK\r\nContent-Length: 5", "hello", "no JSON list"),
        ("200 OK\r\nContent-Length: 2", "{}", "no JSON list"),
        ("200 OK\r\nContent-Length: 5000000", "[", "connection breaks"),
        ("nonsense", "", "no web server"),
    ] {
        let server = Server::start(move |_, _, stream| send(stream, answer, body.as_bytes()));
        let asked = pacs::studies(&web(&server.address), Some(&secret), &Query::default(), &Monitor::default());
        let error = asked.expect_err(answer).to_string();
        assert!(error.contains(said) && error.contains("source web (http"), "{answer}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert_plain(&error);
    }
    assert_eq!(format!("{secret:?}"), "Secret");
    let nested = format!("[{}", "[".repeat(100_000));
    let server = Server::start(move |_, _, stream| send(stream, "200 OK", nested.as_bytes()));
    let error =
        pacs::studies(&web(&server.address), None, &Query::default(), &Monitor::default()).expect_err("no list");
    assert!(error.to_string().contains("no JSON list"), "{error}");
}

#[test]
fn studies_and_series_without_a_name_that_dicom_allows_are_left_out_and_counted() {
    let all = [
        json!({}),
        json!(3),
        json!({ "0020000D": { "Value": ["../../etc"] } }),
        json!({ "0020000D": { "Value": ["1.2"] } }),
    ];
    let server = Server::start(move |_, request, stream| list(stream, &page(request, &all, 100)));
    let found = pacs::studies(&web(&server.address), None, &Query::default(), &Monitor::default()).expect("studies");
    assert_eq!((found.all.len(), found.unnamed), (1, 3));
}

#[test]
fn a_server_gone_in_the_middle_keeps_what_came_and_the_rest_comes_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let series = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&series);
    let server = Server::start(move |_, request, stream| match asked(request) {
        _ if is_list(request) => list(stream, &page(request, &listed(6), 100)),
        Some(k) => send(stream, PARTS, &multipart(&[slice(k, SIDE)], true)),
        None => {
            times.fetch_add(1, Ordering::SeqCst);
            let whole = multipart(&(0..6).map(|k| slice(k, SIDE)).collect::<Vec<_>>(), true);
            // In the middle of the fourth.
            let cut = whole.len() / 2 + 100;
            send(stream, &format!("{PARTS}\r\nContent-Length: {}", whole.len()), &whole[..cut]);
        }
    });
    let error = fetch(&web(&server.address), folder.path()).expect_err("cut").to_string();
    assert!(error.contains("3 of 6 instances came and are kept, run it again"), "{error}");
    assert_eq!(instances(folder.path()).len(), 3);
    let kept: Vec<_> = names(&folder.path().join(STUDY).join(SERIES));
    assert!(kept.iter().all(|name| !name.starts_with(".tmp")), "{kept:?}");
    let fetched = fetch(&web(&server.address), folder.path()).expect("fetched");
    assert_eq!((fetched.instances, fetched.came), (6, 3));
    assert_eq!(series.load(Ordering::SeqCst), 1, "the second time instance by instance");
    let again = fetch(&web(&server.address), folder.path()).expect("here");
    assert_eq!((again.came, again.came_bytes), (0, 0));
    for k in 0..6 {
        let path = fetched.folder.join(format!("{}.dcm", instance(k)));
        assert_eq!(std::fs::read(path).expect("there"), slice(k, SIDE), "{k}");
    }
    // What a loss of power cut is fetched again.
    std::fs::write(fetched.folder.join(format!("{}.dcm", instance(2))), &slice(2, SIDE)[..700]).expect("written");
    assert_eq!(fetch(&web(&server.address), folder.path()).expect("fetched").came, 1);
}

#[test]
fn half_a_series_doubled_instances_and_those_of_another_series_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, request, stream| match asked(request) {
        _ if is_list(request) => list(stream, &page(request, &listed(6), 100)),
        Some(_) => send(stream, "404 No\r\nContent-Length: 0", b""),
        None => send(stream, PARTS, &multipart(&(0..4).map(|k| slice(k, SIDE)).collect::<Vec<_>>(), true)),
    });
    let error = fetch(&web(&server.address), folder.path()).expect_err("half").to_string();
    assert!(error.contains("the source lists 6 instances of the series and gives 4"), "{error}");
    assert_eq!(instances(folder.path()).len(), 4, "nothing is lost");
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, request, stream| {
        let all = [
            slice(0, SIDE),
            slice(1, SIDE),
            slice(0, SIDE),
            of_series(0, SIDE, "1.2.3"),
            slice(2, SIDE),
            b"no DICOM".to_vec(),
        ];
        if is_list(request) {
            list(stream, &page(request, &listed(2), 100));
        } else {
            send(stream, PARTS, &multipart(&all, true));
        }
    });
    let fetched = fetch(&web(&server.address), folder.path()).expect("fetched");
    assert_eq!((fetched.instances, instances(folder.path()).len()), (2, 2));
    let notes = fetched.notes.join("\n");
    assert!(notes.contains("1 instance came more than once") && notes.contains("3 objects came that"), "{notes}");
    // A list that holds an instance twice holds it once.
    let server = Server::start(|_, request, stream| {
        let twice = [listed(2), listed(2)].concat();
        if is_list(request) {
            list(stream, &page(request, &twice, 100));
        } else {
            send(stream, PARTS, &multipart(&[slice(0, SIDE), slice(1, SIDE)], true));
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(fetch(&web(&server.address), folder.path()).expect("fetched").instances, 2);
    let none = Server::start(|_, _, stream| list(stream, &[]));
    let error = fetch(&web(&none.address), folder.path()).expect_err("none").to_string();
    assert!(error.contains("no such series"), "{error}");
}

#[test]
fn hostile_multipart_bodies_end_in_words_and_leave_nothing() {
    let one = slice(0, SIDE);
    let no_boundary = "200 OK\r\nContent-Type: multipart/related; type=\"application/dicom\"".to_owned();
    let long = format!("200 OK\r\nContent-Type: multipart/related; boundary={}", "b".repeat(5000));
    let endless_head = [b"--b\r\n".to_vec(), vec![b'x'; 1 << 18]].concat();
    let open = multipart(std::slice::from_ref(&one), false);
    let glued = [multipart(std::slice::from_ref(&one), false), b"\r\n--bogus\r\n\r\n".to_vec()].concat();
    for (head, body, said) in [
        (no_boundary, multipart(std::slice::from_ref(&one), true), "where parts of DICOM were asked for"),
        (long, Vec::new(), "where parts of DICOM were asked for"),
        ("200 OK\r\nContent-Type: application/json".to_owned(), b"{}".to_vec(), "where parts of DICOM were asked for"),
        (PARTS.to_owned(), Vec::new(), "ends in the middle"),
        (PARTS.to_owned(), vec![0; 1 << 18], "no part that begins"),
        (PARTS.to_owned(), endless_head, "bytes of header"),
        (PARTS.to_owned(), open, "ends in the middle"),
        (PARTS.to_owned(), glued, "a boundary that goes on"),
        (PARTS.to_owned(), b"--b--".to_vec(), "lists 2 instances of the series and gives 0"),
        (PARTS.to_owned(), multipart(&[vec![0xff; 1 << 20], Vec::new()], true), "gives 0"),
        (PARTS.to_owned(), multipart(&[one[..200].to_vec()], true), "gives 0"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(move |_, request, stream| {
            if is_list(request) { list(stream, &page(request, &listed(2), 100)) } else { send(stream, &head, &body) }
        });
        let error = fetch(&web(&server.address), folder.path()).expect_err(said).to_string();
        assert!(error.contains(said), "{said}: {error}");
        assert!(instances(folder.path()).len() <= 1);
        let left = names(&folder.path().join(STUDY).join(SERIES));
        assert!(left.iter().all(|name| !name.starts_with(".tmp")), "{left:?}");
    }
}

#[test]
fn a_cancelled_call_ends_at_once_whatever_the_server_does() {
    // Silent before its head, in the middle of a list, and in the middle of an instance.
    let silent = Server::start(|_, _, _| std::thread::sleep(Duration::from_mins(1)));
    let half = Server::start(|_, _, stream| {
        send(stream, "200 OK\r\nContent-Length: 999", b"[");
        std::thread::sleep(Duration::from_mins(1));
    });
    let within = Server::start(|_, request, stream| {
        if is_list(request) {
            list(stream, &page(request, &listed(2), 100));
        } else {
            send(stream, PARTS, &multipart(&[slice(0, SIDE), slice(1, SIDE)[..500].to_vec()], false));
            std::thread::sleep(Duration::from_mins(1));
        }
    });
    for server in [silent, half, within] {
        let folder = tempfile::tempdir().expect("a folder");
        let monitor = Monitor::default();
        let (cancels, source) = (monitor.clone(), web(&server.address));
        let began = Instant::now();
        let error = std::thread::scope(|scope| {
            scope.spawn(move || {
                while server.requests().is_empty() || began.elapsed() < Duration::from_millis(300) {
                    std::thread::yield_now();
                }
                cancels.cancel();
            });
            pacs::fetch(&source, None, (STUDY, SERIES), &Where::Folder(folder.path().to_owned()), &monitor)
        });
        assert!(matches!(error, Err(Error::Cancelled(Cancelled))), "{error:?}");
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    }
}
