//! The heart: four chambers, the muscle of the left one, fat with the coronary arteries, pericardium. It grows by a dial.

use glam::Vec3;

use super::super::field::{Segment, smooth_max, smooth_min, tube};
use super::frame::Frame;
use super::noise::Texture;
use super::shapes::{FAR_MM, Ovoid, nearest};
use crate::random::Stream;

/// How many times as wide the largest heart is.
const LARGEST: f32 = 1.36;
/// Nothing of the heart rounds the lung's edge further away than this.
pub(super) const REACH_MM: f32 = 14.0;

#[derive(Clone)]
pub(super) struct Heart {
    ventricle: Ovoid,
    cavity: Ovoid,
    right_ventricle: Ovoid,
    right_atrium: Ovoid,
    left_atrium: Ovoid,
    appendage: Ovoid,
    outflow: Segment,
    coronaries: Vec<Segment>,
    pub(super) calcified: f32,
    fat: f32,
    pub(super) middle: Vec3,
    radius: f32,
}

/// Distances to the parts of the heart at one place.
#[derive(Clone, Copy)]
pub(super) struct HeartParts {
    /// The fat's surface, under the pericardium.
    pub(super) envelope: f32,
    pub(super) muscle: f32,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) coronaries: f32,
}

impl Heart {
    pub(super) fn draw(seed: u64, frame: &Frame) -> Self {
        let mut g = Stream::new(seed, "second heart");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let s = frame.size * u(1.0, 1.16);
        let tilt = u(-0.18, 0.18);
        let long = Vec3::new(0.62, -0.60, -0.42 + tilt).normalize_or_zero();
        let across = Vec3::new(0.62, 0.75, 0.05).reject_from_normalized(long).normalize_or_zero();
        let h = Vec3::new(u(8.0, 15.0), -20.0 * frame.size + u(-3.0, 3.0), frame.carina_z - 77.0 * frame.size);
        let wall = u(8.5, 12.0);
        let at = |x: f32, y: f32, z: f32| h + Vec3::new(x, y, z) * s;
        let ventricle = at(0.0, 0.0, 0.0) + (long * 13.0 + across * 17.0) * s;
        let lv = Vec3::new(47.0, 30.0, 31.0) * s;
        let rv = at(0.0, 0.0, 0.0) + (long * 5.0 - across * 25.0) * s;
        let mut coronaries = tube(&[
            (at(-4.0, -18.0, 34.0), 2.0),
            (at(-26.0, -26.0, 18.0), 1.9),
            (at(-34.0, -22.0, -8.0), 1.7),
            (at(-22.0, -4.0, -30.0), 1.4),
        ]);
        coronaries.extend(tube(&[
            (at(6.0, -8.0, 36.0), 2.2),
            (at(22.0, -16.0, 30.0), 2.1),
            (at(30.0, -34.0, 12.0), 1.8),
            (at(40.0, -44.0, -10.0), 1.3),
        ]));
        coronaries.extend(tube(&[
            (at(22.0, -16.0, 30.0), 1.9),
            (at(34.0, 6.0, 22.0), 1.8),
            (at(36.0, 20.0, 4.0), 1.4),
        ]));
        Self {
            ventricle: Ovoid::along(ventricle, lv, long, across),
            cavity: Ovoid::along(ventricle - long * wall * 0.7, lv - Vec3::splat(wall), long, across),
            right_ventricle: Ovoid::along(rv, Vec3::new(46.0, 24.0, 33.0) * s, long, across),
            right_atrium: Ovoid::along(
                at(-37.0, 2.0, 2.0),
                Vec3::new(33.0, 21.0, 26.0) * s,
                Vec3::new(0.15, 0.0, 1.0),
                Vec3::X,
            ),
            left_atrium: Ovoid::upright(at(-5.0, 26.0, 22.0), Vec3::new(35.0, 20.0, 24.0) * s),
            appendage: Ovoid::along(
                at(30.0, -2.0, 30.0),
                Vec3::new(16.0, 9.0, 11.0) * s,
                Vec3::new(0.7, -0.7, 0.1),
                Vec3::Z,
            ),
            outflow: Segment { from: at(6.0, -30.0, 6.0), to: at(12.0, -24.0, 46.0), radii: [19.0 * s, 13.0 * s] },
            coronaries,
            calcified: if frame.age > 55.0 { u(-1.6, 1.4) } else { -2.0 },
            fat: u(1.5, 4.5) + 0.08 * frame.fat,
            middle: h,
            radius: 95.0 * s,
        }
    }

    /// The heart when it is enlarged by `dial`, `0..=1`: mostly to the left, from where its vessels hold it.
    pub(super) fn grown(&self, dial: f32) -> Self {
        let factor = 1.0 + (LARGEST - 1.0) * dial;
        let anchor = self.middle + Vec3::new(-16.0, 14.0, 8.0);
        let grow = |part: &Ovoid| part.grown(anchor, factor);
        let place = |at: Vec3| anchor + (at - anchor) * factor;
        let stretch = |s: &Segment| Segment { from: place(s.from), to: place(s.to), radii: s.radii };
        Self {
            ventricle: grow(&self.ventricle),
            cavity: grow(&self.cavity),
            right_ventricle: grow(&self.right_ventricle),
            right_atrium: grow(&self.right_atrium),
            left_atrium: grow(&self.left_atrium),
            appendage: grow(&self.appendage),
            outflow: Segment { from: place(self.outflow.from), ..self.outflow },
            coronaries: self.coronaries.iter().map(stretch).collect(),
            radius: self.radius * factor,
            ..self.clone()
        }
    }

    /// Whether any of it comes near a place.
    pub(super) fn is_near(&self, at: Vec3) -> bool {
        at.distance_squared(self.middle) < (self.radius + 2.0 * REACH_MM).powi(2)
    }

    pub(super) fn at(&self, at: Vec3, texture: &Texture) -> HeartParts {
        if !self.is_near(at) {
            let far = FAR_MM;
            return HeartParts { envelope: far, muscle: far, left: far, right: far, coronaries: far };
        }
        let rough = texture.grain(at, 6.0);
        let ventricle = self.ventricle.at(at);
        let outflow = self.outflow.at(at);
        let right_ventricle = smooth_min(self.right_ventricle.at(at), outflow, 8.0);
        let right_atrium = self.right_atrium.at(at);
        let left_atrium = smooth_min(self.left_atrium.at(at), self.appendage.at(at), 4.0);
        // The septum bulges into the right ventricle; the valves' planes part atria and ventricles.
        let right = smooth_max(right_ventricle + 0.6 * rough, 1.5 - ventricle, 4.0);
        let right_atrium = smooth_max(right_atrium, 2.5 - ventricle, 4.0).max(-1.8 - right);
        let left_atrium = smooth_max(left_atrium, 2.0 - ventricle, 4.0);
        let cavity = self.cavity.at(at) + 0.9 * rough;
        let ventricles = smooth_min(ventricle, right_ventricle - 3.0, 10.0);
        let atria = right_atrium.min(left_atrium);
        let envelope = smooth_min(ventricles, atria - 1.5, 18.0) - self.fat;
        let coronaries = if envelope < 1.0 { nearest(&self.coronaries, at).max(envelope + 1.0) } else { FAR_MM };
        HeartParts {
            envelope,
            muscle: ventricle.min(right - 2.2).min(atria - 1.2),
            left: cavity.min(left_atrium),
            right: right.min(right_atrium),
            coronaries,
        }
    }
}
