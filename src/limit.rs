//! How much each caller may do in a time: who has had its share is refused, or waits.
//!
//! The algorithms are pure: they are given the time and one caller's state, and say what becomes of
//! one request. Where the states of all callers are kept is another matter, and so is the clock.

pub mod adaptive;
pub mod concurrency;
pub mod fixed_window;
mod gcra;
pub mod key;
pub mod leaky_bucket;
pub mod lease;
mod period;
mod plan;
pub mod sliding_window_counter;
pub mod sliding_window_log;
pub mod table;
pub mod talkers;
#[cfg(test)]
mod tests;
pub mod token_bucket;

pub use adaptive::Adaptive;
pub use fixed_window::FixedWindow;
pub use leaky_bucket::{LeakyBucket, Queue};
pub use period::Windows;
pub use plan::{Kind, Plan};
pub use sliding_window_counter::SlidingWindowCounter;
pub use sliding_window_log::SlidingWindowLog;
pub use token_bucket::TokenBucket;

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in nanoseconds since the Unix epoch: windows begin at the same moment on all gateways,
/// so that the wall clock counts here and not the one that never steps. What comes of a step is said
/// by each algorithm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// A moment of the system's clock; the epoch where it is set before that.
    pub fn of(time: SystemTime) -> Self {
        Time::after(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// The moment that is so long after the epoch.
    pub fn after(span: Duration) -> Self {
        Time(nanos(span))
    }

    /// So much later.
    pub fn plus(self, span: Duration) -> Self {
        Time(self.0.saturating_add(nanos(span)))
    }

    /// How long it is from an earlier moment to this one; nothing where that one is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A span in nanoseconds; the longest that there is where it has more (584 years).
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// How much earlier than the latest a moment may be without the clock having stepped back: a thread
/// reads the clock and may be put aside before it has the state. Such a moment is taken for the
/// latest. What is further back is a step, after which time goes on from there.
pub const SKEW: Duration = Duration::from_millis(100);

/// A part of a whole as a weight, which is zero for nothing only.
fn weight(part: u128, whole: u128) -> u32 {
    if part >= whole {
        return u32::MAX;
    }
    // What a shift loses of a large number is less than a weight can tell.
    let shift = (u128::BITS - whole.leading_zeros()).saturating_sub(96);
    let share = ((part >> shift) * u128::from(u32::MAX)) / (whole >> shift);
    u32::try_from(share).unwrap_or(u32::MAX).max(u32::from(part > 0))
}

/// What is asked of a store that several gateways share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// So many are needed: fewer are none.
    pub least: u32,
    /// So many are wanted, of which as many as there are are given.
    pub want: u32,
}

/// What a store has given of what it was asked for; it has counted it as taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many units; none where the least that was needed is not there.
    pub units: u32,
    /// What is left after it.
    pub standing: Standing,
    /// After how long as many as were needed would be there. Zero where they were, and none where
    /// they never will be.
    pub retry_after: Option<Duration>,
}

/// What an algorithm says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may go on. What may not has cost nothing.
    pub outcome: Outcome,
    /// What is left after it.
    pub standing: Standing,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It may go on.
    Admitted,
    /// It may go on when its turn has come.
    Queued {
        /// How long it has to wait.
        wait: Duration,
    },
    /// It may not.
    Refused {
        /// After how long the same request would be admitted, if nothing else came meanwhile. None
        /// where it costs more than there ever is.
        retry_after: Option<Duration>,
    },
}

/// What is left to one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How many units it may have in a window, or at once.
    pub limit: u64,
    /// How many of them are left now.
    pub remaining: u64,
    /// After how long all of them are there again, if it asks for nothing meanwhile.
    pub reset: Duration,
}

/// One way to share out what there is.
pub trait Algorithm: Debug + Send + Sync {
    /// What it remembers of one caller. The default is one that was never seen.
    type State: Default + Debug + Send;

    /// Judges a request that costs so many units, and takes them where it is admitted.
    fn take(&self, state: &mut Self::State, now: Time, cost: u32) -> Verdict;

    /// Takes units whose number only showed afterwards, whether or not they are there: who has had
    /// more than its share waits for as long as that takes.
    fn charge(&self, state: &mut Self::State, now: Time, cost: u32);

    /// Gives units back that were taken at `taken` and are not to count. Those of a window that is
    /// over are not given back to another.
    fn give_back(&self, state: &mut Self::State, taken: Time, now: Time, cost: u32);

    /// Says what is left, and takes nothing.
    fn standing(&self, state: &Self::State, now: Time) -> Standing;

    /// How many bytes the state of one caller owns at most outside of itself.
    fn heap(&self) -> usize {
        0
    }

    /// How much would be forgiven if the caller were forgotten now, from 0, where it stands like one
    /// that was never seen, to `u32::MAX`. The least is forgotten first.
    fn weight(&self, state: &Self::State, now: Time) -> u32;
}
