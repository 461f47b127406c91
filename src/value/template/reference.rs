//! What a template may refer to. The names are the contract of the configuration, so those that
//! belong to features which this version does not have are told apart from typing mistakes.

use std::fmt;
use std::str::FromStr;

use crate::value::token::check_token;
use crate::value::{HeaderName, Invalid, nearest};

/// Something about a request that a template names. An environment variable is none: it is
/// resolved before a template exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `client.ip`: the address of the client, behind trusted proxies if there are any.
    ClientIp,
    /// `header.NAME`: the value of a header of the request.
    Header(http::HeaderName),
    /// `query.NAME`: the value of a query parameter.
    Query(String),
    /// `cookie.NAME`: the value of a cookie.
    Cookie(String),
    /// `request.id`: the identifier that this gateway made or kept.
    RequestId,
    /// `request.method`: the method.
    RequestMethod,
    /// `request.host`: the host that the client asked for.
    RequestHost,
    /// `request.path`: the path, without its query.
    RequestPath,
    /// `path.NAME`: the part of the path that the route's pattern calls so, percent-decoded.
    Path(String),
}

/// The references that are whole words.
const PLAIN: [(&str, Reference); 5] = [
    ("client.ip", Reference::ClientIp),
    ("request.id", Reference::RequestId),
    ("request.method", Reference::RequestMethod),
    ("request.host", Reference::RequestHost),
    ("request.path", Reference::RequestPath),
];

/// What stands before a name in the others.
const NAMED: [&str; 6] = ["header.", "query.", "cookie.", "path.", "env:", "file:"];

/// The beginnings that mean something elsewhere in the configuration, or will.
const ELSEWHERE: [&str; 3] = ["consumer.", "identity.", "answer."];

impl FromStr for Reference {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some((_, reference)) = PLAIN.iter().find(|(word, _)| *word == text) {
            return Ok(reference.clone());
        }
        if let Some(name) = text.strip_prefix("header.") {
            return Ok(Reference::Header(name.parse::<HeaderName>()?.into_inner()));
        }
        if let Some(name) = text.strip_prefix("cookie.") {
            check_token(name, "cookie name")?;
            return Ok(Reference::Cookie(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("query.") {
            if name.is_empty() {
                return Err(Invalid::new("a query parameter's name is missing after `query.`"));
            }
            return Ok(Reference::Query(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("path.") {
            if name.is_empty() {
                return Err(Invalid::new("the name of a placeholder is missing after `path.`"));
            }
            return Ok(Reference::Path(name.to_owned()));
        }
        if ELSEWHERE.iter().any(|beginning| text.starts_with(beginning)) {
            return Err(Invalid::new(format!("the reference `{text}` is not available here")));
        }
        Err(unknown(text))
    }
}

/// Whether text that is no reference was probably meant to be one: `client.pi`, and not
/// `127.0.0.1:8080`.
pub(super) fn looks_like_one(text: &str) -> bool {
    let heads = NAMED.iter().chain(&ELSEWHERE).copied().chain(["client.", "request."]);
    let heads = heads.map(|head| &head[..head.len() - 1]);
    text.split_once(['.', ':']).is_some_and(|(head, _)| nearest(head, heads).is_some())
}

/// Answers a reference that means nothing with the one that was probably meant.
fn unknown(text: &str) -> Invalid {
    let (head, tail) = match text.find(['.', ':']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let heads = NAMED.map(|beginning| &beginning[..beginning.len() - 1]);
    // A whole word is the better guess: `client.pi` is closer to `client.ip` than to a header.
    let meant =
        nearest(text, PLAIN.iter().map(|(word, _)| *word)).map(str::to_owned).or_else(|| {
            let head = nearest(head, heads)?;
            let beginning = NAMED.iter().find(|beginning| beginning.starts_with(head))?;
            Some(format!("{beginning}{}", if tail.is_empty() { "NAME" } else { tail }))
        });
    Invalid::new(match meant {
        Some(meant) => format!("unknown reference `{text}`: did you mean `{meant}`?"),
        None => {
            let plain: Vec<_> = PLAIN.iter().map(|(word, _)| *word).collect();
            format!(
                "unknown reference `{text}`: there are {}, {}NAME",
                plain.join(", "),
                NAMED.join("NAME, ")
            )
        }
    })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Header(name) => write!(f, "header.{name}"),
            Reference::Query(name) => write!(f, "query.{name}"),
            Reference::Cookie(name) => write!(f, "cookie.{name}"),
            Reference::Path(name) => write!(f, "path.{name}"),
            Reference::ClientIp => f.write_str("client.ip"),
            Reference::RequestId => f.write_str("request.id"),
            Reference::RequestMethod => f.write_str("request.method"),
            Reference::RequestHost => f.write_str("request.host"),
            Reference::RequestPath => f.write_str("request.path"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<Reference>().unwrap_err().to_string()
    }

    #[test]
    fn display_parses_back() {
        let named = ["header.x-id", "query.page[size]", "cookie.session", "path.id"];
        for text in PLAIN.iter().map(|(word, _)| *word).chain(named) {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn header_names_fold_case() {
        let folded = Reference::Header(http::HeaderName::from_static("x-id"));
        assert_eq!("header.X-Id".parse(), Ok(folded));
    }

    #[test]
    fn typing_mistake_is_told_what_was_meant() {
        assert!(refusal("client.pi").contains("did you mean `client.ip`?"));
        assert!(refusal("request.methods").contains("did you mean `request.method`?"));
        assert!(refusal("headers.x-id").contains("did you mean `header.x-id`?"));
        assert!(refusal("env.HOME").contains("did you mean `env:HOME`?"));
        assert!(refusal("header").contains("did you mean `header.NAME`?"));
        assert!(refusal("banana.split").contains("there are client.ip, request.id"));
    }

    #[test]
    fn reference_of_another_place_is_not_available() {
        for text in ["consumer.name", "identity.sub", "answer.body.id"] {
            assert_eq!(refusal(text), format!("the reference `{text}` is not available here"));
        }
    }

    #[test]
    fn named_reference_needs_a_good_name() {
        assert!(refusal("header.").contains("a header name is missing"));
        assert!(refusal("header.a/b").contains("must not hold '/'"));
        assert!(refusal("cookie.a=b").contains("must not hold '='"));
        assert!(refusal("query.").contains("is missing after `query.`"));
        assert!(refusal("path.").contains("is missing after `path.`"));
    }
}
