//! `parallax models`, the real program: killed in the middle, on a full disk, behind a proxy, and saying what it does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::{Server, bytes, entry, get, honest, names, send, sha256};
use crate::support::{Random, kills, run_until};

/// An entry without a SHA-256, one with limits, and one that has no files.
const NET: &str = "merlin";
pub(super) const FILE: &str = "i3_resnet_clinical_longformer_best_clip_04-02-2024_23-21-36_epoch_99.pt";
const LIMITED: &str = "maisi-vae";

/// The program, with no proxy and with a home of its own.
fn parallax(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    for variable in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "XDG_DATA_HOME", "HF_HOME", "HF_HUB_CACHE"] {
        command.env_remove(variable).env_remove(variable.to_lowercase());
    }
    command.env("HOME", home).args(args);
    command
}

fn ended(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

#[test]
fn a_killed_download_goes_on_where_it_stopped() {
    let (whole, home) = (bytes(4_000_000), tempfile::tempdir().expect("a folder"));
    let sent = whole.clone();
    // The first answer stops in the middle and holds the connection.
    let server = Server::start(move |number, request, stream| {
        if number == 0 {
            let head = format!("200 OK\r\nContent-Length: {}\r\nETag: \"one\"", sent.len());
            send(stream, &head, &sent[..2_500_000]);
            std::thread::sleep(Duration::from_mins(1));
        } else {
            honest(&sent, request, stream);
        }
    });
    let into = home.path().join("into");
    let args = ["models", "get", NET, "--from", &server.address, "--into", plain(&into)];
    let mut first = parallax(home.path(), &args).stderr(Stdio::null()).spawn().expect("the binary runs");
    let part = into.join(format!("{FILE}.part"));
    while std::fs::metadata(&part).map_or(0, |part| part.len()) < 2_500_000 {
        std::thread::sleep(Duration::from_millis(10));
    }
    first.kill().expect("killed");
    first.wait().expect("ended");
    assert!(!into.join(FILE).exists());
    let (code, said, error) = ended(parallax(home.path(), &args));
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("fetched") && said.contains("recorded now") && said.contains("merlin.toml"), "{said}");
    assert_eq!(server.requests()[1].from, Some(2_500_000));
    assert_eq!(std::fs::read(into.join(FILE)).expect("there"), whole);
    let (_, said, _) = ended(parallax(home.path(), &args));
    assert!(said.contains("here already; the SHA-256 is the recorded one"), "{said}");
}

#[test]
fn a_fetched_network_is_listed_as_here() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Server::honest(&bytes(1000));
    let (code, said, error) = ended(parallax(home.path(), &["models", "get", NET, "--from", &server.address]));
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains(plain(home.path())), "{said}");
    let (_, listed, _) = ended(parallax(home.path(), &["models", "--json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let here: Vec<_> = listed.as_array().expect("a list").iter().filter(|entry| entry["here"] == true).collect();
    assert_eq!(here.len(), 1);
    assert_eq!((here[0]["name"].as_str(), here[0]["runs"].as_bool()), (Some(NET), Some(true)));
}

#[test]
fn nothing_is_fetched_unless_it_is_asked_for() {
    let home = tempfile::tempdir().expect("a folder");
    let proxy = Server::start(|_, _, stream| send(stream, "403 No\r\nContent-Length: 0", b""));
    let through = |args: &[&str]| {
        let mut command = parallax(home.path(), args);
        command.env("ALL_PROXY", &proxy.address);
        ended(command)
    };
    let table = through(&["models"]).1;
    assert!(table.contains("astra-backbone") && table.contains("235 MB") && table.contains("research only"), "{table}");
    assert_eq!(through(&["models", "--json"]).0, Some(0));
    assert_eq!(through(&["models", "get", "no-such-net"]).0, Some(2));
    assert_eq!(through(&["models", "get", LIMITED]).0, Some(2), "no files");
    assert_eq!(through(&["models", "get", NET, "--from", plain(home.path())]).0, Some(1), "an empty folder");
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
    assert!(names(home.path()).is_empty(), "{:?}", names(home.path()));
    // The proxy would have been asked: here it is, and refuses.
    let (code, _, error) = through(&["models", "get", NET]);
    assert_eq!((code, proxy.requests().len()), (Some(1), 1), "{error}");
    assert!(error.contains("the proxy refuses") && proxy.requests()[0].path == "huggingface.co:443", "{error}");
}

#[test]
fn a_proxy_of_the_environment_is_used_except_where_it_is_told_not_to_be() {
    let home = tempfile::tempdir().expect("a folder");
    let server = Server::honest(&bytes(300_000));
    let target = server.address.trim_start_matches("http://").to_owned();
    // It leads every name to the one server.
    let proxy = Server::start(move |_, request, stream| {
        assert_eq!(request.method, "CONNECT");
        let mut there = TcpStream::connect(&target).expect("the server");
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").expect("written");
        let (mut asks, mut to) = (stream.try_clone().expect("a socket"), there.try_clone().expect("a socket"));
        let forward = move || std::io::copy(&mut asks, &mut to);
        std::thread::Builder::new().name("forward".to_owned()).spawn(forward).expect("a thread");
        let mut answer = Vec::new();
        there.read_to_end(&mut answer).expect("an answer");
        stream.write_all(&answer).ok(); // it may have hung up
        stream.shutdown(std::net::Shutdown::Both).ok();
    });
    let into = home.path().join("into");
    let args = ["models", "get", NET, "--from", "http://mirror.invalid/", "--into", plain(&into)];
    let through = |variable: &str, exempt: &str| {
        let mut command = parallax(home.path(), &args);
        command.env(variable, &proxy.address).env("NO_PROXY", exempt);
        ended(command)
    };
    let (code, _, error) = through("HTTP_PROXY", "mirror.invalid");
    assert_eq!((code, proxy.requests().len()), (Some(1), 0), "{error}");
    assert!(error.contains("no server of this name"), "{error}");
    let (code, _, error) = through("HTTP_PROXY", "other.invalid");
    assert_eq!((code, proxy.requests().len()), (Some(0), 1), "{error}");
    assert_eq!(std::fs::read(into.join(FILE)).expect("there"), bytes(300_000));
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_what_came_stays() {
    let home = tempfile::tempdir().expect("a folder");
    let sent = bytes(400_000);
    let whole = sent.clone();
    let server = Server::start(move |_, request, stream| honest(&sent, request, stream));
    let into = home.path().join("into");
    let args = ["models", "get", NET, "--from", &server.address, "--into", plain(&into)];
    // Files end at 200 blocks of 512 or 1024 bytes, and with the signal ignored writing more is an error, as on a full disk.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_parallax")]);
    limited.args(args).env("HOME", home.path());
    let (code, _, error) = ended(limited);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("the disk is full") && error.contains("--into"), "{error}");
    assert_eq!(names(&into), [format!("{FILE}.part"), format!("{FILE}.part.json")]);
    assert_eq!(ended(parallax(home.path(), &args)).0, Some(0));
    assert!(server.requests()[1].from.is_some_and(|from| from >= 100_000), "{:?}", server.requests());
    assert_eq!(std::fs::read(into.join(FILE)).expect("there"), whole);
}

#[cfg(target_os = "linux")]
#[test]
fn room_on_the_disk_is_asked_for_before_a_byte_is_fetched() {
    let home = tempfile::tempdir().expect("a folder");
    let disk = home.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&disk).output();
    let mounted = mounted.is_ok_and(|output| output.status.success());
    // Only the superuser may make a disk: a runner of CI need not be.
    if !mounted {
        writeln!(std::io::stderr(), "NOT TESTED: a small disk cannot be mounted here").ok();
        return;
    }
    let server = Server::start(|_, _, stream| send(stream, "200 OK\r\nContent-Length: 3000000", &[7; 1000]));
    let args = ["models", "get", NET, "--from", &server.address, "--into", plain(&disk)];
    let (code, _, error) = ended(parallax(home.path(), &args));
    let part = std::fs::metadata(disk.join(format!("{FILE}.part"))).map(|part| part.len());
    let known = ended(parallax(home.path(), &["models", "get", "astra-backbone", "--into", plain(&disk)]));
    // What came before needs no room any more: 1.8 MB fit on 2 MB of which 1 MB is taken by them.
    let whole = bytes(1_800_000);
    std::fs::write(disk.join("net.pt.part"), &whole[..1_000_000]).expect("written");
    let more = format!("bytes = 1800000\nsha256 = \"{}\"", sha256(&whole));
    let resumed = get(&entry(&more), &Server::honest(&whole), &disk).map(|got| got.files[0].sha256.clone());
    let unmounted = Command::new("umount").arg(&disk).status().expect("umount runs");
    assert!(unmounted.success());
    assert_eq!((code, part.ok()), (Some(1), None), "{error}");
    assert!(error.contains("3.0 MB more are needed and 2.1 MB are free"), "{error}");
    assert_eq!(resumed.expect("fetched"), sha256(&whole));
    // Where the catalogue knows the size, no one is asked at all.
    assert!(known.2.contains("422.6 MB more are needed"), "{}", known.2);
}

#[test]
fn a_download_that_is_killed_at_any_moment_goes_on_and_has_its_name_only_when_it_is_whole() {
    let (whole, home) = (bytes(3_000_000), tempfile::tempdir().expect("a folder"));
    let sent = whole.clone();
    // In pieces, so that a download takes a while.
    let server = Server::start(move |_, request, stream| {
        let from = request.from.unwrap_or(0);
        if from >= sent.len() {
            // One that was killed between its last byte and its name.
            return send(stream, &format!("416 No\r\nContent-Length: 0\r\nContent-Range: bytes */{}", sent.len()), b"");
        }
        let end = sent.len().min(from + 150_000);
        let (status, left) = (if from > 0 { "206 Partial Content" } else { "200 OK" }, sent.len() - from);
        let range = format!("Content-Range: bytes {from}-{}/{}\r\n", sent.len().saturating_sub(1), sent.len());
        send(stream, &format!("{status}\r\nContent-Length: {left}\r\n{range}ETag: \"one\""), &sent[from..end]);
        for piece in sent[end..].chunks(50_000) {
            if stream.write_all(piece).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let into = home.path().join("into");
    let get = || parallax(home.path(), &["models", "get", NET, "--from", &server.address, "--into", plain(&into)]);
    let mut random = Random::new(17);
    let path = into.join(FILE);
    for kill in 0..kills(50) {
        run_until(get(), Duration::from_millis(120).mul_f64(random.share()));
        if path.exists() {
            assert!(std::fs::read(&path).expect("a file") == whole, "kill {kill}");
            std::fs::remove_file(&path).expect("removed");
        }
    }
    assert!(run_until(get(), Duration::from_mins(1)));
    assert!(std::fs::read(&path).expect("a file") == whole);
}
