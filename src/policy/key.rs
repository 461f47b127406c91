//! Whom a limit counts: the text that its key becomes for one request.
//!
//! Two callers must not become the same text, or one could use up the other's share. So a value says
//! nothing that the template itself says: of `$(a)-$(b)`, a `-` within a value is percent-encoded. And
//! what a key falls back to is named: of `$(consumer.name ?? client.ip)`, `acme` is a consumer and
//! `client.ip=192.0.2.7` an address.

use crate::exchange::{Facts, References};
use crate::value::{Invalid, Piece, Reference, Source, Template};
use http::request;
use std::cell::RefCell;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};

/// How many bits of an IPv6 address a key has where nothing is said: what one site usually gets is at
/// least that much (RFC 6177 §2).
pub const IPV6_PREFIX: u8 = 64;

/// Checks what can be wrong with a key.
///
/// # Errors
///
/// Refuses a reference that is not known when a request is judged, and a prefix that is none.
pub fn check_key(key: &Template, ipv6_prefix: u8) -> Result<(), Invalid> {
    if !(1..=128).contains(&ipv6_prefix) {
        let message = format!("{ipv6_prefix} is no length of a prefix of IPv6: 1 to 128");
        return Err(Invalid::new(message).under("ipv6_prefix"));
    }
    match key.references().find(|one| matches!(one, Reference::Answer(_))) {
        Some(answer) => {
            let message = format!("`$({answer})` is not known when a request is judged");
            Err(Invalid::new(message).about(answer.to_string()).under("key"))
        }
        None => Ok(()),
    }
}

/// A compiled key.
#[derive(Debug)]
pub struct KeyTemplate {
    template: Template,
    /// What is encoded within values: the bytes of the text around them, and `%`. Nothing where there
    /// is only one value, which nothing can be mistaken for.
    reserved: Box<[u8]>,
    ipv6_prefix: u8,
}

/// What all who lack a part of the key are counted as. No header can have its first byte; who puts it
/// into a query only joins those who lack the parameter.
const NOBODY: &[u8] = b"\0missing";

thread_local! {
    /// Where keys are written; a request needs its key only until it is hashed.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl KeyTemplate {
    /// A key that is made of a template.
    pub fn new(template: Template, ipv6_prefix: u8) -> Self {
        let mut reserved = Vec::new();
        if template.pieces().count() > 1 {
            reserved.push(b'%');
            for piece in template.pieces() {
                match piece {
                    Piece::Literal(text) => reserved.extend_from_slice(text.as_bytes()),
                    // Two values side by side have nothing between them that could be encoded.
                    Piece::Choice(..) => reserved.push(SEPARATOR),
                }
            }
        }
        let falls_back = |piece| match piece {
            Piece::Choice(references, otherwise) => references.len() > 1 || otherwise.is_some(),
            Piece::Literal(_) => false,
        };
        if template.pieces().any(falls_back) {
            reserved.extend_from_slice(b"%=");
        }
        reserved.sort_unstable();
        reserved.dedup();
        KeyTemplate { template, reserved: reserved.into(), ipv6_prefix }
    }

    /// Walks what it refers to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.template.references()
    }

    /// Whether it depends on who is asking.
    pub fn needs_identity(&self) -> bool {
        self.references()
            .any(|reference| matches!(reference, Reference::Identity(_) | Reference::Consumer(_)))
    }

    /// Gives the text of one request's key to `read`.
    pub fn with<R>(
        &self,
        head: &request::Parts,
        facts: &Facts,
        read: impl FnOnce(&[u8]) -> R,
    ) -> R {
        let source = References { head, facts };
        SCRATCH.with_borrow_mut(|text| {
            text.clear();
            self.write(&source, text);
            read(text)
        })
    }

    fn write(&self, source: &References<'_>, text: &mut Vec<u8>) {
        let mut follows_value = false;
        for piece in self.template.pieces() {
            match piece {
                Piece::Literal(literal) => {
                    text.extend_from_slice(literal.as_bytes());
                    follows_value = false;
                }
                Piece::Choice(references, otherwise) => {
                    if follows_value {
                        text.push(SEPARATOR);
                    }
                    follows_value = true;
                    let mut known = references.iter().enumerate();
                    let is_known = |(number, reference): (usize, &Reference)| {
                        let start = text.len();
                        if number > 0 {
                            // Or somebody could be called as what another's key falls back to.
                            write!(text, "{reference}=").expect("a buffer takes what is written");
                        }
                        let is_known = self.write_known(source, reference, text);
                        if !is_known {
                            text.truncate(start);
                        }
                        is_known
                    };
                    if !known.any(is_known) {
                        let Some(value) = otherwise else {
                            text.clear();
                            text.extend_from_slice(NOBODY);
                            return;
                        };
                        text.push(b'=');
                        self.write_value(value.as_bytes(), text);
                    }
                }
            }
        }
    }

    /// Writes what a reference stands for, and says whether it stands for anything.
    fn write_known(
        &self,
        source: &References<'_>,
        reference: &Reference,
        text: &mut Vec<u8>,
    ) -> bool {
        if let Reference::ClientIp = reference {
            let (address, length) = address(source.facts.client, self.ipv6_prefix);
            self.write_value(&address[..length], text);
            return true;
        }
        let value = source.value(reference);
        value.is_some_and(|value| {
            self.write_value(&value, text);
            true
        })
    }

    fn write_value(&self, value: &[u8], text: &mut Vec<u8>) {
        if self.reserved.is_empty() {
            return text.extend_from_slice(value);
        }
        for byte in value {
            match self.reserved.binary_search(byte) {
                Ok(_) => write!(text, "%{byte:02X}").expect("a buffer takes what is written to it"),
                Err(_) => text.push(*byte),
            }
        }
    }
}

/// What stands between two values that nothing else parts.
const SEPARATOR: u8 = b'|';

/// The text of the network that an address counts as, so that an operator can type it, and its
/// length. It is written for each request: on the stack, and an address of IPv4 without `fmt`, which
/// takes ten times as long.
fn address(client: IpAddr, ipv6_prefix: u8) -> ([u8; ADDRESS_ROOM], usize) {
    let mut text = [0; ADDRESS_ROOM];
    let mut length = 0;
    match network(client, ipv6_prefix) {
        (IpAddr::V4(address), _) => {
            let mut push = |byte| {
                text[length] = byte;
                length += 1;
            };
            for (number, part) in address.octets().into_iter().enumerate() {
                if number > 0 {
                    push(b'.');
                }
                if part >= 100 {
                    push(b'0' + part / 100);
                }
                if part >= 10 {
                    push(b'0' + part / 10 % 10);
                }
                push(b'0' + part % 10);
            }
        }
        (IpAddr::V6(address), prefix) => {
            let mut rest = &mut text[..];
            let written = match prefix {
                128 => write!(rest, "{address}"),
                _ => write!(rest, "{address}/{prefix}"),
            };
            written.expect("there is room for the longest");
            length = ADDRESS_ROOM - rest.len();
        }
    }
    (text, length)
}

/// The longest text of an address of IPv6 has 39 bytes, and of a prefix 4.
const ADDRESS_ROOM: usize = 43;

/// The network that an address counts as.
pub fn network(address: IpAddr, ipv6_prefix: u8) -> (IpAddr, u8) {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(ipv6_prefix)).unwrap_or(0);
            (Ipv6Addr::from(u128::from(address) & mask).into(), ipv6_prefix)
        }
        address => (address, 32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::sample;

    fn key(template: &str, fields: &[(&'static str, &'static str)], client: &str) -> String {
        let mut head = http::Request::get("/").body(()).unwrap().into_parts().0;
        for (name, value) in fields {
            head.headers.append(*name, value.parse().unwrap());
        }
        let mut facts = sample::facts();
        facts.client = client.parse().unwrap();
        KeyTemplate::new(template.parse().unwrap(), 64)
            .with(&head, &facts, |text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn an_address_of_ipv6_counts_as_its_network() {
        assert_eq!(key("$(client.ip)", &[], "2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_eq!(key("$(client.ip)", &[], "192.0.2.7"), "192.0.2.7");
        assert_eq!(key("$(client.ip)", &[], "::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8::1".parse().unwrap(), 0).0.to_string(), "::");
        assert_eq!(network("2001:db8::1".parse().unwrap(), 128).0.to_string(), "2001:db8::1");
    }

    #[test]
    fn an_address_is_written_as_everybody_writes_it() {
        for text in ["0.0.0.0", "10.9.99.100", "192.0.2.255", "255.255.255.255"] {
            assert_eq!(key("$(client.ip)", &[], text), text);
        }
        let longest = "1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap();
        let (text, length) = address(longest, 127);
        assert_eq!(text[..length], *b"1111:2222:3333:4444:5555:6666:7777:8888/127");
    }

    #[test]
    fn no_two_callers_become_the_same_text() {
        let two = |a, b| key("$(header.a)-$(header.b)", &[("a", a), ("b", b)], "192.0.2.7");
        assert_eq!(two("x-y", "z"), "x%2Dy-z");
        assert_eq!(two("x", "y-z"), "x-y%2Dz");
        assert_ne!(two("x%2Dy", "z"), two("x-y", "z"));
        let side = |a, b| key("$(header.a)$(header.b)", &[("a", a), ("b", b)], "192.0.2.7");
        assert_ne!(side("x", "yz"), side("xy", "z"));
        assert_ne!(side("x|y", "z"), side("x", "y|z"));
    }

    #[test]
    fn one_value_is_written_as_it_is() {
        assert_eq!(key("$(header.a)", &[("a", "100%-|x")], "192.0.2.7"), "100%-|x");
    }

    #[test]
    fn who_lacks_a_part_shares_with_all_who_do() {
        let lacking = key("$(header.a)-$(header.b)", &[("a", "1")], "192.0.2.7");
        assert_eq!(lacking, key("$(header.b)", &[], "192.0.2.8"));
        assert!(!lacking.is_empty());
    }

    #[test]
    fn an_alternative_counts_where_the_first_is_missing() {
        let either = |fields| key("$(header.a ?? client.ip)", fields, "192.0.2.7");
        assert_eq!(either(&[]), "client.ip=192.0.2.7");
        assert_eq!(either(&[("a", "acme")]), "acme");
        // Nobody is called as what another's key falls back to.
        assert_eq!(either(&[("a", "client.ip=192.0.2.7")]), "client.ip%3D192.0.2.7");
        assert_eq!(key("$(header.a ?? \"none\")", &[], "192.0.2.7"), "=none");
    }
}
