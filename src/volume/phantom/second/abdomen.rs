//! Below the diaphragm: liver, spleen, stomach, colon, kidneys and the fat between them; and the diaphragm itself.

use glam::Vec3;

use super::super::field::{Segment, smooth_max, tube};
use super::frame::Frame;
use super::shapes::{Ovoid, at_height, nearest, ramp};
use crate::random::Stream;

pub(super) struct Abdomen {
    /// Heights of the domes, right and left, and how far they fall to the sides.
    top: [f32; 2],
    fall: f32,
    middle_x: f32,
    half: f32,
    liver_left: f32,
    stomach: Ovoid,
    gas_y: f32,
    food: f32,
    spleen: Ovoid,
    colon: Ovoid,
    kidneys: [Ovoid; 2],
    veins: Vec<Segment>,
    spine_y: f32,
}

/// Distances at one place.
pub(super) struct Organs {
    pub(super) liver: f32,
    pub(super) veins: f32,
    pub(super) stomach: f32,
    pub(super) gas: f32,
    pub(super) spleen: f32,
    pub(super) colon: f32,
    pub(super) kidneys: f32,
    pub(super) crura: f32,
}

impl Abdomen {
    pub(super) fn draw(seed: u64, frame: &Frame) -> Self {
        let mut g = Stream::new(seed, "second abdomen");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let s = frame.size;
        let right = frame.carina_z - u(84.0, 106.0) * s;
        let left = right - u(4.0, 20.0);
        let spine_y = frame.spine(left)[1];
        let stomach = Vec3::new(u(48.0, 62.0) * s, u(-28.0, -8.0), left - u(40.0, 52.0));
        let mut veins = Vec::new();
        let trunk = Vec3::new(-24.0 * s, 10.0, right - 26.0);
        for n in 0..9 {
            let end = Vec3::new(u(-115.0, 10.0), u(-60.0, 50.0), right - u(25.0, 110.0));
            let bend = (trunk + end) * 0.5 + Vec3::new(0.0, 0.0, u(-14.0, 14.0));
            let from = if n < 4 { trunk } else { trunk + Vec3::new(u(-30.0, 5.0), u(-10.0, 10.0), -60.0) };
            veins.extend(tube(&[(from, 4.6), (bend, 3.4), (end, 1.4)]));
        }
        Self {
            top: [right, left],
            fall: u(58.0, 76.0) * s,
            middle_x: 0.49 * frame.wide,
            half: 0.60 * frame.wide,
            liver_left: u(5.0, 45.0),
            stomach: Ovoid::along(
                stomach,
                Vec3::new(52.0, 32.0, 30.0) * s * u(0.8, 1.15),
                Vec3::new(-0.35, -0.45, -0.8),
                Vec3::X,
            ),
            gas_y: stomach.y + u(-22.0, 6.0),
            food: u(0.0, 1.0),
            spleen: Ovoid::along(
                Vec3::new(0.66 * frame.wide, 0.42 * frame.back, left - u(40.0, 52.0)),
                Vec3::new(52.0, 34.0, 22.0) * s * u(0.85, 1.15),
                Vec3::new(0.35, -0.35, -0.85),
                Vec3::new(0.5, 0.9, 0.0),
            ),
            colon: Ovoid::along(
                Vec3::new(0.72 * frame.wide, -0.35 * frame.front, left - u(38.0, 62.0)),
                Vec3::new(38.0, 20.0, 19.0) * s,
                Vec3::new(0.4, 0.8, 0.3),
                Vec3::Z,
            ),
            kidneys: [-1.0, 1.0].map(|side: f32| {
                let z = if side < 0.0 { right - 118.0 * s } else { left - 92.0 * s };
                Ovoid::along(
                    Vec3::new(side * 54.0 * s, spine_y + 6.0, z),
                    Vec3::new(54.0, 26.0, 22.0) * s,
                    Vec3::new(side * 0.2, 0.15, -1.0),
                    Vec3::X,
                )
            }),
            veins,
            spine_y,
        }
    }

    pub(super) fn veins_at(&self, z: f32) -> Vec<Segment> {
        at_height(&self.veins, z, 4.0)
    }

    /// Positive below the diaphragm, which falls furthest at the back.
    pub(super) fn below(&self, at: Vec3) -> f32 {
        let dome = |top: f32, x: f32| {
            let dx = (at.x - x) / self.half;
            let y = at.y + 8.0;
            let dy = y / if y > 0.0 { 72.0 } else { 88.0 };
            let far = dx * dx + dy * dy;
            let fall = self.fall * far * (1.0 + 0.35 * far);
            let slope = 2.0 * self.fall * (1.0 + 0.7 * far) * (dx / self.half).hypot(dy / 75.0);
            (top - fall - at.z, slope)
        };
        let (right, slope_right) = dome(self.top[0], -self.middle_x);
        let (left, slope_left) = dome(self.top[1], self.middle_x);
        let share = ramp(-22.0, 22.0, at.x);
        let slope = slope_right + (slope_left - slope_right) * share;
        // Between the domes lies the tendon under the heart.
        let saddle = self.top[1] - 12.0 - at.z - 0.010 * (at.y + 18.0).powi(2) - 0.012 * at.x * at.x;
        smooth_max(smooth_max(right, left, 8.0), saddle, 10.0) / (1.0 + slope.min(3.0).powi(2)).sqrt()
    }

    /// Within the space below the diaphragm and inside the wall, `space` negative.
    pub(super) fn organs(&self, veins: &[Segment], at: Vec3, space: f32, below: f32, rough: f32) -> Organs {
        let inside = smooth_max(space + 3.0, 2.5 - below, 4.0);
        let left = at.x - self.liver_left - 0.35 * (-at.y).max(0.0) + 0.12 * (self.top[0] - at.z);
        let dorsal = at.y - self.spine_y + 14.0 - 0.9 * (at.x + 14.0).abs();
        let liver = smooth_max(smooth_max(inside, left, 8.0), dorsal, 10.0);
        let stomach = smooth_max(smooth_max(self.stomach.at(at) + 2.5 * rough, inside - 0.5, 5.0), 2.5 - liver, 4.0);
        let colon = smooth_max(smooth_max(self.colon.at(at) + 2.0 * rough, inside, 4.0), 2.0 - stomach, 3.0);
        let spleen = smooth_max(smooth_max(self.spleen.at(at), inside, 5.0), 2.5 - stomach, 4.0);
        let kidney = self.kidneys[usize::from(at.x > 0.0)].at(at);
        let kidneys = smooth_max(smooth_max(kidney, 4.0 - liver, 4.0), 3.0 - spleen, 4.0);
        let crura = ((at.x.abs() - 13.0 - 0.25 * (self.spine_y - 22.0 - at.y).abs()).abs() - 3.2)
            .max((at.y - self.spine_y + 16.0).abs() - 24.0);
        Organs {
            liver,
            veins: if liver < 0.0 { nearest(veins, at).max(liver + 4.0) } else { 40.0 },
            stomach,
            gas: smooth_max(stomach + 4.0, at.y - self.gas_y, 2.0),
            spleen,
            colon,
            kidneys,
            crura: crura.max(1.0 - below),
        }
    }

    /// What the stomach holds, HU.
    pub(super) fn food(&self, rough: f32) -> f32 {
        if self.food < 0.5 { 8.0 + 3.0 * rough } else { 35.0 + 45.0 * (self.food - 0.5) * rough }
    }
}
