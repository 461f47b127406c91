//! Another place to ask: what `Location` says, and with which status.
//!
//! Who follows a redirect trusts the gateway's word for where it leads, so a client must not choose
//! the host of another one's redirect: nothing of a request but its own host may stand where a host
//! stands. Values are percent-encoded, and what is left of the request's own target was a valid
//! target when it came, so that no value ends the field or begins another.

mod target;

use crate::exchange::{References, host};
use crate::reply::{Rejection, Reply};
use crate::value::{Invalid, Reference, Template};
use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::uri::Authority;
use http::{StatusCode, request};
use schemars::JsonSchema;
use serde::Deserialize;
use target::Start;

/// Another place to ask: either `to`, or what of the request's own target changes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Redirect")]
pub struct Config {
    /// The whole target: `https://HOST/PATH`, or `/PATH` on the same host. Values of the request
    /// are percent-encoded, and without one of them the answer is 404; in the place of the host
    /// only `$(request.host)` may stand.
    pub to: Option<Template>,
    /// Another scheme, for the same host without its port. Who uses it already is sent in circles,
    /// so the route is one that only others reach.
    pub scheme: Option<Scheme>,
    /// Another host, with its port if it has one of its own; the scheme stays.
    pub host: Option<String>,
    /// Another path, as `to` has it.
    pub path: Option<Template>,
    /// Whether the request's query is kept. It is where `scheme`, `host` or `path` is given, and is
    /// not with `to`, unless this says otherwise.
    pub keep_query: Option<bool>,
    /// 301, 302, 303, 307 or 308. 307 where it is left out: the method stays as it is (RFC 9110
    /// §15.4.8), and nobody remembers it longer than it holds, as 301 and 308 are remembered.
    pub status: Option<u16>,
}

/// What a redirect may change a scheme to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The compiled redirect.
#[derive(Debug)]
pub struct Redirect {
    status: StatusCode,
    keep_query: bool,
    place: Place,
}

/// Where it leads.
#[derive(Debug)]
enum Place {
    /// The same for every request.
    Fixed(HeaderValue),
    /// A whole target, which names a host itself or stays on the same one.
    Whole(Template, Start),
    /// The request's own target, but for what is here.
    Changed { scheme: Option<Scheme>, host: Option<String>, path: Option<Template> },
}

impl Redirect {
    /// Turns what was typed into what it means.
    ///
    /// # Errors
    ///
    /// Refuses a status that does not redirect, and targets that are none or whose host a client
    /// would choose.
    pub fn compile(config: &Config) -> Result<Self, Invalid> {
        let status = status(config.status).map_err(|invalid| invalid.under("status"))?;
        let (place, keep_query) = match config {
            Config { to: Some(to), scheme: None, host: None, path: None, keep_query, .. } => {
                let keep_query = keep_query.unwrap_or(false);
                let place = whole(to, keep_query).map_err(|invalid| invalid.under("to"))?;
                (place, keep_query)
            }
            Config { to: None, scheme: None, host: None, path: None, .. } => {
                let message = "a redirect leads somewhere: write `to`, or `scheme`, `host`, `path`";
                return Err(Invalid::new(message));
            }
            Config { to: None, scheme, host, path, keep_query, .. } => {
                if let Some(host) = host {
                    check_host(host).map_err(|invalid| invalid.under("host"))?;
                }
                if let Some(path) = path {
                    target::check_path(path).map_err(|invalid| invalid.under("path"))?;
                }
                let (host, path) = (host.clone(), path.clone());
                (Place::Changed { scheme: *scheme, host, path }, keep_query.unwrap_or(true))
            }
            _ => {
                let message = "`to` is the whole target, `scheme`, `host` and `path` change parts \
                               of the request's own: write either";
                return Err(Invalid::new(message));
            }
        };
        Ok(Redirect { status, keep_query, place })
    }

    /// The answer to one request.
    pub fn reply(&self, references: References<'_>) -> Result<Reply, Rejection> {
        let location = match &self.place {
            Place::Fixed(location) => location.clone(),
            Place::Whole(template, start) => {
                let mut target = Vec::new();
                // `*` has no path that could follow a host (RFC 9112 §3.2.4).
                let complete = references.head.uri.path().starts_with('/')
                    && template.render_path(&references, &mut target);
                if !complete || (*start == Start::Path && names_a_host(&target)) {
                    return Err(Rejection::NotFound);
                }
                self.location(target, references.head)?
            }
            Place::Changed { scheme, host, path } => {
                let mut target = Vec::new();
                authority(*scheme, host.as_deref(), references.head, &mut target)?;
                let start = target.len();
                match path {
                    None => target.extend_from_slice(references.head.uri.path().as_bytes()),
                    Some(path) if path.render_path(&references, &mut target) => {}
                    Some(_) => return Err(Rejection::NotFound),
                }
                let path = &target[start..];
                if !path.starts_with(b"/") || (start == 0 && names_a_host(path)) {
                    return Err(Rejection::NotFound);
                }
                self.location(target, references.head)?
            }
        };
        let headers = vec![(LOCATION, location)];
        Ok(Reply { status: self.status, headers, body: Bytes::new() })
    }

    fn location(
        &self,
        mut target: Vec<u8>,
        head: &request::Parts,
    ) -> Result<HeaderValue, Rejection> {
        if let Some(query) = head.uri.query().filter(|_| self.keep_query) {
            target.push(b'?');
            target.extend_from_slice(query.as_bytes());
        }
        HeaderValue::from_maybe_shared(Bytes::from(target)).map_err(|_| Rejection::NotFound)
    }

    /// Walks what its templates refer to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        let template = match &self.place {
            Place::Fixed(_) => None,
            Place::Whole(template, _) => Some(template),
            Place::Changed { path, .. } => path.as_ref(),
        };
        template.into_iter().flat_map(Template::references)
    }
}

fn status(typed: Option<u16>) -> Result<StatusCode, Invalid> {
    match typed {
        None => Ok(StatusCode::TEMPORARY_REDIRECT),
        Some(301) => Ok(StatusCode::MOVED_PERMANENTLY),
        Some(302) => Ok(StatusCode::FOUND),
        Some(303) => Ok(StatusCode::SEE_OTHER),
        Some(307) => Ok(StatusCode::TEMPORARY_REDIRECT),
        Some(308) => Ok(StatusCode::PERMANENT_REDIRECT),
        Some(other) => {
            let message =
                format!("{other} does not redirect, these do: 301, 302, 303, 307 and 308");
            Err(Invalid::new(message))
        }
    }
}

fn whole(to: &Template, keep_query: bool) -> Result<Place, Invalid> {
    let start = target::check_whole(to)?;
    if keep_query && target::literals(to).any(|text| text.contains(['?', '#'])) {
        let message = "the request's query is kept where the target has none of its own";
        return Err(Invalid::new(message));
    }
    match to.as_literal() {
        Some(text) if !keep_query => HeaderValue::from_str(text)
            .map(Place::Fixed)
            .map_err(|_| Invalid::new("this is not a target")),
        _ => Ok(Place::Whole(to.clone(), start)),
    }
}

fn check_host(typed: &str) -> Result<(), Invalid> {
    match typed.parse::<Authority>() {
        Ok(_) if !typed.contains('@') => Ok(()),
        _ => Err(Invalid::new(format!("`{typed}` is no host, write `HOST` or `HOST:PORT`"))),
    }
}

/// Writes the scheme and the host of a changed target, if either changes: without a scheme it is
/// the one that the client used (RFC 3986 §4.2), which a proxy in front may have taken off.
fn authority(
    scheme: Option<Scheme>,
    to: Option<&str>,
    head: &request::Parts,
    target: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let own = match (scheme, to) {
        (None, None) => return Ok(()),
        (_, Some(host)) => host.as_bytes(),
        // Another scheme has another port, and which one nobody said.
        (Some(_), None) => without_port(host(head)),
    };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(b);
    if own.is_empty() || !own.iter().all(plain) {
        return Err(Rejection::BadRequest("the request's host is none that it could be sent to"));
    }
    if let Some(scheme) = scheme {
        target.extend_from_slice(scheme.as_str().as_bytes());
        target.push(b':');
    }
    target.extend_from_slice(b"//");
    target.extend_from_slice(own);
    Ok(())
}

/// A host without its port; an address of IPv6 keeps its colons, which stand in brackets.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if host[at + 1..].iter().all(u8::is_ascii_digit) => &host[..at],
        _ => host,
    }
}

/// Whether a browser takes what follows for a host: it reads a backslash as a slash.
fn names_a_host(target: &[u8]) -> bool {
    matches!(target, [b'/' | b'\\', b'/' | b'\\', ..])
}

#[cfg(test)]
mod tests;
