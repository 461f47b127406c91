//! Statuses are written as their number, as their class or from one to another.

use super::schema::word_schema;
use super::{Invalid, deserialize_quantity};
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// One status or several in a row, written `200`, `2xx` or `200..299`; both ends count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// The lowest status.
    from: u16,
    /// The highest status.
    to: u16,
}

impl StatusRange {
    /// The class of success (RFC 9110 §15.3), `2xx`.
    pub const SUCCESS: StatusRange = StatusRange { from: 200, to: 299 };

    /// Tells whether a status is one of them.
    pub fn contains(self, status: StatusCode) -> bool {
        (self.from..=self.to).contains(&status.as_u16())
    }
}

impl FromStr for StatusRange {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(class) = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()) {
            if !(1..=5).contains(&class) {
                let message = format!("there is no class `{text}`, they are 1xx to 5xx");
                return Err(Invalid::new(message));
            }
            return Ok(StatusRange { from: class * 100, to: class * 100 + 99 });
        }
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) = (status(from.trim(), text)?, status(to.trim(), text)?);
        if to < from {
            let message = format!("`{text}` ends before it begins, write {to}..{from}");
            return Err(Invalid::new(message));
        }
        Ok(StatusRange { from, to })
    }
}

/// Reads one status of a text, from 100 to 599 (RFC 9110 §15).
fn status(number: &str, text: &str) -> Result<u16, Invalid> {
    match number.parse() {
        Ok(status) if (100..=599).contains(&status) => Ok(status),
        Ok(status) => Err(Invalid::new(format!("`{status}` is no status, they are 100 to 599"))),
        Err(_) => {
            let message = format!("`{text}` is no status, write it as 200, 2xx or 200..299");
            Err(Invalid::new(message))
        }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (from, to) if from == to => write!(f, "{from}"),
            (from, to) if from % 100 == 0 && to == from + 99 => write!(f, "{}xx", from / 100),
            (from, to) => write!(f, "{from}..{to}"),
        }
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a status such as 200, 2xx or 200..299")
    }
}

word_schema!(
    StatusRange,
    "StatusRange",
    "One status, a class of them, or from one to another.",
    {"type": ["integer", "string"], "examples": [200, "2xx", "200..299"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StatusRange, String> {
        text.parse().map_err(|invalid: Invalid| invalid.to_string())
    }

    #[test]
    fn a_number_a_class_and_a_range_are_read() {
        let holds = |text: &str, status: u16| {
            parse(text).unwrap().contains(StatusCode::from_u16(status).unwrap())
        };
        assert!(holds("200", 200) && !holds("200", 201));
        assert!(holds("2xx", 299) && !holds("2xx", 300));
        assert!(holds("200..399", 399) && !holds("200..399", 400));
        assert_eq!(serde_yaml::from_str::<StatusRange>("204").unwrap(), parse("204").unwrap());
        for text in ["200", "2xx", "200..204"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_status_says_how_to_write_one() {
        assert!(parse("ok").unwrap_err().contains("2xx"));
        assert!(parse("600").unwrap_err().contains("100 to 599"));
        assert!(parse("9xx").unwrap_err().contains("1xx to 5xx"));
        assert!(parse("299..200").unwrap_err().contains("write 200..299"));
    }
}
