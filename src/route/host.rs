//! Hosts: as rules name them, and as requests ask for them.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::value::{Invalid, deserialize_text};

/// The host that a rule serves: a DNS name or an address, in lower case, without port and
/// trailing dot. An IPv6 address stands in brackets and in its shortest form (RFC 5952).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern(Box<str>);

/// The longest DNS name as text (RFC 1035 §2.3.4). A longer host fits no pattern.
const LONGEST: usize = 253;

impl FromStr for HostPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |reason: &str| Err(Invalid::new(format!("the host `{text}` {reason}")));
        if text.is_empty() {
            return Err(Invalid::new("a host is missing here"));
        }
        if text.contains('*') {
            return refuse("holds `*`: wildcards are not available yet");
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return refuse(&format!("is an IPv6 address without brackets: write `[{address}]`"));
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            let (address, port) = bracketed.split_once(']').unwrap_or((bracketed, ""));
            return match address.parse::<Ipv6Addr>() {
                Ok(_) if port.starts_with(':') => refuse("has a port: a route serves every port"),
                Ok(address) if text.ends_with(']') => {
                    Ok(HostPattern(format!("[{address}]").into()))
                }
                _ => refuse("is not an IPv6 address in brackets"),
            };
        }
        if text.contains("://") {
            return refuse("is a URL: write only its host");
        }
        if text.contains(':') {
            return refuse("has a port: a route serves every port");
        }
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        match text.chars().find(|c| !in_name(*c)) {
            Some(c) if !c.is_ascii() => {
                return refuse(&format!("holds {c:?}: write it in ASCII, as `xn--…`"));
            }
            Some(c) => return refuse(&format!("must not hold {c:?}")),
            None => {}
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.split('.').any(str::is_empty) {
            return refuse("has an empty label between its dots");
        }
        if name.len() > LONGEST || name.split('.').any(|label| label.len() > 63) {
            return refuse("is longer than DNS allows");
        }
        Ok(HostPattern(name.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a host such as `api.example.com`")
    }
}

/// Things by host, found by what a request calls it.
#[derive(Debug, Clone)]
pub(super) struct Hosts<T>(HashMap<Box<str>, T>);

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Hosts(HashMap::new())
    }
}

impl<T: Default> Hosts<T> {
    /// Returns the thing of a host, which is made when it is new.
    pub(super) fn entry(&mut self, host: &HostPattern) -> &mut T {
        self.0.entry(host.0.clone()).or_default()
    }
}

impl<T> Hosts<T> {
    /// Finds what belongs to a raw `Host` or `:authority` value.
    pub(super) fn get(&self, authority: &str) -> Option<&T> {
        if self.0.is_empty() {
            return None;
        }
        let host = without_port(authority);
        let host = host.strip_suffix('.').unwrap_or(host);
        if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.0.get(host);
        }
        // Case is folded on the stack: hosts with capitals are rare, but clients choose them.
        let mut buffer = [0; LONGEST];
        let folded = buffer.get_mut(..host.len())?;
        folded.copy_from_slice(host.as_bytes());
        folded.make_ascii_lowercase();
        self.0.get(std::str::from_utf8(folded).ok()?)
    }
}

/// Cuts off a port, which may be empty (RFC 3986 §3.2.3). What follows the colon of anything
/// else, such as `[::1]` or `host:name`, is part of the host.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<HostPattern>().unwrap_err().to_string()
    }

    fn hosts(names: &[&str]) -> Hosts<()> {
        let mut hosts = Hosts::default();
        names.iter().for_each(|name| *hosts.entry(&name.parse().unwrap()) = ());
        hosts
    }

    #[test]
    fn patterns_fold_case_and_drop_the_root_dot() {
        assert_eq!(
            "API.Example.com.".parse::<HostPattern>().unwrap().to_string(),
            "api.example.com"
        );
        assert_eq!("[2001:DB8:0::1]".parse::<HostPattern>().unwrap().to_string(), "[2001:db8::1]");
    }

    #[test]
    fn what_is_no_host_is_refused_with_a_reason() {
        for (text, message) in [
            ("", "missing"),
            ("*.example.com", "wildcards are not available yet"),
            ("example.com:80", "has a port"),
            ("[::1]:80", "has a port"),
            ("::1", "write `[::1]`"),
            ("[::1", "not an IPv6 address"),
            ("[::g]", "not an IPv6 address"),
            ("https://example.com", "is a URL"),
            ("example com", "must not hold ' '"),
            ("bücher.example", "xn--"),
            ("a..b", "empty label"),
            (".", "empty label"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(message), "{text}: {refusal}");
        }
        assert!(refusal(&"a".repeat(64)).contains("longer than DNS allows"));
        assert!(refusal(&"a.".repeat(200)).contains("longer than DNS allows"));
    }

    #[test]
    fn port_root_dot_and_case_of_a_request_are_ignored() {
        let hosts = hosts(&["example.com", "[::1]"]);
        for host in
            ["example.com", "example.com:8080", "example.com:", "example.com.", "EXAMPLE.com.:80"]
        {
            assert!(hosts.get(host).is_some(), "{host}");
        }
        for host in ["[::1]", "[::1]:80"] {
            assert!(hosts.get(host).is_some(), "{host}");
        }
    }

    #[test]
    fn strange_hosts_are_other_hosts() {
        let hosts = hosts(&["example.com"]);
        let long = format!("{}EXAMPLE.com", "a".repeat(9000));
        for host in
            ["", ".", ":", "example.com..", "example.com:x", "example.com:1:2", "é", "[::1", &long]
        {
            assert!(hosts.get(host).is_none(), "{host}");
        }
    }
}
