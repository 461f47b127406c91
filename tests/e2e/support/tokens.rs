//! Tokens made by hand: any header, any claims, any bytes, signed by keys that a test holds.
//!
//! A library that makes tokens makes only good ones. Here the texts of both parts are the test's,
//! and the signature is made over exactly what then stands in the token.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as scheme, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{hmac, signature::RsaEncoding};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sluicegate::jose::{Algorithm, Kind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// A key that signs tokens.
pub enum Key {
    /// What both sides know.
    Secret(Vec<u8>),
    /// RSA with 2,048 bits, for PKCS #1 v1.5 and PSS.
    Rsa(RsaKeyPair),
    /// On P-256, or on another curve of ECDSA.
    Ec(EcdsaKeyPair),
    /// On Ed25519.
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// Generates an RSA key.
    pub fn rsa() -> Key {
        Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// Generates a key on P-256.
    pub fn p256() -> Key {
        Key::Ec(EcdsaKeyPair::generate(&scheme::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// Generates a key on P-384.
    pub fn p384() -> Key {
        Key::Ec(EcdsaKeyPair::generate(&scheme::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    /// Generates a key on P-521, which no algorithm of the gateway uses.
    pub fn p521() -> Key {
        Key::Ec(EcdsaKeyPair::generate(&scheme::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap())
    }

    /// Generates a key on secp256k1, which no algorithm of the gateway uses.
    pub fn secp256k1() -> Key {
        Key::Ec(EcdsaKeyPair::generate(&scheme::ECDSA_P256K1_SHA256_FIXED_SIGNING).unwrap())
    }

    /// Generates a key on Ed25519.
    pub fn ed25519() -> Key {
        Key::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// Signs a message as an algorithm does. The name of the algorithm counts for HMAC and RSA
    /// only: a key on a curve has but one way to sign.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Key::Secret(secret) => {
                let hash = match algorithm {
                    "HS256" => hmac::HMAC_SHA256,
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    other => panic!("a secret does not sign with {other}"),
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
            Key::Rsa(pair) => {
                let encoding: &dyn RsaEncoding = match algorithm {
                    "RS256" => &scheme::RSA_PKCS1_SHA256,
                    "RS384" => &scheme::RSA_PKCS1_SHA384,
                    "RS512" => &scheme::RSA_PKCS1_SHA512,
                    "PS256" => &scheme::RSA_PSS_SHA256,
                    "PS384" => &scheme::RSA_PSS_SHA384,
                    "PS512" => &scheme::RSA_PSS_SHA512,
                    other => panic!("an RSA key does not sign with {other}"),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Key::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as bytes: PKCS #1 for RSA, the point for a curve, and the secret itself.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Key::Secret(secret) => secret,
            Key::Rsa(pair) => pair.public_key().as_ref(),
            Key::Ec(pair) => pair.public_key().as_ref(),
            Key::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// The public key in DER (RFC 5280 §4.1, SubjectPublicKeyInfo). A secret has none.
    pub fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Key::Secret(_) => panic!("a secret has no public key"),
            Key::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Key::Ec(pair) => pair.public_key().as_der().unwrap(),
            Key::Ed25519(pair) => pair.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    /// The public key in PEM.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public_der())
    }

    /// The private key in PEM (PKCS #8). A secret has none.
    pub fn private_pem(&self) -> String {
        let der = match self {
            Key::Secret(_) => panic!("a secret is no private key"),
            Key::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair).unwrap().as_ref().to_vec(),
            Key::Ec(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Key::Ed25519(pair) => pair.to_pkcs8v1().unwrap().as_ref().to_vec(),
        };
        pem("PRIVATE KEY", &der)
    }

    /// The public key as a JWK (RFC 7517 §4) for signatures; of a secret, the secret.
    pub fn jwk(&self, kid: &str) -> Value {
        let bytes = self.bytes();
        let mut jwk = match self {
            Key::Secret(_) => json!({"kty": "oct", "k": encode(bytes)}),
            Key::Rsa(_) => {
                let (modulus, exponent) = modulus_and_exponent(bytes);
                json!({"kty": "RSA", "n": encode(modulus), "e": encode(exponent)})
            }
            Key::Ec(_) => {
                let curve = match bytes.len() {
                    65 => "P-256",
                    97 => "P-384",
                    length => panic!("no JWK is needed of a point of {length} bytes"),
                };
                let (x, y) = bytes[1..].split_at(bytes.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Key::Ed25519(_) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(bytes)}),
        };
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk
    }
}

/// One key of each kind.
pub struct Keys {
    secret: Key,
    rsa: Key,
    p256: Key,
    p384: Key,
    ed25519: Key,
}

impl Keys {
    /// Those that the gateway of a test trusts, made once in each process.
    pub fn ours() -> &'static Keys {
        static OURS: OnceLock<Keys> = OnceLock::new();
        OURS.get_or_init(|| Keys::with_secret("0123456789-ours-"))
    }

    /// Others that the same issuer has, as between two rotations.
    pub fn spare() -> &'static Keys {
        static SPARE: OnceLock<Keys> = OnceLock::new();
        SPARE.get_or_init(|| Keys::with_secret("0123456789-spare"))
    }

    /// Those of somebody else.
    pub fn others() -> &'static Keys {
        static OTHERS: OnceLock<Keys> = OnceLock::new();
        OTHERS.get_or_init(|| Keys::with_secret("0123456789-other"))
    }

    fn with_secret(part: &str) -> Keys {
        Keys {
            // Long enough for HS512 (RFC 7518 §3.2), and text, as a configuration has it.
            secret: Key::Secret(part.repeat(5).into_bytes()),
            rsa: Key::rsa(),
            p256: Key::p256(),
            p384: Key::p384(),
            ed25519: Key::ed25519(),
        }
    }

    /// The key that an algorithm needs.
    pub fn of(&self, algorithm: Algorithm) -> &Key {
        match algorithm.kind() {
            Kind::Secret(_) => &self.secret,
            Kind::Rsa => &self.rsa,
            Kind::P256 => &self.p256,
            Kind::P384 => &self.p384,
            Kind::Ed25519 => &self.ed25519,
        }
    }

    /// Writes the files in which a gateway finds what it needs of them.
    pub fn files(&self) -> KeyFiles {
        let files = KeyFiles(tempfile::tempdir().unwrap());
        for algorithm in Algorithm::ALL {
            let key = self.of(algorithm);
            if algorithm.is_symmetric() {
                std::fs::write(files.secret(), key.bytes()).unwrap();
            } else {
                std::fs::write(files.public(algorithm), key.public_pem()).unwrap();
                std::fs::write(files.private(algorithm), key.private_pem()).unwrap();
            }
        }
        files
    }
}

/// Files with keys; they go with the value.
pub struct KeyFiles(TempDir);

impl KeyFiles {
    /// The secret, without an end of line.
    pub fn secret(&self) -> PathBuf {
        self.0.path().join("secret")
    }

    /// The public key for an algorithm, in PEM.
    pub fn public(&self, algorithm: Algorithm) -> PathBuf {
        self.0.path().join(format!("{algorithm}.pem"))
    }

    /// The private key for an algorithm, in PEM.
    pub fn private(&self, algorithm: Algorithm) -> PathBuf {
        self.0.path().join(format!("{algorithm}.key"))
    }

    /// Writes a further file beside them, such as a key set.
    pub fn add(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// Base64url without padding (RFC 7515 §2).
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Puts a signature behind the two parts of a token that stand before it.
pub fn signed(input: &str, algorithm: &str, key: &Key) -> String {
    format!("{input}.{}", encode(key.sign(algorithm, input.as_bytes())))
}

/// Makes a token of exactly this header and these claims, and signs it as an algorithm does,
/// whatever its header says of that.
pub fn forge(
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
    algorithm: &str,
    key: &Key,
) -> String {
    signed(&format!("{}.{}", encode(header), encode(claims)), algorithm, key)
}

/// Makes an ordinary token of these claims by one of our keys.
pub fn token(algorithm: Algorithm, claims: &Value) -> String {
    let header = json!({"alg": algorithm.name(), "typ": "JWT"}).to_string();
    forge(header, claims.to_string(), algorithm.name(), Keys::ours().of(algorithm))
}

/// The seconds since 1970, as a token counts them.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs()
}

/// Writes DER as PEM (RFC 7468 §2).
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The two numbers of an RSA key in PKCS #1 (RFC 8017 §A.1.1), without leading zeros.
fn modulus_and_exponent(der: &[u8]) -> (&[u8], &[u8]) {
    /// What follows a tag and its length, and what comes after it.
    fn value(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, start) = match der[1] {
            length @ 0..=127 => (usize::from(length), 2),
            0x81 => (usize::from(der[2]), 3),
            0x82 => (usize::from(der[2]) * 256 + usize::from(der[3]), 4),
            other => panic!("a key of that length is none of ours: {other}"),
        };
        der[start..].split_at(length)
    }
    let (numbers, _) = value(der);
    let (modulus, rest) = value(numbers);
    let (exponent, _) = value(rest);
    // A number whose first bit is set has a zero before it.
    (modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent)
}
