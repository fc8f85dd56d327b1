//! The published networks: what each is, where its files lie, and how they come to this machine when they are asked for.
//!
//! Nothing here reaches out by itself: [`get()`] alone fetches, and only the files of the entry that it is given. Files come from where
//! their publisher put them, from a mirror, from a folder, or from Hugging Face's cache on this machine. A file that is being fetched
//! ends in `.part`; it gets its name when its length and its SHA-256 are right.

/// Whether this build can reach the network at all.
pub use crate::reach::HAS_NETWORK;

mod body;
mod card;
mod entry;
mod error;
mod fetch;
mod get;
#[cfg(feature = "network")]
mod http;
mod hub;
mod index;
mod obtained;
mod part;
mod place;
mod source;
mod wheels;

pub use entry::{Entry, Is, Licence, Part, Published, all, named, read, shown};
pub use error::Error;
pub use get::{Asked, Got, Kept, get, here, kept};
pub use hub::named_file;
pub use obtained::{Checked, Here, Obtained};
pub use place::{data_folder, folder_of, hub_caches, models_folder};
pub use source::Origin;
