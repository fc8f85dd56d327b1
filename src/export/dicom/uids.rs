//! The names of what a run makes: from a hash, so that the same run gives the same ones and another run others.

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::Patient;
use crate::export::Subject;
use crate::io::study::Study;

pub(super) struct Uids {
    /// All that the files of a run say, but when and how fast they were made.
    run: String,
    /// The scan alone: what is made of it again lies in the same study.
    scan: String,
}

impl Uids {
    pub(super) fn new(subject: &Subject, study: Option<&Study>, patient: Patient) -> Result<Self> {
        let scan = format!("{} {:?}", subject.report.input.sha256, subject.layers.scan.grid);
        let said = study.map_or(String::new(), |study| {
            let filed_by = if patient == Patient::Kept { study.filed_by.as_slice() } else { &[] };
            format!("{} {:?} {filed_by:?} {:?}", study.uid, study.frame_of_reference_uid, study.instances)
        });
        Ok(Self { run: format!("{scan} {said} {:?} {patient:?} {}", subject.style, subject.report.identity()?), scan })
    }

    pub(super) fn of_run(&self, what: &str) -> String {
        uid(&self.run, what)
    }

    pub(super) fn of_scan(&self, what: &str) -> String {
        uid(&self.scan, what)
    }
}

/// A UUID as a number under 2.25 (PS3.5, B.2), made of a hash: version 8 of RFC 9562, 5.8.
fn uid(all: &str, what: &str) -> String {
    let hash = Sha256::new().chain_update(what).chain_update([0]).chain_update(all).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::uid;

    #[test]
    fn a_uid_is_a_uuid_under_its_root_and_no_two_things_share_one() {
        let first = uid("a run", "heatmap");
        let number: u128 = first.strip_prefix("2.25.").unwrap().parse().unwrap();
        assert_eq!((number >> 76 & 0xf, number >> 62 & 0b11), (8, 0b10), "version and variant");
        assert_eq!(uid("a run", "heatmap"), first);
        assert!(
            [uid("a run", "difference"), uid("another run", "heatmap"), uid("ap", "heatma")]
                .iter()
                .all(|uid| *uid != first)
        );
        assert!(first.len() <= 64);
    }
}
