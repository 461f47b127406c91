//! How many retries a service bears. A service that fails all its requests would get a multiple
//! of them just when it can bear them least; so retries are held to a share of the requests of the
//! last seconds, as Finagle's and Linkerd's retry budgets do, rather than to a number each.

use crate::value::Percent;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// How many retries there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLimit {
    /// Retries, as a share of the requests of the last ten seconds.
    pub share: Percent,
    /// Retries a second beside that share, so that a service with few requests gets some. What is
    /// not used in a second is there for ten.
    pub min_per_second: u32,
}

impl RetryLimit {
    /// The retries a second that there are where nothing else is said.
    pub const MIN_PER_SECOND: u32 = 3;

    /// The most that may be said.
    pub const MOST_PER_SECOND: u32 = 100_000;

    /// How many retries there may be for so many requests within the window.
    fn allowed(self, requests: u64) -> u64 {
        self.share.of(requests) + u64::from(self.min_per_second) * SECONDS as u64
    }
}

/// The requests and retries of the last ten seconds; shared by all who send to a service.
///
/// It counts and has no limit of its own, so that it may outlive a change of the limit, and routes
/// with limits of their own may share it.
///
/// What it is off by: time is cut into whole seconds, so that the window is between nine and ten
/// of them long. Within a second the count of retries is exact, whatever the number of threads;
/// where a second ends, retries that are granted at the same moment on both sides of it may not
/// see each other, which is one too many for each thread at the most. A thread that stands still
/// for ten seconds between two instructions may count one request into the wrong second.
#[derive(Debug)]
pub struct RetryBudget {
    began: Instant,
    /// One word for each second, at its number modulo ten: see [`Second`].
    seconds: [AtomicU64; SECONDS],
}

/// The length of the window.
const SECONDS: usize = 10;

/// What was counted in one second, in one word, so that it is read and begun anew at once: the low
/// 16 bits of the second's number, 20 bits of retries, 28 bits of requests.
#[derive(Clone, Copy)]
struct Second(u64);

const RETRY: u64 = 1 << 28;
const MOST_RETRIES: u64 = (1 << 20) - 1;

impl Second {
    /// The second of a number, with nothing counted.
    const fn new(number: u64) -> Self {
        Second(number << 48)
    }

    const fn is(self, number: u64) -> bool {
        self.0 >> 48 == number & 0xffff
    }

    const fn retries(self) -> u64 {
        (self.0 / RETRY) & MOST_RETRIES
    }

    const fn requests(self) -> u64 {
        self.0 & (RETRY - 1)
    }
}

impl RetryBudget {
    /// A budget of which nothing was used.
    pub fn new(now: Instant) -> Self {
        // A word of zeros is second 0 with nothing counted, which is what every slot may claim:
        // the nine that it is not true of are stale by the time that anyone reads them.
        RetryBudget { began: now, seconds: [const { AtomicU64::new(0) }; SECONDS] }
    }

    /// Counts a request; its retries do not count here. One load and one addition, but for the
    /// first request of a second.
    pub fn deposit(&self, now: Instant) {
        let number = self.number(now);
        let slot = &self.seconds[number as usize % SECONDS];
        let mut seen = Second(slot.load(Relaxed));
        while !seen.is(number) {
            match slot.compare_exchange_weak(seen.0, Second::new(number).0 + 1, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(word) => seen = Second(word),
            }
        }
        // 28 bits overflow at 268 million requests a second.
        slot.fetch_add(1, Relaxed);
    }

    /// Counts a retry, if the limit has room for it.
    pub fn withdraw(&self, now: Instant, limit: RetryLimit) -> bool {
        let number = self.number(now);
        let slot = &self.seconds[number as usize % SECONDS];
        loop {
            // The current second first: whatever is counted in it from here on fails the exchange.
            let word = slot.load(Relaxed);
            let current = if Second(word).is(number) { Second(word) } else { Second::new(number) };
            let (requests, retries) = self.others(number);
            let allowed = limit.allowed(requests + current.requests());
            if retries + current.retries() >= allowed || current.retries() == MOST_RETRIES {
                return false;
            }
            if slot.compare_exchange_weak(word, current.0 + RETRY, Relaxed, Relaxed).is_ok() {
                return true;
            }
        }
    }

    /// The requests and the retries of the window, for metrics.
    pub fn counts(&self, now: Instant) -> (u64, u64) {
        let number = self.number(now);
        let word = Second(self.seconds[number as usize % SECONDS].load(Relaxed));
        let current = if word.is(number) { word } else { Second::new(number) };
        let (requests, retries) = self.others(number);
        (requests + current.requests(), retries + current.retries())
    }

    /// The requests and the retries of the nine seconds before one.
    fn others(&self, number: u64) -> (u64, u64) {
        let before = number.saturating_sub(SECONDS as u64 - 1)..number;
        before.fold((0, 0), |(requests, retries), number| {
            let second = Second(self.seconds[number as usize % SECONDS].load(Relaxed));
            if second.is(number) {
                (requests + second.requests(), retries + second.retries())
            } else {
                (requests, retries)
            }
        })
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const FIFTH: RetryLimit = RetryLimit { share: Percent::new(20), min_per_second: 0 };

    fn granted(budget: &RetryBudget, now: Instant, limit: RetryLimit, asked: usize) -> usize {
        (0..asked).filter(|_| budget.withdraw(now, limit)).count()
    }

    #[test]
    fn retries_are_a_share_of_the_requests() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        assert_eq!(granted(&budget, now, FIFTH, 10), 0);
        (0..100).for_each(|_| budget.deposit(now));
        assert_eq!(granted(&budget, now, FIFTH, 100), 20);
        assert_eq!(budget.counts(now), (100, 20));
    }

    #[test]
    fn few_requests_get_the_floor() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        let floor = RetryLimit { min_per_second: 3, ..FIFTH };
        assert_eq!(granted(&budget, now, floor, 100), 30);
        assert_eq!(granted(&budget, now + Duration::from_secs(9), floor, 100), 0);
        assert_eq!(granted(&budget, now + Duration::from_secs(10), floor, 100), 30);
    }

    #[test]
    fn what_is_older_than_ten_seconds_is_forgotten() {
        let began = Instant::now();
        let budget = RetryBudget::new(began);
        let at = |second| began + Duration::from_secs(second);
        for second in 0..30 {
            (0..100).for_each(|_| budget.deposit(at(second)));
            assert_eq!(budget.counts(at(second)).0, 100 * (second + 1).min(10));
        }
        assert_eq!(budget.counts(at(38)).0, 100);
        assert_eq!(budget.counts(at(39)).0, 0);
        assert_eq!(budget.counts(at(1_000_000)), (0, 0));
    }

    #[test]
    fn an_outage_never_multiplies_the_load() {
        let began = Instant::now();
        let budget = RetryBudget::new(began);
        let mut retries = 0;
        // A minute in which every request fails and each would be tried four times.
        for millisecond in 0..60_000 {
            let now = began + Duration::from_millis(millisecond);
            budget.deposit(now);
            retries += granted(&budget, now, FIFTH, 3);
        }
        assert!((11_000..=12_000).contains(&retries), "{retries}");
    }

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        let now = Instant::now();
        let budget = RetryBudget::new(now);
        (0..10_000).for_each(|_| budget.deposit(now));
        let granted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| granted(&budget, now, FIFTH, 1000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 2000);
    }

    #[test]
    fn threads_that_begin_a_second_together_lose_no_request() {
        let began = Instant::now();
        let budget = RetryBudget::new(began);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..9_000 {
                        budget.deposit(began + Duration::from_millis(number));
                    }
                });
            }
        });
        // However far they drift apart, each of the nine seconds has a slot of its own.
        assert_eq!(budget.counts(began + Duration::from_secs(9)).0, 72_000);
    }
}
