//! Rewriting of a request's path. The query is not touched.

use super::replacement::{self, Replacement};
use crate::exchange::References;
use crate::reply::Rejection;
use crate::value::{Invalid, Piece, Reference, Template};
use http::Uri;
use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::Deserialize;

/// One way to rewrite a path.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PathTransform")]
pub struct Config {
    /// A prefix that is taken off, on whole segments: `/api` makes `/users` of `/api/users`.
    pub strip_prefix: Option<String>,
    /// A prefix that gives way to another.
    pub replace_prefix: Option<PrefixConfig>,
    /// A path that gives way to another by a regular expression.
    pub replace_regex: Option<replacement::Config>,
    /// A whole new path; the values of its references are percent-encoded.
    pub replace: Option<Template>,
}

/// One prefix for another.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PrefixReplacement")]
pub struct PrefixConfig {
    /// The prefix that is taken off, on whole segments.
    pub from: String,
    /// What is put in its place.
    pub to: String,
}

/// The compiled rewriting.
#[derive(Debug)]
pub enum Rewrite {
    /// Puts `to` in the place of the prefix `from`; neither ends with a slash.
    Prefix {
        /// What is taken off.
        from: String,
        /// What is put in its place.
        to: String,
    },
    /// Makes another path of what a regular expression captured.
    Captured(Replacement),
    /// Makes a whole new path.
    Whole(Template),
}

impl Rewrite {
    /// Turns what was typed into what it means.
    pub fn compile(config: &Config) -> Result<Self, Invalid> {
        let Config { strip_prefix, replace_prefix, replace_regex, replace } = config;
        match (strip_prefix, replace_prefix, replace_regex, replace) {
            (Some(from), None, None, None) => {
                Ok(Rewrite::Prefix { from: prefix(from, "strip_prefix")?, to: String::new() })
            }
            (None, Some(one), None, None) => {
                let within = |invalid: Invalid| invalid.under("replace_prefix");
                let from = prefix(&one.from, "from").map_err(within)?;
                let to = prefix(&one.to, "to").map_err(within)?;
                encoded(&one.to).map_err(|invalid| within(invalid.under("to")))?;
                if to.contains('?') {
                    return Err(within(Invalid::new("a prefix has no query").under("to")));
                }
                Ok(Rewrite::Prefix { from, to })
            }
            (None, None, Some(one), None) => Replacement::compile(one)
                .map(Rewrite::Captured)
                .map_err(|invalid| invalid.under("replace_regex")),
            (None, None, None, Some(template)) => {
                if template.as_literal().is_some_and(|path| !path.starts_with('/')) {
                    return Err(Invalid::new("a path begins with `/`").under("replace"));
                }
                for piece in template.pieces() {
                    if let Piece::Literal(text) = piece {
                        encoded(text).map_err(|invalid| invalid.under("replace"))?;
                    }
                }
                Ok(Rewrite::Whole(template.clone()))
            }
            _ => Err(Invalid::new(
                "exactly one of `strip_prefix`, `replace_prefix`, `replace_regex` and `replace` \
                 is needed",
            )),
        }
    }

    /// Walks what its template refers to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let template = match self {
            Rewrite::Prefix { .. } | Rewrite::Captured(_) => None,
            Rewrite::Whole(template) => Some(template),
        };
        template.into_iter().flat_map(Template::references)
    }

    /// The target that a request gets, if it is another one.
    ///
    /// # Errors
    ///
    /// Refuses a request that has no value for a reference, or whose values make no path.
    pub fn of(
        &self,
        uri: &Uri,
        references: References<'_>,
    ) -> Result<Option<PathAndQuery>, Rejection> {
        let path = match self {
            Rewrite::Prefix { from, to } => {
                let rest = uri.path().strip_prefix(from.as_str());
                let rest = rest.filter(|rest| on_segment(rest));
                rest.map(|rest| [to.as_bytes(), rest.as_bytes()].concat())
            }
            Rewrite::Captured(replacement) => {
                let path = replacement.of(uri.path()).transpose();
                path.map_err(|_| Rejection::NoPath)?
            }
            Rewrite::Whole(template) => {
                let mut path = Vec::new();
                if !template.render_path(&references, &mut path) {
                    return Err(Rejection::NoPath);
                }
                Some(path)
            }
        };
        path.map(|path| target(path, uri.query()).ok_or(Rejection::NoPath)).transpose()
    }
}

/// A prefix as it is compared: from a slash, and not up to one.
fn prefix(typed: &str, key: &str) -> Result<String, Invalid> {
    if !typed.starts_with('/') {
        return Err(Invalid::new("a path prefix begins with `/`").under(key));
    }
    Ok(typed.trim_end_matches('/').to_owned())
}

fn on_segment(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// A path with the query of the request, behind the query that it may have of its own.
fn target(mut target: Vec<u8>, query: Option<&str>) -> Option<PathAndQuery> {
    if target.is_empty() {
        target.push(b'/');
    }
    if target[0] != b'/' {
        return None;
    }
    if let Some(query) = query {
        target.push(if target.contains(&b'?') { b'&' } else { b'?' });
        target.extend_from_slice(query.as_bytes());
    }
    PathAndQuery::try_from(target).ok()
}

/// Refuses what cannot stand in a target as it is (RFC 3986 §2, RFC 9112 §3.2).
fn encoded(typed: &str) -> Result<(), Invalid> {
    match typed.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        Some(c) => Err(Invalid::new(format!("{c:?} cannot stand in a path: percent-encode it"))),
        None => Ok(()),
    }
}
