//! Names of cases, which are names of folders too: what may be one, and one made of a file's name.

/// File systems take 255 bytes; something is put before it.
const MOST_BYTES: usize = 120;

/// What is wrong with an id, in words that follow it.
pub(super) fn check(id: &str) -> Result<(), &'static str> {
    if id.len() > MOST_BYTES {
        return Err("is longer than 120 letters");
    }
    if !id.chars().all(is_safe) {
        return Err("is no safe name of a folder; take letters of English, digits, \"-\", \"_\" and \".\"");
    }
    if id.starts_with(['.', '-']) || id.ends_with('.') {
        return Err("is no safe name of a folder; let it begin with a letter or a digit, and not end with \".\"");
    }
    Ok(())
}

/// An id made of any name.
pub(super) fn made_of(name: &str) -> String {
    let id: String = name.chars().map(|c| if is_safe(c) { c } else { '_' }).take(MOST_BYTES).collect();
    let id = id.trim_start_matches(['.', '-']).trim_end_matches('.');
    if id.is_empty() { "_".to_owned() } else { id.to_owned() }
}

fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_nowhere_else() {
        for id in ["a", "CT-1_b.2", "0"] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
        for id in ["../x", "a/b", "a\\b", ".a", "..", "-a", "a.", "a b", "ä", "a\n", "C:", &"a".repeat(121)] {
            assert!(check(id).is_err(), "{id}");
        }
        for name in ["Müller, Hans", "..", ".x", "-", "", "a/b"] {
            assert_eq!(check(&made_of(name)), Ok(()), "{name}");
        }
        assert_eq!(made_of("Müller 1"), "M_ller_1");
    }
}
