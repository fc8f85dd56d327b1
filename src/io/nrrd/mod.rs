//! NRRD files, attached or detached: raw, gzipped, hexadecimal or as text.
//! Source: "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html; ITK's `NrrdImageIO` where that leaves a choice.

mod axes;
mod header;

use self::axes::Axes;
use self::header::{Encoding, Header};
use super::fault::Fault;
use super::plan::{Layout, Plan, Writing, choose};
use super::source::Source;
use super::stream::Stream;
use crate::job::Monitor;

/// Whether a file's beginning, unpacked, is that of a NRRD file.
pub(super) fn sniff(head: &[u8]) -> bool {
    head.starts_with(b"NRRD0")
}

/// Reads the header, and finds the numbers: behind it, or in a file beside it.
pub(super) fn plan(source: &Source, volume: Option<usize>, monitor: &Monitor) -> Result<Plan, Fault> {
    let mut stream = Stream::unpacked(source)?;
    let header = Header::read(&mut stream)?;
    let Axes { shape, volumes, order, places } = Axes::of(&header)?;
    let numbers = header.numbers()?;
    let mut notes = Vec::new();
    let (grid, geometry) = axes::grid(&header, shape, places, &mut notes).map_err(Fault::Unsuitable)?;
    let numbers_in = match header.beside()? {
        None => source.clone(),
        Some(name) => {
            let there = source.beside(&name);
            let there =
                there.ok_or_else(|| Fault::Unsuitable(format!("its numbers are in {name}, which is not beside it")))?;
            stream = Stream::stored(&there)?;
            there
        }
    };
    stream.skip_lines(header.line_skip()?, monitor)?;
    let encoding = header.encoding()?;
    stream = match encoding {
        Encoding::Raw | Encoding::Text => stream,
        Encoding::Gzip => stream.gunzipped(),
        Encoding::Hex => stream.decoded_hex(),
    };
    let mut layout = Layout {
        grid,
        numbers,
        writing: if encoding == Encoding::Text { Writing::Text } else { Writing::Binary },
        order,
        before: 0,
        volumes,
        volume: choose(volume, volumes)?,
        otherwise_bytes: None,
    };
    layout.before = match header.byte_skip()? {
        Some(bytes) => bytes,
        None if encoding == Encoding::Raw && stream.layers() == 0 => layout.before_the_last(&stream)?,
        None => return Err(Fault::Unsuitable("byte skip: -1, which only raw numbers may have".to_owned())),
    };
    Ok(Plan { chosen: source.clone(), numbers_in, stream, layout, format: "NRRD", geometry, notes })
}
