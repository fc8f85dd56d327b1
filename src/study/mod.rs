//! A reader study: which results are shown to a reader, in which order, what is asked of them, and what was answered. No picture is
//! known here, and no score.
//!
//! [`Study::open`] reads what a study asks; [`Reading`] leads one reader through it and writes every answer at once: itself, or by [`Rows`]
//! that are written on another thread, before the next case is shown.

mod answers;
mod case;
mod definition;
mod lists;
mod moment;
mod order;
mod question;
mod reading;
mod rows;

pub use self::answers::COLUMNS;
pub use self::case::Case;
pub use self::definition::{FirstSlice, STUDY_FILE, Study};
pub use self::moment::{Clock, Moment};
pub use self::order::order;
pub use self::question::{Answer, AnswerKind, Mark, Pane, Question, STEPS};
pub use self::reading::Reading;
pub use self::rows::{Rows, Written};
