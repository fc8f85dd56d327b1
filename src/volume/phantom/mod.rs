//! The built-in scan: a thorax whose truth is known, drawn from a seed, with findings on dials and the exact mask of each.
//!
//! Every part draws from its own stream of random numbers, keyed by the seed and its name, so a dial changes its finding and
//! nothing else: the same seed with a dial at 0 is the *true* counterfactual.

mod anatomy;
mod field;
mod findings;
pub mod second;

use std::str::FromStr;

use glam::{DAffine3, DMat3, DVec3, Vec3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::anatomy::{Anatomy, FAR_MM};
use self::field::Segment;
use self::findings::Findings;
use super::{Grid, Volume, Voxels};
use crate::job::{Cancelled, Monitor};
use crate::random::Stream;
use crate::volume::smoothing::{normalize, smooth, smooth_noise};

/// Columns, rows, slices.
const SHAPE: [usize; 3] = [176, 144, 72];
/// Between columns and rows; drawn from these by seed.
const PIXEL_MM: [f32; 2] = [1.9, 2.05];
const SLICE_MM: f32 = 3.0;

/// How severe each finding is, `0..=1`: 0 is none, 1 severe.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dials {
    pub effusion: f32,
    pub nodule: f32,
    pub cardiomegaly: f32,
    pub emphysema: f32,
}

/// What a dial is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    Effusion,
    Nodule,
    Cardiomegaly,
    Emphysema,
}

/// What is masked in a phantom, as bits: one voxel may belong to several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mask {
    Effusion = 1,
    Nodule = 2,
    /// What is heart, or fat around it, and would be none if the dial were at 0.
    Cardiomegaly = 4,
    Emphysema = 8,
    RightLung = 16,
    LeftLung = 32,
    Body = 64,
}

/// Which generator draws: a seed is another patient to each, and always the same one to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// The one that the networks which come with the program know.
    #[default]
    First,
    /// Nearer to real scans, on any grid.
    Second,
}

/// A version that there is not.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("no phantom version {0:?}; there are 1 and 2")]
pub struct NoSuchVersion(String);

/// A name that no finding has.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("no finding {0:?}; there are effusion, nodule, cardiomegaly, emphysema")]
pub struct NoSuchFinding(String);

/// A dial that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the dial {name} is {value}; choose 0 (none) to 1 (severe)")]
pub struct BadDial {
    name: &'static str,
    value: f32,
}

/// A phantom: HU, and which masks each voxel bears.
pub struct Phantom {
    pub volume: Volume,
    /// Sums of [`Mask`]s, on the volume's grid.
    pub masks: Vec<u8>,
}

impl Version {
    pub fn number(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    /// Draws the phantom of a seed on the version's own grid.
    pub fn draw(self, seed: u64, dials: Dials, monitor: &Monitor) -> Result<Phantom, Error> {
        match self {
            Self::First => phantom(seed, dials, monitor),
            Self::Second => second::draw(seed, dials, None, monitor),
        }
    }
}

impl FromStr for Version {
    type Err = NoSuchVersion;

    fn from_str(number: &str) -> Result<Self, NoSuchVersion> {
        let versions = [Self::First, Self::Second];
        let found = versions.into_iter().find(|version| version.number().to_string() == number);
        found.ok_or_else(|| NoSuchVersion(number.to_owned()))
    }
}

impl Finding {
    pub const ALL: [Self; 4] = [Self::Effusion, Self::Nodule, Self::Cardiomegaly, Self::Emphysema];

    pub fn name(self) -> &'static str {
        match self {
            Self::Effusion => "effusion",
            Self::Nodule => "nodule",
            Self::Cardiomegaly => "cardiomegaly",
            Self::Emphysema => "emphysema",
        }
    }

    /// Where it lies.
    pub fn mask(self) -> Mask {
        match self {
            Self::Effusion => Mask::Effusion,
            Self::Nodule => Mask::Nodule,
            Self::Cardiomegaly => Mask::Cardiomegaly,
            Self::Emphysema => Mask::Emphysema,
        }
    }
}

impl FromStr for Finding {
    type Err = NoSuchFinding;

    fn from_str(name: &str) -> Result<Self, NoSuchFinding> {
        // What an enlarged heart is called for short.
        let name = if name == "cardiac" { "cardiomegaly" } else { name };
        Self::ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| NoSuchFinding(name.to_owned()))
    }
}

impl Dials {
    /// Each finding there with a chance of one half, then anything from 0.2 to 1.
    pub fn random(seed: u64) -> Self {
        let mut g = Stream::new(seed, "dials");
        let mut dial = || {
            let (there, value) = (g.within(0.0, 1.0) < 0.5, g.within(0.2, 1.0));
            if there { value } else { 0.0 }
        };
        Self { effusion: dial(), nodule: dial(), cardiomegaly: dial(), emphysema: dial() }
    }

    pub fn of(self, finding: Finding) -> f32 {
        match finding {
            Finding::Effusion => self.effusion,
            Finding::Nodule => self.nodule,
            Finding::Cardiomegaly => self.cardiomegaly,
            Finding::Emphysema => self.emphysema,
        }
    }

    /// Gives the dials with one finding changed.
    #[must_use]
    pub fn with(mut self, finding: Finding, value: f32) -> Self {
        *match finding {
            Finding::Effusion => &mut self.effusion,
            Finding::Nodule => &mut self.nodule,
            Finding::Cardiomegaly => &mut self.cardiomegaly,
            Finding::Emphysema => &mut self.emphysema,
        } = value;
        self
    }

    fn check(self) -> Result<(), BadDial> {
        match Finding::ALL.into_iter().find(|finding| !(0.0..=1.0).contains(&self.of(*finding))) {
            Some(finding) => Err(BadDial { name: finding.name(), value: self.of(finding) }),
            None => Ok(()),
        }
    }
}

impl Phantom {
    /// Whether a voxel bears a mask.
    pub fn is(&self, mask: Mask, index: usize) -> bool {
        self.masks[index] & mask as u8 != 0
    }

    /// The masks on another grid, each voxel with those of the nearest one here, or none beyond.
    pub fn masks_on(&self, grid: &Grid) -> Vec<u8> {
        let [ni, nj, nk] = self.volume.grid.shape;
        let here_from_there = self.volume.grid.voxel_from_world() * grid.world_from_voxel;
        let [columns, rows, _] = grid.shape;
        let nearest = |index: usize| {
            let there = [index % columns, index / columns % rows, index / columns / rows].map(|n| n as f64);
            let at = here_from_there.transform_point3(DVec3::from_array(there)).round();
            let inside = at.cmpge(DVec3::ZERO).all() && at.cmplt(DVec3::new(ni as f64, nj as f64, nk as f64)).all();
            if inside { self.masks[at.x as usize + ni * (at.y as usize + nj * at.z as usize)] } else { 0 }
        };
        (0..grid.len()).map(nearest).collect()
    }
}

/// What can stop the making of a phantom.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Dial(#[from] BadDial),
    #[error(transparent)]
    Raster(#[from] second::BadRaster),
}

/// Draws the phantom of a seed, of the first version.
pub fn phantom(seed: u64, dials: Dials, monitor: &Monitor) -> Result<Phantom, Error> {
    dials.check()?;
    let slices = SHAPE[2];
    monitor.step("drawing the phantom", 0, slices)?;
    let anatomy = Anatomy::draw(seed);
    let scanner = Scanner::draw(seed);
    let texture = smooth_noise(&mut Stream::new(seed, "texture"), SHAPE, [2.8, 2.8, 1.6]);
    let findings = Findings::draw(seed, dials, &anatomy, SHAPE, scanner.spacing());
    let pixels = SHAPE[0] * SHAPE[1];
    let mut hu = vec![0.0_f32; pixels * slices];
    let mut masks = vec![0_u8; pixels * slices];
    for k in 0..slices {
        monitor.step("drawing the phantom", k, slices)?;
        let vessels = scanner.nearest(&anatomy.vessels, k);
        let airways = scanner.nearest(&anatomy.airways, k);
        let at = k * pixels..(k + 1) * pixels;
        hu[at.clone()].par_iter_mut().zip(&mut masks[at.clone()]).enumerate().for_each(|(i, (hu, masks))| {
            let index = at.start + i;
            let place = scanner.place([i % SHAPE[0], i / SHAPE[0], k]);
            let near = Near { vessel: vessels[i], airway: airways[i], texture: texture[index], index };
            (*hu, *masks) = voxel(&anatomy, &findings, place, &near, scanner.pixel_mm);
        });
    }
    scanner.add_noise(seed, &mut hu);
    let voxels: Vec<i16> = hu.iter().map(|v| v.round().clamp(-1024.0, 2500.0) as i16).collect();
    Ok(Phantom { volume: Volume::new(scanner.grid(), Voxels::I16(voxels.into())), masks })
}

/// What is known of a voxel before its tissue is.
struct Near {
    vessel: f32,
    airway: f32,
    texture: f32,
    index: usize,
}

/// HU and masks of one voxel, painted from the outside in. Edges are blended over a pixel, as in a real scan.
fn voxel(anatomy: &Anatomy, findings: &Findings, at: Vec3, near: &Near, pixel_mm: f32) -> (f32, u8) {
    let mut value = -1000.0_f32;
    if anatomy.is_air(at) {
        return (value, 0);
    }
    let blend = |value: &mut f32, distance: f32, hu: f32| {
        *value += (hu - *value) * (0.5 - distance / pixel_mm).clamp(0.0, 1.0);
    };
    let p = anatomy.place(at, &findings.heart);
    anatomy.soft_tissue(&p, near.texture, |distance, hu| blend(&mut value, distance, hu));
    anatomy.blood(&p, &findings.chamber, |distance, hu| blend(&mut value, distance, hu));
    anatomy.bones(&p, near.texture, |distance, hu| blend(&mut value, distance, hu));

    let lung_hu = anatomy.hu.lung + 40.0 * (at.y / 90.0) + 14.0 * near.texture + anatomy.fissures(at);
    blend(&mut value, p.lung, lung_hu);
    blend(&mut value, near.vessel.max(p.lung + 1.0), anatomy.hu.blood * 0.6 + 15.0);
    let airway = near.airway.max(p.lung).min(anatomy.main_airways(at));
    if airway < 1.8 {
        blend(&mut value, airway - 1.8, -150.0);
    }
    blend(&mut value, airway, -985.0);

    let mut masks = 0;
    let mut mask = |is: bool, mask: Mask| masks |= if is { mask as u8 } else { 0 };
    let inside = p.lung < 0.0;
    mask(p.body < 0.0, Mask::Body);
    mask(inside && anatomy.is_right(at), Mask::RightLung);
    mask(inside && !anatomy.is_right(at), Mask::LeftLung);
    mask(findings.enlarged(anatomy, &p), Mask::Cardiomegaly);
    if let Some(share) = findings.emphysema(&p, near.index, near.vessel, pixel_mm) {
        value += (-975.0 - value) * share;
        mask(share > 0.0, Mask::Emphysema);
    }
    if let Some((distance, hu)) = findings.nodule(&p, near.texture) {
        blend(&mut value, distance, hu);
        mask(distance < 0.0, Mask::Nodule);
    }
    if let Some([distance, hu, rim]) = findings.effusion(anatomy, &p) {
        // The lung next to the fluid is compressed.
        if inside && (0.0..rim).contains(&distance) {
            value += 0.35 * (1.0 - distance / rim) * (-100.0 - value).max(0.0);
        }
        blend(&mut value, distance, hu + 3.0 * near.texture);
        mask(distance < 0.0 && inside, Mask::Effusion);
    }
    (value, masks)
}

/// How the patient lies in the scanner, and how it sees.
struct Scanner {
    pixel_mm: f32,
    /// Of the table's middle from the patient's, and the turn of the patient, radians.
    offset: [f32; 2],
    turn: f32,
    noise_hu: f32,
}

impl Scanner {
    fn draw(seed: u64) -> Self {
        let mut g = Stream::new(seed, "scanner");
        Self {
            pixel_mm: g.within(PIXEL_MM[0], PIXEL_MM[1]),
            offset: [g.within(-7.0, 7.0), g.within(-10.0, 4.0)],
            turn: g.within(-0.07, 0.07),
            noise_hu: g.within(8.0, 26.0),
        }
    }

    fn spacing(&self) -> [f32; 3] {
        [self.pixel_mm, self.pixel_mm, SLICE_MM]
    }

    /// Columns run to the patient's left, rows to the back, slices to the head.
    fn grid(&self) -> Grid {
        let [dx, dy, dz] = self.spacing().map(f64::from);
        let matrix = DMat3::from_diagonal(DVec3::new(-dx, -dy, dz));
        let middle = DVec3::from_array(SHAPE.map(|n| (n as f64 - 1.0) / 2.0));
        Grid { shape: SHAPE, world_from_voxel: DAffine3::from_mat3_translation(matrix, -(matrix * middle)) }
    }

    /// A voxel's place in the patient's own frame.
    fn place(&self, [i, j, k]: [usize; 3]) -> Vec3 {
        let [ni, nj, _] = SHAPE.map(|n| n as f32);
        let x = (i as f32 - (ni - 1.0) / 2.0) * self.pixel_mm - self.offset[0];
        let y = (j as f32 - (nj - 1.0) / 2.0) * self.pixel_mm - self.offset[1];
        let (sin, cos) = self.turn.sin_cos();
        Vec3::new(cos * x + sin * y, cos * y - sin * x, (k as f32 + 0.5) * SLICE_MM)
    }

    /// Distance of each pixel of a slice to the nearest segment, `FAR_MM` at most; each segment looks at its own box only.
    fn nearest(&self, segments: &[Segment], k: usize) -> Vec<f32> {
        const MARGIN_MM: f32 = 4.0;
        let [ni, nj, _] = SHAPE;
        let mut distances = vec![FAR_MM; ni * nj];
        let z = (k as f32 + 0.5) * SLICE_MM;
        let (sin, cos) = self.turn.sin_cos();
        for segment in segments {
            let reach = segment.radii[0].max(segment.radii[1]) + MARGIN_MM;
            if z < segment.from.z.min(segment.to.z) - reach || z > segment.from.z.max(segment.to.z) + reach {
                continue;
            }
            // Back from the patient's frame to pixels.
            let pixel = |p: Vec3| {
                let (x, y) = (cos * p.x - sin * p.y + self.offset[0], sin * p.x + cos * p.y + self.offset[1]);
                [x / self.pixel_mm + (ni as f32 - 1.0) / 2.0, y / self.pixel_mm + (nj as f32 - 1.0) / 2.0]
            };
            let (a, b) = (pixel(segment.from), pixel(segment.to));
            let range = |axis: usize, n: usize| {
                let (low, high) = (a[axis].min(b[axis]), a[axis].max(b[axis]));
                let reach = reach / self.pixel_mm;
                (low - reach).max(0.0) as usize..((high + reach).max(0.0) as usize + 1).min(n)
            };
            for j in range(1, nj) {
                for i in range(0, ni) {
                    let distance = &mut distances[i + ni * j];
                    *distance = distance.min(segment.at(self.place([i, j, k])));
                }
            }
        }
        distances
    }

    /// Noise of a reconstructed scan: correlated within a slice, without its slowest waves.
    fn add_noise(&self, seed: u64, hu: &mut [f32]) {
        let mut fine = smooth_noise(&mut Stream::new(seed, "noise"), SHAPE, [0.65, 0.65, 0.3]);
        let mut slow = fine.clone();
        smooth(&mut slow, SHAPE, [1.5, 1.5, 0.0]);
        fine.iter_mut().zip(&slow).for_each(|(fine, slow)| *fine -= 0.7 * slow);
        normalize(&mut fine);
        hu.iter_mut().zip(&fine).for_each(|(hu, noise)| *hu += noise * self.noise_hu);
    }
}
