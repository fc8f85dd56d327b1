//! The cases that have one value in a column of the manifest, held against the others.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::atlas::Atlas;
use super::bootstrap::{Ratio, Weights};
use crate::cohort::aligned::Aligned;
use crate::cohort::case::Kept;
use crate::cohort::manifest::Manifest;
use crate::cohort::numbers::Numbers;

/// Values that a column may have.
const MOST_VALUES: usize = 12;

/// What is measured of every group: its name in tables, and in words.
pub(super) const MEASURES: [(&str, &str); 6] = [
    ("validity", "Share that reached the goal"),
    ("score_change", "Change of the score"),
    ("reconstruction_gap", "Reconstruction gap"),
    ("change_in_lungs", "Change in the lungs"),
    ("change_in_body", "Change in the rest of the body"),
    ("change_around", "Change around the body"),
];

/// Sums over a group of cases.
#[derive(Default)]
pub(super) struct Group {
    pub(super) cases: usize,
    pub(super) measures: [Ratio; MEASURES.len()],
    pub(super) atlas: Atlas,
}

impl Group {
    pub(super) fn add(&mut self, (kept, numbers): (&Kept, &Numbers), aligned: Option<&Aligned>, weights: &Weights) {
        self.cases += 1;
        let share = |share: fn(&crate::cohort::Shares) -> f64| kept.shares.as_ref().map(share);
        let values = [
            numbers.goal_reached.map(|reached| f64::from(u8::from(reached))),
            Some(numbers.score_change),
            Some(numbers.reconstruction_gap),
            share(|of| of.lungs),
            share(|of| of.body),
            share(|of| of.around),
        ];
        for (measure, value) in self.measures.iter_mut().zip(values) {
            measure.add(value.unwrap_or(f64::NAN), weights);
        }
        if let Some(aligned) = aligned {
            self.atlas.add(aligned, weights);
        }
    }
}

/// The groups of one column.
pub(super) struct Column {
    pub(super) name: String,
    at: usize,
    pub(super) groups: BTreeMap<String, Group>,
}

impl Column {
    /// Refuses columns that there are not, and those with too many values.
    pub(super) fn of(manifest: &Manifest, name: &str) -> Result<Self> {
        let at = manifest.columns.iter().position(|column| column == name);
        let at = at.with_context(|| {
            let names = manifest.columns.join(", ");
            let names = if names.is_empty() { "no further column" } else { &names };
            format!("the manifest has no further column {name:?}; it has {names}")
        })?;
        let mut groups = BTreeMap::new();
        for row in &manifest.rows {
            groups.entry(row.further[at].clone()).or_insert_with(Group::default);
            ensure!(
                groups.len() <= MOST_VALUES,
                "the column {name:?} has more than {MOST_VALUES} values; choose one of few, such as a site"
            );
        }
        Ok(Self { name: name.to_owned(), at, groups })
    }

    /// The group of a row.
    pub(super) fn group(&mut self, further: &[String]) -> Option<&mut Group> {
        self.groups.get_mut(further.get(self.at)?)
    }
}

/// A value as people read it.
pub(super) fn shown(value: &str) -> &str {
    if value.is_empty() { "(empty)" } else { value }
}
