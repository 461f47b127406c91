//! Where the windows of a clock begin: spans are counted from the Unix epoch, so that all gateways
//! begin one at the same moment without asking each other, and months are those of the calendar in
//! UTC.

use super::{Time, nanos};
use crate::value::{Period, civil};
use std::time::Duration;

/// The windows that a clock goes through, one after another and without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// All as long: so many nanoseconds, never zero.
    Span(u64),
    /// Months.
    Month,
}

/// One day in nanoseconds.
const DAY: u64 = 86_400_000_000_000;

impl Windows {
    /// The windows of a period.
    pub fn new(period: Period) -> Self {
        match period {
            Period::Span(span) => Windows::Span(nanos(span).max(1)),
            Period::Month => Windows::Month,
        }
    }

    /// Which window a moment is in, as a number that grows by one from each to the next.
    pub fn index(self, now: Time) -> u64 {
        match self {
            Windows::Span(span) => now.0 / span,
            Windows::Month => {
                let (year, month, _) = civil::date(now.0 / DAY);
                (year - 1970) * 12 + month - 1
            }
        }
    }

    /// The first moment of a window: the first moment of the next is the end of this one, and no
    /// longer in it. The last moment there is for those that begin after it, in 2554.
    pub fn start(self, index: u64) -> Time {
        match self {
            Windows::Span(span) => Time(index.saturating_mul(span)),
            // Years that are not in a `Time` are not worth an overflow in the calendar.
            Windows::Month if index >= 600 * 12 => Time(u64::MAX),
            Windows::Month => {
                Time(civil::days(1970 + index / 12, index % 12 + 1, 1).saturating_mul(DAY))
            }
        }
    }

    /// How long it is until so many windows more have begun.
    pub(super) fn until(self, index: u64, more: u64, now: Time) -> Duration {
        self.start(index.saturating_add(more)).since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(text: &str) -> Time {
        Time::of(text.parse::<crate::value::Moment>().unwrap().time())
    }

    #[test]
    fn a_month_begins_at_midnight_of_its_first_day() {
        for (inside, start, end) in [
            ("1970-01-01", "1970-01-01", "1970-02-01"),
            ("2024-02-29T23:59:59Z", "2024-02-01", "2024-03-01"),
            ("2025-12-31T23:59:59Z", "2025-12-01", "2026-01-01"),
            ("2026-01-01", "2026-01-01", "2026-02-01"),
            ("2100-02-28T12:00:00Z", "2100-02-01", "2100-03-01"),
        ] {
            let index = Windows::Month.index(moment(inside));
            assert_eq!(Windows::Month.start(index), moment(start), "{inside}");
            assert_eq!(Windows::Month.start(index + 1), moment(end), "{inside}");
        }
    }

    #[test]
    fn windows_that_begin_after_all_time_begin_at_its_end() {
        assert_eq!(Windows::Month.start(u64::MAX), Time(u64::MAX));
        assert_eq!(Windows::Month.start(599 * 12), Time(u64::MAX));
        assert_eq!(Windows::Span(DAY).start(u64::MAX), Time(u64::MAX));
    }

    proptest! {
        #[test]
        fn every_moment_is_in_exactly_one_window(now: u64, span in 1_000_000..u64::MAX / 4) {
            for windows in [Windows::Month, Windows::Span(span)] {
                let index = windows.index(Time(now));
                let (start, end) = (windows.start(index), windows.start(index + 1));
                prop_assert!(start <= Time(now));
                prop_assert!(Time(now) < end || end == Time(u64::MAX));
                prop_assert_eq!(windows.index(start), index);
                if start.0 > 0 {
                    prop_assert_eq!(windows.index(Time(start.0 - 1)), index - 1);
                }
            }
        }
    }
}
