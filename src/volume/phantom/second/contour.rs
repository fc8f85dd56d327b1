//! Outlines around the patient's long axis: a radius by angle and height, and the distance to it.

use std::f32::consts::{PI, TAU};

const ANGLES: usize = 512;
const LEVELS: usize = 128;
const LOWEST_MM: f32 = -60.0;
const STEP_MM: f32 = 4.0;

/// A radius for each angle and height. Angle 0 looks to the front, a quarter turn to the patient's left.
pub(super) struct Contour(Vec<f32>);

/// A contour at one height.
pub(super) struct Ring {
    radius: Vec<f32>,
    /// From the distance along the ray to that along the surface's normal.
    steepness: Vec<f32>,
}

/// Distance from the axis, and the angle.
#[derive(Clone, Copy)]
pub(super) struct Polar {
    pub(super) rho: f32,
    pub(super) theta: f32,
}

impl Polar {
    pub(super) fn of(x: f32, y: f32) -> Self {
        Self { rho: x.hypot(y), theta: x.atan2(-y) }
    }

    /// The angle from the back, `0..=pi`, the same on both sides.
    pub(super) fn around(self) -> f32 {
        PI - self.theta.abs()
    }
}

impl Contour {
    pub(super) fn new(radius: impl Fn(f32, f32) -> f32) -> Self {
        let value = |n: usize| {
            let theta = (n % ANGLES) as f32 * TAU / ANGLES as f32;
            radius(if theta > PI { theta - TAU } else { theta }, LOWEST_MM + (n / ANGLES) as f32 * STEP_MM)
        };
        Self((0..ANGLES * LEVELS).map(value).collect())
    }

    pub(super) fn ring(&self, z: f32) -> Ring {
        let level = ((z - LOWEST_MM) / STEP_MM).clamp(0.0, (LEVELS - 2) as f32 + 0.999);
        let (low, share) = (level as usize, level.fract());
        let at = |angle: usize, level: usize| self.0[angle % ANGLES + level * ANGLES];
        let radius: Vec<f32> = (0..ANGLES).map(|a| at(a, low) + share * (at(a, low + 1) - at(a, low))).collect();
        let steepness = (0..ANGLES)
            .map(|a| {
                let turn = (radius[(a + 1) % ANGLES] - radius[(a + ANGLES - 1) % ANGLES]) * ANGLES as f32 / TAU / 2.0;
                let rise = (at(a, low + 1) - at(a, low)) / STEP_MM;
                (1.0 + (turn / radius[a].max(1.0)).powi(2) + rise * rise).sqrt().recip()
            })
            .collect();
        Ring { radius, steepness }
    }
}

impl Ring {
    fn place(theta: f32) -> (usize, usize, f32) {
        let angle = (if theta < 0.0 { theta + TAU } else { theta }) * (ANGLES as f32 / TAU);
        let low = angle as usize % ANGLES;
        (low, (low + 1) % ANGLES, angle.fract())
    }

    pub(super) fn radius(&self, theta: f32) -> f32 {
        let (low, high, share) = Self::place(theta);
        self.radius[low] + share * (self.radius[high] - self.radius[low])
    }

    pub(super) fn at(&self, polar: Polar) -> f32 {
        let (low, high, share) = Self::place(polar.theta);
        let radius = self.radius[low] + share * (self.radius[high] - self.radius[low]);
        (polar.rho - radius) * self.steepness[low]
    }

    pub(super) fn largest(&self) -> f32 {
        self.radius.iter().fold(0.0, |most, radius| most.max(*radius))
    }
}

/// The radius of a rounded box in a direction: half width, depth to the front and to the back, and how square it is there.
pub(super) fn rounded(theta: f32, wide: f32, front: [f32; 2], back: [f32; 2]) -> f32 {
    let (sin, cos) = theta.sin_cos();
    let [deep, power] = if cos > 0.0 { front } else { back };
    ((sin.abs() / wide).powf(power) + (cos.abs() / deep).powf(power)).powf(-power.recip())
}
