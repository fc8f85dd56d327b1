//! A mask beside the open scan, and how well each method agrees with it.

use std::path::PathBuf;
use std::sync::Arc;

use super::Model;
use super::methods::Computed;
use crate::export::compared::{MaskReport, mask_report};
use crate::io::Mask;
use crate::session::explained::Explained;
use crate::session::open_mask::{Opened, Whence};
use crate::session::stage::Stage;

/// The mask, and what was measured by it.
#[derive(Default)]
pub struct Masking {
    pub mask: Stage<Opened>,
    pub measured: Stage<MaskReport>,
    /// What was measured last.
    looked: Option<Looked>,
    /// A mask that waits for the scan that it was given with.
    pub(super) waits: Option<PathBuf>,
}

/// A mask, a result, and maps.
struct Looked {
    mask: Arc<Opened>,
    run: Option<Arc<Explained>>,
    maps: Vec<Arc<Computed>>,
}

impl Looked {
    fn same(&self, other: &Self) -> bool {
        let runs = match (&self.run, &other.run) {
            (Some(a), Some(b)) => a.is_of(b),
            (None, None) => true,
            _ => false,
        };
        runs && Arc::ptr_eq(&self.mask, &other.mask)
            && self.maps.len() == other.maps.len()
            && self.maps.iter().zip(&other.maps).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl Masking {
    /// What the numbers are of, once they are there.
    pub fn report(&self) -> Option<&Arc<MaskReport>> {
        self.measured.ready().filter(|_| self.mask.ready().is_some())
    }
}

impl Model {
    /// Opens a mask of the open scan; of one that is still to come, as soon as it is there.
    pub fn load_mask(&mut self, path: PathBuf) {
        let Some(scan) = self.scan.ready() else {
            self.masking.waits = Some(path);
            return;
        };
        let grid = scan.layers.scan.grid;
        let job = self.worker.spawn("mask", move |monitor| {
            monitor.step("opening the mask", 0, 0)?;
            let mask = Mask::open(&path, &grid, monitor).map_err(crate::pipeline::BadInput::new)?;
            Ok(Arc::new(Opened { whence: Whence::File(path), mask }))
        });
        self.masking.mask.follow(job);
    }

    pub fn forget_mask(&mut self) {
        self.masking = Masking::default();
    }

    /// Another scan was opened: a mask belongs to the one that it was given with. A finding that was drawn brings its own.
    pub(super) fn mask_of_new_scan(&mut self) {
        let waits = self.masking.waits.take();
        self.forget_mask();
        if let Some(drawn) = self.scan.ready().and_then(|scan| scan.drawn.clone()) {
            self.masking.mask.put(Arc::clone(&drawn.mask));
        }
        if let Some(path) = waits {
            self.load_mask(path);
        }
    }

    /// Measures what is new, and takes what was measured.
    pub fn follow_mask(&mut self) {
        self.masking.mask.poll();
        self.masking.measured.poll();
        let Some(mask) = self.masking.mask.ready().cloned() else { return };
        let now = Looked { mask, run: self.run.ready().cloned(), maps: self.methods.all().to_vec() };
        let nothing = now.run.is_none() && now.maps.is_empty();
        if self.masking.looked.as_ref().is_some_and(|before| before.same(&now)) {
            return;
        }
        self.masking.measured.clear();
        let (mask, run, maps) = (Arc::clone(&now.mask), now.run.clone(), now.maps.clone());
        self.masking.looked = Some(now);
        if nothing {
            return;
        }
        let job = self.worker.spawn("measure", move |monitor| {
            let maps: Vec<_> = maps.iter().map(|computed| (computed.method, &computed.sizes)).collect();
            Ok(Arc::new(mask_report(&mask.mask, run.as_deref().map(Explained::result), &maps, monitor)?))
        });
        self.masking.measured.follow(job);
    }
}
