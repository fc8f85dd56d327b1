//! Keys as text, as settings keep them and as lists show them.

use egui::{Key, Modifiers};

/// "Ctrl+Shift+O".
pub(super) fn text((modifiers, key): (Modifiers, Key)) -> String {
    let held = [(modifiers.command, "Ctrl"), (modifiers.alt, "Alt"), (modifiers.shift, "Shift")];
    let held = held.into_iter().filter(|(is, _)| *is).map(|(_, name)| name);
    held.chain([key.name()]).collect::<Vec<_>>().join("+")
}

/// A key by its text; nothing where that is none.
pub(super) fn key_of(text: &str) -> Option<(Modifiers, Key)> {
    let (held, key) = text.rsplit_once('+').unwrap_or(("", text));
    let mut modifiers = Modifiers::NONE;
    for name in held.split('+').filter(|name| !name.is_empty()) {
        modifiers = match name {
            "Ctrl" => modifiers | Modifiers::COMMAND,
            "Alt" => modifiers | Modifiers::ALT,
            "Shift" => modifiers | Modifiers::SHIFT,
            _ => return None,
        };
    }
    Some((modifiers, Key::from_name(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text() {
        for held in [Modifiers::NONE, Modifiers::COMMAND, Modifiers::SHIFT, Modifiers::COMMAND | Modifiers::SHIFT] {
            for key in [Key::O, Key::F9, Key::ArrowUp, Key::OpenBracket, Key::Plus] {
                assert_eq!(key_of(&text((held, key))), Some((held, key)), "{held:?} {key:?}");
            }
        }
        assert_eq!(key_of("Hyper+O"), None);
        assert_eq!(key_of(""), None);
    }
}
