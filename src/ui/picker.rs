//! Asks the user for a file, without stopping the window. Behind a trait, so that tests can answer.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    ScanFile,
    ScanFolder,
    /// Another scan, or an embedding of one.
    Toward,
    /// A mask of the scan.
    Mask,
    /// A model card or a checkpoint.
    Model,
    /// Where to write a picture.
    SavePicture,
    /// Where to write the session.
    SaveSession,
    /// Where to export to.
    ExportFolder,
    /// A folder that holds published networks.
    ModelsFrom,
    /// Where published networks are fetched to.
    ModelsInto,
    /// A folder of results for a reader study.
    StudyFolder,
    /// A study file, or a table of results.
    StudyFile,
    /// A certificate, or its private key.
    Certificate,
}

/// Endings of files that open as a scan or a session.
const SCANS: [&str; 14] = [
    "nii",
    "nii.gz",
    "hdr",
    "img",
    "nrrd",
    "nhdr",
    "mha",
    "mhd",
    "dcm",
    "ima",
    "DICOMDIR",
    "zip",
    "safetensors",
    "parallax",
];

/// The answer when it comes; `None` = no choice was made.
pub type Answer = Pin<Box<dyn Future<Output = Option<PathBuf>> + Send>>;

/// Shows a dialog. Called on the UI thread, as macOS demands; awaited on another.
pub trait Picker {
    fn pick(&self, ask: Ask, frame: &eframe::Frame) -> Answer;
}

/// The system's own dialogs.
pub struct SystemPicker;

impl Picker for SystemPicker {
    fn pick(&self, ask: Ask, frame: &eframe::Frame) -> Answer {
        let dialog = rfd::AsyncFileDialog::new().set_parent(frame);
        match ask {
            Ask::ScanFile => {
                // The first filter is the one that is on: many DICOM files and every DICOMDIR have no ending to know them by.
                let dialog = dialog.set_title("Open a CT file or a session").add_filter("All files", &["*"]);
                path(dialog.add_filter("Scans and sessions", &SCANS).pick_file())
            }
            Ask::ScanFolder => path(dialog.set_title("Open a folder of scans").pick_folder()),
            Ask::Toward => {
                let dialog = dialog.set_title("Choose another scan, or a stored embedding");
                path(dialog.add_filter("All files", &["*"]).pick_file())
            }
            Ask::Mask => {
                let dialog = dialog.set_title("Load a mask of the scan");
                path(dialog.add_filter("All files", &["*"]).pick_file())
            }
            Ask::Model => path(dialog.set_title("Choose a model card or checkpoint").pick_file()),
            Ask::SaveSession => {
                let dialog = dialog.set_title("Save the session").set_file_name("session.parallax");
                path(dialog.add_filter("Parallax session", &["parallax"]).save_file())
            }
            Ask::ModelsFrom => path(dialog.set_title("Choose the folder that holds the files").pick_folder()),
            Ask::ModelsInto => path(dialog.set_title("Choose a folder for networks").pick_folder()),
            Ask::StudyFolder => path(dialog.set_title("Choose a folder of results").pick_folder()),
            Ask::StudyFile => {
                let dialog = dialog.set_title("Choose a study file or a table of results");
                path(dialog.add_filter("Study file or table", &["toml", "csv"]).pick_file())
            }
            Ask::Certificate => {
                let dialog = dialog.set_title("Choose a certificate or its key");
                path(
                    dialog
                        .add_filter("PEM files", &["pem", "crt", "cer", "key"])
                        .add_filter("All files", &["*"])
                        .pick_file(),
                )
            }
            Ask::ExportFolder => path(dialog.set_title("Choose a folder to export to").pick_folder()),
            Ask::SavePicture => {
                let dialog = dialog.set_title("Save the picture").set_file_name("parallax.png");
                path(dialog.add_filter("PNG picture", &["png"]).save_file())
            }
        }
    }
}

fn path(dialog: impl Future<Output = Option<rfd::FileHandle>> + Send + 'static) -> Answer {
    Box::pin(async { dialog.await.map(PathBuf::from) })
}
