//! Hosts: as rules name them, and as requests ask for them.

use crate::value::schema::word_schema;
use std::fmt;
use std::io::Write;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::value::{Invalid, deserialize_text};

/// The hosts that a rule serves: a DNS name or an address, in lower case, without port and
/// trailing dot. An IPv6 address stands in brackets and in its shortest form (RFC 5952). A name
/// beyond ASCII is kept as its A-labels (UTS 46), which is what requests carry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host alone.
    Exact(Box<str>),
    /// Every host with one or more labels before this name: `*.example.com`.
    Below(Box<str>),
}

/// The longest DNS name as text (RFC 1035 §2.3.4).
pub(super) const LONGEST: usize = 253;
/// The longest label of a DNS name (RFC 1035 §2.3.4).
const LONGEST_LABEL: usize = 63;

impl FromStr for HostPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = |reason: &str| Err(Invalid::new(format!("the host `{text}` {reason}")));
        if text.is_empty() {
            return Err(Invalid::new("a host is missing here"));
        }
        if text == "*" {
            return refuse("is every host: leave `hosts` out");
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return refuse(&format!("is an IPv6 address without brackets: write `[{address}]`"));
        }
        if let Some(bracketed) = text.strip_prefix('[') {
            let (address, port) = bracketed.split_once(']').unwrap_or((bracketed, ""));
            return match address.parse::<Ipv6Addr>() {
                Ok(_) if port.starts_with(':') => refuse("has a port: a route serves every port"),
                Ok(address) if text.ends_with(']') => {
                    Ok(HostPattern::Exact(format!("[{address}]").into()))
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
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return refuse("may have `*` as its first label alone, as in `*.example.com`");
        }
        let name = match name.is_ascii() {
            true => name.to_ascii_lowercase(),
            false => match idna::domain_to_ascii(name) {
                Ok(name) => name,
                Err(_) => return refuse("is no internationalised domain name (UTS 46)"),
            },
        };
        if let Some(c) = name.chars().find(|c| !in_name(*c)) {
            return refuse(&format!("must not hold {c:?}"));
        }
        let name = name.strip_suffix('.').unwrap_or(&name);
        if name.split('.').any(str::is_empty) {
            return refuse("has an empty label between its dots");
        }
        if name.len() > LONGEST || name.split('.').any(|label| label.len() > LONGEST_LABEL) {
            return refuse("is longer than DNS allows");
        }
        Ok(if below { HostPattern::Below(name.into()) } else { HostPattern::Exact(name.into()) })
    }
}

/// What a DNS name is made of; underscores are in use, whatever RFC 1123 says.
fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(name) => f.write_str(name),
            HostPattern::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a host such as `api.example.com`")
    }
}

word_schema!(
    HostPattern,
    "Host",
    "A host name, `*.` and a host name for all below it, or an address; without a port.",
    {"type": "string", "examples": ["api.example.com", "*.example.com", "[::1]"]}
);

/// The host that a request names, without its port and trailing dot.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    name: &'a str,
    spelling: Spelling,
}

/// How far a host is from the form in which patterns are kept.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    Kept,
    Capitals,
    Address(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// No host, as HTTP/1.0 may have it (RFC 9112 §3.3): rules without hosts serve it.
    pub const NONE: Host<'static> = Host { name: "", spelling: Spelling::Kept };

    /// Reads a `Host` or `:authority` value; nothing at all is [`Host::NONE`].
    ///
    /// Returns `None` for what is no host with an optional port (RFC 3986 §3.2): of the names that
    /// a URI may have, those that DNS may have. Percent-encodings and user information are none.
    pub fn parse(authority: &'a [u8]) -> Option<Host<'a>> {
        if authority.is_empty() {
            return Some(Host::NONE);
        }
        if authority[0] == b'[' {
            let end = authority.iter().position(|byte| *byte == b']')?;
            check_port(&authority[end + 1..])?;
            let name = str::from_utf8(&authority[..=end]).ok()?;
            let spelling = Spelling::Address(name[1..end].parse().ok()?);
            return Some(Host { name, spelling });
        }
        let mut label = 0;
        let mut end = authority.len();
        let mut capitals = false;
        for (at, byte) in authority.iter().copied().enumerate() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
                b'A'..=b'Z' => {
                    capitals = true;
                    label += 1;
                }
                b'.' if label > 0 => label = 0,
                b':' => {
                    check_port(&authority[at..])?;
                    end = at;
                    break;
                }
                _ => return None,
            }
            if label > LONGEST_LABEL {
                return None;
            }
        }
        let name = str::from_utf8(&authority[..end]).ok()?;
        let name = name.strip_suffix('.').unwrap_or(name);
        let spelling = if capitals { Spelling::Capitals } else { Spelling::Kept };
        (!name.is_empty() && name.len() <= LONGEST).then_some(Host { name, spelling })
    }

    /// Calls `read` with the name in the form in which patterns are kept. Few hosts have to be
    /// brought to it, and those are on the stack.
    pub(super) fn read<R>(self, read: impl FnOnce(&str) -> R) -> R {
        let mut buffer = [0; LONGEST];
        let length = match self.spelling {
            Spelling::Kept => return read(self.name),
            Spelling::Capitals => {
                buffer[..self.name.len()].copy_from_slice(self.name.as_bytes());
                buffer.make_ascii_lowercase();
                self.name.len()
            }
            Spelling::Address(address) => {
                let mut left = &mut buffer[..];
                write!(left, "[{address}]").expect("an address has at most 41 characters");
                LONGEST - left.len()
            }
        };
        read(str::from_utf8(&buffer[..length]).expect("a host is ASCII"))
    }
}

/// Passes what follows a host: nothing, or a colon and a port, which may be empty (RFC 3986
/// §3.2.3).
fn check_port(port: &[u8]) -> Option<()> {
    let digits = match port {
        [] | [b':'] => return Some(()),
        [b':', digits @ ..] => digits,
        _ => return None,
    };
    let port = digits.iter().try_fold(0_u16, |port, digit| {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        port.checked_mul(10)?.checked_add(digit)
    });
    port.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> String {
        text.parse::<HostPattern>().unwrap().to_string()
    }

    fn refusal(text: &str) -> String {
        text.parse::<HostPattern>().unwrap_err().to_string()
    }

    fn host(authority: &str) -> Option<String> {
        Some(Host::parse(authority.as_bytes())?.read(str::to_owned))
    }

    #[test]
    fn patterns_fold_case_and_drop_the_root_dot() {
        assert_eq!(pattern("API.Example.com."), "api.example.com");
        assert_eq!(pattern("*.Example.com"), "*.example.com");
        assert_eq!(pattern("[2001:DB8:0::1]"), "[2001:db8::1]");
    }

    #[test]
    fn names_beyond_ascii_become_what_requests_carry() {
        assert_eq!(pattern("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(pattern("*.BÜCHER.example"), "*.xn--bcher-kva.example");
        // UTS 46 without transitional processing: ß is a letter of its own.
        assert_eq!(pattern("faß.example"), "xn--fa-hia.example");
    }

    #[test]
    fn what_is_no_host_is_refused_with_a_reason() {
        for (text, message) in [
            ("", "missing"),
            ("*", "leave `hosts` out"),
            ("*.", "empty label"),
            ("*.*.example.com", "first label alone"),
            ("api.*.com", "first label alone"),
            ("api*.example.com", "first label alone"),
            ("example.com:80", "has a port"),
            ("[::1]:80", "has a port"),
            ("::1", "write `[::1]`"),
            ("[::1", "not an IPv6 address"),
            ("[::g]", "not an IPv6 address"),
            ("https://example.com", "is a URL"),
            ("example com", "must not hold ' '"),
            ("a\u{200e}b.example", "UTS 46"),
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
        for authority in
            ["example.com", "example.com:8080", "example.com:", "example.com.", "EXAMPLE.com.:80"]
        {
            assert_eq!(host(authority).as_deref(), Some("example.com"), "{authority}");
        }
        for authority in ["[::1]", "[::1]:80", "[0:0::0001]", "[::0.0.0.1]:"] {
            assert_eq!(host(authority).as_deref(), Some("[::1]"), "{authority}");
        }
        assert_eq!(host("192.0.2.1:80").as_deref(), Some("192.0.2.1"));
        assert_eq!(host("my_app.internal").as_deref(), Some("my_app.internal"));
        assert_eq!(host("").as_deref(), Some(""));
    }

    #[test]
    fn what_is_no_host_of_a_request_is_none() {
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(127) + "b";
        for authority in [
            ".",
            ":",
            ":80",
            "a..b",
            ".a",
            "a..",
            "a:x",
            "a:1:2",
            "a:65536",
            "a:-1",
            "a:+1",
            "é",
            "a%2eb",
            "user@a",
            "a b",
            "a,b",
            "a/b",
            "a\\b",
            "a?b",
            "[::1",
            "[::1]x",
            "[::1%25eth0]",
            "[v1.x]",
            "::1",
            "[]",
            "*",
            "a\"",
            &long_label,
            &long_name,
        ] {
            assert_eq!(host(authority), None, "{authority}");
        }
    }
}
