//! What was found out a short while ago: a set that forgets, and that cannot grow.

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Stands for one user, password and stored hash without telling any of them.
pub(super) type Mark = [u8; 32];

/// A set of marks, each kept for one time. At the bound the oldest goes.
pub(super) struct Recent {
    lasts: Duration,
    most: usize,
    until: HashMap<Mark, Instant>,
    /// The marks, oldest first: as all are kept for the same time, those are the first to go.
    order: VecDeque<Mark>,
}

impl Recent {
    pub fn new(lasts: Duration, most: usize) -> Self {
        Recent { lasts, most, until: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether a mark was put there and its time is not over.
    pub fn contains(&self, mark: &Mark, now: Instant) -> bool {
        self.until.get(mark).is_some_and(|until| now < *until)
    }

    /// Puts a mark there. One that is there keeps its time, so that asking again and again does
    /// not make it last.
    pub fn insert(&mut self, mark: Mark, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let over = self.until.get(oldest).is_none_or(|until| *until <= now);
            if !over && (self.order.len() < self.most || self.until.contains_key(&mark)) {
                break;
            }
            self.until.remove(oldest);
            self.order.pop_front();
        }
        if self.until.try_insert(mark, now + self.lasts).is_ok() {
            self.order.push_back(mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn mark(number: u8) -> Mark {
        [number; 32]
    }

    #[test]
    fn a_mark_is_forgotten_when_its_time_is_over() {
        let now = Instant::now();
        let mut recent = Recent::new(10 * SECOND, 4);
        recent.insert(mark(1), now);
        assert!(recent.contains(&mark(1), now + 9 * SECOND));
        assert!(!recent.contains(&mark(1), now + 10 * SECOND));
        assert!(!recent.contains(&mark(2), now));
    }

    #[test]
    fn a_mark_does_not_last_longer_for_being_put_there_again() {
        let now = Instant::now();
        let mut recent = Recent::new(10 * SECOND, 4);
        recent.insert(mark(1), now);
        recent.insert(mark(1), now + 5 * SECOND);
        assert!(!recent.contains(&mark(1), now + 10 * SECOND));
        recent.insert(mark(1), now + 10 * SECOND);
        assert!(recent.contains(&mark(1), now + 19 * SECOND));
        assert_eq!((recent.order.len(), recent.until.len()), (1, 1));
    }

    #[test]
    fn the_oldest_goes_at_the_bound() {
        let now = Instant::now();
        let mut recent = Recent::new(10 * SECOND, 2);
        for number in 1..=3 {
            recent.insert(mark(number), now);
        }
        let there = |number| recent.contains(&mark(number), now);
        assert_eq!((there(1), there(2), there(3)), (false, true, true));
        recent.insert(mark(3), now);
        assert!(recent.contains(&mark(2), now), "a mark that is there pushes nobody out");
        assert_eq!((recent.order.len(), recent.until.len()), (2, 2));
    }
}
