//! Rewriting of header fields.

use crate::exchange::{FieldValue, References};
use crate::value::{Fields, HeaderName, Invalid, Reference};
use http::HeaderMap;
use http::header::HOST;
use schemars::JsonSchema;
use serde::Deserialize;

/// What is done to header fields: first `remove`, then `set`, then `add`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HeaderEdits")]
pub struct Config {
    /// Fields that get this value, in place of any that they had.
    pub set: Fields,
    /// Values that are added, beside any that are there.
    pub add: Fields,
    /// Fields that go.
    pub remove: Vec<HeaderName>,
}

/// The compiled edits.
#[derive(Debug, Default)]
pub struct Edits {
    remove: Vec<http::HeaderName>,
    set: Vec<(http::HeaderName, FieldValue)>,
    add: Vec<(http::HeaderName, FieldValue)>,
}

impl Edits {
    /// Turns what was typed into what it means.
    pub fn compile(config: &Config) -> Result<Self, Invalid> {
        let names = config.remove.iter().enumerate();
        let remove = names.map(|(index, name)| {
            name.editable().map_err(|invalid| invalid.under(index).under("remove"))
        });
        Ok(Edits {
            remove: remove.collect::<Result<_, _>>()?,
            set: compile(&config.set, "set")?,
            add: compile(&config.add, "add")?,
        })
    }

    /// Walks what its templates refer to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.set.iter().chain(&self.add).flat_map(|(_, value)| value.references())
    }

    /// Edits the fields of a message.
    pub fn apply(&self, fields: &mut HeaderMap, references: References<'_>) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            match value.of(&references) {
                Some(value) => drop(fields.insert(name, value)),
                // A request without one would be none (RFC 9112 §3.2).
                None if *name == HOST => (),
                None => drop(fields.remove(name)),
            }
        }
        for (name, value) in &self.add {
            if let Some(value) = value.of(&references) {
                fields.append(name, value);
            }
        }
    }
}

fn compile(fields: &Fields, key: &str) -> Result<Vec<(http::HeaderName, FieldValue)>, Invalid> {
    FieldValue::compile(fields).map_err(|invalid| invalid.under(key))
}
