//! Between the lungs: aorta with its branches, pulmonary arteries and veins, caval veins, trachea, esophagus, fat.

use glam::Vec3;

use super::super::field::{Segment, smooth_min, tube};
use super::frame::Frame;
use super::shapes::{FAR_MM, at_height, bell, mix, nearest, ramp};
use crate::random::Stream;

/// Tubes that carry the same blood, or air, or food.
#[derive(Clone, Default)]
pub(super) struct Tubes {
    pub(super) aorta: Vec<Segment>,
    pub(super) pulmonary: Vec<Segment>,
    pub(super) cava: Vec<Segment>,
    pub(super) lung_veins: Vec<Segment>,
    pub(super) airways: Vec<Segment>,
    pub(super) esophagus: Vec<Segment>,
    pub(super) nodes: Vec<Segment>,
    /// The least and the greatest x and y of all of them.
    bounds: [f32; 4],
}

pub(super) struct Mediastinum {
    pub(super) tubes: Tubes,
    /// Where the trees of each lobe begin: right upper, middle, lower, left upper, lower.
    pub(super) artery_roots: [Vec3; 5],
    pub(super) vein_roots: [Vec3; 5],
    pub(super) airway_roots: [Vec3; 5],
    carina_z: f32,
    apex_z: f32,
    size: f32,
    front: f32,
    midline: f32,
    fat: f32,
    /// Air in the esophagus, as a share of its width.
    pub(super) swallowed: f32,
}

/// Distances at one place.
pub(super) struct Great {
    pub(super) aorta: f32,
    pub(super) pulmonary: f32,
    pub(super) cava: f32,
    pub(super) lung_veins: f32,
    pub(super) airways: f32,
    pub(super) esophagus: f32,
    pub(super) nodes: f32,
}

impl Great {
    /// Far from all of them.
    pub(super) const FAR: Self = Self {
        aorta: FAR_MM,
        pulmonary: FAR_MM,
        cava: FAR_MM,
        lung_veins: FAR_MM,
        airways: FAR_MM,
        esophagus: FAR_MM,
        nodes: FAR_MM,
    };
}

/// From places in a patient of middle size, relative to where the trachea divides, to this patient's.
struct Map {
    size: f32,
    deep: f32,
    carina_z: f32,
    shift: Vec3,
}

impl Map {
    fn at(&self, x: f32, y: f32, z: f32) -> Vec3 {
        Vec3::new(x * self.size, y * self.deep, self.carina_z + z * self.size) + self.shift * bell(z, 70.0)
    }

    fn tube<const N: usize>(&self, points: [(f32, f32, f32, f32); N]) -> Vec<Segment> {
        tube(&points.map(|(x, y, z, radius)| (self.at(x, y, z), radius * self.size)))
    }
}

impl Mediastinum {
    pub(super) fn draw(seed: u64, frame: &Frame) -> Self {
        let mut g = Stream::new(seed, "second mediastinum");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let map = Map {
            size: frame.size,
            deep: frame.front / 78.0,
            carina_z: frame.carina_z,
            shift: Vec3::new(u(-4.0, 4.0), u(-3.0, 3.0), 0.0),
        };
        let wide = u(0.88, 1.12) + 0.004 * (frame.age - 50.0);
        let winding = u(0.0, 1.0) * ((frame.age - 45.0) / 40.0).clamp(0.0, 1.0);
        let mut tubes = Tubes {
            aorta: aorta(&map, frame, wide, winding),
            pulmonary: pulmonary(&map, u(0.9, 1.12)),
            cava: cava(&map, frame),
            lung_veins: lung_veins(&map),
            airways: airways(&map, frame),
            esophagus: esophagus(&map, frame),
            ..Tubes::default()
        };
        for _ in 0..7 {
            let at = map.at(u(-22.0, 24.0), u(-30.0, 22.0), u(-45.0, 45.0));
            let along = Vec3::new(u(-3.0, 3.0), u(-3.0, 3.0), u(-4.0, 4.0));
            let radius = u(1.6, 3.6);
            tubes.nodes.push(Segment { from: at, to: at + along, radii: [radius, radius] });
        }
        let artery_roots =
            [(-40.0, 2.0, -22.0), (-44.0, 8.0, -44.0), (-44.0, 12.0, -50.0), (36.0, 6.0, -8.0), (40.0, 16.0, -34.0)];
        let vein_roots = [
            (-34.0, -4.0, -40.0),
            (-32.0, -4.0, -48.0),
            (-33.0, 18.0, -62.0),
            (34.0, -6.0, -36.0),
            (34.0, 20.0, -56.0),
        ];
        let airway_roots = [
            (-34.0, 15.0, -14.0),
            (-41.0, 12.0, -42.0),
            (-42.0, 18.0, -48.0),
            (40.0, 12.0, -22.0),
            (42.0, 21.0, -36.0),
        ];
        Self {
            tubes,
            artery_roots: artery_roots.map(|(x, y, z)| map.at(x, y, z)),
            vein_roots: vein_roots.map(|(x, y, z)| map.at(x, y, z)),
            airway_roots: airway_roots.map(|(x, y, z)| map.at(x, y, z)),
            carina_z: frame.carina_z,
            apex_z: frame.apex_z,
            size: frame.size,
            front: frame.front,
            midline: u(-3.0, 4.0),
            fat: 0.10 * frame.fat + u(0.0, 2.0),
            swallowed: u(-0.8, 0.7),
        }
    }

    /// The tubes that come near a height.
    pub(super) fn at_height(&self, z: f32) -> Tubes {
        let near = |tubes: &Vec<Segment>| at_height(tubes, z, 20.0);
        let t = &self.tubes;
        let mut here = Tubes {
            aorta: near(&t.aorta),
            pulmonary: near(&t.pulmonary),
            cava: near(&t.cava),
            lung_veins: near(&t.lung_veins),
            airways: near(&t.airways),
            esophagus: near(&t.esophagus),
            nodes: near(&t.nodes),
            bounds: [FAR_MM, -FAR_MM, FAR_MM, -FAR_MM],
        };
        let h = &here;
        let all = [&h.aorta, &h.pulmonary, &h.cava, &h.lung_veins, &h.airways, &h.esophagus, &h.nodes];
        here.bounds = all.into_iter().flatten().fold(here.bounds, |[x0, x1, y0, y1], s| {
            let (low, high) = (s.from.min(s.to), s.from.max(s.to));
            [x0.min(low.x), x1.max(high.x), y0.min(low.y), y1.max(high.y)]
        });
        here
    }

    /// Distances to all of them; far off the middle there are none.
    pub(super) fn great(tubes: &Tubes, at: Vec3) -> Great {
        /// The thickest tube, and how far it rounds the lung's edge.
        const MARGIN_MM: f32 = 36.0;
        let [x0, x1, y0, y1] = tubes.bounds;
        let beyond = (x0 - at.x).max(at.x - x1).max(y0 - at.y).max(at.y - y1);
        if beyond > MARGIN_MM {
            return Great::FAR;
        }
        Great {
            aorta: nearest(&tubes.aorta, at),
            pulmonary: nearest(&tubes.pulmonary, at),
            cava: nearest(&tubes.cava, at),
            lung_veins: nearest(&tubes.lung_veins, at),
            airways: nearest(&tubes.airways, at),
            esophagus: nearest(&tubes.esophagus, at),
            nodes: nearest(&tubes.nodes, at),
        }
    }

    /// The surface of the lungs towards the middle; the heart and the spine apart.
    pub(super) fn surface(&self, at: Vec3, great: &Great) -> f32 {
        let tubes = smooth_min(great.aorta - 1.6 - self.fat, great.pulmonary - 1.5, 6.0);
        let tubes = smooth_min(tubes, great.cava - 1.5 - self.fat, 6.0);
        let tubes = smooth_min(tubes, great.airways - 2.2, 5.0).min(great.lung_veins - 1.0);
        let tubes = smooth_min(tubes, great.esophagus - 1.8, 5.0);
        // A wedge of fat behind the sternum, as wide as the vessels further back, and a thin sheet behind the heart.
        let dz = (at.z - self.carina_z) / self.size;
        let high = ramp(22.0, 60.0, dz);
        let (front, back) = (-0.90 * self.front, -0.30 * self.front);
        let wedge = mix(2.0 + self.fat, 23.0 + self.fat, ramp(front, back, at.y)) * mix(1.0, 0.86, high);
        let behind = mix(1.0, 0.42, ramp(8.0, 30.0, at.y) * (1.0 - 0.5 * high));
        let low = mix(1.0, 0.55, ramp(-30.0, -90.0, dz));
        let slab = (at.x - self.midline).abs() - wedge * behind * low;
        let top = 6.0 * ramp(self.apex_z - 40.0, self.apex_z, at.z);
        smooth_min(slab - top, tubes, 8.0)
    }
}

fn aorta(map: &Map, frame: &Frame, wide: f32, winding: f32) -> Vec<Segment> {
    let (x, r) = (23.0 + 9.0 * winding, 12.0 * wide);
    let back = (frame.spine(map.carina_z)[1] - 20.0 * map.size) / map.deep;
    let mut all = map.tube([
        (-2.0, -18.0, -52.0, 13.0 * wide),
        (-6.0, -22.0, -42.0, 16.5 * wide),
        (-13.0, -28.0, -20.0, 15.5 * wide),
        (-12.0, -27.0, 10.0, 15.0 * wide),
        (-4.0, -15.0, 28.0, 14.0 * wide),
        (8.0, 2.0, 34.0, 13.5 * wide),
        (18.0, 20.0, 26.0, 13.0 * wide),
        (x, back, 6.0, 12.5 * wide),
        (x + 1.0, back + 2.0, -30.0, r),
        (x - 2.0 + 4.0 * winding, back + 2.0, -80.0, r * 0.97),
        (14.0, back - 2.0, -130.0, r * 0.94),
        (7.0, back - 6.0, -240.0, r * 0.88),
    ]);
    all.extend(map.tube([
        (-6.0, -17.0, 32.0, 7.0),
        (-13.0, -12.0, 58.0, 6.5),
        (-22.0, -6.0, 88.0, 5.5),
        (-28.0, -4.0, 160.0, 4.0),
    ]));
    all.extend(map.tube([
        (-18.0, -8.0, 80.0, 5.0),
        (-42.0, -10.0, 98.0, 4.5),
        (-95.0, -8.0, 92.0, 4.2),
        (-140.0, -2.0, 100.0, 3.8),
    ]));
    all.extend(map.tube([(3.0, -6.0, 34.0, 5.0), (12.0, -4.0, 70.0, 4.3), (26.0, -3.0, 160.0, 4.0)]));
    all.extend(map.tube([
        (13.0, 9.0, 34.0, 5.8),
        (22.0, 9.0, 66.0, 5.3),
        (42.0, -4.0, 98.0, 4.8),
        (95.0, -8.0, 92.0, 4.2),
        (140.0, -2.0, 100.0, 3.8),
    ]));
    all
}

fn pulmonary(map: &Map, wide: f32) -> Vec<Segment> {
    let mut all = map.tube([
        (14.0, -44.0, -34.0, 13.5 * wide),
        (16.0, -36.0, -18.0, 13.5 * wide),
        (20.0, -18.0, -11.0, 12.5 * wide),
        (32.0, 2.0, -8.0, 10.5 * wide),
        (39.0, 14.0, -20.0, 9.0 * wide),
        (41.0, 18.0, -38.0, 7.5 * wide),
    ]);
    all.extend(map.tube([
        (16.0, -28.0, -17.0, 11.5 * wide),
        (4.0, -9.0, -19.0, 11.5 * wide),
        (-18.0, -4.0, -21.0, 10.5 * wide),
        (-36.0, 2.0, -26.0, 9.5 * wide),
        (-44.0, 10.0, -44.0, 8.0 * wide),
        (-45.0, 14.0, -56.0, 6.5 * wide),
    ]));
    all
}

fn cava(map: &Map, frame: &Frame) -> Vec<Segment> {
    let front = (frame.spine(map.carina_z)[1] - 13.0 * map.size) / map.deep;
    let mut all = map.tube([
        (-25.0, -22.0, 44.0, 8.5),
        (-28.0, -18.0, 0.0, 9.5),
        (-30.0, -14.0, -30.0, 10.0),
        (-31.0, -12.0, -52.0, 12.0),
    ]);
    all.extend(map.tube([
        (-25.0, -22.0, 44.0, 8.0),
        (-30.0, -18.0, 70.0, 7.5),
        (-46.0, -22.0, 92.0, 6.5),
        (-95.0, -18.0, 86.0, 6.0),
        (-140.0, -8.0, 94.0, 5.5),
    ]));
    all.extend(map.tube([
        (-24.0, -24.0, 42.0, 7.0),
        (-4.0, -38.0, 48.0, 7.0),
        (16.0, -38.0, 56.0, 7.0),
        (34.0, -26.0, 78.0, 6.5),
        (52.0, -22.0, 92.0, 6.0),
        (95.0, -18.0, 86.0, 5.5),
        (140.0, -8.0, 94.0, 5.0),
    ]));
    // The lower vein through the diaphragm.
    all.extend(map.tube([
        (-28.0, -2.0, -78.0, 13.0),
        (-27.0, 8.0, -100.0, 12.5),
        (-22.0, 20.0, -130.0, 11.5),
        (-20.0, 24.0, -240.0, 11.0),
    ]));
    all.extend(map.tube([
        (-26.0, -14.0, 14.0, 4.5),
        (-22.0, 10.0, 18.0, 4.2),
        (-11.0, front - 2.0, 8.0, 4.0),
        (-8.0, front + 2.0, -60.0, 3.5),
        (-5.0, front, -200.0, 2.6),
    ]));
    all
}

fn lung_veins(map: &Map) -> Vec<Segment> {
    let mut all = map.tube([(-12.0, 6.0, -46.0, 7.5), (-34.0, -4.0, -42.0, 6.5)]);
    all.extend(map.tube([(-14.0, 14.0, -56.0, 7.5), (-34.0, 18.0, -62.0, 6.5)]));
    all.extend(map.tube([(16.0, 4.0, -42.0, 7.0), (34.0, -6.0, -36.0, 6.0)]));
    all.extend(map.tube([(16.0, 14.0, -54.0, 7.0), (34.0, 20.0, -56.0, 6.5)]));
    all
}

fn airways(map: &Map, frame: &Frame) -> Vec<Segment> {
    let trachea = if frame.is_female { 8.2 } else { 9.6 };
    let mut all = map.tube([
        (0.0, -4.0, 170.0, trachea),
        (-1.0, 2.0, 80.0, trachea),
        (-3.0, 8.0, 30.0, trachea),
        (-2.0, 13.0, 2.0, trachea),
    ]);
    all.extend(map.tube([
        (-3.0, 13.0, 0.0, 7.8),
        (-22.0, 15.0, -14.0, 7.0),
        (-36.0, 14.0, -26.0, 5.8),
        (-42.0, 16.0, -46.0, 5.0),
    ]));
    all.extend(map.tube([(-24.0, 15.0, -14.0, 4.8), (-37.0, 15.0, -13.0, 4.2)]));
    all.extend(map.tube([
        (0.0, 13.0, 0.0, 7.4),
        (20.0, 16.0, -14.0, 6.6),
        (36.0, 18.0, -26.0, 5.6),
        (43.0, 22.0, -38.0, 4.6),
    ]));
    all.extend(map.tube([(36.0, 17.0, -26.0, 4.6), (42.0, 9.0, -22.0, 4.0)]));
    all
}

fn esophagus(map: &Map, frame: &Frame) -> Vec<Segment> {
    let front = (frame.spine(map.carina_z)[1] - 24.0 * map.size) / map.deep;
    map.tube([
        (3.0, 16.0, 150.0, 6.0),
        (4.0, front - 6.0, 60.0, 6.5),
        (5.0, front, 0.0, 7.0),
        (3.0, front, -50.0, 7.5),
        (9.0, front - 4.0, -95.0, 8.0),
        (24.0, front - 18.0, -125.0, 9.5),
    ])
}
