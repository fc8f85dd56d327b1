//! What is asked of a reader, and what may be answered.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::files::is_plain;
use crate::frame::Plane;
use crate::frame::measure::{Measurement, Shape};

/// Steps of a scale.
pub const STEPS: std::ops::RangeInclusive<u8> = 1..=5;
/// Letters of a question's name, which is a cell of every row.
const MOST_NAME: usize = 64;
/// Letters of a remark.
const MOST_TEXT: usize = 10_000;
/// A mark is no farther than this from the origin of any scan, millimetres: a kilometre.
const FARTHEST_MM: f64 = 1e6;

/// One of the three pictures of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pane {
    Original,
    Counterfactual,
    /// Shown on request alone.
    Difference,
}

impl Pane {
    pub const ALL: [Self; 3] = [Self::Original, Self::Counterfactual, Self::Difference];

    /// The name that the answers give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Counterfactual => "counterfactual",
            Self::Difference => "difference",
        }
    }
}

/// How a question is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerKind {
    /// A number of 1 to 5, with what either end means.
    FivePoint {
        low: String,
        high: String,
    },
    YesNo,
    Text,
    /// A place on one of the pictures.
    Region,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What the column `question` of the answers holds.
    pub name: String,
    /// What a reader sees.
    pub ask: String,
    pub kind: AnswerKind,
    /// Whether a reader may leave it out.
    pub optional: bool,
}

/// An ellipse that a reader drew on a picture, RAS+ millimetres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    pub pane: Pane,
    pub plane: Plane,
    pub middle_mm: [f64; 3],
    pub half_axes_mm: [[f64; 3]; 2],
}

#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Rating(u8),
    YesNo(bool),
    Text(String),
    Region(Mark),
}

/// A question as the study file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lines {
    name: String,
    ask: String,
    kind: String,
    low: Option<String>,
    high: Option<String>,
    #[serde(default)]
    optional: bool,
}

impl Lines {
    pub(super) fn question(self) -> Result<Question> {
        let Self { name, ask, kind, low, high, optional } = self;
        ensure!(
            (1..=MOST_NAME).contains(&name.chars().count()) && name.chars().all(is_plain),
            "question: name = {name:?}; a name has 1 to {MOST_NAME} letters on one line"
        );
        ensure!(!ask.trim().is_empty(), "question {name:?}: ask = {ask:?}; write what the reader is asked");
        let has_ends = low.is_some() || high.is_some();
        let kind = match kind.as_str() {
            "five-point" => {
                let [low, high] = [(low, "not at all"), (high, "fully")];
                let word = |(given, usual): (Option<String>, &str)| given.unwrap_or_else(|| usual.to_owned());
                AnswerKind::FivePoint { low: word(low), high: word(high) }
            }
            "yes-no" => AnswerKind::YesNo,
            "text" => AnswerKind::Text,
            "region" => AnswerKind::Region,
            _ => bail!(
                "question {name:?}: kind = {kind:?}, which is none; write \"five-point\", \"yes-no\", \"text\" or \"region\""
            ),
        };
        ensure!(
            !has_ends || matches!(kind, AnswerKind::FivePoint { .. }),
            "question {name:?}: low and high belong to kind = \"five-point\"; take them out"
        );
        Ok(Question { name, ask, kind, optional })
    }
}

impl Question {
    /// What is asked where a study asks nothing of its own.
    pub(super) fn usual() -> Vec<Self> {
        let realistic = Self {
            name: "realistic".to_owned(),
            ask: "Could the counterfactual be a scan of this patient?".to_owned(),
            kind: AnswerKind::FivePoint { low: "surely not".to_owned(), high: "surely".to_owned() },
            optional: false,
        };
        let remarks = Self {
            name: "remarks".to_owned(),
            ask: "What else is to be said?".to_owned(),
            kind: AnswerKind::Text,
            optional: true,
        };
        vec![realistic, remarks]
    }

    /// An answer as it is kept, or why it is none to this question. Letters that are no letters become spaces: an answer is one line.
    pub(super) fn kept(&self, answer: Answer) -> Result<Answer> {
        let name = &self.name;
        match (answer, &self.kind) {
            (Answer::Rating(step), AnswerKind::FivePoint { .. }) => {
                ensure!(STEPS.contains(&step), "question {name:?}: {step} is no step of the scale; give 1 to 5");
                Ok(Answer::Rating(step))
            }
            (Answer::YesNo(yes), AnswerKind::YesNo) => Ok(Answer::YesNo(yes)),
            (Answer::Text(text), AnswerKind::Text) => {
                let letters = text.chars().count();
                ensure!(letters <= MOST_TEXT, "question {name:?}: {letters} letters, where {MOST_TEXT} have room");
                let line: String = text.chars().map(|letter| if is_plain(letter) { letter } else { ' ' }).collect();
                let line = line.trim();
                ensure!(!line.is_empty(), "question {name:?}: the answer is empty; write a word, or leave it out");
                Ok(Answer::Text(line.to_owned()))
            }
            (Answer::Region(mark), AnswerKind::Region) => {
                ensure!(mark.is_near(), "question {name:?}: the mark lies beside every scan; draw it anew");
                Ok(Answer::Region(mark))
            }
            (answer, _) => bail!("question {name:?}: {} is no answer of its kind", answer.text()),
        }
    }

    /// The inverse of [`Answer::text`]; none where a text is no answer to this question.
    pub(super) fn parsed(&self, text: &str) -> Option<Answer> {
        let answer = match self.kind {
            AnswerKind::FivePoint { .. } => Answer::Rating(text.parse().ok()?),
            AnswerKind::YesNo => Answer::YesNo(["no", "yes"].iter().position(|word| *word == text)? == 1),
            AnswerKind::Text => Answer::Text(text.to_owned()),
            AnswerKind::Region => Answer::Region(serde_json::from_str(text).ok()?),
        };
        self.kept(answer).ok()
    }
}

impl Answer {
    /// The text that the answers hold: "4", "yes", what was written, or a mark as JSON.
    pub fn text(&self) -> String {
        match self {
            Self::Rating(step) => step.to_string(),
            Self::YesNo(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Self::Text(text) => text.clone(),
            Self::Region(mark) => serde_json::to_string(mark).unwrap_or_default(), // a plain value always has JSON
        }
    }
}

impl Mark {
    /// Makes a mark of what was drawn; none where that is no ellipse.
    pub fn of(pane: Pane, drawn: &Measurement) -> Option<Self> {
        let Shape::Ellipse { middle, half_axes } = drawn.shape else { return None };
        let half_axes_mm = half_axes.map(|axis| axis.to_array());
        Some(Self { pane, plane: drawn.plane, middle_mm: middle.to_array(), half_axes_mm })
    }

    pub fn measurement(&self) -> Measurement {
        let shape = Shape::Ellipse { middle: self.middle_mm.into(), half_axes: self.half_axes_mm.map(Into::into) };
        Measurement { plane: self.plane, shape }
    }

    fn is_near(&self) -> bool {
        let numbers = self.half_axes_mm.iter().flatten().chain(&self.middle_mm);
        numbers.into_iter().all(|mm| mm.abs() <= FARTHEST_MM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_back_from_its_text_and_only_by_its_own_kind_of_question() {
        let mark = Mark {
            pane: Pane::Counterfactual,
            plane: Plane::Coronal,
            middle_mm: [0.1 + 0.2, -7.0, 1e-9],
            half_axes_mm: [[3.0, 0.0, 0.0], [0.0, 0.0, -2.5]],
        };
        let kinds = [
            (AnswerKind::FivePoint { low: String::new(), high: String::new() }, Answer::Rating(5)),
            (AnswerKind::YesNo, Answer::YesNo(true)),
            (AnswerKind::Region, Answer::Region(mark)),
            (AnswerKind::Text, Answer::Text("a \"word\", and =1+1".to_owned())),
        ];
        for (kind, answer) in &kinds {
            let question = Question { name: "q".to_owned(), ask: String::new(), kind: kind.clone(), optional: false };
            assert_eq!(question.parsed(&answer.text()), Some(answer.clone()));
            let others = kinds.iter().filter(|(other, _)| other != kind).map(|(_, answer)| answer.clone());
            assert!(others.into_iter().all(|other| question.kept(other).is_err()), "{kind:?}");
        }
    }

    #[test]
    fn an_answer_is_one_line_and_within_its_bounds() {
        let [realistic, remarks] = Question::usual().try_into().unwrap();
        assert!(realistic.kept(Answer::Rating(0)).is_err() && realistic.kept(Answer::Rating(6)).is_err());
        assert_eq!(realistic.parsed("6"), None);
        let text = |text: &str| remarks.kept(Answer::Text(text.to_owned()));
        assert_eq!(text(" two\r\nlines ").unwrap(), Answer::Text("two  lines".to_owned()));
        assert!(text(" \n").is_err() && text(&"x".repeat(MOST_TEXT + 1)).is_err());
    }
}
