//! Where credentials stand in requests: a header, a cookie, a parameter of the query.
//!
//! Whatever stands there twice is refused, since this gateway might check one of them and the
//! service behind read the other.

mod remove;
#[cfg(test)]
mod tests;

use super::{Authorization, Malformed};
use crate::value::{HeaderName, Invalid, nearest};
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A place where a credential may stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// `header.authorization`: the token of the scheme `Bearer`.
    Bearer,
    /// `header.NAME`: the whole value of another header.
    Header(http::HeaderName),
    /// `cookie.NAME`: the value of a cookie, quotes and all (RFC 6265 §4.1.1).
    Cookie(Box<str>),
    /// `query.NAME`: the value of a query parameter, percent-decoded, `+` left as it is.
    Query(Box<str>),
}

impl Place {
    /// Finds what stands at the place. That something is empty is not that it is not there.
    ///
    /// # Errors
    ///
    /// Refuses what stands there twice, even the same, what is empty, and what has characters
    /// other than visible ASCII. An `Authorization` field that is malformed in any scheme is
    /// refused; one of another scheme is no credential of this place.
    pub fn find<'a>(&self, head: &'a Parts) -> Result<Option<Cow<'a, str>>, Malformed> {
        match self {
            Place::Bearer => {
                let read = Authorization::read(&head.headers)?;
                Ok(read.and_then(Authorization::bearer).map(Cow::Borrowed))
            }
            Place::Header(name) => {
                let mut lines = head.headers.get_all(name).iter();
                let value = only(&mut lines)?;
                value.map(|value| credential(trim(value.as_bytes())).map(Cow::Borrowed)).transpose()
            }
            Place::Cookie(name) => {
                let lines = head.headers.get_all(COOKIE).iter();
                let mut found = lines
                    .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
                    .filter_map(|pair| cookie(pair, name));
                only(&mut found)?.map(|value| credential(value?).map(Cow::Borrowed)).transpose()
            }
            Place::Query(name) => {
                let query = head.uri.query().unwrap_or_default();
                let mut found = query.split('&').filter_map(|pair| parameter(pair, name));
                only(&mut found)?.map(decode).transpose()
            }
        }
    }
}

/// Finds the one credential that stands at one of some places, or at several of them, and the first
/// of these.
///
/// # Errors
///
/// Refuses what is malformed at any of the places, and credentials that differ (RFC 6750 §2).
pub fn find_one<'p, 'a>(
    places: &'p [Place],
    head: &'a Parts,
) -> Result<Option<(&'p Place, Cow<'a, str>)>, Malformed> {
    let mut found: Option<(&Place, Cow<'a, str>)> = None;
    for place in places {
        match (&found, place.find(head)?) {
            (_, None) => {}
            (None, Some(credential)) => found = Some((place, credential)),
            (Some((_, known)), Some(credential)) if *known == credential => {}
            (Some(_), Some(_)) => return Err(Malformed::Several),
        }
    }
    Ok(found)
}

/// Takes the only one there is.
fn only<T>(items: &mut impl Iterator<Item = T>) -> Result<Option<T>, Malformed> {
    let first = items.next();
    if first.is_some() && items.next().is_some() {
        return Err(Malformed::Repeated);
    }
    Ok(first)
}

/// Takes visible ASCII for a credential.
fn credential(value: &[u8]) -> Result<&str, Malformed> {
    if value.is_empty() {
        return Err(Malformed::Empty);
    }
    if !value.iter().all(u8::is_ascii_graphic) {
        return Err(Malformed::Characters);
    }
    std::str::from_utf8(value).map_err(|_| Malformed::Characters)
}

/// Takes optional whitespace (RFC 9110 §5.6.3) from both ends.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The value of a cookie, if the pair has its name. There is no whitespace about the `=` (RFC 6265
/// §4.1.1), but some readers take it away, so that a name with some is the same name, badly written.
fn cookie<'a>(pair: &'a [u8], name: &str) -> Option<Result<&'a [u8], Malformed>> {
    let pair = trim(pair);
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    let (written, value) = (&pair[..equals], &pair[equals + 1..]);
    if trim(written) != name.as_bytes() {
        return None;
    }
    Some(if written.len() == name.len() { Ok(value) } else { Err(Malformed::Characters) })
}

/// The value of a query parameter, still encoded, if the pair has its name however encoded.
fn parameter<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    let (written, value) = pair.split_once('=').unwrap_or((pair, ""));
    percent_encoding::percent_decode_str(written).eq(name.bytes()).then_some(value)
}

/// Decodes the value of a query parameter. One without escapes, as tokens are, is not copied.
fn decode(value: &str) -> Result<Cow<'_, str>, Malformed> {
    credential(value.as_bytes())?;
    if !value.contains('%') {
        return Ok(Cow::Borrowed(value));
    }
    let whole = value.split('%').skip(1).all(|rest| match rest.as_bytes() {
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    });
    if !whole {
        return Err(Malformed::Characters);
    }
    let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode_str(value).into();
    credential(&decoded).map(|text| Cow::Owned(text.to_owned()))
}

/// What stands before the name in the word.
const KINDS: [&str; 3] = ["header", "cookie", "query"];

impl FromStr for Place {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (kind, name) = text.split_once('.').unwrap_or((text, ""));
        match kind {
            "header" => match name.parse::<HeaderName>()?.into_inner() {
                AUTHORIZATION => Ok(Place::Bearer),
                COOKIE => Err(Invalid::new("a cookie stands at `cookie.NAME`")),
                name => Ok(Place::Header(name)),
            },
            "cookie" => {
                check_cookie_name(name)?;
                Ok(Place::Cookie(name.into()))
            }
            "query" if name.is_empty() => {
                Err(Invalid::new("a query parameter's name is missing after `query.`"))
            }
            "query" => Ok(Place::Query(name.into())),
            _ => Err(unknown(text, kind, name)),
        }
    }
}

/// A cookie's name is a token (RFC 6265 §4.1.1), as the name of a header is.
fn check_cookie_name(name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(Invalid::new("a cookie's name is missing after `cookie.`"));
    }
    let in_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match name.chars().find(|c| !in_token(*c)) {
        Some(c) => Err(Invalid::new(format!("the cookie name `{name}` must not hold {c:?}"))),
        None => Ok(()),
    }
}

fn unknown(text: &str, kind: &str, name: &str) -> Invalid {
    let name = if name.is_empty() { "NAME" } else { name };
    // Most who leave the kind out mean a header.
    let meant = match nearest(kind, KINDS) {
        Some(kind) => format!("did you mean `{kind}.{name}`?"),
        None if !text.contains('.') && text.parse::<HeaderName>().is_ok() => {
            format!("did you mean `header.{text}`?")
        }
        None => "there are header.NAME, cookie.NAME, query.NAME".to_owned(),
    };
    Invalid::new(format!("no credential stands at `{text}`: {meant}"))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Bearer => f.write_str("header.authorization"),
            Place::Header(name) => write!(f, "header.{name}"),
            Place::Cookie(name) => write!(f, "cookie.{name}"),
            Place::Query(name) => write!(f, "query.{name}"),
        }
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::value::deserialize_text(deserializer, "a place such as `header.authorization`")
    }
}

crate::value::schema::word_schema!(
    Place,
    "CredentialPlace",
    "Where a credential stands: `header.authorization` (its bearer token), `header.NAME`, \
     `cookie.NAME` or `query.NAME`.",
    {"type": "string", "examples": [
        "header.authorization", "header.x-api-key", "cookie.session", "query.access_token",
    ]}
);
