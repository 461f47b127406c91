//! The limit, from one window of samples to the next; for one thread.
//!
//! `limit ← gradient × limit + √limit`, smoothed, where the gradient is the time without load, and
//! what is tolerated beyond it, over the mean time of the window. From Netflix's Gradient2 come the
//! mean of a window instead of its minimum, which one lucky sample would set, the smoothing, and
//! that a limit of which not half is used does not grow. From Envoy comes the time without load
//! that is measured: Gradient2's long-term mean follows a lasting overload upwards until it takes
//! the queue for the way things are.
//!
//! Envoy measures at the lowest limit. Halving is enough, as BBR's probes show ("BBR: Congestion-
//! Based Congestion Control", 2016, and its second version): the limit in force is about what keeps
//! the server busy, so that half of it leaves no queue, and the server half its work. Where the
//! server has become so slow that this is not so, the limit falls to its lowest by the gradient,
//! and lying there for a few windows is a reason to measure too.

use super::Settings;
use std::time::Duration;

/// What the samples of one window come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// When it was closed, since the beginning.
    pub at: Duration,
    /// How many were over and took their time.
    pub samples: u64,
    /// How long these took together, in microseconds.
    pub micros: u64,
    /// How many failed in a way that means overload.
    pub dropped: u64,
    /// The most that was in flight.
    pub peak: u32,
}

impl Window {
    /// How many samples it takes to say something: the mean of 20 times that vary like an
    /// exponential is off by less than the default tolerance in most windows.
    pub const FEWEST: u64 = 20;

    /// The shortest that a window is. A longer one would only react later.
    const SHORTEST: Duration = Duration::from_millis(100);
    /// The longest, for what takes long.
    const LONGEST: Duration = Duration::from_secs(10);
}

/// How much a new value counts beside the old limit.
const SMOOTHING: f64 = 0.2;
/// How much a quicker window counts beside the time without load. Windows vary, and following each
/// that is quick by chance would make the time too short to keep to.
const QUICKER: f64 = 0.1;
/// How many windows in a row the limit lies at its lowest before the time is measured.
const LOWEST_WINDOWS: u32 = 5;

/// The limit and what it is made of.
#[derive(Debug)]
pub(super) struct Estimate {
    settings: Settings,
    /// The limit, with the fractions that it grows by.
    limit: f64,
    /// The time without load, in microseconds; none before the first window.
    unloaded: Option<f64>,
    /// When that was measured last.
    measured: Duration,
    /// How many windows the limit has lain at its lowest.
    lowest: u32,
    phase: Phase,
    /// How long the next window is.
    window: Duration,
}

/// What a window is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The limit follows the gradient.
    Follow,
    /// Half the limit holds, and what waited is worked off.
    Drain,
    /// Half the limit holds, and nothing waits.
    Measure,
}

impl Estimate {
    pub fn new(settings: Settings) -> Self {
        Estimate {
            settings,
            limit: settings.initial.into(),
            unloaded: None,
            measured: Duration::ZERO,
            lowest: 0,
            phase: Phase::Follow,
            window: Window::SHORTEST,
        }
    }

    /// The limit that holds until the next window is closed.
    pub fn limit(&self) -> u32 {
        let limit = match self.phase {
            Phase::Follow => self.limit,
            Phase::Drain | Phase::Measure => self.limit / 2.0,
        };
        (limit as u32).max(self.settings.min)
    }

    /// How long the next window is.
    pub fn window(&self) -> Duration {
        self.window
    }

    /// Takes a window in.
    pub fn close(&mut self, window: &Window) {
        let mean = (window.samples > 0).then(|| window.micros as f64 / window.samples as f64);
        if let Some(mean) = mean {
            // Twice as long as what is measured, as most of what ends in it also began in it then.
            let twice = Duration::from_micros((2.0 * mean) as u64);
            self.window = twice.clamp(Window::SHORTEST, Window::LONGEST);
        }
        match self.phase {
            Phase::Follow => self.follow(window, mean),
            // What ends here began before, with the queue as it was.
            Phase::Drain => self.phase = Phase::Measure,
            Phase::Measure => {
                if mean.is_some() {
                    self.unloaded = mean;
                }
                self.measured = window.at;
                self.lowest = 0;
                self.phase = Phase::Follow;
            }
        }
    }

    fn follow(&mut self, window: &Window, mean: Option<f64>) {
        if let Some(mean) = mean {
            match &mut self.unloaded {
                Some(unloaded) if mean < *unloaded => *unloaded += (mean - *unloaded) * QUICKER,
                Some(_) => {}
                None => self.unloaded = Some(mean),
            }
        }
        let gradient = self.gradient(window, mean);
        let grown = gradient * self.limit + self.limit.sqrt();
        let next = self.limit + (grown - self.limit) * SMOOTHING;
        let is_used = f64::from(window.peak) * 2.0 >= self.limit;
        if next < self.limit || is_used {
            self.limit = next.clamp(self.settings.min.into(), self.settings.max.into());
        }
        let is_lowest = self.limit <= f64::from(self.settings.min);
        self.lowest = if is_lowest { self.lowest + 1 } else { 0 };
        if window.at.saturating_sub(self.measured) >= self.settings.measure_every
            || (self.lowest >= LOWEST_WINDOWS && gradient < 1.0)
        {
            self.phase = Phase::Drain;
        }
    }

    /// By what the limit is multiplied: at most doubled, and at most halved, as one window may be
    /// an accident (Envoy's bounds).
    fn gradient(&self, window: &Window, mean: Option<f64>) -> f64 {
        let by_time = match (self.unloaded, mean) {
            (Some(unloaded), Some(mean)) => unloaded * (1.0 + self.settings.tolerance) / mean,
            _ => 1.0,
        };
        let total = (window.samples + window.dropped).max(1);
        let by_failures = match window.dropped {
            0 => f64::INFINITY,
            dropped => 1.0 - dropped as f64 / total as f64,
        };
        by_time.min(by_failures).clamp(0.5, 2.0)
    }
}
