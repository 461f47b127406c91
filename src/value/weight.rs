//! A share of requests, beside the shares of others.

use super::schema::word_schema;
use super::{Invalid, deserialize_quantity};
use serde::{Deserialize, Deserializer};
use std::str::FromStr;

/// A weight from 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight(u16);

impl Weight {
    /// The weight as a number.
    pub const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl Default for Weight {
    fn default() -> Self {
        Weight(1)
    }
}

impl FromStr for Weight {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse() {
            Ok(0) => {
                let message = "an endpoint of weight 0 would get nothing, leave it out";
                Err(Invalid::new(message))
            }
            Ok(weight) => Ok(Weight(weight)),
            Err(_) => Err(Invalid::new(format!("`{text}` is no weight, write 1 to 65535"))),
        }
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a weight from 1 to 65535")
    }
}

word_schema!(
    Weight,
    "Weight",
    "A share of requests, beside the shares of others.",
    {"type": "integer", "minimum": 1, "maximum": 65535}
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_number_that_gets_something() {
        assert_eq!("2".parse::<Weight>().unwrap().get(), 2);
        assert!("0".parse::<Weight>().unwrap_err().to_string().contains("leave it out"));
        assert!("70000".parse::<Weight>().unwrap_err().to_string().contains("1 to 65535"));
    }
}
