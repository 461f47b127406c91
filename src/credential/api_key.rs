//! API keys: long random words of which the gateway knows digests only, so that whoever reads its
//! configuration cannot use them. A key has enough entropy for one round of SHA-256; a password has
//! not, and has its own room.

use super::hex;
use crate::value::Invalid;
use aws_lc_rs::digest::{SHA256, digest};
use hashbrown::HashMap;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// The longest key that is looked at, in bytes.
const LONGEST: usize = 512;

/// The SHA-256 of an API key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Computes the digest of a key.
    pub fn of(key: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
        KeyHash(hash)
    }

    /// The bytes by which it is looked up. They tell nothing of the key: to choose them is to
    /// find a preimage of so many bits.
    fn prefix(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl FromStr for KeyHash {
    type Err = Invalid;

    /// Its error does not show the text, which may be the key itself, put there by mistake.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        hex::digest(text).map(KeyHash).ok_or_else(|| {
            Invalid::new(
                "the SHA-256 of an API key has 64 hexadecimal digits: `printf %s KEY | sha256sum` \
                 makes one",
            )
        })
    }
}

/// Nobody needs the digest in a log, and whoever has a weak key would rather not have it there.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::value::deserialize_text(deserializer, "the SHA-256 of an API key, in hexadecimal")
    }
}

crate::value::schema::word_schema!(
    KeyHash,
    "ApiKeySha256",
    "The SHA-256 of an API key as 64 hexadecimal digits: `printf %s KEY | sha256sum` makes one.",
    {"type": "string", "examples": ["$(env:ACME_KEY_SHA256)"]}
);

/// The API keys that are known, and to whom each belongs.
pub struct ApiKeys<T> {
    /// By the first eight bytes of the digest. More than one key in a list is a coincidence that
    /// nobody will see, and is right nevertheless.
    keys: HashMap<u64, Vec<(KeyHash, T)>>,
}

impl<T> ApiKeys<T> {
    /// Knows no keys.
    pub fn new() -> Self {
        ApiKeys { keys: HashMap::new() }
    }

    /// Takes a key in. Returns to whom it belonged before, if it was known: two owners of one key
    /// are a mistake for the caller to tell.
    pub fn insert(&mut self, hash: KeyHash, owner: T) -> Option<T> {
        let list = self.keys.entry(hash.prefix()).or_default();
        match list.iter_mut().find(|(known, _)| *known == hash) {
            Some((_, known)) => Some(std::mem::replace(known, owner)),
            None => {
                list.push((hash, owner));
                None
            }
        }
    }

    /// Finds to whom a presented key belongs. A key of more than 512 bytes belongs to nobody.
    ///
    /// How long it takes does not depend on how much of a digest is right beyond what found the
    /// list: all of it is compared.
    pub fn find(&self, key: &str) -> Option<&T> {
        if key.is_empty() || key.len() > LONGEST {
            return None;
        }
        let hash = KeyHash::of(key);
        let list = self.keys.get(&hash.prefix())?;
        let found = list.iter().find(|(known, _)| known.0.ct_eq(&hash.0).into());
        found.map(|(_, owner)| owner)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.values().map(Vec::len).sum()
    }
}

impl<T> Default for ApiKeys<T> {
    fn default() -> Self {
        ApiKeys::new()
    }
}

impl<T> fmt::Debug for ApiKeys<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `abc` (FIPS 180-4, appendix of examples).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_read_in_any_case() {
        assert_eq!(ABC.parse::<KeyHash>().unwrap(), KeyHash::of("abc"));
        assert_eq!(ABC.to_uppercase().parse::<KeyHash>().unwrap(), KeyHash::of("abc"));
    }

    #[test]
    fn what_is_no_digest_is_refused_and_not_shown() {
        let short = &ABC[1..];
        let long = format!("{ABC}0");
        let spaced = format!(" {}", &ABC[1..]);
        let foreign = format!("{}g", &ABC[1..]);
        let signed = format!("+{}", &ABC[1..]);
        let wide = "é".repeat(32);
        for text in ["", "hush-secret-key", short, &long, &spaced, &foreign, &signed, &wide] {
            let refusal = text.parse::<KeyHash>().unwrap_err().to_string();
            assert!(refusal.contains("`printf %s KEY | sha256sum` makes one"), "{refusal}");
            assert!(text.is_empty() || !refusal.contains(text));
        }
        assert_eq!(format!("{:?}", KeyHash::of("abc")), "KeyHash(…)");
    }

    #[test]
    fn a_key_belongs_to_whom_its_digest_belongs() {
        let mut keys = ApiKeys::new();
        assert_eq!(keys.insert(ABC.parse().unwrap(), "a"), None);
        assert_eq!(keys.insert(KeyHash::of("other"), "b"), None);
        assert_eq!(keys.find("abc"), Some(&"a"));
        assert_eq!(keys.find("other"), Some(&"b"));
        for stranger in ["", "ab", "abcd", "ABC", " abc", "abc ", ABC] {
            assert_eq!(keys.find(stranger), None, "{stranger}");
        }
        assert_eq!(keys.len(), 2);
    }

    #[test]
    fn a_digest_that_only_begins_alike_is_another() {
        let mut keys = ApiKeys::new();
        let KeyHash(mut other) = KeyHash::of("abc");
        other[31] ^= 1;
        keys.insert(KeyHash(other), "other");
        assert_eq!(keys.find("abc"), None);
        keys.insert(KeyHash::of("abc"), "abc");
        assert_eq!(keys.find("abc"), Some(&"abc"));
        assert_eq!(keys.len(), 2);
    }

    #[test]
    fn a_second_owner_hears_of_the_first() {
        let mut keys = ApiKeys::new();
        keys.insert(KeyHash::of("abc"), "first");
        assert_eq!(keys.insert(KeyHash::of("abc"), "second"), Some("first"));
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn a_key_without_end_is_not_looked_at() {
        let mut keys = ApiKeys::new();
        let (longest, longer) = ("k".repeat(512), "k".repeat(513));
        keys.insert(KeyHash::of(&longest), ());
        keys.insert(KeyHash::of(&longer), ());
        assert!(keys.find(&longest).is_some());
        assert!(keys.find(&longer).is_none());
    }
}
