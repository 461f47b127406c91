//! What a watched file of endpoints may say. Something else writes it, again and again, so it is
//! taken whole or not at all: half of a list would send all requests to the other half.

use crate::config::load::read_whole;
use crate::upstream::Address;
use crate::upstream::discovery::Found;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The heaviest weight that may be written, as in an SRV record (RFC 2782).
const HEAVIEST: u32 = 65_535;

/// Reads the text of a file of endpoints, in YAML or JSON: `[{address: 10.0.0.1:80, weight: 2,
/// priority: 0}, …]`, or `{endpoints: […]}`. An empty list is one.
///
/// # Errors
///
/// Says what is wrong, at which line and column.
pub fn read_endpoints(text: &str) -> Result<Vec<Found>, String> {
    let Listed(endpoints) = read_whole(text)?;
    Ok(endpoints.into_iter().map(|Checked(found)| found).collect())
}

/// A list, bare or below `endpoints`.
struct Listed(Vec<Checked>);

/// An endpoint whose address can be connected to.
struct Checked(Found);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Below {
    endpoints: Vec<Checked>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: Placed,
    weight: Option<Weight>,
    #[serde(default)]
    priority: u8,
}

/// An address that is no name.
struct Placed(Found);

/// A weight that is none too small or large.
struct Weight(u32);

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { address: Placed(found), weight, priority } =
            Written::deserialize(deserializer)?;
        let weight = weight.map_or(1, |Weight(weight)| weight);
        Ok(Checked(Found { weight, priority, ..found }))
    }
}

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = Address::deserialize(deserializer)?;
        let told = address.to_string();
        Found::at(address).map(Placed).ok_or_else(|| {
            D::Error::custom(format!(
                "`{told}` is a name, and a file lists addresses: write an IP address and a port, \
                 or ask for the name with `dns`"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            weight @ 1..=HEAVIEST => Ok(Weight(weight)),
            weight => Err(D::Error::custom(format!(
                "a weight is from 1 to {HEAVIEST}, not {weight}: leave out an endpoint that is to \
                 get nothing"
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Listed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of endpoints, or `endpoints` with one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Listed, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Listed)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listed, A::Error> {
                let below = Below::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Listed(below.endpoints))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_bare_and_below_its_key_in_yaml_and_json() {
        for text in [
            "- {address: 10.0.0.1:80, weight: 2, priority: 1}\n- address: unix:/run/a.sock\n",
            "endpoints:\n  - address: 10.0.0.1:80\n    weight: 2\n    priority: 1\n  - {address: unix:/run/a.sock}\n",
            r#"[{"address": "10.0.0.1:80", "weight": 2, "priority": 1}, {"address": "unix:/run/a.sock"}]"#,
        ] {
            let list = read_endpoints(text).unwrap();
            let told = |f: &Found| (f.address.to_string(), f.weight, f.priority);
            assert_eq!(told(&list[0]), ("10.0.0.1:80".to_owned(), 2, 1), "{text}");
            assert_eq!(told(&list[1]), ("unix:/run/a.sock".to_owned(), 1, 0), "{text}");
        }
        assert_eq!(read_endpoints("[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_nothing_is_taken() {
        for (text, place, told) in [
            ("- address: 10.0.0.1:80\n- address: 10.0.0.2\n", "line 2, column 12", "has no port"),
            ("- address: a.internal:80\n", "line 1, column 12", "ask for the name with `dns`"),
            ("- {address: 10.0.0.1:80, weight: 0}\n", "line 1, column 34", "from 1 to 65535"),
            ("- {address: 10.0.0.1:80, wieght: 1}\n", "line 1", "did you mean `weight`"),
            ("endpoints: [{weight: 1}]\n", "line 1", "address"),
            ("", "line 1, column 1", "a list of endpoints"),
            ("- address: [\n", "line", ""),
        ] {
            let wrong = read_endpoints(text).unwrap_err();
            assert!(wrong.contains(place) && wrong.contains(told), "{text:?}: {wrong}");
        }
    }
}
