//! What a certificate is known by when no name in it is enough.

use crate::value::schema::word_schema;
use crate::value::{Invalid, deserialize_text};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// The SHA-256 of a certificate's DER form. It is no secret: certificates are shown to whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns the bytes of the hash.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = Invalid;

    /// As tools print it: hexadecimal digits of either case, with a colon after every two or none.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |why: &str| Err(Invalid::new(format!("`{text}` is no fingerprint: {why}")));
        let digits = match text.contains(':') {
            true if text.split(':').any(|byte| byte.len() != 2) => {
                return wrong("colons stand between every two digits, or nowhere");
            }
            true => text.replace(':', ""),
            false => text.to_owned(),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return wrong("write the SHA-256 in hexadecimal digits");
        }
        let mut bytes = [0; 32];
        match digits.len() {
            64 => {}
            40 => return wrong("this is a SHA-1, which can be forged: write the SHA-256"),
            length => return wrong(&format!("a SHA-256 has 64 digits, here are {length}")),
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digit = |digit: u8| (digit as char).to_digit(16).map_or(0, |value| value as u8);
            *byte = digit(pair[0]) << 4 | digit(pair[1]);
        }
        Ok(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "the SHA-256 of a certificate")
    }
}

word_schema!(
    Fingerprint,
    "Fingerprint",
    "The SHA-256 of a certificate's DER form: 64 hexadecimal digits, with or without colons.",
    {"type": "string", "examples": [
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ]}
);
