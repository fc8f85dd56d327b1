//! What agrees with a run, counted voxel by voxel and region by region, one repetition after the other.

use std::ops::Range;

use anyhow::{Result, ensure};
use glam::DVec3;

use super::Again;
use crate::quality::regions::Regions;
use crate::volume::Grid;

/// A region comes again where its mean change is this share of the run's own, or more.
const SHARE_OF_MEAN: f64 = 0.5;

/// Counts over the run's slab.
#[derive(Debug, Clone)]
pub(super) struct Agreement {
    grid: Grid,
    slab: Range<usize>,
    /// `[slab, height, width]`: the region that each voxel belongs to, as `Regions` labels them, and the run's change, HU.
    labels: Vec<u8>,
    change_hu: Vec<f32>,
    /// Repetitions that changed a voxel the same way; fewer than 256 are made.
    agree: Vec<u8>,
    /// Repetitions whose slab held each slice.
    of_slices: Vec<u8>,
    regions: Vec<Counted>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    found_in: usize,
    of: usize,
    /// The lowest and the highest mean.
    mean_hu: Option<[f64; 2]>,
}

impl Agreement {
    pub(super) fn of(regions: &Regions, change_hu: &[f32]) -> Self {
        let (grid, slab, labels) = regions.labels();
        Self {
            grid: *grid,
            slab: slab.clone(),
            labels: labels.to_vec(),
            change_hu: change_hu.to_vec(),
            agree: vec![0; labels.len()],
            of_slices: vec![0; slab.len()],
            regions: vec![Counted::default(); regions.list.len()],
        }
    }

    /// Takes up counts that were kept, as far as these can be counts of these regions. Nothing more can be added.
    pub(super) fn restored(regions: &Regions, agree: Vec<u8>, of_slices: Vec<u8>) -> Result<Self> {
        let mut restored = Self::of(regions, &[]);
        let (voxels, slices) = (restored.agree.len(), restored.of_slices.len());
        ensure!(
            agree.len() == voxels && of_slices.len() == slices,
            "its repetitions are counted at {} voxels of {} slices, where {voxels} of {slices} may change",
            agree.len(),
            of_slices.len()
        );
        let pixels = restored.pixels();
        let within = agree.chunks(pixels).zip(&of_slices).all(|(slice, of)| slice.iter().all(|agree| agree <= of));
        ensure!(within, "more of its repetitions agree at a voxel than were made");
        (restored.agree, restored.of_slices) = (agree, of_slices);
        Ok(restored)
    }

    pub(super) fn counts(&self) -> (&[u8], &[u8]) {
        (&self.agree, &self.of_slices)
    }

    fn pixels(&self) -> usize {
        (self.grid.shape[0] * self.grid.shape[1]).max(1)
    }

    /// Counts a repetition with a slab of its own: its change `[slab, height, width]`, HU; nothing where it found none.
    pub(super) fn add(&mut self, slab: &Range<usize>, change_hu: Option<&[f32]>) {
        let pixels = self.pixels();
        // Sums over the slices that both slabs hold, of the run and of the repetition.
        let mut sums = vec![(0_usize, 0.0, 0.0); self.regions.len()];
        for k in self.slab.start.max(slab.start)..self.slab.end.min(slab.end) {
            self.of_slices[k - self.slab.start] = self.of_slices[k - self.slab.start].saturating_add(1);
            let (ours, theirs) = ((k - self.slab.start) * pixels, (k - slab.start) * pixels);
            for pixel in 0..pixels {
                let label = self.labels.get(ours + pixel).copied().unwrap_or(0);
                if label == 0 {
                    continue;
                }
                let run = self.change_hu.get(ours + pixel).copied().unwrap_or(0.0);
                let again = change_hu.and_then(|hu| hu.get(theirs + pixel)).copied().unwrap_or(0.0);
                if run * again > 0.0 {
                    self.agree[ours + pixel] = self.agree[ours + pixel].saturating_add(1);
                }
                if let Some((voxels, of_run, of_again)) = sums.get_mut(usize::from(label) - 1) {
                    *voxels += 1;
                    *of_run += f64::from(run);
                    *of_again += f64::from(again);
                }
            }
        }
        for (region, (voxels, of_run, of_again)) in self.regions.iter_mut().zip(sums).filter(|(_, sums)| sums.0 > 0) {
            region.of += 1;
            region.found_in += usize::from(of_again / of_run >= SHARE_OF_MEAN);
            if change_hu.is_some() {
                let mean = of_again / voxels as f64;
                let [low, high] = region.mean_hu.unwrap_or([mean; 2]);
                region.mean_hu = Some([low.min(mean), high.max(mean)]);
            }
        }
    }

    /// The share at a voxel of the slab, by its place in memory.
    fn share(&self, at: usize) -> Option<f32> {
        let of = *self.of_slices.get(at / self.pixels())?;
        let label = *self.labels.get(at)?;
        (label > 0 && of > 0).then(|| f32::from(self.agree[at]) / f32::from(of))
    }

    pub(super) fn shares(&self) -> Vec<f32> {
        (0..self.labels.len()).map(|at| self.share(at).unwrap_or(f32::NAN)).collect()
    }

    pub(super) fn share_at(&self, place: DVec3) -> Option<f32> {
        let near = self.grid.voxel_from_world().transform_point3(place).round().to_array();
        let is_there = (0..3).all(|axis| near[axis] >= 0.0 && near[axis] < self.grid.shape[axis] as f64);
        let [i, j, k] = near.map(|x| x as usize);
        (is_there && self.slab.contains(&k))
            .then(|| i + self.grid.shape[0] * j + self.pixels() * (k - self.slab.start))
            .and_then(|at| self.share(at))
    }

    /// How often each region of the list came again.
    pub(super) fn again(&self) -> Vec<Again> {
        let mut shares = vec![(0_usize, 0.0); self.regions.len()];
        for (at, label) in self.labels.iter().enumerate().filter(|(_, label)| **label > 0) {
            let region = shares.get_mut(usize::from(*label) - 1);
            if let Some(((voxels, sum), share)) = region.zip(self.share(at)) {
                *voxels += 1;
                *sum += f64::from(share);
            }
        }
        let again = |(region, (voxels, sum)): (&Counted, (usize, f64))| Again {
            found_in: region.found_in,
            of: region.of,
            sign_share: (voxels > 0).then(|| sum / voxels as f64),
            mean_hu: region.mean_hu,
        };
        self.regions.iter().zip(shares).map(again).collect()
    }
}

#[cfg(test)]
mod tests {
    use glam::DAffine3;

    use super::*;
    use crate::job::Monitor;
    use crate::quality::regions::{Change, regions};

    /// Two slices of 4 x 4: slice 1 and 2 of 4 may change. The left half became darker, the right half brighter.
    fn drawn() -> (Regions, Vec<f32>) {
        let grid = Grid { shape: [4, 4, 4], world_from_voxel: DAffine3::IDENTITY };
        let hu: Vec<f32> = (0..32).map(|at| if at % 4 < 2 { -40.0 } else { 30.0 }).collect();
        let change = Change { grid, slab: 1..3, hu: hu.clone(), shown: grid, body: vec![true; 64] };
        (regions(&change, 10.0, None, &Monitor::default()).unwrap(), hu)
    }

    #[test]
    fn what_changes_the_same_way_is_counted_and_by_half_as_much_it_came_again() {
        let (regions, hu) = drawn();
        assert_eq!(regions.list.len(), 2);
        let mut agreement = Agreement::of(&regions, &hu);
        agreement.add(&(1..3), Some(&hu));
        // The darker region by a quarter only; the brighter one the other way.
        let weak: Vec<f32> = hu.iter().map(|hu| if *hu < 0.0 { hu / 4.0 } else { -hu }).collect();
        agreement.add(&(1..3), Some(&weak));
        agreement.add(&(1..3), None);
        let [darker, brighter] = agreement.again().try_into().unwrap();
        assert_eq!((darker.found_in, darker.of, darker.text()), (1, 3, "in 1 of 3 runs".to_owned()));
        assert!((darker.sign_share.unwrap() - 2.0 / 3.0).abs() < 1e-6, "a little counts as a sign");
        assert_eq!((brighter.found_in, brighter.of), (1, 3));
        assert!((brighter.sign_share.unwrap() - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!((darker.mean_hu, brighter.mean_hu), (Some([-40.0, -10.0]), Some([-30.0, 30.0])));
        assert_eq!(agreement.share_at(DVec3::new(3.0, 0.0, 1.0)), Some(1.0 / 3.0));
        assert_eq!(agreement.share_at(DVec3::new(3.0, 0.0, 0.0)), None, "outside the slab");
        assert_eq!(agreement.share_at(DVec3::splat(-9.0)), None);
    }

    #[test]
    fn a_slab_that_moved_is_counted_where_it_overlaps() {
        let (regions, hu) = drawn();
        let mut agreement = Agreement::of(&regions, &hu);
        // Slices 2 and 3: the second of the run's lies first.
        agreement.add(&(2..4), Some(&hu));
        assert_eq!(agreement.share_at(DVec3::new(0.0, 0.0, 1.0)), None, "no run held it");
        assert_eq!(agreement.share_at(DVec3::new(0.0, 0.0, 2.0)), Some(1.0));
        let shares = agreement.shares();
        assert!(shares[..16].iter().all(|share| share.is_nan()) && shares[16..].iter().all(|share| *share == 1.0));
        // One that does not overlap might have changed nothing here.
        agreement.add(&(3..4), Some(&hu[..16]));
        assert!(agreement.again().iter().all(|again| again.of == 1 && again.found_in == 1));
    }
}
