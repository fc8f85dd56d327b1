//! Small pictures of the series of a study: the middle instance of each, fetched alone, one at a time, for the cards that are seen.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use image::RgbaImage;

use super::passwords::{Passwords, known};
use super::told::told;
use crate::io;
use crate::job::{Job, Monitor};
use crate::pacs::{self, Secret, Series, Source};
use crate::session::arriving::thumbnail;
use crate::session::worker::Worker;

/// No more pictures than these are kept; then all are fetched anew.
const MOST: usize = 300;
/// An instance that is longer is a whole series in one file, or no picture for a card.
const MOST_BYTES: usize = 32 << 20;
/// Kinds of series that hold no picture.
const WITHOUT: [&str; 12] =
    ["SR", "PR", "KO", "DOC", "RTSTRUCT", "RTPLAN", "RTRECORD", "REG", "AU", "ECG", "PLAN", "SEG"];

/// What is known of a series' picture.
#[derive(Clone)]
pub enum Thumbnail {
    Here(Arc<RgbaImage>),
    /// There is none; why, in words.
    None(String),
}

/// The pictures that have come, and the one that comes.
#[derive(Default)]
pub struct Thumbnails {
    all: BTreeMap<String, Thumbnail>,
    coming: Option<(String, Job<RgbaImage>)>,
}

impl Thumbnails {
    /// The picture of a series, by its UID, where it has come.
    pub fn of(&self, series_uid: &str) -> Option<&Thumbnail> {
        self.all.get(series_uid)
    }

    /// Takes the picture that has come, and fetches the next of the cards that are seen.
    pub(super) fn follow(
        &mut self,
        source: &Source,
        (series, seen): (&[Series], &Range<usize>),
        (worker, passwords): (&Worker, &Passwords),
    ) {
        if let Some(answer) = self.coming.as_ref().and_then(|(_, job)| job.poll()) {
            let uid = self.coming.take().map(|(uid, _)| uid).unwrap_or_default();
            let thumbnail = match answer {
                Ok(picture) => Thumbnail::Here(Arc::new(picture)),
                Err(error) => Thumbnail::None(format!("{error:#}")),
            };
            self.all.insert(uid, thumbnail);
        }
        if self.coming.is_some() {
            return;
        }
        let seen = seen.start.min(series.len())..seen.end.min(series.len());
        let Some(next) = series[seen].iter().find(|series| !self.all.contains_key(&series.series_uid)) else { return };
        if self.all.len() >= MOST {
            self.all.clear();
        }
        let uid = next.series_uid.clone();
        if WITHOUT.contains(&next.modality.as_str()) {
            self.all.insert(uid, Thumbnail::None(format!("series of {} have none", next.modality)));
            return;
        }
        let (source, typed) = (source.clone(), passwords.of(source));
        let at = (next.study_uid.clone(), uid.clone());
        let job = worker.spawn("thumbnail", move |monitor| {
            let secret = known(&source, typed)?;
            picture(&source, secret.as_ref(), &at, monitor)
        });
        match job {
            Ok(job) => self.coming = Some((uid, job)),
            Err(error) => _ = self.all.insert(uid, Thumbnail::None(error.to_string())),
        }
    }

    /// Fetches no more for now.
    pub(super) fn pause(&mut self) {
        self.coming = None;
    }

    /// Another source may hold other pictures under the same names.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The middle instance of a series, drawn small.
fn picture(
    source: &Source,
    secret: Option<&Secret>,
    (study_uid, series_uid): &(String, String),
    monitor: &Monitor,
) -> Result<RgbaImage> {
    let bytes = pacs::middle(source, secret, (study_uid, series_uid), MOST_BYTES, monitor).map_err(told)?;
    // This user's alone, and gone when it was read.
    let folder = tempfile::Builder::new().prefix(".tmp-parallax-").tempdir().context("no room for a picture")?;
    let path = folder.path().join("middle.dcm");
    std::fs::write(&path, bytes).context("no room for a picture")?;
    let scan =
        io::open(&path, monitor).map_err(|_unlike| anyhow::anyhow!("its middle instance is no image of a scan"))?;
    thumbnail(&scan.volume).context("its middle instance shows nothing")
}
