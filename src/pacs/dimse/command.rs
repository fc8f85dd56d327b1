//! Commands and identifiers as bytes: implicit VR, little-endian, elements in the order of their tags (PS3.7, 6.3.1).

use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// C-STORE, C-GET, C-FIND, C-MOVE, C-ECHO: requests (PS3.7, annex E). Answers have the highest bit.
pub(super) const STORE: u16 = 0x0001;
pub(super) const GET: u16 = 0x0010;
pub(super) const FIND: u16 = 0x0020;
pub(super) const MOVE: u16 = 0x0021;
pub(super) const ECHO: u16 = 0x0030;
pub(super) const ANSWER: u16 = 0x8000;
/// No data set follows a command.
const NO_DATA: u16 = 0x0101;
const WITH_DATA: u16 = 0x0001;

/// Elements that are being written.
#[derive(Default)]
pub(super) struct Elements(Vec<(Tag, Vec<u8>)>);

impl Elements {
    /// A text; UIDs end on a zero where others end on a space.
    pub(super) fn text(mut self, tag: Tag, said: &str) -> Self {
        let mut bytes = said.as_bytes().to_vec();
        if !bytes.len().is_multiple_of(2) {
            let is_uid = !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'\\'));
            bytes.push(if is_uid && UIDS.contains(&tag) { 0 } else { b' ' });
        }
        self.0.push((tag, bytes));
        self
    }

    pub(super) fn short(mut self, tag: Tag, value: u16) -> Self {
        self.0.push((tag, value.to_le_bytes().to_vec()));
        self
    }

    /// All elements, by tag.
    pub(super) fn bytes(mut self) -> Vec<u8> {
        self.0.sort_by_key(|(tag, _)| *tag);
        let mut bytes = Vec::new();
        for (tag, value) in self.0 {
            bytes.extend(tag.group().to_le_bytes());
            bytes.extend(tag.element().to_le_bytes());
            bytes.extend((value.len() as u32).to_le_bytes());
            bytes.extend(value);
        }
        bytes
    }

    /// Writes the elements as a command, whose group says its length first.
    fn command(self) -> Vec<u8> {
        let rest = self.bytes();
        let mut bytes = vec![0, 0, 0, 0, 4, 0, 0, 0];
        bytes.extend((rest.len() as u32).to_le_bytes());
        bytes.extend(rest);
        bytes
    }
}

const UIDS: [Tag; 6] = [
    tags::AFFECTED_SOP_CLASS_UID,
    tags::AFFECTED_SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SOP_INSTANCE_UID,
    tags::SOP_CLASS_UID,
];

/// A request about a class of objects; `is_followed` by a data set or not.
fn request(field: u16, class_uid: &str, id: u16, is_followed: bool) -> Elements {
    Elements::default()
        .text(tags::AFFECTED_SOP_CLASS_UID, class_uid)
        .short(tags::COMMAND_FIELD, field)
        .short(tags::MESSAGE_ID, id)
        .short(tags::COMMAND_DATA_SET_TYPE, if is_followed { WITH_DATA } else { NO_DATA })
}

pub(super) fn echo(class_uid: &str) -> Vec<u8> {
    request(ECHO, class_uid, 1, false).command()
}

/// C-FIND or C-GET, with an identifier behind it.
pub(super) fn query(field: u16, class_uid: &str, id: u16) -> Vec<u8> {
    request(field, class_uid, id, true).short(tags::PRIORITY, 0).command()
}

pub(super) fn move_to(class_uid: &str, id: u16, destination: &str) -> Vec<u8> {
    let request = request(MOVE, class_uid, id, true).short(tags::PRIORITY, 0);
    request.text(tags::MOVE_DESTINATION, destination).command()
}

pub(super) fn store(class_uid: &str, uid: &str, id: u16) -> Vec<u8> {
    let request = request(STORE, class_uid, id, true).short(tags::PRIORITY, 0);
    request.text(tags::AFFECTED_SOP_INSTANCE_UID, uid).command()
}

/// The answer to a request for C-STORE or C-ECHO.
pub(super) fn answer(field: u16, class_uid: &str, uid: Option<&str>, id: u16, status: u16) -> Vec<u8> {
    let mut answer = Elements::default()
        .text(tags::AFFECTED_SOP_CLASS_UID, class_uid)
        .short(tags::COMMAND_FIELD, field | ANSWER)
        .short(tags::MESSAGE_ID_BEING_RESPONDED_TO, id)
        .short(tags::COMMAND_DATA_SET_TYPE, NO_DATA)
        .short(tags::STATUS, status);
    if let Some(uid) = uid {
        answer = answer.text(tags::AFFECTED_SOP_INSTANCE_UID, uid);
    }
    answer.command()
}

/// Whether a command is followed by a data set.
pub(super) fn is_followed(kind: u16) -> bool {
    kind != NO_DATA
}
