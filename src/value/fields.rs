//! Header fields as the configuration writes them: a mapping of names to values.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{HeaderName, Invalid, Template};

/// Names and templates, in the order of the file. A name stands there once, whatever its case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(HeaderName, Template)>);

/// What frames a message or belongs to one connection (RFC 9110 §7.6.1).
const OF_THE_CONNECTION: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl Fields {
    /// Walks the fields in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &Template)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Returns the value of a field.
    pub fn get(&self, name: &http::HeaderName) -> Option<&Template> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }
}

impl HeaderName {
    /// Returns the name where a configuration may edit the field.
    ///
    /// # Errors
    ///
    /// Refuses what the gateway sets itself: a wrong one would let requests be smuggled.
    pub fn editable(&self) -> Result<http::HeaderName, Invalid> {
        match OF_THE_CONNECTION.contains(&self.as_str()) {
            true => {
                let name = self.as_str();
                let refusal = format!("`{name}` belongs to the connection, the gateway sets it");
                Err(Invalid::new(refusal))
            }
            false => Ok((**self).clone()),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl JsonSchema for Fields {
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Template>();
        json_schema!({
            "description": "Names of header fields and their values; a name stands once.",
            "type": "object",
            "additionalProperties": value,
        })
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of header names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry::<HeaderName, Template>()? {
            if fields.get(&name).is_some() {
                let again = format!("header `{}` stands here twice", *name);
                return Err(A::Error::custom(again));
            }
            fields.0.push((name, value));
        }
        Ok(fields)
    }
}
