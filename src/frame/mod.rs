//! What a picture shows, as one value, [`View`]. [`paint`] draws a view on the CPU, for files; [`crate::gpu`] draws it by a shader, on the
//! screen. A test holds the two equal.

pub mod camera;
pub mod colormap;
pub mod display;
pub mod measure;
pub mod paint;
mod shift;
mod size_map;

use glam::{DAffine3, DVec3};
use serde::{Deserialize, Serialize};

pub use self::shift::{HEATMAPS, Shift};
pub use self::size_map::{Overlaid, SizeMap};
use crate::latent_shift::HeatmapMethod;
use crate::pipeline::Inserted;
use crate::volume::Volume;
use crate::volume::phantom::Finding;

/// An anatomical plane, along the shown grid's own axes, so that slices are the scan's slices even where it is oblique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Plane {
    #[default]
    Axial,
    Coronal,
    Sagittal,
}

/// A display window in HU.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub center_hu: f32,
    pub width_hu: f32,
}

impl Window {
    /// The window of a scan that says centre and width, HU; the preset for soft tissue where it says none.
    pub fn stored(window_hu: Option<[f32; 2]>) -> Self {
        window_hu.map_or(PRESETS[0].1, |[center_hu, width_hu]| Self { center_hu, width_hu })
    }

    /// The window from the 1st to the 99th percentile of the numbers that are seen; `None` where none are.
    pub fn of(mut values_hu: Vec<f32>) -> Option<Self> {
        const NARROWEST_HU: f32 = 10.0;
        values_hu.retain(|value| value.is_finite());
        values_hu.sort_unstable_by(f32::total_cmp);
        let last = values_hu.len().checked_sub(1)?;
        let [low, high] = [0.01, 0.99].map(|share| values_hu[(last as f64 * share).round() as usize]);
        Some(Self { center_hu: f32::midpoint(low, high), width_hu: (high - low).max(NARROWEST_HU) })
    }
}

/// The colours of a window, from its lower end to its upper one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Map {
    #[default]
    Grey,
    /// matplotlib's map, whose steps are equally bright for readers of any colour vision.
    Viridis,
    /// Black, red, yellow, white.
    Hot,
}

/// The colours of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Ends {
    /// Blue below, red above, black at 0.
    #[default]
    BlueRed,
    /// Moreland's (2009): blue below, red above, light grey at 0.
    CoolWarm,
}

/// How numbers become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shade {
    /// The numbers of a window; `inverted`: its upper end has the colour of the lower one.
    Window { window: Window, map: Map, inverted: bool },
    /// Signed numbers: the colours saturate at +-`scale_hu`, and numbers below +-`threshold_hu` count as 0. A heatmap has the upper
    /// half of the colours.
    Difference { scale_hu: f32, threshold_hu: f32, ends: Ends },
}

impl Shade {
    /// A window in grey.
    pub fn grey(window: Window) -> Self {
        Self::Window { window, map: Map::Grey, inverted: false }
    }

    /// A difference in blue and red.
    pub fn difference(scale_hu: f32, threshold_hu: f32) -> Self {
        Self::Difference { scale_hu, threshold_hu, ends: Ends::BlueRed }
    }
}

/// The difference, or a map, laid over a grey picture: as dense as it is large, `opacity` (`0..=1`) where it saturates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlay {
    pub of: Overlaid,
    /// HU; of a map shares of its own scale.
    pub scale_hu: f32,
    pub threshold_hu: f32,
    pub opacity: f32,
}

/// What pictures are made of, HU: the scan on its own grid, and what the networks made of it on theirs.
#[derive(Debug, Clone)]
pub struct Layers {
    pub scan: Volume,
    /// What the networks made; `None` before there is a result.
    pub shift: Option<Shift>,
    /// The map that an overlay reads; `None` where there is none.
    pub map: Option<SizeMap>,
}

/// The number of the voxel nearest to a place in world space; `None` outside the volume.
pub fn nearest_voxel(volume: &Volume, world: DVec3) -> Option<[usize; 3]> {
    let at = volume.grid.voxel_from_world().transform_point3(world).round().to_array();
    let inside = (0..3).all(|axis| at[axis] >= 0.0 && at[axis] < volume.grid.shape[axis] as f64);
    inside.then(|| at.map(|x| x as usize))
}

/// Lambda with four digits that count, since its size means something else for every model: "-4110", "0.01200".
pub fn lambda_text(lambda: f64) -> String {
    const DIGITS: i32 = 4;
    if lambda == 0.0 {
        return "0".to_owned();
    }
    let decimals = (DIGITS - 1 - lambda.abs().log10().floor() as i32).clamp(0, 9);
    format!("{lambda:.*}", decimals as usize)
}

/// Which numbers of `Layers` are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Scan,
    /// The step at lambda 0, also where it lies outside the slab.
    Reconstruction,
    /// The step as the autoencoder draws it.
    Decoded,
    /// The scan, sharp, plus the difference: what changed, and nothing that the autoencoder lost.
    DetailKept,
    /// Step minus reconstruction; 0 outside the slab.
    Difference,
    /// The largest difference, of either sign, along the line of sight through the whole patient.
    Projection,
    /// Where the whole sweep changed, by one of the ways to add it up; never negative, 0 outside the slab.
    Heatmap(HeatmapMethod),
}

/// Which lambda generated pixels belong to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Generated {
    /// One lambda.
    At(f64),
    /// All lambdas of a sweep.
    Sweep,
    /// One lambda, which is not told to a reader of a blinded study.
    Untold,
    /// None: a finding was drawn into the scan, at so much of its dial.
    Finding(Finding, f32),
}

impl Generated {
    /// Whether the pixels come from the autoencoder.
    pub fn has_lambda(self) -> bool {
        !matches!(self, Self::Finding(..))
    }

    /// What marks pictures of a scan that a finding was drawn into.
    pub fn of(inserted: &Inserted) -> Self {
        Self::Finding(inserted.asked.finding, inserted.asked.dial)
    }
}

/// How numbers between voxels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Sampling {
    #[default]
    Linear,
    Nearest,
}

/// What a picture shows and in which colours, wherever the camera is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub content: Content,
    /// Place along the steps; between two, they are blended linearly.
    pub step: f32,
    pub shade: Shade,
    pub overlay: Option<Overlay>,
    pub sampling: Sampling,
}

impl Look {
    /// The scan in a window.
    pub fn scan(window: Window) -> Self {
        let (content, shade) = (Content::Scan, Shade::grey(window));
        Self { content, step: 0.0, shade, overlay: None, sampling: Sampling::Linear }
    }

    /// The colours that need a legend, and the numbers at their ends; none of a plain grey picture. `map` is what an overlay of one reads.
    pub fn legend(&self, map: Option<&SizeMap>) -> Option<Legend> {
        let lowest = if matches!(self.content, Content::Heatmap(_)) { 0.0 } else { -1.0 };
        match (self.shade, self.overlay) {
            (shade @ Shade::Difference { scale_hu, .. }, _) => {
                Some(Legend { ends_hu: [lowest * scale_hu, scale_hu], shade, top: None })
            }
            (_, Some(Overlay { of, scale_hu, threshold_hu, .. })) => {
                let shade = Shade::difference(scale_hu, threshold_hu);
                match of {
                    Overlaid::Difference => Some(Legend { ends_hu: [-scale_hu, scale_hu], shade, top: None }),
                    Overlaid::Map => Some(Legend { ends_hu: [0.0, scale_hu], shade, top: Some(map?.top.clone()) }),
                }
            }
            (shade @ Shade::Window { window, map, .. }, None) => {
                let half = window.width_hu / 2.0;
                let ends_hu = [-half, half].map(|x| window.center_hu + x);
                (map != Map::Grey).then_some(Legend { ends_hu, shade, top: None })
            }
        }
    }

    /// Whether the picture shows anything that the networks made.
    pub fn needs_shift(&self) -> bool {
        self.content != Content::Scan || self.overlay.is_some_and(|overlay| overlay.of == Overlaid::Difference)
    }

    /// Whether the picture shows a map.
    pub fn needs_map(&self) -> bool {
        self.overlay.is_some_and(|overlay| overlay.of == Overlaid::Map)
    }
}

/// What stands beside a picture in colours.
#[derive(Debug, Clone, PartialEq)]
pub struct Legend {
    /// The numbers at the lower and at the upper end, HU.
    pub ends_hu: [f32; 2],
    pub shade: Shade,
    /// What the upper end of a map means, in words; the lower one is 0.
    pub top: Option<String>,
}

impl Legend {
    /// What is written from the upper end to the lower one, each with its place from the top, `0..=1`.
    pub fn labels(&self) -> Vec<(f32, String)> {
        if let Some(top) = &self.top {
            return vec![(0.0, top.clone()), (1.0, "0".to_owned())];
        }
        let [low, high] = self.ends_hu;
        let plus = if matches!(self.shade, Shade::Difference { .. }) && low < 0.0 { "+" } else { "" };
        let number = |hu: f32| if hu < 0.0 { format!("−{:.0}", -hu) } else { format!("{hu:.0}") };
        let ends = [(0.0, format!("{plus}{} HU", number(high))), (1.0, format!("{} HU", number(low)))];
        let middle = (low < 0.0 && high == -low).then(|| (0.5, "0".to_owned()));
        ends.into_iter().chain(middle).collect()
    }

    /// Red, green, blue, `0..=1`, at a place from the top.
    pub fn color(&self, place: f32) -> [f32; 3] {
        let [low, high] = self.ends_hu;
        colormap::color(high + (low - high) * place, self.shade)
    }
}

/// One picture: every pixel's place in patient space, what is read there, and how it is coloured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Pixels across and down.
    pub size: [u32; 2],
    /// Pixel centre `(x, y, 0)` to RAS+ millimetres; z is one millimetre towards the next slice.
    pub world_from_pixel: DAffine3,
    pub look: Look,
}

/// Name, centre and width. Source: OHIF's and 3D Slicer's presets; "Model input" is what the networks see.
pub const PRESETS: [(&str, Window); 9] = [
    ("Soft tissue", Window { center_hu: 40.0, width_hu: 400.0 }),
    ("Lung", Window { center_hu: -600.0, width_hu: 1500.0 }),
    ("Bone", Window { center_hu: 400.0, width_hu: 1800.0 }),
    ("Brain", Window { center_hu: 40.0, width_hu: 80.0 }),
    ("Liver", Window { center_hu: 80.0, width_hu: 150.0 }),
    ("Abdomen", Window { center_hu: 40.0, width_hu: 350.0 }),
    ("CT angio", Window { center_hu: 170.0, width_hu: 600.0 }),
    ("Airways", Window { center_hu: -426.0, width_hu: 1000.0 }),
    ("Model input", Window { center_hu: 0.0, width_hu: 2000.0 }),
];

#[cfg(test)]
mod tests {
    use super::lambda_text;

    #[test]
    fn a_lambda_of_any_size_keeps_four_digits() {
        let said = [0.0, -4109.66, -679_351.2, 0.012, -12.5].map(lambda_text);
        assert_eq!(said, ["0", "-4110", "-679351", "0.01200", "-12.50"]);
    }
}
