//! Archives: servers that are honest, broken, or lie, and real ones on loopback.

mod binary;
mod dimse_peers;
mod names;
pub(crate) mod pages;
mod real;
mod screen;
mod series;
mod web_servers;

use std::path::Path;
use std::time::Duration;

use parallax::job::Monitor;
use parallax::pacs::{self, Access, Certificates, Dimse, Error, Fetched, Login, Retrieve, Source, Web, Where};

pub(crate) use self::series::{SERIES, STUDY, instance, slice};

/// A cancelled call ends within this, whatever a server does.
const AT_ONCE: Duration = Duration::from_secs(3);

fn web(url: &str) -> Source {
    let (login, certificates) = (Login::None, Certificates::default());
    Source {
        name: "web".to_owned(),
        kind: Access::DicomWeb(Web { url: url.to_owned(), login, certificates, unencrypted: false }),
    }
}

pub(crate) fn dimse(port: u16) -> Source {
    let peer = Dimse {
        host: "127.0.0.1".to_owned(),
        port,
        called: "PXTEST".to_owned(),
        calling: "PARALLAX".to_owned(),
        tls: false,
        certificates: Certificates::default(),
        retrieve: Retrieve::Any,
        receive_port: None,
    };
    Source { name: "peer".to_owned(), kind: Access::Dimse(peer) }
}

/// The series that all tests here know, fetched into a folder.
fn fetch(source: &Source, into: &Path) -> Result<Fetched, Error> {
    pacs::fetch(source, None, (STUDY, SERIES), &Where::Folder(into.to_owned()), &Monitor::default())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Which whole instances lie in the folder of the series.
fn instances(into: &Path) -> Vec<String> {
    names(&into.join(STUDY).join(SERIES)).into_iter().filter(|name| name.strip_suffix(".dcm").is_some()).collect()
}
