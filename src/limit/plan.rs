//! What a limit asks for, and whether its algorithm can do that.

use crate::value::{Invalid, Period, Rate};
use std::num::NonZeroU32;
use std::time::Duration;

/// One limit, as far as an algorithm goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The algorithm.
    pub kind: Kind,
    /// How many units in which time.
    pub rate: Rate,
    /// How many may come at once, where the algorithm lets any: the size of the bucket. The units
    /// of the rate for algorithms that count by windows, which have no bucket.
    pub burst: NonZeroU32,
}

/// The algorithms that count units, by the names that they are known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `fixed_window`: so many in each window of the clock.
    FixedWindow,
    /// `sliding_window_log`: so many in any window, exactly.
    SlidingWindowLog,
    /// `sliding_window_counter`: so many in any window, by an estimate from two fixed ones.
    SlidingWindowCounter,
    /// `token_bucket`: what is not asked for is saved up, as far as the bucket holds it.
    TokenBucket,
    /// `leaky_bucket`: what comes at once leaves one by one.
    LeakyBucket,
}

impl Kind {
    /// Whether it lets units come at once, as far as a bucket holds them.
    pub fn has_bucket(self) -> bool {
        matches!(self, Kind::TokenBucket | Kind::LeakyBucket)
    }

    /// The word that configurations and stores know it by.
    pub fn word(self) -> &'static str {
        match self {
            Kind::FixedWindow => "fixed_window",
            Kind::SlidingWindowLog => "sliding_window_log",
            Kind::SlidingWindowCounter => "sliding_window_counter",
            Kind::TokenBucket => "token_bucket",
            Kind::LeakyBucket => "leaky_bucket",
        }
    }
}

/// The longest period. A bucket that takes longer to fill than a gateway lives is a mistake, and
/// nanoseconds have to hold two of them after any moment.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

impl Plan {
    /// Checks what the types leave open: that only fixed windows are months, which are not all as
    /// long, that no period is longer than a century, and that an algorithm without a bucket is
    /// given no size of one.
    pub fn check(&self) -> Result<(), Invalid> {
        match self.rate.per {
            Period::Month if self.kind != Kind::FixedWindow => {
                return Err(Invalid::new(
                    "months are not all as long, so that only `fixed_window` counts by them: \
                     write a time such as `30d`, or use `fixed_window`",
                )
                .under("limit"));
            }
            Period::Span(span) if span > LONGEST => {
                return Err(Invalid::new("a period is at most 100 years").under("limit"));
            }
            Period::Span(_) | Period::Month => {}
        }
        if !self.kind.has_bucket() && self.burst != self.rate.units {
            return Err(Invalid::new(
                "an algorithm that counts by windows has no burst: leave it out, or use \
                 `token_bucket` or `leaky_bucket`",
            )
            .under("burst"));
        }
        Ok(())
    }

    /// How many units there ever are at once: of the window, or of the bucket.
    pub fn limit(&self) -> u32 {
        if self.kind.has_bucket() { self.burst.get() } else { self.rate.units.get() }
    }

    /// The period in nanoseconds; a month as 31 days, which [`Plan::check`] lets nothing ask for
    /// that cannot count by months.
    pub(super) fn period(&self) -> u64 {
        match self.rate.per {
            Period::Span(span) => super::nanos(span).max(1),
            Period::Month => 31 * 86_400_000_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(kind: Kind, rate: &str, burst: u32) -> Result<(), String> {
        let burst = NonZeroU32::new(burst).unwrap();
        let plan = Plan { kind, rate: rate.parse().unwrap(), burst };
        plan.check().map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn only_a_fixed_window_counts_by_months() {
        assert_eq!(checked(Kind::FixedWindow, "10/month", 10), Ok(()));
        for kind in [
            Kind::SlidingWindowLog,
            Kind::SlidingWindowCounter,
            Kind::TokenBucket,
            Kind::LeakyBucket,
        ] {
            let told = checked(kind, "10/month", 10).unwrap_err();
            assert!(told.starts_with("limit: ") && told.contains("`30d`"), "{told}");
        }
    }

    #[test]
    fn a_burst_is_for_buckets() {
        assert_eq!(checked(Kind::TokenBucket, "10/s", 50), Ok(()));
        assert_eq!(checked(Kind::LeakyBucket, "10/s", 1), Ok(()));
        for kind in [Kind::FixedWindow, Kind::SlidingWindowLog, Kind::SlidingWindowCounter] {
            let told = checked(kind, "10/s", 50).unwrap_err();
            assert!(told.starts_with("burst: "), "{told}");
            assert_eq!(checked(kind, "10/s", 10), Ok(()));
        }
    }

    #[test]
    fn a_period_ends_within_a_century() {
        let ten = NonZeroU32::new(10).unwrap();
        for (span, passes) in [(LONGEST, true), (LONGEST + Duration::from_nanos(1), false)] {
            let rate = Rate { units: ten, per: Period::Span(span) };
            let plan = Plan { kind: Kind::TokenBucket, rate, burst: ten };
            assert_eq!(plan.check().is_ok(), passes);
        }
    }
}
