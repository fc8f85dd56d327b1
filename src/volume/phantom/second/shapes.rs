//! Shapes of the second phantom as signed distances in millimetres, negative inside, whose slope is 1 near the surface.

use glam::{Mat3, Vec3};

use super::super::field::Segment;

/// Beyond this no distance matters.
pub(super) const FAR_MM: f32 = 60.0;

/// An ellipsoid with axes of its own.
#[derive(Clone, Copy)]
pub(super) struct Ovoid {
    pub(super) center: Vec3,
    pub(super) radii: Vec3,
    /// Turns the patient's directions into the ellipsoid's.
    own_from_patient: Mat3,
}

impl Ovoid {
    /// Along the patient's axes.
    pub(super) fn upright(center: Vec3, radii: Vec3) -> Self {
        Self { center, radii, own_from_patient: Mat3::IDENTITY }
    }

    /// Its first radius along `long`, its second as near to `second` as it can be.
    pub(super) fn along(center: Vec3, radii: Vec3, long: Vec3, second: Vec3) -> Self {
        let a = long.normalize_or(Vec3::X);
        let b = second.reject_from_normalized(a).normalize_or(a.any_orthonormal_vector());
        Self { center, radii, own_from_patient: Mat3::from_cols(a, b, a.cross(b)).transpose() }
    }

    /// The ellipsoid around a fixed place, so many times as large.
    pub(super) fn grown(&self, anchor: Vec3, factor: f32) -> Self {
        Self { center: anchor + (self.center - anchor) * factor, radii: self.radii * factor, ..*self }
    }

    /// Distance by the first order of the ellipsoid's equation; far away a lower bound of a kind.
    pub(super) fn at(&self, place: Vec3) -> f32 {
        let p = self.own_from_patient * (place - self.center);
        let scaled = p / self.radii;
        let length = scaled.length();
        let slope = (scaled / self.radii).length();
        if slope < 1e-6 { -self.radii.min_element() } else { length * (length - 1.0) / slope }
    }
}

/// Whether a segment comes within `reach` of a height.
pub(super) fn near_height(segment: &Segment, z: f32, reach: f32) -> bool {
    let reach = reach + segment.radii[0].max(segment.radii[1]);
    z > segment.from.z.min(segment.to.z) - reach && z < segment.from.z.max(segment.to.z) + reach
}

/// The segments that come within `reach` of a height.
pub(super) fn at_height(segments: &[Segment], z: f32, reach: f32) -> Vec<Segment> {
    segments.iter().filter(|segment| near_height(segment, z, reach)).copied().collect()
}

/// Distance to the nearest of some segments.
pub(super) fn nearest(segments: &[Segment], place: Vec3) -> f32 {
    segments.iter().fold(FAR_MM, |least, segment| least.min(segment.at(place)))
}

/// From 0 at `low` to 1 at `high`, without a corner.
pub(super) fn ramp(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A bell of height 1 and this width.
pub(super) fn bell(value: f32, width: f32) -> f32 {
    (-(value / width).powi(2)).exp()
}

pub(super) fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}
