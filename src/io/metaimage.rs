//! MetaImage files, `.mha` alone or `.mhd` with its numbers beside it.
//! Source: ITK's MetaIO, `metaImage.cxx` and `itkMetaImageIO.cxx`.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use glam::{DAffine3, DMat3, DVec3};

use super::fault::Fault;
use super::numbers::{Numbers, VoxelType};
use super::plan::{Layout, Order, Plan, Writing, choose};
use super::source::{Source, name_beside};
use super::stream::{GZIP, Stream};
use super::units::{Unit, in_millimetres, place};
use super::{Geometry, Note};
use crate::volume::Grid;

/// No header is as long.
const MOST_BYTES: u64 = 1 << 20;
/// The last field of a header: the numbers follow it, or lie in the file that it names.
const LAST: &str = "ElementDataFile";

/// The fields by their names.
struct Header(BTreeMap<String, String>);

/// Whether a file's beginning, unpacked, is that of a MetaImage header: lines of `Name = value`, one of them `NDims`.
pub(super) fn sniff(head: &[u8]) -> bool {
    let mut fields = head.split(|byte| *byte == b'\n').map(|line| {
        let (name, _) = line.split_at_checked(line.iter().position(|byte| *byte == b'=')?)?;
        let name = name.trim_ascii();
        name.iter().all(u8::is_ascii_alphanumeric).then_some(name)
    });
    fields.by_ref().map_while(|name| name).any(|name| name == b"NDims")
}

/// Reads the header, and finds the numbers: behind it, or in a file beside it.
pub(super) fn plan(source: &Source, volume: Option<usize>) -> Result<Plan, Fault> {
    let mut stream = Stream::unpacked(source)?;
    let header = Header::read(&mut stream)?;
    let mut notes = Vec::new();
    let (shape, volumes) = header.shape()?;
    let (grid, geometry) = header.grid(shape, &mut notes).map_err(Fault::Unsuitable)?;
    header.say_intensity(&mut notes)?;
    let numbers = header.numbers()?;
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
    let packed = header.flag("CompressedData")?.unwrap_or(false);
    let writing = if header.flag("BinaryData")?.unwrap_or(true) { Writing::Binary } else { Writing::Text };
    let mut layout = Layout {
        grid,
        numbers,
        writing,
        order: Order::Volumes,
        before: 0,
        volumes,
        volume: choose(volume, volumes)?,
        otherwise_bytes: None,
    };
    match header.skip()? {
        // The place of a HeaderSize is counted from the beginning of the file.
        Some(size) if packed => stream.skip(size.saturating_sub(stream.at()), &crate::job::Monitor::default())?,
        Some(size) => layout.before = size.saturating_sub(stream.at()),
        None if !packed && writing == Writing::Binary && stream.layers() == 0 => {
            layout.before = layout.before_the_last(&stream)?;
        }
        None => return Err(Fault::Unsuitable("HeaderSize = -1, which only numbers as they are may have".to_owned())),
    }
    if packed {
        stream = if stream.peek(GZIP.len())? == GZIP { stream.gunzipped() } else { stream.inflated() };
    }
    Ok(Plan { chosen: source.clone(), numbers_in, stream, layout, format: "MetaImage", geometry, notes })
}

impl Header {
    /// Reads to the field that ends a header.
    fn read(stream: &mut Stream) -> Result<Self, Fault> {
        let mut fields = BTreeMap::new();
        let mut text = stream.take(MOST_BYTES);
        let mut line = Vec::new();
        while !fields.contains_key(LAST) {
            line.clear();
            if text.read_until(b'\n', &mut line)? == 0 {
                return Err(Fault::Damaged(format!("its header lacks the field {LAST}")));
            }
            let said = String::from_utf8_lossy(&line);
            if let Some((name, value)) = said.split_once('=') {
                fields.insert(name.trim().to_owned(), value.trim().to_owned());
            } else if !said.trim().is_empty() {
                let said: String = said.chars().filter(|letter| !letter.is_control()).take(60).collect();
                return Err(Fault::Damaged(format!("its header has the line {said:?}, which is no field")));
            }
        }
        Ok(Self(fields))
    }

    /// What a field says, by the first of its names that is there.
    fn field(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name)).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn wrong(name: &str, said: &str) -> Fault {
        let said: String = said.chars().filter(|letter| !letter.is_control()).take(60).collect();
        Fault::Damaged(format!("{name} = {said}"))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        let Some(said) = self.field(&[name]) else { return Ok(None) };
        match said.as_bytes().first().map(u8::to_ascii_lowercase) {
            Some(b't' | b'1' | b'y') => Ok(Some(true)),
            Some(b'f' | b'0' | b'n') => Ok(Some(false)),
            _ => Err(Self::wrong(name, said)),
        }
    }

    /// All numbers of a field; none where the field is not there.
    fn values(&self, names: &[&str]) -> Result<Option<Vec<f64>>, Fault> {
        let Some(said) = self.field(names) else { return Ok(None) };
        let values: Result<Vec<f64>, _> = said.split_whitespace().map(str::parse).collect();
        values.map(Some).map_err(|_no_number| Self::wrong(names[0], said))
    }

    /// Says where the header asks for other numbers than those stored: no reader makes them.
    fn say_intensity(&self, notes: &mut Vec<Note>) -> Result<(), Fault> {
        for (name, nothing) in [("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)] {
            let said = self.values(&[name])?.unwrap_or_default();
            if let Some(other) = said.iter().find(|value| **value != nothing) {
                notes.push(Note::serious(format!(
                    "{name} = {other}: the numbers are taken as stored, as ITK does, and may not be Hounsfield units"
                )));
            }
        }
        Ok(())
    }

    /// Three sizes, and how many volumes there are.
    fn shape(&self) -> Result<([usize; 3], usize), Fault> {
        let lacks = |name: &str| Fault::Damaged(format!("its header lacks the field {name}"));
        let said = self.field(&["DimSize"]).ok_or_else(|| lacks("DimSize"))?;
        let sizes: Option<Vec<usize>> = said.split_whitespace().map(|size| size.parse().ok()).collect();
        let sizes = sizes.filter(|sizes| sizes.iter().all(|size| (1..=1 << 31).contains(size)));
        let sizes = sizes.ok_or_else(|| Self::wrong("DimSize", said))?;
        let dims = self.field(&["NDims"]).ok_or_else(|| lacks("NDims"))?;
        if dims.parse() != Ok(sizes.len()) {
            return Err(Self::wrong("NDims", &format!("{dims}, and {} sizes", sizes.len())));
        }
        let channels = self.field(&["ElementNumberOfChannels"]).unwrap_or("1");
        if channels != "1" {
            return Err(Fault::Unsuitable(format!(
                "{} numbers for each voxel (ElementNumberOfChannels), as colours and vectors have; save one volume of \
                 Hounsfield units alone",
                channels.chars().take(60).collect::<String>()
            )));
        }
        match sizes[..] {
            [i, j, k] => Ok(([i, j, k], 1)),
            [i, j, k, volumes] => Ok(([i, j, k], volumes)),
            _ => Err(Fault::Unsuitable(format!("{} dimensions, where a scan has three", sizes.len()))),
        }
    }

    fn numbers(&self) -> Result<Numbers, Fault> {
        let said = self.field(&["ElementType"]);
        let said = said.ok_or_else(|| Fault::Damaged("its header lacks the field ElementType".to_owned()))?;
        // Sizes: `MET_ValueTypeSize` of MetaIO's `metaTypes.h`.
        let kind = match said {
            "MET_CHAR" => VoxelType::Int8,
            "MET_UCHAR" => VoxelType::Uint8,
            "MET_SHORT" => VoxelType::Int16,
            "MET_USHORT" => VoxelType::Uint16,
            "MET_INT" | "MET_LONG" => VoxelType::Int32,
            "MET_UINT" | "MET_ULONG" => VoxelType::Uint32,
            "MET_LONG_LONG" => VoxelType::Int64,
            "MET_ULONG_LONG" => VoxelType::Uint64,
            "MET_FLOAT" => VoxelType::Float32,
            "MET_DOUBLE" => VoxelType::Float64,
            other => {
                let other: String = other.chars().filter(|letter| !letter.is_control()).take(60).collect();
                return Err(Fault::Unsuitable(format!("ElementType = {other}, not one number for each voxel")));
            }
        };
        let mut big_endian = false;
        for name in ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"] {
            big_endian = self.flag(name)?.unwrap_or(big_endian);
        }
        Ok(Numbers { kind, big_endian, scaling: None })
    }

    /// The file beside the header that holds the numbers; none where they follow it.
    fn beside(&self) -> Result<Option<String>, Fault> {
        let said = self.field(&[LAST]).unwrap_or("");
        if said.eq_ignore_ascii_case("LOCAL") {
            return Ok(None);
        }
        if said.starts_with("LIST") || said.contains('%') {
            return Err(Fault::Unsuitable(format!("numbers in several files ({LAST}); save it as one .mha")));
        }
        name_beside(said).map(Some).map_err(|what| Fault::Unsuitable(format!("{LAST} = {what}")))
    }

    /// How many bytes of its file lie before the numbers; none where the numbers are the last.
    fn skip(&self) -> Result<Option<u64>, Fault> {
        match self.field(&["HeaderSize"]) {
            None => Ok(Some(0)),
            Some("-1") => Ok(None),
            Some(said) => said.parse().map(Some).map_err(|_no_number| Self::wrong("HeaderSize", said)),
        }
    }

    /// Where the voxels lie, in RAS+ millimetres. The file's space is LPS; `TransformMatrix` lists the direction of each axis.
    fn grid(&self, shape: [usize; 3], notes: &mut Vec<Note>) -> Result<(Grid, Geometry), String> {
        let values = |names: &[&str]| self.values(names).map_err(|fault| fault.to_string());
        let (spacing, said) = match (values(&["ElementSpacing"])?, values(&["ElementSize"])?) {
            (Some(spacing), _) => (spacing, "ElementSpacing"),
            (None, Some(size)) => (size, "ElementSize"),
            (None, None) => return Err("the header says no spacing (ElementSpacing)".to_owned()),
        };
        let Some(spacing) = spacing.first_chunk::<3>().filter(|spacing| spacing.iter().all(|mm| *mm > 0.0)) else {
            return Err(format!("{said} = {spacing:?}, where a scan has three numbers above 0"));
        };
        let directions = values(&["TransformMatrix", "Rotation", "Orientation"])?;
        let directions = directions.map(|values| matrix(&values)).transpose()?;
        let origin = match values(&["Offset", "Position", "Origin"])? {
            None => DVec3::ZERO,
            Some(values) => {
                let first = values.first_chunk::<3>();
                DVec3::from_array(*first.ok_or_else(|| format!("Offset = {values:?}, which should be three numbers"))?)
            }
        };
        let ras_from_lps = DVec3::new(-1.0, -1.0, 1.0);
        let matrix = directions.unwrap_or(DMat3::IDENTITY) * DMat3::from_diagonal(DVec3::from_array(*spacing));
        let matrix = DMat3::from_diagonal(ras_from_lps) * matrix;
        let world_from_voxel = DAffine3::from_mat3_translation(matrix, ras_from_lps * origin);
        let unit = self.unit();
        let grid = in_millimetres(Grid { shape, world_from_voxel }, unit.as_ref(), notes)?;
        if directions.is_some() {
            return Ok((grid, Geometry::Header));
        }
        let [x, y, z] = grid.spacing_mm();
        notes.push(Note::serious(format!(
            "the header says nothing of orientation (no TransformMatrix): left and right are a guess, and so are front and \
             back. The axes are taken to step by {} mm towards right, front and head, as ITK does",
            place([-x, -y, z])
        )));
        Ok((grid, Geometry::Spacing))
    }

    /// `DistanceUnits` other than millimetres.
    fn unit(&self) -> Option<Unit> {
        let said = self.field(&["DistanceUnits"])?;
        let mm = match said {
            "um" => 1e-3,
            "cm" => 10.0,
            _ => return None,
        };
        Some(Unit { name: format!("{said} (DistanceUnits)"), mm })
    }
}

/// The directions of three axes, one after the other; of four, the first three.
fn matrix(values: &[f64]) -> Result<DMat3, String> {
    let step = match values.len() {
        9 => 3,
        16 => 4,
        count => return Err(format!("TransformMatrix with {count} numbers, which should be nine")),
    };
    let column = |axis: usize| DVec3::new(values[axis * step], values[axis * step + 1], values[axis * step + 2]);
    Ok(DMat3::from_cols(column(0), column(1), column(2)))
}
