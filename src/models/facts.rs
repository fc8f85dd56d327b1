//! What a file says of its network, before there is a card.

use std::path::PathBuf;

use super::{Probabilities, Role};

/// What a file says of its network.
#[derive(Debug, Clone)]
pub struct Facts {
    pub path: PathBuf,
    /// "image: float32 [1, 1, 96, 96, 96]" for each input, and for each output.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    /// The sides of the first input, `None` where they are open.
    pub sides: Vec<Option<usize>>,
    /// Whether its channels seem to come last, behind the axes of space.
    pub channels_last: bool,
    /// The names of the outputs.
    pub names: Vec<String>,
    /// What the first output ends in.
    pub activation: Option<Probabilities>,
    pub role: Role,
    /// How many classes the first output has, where the file fixes them.
    pub classes: Option<usize>,
    /// All that Parallax cannot do of it, in words.
    pub refused: Option<String>,
}
