//! What regions read in every volume: small ones at once, large ones in the background, so that no frame waits for them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context as _;

use crate::frame::Layers;
use crate::frame::measure::{Measurement, Region, Shape};
use crate::session::stage::Stage;
use crate::session::worker::Worker;

/// Voxels that a frame has time for: about a millisecond.
const AT_ONCE: f64 = 5000.0;
/// Regions beside the listed ones that are remembered: the shapes of a draft.
const DRAFTS: usize = 16;
/// The number of readings of each region that are remembered: those of two results that are compared, and of the step before in either.
const READINGS: usize = 4;

/// What a region reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    Known(Region),
    /// It is being read.
    Coming,
}

/// Regions as they were last read: reading them anew in every frame would cost too much.
#[derive(Default)]
pub struct Readings {
    known: RefCell<HashMap<Key, Vec<Read>>>,
    coming: Stage<(Key, Read)>,
}

/// A region by the bits of its numbers.
type Key = [u64; 10];

struct Read {
    step: usize,
    /// Told by its scan's and its steps' memory.
    layers: Arc<Layers>,
    region: Region,
}

impl Readings {
    /// What a measurement reads at a computed step; `None` where it is no region.
    pub fn of(&self, measurement: &Measurement, layers: &Arc<Layers>, step: usize) -> Option<Reading> {
        let key = key(measurement)?;
        if let Some(region) = self.known(&key, layers, step) {
            return Some(Reading::Known(region));
        }
        if measurement.voxels(&layers.scan.grid) > AT_ONCE {
            return Some(Reading::Coming);
        }
        self.now(measurement, layers, step).map(Reading::Known)
    }

    /// What a region reads, however long that takes: for what is saved.
    pub fn now(&self, measurement: &Measurement, layers: &Arc<Layers>, step: usize) -> Option<Region> {
        let key = key(measurement)?;
        if let Some(region) = self.known(&key, layers, step) {
            return Some(region);
        }
        let region = measurement.region(layers, step)?;
        remember(&mut self.known.borrow_mut(), key, Read { step, layers: Arc::clone(layers), region: region.clone() });
        Some(region)
    }

    fn known(&self, key: &Key, layers: &Layers, step: usize) -> Option<Region> {
        let known = self.known.borrow();
        let mut reads = known.get(key)?.iter();
        let read = reads.find(|read| read.step == step && same(&read.layers, layers))?;
        Some(read.region.clone())
    }

    /// Takes what was read in the background, and reads the next region that a frame has no time for.
    pub fn follow(&mut self, all: &[Measurement], read_in: &[(Arc<Layers>, usize)], worker: &Worker) {
        if self.coming.poll()
            && let Some(read) = self.coming.take()
        {
            let (key, read) = &*read;
            let read = Read { step: read.step, layers: Arc::clone(&read.layers), region: read.region.clone() };
            remember(self.known.get_mut(), *key, read);
        }
        self.forget(all);
        if self.coming.running().is_some() {
            return;
        }
        let wanted = read_in.iter().flat_map(|(layers, step)| all.iter().map(move |one| (one, layers, *step)));
        let large = wanted.filter(|(one, layers, _)| one.voxels(&layers.scan.grid) > AT_ONCE);
        let keyed = large.filter_map(|(one, layers, step)| Some((*one, key(one)?, layers, step)));
        let mut unread = keyed.filter(|(_, key, layers, step)| self.known(key, layers, *step).is_none());
        let Some((measurement, key, layers, step)) = unread.next() else { return };
        let layers = Arc::clone(layers);
        self.coming.follow(worker.spawn("region", move |_| {
            let region = measurement.region(&layers, step).context("only a region is read")?;
            Ok(Arc::new((key, Read { step, layers, region })))
        }));
    }

    /// Forgets now and then what was deleted, and each shape that a draft had.
    fn forget(&mut self, all: &[Measurement]) {
        let known = self.known.get_mut();
        if known.len() > 2 * all.len() + DRAFTS {
            let listed: HashSet<Key> = all.iter().filter_map(key).collect();
            known.retain(|key, _| listed.contains(key));
        }
    }
}

/// Keeps what was read, and of the same region the latest readings.
fn remember(known: &mut HashMap<Key, Vec<Read>>, key: Key, read: Read) {
    let reads = known.entry(key).or_default();
    reads.retain(|before| before.step != read.step || !same(&before.layers, &read.layers));
    reads.push(read);
    let too_many = reads.len().saturating_sub(READINGS);
    reads.drain(..too_many);
}

fn key(of: &Measurement) -> Option<Key> {
    let Shape::Ellipse { middle, half_axes: [a, b] } = of.shape else { return None };
    let mut key = [of.plane as u64; 10];
    let numbers = [middle, a, b].into_iter().flat_map(|place| place.to_array());
    key.iter_mut().zip(numbers).for_each(|(bits, number)| *bits = number.to_bits());
    Some(key)
}

fn same(a: &Layers, b: &Layers) -> bool {
    let shifts = match (&a.shift, &b.shift) {
        (None, None) => true,
        (Some(a), Some(b)) => a.slabs.same(&b.slabs),
        _ => false,
    };
    a.scan.voxels.same(&b.scan.voxels) && shifts
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use glam::{DAffine3, DVec3};

    use super::*;
    use crate::frame::Plane;
    use crate::volume::{Grid, Volume};

    fn circle(radius_mm: f64) -> Measurement {
        let half_axes = [DVec3::X * radius_mm, DVec3::Y * radius_mm];
        Measurement { plane: Plane::Axial, shape: Shape::Ellipse { middle: DVec3::new(100.0, 100.0, 0.0), half_axes } }
    }

    #[test]
    fn a_frame_reads_small_regions_and_waits_for_no_large_one() {
        let grid = Grid { shape: [200, 200, 2], world_from_voxel: DAffine3::IDENTITY };
        let hu: Vec<f32> = (0..grid.len()).map(|at| (at % 177) as f32).collect();
        let layers = Arc::new(Layers { scan: Volume::from_f32(grid, hu), shift: None, map: None });
        let (mut readings, worker) = (Readings::default(), Worker::new(|| {}));
        let [small, large] = [circle(10.0), circle(90.0)];
        let known = |measurement: &Measurement| measurement.region(&layers, 0).map(Reading::Known);
        assert_eq!(readings.of(&small, &layers, 0), known(&small));
        assert_eq!(readings.of(&large, &layers, 0), Some(Reading::Coming));
        let began = Instant::now();
        while readings.of(&large, &layers, 0) == Some(Reading::Coming) {
            assert!(began.elapsed() < Duration::from_mins(1), "it is read in the background");
            readings.follow(&[small, large], &[(Arc::clone(&layers), 0)], &worker);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(readings.of(&large, &layers, 0), known(&large));
        assert_eq!(readings.of(&large, &layers, 1), Some(Reading::Coming), "another step has other numbers");
        assert_eq!(readings.now(&large, &layers, 1), large.region(&layers, 1), "what is saved has its numbers");
    }
}
