//! Many scans explained alike: which they are, which part one process computes, where each case lies, and what all of them tell.
//!
//! The file system alone says how far a cohort has come: a case is done when its folder has its name, and no two processes write one file.

mod aligned;
mod audited;
mod case;
mod cases;
mod cells;
mod coarse;
mod id;
mod manifest;
mod merge;
mod numbers;
mod outline;
mod place;
mod record;
mod run;
mod shard;
mod sound;
mod standing;
mod status;
mod tally;

pub use self::aligned::{Aligned, LaidBy, SIDE, Shares, aligned};
pub use self::audited::Audited;
pub use self::case::{ALIGNED, CASE, ERROR, Failure, Kept, asked, session_of};
pub use self::cases::{Case, Cases, Network, Numbers, Progress, Scores, cases, is_cohort, picture};
pub use self::manifest::{Manifest, Row, RowSlab, refuse_network, slab};
pub use self::merge::merge;
pub use self::place::{Claim, CohortFolder};
pub use self::run::{Explains, Part, run};
pub use self::shard::Shard;
pub use self::standing::Standing;
pub use self::status::{Status, status};
pub use self::tally::Tally;
