//! Masks: which voxels of a scan a person, or another program, has marked; from a file of volumes, or a DICOM segmentation.

use std::ops::Range;
use std::path::Path;

use glam::DVec3;

use super::source::Source;
use super::{Error, Note, check_grid, counted, dicom, open, reserve};
use crate::job::{Cancelled, Monitor};
use crate::volume::Grid;
use crate::volume::border::border;

/// A voxel is inside from here on: labels are whole numbers, and masks that were resampled cross it halfway.
const INSIDE: f32 = 0.5;
/// Grids whose corners lie nearer to each other than this are one grid: headers round to hundredths of a millimetre.
const SAME_GRID_MM: f64 = 0.05;
/// A mask that was kept has no more voxels than this: a scan of 1024 x 1024 x 512.
pub const MOST_KEPT_VOXELS: usize = 1 << 29;

/// Voxels that are marked, on a grid of their own.
#[derive(Debug, Clone)]
pub struct Mask {
    pub grid: Grid,
    pub inside: Vec<bool>,
    /// "NIfTI-1, Int16", or "DICOM segmentation": for people.
    pub format: String,
    /// What was done to hold it against a scan.
    pub notes: Vec<Note>,
    /// The box of the marked voxels.
    within: [Range<usize>; 3],
}

impl Mask {
    /// Opens a mask of a scan on the grid `of`.
    ///
    /// # Errors
    /// Where the file is no volume and no binary segmentation, nothing is marked, or what is marked lies beside the scan.
    pub fn open(path: &Path, of: &Grid, monitor: &Monitor) -> Result<Self, Error> {
        let unsuitable = |what: String| Error::Unsuitable { what, path: path.to_owned() };
        let segmented = if path.is_file() {
            dicom::segmentation::read(&Source::File(path.to_owned())).map_err(|refused| refused.at(path))?
        } else {
            None
        };
        let mut mask = if let Some(dicom::segmentation::Segmentation { grid, inside, segments }) = segmented {
            check_grid(&grid).map_err(unsuitable)?;
            let together = Note::fact(format!("the mask is its {} together", counted(segments, "segment")));
            let notes = if segments > 1 { vec![together] } else { Vec::new() };
            Self::new(grid, inside, "DICOM segmentation".to_owned(), notes)
        } else {
            let scan = open(path, monitor)?;
            let inside: Vec<bool> = scan.volume.voxels.iter().map(|number| number >= INSIDE).collect();
            let is_whole = scan.volume.voxels.iter().all(|number| number.fract() == 0.0 || !number.is_finite());
            let of_shares = "the mask holds numbers between whole ones, as resampled masks and probabilities do: a voxel is marked from 0.5 on";
            let notes = if is_whole { Vec::new() } else { vec![Note::caution(of_shares.to_owned())] };
            Self::new(scan.volume.grid, inside, scan.format, notes)
        };
        let marked = mask.marked();
        if marked == 0 {
            return Err(unsuitable("a mask in which no voxel is marked, where one has numbers from 0.5 on".to_owned()));
        }
        if !is_same(&mask.grid, of) {
            let there = mask.marked_within(of);
            if there == 0 {
                return Err(unsuitable(
                    "a mask whose marked voxels all lie beside the scan; choose one that was drawn on this scan"
                        .to_owned(),
                ));
            }
            let beyond = counted(marked - there, "marked voxel");
            let cut = if there < marked { format!("; {beyond} lie beside the scan") } else { String::new() };
            if !is_aligned(&mask.grid, of) {
                mask.notes.push(Note::caution(format!(
                    "the mask is on another grid than the scan: each voxel takes the mask's voxel that it lies in{cut}"
                )));
            } else if there < marked {
                mask.notes.push(Note::caution(format!("the mask reaches beyond the scan{cut}")));
            }
        }
        Ok(mask)
    }

    /// A mask that was kept: `marks` are those of a box of its voxels, `i` fastest.
    ///
    /// # Errors
    /// What cannot be of a mask.
    pub fn kept(
        grid: Grid,
        within: &[Range<usize>; 3],
        marks: &[bool],
        format: String,
        notes: Vec<Note>,
    ) -> Result<Self, String> {
        check_grid(&grid)?;
        let is_box = (0..3).all(|axis| within[axis].start < within[axis].end && within[axis].end <= grid.shape[axis]);
        let voxels = within.iter().map(ExactSizeIterator::len).product::<usize>();
        if !is_box || voxels != marks.len() || grid.len() > MOST_KEPT_VOXELS {
            return Err(format!("a mask of {} voxels within {within:?} of {:?}", marks.len(), grid.shape));
        }
        let mut inside = reserve(grid.len())?;
        inside.resize(grid.len(), false);
        let [ni, nj, _] = grid.shape;
        let places = among([ni, nj], within);
        places.zip(marks).for_each(|(at, mark)| inside[at] = *mark);
        Ok(Self::new(grid, inside, format, notes))
    }

    /// The box of the marked voxels.
    pub fn within(&self) -> &[Range<usize>; 3] {
        &self.within
    }

    /// The places of that box in [`Self::inside`], `i` fastest.
    pub fn box_voxels(&self) -> impl Iterator<Item = usize> {
        let [ni, nj, _] = self.grid.shape;
        among([ni, nj], &self.within)
    }

    fn new(grid: Grid, inside: Vec<bool>, format: String, notes: Vec<Note>) -> Self {
        let [ni, nj, _] = grid.shape;
        let mut ends = [[usize::MAX, 0]; 3];
        for at in inside.iter().enumerate().filter_map(|(at, is)| is.then_some(at)) {
            for ([first, end], at) in ends.iter_mut().zip([at % ni, at / ni % nj, at / (ni * nj)]) {
                (*first, *end) = ((*first).min(at), (*end).max(at + 1));
            }
        }
        let within = ends.map(|[first, end]| first..end);
        Self { grid, inside, format, notes, within }
    }

    /// How many voxels are marked.
    pub fn marked(&self) -> usize {
        self.inside.iter().filter(|is| **is).count()
    }

    /// What the marked voxels take up, millilitres.
    pub fn volume_ml(&self) -> f64 {
        self.grid.world_from_voxel.matrix3.determinant().abs() / 1000.0 * self.marked() as f64
    }

    /// Lines around it in a plane through a place, as [`border`] has them.
    pub fn outline(&self, across: usize, place: DVec3) -> Vec<[DVec3; 2]> {
        let [ni, nj, nk] = self.grid.shape;
        border(&self.grid, &self.within, across, place, |[i, j, k]| {
            i < ni && j < nj && k < nk && self.inside.get(i + ni * (j + nj * k)).copied().unwrap_or(false)
        })
    }

    /// How many of its voxels lie within a grid.
    fn marked_within(&self, grid: &Grid) -> usize {
        let theirs_from_ours = grid.voxel_from_world() * self.grid.world_from_voxel;
        let [ni, nj, _] = self.grid.shape;
        let is_there = |at: usize| {
            let voxel = DVec3::from_array([at % ni, at / ni % nj, at / (ni * nj)].map(|n| n as f64));
            nearest(theirs_from_ours.transform_point3(voxel), grid.shape).is_some()
        };
        self.inside.iter().enumerate().filter(|(at, is)| **is && is_there(*at)).count()
    }

    /// Whether each voxel of a grid is inside, `i` fastest: it takes the mask's voxel that it lies in, and beyond the mask nothing is.
    pub fn on(&self, grid: &Grid, monitor: &Monitor) -> Result<Vec<bool>, Cancelled> {
        if is_same(&self.grid, grid) {
            return Ok(self.inside.clone());
        }
        let ours_from_theirs = self.grid.voxel_from_world() * grid.world_from_voxel;
        let [ni, nj, nk] = grid.shape;
        let [columns, rows, _] = self.grid.shape;
        let mut on = Vec::with_capacity(grid.len());
        for k in 0..nk {
            monitor.check()?;
            for j in 0..nj {
                on.extend((0..ni).map(|i| {
                    let voxel = ours_from_theirs.transform_point3(DVec3::from_array([i, j, k].map(|n| n as f64)));
                    let near = nearest(voxel, self.grid.shape);
                    near.and_then(|[i, j, k]| self.inside.get(i + columns * (j + rows * k))).copied().unwrap_or(false)
                }));
            }
        }
        Ok(on)
    }
}

/// The places of a box among voxels of so many columns and rows, `i` fastest.
fn among([ni, nj]: [usize; 2], [i, j, k]: &[Range<usize>; 3]) -> impl Iterator<Item = usize> {
    let (i, j, k) = (i.clone(), j.clone(), k.clone());
    k.flat_map(move |k| {
        let i = i.clone();
        j.clone().flat_map(move |j| i.clone().map(move |i| i + ni * (j + nj * k)))
    })
}

/// The voxel that a place among voxels lies in.
fn nearest(place: DVec3, shape: [usize; 3]) -> Option<[usize; 3]> {
    let near = place.round().to_array();
    let is_there = (0..3).all(|axis| near[axis] >= 0.0 && near[axis] < shape[axis] as f64);
    is_there.then(|| near.map(|n| n as usize))
}

/// Whether two grids have their voxels at the same places, in the same order.
fn is_same(a: &Grid, b: &Grid) -> bool {
    let ends = a.shape.map(|n| n as f64);
    let corner =
        |at: usize| DVec3::from_array([0, 1, 2].map(|axis| if at >> axis & 1 == 1 { ends[axis] } else { 0.0 }));
    let apart = |at: usize| {
        let [a, b] = [a, b].map(|grid| grid.world_from_voxel.transform_point3(corner(at)));
        a.distance(b)
    };
    a.shape == b.shape && (0..8).all(|at| apart(at) <= SAME_GRID_MM)
}

/// Whether each voxel of one grid is one of the other's, or would be if that went on: a segmentation has only the slices that it needs.
fn is_aligned(a: &Grid, b: &Grid) -> bool {
    const NEAR: f64 = 0.05;
    let b_from_a = b.voxel_from_world() * a.world_from_voxel;
    let ends = DVec3::from_array(a.shape.map(|n| n as f64));
    let places = [DVec3::ZERO, DVec3::X, DVec3::Y, DVec3::Z, ends];
    let is_whole = |place: &DVec3| {
        let there = b_from_a.transform_point3(*place);
        (there - there.round()).abs().max_element() <= NEAR
    };
    (b_from_a.matrix3.determinant().abs() - 1.0).abs() <= NEAR && places.iter().all(is_whole)
}
