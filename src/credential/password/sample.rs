//! Hashes for tests, as cheap as may be.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// An argon2id hash with 8 MiB and one pass.
pub fn argon2id(password: &str) -> String {
    let params = Params::new(8_192, 1, 1, Some(32)).unwrap();
    let mut hash = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), b"salt of a sample", &mut hash).unwrap();
    let (salt, hash) = (STANDARD_NO_PAD.encode("salt of a sample"), STANDARD_NO_PAD.encode(hash));
    format!("$argon2id$v=19$m=8192,t=1,p=1${salt}${hash}")
}

/// A bcrypt hash with a cost of 10.
pub fn bcrypt(password: &str) -> String {
    bcrypt::hash_with_salt(password, 10, *b"salt of a sample").unwrap().to_string()
}
