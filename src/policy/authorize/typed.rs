//! Conditions as they are typed: a text `KIND:VALUE`, or a mapping.
//!
//! Beside `claim` a list holds values, and elsewhere conditions, whichever key comes first: so what
//! a list holds is only sorted out when it is compiled, which knows the place of each item too.

use super::times::TimesConfig;
use super::word::KINDS;
use crate::value::Scalar;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// One item of a list: a condition, or a value that a claim is held against.
#[derive(Debug, Clone)]
pub enum ItemConfig {
    /// A text `KIND:VALUE`, or a value.
    Scalar(Scalar),
    /// A condition that is no text.
    Mapping(Box<MappingConfig>),
}

/// A condition that is no text: a claim with one test, times of the week, or groups of conditions.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ConditionMapping")]
pub struct MappingConfig {
    /// The name of a claim; dots lead into objects, `realm_access.roles`. It goes with exactly one
    /// of `equals`, `contains`, `any`, `all` and `present`.
    pub claim: Option<String>,
    /// The claim is this text, number or truth value: texts byte by byte, numbers by what they are
    /// worth. A list never is.
    pub equals: Option<Scalar>,
    /// The claim is a list that has this value, or is this value. A part of a text is not enough,
    /// not even a word of it.
    pub contains: Option<Scalar>,
    /// Whether the claim is there; `null` counts as not there.
    pub present: Option<bool>,
    /// At least one of these holds. Beside `claim`: it contains at least one of these values.
    pub any: Option<Vec<ItemConfig>>,
    /// Each of these holds. Beside `claim`: it contains each of these values.
    pub all: Option<Vec<ItemConfig>>,
    /// None of these holds.
    pub not: Option<Vec<ItemConfig>>,
    /// It is one of these times of the week. Stands alone.
    pub times: Option<TimesConfig>,
}

impl<'de> Deserialize<'de> for ItemConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(Scalar::NUMBERS, Item)
    }
}

impl JsonSchema for ItemConfig {
    fn schema_name() -> Cow<'static, str> {
        "AuthorizeCondition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<MappingConfig>();
        json_schema!({
            "description": "`KIND:VALUE`, where KIND is role, scope, tier, consumer, tag, way, \
                            method or network; or a mapping. Beside `claim` a list holds values \
                            instead.",
            "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}, mapping],
            "examples": ["scope:orders.read", "role:admin", "network:10.0.0.0/8"],
        })
    }
}

struct Item;

impl<'de> Visitor<'de> for Item {
    type Value = ItemConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a condition such as `scope:orders.read`, or a value of a claim")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<ItemConfig, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ItemConfig, E> {
        Ok(ItemConfig::Scalar(Scalar::Text(text.into())))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<ItemConfig, E> {
        Ok(ItemConfig::Scalar(Scalar::Truth(truth)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ItemConfig, E> {
        Ok(ItemConfig::Scalar(Scalar::Number(number.into())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ItemConfig, E> {
        Ok(ItemConfig::Scalar(Scalar::Number(number.into())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<ItemConfig, E> {
        Scalar::fraction(number).map(ItemConfig::Scalar).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ItemConfig, A::Error> {
        let mapping = MappingConfig::deserialize(MapAccessDeserializer::new(Keys(map)))?;
        Ok(ItemConfig::Mapping(Box::new(mapping)))
    }
}

/// A mapping whose keys may be kinds by mistake: `role: admin` is YAML for a mapping, and one space
/// away from the text that was meant.
struct Keys<A>(A);

/// Reads a key.
struct Key<S>(S);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Keys<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(Key(seed))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        if KINDS.contains(&key.as_str()) {
            return Err(D::Error::custom(format!(
                "a condition of the kind `{key}` is one text, write `{key}:VALUE` without a space"
            )));
        }
        let key: StringDeserializer<D::Error> = key.into_deserializer();
        self.0.deserialize(key)
    }
}
