//! The header of a NRRD file: lines of a field and its value.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use super::super::fault::Fault;
use super::super::numbers::{Numbers, VoxelType};
use super::super::source::name_beside;
use super::super::stream::Stream;

/// No header is as long: gradients of diffusion scans take kilobytes.
const MOST_BYTES: u64 = 1 << 20;
/// What fields are also called.
const ALSO: [(&str, &str); 6] = [
    ("datafile", "data file"),
    ("lineskip", "line skip"),
    ("byteskip", "byte skip"),
    ("spacedirections", "space directions"),
    ("spaceorigin", "space origin"),
    ("spaceunits", "space units"),
];

/// The fields by their names in lower case. Keys of a program's own (`key:=value`) are left out.
#[derive(Debug)]
pub(super) struct Header(BTreeMap<String, String>);

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Raw,
    Gzip,
    Hex,
    Text,
}

impl Header {
    /// Reads to the empty line that ends a header, or to the file's end.
    pub(super) fn read(stream: &mut Stream) -> Result<Self, Fault> {
        let mut fields = BTreeMap::new();
        let mut text = stream.take(MOST_BYTES);
        let mut line = Vec::new();
        for number in 0.. {
            line.clear();
            let there = text.read_until(b'\n', &mut line)?;
            if there == 0 && text.limit() == 0 {
                return Err(Fault::Damaged(format!("a header without end ({MOST_BYTES} bytes)")));
            }
            let said = String::from_utf8_lossy(&line);
            let said = said.trim_end();
            if said.is_empty() {
                break;
            }
            // The first line is the format's mark.
            if number == 0 || said.starts_with('#') {
                continue;
            }
            let Some((field, value)) = said.split_once(':') else {
                return Err(Fault::Damaged(format!(
                    "its header has the line {:?}, which is no field",
                    shortened(said)
                )));
            };
            if value.starts_with('=') {
                continue;
            }
            let field = field.trim().to_ascii_lowercase();
            let field = ALSO.iter().find(|(also, _)| *also == field).map_or(field, |(_, name)| (*name).to_owned());
            // Lists of files follow the field that begins them.
            let ends = field == "data file" && value.trim_start().starts_with("LIST");
            if fields.insert(field.clone(), value.trim().to_owned()).is_some() {
                return Err(Fault::Damaged(format!("its header has the field \"{}\" twice", shortened(&field))));
            }
            if ends {
                break;
            }
        }
        Ok(Self(fields))
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str) -> Result<&str, Fault> {
        self.field(name).ok_or_else(|| Fault::Damaged(format!("its header lacks the field \"{name}\"")))
    }

    /// The sizes along all axes, the fastest first.
    pub(super) fn sizes(&self) -> Result<Vec<usize>, Fault> {
        let said = self.required("sizes")?;
        let sizes: Option<Vec<usize>> = said.split_whitespace().map(|size| size.parse().ok()).collect();
        let sizes = sizes.filter(|sizes| sizes.iter().all(|size| (1..=1 << 31).contains(size)));
        let wrong = || Fault::Damaged(format!("sizes: {}, which must be whole numbers of at least 1", shortened(said)));
        let sizes = sizes.ok_or_else(wrong)?;
        let dimension = self.required("dimension")?;
        if dimension.parse() != Ok(sizes.len()) {
            return Err(Fault::Damaged(format!("dimension: {}, and {} sizes", shortened(dimension), sizes.len())));
        }
        Ok(sizes)
    }

    pub(super) fn encoding(&self) -> Result<Encoding, Fault> {
        match self.required("encoding")?.to_ascii_lowercase().as_str() {
            "raw" => Ok(Encoding::Raw),
            "gzip" | "gz" => Ok(Encoding::Gzip),
            "hex" => Ok(Encoding::Hex),
            "text" | "txt" | "ascii" => Ok(Encoding::Text),
            "bzip2" | "bz2" => {
                Err(Fault::Unsuitable("encoding: bzip2, which is not read; save it with gzip, or unpacked".to_owned()))
            }
            other => Err(Fault::Unsuitable(format!("encoding: {}, which is not known", shortened(other)))),
        }
    }

    pub(super) fn numbers(&self) -> Result<Numbers, Fault> {
        let said = self.required("type")?.to_ascii_lowercase();
        let kind = match said.as_str() {
            "signed char" | "int8" | "int8_t" => VoxelType::Int8,
            "uchar" | "unsigned char" | "uint8" | "uint8_t" => VoxelType::Uint8,
            "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => VoxelType::Int16,
            "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => VoxelType::Uint16,
            "int" | "signed int" | "int32" | "int32_t" => VoxelType::Int32,
            "uint" | "unsigned int" | "uint32" | "uint32_t" => VoxelType::Uint32,
            "longlong"
            | "long long"
            | "long long int"
            | "signed long long"
            | "signed long long int"
            | "int64"
            | "int64_t" => VoxelType::Int64,
            "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => VoxelType::Uint64,
            "float" => VoxelType::Float32,
            "double" => VoxelType::Float64,
            other => {
                let other = shortened(other);
                return Err(Fault::Unsuitable(format!("type: {other}, not one number for each voxel")));
            }
        };
        let many = kind.bytes() > 1 && self.encoding()? != Encoding::Text;
        let big_endian = match self.field("endian").map(str::to_ascii_lowercase).as_deref() {
            Some("big") => true,
            Some("little") => false,
            None if !many => false,
            None => return Err(Fault::Damaged("its header lacks the field \"endian\"".to_owned())),
            Some(other) => {
                return Err(Fault::Damaged(format!("endian: {}, which must be little or big", shortened(other))));
            }
        };
        Ok(Numbers { kind, big_endian, scaling: None })
    }

    /// The file beside the header that holds the numbers; none where they follow it.
    pub(super) fn beside(&self) -> Result<Option<String>, Fault> {
        let Some(said) = self.field("data file") else { return Ok(None) };
        if said.starts_with("LIST") || said.contains('%') {
            return Err(Fault::Unsuitable("numbers in several files (data file); save it as one .nrrd".to_owned()));
        }
        name_beside(said).map(Some).map_err(|what| Fault::Unsuitable(format!("data file: {what}")))
    }

    pub(super) fn line_skip(&self) -> Result<u64, Fault> {
        let Some(said) = self.field("line skip") else { return Ok(0) };
        said.parse().map_err(|_no_number| Fault::Damaged(format!("line skip: {}", shortened(said))))
    }

    /// How many bytes lie before the numbers, once unpacked; none where the numbers are the file's last.
    pub(super) fn byte_skip(&self) -> Result<Option<u64>, Fault> {
        match self.field("byte skip") {
            None => Ok(Some(0)),
            Some("-1") => Ok(None),
            Some(said) => {
                let wrong = |_no_number| Fault::Damaged(format!("byte skip: {}", shortened(said)));
                said.parse().map(Some).map_err(wrong)
            }
        }
    }
}

/// The beginning of what a file says, for messages.
pub(super) fn shortened(said: &str) -> String {
    said.chars().filter(|letter| !letter.is_control()).take(60).collect()
}
