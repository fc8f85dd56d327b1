//! Pleural effusion, lung nodule, cardiomegaly, emphysema: where each lies, by its dial.

use glam::Vec3;

use super::Dials;
use super::anatomy::{Anatomy, Distances};
use super::field::{Ellipsoid, smooth_max};
use crate::random::Stream;
use crate::volume::smoothing::smooth_noise;

/// Fluid thinner than this is none.
const THINNEST_MM: f32 = 2.0;
/// Lung that fluid compresses, at most.
const WIDEST_RIM_MM: f32 = 9.0;
/// Tries to find a nodule's place within a lung, away from the vessels of the hilum.
const TRIES: usize = 1000;

pub(super) struct Findings {
    dials: Dials,
    pub(super) heart: Ellipsoid,
    pub(super) chamber: Ellipsoid,
    healthy_heart: Ellipsoid,
    nodule: Option<Nodule>,
    effusion: Option<Effusion>,
    /// Smooth noise on the grid, higher towards the head.
    emphysema: Option<Vec<f32>>,
}

struct Nodule {
    shape: Ellipsoid,
    hu: f32,
}

struct Effusion {
    /// Thickness at the lowest place, right and left.
    thickness_mm: [f32; 2],
    lowest_z: f32,
    tilt: f32,
    height: f32,
    hu: f32,
}

impl Findings {
    pub(super) fn draw(seed: u64, dials: Dials, anatomy: &Anatomy, shape: [usize; 3], spacing_mm: [f32; 3]) -> Self {
        let healthy_heart = anatomy.heart(0.0);
        let emphysema = (dials.emphysema > 0.0).then(|| {
            let mut g = Stream::new(seed, "emphysema");
            let size_mm = g.within(6.0, 10.0);
            let mut noise = smooth_noise(&mut g, shape, spacing_mm.map(|s| size_mm / s));
            let pixels = shape[0] * shape[1];
            noise.iter_mut().enumerate().for_each(|(i, f)| *f += (i / pixels) as f32 * spacing_mm[2] / 190.0 - 0.5);
            noise
        });
        Self {
            dials,
            // The chambers stay: it is the wall that thickens, and what changes is the mask and nothing else.
            chamber: Ellipsoid { radii: healthy_heart.radii * 0.72, ..healthy_heart },
            heart: anatomy.heart(dials.cardiomegaly),
            healthy_heart,
            nodule: Nodule::draw(seed, dials.nodule, anatomy),
            effusion: Effusion::draw(seed, dials.effusion, anatomy),
            emphysema,
        }
    }

    /// Heart, or the fat around it, that would be something else if the dial were at 0.
    pub(super) fn enlarged(&self, anatomy: &Anatomy, p: &Distances) -> bool {
        // The heart rounds the lung's edge within 8 mm of itself.
        if self.dials.cardiomegaly == 0.0 || p.lung < 0.0 || p.heart > 8.0 {
            return false;
        }
        let healthy = self.healthy_heart.at(p.at);
        (p.heart < 0.0 && healthy >= 0.0) || anatomy.place(p.at, &self.healthy_heart).lung < 0.0
    }

    /// How much of the lung's tissue is gone, `0..=1`; vessels stay.
    pub(super) fn emphysema(&self, p: &Distances, index: usize, vessel: f32, pixel_mm: f32) -> Option<f32> {
        let threshold = 1.6 - 1.7 * self.dials.emphysema;
        let hole = ((threshold - self.emphysema.as_ref()?[index]) * 6.0).clamp(-12.0, 12.0);
        let share = (0.5 - smooth_max(hole, p.lung + 2.0, 1.0) / pixel_mm).clamp(0.0, 1.0);
        Some(share * ((vessel - 1.0) / 3.0).clamp(0.0, 1.0))
    }

    /// Distance to the nodule, which stays within the lung, and its HU.
    pub(super) fn nodule(&self, p: &Distances, texture: f32) -> Option<(f32, f32)> {
        let nodule = self.nodule.as_ref()?;
        let rough = nodule.shape.at(p.at) + 0.8 * texture;
        Some((rough.max(p.lung + 0.5), nodule.hu))
    }

    /// Distance to the fluid, its HU, and how far it compresses the lung.
    pub(super) fn effusion(&self, anatomy: &Anatomy, p: &Distances) -> Option<[f32; 3]> {
        let effusion = self.effusion.as_ref()?;
        let [distance, depth] = effusion.at(anatomy, p)?;
        Some([distance, effusion.hu, (0.6 * depth).min(WIDEST_RIM_MM)])
    }
}

impl Nodule {
    /// In lung that neither the largest effusion nor the largest heart of this seed takes: no other dial hides or moves it.
    fn draw(seed: u64, dial: f32, anatomy: &Anatomy) -> Option<Self> {
        if dial == 0.0 {
            return None;
        }
        let mut g = Stream::new(seed, "nodule");
        let (heart, effusion) = (anatomy.heart(1.0), Effusion::draw(seed, 1.0, anatomy)?);
        let radius = 6.0 + 10.0 * dial;
        let mut place = || Vec3::new(g.within(-110.0, 110.0), g.within(-80.0, 80.0), g.within(40.0, 190.0));
        let deep = |at: &Vec3| {
            let p = anatomy.place(*at, &heart);
            let is_dry = effusion.at(anatomy, &p).is_none_or(|[distance, _]| distance > radius);
            p.lung < -10.0 && at.x.abs() > 45.0 && is_dry
        };
        let center = (0..TRIES).map(|_| place()).find(deep)?;
        let radii = Vec3::new(g.within(0.85, 1.15), g.within(0.85, 1.15), g.within(0.85, 1.15)) * radius;
        let shape = Ellipsoid { center, radii, yaw: g.within(0.0, 3.0), pitch: 0.0 };
        Some(Self { shape, hu: g.within(30.0, 70.0) })
    }
}

impl Effusion {
    fn draw(seed: u64, dial: f32, anatomy: &Anatomy) -> Option<Self> {
        if dial == 0.0 {
            return None;
        }
        let mut g = Stream::new(seed, "effusion");
        let (side, less, swap) = (g.within(0.0, 1.0), g.within(0.4, 1.0), g.within(0.0, 1.0));
        let mut share = match side {
            s if s < 0.35 => [1.0, 0.0],
            s if s < 0.60 => [0.0, 1.0],
            _ => [1.0, less],
        };
        if swap < 0.3 {
            share.reverse();
        }
        let heart = anatomy.heart(0.0);
        let is_lung = |z: &f32| [-70.0, 70.0].iter().any(|x| anatomy.place(Vec3::new(*x, 45.0, *z), &heart).lung < 0.0);
        let lowest_z = (0..100).map(|k| k as f32 * 2.0).find(is_lung).unwrap_or(0.0);
        Some(Self {
            thickness_mm: share.map(|share| 68.0 * dial * share),
            lowest_z,
            tilt: g.within(0.55, 1.0),
            height: 60.0 + 130.0 * dial,
            hu: g.within(2.0, 22.0),
        })
    }

    /// Distance to the fluid and how deep it is: what lies in the lung's space but outside the chest's cavity moved forward, so it
    /// gathers along the back wall, where a patient who lies on the back has it.
    fn at(&self, anatomy: &Anatomy, p: &Distances) -> Option<[f32; 2]> {
        let most = self.thickness_mm[usize::from(!anatomy.is_right(p.at))];
        let up = ((p.at.z - self.lowest_z) / self.height).clamp(0.0, 1.3);
        let thickness = most * (1.12 - self.tilt * up);
        if thickness <= THINNEST_MM {
            return None;
        }
        let moved = anatomy.cavity(p.at + Vec3::new(0.0, thickness, 0.0));
        // Along the sides the wall runs with the shift: there the layer thins out.
        let depth = moved - p.cavity;
        (depth > THINNEST_MM).then(|| [p.lung.max(-moved), depth])
    }
}
