//! What the session does with a scan, a result or a session file that has come: it is shown, and kept.

use super::apply::Session;
use super::file::extras;
use super::model::Arrived;
use crate::settings::absolute;

impl Session {
    /// Keeps a new result, and remembers which one is on the screen.
    pub(super) fn follow_gallery(&mut self) {
        self.gallery.poll();
        self.gallery.follow(&self.model, &self.view);
        if let Some((run, file)) = self.file.take_saved() {
            self.gallery.knows(&run, file, extras(&self.model));
        }
        let file = self.model.run.ready().and_then(|run| self.gallery.file_of(run));
        self.model.result_is_safe = file.is_some();
        let shown = &mut self.model.settings.shown_result;
        if let Some(file) = file.filter(|file| shown.as_deref() != Some(*file)) {
            *shown = Some(file.to_owned());
        }
    }

    /// Looks at what has arrived.
    pub(super) fn show(&mut self, arrived: &Arrived) {
        if let Some(scan) = self.model.scan.ready().filter(|_| arrived.scan) {
            self.view.show_scan(scan);
            self.model.settings.shown_result = None;
            self.ask_as_case();
        }
        if arrived.run {
            self.show_run();
            self.hang_run();
        }
        if let Some(restored) = &arrived.restored {
            restored.show(&mut self.view);
            self.model.settings.shown_result = None;
            if restored.document.view.is_none() {
                self.hang_run();
            }
            if let Some(run) = &restored.run {
                // One that a person saved under a name of their own is as safe as one of the gallery.
                let of_file = (restored.maps.len(), restored.mask.clone());
                self.gallery.knows(run, absolute(&restored.path), of_file);
            }
            self.tell_of_case(restored);
        }
    }

    pub(super) fn show_run(&mut self) {
        if let Some(run) = self.model.run.ready() {
            self.view.show_run(run);
        }
    }

    /// A new result of a class that has a hanging is shown in it.
    fn hang_run(&mut self) {
        let Some(run) = self.model.run.ready() else { return };
        if let Some(hanging) = self.model.settings.hangings.for_target(&run.asked().target) {
            self.view.hang(hanging);
        }
    }
}
