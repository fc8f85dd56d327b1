//! The session of a run that no window has shown, such as that of a case of a cohort: it opens as a new result does.

use std::io::{Error, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Result;

use super::document::{Document, SavedMap, SavedMaps, SavedMask, SavedNetwork, SavedResult};
use super::saved_scan::{SavedInserted, SavedScan};
use crate::export::compared::MethodMap;
use crate::export::report::Report;
use crate::export::session::{Beside, Outline, has_room, write_session};
use crate::export::write;
use crate::export::write::Seekable;
use crate::io::Mask;
use crate::pipeline::{Request, Run, Target};
use crate::settings::{ScoredBy, absolute};

/// A run with what it was made of, by the paths where a window finds it again.
pub struct Unseen<'a> {
    pub scan: &'a Path,
    /// The card of the autoencoder.
    pub autoencoder: &'a Path,
    /// The card of the network that gives the score.
    pub scored_by: &'a Path,
    /// What the scan was to be compared with.
    pub toward: Option<&'a Path>,
    pub request: &'a Request,
    pub run: &'a Run,
    pub report: &'a Report,
    /// What other methods say of the class.
    pub maps: &'a [MethodMap],
    /// What should be found, and where it lies.
    pub mask: Option<(&'a Path, &'a Mask)>,
}

/// Writes the session, where it takes no more than `most_bytes`; else nothing, and says so by `false`.
pub fn write(path: &Path, unseen: &Unseen, most_bytes: u64) -> Result<bool> {
    let maps = Beside::bounded(&unseen.maps.iter().collect::<Vec<_>>(), |map| map.sizes.grid.len());
    let mask = unseen.mask.filter(|(_, mask)| has_room(mask));
    let document = Document {
        maps: unseen.saved_maps(&maps),
        mask: mask.map(|(path, mask)| SavedMask::of(path, mask)),
        ..unseen.document()
    };
    let beside = Beside {
        stability: unseen.report.stability.as_ref(),
        maps: if document.maps.is_some() {
            maps.iter().map(|map| (map.method, &map.sizes)).collect()
        } else {
            Vec::new()
        },
        mask: mask.map(|(_, mask)| mask),
    };
    let mut is_full = false;
    let saved = write::save_by(path, false, |out| {
        let mut bounded = Bounded { out, at: 0, most_bytes, is_full: false };
        let written = write_session(&mut bounded, &document, Some(&unseen.run.result), &beside);
        is_full = bounded.is_full;
        written
    });
    match saved {
        Err(_too_large) if is_full => Ok(false),
        saved => saved.map(|()| true),
    }
}

impl Unseen<'_> {
    fn document(&self) -> Document {
        let Self { request, run, report, .. } = self;
        let target = &request.target;
        let sha256 = run.asked.scored_by.sha256.clone();
        let scored = SavedNetwork { card: absolute(self.scored_by), sha256 };
        let [mut classifier, mut segmenter, mut embedder] = [None, None, None];
        let by = match target {
            Target::Classes { .. } => {
                classifier = Some(scored);
                ScoredBy::Classifier
            }
            Target::LungSize { .. } => {
                segmenter = Some(scored);
                ScoredBy::Segmenter
            }
            Target::Toward { .. } => {
                embedder = Some(scored);
                ScoredBy::Embedder
            }
        };
        let autoencoder =
            SavedNetwork { card: absolute(self.autoencoder), sha256: run.asked.autoencoder.sha256.clone() };
        Document {
            scan: SavedScan {
                path: Some(absolute(self.scan)),
                choice: run.input.choice(),
                sha256: run.input.sha256().to_owned(),
                recipe: run.input.prepared.recipe.clone(),
                inserted: run
                    .input
                    .inserted
                    .as_deref()
                    .map(|inserted| SavedInserted { inserted: inserted.clone(), masked: self.mask.is_none() }),
            },
            autoencoder: Some(autoencoder),
            classifier,
            segmenter,
            embedder,
            toward: self.toward.map(absolute),
            scored_by: by,
            // The window asks for one class at a time; the result says all that it is of.
            target: run.asked.terms.first().and_then(|(label, _)| run.asked.labels.get(*label)).cloned(),
            options: request.options.clone(),
            slab: request.slab.clone(),
            view: None,
            result: Some(SavedResult {
                outline: Outline::of(&run.result),
                asked: run.asked.clone(),
                timing: run.timing.clone(),
                stability: report.stability.clone(),
                regions_above_hu: Some(report.regions.threshold_hu),
            }),
            maps: None,
            mask: None,
        }
    }

    fn saved_maps(&self, maps: &[&MethodMap]) -> Option<SavedMaps> {
        let (classifier, label) = self.request.target.one_class().ok().filter(|_| !maps.is_empty())?;
        let list = maps.iter().map(|map| SavedMap { method: map.method, grid: map.sizes.grid.into() }).collect();
        Some(SavedMaps { classifier_sha256: classifier.sha256.clone(), label, list })
    }
}

/// Passes on what is written, up to so many bytes.
struct Bounded<'a> {
    out: &'a mut dyn Seekable,
    at: u64,
    most_bytes: u64,
    /// More was to be written.
    is_full: bool,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.at + bytes.len() as u64 > self.most_bytes {
            self.is_full = true;
            return Err(Error::new(ErrorKind::FileTooLarge, "the session would be too large"));
        }
        let written = self.out.write(bytes)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl Seek for Bounded<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.at = self.out.seek(to)?;
        Ok(self.at)
    }
}
