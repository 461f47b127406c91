//! The name that goes with a password.

use crate::value::schema::word_schema;
use crate::value::{Invalid, deserialize_text};
use serde::{Deserialize, Deserializer};
use std::ops::Deref;
use std::str::FromStr;

/// A user's name: no colon, which ends it, and no control characters (RFC 7617 §2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserName(Box<str>);

impl FromStr for UserName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new("a user's name is missing here"));
        }
        match text.chars().find(|c| *c == ':' || c.is_control()) {
            // Whoever writes `user:password` here gets told so without the password.
            Some(':') => Err(Invalid::new(
                "a user's name holds no colon: the password's hash is the key `hash`",
            )),
            Some(c) => Err(Invalid::new(format!("a user's name must not hold {c:?}"))),
            None => Ok(UserName(text.into())),
        }
    }
}

impl Deref for UserName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a user's name")
    }
}

word_schema!(
    UserName,
    "UserName",
    "A user's name: no colon and no control characters.",
    {"type": ["string", "integer"], "examples": ["ops"]}
);
