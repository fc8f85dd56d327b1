//! The architectures that Parallax can build: each is listed here, and says in its own file what it is.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::architecture::{Architecture, Role};
use super::{densenet, i3resnet, unet, vqgan};
use crate::weights::Checkpoint;

/// All there are, in the order in which a checkpoint is tried.
static ALL: [Architecture; 5] =
    [vqgan::ARCHITECTURE, vqgan::kl::ARCHITECTURE, i3resnet::ARCHITECTURE, unet::ARCHITECTURE, densenet::ARCHITECTURE];

/// Where a network's operations come from.
#[derive(Clone, Copy)]
pub enum NetworkKind {
    /// One of the architectures.
    Built(&'static Architecture),
    /// A file of another program that holds the operations too.
    File(Role),
}

impl NetworkKind {
    /// Told from the names of the tensors.
    pub fn of(checkpoint: &Checkpoint) -> Option<Self> {
        let has = |part: &str| checkpoint.names().any(|name| name.contains(part));
        ALL.iter().find(|architecture| (architecture.recognises)(&has)).map(Self::Built)
    }

    /// As cards spell it.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|architecture| architecture.name == name).map(Self::Built)
    }

    /// What the network is for.
    pub fn role(self) -> Role {
        match self {
            Self::Built(architecture) => architecture.role,
            Self::File(role) => role,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Built(architecture) => architecture.name,
            Self::File(_) => "file",
        }
    }
}

impl PartialEq for NetworkKind {
    fn eq(&self, other: &Self) -> bool {
        (self.name(), self.role()) == (other.name(), other.role())
    }
}

impl Eq for NetworkKind {}

impl fmt::Debug for NetworkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for NetworkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Built(architecture) => f.write_str(architecture.title),
            Self::File(role) => write!(f, "{} with its operations in the file", role.title()),
        }
    }
}

impl<'de> Deserialize<'de> for NetworkKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            let known = ALL.each_ref().map(|architecture| architecture.name).join(", ");
            serde::de::Error::custom(format!("kind = \"{name}\", where Parallax knows {known}"))
        })
    }
}
