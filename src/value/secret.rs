//! Text that nobody may read but whoever it is for: it is in no log, no error and no debug output,
//! and is overwritten when it goes.

use super::schema::word_schema;
use super::{Invalid, deserialize_text};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// A secret, such as `$(env:NAME)` or `$(file:PATH)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself: for cryptography and for whoever the secret is shared with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "" => Err(Invalid::new("a secret is not empty")),
            text => Ok(Secret(Zeroizing::new(text.to_owned()))),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a secret, such as `$(env:NAME)` or `$(file:PATH)`")
    }
}

word_schema!(
    Secret,
    "Secret",
    "A secret: best `$(env:NAME)` or `$(file:PATH)`, so that it does not stand in this file.",
    {"type": "string", "minLength": 1}
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_told_to_whoever_debugs() {
        let secret: Secret = "hush".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.reveal(), "hush");
    }
}
