//! The method: its search, its whole runs, its measures, and the methods beside it.

pub(crate) mod audit;
pub(crate) mod deviations;
pub(crate) mod measures;
pub(crate) mod methods;
pub(crate) mod outside;
pub(crate) mod path;
pub(crate) mod phantom;
pub(crate) mod phantom_second;
pub(crate) mod quality;
pub(crate) mod regions;
pub(crate) mod runs;
pub(crate) mod scans_audit;
pub(crate) mod search;
pub(crate) mod stability;
pub(crate) mod toward;
pub(crate) mod whole;
