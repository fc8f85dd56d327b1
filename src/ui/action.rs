//! What a person can do. Panels push these; `App::apply` acts, in one place.

use std::ops::Range;
use std::path::PathBuf;

use glam::DVec3;

use super::display::Display;
use super::export_dialog;
use super::measure::Act;
use super::published;
use super::session::Role;
use super::viewer::Pace;
use super::wizard;
use crate::frame::{Plane, Window};
use crate::io::Choice;
use crate::latent_shift::Options;
use crate::settings::{Mouse, Panels, Presets, ScoredBy};

/// A file that is asked for, and what is done with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    ScanFile,
    ScanFolder,
    Model(Role),
    /// The scan that the open one is compared with.
    Toward,
    Picture,
    Session,
    ExportFolder,
    /// A folder that holds published networks.
    ModelsFrom,
    /// Where they are fetched to.
    ModelsInto,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Ask by a dialog.
    Ask(Wanted),
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
    ForgetRecent,
    ScoreBy(ScoredBy),
    Target(String),
    /// The scan, or the stored embedding, that the open scan is compared with.
    Toward(PathBuf),
    Slab(Option<Range<usize>>),
    Options(Options),
    Explain,
    Cancel,
    /// Send the scan through the autoencoder, to see whether it is kept; and stop that.
    CheckReconstruction,
    StopReconstruction,
    /// Show the other result.
    SwapResults,
    /// `replace`: the person has agreed that a file of that name goes.
    SavePicture {
        path: PathBuf,
        replace: bool,
    },
    /// As `SavePicture`.
    SaveSession {
        path: PathBuf,
        replace: bool,
    },
    /// To the clipboard.
    CopyPicture,
    /// Whether pictures show what was measured.
    PictureMeasured(bool),
    /// The dialog of exports: shown, or put away.
    ExportDialog,
    Export(export_dialog::Act),
    Wizard(wizard::Act),
    /// The page of published networks: shown, or put away.
    PublishedModels,
    Published(published::Act),
    DismissError(Place),

    Plane(Plane),
    /// Slice of the scan along the shown plane.
    Slice(usize),
    /// This many slices on.
    Scroll(isize),
    /// Slices, or parts of one, that the wheel has turned over a plane.
    Wheel(Plane, f32),
    /// The slice of the stack that changed most.
    MostChanged,
    Window(Window),
    /// So many times larger, around a place if there is one.
    Zoom(f64, Option<DVec3>),
    /// Physical pixels within a plane.
    Pan(Plane, [f64; 2]),
    /// Where the planes cross, RAS+ millimetres.
    Cursor(DVec3),
    /// Which pictures, in which colours.
    Display(Display),
    Measure(Act),
    /// The whole slice again.
    Fit,
    /// Everything as a new scan is shown.
    Reset,
    /// The next slice, up or down, that changed more than its neighbours.
    NextPeak(isize),
    /// The keys and what the mouse does: shown, or put away.
    Help,
    /// What the left and the right button do.
    Mouse(Mouse),
    Panels(Panels),
    /// The list of window presets: shown to be changed, or put away.
    EditPresets,
    Presets(Presets),
    /// A place along the steps, perhaps between two.
    Step(f32),
    /// So many steps on, or parts of one, that the wheel has turned.
    WheelLambda(f32),
    TogglePlay,
    /// How fast it plays, and whether to and fro.
    Pace(Pace),
}

/// Where an error is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Scan,
    Model(Role),
    Fit,
    Run,
    Picture,
    /// A session that is opened.
    Session,
    /// One that is saved.
    SessionFile,
    Export,
    Wizard,
    Published,
}
