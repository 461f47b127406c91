//! Networks, as allow lists, deny lists and trusted proxies name them, and sets of them that
//! answer in logarithmic time however long such a list grows.

use super::schema::word_schema;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer};

use super::{Invalid, deserialize_text};

/// A network such as `10.0.0.0/8` or `2001:db8::/32`; a bare address is the network of that
/// address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// Returns the network.
    pub fn network(self) -> IpNet {
        self.0
    }
}

impl FromStr for Cidr {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Cidr(IpNet::from(address)));
        }
        let network: IpNet = text.parse().map_err(|_| {
            Invalid::new(format!(
                "`{text}` is not a network: write one such as 10.0.0.0/8 or 2001:db8::/32, or an address"
            ))
        })?;
        let meant = network.trunc();
        if network != meant {
            return Err(Invalid::new(format!(
                "`{text}` has bits set outside its prefix: did you mean `{meant}`?"
            )));
        }
        Ok(Cidr(network))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a network such as `10.0.0.0/8`, or an address")
    }
}

word_schema!(
    Cidr,
    "Network",
    "A network, or one address.",
    {"type": "string", "examples": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]}
);

/// A set of networks that tells in O(log n) whether an address lies in one of them.
///
/// An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`, which a dual-stack socket reports for an IPv4
/// client) is tested as the IPv4 address it stands for, so `::/0` holds no IPv4 client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CidrSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl CidrSet {
    /// Tells whether one of the networks holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address.into()),
            IpAddr::V6(address) => self.v6.contains(address.into()),
        }
    }

    /// Tells whether the set holds nothing at all.
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }
}

impl FromIterator<Cidr> for CidrSet {
    fn from_iter<I: IntoIterator<Item = Cidr>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Cidr(network) in networks {
            match canonical(network) {
                IpNet::V4(net) => v4.push((net.network().into(), net.broadcast().into())),
                IpNet::V6(net) => v6.push((net.network().into(), net.broadcast().into())),
            }
        }
        CidrSet { v4: Ranges::new(v4), v6: Ranges::new(v6) }
    }
}

/// Turns a network of IPv4-mapped addresses into the IPv4 network it stands for, as `contains`
/// does with addresses.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(address) = v6.network().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(128 - Ipv4Addr::BITS as u8)
        && let Ok(v4) = Ipv4Net::new(address, length)
    {
        return IpNet::V4(v4);
    }
    network
}

/// Inclusive ranges, sorted and disjoint, so that one binary search answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Ranges<A>(Vec<(A, A)>);

impl<A: Copy + Ord> Ranges<A> {
    fn new(mut ranges: Vec<(A, A)>) -> Self {
        ranges.sort_unstable();
        // Networks nest or are disjoint, but merging what overlaps does not depend on it.
        ranges.dedup_by(|next, kept| {
            let overlaps = next.0 <= kept.1;
            if overlaps {
                kept.1 = kept.1.max(next.1);
            }
            overlaps
        });
        Ranges(ranges)
    }

    fn contains(&self, address: A) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).is_some_and(|at| address <= self.0[at].1)
    }
}

#[cfg(test)]
mod tests;
