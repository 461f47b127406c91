//! The schema of the configuration, for editors that complete and check while one types, and the
//! reference for those who read. Both come from the structs that the document is read into.

use super::Document;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value};
use std::fmt::Write;

/// The schema of a document: JSON Schema, draft 2020-12.
pub fn schema() -> Schema {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    schema.insert("title".to_owned(), "A configuration of Sluicegate".into());
    RecursiveTransform(as_typed).transform(&mut schema);
    schema
}

/// Leaves out what serde knows and nobody types: `null` for what is left out, Rust's formats,
/// defaults that are empty. A sentence that was broken into lines becomes one line.
fn as_typed(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("format");
    if object.get("default").is_some_and(is_empty) {
        object.remove("default");
    }
    if let Some(Value::String(sentence)) = object.get_mut("description") {
        *sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|one| one.get("type") != Some(&"null".into()));
    if choices.len() == 1
        && let Some(Value::Object(only)) = choices.pop()
    {
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.values().all(is_empty),
        Value::Bool(value) => !value,
        Value::Number(_) | Value::String(_) => false,
    }
}

/// The reference: every key, what it takes, and what it means, as Markdown.
pub fn reference() -> String {
    let schema = schema();
    let mut text = String::from(REFERENCE);
    let nothing = Map::new();
    let root = schema.as_object().unwrap_or(&nothing);
    section(&mut text, "The document", root);
    let definitions = root.get("$defs").and_then(Value::as_object).unwrap_or(&nothing);
    let mut words = String::new();
    for (name, definition) in definitions {
        let Some(definition) = definition.as_object() else { continue };
        match definition.contains_key("properties") {
            true => section(&mut text, name, definition),
            false => word(&mut words, name, definition),
        }
    }
    text.push_str("## Words\n\n| word | what it is | for example |\n|---|---|---|\n");
    text.push_str(&words);
    text
}

/// What stands before the tables.
const REFERENCE: &str = "# The configuration

Every key, what it takes, and what it means. `sluicegate schema --format markdown` prints this page,
and `sluicegate schema` the JSON Schema behind it. Unknown keys, and keys that stand twice, are errors
everywhere. In every value `$(env:NAME)`, `$(env:NAME ?? default)` and `$(file:PATH)` are replaced when
the file is read; relative paths begin in the folder of the document.

";

fn section(text: &mut String, name: &str, definition: &Map<String, Value>) {
    let required: Vec<&str> = match definition.get("required") {
        Some(Value::Array(keys)) => keys.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    write_to(text, format_args!("## {name}\n\n"));
    if let Some(sentence) = sentence(definition) {
        write_to(text, format_args!("{sentence}\n\n"));
    }
    text.push_str("| key | value | meaning |\n|---|---|---|\n");
    let properties = definition.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        let needed = if required.contains(&key.as_str()) { " (needed)" } else { "" };
        let meaning = property.as_object().and_then(sentence).unwrap_or_default();
        write_to(text, format_args!("| `{key}`{needed} | {} | {meaning} |\n", shape(property)));
    }
    text.push('\n');
}

fn word(text: &mut String, name: &str, definition: &Map<String, Value>) {
    let examples = definition.get("examples").and_then(Value::as_array);
    let examples: Vec<_> = examples.into_iter().flatten().map(literal).collect();
    let what = match sentence(definition) {
        Some(sentence) => sentence,
        None => shape(&Value::Object(definition.clone())),
    };
    let anchor = name.to_lowercase();
    let row =
        format_args!("| <a id=\"{anchor}\"></a>{name} | {what} | {} |\n", examples.join(", "));
    write_to(text, row);
}

fn sentence(definition: &Map<String, Value>) -> Option<String> {
    Some(definition.get("description")?.as_str()?.replace('|', "\\|"))
}

/// What a value looks like, in a few words.
fn shape(property: &Value) -> String {
    if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
        let name = reference.trim_start_matches("#/$defs/");
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let choices = property.get("anyOf").or_else(|| property.get("oneOf"));
    if let Some(choices) = choices.and_then(Value::as_array) {
        return choices.iter().map(shape).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = property.get("enum").and_then(Value::as_array) {
        return words.iter().map(literal).collect::<Vec<_>>().join(", ");
    }
    if let Some(word) = property.get("const") {
        return literal(word);
    }
    match property.get("type").and_then(Value::as_str) {
        Some("array") => match property.get("items") {
            Some(items) => format!("list of {}", shape(items)),
            None => "list".to_owned(),
        },
        Some("object") => match property.get("additionalProperties") {
            Some(each @ Value::Object(_)) => format!("names with {}", shape(each)),
            _ => "mapping".to_owned(),
        },
        Some("string") => "text".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some(other) => other.to_owned(),
        None => "any of several kinds".to_owned(),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", text.replace('|', "\\|")),
        other => format!("`{other}`"),
    }
}

fn write_to(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes what is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks every schema within a schema.
    fn each(value: &Value, see: &mut impl FnMut(&Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                see(object);
                object.values().for_each(|value| each(value, see));
            }
            Value::Array(items) => items.iter().for_each(|value| each(value, see)),
            _ => {}
        }
    }

    #[test]
    fn every_key_has_its_sentence_and_no_key_may_be_null() {
        let schema = schema().to_value();
        each(&schema, &mut |object| {
            if let Some(properties) = object.get("properties").and_then(Value::as_object) {
                for (key, property) in properties {
                    assert!(property.get("description").is_some(), "{key} of {object:?}");
                }
            }
            assert_ne!(object.get("type"), Some(&"null".into()), "{object:?}");
        });
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = schema().to_value();
        let definitions = schema["$defs"].as_object().unwrap();
        each(&schema, &mut |object| {
            if let Some(Value::String(to)) = object.get("$ref") {
                let name = to.trim_start_matches("#/$defs/");
                assert!(definitions.contains_key(name), "{to}");
                assert!(!name.contains("Config") && !name.ends_with('2'), "{name} has no word");
            }
        });
    }
}
