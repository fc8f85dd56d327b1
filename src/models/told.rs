//! Tells what a path that was given as a network's is.

use std::path::Path;

use super::{Card, Draft, Error, Facts, NetworkKind, facts, is_file_of_operations};

/// Whether a file's name is that of a model card or a checkpoint. A `.safetensors` file may be a stack: it is none here.
pub fn is_model(path: &Path) -> bool {
    let extensions = ["toml", "ckpt", "pt", "pth", "onnx", "pt2"];
    path.extension().is_some_and(|ext| extensions.iter().any(|known| ext.eq_ignore_ascii_case(known)))
}

/// What a model's path turned out to be.
pub enum Told {
    /// A network of that kind, which can be loaded.
    Kind(NetworkKind),
    /// A network that nothing says how to feed: it needs a card.
    WithoutCard(Box<Facts>),
}

/// Which kind of network a card, a checkpoint or a file holds.
pub fn tell(path: &Path) -> Result<Told, Error> {
    let error = match Card::open(path) {
        Ok(card) => return Ok(Told::Kind(card.kind)),
        Err(error) => error,
    };
    if is_file_of_operations(path)
        && !Draft::place(path).exists()
        && let Ok(facts) = facts(path)
    {
        return Ok(Told::WithoutCard(Box::new(facts)));
    }
    Err(error)
}
