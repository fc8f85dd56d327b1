//! Findings drawn into real scans: what is there is known to the voxel, and how much of it by a dial.
//!
//! The lungs of the scan say where a finding may lie, its own tissue which HU, noise and edges it has. Where anatomy leaves no place,
//! that is an error in words. Lengths are millimetres in patient space (RAS+).

mod canvas;
mod coarse;
mod effusion;
mod emphysema;
mod heart;
mod lungs;
mod nodule;
mod paint;
mod scanner;

use std::str::FromStr;

use glam::DVec3;
use serde::{Deserialize, Serialize};

use self::canvas::Canvas;
use self::coarse::Coarse;
pub use self::lungs::Found;
use self::lungs::{LEAST_ML, Lungs};
use self::scanner::Scanner;
use crate::job::{Cancelled, Monitor};
use crate::volume::phantom::Finding;
use crate::volume::{Grid, Volume};

/// A scan that shows space has at least so many voxels along each axis.
const FEWEST_VOXELS: usize = 5;
/// Voxels that lie farther apart show no finding: along the axis where they do most, and along the other two.
const COARSEST_MM: [f64; 2] = [10.5, 5.0];
/// Voxels that are so many times longer than wide show no shape.
const MOST_UNEVEN: f64 = 20.0;

/// How the patient lies, which says where fluid gathers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lying {
    /// On the back, as for nearly all CT of the chest.
    #[default]
    Supine,
    Prone,
    /// On the right or the left: where fluid gathers then is not drawn.
    #[serde(rename = "on a side")]
    OnSide,
}

impl Lying {
    /// The name that is typed on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Supine => "supine",
            Self::Prone => "prone",
            Self::OnSide => "on a side",
        }
    }

    /// As DICOM's Patient Position says it (PS3.3 C.7.3.1.1.2), "HFS", "FFP" or "HFDL"; on the back where it says nothing, or something else.
    pub fn of_position(said: Option<&str>) -> Self {
        match said.map(str::trim) {
            Some("HFP" | "FFP") => Self::Prone,
            Some("HFDR" | "HFDL" | "FFDR" | "FFDL") => Self::OnSide,
            _ => Self::Supine,
        }
    }
}

impl FromStr for Lying {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "supine" => Ok(Self::Supine),
            "prone" => Ok(Self::Prone),
            _ => Err(format!("no position {name:?}; there are supine, prone")),
        }
    }
}

/// Why a finding has no place in a scan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoPlace {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("the dial is {0}; choose 0 (none) to 1 (severe)")]
    Dial(f32),
    #[error("the scan has {shape:?} voxels; a finding needs at least {FEWEST_VOXELS} along each axis")]
    Flat { shape: [usize; 3] },
    #[error(
        "the voxels are {spacing_mm:?} mm apart; a finding needs {} mm or less, {} between slices, and no more than {MOST_UNEVEN:.0} \
         times as much along one axis as along another",
        COARSEST_MM[1],
        COARSEST_MM[0]
    )]
    Coarse { spacing_mm: [f64; 3] },
    #[error("no lung in view: {ml:.0} ml of the scan look like lung, {LEAST_ML:.0} ml at least are needed")]
    NoLung { ml: f64 },
    #[error("no room for a nodule of {asked_mm:.0} mm: the largest that fits in the lung in view has {most_mm:.0} mm")]
    NoRoom { asked_mm: f32, most_mm: f32 },
    #[error("a nodule of {asked_mm:.1} mm is smaller than two voxels of {voxel_mm:.1} mm")]
    BelowVoxel { asked_mm: f32, voxel_mm: f64 },
    #[error("no room for fluid: no lung in view has a wall below it as the patient lies")]
    NoPleura,
    #[error(
        "the patient lies on a side (Patient Position (0018,5100)), and fluid is drawn for one on the back or the front alone; choose one of \
         them (--position) to draw it all the same"
    )]
    OnSide,
    #[error("no heart seen: nothing as wide as one lies between two lungs in view")]
    NoHeart,
    #[error("nothing of the finding is as large as a voxel at the dial {0}")]
    Nothing(f32),
}

/// A scan into which findings are drawn: its lungs, and how its scanner shows things. Found once, used for many findings.
pub struct Chest {
    scan: Volume,
    lungs: Lungs,
    scanner: Scanner,
    lying: Lying,
}

/// A scan with a finding drawn into it.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub finding: Finding,
    pub dial: f32,
    pub seed: u64,
    /// On the scan's own grid, of its own kind of numbers, within their range.
    pub volume: Volume,
    /// Whether each voxel is of the finding: more than half of it is.
    pub mask: Vec<bool>,
    /// What the finding adds to the scan within the mask, on the mean, HU; 0 where nothing is drawn.
    pub strength_hu: f64,
    /// Where and how large, in words.
    pub words: String,
    /// Farther than this from the mask, millimetres, nothing is changed: edges blur, fluid presses on lung, a heart moves with all that
    /// is in it.
    pub reach_mm: f64,
}

impl Drawn {
    /// How much of the scan is of the finding, millilitres.
    pub fn volume_ml(&self) -> f64 {
        let voxels = self.mask.iter().filter(|is_in| **is_in).count();
        voxels as f64 * self.volume.grid.world_from_voxel.matrix3.determinant().abs() / 1000.0
    }
}

impl Chest {
    /// Looks for the lungs of a scan, in HU; `found` are lungs that someone else has found.
    ///
    /// # Errors
    /// Where the scan is no volume that a finding can be drawn into, or shows no lung.
    pub fn of(scan: &Volume, lying: Lying, found: Option<Found>, monitor: &Monitor) -> Result<Self, NoPlace> {
        check(&scan.grid)?;
        let coarse = Coarse::of(scan, monitor)?;
        let lungs = Lungs::of(coarse, found, monitor)?;
        monitor.check()?;
        Ok(Self { scan: scan.clone(), lungs, scanner: Scanner::of(scan), lying })
    }

    /// The scan as it is.
    pub fn scan(&self) -> &Volume {
        &self.scan
    }

    /// The deviation of the noise that the scan has in even tissue, HU.
    pub fn noise_hu(&self) -> f32 {
        self.scanner.noise_hu()
    }

    /// Draws a finding. The same seed and dial give the same voxels; another dial gives more or less of it at the same place, and 0 gives
    /// the scan as it is.
    ///
    /// # Errors
    /// Where it has no place.
    pub fn draw(&self, finding: Finding, dial: f32, seed: u64, monitor: &Monitor) -> Result<Drawn, NoPlace> {
        if !(0.0..=1.0).contains(&dial) {
            return Err(NoPlace::Dial(dial));
        }
        let mut drawn = Drawn {
            finding,
            dial,
            seed,
            volume: self.scan.clone(),
            mask: vec![false; self.scan.grid.len()],
            strength_hu: 0.0,
            words: "none".to_owned(),
            reach_mm: 0.0,
        };
        if dial == 0.0 {
            return Ok(drawn);
        }
        let mut canvas = Canvas::of(&self.scan);
        drawn.words = match finding {
            Finding::Nodule => nodule::draw(self, dial, seed, &mut canvas, monitor)?,
            Finding::Effusion => effusion::draw(self, dial, seed, &mut canvas, monitor)?,
            Finding::Emphysema => emphysema::draw(self, dial, seed, &mut canvas, monitor)?,
            Finding::Cardiomegaly => heart::draw(self, dial, &mut canvas, monitor)?,
        };
        (drawn.volume, drawn.mask) = canvas.finish();
        drawn.strength_hu = strength_hu(&self.scan, &drawn).ok_or(NoPlace::Nothing(dial))?;
        drawn.reach_mm = self.reach_mm(&drawn);
        Ok(drawn)
    }
}

impl Chest {
    /// How far from the mask anything was changed, at most: measured between cells, with their size added.
    fn reach_mm(&self, drawn: &Drawn) -> f64 {
        let coarse = &self.lungs.coarse;
        let [ni, nj, _] = self.scan.grid.shape;
        let cell = |at: usize| {
            let voxel = [at % ni, at / ni % nj, at / (ni * nj)].map(|n| n as f64);
            coarse.cell(self.scan.grid.world_from_voxel.transform_point3(DVec3::from_array(voxel)))
        };
        let mut is_marked = vec![false; coarse.grid.len()];
        (0..drawn.mask.len()).filter(|at| drawn.mask[*at]).for_each(|at| is_marked[cell(at)] = true);
        let away = coarse.distances_mm(|cell| is_marked[cell]);
        let is_changed = |at: &usize| self.scan.voxels.at(*at) != drawn.volume.voxels.at(*at);
        let farthest = (0..drawn.mask.len()).filter(is_changed).map(|at| away[cell(at)]).fold(0.0, f32::max);
        f64::from(farthest) + coarse.cell_mm * 3.0_f64.sqrt()
    }
}

/// The mean of what was added within the mask; `None` of an empty one.
fn strength_hu(scan: &Volume, drawn: &Drawn) -> Option<f64> {
    let marked = drawn.mask.iter().enumerate().filter(|(_, is_in)| **is_in);
    let added = |at: usize| f64::from(drawn.volume.voxels.at(at)) - f64::from(scan.voxels.at(at));
    let (sum, count) = marked.fold((0.0, 0_usize), |(sum, count), (at, _)| (sum + added(at), count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Refuses grids that no finding can be drawn into.
fn check(grid: &Grid) -> Result<(), NoPlace> {
    if grid.shape.iter().any(|n| *n < FEWEST_VOXELS) {
        return Err(NoPlace::Flat { shape: grid.shape });
    }
    let spacing_mm = grid.spacing_mm();
    let mut sorted = spacing_mm;
    sorted.sort_by(f64::total_cmp);
    let is_fine = sorted[2] <= COARSEST_MM[0] && sorted[1] <= COARSEST_MM[1] && sorted[2] <= MOST_UNEVEN * sorted[0];
    if is_fine {
        Ok(())
    } else {
        Err(NoPlace::Coarse { spacing_mm: spacing_mm.map(|mm| (mm * 100.0).round() / 100.0) })
    }
}
