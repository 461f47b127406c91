//! The `Authorization` field (RFC 9110 §11.4, §11.6.2): one scheme, and for the schemes that are
//! checked here exactly one token68 after it.
//!
//! Nothing is repaired. A field that two readers could take for different things is refused, since
//! the service behind may be the other reader.

#[cfg(test)]
mod tests;

use super::{Malformed, Scheme};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::fmt;

/// What an `Authorization` field says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// A bearer token (RFC 6750 §2.1): a b64token, still unchecked.
    Bearer(&'a str),
    /// User and password (RFC 7617 §2): a token68, still encoded.
    Basic(&'a str),
    /// A scheme that is not read here.
    Other {
        /// The scheme as the client wrote it; schemes ignore case.
        scheme: &'a str,
        /// What follows it and its spaces, unread.
        rest: &'a [u8],
    },
}

impl<'a> Authorization<'a> {
    /// Reads the field, if there is one.
    ///
    /// # Errors
    ///
    /// Refuses a second field line, as the field is no list (RFC 9110 §5.3), a value without a
    /// scheme, and what is not exactly one token68 after `Bearer` or `Basic`.
    pub fn read(headers: &'a HeaderMap) -> Result<Option<Self>, Malformed> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Authorization::parse(value).map(Some),
            (Some(_), Some(_)) => Err(Malformed::Repeated),
        }
    }

    /// Reads `auth-scheme [ 1*SP … ]`. Whitespace around the value is none of it (RFC 9110 §5.5):
    /// the parser of HTTP/1.1 has taken it away, and in HTTP/2 it is a mistake (RFC 9113 §8.2.1).
    fn parse(value: &'a HeaderValue) -> Result<Self, Malformed> {
        let value = value.as_bytes();
        let end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        if scheme.is_empty() || !scheme.iter().all(|&byte| is(byte, TCHAR)) {
            return Err(Malformed::NoScheme);
        }
        let scheme = std::str::from_utf8(scheme).map_err(|_| Malformed::NoScheme)?;
        let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
        let rest = &rest[spaces..];
        if scheme.eq_ignore_ascii_case("bearer") {
            token68(rest).map(Authorization::Bearer).ok_or(Malformed::Token(Scheme::Bearer))
        } else if scheme.eq_ignore_ascii_case("basic") {
            token68(rest).map(Authorization::Basic).ok_or(Malformed::Token(Scheme::Basic))
        } else {
            Ok(Authorization::Other { scheme, rest })
        }
    }

    /// The bearer token, if the scheme is `Bearer`.
    pub const fn bearer(self) -> Option<&'a str> {
        match self {
            Authorization::Bearer(token) => Some(token),
            _ => None,
        }
    }

    /// The encoded user and password, if the scheme is `Basic`.
    pub const fn basic(self) -> Option<&'a str> {
        match self {
            Authorization::Basic(token) => Some(token),
            _ => None,
        }
    }

    /// Removes the field from a head that goes to a service, whatever its scheme.
    pub fn remove(headers: &mut HeaderMap) {
        headers.remove(AUTHORIZATION);
    }
}

/// Tells the scheme and nothing of the credential.
impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Authorization::Bearer(_) => "Bearer(…)",
            Authorization::Basic(_) => "Basic(…)",
            Authorization::Other { .. } => "Other(…)",
        })
    }
}

/// Reads `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` to the end of the text.
fn token68(text: &[u8]) -> Option<&str> {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let characters = &text[..text.len() - padding];
    // By sixteens, since a look for the first that is wrong after each byte costs as much as the byte.
    let are_good =
        |some: &[u8]| some.iter().fold(TOKEN68, |all, &byte| all & CLASSES[usize::from(byte)]) != 0;
    let good = !characters.is_empty() && characters.chunks(16).all(are_good);
    // What is checked above is ASCII; asking again is cheaper than being wrong.
    if good { std::str::from_utf8(text).ok() } else { None }
}

/// A character of a token (RFC 9110 §5.6.2).
const TCHAR: u8 = 1;
/// A character of a token68 before its padding (RFC 9110 §11.2).
const TOKEN68: u8 = 2;

/// What each byte may be part of: one lookup for each byte of a token that may have thousands.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if character.is_ascii_alphanumeric() {
            classes[byte] = TCHAR | TOKEN68;
        }
        byte += 1;
    }
    let (tchar, mut at) = (b"!#$%&'*+-.^_`|~", 0);
    while at < tchar.len() {
        classes[tchar[at] as usize] |= TCHAR;
        at += 1;
    }
    let (token68, mut at) = (b"-._~+/", 0);
    while at < token68.len() {
        classes[token68[at] as usize] |= TOKEN68;
        at += 1;
    }
    classes
};

fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}
