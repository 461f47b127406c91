//! A kind's settings, or `none`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// What a scope says of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting<T> {
    /// `none`: what the scopes around it say does not hold here.
    Off,
    /// This holds here.
    Set(T),
}

impl<T> Setting<T> {
    /// The same of something else.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Setting<U> {
        match self {
            Setting::Off => Setting::Off,
            Setting::Set(set) => Setting::Set(make(set)),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Setting<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"const": "none"}]})
    }
}

/// Tells `none` from a setting by its shape, so that an error inside keeps its place, which an
/// untagged enum would lose.
struct SettingVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for SettingVisitor<T> {
    type Value = Setting<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this policy's settings, or `none`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            "none" => Ok(Setting::Off),
            _ => T::deserialize(StrDeserializer::new(text)).map(Setting::Set),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Setting::Set)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(seq)).map(Setting::Set)
    }
}
