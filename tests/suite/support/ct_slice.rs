//! A slice of a CT series as a DICOM file, written here.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

/// What a file says of itself, the last of a tag where it is said twice.
pub(crate) type Said = (Tag, VR, String);

/// The bytes of a file of 16-bit pixels, column by column and row by row, in explicit little-endian. It says what every slice says, and
/// what `says` has, or has in its place. `size` is columns and rows.
pub(crate) fn ct_slice(size: [u16; 2], is_signed: bool, pixels: Vec<u16>, says: &[Said]) -> Vec<u8> {
    let mut object = InMemDicomObject::new_empty();
    for (tag, value) in [(tags::SOP_CLASS_UID, uids::CT_IMAGE_STORAGE), (tags::SOP_INSTANCE_UID, "1.2.3.4")] {
        object.put(DataElement::new(tag, VR::UI, PrimitiveValue::from(value)));
    }
    let grey = PrimitiveValue::from("MONOCHROME2");
    object.put(DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, grey));
    for (tag, value) in [
        (tags::ROWS, size[1]),
        (tags::COLUMNS, size[0]),
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (tags::HIGH_BIT, 15),
        (tags::PIXEL_REPRESENTATION, u16::from(is_signed)),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    for (tag, vr, value) in says {
        let value = match *vr {
            VR::US => PrimitiveValue::from(value.parse::<u16>().expect("a number")),
            _ => PrimitiveValue::from(value.as_str()),
        };
        object.put(DataElement::new(*tag, *vr, value));
    }
    let uid = says.iter().rfind(|(tag, ..)| *tag == tags::SOP_INSTANCE_UID);
    let uid = uid.map_or("1.2.3.4", |(_, _, uid)| uid.as_str());
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())));
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(uid);
    let mut bytes = Vec::new();
    object.with_meta(meta).expect("a header").write_all(&mut bytes).expect("written");
    bytes
}
