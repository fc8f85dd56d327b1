//! What is wrong with the text of a model card, in words: the line, what stands there, and what may stand there.

use serde::Deserialize;

use crate::files;
use crate::preprocess::Recipe;

/// More letters of a line than this say no more of where it is.
const MOST_LETTERS: usize = 60;

/// Says where the reader of toml stumbled and why, in plain words.
pub(super) fn of_toml(error: &toml::de::Error, text: &str) -> String {
    let why = plainly(error.message());
    match error.span().and_then(|span| line_at(text, span.start)) {
        Some((number, line)) => format!("line {number}, {line}: {why}"),
        None => why,
    }
}

/// Says where a recipe that was no recipe is wrong: the card is read once more, since a table that was taken out of it has no lines.
pub(super) fn of_recipe(text: &str, error: &toml::de::Error) -> String {
    #[derive(Deserialize)]
    struct RecipeAlone {
        #[serde(default, rename = "recipe")]
        _recipe: Recipe,
    }
    match toml::from_str::<RecipeAlone>(text) {
        Err(located) => of_toml(&located, text),
        Ok(_) => format!("recipe: {}", plainly(error.message())),
    }
}

/// Puts the number of a line before a rule that was broken, where the rule begins with a key that stands in the text.
pub(super) fn of_rule(what: String, text: &str) -> String {
    let key: &str = what.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).next().unwrap_or_default();
    let is_of = |line: &str, key: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| !key.is_empty() && rest.trim_start().starts_with('='))
    };
    // A key within a table that is written in one line stands behind that of the table.
    let place = key.rsplit('.').find_map(|key| text.lines().position(|line| is_of(line, key)));
    match place {
        Some(before) => format!("line {}: {what}", before + 1),
        None => what,
    }
}

/// Gives the number of the line that holds a byte, and what stands there.
fn line_at(text: &str, byte: usize) -> Option<(usize, String)> {
    let before = text.get(..byte.min(text.len()))?;
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default().trim();
    let shown: String = files::printable(line).chars().take(MOST_LETTERS).collect();
    let more = if line.chars().count() > MOST_LETTERS { "…" } else { "" };
    Some((number, if shown.is_empty() { "which is empty".to_owned() } else { format!("`{shown}{more}`") }))
}

/// Says in plain words what the reader says in its own.
fn plainly(message: &str) -> String {
    let message = message.trim();
    let parts = |start: &str| message.strip_prefix(start)?.split_once(", expected ");
    let listed = |known: &str| known.trim_start_matches("one of ").replace(" or ", ", ");
    if let Some((key, known)) = parts("unknown field ") {
        format!("there is no key {key}; those that there are: {}", listed(known))
    } else if let Some((word, known)) = parts("unknown variant ") {
        format!("{word} is none of {}", listed(known))
    } else if let Some((count, wanted)) = parts("invalid length ") {
        format!("it has {count} values, where {} is wanted", kind(wanted))
    } else if let Some((found, wanted)) = parts("invalid type: ").or_else(|| parts("invalid value: ")) {
        format!("it is {}, where {} is wanted", value(found), kind(wanted))
    } else if let Some(key) = message.strip_prefix("missing field ") {
        format!("it has no key {key}; add it")
    } else if message == "duplicate key" {
        "this key stands there twice; leave one out".to_owned()
    } else {
        // What a rule of ours says stands as it is; the rest is the reader's word on the text.
        let of_text = ["invalid", "expected", "unclosed", "unexpected", "missing", "extra", "unquoted", "key"];
        let is_of_text = of_text.iter().any(|start| message.starts_with(start));
        if is_of_text { format!("this is no toml: {message}") } else { message.to_owned() }
    }
}

/// "the text "yes"" for the reader's `string "yes"`.
fn value(found: &str) -> String {
    match found.split_once(' ') {
        Some(("string", text)) => format!("the text {text}"),
        Some(("integer" | "boolean", value)) => value.trim_matches('`').to_owned(),
        Some(("floating", rest)) => rest.trim_start_matches("point ").trim_matches('`').to_owned(),
        _ if found == "sequence" => "a list".to_owned(),
        _ if found == "map" => "a table".to_owned(),
        _ => found.to_owned(),
    }
}

/// "true or false" for the reader's "a boolean".
fn kind(wanted: &str) -> String {
    if let Some(count) = wanted.strip_prefix("an array of length ") {
        return format!("a list of {count} values");
    }
    match wanted {
        "a boolean" => "true or false",
        "a string" | "string" => "a text in quotes",
        "path string" => "a path in quotes",
        "f32" | "f64" => "a number",
        "usize" | "u32" | "u64" => "a whole number of 0 or more",
        "a sequence" => "a list",
        "a map" => "a table",
        named if named.starts_with("struct ") => "a table",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what cannot be read matters here")]
    struct Lines {
        clip: bool,
        size: Option<[usize; 3]>,
    }

    fn said(text: &str) -> String {
        of_toml(&toml::from_str::<Lines>(text).expect_err("wrong"), text)
    }

    #[test]
    fn a_wrong_line_is_named_with_what_stands_there_and_what_may() {
        assert_eq!(
            said("# a card\nclip = \"yes\"\n"),
            "line 2, `clip = \"yes\"`: it is the text \"yes\", where true or false is wanted"
        );
        assert!(
            said("clip = true\nsizes = 3")
                .starts_with("line 2, `sizes = 3`: there is no key `sizes`; those that there are: `clip`, `size`")
        );
        assert!(
            said("clip = true\nsize = [1, 2]")
                .contains("line 2, `size = [1, 2]`: it has 2 values, where a list of 3 values"),
            "{}",
            said("clip = true\nsize = [1, 2]")
        );
        assert!(
            said("clip = true\nsize = [1, 2.5, 3]").contains("it is 2.5, where a whole number of 0 or more is wanted")
        );
        assert!(said("size = [1, 2, 3]").contains("it has no key `clip`"));
        assert!(said("clip = true\nclip = false").contains("line 2") && said("clip = tru").contains("line 1"));
    }

    #[test]
    fn a_rule_that_names_its_key_is_given_a_line() {
        let text = "role = \"classifier\"\n[recipe]\n hu = [5, 1]\n";
        assert_eq!(of_rule("recipe.hu = [5, 1]; no".to_owned(), text), "line 3: recipe.hu = [5, 1]; no");
        assert_eq!(of_rule("it names no file".to_owned(), text), "it names no file");
    }

    #[test]
    fn a_recipe_that_is_none_is_given_a_line() {
        let text = "role = \"classifier\"\n[recipe]\nspacing_mm = [1, 2]\n";
        let table: toml::Table = toml::from_str(text).expect("toml");
        let error = Recipe::deserialize(table["recipe"].clone()).expect_err("two numbers");
        assert!(of_recipe(text, &error).starts_with("line 3, `spacing_mm = [1, 2]`: "), "{}", of_recipe(text, &error));
    }
}
