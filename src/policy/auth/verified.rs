//! Tokens that were found good, so that one that comes again costs no signature check.
//!
//! Each worker has its own, on its own thread, so that there is no lock. A token is known by its
//! SHA-256 digest together with who verified it, and nothing is kept of it but that. Only tokens
//! that are good get in, so that nobody without one can push others out.

use crate::exchange::Identity;
use aws_lc_rs::digest::{SHA256, digest};
use hashbrown::HashMap;
use std::cell::RefCell;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

/// How many tokens each of the two halves holds: a worker knows at most twice as many.
const HALF: usize = 8192;

/// A token, as it is known by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    verifier: u64,
    digest: [u8; 32],
}

/// A token that was found good.
#[derive(Clone)]
pub struct Entry {
    /// Whose it is.
    pub identity: Arc<Identity>,
    /// From when on it must not be relied on.
    pub expires: SystemTime,
    /// Which of the verifier's keys it was found good by.
    pub keys: usize,
    /// The generation of those keys: where it has grown, some of them are gone.
    pub generation: u64,
    /// The fingerprint of the certificate that it is bound to (RFC 8705 §3), if it is.
    pub bound_to: Option<[u8; 32]>,
}

/// Two generations of entries: what is asked for is young, and what is old goes when there are too
/// many young ones. That keeps the most used ones at the cost of one lookup more, and no list.
#[derive(Default)]
struct Verified {
    young: Half,
    old: Half,
}

type Half = HashMap<Key, Entry, BuildHasherDefault<Prefix>>;

thread_local! {
    static VERIFIED: RefCell<Verified> = RefCell::default();
}

impl Key {
    /// How a token is known to one verifier.
    pub fn new(verifier: u64, token: &[u8]) -> Self {
        let mut key = Key { verifier, digest: [0; 32] };
        key.digest.copy_from_slice(digest(&SHA256, token).as_ref());
        key
    }
}

/// A number that no other verifier has: one that was compiled anew knows nothing of what the last
/// one did.
pub fn verifier() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed)
}

/// Finds a token that this worker has found good.
pub fn find(key: &Key) -> Option<Entry> {
    VERIFIED.with_borrow_mut(|verified| {
        if let Some(entry) = verified.young.get(key) {
            return Some(entry.clone());
        }
        let entry = verified.old.remove(key)?;
        verified.keep(*key, entry.clone());
        Some(entry)
    })
}

/// Remembers that a token is good.
pub fn keep(key: Key, entry: Entry) {
    VERIFIED.with_borrow_mut(|verified| verified.keep(key, entry));
}

/// Forgets a token.
pub fn forget(key: &Key) {
    VERIFIED.with_borrow_mut(|verified| drop(verified.young.remove(key)));
}

impl Verified {
    fn keep(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, _) = self.digest.split_first_chunk().expect("a digest has 32 bytes");
        state.write_u64(u64::from_ne_bytes(*first) ^ self.verifier.rotate_left(32));
    }
}

/// The digest is as good as any hash of it.
#[derive(Default)]
struct Prefix(u64);

impl Hasher for Prefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key is hashed as one number")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
