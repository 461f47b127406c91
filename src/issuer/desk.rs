//! Who waits for which round of questions, and when the next one is due: pure.
//!
//! Rounds have numbers, and one is under way at a time. Who wants a key that is not known waits for
//! the round that is under way, and if that had begun before, for one more: only a round that began
//! after the question can say that there is no such key.

use super::permits::Permits;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// How long anyone waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The least time from a round that failed to one that somebody asks for.
const BREATH: Duration = Duration::from_secs(1);
/// How many names that no key has are remembered.
const ABSENT: usize = 256;
/// For how long.
const ABSENCE: Duration = Duration::from_secs(10);

/// The rounds of one issuer. Time is an argument.
#[derive(Debug, Default)]
pub(super) struct Desk {
    begun: u64,
    ended: u64,
    /// The last that succeeded.
    succeeded: u64,
    /// The last that somebody asked for.
    wanted: u64,
    /// The end of the last round, if it failed, and of the first that failed before it.
    down: Option<Down>,
    permits: Permits,
    absent: Absent,
}

#[derive(Debug, Clone, Copy)]
struct Down {
    since: Instant,
    last: Instant,
}

/// What one who waits for a round should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait for the end of a round.
    Wait,
    /// Ask for a round, and wait for its end.
    Ask,
    /// There is no such key.
    Unknown,
    /// The issuer cannot be asked.
    Unavailable,
}

impl Desk {
    /// Whether a name deserves a question: one that was just not found only if one can be spared.
    pub(super) fn admits(&mut self, kid: &str, now: Instant) -> bool {
        !self.absent.has(kid, now) || self.can_spare(now)
    }

    /// Whether a question can be spared for what is most likely in vain.
    pub(super) fn can_spare(&mut self, now: Instant) -> bool {
        self.permits.can_spare(now)
    }

    /// The number of the first round that has yet to begin.
    pub(super) fn next(&self) -> u64 {
        self.begun + 1
    }

    /// What one does who did not find its key, and for whom round `needed` decides.
    pub(super) fn step(&mut self, needed: u64, now: Instant) -> Step {
        if self.succeeded >= needed {
            return Step::Unknown;
        }
        let is_long = self.down.is_some_and(|down| now - down.since >= PATIENCE);
        if self.ended >= needed && is_long {
            return Step::Unavailable;
        }
        if self.begun > self.ended || self.wanted > self.begun {
            return Step::Wait;
        }
        self.wanted = self.begun + 1;
        Step::Ask
    }

    /// Remembers that no key has this name.
    pub(super) fn is_absent(&mut self, kid: &str, now: Instant) {
        self.absent.put(kid, now);
    }

    /// When the round that somebody asked for may begin; none if nobody did.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        if self.wanted <= self.begun {
            return None;
        }
        let breath = self.down.map_or(now, |down| down.last + BREATH);
        Some(self.permits.next(now).max(breath))
    }

    /// Takes the permit for a round that somebody asked for.
    pub(super) fn pay(&mut self, now: Instant) {
        self.permits.take(now);
    }

    /// Begins a round.
    pub(super) fn begin(&mut self) {
        self.begun += 1;
    }

    /// Ends the round that is under way.
    pub(super) fn end(&mut self, succeeded: bool, now: Instant) {
        self.ended = self.begun;
        if succeeded {
            self.succeeded = self.ended;
            self.down = None;
        } else {
            let since = self.down.map_or(now, |down| down.since);
            self.down = Some(Down { since, last: now });
        }
    }

    /// Forgets a round that whoever kept the issuer did not bring to its end. Whether it would have
    /// succeeded is not known, so nobody is told anything by it.
    pub(super) fn abandon(&mut self) {
        self.ended = self.begun;
    }
}

/// Names that no key has, the oldest of which go first.
#[derive(Debug, Default)]
struct Absent {
    since: HashMap<Box<str>, Instant>,
    order: VecDeque<Box<str>>,
}

impl Absent {
    fn has(&self, kid: &str, now: Instant) -> bool {
        self.since.get(kid).is_some_and(|since| now - *since < ABSENCE)
    }

    fn put(&mut self, kid: &str, now: Instant) {
        if let Some(since) = self.since.get_mut(kid) {
            *since = now;
            return;
        }
        if self.order.len() == ABSENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.since.remove(&oldest);
        }
        self.since.insert(kid.into(), now);
        self.order.push_back(kid.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::permits::{BURST, EACH};
    use super::*;

    #[test]
    fn a_round_that_had_begun_does_not_decide() {
        let now = Instant::now();
        let mut desk = Desk::default();
        desk.begin();
        let needed = desk.next();
        assert_eq!(desk.step(needed, now), Step::Wait);
        desk.end(true, now);
        assert_eq!(desk.step(needed, now), Step::Ask);
        assert_eq!(desk.step(needed, now), Step::Wait);
        assert_eq!(desk.due(now), Some(now));
        desk.begin();
        desk.end(true, now);
        assert_eq!(desk.step(needed, now), Step::Unknown);
        assert_eq!(desk.due(now), None);
    }

    #[test]
    fn who_asks_while_an_issuer_is_down_waits_only_at_first() {
        let start = Instant::now();
        let mut desk = Desk::default();
        let needed = desk.next();
        assert_eq!(desk.step(needed, start), Step::Ask);
        desk.begin();
        desk.end(false, start);
        assert_eq!(desk.step(needed, start), Step::Ask);
        assert_eq!(desk.due(start), Some(start + BREATH));
        desk.begin();
        let later = start + PATIENCE;
        desk.end(false, later);
        assert_eq!(desk.step(needed, later), Step::Unavailable);
        // One who comes later causes a question: the issuer may be back.
        let needed = desk.next();
        assert_eq!(desk.step(needed, later), Step::Ask);
    }

    #[test]
    fn questions_are_paid_for() {
        let now = Instant::now();
        let mut desk = Desk::default();
        for _ in 0..BURST {
            let needed = desk.next();
            assert_eq!(desk.step(needed, now), Step::Ask);
            assert_eq!(desk.due(now), Some(now));
            desk.pay(now);
            desk.begin();
            desk.end(true, now);
        }
        let needed = desk.next();
        assert_eq!(desk.step(needed, now), Step::Ask);
        assert_eq!(desk.due(now), Some(now + EACH));
    }

    #[test]
    fn a_name_that_no_key_has_gets_only_what_can_be_spared() {
        let now = Instant::now();
        let mut desk = Desk::default();
        desk.is_absent("a", now);
        assert!(desk.admits("a", now) && desk.admits("b", now));
        (0..BURST / 2).for_each(|_| desk.pay(now));
        assert!(!desk.admits("a", now) && desk.admits("b", now));
        assert!(desk.admits("a", now + ABSENCE));
    }

    #[test]
    fn names_that_no_key_has_are_bounded() {
        let now = Instant::now();
        let mut absent = Absent::default();
        for number in 0..10 * ABSENT {
            absent.put(&number.to_string(), now);
            absent.put("0", now);
        }
        assert_eq!((absent.since.len(), absent.order.len()), (ABSENT, ABSENT));
        assert!(absent.has(&(10 * ABSENT - 1).to_string(), now));
    }
}
