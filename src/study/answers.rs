//! The file of answers of one reader: a row for each answer, on the disk before anything goes on; and where the reader stopped.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::moment::Moment;
use crate::export::as_text;
use crate::files;

pub const COLUMNS: [&str; 14] = [
    "study",
    "seed",
    "reader",
    "event",
    "position",
    "case",
    "question",
    "answer",
    "shown_at",
    "at",
    "seconds",
    "seconds_original",
    "seconds_counterfactual",
    "seconds_difference",
];
/// Ten thousand cases with ten answers each take a quarter of this.
const MOST_BYTES: u64 = 64 << 20;

/// What a row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A question was answered, perhaps again: the last row counts.
    Answer,
    /// The difference was asked for, or put away.
    Difference,
    /// The case is read.
    Done,
}

impl Event {
    const ALL: [Self; 3] = [Self::Answer, Self::Difference, Self::Done];

    fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Difference => "difference",
            Self::Done => "done",
        }
    }
}

/// One row, but for what all rows of a file share.
pub(super) struct Row {
    pub(super) event: Event,
    /// The place of the case in the reader's order, counted from 1.
    pub(super) position: usize,
    pub(super) case: String,
    /// Empty where nothing was asked.
    pub(super) question: String,
    pub(super) answer: String,
    pub(super) shown_at: Moment,
    pub(super) at: Moment,
    /// How long each picture has been seen of this case, milliseconds, by `Pane::ALL`.
    pub(super) seen_ms: [u64; 3],
}

/// What a row of a file says that a reader goes on with.
pub(super) struct Past {
    pub(super) event: Event,
    pub(super) case: String,
    pub(super) question: String,
    pub(super) answer: String,
}

/// An answer as a cell that a spreadsheet never computes, from which it can be told again: an apostrophe stands before what would begin a
/// formula, and before an apostrophe.
fn as_cell(answer: &str) -> String {
    let is_marked = answer.starts_with(['=', '+', '-', '@', '\'']);
    if is_marked { format!("'{answer}") } else { answer.to_owned() }
}

fn from_cell(cell: &str) -> String {
    cell.strip_prefix('\'').unwrap_or(cell).to_owned()
}

/// Names the reader, the study and the order of the answers: the first cells of every row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) study: String,
    pub(super) seed: u64,
    pub(super) reader: String,
}

/// The file, held against any other window.
pub(super) struct Answers {
    key: Key,
    file: File,
    path: PathBuf,
    /// Up to the end of its last row.
    bytes: u64,
}

/// What an opened file held.
pub(super) struct Found {
    pub(super) answers: Answers,
    pub(super) past: Vec<Past>,
    /// Bytes of a row at the end that was cut short, and was taken away.
    pub(super) cut_bytes: usize,
}

impl Answers {
    /// Opens a reader's answers, or makes the file, readable for this user alone. Anything but answers of the key is an error.
    pub(super) fn open(path: &Path, key: Key) -> Result<Found> {
        let cannot = || format!("cannot write the answers {}", path.display());
        if path.exists() {
            files::open(path).with_context(cannot)?; // a pipe would wait for its other end
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).with_context(cannot)?;
        if let Err(std::fs::TryLockError::WouldBlock) = files::lock(&file) {
            bail!("another window writes these answers; close it, or give another code: {}", path.display());
        }
        let answers = Self { key, file, path: path.to_owned(), bytes: 0 };
        answers.take_up().with_context(|| format!("cannot go on with the answers {}", path.display()))
    }

    fn take_up(mut self) -> Result<Found> {
        let mut bytes = Vec::new();
        (&self.file).take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= MOST_BYTES, "the file is longer than the {MOST_BYTES} bytes it may have");
        // No cell holds a line break: what stands behind the last one was cut.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let past = past(&bytes[..whole], &self.key)?;
        let cut_bytes = bytes.len() - whole;
        self.bytes = whole as u64;
        if cut_bytes > 0 {
            self.file.set_len(self.bytes)?;
        }
        if whole == 0 {
            // With the first row it is on the disk: until then there is nothing to lose.
            self.append(&COLUMNS.map(str::to_owned), false)?;
        }
        Ok(Found { answers: self, past, cut_bytes })
    }

    /// Writes one row. It is on the disk when this returns, or the file is as it was.
    pub(super) fn write(&mut self, row: &Row) -> Result<()> {
        let secs = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let [original, counterfactual, difference] = row.seen_ms.map(secs);
        let Key { study, seed, reader } = &self.key;
        let cells = [
            study.clone(),
            seed.to_string(),
            reader.clone(),
            row.event.name().to_owned(),
            row.position.to_string(),
            as_text(&row.case),
            as_text(&row.question),
            as_cell(&row.answer),
            row.shown_at.text(),
            row.at.text(),
            secs(row.at.ms_since(row.shown_at)),
            original,
            counterfactual,
            difference,
        ];
        self.append(&cells, true).with_context(|| {
            format!(
                "the answer was not written; make room, or the folder writable, and answer again: {}",
                self.path.display()
            )
        })
    }

    fn append(&mut self, cells: &[String; COLUMNS.len()], synced: bool) -> Result<()> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(cells)?;
        let row = writer.into_inner()?;
        self.file.seek(SeekFrom::Start(self.bytes))?;
        let written = self.file.write_all(&row).and_then(|()| if synced { self.file.sync_all() } else { Ok(()) });
        if let Err(error) = written {
            self.file.set_len(self.bytes).ok(); // what is left of the row is taken away when the file is opened again
            return Err(error.into());
        }
        self.bytes += row.len() as u64;
        Ok(())
    }
}

/// The rows of a file, each held against the key.
fn past(bytes: &[u8], key: &Key) -> Result<Vec<Past>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut table = csv::Reader::from_reader(bytes);
    ensure!(
        table.headers().is_ok_and(|names| names.iter().eq(COLUMNS)),
        "its first line does not name the columns of answers; move the file away, or give another code"
    );
    let mut past = Vec::new();
    for (at, row) in table.records().enumerate() {
        let line = at + 2;
        let row = row.with_context(|| format!("line {line} is no row of answers; put the file back as it was"))?;
        let cell = |name: &str| COLUMNS.iter().position(|column| *column == name).and_then(|at| row.get(at));
        let cell = |name: &str| cell(name).unwrap_or_default();
        let seed = key.seed.to_string();
        for (name, wanted, remedy) in [
            ("study", &key.study, "it is another study, or was changed since: put it back, or move the answers away"),
            ("seed", &seed, "give the seed of the answers to go on, or another code to begin anew"),
            ("reader", &key.reader, "give the code of the answers to go on, or move them away"),
        ] {
            let found = cell(name);
            ensure!(found == wanted, "line {line}: {name} is {found:?}, where {wanted:?} was given; {remedy}");
        }
        let event = Event::ALL.into_iter().find(|event| event.name() == cell("event"));
        let event = event.with_context(|| format!("line {line}: event is {:?}, which is none", cell("event")))?;
        let owned = |name| cell(name).to_owned();
        past.push(Past {
            event,
            case: owned("case"),
            question: owned("question"),
            answer: from_cell(&owned("answer")),
        });
    }
    Ok(past)
}
