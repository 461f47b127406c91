//! The names of a certificate's subject beside the subject itself (RFC 5280 §4.2.1.6).

use super::BadCertificate;
use crate::value::Invalid;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use x509_parser::extensions::GeneralName;

/// A name of a certificate's subject beside the subject itself. Written by itself it says its kind:
/// an address is one, a URI has a colon, an e-mail address an `@`, and the rest are hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AlternativeName {
    /// The name of a host, in lower case as its case does not count (RFC 4343).
    Dns(Box<str>),
    /// A URI, as it stands there.
    Uri(Box<str>),
    /// An e-mail address, as it stands there.
    Email(Box<str>),
    /// An address.
    Ip(IpAddr),
}

impl AlternativeName {
    /// Makes the name of a host, whose case does not count.
    pub fn dns(name: &str) -> Self {
        AlternativeName::Dns(name.to_ascii_lowercase().into())
    }

    /// Reads one name; nothing if nothing here goes by names of its kind.
    pub(super) fn read(name: &GeneralName<'_>) -> Result<Option<Self>, BadCertificate> {
        Ok(Some(match name {
            GeneralName::DNSName(name) => AlternativeName::dns(visible(name)?),
            GeneralName::URI(uri) => AlternativeName::Uri(visible(uri)?.into()),
            GeneralName::RFC822Name(address) => AlternativeName::Email(visible(address)?.into()),
            GeneralName::IPAddress(bytes) => AlternativeName::Ip(ip(bytes)?),
            GeneralName::Invalid(..) => return Err(BadCertificate::Names),
            _ => return Ok(None),
        }))
    }
}

/// Takes visible ASCII: an IA5String has more, but none of these names (RFC 5280 §4.2.1.6).
fn visible(text: &str) -> Result<&str, BadCertificate> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good { Ok(text) } else { Err(BadCertificate::Names) }
}

fn ip(bytes: &[u8]) -> Result<IpAddr, BadCertificate> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(bytes).into());
    }
    let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| BadCertificate::Names)?;
    Ok(Ipv6Addr::from(bytes).into())
}

impl FromStr for AlternativeName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new("a name of a certificate is missing here"));
        }
        if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(Invalid::new(format!(
                "the name `{text}` must not hold {c:?}: certificates have hosts in ASCII \
                 (`xn--…`), and each name stands by itself"
            )));
        }
        if let Some((kind, name)) = text.split_once(':')
            && ["dns", "uri", "email", "ip"].iter().any(|word| kind.eq_ignore_ascii_case(word))
        {
            return Err(Invalid::new(format!("write `{name}`: a name says its kind by itself")));
        }
        Ok(if let Ok(address) = text.parse() {
            AlternativeName::Ip(address)
        } else if text.contains(':') {
            AlternativeName::Uri(text.into())
        } else if text.contains('@') {
            AlternativeName::Email(text.into())
        } else {
            AlternativeName::dns(text)
        })
    }
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlternativeName::Dns(text)
            | AlternativeName::Uri(text)
            | AlternativeName::Email(text) => f.write_str(text),
            AlternativeName::Ip(address) => write!(f, "{address}"),
        }
    }
}

impl<'de> Deserialize<'de> for AlternativeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::value::deserialize_text(deserializer, "a name such as `ops.example.com`")
    }
}

crate::value::schema::word_schema!(
    AlternativeName,
    "CertificateName",
    "A subject alternative name of a certificate: a host, a URI, an e-mail address or an IP address.",
    {"type": "string", "examples": ["ops.example.com", "spiffe://example.com/ops"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_kind_by_itself() {
        let read = |text: &str| text.parse::<AlternativeName>().unwrap();
        assert_eq!(read("Ops.Example.com"), AlternativeName::Dns("ops.example.com".into()));
        assert_eq!(read("*.example.com"), AlternativeName::Dns("*.example.com".into()));
        assert_eq!(read("ops@Example.com"), AlternativeName::Email("ops@Example.com".into()));
        let uri = "spiffe://Example.com/ops@1";
        assert_eq!(read(uri), AlternativeName::Uri(uri.into()));
        assert_eq!(read("10.0.0.1"), AlternativeName::Ip(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(read("0:0::1"), AlternativeName::Ip("::1".parse().unwrap()));
        assert_eq!(read("urn:uuid:1").to_string(), "urn:uuid:1");
    }

    #[test]
    fn what_is_no_name_is_refused_with_a_reason() {
        let refusal = |text: &str| text.parse::<AlternativeName>().unwrap_err().to_string();
        assert!(refusal("").contains("is missing here"));
        assert!(refusal("a.example, b.example").contains("must not hold ' '"));
        assert!(refusal("bücher.example").contains("`xn--…`"));
        assert!(refusal("DNS:a.example").contains("write `a.example`"));
    }
}
