//! What a run has drawn so far, for the panes: made from the pixels that it hands over, off the window's thread.

use std::ops::Range;
use std::sync::Arc;

use crate::frame::{Layers, Shift};
use crate::job::{Monitor, Sketch};
use crate::session::open_scan::OpenScan;
use crate::session::stage::Stage;
use crate::session::worker::Worker;
use crate::volume::Volume;

/// The latest step of a run that goes on.
pub struct SoFar {
    /// The scan with a shift of two steps: lambda 0, and the latest one.
    pub layers: Arc<Layers>,
    pub lambda: f64,
    pub score: f64,
    /// Colours of the difference saturate at +- this.
    pub scale_hu: f32,
}

/// What the pixels of a run mean.
#[derive(Clone)]
pub struct Decoded {
    pub slab: Range<usize>,
    /// `[slope, offset]`: HU = slope * decoded + offset.
    pub hu_from_decoded: [f32; 2],
}

/// The picture of the run that goes on; nothing before it has drawn two lambdas, and nothing once it has ended.
#[derive(Default)]
pub struct Sketching {
    pub drawn: Stage<SoFar>,
    /// Lambda of the last one that was begun.
    begun: Option<f64>,
    of: Option<Decoded>,
}

impl Sketching {
    /// A run begins, whose pixels mean this.
    pub fn begin(&mut self, of: Option<Decoded>) {
        *self = Self { of, ..Self::default() };
    }

    /// Draws what a run has handed over since the last look, one picture at a time.
    pub fn follow(&mut self, run: Option<&Monitor>, scan: Option<&Arc<OpenScan>>, worker: &Worker) {
        self.drawn.poll();
        let (Some(run), Some(scan), Some(of)) = (run, scan, &self.of) else {
            self.drawn.clear();
            return;
        };
        let sketches = run.sketches();
        let (Some(zero), Some(latest)) = (sketches.zero, sketches.latest) else { return };
        if latest.lambda == 0.0 || self.begun == Some(latest.lambda) || self.drawn.running().is_some() {
            return;
        }
        self.begun = Some(latest.lambda);
        let (scan, of) = (Arc::clone(scan), of.clone());
        let job = worker.spawn("sketch", move |_| Ok(Arc::new(so_far(&scan, &of, &zero, &latest))));
        self.drawn.follow(job);
    }
}

fn so_far(scan: &OpenScan, of: &Decoded, zero: &Sketch, latest: &Sketch) -> SoFar {
    let prepared = &scan.input.prepared;
    let [slope, offset] = prepared.recipe.hu_from_unit();
    let hu: Vec<f32> = prepared.volume.voxels.iter().map(|x| slope * x + offset).collect();
    let stack = Volume::from_f32(prepared.volume.grid, hu);
    let shift = Shift::so_far(&stack, &of.slab, of.hu_from_decoded, [&zero.pixels, &latest.pixels]);
    SoFar {
        scale_hu: shift.scale_hu(),
        layers: Arc::new(Layers { scan: scan.layers.scan.clone(), shift: Some(shift), map: None }),
        lambda: latest.lambda,
        score: latest.score,
    }
}
