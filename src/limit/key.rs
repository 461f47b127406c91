//! What a caller is known by where states are kept: 128 bits of a keyed hash, whatever its name.
//!
//! The hash is SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) with a
//! secret of the process. Who does not know the secret cannot choose names that fall into one place,
//! and a key says nothing about the name that it was made from. A [`Key`] comes from a
//! [`KeyHasher`] alone, so that nothing that clients choose is ever used as a place directly.
//!
//! Two names have the same 128 bits with a probability of 2⁻¹²⁸; among n of them there is such a
//! pair with n²/2¹²⁹, which is 10⁻²⁵ for ten million.

use siphasher::sip128::{Hash128, Hasher128, SipHasher13};
use std::fmt;
use std::hash::Hasher;
use std::num::NonZeroU64;

/// One caller, or whatever else a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    place: u64,
    /// Never zero, so that a free entry of a table needs no further word.
    tag: NonZeroU64,
}

impl Key {
    /// The key of a hash. A tag of zero becomes one, which costs nothing that could be measured.
    pub(super) fn new(place: u64, tag: u64) -> Self {
        Key { place, tag: NonZeroU64::new(tag).unwrap_or(NonZeroU64::MIN) }
    }

    /// Evenly one of so many.
    pub(super) fn among(self, many: usize) -> usize {
        // The high word of the product: no division, and even to 2⁻³² (Lemire, "Fast Random Integer
        // Generation in an Interval", 2019).
        ((u128::from(self.place) * many as u128) >> 64) as usize
    }

    /// The half by which a key is known within its place.
    pub(super) fn tag(self) -> NonZeroU64 {
        self.tag
    }
}

/// Makes keys of names.
#[derive(Clone)]
pub struct KeyHasher(SipHasher13);

impl KeyHasher {
    /// A hasher of the secret, which is random and stays for as long as the process runs.
    pub fn new(secret: [u64; 2]) -> Self {
        KeyHasher(SipHasher13::new_with_keys(secret[0], secret[1]))
    }

    /// The key of one name.
    pub fn hash(&self, name: &[u8]) -> Key {
        key(self.0.hash(name))
    }

    /// The key of several parts, such as a limit and a caller. Where one part ends counts: `ab`, `c`
    /// is not `a`, `bc`.
    pub fn hash_all(&self, parts: &[&[u8]]) -> Key {
        let mut hasher = self.0;
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        key(hasher.finish128())
    }
}

fn key(hash: Hash128) -> Key {
    Key::new(hash.h1, hash.h2)
}

impl fmt::Debug for KeyHasher {
    /// Does not show the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_the_name_and_the_secret() {
        let hasher = KeyHasher::new([1, 2]);
        assert_eq!(hasher.hash(b"acme"), hasher.hash(b"acme"));
        assert_ne!(hasher.hash(b"acme"), hasher.hash(b"acmf"));
        assert_ne!(hasher.hash(b"acme"), KeyHasher::new([1, 3]).hash(b"acme"));
        assert_eq!(format!("{hasher:?}"), "KeyHasher");
    }

    #[test]
    fn where_a_part_ends_counts() {
        let hasher = KeyHasher::new([1, 2]);
        assert_ne!(hasher.hash_all(&[b"ab", b"c"]), hasher.hash_all(&[b"a", b"bc"]));
        assert_ne!(hasher.hash_all(&[b"", b"a"]), hasher.hash_all(&[b"a", b""]));
    }

    #[test]
    fn names_in_a_row_fall_evenly_into_places() {
        let hasher = KeyHasher::new([1, 2]);
        let mut places = [0u32; 10];
        for number in 0..10_000u32 {
            places[hasher.hash(&number.to_le_bytes()).among(places.len())] += 1;
        }
        // Six standard deviations of thirty.
        assert!(places.iter().all(|count| count.abs_diff(1_000) < 180), "{places:?}");
    }
}
