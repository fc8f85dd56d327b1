//! Hangings, as radiologists call a hanging protocol: plane, window, panes and colours under one name, and the classes whose new results are shown so.

use serde::{Deserialize, Serialize};

use crate::frame::display::{Display, Laid, Layout};
use crate::frame::{PRESETS, Plane, Window};

/// More than anyone looks through.
pub const MOST_HANGINGS: usize = 40;

/// Plane, window, panes and colours under one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hanging {
    pub name: String,
    /// New results of a class whose name holds these words are shown so; where it is empty, the hanging is only chosen by hand.
    #[serde(default)]
    pub target: String,
    pub plane: Plane,
    pub window: Window,
    pub display: Display,
}

impl Hanging {
    /// Keeps what is shown. A method's map is no part of it: it is computed only when it is asked for.
    pub fn of(name: &str, plane: Plane, window: Window, display: Display) -> Self {
        let display = Display { laid: Laid::Change, ..display };
        Self { name: name.to_owned(), target: String::new(), plane, window, display }
    }
}

/// All of them, in the order in which they are offered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hangings(pub Vec<Hanging>);

impl Default for Hangings {
    fn default() -> Self {
        let [soft, lung] = [PRESETS[0].1, PRESETS[1].1];
        let of = |layout| Display { layout, ..Display::default() };
        Self(vec![
            Hanging::of("Soft tissue, axial", Plane::Axial, soft, of(Layout::Three)),
            Hanging::of("Lung, coronal", Plane::Coronal, lung, of(Layout::Three)),
            Hanging::of("Soft tissue, three planes", Plane::Axial, soft, of(Layout::Planes)),
        ])
    }
}

impl Hangings {
    /// The first hanging that is meant for a target, by its name.
    pub fn for_target(&self, target: &str) -> Option<&Hanging> {
        let target = target.to_lowercase();
        let is_meant = |hanging: &&Hanging| {
            let wanted = hanging.target.trim().to_lowercase();
            !wanted.is_empty() && target.contains(&wanted)
        };
        self.0.iter().find(is_meant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_is_found_by_words_of_its_class_and_an_empty_class_is_none() {
        let mut hangings = Hangings::default();
        assert_eq!(hangings.for_target("Pleurisy; pleural effusion"), None);
        hangings.0[1].target = " Effusion ".to_owned();
        assert_eq!(hangings.for_target("Pleurisy; pleural effusion"), Some(&hangings.0[1]));
        assert_eq!(hangings.for_target("Emphysema"), None);
    }

    #[test]
    fn hangings_come_back_from_the_settings_as_they_were() {
        let hangings = Hangings::default();
        let text = serde_json::to_string(&hangings).unwrap();
        assert_eq!(serde_json::from_str::<Hangings>(&text).unwrap(), hangings);
    }
}
