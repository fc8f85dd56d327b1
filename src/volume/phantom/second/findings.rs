//! Pleural effusion, lung nodule, cardiomegaly, emphysema in the second phantom: where each lies, by its dial.

use glam::Vec3;

use super::super::Dials;
use super::super::field::smooth_max;
use super::contour::Polar;
use super::heart::Heart;
use super::patient::{Patient, Place, Section};
use super::shapes::{Ovoid, ramp};
use crate::random::Stream;

/// Fluid thinner than this is none.
const THINNEST_MM: f32 = 1.5;
/// Lung that fluid compresses, at most.
const WIDEST_RIM_MM: f32 = 8.0;
/// Tries to find a nodule's place within a lung, away from the vessels of the hilum.
const TRIES: usize = 1000;

pub(super) struct Findings {
    pub(super) dials: Dials,
    /// The heart as large as its dial says, where it is not as in health.
    pub(super) heart: Option<Heart>,
    nodule: Option<Nodule>,
    effusion: Option<Effusion>,
    emphysema: Option<Emphysema>,
}

struct Nodule {
    shape: Ovoid,
    lobed: f32,
    spiked: f32,
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

struct Emphysema {
    size_mm: f32,
    shift: Vec3,
    apical: f32,
}

impl Findings {
    pub(super) fn draw(seed: u64, dials: Dials, patient: &Patient) -> Self {
        let emphysema = (dials.emphysema > 0.0).then(|| {
            let mut g = Stream::new(seed, "second emphysema");
            let mut u = |low: f32, high: f32| g.within(low, high);
            Emphysema {
                size_mm: u(8.0, 15.0),
                shift: Vec3::new(u(0.0, 99.0), u(0.0, 99.0), u(300.0, 400.0)),
                apical: u(0.6, 1.6),
            }
        });
        Self {
            dials,
            heart: (dials.cardiomegaly > 0.0).then(|| patient.heart.grown(dials.cardiomegaly)),
            nodule: Nodule::draw(seed, dials.nodule, patient),
            effusion: Effusion::draw(seed, dials.effusion, patient),
            emphysema,
        }
    }

    /// How much of the lung's tissue is gone, `0..=1`; vessels stay.
    pub(super) fn emphysema(&self, patient: &Patient, p: &Place, vessel: f32, wide: f32) -> Option<f32> {
        let e = self.emphysema.as_ref()?;
        if p.lung > -1.0 {
            return Some(0.0);
        }
        let noise = patient.texture.rough(p.at + e.shift, e.size_mm);
        let up = e.apical * (p.at.z / patient.frame.apex_z - 0.55);
        let threshold = 1.9 - 2.0 * self.dials.emphysema;
        let hole = (threshold - noise - up) * 0.35 * e.size_mm;
        let share = (0.5 - smooth_max(hole.clamp(-12.0, 12.0), p.lung + 2.0, 1.0) / wide.max(1.0)).clamp(0.0, 1.0);
        Some(share * (1.0 - vessel))
    }

    /// Distance to the nodule, which stays within the lung, and its HU.
    pub(super) fn nodule(&self, patient: &Patient, p: &Place) -> Option<(f32, f32)> {
        let nodule = self.nodule.as_ref()?;
        let from = p.at - nodule.shape.center;
        let far = from.length();
        if far > 2.5 * nodule.shape.radii.max_element() + 4.0 {
            return None;
        }
        let lobes = nodule.lobed * patient.texture.grain(p.at, 9.0);
        // Spikes go outwards: noise of the direction alone.
        let spikes = nodule.spiked * ramp(1.2, 2.4, patient.texture.grain(from / far.max(0.1) * 24.0, 4.0));
        let distance = nodule.shape.at(p.at) + lobes - spikes;
        Some((distance.max(p.lung + 0.5), nodule.hu))
    }

    /// Distance to the fluid, its HU, and how far it compresses the lung.
    pub(super) fn effusion(&self, section: &Section, p: &Place) -> Option<[f32; 3]> {
        let effusion = self.effusion.as_ref()?;
        let [distance, depth] = effusion.at(section, p)?;
        Some([distance, effusion.hu, (0.6 * depth).min(WIDEST_RIM_MM)])
    }
}

impl Nodule {
    /// In lung that neither the largest effusion nor the largest heart of this seed takes: no other dial hides or moves it.
    fn draw(seed: u64, dial: f32, patient: &Patient) -> Option<Self> {
        if dial == 0.0 {
            return None;
        }
        let mut g = Stream::new(seed, "second nodule");
        let (heart, effusion) = (patient.heart.grown(1.0), Effusion::draw(seed, 1.0, patient)?);
        let radius = 4.0 + 10.0 * dial;
        let [wide, front, back, apex] =
            [patient.frame.wide, patient.frame.front, patient.frame.back, patient.frame.apex_z];
        let mut place = || Vec3::new(g.within(-wide, wide), g.within(-front, back), g.within(0.15 * apex, apex));
        let deep = |at: &Vec3| {
            if at.x.abs() < 42.0 {
                return false;
            }
            let section = patient.section(at.z);
            let p = section.place(*at, &heart);
            let is_dry = effusion.at(&section, &p).is_none_or(|[distance, _]| distance > radius);
            p.lung < -10.0 && is_dry
        };
        let center = (0..TRIES).map(|_| place()).find(deep)?;
        let mut u = |low: f32, high: f32| g.within(low, high);
        let radii = Vec3::new(u(0.8, 1.2), u(0.8, 1.2), u(0.8, 1.2)) * radius;
        let shape = Ovoid::along(center, radii, Vec3::new(u(-1.0, 1.0), u(-1.0, 1.0), u(-1.0, 1.0)), Vec3::Z);
        Some(Self { shape, lobed: u(0.0, 0.18) * radius, spiked: u(0.0, 0.6) * radius, hu: u(15.0, 70.0) })
    }
}

impl Effusion {
    fn draw(seed: u64, dial: f32, patient: &Patient) -> Option<Self> {
        if dial == 0.0 {
            return None;
        }
        let mut g = Stream::new(seed, "second effusion");
        let (side, less, swap) = (g.within(0.0, 1.0), g.within(0.4, 1.0), g.within(0.0, 1.0));
        let mut share = match side {
            s if s < 0.35 => [1.0, 0.0],
            s if s < 0.60 => [0.0, 1.0],
            _ => [1.0, less],
        };
        if swap < 0.3 {
            share.reverse();
        }
        let y = 0.55 * patient.frame.back;
        let is_lung = |z: &f32| {
            let section = patient.section(*z);
            [-70.0, 70.0].iter().any(|x| section.place(Vec3::new(*x, y, *z), &patient.heart).lung < 0.0)
        };
        let lowest_z = (-20..60).map(|k| k as f32 * 3.0).find(is_lung).unwrap_or(0.0);
        Some(Self {
            thickness_mm: share.map(|share| 74.0 * dial * share),
            lowest_z,
            tilt: g.within(0.55, 1.0),
            height: 70.0 + 150.0 * dial,
            hu: g.within(2.0, 22.0),
        })
    }

    /// Distance to the fluid and how deep it is: what lies in the lung's space but outside the cage moved forward, so it gathers
    /// along the back wall, where a patient who lies on the back has it.
    fn at(&self, section: &Section, p: &Place) -> Option<[f32; 2]> {
        let most = self.thickness_mm[usize::from(p.at.x > 0.0)];
        let up = ((p.at.z - self.lowest_z) / self.height).clamp(0.0, 1.3);
        let thickness = most * (1.12 - self.tilt * up);
        if thickness <= THINNEST_MM || p.lung > 2.0 {
            return None;
        }
        let moved = section.outline.cage.at(Polar::of(p.at.x, p.at.y + thickness));
        // Along the sides the wall runs with the shift: there the layer thins out.
        let depth = moved - p.cage;
        (depth > THINNEST_MM).then(|| [p.lung.max(-moved), depth])
    }
}
