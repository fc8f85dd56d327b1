//! Bones: vertebrae with their processes, ribs with cartilage, sternum, clavicles, shoulder blades, upper arms.

use std::f32::consts::{FRAC_PI_2, PI};

use glam::Vec3;

use super::super::field::{Segment, ellipse, smooth_min, tube};
use super::contour::Polar;
use super::frame::{Frame, Outline};
use super::shapes::{FAR_MM, at_height, bell, mix, nearest, ramp};
use crate::random::Stream;

/// From the back, as an angle, to where bone becomes cartilage.
const JUNCTION: f32 = 2.30;

pub(super) struct Skeleton {
    size: f32,
    /// From one vertebra to the next, and the middle of the first.
    spacing: f32,
    first_z: f32,
    disc: f32,
    body: [f32; 2],
    rib_drop: f32,
    rib: [f32; 2],
    sternum: [f32; 2],
    notch_z: f32,
    scapula: [f32; 4],
    pub(super) calcified: f32,
    processes: Vec<Segment>,
    limbs: Vec<Segment>,
}

/// The bones near one height.
pub(super) struct Bones {
    processes: Vec<Segment>,
    limbs: Vec<Segment>,
}

/// Distance to a bone's surface, and how thick its cortex is.
#[derive(Clone, Copy)]
pub(super) struct Bone {
    pub(super) distance: f32,
    pub(super) cortex: f32,
    /// How dense its marrow is, as a share of a vertebra's.
    pub(super) marrow: f32,
}

impl Bone {
    const NONE: Self = Self { distance: FAR_MM, cortex: 1.0, marrow: 1.0 };

    fn or(self, other: Self) -> Self {
        if other.distance < self.distance { other } else { self }
    }
}

impl Skeleton {
    pub(super) fn draw(seed: u64, frame: &Frame) -> Self {
        let mut g = Stream::new(seed, "second skeleton");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let size = frame.size;
        let spacing = 22.8 * size * u(0.97, 1.03);
        let mut skeleton = Self {
            size,
            spacing,
            first_z: frame.apex_z + u(-4.0, 8.0),
            disc: u(0.17, 0.24) - 0.001 * (frame.age - 50.0),
            body: [16.5 * size * u(0.95, 1.06), 14.5 * size * u(0.95, 1.06)],
            rib_drop: 92.0 * size * u(0.9, 1.15),
            rib: [3.7 * size * u(0.9, 1.1), 5.5 * size * u(0.9, 1.12)],
            sternum: [17.0 * size * u(0.9, 1.15), 5.6 * size],
            notch_z: frame.apex_z - 34.0 * size,
            scapula: [frame.apex_z - 142.0 * size * u(0.9, 1.1), frame.apex_z + 6.0, u(15.0, 19.0), u(-0.08, 0.08)],
            calcified: ((frame.age - 45.0) / 45.0).clamp(0.0, 1.0) * u(0.2, 1.0),
            processes: Vec::new(),
            limbs: frame.humeri.clone(),
        };
        for level in -3..15 {
            let z = skeleton.first_z - level as f32 * spacing;
            skeleton.processes.extend(processes(frame, z, size, spacing));
        }
        skeleton.limbs.extend(collar_bones(frame, skeleton.notch_z, u(0.0, 22.0)));
        skeleton
    }

    pub(super) fn at_height(&self, z: f32) -> Bones {
        Bones { processes: at_height(&self.processes, z, 6.0), limbs: at_height(&self.limbs, z, 6.0) }
    }

    /// How far from the middle of a vertebra, in vertebrae: less than -0.5 or more than 0.5 is another one.
    fn within_vertebra(&self, z: f32) -> f32 {
        let level = (self.first_z - z) / self.spacing;
        level - level.round()
    }

    /// Distance to the vertebral body and, positive in a disc, how deep in it.
    pub(super) fn vertebra(&self, at: Vec3, spine: [f32; 2]) -> (f32, f32) {
        let level = self.within_vertebra(at.z).abs();
        let into_disc = (level - (0.5 - 0.5 * self.disc)) * self.spacing;
        let waist = 1.3 * (1.0 - (2.0 * level).powi(2));
        let [wide, deep] = self.body;
        let flat = 2.0 * bell(at.x, 9.0) * ramp(0.0, 10.0, at.y - spine[1]);
        let body = ellipse(at.x, at.y, spine, [wide - waist, deep - waist], 2.3) + flat;
        (body, into_disc)
    }

    /// The canal behind the vertebral bodies.
    pub(super) fn canal(&self, at: Vec3, spine: [f32; 2]) -> f32 {
        ellipse(
            at.x,
            at.y,
            [spine[0], spine[1] + self.body[1] + 7.0 * self.size],
            [9.2 * self.size, 7.4 * self.size],
            2.0,
        )
    }

    /// What of the spine the lungs lie against.
    pub(super) fn spine_surface(&self, at: Vec3, spine: [f32; 2]) -> f32 {
        let body = ellipse(at.x, at.y, spine, [self.body[0] + 1.5, self.body[1] + 1.5], 2.0);
        let behind = ((at.x - spine[0]).abs() - 13.0 * self.size).max(spine[1] + 2.0 - at.y);
        let wings =
            ellipse(at.x, at.y, [spine[0], spine[1] + 36.0 * self.size], [37.0 * self.size, 22.0 * self.size], 2.0);
        smooth_min(smooth_min(body, behind, 7.0), wings, 10.0)
    }

    pub(super) fn processes(bones: &Bones, at: Vec3) -> Bone {
        Bone { distance: nearest(&bones.processes, at), cortex: 1.5, marrow: 1.1 }
    }

    /// A rib or its cartilage: distance, and the share of cartilage there.
    pub(super) fn rib(&self, at: Vec3, cage: f32, polar: Polar, radius: f32) -> (Bone, f32) {
        if !(-3.0..16.0).contains(&cage) {
            return (Bone::NONE, 0.0);
        }
        let around = polar.around();
        let turn = around.min(JUNCTION) * FRAC_PI_2 / JUNCTION;
        let rise = ((around - JUNCTION) / (PI - JUNCTION)).max(0.0);
        let drop = self.rib_drop * (turn.sin().powi(2) - 0.75 * rise * rise);
        let slope = self.rib_drop * (2.0 * turn).sin() * FRAC_PI_2 / JUNCTION / radius.max(20.0);
        let level = (self.first_z - 4.0 - drop - at.z) / self.spacing;
        let number = level.round().clamp(0.0, 11.0);
        let height = (level - number) * self.spacing / (1.0 + slope * slope).sqrt();
        let [thick, tall] = self.rib;
        let flat = if number < 1.0 { 0.85 } else { 1.0 };
        let (a, b) = ((cage - 6.0) / thick, height / (tall * flat));
        let mut distance = (a.hypot(b) - 1.0) * thick;
        let end = match number as usize {
            11 => 1.0,
            10 => 1.5,
            7..=9 => 2.55,
            _ => PI,
        };
        distance = distance
            .max((around - end) * radius)
            .max(24.0 * self.size - at.x.abs() - if around > 1.5 { 14.0 } else { 0.0 });
        let cartilage = ramp(-2.5, 2.5, (around - JUNCTION) * radius);
        (Bone { distance, cortex: 1.05, marrow: 1.0 }, cartilage)
    }

    /// Sternum, collar bones, upper arms, shoulder blades.
    pub(super) fn outer(&self, bones: &Bones, at: Vec3, cage: f32, polar: Polar, outline: &Outline) -> Bone {
        let mut bone = Bone { distance: nearest(&bones.limbs, at), cortex: 2.4, marrow: 0.55 };
        if polar.theta.abs() < 0.6 {
            bone = bone.or(self.breastbone(at, outline));
        }
        bone.or(self.shoulder_blade(at, cage, polar))
    }

    fn breastbone(&self, at: Vec3, outline: &Outline) -> Bone {
        let front = -outline.cage.radius(0.0);
        let down = self.notch_z - at.z;
        let length = 150.0 * self.size;
        if !(-4.0..length + 4.0).contains(&down) {
            return Bone::NONE;
        }
        let manubrium = 1.0 - ramp(42.0, 52.0, down);
        let wide =
            self.sternum[0] + 7.0 * manubrium * (1.0 - 0.5 * ramp(8.0, 40.0, down)) - 3.0 * bell(down - 50.0, 9.0);
        let thick = self.sternum[1] + 1.3 * manubrium;
        let (dx, dy) = (at.x.abs() - wide + 4.0, (at.y - front + 7.5 - 0.006 * at.x * at.x).abs() - thick + 4.0);
        let side = dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - 4.0;
        let gap = 2.5 - (down - 50.0).abs();
        Bone { distance: side.max(-down).max(down - length).max(gap), cortex: 0.8, marrow: 0.6 }
    }

    fn shoulder_blade(&self, at: Vec3, cage: f32, polar: Polar) -> Bone {
        let [low, high, off, turn] = self.scapula;
        if at.z < low || at.z > high || polar.theta.abs() < 0.9 {
            return Bone::NONE;
        }
        let up = (at.z - low) / (high - low);
        let around = polar.around() - turn;
        // The arms above the head turn its tip to the side.
        let (inner, outer) = (mix(0.98, 0.62, up), mix(1.16, 1.62, up.powf(0.7)));
        let middle = (around - 0.5 * (inner + outer)).abs() - 0.5 * (outer - inner);
        let along = middle * polar.rho;
        let bow = 5.0 * (1.0 - (2.0 * (around - inner) / (outer - inner) - 1.0).powi(2)).max(0.0);
        let border = bell((around - outer) * polar.rho, 9.0);
        let thick =
            1.7 + 3.6 * border + 1.0 * bell((around - inner) * polar.rho, 5.0) + 3.0 * ramp(0.8, 1.0, up) * border;
        let plate = (cage - off - 22.0 * ramp(0.35, 0.95, up) * ramp(inner, outer, around) - bow).abs() - thick;
        let blade = plate.max(along);
        // The spine of the blade stands off its back.
        let ridge_at = mix(inner, outer, 0.62) + 0.9 * (up - 0.72);
        let ridge = ((around - ridge_at) * polar.rho).abs() - 3.0;
        let ridge = ridge.max((cage - off - 26.0).abs() - 14.0).max((up - 0.80).abs() * (high - low) - 20.0);
        Bone { distance: blade.min(ridge), cortex: 1.5, marrow: 0.9 }
    }
}

/// Pedicles, laminae, spinous and transverse processes, and the necks of the ribs.
fn processes(frame: &Frame, z: f32, s: f32, spacing: f32) -> Vec<Segment> {
    let [x0, y0] = frame.spine(z);
    let at = |x: f32, y: f32, dz: f32| Vec3::new(x0 + x * s, y0 + y * s, z + dz * spacing);
    let mut all =
        tube(&[(at(0.0, 33.0, 0.0), 3.4 * s), (at(0.0, 46.0, -0.5), 2.8 * s), (at(0.0, 54.0, -0.85), 3.6 * s)]);
    for side in [-1.0, 1.0] {
        all.extend(tube(&[(at(side * 11.0, 8.0, 0.15), 4.0 * s), (at(side * 11.5, 21.0, 0.12), 3.8 * s)]));
        all.extend(tube(&[(at(side * 11.5, 22.0, 0.05), 4.2 * s), (at(0.0, 32.0, -0.15), 3.2 * s)]));
        all.extend(tube(&[(at(side * 12.0, 22.0, 0.12), 4.0 * s), (at(side * 31.0, 31.0, 0.15), 4.6 * s)]));
        all.extend(tube(&[(at(side * 12.0, 22.0, 0.3), 3.4 * s), (at(side * 12.5, 23.0, -0.45), 3.4 * s)]));
        all.extend(tube(&[
            (at(side * 15.0, 5.0, 0.42), 4.6 * s),
            (at(side * 23.0, 16.0, 0.32), 3.2 * s),
            (at(side * 36.0, 22.0, 0.1), 3.8 * s),
        ]));
    }
    all
}

fn collar_bones(frame: &Frame, notch_z: f32, lift: f32) -> Vec<Segment> {
    let front = -0.52 * frame.front - 8.0;
    let mut all = Vec::new();
    for side in [-1.0, 1.0] {
        let at = |x: f32, y: f32, z: f32| Vec3::new(side * x * frame.size, y, notch_z + z);
        all.extend(tube(&[
            (at(20.0, front - 2.0, 2.0), 9.0),
            (at(34.0, front - 5.0, 8.0), 6.5),
            (at(75.0, front - 2.0, 16.0 + 0.5 * lift), 5.6),
            (at(118.0, front + 34.0, 26.0 + lift), 6.0),
            (at(138.0, front + 42.0, 30.0 + lift), 6.5),
        ]));
    }
    all
}
