//! A YAML map from names to things. Unlike a hash map it keeps the order of the file, which
//! errors, dumps and metrics then follow; and unlike serde's default it refuses a second entry of
//! the same name, which would silently win.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::Name;

/// Things by name, in the order of the file.
#[derive(Clone, PartialEq)]
pub struct NameMap<T> {
    entries: Vec<(Name, T)>,
    places: HashMap<Name, usize>,
}

impl<T> NameMap<T> {
    /// Returns the thing of that name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.places.get(name).map(|at| &self.entries[*at].1)
    }

    /// Returns the place of a name in the order of the file.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Returns the entry at a place in the order of the file.
    pub fn at(&self, place: usize) -> Option<(&Name, &T)> {
        self.entries.get(place).map(|(name, value)| (name, value))
    }

    /// Walks the entries in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &T)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// Counts the entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Default for NameMap<T> {
    fn default() -> Self {
        NameMap { entries: Vec::new(), places: HashMap::new() }
    }
}

impl<T: fmt::Debug> fmt::Debug for NameMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for NameMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for NameMap<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": one})
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = NameMap<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map whose keys are names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<NameMap<T>, A::Error> {
        let mut map = NameMap::default();
        while let Some(name) = access.next_key_seed(NewName(&map.places))? {
            map.places.insert(name.clone(), map.entries.len());
            map.entries.push((name, access.next_value()?));
        }
        Ok(map)
    }
}

/// Reads a key that is not there yet. The check is part of reading the key, so that serde places
/// the error at the second entry and not at the start of the map.
struct NewName<'a>(&'a HashMap<Name, usize>);

impl<'de> DeserializeSeed<'de> for NewName<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewName<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        if self.0.contains_key(text) {
            return Err(E::custom(format!("`{text}` stands here twice: a name is given once")));
        }
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = NameMap<u8>;

    #[test]
    fn entries_keep_the_order_of_the_file() {
        let map: Numbers = serde_yaml::from_str("{zoo: 1, ant: 2, 404: 3}").unwrap();
        let names: Vec<_> = map.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["zoo", "ant", "404"]);
        assert_eq!((map.get("ant"), map.get("bee"), map.len()), (Some(&2), None, 3));
    }

    #[test]
    fn second_entry_of_a_name_is_refused_where_it_stands() {
        let error = serde_yaml::from_str::<Numbers>("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert!(error.to_string().contains("`a` stands here twice"), "{error}");
        assert_eq!(error.location().map(|at| (at.line(), at.column())), Some((3, 1)));
    }

    #[test]
    fn key_that_is_no_name_is_refused_where_it_stands() {
        let error = serde_yaml::from_str::<Numbers>("a: 1\nb c: 2\n").unwrap_err();
        assert!(error.to_string().contains("the name `b c` holds ' '"), "{error}");
        assert_eq!(error.location().map(|at| at.line()), Some(2));
    }

    #[test]
    fn list_is_refused_with_what_was_meant() {
        let error = serde_yaml::from_str::<Numbers>("[a]").unwrap_err();
        assert!(error.to_string().contains("a map whose keys are names"), "{error}");
    }
}
