//! Transfer syntaxes: how a DICOM file writes its elements and packs its pixels (PS3.5, 10 and annex A).

/// How pixels are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all: as many bytes in the file as in memory.
    Plain,
    Rle,
    /// What it is in truth is told by the stream.
    Jpeg,
    JpegLs,
    Jpeg2000,
}

/// A transfer syntax that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io) struct Syntax {
    /// For people.
    pub(in crate::io) name: &'static str,
    pub(super) packing: Packing,
    lossy: bool,
    /// Whether everything behind the file meta information is deflated.
    pub(super) is_deflated: bool,
    /// Whether pixels are big-endian where the header is not.
    pub(super) big_endian_pixels: bool,
}

/// What GE's consoles wrote before 2000: implicit and little-endian, but for the pixels (GDCM, `ImplicitVRBigEndianPrivateGE`).
const GE_PRIVATE: &str = "1.2.840.113619.5.2";

impl Syntax {
    pub(in crate::io) fn is_lossy(self) -> bool {
        self.lossy
    }

    /// By its UID; `None` where it is not read here. A file without file meta information names none: it is not packed.
    pub(super) fn of(uid: &str) -> Option<Self> {
        use Packing::{Jpeg, Jpeg2000, JpegLs, Plain, Rle};
        let read =
            |name, packing, lossy| Some(Self { name, packing, lossy, is_deflated: false, big_endian_pixels: false });
        if uid == GE_PRIVATE {
            return read("uncompressed, GE's private syntax", Plain, false)
                .map(|syntax| Self { big_endian_pixels: true, ..syntax });
        }
        if uid.is_empty() {
            return read("uncompressed", Plain, false);
        }
        match uid.strip_prefix("1.2.840.10008.1.2")? {
            "" | ".1" | ".1.98" => read("uncompressed", Plain, false),
            ".1.99" => read("deflated", Plain, false).map(|syntax| Self { is_deflated: true, ..syntax }),
            ".2" => read("uncompressed, big-endian", Plain, false),
            ".4.50" | ".4.51" | ".4.53" | ".4.55" => read("JPEG", Jpeg, true),
            ".4.57" | ".4.70" => read("JPEG lossless", Jpeg, false),
            ".4.80" => read("JPEG-LS lossless", JpegLs, false),
            ".4.81" => read("JPEG-LS near-lossless", JpegLs, true),
            ".4.90" | ".4.92" => read("JPEG 2000 lossless", Jpeg2000, false),
            ".4.91" | ".4.93" => read("JPEG 2000", Jpeg2000, true),
            ".4.201" | ".4.202" => read("high-throughput JPEG 2000 lossless", Jpeg2000, false),
            ".4.203" => read("high-throughput JPEG 2000", Jpeg2000, true),
            ".5" => read("RLE", Rle, false),
            _ => None,
        }
    }
}
