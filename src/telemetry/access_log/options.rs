//! What an operator may say about the access log.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use thiserror::Error;

/// How and where requests are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What a line looks like.
    pub format: Format,
    /// Where lines go.
    pub path: Target,
    /// Requests that take at least this long are logged at `warn`, with `"slow":true`.
    pub slow: Option<Duration>,
    /// Values that are logged as `***`.
    pub mask: Vec<Masked>,
    /// Request headers to log besides the fixed fields.
    pub headers: Vec<HeaderName>,
}

impl Default for Options {
    /// JSON to standard output, with the usual carriers of credentials masked.
    fn default() -> Options {
        Options {
            format: Format::Json,
            path: Target::Stdout,
            slow: None,
            mask: vec![
                Masked::Header(AUTHORIZATION),
                Masked::Header(COOKIE),
                Masked::Header(PROXY_AUTHORIZATION),
                Masked::Query("access_token".to_owned()),
                Masked::Query("token".to_owned()),
            ],
            headers: Vec::new(),
        }
    }
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    #[default]
    Json,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Nowhere: nothing is formatted.
    Off,
    /// The end of this file, which is created where it is missing.
    File(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Stdout => f.write_str("stdout"),
            Target::Off => f.write_str("off"),
            Target::File(path) => path.display().fmt(f),
        }
    }
}

/// A value that must not be read in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Masked {
    /// A request header.
    Header(HeaderName),
    /// A query parameter, by its name as decoded.
    Query(String),
}

/// What was written is no option of the access log.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Invalid {
    /// No format has this name.
    #[error("`{0}` is not a format of the access log: write `json`")]
    Format(String),
    /// Neither a known word nor plainly a path.
    #[error("`{0}` is neither `stdout`, `off` nor a path with a `/` in it")]
    Target(String),
    /// Neither a header nor a query parameter.
    #[error("`{0}` cannot be masked: write `header.NAME` or `query.NAME`")]
    Masked(String),
    /// No header can have this name.
    #[error("`{0}` is not a header name")]
    Header(String),
}

impl FromStr for Format {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Format, Invalid> {
        match text {
            "json" => Ok(Format::Json),
            _ => Err(Invalid::Format(text.to_owned())),
        }
    }
}

impl FromStr for Target {
    type Err = Invalid;

    /// A path needs a `/`, so that a misspelt word does not become a file of that name.
    fn from_str(text: &str) -> Result<Target, Invalid> {
        match text {
            "stdout" => Ok(Target::Stdout),
            "off" => Ok(Target::Off),
            path if path.contains('/') => Ok(Target::File(path.into())),
            _ => Err(Invalid::Target(text.to_owned())),
        }
    }
}

impl FromStr for Masked {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Masked, Invalid> {
        match text.split_once('.') {
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes())
                .map(Masked::Header)
                .map_err(|_| Invalid::Header(name.to_owned())),
            Some(("query", name)) if !name.is_empty() => Ok(Masked::Query(name.to_owned())),
            _ => Err(Invalid::Masked(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_names_a_header_or_a_query_parameter() {
        assert_eq!(
            "header.X-Api-Key".parse(),
            Ok(Masked::Header(HeaderName::from_static("x-api-key")))
        );
        assert_eq!("query.a.b".parse(), Ok(Masked::Query("a.b".to_owned())));
    }

    #[test]
    fn anything_else_to_mask_is_refused_with_what_was_meant() {
        let error = |text: &str| text.parse::<Masked>().unwrap_err().to_string();
        let meant = "write `header.NAME` or `query.NAME`";
        for text in ["authorization", "cookie.sid", "query.", "", "Header.a"] {
            assert_eq!(error(text), format!("`{text}` cannot be masked: {meant}"));
        }
        assert_eq!(error("header.a b"), "`a b` is not a header name");
    }

    #[test]
    fn target_is_a_known_word_or_a_path() {
        assert_eq!("stdout".parse(), Ok(Target::Stdout));
        assert_eq!("off".parse(), Ok(Target::Off));
        assert_eq!("./a.log".parse(), Ok(Target::File("./a.log".into())));
        assert_eq!(
            "stduot".parse::<Target>().unwrap_err().to_string(),
            "`stduot` is neither `stdout`, `off` nor a path with a `/` in it"
        );
    }

    #[test]
    fn format_is_json() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert!("combined".parse::<Format>().is_err());
    }
}
