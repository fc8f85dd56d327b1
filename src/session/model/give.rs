//! Models and scans that were dropped on the window or typed: what they are, and where they belong.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;

use super::Model;
use crate::io::Choice;
use crate::models::{self, Draft, NetworkKind, Role, Told};
use crate::pipeline;
use crate::session::network::Loaded;

impl Model {
    /// Takes files that were dropped: models to where they belong, and one scan.
    pub fn drop_files(&mut self, paths: Vec<PathBuf>) {
        let (models, mut scans): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| models::is_model(path));
        for path in models {
            self.tell(path);
        }
        match (scans.pop(), scans.len()) {
            (Some(scan), 0) => self.open(scan, Choice::default()),
            (Some(_), others) => {
                let all = others + 1;
                self.scan.fail(anyhow!("{all} files were dropped; drop one file, or the folder that holds the series"));
            }
            (None, _) => {}
        }
    }

    /// Finds out what a model is; it is loaded to where it belongs, or asked about.
    fn tell(&mut self, path: PathBuf) {
        let card = path.clone();
        match self.worker.spawn("drop", move |_| Ok(models::tell(&card)?)) {
            Ok(job) => self.dropped.push((path, job)),
            Err(error) => self.scan.fail(error.into()),
        }
    }

    /// Loads a model into its place. A network in a file without a card tells its role first.
    pub fn load(&mut self, role: Role, card: PathBuf) {
        if models::is_file_of_operations(&card) && !Draft::place(&card).exists() {
            self.tell(card);
        } else {
            self.load_known(role, card);
        }
    }

    /// Loads what has been told to be of that role.
    fn load_known(&mut self, role: Role, card: PathBuf) {
        self.saved_with.retain(|(other, _)| *other != role);
        match role {
            Role::Autoencoder => {
                let job = self.worker.spawn("load", move |monitor| {
                    Ok(Arc::new(Loaded { model: pipeline::load_autoencoder(&card, monitor)?, card }))
                });
                self.autoencoder.follow(job);
            }
            Role::Classifier => {
                let job = self.worker.spawn("load", move |monitor| {
                    Ok(Arc::new(Loaded { model: pipeline::load_classifier(&card, monitor)?, card }))
                });
                self.classifier.follow(job);
            }
            Role::Segmenter => {
                let job = self.worker.spawn("load", move |monitor| {
                    Ok(Arc::new(Loaded { model: pipeline::load_segmenter(&card, monitor)?, card }))
                });
                self.segmenter.follow(job);
            }
            Role::Embedder => {
                let job = self.worker.spawn("load", move |monitor| {
                    Ok(Arc::new(Loaded { model: pipeline::load_embedder(&card, monitor)?, card }))
                });
                self.embedder.follow(job);
            }
        }
    }

    pub fn poll_dropped(&mut self) {
        let mut told = Vec::new();
        self.dropped.retain(|(path, job)| match job.poll() {
            Some(answer) => {
                told.push((path.clone(), answer));
                false
            }
            None => true,
        });
        for (path, answer) in told {
            match answer {
                // The shares of a segmenter in a file are scored as classes are.
                Ok(Told::Kind(NetworkKind::File(Role::Segmenter))) => self.load_known(Role::Classifier, path),
                Ok(Told::Kind(kind)) => self.load_known(kind.role(), path),
                Ok(Told::WithoutCard(facts)) => self.without_card = Some(facts),
                Err(error) => self.scan.fail(error),
            }
        }
    }
}
