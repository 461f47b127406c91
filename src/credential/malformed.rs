//! What can be wrong with the way in which a credential is presented. No variant has the credential
//! in it, so none can tell it to a log.

use std::fmt;

/// Why what a client presents is no credential that could be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It stands there more than once: fields, cookies or parameters of one name.
    #[error("the credential stands there more than once")]
    Repeated,
    /// Several places of the request have different ones (RFC 6750 §2).
    #[error("several places have different credentials")]
    Several,
    /// The `Authorization` field has no scheme, or a character that no scheme has.
    #[error("the Authorization field does not begin with a scheme")]
    NoScheme,
    /// What follows the scheme is not what the scheme asks for.
    #[error("what follows the scheme {0} is not one token")]
    Token(Scheme),
    /// Its base64 does not decode to a user and a password (RFC 7617 §2).
    #[error("the Basic credentials do not decode to a user and a password")]
    Userpass,
    /// There is nothing where the credential should be.
    #[error("the credential is empty")]
    Empty,
    /// It has a character that is not visible ASCII, or a broken percent-encoding.
    #[error("the credential has characters other than visible ASCII")]
    Characters,
}

/// An authentication scheme that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer` (RFC 6750).
    Bearer,
    /// `Basic` (RFC 7617).
    Basic,
}

impl Malformed {
    /// The scheme that the client meant to use, as far as it is known: what to answer differs
    /// (RFC 6750 §3.1).
    pub const fn scheme(self) -> Option<Scheme> {
        match self {
            Malformed::Token(scheme) => Some(scheme),
            Malformed::Userpass => Some(Scheme::Basic),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Bearer => "Bearer",
            Scheme::Basic => "Basic",
        })
    }
}
