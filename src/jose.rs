//! JOSE: signed tokens and the keys that they are signed with (RFC 7515, 7517, 7518, 7519).
//!
//! What is here knows no configuration, no network and no clock: the time is an argument.

mod algorithm;

pub use algorithm::{Algorithm, Algorithms, Kind};
