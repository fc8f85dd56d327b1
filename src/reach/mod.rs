//! Connections to other machines: how long one is waited for, whose certificates are believed, and what went wrong, in words.
//!
//! Nothing here reaches out by itself.

pub mod url;

#[cfg(feature = "network")]
mod agent;
#[cfg(feature = "network")]
mod failure;

#[cfg(feature = "network")]
pub use self::agent::{CONNECT, GLANCE, agent, provide_cryptography};
#[cfg(feature = "network")]
pub use self::failure::Failure;

/// Whether this build can reach the network at all.
pub const HAS_NETWORK: bool = cfg!(feature = "network");
