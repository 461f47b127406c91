//! Rewriting of a request's path. The query is not touched.

use super::replacement::{self, Replacement};
use crate::exchange::References;
use crate::value::{Invalid, Reference, Template};
use http::uri::PathAndQuery;
use http::{Uri, request};
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
                Ok(Rewrite::Prefix { from, to })
            }
            (None, None, Some(one), None) => Replacement::compile(one)
                .map(Rewrite::Captured)
                .map_err(|invalid| invalid.under("replace_regex")),
            (None, None, None, Some(template)) => {
                if template.as_literal().is_some_and(|path| !path.starts_with('/')) {
                    return Err(Invalid::new("a path begins with `/`").under("replace"));
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

    /// Rewrites the path; `None` where a reference has no value or the result is no path.
    pub fn apply(&self, head: &mut request::Parts, references: References<'_>) -> Option<()> {
        match self {
            Rewrite::Prefix { from, to } => {
                let path = head.uri.path();
                let Some(rest) = path.strip_prefix(from.as_str()).filter(|rest| on_segment(rest))
                else {
                    return Some(());
                };
                let mut target = Vec::with_capacity(to.len() + rest.len() + 1);
                target.extend_from_slice(to.as_bytes());
                target.extend_from_slice(rest.as_bytes());
                set_path(head, target)
            }
            Rewrite::Captured(replacement) => match replacement.of(head.uri.path()) {
                Some(target) => set_path(head, target.ok()?),
                None => Some(()),
            },
            Rewrite::Whole(template) => {
                let mut target = Vec::new();
                template.render_path(&references, &mut target).then_some(())?;
                set_path(head, target)
            }
        }
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

/// Sets the path and keeps the query.
fn set_path(head: &mut request::Parts, mut target: Vec<u8>) -> Option<()> {
    if target.is_empty() {
        target.push(b'/');
    }
    if target[0] != b'/' {
        return None;
    }
    if let Some(query) = head.uri.query() {
        target.push(b'?');
        target.extend_from_slice(query.as_bytes());
    }
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    head.uri = Uri::from_parts(parts).ok()?;
    Some(())
}
