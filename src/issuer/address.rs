//! Where something of an issuer's is: a URL, and where its documents may lead from there.
//!
//! Keys decide who is let in, so they come over TLS. Plain HTTP is for whoever wrote it down: an
//! issuer beside the gateway, or a network that is guarded by other means. What was begun with TLS
//! never leads out of it.

use super::{Failure, Trouble};
use crate::value::Invalid;
use reqwest::Url;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The URL of something that is fetched: `https://HOST/…`, or `http://` where that is written down.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it is asked without TLS.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Whether it is asked without TLS on another machine, where somebody between may answer: worth
    /// a remark.
    pub fn is_exposed(&self) -> bool {
        self.is_plain() && !self.is_loopback()
    }

    fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = host.strip_suffix('.').unwrap_or(host);
        bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) || name == "localhost"
    }

    /// Where a document that was fetched from here leads to.
    pub(super) fn leads_to(&self, text: &str) -> Result<Address, Failure> {
        // It was not written by the operator, and may be long.
        let shown: String = text.chars().take(200).collect();
        let wrong = |trouble, why: &str| Failure::new(trouble, format!("`{shown}` {why}"));
        let there: Address =
            text.parse().map_err(|_| wrong(Trouble::Malformed, "is no address to be asked"))?;
        if there.is_plain() && !self.is_plain() {
            return Err(wrong(Trouble::Downgrade, "has no TLS, and what names it has"));
        }
        Ok(there)
    }

    /// The same server, at another path.
    pub(super) fn at(&self, path: &str) -> Address {
        let mut url = self.0.clone();
        url.set_path(path);
        Address(url)
    }
}

impl FromStr for Address {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |why: &str| {
            Invalid::new(format!("`{text}` {why}: write it as `https://id.example.com/keys`"))
        };
        let url = Url::parse(text).map_err(|_| wrong("is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("is no URL of a web server"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // What is in the text may be a password, so that it is not repeated.
            return Err(Invalid::new(
                "the URL has a user in it, and a URL is no place for secrets",
            ));
        }
        if url.fragment().is_some() {
            return Err(wrong("has a fragment, which no server ever sees"));
        }
        Ok(Address(url))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn what_cannot_be_fetched_is_no_address() {
        for text in ["internal", "ftp://a/", "file:///etc/passwd", "https://a/#b", "http://", ""] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        let refusal = "https://me:sesame@a/".parse::<Address>().unwrap_err().to_string();
        assert!(!refusal.contains("sesame"), "{refusal}");
    }

    #[test]
    fn plain_http_is_a_danger_only_on_another_machine() {
        for text in ["http://127.0.0.9/a", "http://[::1]:80/", "http://localhost:1", "https://a"] {
            assert!(!address(text).is_exposed(), "{text}");
        }
        for text in ["http://10.0.0.1/", "http://localhost.example/", "http://id.example.com"] {
            assert!(address(text).is_exposed(), "{text}");
        }
    }

    #[test]
    fn nothing_leads_out_of_tls() {
        let refused = address("https://a/").leads_to("http://127.0.0.1/keys").unwrap_err();
        assert_eq!(refused.trouble, Trouble::Downgrade);
        assert!(address("https://a/").leads_to("https://b/keys").is_ok());
        assert!(address("http://a/").leads_to("http://b/keys").is_ok());
        assert!(address("http://a/").leads_to("https://b/keys").is_ok());
        assert!(address("http://a/").leads_to("/keys").is_err());
    }
}
