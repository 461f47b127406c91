//! What the samples of a service say about how much it bears; shared by all threads.

use crate::limit::nanos;
use crate::value::{Invalid, Percent};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What a factor goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The lowest factor: the least of the limit that is always let through, over the limit. More
    /// than 0, at most 1.
    pub floor: f64,
    /// The share of failures from which on a window is bad.
    pub failures: Percent,
    /// How much longer than without load a window's mean time may be before it is bad, as a share
    /// of that time: 1 is twice as long.
    pub tolerance: f64,
    /// How long a window is, at least: one with few samples stays open for more.
    pub window: Duration,
}

impl Default for Settings {
    /// A tenth at least; bad from 10 % failures on, or at twice the time; windows of a second.
    fn default() -> Self {
        Settings {
            floor: 0.1,
            failures: Percent::new(10),
            tolerance: 1.0,
            window: Duration::from_secs(1),
        }
    }
}

impl Settings {
    /// Checks what the types leave open.
    pub fn check(&self) -> Result<(), Invalid> {
        if !(self.floor > 0.0 && self.floor <= 1.0) {
            return Err(Invalid::new("the least has to be more than 0 and at most the limit")
                .under("floor"));
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(Invalid::new("a tolerance is a share such as 100%").under("tolerance"));
        }
        if self.failures.millionths() == 0 {
            return Err(Invalid::new("with 0% every window would be bad").under("failures"));
        }
        if self.window < Duration::from_millis(100) {
            return Err(Invalid::new("a window is at least 100ms").under("window"));
        }
        Ok(())
    }
}

/// How many samples it takes to say something; as for the limit of what is in flight
/// (`upstream/adaptive/estimate.rs`).
const FEWEST: u64 = 20;
/// How many windows one with too few samples stays open for, before it is good for want of a
/// complaint: else what is rarely asked for would stay at its floor.
const PATIENCE: u32 = 10;
/// What a window full of failures leaves of the factor.
const DECREASE: f64 = 0.5;
/// What a good window adds to the factor: from a tenth to all takes 18 of them.
const INCREASE: f64 = 0.05;
/// How much a quicker window counts beside the time without load.
const QUICKER: f64 = 0.1;
/// How many windows in a row the factor lies on its floor before the time is measured.
const LOWEST_WINDOWS: u32 = 5;

/// One microsecond in the word of samples, whose lower 24 bits are their number.
const MICROSECOND: u64 = 1 << 24;
/// The longest time that a sample says, about 17 seconds, and the number of samples that closes a
/// window early: together they cannot overflow the word.
const LONGEST: u64 = 1 << 24;
const MOST_SAMPLES: u64 = 1 << 15;

/// The health of one service.
///
/// A sample is one addition and two loads, all relaxed; the one that finds the window over closes
/// it, under a lock that nobody else waits for. A sample that comes while another thread does so
/// counts in the next window: that is what this is off by.
#[derive(Debug)]
pub struct Health {
    settings: Settings,
    began: Instant,
    /// The factor, as the bits of an `f32`.
    factor: AtomicU32,
    is_open: AtomicBool,
    /// The successes of this window in one word, so that their number fits their time.
    taken: AtomicU64,
    failed: AtomicU32,
    /// When this window is over, in nanoseconds since the beginning.
    ends: AtomicU64,
    trend: Mutex<Trend>,
}

/// What is known from one window to the next.
#[derive(Debug)]
struct Trend {
    factor: f64,
    /// The time without load, in microseconds; none before the first window.
    unloaded: Option<f64>,
    /// How many windows the factor has lain on its floor.
    lowest: u32,
}

impl Health {
    /// A service that is well.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Health {
            settings,
            began: now,
            factor: AtomicU32::new(1f32.to_bits()),
            is_open: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            failed: AtomicU32::new(0),
            ends: AtomicU64::new(nanos(settings.window)),
            trend: Mutex::new(Trend { factor: 1.0, unloaded: None, lowest: 0 }),
        }
    }

    /// By what the rate is multiplied now: from the floor to 1.
    pub fn factor(&self) -> f64 {
        match self.is_open.load(Relaxed) {
            true => self.settings.floor,
            false => f32::from_bits(self.factor.load(Relaxed)).into(),
        }
    }

    /// Tells whether a breaker of the service is open. While it is, the factor is its floor; when
    /// it is closed, the factor grows from there.
    pub fn set_open(&self, is_open: bool) {
        if self.is_open.load(Relaxed) == is_open {
            return;
        }
        // This happens as often as a breaker turns, so that waiting for a window to close is fine.
        let mut trend = self.trend.lock().expect("no holder of the lock panics");
        trend.factor = self.settings.floor;
        self.factor.store((trend.factor as f32).to_bits(), Relaxed);
        self.is_open.store(is_open, Relaxed);
    }

    /// Tells how a request went: whether it failed in a way that is the service's fault, and how
    /// long it took, which for one that failed says nothing.
    pub fn observe(&self, now: Instant, failed: bool, took: Duration) {
        let samples = if failed {
            let before = u64::from(self.failed.fetch_add(1, Relaxed));
            before + 1 + self.taken.load(Relaxed) % MICROSECOND
        } else {
            let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST).clamp(1, LONGEST);
            self.taken.fetch_add(micros * MICROSECOND + 1, Relaxed) % MICROSECOND + 1
        };
        let now = nanos(now.saturating_duration_since(self.began));
        if now >= self.ends.load(Relaxed) || samples >= MOST_SAMPLES {
            self.close(now);
        }
    }

    /// Closes the window, unless another thread is at it or just was.
    #[cold]
    fn close(&self, now: u64) {
        let Ok(mut trend) = self.trend.try_lock() else { return };
        let samples = self.taken.load(Relaxed) % MICROSECOND + u64::from(self.failed.load(Relaxed));
        let ends = self.ends.load(Relaxed);
        if now < ends && samples < MOST_SAMPLES {
            return;
        }
        let window = nanos(self.settings.window);
        let patient = window.saturating_mul(PATIENCE.into());
        if samples < FEWEST && now < ends.saturating_add(patient) {
            return;
        }
        let taken = self.taken.swap(0, Relaxed);
        let failed = self.failed.swap(0, Relaxed);
        trend.close(&self.settings, taken % MICROSECOND, taken / MICROSECOND, failed.into());
        self.factor.store((trend.factor as f32).to_bits(), Relaxed);
        self.ends.store(now.saturating_add(window), Relaxed);
    }
}

impl Trend {
    fn close(&mut self, settings: &Settings, samples: u64, micros: u64, failed: u64) {
        let says_something = samples + failed >= FEWEST;
        let mean = (samples > 0 && says_something).then(|| micros as f64 / samples as f64);
        let by_time = mean.map_or(1.0, |mean| self.gradient(settings, mean));
        let fails = says_something && settings.failures.is_reached(failed, samples + failed);
        let share = failed as f64 / (samples + failed).max(1) as f64;
        let by_failures = if fails { 1.0 - (1.0 - DECREASE) * share } else { 1.0 };
        let gradient = by_time.min(by_failures);
        let next = match gradient < 1.0 {
            true => self.factor * gradient,
            false => self.factor + INCREASE,
        };
        self.factor = next.clamp(settings.floor, 1.0);
        let is_lowest = by_time < 1.0 && self.factor <= settings.floor;
        self.lowest = if is_lowest { self.lowest + 1 } else { 0 };
        if self.lowest >= LOWEST_WINDOWS {
            self.unloaded = mean;
            self.lowest = 0;
        }
    }

    /// The time without load, and what is tolerated beyond it, over the mean time; 1 at most, and
    /// half at least.
    fn gradient(&mut self, settings: &Settings, mean: f64) -> f64 {
        let unloaded = self.unloaded.get_or_insert(mean);
        if mean < *unloaded {
            *unloaded += (mean - *unloaded) * QUICKER;
        }
        (*unloaded * (1.0 + settings.tolerance) / mean).clamp(0.5, 1.0)
    }
}
