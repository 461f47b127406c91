//! Which origins a page may come from.
//!
//! A browser writes an origin one way (the Fetch standard, "serializing a request origin"), so one
//! that is written otherwise here would match nothing, and is refused with what was meant.

use crate::value::schema::word_schema;
use crate::value::{Invalid, OneOrMany, deserialize_text};
use http::HeaderValue;
use serde::de::{Deserialize, Deserializer};
use std::str::FromStr;

/// An origin, or several that are alike, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `*`: every origin.
    Any,
    /// `https://app.example.com`, or `null`: what `Origin` says, byte for byte.
    Exact(Box<str>),
    /// `https://*.example.com`: any host below a domain, however deep.
    Below {
        /// `https://`.
        scheme: Box<str>,
        /// `.example.com`, with the port if it has one.
        domain: Box<str>,
    },
}

/// The compiled list.
#[derive(Debug)]
pub enum Origins {
    /// Every origin.
    Any,
    /// These.
    Listed(Vec<Origin>),
}

impl Origins {
    /// Turns what was typed into what it means.
    pub fn compile(typed: &OneOrMany<Origin>) -> Result<Self, Invalid> {
        if !typed.contains(&Origin::Any) {
            return Ok(Origins::Listed(typed.to_vec()));
        }
        match typed.len() {
            1 => Ok(Origins::Any),
            _ => Err(Invalid::new("`*` is every origin already, the others say nothing")),
        }
    }
}

impl Origin {
    /// Whether it is, or has below it, the origin that a request names.
    pub fn matches(&self, origin: &HeaderValue) -> bool {
        let origin = origin.as_bytes();
        match self {
            Origin::Any => true,
            Origin::Exact(known) => known.as_bytes() == origin,
            Origin::Below { scheme, domain } => origin
                .strip_prefix(scheme.as_bytes())
                .and_then(|host| host.strip_suffix(domain.as_bytes()))
                .is_some_and(are_labels),
        }
    }
}

/// One or more labels of a host name.
fn are_labels(text: &[u8]) -> bool {
    let in_label = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.split(|b| *b == b'.').all(|label| !label.is_empty() && label.iter().all(in_label))
}

impl FromStr for Origin {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "*" => return Ok(Origin::Any),
            "null" => return Ok(Origin::Exact(text.into())),
            _ => {}
        }
        let Some((scheme, host)) = text.split_once("://") else {
            return Err(meant(text, &format!("https://{}", text.trim_start_matches('/'))));
        };
        let well_written = written(scheme, host);
        if well_written != text {
            return Err(meant(text, &well_written));
        }
        let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let (name, port) = split_port(host);
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|number| number > 0);
        if scheme.is_empty() || !scheme.chars().all(in_scheme) || !port.is_none_or(is_port) {
            return Err(no_origin(text));
        }
        let below = name.strip_prefix("*.");
        let named = below.unwrap_or(name);
        let is_address = below.is_none() && named.starts_with('[') && named.ends_with(']');
        if !is_address && !are_labels(named.as_bytes()) {
            return Err(no_origin(text));
        }
        Ok(match below {
            None => Origin::Exact(text.into()),
            Some(_) => Origin::Below {
                scheme: format!("{scheme}://").into(),
                domain: host.trim_start_matches('*').into(),
            },
        })
    }
}

/// An origin as a browser writes it: in small letters, without the scheme's own port and a path.
fn written(scheme: &str, host: &str) -> String {
    let scheme = scheme.to_ascii_lowercase();
    let host = host.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let standard = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = host.strip_suffix(standard).unwrap_or(&host);
    format!("{scheme}://{host}")
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

fn meant(text: &str, meant: &str) -> Invalid {
    match meant.parse::<Origin>() {
        Ok(_) => {
            Invalid::new(format!("no browser writes the origin `{text}`: did you mean `{meant}`?"))
        }
        Err(_) => no_origin(text),
    }
}

fn no_origin(text: &str) -> Invalid {
    let like = "write `https://HOST`, `https://*.DOMAIN`, `\"*\"` or `\"null\"`";
    Invalid::new(format!("`{text}` is no origin, {like}"))
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "an origin such as `https://app.example.com` (`null` stands in quotes)";
        deserialize_text(deserializer, expected)
    }
}

word_schema!(
    Origin,
    "Origin",
    "An origin as browsers send it, one with `*.` before its host, `null`, or `*`.",
    {"type": "string", "examples": ["https://app.example.com", "https://*.example.com", "*"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(typed: &str, origin: &'static str) -> bool {
        typed.parse::<Origin>().unwrap().matches(&HeaderValue::from_static(origin))
    }

    fn refusal(typed: &str) -> String {
        typed.parse::<Origin>().unwrap_err().to_string()
    }

    #[test]
    fn an_origin_is_compared_byte_for_byte() {
        assert!(matches("https://app.example.com", "https://app.example.com"));
        assert!(matches("http://localhost:3000", "http://localhost:3000"));
        assert!(matches("http://[::1]:3000", "http://[::1]:3000"));
        assert!(matches("capacitor://localhost", "capacitor://localhost"));
        assert!(matches("null", "null"));
        for other in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://evil-app.example.com",
            "null",
            "",
        ] {
            assert!(!matches("https://app.example.com", other), "{other}");
        }
    }

    #[test]
    fn a_pattern_has_whole_labels_below_its_domain() {
        let pattern = "https://*.example.com";
        for origin in ["https://a.example.com", "https://a.b-c.example.com"] {
            assert!(matches(pattern, origin), "{origin}");
        }
        for other in [
            "https://example.com",
            "https://.example.com",
            "https://a..example.com",
            "https://aexample.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.com.evil.example",
            "https://evil.example/.example.com",
            "https://evil.example:1.example.com",
            "https://u@a.example.com",
        ] {
            assert!(!matches(pattern, other), "{other}");
        }
        assert!(matches("https://*.example.com:8443", "https://a.example.com:8443"));
    }

    #[test]
    fn what_no_browser_writes_is_told_what_was_meant() {
        for (typed, meant) in [
            ("app.example.com", "https://app.example.com"),
            ("https://app.example.com/", "https://app.example.com"),
            ("https://app.example.com/path", "https://app.example.com"),
            ("HTTPS://App.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://*.example.com:80", "http://*.example.com"),
        ] {
            let refusal = refusal(typed);
            assert!(refusal.contains(&format!("did you mean `{meant}`?")), "{typed}: {refusal}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for typed in [
            "",
            "https://",
            "https://*",
            "https://*.",
            "https://a.*.example.com",
            "https://*example.com",
            "https://user@a.example",
            "https://a.example:0",
            "https://a.example:x",
            "https://a b",
            "https://bücher.example",
            "://a",
        ] {
            assert!(refusal(typed).contains("is no origin"), "{typed}: {}", refusal(typed));
        }
    }

    #[test]
    fn every_origin_stands_alone() {
        let list = |yaml: &str| Origins::compile(&serde_yaml::from_str(yaml).unwrap());
        assert!(matches!(list("'*'"), Ok(Origins::Any)));
        assert!(list("['*', 'null']").unwrap_err().message.contains("every origin already"));
    }
}
