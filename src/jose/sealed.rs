//! Sealing: a small object that a client keeps for the gateway, in a cookie, and can neither read
//! nor change. It is a compact JWE (RFC 7516 §3.1) whose key is agreed directly (`dir`, RFC 7518
//! §4.5) and whose content is encrypted with AES-256 in GCM (RFC 7518 §5.3).
//!
//! Nobody but this gateway makes or opens them, so that opening accepts one spelling of one header.

use crate::value::{Invalid, Secret};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::fmt;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// The longest text that is opened, in bytes: what browsers keep of a cookie (RFC 6265 §6.1).
pub const LONGEST: usize = 4096;

/// What a cookie's name has of that, in bytes: browsers count it too.
const NAME: usize = 256;

/// The shortest secret that keys are made of, in bytes: as long as the key itself.
const SHORTEST_SECRET: usize = 32;

/// The authentication tag's length (RFC 7518 §5.3).
const TAG: usize = 16;

/// Seals objects with the first of its keys, and opens what any of them sealed: a new key comes
/// first, and the old one goes when what it sealed is past.
///
/// A nonce is 96 random bits, which is safe for 2^32 objects of one key (NIST SP 800-38D §8.3):
/// a thousand a second for seven weeks.
pub struct Sealer {
    keys: Box<[Key]>,
}

struct Key {
    /// The protected header in base64url, which is authenticated as it stands (RFC 7516 §5.1).
    header: String,
    key: LessSafeKey,
}

/// Says why an object was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    /// It has no `exp` of whole seconds, and would be good for ever.
    #[error("there is no `exp` in what is to be sealed")]
    NoExpiry,
    /// No browser would keep it: with its name the cookie is longer than 4,096 bytes.
    #[error("what is to be sealed is too long for a cookie")]
    TooLong,
    /// The system gave no random numbers.
    #[error("the library could not seal")]
    Failed,
}

/// Says why a text was not opened, in constant words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// It is longer than any cookie.
    #[error("the sealed text is longer than a cookie")]
    TooLong,
    /// It is no compact JWE of this kind: five parts, the second empty, each in canonical base64url.
    #[error("the text is not sealed")]
    Malformed,
    /// It has another header than this gateway's keys make: another algorithm, or a key that has
    /// gone.
    #[error("the text was not sealed with a key that is in use")]
    UnknownKey,
    /// It was changed, or made by someone who only knows what the header looks like.
    #[error("the sealed text was changed")]
    Changed,
    /// What was sealed is no object with an `exp` of whole seconds.
    #[error("what was sealed has no `exp`")]
    NoExpiry,
    /// It was good until some time ago.
    #[error("what was sealed has expired")]
    Expired,
}

impl Sealer {
    /// Makes the keys from secrets of at least 32 bytes. What was sealed for one `purpose`, such as
    /// `session`, is opened for no other.
    ///
    /// # Errors
    ///
    /// Says which secret is too short or stands twice, or that there is none.
    pub fn new(purpose: &str, secrets: &[Secret]) -> Result<Self, Invalid> {
        if secrets.is_empty() {
            return Err(Invalid::new("a secret is needed, of at least 32 random bytes"));
        }
        for (number, secret) in secrets.iter().enumerate() {
            let length = secret.reveal().len();
            if length < SHORTEST_SECRET {
                let message = format!(
                    "a secret has at least {SHORTEST_SECRET} bytes, this has {length}: make one \
                     with `openssl rand -base64 32`"
                );
                return Err(Invalid::new(message).under(number));
            }
            if secrets[..number].contains(secret) {
                return Err(Invalid::new("the same secret stands here twice").under(number));
            }
        }
        Ok(Sealer { keys: secrets.iter().map(|secret| Key::new(purpose, secret)).collect() })
    }

    /// Seals an object, which has an `exp` in seconds since 1970.
    ///
    /// # Errors
    ///
    /// Refuses an object that would be good for ever, or too long for a cookie.
    pub fn seal(&self, object: &Map<String, Value>) -> Result<String, Unsealable> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| Unsealable::Failed)?;
        self.keys[0].seal(object, nonce)
    }

    /// Opens what was sealed, if that is good at a time.
    ///
    /// # Errors
    ///
    /// Says in constant words why not.
    pub fn open(&self, text: &str, now: SystemTime) -> Result<Map<String, Value>, Unsealed> {
        if text.len() > LONGEST {
            return Err(Unsealed::TooLong);
        }
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(Unsealed::Malformed);
        let (header, key, nonce, content, tag) = (part()?, part()?, part()?, part()?, part()?);
        if parts.next().is_some() || !key.is_empty() {
            return Err(Unsealed::Malformed);
        }
        let key = self.keys.iter().find(|key| key.header == header).ok_or(Unsealed::UnknownKey)?;
        let object = key.open(nonce, content, tag)?;
        let expires = expiry(&object).ok_or(Unsealed::NoExpiry)?;
        // Before 1970 there is nothing that has expired.
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if now >= expires {
            return Err(Unsealed::Expired);
        }
        Ok(object)
    }
}

/// When an object expires, since 1970: on or after it, it is not accepted (RFC 7519 §4.1.4).
fn expiry(object: &Map<String, Value>) -> Option<Duration> {
    object.get("exp")?.as_u64().map(Duration::from_secs)
}

/// So many bytes of what a secret is expanded into.
#[derive(Debug, Clone, Copy)]
struct Bytes<const N: usize>;

impl<const N: usize> KeyType for Bytes<N> {
    fn len(&self) -> usize {
        N
    }
}

impl Key {
    /// Makes a key, and a name for it that says nothing of it: both are expanded from the secret
    /// under labels of their own (RFC 5869 §3.2), so that whoever uses the same secret elsewhere has
    /// another key.
    fn new(purpose: &str, secret: &Secret) -> Self {
        let salt = Salt::new(HKDF_SHA256, b"sluicegate sealed 1");
        let secret = salt.extract(secret.reveal().as_bytes());
        let bytes = expand::<32>(&secret, "A256GCM", purpose);
        let kid = URL_SAFE_NO_PAD.encode(*expand::<9>(&secret, "kid", purpose));
        let key = UnboundKey::new(&AES_256_GCM, &*bytes).expect("the key has the length of one");
        let header = json!({"alg": "dir", "enc": "A256GCM", "kid": kid}).to_string();
        Key { header: URL_SAFE_NO_PAD.encode(header), key: LessSafeKey::new(key) }
    }

    fn seal(
        &self,
        object: &Map<String, Value>,
        nonce: [u8; NONCE_LEN],
    ) -> Result<String, Unsealable> {
        expiry(object).ok_or(Unsealable::NoExpiry)?;
        let content = serde_json::to_vec(object).expect("a map of text and values is JSON");
        // It becomes the ciphertext in place, and nothing of it is left where sealing fails.
        let mut content = Zeroizing::new(content);
        let aad = Aad::from(self.header.as_bytes());
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut content)
            .map_err(|_| Unsealable::Failed)?;
        let mut text = self.header.clone();
        text.push_str("..");
        URL_SAFE_NO_PAD.encode_string(nonce, &mut text);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(&*content, &mut text);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut text);
        match text.len() {
            length if length > LONGEST - NAME => Err(Unsealable::TooLong),
            _ => Ok(text),
        }
    }

    fn open(&self, nonce: &str, content: &str, tag: &str) -> Result<Map<String, Value>, Unsealed> {
        // The engine refuses padding and bits that belong to no byte: a text has one spelling.
        let bytes = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| Unsealed::Malformed);
        let (nonce, tag) = (bytes(nonce)?, bytes(tag)?);
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| Unsealed::Malformed)?;
        // A shorter tag would be easier to guess.
        let tag: [u8; TAG] = tag.try_into().map_err(|_| Unsealed::Malformed)?;
        let mut content = Zeroizing::new(bytes(content)?);
        let aad = Aad::from(self.header.as_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let content = self
            .key
            .open_in_place_separate_tag(nonce, aad, &tag, &mut content)
            .map_err(|_| Unsealed::Changed)?;
        serde_json::from_slice(content).map_err(|_| Unsealed::NoExpiry)
    }
}

/// Expands a secret into so many bytes under a label and a purpose.
fn expand<const N: usize>(secret: &Prk, label: &str, purpose: &str) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    // No label has the byte that stands between the two.
    let info = [label.as_bytes(), b"\0", purpose.as_bytes()];
    let expanded = secret.expand(&info, Bytes::<N>).and_then(|okm| okm.fill(&mut *bytes));
    expanded.expect("HKDF gives up to 255 hashes (RFC 5869 §2.3)");
    bytes
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
