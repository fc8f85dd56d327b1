//! What a person looks for in an archive, as it is typed.

use anyhow::Result;

use crate::pacs::{Days, Query};

/// Answers that are taken at a time: more than anyone looks through.
pub const MOST_STUDIES: usize = 1000;

/// The fields of a search. What is empty may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    pub patient_id: String,
    pub name: String,
    pub accession: String,
    /// A day, or two with a dash between them.
    pub days: String,
    pub modality: String,
}

impl Form {
    /// The question to a source; an error says in words what cannot be asked.
    pub fn query(&self) -> Result<Query> {
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(Query {
            patient_id: said(&self.patient_id),
            patient_name: said(&self.name),
            accession: said(&self.accession),
            days: said(&self.days).map(|days| Days::read(&days)).transpose()?,
            modality: said(&self.modality).map(|modality| modality.to_uppercase()),
            limit: MOST_STUDIES,
            ..Query::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_not_asked_for_and_a_date_that_is_none_is_refused() {
        let form =
            Form { name: " muster ".to_owned(), modality: "ct".to_owned(), days: "  ".to_owned(), ..Form::default() };
        let query = form.query().unwrap();
        assert_eq!((query.patient_name.as_deref(), query.modality.as_deref()), (Some("muster"), Some("CT")));
        assert_eq!((query.days, query.patient_id, query.accession), (None, None, None));
        let wrong = Form { days: "yesterday".to_owned(), ..Form::default() };
        assert!(wrong.query().unwrap_err().to_string().contains("is no date"));
    }
}
