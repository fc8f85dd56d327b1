//! A network that is loaded, with where it came from.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;

use super::stage::Stage;
use crate::models::Role;
use crate::pipeline::Model;

/// A network and the card it was loaded from.
pub struct Loaded<N: ?Sized> {
    pub card: PathBuf,
    pub model: Arc<Model<N>>,
}

/// A network that has loaded in the place of another one of the same name is said to be another.
pub fn hold_against<N: ?Sized>(saved_with: &mut Vec<(Role, String)>, role: Role, stage: &mut Stage<Loaded<N>>)
where
    Loaded<N>: Send + Sync + 'static,
{
    let Some(at) = saved_with.iter().position(|(other, _)| *other == role) else { return };
    let (_, sha256) = saved_with.swap_remove(at);
    let changed = stage.ready().filter(|loaded| loaded.model.sha256 != sha256).map(|loaded| loaded.model.name.clone());
    if let Some(name) = changed {
        stage.fail(anyhow!(
            "{name} is not the network that the session was saved with: its weights have another SHA-256; a result that is shown is of the one before"
        ));
    }
}
