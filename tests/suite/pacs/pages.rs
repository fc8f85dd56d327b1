//! The pages of archives without a window: sources, searches, passwords, series and results, by actions alone, on servers that are honest,
//! silent, broken, or lie.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parallax::pacs::{self, Secret};
use parallax::session::Session;
use parallax::session::action::{Archive, Sheet, View};
use parallax::session::archive::act::{Send, Sources};
use parallax::session::archive::draft::{Draft, Knows, Protocol};
use parallax::session::archive::form::Form;
use parallax::session::archive::object::Object;
use parallax::session::archive::thumbnails::Thumbnail;
use parallax::ui::Start;
use serde_json::{Value, json};

use super::web_servers::{PARTS, asked, is_list, list, multipart, page};
use super::{AT_ONCE, SERIES, STUDY, instance, names, slice};
use crate::networks::catalogue::server::{Request, Server, send};
use crate::tiny_models::TinyModels;
use crate::window::without_window::{explained, session, until};

pub(super) const SLICES: usize = 7;
const SIDE: u16 = 16;
const REPORTS: &str = "1.2.826.0.1.3680043.9.7.9";

/// A study, or a series of it, as lists have it.
fn listed(uid: &str, series: &str, modality: &str) -> Value {
    json!({
        "0020000D": { "Value": [uid] }, "0020000E": { "Value": [series] }, "00080060": { "Value": [modality] },
        "00080061": { "Value": ["CT", "SR"] }, "00100010": { "Value": [{ "Alphabetic": "Muster^Petra" }] },
        "00100020": { "Value": ["PX-77"] }, "00080020": { "Value": ["20260131"] }, "0008103E": { "Value": ["Lung 2 mm"] },
        "00200011": { "Value": [if modality == "CT" { 4 } else { 9 }] }, "00201209": { "Value": [SLICES] },
    })
}

/// Answers all questions about one study of two series: slices, and a report that is none.
pub(super) fn answer(request: &Request, stream: &mut std::net::TcpStream) {
    let (path, one) = (request.path.as_str(), asked(request));
    if path.contains("/studies?") {
        list(stream, &page(request, &[listed(STUDY, SERIES, "CT")], 1000));
    } else if path.contains("/series?") {
        let both = [listed(STUDY, REPORTS, "SR"), listed(STUDY, SERIES, "CT")];
        list(stream, &page(request, &both, 1000));
    } else if is_list(request) {
        // From the last slice to the first: which is in the middle is told by numbers alone.
        let of = |k| json!({ "00080018": { "Value": [instance(k)] }, "00200013": { "Value": [SLICES - k] } });
        let mut all: Vec<Value> = (0..SLICES).map(of).collect();
        all.rotate_left(2);
        list(stream, &page(request, &all, 1000));
    } else if let Some(k) = one {
        send(stream, PARTS, &multipart(&[slice(k, SIDE)], true));
    } else {
        send(stream, PARTS, &multipart(&(0..SLICES).map(|k| slice(k, SIDE)).collect::<Vec<_>>(), true));
    }
}

pub(crate) fn honest() -> Server {
    Server::start(|_, request, stream| answer(request, stream))
}

/// A session whose sources, series and log lie in a folder, at the page of archives.
fn at(folder: &Path) -> Session {
    let mut session = session(Start { archives: Some(folder.to_owned()), ..Start::default() });
    session.apply(View::Sheet(Sheet::Archive).into());
    until(&mut session, "the sources", |session| session.archive.sources.kept.ready().is_some());
    session
}

pub(super) fn draft(name: &str, url: &str) -> Draft {
    Draft { name: name.to_owned(), url: url.to_owned(), ..Draft::default() }
}

/// Adds a source as the fields of the page do.
pub(super) fn add(session: &mut Session, draft: Draft) {
    session.apply(Archive::Sources(Sources::Show(true)).into());
    session.apply(Archive::Sources(Sources::New).into());
    let name = draft.name.clone();
    session.apply(Archive::Sources(Sources::Change(Box::new(draft))).into());
    session.apply(Archive::Sources(Sources::Keep).into());
    let refused = |session: &Session| session.archive.sources.error().is_some();
    until(session, "the source", |session| session.archive.sources.draft.is_none() || refused(session));
    assert!(session.archive.sources.named(&name).is_some(), "{:?}", error(session));
    session.apply(Archive::Sources(Sources::Show(false)).into());
    session.apply(Archive::Choose(name).into());
}

/// What is wrong, in words.
pub(super) fn error(session: &Session) -> Option<String> {
    let archive = &session.archive;
    let error = archive.error().or(archive.sources.error()).or(archive.sending.error());
    error.map(parallax::pipeline::in_words)
}

pub(super) fn search(session: &mut Session) {
    session.apply(Archive::Search.into());
    until(session, "an answer", |session| session.archive.studies.running().is_none());
}

/// The series of the only study, with the places of the cards that are seen.
pub(super) fn show_study(session: &mut Session) {
    session.apply(Archive::Study(0).into());
    until(session, "the series", |session| session.archive.series.running().is_none());
}

fn data(folder: &Path) -> PathBuf {
    folder.join("pacs").join(STUDY).join(SERIES)
}

/// Everything that lies in a folder, as one text.
fn all_text(folder: &Path) -> String {
    let mut text = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                text.push_str(&String::from_utf8_lossy(&std::fs::read(entry.path()).expect("readable")));
            }
        }
    }
    text
}

#[test]
fn a_scan_is_found_shown_small_fetched_and_opened_by_actions_alone() {
    let (server, folder) = (honest(), tempfile::tempdir().expect("a folder"));
    let mut session = at(folder.path());
    assert!(server.requests().is_empty());
    add(&mut session, draft("ward", &server.address));
    let form = Form { name: "muster".to_owned(), days: "2026-01-01:2026-01-31".to_owned(), ..Form::default() };
    session.apply(Archive::Form(form).into());
    search(&mut session);
    assert!(server.requests()[0].path.contains("PatientName=muster*&StudyDate=20260101-20260131"));
    assert_eq!(session.archive.studies.ready().expect("studies").all[0].patient_name, "Muster^Petra");
    show_study(&mut session);
    let series: Vec<_> =
        session.archive.series.ready().expect("series").all.iter().map(|one| one.number.clone()).collect();
    assert_eq!(series, ["4", "9"], "by their numbers");

    // Pictures: of the cards that are seen, the middle instance alone.
    let asked_before = server.requests().len();
    session.tick(0.02);
    assert_eq!(server.requests().len(), asked_before, "no card is seen yet");
    session.apply(Archive::Seen(0..9).into());
    let has = |session: &Session, uid: &str| session.archive.thumbnails.of(uid).is_some();
    until(&mut session, "the pictures", |session| has(session, SERIES) && has(session, REPORTS));
    assert!(matches!(session.archive.thumbnails.of(SERIES), Some(Thumbnail::Here(_))));
    assert!(matches!(session.archive.thumbnails.of(REPORTS), Some(Thumbnail::None(why)) if why.contains("SR")));
    let single: Vec<_> = server.requests().iter().filter_map(asked).collect();
    assert_eq!(single, [SLICES / 2], "one instance, by its number");

    session.apply(Archive::Fetch(0).into());
    until(&mut session, "the scan", |session| session.model.scan.ready().is_some());
    assert_eq!(session.sheet, None, "the page gives way to the scan");
    let shape = session.model.scan.ready().expect("a scan").layers.scan.grid.shape;
    assert_eq!(shape, [SIDE as usize, SIDE as usize, SLICES]);
    assert_eq!(session.model.scan.ready().expect("a scan").path.as_deref(), Some(data(folder.path()).as_path()));

    // The second time nothing but the list is asked for; where the page was closed meanwhile, a line leads to the scan.
    session.apply(View::Sheet(Sheet::Archive).into());
    let before = server.requests().len();
    session.apply(Archive::Fetch(0).into());
    session.apply(View::Sheet(Sheet::Archive).into());
    until(&mut session, "the line", |session| !session.toasts.list.is_empty());
    assert!(
        session.toasts.list[0].text.contains("Series 4, Lung 2 mm is fetched") && session.toasts.list[0].show.is_some()
    );
    assert!(server.requests()[before..].iter().all(is_list));
}

#[test]
fn a_password_is_asked_for_once_and_is_in_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, request, stream| match request.authorization.as_deref() {
        Some("Basic cHg6aHVudGVyMg==") => answer(request, stream),
        _ => send(stream, "401 No\r\nContent-Length: 0", b""),
    });
    let mut session = at(folder.path());
    let basic = Draft { knows: Knows::Password, user: "px".to_owned(), ..draft("ward", &server.address) };
    add(&mut session, basic);
    let give = |session: &mut Session, said: &str| {
        let secret = Secret::new(said.to_owned());
        session.apply(Archive::Password { secret, keep: false }.into());
        until(session, "an answer", |session| session.archive.studies.running().is_none());
    };
    search(&mut session);
    let asked = session.archive.passwords.asked.as_ref().expect("a question");
    assert!(asked.what == "password" && !asked.why.is_empty() && asked.source.name == "ward");
    assert!(server.requests().is_empty() && error(&session).is_none(), "nothing was asked without it");
    session.apply(Archive::NoPassword.into());
    assert!(session.archive.passwords.asked.is_none());

    search(&mut session);
    give(&mut session, "wrong-wrong");
    let said = error(&session).expect("a refusal");
    assert!(said.contains("refuses the user, the password") && !said.contains("wrong-wrong"), "{said}");
    // It was refused, so it is asked for again; the right one is not asked for a second time.
    search(&mut session);
    assert!(session.archive.passwords.asked.is_some());
    give(&mut session, "hunter2");
    assert_eq!(session.archive.studies.ready().map(|found| found.all.len()), Some(1), "{:?}", error(&session));
    search(&mut session);
    show_study(&mut session);
    assert!(session.archive.passwords.asked.is_none() && session.archive.series.ready().is_some());
    session.apply(Archive::Fetch(0).into());
    until(&mut session, "the scan", |session| session.model.scan.ready().is_some());
    assert!(!all_text(folder.path()).contains("hunter2"));
    assert!(
        !format!("{:?}", Archive::Password { secret: Secret::new("hunter2".to_owned()), keep: false })
            .contains("hunter2")
    );

    // Another session knows nothing of it.
    let mut session = at(folder.path());
    search(&mut session);
    assert!(session.archive.passwords.asked.is_some());
}

#[test]
fn sources_are_added_changed_tried_and_removed_and_what_is_none_is_refused() {
    let (server, folder) = (honest(), tempfile::tempdir().expect("a folder"));
    let mut session = at(folder.path());
    add(&mut session, draft("ward", &server.address));
    let act = |session: &mut Session, act: Sources| session.apply(Archive::Sources(act).into());
    act(&mut session, Sources::Show(true));
    act(&mut session, Sources::Test("ward".to_owned()));
    until(&mut session, "the answer", |session| session.archive.sources.tested.ready().is_some());
    assert_eq!(session.archive.sources.tested.ready().expect("words").as_str(), "DICOMweb answers");

    // The name is taken; no port; a certificate that is not there.
    let dimse = Draft { protocol: Protocol::Dimse, host: "h".into(), called: "A".into(), ..draft("ct", "") };
    let no_file = Draft { authority: "/no/such/file".into(), ..draft("b", &server.address) };
    for (wrong, said) in [
        (draft("ward", "https://elsewhere"), "is called ward already"),
        (dimse, "the port is"),
        (no_file, "no such file"),
    ] {
        act(&mut session, Sources::New);
        act(&mut session, Sources::Change(Box::new(wrong.clone())));
        act(&mut session, Sources::Keep);
        until(&mut session, "a refusal", |session| error(session).is_some());
        assert!(error(&session).is_some_and(|why| why.contains(said)), "{:?}", error(&session));
        assert_eq!(session.archive.sources.draft, Some(wrong), "what was typed stays");
        session.apply(parallax::session::action::Run::DismissError(parallax::session::action::Place::Archive).into());
        act(&mut session, Sources::Leave);
    }

    act(&mut session, Sources::Edit("ward".to_owned()));
    let renamed = Draft { name: "lung".to_owned(), ..session.archive.sources.draft.clone().expect("its fields") };
    act(&mut session, Sources::Change(Box::new(renamed)));
    act(&mut session, Sources::Keep);
    until(&mut session, "the change", |session| session.archive.sources.draft.is_none());
    let kept = || pacs::load(&folder.path().join("pacs.json")).expect("sources").sources;
    assert_eq!(kept().iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["lung"]);
    until(&mut session, "another choice", |session| session.archive.source().is_some());

    // What the command line adds meanwhile stays.
    let mut more = pacs::load(&folder.path().join("pacs.json")).expect("sources");
    more.sources.push(super::dimse(104));
    pacs::save(&folder.path().join("pacs.json"), &more).expect("saved");
    act(&mut session, Sources::AskRemove("lung".to_owned()));
    assert_eq!(kept().len(), 2, "it is asked first");
    act(&mut session, Sources::Remove("lung".to_owned()));
    until(&mut session, "the removal", |session| session.archive.sources.named("lung").is_none());
    assert_eq!(kept().iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["peer"]);
    std::fs::write(folder.path().join("pacs.json"), "{ nonsense").expect("written");
    session.apply(View::Sheet(Sheet::Archive).into());
    session.apply(View::Sheet(Sheet::Archive).into());
    until(&mut session, "the refusal", |session| error(session).is_some());
    assert!(error(&session).is_some_and(|why| why.contains("the sources cannot be read")));
}

#[test]
fn a_server_that_says_nothing_is_left_at_once_and_the_session_never_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, _, _| std::thread::sleep(Duration::from_mins(1)));
    let mut session = at(folder.path());
    add(&mut session, draft("ward", &server.address));
    let began = Instant::now();
    session.apply(Archive::Search.into());
    session.tick(0.02);
    assert!(began.elapsed() < Duration::from_secs(1), "acting and looking wait for no server");
    until(&mut session, "the question", |_| !server.requests().is_empty());
    let began = Instant::now();
    session.apply(Archive::Cancel.into());
    until(&mut session, "the end", |session| session.archive.studies.running().is_none());
    assert!(began.elapsed() < AT_ONCE && error(&session).is_none(), "cancelling is no error: {:?}", error(&session));
}

#[test]
fn servers_that_lie_or_break_off_are_told_in_words_and_what_came_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let times = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_, request, stream| {
        let whole = !request.path.contains('?') && asked(request).is_none();
        if whole && times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            // Gone in the middle of the third.
            let body = multipart(&(0..SLICES).map(|k| slice(k, SIDE)).collect::<Vec<_>>(), true);
            let cut = body.len() * 5 / 14;
            send(stream, &format!("{PARTS}\r\nContent-Length: {}", body.len()), &body[..cut]);
        } else {
            answer(request, stream);
        }
    });
    let mut session = at(folder.path());
    add(&mut session, draft("ward", &server.address));
    search(&mut session);
    show_study(&mut session);
    session.apply(Archive::Fetch(0).into());
    until(&mut session, "the end", |session| session.archive.fetched.running().is_none());
    let said = error(&session).expect("words");
    assert!(said.contains("2 of 7 instances came and are kept"), "{said}");
    assert_eq!(names(&data(folder.path())).iter().filter(|name| name.strip_suffix(".dcm").is_some()).count(), 2);
    session.apply(Archive::Fetch(0).into());
    until(&mut session, "the scan", |session| session.model.scan.ready().is_some());

    let empty = tempfile::tempdir().expect("a folder"); // nothing of the series is here
    // Half of what it lists; a list that is none; no UID; ten thousand studies.
    let half = Server::start(|_, request, stream| {
        if request.path.contains('?') || asked(request).is_some_and(|k| k < 4) {
            answer(request, stream);
        } else {
            send(stream, "404 No\r\nContent-Length: 0", b"");
        }
    });
    let page_of =
        Server::start(|_, _, stream| send(stream, "200 OK\r\nContent-Type: text/html\r\nContent-Length: 6", b"<html>"));
    let many = Server::start(|_, request, stream| {
        let all: Vec<Value> = (0..12_000).map(|k| json!({ "0020000D": { "Value": [format!("1.2.{k}")] } })).collect();
        list(stream, &page(request, &all, 5000));
    });
    for (name, server, said) in
        [("half", &half, "knows no such thing"), ("page", &page_of, "where a list"), ("many", &many, "")]
    {
        if name == "half" {
            session.archive = parallax::session::archive::Archive::new(Some(empty.path().to_owned()));
            session.apply(View::Sheet(Sheet::Archive).into());
        }
        add(&mut session, draft(name, &server.address));
        search(&mut session);
        if name == "half" {
            show_study(&mut session);
            session.apply(Archive::Fetch(0).into());
            until(&mut session, "the end", |session| session.archive.fetched.running().is_none());
        }
        if !said.is_empty() {
            assert!(error(&session).is_some_and(|why| why.contains(said)), "{name}: {:?}", error(&session));
        }
    }
    let found = session.archive.studies.ready().expect("studies");
    assert!(found.all.len() == 1000 && found.more);
}

/// A server that stores maps and refuses segmentations.
pub(crate) fn choosy() -> Server {
    Server::start(|_, request, stream| {
        if request.method != "POST" {
            return answer(request, stream);
        }
        let mut body = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while !body.ends_with(b"--\r\n") {
            match std::io::Read::read(stream, &mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(n) => body.extend(&buffer[..n]),
            }
        }
        assert!(!body.windows(10).any(|part| part == b"MRN-481516"), "it names no patient");
        let parts = body.windows(4).enumerate().filter(|(_, part)| *part == b"DICM").map(|(at, _)| at);
        let starts: Vec<usize> = parts.collect();
        let (mut stored, mut refused) = (Vec::new(), Vec::new());
        for (at, start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).map_or(body.len(), |next| next - 128);
            let part = &body[start - 128..end];
            let length = part.windows(4).rposition(|four| four == b"\r\n--").expect("a boundary");
            let file = dicom_object::from_reader(&part[..length]).expect("a DICOM file");
            let (class, uid) = (&file.meta().media_storage_sop_class_uid, &file.meta().media_storage_sop_instance_uid);
            let uid = uid.trim_end_matches('\0');
            if class.trim_end_matches('\0') == "1.2.840.10008.5.1.4.1.1.66.4" {
                refused.push(json!({ "00081155": { "Value": [uid] }, "00081197": { "Value": [290] } }));
            } else {
                stored.push(json!({ "00081155": { "Value": [uid] } }));
            }
        }
        let said = json!({ "00081199": { "Value": stored }, "00081198": { "Value": refused } }).to_string();
        send(
            stream,
            &format!("202 Some\r\nContent-Type: application/dicom+json\r\nContent-Length: {}", said.len()),
            said.as_bytes(),
        );
    })
}

#[test]
fn a_result_is_sent_object_by_object_with_its_answers_and_its_lines_in_the_log() {
    let (server, folder) = (choosy(), tempfile::tempdir().expect("a folder"));
    let models = TinyModels::new();
    let mut none = at(folder.path());
    add(&mut none, draft("ward", &server.address));
    assert_eq!(none.archive.sending.hindrance(false, none.archive.source()), Some("There is no result yet"));
    none.apply(Archive::Send(Send::Start).into());
    assert!(none.archive.sending.sent.running().is_none(), "there is nothing to send");

    let scan = crate::exports::dicom_export::oblique(models.folder.path());
    let start = Start {
        scan: Some(scan),
        archives: Some(folder.path().to_owned()),
        ..crate::window::without_window::all(&models)
    };
    let mut session = session(start);
    crate::window::without_window::explain(&mut session);
    session.apply(View::Sheet(Sheet::Send).into());
    until(&mut session, "the sources", |session| session.archive.source().is_some());
    for object in Object::USUAL {
        session.apply(Archive::Send(Send::Tick(object, false)).into());
    }
    assert_eq!(session.archive.sending.hindrance(true, session.archive.source()), Some("Tick what to send"));
    for object in [Object::Difference, Object::Regions] {
        session.apply(Archive::Send(Send::Tick(object, true)).into());
    }
    session.apply(Archive::Send(Send::Start).into());
    until(&mut session, "the answers", |session| session.archive.sending.sent.running().is_none());
    let mut answers = session.archive.sending.answers();
    answers.sort_by(|a, b| a.name.cmp(&b.name));
    let said: Vec<_> = answers.iter().map(|one| (one.name.as_str(), one.stored)).collect();
    assert_eq!(said, [("Changed regions", false), ("Difference", true)], "{:?} {answers:?}", error(&session));
    assert!(answers[0].words.starts_with("failed: ") && answers[1].words == "stored", "{answers:?}");
    let log = std::fs::read_to_string(folder.path().join("pacs-sent.jsonl")).expect("a log");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().filter(|line| line["answer"] == "stored" && line["source"] == "ward").count(), 1);
    assert_eq!(lines.len(), 2);
    assert!(!log.contains("MRN-481516") && !log.contains(models.folder.path().to_str().expect("plain")));

    // Another visit begins anew, and again without the patient.
    session.apply(Archive::Send(Send::Tell(parallax::export::Patient::Kept)).into());
    session.apply(View::Sheet(Sheet::Send).into());
    session.apply(View::Sheet(Sheet::Send).into());
    assert!(session.archive.sending.answers().is_empty());
    assert_eq!(session.archive.sending.patient, parallax::export::Patient::LeftOut);
}

#[test]
fn a_peer_that_is_not_there_is_told_in_words_and_a_run_keeps_the_scan_that_is_open() {
    let (server, folder) = (honest(), tempfile::tempdir().expect("a folder"));
    let mut session = at(folder.path());
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let peer = Draft {
        protocol: Protocol::Dimse,
        host: "127.0.0.1".to_owned(),
        port: free.to_string(),
        called: "PXTEST".to_owned(),
        ..draft("ct", "")
    };
    add(&mut session, peer);
    search(&mut session);
    assert!(error(&session).is_some_and(|why| why.contains("nothing listens there")), "{:?}", error(&session));

    let models = TinyModels::new();
    let mut running = explained(&models);
    running.archive = parallax::session::archive::Archive::new(Some(folder.path().to_owned()));
    running.apply(View::Sheet(Sheet::Archive).into());
    until(&mut running, "the sources", |session| session.archive.sources.kept.ready().is_some());
    add(&mut running, draft("ward", &server.address));
    search(&mut running);
    show_study(&mut running);
    running.apply(Archive::Fetch(0).into());
    // The result of the scan before is safe in no file: it does not go unasked.
    until(&mut running, "the scan that waits", |session| session.model.waiting.is_some());
    assert!(running.model.run.ready().is_some());
}
