//! One transform of a bundle: its arguments, with what references stand for.

use serde_json::{Map, Value};

use crate::files;

/// References to references: more than any bundle has.
const MAX_REFERENCES: usize = 16;

/// A value, or what it refers to: "@spatial_size".
pub(super) fn resolved<'a>(config: &'a Map<String, Value>, value: &'a Value) -> Result<&'a Value, String> {
    let mut value = value;
    for _ in 0..MAX_REFERENCES {
        match value.as_str() {
            Some(text) if text.starts_with('@') => {
                let key = text.trim_start_matches('@');
                let mut parts = key.split(['#', ':']).filter(|part| !part.is_empty());
                let first = parts.next().and_then(|part| config.get(part));
                let step = |at: &'a Value, part: &str| match at {
                    Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                    other => other.get(part),
                };
                let found = parts.fold(first, |at, part| at.and_then(|at| step(at, part)));
                value = found.ok_or_else(|| format!("\"{text}\" refers to nothing"))?;
            }
            Some(text) if text.starts_with('$') => {
                return Err(format!(
                    "\"{}\" is an expression of Python; write a model card instead",
                    files::printable(text)
                ));
            }
            _ => return Ok(value),
        }
    }
    Err("references in a circle".to_owned())
}

/// One transform with what its references stand for.
pub(super) struct Transform<'a> {
    pub(super) config: &'a Map<String, Value>,
    pub(super) name: &'a str,
    pub(super) lines: &'a Map<String, Value>,
}

/// Arguments of transforms that change no number.
const WITHOUT_MEANING: [&str; 11] = [
    "_target_",
    "_disabled_",
    "_desc_",
    "_requires_",
    "keys",
    "allow_missing_keys",
    "name",
    "lazy",
    "dtype",
    "meta_keys",
    "meta_key_postfix",
];

impl Transform<'_> {
    pub(super) fn value(&self, key: &str) -> Result<Option<&Value>, String> {
        self.lines.get(key).map(|value| resolved(self.config, value)).transpose()
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.value(key)? else { return Ok(None) };
        // A list of one, as dictionary transforms repeat by key.
        let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        value.as_f64().map(Some).ok_or_else(|| format!("{}: {key} is no number", self.name))
    }

    pub(super) fn needed(&self, key: &str) -> Result<f64, String> {
        self.number(key)?.ok_or_else(|| format!("{} says no {key}", self.name))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, String> {
        Ok(self.value(key)?.and_then(Value::as_bool).unwrap_or(false))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, String> {
        let Some(value) = self.value(key)? else { return Ok(None) };
        Ok(value.as_array().and_then(|list| list.first()).unwrap_or(value).as_str())
    }

    /// Three numbers, or one for all.
    pub(super) fn three(&self, key: &str) -> Result<[f64; 3], String> {
        let value = self.value(key)?.ok_or_else(|| format!("{} says no {key}", self.name))?;
        let wrong = || format!("{}: {key} is not three numbers", self.name);
        match value {
            Value::Array(items) if items.len() == 3 => {
                let mut three = [0.0; 3];
                for (number, item) in three.iter_mut().zip(items) {
                    *number = resolved(self.config, item)?.as_f64().ok_or_else(wrong)?;
                }
                Ok(three)
            }
            other => other.as_f64().map(|number| [number; 3]).ok_or_else(wrong),
        }
    }

    /// Refuses arguments other than those that are read, and those `left` at another value than MONAI's own.
    pub(super) fn only(&self, read: &[&str], left: &[(&str, Value)]) -> Result<(), String> {
        for key in self.lines.keys().map(String::as_str) {
            let usual = left.iter().find(|(other, _)| *other == key).map(|(_, value)| value);
            let value = self.value(key).ok().flatten();
            let one = value.and_then(Value::as_array).and_then(|list| list.first()).or(value);
            let fits = match usual {
                Some(usual) => one == Some(usual) || one == Some(&Value::Null),
                None => read.contains(&key) || WITHOUT_MEANING.contains(&key),
            };
            if !fits {
                return self.refuse(&format!("has \"{}\", and no recipe does", files::printable(key)));
            }
        }
        Ok(())
    }

    /// Whether it is applied to the image: to the first of the keys that are loaded.
    pub(super) fn is_of(&self, image: &str) -> bool {
        match self.lines.get("keys").and_then(|keys| resolved(self.config, keys).ok()) {
            Some(Value::Array(keys)) => keys.iter().any(|key| key.as_str() == Some(image)),
            Some(Value::String(key)) => key == image,
            _ => true,
        }
    }

    pub(super) fn refuse<T>(&self, why: &str) -> Result<T, String> {
        Err(format!("{} {why}; write a model card whose recipe says how scans are prepared", self.name))
    }
}
