//! What is known of a scan while it is being opened: which one is meant, what its path holds, and a slice of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use image::RgbaImage;

use crate::frame::camera::Camera;
use crate::frame::paint::paint;
use crate::frame::{Layers, Look, Plane, Window};
use crate::io::{Arrival, Choice, Preview, Series, Which};
use crate::job::Latest;
use crate::volume::orientation::{AxisCodes, axis_codes};
use crate::volume::{Grid, Volume};

/// Pixels of a thumbnail, each way: as many as its place has on a screen of twice the usual density.
const THUMBNAIL_PIXELS: u32 = 112;
/// The window of a thumbnail, from air to bone: lungs and soft parts are told apart at a glance.
const THUMBNAIL: Window = Window { center_hu: -200.0, width_hu: 1600.0 };
/// A slice with nothing below this is not in HU, or shows no air: its own range is its window.
const AIR_HU: f32 = -500.0;

/// A slice that is there, ready to be drawn.
pub struct EarlySlice {
    /// The grid of the whole scan.
    pub grid: Grid,
    pub layers: Arc<Layers>,
    pub window: Window,
}

impl From<Preview> for EarlySlice {
    fn from(Preview { slice, grid, window_hu }: Preview) -> Self {
        let layers = Arc::new(Layers { scan: slice, shift: None, map: None });
        Self { grid, layers, window: Window::stored(window_hu) }
    }
}

/// The plane that a scan's slices lie in.
pub fn plane_of_slices(grid: &Grid) -> Plane {
    let AxisCodes([_, _, (world, _)]) = axis_codes(grid);
    [Plane::Sagittal, Plane::Coronal, Plane::Axial][world]
}

/// The scan that is being opened. Cloning gives another handle to the same.
#[derive(Clone, Default)]
pub struct Arriving {
    /// `None` for what is drawn.
    pub path: Option<PathBuf>,
    pub choice: Choice,
    pub slice: Latest<EarlySlice>,
    listing: Latest<Listing>,
}

impl Arriving {
    /// `known` is what the path is known to hold already.
    pub fn new(path: Option<PathBuf>, choice: Choice, known: Option<&Listing>) -> Self {
        let listing = Latest::default();
        if let Some(known) = known {
            listing.put(known.clone());
        }
        Self { path, choice, slice: Latest::default(), listing }
    }

    /// Keeps what has come. It is called by the one worker that opens the scan.
    pub fn take(&self, arrival: Arrival) {
        match arrival {
            Arrival::Slice(preview) => self.slice.put(EarlySlice::from(preview)),
            Arrival::Listed(series) => self.listing.put(Listing::of(series, self.listing.get().as_deref())),
            Arrival::Thumbnail(number, slice) => {
                if let Some(listing) = self.listing.get() {
                    self.listing.put(listing.with(number, &slice));
                }
            }
        }
    }

    pub fn listing(&self) -> Option<Arc<Listing>> {
        self.listing.get()
    }

    /// The number of the series that was asked for.
    pub fn asked(&self) -> Option<usize> {
        match self.choice.series.as_ref()? {
            Which::Number(number) => Some(*number),
            Which::Uid(uid) => {
                let listing = self.listing()?;
                listing.series.iter().find(|series| series.uid.as_ref() == Some(uid)).map(|series| series.number)
            }
        }
    }
}

/// The series that a path holds, with a small picture of each that has come.
#[derive(Clone)]
pub struct Listing {
    pub series: Vec<Series>,
    thumbnails: BTreeMap<usize, Arc<RgbaImage>>,
}

impl Listing {
    /// Thumbnails of the same list stay.
    pub fn of(series: Vec<Series>, before: Option<&Self>) -> Self {
        let same = before.filter(|before| before.series == series);
        let thumbnails = same.map(|before| before.thumbnails.clone()).unwrap_or_default();
        Self { series, thumbnails }
    }

    fn with(&self, number: usize, slice: &Volume) -> Self {
        let mut listing = self.clone();
        if let Some(picture) = thumbnail(slice) {
            listing.thumbnails.insert(number, Arc::new(picture));
        }
        listing
    }

    /// The picture of a series, where it has come.
    pub fn thumbnail(&self, number: usize) -> Option<&Arc<RgbaImage>> {
        self.thumbnails.get(&number)
    }
}

/// A slice drawn small, as the panes would draw it; `None` where there is nothing to draw.
pub(super) fn thumbnail(slice: &Volume) -> Option<RgbaImage> {
    let grid = slice.grid;
    if grid.is_empty() || !grid.world_from_voxel.is_finite() {
        return None;
    }
    let window =
        if slice.voxels.iter().any(|hu| hu < AIR_HU) { THUMBNAIL } else { Window::of(slice.voxels.iter().collect())? };
    let size = [THUMBNAIL_PIXELS; 2];
    let view = Camera::fit(&grid, plane_of_slices(&grid), size).view(&grid, size, Look::scan(window));
    Some(paint(&view, &Layers { scan: slice.clone(), shift: None, map: None }))
}

#[cfg(test)]
mod tests {
    use glam::{DAffine3, DMat3, DVec3};

    use super::*;
    use crate::volume::Grid;

    fn series(number: usize) -> Series {
        Series {
            number,
            uid: Some(format!("1.2.{number}")),
            modality: "CT".to_owned(),
            description: String::new(),
            kernel: None,
            slices: 3,
            size: [4, 5],
            spacing_mm: None,
            thickness_mm: None,
            unusable: None,
        }
    }

    /// The patient's right half is air, the left half water.
    fn slice() -> Volume {
        let grid = Grid { shape: [4, 5, 1], world_from_voxel: DAffine3::from_scale(DVec3::new(-1.0, -1.0, 1.0)) };
        Volume::from_f32(grid, (0..20).map(|i| if i % 4 < 2 { -1000.0 } else { 0.0 }).collect::<Vec<_>>())
    }

    #[test]
    fn a_thumbnail_shows_the_patients_right_at_the_left_and_the_whole_slice() {
        let picture = thumbnail(&slice()).unwrap();
        let side = THUMBNAIL_PIXELS as usize;
        let grey = |x: usize, y: usize| picture.get_pixel(x as u32, y as u32)[0];
        let middle = side / 2;
        assert_eq!(picture.dimensions(), (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS));
        assert!(grey(middle - 30, middle) == 0 && grey(middle + 30, middle) > 100, "air, then water");
        assert_eq!(grey(2, middle), 0, "five rows, four columns: nothing beside them");
        assert!(grey(middle + 30, 2) > 100 && grey(middle + 30, side - 3) > 100, "all rows");
    }

    #[test]
    fn a_slice_without_air_has_a_window_of_its_own_and_one_without_voxels_no_picture() {
        let Volume { grid, .. } = slice();
        let magnetic = Volume::from_f32(grid, (0..20).map(|i| i as f32 * 100.0).collect::<Vec<_>>());
        let greys: Vec<u8> = thumbnail(&magnetic).unwrap().pixels().map(|pixel| pixel[0]).collect();
        assert!(greys.iter().any(|grey| (60..200).contains(grey)) && greys.contains(&255));
        let nothing = Grid { shape: [0, 5, 1], ..grid };
        assert!(thumbnail(&Volume::from_f32(nothing, Vec::new())).is_none());
    }

    #[test]
    fn thumbnails_stay_while_the_list_is_the_same() {
        let arriving = Arriving::new(None, Choice { series: Some(Which::Uid("1.2.2".to_owned())), volume: None }, None);
        assert_eq!(arriving.asked(), None, "not listed yet");
        arriving.take(Arrival::Thumbnail(1, slice()));
        assert!(arriving.listing().is_none());
        arriving.take(Arrival::Listed(vec![series(1), series(2)]));
        arriving.take(Arrival::Thumbnail(2, slice()));
        assert_eq!(arriving.asked(), Some(2));
        let known = arriving.listing().unwrap();
        let again = Arriving::new(None, Choice::default(), Some(&known));
        for (list, kept) in [(vec![series(1), series(2)], 1), (vec![series(2)], 0)] {
            again.take(Arrival::Listed(list));
            assert_eq!(again.listing().unwrap().thumbnails.len(), kept);
        }
    }

    #[test]
    fn the_plane_is_the_one_that_the_slices_were_taken_in() {
        let (x, y, z) = (DVec3::X, DVec3::Y, DVec3::Z);
        for (columns, plane) in [
            ([-x, -y, z], Plane::Axial),
            ([x, z, -y], Plane::Coronal),
            ([-y, z, x], Plane::Sagittal),
            ([x, y, (z + 0.3 * y).normalize()], Plane::Axial),
        ] {
            let matrix = DMat3::from_cols(columns[0], columns[1], columns[2]);
            let grid =
                Grid { shape: [5, 6, 7], world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::ZERO) };
            assert_eq!(plane_of_slices(&grid), plane, "{columns:?}");
        }
    }
}
