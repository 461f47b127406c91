//! What is known of a store: for the admin listener, metrics, and the log.

use super::failure::{Cause, StoreError};
use crate::lock::lock;
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many calls have to fail in a row for a store to be down.
const FAILURES: u32 = 5;

/// The upper bounds of the classes that round trips are counted in, in microseconds; what takes
/// longer is in a last one.
pub const BOUNDS: [u64; 9] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000];

/// How a store is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Its name.
    pub store: Box<str>,
    /// Whether it is asked.
    pub up: bool,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// What was last wrong with it; none if nothing ever was.
    pub error: Option<Box<str>>,
    /// How many calls there were, those that failed among them.
    pub calls: u64,
    /// How many of them failed, by cause.
    pub errors: Vec<(Cause, u64)>,
    /// How many it is doing now.
    pub in_flight: usize,
    /// How many calls were answered, by how long that took: one more class than there are
    /// [`BOUNDS`], each without those before it.
    pub answered: Vec<u64>,
    /// How long those took together, in seconds.
    pub answered_seconds: f64,
}

/// What is counted of a store. Threads share it: beside a call's way over the network, what an
/// atomic costs is nothing.
#[derive(Debug)]
pub struct Figures {
    is_up: AtomicBool,
    /// Calls in a row that failed of trouble.
    failures: AtomicU32,
    calls: AtomicU64,
    errors: [AtomicU64; Cause::ALL.len()],
    in_flight: AtomicUsize,
    answered: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    since: SystemTime,
    error: Option<Box<str>>,
    /// Whether it was ever told of.
    told: bool,
}

impl Figures {
    /// Those of a store that was not asked yet: it is down.
    pub fn new(now: SystemTime) -> Self {
        Figures {
            is_up: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            calls: AtomicU64::new(0),
            errors: Default::default(),
            in_flight: AtomicUsize::new(0),
            answered: Default::default(),
            micros: AtomicU64::new(0),
            last: Mutex::new(Last { since: now, error: None, told: false }),
        }
    }

    /// Whether it is asked.
    pub fn is_up(&self) -> bool {
        self.is_up.load(Relaxed)
    }

    /// Takes a place among the calls in flight; none where there are so many.
    pub fn begin(&self, most: usize) -> Option<Place<'_>> {
        let place = Place(self);
        (self.in_flight.fetch_add(1, Relaxed) < most).then_some(place)
    }

    /// Counts what became of a call; whether it is the last in a row that is enough.
    pub fn count<T>(&self, outcome: &Result<T, StoreError>, took: Duration) -> bool {
        self.calls.fetch_add(1, Relaxed);
        match outcome {
            Ok(_) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                let class = BOUNDS.partition_point(|bound| *bound < micros);
                self.answered[class].fetch_add(1, Relaxed);
                self.micros.fetch_add(micros, Relaxed);
            }
            Err(error) => drop(self.errors[error.cause() as usize].fetch_add(1, Relaxed)),
        }
        match outcome {
            Err(error) if error.is_trouble() => {
                self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES && self.is_up()
            }
            Err(StoreError::Down | StoreError::Full) => false,
            _ => {
                self.failures.store(0, Relaxed);
                false
            }
        }
    }

    /// The store is asked from now on.
    pub fn up(&self, store: &str, now: SystemTime) {
        self.failures.store(0, Relaxed);
        if !self.is_up.swap(true, Relaxed) {
            let mut last = lock(&self.last);
            (last.since, last.told) = (now, true);
            drop(last);
            tracing::info!(store, "a store is up");
        }
    }

    /// The store is not asked until it is up again.
    pub fn down(&self, store: &str, error: &str, now: SystemTime) {
        let was_up = self.is_up.swap(false, Relaxed);
        let mut last = lock(&self.last);
        if was_up {
            last.since = now;
        }
        let is_news = was_up || !last.told;
        last.told = true;
        last.error = Some(error.into());
        drop(last);
        if is_news {
            tracing::warn!(store, error, "a store is down");
        }
    }

    /// What there is to tell of the store of a name.
    pub fn report(&self, store: &str) -> Report {
        let last = lock(&self.last);
        let since = last.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let errors = Cause::ALL.map(|cause| (cause, self.errors[cause as usize].load(Relaxed)));
        Report {
            store: store.into(),
            up: self.is_up(),
            since,
            error: last.error.clone(),
            calls: self.calls.load(Relaxed),
            errors: errors.to_vec(),
            in_flight: self.in_flight.load(Relaxed),
            answered: self.answered.iter().map(|class| class.load(Relaxed)).collect(),
            answered_seconds: Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64(),
        }
    }
}

/// A place among the calls in flight, until it is dropped.
#[derive(Debug)]
pub struct Place<'a>(&'a Figures);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let figures = Figures::new(UNIX_EPOCH);
        figures.up("shared", UNIX_EPOCH + Duration::from_secs(7));
        figures
    }

    fn fail(figures: &Figures, error: StoreError) -> bool {
        figures.count(&Err::<(), _>(error), Duration::ZERO)
    }

    #[test]
    fn only_failures_in_a_row_are_enough() {
        let figures = figures();
        for _ in 0..3 {
            assert!((1..FAILURES).all(|_| !fail(&figures, StoreError::Timeout)));
            figures.count(&Ok(()), Duration::ZERO);
        }
        assert!((1..FAILURES).all(|_| !fail(&figures, StoreError::Timeout)));
        assert!(fail(&figures, StoreError::Connection("reset".into())));
    }

    #[test]
    fn a_store_that_refuses_is_not_down() {
        let figures = figures();
        assert!((0..2 * FAILURES).all(|_| !fail(&figures, StoreError::Refused("OOM".into()))));
        let report = figures.report("shared");
        assert!(report.up);
        assert!(report.errors.contains(&(Cause::Refused, u64::from(2 * FAILURES))));
    }

    #[test]
    fn a_change_has_its_time_and_repetitions_have_not() {
        let figures = figures();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        figures.down("shared", "refused", at(9));
        figures.down("shared", "timed out", at(11));
        let report = figures.report("shared");
        assert_eq!(
            (report.up, report.since, report.error.as_deref()),
            (false, 9, Some("timed out"))
        );
    }

    #[test]
    fn a_place_is_free_again_when_its_call_is_over() {
        let figures = figures();
        let first = figures.begin(1).unwrap();
        assert!(figures.begin(1).is_none());
        drop(first);
        assert!(figures.begin(1).is_some());
        assert_eq!(figures.report("shared").in_flight, 0);
    }

    #[test]
    fn round_trips_are_counted_by_how_long_they_took() {
        let figures = figures();
        for micros in [100, 101, 300_000] {
            figures.count(&Ok(()), Duration::from_micros(micros));
        }
        let report = figures.report("shared");
        assert_eq!((report.answered[0], report.answered[1], report.answered[9]), (1, 1, 1));
        assert_eq!(report.calls, 3);
    }
}
