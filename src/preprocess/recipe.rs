//! What a network was fed in training, as a model card says it.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a network was trained on. Axes of scans count towards R, A, S: the patient's right, front and head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, from = "Lines")]
pub struct Recipe {
    /// Distance between voxel centres towards R, A, S; 0 is the scan's own.
    pub spacing_mm: [f64; 3],
    /// Voxels towards R, A, S; 0 is as many as there are.
    pub size: [usize; 3],
    /// How a scan comes to this size.
    #[serde(skip_serializing_if = "is_default")]
    pub fit: Fit,
    /// A scan is first cropped to the box of what lies above so many HU.
    #[serde(skip_serializing_if = "is_default")]
    pub foreground_hu: Option<f32>,
    /// HU that become 0 and 1.
    pub hu: [f32; 2],
    /// Windows in HU, one channel each; none is the one window of `hu`.
    #[serde(skip_serializing_if = "is_default")]
    pub windows: Vec<[f32; 2]>,
    /// Whether values beyond a window become those at its edge.
    #[serde(skip_serializing_if = "is_true")]
    pub clip: bool,
    /// What 0 and 1 become in the network's tensor.
    #[serde(skip_serializing_if = "is_unit")]
    pub range: [f32; 2],
    /// Whether the mean of the prepared scan becomes 0 and its standard deviation 1, in place of `range`.
    #[serde(skip_serializing_if = "is_default")]
    pub z_score: bool,
    /// HU where a smaller scan is padded; none is the lower of `hu`.
    #[serde(skip_serializing_if = "is_default")]
    pub pad_hu: Option<f32>,
    /// How often a single channel is repeated.
    #[serde(skip_serializing_if = "is_one")]
    pub channels: usize,
    /// Which way the axes of the network's tensor run, behind batch and channels.
    #[serde(skip_serializing_if = "is_default")]
    pub axes: Axes,
    /// How the answers to single slices become one; for networks whose tensor has two axes.
    #[serde(skip_serializing_if = "is_default")]
    pub over_slices: OverSlices,
}

/// The toml table, with the shorter words that cards may use.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Lines {
    spacing_mm: [f64; 3],
    size: Option<[usize; 3]>,
    /// Rows and columns of a slice, with as many slices as there are: a word for `size`.
    side: Option<usize>,
    fit: Fit,
    foreground_hu: Option<f32>,
    hu: Option<[f32; 2]>,
    windows: Vec<[f32; 2]>,
    clip: bool,
    range: [f32; 2],
    z_score: bool,
    pad_hu: Option<f32>,
    channels: usize,
    axes: Axes,
    over_slices: OverSlices,
}

impl Default for Lines {
    fn default() -> Self {
        let Recipe { spacing_mm, fit, clip, range, channels, axes, .. } = Recipe::default();
        Self {
            spacing_mm,
            size: None,
            side: None,
            fit,
            foreground_hu: None,
            hu: None,
            windows: Vec::new(),
            clip,
            range,
            z_score: false,
            pad_hu: None,
            channels,
            axes,
            over_slices: OverSlices::default(),
        }
    }
}

impl From<Lines> for Recipe {
    fn from(lines: Lines) -> Self {
        let Lines { spacing_mm, fit, foreground_hu, windows, clip, range, z_score, pad_hu, channels, axes, .. } = lines;
        let square = lines.side.map(|side| [side, side, 0]);
        // The window of all windows.
        let hull = |all: [f32; 2], one: &[f32; 2]| [all[0].min(one[0]), all[1].max(one[1])];
        let around = windows.iter().skip(1).fold(windows.first().copied(), |all, one| all.map(|all| hull(all, one)));
        Self {
            spacing_mm,
            size: lines.size.or(square).unwrap_or(Self::default().size),
            fit,
            foreground_hu,
            hu: lines.hu.or(around).unwrap_or(Self::default().hu),
            windows,
            clip,
            range,
            z_score,
            pad_hu,
            channels,
            axes,
            over_slices: lines.over_slices,
        }
    }
}

impl Default for Recipe {
    /// The published pipeline: `NIFTI_Dataset(path, resolution=224)`.
    fn default() -> Self {
        Self {
            spacing_mm: [1.5, 1.5, 3.0],
            size: [224, 224, 0],
            fit: Fit::Crop,
            foreground_hu: None,
            hu: [-1000.0, 1000.0],
            windows: Vec::new(),
            clip: true,
            range: [0.0, 1.0],
            z_score: false,
            pad_hu: None,
            channels: 1,
            axes: Axes::default(),
            over_slices: OverSlices::default(),
        }
    }
}

/// How a scan comes to a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Padded and cropped about its centre.
    #[default]
    Crop,
    /// Resized by lines between voxels: MONAI's `Resized`, mode trilinear.
    Resize,
    /// Resized by the means of the voxels that become one: MONAI's `Resized`, mode area.
    Area,
}

/// How the answers of a network of single slices become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverSlices {
    /// The largest of each class.
    #[default]
    Max,
    Mean,
    /// log mean exp: between the mean and the largest.
    LogSumExp,
}

/// Anatomical directions of the axes of a network's tensor, first axis first: "SPL" is slices towards the head, rows towards the back,
/// columns towards the left. Two letters are those of a single slice. A C behind them says that the channels come last, as TensorFlow has
/// them: "SPLC" is `[n, d, h, w, c]`.
///
/// Scans are resampled, padded and cropped along these axes, as MONAI does behind its `Orientationd`: where an axis runs the other way, a
/// crop of odd numbers begins one voxel further, and a grid at the other end. What is left out is the order of the published pipeline,
/// which does all that along R, A, S and then lays the slices out as "SPL".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axes {
    directions: [Option<Direction>; 3],
    published: bool,
    channels_last: bool,
}

/// An axis of the patient (0 R-L, 1 A-P, 2 S-I), and whether it runs towards R, A, S.
type Direction = (usize, bool);

const LETTERS: [[char; 2]; 3] = [['L', 'R'], ['P', 'A'], ['I', 'S']];

impl Default for Axes {
    /// The order of a stack in the viewer, "SPL".
    fn default() -> Self {
        Self {
            directions: [Some((2, true)), Some((1, false)), Some((0, false))],
            published: true,
            channels_last: false,
        }
    }
}

impl Axes {
    /// Reads letters as cards spell them.
    pub fn of(letters: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "axes = \"{letters}\"; three letters say which way the axes of a volume run, each one of L R, P A, I S (\"RAS\"), \
                 and two those of a slice (\"PL\"); a C behind them says that the channels come last (\"RASC\")"
            )
        };
        let mut axes = [None; 3];
        let (of_space, channels_last) = letters.strip_suffix('C').map_or((letters, false), |of_space| (of_space, true));
        for (at, letter) in of_space.chars().enumerate() {
            let world = LETTERS.iter().position(|pair| pair.contains(&letter)).ok_or_else(wrong)?;
            if at > 2 || axes.iter().flatten().any(|(other, _)| *other == world) {
                return Err(wrong());
            }
            axes[at] = Some((world, LETTERS[world][1] == letter));
        }
        let slice = axes[1].is_some() && axes[2].is_none() && axes.iter().flatten().all(|(world, _)| *world != 2);
        if axes[2].is_some() || slice {
            Ok(Self { directions: axes, published: false, channels_last })
        } else {
            Err(wrong())
        }
    }

    /// Whether the channels of the network's tensors come last, behind these axes.
    pub fn are_before_channels(self) -> bool {
        self.channels_last
    }

    /// These axes with the channels behind them, or before.
    #[must_use]
    pub fn before_channels(self, channels_last: bool) -> Self {
        Self { channels_last, ..self }
    }

    /// Puts what is said of each axis of a network's tensor, batch first, in the order `[n, c, …]`.
    pub fn channels_first<T: Clone>(self, of_file: &[T]) -> Vec<T> {
        let mut ordered = of_file.to_vec();
        if self.channels_last && ordered.len() > 2 {
            ordered[1..].rotate_right(1);
        }
        ordered
    }

    /// Whether these are the axes of a single slice.
    pub fn is_slice(self) -> bool {
        self.directions[2].is_none()
    }

    /// Along which of R, A, S a scan is prepared the other way.
    pub fn against_ras(self) -> [bool; 3] {
        let against = |world: usize| self.directions.iter().flatten().any(|(of, positive)| *of == world && !positive);
        if self.published { [false; 3] } else { [0, 1, 2].map(against) }
    }

    /// Which axes of a stack (0 slices, 1 rows, 2 columns) these are, and whether they run the other way.
    pub fn of_stack(self) -> impl Iterator<Item = (usize, bool)> {
        let stack = |(world, positive): Direction| (2 - world, positive != (world == 2));
        self.directions.into_iter().flatten().map(stack)
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.directions
            .iter()
            .flatten()
            .try_for_each(|(world, positive)| write!(f, "{}", LETTERS[*world][usize::from(*positive)]))?;
        if self.channels_last { f.write_str("C") } else { Ok(()) }
    }
}

impl Serialize for Axes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Axes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a recipe may ask for: far more and far less than any network was trained on.
const SPACINGS_MM: RangeInclusive<f64> = 0.1..=50.0;
const SIDES: RangeInclusive<usize> = 8..=2048;
/// How many channels a network may be given.
pub const CHANNELS: RangeInclusive<usize> = 1..=16;

impl Recipe {
    /// The published recipe with slices of another side.
    pub fn of_side(side: usize) -> Self {
        Self { size: [side, side, 0], ..Self::default() }
    }

    /// Refuses what no scan can be prepared by, in words.
    pub fn check(&self) -> Result<(), String> {
        let Self { spacing_mm, size, hu, windows, range, channels, .. } = self;
        let is_window = |[low, high]: &[f32; 2]| low < high && low.is_finite() && high.is_finite();
        if !spacing_mm.iter().all(|s| SPACINGS_MM.contains(s) || *s == 0.0) {
            Err(format!(
                "recipe.spacing_mm = {spacing_mm:?}; each is {SPACINGS_MM:?} millimetres, or 0 for the scan's own"
            ))
        } else if let Some(wrong) = windows.iter().find(|window| !is_window(window)) {
            Err(format!("recipe.windows has {wrong:?}; each window is two HU, the lower first"))
        } else if !is_window(hu) {
            Err(format!("recipe.hu = {hu:?}; the first becomes 0, the second, larger one 1"))
        } else if !windows.is_empty() && *channels > 1 || !CHANNELS.contains(&windows.len().max(*channels)) {
            let windows = windows.len();
            Err(format!(
                "recipe.channels = {channels} and {windows} windows; a network takes {CHANNELS:?} channels: windows, or one repeated"
            ))
        } else if range[0] == range[1] || !range.iter().all(|value| value.is_finite()) {
            Err(format!("recipe.range = {range:?}; these are what 0 and 1 become, and must differ"))
        } else if let Some(wrong) = size.iter().find(|side| **side != 0 && !SIDES.contains(side)) {
            Err(format!(
                "recipe.size = {size:?}, with a side of {wrong}; an axis has {SIDES:?} voxels, or 0 for as many as there are"
            ))
        } else if self.fit != Fit::Crop && size.contains(&0) {
            Err(format!("recipe.size = {size:?}; what is resized needs all three sides"))
        } else if [self.pad_hu, self.foreground_hu].iter().flatten().any(|hu| !hu.is_finite()) {
            Err("recipe.pad_hu and recipe.foreground_hu are numbers of HU".to_owned())
        } else {
            Ok(())
        }
    }

    /// `[slope, offset]`: HU = slope * unit + offset.
    pub fn hu_from_unit(&self) -> [f32; 2] {
        [self.hu[1] - self.hu[0], self.hu[0]]
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a field by reference")]
fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a field by reference")]
fn is_one(value: &usize) -> bool {
    *value == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a field by reference")]
fn is_unit(range: &[f32; 2]) -> bool {
    *range == [0.0, 1.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_axes_are_read_as_they_are_written() {
        for letters in ["RAS", "SPL", "LPS", "PL", "RA", "ASR", "SPLC", "PLC"] {
            assert_eq!(Axes::of(letters).expect("axes").to_string(), letters);
        }
        for wrong in ["", "R", "RAX", "RLS", "RASL", "SP", "ras", "C", "RCAS", "CRAS", "RASCC"] {
            assert!(Axes::of(wrong).is_err_and(|said| said.contains(&format!("axes = \"{wrong}\""))), "{wrong}");
        }
    }

    #[test]
    fn the_axes_of_a_stack_are_its_own() {
        let of = |letters| Axes::of(letters).expect("axes").of_stack().collect::<Vec<_>>();
        assert_eq!(of("SPL"), [(0, false), (1, false), (2, false)]);
        assert_eq!(of("RAS"), [(2, true), (1, true), (0, false)]);
        assert_eq!(of("PL"), [(1, false), (2, false)]);
    }

    #[test]
    fn a_recipe_is_read_as_it_is_written() {
        let text = "side = 96\nwindows = [[-1000.0, 400.0], [-160.0, 240.0]]\naxes = \"RAS\"\nrange = [-1.0, 1.0]";
        let recipe: Recipe = toml::from_str(text).expect("a recipe");
        assert_eq!((recipe.size, recipe.hu), ([96, 96, 0], [-1000.0, 400.0]));
        let json = serde_json::to_string(&recipe).expect("json");
        assert_eq!(serde_json::from_str::<Recipe>(&json).expect("a recipe"), recipe);
        assert!(toml::from_str::<Recipe>("sides = 96").is_err(), "an unknown word");
    }
}
