//! Saves or copies the panes as they are shown, painted on the CPU as the screen's shader does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use image::RgbaImage;

use super::explained::Explained;
use super::model::Model;
use super::shown::{Told, arrange, swiped, told};
use super::stage::Stage;
use super::view::arrange::Picture;
use super::view::pair::{step_beside, words};
use super::view::{Viewer, marks};
use crate::export::png::{Figure, Mark, Pane, figure};
use crate::export::{LeftOut, apng, write};
use crate::frame::camera::Camera;
use crate::frame::lambda_text;
use crate::job::Job;

/// Smaller panes hold no annotations.
const SMALLEST_PX: u32 = 320;

/// The picture saved last, where the next one may go, and the one that is copied.
pub struct PictureFile {
    pub saved: Stage<PathBuf>,
    pub copied: Stage<RgbaImage>,
    /// One that no one has taken yet.
    fresh: Option<Arc<RgbaImage>>,
    /// A name that is free.
    pub suggested: PathBuf,
    /// Whether what was measured is drawn too.
    pub measured: bool,
}

impl Default for PictureFile {
    fn default() -> Self {
        Self {
            saved: Stage::default(),
            copied: Stage::default(),
            fresh: None,
            suggested: free_name("parallax", "png"),
            measured: false,
        }
    }
}

impl PictureFile {
    /// Takes what has come.
    pub fn poll(&mut self) {
        if self.saved.poll() {
            self.suggested = free_name("parallax", "png");
        }
        if self.copied.poll() {
            self.fresh = self.copied.ready().cloned();
        }
    }

    /// Gives a picture that is ready for the clipboard, once.
    pub fn take_copied(&mut self) -> Option<Arc<RgbaImage>> {
        self.fresh.take()
    }

    pub fn dismiss(&mut self) {
        self.saved.dismiss();
        self.copied.dismiss();
    }

    pub fn copy(&mut self, model: &Model, viewer: &mut Viewer) {
        let draw = drawing(model, viewer, self.measured);
        self.copied.follow(model.worker.spawn("picture", move |_| Ok(Arc::new(draw()?))));
    }

    pub fn save(&mut self, model: &Model, viewer: &mut Viewer, path: PathBuf, replace: bool) {
        let draw = drawing(model, viewer, self.measured);
        self.saved.follow(save(model, viewer, draw, path, replace));
    }
}

/// More names of one kind than this are not tried: a person with so many names the next one.
const MOST_TRIED: usize = 200;

/// A name that is free, in the home folder, never beside a scan unasked; no name of a patient or a file is in it.
pub fn free_name(stem: &str, extension: &str) -> PathBuf {
    let home = std::env::home_dir().unwrap_or_default();
    free_in(&home, stem, extension, Path::exists)
}

/// The first name in a folder that is not `taken`; none where very many are.
fn free_in(folder: &Path, stem: &str, extension: &str, mut taken: impl FnMut(&Path) -> bool) -> PathBuf {
    let name = |i: usize| match i {
        1 => folder.join(format!("{stem}.{extension}")),
        _ => folder.join(format!("{stem}-{i}.{extension}")),
    };
    (1..=MOST_TRIED).map(name).find(|path| !taken(path)).unwrap_or_default()
}

/// Starts the work; the answer is where the picture lies.
fn save(
    model: &Model,
    viewer: &Viewer,
    draw: impl FnOnce() -> Result<RgbaImage> + Send + 'static,
    path: PathBuf,
    replace: bool,
) -> std::io::Result<Job<Arc<PathBuf>>> {
    let provenance = told(model, viewer).result().map_or(Vec::new(), |run| {
        let step = &run.result().steps[viewer.step as usize];
        run.report.provenance_at(step.lambda, step.score)
    });
    let (path, replace) = named(path, replace, "png");
    model.worker.spawn("picture", move |_| {
        write::check(&path, replace)?;
        write::save(&path, &apng::png_bytes(draw()?, &provenance)?, replace)?;
        Ok(Arc::new(path))
    })
}

/// The work that draws what is shown now, for a worker. A picture never shows a lambda between two steps.
fn drawing(model: &Model, viewer: &mut Viewer, measured: bool) -> impl FnOnce() -> Result<RgbaImage> + Send + use<> {
    viewer.playing = None;
    viewer.step = viewer.step.round();
    let mut arrangement = arrange(model, viewer);
    if let Some((left, _)) = swiped(model, viewer) {
        // Both pictures whole, side by side.
        arrangement.pictures.insert(0, left);
        arrangement.columns = 2;
    }
    let grid = model.scan.ready().map(|scan| scan.layers.scan.grid);
    let cameras: Vec<_> = match &grid {
        Some(grid) => arrangement.pictures.iter().map(|picture| viewer.camera(grid, picture.plane)).collect(),
        None => Vec::new(),
    };
    let marks: Vec<_> = match &grid {
        Some(grid) if measured => arrangement.pictures.iter().map(|p| marks::marks(p, viewer, grid)).collect(),
        _ => arrangement.pictures.iter().map(|_| Vec::new()).collect(),
    };
    let size = viewer.pane_px.map(|n| n.max(SMALLEST_PX));
    let lines = lines(model, viewer);
    move || {
        let grid = grid.context("there is no picture yet; open a scan first")?;
        let pictures = arrangement.pictures.iter().zip(cameras).zip(marks);
        let panes = pictures.map(|((picture, camera), marks)| pane(picture, camera, marks)).collect();
        figure(&Figure {
            panes,
            columns: arrangement.columns,
            grid,
            size,
            lines,
            bar: None,
            left_out: LeftOut::default(),
        })
    }
}

/// What stands below the panes: of the result, of either of two, or of a run that goes on.
fn lines(model: &Model, viewer: &Viewer) -> Vec<String> {
    let of = |run: &Explained, name: &str, step: f32| {
        let scores = run.result().scores;
        format!(
            "{name}: scan {:.4}, reconstruction {:.4}, counterfactual {:.4}; shown: lambda {}, score {:.4}",
            scores.scan,
            scores.reconstruction,
            scores.counterfactual,
            lambda_text(run.lambda_at(step)),
            run.score_at(step),
        )
    };
    match told(model, viewer) {
        Told::Nothing | Told::Scan(_) => Vec::new(),
        Told::SoFar(_, so_far) => {
            let (lambda, score) = (lambda_text(so_far.lambda), so_far.score);
            vec![format!("A run that had not ended: lambda {lambda}, score {score:.4}")]
        }
        Told::Result(_, run) => {
            vec![of(run, &run.asked().target, viewer.step), format!("Stopped because {}", run.result().stop)]
        }
        Told::Pair(_, [a, b]) => {
            let [of_a, of_b] = words(a, b);
            let there = step_beside(viewer.step, a, b);
            vec![of(a, &format!("A, {of_a}"), viewer.step), of(b, &format!("B, {of_b}"), there)]
        }
    }
}

/// A name that says what the file is. A name that was agreed to go says nothing of another.
pub fn named(path: PathBuf, replace: bool, extension: &str) -> (PathBuf, bool) {
    if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case(extension)) {
        return (path, replace);
    }
    let mut name = path.into_os_string();
    name.push(".");
    name.push(extension);
    (name.into(), false)
}

fn pane(picture: &Picture, camera: Camera, marks: Vec<Mark>) -> Pane<'_> {
    let Picture { ref title, ref layers, look, synthetic, .. } = *picture;
    Pane { title, camera, layers, look, synthetic, marks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_name_is_looked_for_no_longer_than_a_frame_has_time() {
        let home = Path::new("home");
        let mut looks = 0;
        let third = free_in(home, "parallax", "png", |path| {
            looks += 1;
            path != home.join("parallax-3.png")
        });
        assert_eq!((third, looks), (home.join("parallax-3.png"), 3));
        looks = 0;
        let none = free_in(home, "parallax", "png", |_| {
            looks += 1;
            true
        });
        assert_eq!((none, looks), (PathBuf::new(), MOST_TRIED), "a person names the next one");
    }

    #[test]
    fn a_name_that_is_completed_was_not_agreed_to_be_replaced() {
        let png = |name: &str| named(PathBuf::from(name), true, "png");
        assert_eq!(png("a.png"), (PathBuf::from("a.png"), true));
        assert_eq!(png("figure"), (PathBuf::from("figure.png"), false));
        assert_eq!(png("slice.1.jpg"), (PathBuf::from("slice.1.jpg.png"), false));
    }
}
