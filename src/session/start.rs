//! What a session begins with.

use std::ops::Range;
use std::path::PathBuf;

use super::Session;
use super::archive::Archive;
use super::gallery::Gallery;
use crate::catalogue::Entry;
use crate::io::Choice;
use crate::models::Role;
use crate::settings::ScoredBy;

/// What a session begins with.
#[derive(Debug, Default)]
pub struct Start {
    /// Or a session file.
    pub scan: Option<PathBuf>,
    /// Which of the volumes of the scan's path.
    pub choice: Choice,
    pub autoencoder: Option<PathBuf>,
    pub classifier: Option<PathBuf>,
    pub segmenter: Option<PathBuf>,
    pub embedder: Option<PathBuf>,
    /// What the scan is compared with, by the embedder.
    pub toward: Option<PathBuf>,
    /// Class by name or number.
    pub target: Option<String>,
    /// Slices that may change; `None` = all.
    pub slab: Option<Range<usize>>,
    /// A mask of the scan.
    pub mask: Option<PathBuf>,
    /// The built-in scan and networks, in place of all others; the run begins at once.
    pub demo: bool,
    /// What the page of published networks offers, in place of the catalogue.
    pub published: Option<Vec<Entry>>,
    /// Where results are kept; `None` = nowhere.
    pub results: Option<PathBuf>,
    /// The folder for the sources of archives, for what is fetched of them, and for the log of what is sent; `None` = where the command
    /// line keeps them.
    pub archives: Option<PathBuf>,
    /// The file that settings are kept in; `None` = nowhere.
    pub settings: Option<PathBuf>,
}

impl Session {
    /// Takes up what `start` says, and for the rest what was chosen last time.
    pub fn begin(&mut self, start: Start) {
        self.gallery = Gallery::new(start.results);
        self.archive = Archive::new(start.archives.clone());
        if start.demo {
            self.model.begin_demo();
            return;
        }
        let model = &mut self.model;
        if start.segmenter.is_some() {
            model.score_by(ScoredBy::Segmenter);
        } else if start.classifier.is_some() {
            model.score_by(ScoredBy::Classifier);
        } else if start.embedder.is_some() {
            model.score_by(ScoredBy::Embedder);
        }
        if start.toward.is_some() {
            model.settings.toward = start.toward;
        }
        if start.target.is_some() {
            model.settings.target = start.target;
        }
        model.slab = start.slab;
        if let Some(mask) = start.mask {
            model.load_mask(mask);
        }
        let kept = model.settings.clone();
        let cards = [
            (Role::Autoencoder, start.autoencoder.or(kept.autoencoder)),
            (Role::Classifier, start.classifier.or(kept.classifier)),
            (Role::Segmenter, start.segmenter.or(kept.segmenter)),
            (Role::Embedder, start.embedder.or(kept.embedder)),
        ];
        for (role, card) in cards {
            if let Some(card) = card {
                model.load(role, card);
            }
        }
        match (start.scan, kept.shown_result) {
            (Some(scan), _) => model.open(scan, start.choice),
            // What was on the screen when the program ended, however it did.
            (None, Some(result)) if self.gallery.has_folder() && result.is_file() => {
                model.open(result, Choice::default());
            }
            (None, _) => {}
        }
    }
}
