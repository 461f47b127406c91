//! What was said of tokens, for a while: bounded, and such that bad tokens push no good ones out.

use super::answer::{Active, Judged, Refused, Verdict};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The longest that a bad token is remembered: a token may be asked about before it is good.
const BAD: Duration = Duration::from_secs(5);

/// A token, by its SHA-256. The token itself is in no map.
pub(super) type Key = [u8; 32];

/// Verdicts on tokens. Time is an argument.
#[derive(Debug)]
pub(super) struct Memory {
    keeps: Duration,
    good: Generations<Key, (Arc<Active>, Instant)>,
    bad: Generations<Key, (Refused, Instant)>,
}

impl Memory {
    /// Keeps verdicts for so long, and so many of either kind.
    pub(super) fn new(keeps: Duration, most: usize) -> Self {
        Memory { keeps, good: Generations::new(most), bad: Generations::new(most) }
    }

    /// What is known of a token. One that has expired by now is not good, whatever was said.
    pub(super) fn get(&self, key: &Key, now: Instant, clock: SystemTime) -> Option<Verdict> {
        if let Some((active, until)) = self.good.get(key) {
            if active.expires.is_some_and(|expires| expires <= clock) {
                return Some(Err(Refused::Expired));
            }
            return (*until > now).then(|| Ok(Arc::clone(active)));
        }
        let (refused, until) = self.bad.get(key)?;
        (*until > now).then_some(Err(*refused))
    }

    /// Remembers a verdict for as long as it may be.
    pub(super) fn put(&mut self, key: Key, judged: &Judged, now: Instant) {
        let holds = judged.holds.map_or(self.keeps, |holds| holds.min(self.keeps));
        match &judged.verdict {
            Ok(active) => {
                self.bad.remove(&key);
                self.good.put(key, (Arc::clone(active), now + holds));
            }
            Err(refused) => {
                self.good.remove(&key);
                self.bad.put(key, (*refused, now + holds.min(BAD)));
            }
        }
    }
}

/// A map that has two halves, a young one and an old one. When the young one is full it becomes the
/// old one, and the old one goes: a simple bound, which never walks the map.
#[derive(Debug)]
struct Generations<K, V> {
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn new(most: usize) -> Self {
        Generations { half: (most / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn put(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::OnceLock;

    fn key(number: usize) -> Key {
        let mut key = Key::default();
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    fn good(expires: Option<SystemTime>, clock: SystemTime) -> Judged {
        let holds = expires.map(|expires| expires.duration_since(clock).unwrap());
        Judged {
            verdict: Ok(Arc::new(Active {
                claims: Arc::default(),
                identity: OnceLock::new(),
                expires,
            })),
            holds,
        }
    }

    fn bad() -> Judged {
        Judged { verdict: Err(Refused::Inactive), holds: None }
    }

    #[test]
    fn nothing_is_remembered_past_its_end() {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let second = Duration::from_secs(1);
        let mut memory = Memory::new(30 * second, 8);
        memory.put(key(1), &good(None, clock), now);
        memory.put(key(2), &good(Some(clock + 10 * second), clock), now);
        memory.put(key(3), &bad(), now);
        let known = |number, seconds| {
            let known = memory.get(&key(number), now + seconds * second, clock + seconds * second);
            known.map(|verdict| verdict.map(drop))
        };
        assert_eq!((known(1, 29), known(1, 30)), (Some(Ok(())), None));
        assert_eq!((known(2, 9), known(2, 10)), (Some(Ok(())), Some(Err(Refused::Expired))));
        assert_eq!((known(3, 4), known(3, 5)), (Some(Err(Refused::Inactive)), None));
        // A clock that was set forward counts at once.
        let ahead = memory.get(&key(2), now, clock + 10 * second);
        assert_eq!(ahead.unwrap().unwrap_err(), Refused::Expired);
    }

    #[test]
    fn bad_tokens_push_no_good_ones_out_and_neither_grows_for_ever() {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let mut memory = Memory::new(Duration::from_secs(30), 64);
        memory.put(key(0), &good(None, clock), now);
        (1..10_000).for_each(|number| memory.put(key(number), &bad(), now));
        assert!(memory.get(&key(0), now, clock).is_some());
        assert!(memory.bad.young.len() + memory.bad.old.len() <= 64);
        (1..10_000).for_each(|number| memory.put(key(number), &good(None, clock), now));
        assert!(memory.good.young.len() + memory.good.old.len() <= 64);
        assert!(memory.get(&key(9_999), now, clock).is_some());
    }

    #[test]
    fn the_last_verdict_counts() {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let mut memory = Memory::new(Duration::from_secs(30), 8);
        memory.put(key(1), &good(None, clock), now);
        memory.put(key(1), &bad(), now);
        assert!(memory.get(&key(1), now, clock).unwrap().is_err());
        memory.put(key(1), &good(None, clock), now);
        assert!(memory.get(&key(1), now, clock).unwrap().is_ok());
    }
}
