//! A bucket with a hole: what comes at once leaves one by one.
//!
//! As a meter, what would overflow is refused at once; that is a token bucket that is as large,
//! seen from the other side. As a queue, it spaces requests: one that comes too early waits until
//! its turn, so that the service behind sees no more than the rate.
//!
//! nginx's `limit_req` is the queue: its `burst` is the length here, and its `delay` (all of the
//! burst with `nodelay`) is one less than the burst here, which passes without waiting; an nginx
//! without either passes one at once, as a burst of 1 does. nginx counts in thousandths of a
//! request and whole milliseconds, so that it drifts at rates that a millisecond does not divide;
//! this is exact (`gcra.rs`). nginx has no bound in time: a queue of 100 at 1/s holds the last
//! request for 100 seconds, long after its client has left. Here the longest wait refuses it.

use super::Plan;
use super::gcra::{Bucket, Gcra};
use std::time::Duration;

/// The algorithm `leaky_bucket`.
#[derive(Debug, Clone, Copy)]
pub struct LeakyBucket(Gcra);

/// Who comes too early waits, within these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many units may wait at a time.
    pub length: u32,
    /// How long any of them may wait.
    pub longest: Duration,
}

impl LeakyBucket {
    /// A bucket that holds as much as the plan's burst and drains at its rate. What does not fit
    /// waits in the queue, and is refused where there is none or it is full. A request that costs
    /// more than the burst is never admitted, whether or not it could wait.
    ///
    /// A place in the queue is taken when [`Outcome::Queued`](super::Outcome::Queued) is said; who
    /// gives up waiting may give the units back.
    pub fn new(plan: &Plan, queue: Option<Queue>) -> Self {
        let Queue { length, longest } =
            queue.unwrap_or(Queue { length: 0, longest: Duration::ZERO });
        LeakyBucket(Gcra::new(plan, length, longest))
    }
}

impl Bucket for LeakyBucket {
    fn gcra(&self) -> &Gcra {
        &self.0
    }
}
