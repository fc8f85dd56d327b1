//! The frame of a patient: outlines of the rib cage, the muscles and the trunk, the spine's curve, breasts, arms and neck.

use glam::Vec3;

use super::super::field::{Segment, smooth_max, smooth_min};
use super::contour::{Contour, Polar, Ring, rounded};
use super::shapes::{FAR_MM, Ovoid, at_height, bell, mix, nearest, ramp};
use crate::random::Stream;

/// Where the axis of all outlines lies, from the front of the vertebral bodies.
const AXIS_Y: f32 = 0.0;

pub(super) struct Frame {
    pub(super) size: f32,
    pub(super) is_female: bool,
    pub(super) age: f32,
    /// Half width of the cage at its widest, and how far its front and its back are.
    pub(super) wide: f32,
    pub(super) front: f32,
    pub(super) back: f32,
    /// The top of the lungs, and where the trachea divides.
    pub(super) apex_z: f32,
    pub(super) carina_z: f32,
    /// How much the spine is bent, and how far it is from the middle.
    kyphosis: f32,
    scoliosis: [f32; 2],
    /// Depth of the fat under the skin.
    pub(super) fat: f32,
    cage: Contour,
    muscle: Contour,
    body: Contour,
    breasts: Vec<Ovoid>,
    arms: Vec<Segment>,
    neck: Vec<Segment>,
    pub(super) humeri: Vec<Segment>,
}

/// The outlines at one height.
pub(super) struct Outline {
    pub(super) cage: Ring,
    pub(super) muscle: Ring,
    pub(super) body: Ring,
    breasts: Vec<Ovoid>,
    arms: Vec<Segment>,
    neck: Vec<Segment>,
    shoulder: f32,
}

/// What the outlines are drawn by.
struct Build {
    wide: f32,
    front: f32,
    back: f32,
    apex_z: f32,
    kyphosis: f32,
    wall: f32,
    fat: f32,
    belly: f32,
    square: [f32; 2],
    waves: [f32; 8],
    is_female: bool,
}

impl Build {
    fn spine_shift(&self, z: f32) -> f32 {
        let middle = self.apex_z * 0.55;
        -self.kyphosis * ((z - middle) / 150.0).powi(2).min(3.0)
    }

    /// Slow waves that no two patients share, of deviation 1.
    fn wave(&self, theta: f32, z: f32, from: usize) -> f32 {
        let w = |n: usize| self.waves[(from + n) % 8];
        let tall = z / 90.0;
        0.7 * (2.0 * theta + w(0) + 0.6 * tall).cos()
            + 0.5 * (3.0 * theta + w(1) - tall).cos()
            + 0.4 * (5.0 * theta + w(2) + 1.3 * tall).cos()
    }

    fn cage(&self, theta: f32, z: f32) -> f32 {
        let up = ((z - 0.33 * self.apex_z) / (0.70 * self.apex_z)).clamp(0.0, 1.0);
        let dome = (1.0 - up.powf(2.6)).max(0.02).sqrt();
        let low = 1.0 - 0.07 * ((70.0 - z) / 80.0).clamp(0.0, 1.0);
        let wide = self.wide * mix(0.40, 1.0, dome) * low;
        // The sternum comes near the spine towards the neck.
        let notch = self.apex_z - 35.0;
        let front = self.front * mix(1.0, 0.50, ramp(0.40 * self.apex_z, notch + 25.0, z));
        let back = (self.back + self.spine_shift(z)) * mix(0.80, 1.0, dome);
        let flat = 1.0 - 0.03 * bell(theta, 0.35);
        rounded(theta, wide, [front, self.square[0]], [back, self.square[1]]) * flat + 0.8 * self.wave(theta, z, 0)
    }

    fn thickness(&self, theta: f32, z: f32) -> f32 {
        let (side, top) = (theta.sin().abs().powi(2), ramp(0.50 * self.apex_z, 0.88 * self.apex_z, z));
        let back = (0.5 - 0.5 * theta.cos()).powi(2);
        let front = (0.5 + 0.5 * theta.cos()).powi(2);
        let pectoral = if self.is_female { 6.0 } else { 13.0 } * bell(theta.abs() - 0.65, 0.45) * top;
        self.wall * (0.6 + 0.4 * side + 1.15 * back - 0.12 * front) + pectoral + 30.0 * side.powi(2) * top
    }

    fn muscle(&self, theta: f32, z: f32) -> f32 {
        let notch = self.apex_z - 20.0;
        // Above the cage's widest the muscles do not follow it in.
        let level = z.min(0.60 * self.apex_z);
        let low = self.cage(theta, level) + self.thickness(theta, z);
        let shoulder = rounded(theta, self.wide + 46.0, [self.front * 0.66 + 16.0, 2.3], [self.back + 24.0, 2.6]);
        let share = ramp(0.55 * self.apex_z, notch, z);
        let front = if theta.cos() > 0.0 { 1.0 } else { 0.6 };
        let furrow = 5.0 * bell(std::f32::consts::PI - theta.abs(), 0.12);
        mix(low, shoulder, share * front) - furrow + 1.3 * self.wave(theta, z, 2)
    }

    fn body(&self, theta: f32, z: f32) -> f32 {
        let (front, low) = ((0.5 + 0.5 * theta.cos()).powi(2), 1.0 - ramp(20.0, 150.0, z));
        let flank = bell(theta.abs() - 1.7, 0.5);
        let fat = self.fat * (0.75 + 0.45 * front * low + 0.5 * flank * low - 0.25 * ramp(150.0, 260.0, z));
        let midline = 1.0 - 0.4 * bell(theta, 0.12) * (1.0 - low);
        self.muscle(theta, z)
            + (fat * midline).max(3.5)
            + self.belly * low * front
            + 0.12 * self.fat * self.wave(theta, z, 4)
    }
}

impl Frame {
    pub(super) fn draw(seed: u64) -> Self {
        let mut g = Stream::new(seed, "second frame");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let is_female = u(0.0, 1.0) < 0.5;
        let size = if is_female { u(0.86, 0.98) } else { u(0.96, 1.10) };
        let depth = u(0.90, 1.10);
        let fat = u(0.0, 1.0).powi(2) * 30.0 + if is_female { 9.0 } else { 5.0 };
        let build = Build {
            wide: 127.0 * size * u(0.95, 1.05),
            front: 82.0 * size * depth,
            back: 97.0 * size * u(0.95, 1.04),
            apex_z: 268.0 * size * u(0.94, 1.06),
            kyphosis: u(6.0, 15.0),
            wall: u(15.0, 22.0) * if is_female { 0.85 } else { 1.1 },
            fat,
            belly: u(0.0, 1.0) * fat * 0.6,
            square: [u(1.95, 2.2), u(2.2, 2.6)],
            waves: std::array::from_fn(|_| u(0.0, 6.3)),
            is_female,
        };
        let (age, scoliosis) = (u(25.0, 88.0), [u(-3.0, 3.0), u(0.0, 6.0)]);
        let carina_z = build.apex_z - u(92.0, 108.0) * size;
        let breast = u(0.5, 1.0);
        let breasts = if is_female { breasts(&build, fat, breast, [u(0.9, 1.1), u(-6.0, 6.0)]) } else { Vec::new() };
        let (arms, humeri) = arms(&build, size, [u(0.1, 0.5), u(-0.25, 0.1)]);
        let (apex, neck) = (build.apex_z, u(54.0, 64.0) * size);
        let nape = Vec3::new(0.0, 18.0, apex - 10.0);
        Self {
            size,
            is_female,
            age,
            wide: build.wide,
            front: build.front,
            back: build.back,
            apex_z: apex,
            carina_z,
            kyphosis: build.kyphosis,
            scoliosis,
            fat,
            cage: Contour::new(|theta, z| build.cage(theta, z)),
            muscle: Contour::new(|theta, z| build.muscle(theta, z)),
            body: Contour::new(|theta, z| build.body(theta, z)),
            breasts,
            arms,
            neck: vec![Segment {
                from: nape,
                to: nape + Vec3::new(0.0, -12.0, 160.0),
                radii: [neck + 0.3 * fat, neck],
            }],
            humeri,
        }
    }

    /// The middle of the vertebral bodies.
    pub(super) fn spine(&self, z: f32) -> [f32; 2] {
        let shift = -self.kyphosis * ((z - self.apex_z * 0.55) / 150.0).powi(2).min(3.0);
        [self.scoliosis[0] * (z / 60.0 + self.scoliosis[1]).sin(), self.back - 41.0 * self.size + shift]
    }

    pub(super) fn outline(&self, z: f32) -> Outline {
        let breasts = self.breasts.iter().filter(|b| (b.center.z - z).abs() < b.radii.max_element() + 30.0);
        Outline {
            cage: self.cage.ring(z),
            muscle: self.muscle.ring(z),
            body: self.body.ring(z),
            breasts: breasts.copied().collect(),
            arms: at_height(&self.arms, z, 25.0),
            neck: at_height(&self.neck, z, 25.0),
            shoulder: z - (self.apex_z + 20.0),
        }
    }
}

impl Outline {
    /// The muscles under the fat of trunk, neck and arms.
    pub(super) fn muscles(&self, at: Vec3, polar: Polar) -> f32 {
        let trunk = smooth_max(self.muscle.at(polar), self.slope(at) + 8.0, 14.0);
        let limbs = nearest(&self.arms, at).min(nearest(&self.neck, at)) + 8.0;
        if limbs > 20.0 { trunk } else { smooth_min(trunk, limbs, 12.0) }
    }

    /// The skin.
    pub(super) fn skin(&self, at: Vec3, polar: Polar) -> f32 {
        let mut skin = smooth_max(self.body.at(polar), self.slope(at), 18.0);
        for breast in &self.breasts {
            skin = smooth_min(skin, breast.at(at), 24.0);
        }
        let limbs = nearest(&self.arms, at).min(nearest(&self.neck, at));
        if limbs < FAR_MM * 0.6 { smooth_min(skin, limbs, 22.0) } else { skin }
    }

    /// The breasts without their skin and fat.
    pub(super) fn glands(&self, at: Vec3) -> f32 {
        self.breasts.iter().fold(FAR_MM, |least, breast| least.min(breast.at(at) + 9.0))
    }

    /// Above the shoulders, which fall to the sides.
    fn slope(&self, at: Vec3) -> f32 {
        let front = (-at.y - 25.0).max(0.0) + 0.4 * (at.y - 45.0).max(0.0);
        0.8 * (self.shoulder - 26.0 + 0.48 * at.x.abs() + 0.5 * front)
    }

    /// How far from the axis anything of the patient is.
    pub(super) fn reach(&self) -> f32 {
        let limb = |s: &Segment| s.from.x.abs().max(s.to.x.abs()) + s.radii[0];
        let breast = |b: &Ovoid| b.center.truncate().length() + b.radii.max_element();
        let limbs = self.arms.iter().chain(&self.neck).map(limb);
        limbs.chain(self.breasts.iter().map(breast)).fold(self.body.largest(), f32::max) + 12.0
    }
}

/// Two breasts on the front of a trunk that lies on its back: flat, and fallen a little to the sides.
fn breasts(build: &Build, fat: f32, volume: f32, [droop, shift]: [f32; 2]) -> Vec<Ovoid> {
    let z = build.apex_z * 0.50 + shift;
    let thick = (13.0 + fat * 0.9) * volume * 1.3;
    let wide = (48.0 + 0.8 * fat) * droop;
    let one = |side: f32| {
        let x = side * build.wide * 0.60;
        let y = AXIS_Y - build.front * 0.90 - build.wall * 0.45 - fat * 0.45;
        let outward = Vec3::new(side * 0.45, -0.9, 0.0);
        Ovoid::along(Vec3::new(x, y, z), Vec3::new(thick, wide, wide * 1.05), outward, Vec3::X)
    };
    vec![one(-1.0), one(1.0)]
}

/// Arms above the head, with the bone of each.
fn arms(build: &Build, size: f32, [out, forward]: [f32; 2]) -> (Vec<Segment>, Vec<Segment>) {
    let (mut arms, mut humeri) = (Vec::new(), Vec::new());
    for side in [-1.0, 1.0] {
        let shoulder = Vec3::new(side * (build.wide + 18.0), 16.0, build.apex_z - 22.0);
        let direction = Vec3::new(side * out, forward, 1.0).normalize_or_zero();
        let radius = (36.0 + 0.5 * build.fat + 0.3 * build.wall) * size;
        let end = shoulder + direction * 300.0;
        arms.push(Segment { from: shoulder - direction * 15.0, to: end, radii: [radius * 1.15, radius * 0.85] });
        humeri.push(Segment { from: shoulder, to: shoulder + direction * 6.0, radii: [23.0 * size, 22.0 * size] });
        humeri.push(Segment { from: shoulder + direction * 18.0, to: end, radii: [12.5 * size, 11.0 * size] });
    }
    (arms, humeri)
}
