//! One key that tokens can be verified with. A key knows its algorithms and does no other: a token
//! may say what it was signed with, and only the key decides whether that can be (RFC 8725 §3.1).

use super::{Algorithm, Algorithms, Kind, base64url};
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use aws_lc_rs::{digest, hmac};
use std::fmt;
use zeroize::Zeroizing;

/// What a key is made of, before it is known whether it is any good.
pub(super) enum Material {
    /// A secret.
    Secret(Zeroizing<Vec<u8>>),
    /// An RSA key: modulus and exponent, big-endian; zeros before them are cut off.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point on P-256 or P-384, uncompressed, with its leading 4 (SEC 1 §2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    /// A point on Ed25519, as RFC 8032 §5.1.2 writes it.
    Ed25519(Vec<u8>),
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable(pub(super) &'static str);

/// A key, with what checks signatures prepared once for each of its algorithms.
pub(super) struct Key {
    pub(super) kid: Option<Box<str>>,
    /// What tells it from other keys, whatever they are called (RFC 7638).
    pub(super) thumbprint: [u8; 32],
    verifiers: Vec<(Algorithm, Verifier)>,
}

/// Checks signatures of one algorithm with one key.
///
/// The keys are parsed here, once, and by aws-lc-rs itself. The verifiers of jsonwebtoken cannot be
/// shared by threads (`dyn JwtVerifier` is neither `Send` nor `Sync`), want the signature in a
/// `Vec`, and parse a public key anew for each token, which costs RSA about a tenth
/// (`benches/tokens.rs` has both beside each other).
enum Verifier {
    /// In a box, which moves with its key and leaves no copy of the secret behind.
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Key {
    /// Prepares a key for the algorithms of its kind, or for one of them where it names one.
    pub(super) fn new(
        material: Material,
        kid: Option<Box<str>>,
        only: Option<Algorithm>,
    ) -> Result<Self, Unusable> {
        let material = material.checked()?;
        let fits = |algorithm: &Algorithm| material.fits(*algorithm);
        if only.is_some_and(|algorithm| !fits(&algorithm)) {
            return Err(Unusable("its `alg` is not one of its kind and size"));
        }
        let wanted = Algorithm::ALL.into_iter().filter(fits);
        let wanted = wanted.filter(|algorithm| only.is_none_or(|only| only == *algorithm));
        let verifier = |algorithm| Ok((algorithm, material.verifier(algorithm)?));
        let verifiers = wanted.map(verifier).collect::<Result<Vec<_>, Unusable>>()?;
        if verifiers.is_empty() {
            return Err(Unusable("a secret has at least 32 bytes (RFC 7518 §3.2)"));
        }
        Ok(Key { kid, thumbprint: material.thumbprint(), verifiers })
    }

    /// Keeps those algorithms alone.
    pub(super) fn keep(&mut self, algorithms: Algorithms) {
        self.verifiers.retain(|(algorithm, _)| algorithms.contains(*algorithm));
    }

    /// Which algorithms it does.
    pub(super) fn algorithms(&self) -> Algorithms {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm).collect()
    }

    /// Checks a signature; none if the algorithm is not one of the key's.
    pub(super) fn verify(&self, by: Algorithm, signed: &[u8], signature: &[u8]) -> Option<bool> {
        let (_, verifier) = self.verifiers.iter().find(|(algorithm, _)| *algorithm == by)?;
        Some(match verifier {
            Verifier::Secret(key) => hmac::verify(key, signed, signature).is_ok(),
            Verifier::Public(key) => key.verify_sig(signed, signature).is_ok(),
        })
    }
}

impl Material {
    /// Sees whether the parts of a key are such that it can be relied on (RFC 8725 §3.4).
    fn checked(self) -> Result<Self, Unusable> {
        Ok(match self {
            // Whoever has the public key could sign for it (RFC 8725 §2.1): it was meant as one.
            Material::Secret(secret) if secret.windows(11).any(|at| at == b"-----BEGIN ") => {
                return Err(Unusable("a key in PEM is no secret"));
            }
            Material::Rsa { n, e } => {
                let (n, e) = (without_zeros(n), without_zeros(e));
                let bits = n.len() * 8 - n.first().map_or(0, |top| top.leading_zeros() as usize);
                match bits {
                    ..2048 => return Err(Unusable("an RSA key has at least 2048 bits")),
                    2048..=8192 => {}
                    _ => return Err(Unusable("an RSA key has at most 8192 bits")),
                }
                // FIPS 186-5 §A.1.1 has them odd and larger than 2^16, but 3 is around. aws-lc
                // takes no more than 33 bits, so that nobody can make a check expensive.
                let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
                let value = e.iter().try_fold(0u64, |value, byte| {
                    value.checked_mul(256).map(|value| value + u64::from(*byte))
                });
                if !odd(&n) || !odd(&e) || !value.is_some_and(|e| (3..1 << 33).contains(&e)) {
                    return Err(Unusable("its RSA modulus or exponent is none"));
                }
                Material::Rsa { n, e }
            }
            Material::P256(point) if point.len() != 65 || point[0] != 4 => {
                return Err(Unusable("a point on P-256 has two coordinates of 32 bytes"));
            }
            Material::P384(point) if point.len() != 97 || point[0] != 4 => {
                return Err(Unusable("a point on P-384 has two coordinates of 48 bytes"));
            }
            Material::Ed25519(point) if point.len() != 32 => {
                return Err(Unusable("a key on Ed25519 has 32 bytes"));
            }
            Material::Ed25519(point) if is_of_small_order(&point) => {
                return Err(Unusable("its point has a small order: anybody could sign for it"));
            }
            other => other,
        })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        match (self, algorithm.kind()) {
            (Material::Secret(secret), Kind::Secret(least)) => secret.len() >= least,
            (Material::Rsa { .. }, Kind::Rsa)
            | (Material::P256(_), Kind::P256)
            | (Material::P384(_), Kind::P384)
            | (Material::Ed25519(_), Kind::Ed25519) => true,
            _ => false,
        }
    }

    fn verifier(&self, algorithm: Algorithm) -> Result<Verifier, Unusable> {
        let public = match self {
            Material::Secret(secret) => {
                let key = hmac::Key::new(hash(algorithm), secret);
                return Ok(Verifier::Secret(Box::new(key)));
            }
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(padding(algorithm))
            }
            Material::P256(point) => {
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
            }
            Material::P384(point) => {
                ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point)
            }
            Material::Ed25519(point) => ParsedPublicKey::new(&signature::ED25519, point),
        };
        public.map(Verifier::Public).map_err(|_| Unusable("its numbers make no public key"))
    }

    /// The digest of the members that make the key, in their order (RFC 7638 §3.2, RFC 8037 §2).
    fn thumbprint(&self) -> [u8; 32] {
        let text = |bytes: &[u8]| Zeroizing::new(base64url::encode(bytes));
        let point = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            let (x, y) = (text(x), text(y));
            format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, *x, *y)
        };
        let members = Zeroizing::new(match self {
            Material::Secret(secret) => format!(r#"{{"k":"{}","kty":"oct"}}"#, *text(secret)),
            Material::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, *text(e), *text(n))
            }
            Material::P256(both) => point("P-256", both),
            Material::P384(both) => point("P-384", both),
            Material::Ed25519(x) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, *text(x))
            }
        });
        let digest = digest::digest(&digest::SHA256, members.as_bytes());
        digest.as_ref().try_into().expect("a digest of SHA-256 has 32 bytes")
    }
}

fn hash(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

fn padding(algorithm: Algorithm) -> &'static RsaParameters {
    match algorithm {
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => &signature::RSA_PKCS1_2048_8192_SHA256,
    }
}

/// RFC 7518 §2 has numbers without leading zeros, and some issuers write the one that DER needs.
/// Without it the key is the same, and so is its thumbprint.
fn without_zeros(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}

/// Whether a point of Ed25519 is one of the few whose multiples are few as well. Signatures that
/// nobody made verify with them, and aws-lc does not look.
fn is_of_small_order(point: &[u8]) -> bool {
    /// The y of the points of order 8.
    const EIGHTH: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let Some((&top, low)) = point.split_last() else { return true };
    // The topmost bit is the sign of x.
    let top = top & 0x7f;
    let (first, middle) = (low[0], &low[1..]);
    // y is 0 or 1, or p - 1, p or p + 1, where p is 2^255 - 19.
    let small = top == 0 && middle.iter().all(|byte| *byte == 0) && first <= 1;
    let large = top == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    let large = large && (0xec..=0xee).contains(&first);
    small || large || EIGHTH.iter().any(|y| y[..31] == *low && y[31] == top)
}

/// A key is known by its name and by what it does: its numbers are nobody's business.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kid, algorithms) = (&self.kid, self.algorithms());
        f.debug_struct("Key").field("kid", kid).field("algorithms", &algorithms).finish()
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unusable {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7638 §3.1.
    const MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK\
        7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0\
        h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08\
        qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK\
        nqDKgw";

    fn rsa(n: Vec<u8>, e: &[u8]) -> Result<Key, Unusable> {
        Key::new(Material::Rsa { n, e: e.to_vec() }, None, None)
    }

    #[test]
    fn a_thumbprint_is_that_of_the_rfc() {
        let n = base64url::decode(MODULUS).unwrap();
        let key = rsa(n.clone(), &[1, 0, 1]).unwrap();
        let thumbprint = base64url::encode(&key.thumbprint);
        assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let padded = [vec![0], n].concat();
        assert_eq!(rsa(padded, &[0, 1, 0, 1]).unwrap().thumbprint, key.thumbprint);
    }

    #[test]
    fn an_rsa_key_has_2048_to_8192_bits_and_a_sane_exponent() {
        let n = base64url::decode(MODULUS).unwrap();
        assert!(rsa(n.clone(), &[3]).is_ok());
        let none: &[u8] = &[];
        for e in [none, &[0], &[1], &[2], &[1, 0, 0], &[0, 0, 0], &[2, 0, 0, 0, 1], &[1; 9]] {
            assert!(rsa(n.clone(), e).is_err(), "{e:?}");
        }
        let mut even = n.clone();
        even[255] &= 0xfe;
        let mut short = n.clone();
        short[0] = 0x7f;
        for n in [even, short, n[1..].to_vec(), Vec::new(), vec![0; 256], vec![0xff; 1025]] {
            assert!(rsa(n, &[1, 0, 1]).is_err());
        }
        assert!(rsa(vec![0xff; 1024], &[1, 0, 1]).is_ok());
    }

    #[test]
    fn a_point_is_on_its_curve() {
        for (wrong, length) in [(0u8, 65), (4, 65), (4, 64), (4, 66), (4, 0), (2, 33)] {
            let mut point = vec![7; length];
            point.iter_mut().take(1).for_each(|first| *first = wrong);
            assert!(Key::new(Material::P256(point.clone()), None, None).is_err());
            assert!(Key::new(Material::P384(point), None, None).is_err());
        }
        assert!(Key::new(Material::P384(vec![4; 97]), None, None).is_err());
        assert!(Key::new(Material::Ed25519(vec![9; 31]), None, None).is_err());
    }

    #[test]
    fn nobody_signs_for_a_point_of_small_order() {
        let with = |first: u8, middle: u8, top: u8| {
            let mut point = vec![middle; 32];
            (point[0], point[31]) = (first, top);
            point
        };
        let mut eighth = vec![
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc,
        ];
        eighth.push(0x85);
        let points = [
            eighth,
            with(0, 0, 0),
            with(0, 0, 0x80),
            with(1, 0, 0),
            with(0xec, 0xff, 0x7f),
            with(0xed, 0xff, 0x7f),
            with(0xed, 0xff, 0xff),
            with(0xee, 0xff, 0xff),
        ];
        for point in points {
            assert!(Key::new(Material::Ed25519(point.clone()), None, None).is_err(), "{point:?}");
        }
    }

    #[test]
    fn a_secret_does_what_it_is_long_enough_for() {
        let secret = |length, only| {
            let secret = Zeroizing::new(vec![7; length]);
            Key::new(Material::Secret(secret), None, only)
                .map(|key| key.algorithms().iter().count())
        };
        assert!(secret(0, None).is_err() && secret(31, None).is_err());
        assert_eq!(secret(32, None), Ok(1));
        assert_eq!(secret(48, None), Ok(2));
        assert_eq!(secret(64, None), Ok(3));
        assert_eq!(secret(64, Some(Algorithm::HS512)), Ok(1));
        assert!(secret(63, Some(Algorithm::HS512)).is_err());
        assert!(secret(64, Some(Algorithm::RS256)).is_err());
    }
}
