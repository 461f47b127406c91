//! Signing: from claims to a token in the compact form (RFC 7515 §3.1, §7.1).
//!
//! The key pairs are the library's own and not jsonwebtoken's signers: those parse and check an RSA
//! key anew at every signature, which took 491 µs for RS256 with 2,048 bits where a pair that is
//! parsed once takes 201 µs. For ECDSA there is no difference.

use super::private_key::PrivateKey;
use super::public_key::PublicKey;
use super::{Algorithm, Kind};
use crate::value::{Invalid, Secret};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::fmt;

/// Signs tokens with one key and one algorithm.
pub struct Signer {
    algorithm: Algorithm,
    key: Key,
    public: Option<Public>,
}

/// What others may know.
struct Public {
    key: PublicKey,
    /// The thumbprint, which names the key in headers and in key sets.
    kid: String,
}

enum Key {
    /// In a box: it keeps the states of its hashes, which are a kilobyte.
    Secret(Box<hmac::Key>),
    Private(PrivateKey),
}

/// Says that the library could not sign, which it only fails to for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be signed")]
pub struct Unsigned;

impl Signer {
    /// Makes a signer of a private key in PEM or of a secret, whichever the algorithm needs.
    ///
    /// # Errors
    ///
    /// Says which of the two is missing, or is one too many, or does not fit.
    pub fn new(
        algorithm: Algorithm,
        key: Option<&[u8]>,
        secret: Option<&Secret>,
    ) -> Result<Self, Invalid> {
        match (key, secret, algorithm.is_symmetric()) {
            (None, Some(secret), true) => {
                let signer = Signer::from_secret(secret.reveal().as_bytes(), algorithm);
                signer.map_err(|invalid| invalid.under("secret"))
            }
            (Some(pem), None, false) => {
                Signer::from_pem(pem, algorithm).map_err(|invalid| invalid.under("key"))
            }
            (_, _, true) => {
                Err(Invalid::new(format!("{algorithm} needs a `secret`, and no `key`")))
            }
            (_, _, false) => {
                Err(Invalid::new(format!("{algorithm} needs a `key`, and no `secret`")))
            }
        }
    }

    /// Makes a signer of a private key in PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    ///
    /// # Errors
    ///
    /// Says why the text has no key that can be used, or which algorithms the key fits.
    pub fn from_pem(pem: &[u8], algorithm: Algorithm) -> Result<Self, Invalid> {
        if algorithm.is_symmetric() {
            let message = format!("{algorithm} is made with a `secret`, not with a private key");
            return Err(Invalid::new(message));
        }
        let key = PrivateKey::from_pem(pem)?;
        key.check_fits(algorithm)?;
        let public = key.public();
        let public = Public { kid: public.thumbprint(), key: public };
        Ok(Signer { algorithm, key: Key::Private(key), public: Some(public) })
    }

    /// Makes a signer of a secret that whoever checks its tokens has as well: its bytes, as they
    /// are.
    ///
    /// # Errors
    ///
    /// Says how many bytes the algorithm needs (RFC 7518 §3.2), or that it needs a private key.
    pub fn from_secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, Invalid> {
        let (Kind::Secret(least), Some(hash)) = (algorithm.kind(), hash(algorithm)) else {
            let message = format!("{algorithm} is made with a private `key`, not with a secret");
            return Err(Invalid::new(message));
        };
        if secret.starts_with(b"-----BEGIN ") {
            let message = format!("{algorithm} is made with a secret, and this is a key in PEM");
            return Err(Invalid::new(message));
        }
        if secret.len() < least {
            let message = format!(
                "{algorithm} needs a secret of at least {least} bytes (RFC 7518 §3.2), this has {}",
                secret.len()
            );
            return Err(Invalid::new(message));
        }
        let key = Box::new(hmac::Key::new(hash, secret));
        Ok(Signer { algorithm, key: Key::Secret(key), public: None })
    }

    /// The algorithm that its tokens are signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of its key, which is the SHA-256 thumbprint of the public half (RFC 7638). A secret
    /// has none: what it was called would be taken of the secret itself (RFC 7638 §7).
    pub fn kid(&self) -> Option<&str> {
        self.public.as_ref().map(|public| public.kid.as_str())
    }

    /// Signs claims. `typ` says what the token is, such as `JWT` or `at+jwt` (RFC 7515 §4.1.9).
    ///
    /// # Errors
    ///
    /// Fails where the library does.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<String, Unsigned> {
        let mut header = json!({"alg": self.algorithm.name(), "typ": typ});
        if let Some(kid) = self.kid() {
            header["kid"] = kid.into();
        }
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        let claims = serde_json::to_vec(claims).expect("a map of text and values is JSON");
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.signature(token.as_bytes()).map_err(|Unspecified| Unsigned)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        // The library has its own generator, and takes one for the sake of compatibility.
        let random = SystemRandom::new();
        Ok(match &self.key {
            Key::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
            Key::Private(PrivateKey::Rsa(pair)) => {
                let encoding = encoding(self.algorithm).ok_or(Unspecified)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)?;
                signature
            }
            Key::Private(PrivateKey::P256(pair) | PrivateKey::P384(pair)) => {
                pair.sign(&random, message)?.as_ref().to_vec()
            }
            Key::Private(PrivateKey::Ed25519(pair)) => pair.try_sign(message)?.as_ref().to_vec(),
        })
    }

    /// The public key that its tokens are checked with, as a JWK with `kid`, `alg` and `use`
    /// (RFC 7517 §4). There is none for a secret.
    pub fn public_jwk(&self) -> Option<Value> {
        let public = self.public.as_ref()?;
        let mut jwk = public.key.members();
        jwk.insert("kid".into(), public.kid.as_str().into());
        jwk.insert("alg".into(), self.algorithm.name().into());
        jwk.insert("use".into(), "sig".into());
        Some(Value::Object(jwk))
    }
}

/// The public keys of signers as a JWK set (RFC 7517 §5), in their order; secrets are left out.
///
/// A key that several of them sign with stands there once, as a `kid` names one key (RFC 7517 §4.5),
/// and without `alg` where their algorithms differ.
pub fn jwks<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> String {
    let mut keys: Vec<Value> = Vec::new();
    for jwk in signers.into_iter().filter_map(Signer::public_jwk) {
        match keys.iter_mut().find(|known| known["kid"] == jwk["kid"]) {
            None => keys.push(jwk),
            Some(known) if known.get("alg") != jwk.get("alg") => {
                known.as_object_mut().map(|known| known.remove("alg"));
            }
            Some(_) => {}
        }
    }
    json!({"keys": keys}).to_string()
}

fn hash(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::HS256 => Some(hmac::HMAC_SHA256),
        Algorithm::HS384 => Some(hmac::HMAC_SHA384),
        Algorithm::HS512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

/// The library's salt of PSS is as long as the hash, as RFC 7518 §3.5 wants it.
fn encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_SHA512),
        _ => None,
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
