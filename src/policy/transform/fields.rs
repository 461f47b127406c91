//! Rewriting of header fields.

use crate::exchange::References;
use crate::value::{HeaderName, Invalid, Reference, Template};
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::fmt;

/// What is done to header fields: first `remove`, then `set`, then `add`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Fields that get this value, in place of any that they had.
    pub set: Fields,
    /// Values that are added, beside any that are there.
    pub add: Fields,
    /// Fields that go.
    pub remove: Vec<HeaderName>,
}

/// Names and templates, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(HeaderName, Template)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of header names to values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields: Vec<(HeaderName, Template)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<HeaderName, Template>()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        let again = format!("header `{}` stands here twice", *name);
                        return Err(serde::de::Error::custom(again));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A value that is known, or one that each request makes.
#[derive(Debug)]
enum Value {
    Fixed(HeaderValue),
    Made(Template),
}

impl Value {
    /// Its value for one request; none where a reference has none, or where it is no field value.
    fn of(&self, references: References<'_>) -> Option<HeaderValue> {
        match self {
            Value::Fixed(value) => Some(value.clone()),
            Value::Made(template) => {
                let mut value = Vec::new();
                template.render(&references, &mut value).then_some(())?;
                HeaderValue::from_bytes(&value).ok()
            }
        }
    }
}

/// The compiled edits.
#[derive(Debug, Default)]
pub struct Edits {
    remove: Vec<http::HeaderName>,
    set: Vec<(http::HeaderName, Value)>,
    add: Vec<(http::HeaderName, Value)>,
}

impl Edits {
    /// Turns what was typed into what it means.
    pub fn compile(config: &Config) -> Result<Self, Invalid> {
        let names = config.remove.iter().enumerate();
        let remove = names.map(|(index, name)| {
            editable(name).map_err(|invalid| invalid.under(index).under("remove"))
        });
        Ok(Edits {
            remove: remove.collect::<Result<_, _>>()?,
            set: compile(&config.set, "set")?,
            add: compile(&config.add, "add")?,
        })
    }

    /// Walks what its templates refer to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let values = self.set.iter().chain(&self.add).map(|(_, value)| value);
        let templates = values.filter_map(|value| match value {
            Value::Fixed(_) => None,
            Value::Made(template) => Some(template),
        });
        templates.flat_map(Template::references)
    }

    /// Edits the fields of a message.
    pub fn apply(&self, fields: &mut HeaderMap, references: References<'_>) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            match value.of(references) {
                Some(value) => drop(fields.insert(name, value)),
                None => drop(fields.remove(name)),
            }
        }
        for (name, value) in &self.add {
            if let Some(value) = value.of(references) {
                fields.append(name, value);
            }
        }
    }
}

fn compile(fields: &Fields, key: &str) -> Result<Vec<(http::HeaderName, Value)>, Invalid> {
    let fields = fields.0.iter().map(|(name, template)| {
        let within = |invalid: Invalid| invalid.under(name.as_str()).under(key);
        let editable = editable(name).map_err(within)?;
        let value = match template.as_literal() {
            Some(text) => HeaderValue::from_str(text)
                .map(Value::Fixed)
                .map_err(|_| within(Invalid::new("this is not a header value")))?,
            None => Value::Made(template.clone()),
        };
        Ok((editable, value))
    });
    fields.collect()
}

/// Refuses the fields that frame a message or belong to one connection (RFC 9110 §7.6.1): the
/// gateway sets them itself, and a wrong one would let requests be smuggled.
fn editable(name: &HeaderName) -> Result<http::HeaderName, Invalid> {
    const CONNECTION: [&str; 7] = [
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    if CONNECTION.contains(&name.as_str()) {
        let refusal = format!("`{}` belongs to the connection, the gateway sets it", name.as_str());
        return Err(Invalid::new(refusal));
    }
    Ok((**name).clone())
}
