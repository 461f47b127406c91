//! What is typed, deserialised from the tree.
//!
//! A scalar means what its reader makes of it: text where a word is wanted, and a number, a truth
//! value or nothing (YAML 1.2 §10.3) where the reader takes anything. `$(env:…)` and `$(file:…)`
//! are resolved on the way in every value that is not a template of its own.

use super::tree::{Content, Node};
use super::wrong::Wrong;
use crate::value::{Scalar, Template};
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Number;
use std::borrow::Cow;

/// Reads a node.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    node: &'a Node,
    /// Whether the text is wanted as it was typed.
    typed: bool,
    /// Whether any number is wanted as a number, and not whole ones alone.
    numbers: bool,
}

impl<'a> Reader<'a> {
    /// Reads a node.
    pub fn new(node: &'a Node) -> Self {
        Reader { node, typed: false, numbers: false }
    }

    /// A scalar's text, and whether it is plain as it was typed.
    fn scalar(&self) -> Option<(&'a str, bool)> {
        match &self.node.content {
            Content::Scalar { text, plain } => Some((text, *plain)),
            _ => None,
        }
    }

    fn is_nothing(&self) -> bool {
        self.scalar().is_some_and(|(text, plain)| plain && matches!(text, "" | "~" | "null"))
    }

    /// Gives the text to a reader of text; what it says of a value from outside is told of what
    /// was typed, since the value may be a secret.
    fn text<V, T>(
        self,
        visitor: V,
        take: impl FnOnce(V, &str) -> Result<T, Wrong>,
    ) -> Result<T, Wrong>
    where
        V: serde::de::Expected,
    {
        let Some((typed, _)) = self.scalar().filter(|_| !self.is_nothing()) else {
            return Err(Wrong::invalid_type(self.unexpected(), &visitor));
        };
        let resolved = if self.typed { Cow::Borrowed(typed) } else { resolved(typed)? };
        take(visitor, &resolved).map_err(|mut wrong| {
            if resolved != typed && !resolved.is_empty() {
                wrong.message = wrong.message.replace(&*resolved, typed);
            }
            wrong
        })
    }

    fn unexpected(&self) -> Unexpected<'a> {
        match &self.node.content {
            Content::Sequence(_) => Unexpected::Seq,
            Content::Mapping(_) => Unexpected::Map,
            Content::Scalar { .. } if self.is_nothing() => Unexpected::Unit,
            Content::Scalar { text, .. } => Unexpected::Str(text),
        }
    }
}

/// A text with what comes from outside in its place. One that also refers to requests stays as it
/// was typed: whoever reads it says that this is not possible there.
fn resolved(typed: &str) -> Result<Cow<'_, str>, Wrong> {
    if !typed.contains("$(env:") && !typed.contains("$(file:") {
        return Ok(Cow::Borrowed(typed));
    }
    let template: Template = typed.parse().map_err(Wrong::custom)?;
    Ok(template.as_literal().map_or(Cow::Borrowed(typed), |text| Cow::Owned(text.to_owned())))
}

/// Reads numbers, each by its own parser, so that one from outside may be a number too.
macro_rules! numbers {
    ($($deserialize:ident $visit:ident $number:ty,)+) => {
        $(fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.text(Words(visitor), |Words(visitor), text| match text.parse::<$number>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(Wrong::invalid_type(Unexpected::Str(text), &visitor)),
            })
        })+
    };
}

/// A visitor as what it expects.
struct Words<V>(V);

impl<'de, V: Visitor<'de>> serde::de::Expected for Words<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expecting(f)
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.content {
            Content::Sequence(_) => self.deserialize_seq(visitor),
            Content::Mapping(_) => self.deserialize_map(visitor),
            Content::Scalar { .. } if self.is_nothing() => visitor.visit_unit(),
            Content::Scalar { text, plain } => match text.as_str() {
                "true" if *plain => visitor.visit_bool(true),
                "false" if *plain => visitor.visit_bool(false),
                number
                    if *plain && number.parse::<u64>().is_ok_and(|n| n.to_string() == *number) =>
                {
                    self.deserialize_u64(visitor)
                }
                text if *plain && self.numbers => match serde_json::from_str::<Number>(text) {
                    Ok(number) => number.deserialize_any(visitor).map_err(Wrong::custom),
                    Err(_) => self.deserialize_str(visitor),
                },
                _ => self.deserialize_str(visitor),
            },
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.text(Words(visitor), |Words(visitor), text| visitor.visit_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.text(Words(visitor), |Words(visitor), text| match text {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(Wrong::invalid_type(Unexpected::Str(other), &visitor)),
        })
    }

    numbers! {
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_i64 visit_i64 i64,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.is_nothing() {
            true => Err(Wrong::new("nothing stands here: leave the key out, or give it a value")),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let (typed, numbers) = (name == Template::TYPED, name == Scalar::NUMBERS);
        visitor.visit_newtype_struct(Reader { typed, numbers, ..self })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.content {
            Content::Sequence(_) => visitor.visit_seq(Children { node: self.node, next: 0 }),
            _ => Err(Wrong::invalid_type(self.unexpected(), &Words(visitor))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.content {
            Content::Mapping(_) => visitor.visit_map(Children { node: self.node, next: 0 }),
            _ => Err(Wrong::invalid_type(self.unexpected(), &Words(visitor))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.text(Words(visitor), |Words(visitor), text| visitor.visit_enum(Word(text)))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// Walks the children of a node; what is wrong with one is told with its number.
struct Children<'a> {
    node: &'a Node,
    next: usize,
}

impl<'de> SeqAccess<'de> for Children<'_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        let number = self.next;
        let Some(child) = self.node.child(number) else { return Ok(None) };
        self.next += 1;
        seed.deserialize(Reader::new(child)).map(Some).map_err(|wrong| wrong.in_child(number))
    }

    fn size_hint(&self) -> Option<usize> {
        match &self.node.content {
            Content::Sequence(items) => Some(items.len() - self.next),
            _ => None,
        }
    }
}

impl<'de> MapAccess<'de> for Children<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        let Some(entry) = self.node.entries().get(self.next) else { return Ok(None) };
        let key: StringDeserializer<Wrong> = entry.key.clone().into_deserializer();
        let wrong_key = |wrong: Wrong| Wrong { is_key: true, ..wrong.in_child(self.next) };
        seed.deserialize(key).map(Some).map_err(wrong_key)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let number = self.next;
        let value = &self.node.entries()[number].value;
        self.next += 1;
        seed.deserialize(Reader::new(value)).map_err(|wrong| wrong.in_child(number))
    }
}

/// A word that is one of several.
struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        let word: StringDeserializer<Wrong> = self.0.to_owned().into_deserializer();
        seed.deserialize(word).map(|value| (value, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Wrong> {
        Err(Wrong::new("a word cannot carry a value"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::new("a word cannot carry values"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Wrong> {
        Err(Wrong::new("a word cannot carry values"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;
    use crate::value::{Duration, Name, OneOrMany};
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        count: Option<u32>,
        flag: Option<bool>,
        wait: Option<Duration>,
        names: Option<OneOrMany<Name>>,
        said: Option<Template>,
    }

    fn read<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
        let tree = yaml::parse(text, 0, &mut Vec::new()).unwrap();
        T::deserialize(Reader::new(&tree))
    }

    #[test]
    fn scalars_mean_what_their_reader_makes_of_them() {
        let sample: Sample =
            read("{count: 7, flag: true, wait: 1.5s, names: 404, said: $(client.ip)}").unwrap();
        assert_eq!((sample.count, sample.flag), (Some(7), Some(true)));
        assert_eq!(sample.wait.unwrap().to_string(), "1500ms");
        assert_eq!(sample.names.unwrap()[0].as_str(), "404");
        assert_eq!(sample.said.unwrap().references().count(), 1);
        let quoted: Sample = read("{names: [\"1.0\", 1.10, true]}").unwrap();
        let names: Vec<_> = quoted.names.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["1.0", "1.10", "true"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_the_way_to_it() {
        let wrong = read::<Sample>("{flag: true, names: [a, \"b c\"]}").unwrap_err();
        assert_eq!((wrong.way, wrong.is_key), (vec![1, 1], false));
        let wrong = read::<Sample>("{flag: true, nmaes: a}").unwrap_err();
        assert_eq!((wrong.way, wrong.is_key), (vec![1], true));
        assert_eq!(wrong.message, "unknown key `nmaes`, did you mean `names`?");
        for (text, message) in [
            ("{count: many}", "`many` stands here, expected a whole number"),
            ("{count: -1}", "`-1` stands here, expected a whole number"),
            ("{flag: yes}", "`yes` stands here, expected `true` or `false`"),
            ("{flag:}", "leave the key out"),
            ("[a]", "a list stands here, expected a mapping"),
            ("a", "text stands here, expected a mapping"),
            ("{names: {a: b}}", "a mapping stands here, expected a value or a list of values"),
        ] {
            let told = read::<Sample>(text).unwrap_err().message;
            assert!(told.contains(message), "{text}: {told}");
        }
    }

    #[test]
    fn where_numbers_are_wanted_the_quotes_count() {
        use crate::policy::authorize::{Config, ItemConfig};
        let value = |text: &str| {
            let config: Config = read(&format!("{{all: [{{claim: a, equals: {text}}}]}}")).unwrap();
            let all = config.all.unwrap();
            let ItemConfig::Mapping(mapping) = &all[0] else { unreachable!() };
            mapping.equals.as_ref().unwrap().to_string()
        };
        for (typed, read) in [
            ("5", "5"),
            ("-5", "-5"),
            ("1.5", "1.5"),
            ("1e3", "1000.0"),
            ("18446744073709551615", "18446744073709551615"),
            ("\"5\"", "\"5\""),
            ("\"-5\"", "\"-5\""),
            ("true", "true"),
            ("\"true\"", "\"true\""),
            ("007", "\"007\""),
            ("1_000", "\"1_000\""),
            ("$(env:SLUICEGATE_NONE ?? 12)", "\"12\""),
        ] {
            assert_eq!(value(typed), read, "{typed}");
        }
        let wrong = read::<Config>("{all: [{claim: a, any: [1, 18446744073709551616]}]}");
        let wrong = wrong.unwrap_err();
        assert_eq!(wrong.way, [1, 1, 0, 0]);
        assert!(wrong.message.contains("too large to be exact"), "{wrong}");
        let wrong = read::<Config>("{all: [{claim: a, equals: null}]}").unwrap_err();
        assert!(wrong.message.contains("leave the key out"), "{wrong}");
    }

    #[test]
    fn values_from_outside_are_read_everywhere_and_never_told() {
        let count = |text| read::<Sample>(text).map(|sample| sample.count);
        assert_eq!(count("{count: $(env:SLUICEGATE_NONE ?? 12)}"), Ok(Some(12)));
        let path = env!("CARGO_MANIFEST_DIR");
        let wrong = count("{count: $(env:CARGO_MANIFEST_DIR)}").unwrap_err();
        assert!(!wrong.message.contains(path), "{wrong}");
        assert!(wrong.message.contains("$(env:CARGO_MANIFEST_DIR)"), "{wrong}");
        let wrong = count("{count: $(env:SLUICEGATE_NONE)}").unwrap_err();
        assert!(wrong.message.contains("`SLUICEGATE_NONE` is not set"), "{wrong}");
    }
}
