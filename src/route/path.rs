//! The paths that a rule serves.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::exchange::{Parameters, PathRules};
use crate::value::{Invalid, Pattern};

use super::Template;

/// A condition on the path of a request. What was typed is normalised as requests are, so that it
/// is compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This path alone.
    Exact(Box<str>),
    /// A path with placeholders.
    Template(Template),
    /// This path and those below it, by whole segments: `/users` serves `/users` and `/users/1`,
    /// not `/users2`. A trailing slash changes nothing, and `/` serves every path.
    Prefix(Box<str>),
    /// Every path that the expression matches as a whole, as it goes to the service: normalised,
    /// with its percent-encodings.
    Regex(Pattern),
}

impl PathPattern {
    /// Makes an exact path, and refuses what no request could ever have as its path.
    pub fn exact(text: &str, rules: PathRules) -> Result<Self, Invalid> {
        Ok(PathPattern::Exact(normal(text, rules)?.into()))
    }

    /// Makes a prefix, and refuses what no request's path could ever begin with.
    pub fn prefix(text: &str, rules: PathRules) -> Result<Self, Invalid> {
        if let Some(before) = text.strip_suffix("/*") {
            return Err(Invalid::new(format!(
                "the prefix `{text}` needs no `*`: did you mean `{before}/`?"
            )));
        }
        Ok(PathPattern::Prefix(normal(text, rules)?.into()))
    }

    /// Makes a template, and refuses what no request's path could ever fit.
    pub fn template(text: &str, rules: PathRules) -> Result<Self, Invalid> {
        Template::parse(text, rules).map(PathPattern::Template)
    }

    /// Where its named parts are found in a path that fits; `None` where nothing has a name.
    pub fn parameters(&self) -> Option<Parameters> {
        match self {
            PathPattern::Exact(_) | PathPattern::Prefix(_) => None,
            PathPattern::Template(template) => Some(template.parameters()),
            PathPattern::Regex(pattern) => {
                pattern.names().next()?;
                Some(Parameters::Groups(pattern.clone()))
            }
        }
    }
}

/// Normalises a path that was typed. Percent-encodings get their one spelling; what normalisation
/// would resolve or refuse is more likely a slip, and is told.
pub(super) fn normal(text: &str, rules: PathRules) -> Result<String, Invalid> {
    let refuse = |reason: String| Err(Invalid::new(format!("the path `{text}` {reason}")));
    if !text.starts_with('/') {
        return refuse("must begin with `/`".to_owned());
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:@".contains(*c)))
    {
        Some('?') => return refuse("must not hold a query".to_owned()),
        Some('{' | '}') => {
            return refuse("holds a placeholder: write it as a `template`".to_owned());
        }
        Some(c) => {
            let encoded: String = c.encode_utf8(&mut [0; 4]).bytes().map(encode).collect();
            return refuse(format!(
                "holds {c:?}, which a path has only percent-encoded: did you mean `{encoded}`?"
            ));
        }
        None => {}
    }
    let normal = match rules.normalise(text) {
        Ok(normal) => normal.into_owned(),
        Err(reason) => return refuse(format!("is none that a request can have: {reason}")),
    };
    let is_dots = |segment: &str| {
        let mut decoded = percent_decode_str(segment);
        decoded.clone().eq(*b".") || decoded.by_ref().eq(*b"..")
    };
    if text.split('/').any(is_dots) || text.split('/').count() != normal.split('/').count() {
        return refuse(format!(
            "has a segment that is `.`, `..` or empty, and requests are rid of these before \
             matching: did you mean `{normal}`?"
        ));
    }
    Ok(normal)
}

fn encode(byte: u8) -> &'static str {
    percent_encoding::percent_encode_byte(byte)
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Exact(path) => write!(f, "exact {path}"),
            PathPattern::Template(template) => write!(f, "template {template}"),
            PathPattern::Prefix(path) => write!(f, "prefix {path}"),
            PathPattern::Regex(pattern) => write!(f, "regex {pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{EmptySegments, EncodedSlashes};

    const RULES: PathRules =
        PathRules { empty_segments: EmptySegments::Merge, encoded_slashes: EncodedSlashes::Refuse };
    const KEEP: PathRules =
        PathRules { empty_segments: EmptySegments::Keep, encoded_slashes: EncodedSlashes::Keep };

    #[test]
    fn path_that_no_request_has_is_refused() {
        for (text, message) in [
            ("", "must begin with `/`"),
            ("users", "must begin with `/`"),
            ("/users?id=1", "must not hold a query"),
            ("/users/{id}", "write it as a `template`"),
            ("/my users", "did you mean `%20`?"),
            ("/café", "did you mean `%C3%A9`?"),
            ("/a/../b", "did you mean `/b`?"),
            ("/a/%2e/b", "did you mean `/a/b`?"),
            ("/a//b", "did you mean `/a/b`?"),
            ("/a%2fb", "slash or backslash that is percent-encoded"),
            ("/a%zz", "percent sign"),
            ("/a/..;/b", "dot segment in disguise"),
        ] {
            for pattern in [PathPattern::exact(text, RULES), PathPattern::prefix(text, RULES)] {
                let refusal = pattern.unwrap_err().to_string();
                assert!(refusal.contains(message), "{text}: {refusal}");
            }
        }
    }

    #[test]
    fn what_a_listener_keeps_a_pattern_may_have() {
        for text in ["/a//b", "/a%2Fb"] {
            assert_eq!(PathPattern::exact(text, KEEP), Ok(PathPattern::Exact(text.into())));
        }
        assert!(PathPattern::exact("/a/../b", KEEP).is_err());
    }

    #[test]
    fn star_at_the_end_of_a_prefix_is_refused() {
        let refusal = PathPattern::prefix("/api/*", RULES).unwrap_err().to_string();
        assert!(refusal.contains("did you mean `/api/`?"), "{refusal}");
    }

    #[test]
    fn percent_encodings_are_brought_to_their_one_spelling() {
        let exact = |text| PathPattern::exact(text, RULES);
        assert_eq!(exact("/"), Ok(PathPattern::Exact("/".into())));
        assert_eq!(exact("/caf%c3%a9/%7eme"), Ok(PathPattern::Exact("/caf%C3%A9/~me".into())));
        let text = "/caf%C3%A9/v1.2/(a)/";
        assert_eq!(PathPattern::prefix(text, RULES), Ok(PathPattern::Prefix(text.into())));
    }

    #[test]
    fn only_what_has_names_has_parameters() {
        let regex = |text: &str| PathPattern::Regex(text.parse().unwrap());
        assert!(PathPattern::exact("/a", RULES).unwrap().parameters().is_none());
        assert!(regex("/([0-9]+)").parameters().is_none());
        assert!(regex("/(?<id>[0-9]+)").parameters().is_some());
        assert!(PathPattern::template("/{id}", RULES).unwrap().parameters().is_some());
    }
}
