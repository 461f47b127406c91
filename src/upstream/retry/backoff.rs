//! How long to wait before a retry: exponential backoff with full jitter, which of the schemes
//! compared in "Exponential Backoff and Jitter" (M. Brooker, AWS Architecture Blog, 2015) asks the
//! least of a service that many clients come back to.

use std::time::Duration;

/// The waits before retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the first retry; it doubles with each further one.
    pub base: Duration,
    /// The longest wait before any retry.
    pub max: Duration,
}

impl Backoff {
    /// The wait before a retry, which count from one: uniform between nothing and the longest wait
    /// for that retry.
    pub fn wait(&self, retry: u32, random: u64) -> Duration {
        let doubled = 1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.base.saturating_mul(doubled).min(self.max);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        // The high half of the product is uniform over `0..=nanos`, as far as `random` is (Lemire,
        // "Fast Random Integer Generation in an Interval", 2019).
        let share = (u128::from(random) * (u128::from(nanos) + 1)) >> 64;
        Duration::from_nanos(share as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { base: Duration::from_millis(25), max: Duration::from_millis(250) };

    #[test]
    fn the_longest_wait_doubles_up_to_the_maximum() {
        let longest = |retry| BACKOFF.wait(retry, u64::MAX).as_millis();
        assert_eq!([1, 2, 3, 4, 5].map(longest), [25, 50, 100, 200, 250]);
        assert_eq!(longest(u32::MAX), 250);
    }

    #[test]
    fn a_wait_is_anything_between_nothing_and_the_longest() {
        assert_eq!(BACKOFF.wait(1, 0), Duration::ZERO);
        let mut random = fastrand::Rng::with_seed(7);
        let mean: f64 = (0..10_000).map(|_| BACKOFF.wait(2, random.u64(..)).as_secs_f64()).sum();
        assert!((0.024..0.026).contains(&(mean / 10_000.0)), "{mean}");
    }

    #[test]
    fn without_a_base_there_is_no_wait() {
        let none = Backoff { base: Duration::ZERO, max: Duration::ZERO };
        assert_eq!(none.wait(3, u64::MAX), Duration::ZERO);
    }
}
