//! What a person does with archives: searches one, fetches a series, names sources, and sends results.

use std::ops::Range;

use super::draft::Draft;
use super::form::Form;
use super::object::Object;
use crate::export::Patient;
use crate::pacs::Secret;

/// What happens on the pages of archives.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// The source that is searched, by its name.
    Choose(String),
    /// What is looked for, as it is typed.
    Form(Form),
    Search,
    /// Shows the series of a study, by its place in the list.
    Study(usize),
    /// Which of the series' cards are seen, by their places.
    Seen(Range<usize>),
    /// Fetches a series, by its place among the study's, and opens it.
    Fetch(usize),
    /// Ends whatever is asked or fetched, but not what is sent. What came stays, and is not fetched again.
    Cancel,
    /// The password or the token that was asked for; `keep` puts it into the system's keyring once the source takes it.
    Password {
        secret: Secret,
        keep: bool,
    },
    NoPassword,
    /// Asks for another password of a source, by its name.
    AskPassword(String),
    Sources(Sources),
    Send(Send),
}

/// What a person does with the list of sources.
#[derive(Debug, Clone, PartialEq)]
pub enum Sources {
    /// Shows the list in the place of the search, or the search again.
    Show(bool),
    /// A source that is not there yet.
    New,
    /// A source that is there is changed, by its name.
    Edit(String),
    Change(Box<Draft>),
    /// Writes what was typed into the list.
    Keep,
    /// Throws away what was typed, or keeps the source that was about to be removed.
    Leave,
    /// Asks whether a source answers.
    Test(String),
    /// Asks whether a source shall be removed.
    AskRemove(String),
    Remove(String),
}

/// What a person does with results that go to an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    /// Whether an object goes.
    Tick(Object, bool),
    /// Whether the objects say whose they are.
    Tell(Patient),
    Start,
    /// Sends no further; what was stored stays stored, and is told.
    Cancel,
    /// Back to the choices.
    Again,
}
