//! The second phantom: a chest with chambers, lobes, branching vessels, layers of muscle and fat, phases of contrast agent,
//! kernels and fields of view. It is drawn on any grid; the patient of a seed stays the same one.
//!
//! Every part draws from its own stream of random numbers, keyed by the seed and its name, so a dial changes its finding and
//! nothing else: the same seed with a dial at 0 is the *true* counterfactual.

mod abdomen;
mod contour;
mod couch;
mod findings;
mod frame;
mod heart;
mod lungs;
mod mediastinum;
mod noise;
mod paint;
mod patient;
mod scanner;
mod shapes;
mod skeleton;
mod tissues;
mod tree;

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use self::findings::Findings;
use self::lungs::Lungs;
use self::paint::Branches;
use self::patient::{Patient, Section};
use self::scanner::Scanner;
use super::super::{Volume, Voxels};
use super::field::Segment;
use super::{Dials, Error, Mask, Phantom};
use crate::job::Monitor;

/// A slice thicker than this is the mean of three.
const THIN_MM: f64 = 1.3;
/// A cardiomegaly changes what is masked by more than this, before the scanner's noise and blur.
const CHANGED_HU: f32 = 10.0;
/// No volume has more voxels: 2 GiB of HU.
const MOST_VOXELS: usize = 1 << 30;

/// Columns, rows and slices of a scan, and how far apart they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raster {
    pub shape: [usize; 3],
    pub spacing_mm: [f64; 3],
}

/// A raster that cannot be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "the raster {shape:?} of {spacing_mm:?} mm cannot be drawn; choose 1 to 4096 columns, rows and slices, 0.1 to 50 mm apart, and 2^30 voxels at most"
)]
pub struct BadRaster {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
}

impl Raster {
    fn check(self) -> Result<(), BadRaster> {
        let Self { shape, spacing_mm } = self;
        let fits =
            shape.iter().all(|n| (1..=4096).contains(n)) && spacing_mm.iter().all(|mm| (0.1..=50.0).contains(mm));
        if fits && shape.iter().product::<usize>() <= MOST_VOXELS {
            Ok(())
        } else {
            Err(BadRaster { shape, spacing_mm })
        }
    }
}

/// Draws the phantom of a seed, on this raster or else on its own.
pub fn draw(seed: u64, dials: Dials, raster: Option<Raster>, monitor: &Monitor) -> Result<Phantom, Error> {
    dials.check()?;
    raster.map_or(Ok(()), Raster::check)?;
    monitor.step("drawing the phantom", 0, 0)?;
    let patient = Patient::draw(seed);
    let wide = patient.frame.outline(0.5 * patient.frame.apex_z).body.largest();
    let scanner = Scanner::draw(seed, raster, patient.frame.apex_z, wide);
    let findings = Findings::draw(seed, dials, &patient);
    let artist = Artist { seed, patient: &patient, scanner: &scanner, findings: &findings };
    let [ni, nj, slices] = scanner.raster.shape;
    let (mut hu, mut masks) = (vec![0_i16; ni * nj * slices], vec![0_u8; ni * nj * slices]);
    let done = AtomicUsize::new(0);
    hu.par_chunks_mut(ni * nj).zip(masks.par_chunks_mut(ni * nj)).enumerate().try_for_each(|(k, (hu, masks))| {
        monitor.step("drawing the phantom", done.fetch_add(1, Ordering::Relaxed), slices)?;
        artist.slice(k, hu, masks);
        Ok::<_, Error>(())
    })?;
    monitor.step("drawing the phantom", slices, slices)?;
    Ok(Phantom { volume: Volume::new(scanner.grid(), Voxels::I16(hu.into())), masks })
}

/// Everything that a slice is drawn from.
struct Artist<'a> {
    seed: u64,
    patient: &'a Patient,
    scanner: &'a Scanner,
    findings: &'a Findings,
}

impl Artist<'_> {
    /// One slice as the scanner writes it, with its masks.
    fn slice(&self, k: usize, out: &mut [i16], masks: &mut [u8]) {
        let thick = self.scanner.raster.spacing_mm[2] > THIN_MM;
        let parts: &[f32] = if thick { &[0.0, -1.0 / 3.0, 1.0 / 3.0] } else { &[0.0] };
        let mut hu = vec![0.0_f32; out.len()];
        let mut depth = vec![0.0_f32; out.len()];
        for (n, part) in parts.iter().enumerate() {
            self.layer(self.scanner.height(k, *part), &mut hu, &mut depth, (n == 0).then_some(&mut *masks));
        }
        let share = (parts.len() as f32).recip();
        for hu in &mut hu {
            *hu *= share;
        }
        self.scanner.see(self.seed, k, &mut hu, &depth);
        out.iter_mut().zip(&hu).for_each(|(out, hu)| *out = hu.round().clamp(-2000.0, 3071.0) as i16);
    }

    /// Adds the patient at one height. Masks and depths are those of the slice's middle.
    fn layer(&self, z: f32, hu: &mut [f32], depth: &mut [f32], mut masks: Option<&mut [u8]>) {
        let section = self.patient.section(z);
        let branches = self.branches(z, hu.len());
        let [ni, ..] = self.scanner.raster.shape;
        let [dx, dy, _] = self.scanner.raster.spacing_mm;
        let wide = (dx * dy).sqrt() as f32;
        for (index, hu) in hu.iter_mut().enumerate() {
            let (at, _) = self.scanner.place(index % ni, index / ni, z);
            let polar = paint::polar(at);
            if section.is_beyond(polar) {
                *hu += section.surroundings(at, polar.rho, wide);
                if masks.is_some() {
                    depth[index] = -30.0;
                }
                continue;
            }
            let (value, mask, inside) = self.voxel(&section, at, branches[index], wide);
            *hu += value;
            if let Some(masks) = &mut masks {
                masks[index] = mask;
                depth[index] = inside;
            }
        }
    }

    /// HU, masks and depth of one voxel.
    fn voxel(&self, section: &Section, at: glam::Vec3, branches: Branches, wide: f32) -> (f32, u8, f32) {
        let (patient, findings, motion) = (self.patient, self.findings, self.scanner.motion_mm);
        let mut masks = 0;
        let mut mask = |is: bool, mask: Mask| masks |= if is { mask as u8 } else { 0 };
        let mut p = section.place(at, &patient.heart);
        let mut value = section.paint(&p, branches, wide, motion);
        if let Some(heart) = findings.heart.as_ref().filter(|heart| heart.is_near(at) && p.cage < wide + 2.0) {
            p = section.place(at, heart);
            let ill = section.paint(&p, branches, wide, motion);
            mask((ill - value).abs() > CHANGED_HU, Mask::Cardiomegaly);
            value = ill;
        }
        let inside = p.lung < 0.0;
        mask(p.skin < 0.0, Mask::Body);
        mask(inside && Lungs::is_right(at), Mask::RightLung);
        mask(inside && !Lungs::is_right(at), Mask::LeftLung);
        if p.lung > 2.0 * wide {
            return (value, masks, -p.skin);
        }
        if let Some(share) =
            findings.emphysema(patient, &p, branches.artery.max(branches.vein).max(branches.wall), wide)
        {
            value += (-978.0 - value) * share;
            mask(share > 0.0, Mask::Emphysema);
        }
        let blend =
            |value: &mut f32, distance: f32, hu: f32| *value += (hu - *value) * (0.5 - distance / wide).clamp(0.0, 1.0);
        if let Some((distance, hu)) = findings.nodule(patient, &p) {
            blend(&mut value, distance, hu);
            mask(distance < 0.0, Mask::Nodule);
        }
        if let Some([distance, hu, rim]) = findings.effusion(section, &p) {
            // The lung next to the fluid is compressed.
            if inside && (0.0..rim).contains(&distance) {
                value += 0.4 * (1.0 - distance / rim) * (-60.0 - value).max(0.0);
            }
            blend(&mut value, distance, hu + 2.0 * patient.texture.grain(at, 6.0));
            mask(distance < 0.0 && inside, Mask::Effusion);
        }
        (value, masks, -p.skin)
    }

    /// What of the lungs' trees each pixel holds at a height.
    fn branches(&self, z: f32, pixels: usize) -> Vec<Branches> {
        let mut held = vec![Branches::default(); pixels];
        self.trace(&self.patient.arteries, z, 0.0, |pixel, share| held[pixel].artery = held[pixel].artery.max(share));
        self.trace(&self.patient.veins, z, 0.0, |pixel, share| held[pixel].vein = held[pixel].vein.max(share));
        self.trace(&self.patient.airways, z, 0.28, |pixel, share| held[pixel].wall = held[pixel].wall.max(share));
        self.trace(&self.patient.airways, z, 0.0, |pixel, share| held[pixel].lumen = held[pixel].lumen.max(share));
        held
    }

    /// Gives each pixel that a segment, thicker by a share, covers at a height, and how much of it.
    fn trace(&self, segments: &[Segment], z: f32, thicker: f32, mut cover: impl FnMut(usize, f32)) {
        let [ni, ..] = self.scanner.raster.shape;
        let [dx, dy, dz] = self.scanner.raster.spacing_mm.map(|mm| mm as f32);
        let wide = (dx * dy).sqrt();
        let tall = dz.min(THIN_MM as f32 * 2.0);
        for segment in segments {
            let wall = |radius: f32| if thicker > 0.0 { radius + 0.35 + 0.5 * thicker * radius } else { radius };
            let segment = Segment { radii: segment.radii.map(wall), ..*segment };
            let radius = segment.radii[0].max(segment.radii[1]);
            if !shapes::near_height(&segment, z, 0.5 * wide) {
                continue;
            }
            let thin = (2.0 * radius / wide).min(1.0) * (2.5 * radius / tall).min(1.0);
            let [columns, rows] = self.scanner.touched(&segment, z, radius + 0.5 * wide);
            for j in rows {
                for i in columns.clone() {
                    let distance = segment.at(self.scanner.place(i, j, z).0);
                    let share = (0.5 - distance / wide).clamp(0.0, 1.0) * thin;
                    if share > 0.0 {
                        cover(i + ni * j, share);
                    }
                }
            }
        }
    }
}
