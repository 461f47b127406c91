//! What is asked of header fields, query parameters and cookies.

use crate::route::{Condition, Test};
use crate::value::{Invalid, OneOrMany, Pattern};
use schemars::JsonSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Names and what is asked of their values; all of it must hold.
#[derive(Debug, Clone)]
pub struct Conditions<N>(Vec<(N, ConditionConfig)>);

/// What is asked of one value: a text that it equals, a list of such texts, or a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionConfig {
    /// The value is one of these.
    Equals(Vec<String>),
    /// The value passes a test.
    Test(TestConfig),
}

/// A test of a value; exactly one is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Test")]
pub struct TestConfig {
    /// Whether there is a value, whatever it says.
    pub present: Option<bool>,
    /// An expression that matches the whole value.
    pub regex: Option<Pattern>,
}

impl<N> Conditions<N> {
    /// Walks names and conditions in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&N, &ConditionConfig)> {
        self.0.iter().map(|(name, condition)| (name, condition))
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: fmt::Display> Conditions<N> {
    /// What they mean, each for the name that `name_of` gives it.
    ///
    /// # Errors
    ///
    /// Refuses a test that says nothing or too much.
    pub fn compile<M>(&self, name_of: impl Fn(&N) -> M) -> Result<Vec<Condition<M>>, Invalid> {
        let condition = |(name, config): (&N, &ConditionConfig)| {
            let within = |invalid: Invalid| invalid.under(name.to_string().as_str());
            let test = match config.texts_or_test().map_err(within)? {
                Ok(texts) => Test::Equals(texts.to_vec()),
                Err(TestConfig { regex: Some(pattern), .. }) => Test::Matches(pattern.clone()),
                Err(TestConfig { present: Some(false), .. }) => Test::Absent,
                Err(_) => Test::Present,
            };
            Ok(Condition { name: name_of(name), test })
        };
        self.iter().map(condition).collect()
    }
}

impl<N> Default for Conditions<N> {
    fn default() -> Self {
        Conditions(Vec::new())
    }
}

impl ConditionConfig {
    /// The test, or the texts; refuses a map that says nothing or too much.
    pub fn texts_or_test(&self) -> Result<Result<&[String], &TestConfig>, Invalid> {
        match self {
            ConditionConfig::Equals(texts) => Ok(Ok(texts)),
            ConditionConfig::Test(test) if test.present.is_some() != test.regex.is_some() => {
                Ok(Err(test))
            }
            ConditionConfig::Test(_) => {
                Err(Invalid::new("exactly one of `present` and `regex` is needed"))
            }
        }
    }
}

impl<'de, N> Deserialize<'de> for Conditions<N>
where
    N: DeserializeOwned + PartialEq + fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<N>(PhantomData<N>);
        impl<'de, N: DeserializeOwned + PartialEq + fmt::Display> Visitor<'de> for Names<N> {
            type Value = Conditions<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from names to conditions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Conditions<N>, A::Error> {
                let mut conditions: Vec<(N, ConditionConfig)> = Vec::new();
                while let Some((name, condition)) = map.next_entry::<N, ConditionConfig>()? {
                    if conditions.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("`{name}` stands here twice")));
                    }
                    conditions.push((name, condition));
                }
                Ok(Conditions(conditions))
            }
        }
        deserializer.deserialize_map(Names(PhantomData))
    }
}

impl<'de> Deserialize<'de> for ConditionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyOfThree)
    }
}

impl<N> JsonSchema for Conditions<N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Conditions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let condition = generator.subschema_for::<ConditionConfig>();
        json_schema!({"type": "object", "additionalProperties": condition})
    }
}

impl JsonSchema for ConditionConfig {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let test = generator.subschema_for::<TestConfig>();
        json_schema!({
            "description": "A text that the value equals, a list of such texts, or a test.",
            "anyOf": [
                {"type": ["string", "number"]},
                {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1},
                test,
            ],
        })
    }
}

struct AnyOfThree;

impl<'de> Visitor<'de> for AnyOfThree {
    type Value = ConditionConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list of texts, or `{present: …}` or `{regex: …}`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ConditionConfig, E> {
        Ok(ConditionConfig::Equals(vec![text.to_owned()]))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ConditionConfig, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ConditionConfig, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<ConditionConfig, E> {
        Err(E::custom(format!(
            "a value is text: write \"{value}\" in quotes, or `{{present: {value}}}`"
        )))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ConditionConfig, A::Error> {
        let texts = OneOrMany::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(ConditionConfig::Equals(texts.into_vec()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ConditionConfig, A::Error> {
        TestConfig::deserialize(MapAccessDeserializer::new(map)).map(ConditionConfig::Test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::HeaderName;

    fn conditions(yaml: &str) -> Result<Conditions<HeaderName>, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    fn condition(yaml: &str) -> ConditionConfig {
        conditions(&format!("{{x-a: {yaml}}}")).unwrap().0.remove(0).1
    }

    #[test]
    fn a_text_or_a_list_of_texts_is_what_a_value_equals() {
        let equals = |texts: &[&str]| {
            ConditionConfig::Equals(texts.iter().map(|text| (*text).to_owned()).collect())
        };
        assert_eq!(condition("\"1\""), equals(&["1"]));
        assert_eq!(condition("1"), equals(&["1"]));
        assert_eq!(condition("[\"1.0\", beta]"), equals(&["1.0", "beta"]));
    }

    #[test]
    fn a_map_is_a_test() {
        let test = condition("{present: false}");
        assert_eq!(test.texts_or_test().unwrap().unwrap_err().present, Some(false));
        let test = condition("{regex: \"v[0-9]+\"}");
        assert!(test.texts_or_test().unwrap().unwrap_err().regex.is_some());
        for both in ["{}", "{present: true, regex: a}"] {
            assert!(condition(both).texts_or_test().is_err());
        }
    }

    #[test]
    fn what_yaml_would_bend_is_refused() {
        let refusal = |yaml: &str| conditions(yaml).unwrap_err();
        assert!(refusal("{x-a: true}").contains("{present: true}"));
        assert!(refusal("{x-a: []}").contains("the list is empty"));
        assert!(refusal("{x-a: {regexp: a}}").contains("unknown field `regexp`"));
        assert!(refusal("{x-a: {regex: \"(\"}}").contains("cannot be read"));
        assert!(refusal("{x-a: \"1\", X-A: \"2\"}").contains("`x-a` stands here twice"));
    }
}
