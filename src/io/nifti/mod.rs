//! NIfTI-1 and NIfTI-2 files, single or in pairs, plain or gzipped, of either byte order. The affine follows nibabel: sform,
//! else qform, else spacing; what contradicts it is said with both answers.
//! Sources: `nifti1.h` and `nifti2.h` of the NIfTI data format working group; `nibabel/nifti1.py`.

mod affine;
mod header;

use std::io::Read;

use self::header::{Header, NIFTI1_BYTES, NIFTI2_BYTES};
use super::fault::Fault;
use super::plan::{Layout, Order, Plan, Writing, choose};
use super::source::Source;
use super::stream::Stream;
use super::{Geometry, Note};
use crate::volume::Grid;

/// Whether a file's beginning, unpacked, is that of a NIfTI file, or of an Analyze header, which is refused by name.
pub(super) fn sniff(head: &[u8]) -> bool {
    header::sniff(head)
}

/// The header beside the image of a pair, by their names; none where there is none. The image itself has no mark.
pub(super) fn header_of(image: &Source) -> Option<Source> {
    let candidates = companions(&image.name(), ".img", ".hdr")?;
    candidates.iter().find_map(|name| image.beside(name))
}

/// The names that the other half of a pair may have: "a.img" and "a.img.gz" of "a.hdr". None of a file that is no half.
fn companions(name: &str, from: &str, to: &str) -> Option<[String; 2]> {
    let ends = |name: &str, end: &str| name.len() > end.len() && name.to_ascii_lowercase().ends_with(end);
    let packed = ends(name, ".gz");
    let bare = if packed { &name[..name.len() - 3] } else { name };
    if !ends(bare, from) {
        return None;
    }
    let stem = &bare[..bare.len() - from.len()];
    let (plain, gzipped) = (format!("{stem}{to}"), format!("{stem}{to}.gz"));
    Some(if packed { [gzipped, plain] } else { [plain, gzipped] })
}

/// Reads the header, and finds the voxels: in the file itself, or beside it.
pub(super) fn plan(source: &Source, volume: Option<usize>) -> Result<Plan, Fault> {
    let mut stream = Stream::unpacked(source)?;
    let mut head = Vec::new();
    (&mut stream).take(NIFTI1_BYTES as u64).read_to_end(&mut head)?;
    if header::is_second(&head) {
        (&mut stream).take((NIFTI2_BYTES - NIFTI1_BYTES) as u64).read_to_end(&mut head)?;
    }
    let header = Header::parse(&head)?;
    let mut notes = Vec::new();
    if stream.layers() > 1 {
        notes.push(Note::fact("the file is a gzip of a gzip; both are unpacked"));
    }
    let (numbers_in, stream) = if header.single {
        (source.clone(), stream)
    } else {
        let image = image_of(source)?;
        let stream = Stream::unpacked(&image)?;
        (image, stream)
    };

    let (shape, volumes) = header.shape()?;
    let numbers = header.numbers(&mut notes)?;
    let (world_from_voxel, geometry) = affine::place(&header, shape, &mut notes).map_err(Fault::Unsuitable)?;
    let stored = Grid { shape, world_from_voxel };
    let unit = header.unit();
    let grid = super::units::in_millimetres(stored, unit.as_ref(), &mut notes).map_err(Fault::Unsuitable)?;
    if geometry == Geometry::Spacing {
        notes.push(affine::guessed(&grid));
    }
    notes.extend(header.intent());
    let before = header.offset(&mut notes)?.saturating_sub(stream.at());
    let otherwise_bytes = header.otherwise_bytes(numbers.kind, &mut notes);
    let layout = Layout {
        grid,
        numbers,
        writing: Writing::Binary,
        order: Order::Volumes,
        before,
        volumes,
        volume: choose(volume, volumes)?,
        otherwise_bytes,
    };
    Ok(Plan { chosen: source.clone(), numbers_in, stream, layout, format: header.format(), geometry, notes })
}

/// The image beside the header of a pair.
fn image_of(header: &Source) -> Result<Source, Fault> {
    let unsuitable = |what: &str| Fault::Unsuitable(format!("the header of a NIfTI pair without its image; {what}"));
    let Some(candidates) = companions(&header.name(), ".hdr", ".img") else {
        return Err(unsuitable("rename it to end in .hdr, and lay the .img of its name beside it"));
    };
    let image = candidates.iter().find_map(|name| header.beside(name));
    image.ok_or_else(|| unsuitable(&format!("lay {} beside it", candidates[0])))
}
