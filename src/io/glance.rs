//! What a file's header says of its volumes, for the list of a folder's files.

use super::plan::Plan;

/// A file of volumes whose voxels were not read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Glance {
    pub(super) shape: [usize; 3],
    pub(super) spacing_mm: [f64; 3],
    /// How many volumes the file holds; at least 1.
    pub(super) volumes: usize,
    /// "NIfTI-1": for people.
    pub(super) format: &'static str,
}

impl From<&Plan> for Glance {
    fn from(plan: &Plan) -> Self {
        let grid = plan.layout.grid;
        Self { shape: grid.shape, spacing_mm: grid.spacing_mm(), volumes: plan.layout.volumes, format: plan.format }
    }
}
