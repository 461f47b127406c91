//! Times in the configuration carry their unit, because a bare `5` has been seconds in one
//! program and milliseconds in the next.

use super::schema::word_schema;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::amount::{Amount, Misfit};
use super::{Invalid, deserialize_quantity};

/// A span of time, written `500us`, `500ms`, `1.5s`, `15m`, `1h` or `1d`.
///
/// Zero parses, since it means something in some places: who reads it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(std::time::Duration);

/// The units, largest first, with their nanoseconds.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// A century: long enough for any setting, and short enough that `Instant` plus it cannot
/// overflow.
const LONGEST: u64 = 36_500 * UNITS[0].1;

impl Duration {
    /// Wraps a span that code knows, such as a default.
    pub const fn new(span: std::time::Duration) -> Self {
        Duration(span)
    }

    /// Returns the span as the standard library has it.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (amount, unit) = Amount::split(text, "a duration")?;
        if unit.is_empty() {
            return Err(Invalid::new(format!(
                "a unit is missing after `{text}`: write {text}ms, {text}s or {text}m"
            )));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(Invalid::new(format!(
                "`{text}` has the unknown unit `{unit}`: a duration counts in us, ms, s, m, h or d"
            )));
        };
        let too_long = || Invalid::new(format!("`{text}` is too long: at most 36500d"));
        match amount.times(*scale) {
            Ok(nanos) if nanos <= LONGEST => Ok(Duration(std::time::Duration::from_nanos(nanos))),
            Ok(_) | Err(Misfit::TooLarge) => Err(too_long()),
            Err(Misfit::TooFine) => {
                Err(Invalid::new(format!("`{text}` is finer than a nanosecond")))
            }
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        match UNITS.iter().find(|(_, scale)| nanos.is_multiple_of(u128::from(*scale))) {
            Some((unit, scale)) => write!(f, "{}{unit}", nanos / u128::from(*scale)),
            None => write!(f, "{}.{:03}us", nanos / 1_000, nanos % 1_000),
        }
    }
}

impl Deref for Duration {
    type Target = std::time::Duration;

    fn deref(&self) -> &std::time::Duration {
        &self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a duration such as `500ms`, `5s` or `15m`")
    }
}

word_schema!(
    Duration,
    "Duration",
    "A time with its unit: us, ms, s, m, h or d.",
    {"type": "string", "examples": ["500ms", "5s", "15m"]}
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nanos(text: &str) -> u128 {
        text.parse::<Duration>().unwrap().as_nanos()
    }

    fn refusal(text: &str) -> String {
        text.parse::<Duration>().unwrap_err().to_string()
    }

    #[test]
    fn every_unit_is_read() {
        assert_eq!(nanos("500us"), 500_000);
        assert_eq!(nanos("500ms"), 500_000_000);
        assert_eq!(nanos("5s"), 5_000_000_000);
        assert_eq!(nanos("15m"), 900_000_000_000);
        assert_eq!(nanos("1h"), 3_600_000_000_000);
        assert_eq!(nanos("1d"), 86_400_000_000_000);
        assert_eq!(nanos("1.5s"), 1_500_000_000);
        assert_eq!(nanos("0s"), 0);
    }

    #[test]
    fn bare_number_misses_its_unit() {
        assert!(refusal("5").contains("a unit is missing"));
        let error = serde_yaml::from_str::<Duration>("5").unwrap_err().to_string();
        assert!(error.contains("a unit is missing after `5`: write 5ms, 5s or 5m"), "{error}");
        let error = serde_yaml::from_str::<Duration>("1.5").unwrap_err().to_string();
        assert!(error.contains("a unit is missing"), "{error}");
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        assert!(refusal("5sec").contains("unknown unit `sec`"));
        assert!(refusal("5 s").contains("unknown unit ` s`"));
        assert!(refusal("-5s").contains("is negative"));
        assert!(refusal("36501d").contains("at most 36500d"));
        assert!(refusal("99999999999999999999999999999999d").contains("at most 36500d"));
        assert!(refusal(&format!("{}s", "9".repeat(50))).contains("too many digits"));
        assert!(refusal("0.0001us").contains("finer than a nanosecond"));
    }

    #[test]
    fn wrong_type_hears_what_was_meant() {
        let error = serde_yaml::from_str::<Duration>("[5s]").unwrap_err().to_string();
        assert!(error.contains("expected a duration such as"), "{error}");
    }

    #[test]
    fn display_picks_the_largest_whole_unit() {
        for text in ["1d", "36h", "90s", "1500ms", "0s", "0.500us"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        assert_eq!("1.5s".parse::<Duration>().unwrap().to_string(), "1500ms");
    }

    proptest! {
        #[test]
        fn display_parses_back(nanos in 0..LONGEST) {
            let duration = Duration::new(std::time::Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
        }
    }
}
