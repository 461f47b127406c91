//! Credentials that were found good, and whose they are: a token that comes again costs no signature
//! check, and whoever comes again by any other way is not made known anew.
//!
//! Each worker has its own, on its own thread, so that there is no lock. A token is known by a digest
//! of the whole of it, together with who verified it, and nothing is kept of it but that. The digest
//! is SipHash-2-4 with 128 bits (J.-P. Aumasson and D. J. Bernstein, 2012), under a key that the
//! process makes and never tells: to find a second token of one digest is to break it as the message
//! authentication code that it is made to be. It costs a third of SHA-256 where the processor has no
//! instructions for that, and no more where it has. Only tokens that are good get in, so that nobody
//! without one can push others out.
//!
//! There is room for a number of them. Once that is taken, a token gets in when it comes a second
//! time, in the place of one that was not used for a round (CLOCK; F. J. Corbató, 1968): tokens that are used
//! once, as some clients have it, would only push out those that are used again.

use crate::exchange::Identity;
use aws_lc_rs::rand;
use hashbrown::HashMap;
use siphasher::sip128::SipHasher24;
use std::cell::RefCell;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

/// How many tokens a worker remembers: some megabytes, with what is known of those who have them.
const ROOM: usize = 8192;

/// A token, as it is known by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    verifier: u64,
    digest: u128,
}

/// A token that was found good.
#[derive(Clone)]
pub struct Entry {
    /// Whose it is.
    pub identity: Arc<Identity>,
    /// From when on it must not be relied on.
    pub expires: SystemTime,
    /// The number of the issuer that it was found to be of, among the verifier's.
    pub jwt: usize,
    /// The generation of that issuer's keys: where it has grown, some of them are gone.
    pub generation: u64,
    /// The fingerprint of the certificate that it is bound to (RFC 8705 §3), if it is.
    pub bound_to: Option<[u8; 32]>,
}

/// What one worker remembers.
#[derive(Default)]
struct Verified {
    /// Where each token is.
    places: HashMap<Key, usize, BuildHasherDefault<Prefix>>,
    slots: Vec<Slot>,
    /// The slot that is looked at next where room is needed.
    hand: usize,
    /// What came once when there was no room: a part of its digest, where another part says. It is
    /// made when it is first needed.
    once: Box<[u64]>,
}

struct Slot {
    key: Key,
    entry: Entry,
    /// Whether it was used since the hand passed.
    is_used: bool,
}

thread_local! {
    static VERIFIED: RefCell<Verified> = RefCell::default();
}

impl Key {
    /// How a token is known to one verifier.
    pub fn new(verifier: u64, token: &[u8]) -> Self {
        static SECRET: LazyLock<[u8; 16]> = LazyLock::new(|| {
            let mut secret = [0; 16];
            rand::fill(&mut secret).expect("the system gives random bytes");
            secret
        });
        let digest = SipHasher24::new_with_key(&SECRET).hash(token).as_u128();
        Key { verifier, digest }
    }

    /// A number that is as good as any hash of it: the digest is one.
    fn hash(&self) -> u64 {
        self.digest as u64 ^ self.verifier.rotate_left(32)
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
    VERIFIED.with_borrow_mut(|verified| verified.find(key))
}

/// The identity of whoever shows a credential that is good until a moment: the one that this worker
/// knows, or one that is made.
pub fn identity(
    key: Key,
    expires: Option<SystemTime>,
    make: impl FnOnce() -> Arc<Identity>,
) -> Arc<Identity> {
    // What it was good for before says nothing of now: whoever calls has found out that it is good.
    if let Some(known) = find(&key) {
        return known.identity;
    }
    let identity = make();
    let expires = expires.unwrap_or(SystemTime::UNIX_EPOCH);
    let entry =
        Entry { identity: Arc::clone(&identity), expires, jwt: 0, generation: 0, bound_to: None };
    keep(key, entry);
    identity
}

/// Remembers that a token is good, if there is room for it or it comes again.
pub fn keep(key: Key, entry: Entry) {
    VERIFIED.with_borrow_mut(|verified| verified.keep(key, entry, ROOM));
}

impl Verified {
    fn find(&mut self, key: &Key) -> Option<Entry> {
        let slot = &mut self.slots[*self.places.get(key)?];
        slot.is_used = true;
        Some(slot.entry.clone())
    }

    fn keep(&mut self, key: Key, entry: Entry, room: usize) {
        let slot = Slot { key, entry, is_used: false };
        if let Some(&place) = self.places.get(&key) {
            // It does not hold any more as it was.
            self.slots[place] = slot;
        } else if self.slots.len() < room {
            self.places.insert(key, self.slots.len());
            self.slots.push(slot);
        } else if self.came_before(&key, room) {
            let place = self.make_room();
            self.places.remove(&self.slots[place].key);
            self.places.insert(key, place);
            self.slots[place] = slot;
        }
    }

    /// Whether a token came once before, as far as that is remembered; remembers that it came.
    fn came_before(&mut self, key: &Key, room: usize) -> bool {
        if self.once.is_empty() {
            self.once = vec![0; room].into();
        }
        let hash = key.hash();
        let place = (hash % room as u64) as usize;
        std::mem::replace(&mut self.once[place], hash) == hash
    }

    /// Finds a slot that was not used for a round.
    fn make_room(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            if !std::mem::take(&mut self.slots[place].is_used) {
                return place;
            }
        }
    }
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(Key::hash(self));
    }
}

/// Takes the number that a key is for its hash.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Identity;
    use crate::telemetry::metrics::Way;

    fn key(number: u64) -> Key {
        Key::new(1, &number.to_be_bytes())
    }

    fn entry(generation: u64) -> Entry {
        let identity = Identity::new(Way::Jwt, Arc::default());
        let (identity, expires) = (Arc::new(identity), SystemTime::UNIX_EPOCH);
        Entry { identity, expires, jwt: 0, generation, bound_to: None }
    }

    #[test]
    fn a_token_of_one_verifier_is_unknown_to_another() {
        let mut verified = Verified::default();
        verified.keep(Key::new(1, b"token"), entry(0), 4);
        assert!(verified.find(&Key::new(1, b"token")).is_some());
        assert!(verified.find(&Key::new(2, b"token")).is_none());
    }

    #[test]
    fn what_is_kept_again_takes_the_place_of_what_was() {
        let mut verified = Verified::default();
        verified.keep(key(1), entry(0), 4);
        verified.keep(key(1), entry(7), 4);
        assert_eq!(verified.find(&key(1)).unwrap().generation, 7);
        assert_eq!(verified.slots.len(), 1);
    }

    #[test]
    fn tokens_that_come_once_push_out_nothing() {
        let mut verified = Verified::default();
        (0..64).for_each(|number| verified.keep(key(number), entry(0), 64));
        (64..10_000).for_each(|number| verified.keep(key(number), entry(0), 64));
        assert!((0..64).all(|number| verified.find(&key(number)).is_some()));
        assert_eq!((verified.slots.len(), verified.places.len()), (64, 64));
    }

    #[test]
    fn a_token_that_comes_again_takes_the_place_of_one_that_is_not_used() {
        let mut verified = Verified::default();
        (0..4).for_each(|number| verified.keep(key(number), entry(0), 4));
        for used in [0, 1, 3] {
            assert!(verified.find(&key(used)).is_some());
        }
        verified.keep(key(9), entry(0), 4);
        assert!(verified.find(&key(9)).is_none());
        verified.keep(key(9), entry(0), 4);
        assert!(verified.find(&key(9)).is_some());
        assert!(verified.find(&key(2)).is_none());
        assert!([0, 1, 3].iter().all(|used| verified.find(&key(*used)).is_some()));
    }
}
