//! How much may be in flight, found out by watching how long it takes.
//!
//! A server that has more to do than it can do at once answers later, not more often. So the limit
//! follows the ratio of the time that an answer takes when nothing waits to the time that it takes
//! now: the gradient of Netflix's concurrency-limits and of Envoy's adaptive concurrency filter
//! (`estimate.rs` says what is taken from which). This file is what many threads share; it knows
//! neither services nor requests, so that anything with a duration can be limited by it.

mod estimate;
mod priority;
mod settings;
#[cfg(test)]
mod tests;

pub use priority::Priority;
pub use settings::{Config, Settings};

use estimate::{Estimate, Window};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A limit of what is in flight that adapts to how long things take; shared by all threads.
///
/// A sample is one addition and two or three loads, all relaxed. The one that finds the window over
/// closes it, under a lock that nobody else waits for.
///
/// What it is off by: a sample that comes while another thread closes the window counts in the next
/// one; its concurrency may count in this. That is one sample for each thread.
#[derive(Debug)]
pub struct Gradient {
    began: Instant,
    /// The limit that holds.
    limit: AtomicU32,
    /// The samples of this window in one word, so that their number fits their sum: 24 bits of
    /// number, below 40 bits of microseconds.
    taken: AtomicU64,
    /// The failures of this window that mean overload.
    dropped: AtomicU32,
    /// The most that was in flight in this window.
    peak: AtomicU32,
    /// When this window is over, in nanoseconds since the beginning.
    ends: AtomicU64,
    estimate: Mutex<Estimate>,
}

/// One sample in the word.
const SAMPLE: u64 = 1;
/// One microsecond in the word.
const MICROSECOND: u64 = 1 << 24;
/// The longest time that a sample says, about 17 seconds, and the number of samples that closes a
/// window early: together they cannot overflow the word, even if every thread of a large machine
/// adds some while the window is closed.
const LONGEST: u64 = 1 << 24;
const MOST_SAMPLES: u64 = 1 << 15;

impl Gradient {
    /// A limit that begins at [`Settings::initial`].
    pub fn new(settings: Settings, now: Instant) -> Self {
        let estimate = Estimate::new(settings);
        Gradient {
            began: now,
            limit: AtomicU32::new(estimate.limit()),
            taken: AtomicU64::new(0),
            dropped: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            ends: AtomicU64::new(nanos(estimate.window())),
            estimate: Mutex::new(estimate),
        }
    }

    /// How many may be in flight.
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Whether one more may begin where so many are in flight without it. The less important give
    /// way first: see [`Priority`].
    ///
    /// Threads that ask at the same moment see the same number, so that more than the limit may
    /// begin: one for each thread but the first.
    pub fn admit(&self, priority: Priority, in_flight: u32) -> bool {
        in_flight < priority.share(self.limit())
    }

    /// Tells how long one took that is over, and how many were in flight with it.
    ///
    /// `dropped` says that it failed in a way that means overload: it timed out, was reset, or was
    /// refused as one too many. How long that took says nothing; other failures, such as a 404, are
    /// answers like any other.
    pub fn sample(&self, now: Instant, took: Duration, in_flight: u32, dropped: bool) {
        let samples = if dropped {
            self.dropped.fetch_add(1, Relaxed);
            self.taken.load(Relaxed) % MICROSECOND
        } else {
            let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST).clamp(1, LONGEST);
            let before = self.taken.fetch_add(micros * MICROSECOND + SAMPLE, Relaxed);
            before % MICROSECOND + 1
        };
        // Nearly all samples are no peak, and a load leaves the line with everybody.
        if in_flight > self.peak.load(Relaxed) {
            self.peak.fetch_max(in_flight, Relaxed);
        }
        let now = nanos(now.saturating_duration_since(self.began));
        if now >= self.ends.load(Relaxed) || samples >= MOST_SAMPLES {
            self.close(now, samples);
        }
    }

    /// Closes the window, unless another thread is at it or just was.
    #[cold]
    fn close(&self, now: u64, samples: u64) {
        let Ok(mut estimate) = self.estimate.try_lock() else { return };
        let is_over = now >= self.ends.load(Relaxed) || samples >= MOST_SAMPLES;
        let samples = self.taken.load(Relaxed) % MICROSECOND;
        let dropped = self.dropped.load(Relaxed);
        // A window with next to nothing in it says next to nothing, so it stays open for more.
        if !is_over || samples + u64::from(dropped) < Window::FEWEST {
            return;
        }
        let taken = self.taken.swap(0, Relaxed);
        let dropped = self.dropped.swap(0, Relaxed);
        estimate.close(&Window {
            at: Duration::from_nanos(now),
            samples: taken % MICROSECOND,
            micros: taken / MICROSECOND,
            dropped: dropped.into(),
            peak: self.peak.swap(0, Relaxed),
        });
        self.limit.store(estimate.limit(), Relaxed);
        self.ends.store(now.saturating_add(nanos(estimate.window())), Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
