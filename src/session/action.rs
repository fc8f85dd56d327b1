//! What can happen, in seven groups. Panels, keys and tests push these; [`Session::apply`](super::Session::apply) acts, in one place for
//! each group.

use std::ops::Range;
use std::path::PathBuf;

use glam::DVec3;

pub use super::archive::act::Act as Archive;
pub use super::cohort::act::Act as Cohort;
pub use super::model::inserting::Drawing;
use super::view::Pace;
pub use super::view::measurements::Act as Measure;
use crate::export::Patient;
use crate::frame::display::{Change, Display};
use crate::frame::measure::Measurement;
use crate::frame::{Plane, Window};
use crate::io::Choice;
use crate::latent_shift::Options;
use crate::models::{Draft, Role};
use crate::settings::{ExportChoices, Fetching, Hangings, Mouse, OwnKeys, Panels, Presets, ScoredBy, Sides};
use crate::study::{Answer, Pane};

/// All that can happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    View(View),
    Run(Run),
    Setting(Setting),
    Export(Export),
    Measure(Measure),
    /// A person looks through an archive, or sends results to one.
    Archive(Archive),
    /// A person looks through the table of a cohort.
    Cohort(Cohort),
}

/// What is looked at, and how.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    Plane(Plane),
    /// Slice of the scan along the shown plane, counted from 0.
    Slice(usize),
    /// This many slices on.
    Scroll(isize),
    /// Slices, or parts of one, that the wheel has turned over a plane.
    Wheel(Plane, f32),
    /// Where the largest changed region has changed most.
    MostChanged,
    /// A changed region by its place in the list: its outline, and all planes where it has changed most; or none.
    Region(Option<usize>),
    /// The next slice, up or down, that changed more than its neighbours.
    NextPeak(isize),
    Window(Window),
    /// Show everything so many times larger, around a place if there is one.
    Zoom(f64, Option<DVec3>),
    /// Physical pixels within a plane.
    Pan(Plane, [f64; 2]),
    /// Where the planes cross, RAS+ millimetres.
    Cursor(DVec3),
    /// A hanging, by its place in the list.
    Hang(usize),
    /// Which pictures, in which colours.
    Display(Display),
    /// A change of these, whatever they are now.
    Change(Change),
    /// The whole slice again.
    Fit,
    /// Everything as a new scan is shown.
    Reset,
    /// The view before the last change: window, zoom, place, panes, lambda, measurements.
    Undo,
    /// The view that was left by the last step back.
    Redo,
    /// A place along the steps, perhaps between two.
    Step(f32),
    /// Move so many steps along lambda, or parts of one, that the wheel has turned.
    WheelLambda(f32),
    TogglePlay,
    /// The slices play, or stop.
    Cine,
    /// How fast it plays, and whether to and fro.
    Pace(Pace),
    /// The curve of another output of the classifier, by name: shown beside the score's, or taken away.
    Beside(String),
    /// The lens, or not.
    Lens,
    /// While a run goes on: the result before it, or what it has drawn so far.
    Older(bool),
    /// The original stands in the counterfactual's place while a key is held.
    Blink(bool),
    /// The window has no room for both side panels beside the pictures, or has it again.
    Narrow(bool),
    /// A side panel is shown, or put away.
    Side(Which),
    /// Size of a pane as it was drawn, physical pixels.
    PaneSize([u32; 2]),
    /// Under the pointer, RAS+ millimetres.
    Probe(Option<DVec3>),
    /// What lies over the panes: shown in the place of any other, or put away.
    Sheet(Sheet),
    /// A file is asked for by a dialog.
    Ask(Wanted),
    /// A line that tells of what ended is put away, by its place.
    CloseToast(usize),
}

/// The panels at either side of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Scan, models and options, at the left.
    Steps,
    /// What came of the run, at the right.
    Result,
}

/// What is open, and what is computed of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Run {
    Open(PathBuf),
    /// One of the volumes that a path holds.
    OpenChosen(PathBuf, Choice),
    /// The built-in scan and networks.
    Demo,
    CancelOpening,
    /// Show the scan or session that waits, though the result goes; or keep the result.
    ShowWaiting,
    KeepResult,
    /// Files dropped on the window.
    Drop(Vec<PathBuf>),
    Load(Role, PathBuf),
    Explain,
    Cancel,
    /// Repeat the result no more; what was repeated is kept, and the result in any case.
    StopRepeating,
    /// Show the change again, and compute no other method's map.
    StopMethod,
    /// Hold methods against a mask of the open scan; and no more.
    LoadMask(PathBuf),
    ForgetMask,
    /// A finding drawn into the open scan.
    Insert(Insert),
    /// Send the scan through the autoencoder, to see whether it is kept; and stop that.
    CheckReconstruction,
    StopReconstruction,
    /// Show the other result.
    SwapResults,
    /// Look at a kept result beside the one that is shown.
    Compare(PathBuf),
    /// Look at the result before beside the one that is shown.
    CompareOther,
    StopComparing,
    /// Find the regions of the result that changed by more than so many HU.
    RegionsAbove(f32),
    /// Delete all results that are kept.
    ClearResults,
    Wizard(Wizard),
    Published(Published),
    Study(Study),
    DismissError(Place),
}

/// What a person did with findings that are drawn into the open scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Insert {
    /// Unfolds the panel, wherever it is, and takes the focus there.
    Show,
    /// Folds the panel, or unfolds it.
    Fold,
    Change(Drawing),
    Draw,
    Cancel,
    /// Back to the scan as it was opened.
    Remove,
}

/// What a person chose, and finds again the next time.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    ForgetRecent,
    ScoreBy(ScoredBy),
    /// A class of the classifier, by name.
    Target(String),
    /// The scan, or the stored embedding, that the open scan is compared with.
    Toward(PathBuf),
    /// Slices of the stack that may change; `None` = all.
    Slab(Option<Range<usize>>),
    Options(Options),
    /// How often a run is repeated from perturbed starts.
    Repeats(usize),
    /// What the left and the right button do.
    Mouse(Mouse),
    Panels(Panels),
    /// Which of the side panels are open, and how wide.
    Sides(Sides),
    /// Whether it stands above the pictures whose scan they show.
    PatientShown(bool),
    Presets(Presets),
    Hangings(Hangings),
    /// Keys in the place of the usual ones.
    Keys(OwnKeys),
    /// What is exported, where to, and how.
    Exports(ExportChoices),
    /// Where published networks come from and go to.
    Places(Fetching),
    /// Whether pictures show what was measured.
    PictureMeasured(bool),
    /// Whether finished runs stay when another takes their place.
    KeepResults(bool),
}

/// What leaves the program.
#[derive(Debug, Clone, PartialEq)]
pub enum Export {
    /// `replace`: the person has agreed that a file of that name goes.
    SavePicture {
        path: PathBuf,
        replace: bool,
    },
    /// Save the session; `replace` as for a picture.
    SaveSession {
        path: PathBuf,
        replace: bool,
    },
    /// To the clipboard.
    CopyPicture,
    /// Whether the files that are there may go.
    Replace(bool),
    /// Whether DICOM files say whose they are.
    Tell(Patient),
    Start,
    Cancel,
    /// Back to the choices, after an export.
    Again,
    ShowFolder,
}

/// What a person did on the page of published networks.
#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    /// Shows another entry, by its place in the catalogue.
    Choose(usize),
    /// Whether the limits that the shown entry's licence sets suit the person.
    Accept(bool),
    Get,
    Cancel,
    /// Shows the files of the shown entry in the system's file manager.
    ShowFolder,
    /// Shows its authors' page in the system's browser.
    ShowSource,
}

/// What a person did with the card of a network that has none.
#[derive(Debug, Clone, PartialEq)]
pub enum Wizard {
    Change(Box<Draft>),
    /// Write the card and load the network.
    Write,
    Close,
}

/// What happens in a reader study.
#[derive(Debug, Clone, PartialEq)]
pub enum Study {
    /// A folder of results, a table of them, or a study file.
    Open(PathBuf),
    /// Begins, or goes on: the reader's code, and the seed of the order.
    Begin {
        reader: String,
        seed: u64,
    },
    /// Shows a picture of the case, or puts it away.
    Turn(Pane),
    /// Which question is answered by a mark on a picture, if any.
    Marking(Option<usize>),
    /// What was drawn on a picture.
    Drawn(Pane, Measurement),
    /// A question by its place in the study.
    Answer(usize, Answer),
    Next,
    /// Opens the case again that could not be opened.
    Again,
    Leave,
}

/// What lies over the panes, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sheet {
    /// The keys, and what the mouse does.
    Keys,
    /// All that can be done, by name.
    Palette,
    /// The window presets, to be changed.
    Presets,
    /// The hangings, to be changed.
    Hangings,
    /// The keys, to be changed. Keys are its own while it is there.
    OwnKeys,
    /// What is exported. Keys are its own while it is there.
    Export,
    /// The card of a network that has none. Keys are its own too.
    Wizard,
    /// What is published. Keys are its own too.
    Published,
    /// The way into a reader study. Keys are its own too.
    Study,
    /// What archives hold. Keys are its own too.
    Archive,
    /// What goes to an archive. Keys are its own too.
    Send,
    /// The cases of a cohort. Keys are its own too.
    Cohort,
}

impl Sheet {
    /// Whether keys are its own while it is there.
    pub fn takes_keys(self) -> bool {
        match self {
            Self::Keys | Self::Presets | Self::Hangings => false,
            Self::OwnKeys
            | Self::Export
            | Self::Wizard
            | Self::Published
            | Self::Palette
            | Self::Study
            | Self::Archive
            | Self::Send
            | Self::Cohort => true,
        }
    }
}

/// A file that is asked for, and what is done with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    ScanFile,
    ScanFolder,
    Model(Role),
    /// The scan that the open one is compared with.
    Toward,
    /// A mask of the open scan.
    Mask,
    Picture,
    Session,
    ExportFolder,
    /// A folder that holds published networks.
    ModelsFrom,
    /// Where they are fetched to.
    ModelsInto,
    /// A folder of results for a reader study.
    StudyFolder,
    /// A study file, or a table of results.
    StudyFile,
    /// The certificates of the authorities that vouch for a source.
    SourceAuthority,
    /// The certificate that is shown to a source.
    SourceCertificate,
    /// The private key of that certificate.
    SourceKey,
}

/// Where an error is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Scan,
    Model(Role),
    Fit,
    Run,
    /// Its repetitions.
    Repeats,
    /// A method's map.
    Method,
    /// The mask.
    Mask,
    /// A finding that is drawn.
    Insert,
    Picture,
    /// The list of kept results.
    Results,
    /// A result that is to stand beside the one shown.
    Comparison,
    /// A session that is opened.
    Session,
    /// One that is saved.
    SessionFile,
    Export,
    Wizard,
    Published,
    Study,
    Archive,
    Cohort,
}

/// Lets panels push an action of a group by the group's name alone.
macro_rules! groups {
    ($($group:ident),*) => {$(
        impl From<$group> for Action {
            fn from(action: $group) -> Self {
                Self::$group(action)
            }
        }
    )*};
}

groups!(View, Run, Setting, Export, Measure, Archive, Cohort);
