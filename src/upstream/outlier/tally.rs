//! What workers note of an endpoint: what came in a row, and how many requests there were.

use super::{Limits, Reason, Settings};
use crate::upstream::padded::Padded;
use http::StatusCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The results of one endpoint. Workers write it, the keeper reads it.
///
/// An answer other than 5xx reads one word, and writes it only if something was in a row. Where a
/// share is asked for, each worker counts its requests on its own cache line.
#[derive(Debug)]
pub struct Tally {
    limits: Limits,
    /// Answers of 5xx in a row in the upper half, attempts without an answer in the lower.
    streaks: Padded<AtomicU64>,
    /// What each worker has seen; empty where no share is asked for.
    seen: Box<[Padded<Seen>]>,
    /// What of it the keeper has looked at.
    looked: Counts<AtomicU64>,
}

type Seen = Counts<AtomicU64>;

/// Requests and those of them that succeeded, since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts<N = u64> {
    pub(super) requests: N,
    pub(super) succeeded: N,
}

/// One answer of 5xx, as the streaks have it.
const ONE_5XX: u64 = 1 << 32;

/// The lower half of the streaks.
const FAILURES: u64 = ONE_5XX - 1;

impl Tally {
    /// Begins with nothing for an endpoint, for so many workers.
    pub fn new(settings: &Settings, workers: usize) -> Self {
        let workers = if settings.success_rate.is_some() { workers.max(1) } else { 0 };
        Tally {
            limits: settings.limits,
            streaks: Padded::default(),
            seen: (0..workers).map(|_| Padded::default()).collect(),
            looked: Counts::default(),
        }
    }

    /// Notes an answer that a worker got. Returns whether a limit has just been reached, so that the
    /// keeper should look now: true for one of the answers in a row and not for those after it.
    pub fn answered(&self, worker: usize, status: StatusCode) -> bool {
        let is_bad = status.is_server_error();
        self.count(worker, !is_bad);
        if !is_bad {
            // Whether it comes whole is still to be seen: see `completed`.
            if bad(self.streaks.load(Relaxed)) != 0 {
                update(&self.streaks, |streaks| streaks & FAILURES);
            }
            return false;
        }
        // It answered, so it can be reached: only what says otherwise is forgotten.
        let add = |streaks: u64| (streaks & !FAILURES).saturating_add(ONE_5XX) & !FAILURES;
        let before = update(&self.streaks, add);
        self.limits.consecutive_5xx.is_some_and(|limit| bad(before) + 1 == u64::from(limit))
    }

    /// Notes that an answer came whole, which ends a row of failures. Its head alone does not, or an
    /// endpoint whose answers all break off would never fail.
    pub fn completed(&self) {
        if self.streaks.load(Relaxed) & FAILURES != 0 {
            update(&self.streaks, |streaks| streaks & !FAILURES);
        }
    }

    /// Notes an attempt of a worker that got no whole answer: it found no connection, was reset, or
    /// waited too long. Returns whether a limit has just been reached, as [`Tally::answered`] does.
    pub fn failed(&self, worker: usize) -> bool {
        self.count(worker, false);
        let add = |streaks: u64| if streaks & FAILURES == FAILURES { streaks } else { streaks + 1 };
        let before = update(&self.streaks, add);
        let limit = self.limits.consecutive_failures;
        limit.is_some_and(|limit| (before & FAILURES) + 1 == u64::from(limit))
    }

    fn count(&self, worker: usize, succeeded: bool) {
        if self.seen.is_empty() {
            return;
        }
        let seen = &self.seen[worker % self.seen.len()];
        seen.requests.fetch_add(1, Relaxed);
        if succeeded {
            seen.succeeded.fetch_add(1, Relaxed);
        }
    }

    /// What has reached its limit, if something has.
    pub(super) fn excess(&self) -> Option<Reason> {
        let streaks = self.streaks.load(Relaxed);
        let reaches = |count: u64, limit: Option<u32>| limit.is_some_and(|n| count >= u64::from(n));
        if reaches(bad(streaks), self.limits.consecutive_5xx) {
            Some(Reason::Consecutive5xx { count: bad(streaks) })
        } else if reaches(streaks & FAILURES, self.limits.consecutive_failures) {
            Some(Reason::ConsecutiveFailures { count: streaks & FAILURES })
        } else {
            None
        }
    }

    /// Takes what was counted since it was last taken. For the keeper alone.
    pub(super) fn take(&self) -> Counts {
        let mut taken = Counts::default();
        for seen in &self.seen {
            // A worker may be between its two counts; what it has not counted as a success yet
            // counts as one in the next interval, and `min` below keeps the share sensible.
            taken.succeeded += seen.succeeded.load(Relaxed);
            taken.requests += seen.requests.load(Relaxed);
        }
        let since = |all: u64, looked: &AtomicU64| all.saturating_sub(looked.swap(all, Relaxed));
        let requests = since(taken.requests, &self.looked.requests);
        let succeeded = since(taken.succeeded, &self.looked.succeeded);
        Counts { requests, succeeded: succeeded.min(requests) }
    }

    /// Forgets what there was, so that an endpoint begins anew. For the keeper alone.
    pub(super) fn forget(&self) {
        self.streaks.store(0, Relaxed);
        self.take();
    }
}

/// The answers of 5xx in a row.
fn bad(streaks: u64) -> u64 {
    streaks >> 32
}

/// Changes a word, and returns what it was.
fn update(word: &AtomicU64, change: impl Fn(u64) -> u64) -> u64 {
    let changed = word.fetch_update(Relaxed, Relaxed, |old| Some(change(old)));
    changed.unwrap_or_else(|unchanged| unchanged)
}

#[cfg(test)]
mod tests {
    use super::super::SuccessRate;
    use super::*;
    use crate::value::Percent;

    fn tally() -> Tally {
        let success_rate = Some(SuccessRate { below: Percent::new(50), min_requests: 1 });
        Tally::new(&Settings { success_rate, ..Settings::default() }, 2)
    }

    const OK: StatusCode = StatusCode::OK;
    const BAD: StatusCode = StatusCode::BAD_GATEWAY;

    #[test]
    fn the_fifth_in_a_row_wakes_the_keeper_and_the_sixth_does_not() {
        let tally = tally();
        let woken: Vec<bool> = (0..6).map(|worker| tally.answered(worker, BAD)).collect();
        assert_eq!(woken, [false, false, false, false, true, false]);
        assert_eq!(tally.excess(), Some(Reason::Consecutive5xx { count: 6 }));
        let tally = self::tally();
        let woken: Vec<bool> = (0..6).map(|worker| tally.failed(worker)).collect();
        assert_eq!(woken, [false, false, false, false, true, false]);
        assert_eq!(tally.excess(), Some(Reason::ConsecutiveFailures { count: 6 }));
    }

    #[test]
    fn an_answer_ends_a_row_of_failures_and_a_good_one_both() {
        let tally = tally();
        for _ in 0..4 {
            tally.failed(0);
            tally.answered(0, BAD);
        }
        assert_eq!(tally.excess(), None);
        assert!(!tally.failed(0));
        assert!(tally.answered(0, BAD), "attempts without an answer end no row of 5xx");
        tally.answered(0, StatusCode::NOT_FOUND);
        tally.completed();
        assert_eq!(tally.excess(), None);
        assert!(!tally.answered(0, BAD));
    }

    #[test]
    fn answers_that_break_off_are_failures_in_a_row() {
        let tally = tally();
        let broken = |_| {
            tally.answered(0, OK);
            tally.failed(0)
        };
        assert_eq!((0..5).map(broken).collect::<Vec<_>>(), [false, false, false, false, true]);
        tally.completed();
        assert_eq!(tally.excess(), None);
    }

    #[test]
    fn a_row_that_has_no_limit_wakes_nobody() {
        let limits = Limits { consecutive_5xx: None, consecutive_failures: None };
        let tally = Tally::new(&Settings { limits, ..Settings::default() }, 2);
        assert!((0..20).all(|_| !tally.answered(0, BAD) && !tally.failed(1)));
        assert_eq!(tally.excess(), None);
    }

    #[test]
    fn rows_end_at_the_largest_number() {
        let tally = tally();
        tally.streaks.store(u64::MAX, Relaxed);
        tally.failed(0);
        assert_eq!(tally.streaks.load(Relaxed), u64::MAX);
        tally.answered(0, BAD);
        assert_eq!(tally.streaks.load(Relaxed), !FAILURES);
    }

    #[test]
    fn what_was_taken_is_not_taken_again() {
        let tally = tally();
        tally.answered(0, OK);
        tally.answered(1, BAD);
        tally.failed(5);
        assert_eq!(tally.take(), Counts { requests: 3, succeeded: 1 });
        assert_eq!(tally.take(), Counts::default());
        tally.answered(1, OK);
        assert_eq!(tally.take(), Counts { requests: 1, succeeded: 1 });
    }

    #[test]
    fn one_of_eight_threads_wakes_the_keeper() {
        for _ in 0..50 {
            let tally = tally();
            let woken: usize = std::thread::scope(|scope| {
                let tally = &tally;
                let run = move |worker| (0..10).filter(|_| tally.failed(worker)).count();
                let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || run(n))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(woken, 1);
        }
    }
}
