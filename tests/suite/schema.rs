//! As much of JSON Schema 2020-12 as ours say; a word that is not known here panics, so that none is passed over.
//! Sources: json-schema.org/draft/2020-12, Core section 10.3 and Validation section 6.

use serde_json::Value;

/// What in `value` breaks `schema`, each by its JSON pointer.
pub(crate) fn breaches(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        if *schema == Value::Bool(false) {
            found.push(format!("{at}: nothing may be here"));
        }
        return;
    };
    for (word, rule) in rules {
        if !holds(root, rules, word, rule, value, at, found) {
            found.push(format!("{at}: {value} breaks {word} {rule}"));
        }
    }
}

type Rules = serde_json::Map<String, Value>;

/// Whether one rule holds; what breaks within the parts that it speaks of goes to `found`. A rule for another type holds.
fn holds(
    root: &Value,
    rules: &Rules,
    word: &str,
    rule: &Value,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) -> bool {
    let (fields, items, number) = (value.as_object(), value.as_array(), value.as_f64());
    let bound = rule.as_f64().unwrap_or(f64::NAN);
    match word {
        "$schema" | "title" | "description" | "$defs" => {}
        "$ref" => {
            let pointer = rule.as_str().and_then(|name| name.strip_prefix('#')).expect("a reference within the schema");
            check(root, root.pointer(pointer).expect("it is there"), value, at, found);
        }
        "const" => return value == rule,
        "enum" => return rule.as_array().expect("a list").contains(value),
        "type" => {
            let named = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
            return named.iter().any(|name| is_a(name.as_str().expect("a name"), value));
        }
        "minimum" => return number.is_none_or(|number| number >= bound),
        "maximum" => return number.is_none_or(|number| number <= bound),
        "exclusiveMinimum" => return number.is_none_or(|number| number > bound),
        "minItems" => return items.is_none_or(|items| items.len() as f64 >= bound),
        "pattern" => {
            assert_eq!(rule, "^[0-9a-f]{64}$", "the one pattern that is known here");
            let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            return value.as_str().is_none_or(hex);
        }
        "required" => {
            let names = rule.as_array().expect("a list");
            return fields
                .is_none_or(|fields| names.iter().all(|name| fields.contains_key(name.as_str().expect("a name"))));
        }
        "properties" => {
            for (name, field) in fields.into_iter().flatten() {
                rule.get(name)
                    .into_iter()
                    .for_each(|schema| check(root, schema, field, &format!("{at}/{name}"), found));
            }
        }
        "additionalProperties" => {
            for (name, field) in
                fields.into_iter().flatten().filter(|(name, _)| rules["properties"].get(name).is_none())
            {
                check(root, rule, field, &format!("{at}/{name}"), found);
            }
        }
        "prefixItems" => {
            for (i, (item, schema)) in items.into_iter().flatten().zip(rule.as_array().expect("a list")).enumerate() {
                check(root, schema, item, &format!("{at}/{i}"), found);
            }
        }
        "items" => {
            let first = rules.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
            for (i, item) in items.into_iter().flatten().enumerate().skip(first) {
                check(root, rule, item, &format!("{at}/{i}"), found);
            }
        }
        other => panic!("{other} is not known here: add it"),
    }
    true
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        // 1.0 is an integer too.
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}
