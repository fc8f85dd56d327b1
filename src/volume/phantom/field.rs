//! Shapes as signed distances in millimetres, negative inside. Patient space: x to the left, y to the back, z to the head.

use glam::Vec3;

/// The larger of two distances, rounded where they meet: the intersection of two shapes.
pub(super) fn smooth_max(a: f32, b: f32, round_mm: f32) -> f32 {
    let h = (0.5 + 0.5 * (b - a) / round_mm).clamp(0.0, 1.0);
    a * (1.0 - h) + b * h + round_mm * h * (1.0 - h)
}

/// The union of two shapes.
pub(super) fn smooth_min(a: f32, b: f32, round_mm: f32) -> f32 {
    -smooth_max(-a, -b, round_mm)
}

/// A superellipse about `(cx, cy)`: power 2 is an ellipse, more is squarer.
pub(super) fn ellipse(x: f32, y: f32, center: [f32; 2], radii: [f32; 2], power: f32) -> f32 {
    let (a, b) = (((x - center[0]) / radii[0]).abs(), ((y - center[1]) / radii[1]).abs());
    let r = if power == 2.0 { a.hypot(b) } else { (a.powf(power) + b.powf(power)).powf(power.recip()) };
    (r - 1.0) * radii[0].min(radii[1])
}

/// An ellipsoid turned about z (yaw), then about its own y (pitch); radians.
#[derive(Clone, Copy)]
pub(super) struct Ellipsoid {
    pub(super) center: Vec3,
    pub(super) radii: Vec3,
    pub(super) yaw: f32,
    pub(super) pitch: f32,
}

impl Ellipsoid {
    pub(super) fn at(&self, place: Vec3) -> f32 {
        let Vec3 { x, y, z } = place - self.center;
        let (sin, cos) = self.yaw.sin_cos();
        let (x, y) = (cos * x + sin * y, cos * y - sin * x);
        let (sin, cos) = self.pitch.sin_cos();
        let (x, z) = (cos * x + sin * z, cos * z - sin * x);
        ((Vec3::new(x, y, z) / self.radii).length() - 1.0) * self.radii.min_element()
    }
}

/// A round cone between two points.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) from: Vec3,
    pub(super) to: Vec3,
    pub(super) radii: [f32; 2],
}

impl Segment {
    pub(super) fn at(&self, place: Vec3) -> f32 {
        let along = self.to - self.from;
        let t = ((place - self.from).dot(along) / along.length_squared().max(1e-6)).clamp(0.0, 1.0);
        (place - self.from - along * t).length() - (self.radii[0] + (self.radii[1] - self.radii[0]) * t)
    }
}

/// Segments one after the other, through points with radii.
pub(super) fn tube(points: &[(Vec3, f32)]) -> Vec<Segment> {
    let segment = |w: &[(Vec3, f32)]| Segment { from: w[0].0, to: w[1].0, radii: [w[0].1, w[1].1] };
    points.windows(2).map(segment).collect()
}

/// The nearest of many segments; `far` where none is near.
pub(super) fn nearest(segments: &[Segment], place: Vec3, far: f32) -> f32 {
    segments.iter().fold(far, |least, segment| least.min(segment.at(place)))
}
