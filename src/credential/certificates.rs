//! Whom a client's certificate belongs to (RFC 8705 §2.1): by what it says of its subject, or by the
//! certificate itself. Whether it is to be trusted was decided in the handshake.

use super::hex;
use crate::exchange::{AlternativeName, ClientCertificate};
use crate::value::Invalid;
use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// What of a certificate says whom it belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MtlsMatch")]
pub enum MtlsMatch {
    /// Its subject alternative names. One of them suffices.
    #[default]
    San,
    /// Its whole subject.
    Subject,
    /// Its SHA-256: a new certificate of the same client is another one.
    Fingerprint,
}

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// The subject of a certificate as a string (RFC 4514), such as `CN=ops,O=Example`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject(Box<str>);

/// That the names of one certificate belong to different owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate has names of different owners")]
pub struct Ambiguous;

/// The certificates that are known, and to whom each belongs.
pub struct Certificates<T> {
    names: HashMap<AlternativeName, T>,
    subjects: HashMap<Box<str>, T>,
    fingerprints: HashMap<[u8; 32], T>,
}

impl<T> Certificates<T> {
    /// Knows no certificates.
    pub fn new() -> Self {
        Certificates {
            names: HashMap::new(),
            subjects: HashMap::new(),
            fingerprints: HashMap::new(),
        }
    }

    /// Takes an alternative name in. Returns to whom it belonged before, if it was known: two
    /// owners of one name are a mistake for the caller to tell.
    pub fn insert_san(&mut self, name: AlternativeName, owner: T) -> Option<T> {
        self.names.insert(name, owner)
    }

    /// Takes a subject in. Returns to whom it belonged before, if it was known.
    pub fn insert_subject(&mut self, subject: Subject, owner: T) -> Option<T> {
        self.subjects.insert(subject.0, owner)
    }

    /// Takes a certificate in by its fingerprint. Returns to whom it belonged before, if it was
    /// known.
    pub fn insert_fingerprint(&mut self, fingerprint: Fingerprint, owner: T) -> Option<T> {
        self.fingerprints.insert(fingerprint.0, owner)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.subjects.is_empty() && self.fingerprints.is_empty()
    }
}

impl<T: PartialEq> Certificates<T> {
    /// Finds to whom a certificate belongs. Names are compared whole, those of hosts without
    /// regard to case; a `*` in a certificate is a name like others and stands for none.
    ///
    /// # Errors
    ///
    /// Is [`Ambiguous`] when a certificate has alternative names of different owners: to choose
    /// one of them would be to guess.
    pub fn find(
        &self,
        by: MtlsMatch,
        certificate: &ClientCertificate,
    ) -> Result<Option<&T>, Ambiguous> {
        match by {
            MtlsMatch::Subject => Ok(self.subjects.get(&certificate.subject)),
            MtlsMatch::Fingerprint => Ok(self.fingerprints.get(&certificate.fingerprint)),
            MtlsMatch::San => {
                let mut owners = certificate.names.iter().filter_map(|name| self.names.get(name));
                let first = owners.next();
                match owners.all(|owner| Some(owner) == first) {
                    true => Ok(first),
                    false => Err(Ambiguous),
                }
            }
        }
    }
}

impl<T> Default for Certificates<T> {
    fn default() -> Self {
        Certificates::new()
    }
}

impl<T> fmt::Debug for Certificates<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("names", &self.names.len())
            .field("subjects", &self.subjects.len())
            .field("fingerprints", &self.fingerprints.len())
            .finish()
    }
}

impl FromStr for Fingerprint {
    type Err = Invalid;

    /// Reads 64 hexadecimal digits, with a colon after each two or with none.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let coloned = text.len() == 95
            && text.bytes().enumerate().all(|(at, byte)| (at % 3 == 2) == (byte == b':'));
        let digits = if coloned { &text.replace(':', "") } else { text };
        hex::digest(digits).map(Fingerprint).ok_or_else(|| {
            Invalid::new(format!(
                "`{text}` is no fingerprint: it has 64 hexadecimal digits, as `openssl x509 -noout \
                 -fingerprint -sha256` prints them"
            ))
        })
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Subject {
    type Err = Invalid;

    /// It is compared byte for byte with what a certificate says, so what no certificate says is
    /// refused here.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let spaced = text.match_indices(", ").any(|(at, _)| !text[..at].ends_with('\\'));
        if !text.contains('=') || text.starts_with('/') || text.contains(" = ") || spaced {
            return Err(Invalid::new(format!(
                "`{text}` is no subject as it is compared: `CN=ops,O=Example`, without spaces \
                 between its parts, as `openssl x509 -noout -subject -nameopt \
                 RFC2253,-esc_msb,utf8` prints it"
            )));
        }
        Ok(Subject(text.into()))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::value::deserialize_text(deserializer, "the SHA-256 of a certificate")
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::value::deserialize_text(deserializer, "a subject such as `CN=ops,O=Example`")
    }
}

crate::value::schema::word_schema!(
    Fingerprint,
    "CertificateFingerprint",
    "The SHA-256 of a certificate in hexadecimal, with colons or without.",
    {"type": "string", "examples": ["$(env:OPS_CERTIFICATE_SHA256)"]}
);

crate::value::schema::word_schema!(
    Subject,
    "CertificateSubject",
    "The subject of a certificate (RFC 4514), its most specific part first.",
    {"type": "string", "examples": ["CN=ops,O=Example"]}
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn certificate(names: &[&str]) -> ClientCertificate {
        ClientCertificate {
            subject: "CN=ops,O=Example".into(),
            common_name: Some("ops".into()),
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            fingerprint: [0xab; 32],
            not_before: SystemTime::UNIX_EPOCH,
            not_after: SystemTime::UNIX_EPOCH,
            serial: "01".into(),
        }
    }

    fn known(names: &[(&str, &'static str)]) -> Certificates<&'static str> {
        let mut certificates = Certificates::new();
        for (name, owner) in names {
            assert_eq!(certificates.insert_san(name.parse().unwrap(), *owner), None);
        }
        certificates
    }

    #[test]
    fn a_name_belongs_to_its_owner_and_a_kind_is_not_another() {
        let known = known(&[
            ("ops.example.com", "a"),
            ("spiffe://example.com/b", "b"),
            ("c@example.com", "c"),
            ("10.0.0.1", "d"),
        ]);
        let find = |name: &str| known.find(MtlsMatch::San, &certificate(&[name]));
        assert_eq!(find("OPS.example.com"), Ok(Some(&"a")));
        assert_eq!(find("spiffe://example.com/b"), Ok(Some(&"b")));
        assert_eq!(find("c@example.com"), Ok(Some(&"c")));
        assert_eq!(find("10.0.0.1"), Ok(Some(&"d")));
        for stranger in [
            "example.com",
            "*.example.com",
            "ops.example.com.",
            "xops.example.com",
            "spiffe://example.com/B",
            "C@example.com",
            "10.0.0.2",
        ] {
            assert_eq!(find(stranger), Ok(None), "{stranger}");
        }
        let mut disguised = certificate(&[]);
        disguised.names = Box::new([AlternativeName::Dns("10.0.0.1".into())]);
        assert_eq!(known.find(MtlsMatch::San, &disguised), Ok(None));
    }

    #[test]
    fn names_of_different_owners_belong_to_nobody() {
        let known = known(&[("a.example", "a"), ("b.example", "b"), ("aa.example", "a")]);
        let find = |names: &[&str]| known.find(MtlsMatch::San, &certificate(names));
        assert_eq!(find(&["x.example", "a.example"]), Ok(Some(&"a")));
        assert_eq!(find(&["a.example", "aa.example"]), Ok(Some(&"a")));
        assert_eq!(find(&["a.example", "b.example"]), Err(Ambiguous));
        assert_eq!(find(&[]), Ok(None));
    }

    #[test]
    fn a_certificate_is_found_by_what_was_asked_for_and_nothing_else() {
        let mut known = known(&[("ops.example.com", "san")]);
        known.insert_subject("CN=ops,O=Example".parse().unwrap(), "subject");
        known.insert_fingerprint("AB:".repeat(32)[..95].parse().unwrap(), "fingerprint");
        let mut asked = certificate(&["ops.example.com"]);
        assert_eq!(known.find(MtlsMatch::San, &asked), Ok(Some(&"san")));
        assert_eq!(known.find(MtlsMatch::Subject, &asked), Ok(Some(&"subject")));
        assert_eq!(known.find(MtlsMatch::Fingerprint, &asked), Ok(Some(&"fingerprint")));
        asked.subject = "CN=Ops,O=Example".into();
        asked.fingerprint[31] ^= 1;
        assert_eq!(known.find(MtlsMatch::Subject, &asked), Ok(None));
        assert_eq!(known.find(MtlsMatch::Fingerprint, &asked), Ok(None));
    }

    #[test]
    fn a_fingerprint_is_read_with_colons_or_without() {
        let plain = "ab".repeat(32);
        let coloned = "AB:".repeat(32)[..95].to_owned();
        assert_eq!(plain.parse::<Fingerprint>().unwrap(), coloned.parse().unwrap());
        let misplaced = format!("a:b{}", &coloned[3..]);
        for bad in ["", "ab", &coloned[..94], &misplaced, &plain.replace("abab", "ab:b")] {
            let refusal = bad.parse::<Fingerprint>().unwrap_err().to_string();
            assert!(refusal.contains("64 hexadecimal digits"), "{refusal}");
        }
    }

    #[test]
    fn a_subject_that_no_certificate_could_have_is_refused() {
        for bad in ["ops", "/O=Example/CN=ops", "CN=ops, O=Example", "CN = ops,O = Example"] {
            let refusal = bad.parse::<Subject>().unwrap_err().to_string();
            assert!(refusal.contains("`CN=ops,O=Example`"), "{refusal}");
        }
        assert!(r"CN=ops\, inc,O=Example".parse::<Subject>().is_ok());
    }

    #[test]
    fn what_a_match_goes_by_is_a_word() {
        assert_eq!(serde_yaml::from_str::<MtlsMatch>("san").unwrap(), MtlsMatch::default());
        assert_eq!(serde_yaml::from_str::<MtlsMatch>("subject").unwrap(), MtlsMatch::Subject);
        assert!(serde_yaml::from_str::<MtlsMatch>("issuer").is_err());
    }
}
