//! Rows of answers on their way to the disk: written where they come up, or taken to another thread so that no window waits for a disk.

use anyhow::{Error, Result};

use super::answers::{Answers, Row};
use super::question::Answer;

/// How a reading is put back where a row of it could not be written.
pub(super) enum Undo {
    /// The answer to a question as it was before.
    Answer(usize, Option<Answer>),
    /// Which pictures were seen.
    Panes([bool; 3]),
    /// The case is not read yet.
    Done,
}

/// Where the rows of a reading go.
pub(super) enum Paper {
    /// To the disk, before anything goes on.
    Here(Answers),
    /// To whoever takes them; the file is away while rows are written.
    Later { file: Option<Answers>, waiting: Vec<(Row, Undo)> },
}

impl Paper {
    pub(super) fn write(&mut self, row: Row, undo: Undo) -> Result<()> {
        match self {
            Self::Here(answers) => answers.write(&row),
            Self::Later { waiting, .. } => {
                waiting.push((row, undo));
                Ok(())
            }
        }
    }
}

/// Rows to be written, with the file that they belong to.
pub struct Rows {
    pub(super) file: Answers,
    pub(super) rows: Vec<(Row, Undo)>,
}

/// What came of them.
pub struct Written {
    pub(super) file: Answers,
    /// Why a row could not be written, and what it and all behind it had changed, the latest last.
    pub(super) failed: Option<(Error, Vec<Undo>)>,
}

impl Rows {
    /// Writes them in their order. Each is on the disk before the next one; where one fails, none behind it is written.
    pub fn write(self) -> Written {
        let Self { mut file, rows } = self;
        let mut rows = rows.into_iter();
        while let Some((row, undo)) = rows.next() {
            if let Err(error) = file.write(&row) {
                let undo = std::iter::once(undo).chain(rows.map(|(_, undo)| undo)).collect();
                return Written { file, failed: Some((error, undo)) };
            }
        }
        Written { file, failed: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    use anyhow::anyhow;

    use super::*;
    use crate::study::{Moment, Pane, Reading, Study};

    /// A reading at its first case of two, whose rows are written later.
    fn begun(folder: &Path) -> Reading {
        for name in ["a.parallax", "b.parallax"] {
            std::fs::write(folder.join(name), b"").unwrap();
        }
        let study = Arc::new(Study::open(folder).unwrap());
        let mut reading = Reading::begin(study, "R1", 1, &BTreeSet::new()).unwrap().write_later();
        reading.show(Moment(0));
        reading
    }

    #[test]
    fn a_case_is_left_once_its_rows_are_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut reading = begun(folder.path());
        assert!(reading.take_rows().is_none() && reading.is_written());
        reading.answer(0, Answer::Rating(4), Moment(1)).unwrap();
        let first = reading.take_rows().unwrap();
        reading.next(Moment(2)).unwrap();
        assert!(reading.take_rows().is_none(), "the file is away");
        assert_eq!((reading.position()[0], reading.is_leaving()), (1, true));
        assert!(reading.answer(0, Answer::Rating(1), Moment(3)).is_err(), "the case is read");
        assert!(!reading.take_back(first.write()).unwrap(), "the last row is not written yet");
        let last = reading.take_rows().unwrap();
        assert!(reading.take_back(last.write()).unwrap());
        assert_eq!((reading.position()[0], reading.is_leaving(), reading.is_written()), (2, false, true));
        assert_eq!(std::fs::read_to_string(reading.answers_path()).unwrap().lines().count(), 3);
    }

    #[test]
    fn what_could_not_be_written_and_all_behind_it_is_as_if_it_had_not_been() {
        let folder = tempfile::tempdir().unwrap();
        let mut reading = begun(folder.path());
        reading.answer(0, Answer::Rating(4), Moment(1)).unwrap();
        let rows = reading.take_rows().unwrap();
        reading.take_back(rows.write()).unwrap();
        reading.answer(0, Answer::Rating(2), Moment(2)).unwrap();
        reading.turn(Pane::Difference, Moment(2)).unwrap();
        let Rows { file, rows } = reading.take_rows().unwrap();
        reading.next(Moment(3)).unwrap();
        let undo = rows.into_iter().map(|(_, undo)| undo).collect();
        let error = reading.take_back(Written { file, failed: Some((anyhow!("no room"), undo)) }).unwrap_err();
        assert_eq!(error.to_string(), "no room");
        assert_eq!(reading.answer_to(0), Some(&Answer::Rating(4)), "as it is on the disk");
        assert!(!reading.sees(Pane::Difference) && !reading.is_leaving() && reading.is_written());
    }
}
