//! How a scan's own voxels lie against those that a network is given: what resampling has to make up.

use glam::DVec3;
use serde::Serialize;

use crate::preprocess::Prepared;
use crate::volume::{Grid, orientation};

/// Spacings towards the patient's right, front and head, and how far the scan is turned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sampling {
    /// The scan's own, along the axes of the network's grid.
    pub own_mm: [f64; 3],
    /// Of what the network is given.
    pub given_mm: [f64; 3],
    /// The largest angle between an axis of the scan and the patient's.
    pub oblique_degrees: f64,
}

pub(super) fn sampling(scan: &Grid, prepared: &Prepared) -> Sampling {
    let to = prepared.volume.grid;
    let from_network = scan.voxel_from_world() * to.world_from_voxel;
    let given_mm = to.spacing_mm();
    // A step along an axis of the network crosses so many of the scan's voxels.
    let own = |axis: usize| {
        let steps: DVec3 = from_network.matrix3.col(axis);
        given_mm[axis] / steps.abs().max_element().max(f64::MIN_POSITIVE)
    };
    Sampling { own_mm: [0, 1, 2].map(own), given_mm, oblique_degrees: orientation::obliqueness_degrees(scan) }
}

impl Sampling {
    /// How many voxels the network is given for each of the scan's own, along an axis.
    pub fn made_of_one(&self, axis: usize) -> f64 {
        self.own_mm[axis] / self.given_mm[axis].max(f64::MIN_POSITIVE)
    }
}
