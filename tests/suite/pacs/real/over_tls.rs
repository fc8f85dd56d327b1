//! DIMSE over TLS with an archive that delivers: C-GET and C-MOVE, each with certificates on both sides.

use super::servers::{self, Orthanc};
use super::{add_dimse, holds, plain};
use crate::pacs::binary::{done, ended, parallax};
use crate::pacs::{SERIES, STUDY, instance, series};

#[test]
fn orthanc_delivers_over_tls_to_a_receiver_that_shows_its_certificate() {
    let Some(certificates) = servers::certificates() else { return };
    let receive = servers::free_port();
    let Some(orthanc) = Orthanc::start_with_tls(receive, certificates.path()) else { return };
    let home = tempfile::tempdir().expect("a folder");
    let files = series::write(&home.path().join("series"), 9, 64);
    let of = |name: &str| certificates.path().join(name);
    let (ca, certificate, key) = (of("ca.crt"), of("client.crt"), of("client.key"));
    let shown = ["--tls", "--ca", plain(&ca), "--certificate", plain(&certificate), "--key", plain(&key)];
    let port = receive.to_string();
    let by_move = ["--retrieve", "move", "--receive-port", &port];
    add_dimse(home.path(), "get", orthanc.dimse, "PXTEST", &[&shown[..], &["--retrieve", "get"]].concat());
    add_dimse(home.path(), "move", orthanc.dimse, "PXTEST", &[&shown[..], &by_move].concat());
    done(home.path(), &["pacs", "test", "move"]);
    let said = done(home.path(), &["pacs", "send", "move", plain(&home.path().join("series"))]);
    assert!(said.contains("9 of 9 objects stored"), "{said}");
    for name in ["get", "move"] {
        let out = home.path().join(name);
        done(home.path(), &["pacs", "get", name, STUDY, "--out", plain(&out)]);
        holds(&out, &files);
        std::fs::remove_file(out.join(STUDY).join(SERIES).join(format!("{}.dcm", instance(3)))).expect("removed");
        let said = done(home.path(), &["pacs", "get", name, STUDY, "--out", plain(&out), "--json"]);
        assert!(said.contains("\"came\": 1,"), "{said}");
        holds(&out, &files);
    }
    assert!(std::net::TcpListener::bind(("127.0.0.1", receive)).is_ok(), "the receiver is gone");
    // Another program has the port: said, and nothing waits.
    let taken = std::net::TcpListener::bind(("0.0.0.0", receive)).expect("the port");
    let out = home.path().join("taken");
    let (code, _, error) = ended(parallax(home.path(), &["pacs", "get", "move", STUDY, "--out", plain(&out)]));
    assert!(code == Some(1) && error.contains("another program listens there"), "{error}");
    drop(taken);
    // A key that is another's.
    let odd = ["--tls", "--ca", plain(&ca), "--certificate", plain(&certificate), "--key"];
    let other = of("server.key");
    add_dimse(home.path(), "odd", orthanc.dimse, "PXTEST", &[&odd[..], &[plain(&other)]].concat());
    let (code, _, error) = ended(parallax(home.path(), &["pacs", "test", "odd"]));
    assert!(code == Some(1) && error.contains("the key is not that of the certificate"), "{error}");
}
