//! A card that is being written for a network that has none.

use std::path::PathBuf;
use std::sync::Arc;

use super::model::Model;
use super::stage::Stage;
use crate::export::write;
use crate::io::Scan;
use crate::models::{Draft, Facts, Role};
use crate::pipeline::{self, Seen};
use crate::preprocess::Recipe;

/// A card being written.
pub struct Wizard {
    pub facts: Box<Facts>,
    pub draft: Draft,
    pub seen: Stage<Seen>,
    /// The recipe and the scan that were looked at last.
    looked: Option<(Recipe, Arc<Scan>)>,
    /// Why the card was not written.
    pub written: Stage<()>,
}

impl Wizard {
    pub fn new(facts: Box<Facts>) -> Self {
        let draft = Draft::of(&facts);
        Self { facts, draft, seen: Stage::default(), looked: None, written: Stage::default() }
    }

    pub fn change(&mut self, draft: Draft) {
        self.draft = draft;
    }

    pub fn dismiss(&mut self) {
        self.written.dismiss();
    }

    /// Prepares the open scan as the draft says, whenever either has changed, and takes what came of it.
    pub fn follow(&mut self, model: &Model) {
        self.seen.poll();
        let Some(scan) = model.scan.ready().and_then(|scan| scan.input.scan.clone()) else { return };
        let recipe = self.draft.recipe(&self.facts);
        let same = |(of, scanned): &(Recipe, Arc<Scan>)| *of == recipe && Arc::ptr_eq(scanned, &scan);
        if self.looked.as_ref().is_some_and(same) {
            return;
        }
        self.looked = Some((recipe.clone(), Arc::clone(&scan)));
        let job = model.worker.spawn("preview", move |monitor| Ok(Arc::new(pipeline::seen(&scan, &recipe, monitor)?)));
        self.seen.follow(job);
    }

    /// Writes the card beside the network's file. Gives what is to be loaded, or keeps why it was not written.
    pub fn write(&mut self) -> Option<(Role, PathBuf)> {
        self.written.dismiss();
        let path = Draft::place(&self.facts.path);
        let text = self.draft.card(&self.facts).map_err(anyhow::Error::msg);
        match text.and_then(|text| write::save(&path, text.as_bytes(), false)) {
            Ok(()) => {
                let role = match self.draft.role {
                    // A segmenter's shares are scored as classes are.
                    Role::Segmenter => Role::Classifier,
                    role => role,
                };
                Some((role, path))
            }
            Err(error) => {
                self.written.fail(error);
                None
            }
        }
    }
}
