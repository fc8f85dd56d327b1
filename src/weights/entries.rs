//! Entries of zip files, each held against its checksum.

use std::io::{Read, Seek};

use zip::read::{ArchiveOffset, Config, ZipFile};
use zip::result::{ZipError, ZipResult};
use zip::{CompressionMethod, ZipArchive};

/// Deflate cannot shrink more than this: an entry that claims so is a bomb.
pub(super) const MAX_INFLATION: u64 = 1032;

/// Opens a zip file that begins at its first byte. Told so, the reader does not take an entry that is a zip file itself for the whole.
pub(super) fn archive<R: Read + Seek>(zip: R) -> ZipResult<ZipArchive<R>> {
    ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, zip)
}

/// Opens an entry. Its checksum is compared at its end, but for a stored one that gives 0, as torch does for all that it writes after
/// `torch.serialization.set_crc32_options(False)`.
pub(super) fn entry<'a, R: Read + Seek>(archive: &'a mut ZipArchive<R>, name: &str) -> ZipResult<ZipFile<'a, R>> {
    let at = archive.index_for_name(name).ok_or(ZipError::FileNotFound)?;
    let raw = archive.by_index_raw(at)?;
    let has_none = raw.crc32() == 0 && raw.compression() == CompressionMethod::Stored;
    drop(raw);
    if has_none { archive.by_index_raw(at) } else { archive.by_index(at) }
}

/// Reads an entry to its end, where its checksum stands.
pub(super) fn verify(archive: &mut ZipArchive<impl Read + Seek>, name: &str) -> Result<(), String> {
    let entry = entry(archive, name).map_err(|e| e.to_string())?;
    // One byte more than there are: behind the last one stands the checksum.
    let most = entry.size().saturating_add(1);
    std::io::copy(&mut entry.take(most), &mut std::io::sink()).map_err(|why| damaged(name, &why))?;
    Ok(())
}

/// Says that an entry's bytes are not those that were written.
pub(super) fn damaged(entry: &str, why: &std::io::Error) -> String {
    let why = match why.to_string() {
        checksum if checksum == "Invalid checksum" => "its checksum (CRC-32) is not that of its bytes".to_owned(),
        other => other,
    };
    format!("its entry {entry} is damaged: {why}; copy or save the file again")
}
