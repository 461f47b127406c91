//! Where the states of all callers are kept: a table of bounded memory, for millions of them.
//!
//! It is set-associative, as a processor's cache is. A key's hash chooses a *segment*, which has a
//! lock, and in it a *set* of eight entries; the key is there or nowhere. A set of small states is
//! two cache lines, one of tags and one of states, so that a decision costs the segment's header,
//! which is warm where there are not very many, those two lines, which lie side by side, and one
//! lock that is hardly ever contended.
//!
//! **Memory** is taken as it is used. A segment starts with nothing, and doubles when a set of it is
//! full of entries that count; what moves then is one segment (1,024 entries at most, microseconds)
//! and never the table. So the table commits 0.4% at the start for the headers, and from there what
//! its callers need; it gives nothing back. While a segment doubles, its old half is there too:
//! that much for each thread, at most, is on top of the bound, and what the allocator cannot put
//! such halves to use for: a tenth was measured (glibc, ten million keys in 64 MiB). A heap that states own is counted at
//! its largest for each entry, so that the bound holds whatever callers do.
//!
//! **Who is forgotten.** Where a key is new and its set is full, the entry of least weight makes
//! room: weight is how much would be forgiven. One of weight zero is taken first, before anything
//! grows, since to forget it changes nothing. Sets fill unevenly: of a table that is a quarter full
//! one caller in 6,000 found its set full, of one half full one in 120, and then the lightest of
//! nine was forgotten.
//!
//! Among equals chance decides, and not who came last: somebody new who has used one unit is there
//! for eight newcomers on average, and is heavier than they are from its second unit on. Were the
//! newest to go, who asks now and then during a flood would be unknown each time.
//!
//! **What a flood gains.** Each new key forgives at most the least weight of a set, so that k new
//! keys forgive min₁ + … + minₖ, where each minᵢ is no more than the mean of its set. A flood of keys
//! that ask once has an entry of its own weight, one unit, in every set that it touches: it forgives
//! one unit for each key, its own, and those who are at their limit keep seven places of eight. Of h
//! of them that share a set, max(0, h - 7) are forgotten. To forget one who has used w units, an
//! attacker has to hold seven entries of w units or more in the same set; as it cannot tell which
//! set that is, it has to do so in all of them, which takes 7·w units for each of the table's sets.
//! It could have had those units, and more, by the new names alone.
//!
//! **Mistaken identity.** The segment goes by 64 bits of a key and the entry by the other 64: two
//! keys are taken for each other where they fall into the same segment and the latter are equal. A
//! set of a full-grown segment knows seven of those bits, so that a new key is taken for one of the
//! eight in its set with a probability of 8/2⁵⁷ at most. With 100,000 new callers a second, it
//! happens once in a year with a probability of 1 in 5,700; two callers then share one state until
//! it is forgotten.

#[cfg(test)]
mod tests;

use super::key::Key;
use crate::lock::lock;
use crate::value::{ByteSize, Invalid};
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Mutex;

/// How many entries a set has: as many tags as fill a cache line.
const WAYS: usize = 8;

/// How many sets a segment has at most: what moves at once when it doubles.
const SETS: usize = 128;

/// How many segments there are at least, where memory allows: threads should seldom meet in one.
const SEGMENTS: usize = 64;

/// States by key, of a bounded number of callers. All threads share it.
///
/// A state that was never seen, or was forgotten, is `S::default()`, which must not own any heap:
/// free entries hold one each.
pub struct Table<S> {
    segments: Box<[Place<S>]>,
    /// How many sets a segment has when it is fully grown; a power of two.
    full: usize,
    /// How many bytes a state owns at most outside of itself.
    heap: usize,
}

/// What a table holds, and what became of the rest, since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many entries are taken, those of no weight included.
    pub entries: usize,
    /// How many bytes it has taken so far, a state's heap counted at its largest.
    pub bytes: usize,
    /// How many entries were forgotten that had some weight.
    pub evicted: u64,
    /// The weights of those, added up: what was forgiven for want of memory.
    pub forgiven: u64,
}

/// Lies on a cache line of its own, so that threads in different segments do not disturb each other.
#[repr(align(64))]
struct Place<S>(Mutex<Segment<S>>);

struct Segment<S> {
    /// None at first, then a power of two.
    sets: Box<[Set<S>]>,
    taken: usize,
    evicted: u64,
    forgiven: u64,
}

/// Tags and states lie apart, so that a key is looked for in one line.
#[derive(Default)]
#[repr(align(64))]
struct Set<S> {
    tags: [Option<NonZeroU64>; WAYS],
    states: [S; WAYS],
}

impl<S: Default> Table<S> {
    /// An empty table that takes so much memory at most. `heap` is how many bytes a state owns at
    /// most outside of itself: zero for one that is a few numbers.
    ///
    /// # Errors
    /// Refuses memory that does not hold a single set.
    pub fn new(memory: ByteSize, heap: usize) -> Result<Self, Invalid> {
        let memory_bytes = usize::try_from(memory.0).unwrap_or(usize::MAX);
        let set = size_of::<Set<S>>().saturating_add(heap.saturating_mul(WAYS));
        let full = floor_to_power_of_two((memory_bytes / set / SEGMENTS).clamp(1, SETS));
        let segment = set.saturating_mul(full).saturating_add(size_of::<Place<S>>());
        let segments = memory_bytes / segment;
        if segments == 0 {
            return Err(Invalid::new(format!(
                "`{memory}` is too small to remember callers in: at least {}",
                ByteSize(segment as u64)
            )));
        }
        let segments = (0..segments).map(|_| Place(Mutex::new(Segment::empty()))).collect();
        Ok(Table { segments, full, heap })
    }

    /// Calls `f` with the state of a key, which is made if need be, while nobody else sees it.
    ///
    /// Where that takes another's place, `weight` says how much would be forgiven with each of those
    /// that might go, and the least goes. Both are called under a lock: they should be short, and
    /// must not use the table.
    pub fn with<R>(&self, key: Key, weight: impl Fn(&S) -> u32, f: impl FnOnce(&mut S) -> R) -> R {
        let mut segment = lock(self.segment(key));
        let (set, way) = match segment.find(key) {
            Some(found) => found,
            None => segment.add(key, self.full, weight),
        };
        f(&mut segment.sets[set].states[way])
    }

    /// Calls `f` with the state of a key, if there is one, and makes none.
    pub fn peek<R>(&self, key: Key, f: impl FnOnce(&S) -> R) -> Option<R> {
        let segment = lock(self.segment(key));
        let (set, way) = segment.find(key)?;
        Some(f(&segment.sets[set].states[way]))
    }

    /// Forgets a key, and gives what was known of it.
    pub fn remove(&self, key: Key) -> Option<S> {
        let mut segment = lock(self.segment(key));
        let (set, way) = segment.find(key)?;
        segment.taken -= 1;
        segment.sets[set].tags[way] = None;
        Some(std::mem::take(&mut segment.sets[set].states[way]))
    }

    /// How many entries it has room for.
    pub fn capacity(&self) -> usize {
        self.segments.len() * self.full * WAYS
    }

    /// What it holds now. It takes every segment's lock for a moment, one after the other: a few
    /// milliseconds for a gigabyte, which is for metrics and not for requests.
    pub fn figures(&self) -> Figures {
        let mut all = Figures::default();
        for Place(segment) in &self.segments {
            let segment = lock(segment);
            all.entries += segment.taken;
            all.bytes += size_of::<Place<S>>()
                + segment.sets.len() * size_of::<Set<S>>()
                + segment.taken * self.heap;
            all.evicted += segment.evicted;
            all.forgiven += segment.forgiven;
        }
        all
    }

    fn segment(&self, key: Key) -> &Mutex<Segment<S>> {
        &self.segments[key.among(self.segments.len())].0
    }
}

impl<S> fmt::Debug for Table<S> {
    /// Shows its shape and no states: those may be millions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("segments", &self.segments.len())
            .field("full", &self.full)
            .finish_non_exhaustive()
    }
}

impl<S: Default> Segment<S> {
    fn empty() -> Self {
        Segment { sets: Box::default(), taken: 0, evicted: 0, forgiven: 0 }
    }

    /// Where a key is, if it is anywhere.
    fn find(&self, key: Key) -> Option<(usize, usize)> {
        let at = self.set_of(key.tag());
        let tags = &self.sets.get(at)?.tags;
        Some((at, tags.iter().position(|tag| *tag == Some(key.tag()))?))
    }

    /// Makes an entry for a key that has none.
    fn add(&mut self, key: Key, full: usize, weight: impl Fn(&S) -> u32) -> (usize, usize) {
        let (at, way) = self.room(key, full, weight);
        let set = &mut self.sets[at];
        set.tags[way] = Some(key.tag());
        set.states[way] = S::default();
        (at, way)
    }

    /// Finds an entry that may be written over. Each turn of the loop doubles the segment, so that
    /// there are eight at most.
    fn room(&mut self, key: Key, full: usize, weight: impl Fn(&S) -> u32) -> (usize, usize) {
        loop {
            let at = self.set_of(key.tag());
            let Some(set) = self.sets.get(at) else {
                self.grow();
                continue;
            };
            if let Some(way) = set.tags.iter().position(Option::is_none) {
                self.taken += 1;
                return (at, way);
            }
            // The count of evictions moves the hand, so that it is anybody's turn among equals.
            let (way, least) = set.lightest(&weight, self.evicted as usize);
            if least == 0 {
                return (at, way);
            }
            if self.sets.len() == full {
                self.evicted += 1;
                self.forgiven += u64::from(least);
                return (at, way);
            }
            self.grow();
        }
    }

    /// Doubles the number of sets, or makes the first. One bit more of a tag chooses between the old
    /// set and its new half, so that none can be too full.
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.sets);
        self.sets = (0..(2 * old.len()).max(1)).map(|_| Set::default()).collect();
        for set in old {
            for (tag, state) in set.tags.into_iter().zip(set.states) {
                let Some(tag) = tag else { continue };
                let at = self.set_of(tag);
                let home = &mut self.sets[at];
                let free = home.tags.iter().position(Option::is_none);
                let way = free.expect("half of a set fits in a set");
                home.tags[way] = Some(tag);
                home.states[way] = state;
            }
        }
    }

    /// The set of a tag; zero also where there are no sets yet.
    fn set_of(&self, tag: NonZeroU64) -> usize {
        tag.get() as usize & self.sets.len().saturating_sub(1)
    }
}

impl<S> Set<S> {
    /// The entry of least weight, and its weight; of several the first from `hand` on.
    fn lightest(&self, weight: impl Fn(&S) -> u32, hand: usize) -> (usize, u32) {
        let ways = (0..WAYS).map(|step| (hand + step) % WAYS);
        let weights = ways.map(|way| (way, weight(&self.states[way])));
        weights.min_by_key(|(_, weight)| *weight).expect("a set has entries")
    }
}

fn floor_to_power_of_two(number: usize) -> usize {
    1 << number.ilog2()
}
