//! The two tokens of HTTP (RFC 9110 §5.6.2) that a configuration writes: header names and
//! methods. The `http` crate refuses a bad one without saying what is bad about it; these do.

use super::schema::word_schema;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{Invalid, deserialize_text};

/// The name of a header field. Case is folded, as field names ignore it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderName(http::HeaderName);

/// A request method. Methods are case-sensitive (RFC 9110 §9.1), so `get` is refused rather than
/// taken for a method that no client sends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Method(http::Method);

impl HeaderName {
    /// Returns the name as the `http` crate has it.
    pub fn into_inner(self) -> http::HeaderName {
        self.0
    }
}

impl Method {
    /// Returns the method as the `http` crate has it.
    pub fn into_inner(self) -> http::Method {
        self.0
    }
}

impl FromStr for HeaderName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        check_token(text, "header name")?;
        http::HeaderName::from_bytes(text.as_bytes())
            .map(HeaderName)
            .map_err(|_| Invalid::new(format!("the header name `{}…` is too long", &text[..32])))
    }
}

impl FromStr for Method {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        check_token(text, "method")?;
        if text.contains(|c: char| c.is_ascii_lowercase()) {
            let meant = text.to_ascii_uppercase();
            return Err(Invalid::new(format!(
                "the method `{text}` has lower case: did you mean `{meant}`?"
            )));
        }
        http::Method::from_bytes(text.as_bytes())
            .map(Method)
            .map_err(|_| Invalid::new(format!("`{text}` is not a method")))
    }
}

/// Refuses text that is empty or holds what no token may hold, and names the culprit.
pub(super) fn check_token(text: &str, what: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(format!("a {what} is missing here")));
    }
    let in_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match text.chars().find(|c| !in_token(*c)) {
        Some(c) => Err(Invalid::new(format!("the {what} `{text}` must not hold {c:?}"))),
        None => Ok(()),
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Deref for HeaderName {
    type Target = http::HeaderName;

    fn deref(&self) -> &http::HeaderName {
        &self.0
    }
}

impl Deref for Method {
    type Target = http::Method;

    fn deref(&self) -> &http::Method {
        &self.0
    }
}

impl<'de> Deserialize<'de> for HeaderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a header name")
    }
}

word_schema!(
    HeaderName,
    "HeaderName",
    "The name of a header field; its case does not count.",
    {"type": "string", "examples": ["x-request-id"]}
);

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a method such as `GET`")
    }
}

word_schema!(
    Method,
    "Method",
    "A request method, in capitals as it is sent.",
    {"type": "string", "examples": ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]}
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_fold_case() {
        let name: HeaderName = serde_yaml::from_str("X-Request-Id").unwrap();
        assert_eq!(name.to_string(), "x-request-id");
        assert_eq!(*name, http::HeaderName::from_static("x-request-id"));
    }

    #[test]
    fn bad_header_name_is_told_its_bad_character() {
        let refusal = |text: &str| text.parse::<HeaderName>().unwrap_err().to_string();
        assert_eq!(refusal("x request"), "the header name `x request` must not hold ' '");
        assert_eq!(refusal("x-id:"), "the header name `x-id:` must not hold ':'");
        assert_eq!(refusal(""), "a header name is missing here");
        assert!(refusal(&"x".repeat(70_000)).contains("too long"));
    }

    #[test]
    fn methods_keep_their_case() {
        let refusal = |text: &str| text.parse::<Method>().unwrap_err().to_string();
        assert_eq!(*"GET".parse::<Method>().unwrap(), http::Method::GET);
        assert_eq!("PURGE".parse::<Method>().unwrap().to_string(), "PURGE");
        assert!(refusal("get").contains("did you mean `GET`?"));
        assert!(refusal("GET,POST").contains("must not hold ','"));
    }
}
