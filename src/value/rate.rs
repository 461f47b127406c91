//! How much in which time, as limits are written: `100/15m`, `10/s`, `1000/month`.

use super::schema::word_schema;
use super::{Duration, Invalid, deserialize_quantity};
use serde::de::{Deserialize, Deserializer};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// So many units in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many; at least one.
    pub units: NonZeroU32,
    /// In which time.
    pub per: Period,
}

/// The time that a rate speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// So long; never zero.
    Span(std::time::Duration),
    /// A month of the calendar, in UTC.
    Month,
}

/// Shorter ones would be finer than a request takes.
const SHORTEST: std::time::Duration = std::time::Duration::from_millis(1);

impl FromStr for Rate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let Some((units, per)) = text.split_once('/') else {
            return Err(Invalid::new(format!(
                "`{text}` is no rate: it needs a number and a time, such as `100/15m` or `10/s`"
            )));
        };
        let units = units.parse().map_err(|_| {
            let most = u32::MAX;
            Invalid::new(format!("`{units}` in `{text}` is no number from 1 to {most}"))
        })?;
        Ok(Rate { units, per: per.parse()? })
    }
}

impl FromStr for Period {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "month" {
            return Ok(Period::Month);
        }
        let has_number = text.starts_with(|c: char| c.is_ascii_digit());
        let spelt = if has_number { text.to_owned() } else { format!("1{text}") };
        let span: Duration = spelt.parse().map_err(|_| {
            Invalid::new(format!(
                "`{text}` is no period: write a time such as `s`, `15m`, `h` or `1d`, or `month`"
            ))
        })?;
        match span.get() {
            span if span < SHORTEST => {
                Err(Invalid::new(format!("`{text}` is shorter than a period can be: at least 1ms")))
            }
            span => Ok(Period::Span(span)),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.units, self.per)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Period::Span(span) => Duration::new(*span).fmt(f),
            Period::Month => f.write_str("month"),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a rate such as `100/15m`")
    }
}

word_schema!(
    Rate,
    "Rate",
    "A number in a time: `s`, `m`, `h`, `d`, several of them such as `15m`, or a `month` of the calendar.",
    {"type": "string", "examples": ["100/15m", "10/s", "1000/month"]}
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn read(text: &str) -> (u32, Period) {
        let rate: Rate = text.parse().unwrap();
        (rate.units.get(), rate.per)
    }

    #[test]
    fn a_unit_alone_is_one_of_it() {
        assert_eq!(read("10/s"), (10, Period::Span(Duration::from_secs(1))));
        assert_eq!(read("100/15m"), (100, Period::Span(Duration::from_secs(900))));
        assert_eq!(read("7/1.5h"), (7, Period::Span(Duration::from_secs(5_400))));
        assert_eq!(read("1000/month"), (1000, Period::Month));
    }

    #[test]
    fn what_is_no_rate_is_told_what_one_is() {
        let told = |text: &str| text.parse::<Rate>().unwrap_err().to_string();
        assert!(told("100").contains("such as `100/15m`"));
        assert!(told("0/s").contains("no number from 1"));
        assert!(told("5000000000/s").contains("no number from 1"));
        assert!(told("5/0s").contains("shorter than a period"));
        assert!(told("5/fortnight").contains("or `month`"));
        assert!(told("5/").contains("is no period"));
    }

    #[test]
    fn a_rate_is_written_as_it_was_meant() {
        for (typed, written) in [("10/s", "10/1s"), ("5/15m", "5/15m"), ("9/month", "9/month")] {
            assert_eq!(typed.parse::<Rate>().unwrap().to_string(), written);
        }
    }
}
