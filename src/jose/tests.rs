//! What is believed and what is not, for every algorithm: forged, malformed and borderline tokens.

mod borderline;
mod flips;
mod forged;
mod keys;
mod mint;
mod vectors;
