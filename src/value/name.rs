//! Routes, services and policies are called by name in the configuration, in metrics and in
//! logs, so a name is short and needs no quoting in any of them.

use super::schema::word_schema;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::{Invalid, deserialize_text};

/// The name of something in the configuration: 1 to 64 of `A-Z a-z 0-9 . _ -`. Clones share
/// their text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

const LONGEST: usize = 64;

impl Name {
    /// Returns the text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new("a name is missing here"));
        }
        let strange = |c: &char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-');
        if let Some(c) = text.chars().find(strange) {
            return Err(Invalid::new(format!(
                "the name `{text}` holds {c:?}: a name has only letters, digits, `.`, `_` and `-`"
            )));
        }
        if text.len() > LONGEST {
            return Err(Invalid::new(format!(
                "the name `{text}` has {} characters: at most {LONGEST}",
                text.len()
            )));
        }
        Ok(Name(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a name")
    }
}

word_schema!(
    Name,
    "Name",
    "A name: 1 to 64 letters, digits, `.`, `_` and `-`.",
    {"type": ["string", "integer"], "examples": ["orders", "v2.users"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Name>().unwrap_err().to_string()
    }

    #[test]
    fn letters_digits_and_three_signs_are_a_name() {
        assert_eq!("orders_v2.eu-1".parse::<Name>().unwrap().as_str(), "orders_v2.eu-1");
        assert_eq!(serde_yaml::from_str::<Name>("404").unwrap().as_str(), "404");
        assert_eq!(serde_yaml::from_str::<Name>("1.0").unwrap().as_str(), "1.0");
    }

    #[test]
    fn other_characters_are_refused_by_name() {
        assert!(refusal("order page").contains("holds ' '"));
        assert!(refusal("commandé").contains("holds 'é'"));
        assert!(refusal("a\nb").contains("holds '\\n'"));
    }

    #[test]
    fn length_is_bounded_at_both_ends() {
        assert!(refusal("").contains("missing"));
        assert!("n".repeat(64).parse::<Name>().is_ok());
        assert!(refusal(&"n".repeat(65)).contains("at most 64"));
    }
}
