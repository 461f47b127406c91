//! Dates of tokens: JSON numbers, whole or not, in seconds since 1970 (RFC 7519 §2, NumericDate).

use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A date in nanoseconds since 1970. Whole seconds are exact, whatever their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(i128);

const SECOND: i128 = 1_000_000_000;

/// Far enough for what counts as never, and near enough that nothing overflows: some 30 million
/// million years.
const FAR: i128 = SECOND * 1_000_000_000_000_000_000_000;

/// The last moment that this program speaks of: the end of the year 9999.
const LAST: u64 = 253_402_300_799;

impl Date {
    /// Reads a number; none if it is anything else. A number in quotes is text.
    pub fn read(value: &Value) -> Option<Self> {
        let Value::Number(number) = value else { return None };
        let nanos = if let Some(seconds) = number.as_u64() {
            i128::from(seconds) * SECOND
        } else if let Some(seconds) = number.as_i64() {
            i128::from(seconds) * SECOND
        } else {
            let seconds = number.as_f64().filter(|seconds| seconds.is_finite())?;
            // The conversions saturate, and the parts of a second are added apart: a double has no
            // room for seconds of this century and nanoseconds as well.
            let whole = (seconds.trunc() as i128).saturating_mul(SECOND);
            whole.saturating_add((seconds.fract() * SECOND as f64).round() as i128)
        };
        Some(Date(nanos.clamp(-FAR, FAR)))
    }

    /// The date of a moment.
    pub fn of(moment: SystemTime) -> Self {
        let nanos = |span: Duration| i128::try_from(span.as_nanos()).unwrap_or(FAR).min(FAR);
        Date(match moment.duration_since(UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        })
    }

    /// A date so much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Date(self.0.saturating_add(i128::try_from(span.as_nanos()).unwrap_or(FAR)))
    }

    /// The moment, or the nearest that can be spoken of: not before 1970, not after 9999.
    pub fn moment(self) -> SystemTime {
        let nanos = self.0.clamp(0, i128::from(LAST) * SECOND);
        let seconds = u64::try_from(nanos / SECOND).unwrap_or(LAST);
        let rest = u32::try_from(nanos % SECOND).unwrap_or(0);
        UNIX_EPOCH + Duration::new(seconds, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<Date> {
        Date::read(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_date_is_a_number() {
        assert_eq!(read("1"), Some(Date(SECOND)));
        assert_eq!(read("1.5"), Some(Date(SECOND * 3 / 2)));
        assert_eq!(read("-1.5"), Some(Date(-SECOND * 3 / 2)));
        assert_eq!(read("17e8"), Some(Date(1_700_000_000 * SECOND)));
        assert_eq!(read("-0"), Some(Date(0)));
        assert_eq!(read("18446744073709551615"), Some(Date(i128::from(u64::MAX) * SECOND)));
        assert_eq!(read("9007199254740993"), Some(Date(9_007_199_254_740_993 * SECOND)));
        for far in ["1e300", "1.7976931348623157e308", "99999999999999999999999999999"] {
            assert_eq!(read(far), Some(Date(FAR)), "{far}");
        }
        assert_eq!(read("-1e300"), Some(Date(-FAR)));
        for other in ["\"1\"", "null", "true", "[1]", "{}", "\"\""] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_moment_is_one_that_can_be_spoken_of() {
        assert_eq!(read("1.5").unwrap().moment(), UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(read("-7").unwrap().moment(), UNIX_EPOCH);
        assert_eq!(read("1e300").unwrap().moment(), UNIX_EPOCH + Duration::from_secs(LAST));
    }

    proptest! {
        #[test]
        fn any_number_is_a_date(number: f64, span: u64) {
            if let Some(date) = Date::read(&Value::from(number)) {
                let _ = date.after(Duration::from_secs(span)).moment();
            }
        }

        #[test]
        fn a_moment_has_its_date(seconds in 0..LAST, nanos in 0..1_000_000_000u32) {
            let moment = UNIX_EPOCH + Duration::new(seconds, nanos);
            prop_assert_eq!(Date::of(moment).moment(), moment);
        }
    }
}
