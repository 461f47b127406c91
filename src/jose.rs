//! JOSE: signed tokens and the keys that they are signed with (RFC 7515, 7517, 7518, 7519).
//!
//! What is here knows no configuration, no network and no clock: the time is an argument.
//!
//! A token is read (`Token::read`), which proves nothing, then verified with the keys of its issuer
//! by the rules for that issuer's tokens (`verify`). What comes out is its `Claims`, or a `Refusal`,
//! which has a kind for the client and a reason for the log.

mod algorithm;
mod base64url;
mod compact;
mod date;
mod header;
mod issuing;
mod json;
mod jwk;
mod key;
mod key_set;
mod pem;
mod private_key;
mod public_key;
mod refusal;
mod rules;
mod sealed;
mod signer;
#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, Algorithms, Kind};
pub use compact::{MAX_SIZE, Token};
pub use header::Header;
pub use issuing::{Issuing, check_claim_name, random_id};
pub use json::object as json_object;
pub use jwk::Skipped;
pub use key::Unusable;
pub use key_set::KeySet;
pub use refusal::Refusal;
pub use rules::{Claims, Confirmation, LEEWAY, Rules, confirmation, verify};
pub use sealed::{Sealer, Unsealable, Unsealed};
pub use signer::{Signer, Unsigned, jwks};
