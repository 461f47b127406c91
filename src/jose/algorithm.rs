//! Which algorithms there are, and what kind of key each needs (RFC 7518 §3.1, RFC 8037 §3.1).

use crate::value::Invalid;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// A signature algorithm. `none` is not among them, in any spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// EdDSA on Ed25519.
    EdDSA,
}

/// What kind of key an algorithm needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A secret that both sides have, of at least so many bytes (RFC 7518 §3.2).
    Secret(usize),
    /// An RSA key of at least 2,048 bits (RFC 7518 §3.3, §3.5).
    Rsa,
    /// A key on the curve P-256.
    P256,
    /// A key on the curve P-384.
    P384,
    /// A key on the curve Ed25519.
    Ed25519,
}

/// Some of the algorithms.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Algorithms(u16);

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 12] = [
        Algorithm::HS256,
        Algorithm::HS384,
        Algorithm::HS512,
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];

    /// The name that a token's header has.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::HS256 => "HS256",
            Algorithm::HS384 => "HS384",
            Algorithm::HS512 => "HS512",
            Algorithm::RS256 => "RS256",
            Algorithm::RS384 => "RS384",
            Algorithm::RS512 => "RS512",
            Algorithm::PS256 => "PS256",
            Algorithm::PS384 => "PS384",
            Algorithm::PS512 => "PS512",
            Algorithm::ES256 => "ES256",
            Algorithm::ES384 => "ES384",
            Algorithm::EdDSA => "EdDSA",
        }
    }

    /// The kind of key that it needs.
    pub const fn kind(self) -> Kind {
        match self {
            Algorithm::HS256 => Kind::Secret(32),
            Algorithm::HS384 => Kind::Secret(48),
            Algorithm::HS512 => Kind::Secret(64),
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Kind::Rsa,
            Algorithm::ES256 => Kind::P256,
            Algorithm::ES384 => Kind::P384,
            Algorithm::EdDSA => Kind::Ed25519,
        }
    }

    /// Whether both sides have the same secret, so that whoever checks a token can also make one.
    pub const fn is_symmetric(self) -> bool {
        matches!(self.kind(), Kind::Secret(_))
    }
}

impl Algorithms {
    /// Whether an algorithm is among them.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm as u16) != 0
    }

    /// Walks them.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<T: IntoIterator<Item = Algorithm>>(algorithms: T) -> Self {
        Algorithms(algorithms.into_iter().fold(0, |all, one| all | 1 << one as u16))
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = Invalid;

    /// Names are case-sensitive (RFC 7515 §4.1.1).
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = |name: &str| Algorithm::ALL.into_iter().find(|one| one.name() == name);
        if let Some(algorithm) = known(text) {
            return Ok(algorithm);
        }
        let names = || Algorithm::ALL.map(Algorithm::name).join(", ");
        let same = Algorithm::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(text));
        Err(Invalid::new(match (same, text) {
            (Some(meant), _) => format!("unknown algorithm `{text}`, did you mean `{meant}`?"),
            (None, "none") => "a token that nobody signed proves nothing".to_owned(),
            (None, _) => format!("unknown algorithm `{text}`, there are {}", names()),
        }))
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::value::deserialize_text(deserializer, "a signature algorithm, such as RS256")
    }
}

crate::value::schema::word_schema!(
    Algorithm,
    "SignatureAlgorithm",
    "A signature algorithm (RFC 7518 §3.1).",
    {"enum": [
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
        "ES384", "EdDSA",
    ]}
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_case_sensitive_and_none_is_no_algorithm() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        let refusal = |text: &str| text.parse::<Algorithm>().unwrap_err().to_string();
        assert!(refusal("hs256").contains("did you mean `HS256`?"));
        assert!(refusal("none").contains("proves nothing"));
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let some: Algorithms = [Algorithm::RS256, Algorithm::EdDSA].into_iter().collect();
        assert!(some.contains(Algorithm::EdDSA) && !some.contains(Algorithm::HS256));
        assert_eq!(some.iter().count(), 2);
    }
}
