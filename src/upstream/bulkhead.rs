//! Bulkheads: a service that is slow or overrun fills its own compartment and no other. So many
//! exchanges and so many connections at once, so many waiting for one, in their order, none for
//! longer than it may ("Release It!", M. Nygard).
//!
//! Tokio's semaphore is what waits: it is fair, does not care which thread's runtime a waiter
//! belongs to, and takes a place back from a waiter that is gone. A free place is one
//! compare-exchange. Giving one back takes the semaphore's lock for as long as it takes to see
//! whether anyone waits, since a place must not get past the first who does.

mod settings;
#[cfg(test)]
mod tests;

pub use settings::{Config, Limits};

use super::adaptive::{Gradient, Priority};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The compartment of one service, shared by all threads.
#[derive(Debug)]
pub struct Bulkhead {
    limits: Limits,
    requests: Places,
    connections: Places,
    adaptive: Option<Gradient>,
    /// How many wait, for either.
    pending: AtomicU32,
    refused: Refused,
}

/// What there are only so many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Exchanges, from the choice of the service to the end of the answer.
    Requests,
    /// Attempts, each of which takes a connection where the service speaks HTTP/1.1, and a stream
    /// where it speaks HTTP/2.
    Connections,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Full {
    /// The limit that adapts is reached: waiting would only make the service slower.
    #[error("more in flight than the service bears")]
    Shed,
    /// All places are taken, and as many wait as may.
    #[error("no place, and too many wait for one")]
    Queue(Limit),
    /// No place came free for as long as one may wait.
    #[error("no place within the time that one may wait")]
    Timeout(Limit),
    /// No place came free in what was left of the exchange's time.
    #[error("no place before the request's time was over")]
    Deadline(Limit),
}

impl Full {
    /// The reason in one word, for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Full::Shed => "shed",
            Full::Queue(_) => "queue_full",
            Full::Timeout(_) => "pending_timeout",
            Full::Deadline(_) => "deadline",
        }
    }
}

/// How often something was refused since the service began, for metrics.
#[derive(Debug, Default)]
struct Refused {
    shed: AtomicU64,
    queue: AtomicU64,
    timeout: AtomicU64,
    deadline: AtomicU64,
}

/// What a bulkhead holds at one moment. The figures are read one after the other, so that they need
/// not fit each other to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Exchanges in flight.
    pub requests: u32,
    /// Attempts in flight.
    pub connections: u32,
    /// How many wait for either.
    pub pending: u32,
    /// The limit that adapts, where there is one.
    pub adaptive: Option<u32>,
    /// How many were refused by the limit that adapts.
    pub shed: u64,
    /// How many were refused because too many waited.
    pub queue_full: u64,
    /// How many waited as long as they may, in vain.
    pub pending_timeout: u64,
    /// How many had no time left to wait in.
    pub deadline: u64,
}

/// So many places; a semaphore that knows how many are taken.
#[derive(Debug)]
struct Places {
    free: Semaphore,
    all: usize,
}

impl Places {
    /// So many, or as many as can be counted.
    fn new(limit: Option<u32>) -> Self {
        let all = limit.map_or(Semaphore::MAX_PERMITS, |limit| limit as usize);
        Places { free: Semaphore::new(all), all }
    }

    fn taken(&self) -> u32 {
        let taken = self.all.saturating_sub(self.free.available_permits());
        u32::try_from(taken).unwrap_or(u32::MAX)
    }
}

/// One place; it is given back when this is dropped.
#[derive(Debug)]
#[must_use = "the place is given back when the permit is dropped"]
pub struct Permit {
    bulkhead: Arc<Bulkhead>,
    limit: Limit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.bulkhead.places(self.limit).free.add_permits(1);
    }
}

/// One that waits, for as long as this lives: a client that leaves drops it with the future.
struct Pending<'a>(&'a AtomicU32);

impl<'a> Pending<'a> {
    fn join(pending: &'a AtomicU32, most: u32) -> Option<Self> {
        let room = |count: u32| (count < most).then_some(count + 1);
        pending.fetch_update(Relaxed, Relaxed, room).ok().map(|_| Pending(pending))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Bulkhead {
    /// A compartment in which nothing is in flight.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Bulkhead {
            requests: Places::new(limits.requests),
            connections: Places::new(limits.connections),
            adaptive: limits.adaptive.map(|settings| Gradient::new(settings, now)),
            pending: AtomicU32::new(0),
            refused: Refused::default(),
            limits,
        }
    }

    /// Takes the place of an exchange, and waits for one if it must: in the order of those who
    /// wait, and no longer than `pending_timeout` and what is left of the exchange's time.
    ///
    /// The limit that adapts comes first and is not waited for. It counts those who have a place;
    /// threads that enter at the same moment may exceed it, by one for each but the first. The
    /// other limits are never exceeded.
    ///
    /// The permit of an exchange has to outlive those of its attempts, which come second, so that
    /// no two exchanges wait for each other.
    ///
    /// # Errors
    /// Says why there is no place.
    ///
    /// # Cancel safety
    /// A future that is dropped leaves nothing behind: neither a place nor one who waits.
    pub async fn enter(
        self: &Arc<Self>,
        priority: Priority,
        left: Option<Duration>,
    ) -> Result<Permit, Full> {
        if let Some(adaptive) = &self.adaptive
            && !adaptive.admit(priority, self.requests.taken())
        {
            return Err(self.refuse(Full::Shed));
        }
        self.take(Limit::Requests, left).await
    }

    /// Takes the place of an attempt, by the same rules.
    ///
    /// # Errors
    /// Says why there is no place.
    ///
    /// # Cancel safety
    /// As that of [`Bulkhead::enter`].
    pub async fn connect(self: &Arc<Self>, left: Option<Duration>) -> Result<Permit, Full> {
        self.take(Limit::Connections, left).await
    }

    /// Takes the place of an attempt that nobody needs, if there is one: it waits for none, and one
    /// that there is not is no refusal.
    pub fn try_connect(self: &Arc<Self>) -> Option<Permit> {
        let limit = Limit::Connections;
        self.places(limit).free.try_acquire().ok()?.forget();
        Some(Permit { bulkhead: Arc::clone(self), limit })
    }

    /// Tells the limit that adapts, if there is one, how long an exchange that is over took the
    /// service, while its permit is still held. See [`Gradient::sample`] for `dropped`.
    pub fn sample(&self, now: Instant, took: Duration, dropped: bool) {
        if let Some(adaptive) = &self.adaptive {
            adaptive.sample(now, took, self.requests.taken(), dropped);
        }
    }

    /// What it holds, for metrics.
    pub fn figures(&self) -> Figures {
        Figures {
            requests: self.requests.taken(),
            connections: self.connections.taken(),
            pending: self.pending.load(Relaxed),
            adaptive: self.adaptive.as_ref().map(Gradient::limit),
            shed: self.refused.shed.load(Relaxed),
            queue_full: self.refused.queue.load(Relaxed),
            pending_timeout: self.refused.timeout.load(Relaxed),
            deadline: self.refused.deadline.load(Relaxed),
        }
    }

    /// What it was made with, so that a reload can tell whether it stays.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    async fn take(self: &Arc<Self>, limit: Limit, left: Option<Duration>) -> Result<Permit, Full> {
        let places = self.places(limit);
        // The semaphore's own permit would borrow from it; ours has to live in an exchange.
        match places.free.try_acquire() {
            Ok(place) => place.forget(),
            Err(_) => self.wait(limit, left).await.map_err(|full| self.refuse(full))?,
        }
        Ok(Permit { bulkhead: Arc::clone(self), limit })
    }

    /// Waits for a place. Nothing is awaited between getting one and the permit that owns it, so
    /// that it cannot be lost.
    async fn wait(&self, limit: Limit, left: Option<Duration>) -> Result<(), Full> {
        let most = self.limits.pending_timeout;
        let (time, too_late) = match left {
            Some(left) if left < most => (left, Full::Deadline(limit)),
            _ => (most, Full::Timeout(limit)),
        };
        if time.is_zero() {
            return Err(too_late);
        }
        let _pending =
            Pending::join(&self.pending, self.limits.pending).ok_or(Full::Queue(limit))?;
        match tokio::time::timeout(time, self.places(limit).free.acquire()).await {
            Ok(place) => {
                place.expect("the semaphore is never closed").forget();
                Ok(())
            }
            Err(_) => Err(too_late),
        }
    }

    fn places(&self, limit: Limit) -> &Places {
        match limit {
            Limit::Requests => &self.requests,
            Limit::Connections => &self.connections,
        }
    }

    /// Counts a refusal.
    fn refuse(&self, full: Full) -> Full {
        let count = match full {
            Full::Shed => &self.refused.shed,
            Full::Queue(_) => &self.refused.queue,
            Full::Timeout(_) => &self.refused.timeout,
            Full::Deadline(_) => &self.refused.deadline,
        };
        count.fetch_add(1, Relaxed);
        full
    }
}
