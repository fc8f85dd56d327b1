//! Which of the volumes of a path a scan is, told so that it can be opened again.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::BadInput;
use crate::io::{Choice, Scan, Series, Which};

/// Names one of the listed series: by its UID, which stays when files come and go. By its number where it has no UID, or shares it
/// with another one, as the phases of one series do.
pub fn which(series: &[Series], number: usize) -> Which {
    let uid = series.iter().find(|series| series.number == number).and_then(|series| series.uid.as_ref());
    let alone = |uid: &&String| series.iter().filter(|other| other.uid.as_ref() == Some(*uid)).count() == 1;
    uid.filter(alone).map_or(Which::Number(number), |uid| Which::Uid(uid.clone()))
}

/// What opens this scan again. It chooses nothing where the path holds this scan alone.
pub fn choice(scan: &Scan) -> Choice {
    let among = &scan.among;
    Choice {
        series: (among.series.len() > 1).then(|| which(&among.series, among.number)),
        volume: (among.volumes > 1).then_some(among.volume),
    }
}

/// Refuses a choice where there is none.
pub(super) fn refuse(choice: &Choice, what: &str, path: &Path) -> Result<()> {
    if *choice == Choice::default() {
        return Ok(());
    }
    let path = path.display();
    Err(BadInput(anyhow!("{what} holds no series or volumes to choose from; leave out --series and --volume: {path}"))
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_named_by_its_uid_where_no_other_has_it() {
        let series: Vec<_> = [Some("1.2.3"), Some("1.2.4"), Some("1.2.4"), None]
            .into_iter()
            .zip(1..)
            .map(|(uid, number)| Series {
                number,
                uid: uid.map(str::to_owned),
                modality: "CT".to_owned(),
                description: String::new(),
                kernel: None,
                slices: 3,
                size: [4, 5],
                spacing_mm: None,
                thickness_mm: None,
                unusable: None,
            })
            .collect();
        assert_eq!(which(&series, 1), Which::Uid("1.2.3".to_owned()));
        for number in [2, 3, 4, 9] {
            assert_eq!(which(&series, number), Which::Number(number));
        }
    }
}
