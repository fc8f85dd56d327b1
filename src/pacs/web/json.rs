//! DICOM as JSON (PS3.18, annex F): the few attributes that lists are read for.

use serde_json::Value;

use crate::pacs::query::{Instance, Series, Study};

/// Longer than any value of these attributes has to be, in letters.
const LONGEST: usize = 1000;

/// One object of a list.
pub(super) struct Object(pub(super) Value);

impl Object {
    /// All values of an attribute as text.
    fn texts(&self, tag: &str) -> Vec<String> {
        let values = self.0.get(tag).and_then(|element| element.get("Value")).and_then(Value::as_array);
        let text = |value: &Value| match value {
            Value::String(said) => Some(said.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Object(name) => {
                let written = ["Alphabetic", "Ideographic", "Phonetic"].iter().find_map(|way| name.get(*way)?.as_str());
                written.map(str::to_owned)
            }
            _ => None,
        };
        let texts = values.into_iter().flatten().filter_map(text);
        texts.map(|said| said.trim_matches([' ', '\0']).chars().take(LONGEST).collect()).collect()
    }

    fn text(&self, tag: &str) -> String {
        self.texts(tag).into_iter().next().unwrap_or_default()
    }

    fn count(&self, tag: &str) -> Option<u64> {
        self.text(tag).parse().ok()
    }

    pub(super) fn study(&self) -> Study {
        Study {
            study_uid: self.text("0020000D"),
            patient_name: self.text("00100010"),
            patient_id: self.text("00100020"),
            date: self.text("00080020"),
            time: self.text("00080030"),
            accession: self.text("00080050"),
            description: self.text("00081030"),
            modalities: self.texts("00080061").join("/"),
            series: self.count("00201206"),
            instances: self.count("00201208"),
        }
    }

    /// A series of a study, which servers need not repeat.
    pub(super) fn series(&self, study_uid: &str) -> Series {
        Series {
            study_uid: study_uid.to_owned(),
            series_uid: self.text("0020000E"),
            number: self.text("00200011"),
            modality: self.text("00080060"),
            description: self.text("0008103E"),
            body_part: self.text("00180015"),
            instances: self.count("00201209"),
        }
    }

    pub(super) fn instance(&self) -> Instance {
        Instance {
            uid: self.text("00080018"),
            class_uid: self.text("00080016"),
            number: self.text("00200013").parse().ok(),
        }
    }

    /// The items of a sequence.
    pub(super) fn items(&self, tag: &str) -> Vec<Self> {
        let values = self.0.get(tag).and_then(|element| element.get("Value")).and_then(Value::as_array);
        values.into_iter().flatten().cloned().map(Self).collect()
    }

    /// Which object an item of a store's answer is about.
    pub(super) fn referred(&self) -> String {
        self.text("00081155")
    }

    /// A status or a reason, a number of two bytes.
    pub(super) fn reason(&self, tag: &str) -> Option<u16> {
        self.count(tag).and_then(|code| u16::try_from(code).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_as_it_must_be_is_left_out() {
        let object = Object(serde_json::json!({
            "0020000D": { "vr": "UI", "Value": ["1.2"] },
            "00100010": { "vr": "PN", "Value": [{ "Alphabetic": "Doe^J" }] },
            "00080061": { "vr": "CS", "Value": ["CT", null, "SEG"] },
            "00201206": { "vr": "IS", "Value": [3] },
            "00201208": { "vr": "IS", "Value": ["many"] },
            "00100020": "no element", "00080020": { "Value": "no list" }, "00080050": null,
        }));
        let study = object.study();
        assert_eq!(
            (study.study_uid.as_str(), study.patient_name.as_str(), study.modalities.as_str()),
            ("1.2", "Doe^J", "CT/SEG")
        );
        assert_eq!((study.series, study.instances, study.patient_id.as_str()), (Some(3), None, ""));
    }
}
