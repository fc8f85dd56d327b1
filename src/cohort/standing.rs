//! How far one case has come, by what it would be asked now.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::case::{Failure, Stamp};
use super::manifest::Row;
use super::place::CohortFolder;
use super::sound::{self, Sound, Unsound};

/// How far a case has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The case has neither a result nor a failure.
    Missing,
    Done,
    Failed(Failure),
    /// Files of it are lost, cut or of another run; which, in words. It is computed again.
    Damaged(String),
    /// It is of another scan, or was asked something else, in words.
    Differs(String),
}

/// How far a case has come, by what it would be asked now. `scan_sha256` reads the scan, which is asked for only where its files are not
/// those of then.
pub(super) fn standing(
    place: &CohortFolder,
    row: &Row,
    asked: &Value,
    scan_sha256: impl FnOnce() -> Result<String>,
) -> Result<Standing> {
    let folder = place.case(&row.id);
    if let Some(failure) = Failure::open(&folder) {
        return Ok(Standing::Failed(failure));
    }
    let kept = match sound::read(&folder) {
        Ok(None) => return Ok(Standing::Missing),
        Ok(Some(Sound { kept, .. })) => kept,
        Err(Unsound::Damaged(why)) => return Ok(Standing::Damaged(why)),
        Err(Unsound::OtherVersion(why)) => return Ok(Standing::Differs(why)),
    };
    if kept.asked != *asked {
        return Ok(Standing::Differs(differences(&kept.asked, asked)));
    }
    if row.mask.as_deref().map(Stamp::of).transpose()? != kept.mask {
        return Ok(Standing::Differs("the mask is another".to_owned()));
    }
    let is_same = Stamp::of(&row.scan)? == kept.scan.stamp || scan_sha256()? == kept.scan.sha256;
    Ok(if is_same { Standing::Done } else { Standing::Differs("the scan's voxels are others".to_owned()) })
}

/// The names of what differs between two things that were asked, with both values where they are short.
pub(super) fn differences(then: &Value, now: &Value) -> String {
    let mut told = Vec::new();
    differ(then, now, "", &mut told);
    told.join(", ")
}

/// A longer value is not told.
const SHORT: usize = 40;

fn differ(then: &Value, now: &Value, name: &str, told: &mut Vec<String>) {
    if then == now {
        return;
    }
    if let (Some(a), Some(b)) = (then.as_object(), now.as_object()) {
        let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            differ(&then[key], &now[key], &name, told);
        }
        return;
    }
    let [was, is] = [then, now].map(Value::to_string);
    let short = was.len() <= SHORT && is.len() <= SHORT;
    told.push(if short { format!("{name} was {was}, is {is}") } else { format!("{name} is another") });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_named() {
        let then = json!({ "slab": [0, 3], "options": { "steps": 10, "drop": 0.8 }, "autoencoder": "a".repeat(64) });
        let now = json!({ "slab": [0, 4], "options": { "steps": 10, "drop": 0.5 }, "autoencoder": "b".repeat(64) });
        let said = differences(&then, &now);
        assert_eq!(said, "autoencoder is another, options.drop was 0.8, is 0.5, slab was [0,3], is [0,4]");
        assert_eq!(differences(&now, &now), "");
    }
}
