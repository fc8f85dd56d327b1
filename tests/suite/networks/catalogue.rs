//! Published networks, fetched from servers on loopback that are honest, broken, or lie.

mod binary;
mod cards;
mod lies;
mod packages;
mod real_servers;
mod real_weights;
pub(crate) mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use parallax::catalogue::{self, Asked, Checked, Entry, Error, Got, Here, Origin};
use parallax::job::Monitor;
use sha2::{Digest, Sha256};

use self::server::{Server, honest, send};

/// A cancelled download ends within this, whatever a server does.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Bytes that do not repeat: a piece in the wrong place is seen.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    (0..=length as u32 / 4).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).take(length).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// An entry with one file, `net.pt`; `more` are lines of that file.
fn entry(more: &str) -> Entry {
    let text = format!(
        "[[model]]\nname = \"net\"\nwhat = \"a network\"\nrole = \"segmenter\"\npage = \"https://page\"\nlicence = \"MIT\"\nfed = \"f\"\n\
         card = '''\nkind = \"lung-unet\"\n'''\n\
         [[model.file]]\nname = \"net.pt\"\nis = \"weights\"\nurl = \"https://huggingface.co/a/b/resolve/main/net.pt\"\n{more}\n"
    );
    catalogue::read(&text).expect("an entry").remove(0)
}

fn asked(from: &str, folder: &Path) -> Asked {
    Asked { from: Some(Origin::of(from)), folder: folder.to_owned(), ..Asked::default() }
}

fn get(entry: &Entry, server: &Server, folder: &Path) -> Result<Got, Error> {
    catalogue::get(entry, &asked(&server.address, folder), &Monitor::new(|_| {}))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_comes_whole_with_its_card_and_is_the_users_alone() {
    let (bytes, folder) = (bytes(3_000_000), tempfile::tempdir().expect("a folder"));
    let server = Server::honest(&bytes);
    let into = folder.path().join("new/net");
    let first = get(&entry(""), &server, &into).expect("fetched");
    assert_eq!((first.files[0].here, first.files[0].checked), (Here::Fetched, Checked::FirstTime));
    assert_eq!(std::fs::read(into.join("net.pt")).expect("there"), bytes);
    assert_eq!(names(&into), ["net.pt", "net.pt.sha256", "net.toml"]);
    let card = std::fs::read_to_string(into.join("net.toml")).expect("a card");
    for said in ["weights = \"net.pt\"", "kind = \"lung-unet\"", "licence: MIT", &sha256(&bytes)] {
        assert!(card.contains(said), "{said}: {card}");
    }
    #[cfg(unix)]
    for name in ["net.pt", "net.toml"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(into.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let again = get(&entry(""), &server, &into).expect("there");
    assert_eq!((again.files[0].here, again.files[0].checked), (Here::Before, Checked::Recorded));
    assert_eq!(server.requests().len(), 1, "what is there is not asked for");
    std::fs::write(into.join("net.pt"), &bytes[1..]).expect("written");
    let error = get(&entry(""), &server, &into).expect_err("another file").to_string();
    assert!(error.contains("its first download recorded"), "{error}");
}

#[test]
fn a_card_that_was_changed_by_hand_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("net.toml"), "mine").expect("written");
    let got = get(&entry(""), &Server::honest(&bytes(10)), folder.path()).expect("fetched");
    assert!(got.card.is_some_and(|(_, same)| !same));
    assert_eq!(std::fs::read_to_string(folder.path().join("net.toml")).expect("there"), "mine");
}

#[test]
fn a_cut_connection_is_taken_up_where_it_broke() {
    let (whole, folder) = (bytes(5_000_000), tempfile::tempdir().expect("a folder"));
    let sent = whole.clone();
    // Each answer breaks after 2 MB, whatever it announced.
    let server = Server::start(move |_, request, stream| {
        let from = request.from.unwrap_or(0);
        let end = sent.len().min(from + 2_000_000);
        let (left, total) = (sent.len() - from, sent.len());
        let range = format!("206 Part\r\nContent-Range: bytes {from}-{}/{total}", total - 1);
        let status = if from > 0 { range } else { "200 OK".to_owned() };
        send(stream, &format!("{status}\r\nContent-Length: {left}\r\nETag: \"one\""), &sent[from..end]);
    });
    get(&entry(""), &server, folder.path()).expect("fetched");
    assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), whole);
    let asked: Vec<_> = server.requests().into_iter().map(|request| (request.from, request.if_range)).collect();
    let tag = Some("\"one\"".to_owned());
    assert_eq!(asked, [(None, None), (Some(2_000_000), tag.clone()), (Some(4_000_000), tag)]);
}

#[test]
fn a_server_that_breaks_always_ends_in_words_and_what_came_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, request, stream| {
        if request.from.is_none() {
            send(stream, "200 OK\r\nContent-Length: 1000\r\nETag: \"one\"", &[7; 300]);
        }
    });
    let error = get(&entry(""), &server, folder.path()).expect_err("broken");
    assert!(matches!(error, Error::Broken { .. }) && error.to_string().contains("what came is kept"), "{error}");
    assert_eq!(names(folder.path()), ["net.pt.part", "net.pt.part.json"]);
    assert_eq!(std::fs::read(folder.path().join("net.pt.part")).expect("there"), [7; 300]);
}

#[test]
fn a_file_that_changed_on_the_server_begins_anew() {
    let (old, new, folder) = (bytes(900), bytes(800), tempfile::tempdir().expect("a folder"));
    let sent = new.clone();
    let server = Server::start(move |number, request, stream| match (number, &request.if_range) {
        (0, _) => send(stream, "200 OK\r\nContent-Length: 900\r\nETag: \"old\"", &old[400..500]),
        // The tag is no longer the file's: RFC 9110 wants the whole file then.
        (_, Some(tag)) if tag == "\"old\"" => send(stream, "200 OK\r\nContent-Length: 800\r\nETag: \"new\"", &sent),
        _ => honest(&sent, request, stream),
    });
    get(&entry(""), &server, folder.path()).expect("fetched");
    assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), new);
}

#[test]
fn a_cancelled_download_ends_at_once_though_the_server_says_nothing() {
    for silent_from in ["the beginning", "the middle"] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(move |_, _, stream| {
            if silent_from == "the middle" {
                send(stream, "200 OK\r\nContent-Length: 1000\r\nETag: \"one\"", &[7; 300]);
            }
            std::thread::sleep(Duration::from_mins(1));
        });
        let monitor = Monitor::new(|_| {});
        let cancel = monitor.clone();
        let later = std::thread::Builder::new().name("cancel".to_owned()).spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            cancel.cancel();
            Instant::now()
        });
        let ended = catalogue::get(&entry(""), &asked(&server.address, folder.path()), &monitor);
        let waited = later.expect("a thread").join().expect("cancelled").elapsed();
        assert!(matches!(ended, Err(Error::Cancelled(_))), "{silent_from}: {ended:?}");
        assert!(waited < AT_ONCE, "{silent_from}: {waited:?}");
    }
}

#[test]
fn two_downloads_of_one_file_are_an_error_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, _, stream| {
        send(stream, "200 OK\r\nContent-Length: 1000", &[7; 300]);
        std::thread::sleep(Duration::from_mins(1));
    });
    let monitor = Monitor::new(|_| {});
    let (first, into, address) = (monitor.clone(), folder.path().to_owned(), server.address.clone());
    let running = std::thread::Builder::new()
        .name("first".to_owned())
        .spawn(move || catalogue::get(&entry(""), &asked(&address, &into), &first).is_err())
        .expect("a thread");
    while std::fs::metadata(folder.path().join("net.pt.part")).map_or(0, |part| part.len()) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = get(&entry(""), &server, folder.path());
    assert!(matches!(second, Err(Error::Busy { .. })), "{second:?}");
    monitor.cancel();
    assert!(running.join().expect("ended"));
}

#[test]
fn a_licence_with_limits_asks_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::honest(&bytes(10));
    let mut entry = entry("");
    entry.licence.limits = Some("no commercial use".to_owned());
    let error = get(&entry, &server, folder.path()).expect_err("not accepted");
    assert!(matches!(error, Error::Licence { .. }) && error.to_string().contains("no commercial use"), "{error}");
    assert!(server.requests().is_empty() && names(folder.path()).is_empty());
    let accepted = Asked { licence_accepted: true, ..asked(&server.address, folder.path()) };
    catalogue::get(&entry, &accepted, &Monitor::new(|_| {})).expect("fetched");
    let card = std::fs::read_to_string(folder.path().join("net.toml")).expect("a card");
    assert!(card.contains("no commercial use"), "{card}");
}

#[test]
fn a_folder_takes_the_place_of_the_network() {
    let (mirror, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let from = asked(mirror.path().to_str().expect("plain"), folder.path());
    let get = || catalogue::get(&entry(""), &from, &Monitor::new(|_| {}));
    let error = get().expect_err("nothing there").to_string();
    assert!(error.contains("no net.pt there"), "{error}");
    std::fs::create_dir(mirror.path().join("net")).expect("a folder");
    std::fs::write(mirror.path().join("net/net.pt"), bytes(700_000)).expect("written");
    get().expect("copied");
    assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), bytes(700_000));
}

#[cfg(unix)]
#[test]
fn a_file_in_the_cache_of_the_hub_is_used_where_it_lies() {
    let (cache, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (bytes, repository) = (bytes(1000), cache.path().join("models--a--b"));
    for inside in ["refs", "blobs", "snapshots/0af1"] {
        std::fs::create_dir_all(repository.join(inside)).expect("a folder");
    }
    std::fs::write(repository.join("refs/main"), "0af1").expect("written");
    std::fs::write(repository.join("blobs").join(sha256(&bytes)), &bytes).expect("written");
    let link = repository.join("snapshots/0af1/net.pt");
    std::os::unix::fs::symlink(format!("../../blobs/{}", sha256(&bytes)), &link).expect("a link");
    let caches = vec![cache.path().to_owned()];
    assert!(catalogue::here(&entry(""), folder.path(), &caches));
    let asked = Asked { folder: folder.path().to_owned(), caches, ..Asked::default() };
    let got = catalogue::get(&entry(""), &asked, &Monitor::new(|_| {})).expect("there");
    assert_eq!((got.files[0].here, got.files[0].checked), (Here::Cached, Checked::Recorded));
    assert_eq!(names(folder.path()), ["net.toml"]);
    let card = std::fs::read_to_string(folder.path().join("net.toml")).expect("a card");
    assert!(card.contains(&format!("weights = \"{}\"", link.display())), "{card}");
}
