//! JOSE: signed tokens and the keys that they are signed with (RFC 7515, 7517, 7518, 7519).
//!
//! What is here knows no configuration, no network and no clock: the time is an argument.

mod algorithm;
mod issuing;
mod private_key;
mod public_key;
mod sealed;
mod signer;

pub use algorithm::{Algorithm, Algorithms, Kind};
pub use issuing::{Issuing, check_claim_name, random_id};
pub use sealed::{Sealer, Unsealable, Unsealed};
pub use signer::{Signer, Unsigned, jwks};
