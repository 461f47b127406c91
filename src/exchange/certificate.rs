//! The certificate with which a client proved itself when it shook hands (RFC 8446 §4.4.2). Whether to
//! trust it was decided there; here is only what it says.

mod name;
mod subject;
#[cfg(test)]
mod tests;

pub use name::AlternativeName;

use aws_lc_rs::digest::{SHA256, digest};
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

/// What a client's certificate says, read once for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject as a string (RFC 4514), most specific part first: `CN=ops,O=Example,C=DE`.
    pub subject: Box<str>,
    /// The common name, if the subject has one; the most specific if it has several.
    pub common_name: Option<Box<str>>,
    /// The names of the extension for them (RFC 5280 §4.2.1.6), in its order. Kinds of names that
    /// nothing here goes by are left out.
    pub names: Box<[AlternativeName]>,
    /// The SHA-256 of the whole certificate.
    pub fingerprint: [u8; 32],
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid, that second included.
    pub not_after: SystemTime,
    /// The serial number in lower-case hexadecimal, two digits for each of its bytes.
    pub serial: Box<str>,
}

/// That a certificate cannot be read as a whole. What can be read of it is not used: who has made
/// a part of it unreadable may have had a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// It is not the DER of a certificate (RFC 5280 §4.1), or more than that.
    #[error("it is not the DER of one certificate")]
    Der,
    /// The extension for further names is broken or stands there twice.
    #[error("its alternative names cannot be read")]
    Names,
}

impl ClientCertificate {
    /// Reads a certificate.
    ///
    /// # Errors
    ///
    /// Refuses what is not the DER of one certificate and no more, and alternative names that are
    /// broken: host names, URIs and e-mail addresses that are empty or have characters other than
    /// visible ASCII, addresses that are neither of four bytes nor of sixteen.
    pub fn from_der(der: &[u8]) -> Result<Self, BadCertificate> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| BadCertificate::Der)?;
        if !rest.is_empty() {
            return Err(BadCertificate::Der);
        }
        let extension =
            certificate.subject_alternative_name().map_err(|_| BadCertificate::Names)?;
        let names = extension.map_or(&[][..], |extension| &extension.value.general_names);
        let names = names.iter().filter_map(|name| AlternativeName::read(name).transpose());
        let subject = certificate.subject();
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        Ok(ClientCertificate {
            subject: subject::text(subject).into(),
            common_name: subject::common_name(subject),
            names: names.collect::<Result<_, _>>()?,
            fingerprint,
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
            serial: subject::hex(certificate.raw_serial()).into(),
        })
    }

    /// The names of hosts.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| match name {
            AlternativeName::Dns(name) => Some(&**name),
            _ => None,
        })
    }
}

/// A time of a certificate, which lies between the years 0 and 9999.
fn time(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let span = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { SystemTime::UNIX_EPOCH - span } else { SystemTime::UNIX_EPOCH + span }
}
