//! Private keys from PEM (RFC 7468), parsed once: what they are, and what is wrong with those that
//! nothing here can sign with.

use super::public_key::PublicKey;
use super::{Algorithm, Kind};
use crate::value::Invalid;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// A private key. The library keeps its numbers, and overwrites them when it goes.
pub(super) enum PrivateKey {
    /// RSA, of 2,048 to 8,192 bits.
    Rsa(RsaKeyPair),
    /// A key on P-256.
    P256(EcdsaKeyPair),
    /// A key on P-384.
    P384(EcdsaKeyPair),
    /// A key on Ed25519.
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// Reads the one private key in a text: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or
    /// SEC 1 (`EC PRIVATE KEY`). Certificates and curve parameters beside it are passed over.
    ///
    /// # Errors
    ///
    /// Says why there is none, where one can say so without telling of its contents.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, Invalid> {
        // Of an encrypted key the parser would only say that it is none.
        let has = |text: &str| pem.windows(text.len()).any(|at| at == text.as_bytes());
        if has("BEGIN ENCRYPTED") || has("Proc-Type: 4,ENCRYPTED") {
            return Err(Invalid::new(
                "the private key is encrypted: decrypt it with `openssl pkey -in KEY -out PLAIN`",
            ));
        }
        let mut keys = PrivateKeyDer::pem_slice_iter(pem);
        let first = keys.next().transpose().map_err(|_| Invalid::new("the PEM text is damaged"))?;
        let key = match first {
            Some(key) => Zeroizing::new(key),
            None if has("PUBLIC KEY-----") || has("CERTIFICATE-----") => {
                return Err(Invalid::new("a private key is needed to sign, this has a public one"));
            }
            None => {
                let message = "there is no private key here, such as `openssl genpkey -algorithm \
                               ed25519` makes: PEM with `-----BEGIN PRIVATE KEY-----`";
                return Err(Invalid::new(message));
            }
        };
        if let Some(second) = keys.next() {
            drop(second.map(Zeroizing::new));
            return Err(Invalid::new("there is more than one private key here"));
        }
        Self::from_der(&key)
    }

    fn from_der(key: &PrivateKeyDer<'_>) -> Result<Self, Invalid> {
        let der = key.secret_der();
        let rsa = match key {
            PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(der),
            _ => RsaKeyPair::from_pkcs8(der),
        };
        match rsa {
            Ok(pair) => return Ok(PrivateKey::Rsa(pair)),
            Err(rejected) if rejected.description_() == "TooSmall" => {
                let message = "an RSA key of less than 2,048 bits can be broken (RFC 7518 §3.3): \
                               make one with `openssl genpkey -algorithm RSA -pkeyopt \
                               rsa_keygen_bits:2048`";
                return Err(Invalid::new(message));
            }
            Err(rejected) if rejected.description_() == "TooLarge" => {
                return Err(Invalid::new("an RSA key of more than 8,192 bits is too large"));
            }
            Err(_) => {}
        }
        // Both forms are told apart by the library.
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
        {
            return Ok(PrivateKey::P256(pair));
        }
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, der)
        {
            return Ok(PrivateKey::P384(pair));
        }
        match Ed25519KeyPair::from_pkcs8(der) {
            Ok(pair) => Ok(PrivateKey::Ed25519(pair)),
            Err(_) => Err(Invalid::new(
                "the private key is none of RSA, P-256, P-384 and Ed25519, or is damaged",
            )),
        }
    }

    /// What kind of key it is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            PrivateKey::Rsa(_) => Kind::Rsa,
            PrivateKey::P256(_) => Kind::P256,
            PrivateKey::P384(_) => Kind::P384,
            PrivateKey::Ed25519(_) => Kind::Ed25519,
        }
    }

    /// Refuses an algorithm that needs another kind of key.
    pub(super) fn check_fits(&self, algorithm: Algorithm) -> Result<(), Invalid> {
        let kind = self.kind();
        if algorithm.kind() == kind {
            return Ok(());
        }
        let name = match kind {
            Kind::Rsa => "an RSA key",
            Kind::P256 => "a key on P-256",
            Kind::P384 => "a key on P-384",
            Kind::Ed25519 => "a key on Ed25519",
            Kind::Secret(_) => "a secret",
        };
        let fitting = Algorithm::ALL.into_iter().filter(|one| one.kind() == kind);
        let fitting: Vec<_> = fitting.map(Algorithm::name).collect();
        let message = format!("{algorithm} cannot be made with {name}, it fits ");
        Err(Invalid::new(message + &fitting.join(", ")))
    }

    /// The public half.
    pub(super) fn public(&self) -> PublicKey {
        let public = match self {
            PrivateKey::Rsa(pair) => PublicKey::rsa(pair.public_key().as_ref()),
            PrivateKey::P256(pair) => PublicKey::ec("P-256", pair.public_key().as_ref()),
            PrivateKey::P384(pair) => PublicKey::ec("P-384", pair.public_key().as_ref()),
            PrivateKey::Ed25519(pair) => Some(PublicKey::ed25519(pair.public_key().as_ref())),
        };
        public.expect("the library writes its own public keys in the form that it documents")
    }
}
