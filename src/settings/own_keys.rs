//! Keys that a person gave to commands in the place of the usual ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The key of each command that was given another one, both by name: "Ctrl+Shift+O"; empty where it has none now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnKeys(pub BTreeMap<String, String>);

impl OwnKeys {
    /// Gives a key to a command; whatever other command was given it loses it.
    #[must_use]
    pub fn with(&self, command: &str, key: &str) -> Self {
        let mut keys = self.0.clone();
        if !key.is_empty() {
            keys.retain(|_, given| given != key);
        }
        keys.insert(command.to_owned(), key.to_owned());
        Self(keys)
    }

    /// Gives a command its usual key again.
    #[must_use]
    pub fn without(&self, command: &str) -> Self {
        let mut keys = self.0.clone();
        keys.remove(command);
        Self(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_one_command() {
        let keys = OwnKeys::default().with("Fit", "Y").with("Lens", "Y");
        assert_eq!(keys.0.into_iter().collect::<Vec<_>>(), [("Lens".to_owned(), "Y".to_owned())]);
    }

    #[test]
    fn many_commands_may_have_no_key_and_each_can_have_its_usual_one_again() {
        let keys = OwnKeys::default().with("Fit", "").with("Lens", "");
        assert_eq!(keys.0.len(), 2);
        assert_eq!(keys.without("Fit").without("Lens"), OwnKeys::default());
    }
}
