//! One patient: everything about a thorax but its findings, drawn from a seed. Lengths in millimetres, x to the patient's
//! left, y to the back, z to the head from the lowest slice; the middle of the trunk is at (0, 0).

use std::f32::consts::{FRAC_PI_2, PI};

use glam::Vec3;

use super::field::{Ellipsoid, Segment, ellipse, nearest, smooth_max, smooth_min, tube};
use crate::random::Stream;

/// Beyond this no distance matters.
pub(super) const FAR_MM: f32 = 30.0;

pub(super) struct Anatomy {
    /// Half width and depth of the chest's cavity at its widest.
    cavity: [f32; 2],
    fat: f32,
    wall: f32,
    apex_z: f32,
    squareness: f32,
    shoulders: f32,
    waist: f32,
    /// Where the vertebral bodies are, and their half width.
    pub(super) spine_y: f32,
    pub(super) vertebra: f32,
    disc: [f32; 2],
    midline: f32,
    hilum_width: f32,
    heart: Ellipsoid,
    /// Aorta, superior vena cava, pulmonary arteries, arteries of the neck.
    great_vessels: Vec<Segment>,
    dome: [f32; 3],
    pub(super) vessels: Vec<Segment>,
    pub(super) airways: Vec<Segment>,
    main_airways: Vec<Segment>,
    esophagus: Vec<Segment>,
    ribs: [f32; 3],
    sternum: f32,
    scapula: [f32; 2],
    stomach: [f32; 3],
    table: f32,
    pub(super) hu: Tissues,
}

/// Hounsfield units of this patient's tissues.
pub(super) struct Tissues {
    pub(super) skin: f32,
    pub(super) fat: f32,
    pub(super) muscle: f32,
    pub(super) blood: f32,
    pub(super) liver: f32,
    pub(super) spleen: f32,
    pub(super) cortex: f32,
    pub(super) marrow: f32,
    pub(super) lung: f32,
    pub(super) table: f32,
}

/// Distances at one place, shared by many tissues.
pub(super) struct Distances {
    pub(super) at: Vec3,
    /// The trunk's skin, the muscles under the fat, the cavity within the ribs.
    pub(super) body: f32,
    pub(super) muscle: f32,
    pub(super) cavity: f32,
    /// Positive below the diaphragm.
    pub(super) below: f32,
    pub(super) great_vessels: f32,
    pub(super) spine: f32,
    pub(super) heart: f32,
    pub(super) lung: f32,
}

impl Anatomy {
    pub(super) fn draw(seed: u64) -> Self {
        let mut g = Stream::new(seed, "anatomy");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let size = u(0.9, 1.06);
        let cavity = [118.0 * size * u(0.94, 1.04), 90.0 * size * u(0.92, 1.07)];
        let depth = cavity[1];
        let spine_y = depth * u(0.74, 0.80);
        let aorta = u(10.0, 14.0);
        let arch_z = u(140.0, 155.0);
        let heart = Ellipsoid {
            center: Vec3::new(u(14.0, 24.0), -depth * u(0.22, 0.30), u(62.0, 80.0)),
            radii: Vec3::new(50.0, 37.0, 43.0) * size * u(0.92, 1.06),
            yaw: u(0.35, 0.75),
            pitch: u(0.2, 0.5),
        };
        let carina = arch_z - u(24.0, 32.0);
        let midline = u(-4.0, 4.0);
        let contrast = if u(0.0, 1.0) < 0.5 { u(35.0, 55.0) } else { u(110.0, 230.0) };
        let great_vessels = great_vessels(depth, spine_y, aorta, arch_z, carina, heart.center.z);
        let hila = [Vec3::new(-36.0, 4.0, carina - 22.0), Vec3::new(37.0, 4.0, carina - 14.0)];
        let trunk = Vec3::new(midline * 0.5, 8.0, carina);
        let mut main_airways = tube(&[(Vec3::new(0.0, 6.0, 260.0), 8.5), (trunk, 8.5)]);
        main_airways.extend(tube(&[(trunk, 7.5), (Vec3::new(-34.0, 8.0, carina - 20.0), 5.5)]));
        main_airways.extend(tube(&[(trunk, 7.0), (Vec3::new(38.0, 10.0, carina - 18.0), 5.0)]));
        let mut branches = Stream::new(seed, "vessels");
        let (mut vessels, mut airways) = (Vec::new(), Vec::new());
        for (side, hilum) in [(-1.0, hila[0]), (1.0, hila[1])] {
            let radius = branches.within(5.2, 6.6);
            vessels.extend(tree(hilum, side, &mut branches, 5, 29.0 * size, radius));
            let root = hilum + Vec3::new(side * 4.0, 6.0, 4.0);
            airways.extend(tree(root, side, &mut branches, 1, 24.0 * size, 3.2));
        }
        let dome = [u(42.0, 62.0), u(-8.0, 18.0), u(4.0, 16.0)];
        let wall = u(13.0, 19.0);
        let fat = u(5.0, 22.0);
        Self {
            cavity,
            fat,
            wall,
            apex_z: u(192.0, 222.0),
            squareness: u(2.2, 2.7),
            shoulders: u(0.0, 0.10),
            waist: u(-0.3, 1.0),
            spine_y,
            vertebra: u(15.0, 18.0) * size,
            disc: [u(20.0, 24.0), u(0.0, 1.0)],
            midline,
            hilum_width: u(13.0, 19.0),
            heart,
            great_vessels,
            dome,
            vessels,
            airways,
            main_airways,
            esophagus: tube(&[
                (Vec3::new(-8.0, spine_y - 26.0, -20.0), 7.0),
                (Vec3::new(2.0, spine_y - 22.0, 120.0), 7.0),
                (Vec3::new(0.0, spine_y - 20.0, 260.0), 6.0),
            ]),
            ribs: [u(23.0, 28.0), u(0.0, 1.0), u(0.8, 1.2)],
            sternum: u(13.0, 19.0),
            scapula: [u(95.0, 120.0), u(0.0, 8.0)],
            stomach: [u(50.0, 62.0), u(26.0, 38.0), u(5.0, 30.0)],
            table: depth - 3.0 + wall * 0.8 + fat * 0.8 + u(12.0, 17.0),
            hu: Tissues {
                skin: u(0.0, 40.0),
                fat: u(-115.0, -90.0),
                muscle: u(40.0, 60.0),
                blood: contrast,
                liver: u(50.0, 70.0) + 0.25 * (contrast - 50.0).max(0.0),
                spleen: u(45.0, 60.0) + 0.35 * (contrast - 50.0).max(0.0),
                cortex: u(550.0, 900.0),
                marrow: u(150.0, 260.0),
                lung: u(-880.0, -820.0),
                table: u(-650.0, -400.0),
            },
        }
    }

    /// The heart when it is grown by `cardiomegaly`, `0..=1`: to the left and a little back, up to 1.42 times as wide.
    pub(super) fn heart(&self, cardiomegaly: f32) -> Ellipsoid {
        Ellipsoid {
            center: self.heart.center + Vec3::new(9.0, 3.0, 0.0) * cardiomegaly,
            radii: self.heart.radii * (1.0 + 0.42 * cardiomegaly),
            ..self.heart
        }
    }

    /// How far the cavity has narrowed at this height, as a share of its greatest half width and depth.
    fn narrowing(&self, z: f32) -> [f32; 2] {
        let up = ((z - 75.0) / (self.apex_z - 75.0)).clamp(0.0, 1.0);
        let dome = (1.0 - up.powf(2.4)).max(0.01).sqrt();
        let low = 1.0 - 0.10 * ((70.0 - z) / 70.0).clamp(0.0, 1.0) * self.waist;
        [(0.25 + 0.75 * dome) * low, (0.35 + 0.65 * dome) * low]
    }

    /// The space within the ribs.
    pub(super) fn cavity(&self, at: Vec3) -> f32 {
        let [wide, deep] = self.narrowing(at.z);
        ellipse(at.x, at.y, [0.0, -3.0], [self.cavity[0] * wide, self.cavity[1] * deep], 2.15)
    }

    /// Everything between the lungs but the heart.
    fn mediastinum(&self, at: Vec3, great_vessels: f32, spine: f32) -> f32 {
        let width = 7.0 + self.hilum_width * (-((at.y - 5.0) / 38.0).powi(2)).exp();
        let slab = (at.x - self.midline).abs() - width;
        smooth_min(smooth_min(slab, spine - 4.0, 6.0), great_vessels - 2.5, 6.0)
    }

    fn below_diaphragm(&self, at: Vec3) -> f32 {
        let [height, base, lower] = self.dome;
        let dome = |x: f32| height * (-(((at.x - x) / 61.0).powi(2) + ((at.y + 12.0) / 70.0).powi(2))).exp();
        let (right, left) = (base + dome(-62.0), base - lower + dome(62.0));
        let share = 1.0 / (1.0 + (-at.x / 6.0).exp());
        0.75 * (right * (1.0 - share) + left * share - at.z)
    }

    pub(super) fn is_right(&self, at: Vec3) -> bool {
        at.x < self.midline
    }

    /// Half width and depth of the trunk at a height.
    fn trunk(&self, z: f32) -> [f32; 2] {
        let shoulders = 1.0 + self.shoulders * ((z - 130.0) / 60.0).clamp(0.0, 1.0);
        [(self.cavity[0] + self.wall + self.fat) * shoulders, self.cavity[1] + 0.8 * (self.wall + self.fat)]
    }

    /// Whether nothing is there: not the trunk, by a box around it, nor the table under it.
    pub(super) fn is_air(&self, at: Vec3) -> bool {
        const MARGIN_MM: f32 = 3.0;
        // A superellipse of power 2.7 or less lies within 2^(1/2 - 1/2.7) = 1.1 times the ellipse; this is 1.14 squared.
        const CORNER: f32 = 1.3;
        let [ab, bb] = self.trunk(at.z).map(|half| half + MARGIN_MM);
        let beside = (at.x / ab).powi(2) + ((at.y + 3.0) / bb).powi(2);
        beside > CORNER && self.table_distance(at) > MARGIN_MM
    }

    fn table_distance(&self, at: Vec3) -> f32 {
        ((at.y + 0.0036 * at.x * at.x - self.table - 8.0).abs() - 3.5).max(at.x.abs() - 190.0)
    }

    /// Distances at a place, with the heart as grown as it is told.
    pub(super) fn place(&self, at: Vec3, heart: &Ellipsoid) -> Distances {
        let [ab, bb] = self.trunk(at.z);
        let groove = if at.y < 0.0 { 4.0 * (-(at.x / 18.0).powi(2)).exp() } else { 0.0 };
        let body = ellipse(at.x, at.y, [0.0, -3.0], [ab, bb], self.squareness) + groove;
        let muscle = ellipse(at.x, at.y, [0.0, -3.0], [ab - self.fat, bb - 0.7 * self.fat], self.squareness);
        let cavity = self.cavity(at);
        // None lies further from the middle; what is rounded by them ends 8 mm before that.
        let great_vessels = if at.x.abs() < 64.0 { nearest(&self.great_vessels, at, FAR_MM) } else { FAR_MM };
        let spine = ellipse(at.x, at.y, [0.0, self.spine_y], [self.vertebra, self.vertebra * 0.85], 2.0);
        let below = self.below_diaphragm(at);
        let heart = heart.at(at);
        let chest = smooth_max(smooth_max(cavity, -self.mediastinum(at, great_vessels, spine), 5.0), below, 5.0);
        let lung = smooth_max(chest, 3.0 - heart, 5.0);
        Distances { at, body, muscle, cavity, below, great_vessels, spine, heart, lung }
    }

    /// Where a vertebra ends and a disc begins: true within a disc.
    fn in_disc(&self, z: f32) -> bool {
        let [height, phase] = self.disc;
        ((z / height + phase).rem_euclid(1.0) - 0.5).abs() > 0.40
    }

    /// Table, skin, fat, muscle; below the diaphragm liver, stomach, spleen. `texture` is noise of deviation 1.
    pub(super) fn soft_tissue(&self, p: &Distances, texture: f32, mut paint: impl FnMut(f32, f32)) {
        let (Vec3 { x, y, .. }, hu) = (p.at, &self.hu);
        paint(self.table_distance(p.at), hu.table);
        paint(p.body, hu.skin);
        paint(p.body + 3.0, hu.fat);
        let strands = if texture > 1.1 { -45.0 } else { 0.0 };
        paint(p.muscle.max(p.body + 4.0), hu.muscle + 8.0 * texture + strands);
        paint(p.cavity + 1.0, -85.0 + 10.0 * texture);
        let abdomen = smooth_max(p.cavity + 3.0, 2.5 - p.below, 4.0);
        paint(smooth_max(abdomen, x - 35.0 - 0.15 * y, 6.0), hu.liver);
        let [stomach_x, stomach_r, gas_y] = self.stomach;
        let organ = |x: f32, y: f32, z: f32, radii: [f32; 3]| {
            let ellipsoid = Ellipsoid { center: Vec3::new(x, y, z), radii: radii.into(), yaw: 0.0, pitch: 0.0 };
            smooth_max(ellipsoid.at(p.at), abdomen, 4.0)
        };
        let base = self.dome[1];
        let stomach = organ(stomach_x, -12.0, base + 12.0, [stomach_r + 8.0, stomach_r, 44.0]);
        paint(stomach, 25.0);
        paint((stomach + 4.0).max(y + gas_y), -950.0);
        paint(organ(78.0, 42.0, base + 5.0, [28.0, 36.0, 48.0]), hu.spleen);
        paint(nearest(&self.esophagus, p.at, FAR_MM), 35.0);
    }

    pub(super) fn blood(&self, p: &Distances, chamber: &Ellipsoid, mut paint: impl FnMut(f32, f32)) {
        paint(p.heart, self.hu.blood * 0.5 + 30.0);
        paint(chamber.at(p.at), self.hu.blood);
        paint(p.great_vessels.max(2.0 - p.heart), self.hu.blood);
    }

    /// Spine with its canal, ribs, sternum, scapulae.
    pub(super) fn bones(&self, p: &Distances, texture: f32, mut paint: impl FnMut(f32, f32)) {
        let (Vec3 { x, y, z }, hu) = (p.at, &self.hu);
        let disc = self.in_disc(z);
        let marrow = hu.marrow + 30.0 * texture;
        paint(p.spine, if disc { 90.0 } else { hu.cortex * 0.75 });
        paint(p.spine + 3.0, if disc { 80.0 } else { marrow });
        let (ys, vb) = (self.spine_y, self.vertebra);
        let canal = ellipse(x, y, [0.0, ys + vb * 1.25], [10.0, 8.0], 2.0);
        paint(if disc { canal - 1.0 } else { canal - 5.0 }, if disc { 150.0 } else { hu.cortex * 0.8 });
        let spinous = (x.abs() - 3.5).max((y - ys - vb * 1.9 - 6.0).abs() - 12.0);
        let transverse = ((y - ys - vb * 1.1 - 0.10 * x.abs()).abs() - 4.0).max(x.abs() - 30.0);
        paint(spinous.min(transverse) + if disc { 4.0 } else { 0.0 }, hu.cortex * 0.65);
        paint(canal, 30.0);

        let [spacing, phase, slope] = self.ribs;
        let theta = (x / self.cavity[0]).atan2(-(y + 3.0) / self.cavity[1]); // 0 in front, pi behind
        let drop = 52.0 * (0.5 + 0.5 * theta.cos()) * slope + 6.0 * theta.sin();
        let height = ((z + drop) / spacing + phase).rem_euclid(1.0) - 0.5;
        let rib = ((p.cavity - 5.5) / 4.6).hypot(height * spacing / 6.2) * 4.6 - 4.6;
        let rib = rib.max(24.0 - x.abs() - if y > 0.0 { 8.0 } else { 0.0 });
        paint(rib, hu.cortex);
        paint(rib + 2.8, hu.marrow + 100.0);
        if (55.0..175.0).contains(&z) {
            let front = -3.0 - self.cavity[1] * self.narrowing(z)[1];
            let sternum = (x.abs() - self.sternum).max((y - front + 6.0).abs() - 5.0);
            paint(sternum, hu.cortex * 0.7);
            paint(sternum + 3.0, hu.marrow);
        }
        let [lowest, lift] = self.scapula;
        if z > lowest && p.cavity > 9.0 {
            let [width, depth] = self.cavity;
            let (from, to) = ([width * 0.62, depth * 0.93 + lift], [width * 1.03, depth * 0.42 + lift]);
            let (vx, vy) = (to[0] - from[0], to[1] - from[1]);
            let (dx, dy) = (x.abs() - from[0], y - from[1]);
            let t = ((dx * vx + dy * vy) / (vx * vx + vy * vy)).clamp(0.0, 1.0);
            let bow = 3.5 * (PI * t).sin();
            let thick = if t > 0.85 { 6.4 } else { 3.4 };
            paint((dx - t * vx - bow).hypot(dy - t * vy - bow) - thick, hu.cortex * 0.8);
        }
    }

    /// Distance to the trachea and its two main branches.
    pub(super) fn main_airways(&self, at: Vec3) -> f32 {
        nearest(&self.main_airways, at, FAR_MM)
    }

    /// What fissures add to the lung's HU.
    pub(super) fn fissures(&self, at: Vec3) -> f32 {
        let right = self.is_right(at);
        let major = (at.z - if right { 95.0 } else { 100.0 } + 0.9 * at.y).abs() * 0.74;
        let minor = if right && at.y < -5.0 { (at.z - 98.0 + 0.1 * at.x).abs() } else { FAR_MM };
        160.0 * (1.0 - major / 2.2).clamp(0.0, 1.0) + 80.0 * (1.0 - minor / 2.2).clamp(0.0, 1.0)
    }
}

/// From the heart up the arch and down along the spine; the veins and arteries beside it.
fn great_vessels(depth: f32, spine_y: f32, aorta: f32, arch_z: f32, carina: f32, heart_z: f32) -> Vec<Segment> {
    let v = Vec3::new;
    let mut all = tube(&[
        (v(16.0, spine_y - 14.0, -20.0), aorta),
        (v(18.0, spine_y - 14.0, 60.0), aorta),
        (v(19.0, spine_y - 15.0, arch_z - 22.0), aorta),
        (v(14.0, spine_y - 26.0, arch_z - 6.0), aorta),
        (v(2.0, 2.0, arch_z), aorta * 1.1),
        (v(-12.0, -depth * 0.28, arch_z - 14.0), aorta * 1.1),
        (v(-13.0, -depth * 0.32, arch_z - 45.0), aorta * 1.3),
        (v(0.0, -depth * 0.25, heart_z + 15.0), aorta * 1.3),
    ]);
    all.extend(tube(&[
        (v(-24.0, -depth * 0.2, 230.0), 8.0),
        (v(-26.0, -depth * 0.22, arch_z - 10.0), 9.0),
        (v(-24.0, -depth * 0.22, heart_z + 20.0), 9.0),
    ]));
    all.extend(tube(&[
        (v(6.0, -depth * 0.38, heart_z + 30.0), 14.0),
        (v(10.0, -depth * 0.2, carina - 12.0), 13.0),
        (v(38.0, 2.0, carina - 10.0), 9.0),
    ]));
    all.extend(tube(&[
        (v(8.0, -depth * 0.2, carina - 12.0), 12.0),
        (v(-14.0, -depth * 0.12, carina - 14.0), 11.0),
        (v(-36.0, 2.0, carina - 20.0), 9.0),
    ]));
    all.extend(tube(&[(v(-14.0, -depth * 0.12, 250.0), 6.0), (v(-10.0, -depth * 0.12, arch_z), 6.0)]));
    all.extend(tube(&[(v(14.0, -depth * 0.05, 250.0), 5.0), (v(10.0, -depth * 0.05, arch_z), 5.0)]));
    all
}

/// Branches from a hilum outwards, each forking into two until `depth`.
fn tree(root: Vec3, side: f32, g: &mut Stream, depth: usize, length: f32, radius: f32) -> Vec<Segment> {
    const TRUNKS: usize = 5;
    let direction =
        |theta: f32, phi: f32| Vec3::new(side * theta.cos() * phi.cos(), theta.sin() * phi.cos(), phi.sin());
    let mut todo: Vec<_> =
        (0..TRUNKS).map(|_| (root, direction(g.within(-1.4, 1.4), g.within(-1.0, 1.0)), length, radius, 0)).collect();
    let mut segments = Vec::new();
    let random = |g: &mut Stream| Vec3::new(g.normal(), g.normal(), g.normal());
    while let Some((from, direction, length, radius, level)) = todo.pop() {
        let direction = (direction + random(g) * 0.12).normalize_or_zero();
        let to = from + direction * length * g.within(0.8, 1.2);
        segments.push(Segment { from, to, radii: [radius, radius * 0.8] });
        if level == depth {
            continue;
        }
        for sign in [-1.0, 1.0] {
            let turn = random(g).reject_from_normalized(direction).normalize_or_zero();
            let next = (direction + turn * (sign * g.within(0.35, 0.75).min(FRAC_PI_2))).normalize_or_zero();
            todo.push((to, next, length * 0.8, radius * g.within(0.68, 0.84), level + 1));
        }
    }
    segments
}
