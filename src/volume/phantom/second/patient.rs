//! One patient of the second phantom: all parts, and the distances at a place that they share.

use glam::Vec3;

use super::super::field::{Segment, smooth_max, smooth_min};
use super::abdomen::Abdomen;
use super::contour::Polar;
use super::couch::Couch;
use super::frame::{Frame, Outline};
use super::heart::{Heart, HeartParts, REACH_MM};
use super::lungs::{LOBES, Lungs};
use super::mediastinum::{Great, Mediastinum, Tubes};
use super::noise::Texture;
use super::skeleton::{Bones, Skeleton};
use super::tissues::Tissues;
use super::tree::{Supply, grow};
use crate::random::Stream;

/// From one place that an artery, or a vein, reaches to the next.
const ARTERIES_MM: f32 = 8.6;
const VEINS_MM: f32 = 9.8;

pub(super) struct Patient {
    pub(super) frame: Frame,
    pub(super) tissues: Tissues,
    pub(super) skeleton: Skeleton,
    pub(super) mediastinum: Mediastinum,
    /// Without any finding.
    pub(super) heart: Heart,
    pub(super) lungs: Lungs,
    pub(super) abdomen: Abdomen,
    pub(super) couch: Couch,
    pub(super) texture: Texture,
    /// In the lungs.
    pub(super) arteries: Vec<Segment>,
    pub(super) veins: Vec<Segment>,
    pub(super) airways: Vec<Segment>,
}

/// The patient at one height.
pub(super) struct Section<'a> {
    pub(super) patient: &'a Patient,
    pub(super) outline: Outline,
    pub(super) bones: Bones,
    pub(super) tubes: Tubes,
    pub(super) liver_veins: Vec<Segment>,
    pub(super) spine: [f32; 2],
    reach: f32,
}

/// Distances at one place.
pub(super) struct Place {
    pub(super) at: Vec3,
    pub(super) polar: Polar,
    pub(super) skin: f32,
    pub(super) muscles: f32,
    /// The rib cage as it goes on into the neck, and as it ends above the lungs.
    pub(super) ring: f32,
    pub(super) cage: f32,
    /// Positive below the diaphragm.
    pub(super) below: f32,
    pub(super) spine: f32,
    pub(super) great: Great,
    pub(super) heart: HeartParts,
    pub(super) lung: f32,
}

impl Patient {
    pub(super) fn draw(seed: u64) -> Self {
        let frame = Frame::draw(seed);
        let mut patient = Self {
            tissues: Tissues::draw(seed, frame.age),
            skeleton: Skeleton::draw(seed, &frame),
            mediastinum: Mediastinum::draw(seed, &frame),
            heart: Heart::draw(seed, &frame),
            lungs: Lungs::draw(seed, &frame),
            abdomen: Abdomen::draw(seed, &frame),
            couch: Couch::draw(seed, &frame),
            texture: Texture::draw(seed),
            arteries: Vec::new(),
            veins: Vec::new(),
            airways: Vec::new(),
            frame,
        };
        let mut g = Stream::new(seed, "second trees");
        let radii = [4.0, 3.0, 5.0, 4.4, 4.8].map(|radius: f32| radius * patient.frame.size * g.within(0.9, 1.1));
        let arteries = patient.places(ARTERIES_MM, &mut g);
        let veins = patient.places(VEINS_MM, &mut g);
        let roots = &patient.mediastinum;
        let (mut artery_branches, mut vein_branches, mut airways) = (Vec::new(), Vec::new(), Vec::new());
        for (lobe, (arteries, veins)) in arteries.into_iter().zip(veins).enumerate() {
            let supply = Supply { root: roots.artery_roots[lobe], places: arteries, radius: radii[lobe] };
            let tree = grow(supply, Some(roots.airway_roots[lobe]), &mut g);
            artery_branches.extend(tree.branches);
            airways.extend(tree.airways);
            let supply = Supply { root: roots.vein_roots[lobe], places: veins, radius: 0.9 * radii[lobe] };
            vein_branches.extend(grow(supply, None, &mut g).branches);
        }
        (patient.arteries, patient.veins, patient.airways) = (artery_branches, vein_branches, airways);
        patient
    }

    /// Places within each lobe, one in each cube of this width.
    fn places(&self, step: f32, g: &mut Stream) -> [Vec<Vec3>; LOBES] {
        let mut places = [const { Vec::new() }; LOBES];
        let half = (self.frame.wide / step) as i32 + 1;
        for level in 0..(self.frame.apex_z / step) as i32 {
            let z = (level as f32 + g.within(0.2, 0.8)) * step - 5.0;
            let section = self.section(z);
            for cell in 0..(2 * half + 1).pow(2) {
                let (i, j) = (cell % (2 * half + 1) - half, cell / (2 * half + 1) - half);
                let (dx, dy) = (g.within(0.05, 0.95), g.within(0.05, 0.95));
                let at = Vec3::new((i as f32 + dx) * step, (j as f32 + dy) * step, z);
                if section.place(at, &self.heart).lung < -2.2 {
                    places[self.lungs.lobe(at, &self.texture)].push(at);
                }
            }
        }
        places
    }

    pub(super) fn section(&self, z: f32) -> Section<'_> {
        let outline = self.frame.outline(z);
        Section {
            patient: self,
            bones: self.skeleton.at_height(z),
            tubes: self.mediastinum.at_height(z),
            liver_veins: self.abdomen.veins_at(z),
            spine: self.frame.spine(z),
            reach: outline.reach(),
            outline,
        }
    }
}

impl Section<'_> {
    /// Whether the patient is certainly not there.
    pub(super) fn is_beyond(&self, polar: Polar) -> bool {
        polar.rho > self.reach
    }

    /// Distances at a place of this height, with this heart.
    pub(super) fn place(&self, at: Vec3, heart: &Heart) -> Place {
        let patient = self.patient;
        let polar = Polar::of(at.x, at.y);
        let ring = self.outline.cage.at(polar);
        let cage = smooth_max(ring, at.z - patient.frame.apex_z - 3.0, 8.0);
        // Deep within the cage there is no wall, and far outside no organ.
        let (skin, muscles) = if cage < -12.0 {
            (cage - 12.0, cage - 6.0)
        } else {
            (self.outline.skin(at, polar), self.outline.muscles(at, polar))
        };
        let spine = patient.skeleton.spine_surface(at, self.spine);
        let below = patient.abdomen.below(at);
        let is_wall = cage > 18.0 && at.z < patient.frame.apex_z - 25.0;
        let great = if is_wall { Great::FAR } else { Mediastinum::great(&self.tubes, at) };
        let mut parts = heart.at(at, &patient.texture);
        let (mut lung, mut middle) = (cage, spine - 2.5);
        if cage < 12.0 {
            parts.envelope = smooth_max(parts.envelope, below + 1.0, 4.0);
            middle = smooth_min(middle, patient.mediastinum.surface(at, &great), 9.0);
            if parts.envelope < REACH_MM {
                middle = smooth_min(middle, parts.envelope - 1.5, 8.0);
            }
            lung = patient.lungs.surface(at, cage, middle, below);
        }
        Place { at, polar, skin, muscles, ring, cage, below, spine, great, heart: parts, lung }
    }
}
