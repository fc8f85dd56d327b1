//! The columns of a cohort's table: what each says of a case, and how cases are sorted and found by it.

use std::cmp::Ordering;

use crate::cohort::{Case, Cases, Progress};

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Id,
    State,
    Target,
    /// The score of the scan.
    Scan,
    /// The score of the reconstruction.
    Reconstruction,
    /// The score of the counterfactual.
    Counterfactual,
    /// By how much the score changes from the reconstruction to the counterfactual.
    Change,
    Lambda,
    /// The largest change of a voxel, HU.
    LargestChange,
    Stop,
    /// A further column of the manifest, by its place.
    Further(usize),
}

/// Which cases are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Only {
    #[default]
    All,
    Done,
    Failed,
    /// Neither done nor failed.
    Left,
}

/// By which column cases are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorted {
    pub by: Column,
    pub descends: bool,
}

/// What cases are compared by.
#[derive(Debug, PartialEq)]
enum Key {
    Number(f64),
    Text(String),
    /// Stands at the end, whichever way is sorted.
    Nothing,
}

const FIXED: [Column; 10] = [
    Column::Id,
    Column::State,
    Column::Target,
    Column::Scan,
    Column::Reconstruction,
    Column::Counterfactual,
    Column::Change,
    Column::Lambda,
    Column::LargestChange,
    Column::Stop,
];

impl Column {
    /// All columns, in the order in which they stand: the name, how far it is, what the manifest says, then the numbers.
    pub fn all(cases: &Cases) -> Vec<Self> {
        let further = (0..cases.columns.len()).map(Self::Further);
        FIXED[..2].iter().copied().chain(further).chain(FIXED[2..].iter().copied()).collect()
    }

    /// The name of the column.
    pub fn title(self, cases: &Cases) -> &str {
        match self {
            Self::Id => "Case",
            Self::State => "State",
            Self::Target => "Target",
            Self::Scan => "Scan",
            Self::Reconstruction => "Reconstr.",
            Self::Counterfactual => "Counterf.",
            Self::Change => "Change",
            Self::Lambda => "Lambda",
            Self::LargestChange => "Largest HU",
            Self::Stop => "Stopped because",
            Self::Further(at) => cases.columns.get(at).map_or("", String::as_str),
        }
    }

    /// A line that says what stands in the column.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Id => "the id in the manifest",
            Self::State => "done, failed, being computed, missing",
            Self::Target => "what was explained",
            Self::Scan => "score of the scan",
            Self::Reconstruction => "score of the reconstruction, at lambda 0",
            Self::Counterfactual => "score of the counterfactual",
            Self::Change => "score of the counterfactual less that of the reconstruction",
            Self::Lambda => "lambda of the counterfactual",
            Self::LargestChange => "the largest change of a voxel, HU",
            Self::Stop => "why the search ended",
            Self::Further(_) => "a column of the manifest",
        }
    }

    /// Whether numbers stand in the column, which stand at the right.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::Scan
                | Self::Reconstruction
                | Self::Counterfactual
                | Self::Change
                | Self::Lambda
                | Self::LargestChange
        )
    }

    fn number(self, case: &Case) -> Option<f64> {
        let Progress::Done(numbers) = &case.progress else { return None };
        match self {
            Self::Scan => Some(numbers.scores.scan),
            Self::Reconstruction => Some(numbers.scores.reconstruction),
            Self::Counterfactual => Some(numbers.scores.counterfactual),
            Self::Change => Some(numbers.score_change),
            Self::Lambda => Some(numbers.lambda),
            Self::LargestChange => numbers.largest_change_hu,
            _ => None,
        }
    }

    /// What stands in the cell of a case.
    pub fn text(self, case: &Case) -> String {
        let number = |decimals: usize| self.number(case).map_or(String::new(), |n| format!("{n:.decimals$}"));
        match self {
            Self::Id => case.row.id.clone(),
            Self::State => state(&case.progress).to_owned(),
            Self::Target => target(case).to_owned(),
            Self::Scan | Self::Reconstruction | Self::Counterfactual => number(3),
            Self::Change => self.number(case).map_or(String::new(), |n| format!("{n:+.3}")),
            Self::Lambda => self.number(case).map_or(String::new(), crate::frame::lambda_text),
            Self::LargestChange => number(0),
            Self::Stop => match &case.progress {
                Progress::Done(numbers) => numbers.stop.clone(),
                Progress::Failed(failure) => failure.reason.clone(),
                Progress::Damaged(why) => why.clone(),
                Progress::Unread | Progress::Missing | Progress::Computing => String::new(),
            },
            Self::Further(at) => case.row.further.get(at).cloned().unwrap_or_default(),
        }
    }

    /// What all cases are compared by. A further column is one of numbers where all of its cells are.
    fn keys(self, cases: &Cases) -> Vec<Key> {
        let of = |text: String| if text.is_empty() { Key::Nothing } else { Key::Text(text.to_lowercase()) };
        if self.is_number() {
            return cases.all.iter().map(|case| self.number(case).map_or(Key::Nothing, Key::Number)).collect();
        }
        let texts = cases.all.iter().map(|case| self.text(case));
        if let Self::Further(_) = self {
            let read = |text: String| match text.trim() {
                "" => Some(Key::Nothing),
                text => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Key::Number),
            };
            if let Some(numbers) = texts.clone().map(read).collect() {
                return numbers;
            }
        }
        texts.map(of).collect()
    }
}

/// How far a case has come, in a word or two.
pub fn state(progress: &Progress) -> &'static str {
    match progress {
        Progress::Unread => "reading",
        Progress::Missing => "missing",
        Progress::Computing => "being computed",
        Progress::Done(_) => "done",
        Progress::Failed(_) => "failed",
        Progress::Damaged(_) => "damaged",
    }
}

/// What was explained of a case, or is to be, where its row says it.
pub fn target(case: &Case) -> &str {
    match &case.progress {
        Progress::Done(numbers) => &numbers.target,
        _ => case.row.target.as_deref().unwrap_or_default(),
    }
}

impl Only {
    pub const ALL: [Self; 4] = [Self::All, Self::Done, Self::Failed, Self::Left];

    pub fn title(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Done => "Done",
            Self::Failed => "Failed",
            Self::Left => "Not yet",
        }
    }

    /// Whether a case is shown.
    pub fn holds(self, case: &Case) -> bool {
        let is = match &case.progress {
            Progress::Done(_) => Self::Done,
            Progress::Failed(_) | Progress::Damaged(_) => Self::Failed,
            Progress::Unread | Progress::Missing | Progress::Computing => Self::Left,
        };
        self == Self::All || self == is
    }
}

/// The places of the cases that are shown, in the order in which they stand.
pub fn order(cases: &Cases, sorted: Sorted, find: &str, only: Only) -> Vec<usize> {
    let words: Vec<String> = find.split_whitespace().map(str::to_lowercase).collect();
    let has_words = |case: &Case| {
        words.is_empty() || {
            let said = [&case.row.id, target(case), state(&case.progress)].map(str::to_lowercase);
            let further = case.row.further.iter().map(|cell| cell.to_lowercase());
            let all: Vec<String> = said.into_iter().chain(further).collect();
            words.iter().all(|word| all.iter().any(|said| said.contains(word)))
        }
    };
    let shown = |at: &usize| only.holds(&cases.all[*at]) && has_words(&cases.all[*at]);
    let mut order: Vec<usize> = (0..cases.all.len()).filter(shown).collect();
    let keys = sorted.by.keys(cases);
    order.sort_by(|a, b| compare(&keys[*a], &keys[*b], sorted.descends).then(a.cmp(b)));
    order
}

fn compare(a: &Key, b: &Key, descends: bool) -> Ordering {
    let order = match (a, b) {
        (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
        (Key::Text(a), Key::Text(b)) => a.cmp(b),
        (Key::Number(_), Key::Text(_)) => Ordering::Less,
        (Key::Text(_), Key::Number(_)) => Ordering::Greater,
        (Key::Nothing, Key::Nothing) => return Ordering::Equal,
        (Key::Nothing, _) => return Ordering::Greater,
        (_, Key::Nothing) => return Ordering::Less,
    };
    if descends { order.reverse() } else { order }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::cohort::{Failure, Row};

    fn case(id: &str, further: &[&str], progress: Progress) -> Arc<Case> {
        let further = further.iter().map(|cell| (*cell).to_owned()).collect();
        let row = Row {
            id: id.to_owned(),
            scan: PathBuf::new(),
            series: None,
            target: None,
            slab: None,
            mask: None,
            further,
            line: 1,
        };
        Arc::new(Case { row, progress })
    }

    fn cases() -> Cases {
        let failure = Failure { reason: "no such file".to_owned(), chain: Vec::new(), when: String::new() };
        let all = vec![
            case("a", &["9", "B"], Progress::Missing),
            case("b", &["", "a"], Progress::Failed(failure)),
            case("c", &["10", "C"], Progress::Computing),
        ];
        Cases { columns: vec!["age".to_owned(), "site".to_owned()], all }
    }

    fn ids(by: Column, descends: bool, find: &str, only: Only) -> String {
        let cases = cases();
        let order = order(&cases, Sorted { by, descends }, find, only);
        order.into_iter().map(|at| cases.all[at].row.id.as_str()).collect()
    }

    #[test]
    fn numbers_are_sorted_as_numbers_words_in_any_case_and_nothing_comes_last() {
        assert_eq!(ids(Column::Further(0), false, "", Only::All), "acb");
        assert_eq!(ids(Column::Further(0), true, "", Only::All), "cab");
        assert_eq!(ids(Column::Further(1), false, "", Only::All), "bac");
        assert_eq!(ids(Column::Scan, true, "", Only::All), "abc", "no case has a score");
        assert_eq!(ids(Column::Stop, false, "", Only::All), "bac");
    }

    #[test]
    fn cases_are_found_by_words_and_by_how_far_they_are() {
        assert_eq!(ids(Column::Id, false, "", Only::Failed), "b");
        assert_eq!(ids(Column::Id, false, "", Only::Left), "ac");
        assert_eq!(ids(Column::Id, false, "COMPUTED c", Only::All), "c");
        assert_eq!(ids(Column::Id, false, "none", Only::All), "");
    }
}
