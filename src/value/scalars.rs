//! One scalar, or a list of them, each with its type. A list of one needs no brackets, as with
//! `OneOrMany`, which cannot tell `-5` from `"-5"`.

use super::Scalar;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// One scalar, or a list of at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalars(Vec<Scalar>);

impl Deref for Scalars {
    type Target = [Scalar];

    fn deref(&self) -> &[Scalar] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Scalars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(Scalar::NUMBERS, ScalarsVisitor)
    }
}

impl JsonSchema for Scalars {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalars".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Scalar>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

struct ScalarsVisitor;

/// Hands a single value to the reader of scalars.
macro_rules! singles {
    ($($visit:ident $Value:ty,)+) => {
        $(fn $visit<E: Error>(self, value: $Value) -> Result<Scalars, E> {
            Scalar::deserialize(value.into_deserializer()).map(|one| Scalars(vec![one]))
        })+
    };
}

impl<'de> Visitor<'de> for ScalarsVisitor {
    type Value = Scalars;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, `true` or `false`, or a list of them")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Scalars, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Scalars, A::Error> {
        let values = Vec::deserialize(SeqAccessDeserializer::new(list))?;
        if values.is_empty() {
            return Err(A::Error::custom("the list is empty: which values?"));
        }
        Ok(Scalars(values))
    }

    singles! {
        visit_str &str,
        visit_bool bool,
        visit_u64 u64,
        visit_i64 i64,
        visit_f64 f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(yaml: &str) -> String {
        let scalars: Scalars = serde_yaml::from_str(yaml).unwrap();
        scalars.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_scalar_is_a_list_of_one_and_keeps_its_type() {
        for (yaml, values) in [
            ("app", "\"app\""),
            ("5", "5"),
            ("\"5\"", "\"5\""),
            ("-5", "-5"),
            ("true", "true"),
            ("[app, 5, \"5\", -1.5, false]", "\"app\" 5 \"5\" -1.5 false"),
        ] {
            assert_eq!(told(yaml), values, "{yaml}");
        }
    }

    #[test]
    fn an_empty_list_and_what_is_no_scalar_are_refused() {
        let refusal = |yaml: &str| serde_yaml::from_str::<Scalars>(yaml).unwrap_err().to_string();
        assert!(refusal("[]").contains("which values?"));
        assert!(refusal("{a: b}").contains("expected a text, a number"));
        assert!(refusal("[[a]]").contains("expected a text, a number"));
    }
}
