//! A case that is being opened: a session in its folder, or its scan, to be asked again what the case was asked.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::cohort::{Case, CohortFolder, Progress, session_of};
use crate::export::REPORT;
use crate::export::record::Record;
use crate::io::Choice;
use crate::latent_shift::Options;
use crate::session::document::{document_of, is_session};

/// What a case leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    Session(PathBuf),
    Scan(Box<Asked>),
}

/// A scan, with what it is to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The id of the case.
    pub id: String,
    pub scan: PathBuf,
    pub choice: Choice,
    /// A class of a classifier, by name.
    pub target: Option<String>,
    /// `None` where the case has no result: whatever is chosen stays.
    pub options: Option<Options>,
    pub slab: Option<Range<usize>>,
    /// The names of the networks of the result, with their hashes: autoencoder, and what gave the score.
    pub networks: Vec<(String, String)>,
}

/// Looks at the disk for what a case leads to.
pub(super) fn open(place: &CohortFolder, case: &Case) -> Result<Opened> {
    let folder = place.case(&case.row.id);
    let row = &case.row;
    let own = folder.join(session_of(&row.id));
    if let Some(session) = saved_into(&folder, &own).or_else(|| Some(own).filter(|own| is_sound(own))) {
        return Ok(Opened::Session(session));
    }
    ensure!(row.scan.exists(), "the scan of case {} is not there any more: {}", row.id, row.scan.display());
    let mut asked = Asked {
        id: row.id.clone(),
        scan: row.scan.clone(),
        choice: case.choice(),
        target: row.target.clone(),
        options: None,
        slab: row.slab.clone().flatten(),
        networks: Vec::new(),
    };
    if let Progress::Done(numbers) = &case.progress {
        // A record that cannot be taken up again still has a scan to look at.
        if let Ok(record) = Record::open(&folder.join(REPORT)) {
            let recorded = record.choice();
            asked.choice.series = asked.choice.series.or(recorded.series);
            asked.choice.volume = recorded.volume;
            asked.options = record.options().ok();
            asked.slab = Some(record.slab());
        }
        asked.target = numbers.is_of_a_class().then(|| numbers.target.clone());
        let networks = [&numbers.autoencoder, &numbers.scored_by];
        asked.networks = networks.map(|network| (network.name.clone(), network.sha256.clone())).into();
    }
    Ok(Opened::Scan(Box::new(asked)))
}

/// The newest session that someone saved into the folder of a case, beside the one that was written with it.
fn saved_into(folder: &Path, own: &Path) -> Option<PathBuf> {
    let paths = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let saved = paths.filter(|path| path != own && is_session(path));
    saved.filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path))).max().map(|(_, path)| path)
}

/// Whether the session that was written with a case is there and whole, and its scan is where it was. Where it is not, the manifest's scan
/// is opened.
fn is_sound(session: &Path) -> bool {
    let document = session.is_file().then(|| document_of(session).ok()).flatten();
    document.and_then(|document| document.scan.path).is_some_and(|scan| scan.exists())
}
