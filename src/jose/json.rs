//! JSON that can be read in one way only. Parsers differ in what they make of a name that stands
//! twice, so a token that has one may mean one thing here and another to a service behind
//! (RFC 7515 §4, RFC 7519 §4, RFC 8725 §2.6): it is refused, however deep it stands and however it
//! is escaped.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads one object and nothing after it. Whatever is no JSON is refused by `serde_json`: bytes
/// that are no UTF-8, a byte order mark, half a surrogate pair, a number beyond what a double can
/// hold, nesting beyond 128.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(serde_json::Error::custom("expected an object")),
    }
}

/// Makes a value as `serde_json` does, save that a name may stand once in its object.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Strict)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        // The names that arrive here are decoded: `a` and `\u0061` are the same one.
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Strict)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_is_json_is_read_as_it_is() {
        let text =
            br#" {"a":[1,-1,1.5,1e2,true,null,"\u00e9"],"b":{"a":{}},"n":18446744073709551615}
            "#;
        let value = json!({
            "a": [1, -1, 1.5, 100.0, true, null, "é"], "b": {"a": {}}, "n": u64::MAX,
        });
        assert_eq!(Value::Object(object(text).unwrap()), value);
    }

    #[test]
    fn a_name_stands_once_however_deep_and_however_escaped() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"x":[[{"a":1,"\u0061":1}]]}"#,
            r#"{"":1,"":2}"#,
            r#"{"\uD83D\uDE00":1,"😀":2}"#,
        ] {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
        assert!(object(r#"{"a":1,"A":2}"#.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_object_or_no_json_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for text in [
            "",
            " ",
            "{",
            "[]",
            "1",
            "null",
            "true",
            "\"{}\"",
            "{}{}",
            "{} x",
            "{},",
            "{'a':1}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":1e400}",
            "{\"a\":-1e400}",
            "{\"a\":0x1}",
            "{\"a\":\"\\uD800\"}",
            "{\"a\":\"\\uDC00\\uD800\"}",
            "{\"\\uD800\":1}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
            "{/**/}",
            "{}\0",
            &deep,
        ] {
            assert!(object(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        assert!(object(b"{\"a\":\"\xed\xa0\x80\"}").is_err());
        assert!(object(b"{\"a\":\"\xc0\xaf\"}").is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&bytes);
        }
    }
}
