//! How many cases of a part came to what end.

use serde::{Deserialize, Serialize};

/// What became of the cases of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Done before.
    pub passed: usize,
    /// Done now.
    pub done: usize,
    pub failed: usize,
    /// Cases that are of other scans or were asked something else; they are left as they are.
    pub differing: usize,
    /// Being computed by another process.
    pub elsewhere: usize,
}

impl Tally {
    pub fn words(&self) -> String {
        let Self { passed, done, failed, differing, elsewhere } = self;
        let mut words = format!("{done} done, {passed} done before, {failed} failed");
        if *differing > 0 {
            words.extend([", ", &differing.to_string(), " asked something else before"]);
        }
        if *elsewhere > 0 {
            words.extend([", ", &elsewhere.to_string(), " being computed by another process"]);
        }
        words
    }
}
