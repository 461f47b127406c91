//! Sizes of bodies, headers and buffers. `MB` and `MiB` differ by five percent and both are in
//! use, so the configuration takes either and neither is guessed.

use super::schema::word_schema;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::amount::{Amount, Misfit};
use super::{Invalid, deserialize_quantity};

/// A number of bytes, written `512B`, `32KiB`, `1MiB`, `10MB`, or as a bare integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

/// The units, largest first, with their bytes.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (amount, unit) = Amount::split(text, "a size")?;
        let unit = if unit.is_empty() { "B" } else { unit };
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(unknown_unit(text, unit));
        };
        amount.times(*scale).map(ByteSize).map_err(|misfit| match misfit {
            Misfit::TooLarge => Invalid::new(format!("`{text}` does not fit in 64 bits")),
            Misfit::TooFine => Invalid::new(format!("`{text}` is not a whole number of bytes")),
        })
    }
}

fn unknown_unit(text: &str, unit: &str) -> Invalid {
    let meant = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    Invalid::new(match meant {
        Some((name, _)) => format!("`{text}` has an unknown unit: did you mean `{name}`?"),
        None => format!(
            "`{text}` has the unknown unit `{unit}`: a size counts in B, kB, MB, GB, KiB, MiB or GiB"
        ),
    })
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, scale)| self.0 != 0 && self.0.is_multiple_of(*scale)) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_quantity(deserializer, "a size such as `32KiB`, `10MB` or a number of bytes")
    }
}

word_schema!(
    ByteSize,
    "Size",
    "A size in bytes, or with a unit: B, kB, MB, GB, KiB, MiB, GiB.",
    {"type": ["string", "integer"], "examples": ["32KiB", "10MB"]}
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &str) -> u64 {
        text.parse::<ByteSize>().unwrap().0
    }

    fn refusal(text: &str) -> String {
        text.parse::<ByteSize>().unwrap_err().to_string()
    }

    #[test]
    fn every_unit_is_read() {
        assert_eq!(bytes("512B"), 512);
        assert_eq!(bytes("2kB"), 2_000);
        assert_eq!(bytes("10MB"), 10_000_000);
        assert_eq!(bytes("1GB"), 1_000_000_000);
        assert_eq!(bytes("32KiB"), 32_768);
        assert_eq!(bytes("1MiB"), 1_048_576);
        assert_eq!(bytes("1GiB"), 1_073_741_824);
        assert_eq!(bytes("1.5MiB"), 1_572_864);
    }

    #[test]
    fn bare_integer_counts_bytes() {
        assert_eq!(serde_yaml::from_str::<ByteSize>("4096").unwrap(), ByteSize(4096));
        assert_eq!(serde_yaml::from_str::<ByteSize>("\"4096\"").unwrap(), ByteSize(4096));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        assert!(refusal("1mib").contains("did you mean `MiB`"));
        assert!(refusal("1KB").contains("did you mean `kB`"));
        assert!(refusal("1 MiB").contains("unknown unit ` MiB`"));
        assert!(refusal("1.5").contains("not a whole number of bytes"));
        assert!(refusal("99999999999GiB").contains("64 bits"));
        assert!(refusal("-1").contains("negative"));
        let error = serde_yaml::from_str::<ByteSize>("{a: 1}").unwrap_err().to_string();
        assert!(error.contains("expected a size such as"), "{error}");
    }

    proptest! {
        #[test]
        fn display_parses_back(bytes in any::<u64>()) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>().unwrap(), ByteSize(bytes));
        }
    }
}
