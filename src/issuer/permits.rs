//! How often an issuer is asked for keys because somebody wants one that is not known.
//!
//! Anyone can make up the name of a key, so what strangers can cause is bounded: a token bucket. A
//! name that was just not found only gets what others do not need.

use std::time::Duration;
use tokio::time::Instant;

/// How many questions may follow each other at once.
pub(super) const BURST: u32 = 8;
/// How long it takes until one more may be asked: no issuer minds a question a second, and whoever
/// comes when there are none left waits no longer than that.
pub(super) const EACH: Duration = Duration::from_secs(1);

/// A token bucket. Time is an argument, so it is exact.
#[derive(Debug)]
pub(super) struct Permits {
    left: u32,
    /// When the last one was added, or the bucket was last full.
    since: Option<Instant>,
}

impl Default for Permits {
    fn default() -> Self {
        Permits { left: BURST, since: None }
    }
}

impl Permits {
    fn fill(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let new = now.saturating_duration_since(since).as_nanos() / EACH.as_nanos();
        let new = u32::try_from(new).unwrap_or(u32::MAX).min(BURST - self.left);
        self.left += new;
        self.since = (self.left < BURST).then(|| since + EACH * new);
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.since.get_or_insert(now);
        true
    }

    /// When there is one.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        self.fill(now);
        match self.since {
            Some(since) if self.left == 0 => since + EACH,
            _ => now,
        }
    }

    /// Whether there are more than half of them, so that one can be spared.
    pub(super) fn can_spare(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.left > BURST / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_is_followed_by_one_each() {
        let start = Instant::now();
        let mut permits = Permits::default();
        assert!((0..BURST).all(|_| permits.take(start)));
        assert!(!permits.take(start) && !permits.can_spare(start));
        assert_eq!(permits.next(start), start + EACH);
        assert!(!permits.take(start + EACH - Duration::from_nanos(1)));
        assert!(permits.take(start + EACH) && !permits.take(start + EACH));
        let later = start + EACH * 100;
        assert!((0..BURST).all(|_| permits.take(later)) && !permits.take(later));
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_has_more_than_its_share(
            pauses in prop::collection::vec(0u64..6_000, 1..60),
        ) {
            let start = Instant::now();
            let (mut now, mut permits, mut taken) = (start, Permits::default(), Vec::new());
            for pause in pauses {
                now += Duration::from_millis(pause);
                if permits.take(now) {
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let share = (*to - *from).as_millis() / EACH.as_millis();
                    prop_assert!((last - first + 1) as u128 <= share + u128::from(BURST));
                }
            }
        }
    }
}
