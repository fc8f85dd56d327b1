//! Networks: operations, graphs, checkpoints, files of other programs, and how networks suit scans.

pub(crate) mod around;
pub(crate) mod bands;
pub(crate) mod cards;
#[cfg(feature = "network")]
pub(crate) mod catalogue;
pub(crate) mod checkpoints;
pub(crate) mod densenet;
pub(crate) mod devices;
pub(crate) mod ends;
pub(crate) mod exchange;
pub(crate) mod fit;
pub(crate) mod fusing;
pub(crate) mod gradients;
pub(crate) mod graph_ops;
pub(crate) mod graphs;
pub(crate) mod heads;
pub(crate) mod kl;
mod models;
pub(crate) mod objectives;
pub(crate) mod ops;
pub(crate) mod pt2;
pub(crate) mod tiles;
