//! The keys that an issuer's tokens are verified with, and which of them are tried for a token.

use super::jwk::{self, Skipped};
use super::key::{Key, Material};
use super::{Algorithm, Algorithms, Refusal, Token, pem};
use crate::value::Invalid;
use std::fmt;
use zeroize::Zeroizing;

/// How many keys are tried for one token, so that one without a `kid` costs no more than that.
const MAX_TRIES: usize = 16;

/// Keys of one issuer. It never changes: newer keys make a newer set.
#[derive(Default)]
pub struct KeySet {
    /// Those with a `kid` first: where a token names one, they are the ones to try. There are a
    /// handful of them, so they are walked: that is no slower than to hash the `kid`.
    keys: Box<[Key]>,
}

impl KeySet {
    /// Makes a set of one secret, for those of the algorithms that need one. It has as many bytes as
    /// the digest of each at least (RFC 7518 §3.2).
    pub fn secret(secret: &[u8], algorithms: Algorithms) -> Result<Self, Invalid> {
        let least = |algorithm: Algorithm| match algorithm.kind() {
            super::Kind::Secret(least) => Some((algorithm, least)),
            _ => None,
        };
        let mut wanted = algorithms.iter().filter_map(least).peekable();
        if wanted.peek().is_none() {
            return Err(Invalid::new("a secret is for HS256, HS384 or HS512: name one of them"));
        }
        if let Some((algorithm, least)) = wanted.find(|(_, least)| secret.len() < *least) {
            return Err(Invalid::new(format!(
                "the secret has {} bytes, and {algorithm} needs {least} at least (RFC 7518 §3.2)",
                secret.len()
            )));
        }
        let secret = Material::Secret(Zeroizing::new(secret.to_vec()));
        let mut key = Key::new(secret, None, None)
            .map_err(|reason| Invalid::new(format!("the secret is unusable: {reason}")))?;
        key.keep(algorithms);
        Ok(KeySet::of(vec![key]))
    }

    /// Makes a set of public keys in PEM: SubjectPublicKeyInfo (RSA, P-256, P-384, Ed25519), the
    /// `RSA PUBLIC KEY` of PKCS #1, or certificates, of which the key counts and nothing else. They
    /// have no `kid`. A private key is refused, as is a text without a key.
    pub fn pem(text: &[u8]) -> Result<Self, Invalid> {
        pem::read(text).map(KeySet::of)
    }

    /// Makes a set of a JWK set or of a single JWK (RFC 7517), and tells which keys it leaves out;
    /// all may be. Secrets (`oct`) are left out unless `secrets`: they are for files, and never for
    /// what anybody can fetch.
    pub fn jwks(bytes: &[u8], secrets: bool) -> Result<(Self, Vec<Skipped>), Invalid> {
        let (keys, skipped) = jwk::read(bytes, secrets)?;
        Ok((KeySet::of(keys), skipped))
    }

    /// Makes one set of several.
    pub fn joined(sets: impl IntoIterator<Item = KeySet>) -> Self {
        KeySet::of(sets.into_iter().flat_map(|set| set.keys.into_vec()).collect())
    }

    fn of(mut keys: Vec<Key>) -> Self {
        keys.sort_by_key(|key| key.kid.is_none());
        KeySet { keys: keys.into() }
    }

    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The names of those that have one. Two keys may have the same.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid.as_deref())
    }

    /// Whether a key has that name.
    pub fn has_kid(&self, kid: &str) -> bool {
        self.kids().any(|one| one == kid)
    }

    /// What some key of the set can do: an algorithm that is allowed and not among these is a
    /// mistake of the configuration.
    pub fn algorithms(&self) -> Algorithms {
        self.keys.iter().flat_map(|key| key.algorithms().iter().collect::<Vec<_>>()).collect()
    }

    /// Whether a newer set lacks a key of this one, so that what was verified with it has to be
    /// verified anew. A key that got another name, or may do less, is another key.
    pub fn lost(&self, newer: &KeySet) -> bool {
        self.keys.iter().any(|old| {
            !newer.keys.iter().any(|new| {
                let algorithms = new.algorithms();
                new.thumbprint == old.thumbprint
                    && new.kid == old.kid
                    && old.algorithms().iter().all(|algorithm| algorithms.contains(algorithm))
            })
        })
    }

    /// Checks a token's signature with the keys that it may be from: those that its `kid` names and
    /// those without a name, or all where it has none.
    pub(super) fn check(&self, token: &Token<'_>) -> Result<(), Refusal> {
        let header = token.header();
        let mut tries = 0;
        let mut named = false;
        for key in &self.keys {
            match (&header.kid, &key.kid) {
                (Some(wanted), Some(kid)) if wanted != kid => continue,
                (Some(_), Some(_)) => named = true,
                _ => {}
            }
            if !key.algorithms().contains(header.algorithm) {
                continue;
            }
            if tries == MAX_TRIES {
                return Err(Refusal::TooManyKeys);
            }
            tries += 1;
            if key.verify(header.algorithm, token.signed, &token.signature) == Some(true) {
                return Ok(());
            }
        }
        // Where keys have names, an unknown one may be that of a newer key, even if there are keys
        // without a name, which did not sign it.
        let unknown = header.kid.is_some() && !named && self.kids().next().is_some();
        match tries {
            _ if unknown || self.is_empty() => Err(Refusal::UnknownKey),
            0 => Err(Refusal::KeyMismatch),
            _ => Err(Refusal::Signature),
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}
