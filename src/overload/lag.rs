//! How late a thread comes round, and what is shed for it.
//!
//! The rule is CoDel's (RFC 8289 §3.2, §4.2): what counts is the smallest delay of a window, since
//! a burst has a moment without delay and a standing queue has none. What follows from it is not
//! CoDel's, which has one class of packets: a level rises with each window that is too late, and
//! falls slower than it rose.

use crate::upstream::adaptive::Priority;
use std::time::{Duration, Instant};

/// How long a window is: CoDel's interval (RFC 8289 §4.3).
const WINDOW: Duration = Duration::from_millis(100);
/// A whole class, in the level's thousandths.
pub const CLASS: u32 = 1000;
/// The level at which everything is shed.
const TOP: u32 = 3 * CLASS;
/// How much the level rises in a window: the lowest class is gone after a second.
const RISE: u32 = 100;
/// How much it falls in a window, by half as much, so that it does not swing.
const FALL: u32 = 50;

/// The lag of one thread.
#[derive(Debug)]
pub struct Lag {
    target: Duration,
    ends: Instant,
    smallest: Option<Duration>,
    standing: Duration,
    level: u32,
}

impl Lag {
    /// A thread that has been in time so far, and may be so late.
    pub fn new(target: Duration, now: Instant) -> Self {
        Lag { target, ends: now + WINDOW, smallest: None, standing: Duration::ZERO, level: 0 }
    }

    /// Says how late it woke; whether that ended a window.
    pub fn woke(&mut self, now: Instant, late: Duration) -> bool {
        let smallest = self.smallest.map_or(late, |smallest| smallest.min(late));
        self.smallest = Some(smallest);
        if now < self.ends {
            return false;
        }
        self.standing = smallest;
        if smallest >= self.target {
            self.level = (self.level + RISE).min(TOP);
        } else if smallest * 2 < self.target {
            self.level = self.level.saturating_sub(FALL);
        }
        self.smallest = None;
        self.ends = now + WINDOW;
        true
    }

    /// The smallest lag of the last window.
    pub fn standing(&self) -> Duration {
        self.standing
    }

    /// How much is shed, in thousandths of a class, the lowest class first.
    pub fn level(&self) -> u32 {
        self.level
    }
}

/// Whether a request of a class is shed at a level; the chance is below [`CLASS`], and drawn only
/// where the class is shed in part.
pub fn is_shed(level: u32, priority: Priority, chance: impl FnOnce() -> u32) -> bool {
    match level.saturating_sub(priority as u32 * CLASS) {
        0 => false,
        CLASS.. => true,
        part => chance() < part,
    }
}
