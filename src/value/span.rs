//! Two times, the shorter one first: `25ms..250ms`.

use super::schema::word_schema;
use super::{Duration, Invalid, deserialize_text};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// From one time to another that is no shorter, written `25ms..250ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The shorter time.
    pub from: Duration,
    /// The longer time.
    pub to: Duration,
}

impl FromStr for Span {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let Some((from, to)) = text.split_once("..") else {
            let message = format!("`{text}` is no span of times, write it as `25ms..250ms`");
            return Err(Invalid::new(message));
        };
        let (from, to) = (from.trim().parse::<Duration>()?, to.trim().parse::<Duration>()?);
        if to < from {
            let message = format!("`{text}` ends before it begins, write {to}..{from}");
            return Err(Invalid::new(message));
        }
        Ok(Span { from, to })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "two times such as `25ms..250ms`")
    }
}

word_schema!(
    Span,
    "Span",
    "Two times, the shorter one first.",
    {"type": "string", "examples": ["25ms..250ms"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_two_times_in_their_order() {
        let span: Span = "25ms..1s".parse().unwrap();
        assert_eq!((span.from.as_millis(), span.to.as_millis()), (25, 1000));
        assert_eq!(span.to_string(), "25ms..1s");
        let backwards = "1s..25ms".parse::<Span>().unwrap_err().to_string();
        assert!(backwards.contains("write 25ms..1s"), "{backwards}");
        assert!("25ms".parse::<Span>().unwrap_err().to_string().contains("25ms..250ms"));
        assert!("25..250ms".parse::<Span>().unwrap_err().to_string().contains("unit"));
    }
}
