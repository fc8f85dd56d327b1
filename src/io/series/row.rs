//! Where the slices of a series lie, as the rules for stacks look at them.

use glam::DVec3;

/// Two or more slices of one orientation, in order along their normal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// Centre of each slice's first pixel, RAS+ mm, rising along `normal`, one at each place.
    pub(super) positions: &'a [DVec3],
    /// The direction from slice to slice, of length 1.
    pub(super) normal: DVec3,
    /// Between columns and between rows.
    pub(super) pixel_mm: [f64; 2],
    /// SpacingBetweenSlices (0018,0088), where the files have it.
    pub(super) spacing_mm: Option<f64>,
    /// SliceThickness (0018,0050), where the files have it.
    pub(super) thickness_mm: Option<f64>,
}
