//! What a session does with the answers of dialogs.

use std::path::PathBuf;
use std::time::Instant;

use super::action::{self, Action, Archive, Export, Setting, Wanted};
use super::apply::Session;
use super::archive::act::Sources;
use super::dialog::Answer;
use crate::settings::{ExportChoices, Fetching};

impl Session {
    /// Does what the answer of a dialog is for.
    pub(super) fn take_answer(&mut self) {
        match self.dialog.answer() {
            Some((wanted, Answer::Chosen(path))) => self.answered(wanted, path),
            Some((_, Answer::Failed(error))) => {
                self.model.scan.fail(error.context("the dialog failed; type the path instead"));
            }
            Some((_, Answer::NoDialog)) => {
                let text = "This system shows no file dialogs (a desktop portal or zenity would): type the path into its field";
                self.toasts.tell(text, Instant::now());
            }
            Some((_, Answer::Nothing)) | None => {}
        }
    }

    fn answered(&mut self, wanted: Wanted, path: PathBuf) {
        let settings = &self.model.settings;
        let action: Action = match wanted {
            Wanted::ScanFile | Wanted::ScanFolder => action::Run::Open(path).into(),
            Wanted::Model(role) => action::Run::Load(role, path).into(),
            Wanted::Mask => action::Run::LoadMask(path).into(),
            Wanted::Toward => Setting::Toward(path).into(),
            // The dialog has asked already whether a file may go.
            Wanted::Picture => Export::SavePicture { path, replace: true }.into(),
            Wanted::Session => Export::SaveSession { path, replace: true }.into(),
            Wanted::ExportFolder => Setting::Exports(ExportChoices { folder: path, ..settings.export.clone() }).into(),
            Wanted::ModelsFrom => {
                let from = path.display().to_string();
                Setting::Places(Fetching { from, ..settings.fetching.clone() }).into()
            }
            Wanted::StudyFolder | Wanted::StudyFile => action::Run::Study(action::Study::Open(path)).into(),
            Wanted::SourceAuthority | Wanted::SourceCertificate | Wanted::SourceKey => {
                let Some(mut draft) = self.archive.sources.draft.clone() else { return };
                *match wanted {
                    Wanted::SourceAuthority => &mut draft.authority,
                    Wanted::SourceCertificate => &mut draft.certificate,
                    _ => &mut draft.key,
                } = path.display().to_string();
                Archive::Sources(Sources::Change(Box::new(draft))).into()
            }
            Wanted::ModelsInto => Setting::Places(Fetching { into: path, ..settings.fetching.clone() }).into(),
        };
        self.apply(action);
    }
}
