//! Small pictures of the cases that are seen, and a large one of the case that is chosen, read on threads of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use image::imageops::FilterType;
use image::{ImageReader, RgbaImage};

use crate::cohort;
use crate::files;
use crate::job::{Job, Latest, Monitor};
use crate::session::worker::Worker;

/// The size of a small picture at most, physical pixels: twice the points of its place.
const SMALL_PX: [u32; 2] = [240, 80];
/// The size of the large one at most.
const LARGE_PX: [u32; 2] = [1200, 900];
/// No more small pictures than these are kept: 30 MB.
const MOST: usize = 400;

/// A picture, or none where the folder of the case holds none that can be read.
type Small = Option<Arc<RgbaImage>>;

/// The small pictures, by the ids of their cases.
#[derive(Default)]
pub struct Pictures {
    all: BTreeMap<String, Small>,
    /// The cases whose pictures are being read.
    wanted: Vec<String>,
    came: Latest<Vec<(String, Small)>>,
    job: Option<Job<()>>,
}

impl Pictures {
    /// The picture of a case, where it has come and there is one.
    pub fn of(&self, id: &str) -> Option<&Arc<RgbaImage>> {
        self.all.get(id)?.as_ref()
    }

    /// Takes what has come, and reads the pictures of the cases that are seen now; `folder_of` is where each lies.
    pub(super) fn follow(&mut self, seen: &[&str], folder_of: impl Fn(&str) -> PathBuf, worker: &Worker) {
        if let Some(came) = self.came.get() {
            for (id, picture) in came.iter().filter(|(id, _)| self.wanted.contains(id)) {
                self.all.entry(id.clone()).or_insert_with(|| picture.clone());
            }
        }
        if self.job.as_ref().is_some_and(|job| job.poll().is_some()) {
            self.job = None;
        }
        let lacking: Vec<String> =
            seen.iter().filter(|id| !self.all.contains_key(**id)).map(|id| (*id).to_owned()).collect();
        if lacking.is_empty() || self.job.is_some() && lacking.iter().all(|id| self.wanted.contains(id)) {
            return;
        }
        if self.all.len() > MOST {
            self.all.retain(|id, _| seen.contains(&id.as_str()));
        }
        let paths: Vec<(String, PathBuf)> = lacking.iter().map(|id| (id.clone(), folder_of(id))).collect();
        (self.wanted, self.came) = (lacking, Latest::default());
        let came = self.came.clone();
        // One that still reads what is seen no more is cancelled with its handle. Without a thread there are no pictures.
        self.job = worker.spawn("pictures", move |monitor| read(&paths, &came, monitor)).ok();
    }

    /// Other files may lie there now.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn read(paths: &[(String, PathBuf)], came: &Latest<Vec<(String, Small)>>, monitor: &Monitor) -> Result<()> {
    let mut all = Vec::new();
    for (id, folder) in paths {
        monitor.check()?;
        // What cannot be read is no picture: the row says what is wrong with its case.
        let picture = cohort::picture(folder).and_then(|path| reduced(&path, SMALL_PX).ok()).map(Arc::new);
        all.push((id.clone(), picture));
        came.put(all.clone());
        monitor.step("reading pictures", all.len(), paths.len())?; // wakes the window
    }
    Ok(())
}

/// The picture of a case, as large as its place on the screen; an error where it has none.
pub(super) fn large(folder: &Path) -> Result<RgbaImage> {
    let path = cohort::picture(folder).context("there is no picture among its files")?;
    reduced(&path, LARGE_PX)
}

/// A picture of a file, no larger than so many pixels.
fn reduced(path: &Path, most: [u32; 2]) -> Result<RgbaImage> {
    let cannot = || format!("the picture cannot be read: {}", path.display());
    let file = std::io::BufReader::new(files::open(path).with_context(cannot)?);
    let picture = ImageReader::with_format(file, image::ImageFormat::Png).decode().with_context(cannot)?;
    if picture.width() <= most[0] && picture.height() <= most[1] {
        return Ok(picture.into_rgba8());
    }
    Ok(picture.resize(most[0], most[1], FilterType::Triangle).into_rgba8())
}
