//! Makes tokens, good ones and others, by hand: what is tested here did not sign them.

use crate::jose::{
    Algorithm, Claims, KeySet, LEEWAY, MAX_SIZE, Refusal, Rules, Token, base64url, verify,
};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use aws_lc_rs::{encoding::PublicKeyX509Der, hmac};
use base64::Engine;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

/// When the tests happen, in seconds.
pub const NOW: u64 = 1_800_000_000;

/// Makes tokens of one algorithm with one key.
pub struct Mint {
    pub algorithm: Algorithm,
    pub pair: Pair,
}

pub enum Pair {
    Secret(Vec<u8>),
    Rsa(&'static RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// RSA keys take long to find, so there are two of them, and all tests of a process share them.
fn rsa(number: usize) -> &'static RsaKeyPair {
    static PAIRS: [OnceLock<RsaKeyPair>; 2] = [const { OnceLock::new() }; 2];
    PAIRS[number].get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

impl Mint {
    pub fn new(algorithm: Algorithm) -> Self {
        Mint::numbered(algorithm, 0)
    }

    /// Another key of the same kind.
    pub fn stranger(algorithm: Algorithm) -> Self {
        Mint::numbered(algorithm, 1)
    }

    fn numbered(algorithm: Algorithm, number: usize) -> Self {
        let pair = match algorithm.name().split_at(2).0 {
            "HS" => Pair::Secret(vec![b'a' + u8::try_from(number).unwrap(); 64]),
            "RS" | "PS" => Pair::Rsa(rsa(number)),
            "ES" => Pair::Ec(
                EcdsaKeyPair::generate(match algorithm {
                    Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                    _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                })
                .unwrap(),
            ),
            _ => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
        };
        Mint { algorithm, pair }
    }

    pub fn sign(&self, input: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Secret(secret) => mac(self.algorithm, secret, input),
            Pair::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match self.algorithm {
                    Algorithm::RS256 => &signature::RSA_PKCS1_SHA256,
                    Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
                    Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
                    Algorithm::PS256 => &signature::RSA_PSS_SHA256,
                    Algorithm::PS384 => &signature::RSA_PSS_SHA384,
                    _ => &signature::RSA_PSS_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), input, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(input).as_ref().to_vec(),
        }
    }

    /// Signs a header and a payload as they are.
    pub fn token(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let [header, payload] = [header.as_ref(), payload.as_ref()].map(base64url::encode);
        let input = format!("{header}.{payload}");
        let signature = base64url::encode(&self.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    /// Signs claims under the header that is usual.
    pub fn claims(&self, claims: &Value) -> String {
        self.token(self.header().to_string(), claims.to_string())
    }

    pub fn header(&self) -> Value {
        json!({"alg": self.algorithm.name(), "kid": "k1", "typ": "JWT"})
    }

    /// The key as issuers publish it; a secret too, for files.
    pub fn jwk(&self) -> Value {
        let text = base64url::encode;
        match &self.pair {
            Pair::Secret(secret) => json!({"kty": "oct", "k": text(secret)}),
            Pair::Rsa(pair) => {
                let key = RSAPublicKey::from_der(pair.public_key().as_ref()).unwrap().1;
                let n = &key.modulus[usize::from(key.modulus[0] == 0)..];
                json!({"kty": "RSA", "n": text(n), "e": text(key.exponent)})
            }
            Pair::Ec(pair) => {
                let (x, y) = {
                    let point = &pair.public_key().as_ref()[1..];
                    point.split_at(point.len() / 2)
                };
                let curve = if self.algorithm == Algorithm::ES256 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": text(x), "y": text(y)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
        }
    }

    /// The key as `openssl pkey -pubout -outform DER` writes it; none of a secret.
    pub fn spki(&self) -> Option<Vec<u8>> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Secret(_) => return None,
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Pair::Ec(pair) => pair.public_key().as_der().unwrap(),
            Pair::Ed(pair) => pair.public_key().as_der().unwrap(),
        };
        Some(der.as_ref().to_vec())
    }

    /// The private key in PKCS #8; none of a secret.
    pub fn pkcs8(&self) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Secret(_) => None,
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                Some(der.as_ref().to_vec())
            }
            Pair::Ec(pair) => Some(pair.to_pkcs8v1().unwrap().as_ref().to_vec()),
            Pair::Ed(pair) => Some(pair.to_pkcs8().unwrap().as_ref().to_vec()),
        }
    }

    /// A set with the key alone, under the name `k1`.
    pub fn keys(&self) -> KeySet {
        let mut jwk = self.jwk();
        jwk["kid"] = "k1".into();
        keys(&json!({"keys": [jwk]}))
    }

    /// Rules that have nothing against the key.
    pub fn rules(&self) -> Rules {
        rules(Algorithm::ALL)
    }

    /// What becomes of a token that claims to be of this mint.
    pub fn judge(&self, token: &str) -> Result<Claims, Refusal> {
        judge(token, &self.keys(), &self.rules())
    }
}

pub fn mac(algorithm: Algorithm, secret: &[u8], input: &[u8]) -> Vec<u8> {
    let hash = match algorithm {
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(hash, secret), input).as_ref().to_vec()
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A set of keys, all of which are good.
pub fn keys(jwks: &Value) -> KeySet {
    let (keys, skipped) = KeySet::jwks(jwks.to_string().as_bytes(), true).unwrap();
    assert_eq!(skipped, []);
    keys
}

pub fn rules(algorithms: impl IntoIterator<Item = Algorithm>) -> Rules {
    Rules {
        issuer: "https://id.example.com".into(),
        audience: vec!["api".into(), "billing".into()],
        algorithms: algorithms.into_iter().collect(),
        leeway: LEEWAY,
        typ: None,
        max_size: MAX_SIZE,
    }
}

/// Claims that nobody has anything against.
pub fn good() -> Value {
    json!({
        "iss": "https://id.example.com", "aud": "api", "sub": "u1", "jti": "1",
        "exp": NOW + 300, "nbf": NOW - 300, "iat": NOW - 300,
    })
}

/// The good claims with some others instead; those that are null go.
pub fn but(changes: &Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub fn judge(token: &str, keys: &KeySet, rules: &Rules) -> Result<Claims, Refusal> {
    verify(&Token::read(token, rules.max_size)?, keys, rules, now())
}
