//! What the scans that were opened lately are called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::stage::Stage;
use super::worker::Worker;
use crate::io;

/// The names of paths that say nothing to people: series out of an archive lie in folders named by UIDs.
#[derive(Default)]
pub struct Recent {
    names: Stage<BTreeMap<PathBuf, String>>,
    looked: Vec<PathBuf>,
}

impl Recent {
    /// Looks into folders that were not looked into.
    pub(super) fn follow(&mut self, paths: &[PathBuf], worker: &Worker) {
        self.names.poll();
        if self.looked == paths {
            return;
        }
        self.looked = paths.to_vec();
        let paths = self.looked.clone();
        self.names.follow(worker.spawn("names", move |monitor| {
            let mut names = BTreeMap::new();
            for path in paths {
                monitor.check()?;
                names.extend(io::series_name(&path).map(|name| (path, name)));
            }
            Ok(Arc::new(names))
        }));
    }

    /// What a path is called.
    pub fn name(&self, path: &Path) -> String {
        let called = self.names.ready().and_then(|names| names.get(path)).cloned();
        let of_path = || path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        called.unwrap_or_else(of_path)
    }
}
