//! Which requests may be repeated although the service may have acted on them.

use crate::value;
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Which methods may be repeated: `idempotent`, `any`, a method or a list of methods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Methods {
    /// Those that RFC 9110 §9.2.2 calls idempotent, and requests with an `Idempotency-Key`, by
    /// which the client says that the service tells a repetition by its key
    /// (draft-ietf-httpapi-idempotency-key-header).
    #[default]
    Idempotent,
    /// All of them: the operator knows that the service bears it.
    Any,
    /// These, and no others.
    Listed(Vec<Method>),
}

impl Methods {
    /// Whether a request may be repeated.
    pub fn allow(&self, method: &Method, has_idempotency_key: bool) -> bool {
        match self {
            Methods::Idempotent => method.is_idempotent() || has_idempotency_key,
            Methods::Any => true,
            Methods::Listed(methods) => methods.contains(method),
        }
    }
}

impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MethodsVisitor)
    }
}

impl JsonSchema for Methods {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RetryMethods".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let method = generator.subschema_for::<value::Method>();
        json_schema!({"anyOf": [
            {"enum": ["idempotent", "any"]},
            method,
            {"type": "array", "items": method, "minItems": 1},
        ]})
    }
}

/// Tells the words from a list by their shape, so that an error inside keeps its place.
struct MethodsVisitor;

impl<'de> Visitor<'de> for MethodsVisitor {
    type Value = Methods;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`idempotent`, `any` or a list of methods")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Methods, E> {
        match text {
            "idempotent" => Ok(Methods::Idempotent),
            "any" => Ok(Methods::Any),
            _ if text.bytes().any(|byte| byte.is_ascii_lowercase()) => Err(E::custom(format!(
                "`{text}` says no methods: write `idempotent`, `any` or a list such as `[GET, PUT]`"
            ))),
            _ => {
                let method = value::Method::deserialize(StrDeserializer::new(text))?;
                Ok(Methods::Listed(vec![method.into_inner()]))
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Methods, A::Error> {
        let methods = Vec::<value::Method>::deserialize(SeqAccessDeserializer::new(seq))?;
        if methods.is_empty() {
            let message = "the list is empty: leave its key out to mean those that are idempotent";
            return Err(A::Error::custom(message));
        }
        Ok(Methods::Listed(methods.into_iter().map(value::Method::into_inner).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Methods, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn the_words_and_lists_are_read() {
        assert_eq!(read("idempotent"), Ok(Methods::Idempotent));
        assert_eq!(read("any"), Ok(Methods::Any));
        assert_eq!(read("GET"), Ok(Methods::Listed(vec![Method::GET])));
        assert_eq!(read("[GET, POST]"), Ok(Methods::Listed(vec![Method::GET, Method::POST])));
    }

    #[test]
    fn what_says_no_methods_hears_what_would() {
        assert!(read("all").unwrap_err().contains("`idempotent`, `any`"));
        assert!(read("[]").unwrap_err().contains("the list is empty"));
        assert!(read("[get]").unwrap_err().contains("did you mean `GET`?"));
        assert!(read("{a: 1}").unwrap_err().contains("expected `idempotent`"));
    }

    #[test]
    fn a_key_makes_a_request_idempotent_but_no_list_longer() {
        assert!(!Methods::Idempotent.allow(&Method::POST, false));
        assert!(Methods::Idempotent.allow(&Method::POST, true));
        assert!(Methods::Idempotent.allow(&Method::DELETE, false));
        let listed = Methods::Listed(vec![Method::GET]);
        assert!(!listed.allow(&Method::POST, true) && !listed.allow(&Method::PUT, false));
        assert!(Methods::Any.allow(&Method::PATCH, false));
    }
}
