//! What the session does with a scan, a result or a session file that has come: it is shown, and kept.

use super::action::{Insert, Which};
use super::apply::Session;
use super::file::extras;
use super::model::Arrived;
use super::model::inserting::Came;
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
        if let Some((scan, came)) = self.model.scan.ready().zip(arrived.scan) {
            self.model.settings.shown_result = None;
            match came {
                Came::Same(place) => self.view.show_again(scan, place),
                Came::Other => {
                    self.view.show_scan(scan);
                    self.ask_as_case();
                }
            }
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
                let mask = restored.mask.clone().filter(|mask| mask.path().is_some()); // a finding's own lies in no file
                let of_file = (restored.maps.len(), mask);
                self.gallery.knows(run, absolute(&restored.path), of_file);
            }
            self.tell_of_case(restored);
        }
    }

    /// Draws a finding into the scan, or takes it away.
    pub(super) fn insert(&mut self, act: Insert) {
        let model = &mut self.model;
        match act {
            Insert::Show => {
                model.inserting.show();
                if !self.shows(Which::Steps) {
                    self.turn_side(Which::Steps);
                }
            }
            Insert::Fold => model.inserting.is_open = !model.inserting.is_open,
            Insert::Change(drawing) => model.inserting.drawing = drawing,
            Insert::Draw => model.insert(),
            Insert::Cancel => model.inserting.drawn.cancel(),
            Insert::Remove => {
                let arrived = model.remove_finding();
                self.show(&arrived);
            }
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
