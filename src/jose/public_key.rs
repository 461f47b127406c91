//! The public half of a key that signs, as others fetch it (RFC 7517), and its thumbprint, which
//! names it (RFC 7638).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

/// The members that make a public key what it is, in the order of their names: those, in that
/// order, are what its thumbprint is taken of (RFC 7638 §3.2, RFC 8037 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey(Vec<(&'static str, String)>);

impl PublicKey {
    /// Reads an `RSAPublicKey` (RFC 8017 §A.1.1). `None` where the bytes are none.
    pub(super) fn rsa(der: &[u8]) -> Option<Self> {
        let (_, key) = RSAPublicKey::from_der(der).ok()?;
        Some(Self::of_rsa(key.modulus, key.exponent))
    }

    fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        // As few octets as the number needs (RFC 7518 §6.3.1.1, §2 `Base64urlUInt`).
        let number = |bytes: &[u8]| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            URL_SAFE_NO_PAD.encode(&bytes[zeros..])
        };
        PublicKey(vec![("e", number(exponent)), ("kty", "RSA".into()), ("n", number(modulus))])
    }

    /// Reads an uncompressed point of a curve (SEC 1 §2.3.3). `None` where the bytes are none.
    ///
    /// The coordinates keep their leading zeros (RFC 7518 §6.2.1.2).
    pub(super) fn ec(curve: &'static str, point: &[u8]) -> Option<Self> {
        let (4, coordinates) = point.split_first().map(|(form, rest)| (*form, rest))? else {
            return None;
        };
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        Some(PublicKey(vec![
            ("crv", curve.into()),
            ("kty", "EC".into()),
            ("x", URL_SAFE_NO_PAD.encode(x)),
            ("y", URL_SAFE_NO_PAD.encode(y)),
        ]))
    }

    /// Takes the 32 bytes of a key on Ed25519 (RFC 8037 §2).
    pub(super) fn ed25519(bytes: &[u8]) -> Self {
        PublicKey(vec![
            ("crv", "Ed25519".into()),
            ("kty", "OKP".into()),
            ("x", URL_SAFE_NO_PAD.encode(bytes)),
        ])
    }

    /// The members, as a JWK has them.
    pub(super) fn members(&self) -> Map<String, Value> {
        let member = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone().into());
        self.0.iter().map(member).collect()
    }

    /// The SHA-256 thumbprint in base64url (RFC 7638 §3).
    pub(super) fn thumbprint(&self) -> String {
        // Names and values are base64url and words: nothing in them is escaped in JSON.
        let members: Vec<_> =
            self.0.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        let canonical = format!("{{{}}}", members.join(","));
        URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn the_thumbprint_of_an_rsa_key_is_that_of_rfc_7638() {
        let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPF\
                       FxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93\
                       lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZ\
                       Hzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3X\
                       PksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = PublicKey::of_rsa(&bytes(modulus), &bytes("AQAB"));
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let padded = [&[0][..], &bytes(modulus)].concat();
        assert_eq!(PublicKey::of_rsa(&padded, &[0, 1, 0, 1]), key, "a sign octet counts nothing");
    }

    #[test]
    fn the_thumbprint_of_an_ed25519_key_is_that_of_rfc_8037() {
        let key = PublicKey::ed25519(&bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_point_has_its_form_and_two_coordinates() {
        let point = [&[4][..], &[0; 32], &[1; 32]].concat();
        let members = PublicKey::ec("P-256", &point).unwrap().members();
        assert_eq!(members["x"], URL_SAFE_NO_PAD.encode([0; 32]));
        assert_eq!(members["y"], URL_SAFE_NO_PAD.encode([1; 32]));
        assert_eq!(PublicKey::ec("P-256", &[2; 33]), None);
        assert_eq!(PublicKey::ec("P-256", &[]), None);
    }
}
