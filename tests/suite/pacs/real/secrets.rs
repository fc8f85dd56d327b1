//! A password in a real secret service: GNOME's keyring on a session bus of its own.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::servers::found;
use crate::networks::catalogue::server::{Server, send};
use crate::pacs::binary::{done, parallax};

/// What is typed, and what the web server is told of it: `px:hunter2 hunter2`, as Basic has it.
const PASSWORD: &str = "hunter2 hunter2";
const TOLD: &str = "Basic cHg6aHVudGVyMiBodW50ZXIy";
/// Types the password on a terminal, asks twice without one, and forgets it.
const SCRIPT: &str = "set -e
printf ring | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
script -qec '\"$PARALLAX\" pacs password ward' /dev/null
\"$PARALLAX\" pacs test ward </dev/null
\"$PARALLAX\" pacs add ward --url \"$ELSEWHERE\" --user px </dev/null
if \"$PARALLAX\" pacs test ward </dev/null; then exit 1; fi
\"$PARALLAX\" pacs add ward --url \"$URL\" --user px </dev/null
\"$PARALLAX\" pacs test ward </dev/null
\"$PARALLAX\" pacs remove ward
\"$PARALLAX\" pacs add ward --url \"$URL\" --user px </dev/null
if \"$PARALLAX\" pacs test ward </dev/null; then exit 1; fi
echo all was asked";
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn a_password_lies_in_the_keyring_under_name_and_address_and_goes_with_its_source() {
    let tools =
        [("gnome-keyring-daemon", "gnome-keyring"), ("dbus-run-session", "dbus-daemon"), ("script", "bsdutils")];
    if tools.iter().any(|(name, package)| found(name, package).is_none()) {
        return;
    }
    let server = Server::start(|_, request, stream| match request.authorization.as_deref() {
        Some(TOLD) => send(stream, "200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: 2", b"[]"),
        _ => send(stream, "401 No\r\nContent-Length: 0", b""),
    });
    let home = tempfile::tempdir().expect("a folder");
    done(home.path(), &["pacs", "add", "ward", "--url", &server.address, "--user", "px"]);
    // The same variables as every run of the program here has, and a bus of its own.
    let program = parallax(home.path(), &[]);
    let mut session = Command::new("dbus-run-session");
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    session.env("PARALLAX", program.get_program()).env("URL", &server.address);
    session.env("ELSEWHERE", server.address.replace("127.0.0.1", "localhost"));
    session.args(["--", "sh", "-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut session = session.spawn().expect("it starts");
    let mut typed = session.stdin.take().expect("a pipe");
    let mut out = session.stdout.take().expect("a pipe");
    let began = Instant::now();
    let types = move || {
        // Until it is read: what is typed before the terminal listens is lost.
        while typed.write_all(format!("{PASSWORD}\r").as_bytes()).and_then(|()| typed.flush()).is_ok() {
            assert!(began.elapsed() < PATIENCE, "no one asks for the password");
            std::thread::sleep(Duration::from_millis(300));
        }
    };
    let types = std::thread::Builder::new().name("types".to_owned()).spawn(types).expect("a thread");
    let mut said = String::new();
    out.read_to_string(&mut said).expect("words");
    let ended = session.wait_with_output().expect("it ends");
    types.join().expect("typed");
    let error = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && said.contains("all was asked"), "{said}{error}");
    assert!(
        said.contains("is in this system's keyring") && said.matches("DICOMweb answers").count() == 2,
        "{said}{error}"
    );
    assert_eq!(error.matches("none is kept in this system's keyring").count(), 2, "{error}");
    let files = walk(home.path());
    assert!(files.iter().all(|file| !holds(file, PASSWORD.as_bytes())), "{files:?}");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// Whether the bytes of a file hold others; a socket holds none.
fn holds(file: &std::path::Path, wanted: &[u8]) -> bool {
    std::fs::read(file).is_ok_and(|bytes| bytes.windows(wanted.len()).any(|some| some == wanted))
}
