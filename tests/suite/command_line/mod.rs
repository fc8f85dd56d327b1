//! The real program on the command line.

pub(crate) mod cohort;
pub(crate) mod command;
pub(crate) mod demo;
pub(crate) mod doctor;
