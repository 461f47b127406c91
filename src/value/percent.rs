//! Shares are written with their sign, because a bare `0.2` has been a fifth in one program and a
//! fifth of a percent in the next.

use super::amount::{Amount, Misfit};
use super::schema::word_schema;
use super::{Invalid, deserialize_quantity};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// A share of a whole, written `20%` or `0.5%`: from 0 % to 100 %, to a ten-thousandth of a
/// percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Percent(u32);

/// One percent, in the millionths of the whole that are counted.
const ONE: u64 = 10_000;

impl Percent {
    /// The whole, in millionths.
    pub const WHOLE: u32 = 1_000_000;

    /// So many percent, of which code knows that it is at most 100.
    pub const fn new(percent: u32) -> Self {
        assert!(percent <= 100, "a share is at most the whole");
        Percent(percent * ONE as u32)
    }

    /// The share in millionths of the whole.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// So much of a number, rounded down.
    pub fn of(self, number: u64) -> u64 {
        let part = u128::from(number) * u128::from(self.0) / u128::from(Self::WHOLE);
        u64::try_from(part).expect("a share of a number is no larger than the number")
    }

    /// Whether a part is at least this share of a whole; of nothing, any part is.
    pub fn is_reached(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(Self::WHOLE) >= u128::from(whole) * u128::from(self.0)
    }

    /// The share as a number from 0 to 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }
}

impl FromStr for Percent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (amount, unit) = Amount::split(text, "a share")?;
        match unit {
            "%" => {}
            "" => {
                let message = format!("the sign is missing after `{text}`: write {text}%");
                return Err(Invalid::new(message));
            }
            _ => return Err(Invalid::new(format!("`{text}` is no share, write it as `20%`"))),
        }
        let too_large = || Invalid::new(format!("`{text}` is more than the whole, 100%"));
        match amount.times(ONE) {
            Ok(millionths) => match u32::try_from(millionths) {
                Ok(millionths) if millionths <= Self::WHOLE => Ok(Percent(millionths)),
                _ => Err(too_large()),
            },
            Err(Misfit::TooLarge) => Err(too_large()),
            Err(Misfit::TooFine) => Err(Invalid::new(format!("`{text}` is finer than 0.0001%"))),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / ONE as f64)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a share such as `20%`")
    }
}

word_schema!(
    Percent,
    "Percent",
    "A share of a whole, with its sign: from 0% to 100%.",
    {"type": "string", "examples": ["20%", "0.5%"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<u32, String> {
        text.parse().map(Percent::millionths).map_err(|invalid: Invalid| invalid.to_string())
    }

    #[test]
    fn a_share_is_read_exactly() {
        assert_eq!(parse("20%"), Ok(200_000));
        assert_eq!(parse("0.1%"), Ok(1_000));
        assert_eq!(parse("100%"), Ok(1_000_000));
        assert_eq!("12.5%".parse::<Percent>().unwrap().to_string(), "12.5%");
    }

    #[test]
    fn a_share_of_a_number_is_exact() {
        assert_eq!(Percent::new(20).of(14), 2);
        assert_eq!(Percent::new(100).of(u64::MAX), u64::MAX);
        assert!(Percent::new(50).is_reached(1, 2));
        assert!(!Percent::new(50).is_reached(u64::MAX / 2, u64::MAX));
        assert!(Percent::new(50).is_reached(0, 0));
    }

    #[test]
    fn what_is_no_share_says_how_to_write_one() {
        assert!(parse("20").unwrap_err().contains("write 20%"));
        assert!(parse("101%").unwrap_err().contains("more than the whole"));
        assert!(parse("20 percent").unwrap_err().contains("`20%`"));
        assert!(parse("0.00001%").unwrap_err().contains("finer"));
    }
}
