//! Public keys in PEM (RFC 7468): what `openssl` writes, and certificates. Of a certificate the key
//! alone counts: whoever wrote it into the configuration trusts it, whatever its dates say.

use super::key::{Key, Material, Unusable};
use crate::value::Invalid;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroize;

/// Reads all keys of a text; there is at least one.
pub(super) fn read(text: &[u8]) -> Result<Vec<Key>, Invalid> {
    let mut keys = Vec::new();
    for block in Pem::iter_from_buffer(text) {
        let mut block = block.map_err(|_| Invalid::new("it is no valid PEM"))?;
        let key = match block.label.as_str() {
            "PUBLIC KEY" => spki(&block.contents),
            "RSA PUBLIC KEY" => pkcs1(&block.contents),
            "CERTIFICATE" => certificate(&block.contents),
            label if label.ends_with("PRIVATE KEY") => {
                block.contents.zeroize();
                return Err(Invalid::new(
                    "it holds a private key, which only the issuer should have: the public key is \
                     meant (openssl pkey -in FILE -pubout)",
                ));
            }
            label => {
                return Err(Invalid::new(format!(
                    "it holds a `{label}`: a PUBLIC KEY, an RSA PUBLIC KEY or a CERTIFICATE is \
                     meant"
                )));
            }
        };
        let key = key.and_then(|material| Key::new(material, None, None));
        keys.push(key.map_err(|reason| Invalid::new(format!("the key is unusable: {reason}")))?);
    }
    if keys.is_empty() {
        return Err(Invalid::new("it holds no key in PEM: `-----BEGIN PUBLIC KEY-----` is meant"));
    }
    Ok(keys)
}

const BROKEN: Unusable = Unusable("its DER is broken");

fn certificate(der: &[u8]) -> Result<Material, Unusable> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => key_of(certificate.public_key()),
        _ => Err(BROKEN),
    }
}

fn spki(der: &[u8]) -> Result<Material, Unusable> {
    match SubjectPublicKeyInfo::from_der(der) {
        Ok(([], key)) => key_of(&key),
        _ => Err(BROKEN),
    }
}

fn key_of(key: &SubjectPublicKeyInfo<'_>) -> Result<Material, Unusable> {
    let algorithm = &key.algorithm.algorithm;
    let bits = key.subject_public_key.data.as_ref();
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        return pkcs1(bits);
    }
    if *algorithm == OID_SIG_ED25519 {
        return Ok(Material::Ed25519(bits.to_vec()));
    }
    if *algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return Err(Unusable("it is neither RSA nor EC nor Ed25519"));
    }
    // RFC 5480 §2.1.1: the curve is the parameter.
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    match curve {
        Some(curve) if curve == OID_EC_P256 => Ok(Material::P256(bits.to_vec())),
        Some(curve) if curve == OID_NIST_EC_P384 => Ok(Material::P384(bits.to_vec())),
        _ => Err(Unusable("its curve is neither P-256 nor P-384")),
    }
}

fn pkcs1(der: &[u8]) -> Result<Material, Unusable> {
    let Ok((rest, key)) = RSAPublicKey::from_der(der) else { return Err(BROKEN) };
    // A number of DER whose topmost bit is set is negative.
    let negative = |number: &[u8]| number.first().is_none_or(|top| top & 0x80 != 0);
    if !rest.is_empty() || negative(key.modulus) || negative(key.exponent) {
        return Err(BROKEN);
    }
    Ok(Material::Rsa { n: key.modulus.to_vec(), e: key.exponent.to_vec() })
}
