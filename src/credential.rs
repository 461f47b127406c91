//! How a client shows who it is: where a credential stands in a request, and what each kind is checked
//! against. Nothing here knows the configuration; whom a credential belongs to is the caller's.

mod api_key;
mod authorization;
mod basic;
mod certificates;
mod hex;
mod malformed;
mod password;
mod place;

pub use api_key::{ApiKeys, KeyHash};
pub use authorization::Authorization;
pub use basic::Basic;
pub use certificates::{Ambiguous, Certificates, Fingerprint, MtlsMatch, Subject};
pub use malformed::{Malformed, Scheme};
pub use password::{Busy, PasswordHash, Passwords, Verifier};
pub use place::{Place, find_one};
