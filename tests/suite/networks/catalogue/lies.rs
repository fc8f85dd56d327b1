//! What servers say that is not so, and what they refuse: each ends in words, or is made good; none leaves a wrong file.

use super::{Server, bytes, entry, get, honest, names, send, sha256};

/// Fetches from a server that lies, and returns what the error says. Nothing may have the file's name afterwards.
fn refused(more: &str, server: &Server) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let error = get(&entry(more), server, folder.path()).expect_err("refused").to_string();
    let left = names(folder.path());
    assert!(!left.iter().any(|name| name == "net.pt" || name == "net.toml"), "{left:?}");
    error
}

/// A server whose every answer is the same.
fn always(head: &'static str, body: Vec<u8>) -> Server {
    Server::start(move |_, _, stream| send(stream, head, &body))
}

#[test]
fn a_file_with_another_sha256_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let right = bytes(1000);
    for more in [format!("sha256 = \"{}\"", sha256(&right)), format!("sha256_begins = \"{}\"", &sha256(&right)[..8])] {
        let wrong = Server::honest(&bytes(999));
        let error = get(&entry(&more), &wrong, folder.path()).expect_err("wrong").to_string();
        assert!(error.contains("the catalogue says") && error.contains(&sha256(&bytes(999))), "{error}");
        assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
        get(&entry(&more), &Server::honest(&right), folder.path()).expect("the right one");
        std::fs::remove_dir_all(folder.path()).expect("removed");
    }
}

#[test]
fn a_server_that_says_another_sha256_than_its_file_has_is_not_believed() {
    let server = Server::start(|_, request, stream| {
        if request.path == "/net.pt" {
            let said = "0".repeat(64);
            send(
                stream,
                &format!("302 Found\r\nX-Linked-ETag: \"{said}\"\r\nLocation: /there\r\nContent-Length: 0"),
                b"",
            );
        } else {
            honest(&bytes(100), request, stream);
        }
    });
    assert!(refused("", &server).contains("where the server says 0000"));
}

#[test]
fn a_length_that_is_not_the_catalogues_is_refused_before_a_byte_is_kept() {
    let server = always("200 OK\r\nContent-Length: 1000", bytes(1000));
    assert!(refused("bytes = 999", &server).contains("the file there has 1000 bytes, where the catalogue says 999"));
}

#[test]
fn more_bytes_than_the_file_has_are_not_kept() {
    // 2000 bytes in one chunk, with no length announced.
    let chunk = [b"7d0\r\n".to_vec(), bytes(2000), b"\r\n0\r\n\r\n".to_vec()].concat();
    let server = always("200 OK\r\nTransfer-Encoding: chunked", chunk);
    assert!(refused("bytes = 1999", &server).contains("more than the 1999 bytes"));
}

#[test]
fn fewer_bytes_than_announced_are_no_file() {
    let error = refused("", &always("200 OK\r\nContent-Length: 1000", bytes(999)));
    assert!(error.contains("the connection breaks"), "{error}");
    let chunk = [b"3e7\r\n".to_vec(), bytes(999), b"\r\n".to_vec()].concat();
    let error = refused("", &always("200 OK\r\nTransfer-Encoding: chunked", chunk));
    assert!(error.contains("the connection breaks"), "{error}");
    // Without a length the end of the connection is the end of the file: only the catalogue can know better.
    let error = refused("bytes = 1000", &always("200 OK", bytes(999)));
    assert!(error.contains("ends at 999 of its 1000 bytes"), "{error}");
}

#[test]
fn a_server_that_knows_no_ranges_is_read_from_the_beginning() {
    let (whole, folder) = (bytes(1000), tempfile::tempdir().expect("a folder"));
    let sent = whole.clone();
    let server = Server::start(move |number, _, stream| {
        let end = if number == 0 { 400 } else { 1000 };
        send(stream, "200 OK\r\nContent-Length: 1000\r\nETag: \"one\"", &sent[..end]);
    });
    get(&entry(""), &server, folder.path()).expect("fetched");
    assert_eq!(server.requests()[1].from, Some(400));
    assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), whole);
}

#[test]
fn a_part_that_was_not_asked_for_is_refused() {
    let after = |head: &'static str| {
        Server::start(move |number, _, stream| match number {
            0 => send(stream, "200 OK\r\nContent-Length: 1000\r\nETag: \"one\"", &bytes(400)),
            _ => send(stream, head, &bytes(500)),
        })
    };
    for (head, said) in [
        ("206 Part\r\nContent-Length: 500\r\nContent-Range: bytes 500-999/1000", "bytes from 500 on, where 400 was"),
        ("206 Part\r\nContent-Length: 500\r\nContent-Range: bytes 400-999/1000", "sends another number of them"),
        ("206 Part\r\nContent-Length: 500", "does not say which"),
        ("206 Part\r\nContent-Length: 500\r\nContent-Range: bytes 999-400/1000", "does not say which"),
    ] {
        let error = refused("", &after(head));
        assert!(error.contains(said), "{head}: {error}");
    }
}

#[test]
fn a_range_beyond_the_end_begins_anew() {
    let (whole, folder) = (bytes(300), tempfile::tempdir().expect("a folder"));
    // What came before is of another file, longer than this one; the SHA-256 would tell.
    std::fs::write(folder.path().join("net.pt.part"), bytes(700)).expect("written");
    let server = Server::honest(&whole);
    get(&entry(&format!("sha256 = \"{}\"", sha256(&whole))), &server, folder.path()).expect("fetched");
    let asked: Vec<_> = server.requests().iter().map(|request| request.from).collect();
    assert_eq!(asked, [Some(700), None]);
    assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), whole);
}

#[test]
fn what_came_of_a_file_that_no_one_knows_again_is_not_taken_up() {
    let (whole, folder) = (bytes(300), tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("net.pt.part"), bytes(100)).expect("written");
    let server = Server::honest(&whole);
    get(&entry(""), &server, folder.path()).expect("fetched");
    assert_eq!(server.requests()[0].from, None);
}

#[test]
fn refusals_are_said_in_words_with_what_to_do() {
    for (head, said) in [
        ("401 Unauthorized\r\nContent-Length: 0", "Hugging Face's own client"),
        ("403 Forbidden\r\nContent-Length: 0", "those alone whom it knows"),
        ("404 Not Found\r\nContent-Length: 0", "no such file"),
        ("429 Slow down\r\nRetry-After: 30\r\nContent-Length: 0", "try again in 30 s"),
        ("503 Busy\r\nContent-Length: 0", "in trouble (HTTP 503)"),
        ("204 Nothing", "HTTP 204"),
        ("416 No\r\nContent-Length: 0", "HTTP 416"),
        ("200 OK\r\nContent-Length: 3\r\nContent-Encoding: gzip", "packs the file (gzip)"),
    ] {
        let error = refused("", &always(head, b"abc".to_vec()));
        assert!(error.contains(said), "{head}: {error}");
    }
}

#[test]
fn redirects_are_followed_a_few_times_and_never_to_what_is_no_web_server() {
    let (whole, folder) = (bytes(300), tempfile::tempdir().expect("a folder"));
    let sent = whole.clone();
    let server = Server::start(move |_, request, stream| match request.path.as_str() {
        "/net.pt" => send(stream, "302 Found\r\nLocation: a/b\r\nContent-Length: 0", b""),
        "/a/b" => send(stream, "307 Moved\r\nLocation: ../c?x=1\r\nContent-Length: 0", b""),
        "/c?x=1" => honest(&sent, request, stream),
        _ => send(stream, "404 No\r\nContent-Length: 0", b""),
    });
    get(&entry(""), &server, folder.path()).expect("fetched");
    assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), whole);
    let round = always("302 Found\r\nLocation: /net.pt\r\nContent-Length: 0", Vec::new());
    assert!(refused("", &round).contains("more than 10 times"));
    let file = always("302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0", Vec::new());
    assert!(refused("", &file).contains("redirects to file:///etc/passwd"));
}

#[test]
fn a_head_without_end_is_refused() {
    let head: &'static str = Box::leak(format!("200 OK\r\nX: {}", "x".repeat(1 << 20)).into_boxed_str());
    let error = refused("", &always(head, Vec::new()));
    assert!(error.contains("no web server"), "{error}");
}
