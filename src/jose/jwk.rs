//! Keys as issuers publish them (RFC 7517): a set has keys for many purposes, of which one for
//! verifying is wanted, so what is unusable is left out and told, and takes nothing else with it.

use super::key::{Key, Material, Unusable};
use super::{Algorithm, base64url, json};
use crate::value::Invalid;
use serde_json::{Map, Value};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A key of a set that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the set, from zero.
    pub place: usize,
    /// Its `kid`, if it has one.
    pub kid: Option<Box<str>>,
    /// Why.
    pub reason: Unusable,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key {kid:?}: {}", self.reason),
            None => write!(f, "key {} of the set: {}", self.place + 1, self.reason),
        }
    }
}

/// Reads a set of keys, or one key alone. Secrets are let in only where `secrets` says so.
pub(super) fn read(bytes: &[u8], secrets: bool) -> Result<(Vec<Key>, Vec<Skipped>), Invalid> {
    // The cause may cite what stands there, which may be a secret.
    let object = json::object(bytes).map_err(|_| {
        Invalid::new("a set of keys is a JSON object in which each name stands once")
    })?;
    let mut object = Value::Object(object);
    let keys = each(&object, secrets);
    wipe(&mut object);
    keys
}

fn each(object: &Value, secrets: bool) -> Result<(Vec<Key>, Vec<Skipped>), Invalid> {
    let list = match (&object["keys"], &object["kty"]) {
        (Value::Array(list), _) => list.as_slice(),
        (Value::Null, Value::String(_)) => std::slice::from_ref(object),
        _ => return Err(Invalid::new("a set of keys has a list `keys`, and a key has a `kty`")),
    };
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (place, jwk) in list.iter().enumerate() {
        match jwk.as_object().ok_or(Unusable("it is no object")).and_then(|jwk| key(jwk, secrets)) {
            Ok(key) => keys.push(key),
            Err(reason) => {
                let kid = jwk["kid"].as_str().map(Into::into);
                skipped.push(Skipped { place, kid, reason });
            }
        }
    }
    Ok((keys, skipped))
}

fn key(jwk: &Map<String, Value>, secrets: bool) -> Result<Key, Unusable> {
    let kid = text(jwk, "kid", "its `kid` is no string")?.map(Into::into);
    if text(jwk, "use", "its `use` is no string")?.is_some_and(|purpose| purpose != "sig") {
        return Err(Unusable("its `use` is not `sig`"));
    }
    if let Some(operations) = jwk.get("key_ops") {
        let texts = operations.as_array().filter(|all| all.iter().all(Value::is_string));
        let texts = texts.ok_or(Unusable("its `key_ops` is no list of strings"))?;
        if !texts.iter().any(|operation| operation == "verify") {
            return Err(Unusable("its `key_ops` has no `verify`"));
        }
    }
    let algorithm = match text(jwk, "alg", "its `alg` is no string")? {
        None => None,
        Some(name) => {
            let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
            Some(known.ok_or(Unusable("its `alg` is no known signature algorithm"))?)
        }
    };
    Key::new(material(jwk, secrets)?, kid, algorithm)
}

/// The public part of a key. A private part, which should not be there, is not looked at.
fn material(jwk: &Map<String, Value>, secrets: bool) -> Result<Material, Unusable> {
    let curve = || text(jwk, "crv", "its `crv` is no string");
    match text(jwk, "kty", "its `kty` is no string")? {
        Some("RSA") => Ok(Material::Rsa { n: bytes(jwk, "n")?, e: bytes(jwk, "e")? }),
        Some("EC") => match curve()? {
            Some("P-256") => Ok(Material::P256(point(jwk, 32)?)),
            Some("P-384") => Ok(Material::P384(point(jwk, 48)?)),
            _ => Err(Unusable("its curve is neither P-256 nor P-384")),
        },
        Some("OKP") => match curve()? {
            Some("Ed25519") => Ok(Material::Ed25519(bytes(jwk, "x")?)),
            _ => Err(Unusable("its curve is not Ed25519")),
        },
        Some("oct") if secrets => Ok(Material::Secret(Zeroizing::new(bytes(jwk, "k")?))),
        Some("oct") => Err(Unusable("a secret is no secret where anybody can fetch it")),
        _ => Err(Unusable("its `kty` is none of RSA, EC, OKP and oct")),
    }
}

/// RFC 7518 §6.2.1.2: a coordinate has all its bytes, with the zeros before it.
fn point(jwk: &Map<String, Value>, size: usize) -> Result<Vec<u8>, Unusable> {
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err(Unusable("its coordinates have the wrong length"));
    }
    Ok([&[4], x.as_slice(), y.as_slice()].concat())
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Unusable> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(Unusable("a part of it is missing"))?;
    base64url::decode(text).ok_or(Unusable("a part of it is not base64url without padding"))
}

fn text<'a>(
    jwk: &'a Map<String, Value>,
    name: &str,
    wrong: &'static str,
) -> Result<Option<&'a str>, Unusable> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Unusable(wrong)),
    }
}

/// Overwrites texts: among them may be a secret or a private key.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(object) => object.values_mut().for_each(wipe),
        _ => {}
    }
}
