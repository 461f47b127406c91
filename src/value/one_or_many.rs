//! In the configuration a list means "any of these". Where one is enough, its brackets are only
//! noise, so `hosts: api.example.com` says the same as `hosts: [api.example.com]`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, IntoDeserializer, SeqAccess, Visitor};

/// One value, or a list of at least one. An empty list is refused: "any of none" matches
/// nothing, and whoever wrote it rather meant to leave the key out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMany<T>(Vec<T>);

impl<T> OneOrMany<T> {
    /// Returns the values as a list.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

struct Values<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Values<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<OneOrMany<T>, A::Error> {
        let values = Vec::deserialize(SeqAccessDeserializer::new(access))?;
        if values.is_empty() {
            return Err(A::Error::custom("the list is empty: leave its key out to mean any"));
        }
        Ok(OneOrMany(values))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany<T>, E> {
        T::deserialize(text.into_deserializer()).map(|value| OneOrMany(vec![value]))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<OneOrMany<T>, E> {
        T::deserialize(number.into_deserializer()).map(|value| OneOrMany(vec![value]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Cidr;

    #[derive(Debug, Deserialize)]
    struct Deny {
        deny: OneOrMany<Cidr>,
    }

    #[test]
    fn single_value_is_a_list_of_one() {
        let one: Deny = serde_yaml::from_str("deny: 10.0.0.0/8").unwrap();
        let list: Deny = serde_yaml::from_str("deny: [10.0.0.0/8]").unwrap();
        assert_eq!(one.deny, list.deny);
        assert_eq!(list.deny.len(), 1);
        assert_eq!(serde_yaml::from_str::<OneOrMany<u16>>("503").unwrap().into_vec(), [503]);
    }

    #[test]
    fn mistake_is_placed_whether_listed_or_not() {
        for (yaml, column) in [("\ndeny: 10.0.0.1/8", 7), ("\ndeny: [10.0.0.1, 10.0.0.1/8]", 18)] {
            let error = serde_yaml::from_str::<Deny>(yaml).unwrap_err();
            assert!(error.to_string().contains("did you mean"), "{error}");
            assert_eq!(error.location().map(|at| (at.line(), at.column())), Some((2, column)));
        }
    }

    #[test]
    fn empty_list_is_refused() {
        let error = serde_yaml::from_str::<Deny>("deny: []").unwrap_err();
        assert!(error.to_string().contains("leave its key out"), "{error}");
    }
}
