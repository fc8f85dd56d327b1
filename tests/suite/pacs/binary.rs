//! `parallax pacs`, the real program: what it keeps, what it shows, and what it never does.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::web_servers::{PARTS, asked, is_list, list, listed, multipart, page};
use super::{SERIES, STUDY, instance, names, slice};
use crate::networks::catalogue::server::{Server, send};
use crate::support::{Random, kills, run_until};

/// The program, with no proxy and with a home of its own.
pub(super) fn parallax(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    for variable in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "XDG_DATA_HOME", "SSL_CERT_FILE"] {
        command.env_remove(variable).env_remove(variable.to_lowercase());
    }
    // No keyring of the person who runs the tests.
    command.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("PARALLAX_PACS_PASSWORD");
    command.env("XDG_RUNTIME_DIR", home).env("HOME", home).args(args);
    command.stdin(std::process::Stdio::null());
    command
}

pub(super) fn ended(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// Runs it and expects that it succeeds; gives what it says.
pub(super) fn done(home: &Path, args: &[&str]) -> String {
    let (code, said, error) = ended(parallax(home, args));
    assert_eq!(code, Some(0), "{args:?}: {error}{said}");
    said
}

fn data(home: &Path) -> std::path::PathBuf {
    home.join(".local/share/parallax")
}

/// A server of one series of so many slices.
fn honest(count: usize, side: u16) -> Server {
    Server::start(move |_, request, stream| match asked(request) {
        _ if is_list(request) => list(stream, &page(request, &listed(count), 1000)),
        Some(k) => send(stream, PARTS, &multipart(&[slice(k, side)], true)),
        None if request.path.contains("/series?") || request.path.contains("/studies?") => {
            let one = serde_json::json!({
                "0020000D": { "Value": [STUDY] }, "0020000E": { "Value": [SERIES] },
                "00100010": { "Value": [{ "Alphabetic": "Evil\u{1b}[2J^\u{202e}Name\nX" }] },
                "0008103E": { "Value": ["\u{1b}]0;title\u{7}lung"] },
            });
            list(stream, &page(request, &[one], 1000));
        }
        None => send(stream, PARTS, &multipart(&(0..count).map(|k| slice(k, side)).collect::<Vec<_>>(), true)),
    })
}

#[cfg(unix)]
fn all_are_private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let found = entry.metadata().expect("there");
        let wanted = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, wanted, "{}", entry.path().display());
        if found.is_dir() {
            all_are_private(&entry.path());
        }
    }
}

#[test]
fn a_series_is_a_scan_is_fetched_once_and_goes_by_a_command() {
    let home = tempfile::tempdir().expect("a folder");
    let server = honest(8, 16);
    done(home.path(), &["pacs", "add", "ward", "--url", &server.address]);
    let scan = format!("pacs:ward/{STUDY}/{SERIES}");
    let said = done(home.path(), &["info", &scan]);
    assert!(said.contains("[16, 16, 8]") || said.contains("16") && said.contains("DICOM"), "{said}");
    let asked = server.requests().len();
    done(home.path(), &["info", &scan]);
    let again = server.requests().split_off(asked);
    assert!(again.iter().all(is_list), "only the list is asked for again: {again:?}");
    #[cfg(unix)]
    all_are_private(&home.path().join(".local/share/parallax"));
    let shown = done(home.path(), &["pacs", "clear"]);
    assert!(shown.contains("1 series deleted"), "{shown}");
    assert_eq!(names(&data(home.path()).join("pacs")), [""; 0]);
    for (wrong, said) in [
        ("pacs:ward/1.2", "SOURCE/STUDY/SERIES"),
        ("pacs:none/1.2/3.4", "no source is called"),
        ("pacs:ward/../x/1", "no UID"),
    ] {
        let (code, _, error) = ended(parallax(home.path(), &["info", wrong]));
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn what_a_server_says_moves_no_cursor_and_names_no_file() {
    let home = tempfile::tempdir().expect("a folder");
    let server = honest(2, 8);
    done(home.path(), &["pacs", "add", "ward", "--url", &server.address]);
    for args in [
        &["pacs", "find", "ward"][..],
        &["pacs", "find", "ward", "--study", STUDY],
        &["pacs", "find", "ward", "--json"],
    ] {
        let said = done(home.path(), args);
        let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!said.contains(steers), "{said:?}");
        assert!(said.contains("Evil") || said.contains("lung"), "{said:?}");
    }
    let out = home.path().join("out");
    done(home.path(), &["pacs", "get", "ward", STUDY, "--out", out.to_str().expect("plain")]);
    assert_eq!(names(&out), [STUDY]);
    assert_eq!(names(&out.join(STUDY)), [SERIES]);
}

#[test]
fn the_cache_is_bounded_and_the_series_used_longest_ago_go_first() {
    let home = tempfile::tempdir().expect("a folder");
    let server = honest(4, 64);
    for name in ["a", "b", "c"] {
        done(home.path(), &["pacs", "add", name, "--url", &server.address]);
    }
    let file = data(home.path()).join("pacs.json");
    let text = std::fs::read_to_string(&file).expect("sources");
    // Each series has 4 slices of 8 kB.
    std::fs::write(&file, text.replace("\"cache_gb\": 20.0", "\"cache_gb\": 0.00008")).expect("written");
    let folders = || names(&data(home.path()).join("pacs")).len();
    for (name, left) in [("a", 1), ("b", 2), ("a", 2), ("c", 2)] {
        done(home.path(), &["pacs", "get", name, &format!("{STUDY}/{SERIES}")]);
        assert_eq!(folders(), left, "{name}");
    }
    let asked = server.requests().len();
    done(home.path(), &["pacs", "get", "a", &format!("{STUDY}/{SERIES}")]);
    assert!(server.requests().split_off(asked).iter().all(is_list), "a was used after b, and stays");
}

#[test]
fn a_password_is_in_no_file_and_no_message() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, _, stream| send(stream, "401 No\r\nContent-Length: 0", b""));
    done(home.path(), &["pacs", "add", "ward", "--url", &server.address, "--user", "px"]);
    let (code, _, error) = ended(parallax(home.path(), &["pacs", "test", "ward"]));
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("the password of ward is not known") && error.contains("PARALLAX_PACS_PASSWORD"), "{error}");
    for sub in
        [&["pacs", "test", "ward"][..], &["pacs", "find", "ward"], &["pacs", "list"], &["pacs", "list", "--json"]]
    {
        let mut command = parallax(home.path(), sub);
        command.env("PARALLAX_PACS_PASSWORD", "hunter2-hunter2");
        let (_, said, error) = ended(command);
        assert!(!said.contains("hunter2") && !error.contains("hunter2"), "{said}{error}");
        assert!(said.contains("px") || error.contains("refuses the user, the password"), "{said}{error}");
    }
    let text = std::fs::read_to_string(data(home.path()).join("pacs.json")).expect("sources");
    assert!(!text.contains("hunter2"), "{text}");
    let (code, _, error) = ended(parallax(home.path(), &["pacs", "add", "x", "--url", "http://u:p@host/"]));
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("no user and no password"), "{error}");
    let (code, _, error) =
        ended(parallax(home.path(), &["pacs", "add", "x", "--url", "http://pacs.invalid/", "--user", "u"]));
    assert!(code == Some(2) && error.contains("over plain http"), "{error}");
}

#[test]
fn sources_that_cannot_be_are_refused_in_words() {
    let home = tempfile::tempdir().expect("a folder");
    for (args, said) in [
        (&["a/b", "--url", "https://h"][..], "the name of a source"),
        (&["a", "--url", "ftp://h"], "begins with https"),
        (&["a", "--host", "h", "--port", "104", "--called", "MUCH-TOO-LONG-A-TITLE"], "AE title"),
        (&["a", "--host", "h h", "--port", "104", "--called", "A"], "the host is"),
        (&["a", "--host", "h", "--port", "0", "--called", "A"], "a port is"),
        (&["a", "--host", "h", "--port", "65536", "--called", "A"], "from 1 to 65535"),
        (&["a", "--host", "h:104", "--port", "104", "--called", "A"], "its port beside it (--host, --port)"),
        (&["a", "--url", "https://h:65536/rs"], "from 1 to 65535"),
        (&["a", "--url", "https://h:0"], "from 1 to 65535"),
        (&["a"], "For DICOMweb name --url URL; for DIMSE name --host HOST, --port PORT and --called AE"),
        (&["a", "--tls"], "missing: --host HOST, --port PORT, --called AE"),
        (&["a", "--host", "h", "--certificate", "/x"], "missing: --port PORT, --called AE, --key FILE"),
        (&["a", "--user", "px"], "missing: --url URL"),
        (&["a", "--url", "https://h", "--port", "104"], "--port is for DIMSE (--host)"),
        (&["a", "--host", "h", "--user", "px"], "--user is for DICOMweb (--url)"),
        (&["a", "--host", "h", "--port", "104", "--called", "A", "--retrieve", "move"], "--receive-port"),
        (&["a", "--url", "https://h", "--ca", "/no/such/file"], "no such file"),
    ] {
        let (code, _, error) = ended(parallax(home.path(), &[&["pacs", "add"], args].concat()));
        assert!(code == Some(2) && error.contains(said), "{args:?}: {error}");
    }
    assert!(!data(home.path()).join("pacs.json").exists());
    std::fs::create_dir_all(data(home.path())).expect("a folder");
    std::fs::write(data(home.path()).join("pacs.json"), "{ nonsense").expect("written");
    let (code, _, error) = ended(parallax(home.path(), &["pacs", "list"]));
    assert!(code == Some(1) && error.contains("the sources cannot be read"), "{error}");
}

#[test]
fn an_archive_that_drips_is_given_up_in_words() {
    let home = tempfile::tempdir().expect("a folder");
    // A head that never ends, a list that never ends, and a series that never ends: a byte at a time.
    let drip = |stream: &mut TcpStream| {
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let head = Server::start(move |_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow:").ok(); // the client may have hung up
        drip(stream);
    });
    let body = Server::start(move |_, _, stream| {
        send(stream, "200 OK\r\nContent-Type: application/dicom+json", b"[");
        drip(stream);
    });
    let series = Server::start(move |_, request, stream| {
        if is_list(request) {
            list(stream, &page(request, &listed(2), 1000));
        } else {
            send(stream, PARTS, &multipart(&[slice(0, 16), slice(1, 16)[..500].to_vec()], false));
            drip(stream);
        }
    });
    let place = format!("{STUDY}/{SERIES}");
    let out = home.path().join("out");
    for (name, server, args, words) in [
        ("head", &head, &["pacs", "find", "head"][..], "does not get on for 3 s"),
        ("body", &body, &["pacs", "find", "body"], "too slow to wait for"),
        (
            "series",
            &series,
            &["pacs", "get", "series", &place, "--out", out.to_str().expect("plain")],
            "1 of 2 instances came and are kept",
        ),
    ] {
        done(home.path(), &["pacs", "add", name, "--url", &server.address]);
        let mut command = parallax(home.path(), args);
        command.env("PARALLAX_PACS_PATIENCE", "2");
        let began = Instant::now();
        let (code, _, error) = ended(command);
        assert!(code == Some(1) && error.contains(words), "{name}: {error}");
        assert!(began.elapsed() < Duration::from_secs(30), "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn a_series_whose_fetching_is_killed_at_any_moment_has_whole_instances_alone_and_goes_on() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, request, stream| match asked(request) {
        _ if is_list(request) => list(stream, &page(request, &listed(8), 100)),
        Some(k) => send(stream, PARTS, &multipart(&[slice(k, 64)], true)),
        None => {
            let body = multipart(&(0..8).map(|k| slice(k, 64)).collect::<Vec<_>>(), true);
            send(stream, PARTS, b"");
            for piece in body.chunks(4000) {
                if stream.write_all(piece).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
    done(home.path(), &["pacs", "add", "ward", "--url", &server.address]);
    let out = home.path().join("out");
    let folder = out.join(STUDY).join(SERIES);
    let get = || {
        let mut command = parallax(home.path(), &["pacs", "get", "ward"]);
        command.arg(format!("{STUDY}/{SERIES}")).arg("--out").arg(&out);
        command
    };
    let whole = |k: usize| {
        let path = folder.join(format!("{}.dcm", instance(k)));
        !path.exists() || std::fs::read(path).expect("a file") == slice(k, 64)
    };
    let mut random = Random::new(19);
    for kill in 0..kills(50) {
        run_until(get(), Duration::from_millis(120).mul_f64(random.share()));
        assert!((0..8).all(whole), "kill {kill}");
        if kill % 5 == 4 {
            std::fs::remove_dir_all(&folder).ok(); // from the beginning again
        }
    }
    assert!(run_until(get(), Duration::from_mins(1)));
    assert!((0..8).all(|k| folder.join(format!("{}.dcm", instance(k))).exists() && whole(k)));
    assert!(names(&folder).iter().all(|name| !name.starts_with(".tmp")), "what was left goes");
}
