//! Where in a patient a region lies, in words: its side, its third along the body or the lungs, and whether it lies in the lungs.

use glam::DVec3;
use serde::Serialize;

use crate::volume::Grid;

/// A side, a third or the lungs hold a region from this share of its voxels on, and have no part in it below the rest.
const NEARLY_ALL: f64 = 0.9;
/// Share of the lungs' or the body's voxels that lies beyond either end of what is divided into thirds: a stray voxel moves no third.
const STRAY: f64 = 0.005;
/// Heights are told apart to a thousandth of the grid.
const HEIGHTS: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Left,
    Right,
    Both,
}

/// A height in the patient, from the head down. Beyond the lungs there is something; beyond the body's ends nothing is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Above,
    Upper,
    Middle,
    Lower,
    Below,
}

impl Level {
    const ALL: [Self; 5] = [Self::Above, Self::Upper, Self::Middle, Self::Lower, Self::Below];

    fn name(self) -> &'static str {
        match self {
            Self::Above => "above the lungs",
            Self::Upper => "upper",
            Self::Middle => "middle",
            Self::Lower => "lower",
            Self::Below => "below the lungs",
        }
    }

    fn is_third(self) -> bool {
        matches!(self, Self::Upper | Self::Middle | Self::Lower)
    }
}

/// What is divided into thirds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ThirdsOf {
    Lungs,
    /// What of the body the scan shows.
    Body,
}

/// Where a region lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Location {
    /// "left, lower third, in the lungs".
    #[serde(rename = "place")]
    pub words: String,
    pub side: Side,
    /// Each holds a tenth of the region or more.
    pub levels: Vec<Level>,
    /// Share of the region within the lungs, where a segmenter said where these are.
    pub lung_share: Option<f64>,
}

/// The patient as places are told by it.
pub(super) struct Patient<'a> {
    pub(super) thirds_of: ThirdsOf,
    /// The middle of the body from right to left, RAS+ millimetres.
    midline_mm: f64,
    /// The lowest and the highest place of what is divided into thirds.
    heights_mm: [f64; 2],
    lungs: Option<&'a [bool]>,
}

/// How many voxels of a region lie where.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    all: usize,
    right: usize,
    by_level: [usize; Level::ALL.len()],
    lungs: usize,
}

impl<'a> Patient<'a> {
    /// The patient by masks over all voxels of a grid. Where there is no body, the grid stands for it.
    pub(super) fn of(grid: &Grid, body: &[bool], lungs: Option<&'a [bool]>) -> Self {
        let is_body = |at: usize| body.get(at).copied().unwrap_or(false);
        let body = Extent::of(grid, is_body).or_else(|| Extent::of(grid, |_| true));
        let body = body.unwrap_or(Extent { middle_mm: grid.center().x, heights_mm: [grid.center().z; 2] });
        let of_lungs = lungs.and_then(|lungs| Extent::of(grid, |at: usize| lungs.get(at).copied().unwrap_or(false)));
        let thirds_of = if of_lungs.is_some() { ThirdsOf::Lungs } else { ThirdsOf::Body };
        let heights_mm = of_lungs.map_or(body.heights_mm, |lungs| lungs.heights_mm);
        Self { thirds_of, midline_mm: body.middle_mm, heights_mm, lungs }
    }

    /// Counts a voxel: its index in the grid, and where it lies, RAS+ millimetres.
    pub(super) fn count(&self, tally: &mut Tally, at: usize, place: DVec3) {
        tally.all += 1;
        tally.right += usize::from(place.x > self.midline_mm);
        tally.by_level[self.level(place.z) as usize] += 1;
        tally.lungs += usize::from(self.lungs.is_some_and(|lungs| lungs.get(at).copied().unwrap_or(false)));
    }

    fn level(&self, height_mm: f64) -> Level {
        let [low, high] = self.heights_mm;
        let share = (height_mm - low) / (high - low).max(f64::MIN_POSITIVE);
        match (share, self.thirds_of) {
            (share, ThirdsOf::Lungs) if share > 1.0 => Level::Above,
            (share, ThirdsOf::Lungs) if share < 0.0 => Level::Below,
            (share, _) if share > 2.0 / 3.0 => Level::Upper,
            (share, _) if share < 1.0 / 3.0 => Level::Lower,
            _ => Level::Middle,
        }
    }

    pub(super) fn place(&self, tally: &Tally) -> Location {
        let share = |part: usize| part as f64 / tally.all.max(1) as f64;
        let side = match share(tally.right) {
            right if right >= NEARLY_ALL => Side::Right,
            right if right <= 1.0 - NEARLY_ALL => Side::Left,
            _ => Side::Both,
        };
        let has = |level: &Level| share(tally.by_level[*level as usize]) >= 1.0 - NEARLY_ALL;
        let levels: Vec<Level> = Level::ALL.into_iter().filter(has).collect();
        let lung_share = self.lungs.map(|_| share(tally.lungs));
        Location { words: words(side, &levels, lung_share), side, levels, lung_share }
    }
}

fn words(side: Side, levels: &[Level], lung_share: Option<f64>) -> String {
    let side = match side {
        Side::Left => "left",
        Side::Right => "right",
        Side::Both => "both sides",
    };
    let thirds: Vec<&str> = levels.iter().filter(|level| level.is_third()).map(|level| level.name()).collect();
    let thirds = match thirds.as_slice() {
        [] => None,
        [one] => Some(format!("{one} third")),
        [one, other] => Some(format!("{one} and {other} thirds")),
        _ => Some("all thirds".to_owned()),
    };
    let beyond = levels.iter().filter(|level| !level.is_third()).map(|level| level.name().to_owned());
    let lungs = lung_share.map(|share| match share {
        share if share >= NEARLY_ALL => "in the lungs".to_owned(),
        share if share <= 1.0 - NEARLY_ALL => "outside the lungs".to_owned(),
        _ => "partly in the lungs".to_owned(),
    });
    let parts = [Some(side.to_owned())].into_iter().flatten().chain(thirds).chain(beyond).chain(lungs);
    parts.collect::<Vec<_>>().join(", ")
}

/// Where the voxels of a mask lie.
struct Extent {
    /// Their mean from right to left, RAS+ millimetres.
    middle_mm: f64,
    /// The lowest and the highest place, strays left out.
    heights_mm: [f64; 2],
}

impl Extent {
    /// Nothing of an empty mask.
    fn of(grid: &Grid, is_in: impl Fn(usize) -> bool) -> Option<Self> {
        let [ni, nj, nk] = grid.shape;
        let (low, high) = heights(grid);
        let width = ((high - low) / HEIGHTS as f64).max(f64::MIN_POSITIVE);
        let (mut by_height, mut count, mut sum) = ([0_usize; HEIGHTS], 0_usize, 0.0);
        for k in 0..nk {
            for j in 0..nj {
                let place = |i: usize| grid.world_from_voxel.transform_point3(DVec3::new(i as f64, j as f64, k as f64));
                for i in (0..ni).filter(|i| is_in(i + ni * (j + nj * k))) {
                    let place = place(i);
                    count += 1;
                    sum += place.x;
                    by_height[(((place.z - low) / width) as usize).min(HEIGHTS - 1)] += 1;
                }
            }
        }
        let strays = (STRAY * count as f64) as usize;
        let first = beyond(strays, (0..HEIGHTS).map(|bin| (bin, by_height[bin])))?;
        let last = beyond(strays, (0..HEIGHTS).rev().map(|bin| (bin, by_height[bin])))?;
        let edge = |bin: usize| low + width * bin as f64;
        Some(Self { middle_mm: sum / count as f64, heights_mm: [edge(first), edge(last + 1)] })
    }
}

/// The first bin with which more than so many are counted.
fn beyond(strays: usize, mut bins: impl Iterator<Item = (usize, usize)>) -> Option<usize> {
    let mut seen = 0;
    let found = bins.find(|(_, count)| {
        seen += count;
        seen > strays
    });
    found.map(|(bin, _)| bin)
}

/// The lowest and the highest centre of a grid's voxels, millimetres towards the head.
fn heights(grid: &Grid) -> (f64, f64) {
    let last = grid.shape.map(|n| n.saturating_sub(1) as f64);
    let corner = |c: usize| {
        let at = [0, 1, 2].map(|axis| if c >> axis & 1 == 1 { last[axis] } else { 0.0 });
        grid.world_from_voxel.transform_point3(DVec3::from_array(at)).z
    };
    (0..8).map(corner).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), z| (low.min(z), high.max(z)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_said_in_words() {
        use Level::{Above, Below, Lower, Middle, Upper};
        assert_eq!(words(Side::Left, &[Lower], None), "left, lower third");
        assert_eq!(
            words(Side::Both, &[Upper, Middle], Some(0.95)),
            "both sides, upper and middle thirds, in the lungs"
        );
        assert_eq!(words(Side::Right, &[Upper, Middle, Lower], Some(0.5)), "right, all thirds, partly in the lungs");
        assert_eq!(
            words(Side::Right, &[Lower, Below], Some(0.0)),
            "right, lower third, below the lungs, outside the lungs"
        );
        assert_eq!(words(Side::Left, &[Above], Some(0.0)), "left, above the lungs, outside the lungs");
    }

    #[test]
    fn a_stray_voxel_moves_no_third() {
        let grid = Grid { shape: [100, 1, 100], world_from_voxel: glam::DAffine3::IDENTITY };
        // 100 wide from 20 to 79, and one voxel at 99.
        let mask: Vec<bool> = (0..10_000).map(|at| (20..80).contains(&(at / 100)) || at == 9_999).collect();
        let extent = Extent::of(&grid, |at| mask[at]).unwrap();
        let [low, high] = extent.heights_mm;
        assert!((low - 20.0).abs() < 0.2 && (high - 79.0).abs() < 0.2, "{low} to {high}");
        assert!(Extent::of(&grid, |_| false).is_none());
    }
}
