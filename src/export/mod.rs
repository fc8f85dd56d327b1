//! Makes the files that leave the program. Each format is a module that gives bytes; [`mod@write`] alone puts them on the disk. A session
//! ([`session`]) is read here, too.

pub mod animation;
pub mod apng;
pub mod audit;
pub mod compared;
mod dicom;
mod film;
pub mod gif;
mod html;
mod montage;
pub mod mp4;
pub mod nifti;
mod nrrd;
pub mod page;
pub mod png;
pub mod reading;
pub mod record;
pub mod report;
pub mod session;
mod style;
mod tables;
pub mod tensors;
mod volumes;
pub mod write;

use anyhow::Result;
use image::RgbaImage;
use serde::{Deserialize, Serialize};

pub use self::dicom::Patient;
use self::montage::Story;
use self::png::figure;
use self::report::Report;
pub use self::style::{Annotation, Layout, LeftOut, Spot, Style};
pub use self::tables::as_text;
use crate::frame::{Layers, Shift};
use crate::job::Monitor;
use crate::pipeline::{Input, Run};

/// What files are made of: a run, its numbers, and how it is shown.
pub struct Subject<'a> {
    pub run: &'a Run,
    pub report: &'a Report,
    /// The volumes that pictures show, HU.
    pub layers: Layers,
    pub style: Style,
    /// The slice that pictures of one slice show; `None` for the one that changed most.
    pub spot: Option<Spot>,
    pub patient: Patient,
}

impl<'a> Subject<'a> {
    pub fn new(run: &'a Run, report: &'a Report, style: Style) -> Self {
        let layers = Layers { scan: run.input.display_volume(), shift: Some(Shift::of(&run.result)), map: None };
        Self { run, report, layers, style, spot: None, patient: Patient::LeftOut }
    }
}

/// What can be chosen for export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Png,
    Ladder,
    Mp4,
    Gif,
    Apng,
    Nifti,
    Html,
    Nrrd,
    Csv,
    Dicom,
    DicomCt,
}

/// Kinds that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Pictures,
    Animations,
    Volumes,
    Dicom,
    Numbers,
}

impl Group {
    pub const ALL: [Self; 5] = [Self::Pictures, Self::Animations, Self::Volumes, Self::Dicom, Self::Numbers];

    pub fn title(self) -> &'static str {
        match self {
            Self::Pictures => "Pictures",
            Self::Animations => "Animations",
            Self::Volumes => "Volumes",
            Self::Dicom => "DICOM",
            Self::Numbers => "Numbers",
        }
    }
}

const MP4: [&str; 3] = ["lambda.mp4", "slices.mp4", "tour.mp4"];
/// The report, which is written beside whatever is chosen.
pub const REPORT: &str = "result.json";

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Png,
        Self::Ladder,
        Self::Mp4,
        Self::Gif,
        Self::Apng,
        Self::Nifti,
        Self::Nrrd,
        Self::Html,
        Self::Csv,
        Self::Dicom,
        Self::DicomCt,
    ];
    /// The kinds that are written where none is chosen.
    pub const DEFAULT: [Self; 3] = [Self::Png, Self::Gif, Self::Nifti];

    /// The name that is typed on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Ladder => "ladder",
            Self::Mp4 => "mp4",
            Self::Gif => "gif",
            Self::Apng => "apng",
            Self::Nifti => "nifti",
            Self::Html => "html",
            Self::Nrrd => "nrrd",
            Self::Csv => "csv",
            Self::Dicom => "dicom",
            Self::DicomCt => "dicom-ct",
        }
    }

    /// The name that stands in the export dialog.
    pub fn title(self) -> &'static str {
        match self {
            Self::Png => "Picture of one slice (PNG)",
            Self::Ladder => "Ladder: slices by lambdas (PNG)",
            Self::Mp4 => "Videos: lambda, slices, both (MP4)",
            Self::Gif => "Lambda there and back (GIF)",
            Self::Apng => "Lambda there and back (animated PNG)",
            Self::Nifti => "Counterfactual and difference (NIfTI)",
            Self::Nrrd => "Counterfactual and difference (NRRD)",
            Self::Html => "Report, one page (HTML)",
            Self::Csv => "Tables (CSV)",
            Self::Dicom => "Maps, segmentation, animation (DICOM)",
            Self::DicomCt => "Counterfactual as a CT series (DICOM)",
        }
    }

    /// A line that says what is written.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Png => "original, counterfactual and difference of the slice that changed most, as a picture",
            Self::Ladder => "the slices that changed most, each at some lambdas, on one sheet",
            Self::Mp4 => {
                "videos along lambda, through the slices, and along lambda at each of the slices that changed most"
            }
            Self::Gif => "the slice that changed most along lambda, as an animation",
            Self::Apng => "the same in all colours",
            Self::Nifti => {
                "counterfactual (also with the scan's detail kept), difference and heatmap on the scan's own grid, HU"
            }
            Self::Html => "one page that holds the pictures, the curve and the numbers",
            Self::Nrrd => "the same volumes for programs of ITK's family",
            Self::Csv => {
                "the curve, the change of each slice, the changed regions, and the classifier's other outputs, as tables"
            }
            Self::Dicom => {
                "difference and heatmap as parametric maps, the changed regions as a segmentation, the animation, in the scan's study"
            }
            Self::DicomCt => "the counterfactual as a CT series, which a PACS shows like any other",
        }
    }

    pub fn group(self) -> Group {
        match self {
            Self::Png | Self::Ladder => Group::Pictures,
            Self::Mp4 | Self::Gif | Self::Apng => Group::Animations,
            Self::Nifti | Self::Nrrd => Group::Volumes,
            Self::Dicom | Self::DicomCt => Group::Dicom,
            Self::Html | Self::Csv => Group::Numbers,
        }
    }

    /// The files that the kind writes, as paths within a folder. A path that ends in `/` is a folder with a file for each slice.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Png => &["panes.png"],
            Self::Ladder => &["ladder.png"],
            Self::Mp4 => &MP4,
            Self::Gif => &["lambda.gif"],
            Self::Apng => &["lambda.png"],
            Self::Html => &["report.html"],
            Self::Nifti => volumes::NIFTI,
            Self::Nrrd => volumes::NRRD,
            Self::Csv => tables::NAMES,
            Self::Dicom => dicom::NAMES,
            Self::DicomCt => dicom::CT_NAMES,
        }
    }

    pub fn is_dicom(self) -> bool {
        matches!(self, Self::Dicom | Self::DicomCt)
    }

    fn files(self, subject: &Subject, story: &Story, monitor: &Monitor, put: Put) -> Result<()> {
        let (provenance, loops) = (subject.report.provenance(), subject.style.loops);
        let mut file = |bytes| put(File::new(self.names()[0], bytes));
        match self {
            Self::Png => file(apng::png_bytes(story.montage()?, &provenance)?),
            Self::Ladder => file(apng::png_bytes(story.ladder(monitor)?, &provenance)?),
            Self::Mp4 => {
                let films = [story.along_lambda(), story.along_slices(), story.tour()];
                MP4.into_iter()
                    .zip(&films)
                    .try_for_each(|(name, film)| put(File::new(name, mp4::mp4_bytes(film, monitor)?)))
            }
            Self::Gif => file(gif::gif_bytes(&story.along_lambda(), loops, monitor)?),
            Self::Apng => file(apng::apng_bytes(&story.along_lambda(), loops, &provenance, monitor)?),
            Self::Nifti => volumes::nifti_files(subject, monitor, put),
            Self::Html => file(html::html(subject, story, monitor)?.into_bytes()),
            Self::Nrrd => volumes::nrrd_files(subject, monitor, put),
            Self::Csv => tables::files(subject)?.into_iter().try_for_each(put),
            Self::Dicom => dicom::files(subject, story, monitor, put),
            Self::DicomCt => dicom::ct_files(subject, monitor, put),
        }
    }
}

/// Takes each file as it is made.
type Put<'a> = &'a mut dyn FnMut(File) -> Result<()>;

/// What an animation shows at the counterfactual: one picture, or two that it shows in turn.
pub fn preview(subject: &Subject, monitor: &Monitor) -> Result<Vec<RgbaImage>> {
    monitor.check()?;
    let story = Story::new(subject);
    let frames = story.frames(story.here(story.frame_px()), subject.run.result.chosen);
    let draw = |frame| {
        monitor.check()?;
        figure(frame)
    };
    frames.iter().map(draw).collect()
}

/// A file to be written.
pub struct File {
    /// Path within the folder that it goes into.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl File {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

/// The names of all files that `kinds` write, and of the report.
pub fn names(kinds: &[Kind]) -> impl Iterator<Item = &'static str> {
    kinds.iter().flat_map(|kind| kind.names()).copied().chain([REPORT])
}

/// Refuses kinds that cannot be made of this input, before hours of work.
pub fn check(input: &Input, kinds: &[Kind], patient: Patient) -> Result<()> {
    if kinds.iter().any(|kind| kind.is_dicom()) { dicom::check(input, patient) } else { Ok(()) }
}

/// What a person should know of the files that `kinds` write, in words.
pub fn note(input: &Input, kinds: &[Kind]) -> Option<&'static str> {
    kinds.iter().any(|kind| kind.is_dicom()).then(|| dicom::note(input)).flatten()
}

/// Makes the files of `kinds`, and the report, one after the other: `put` takes each file before the next is made.
pub fn files(subject: &Subject, kinds: &[Kind], monitor: &Monitor, put: Put) -> Result<()> {
    put(File::new(REPORT, subject.report.json()?.into_bytes()))?;
    let story = Story::new(subject);
    // By this list, so that none is made twice.
    for kind in Kind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
        monitor.step("making the files", 0, 0)?;
        kind.files(subject, &story, monitor, put)?;
    }
    Ok(())
}
