//! How long an endpoint took of late, as Finagle's and Linkerd's "peak EWMA" has it: an answer that
//! took longer counts at once, and shorter ones bring the estimate down with time.
//!
//! It fades while nothing is in flight, so that an endpoint that was slow once is tried again. It
//! does not fade while something is: an endpoint that does not answer at all gets one request and
//! not, with each moment of its silence, more of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After this time an old estimate counts for 1/e.
pub const DECAY: Duration = Duration::from_secs(10);

/// What an endpoint is taken to need of which nothing is known. Most need less, so that those which
/// are known go first.
const UNKNOWN: f32 = 1.0;

/// The time in which [`UNKNOWN`] fades to 1/e. Shorter than [`DECAY`], so that a newcomer gets its
/// first request within seconds even among endpoints that answer in a millisecond.
const UNKNOWN_DECAY: Duration = Duration::from_secs(1);

/// The estimate and its time in one word, so that threads that observe at once need no lock.
///
/// The upper half is the time in ticks since `born`; it wraps around after 78 hours, and an estimate
/// that was not touched for just as long counts as fresh until the next answer. The lower half is
/// the estimate in seconds, an `f32`, with its sign set while nothing has been observed.
#[derive(Debug)]
pub struct Latency {
    born: Instant,
    state: AtomicU64,
}

/// How many bits of a count of nanoseconds a tick leaves out: it lasts 65.5 µs.
const TICK_BITS: u32 = 16;

/// The estimate at a time.
#[derive(Clone, Copy)]
struct Estimate {
    tick: u32,
    seconds: f32,
}

impl Estimate {
    fn pack(self) -> u64 {
        u64::from(self.tick) << 32 | u64::from(self.seconds.to_bits())
    }

    fn unpack(state: u64) -> Self {
        Estimate { tick: (state >> 32) as u32, seconds: f32::from_bits(state as u32) }
    }

    fn is_unknown(self) -> bool {
        self.seconds.is_sign_negative()
    }

    /// What an estimate counts for at a tick, between 1 and 0.
    fn remains(self, tick: u32, decay: Duration) -> f32 {
        let ticks = tick.wrapping_sub(self.tick) as i32;
        // Another thread may have read its clock earlier and come later.
        let passed = ticks.max(0) as f32 * (1 << TICK_BITS) as f32 / 1e9;
        (-passed / decay.as_secs_f32()).exp()
    }
}

impl Latency {
    /// Of an endpoint that is known from `now` on.
    pub fn new(now: Instant) -> Self {
        let unknown = Estimate { tick: 0, seconds: -UNKNOWN };
        Latency { born: now, state: AtomicU64::new(unknown.pack()) }
    }

    /// Takes in that an answer came at `now`, after `took`. What failed may be taken in too, as
    /// having taken as long as one would have waited; a refusal that took no time must not, or the
    /// endpoint that fails fastest would get the most requests.
    pub fn observe(&self, now: Instant, took: Duration) {
        let (tick, took) = (self.tick(now), took.as_secs_f32());
        let renewed = |state| {
            let old = Estimate::unpack(state);
            if old.is_unknown() || took >= old.seconds {
                return Some(Estimate { tick, seconds: took }.pack());
            }
            if (tick.wrapping_sub(old.tick) as i32) <= 0 {
                // No time has passed in which the estimate could have come down.
                return None;
            }
            let remains = old.remains(tick, DECAY);
            let seconds = old.seconds * remains + took * (1.0 - remains);
            Some(Estimate { tick, seconds }.pack())
        };
        // Only as long as other threads observe in the same few nanoseconds does this go round; an
        // answer that is no news leaves the word alone.
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, renewed);
    }

    /// How many seconds a request would take at `now`. `busy` is whether the endpoint has requests
    /// in flight.
    pub fn cost(&self, now: Instant, busy: bool) -> f32 {
        let estimate = Estimate::unpack(self.state.load(Ordering::Relaxed));
        let seconds = estimate.seconds.abs();
        if busy {
            return seconds;
        }
        let decay = if estimate.is_unknown() { UNKNOWN_DECAY } else { DECAY };
        seconds * estimate.remains(self.tick(now), decay)
    }

    fn tick(&self, now: Instant) -> u32 {
        (now.saturating_duration_since(self.born).as_nanos() >> TICK_BITS) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn close(found: f32, expected: f32) -> bool {
        (found - expected).abs() < expected * 0.001
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_quick_ones_with_time() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.observe(start, 10 * MS);
        assert!(close(latency.cost(start, true), 0.010));
        latency.observe(start + MS, 500 * MS);
        assert!(close(latency.cost(start + MS, true), 0.500));
        latency.observe(start + MS + DECAY, 10 * MS);
        let expected = 0.5 / std::f32::consts::E + 0.010 * (1.0 - 1.0 / std::f32::consts::E);
        assert!(close(latency.cost(start + MS + DECAY, true), expected));
    }

    #[test]
    fn many_quick_answers_count_no_more_than_their_time() {
        let start = Instant::now();
        let (many, few) = (Latency::new(start), Latency::new(start));
        many.observe(start, 1_000 * MS);
        few.observe(start, 1_000 * MS);
        for passed in 1..=100_000 {
            many.observe(start + passed * MS / 20, 10 * MS);
        }
        few.observe(start + 5_000 * MS, 10 * MS);
        let now = start + 5_000 * MS;
        let (many, few) = (many.cost(now, true), few.cost(now, true));
        assert!((many - few).abs() < 0.01 * few, "{many} and {few}");
    }

    #[test]
    fn an_idle_endpoint_is_forgiven_and_a_silent_one_is_not() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.observe(start, 2_000 * MS);
        let later = start + 5 * DECAY;
        assert!(latency.cost(later, false) < 0.014);
        assert!(close(latency.cost(later, true), 2.0));
    }

    #[test]
    fn a_newcomer_waits_its_turn_and_is_tried_within_seconds() {
        let start = Instant::now();
        let latency = Latency::new(start);
        assert!(close(latency.cost(start, false), 1.0));
        assert!(latency.cost(start + 7_000 * MS, false) < 0.001);
        // Its first request is not followed by a second before an answer came.
        assert!(close(latency.cost(start + 7_000 * MS, true), 1.0));
        latency.observe(start + 7_005 * MS, 5 * MS);
        assert!(close(latency.cost(start + 7_005 * MS, true), 0.005));
    }

    #[test]
    fn clocks_that_disagree_change_nothing() {
        let start = Instant::now();
        let latency = Latency::new(start);
        latency.observe(start + 10 * MS, 100 * MS);
        latency.observe(start, MS);
        assert!(close(latency.cost(start, true), 0.1));
        assert!(close(latency.cost(start, false), 0.1));
    }
}
