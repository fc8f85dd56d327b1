//! Results that stay: every finished run as a session file in a folder of the user's own, with its numbers and a small picture beside it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use image::RgbaImage;
use serde::{Deserialize, Serialize};

use super::document::EXTENSION;
use super::explained::Explained;
use super::file;
use super::model::Model;
use super::open_mask::Opened;
use super::stage::Stage;
use super::view::Viewer;
use crate::export::write;
use crate::files;
use crate::frame::camera::Camera;
use crate::frame::paint::paint;
use crate::frame::{Layers, Look, Plane};
use crate::latent_shift::Scores;

/// No more results than these are kept, and no more bytes of them: the oldest go first, the newest never.
const MOST: usize = 24;
const MOST_BYTES: u64 = 4 << 30;
/// The numbers of a result take a thousandth of this.
const MOST_SUMMARY_BYTES: u64 = 1 << 20;
/// Pixels of a picture, each way.
const PICTURE_PX: u32 = 112;
const SUMMARY: &str = "json";

/// What is said of a result in the list. Its files name no patient; the name of the scan's file stands in here, on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub scan: String,
    pub target: String,
    pub scan_score: f64,
    pub reconstruction_score: f64,
    pub counterfactual_score: f64,
    pub lambda: f64,
    /// Seconds since 1970.
    pub saved_secs: u64,
    /// Grey levels of the slice that changed most, row by row: the scan, not what was generated.
    pub picture: Vec<u8>,
}

/// A result in the folder.
#[derive(Clone)]
pub struct Kept {
    /// The session file.
    pub session: PathBuf,
    pub summary: Summary,
    /// The slice that changed most, of the scan.
    pub picture: Arc<RgbaImage>,
    bytes: u64,
}

/// The folder, and what is done with it.
#[derive(Default)]
pub struct Gallery {
    /// `None` where nothing is kept.
    folder: Option<PathBuf>,
    /// The newest first.
    pub kept: Stage<Vec<Kept>>,
    saved: Stage<PathBuf>,
    /// The results that are saved, could not be, or came out of a file, while they are in memory: none is saved twice.
    known: Vec<Known>,
    looked: bool,
}

/// A result that was met before.
struct Known {
    run: Weak<Explained>,
    /// Tells the result, whatever else has come to be known of it.
    layers: Weak<Layers>,
    place: Place,
    /// The maps and the mask that lie beside it.
    maps: usize,
    mask: Option<Arc<Opened>>,
}

impl Known {
    /// Whether there is more of a result now than lies in its file: a map, or another mask.
    fn is_behind(&self, (maps, mask): &(usize, Option<Arc<Opened>>)) -> bool {
        let masks = [&self.mask, mask].map(|mask| mask.as_ref().map(Arc::as_ptr));
        *maps > self.maps || masks[0] != masks[1]
    }
}

/// Where a result lies.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// It is being saved.
    Coming,
    File(PathBuf),
    /// It was not saved, or its file was deleted; it is not saved again.
    Nowhere,
}

impl Gallery {
    /// Keeps results in a folder, which is made when the first one comes.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Whether there is a folder for results.
    pub fn has_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// The file of a result, which is still there when the result is dropped from the screen.
    pub fn file_of(&self, run: &Arc<Explained>) -> Option<&Path> {
        match self.place_of(run)? {
            Place::File(path) => Some(path),
            Place::Coming | Place::Nowhere => None,
        }
    }

    fn place_of(&self, run: &Arc<Explained>) -> Option<&Place> {
        let known = self.known.iter().find(|known| known.run.as_ptr() == Arc::as_ptr(run));
        known.map(|known| &known.place)
    }

    /// A result that came out of a file, or was saved to one by hand, is not saved again.
    pub fn knows(&mut self, run: &Arc<Explained>, file: PathBuf, (maps, mask): (usize, Option<Arc<Opened>>)) {
        self.put(run, Place::File(file), (maps, mask));
    }

    fn put(&mut self, run: &Arc<Explained>, place: Place, (maps, mask): (usize, Option<Arc<Opened>>)) {
        self.known.retain(|known| known.layers.strong_count() > 0 && known.run.as_ptr() != Arc::as_ptr(run));
        self.known.push(Known { run: Arc::downgrade(run), layers: Arc::downgrade(&run.layers), place, maps, mask });
    }

    /// Takes what has come.
    pub fn poll(&mut self) {
        self.kept.poll();
        let went = self.saved.running().is_some();
        let is_saved = self.saved.poll();
        if !went || self.saved.running().is_some() {
            return;
        }
        let file = self.saved.ready().filter(|_| is_saved).map(|path| path.to_path_buf());
        self.looked &= file.is_none();
        let place = file.map_or(Place::Nowhere, Place::File);
        if let Some(known) = self.known.iter_mut().find(|known| known.place == Place::Coming) {
            known.place = place;
        }
    }

    /// Saves a new result, where results are kept, and looks into the folder when something in it has changed.
    pub fn follow(&mut self, model: &Model, viewer: &Viewer) {
        let Some(folder) = &self.folder else { return };
        if !self.looked {
            self.looked = true;
            let folder = folder.clone();
            self.kept.follow(model.worker.spawn("look", move |_| Ok(Arc::new(list(&folder)))));
        }
        let keeps = model.settings.keep_results;
        let Some(run) = model.run.ready().filter(|run| keeps && run.result().complete) else { return };
        if self.saved.running().is_some() || self.is_whole(run, model, folder) {
            return;
        }
        let extras = file::extras(model);
        let before = self.older(run, folder);
        let (folder, keeps, write) = (folder.clone(), Arc::clone(run), file::writing(model, viewer));
        let job = model.worker.spawn("keep", move |monitor| {
            monitor.step("keeping the result", 0, 0)?;
            let kept = keep(&folder, &keeps, write)?;
            before.iter().filter(|before| **before != kept).for_each(|before| forget(before));
            Ok(Arc::new(kept))
        });
        self.saved.follow(job);
        self.known.retain(|known| known.layers.as_ptr() != Arc::as_ptr(&run.layers));
        self.put(run, Place::Coming, extras);
    }

    /// Whether nothing of a result is to be saved: it was, or could not be; a file of the folder also holds what came to be known since.
    fn is_whole(&self, run: &Arc<Explained>, model: &Model, folder: &Path) -> bool {
        let Some(known) = self.known.iter().find(|known| known.run.as_ptr() == Arc::as_ptr(run)) else { return false };
        match &known.place {
            Place::File(path) if path.parent() == Some(folder) => !known.is_behind(&file::extras(model)),
            Place::File(_) | Place::Coming | Place::Nowhere => true,
        }
    }

    /// The files of the folder that hold the same result, of which less was known: it takes their place.
    fn older(&self, run: &Explained, folder: &Path) -> Vec<PathBuf> {
        let same = self.known.iter().filter(|known| known.layers.as_ptr() == Arc::as_ptr(&run.layers));
        let files = same.filter_map(|known| match &known.place {
            Place::File(path) => Some(path.clone()),
            Place::Coming | Place::Nowhere => None,
        });
        files.filter(|path| path.parent() == Some(folder) && is_session(path)).collect()
    }

    /// Deletes all results that are kept.
    pub fn clear(&mut self, model: &Model) {
        let Some(folder) = self.folder.clone() else { return };
        for known in &mut self.known {
            if matches!(&known.place, Place::File(path) if path.starts_with(&folder)) {
                known.place = Place::Nowhere;
            }
        }
        let job = model.worker.spawn("clear", move |_| {
            list(&folder).iter().for_each(delete);
            Ok(Arc::new(list(&folder)))
        });
        self.kept.follow(job);
    }

    pub fn error(&self) -> Option<&anyhow::Error> {
        self.saved.error().or(self.kept.error())
    }

    pub fn dismiss(&mut self) {
        self.saved.dismiss();
        self.kept.dismiss();
    }
}

/// Writes the session first and its summary last: what was cut short has no summary, is in no list, and goes with the next result.
fn keep(folder: &Path, run: &Explained, session: impl FnOnce(&Path, bool) -> Result<()>) -> Result<PathBuf> {
    write::make_private_folder(folder)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let path = folder.join(format!("result-{}.{EXTENSION}", now.as_millis()));
    session(&path, true)?;
    let Scores { scan, reconstruction, counterfactual } = run.result().scores;
    let summary = Summary {
        scan: run.scan.name(),
        target: run.asked().target.clone(),
        scan_score: scan,
        reconstruction_score: reconstruction,
        counterfactual_score: counterfactual,
        lambda: run.result().steps[run.result().chosen].lambda,
        saved_secs: now.as_secs(),
        picture: picture(run),
    };
    write::save(&path.with_extension(SUMMARY), &serde_json::to_vec(&summary)?, true)?;
    prune(folder, &path);
    Ok(path)
}

/// The slice that changed most, of the scan in its own window, as grey levels.
fn picture(run: &Explained) -> Vec<u8> {
    let layers = Layers { scan: run.layers.scan.clone(), shift: None, map: None };
    let grid = layers.scan.grid;
    let size = [PICTURE_PX; 2];
    let number = run.scan.axial(run.most_changed_slice).number;
    let camera = Camera::fit(&grid, Plane::Axial, size).at_slice(&grid, number - 1);
    let painted = paint(&camera.view(&grid, size, Look::scan(run.scan.window)), &layers);
    painted.pixels().map(|pixel| pixel[0]).collect()
}

/// The results of a folder, the newest first; what is none is left alone.
fn list(folder: &Path) -> Vec<Kept> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut kept: Vec<Kept> = files.filter(|path| is_session(path)).filter_map(|path| read(path).ok()).collect();
    kept.sort_by(|a, b| b.session.cmp(&a.session));
    kept
}

fn is_session(path: &Path) -> bool {
    let named = path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with("result-"));
    named && path.extension().is_some_and(|ext| ext == EXTENSION)
}

fn read(session: PathBuf) -> Result<Kept> {
    let text = files::read_text(&session.with_extension(SUMMARY), MOST_SUMMARY_BYTES)?;
    let summary: Summary = serde_json::from_str(&text)?;
    let grey = summary.picture.iter().flat_map(|grey| [*grey, *grey, *grey, 255]).collect();
    let picture = RgbaImage::from_raw(PICTURE_PX, PICTURE_PX, grey).context("a picture of another size")?;
    let bytes = session.metadata()?.len();
    Ok(Kept { session, summary, picture: Arc::new(picture), bytes })
}

/// Deletes the oldest results where there are too many or too large ones, and what was cut short before.
fn prune(folder: &Path, newest: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for cut in files.filter(|path| is_session(path) && path != newest && read(path.clone()).is_err()) {
        std::fs::remove_file(cut).ok(); // it stays for the next time
    }
    let mut bytes = 0;
    for (at, kept) in list(folder).iter().enumerate() {
        bytes += kept.bytes;
        if at > 0 && (at >= MOST || bytes > MOST_BYTES) {
            delete(kept);
        }
    }
}

fn delete(kept: &Kept) {
    forget(&kept.session);
}

/// Deletes a session file of the folder.
fn forget(session: &Path) {
    // The summary first: without it the other file is in no list.
    std::fs::remove_file(session.with_extension(SUMMARY)).ok();
    std::fs::remove_file(session).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str, bytes: usize) {
        let session = folder.join(format!("result-{name}.{EXTENSION}"));
        write::save(&session, &vec![0; bytes], true).unwrap();
        let summary = Summary {
            scan: "scan.nii".to_owned(),
            target: "Effusion".to_owned(),
            scan_score: 0.9,
            reconstruction_score: 0.8,
            counterfactual_score: 0.1,
            lambda: -3.0,
            saved_secs: 1,
            picture: vec![7; (PICTURE_PX * PICTURE_PX) as usize],
        };
        write::save(&session.with_extension(SUMMARY), &serde_json::to_vec(&summary).unwrap(), true).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |kept: &Kept| kept.session.file_name().unwrap().to_string_lossy().into_owned();
        list(folder).iter().map(name).collect()
    }

    #[test]
    fn the_newest_comes_first_and_no_more_are_kept_than_there_is_room_for() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..MOST + 3 {
            put(folder.path(), &format!("{i:04}"), 10);
        }
        prune(folder.path(), &folder.path().join("result-9999.parallax"));
        let kept = names(folder.path());
        assert_eq!(kept.len(), MOST);
        assert_eq!(kept[0], format!("result-{:04}.parallax", MOST + 2));
    }

    #[test]
    fn what_was_cut_short_is_in_no_list_and_goes_and_what_is_no_result_stays() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "0001", 10);
        let cut = folder.path().join("result-0000.parallax");
        std::fs::write(&cut, b"cut").unwrap();
        let other = folder.path().join("mine.parallax");
        std::fs::write(&other, b"other").unwrap();
        assert_eq!(names(folder.path()), ["result-0001.parallax"]);
        prune(folder.path(), &folder.path().join("result-0001.parallax"));
        assert!(!cut.exists() && other.exists());
    }

    #[cfg(unix)]
    #[test]
    fn no_other_user_may_read_a_result() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("results");
        write::make_private_folder(&inside).unwrap();
        put(&inside, "0001", 10);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inside), 0o700);
        assert!(list(&inside).iter().all(|kept| mode(&kept.session) == 0o600));
    }
}
